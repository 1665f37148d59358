/* SPDX-License-Identifier: Apache-2.0 */
/* One sentence for each reason; see sentences.h. */
#include "sentences.h"

#include <stdio.h>
#include <string.h>

#include "base/escape.h"

const char *pn_barrel_auth_sentence(pn_auth_reason why)
{
    static const char *const sentences[PN_AUTH_N_REASONS] = {
        [PN_AUTH_REASON_NONE] = "no reason is known; try again",
        [PN_AUTH_REASON_KEY_MISMATCH] =
            "another key is pinned here for that name, or the pins cannot be "
            "read; if it has a new key, take the pin back and pin that",
        [PN_AUTH_REASON_UNTRUSTED_KEY] =
            "no key is pinned here for that name; pin its key first",
        [PN_AUTH_REASON_SIGNATURE_INVALID] =
            "it cannot prove its key; check which node is at that address",
        [PN_AUTH_REASON_REJECTED] = "it refused us; look at the log there",
        [PN_AUTH_REASON_UNEXPECTED_MESSAGE] =
            "it sent a message out of turn; check its version",
        [PN_AUTH_REASON_UNEXPECTED_OK] =
            "it agreed before it was asked; check its version",
        [PN_AUTH_REASON_BAD_MESSAGE] =
            "it sent a message that cannot be read; check its version",
        [PN_AUTH_REASON_MESSAGE_TOO_LONG] =
            "it sent a message that is too long; check its version",
        [PN_AUTH_REASON_TRAILING_BYTES] =
            "it sent more than an authentication; check its version",
        [PN_AUTH_REASON_PEER_TS_SKEW] =
            "its clock and ours differ; set both clocks",
        [PN_AUTH_REASON_OWN_KEY] =
            "it has our own key; check the address, or give it a key of its "
            "own",
        [PN_AUTH_REASON_OWN_NAME] =
            "it has our own name; check the address, or give it a name of its "
            "own",
        [PN_AUTH_REASON_OWN_NONCE] =
            "it only echoes our messages; check the address",
        [PN_AUTH_REASON_NAME_MISMATCH] =
            "it has another name; check the name and the address",
        [PN_AUTH_REASON_CHANNEL_BINDING_FAILED] =
            "its certificate is not known; check for a proxy between the nodes",
        [PN_AUTH_REASON_STREAM_FINISHED] =
            "it ended the authentication without a reason; look at the log "
            "there",
        [PN_AUTH_REASON_STREAM_RESET] =
            "it broke off the authentication; look at the log there",
        [PN_AUTH_REASON_TIMEOUT] =
            "it did not finish the authentication in time; check that it is a "
            "node of the cluster, and try again",
        [PN_AUTH_REASON_PIN_NOT_STORED] =
            "its key could not be pinned, there are too many new names or the "
            "disk refused; pin it by hand",
        [PN_AUTH_REASON_SYSTEM] = "the system refused; look at the log here",
    };

    return sentences[why];
}

const char *pn_barrel_dist_sentence(pn_dist_reason why)
{
    static const char *const sentences[PN_DIST_N_REASONS] = {
        [PN_DIST_REASON_NONE] = "no reason is known; try again",
        [PN_DIST_REASON_BAD_HANDSHAKE] =
            "its handshake is not that of Erlang; check version and address",
        [PN_DIST_REASON_NAME_MISMATCH] =
            "it has another name there; check its name",
        [PN_DIST_REASON_FLAGS_MISSING] =
            "its release lacks what this node needs; check its version",
        [PN_DIST_REASON_NOT_ALLOWED] =
            "it lets no node of our name in; look at what it allows",
        [PN_DIST_REASON_LOST_RACE] =
            "it dialled us at the same time, and that link counts; try again",
        [PN_DIST_REASON_ALREADY_UP] = "it has a link to us already; try again",
        [PN_DIST_REASON_COOKIE] =
            "its cookie differs; give both nodes the same",
        [PN_DIST_REASON_TIMEOUT] =
            "it did not finish in time; look whether it hangs, and try again",
        [PN_DIST_REASON_BAD_FRAME] =
            "it sent a frame that is none of distribution; check its version",
        [PN_DIST_REASON_TOO_LARGE] =
            "it sent a message over this node's limit; raise it, or send less",
        [PN_DIST_REASON_BAD_TERM] =
            "it sent a term that is not valid; check its version",
        [PN_DIST_REASON_STREAM] =
            "it used a stream that distribution lacks; check its version",
        [PN_DIST_REASON_NOMEM] = "memory ran out; try again later",
        [PN_DIST_REASON_SYSTEM] = "the system refused; look at the log here",
    };

    return sentences[why];
}

const char *pn_barrel_end_sentence(pn_reason why)
{
    switch ((int)why) {
    case PN_REASON_LOCAL_CLOSE:
        return "this node ended the link; try again when it runs";
    case PN_REASON_PEER_CLOSED:
        return "it closed the link; look whether it still runs";
    case PN_REASON_BAD_HANDSHAKE:
        return "it does not speak QUIC as expected; check the port";
    case PN_REASON_PING_TIMEOUT:
        return "it has not answered for too long; check the network";
    case PN_REASON_FLOOD:
        return "it sent more than this node queues; send less at once";
    case PN_REASON_CONNECTION_REFUSED:
        return "nothing listens there; start the node, or check the port";
    case PN_REASON_CONNECTION_RESET:
        return "it was started again, or has forgotten the link; try again";
    case PN_REASON_UNREACHABLE:
        return "there is no way to it; check the address and the network";
    case PN_REASON_OUT_OF_MEMORY:
        return "memory ran out; try again later";
    default:
        return "the link could not go on; look at the log here";
    }
}

void pn_barrel_bad_message(pn_auth_decoded why, char *ret_text, size_t cap)
{
    int len = snprintf(ret_text, cap,
        "it sent a message that cannot be read (%s); check its version",
        pn_auth_decoded_text(why));

    for (int i = 0; i < len && (size_t)i < cap; i++) {
        ret_text[i] = ret_text[i] == '_' ? ' ' : ret_text[i];
    }
}

void pn_barrel_refusal(pn_slice said, char *ret_text, size_t cap)
{
    static const struct {
        pn_auth_reason reason;
        const char *sentence;
    } known[] = {
        {PN_AUTH_REASON_KEY_MISMATCH,
            "another key than ours is pinned there for our name; let its owner "
            "pin our present key"},
        {PN_AUTH_REASON_UNTRUSTED_KEY,
            "our key is not pinned there; let its owner pin it"},
        {PN_AUTH_REASON_SIGNATURE_INVALID,
            "it does not take our proof of the key; check both versions"},
    };
    char safe[256];

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const char *word = pn_auth_reason_text(known[i].reason);

        if (said.len == strlen(word)
            && memcmp(said.data, word, said.len) == 0) {
            (void)snprintf(ret_text, cap, "%s", known[i].sentence);
            return;
        }
    }
    (void)pn_escape((const char *)said.data, said.len, 64, safe, sizeof(safe));
    (void)snprintf(ret_text, cap,
        "it refused us with \"%s\"; look at the log there", safe);
}

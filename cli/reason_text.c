/* SPDX-License-Identifier: Apache-2.0 */
/* One sentence for each reason; see reason_text.h. */
#include "reason_text.h"

#include <string.h>

const char *cli_reason_sentence(pn_reason reason)
{
    static const char *const sentences[PN_N_REASONS] = {
        [PN_REASON_NONE] = "no reason is known; try again",
        [PN_REASON_NO_SUCH_HANDLE] =
            "the handle is not exposed there; check its name",
        [PN_REASON_FORBIDDEN] =
            "this caller is not allowed; ask the owner for '--allow'",
        [PN_REASON_QUEUE_FULL] = "too much waits there already; try again "
                                 "later",
        [PN_REASON_HANDLER_TIMEOUT] = "the handler took too long there; look "
                                      "at its program, or try again",
        [PN_REASON_HANDLER_FAILED] =
            "the handler failed; look at the log there",
        [PN_REASON_NO_REPLY] =
            "the handler ended without an answer; look at the log there",
        [PN_REASON_REPLY_TOO_LARGE] = "the reply, or what it was asked, is "
                                      "larger than it may be; ask for "
                                      "less",
        [PN_REASON_BAD_ARGUMENT] =
            "the handler cannot use that argument; check its type",
        [PN_REASON_FUNCTION_NOT_EXPORTED] =
            "the function is not exported there; check its name and arity",
        [PN_REASON_FUNCTION_FORBIDDEN] =
            "this caller may not use the function; ask the owner for "
            "'--allow'",
        [PN_REASON_UNKNOWN_OPERATION] =
            "the operation is not known there; check the version there",
        [PN_REASON_RATE_LIMITED] = "too many calls in a short time; try again "
                                   "later",
        [PN_REASON_LOCAL_CLOSE] = "this node closed the link; try again",
        [PN_REASON_PEER_CLOSED] =
            "the peer closed the link; look whether its node still runs",
        [PN_REASON_UNPAIRED] = "the peer was unpaired; pair it again",
        [PN_REASON_UNTRUSTED_PEER] =
            "that key is not paired here; pair it if it is known to you",
        [PN_REASON_NOT_PAIRED_THERE] =
            "the peer has probably not paired this node; run 'peernet pair' "
            "there with the key that 'peernet id' prints here",
        [PN_REASON_KEY_MISMATCH] =
            "another node answers at that address; check the address and the "
            "key",
        [PN_REASON_OWN_KEY] =
            "this node itself answers at that address; check the address",
        [PN_REASON_BAD_HANDSHAKE] =
            "the other end does not speak PeerNet as expected; check the port",
        [PN_REASON_HANDSHAKE_TIMEOUT] =
            "the other end took the connection and said nothing in time; "
            "check the port",
        [PN_REASON_BAD_FRAME] =
            "the peer broke the protocol; check its version",
        [PN_REASON_FRAME_TOO_LARGE] =
            "a message was too large; send less in one",
        [PN_REASON_BAD_TAG] = "a message was damaged on its way; try again",
        [PN_REASON_NONCES_USED_UP] =
            "the link has carried all it may; it is made anew",
        [PN_REASON_BAD_TERM] =
            "the peer sent a term that is not valid; check its version",
        [PN_REASON_BAD_ENVELOPE] =
            "the peer sent a message of no known form; check its version",
        [PN_REASON_PING_TIMEOUT] =
            "the peer has not answered for too long; check the network",
        [PN_REASON_STALLED] =
            "the peer takes nothing from us; look whether its node hangs",
        [PN_REASON_FLOOD] =
            "more waited than this node may keep; send less at once",
        [PN_REASON_SUPERSEDED] = "a newer link took its place; try again",
        [PN_REASON_DUPLICATE] = "another link to the peer stays; try again",
        [PN_REASON_ADDRESS_GONE] =
            "this host lost the address of the link; it is made anew",
        [PN_REASON_NETWORK_CHANGED] =
            "the network has changed; the link is made anew",
        [PN_REASON_CONNECTION_REFUSED] =
            "the host refuses the connection; start the node there, or check "
            "the port",
        [PN_REASON_PEER_LISTENS_ON_LOOPBACK] =
            "the peer announces itself and refuses; it probably listens on its "
            "loopback address only, so let it listen on all",
        [PN_REASON_UNREACHABLE] =
            "there is no way to the host; check the address and the network",
        [PN_REASON_CONNECT_TIMEOUT] =
            "the host does not answer; check the address, its firewall, and "
            "whether it is on",
        [PN_REASON_CONNECTION_RESET] =
            "the connection was cut off; check the network and the node there",
        [PN_REASON_ATOM_UNKNOWN_TO_PEER] =
            "the peer closed the link right after a message; it probably does "
            "not know an atom or a handle in it, so use known ones",
        [PN_REASON_TOO_MANY] =
            "there are too many connections; try again later",
        [PN_REASON_OUT_OF_MEMORY] = "memory ran out; try again later",
        [PN_REASON_SYSTEM] =
            "the system refused; look at the log with '--verbose'",
        [PN_REASON_COOKIE_DIFFERS] =
            "the cookies of the two nodes probably differ; give both the same",
        [PN_REASON_CLOCK_DIFFERS] =
            "the clocks of the two nodes differ too much; set both",
    };

    return (unsigned)reason < PN_N_REASONS && sentences[reason] != NULL
               ? sentences[reason]
               : pn_reason_text(reason);
}

const char *cli_reason_sentence_of(const char *name)
{
    for (unsigned i = 0; i < PN_N_REASONS; i++) {
        if (strcmp(pn_reason_text((pn_reason)i), name) == 0) {
            return cli_reason_sentence((pn_reason)i);
        }
    }
    return name;
}

const char *cli_remote_sentence(const char *term)
{
    static const struct {
        const char *term; /* a tuple's beginning; else all of it */
        pn_reason reason;
    } rows[] = {
        {":no_such_handle", PN_REASON_NO_SUCH_HANDLE},
        {":forbidden", PN_REASON_FORBIDDEN},
        {":busy", PN_REASON_QUEUE_FULL},
        {":timeout", PN_REASON_HANDLER_TIMEOUT},
        {":system_limit", PN_REASON_REPLY_TOO_LARGE},
        {":badarg", PN_REASON_BAD_ARGUMENT},
        {"{:undef, ", PN_REASON_FUNCTION_NOT_EXPORTED},
        {"{:forbidden, ", PN_REASON_FUNCTION_FORBIDDEN},
        {"{:EXIT, {:undef, ", PN_REASON_FUNCTION_NOT_EXPORTED},
        {"{:EXIT, {:forbidden, ", PN_REASON_FUNCTION_FORBIDDEN},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i].term);
        bool is_whole = rows[i].term[0] == ':';

        if (strncmp(term, rows[i].term, len) == 0
            && (!is_whole || term[len] == '\0')) {
            return cli_reason_sentence(rows[i].reason);
        }
    }
    if (strcmp(term, "{:handler_crash, {:exit, :noproc}}") == 0) {
        return "the program that serves the handle went away before it "
               "answered; start it there again";
    }
    return strcmp(term, ":noproc") == 0
               ? "no process has that name there; check it"
               : NULL;
}

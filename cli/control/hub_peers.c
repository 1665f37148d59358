/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about peers: paired ones, and those that announced themselves. */
#include <stdlib.h>
#include <string.h>

#include "hub_internal.h"
#include "peername.h"
#include "json/jsonout.h"

static const char *const state_names[] = {
    [PN_PEER_IDLE] = "idle",
    [PN_PEER_WAITING] = "waiting",
    [PN_PEER_DIALLING] = "dialling",
    [PN_PEER_UP] = "up",
};

static void json_peer_info(cli_text *t, const pn_peer_info *p)
{
    cli_json_open(t, NULL, '{');
    cli_json_peer(t, &p->key);
    cli_json_known(t, "label", p->label);
    cli_json_string(t, "state", state_names[p->state & 3]);
    cli_json_known(t, "address", p->address);
    if (p->state == PN_PEER_UP) {
        cli_json_bool(t, "dialled_by_us", p->dialled_by_us);
    } else {
        cli_json_null(t, "dialled_by_us");
    }
    cli_json_known(t, "rung", p->rung);
    cli_json_known_int(t, "up_ms", (int64_t)p->up_ms);
    cli_json_known_int(t, "rtt_us", (int64_t)p->rtt_us);
    cli_json_known(t, "reason",
        p->last_reason == PN_REASON_NONE ? NULL
                                         : pn_reason_text(p->last_reason));
    if (p->state == PN_PEER_UP) {
        cli_json_bool(t, "our_kind", p->is_our_kind);
    } else {
        cli_json_null(t, "our_kind");
    }
    cli_json_known(t, "proposed_label", p->proposed_label);
    cli_json_at(t, "last_seen", p->last_seen_ms * 1000);
    cli_json_at(t, "added_at", p->added_at_us);
    cli_json_close(t, '}');
}

void hub_peers(const hub_request *request)
{
    pn_peer_info *peers = NULL;
    size_t n = 0;
    pn_err err = pn_list_peers(request->hub->node, &peers, &n);
    cli_text t = {0};

    if (err != PN_OK) {
        hub_answer_error(request, hub_error_name(err), "%s", pn_strerror(err));
        return;
    }
    hub_answer_begin(&t, request->has_id, request->id, true);
    cli_json_open(&t, "peers", '[');
    for (size_t i = 0; i < n; i++) {
        json_peer_info(&t, &peers[i]);
    }
    cli_json_close(&t, ']');
    free(peers);
    hub_answer_end(request->caller, &t);
}

/* Whether the peer may have that label; the one that it had before. */
static bool check_label(const hub_request *request, const pn_public_key *key,
    const char *label, char ret_old[256])
{
    pn_store_peer *peers = NULL;
    cli_text why = {0};
    size_t n = 0;
    bool is_clear;

    if (cli_peers_of_node(request->hub->node, &peers, &n) != PN_OK) {
        hub_answer_error(request, "local", "%s", pn_strerror(PN_NOMEM));
        return false;
    }
    is_clear = cli_label_check(peers, n, key, label, ret_old, &why);
    if (!is_clear) {
        hub_answer_error(request, "bad-request", "%s", cli_text_string(&why));
    }
    cli_text_fini(&why);
    free(peers);
    return is_clear;
}

void hub_pair(const hub_request *request)
{
    const char *text = NULL;
    const char *label = NULL;
    const char *address = NULL;
    char old_label[256];
    pn_public_key key;
    pn_err err;
    cli_text t = {0};

    if (!hub_string(request, "key", true, &text)
        || !hub_string(request, "label", false, &label)
        || !hub_string(request, "address", false, &address)) {
        return;
    }
    if (pn_key_parse(text, &key) != PN_OK) {
        hub_answer_error(request, "bad-request",
            "expected 52 characters of Base32 or 64 hexadecimal digits as "
            "\"key\"");
        return;
    }
    if (!check_label(request, &key, label, old_label)) {
        return;
    }
    err = pn_pair_at(request->hub->node, &key, label, address);
    if (err != PN_OK && err != PN_EXISTS) {
        hub_answer_error(request, hub_error_name(err), "not paired: %s",
            pn_key_equal(&key, pn_node_key(request->hub->node))
                ? "this is our own key; pair with somebody else's"
            : err == PN_INVALID
                ? "expected a label of at most 255 bytes without control "
                  "characters, and HOST:PORT of at most 63 bytes as address"
                : pn_strerror(err));
        return;
    }
    label = label == NULL ? old_label : label;
    hub_answer_begin(&t, request->has_id, request->id, true);
    cli_json_peer(&t, &key);
    cli_json_known(&t, "label", label);
    cli_json_bool(&t, "was_paired", err == PN_EXISTS);
    cli_json_bool(
        &t, "renamed", err == PN_EXISTS && strcmp(old_label, label) != 0);
    hub_answer_end(request->caller, &t);
}

void hub_unpair(const hub_request *request)
{
    pn_public_key key;
    pn_err err;
    cli_text t = {0};

    if (!hub_peer(request, &key)) {
        return;
    }
    err = pn_unpair(request->hub->node, &key);
    if (err != PN_OK) {
        hub_answer_error(request, hub_error_name(err),
            "the peer is cut off, but not all of it could be removed from "
            "the data directory: %s",
            pn_strerror(err));
        return;
    }
    hub_answer_begin(&t, request->has_id, request->id, true);
    cli_json_peer(&t, &key);
    hub_answer_end(request->caller, &t);
}

static void json_heard(cli_text *t, const cli_hub *hub, const pn_heard_info *h)
{
    pn_peer_info peer = {.label = ""};
    bool is_paired = pn_get_peer(hub->node, &h->key, &peer) == PN_OK;

    cli_json_open(t, NULL, '{');
    cli_json_peer(t, &h->key);
    cli_json_known(t, "label", peer.label);
    cli_json_known(t, "proposed_label", peer.proposed_label);
    cli_json_known(t, "published_label", h->published_label);
    cli_json_bool(t, "paired", is_paired);
    cli_json_string(t, "address", h->address);
    cli_json_string(t, "source", h->source);
    cli_json_at(t, "first_heard", h->first_ms * 1000);
    cli_json_at(t, "last_heard", h->last_ms * 1000);
    cli_json_int(t, "reports", (int64_t)h->n_reports);
    cli_json_close(t, '}');
}

void hub_discovered(const hub_request *request)
{
    const cli_hub *hub = request->hub;
    pn_heard_info *heard = NULL;
    size_t n = 0;
    pn_err err = pn_list_heard(hub->node, &heard, &n);
    cli_text t = {0};

    if (err != PN_OK) {
        hub_answer_error(request, hub_error_name(err), "%s", pn_strerror(err));
        return;
    }
    hub_answer_begin(&t, request->has_id, request->id, true);
    cli_json_bool(&t, "discovers", hub->discovers);
    if (hub->discovery_error[0] != '\0') {
        cli_json_string(&t, "discovery_error", hub->discovery_error);
    }
    cli_json_open(&t, "discovered", '[');
    for (size_t i = 0; i < n; i++) {
        json_heard(&t, hub, &heard[i]);
    }
    cli_json_close(&t, ']');
    free(heard);
    hub_answer_end(request->caller, &t);
}

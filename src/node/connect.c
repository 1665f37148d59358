/* SPDX-License-Identifier: Apache-2.0 */
/* pn_connect: asks for a link to a peer, and waits for it. */
#include <time.h>

#include "node/node_internal.h"

_Static_assert(PN_CONNECT_MAX == PN_REG_MAX_MANUAL, "all are kept and tried");

/* "A,B,..."; NULL is an empty list. */
static pn_err parse_list(
    const char *text, pn_address ret_list[static PN_CONNECT_MAX], size_t *ret_n)
{
    char one[PN_ADDRESS_TEXT_LEN];
    pn_err err = PN_OK;
    pn_address at;
    size_t n = 0;

    if (text == NULL) {
        *ret_n = 0;
        return PN_OK;
    }
    while (pn_address_list_next(&text, -1, &at, one, &err)) {
        if (err != PN_OK || n == PN_CONNECT_MAX || pn_address_port(&at) == 0) {
            return PN_INVALID;
        }
        ret_list[n++] = at;
    }
    *ret_n = n;
    return n == 0 ? PN_INVALID : PN_OK;
}

pn_err pn_connect(pn_node *node, const pn_public_key *key, const char *address)
{
    pn_address at[PN_CONNECT_MAX];
    size_t n = 0;
    pn_peer *peer;
    pn_err err = parse_list(address, at, &n);

    if (err != PN_OK) {
        return err;
    }
    pn_node_lock(node);
    err = node->closing.is_asked ? PN_CLOSED
                                 : pn_registry_connect(pn_full(node)->registry,
                                     key, at, n, pn_node_now(node));
    peer = pn_node_find_peer(node, key);
    if (err == PN_OK) {
        pn_race_more(peer);
    } else if (err == PN_NOT_CONNECTED && peer->name[0] != '\0') {
        pn_peer_reset_lookup(peer);
        pn_peer_want_lookup(node, peer);
        err = PN_OK; /* where it is comes with the answer */
    }
    pn_node_wake(node);
    pn_node_unlock(node);
    return err;
}

bool pn_connected(pn_node *node, const pn_public_key *key)
{
    const pn_peer *peer;
    bool is_up;

    pn_node_lock(node);
    peer = pn_node_find_peer(node, key);
    is_up = peer != NULL && peer->reg->primary != NULL;
    pn_node_unlock(node);
    return is_up;
}

struct timespec pn_monotonic_after(uint32_t ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return until;
}

/* PN_AGAIN: not yet. */
static pn_err look_at_peer(
    pn_node *node, const pn_public_key *key, pn_why *ret_why)
{
    const pn_peer *peer;
    pn_reg_info info;

    assert_locked(node);
    if (node->closing.is_asked) {
        return PN_CLOSED;
    }
    peer = pn_node_find_peer(node, key);
    if (peer == NULL) {
        return PN_NOT_FOUND;
    }
    if (peer->reg->primary != NULL) {
        return PN_OK;
    }
    pn_registry_info(pn_full(node)->registry, peer->reg, &info);
    if (info.last_reason != PN_REASON_NONE) {
        pn_why_set(ret_why, info.last_reason, "the last attempt ended with %s",
            pn_reason_text(info.last_reason));
    }
    return PN_AGAIN;
}

pn_err pn_wait_connected(pn_node *node, const pn_public_key *key,
    uint32_t timeout_ms, pn_why *ret_why)
{
    struct timespec until = pn_monotonic_after(timeout_ms);
    bool is_late = false;
    pn_err err = PN_STATE;

    pn_why_clear(ret_why);
    pn_node_lock(node);
    pn_node_ref(node); /* it may close while we wait */
    if (!pn_node_is_loop_thread(node)) {
        while (
            (err = look_at_peer(node, key, ret_why)) == PN_AGAIN && !is_late) {
            is_late = !pn_lock_wait(&node->lock, &node->state_changed, &until);
        }
    }
    pn_node_unref_unlock(node);
    return err == PN_AGAIN ? PN_TIMEOUT : err;
}

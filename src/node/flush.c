/* SPDX-License-Identifier: Apache-2.0 */
/* Flushing: accepted output is sent before a node closes, within
 * flush_timeout_ms, and for callers of pn_flush. Output is sent once the peer's
 * system has acknowledged it. There is no event for an acknowledgement, so the
 * system is asked every few milliseconds while a flush is under way. */
#include <stdio.h>

#include "base/mutant.h"
#include "node/node_internal.h"

#define LOOK_EVERY_US (5 * PN_US_PER_MS)

/* A caller of pn_flush waits until the link has sent all that was accepted
 * before its call. */
typedef struct pn_flush {
    pn_item item;
    pn_peer_link *link; /* holds a reference */
    uint64_t target;    /* bytes of the link's output */
    pn_err outcome;
    bool is_done;
} pn_flush_op;

/* ---- waiting ----------------------------------------------------------- */

static void op_look(pn_node *node, pn_flush_op *op)
{
    const pn_peer_link *link = op->link;

    assert_on_loop(node);
    assert_locked(node);
    if (link->base.stage != PN_LINK_UP || link->session == NULL) {
        op->outcome = PN_CLOSED;
        op->is_done = true;
    } else {
        size_t queued = pn_session_queued_bytes(link->session);
        uint64_t out = pn_session_bytes_written(link->session)
                       - (link->base.ops->unsent(&link->base) - queued);

        op->is_done = out >= op->target;
    }
    if (op->is_done) {
        (void)pthread_cond_broadcast(&node->state_changed);
    }
}

static pn_err flush_wait(pn_node *node, pn_peer_link *link, uint32_t timeout_ms)
{
    struct timespec until = pn_monotonic_after(timeout_ms);
    pn_flush_op op = {
        .link = link, .target = pn_session_bytes_accepted(link->session)};
    bool is_late = false;

    assert_locked(node);
    link->base.refs++;
    pn_list_append(&node->closing.flushes, &op.item);
    pn_node_wake(node);
    while (!op.is_done && !is_late) {
        is_late = !pn_lock_wait(&node->lock, &node->state_changed, &until);
    }
    pn_list_remove(&op.item);
    pn_link_unref(&link->base);
    return op.is_done ? op.outcome : PN_TIMEOUT;
}

pn_err pn_flush(pn_node *node, const pn_public_key *key, uint32_t timeout_ms)
{
    const pn_peer *peer;
    pn_err err = PN_NOT_CONNECTED;

    pn_node_lock(node);
    pn_node_ref(node); /* it may close while we wait */
    peer = node->closing.is_asked ? NULL : pn_node_find_peer(node, key);
    if (pn_node_is_loop_thread(node)) {
        err = PN_STATE;
    } else if (node->closing.is_asked) {
        err = PN_CLOSED;
    } else if (peer != NULL && peer->reg->primary != NULL) {
        err = flush_wait(node, peer->reg->primary, timeout_ms);
    }
    pn_node_unref_unlock(node);
    return err;
}

/* ---- closing ------------------------------------------------------------ */

static void tell_unsent(pn_link *link, size_t unsent)
{
    char text[160];

    (void)snprintf(text, sizeof(text),
        "the peer had not acknowledged %zu bytes when the node closed; give it "
        "more time (flush_timeout_ms)",
        unsent);
    pn_node_log(link->node, &(pn_log_line){.level = PN_LOG_WARNING,
                                .what = PN_LOG_OUTPUT_LOST,
                                .who = &link->principal,
                                .label = link->label,
                                .text = pn_slice_of(text)});
}

static bool has_output(const pn_link *link)
{
    return link->stage == PN_LINK_UP && link->ops->unsent(link) > 0;
}

void pn_flush_begin(pn_node *node)
{
    uint64_t timeout_us = (uint64_t)node->opt.flush_timeout_ms * PN_US_PER_MS;

    assert_on_loop(node);
    assert_locked(node);
    node->closing.drain_until_us = pn_node_now(node) + timeout_us;
    PN_LIST_EACH(pn_link, link, &node->links.all, listed) {
        if (PN_REFUSE_IF(close_flushes, has_output(link))) {
            node->closing.is_draining = true;
            link->ops->fail_calls(link);
        } else {
            pn_link_end(link, PN_REASON_LOCAL_CLOSE);
        }
    }
}

/* Ends links that have sent everything, or have had their time. */
static void drain(pn_node *node)
{
    bool is_late = pn_node_now(node) >= node->closing.drain_until_us;

    node->closing.is_draining = false;
    PN_LIST_EACH(pn_link, link, &node->links.all, listed) {
        if (link->stage == PN_LINK_ENDED) {
            continue;
        }
        if (has_output(link) && !is_late) {
            node->closing.is_draining = true;
            continue;
        }
        if (has_output(link)) {
            tell_unsent(link, link->ops->unsent(link));
        }
        pn_link_end(link, PN_REASON_LOCAL_CLOSE);
    }
}

void pn_flush_turn(pn_node *node)
{
    assert_on_loop(node);
    assert_locked(node);
    PN_LIST_EACH(pn_flush_op, op, &node->closing.flushes, item) {
        if (!op->is_done) {
            op_look(node, op);
        }
    }
    if (node->closing.is_draining) {
        drain(node);
    }
    node->closing.look_at_us = node->closing.is_draining
                                       || node->closing.flushes.n > 0
                                   ? pn_node_now(node) + LOOK_EVERY_US
                                   : PN_TIME_NEVER;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The node's references, clock and work for its loop, for links of every
 * family; see node_core.h. */
#include "link/node_core.h"

void pn_node_assert(const pn_node *node, pn_node_claim claim)
{
    switch (claim) {
    case PN_NODE_LOCKED:
        assert(pn_lock_is_mine(&node->lock));
        break;
    case PN_NODE_UNLOCKED:
        assert(!pn_lock_is_mine(&node->lock));
        break;
    case PN_NODE_ON_LOOP:
        assert(pn_node_is_loop_thread(node));
        break;
    }
}

/* ---- references, threads and time --------------------------------------- */

void pn_node_wake(pn_node *node)
{
    /* During a turn no wake-up is needed, because its end follows. */
    if (node->closing.is_done
        || (node->turn.is_running && pn_node_is_loop_thread(node))) {
        return;
    }
    pn_waker_wake(node->turn.waker);
}

void pn_node_unref_unlock(pn_node *node)
{
    bool is_last = --node->refs == 0;

    assert_locked(node);
    pn_node_unlock(node);
    if (is_last) {
        node->free(node);
    }
}

void pn_node_leave(pn_node *node)
{
    pn_node_lock(node);
    pn_node_unref_unlock(node);
}

uint64_t pn_node_now(const pn_node *node)
{
    if (node->turn.is_running && pn_node_is_loop_thread(node)) {
        return pn_loop_now_us(node->turn.loop);
    }
    return pn_monotonic_now_us();
}

/* ---- work for the loop -------------------------------------------------- */

/* A piece of work whose caller waits for it. */
typedef struct pn_errand {
    pn_item item;
    pn_err (*fn)(void *arg);
    void *arg;
    pn_err outcome;
    bool is_done;
} pn_errand;

/* Releases the lock around each. */
void pn_node_run_errands(pn_node *node)
{
    pn_errand *e;

    assert_on_loop(node);
    assert_locked(node);
    while ((e = PN_LIST_TAKE(&node->turn.errands, pn_errand, item)) != NULL) {
        e->outcome = PN_CLOSED;
        if (!node->closing.is_asked) {
            pn_node_unlock(node);
            e->outcome = e->fn(e->arg);
            pn_node_lock(node);
        }
        e->is_done = true;
        (void)pthread_cond_broadcast(&node->state_changed);
    }
}

/* Runs fn in the calling thread, which is the loop's thread for that long: no
 * thread is in a turn, and the application drives the loop itself. Releases the
 * lock meanwhile. */
static pn_err run_here(pn_node *node, pn_err (*fn)(void *arg), void *arg)
{
    pn_err err;

    assert_locked(node);
    node->turn.is_running = true;
    node->turn.owner = pthread_self();
    pn_node_unlock(node);
    (void)pn_loop_update_now(node->turn.loop);
    err = fn(arg);
    pn_node_lock(node);
    node->turn.is_running = false;
    (void)pthread_cond_broadcast(&node->state_changed);
    pn_node_wake(node);
    return err;
}

pn_err pn_node_on_loop(pn_node *node, pn_err (*fn)(void *arg), void *arg)
{
    pn_errand e = {.fn = fn, .arg = arg};

    assert_unlocked(node);
    pn_node_lock(node);
    pn_node_ref(node); /* it may close while we wait */
    if (node->closing.is_asked) {
        e.outcome = PN_CLOSED;
    } else if (!node->turn.has_thread && !node->turn.is_running) {
        e.outcome = run_here(node, fn, arg);
    } else if (pn_node_is_loop_thread(node)) {
        pn_node_unlock(node);
        e.outcome = fn(arg);
        pn_node_lock(node);
    } else {
        pn_list_append(&node->turn.errands, &e.item);
        pn_node_wake(node);
        while (!e.is_done) {
            (void)pn_lock_wait(&node->lock, &node->state_changed, NULL);
        }
    }
    pn_node_unref_unlock(node);
    return e.outcome;
}

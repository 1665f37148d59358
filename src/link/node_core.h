/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core of a node, which links of every family use.
 *
 * One mutex guards everything below. Code that touches a node holds it, and
 * releases it around every callback of the application, so an application may
 * hold locks of its own when it calls us. Transports, timers and sources belong
 * to the loop's thread: other threads change state, put the link on the touched
 * list and wake the loop, whose turn end writes, closes, dials and re-arms.
 */
#ifndef PN_LINK_NODE_CORE_H
#define PN_LINK_NODE_CORE_H

#include <pthread.h>

#include <peernet/node.h>

#include "base/assert.h"
#include "base/core.h"
#include "link/call.h"
#include "link/dispatch.h"
#include "link/events.h"
#include "link/handles.h"
#include "link/link.h"
#include "link/quiet.h"
#include "link/request.h"
#include "os/clock.h"
#include "os/lock.h"
#include "os/loop.h"

typedef struct pn_node_turn {
    pn_loop *loop;
    pn_waker *waker;
    pn_timer *timer; /* registry, handlers, lingering */
    uint64_t armed_us;
    pthread_t thread; /* has_thread: the node's own */
    bool has_thread;
    bool is_running;
    pthread_t owner; /* the loop's thread: that one, or the last that ran it */
    pn_list errands;
} pn_node_turn;

typedef struct pn_node_closing {
    bool is_asked;
    bool is_begun;
    bool is_done; /* nothing is left on the loop */
    uint64_t linger_until_us;
    bool is_draining;        /* something is still to be sent */
    uint64_t drain_until_us; /* not later than this */
    uint64_t look_at_us;     /* acknowledgements come without an event */
    pn_list flushes;         /* callers of pn_flush */
} pn_node_closing;

/* The hooks of another library that adds a family of links. All run on the
 * loop. */
typedef struct pn_extension {
    void (*turn)(void *user);            /* every turn end; lock held */
    void (*network_changed)(void *user); /* no lock */
    /* The node closes and the links have ended. Returns true once the extension
     * has nothing left on the loop. Lock held. */
    bool (*leave)(void *user);
    /* The node is closed: files are closed, secrets are wiped. No lock. */
    void (*close)(void *user);
    void (*free)(void *user); /* the last reference to the node is gone */
    void *user;
} pn_extension;

struct pn_node {
    pn_lock lock;
    pthread_cond_t state_changed; /* links up, down, failed; closing done */
    uint32_t refs; /* the opener's, deferred requests', of those who wait */
    void (*free)(pn_node *node); /* the last reference is gone; no lock */
    pn_node_options opt;
    pn_env env;
    pn_node_turn turn;
    pn_node_closing closing;
    pn_node_links links;
    pn_handles handles;
    pn_grants_file stored_grants; /* as it was last read */
    pn_forgotten forgotten;
    pn_term_limits term_limits; /* of what handlers are shown */
    pn_node_workers workers;
    pn_node_requests requests;
    pn_node_calls calls;
    pn_node_notes notes;
    pn_quiet quiet;         /* what strangers cause, and refusals */
    pn_extension extension; /* all NULL: none */
    pn_metrics metrics;
};

/* The claims that a function asserts. Its comment says where the lock is
 * released meanwhile, or on return. */
typedef enum pn_node_claim {
    PN_NODE_LOCKED,
    PN_NODE_UNLOCKED,
    PN_NODE_ON_LOOP
} pn_node_claim;
/* Aborts unless it holds. Out of line, because two hundred functions ask. */
PN_CORE void pn_node_assert(const pn_node *node, pn_node_claim claim);
#ifdef NDEBUG
#define assert_claim(node, claim) ((void)0)
#else
#define assert_claim(node, claim) pn_node_assert(node, claim)
#endif
#define assert_locked(node) assert_claim(node, PN_NODE_LOCKED)
#define assert_unlocked(node) assert_claim(node, PN_NODE_UNLOCKED)
#define assert_on_loop(node) assert_claim(node, PN_NODE_ON_LOOP)
static inline void pn_node_lock(pn_node *node)
{
    pn_lock_take(&node->lock);
}
static inline void pn_node_unlock(pn_node *node)
{
    pn_lock_release(&node->lock);
}
/* The file of grants that decisions are made by; NULL: none. */
static inline const pn_grants_file *pn_node_stored_grants(const pn_node *node)
{
    return node->forgotten.is_lost ? NULL : &node->stored_grants;
}
static inline void pn_node_ref(pn_node *node)
{
    assert_locked(node);
    node->refs++;
}
/* Releases the lock; the node may be gone. */
void pn_node_unref_unlock(pn_node *node);
/* For functions that wait: the node may be closed meanwhile, and is still there
 * until pn_node_leave. Errors: PN_CLOSED it is closing. */
PN_MUST_USE static inline pn_err pn_node_enter(pn_node *node)
{
    pn_err err;

    assert_unlocked(node);
    pn_node_lock(node);
    err = node->closing.is_asked ? PN_CLOSED : PN_OK;
    if (err == PN_OK) {
        pn_node_ref(node);
    }
    pn_node_unlock(node);
    return err;
}
PN_CORE void pn_node_leave(pn_node *node);
static inline bool pn_node_is_loop_thread(const pn_node *node)
{
    return pthread_equal(pthread_self(), node->turn.owner) != 0;
}
/* The time for anything but the loop's own callbacks: those have the turn's. */
PN_CORE uint64_t pn_node_now(const pn_node *node);
/* Has the loop run a turn end soon; any thread. */
void pn_node_wake(pn_node *node);
/* Runs fn on the loop and waits for it: loops, timers and sockets are made
 * there. Not from a callback of the application on another thread's turn.
 * Errors: what fn returns; PN_CLOSED. */
PN_CORE PN_MUST_USE pn_err pn_node_on_loop(
    pn_node *node, pn_err (*fn)(void *arg), void *arg);
/* Runs the work queued by pn_node_on_loop. Loop; releases the lock around
 * each. */
void pn_node_run_errands(pn_node *node);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's life: opening, its thread, the end of each turn, closing.
 * node_internal.h says which lock guards what.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "node/node_internal.h"
#include "term/term_hash.h"

enum { LOOP_STACK_BYTES = 512 * 1024 };

/* ---- the turn end (loop) ----------------------------------------------- */

static void node_arm(pn_node *node)
{
    const pn_node_closing *c = &node->closing;
    uint64_t deadline = pn_sooner(pn_registry_deadline(pn_full(node)->registry),
        pn_dispatch_deadline(node));

    assert_on_loop(node);
    assert_locked(node);
    deadline = pn_sooner(deadline, node->quiet.due_us);
    deadline = pn_sooner(
        deadline, pn_node_grants_due(&pn_full(node)->trust.grants));
    deadline = pn_sooner(deadline, c->look_at_us);
    if (!c->is_asked) {
        deadline = pn_sooner(deadline, pn_full(node)->lookups.due_us);
    } else if (!c->is_draining) {
        deadline = pn_sooner(deadline, c->linger_until_us);
    }
    if (deadline != node->turn.armed_us) {
        node->turn.armed_us = deadline;
        pn_timer_set(node->turn.timer, deadline);
    }
}

/* The last act on the loop: nothing of the node is left there. */
static void node_leave_loop(pn_node *node)
{
    assert_on_loop(node);
    assert_locked(node);
    pn_node_run_errands(node); /* they end with PN_CLOSED */
    pn_node_lookup_stop(node);
    pn_node_listen_end(node);
    pn_guarded_watch_stop(&pn_full(node)->trust.watch);
    pn_timer_free(node->turn.timer);
    node->turn.timer = NULL;
    node->closing.is_done = true;
    (void)pthread_cond_broadcast(&node->state_changed);
    pn_loop_stop(node->turn.loop);
}

/* True when a peer that counts refused dials may be dialling us still. */
static bool node_is_awaited(const pn_node *node)
{
    uint64_t linger_us = (uint64_t)node->opt.linger_ms * PN_US_PER_MS;

    return pn_full(node)->listen.n > 0 && node->links.last_end_us != 0
           && pn_node_now(node) - node->links.last_end_us < linger_us;
}

/* Etiquette (docs/PROTOCOL.md, section 7): the port stays for a while after the
 * links. */
static void node_linger(pn_node *node)
{
    uint64_t now = pn_node_now(node);
    uint64_t linger_us = (uint64_t)node->opt.linger_ms * PN_US_PER_MS;

    node->closing.linger_until_us = node_is_awaited(node) ? now + linger_us
                                                          : now;
}

bool pn_node_will_linger(pn_node *node)
{
    bool is_awaited;

    pn_node_lock(node);
    is_awaited = node_is_awaited(node);
    PN_LIST_EACH(pn_link, link, &node->links.all, listed) {
        if (link->ops == &pn_peer_link_ops && link->stage == PN_LINK_UP
            && !pn_link_ends_freely(pn_peer_link_of(link))) {
            is_awaited = pn_full(node)->listen.n > 0 && node->opt.linger_ms > 0;
        }
    }
    pn_node_unlock(node);
    return is_awaited;
}

static void node_close_begin(pn_node *node)
{
    assert_on_loop(node);
    assert_locked(node);
    node->closing.is_begun = true;
    pn_registry_stop(pn_full(node)->registry);
    pn_node_listen_pause(node);
    pn_flush_begin(node);
    node_linger(node);
}

static bool extension_left(pn_node *node)
{
    return node->extension.leave == NULL
           || node->extension.leave(node->extension.user);
}

static void on_turn_end(void *user)
{
    pn_node *node = user;
    bool was_draining;
    bool is_idle; /* nothing is left to be told */

    assert_on_loop(node);
    assert_unlocked(node);
    pn_node_lock(node);
    if (node->closing.is_done) {
        pn_node_unlock(node);
        return;
    }
    pn_node_run_errands(node);
    if (pn_full(node)->trust.is_reload_due && !node->closing.is_asked) {
        pn_node_unlock(node);
        pn_guarded_watch_reload(&pn_full(node)->trust.watch, true);
        pn_node_lock(node);
    }
    pn_node_grants_turn(node);
    pn_node_net_turn(node);
    pn_node_lookup_turn(node);
    if (node->closing.is_asked && !node->closing.is_begun) {
        pn_node_unlock(node);
        pn_node_net_stop(node);
        pn_node_lock(node);
        node_close_begin(node);
    }
    pn_link_turn_end(node);
    was_draining = node->closing.is_draining;
    pn_flush_turn(node);
    if (was_draining && !node->closing.is_draining) {
        node_linger(node);
    }
    pn_call_report_finished(node);
    if (node->extension.turn != NULL) {
        node->extension.turn(node->extension.user);
    }
    pn_defer_report(node);
    pn_node_report_notes(node);
    is_idle = node->calls.finished.n == 0 && node->requests.cancelled.n == 0
              && node->notes.waiting.n == 0;
    if (!is_idle || node->links.touched.n > 0) {
        pn_waker_wake(node->turn.waker);
    }
    if (is_idle && node->closing.is_begun && node->links.all.n == 0
        && pn_node_now(node) >= node->closing.linger_until_us
        && extension_left(node)) {
        node_leave_loop(node);
    } else {
        node_arm(node);
    }
    pn_node_unlock(node);
}

static void on_timer(void *user)
{
    pn_node *node = user;
    uint64_t now;

    pn_node_lock(node);
    node->turn.armed_us = PN_TIME_NEVER;
    now = pn_node_now(node);
    pn_registry_tick(pn_full(node)->registry, now);
    pn_dispatch_expire(node, now);
    pn_node_tell_counts(node, now);
    pn_node_grants_tick(node, now);
    pn_node_unlock(node);
}

/* Its turn end does the work. */
static void on_wake(void *user)
{
    (void)user;
}

/* ---- opening ----------------------------------------------------------- */

static pn_err system_random(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    return pn_random(buf, len);
}

static void limits_fill(pn_node *node)
{
    const pn_node_options *o = &node->opt;
    pn_session_limits *l = &pn_full(node)->session_limits;

    pn_session_limits_default(l);
    l->handshake_us = (uint64_t)o->handshake_timeout_ms * PN_US_PER_MS;
    l->ping_interval_us = (uint64_t)o->ping_interval_ms * PN_US_PER_MS;
    l->pong_timeout_us = (uint64_t)o->pong_timeout_ms * PN_US_PER_MS;
    l->stall_us = (uint64_t)o->stall_timeout_ms * PN_US_PER_MS;
    l->max_output = o->max_output_bytes;
    l->max_output_messages = o->max_output_messages;
    l->max_calls = o->max_calls_per_peer;
    l->term.max_depth = o->max_depth;
    node->term_limits = l->term;
    node->links.strangers = (pn_gate_limits){
        .max_strangers = o->max_strangers,
        .max_strangers_per_source = o->max_strangers_per_source,
        .strangers_per_second = o->strangers_per_second,
        .source_per_second = o->source_per_second,
        .source_burst = o->source_burst,
        .trusted_reserve = o->trusted_reserve,
    };
}

static void kind_fill(pn_node *node)
{
    pn_kind *kind = &pn_full(node)->kind;

    kind->version = PN_KIND_VERSION;
    kind->flags = PN_KIND_NO_ETIQUETTE | PN_KIND_LABEL_UPDATES;
    pn_node_own_label(node, node->opt.own_label);
}

static void locks_make(pn_node *node)
{
    pthread_condattr_t attr;

    pn_lock_init(&node->lock);
    (void)pthread_mutex_init(&pn_full(node)->trust.lock, NULL);
    (void)pthread_cond_init(&node->workers.job_ready, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&node->state_changed, &attr);
    (void)pthread_condattr_destroy(&attr);
}

static pn_err open_store(pn_node *node, pn_why *ret_why)
{
    pn_why warning = {0};
    pn_err err = pn_store_open_limited(node->opt.data_dir, node->opt.max_peers,
        &pn_full(node)->trust.store, ret_why, &warning);

    if (err == PN_OK) {
        pn_store_limit_grants(pn_full(node)->trust.store, node->opt.max_grants);
        err = pn_store_lock_node(pn_full(node)->trust.store, ret_why);
    }
    if (err != PN_OK) {
        return err;
    }
    pn_full(node)->trust.identity = pn_store_identity(
        pn_full(node)->trust.store);
    if (warning.text[0] != '\0') {
        pn_node_log(node, &(pn_log_line){.level = PN_LOG_WARNING,
                              .what = PN_LOG_MODE_TIGHTENED,
                              .text = pn_slice_of(warning.text)});
    }
    return PN_OK;
}

static pn_err open_engines(pn_node *node)
{
    const pn_node_options *o = &node->opt;
    const pn_reg_config config = {
        .own_key = pn_full(node)->trust.identity->public_key,
        .env = &node->env,
        .max_peers = o->max_peers,
        .reconnect_min_us = (uint64_t)o->reconnect_min_ms * PN_US_PER_MS,
        .reconnect_max_us = (uint64_t)o->reconnect_max_ms * PN_US_PER_MS,
        .grace_us = (uint64_t)o->duplicate_grace_ms * PN_US_PER_MS,
        .auto_connect = o->auto_connect,
        .max_candidates = o->max_candidates,
        .is_unheard = o->discovery_listen_only,
    };

    limits_fill(node);
    kind_fill(node);
    pn_gate_init(&pn_full(node)->gate, &node->links.strangers, &node->env);
    return pn_registry_new(
        &config, &pn_node_registry_callbacks, node, &pn_full(node)->registry);
}

static pn_err open_loop(pn_node *node)
{
    pn_err err = pn_loop_new(&node->turn.loop);

    if (err != PN_OK) {
        node->turn.loop = NULL;
        return err;
    }
    (void)pn_loop_update_now(node->turn.loop);
    node->turn.owner = pthread_self();
    err = pn_waker_new(node->turn.loop, on_wake, node, &node->turn.waker);
    if (err == PN_OK) {
        err = pn_timer_new(node->turn.loop, on_timer, node, &node->turn.timer);
    }
    if (err == PN_OK) {
        pn_loop_on_turn_end(node->turn.loop, on_turn_end, node);
    }
    return err;
}

static void *node_main(void *arg)
{
    pn_node *node = arg;

    /* thread_start is done: the loop is this thread's. */
    pn_node_lock(node);
    pn_node_unlock(node);
    pn_loop_run(node->turn.loop);
    return NULL;
}

static pn_err thread_start(pn_node *node, pn_why *ret_why)
{
    pthread_attr_t attr;
    int failed;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, LOOP_STACK_BYTES);
    pn_node_lock(node);
    failed = pthread_create(&node->turn.thread, &attr, node_main, node);
    if (failed == 0) {
        node->turn.owner = node->turn.thread;
        node->turn.is_running = true;
    }
    pn_node_unlock(node);
    (void)pthread_attr_destroy(&attr);
    if (failed != 0) {
        return pn_why_fail(ret_why, PN_SYS,
            "the node's thread cannot be started: %s", strerror(failed));
    }
    node->turn.has_thread = true;
    return PN_OK;
}

static pn_err open_all(pn_node *node, pn_why *ret_why)
{
    pn_err err = open_loop(node);

    if (err == PN_OK) {
        err = open_store(node, ret_why);
    }
    if (err == PN_OK) {
        err = open_engines(node);
    }
    if (err == PN_OK) {
        err = pn_node_load_peers(node);
    }
    if (err == PN_OK) {
        err = pn_node_listen_begin(node, ret_why);
    }
    if (err == PN_OK) {
        err = pn_node_watch_trust(node);
    }
    if (err == PN_OK) {
        err = pn_node_net_start(node, ret_why);
    }
    if (err == PN_OK) {
        pn_node_wake(node); /* links that were touched have a first turn */
    }
    if (err == PN_OK && !node->opt.own_loop) {
        err = thread_start(node, ret_why);
    }
    return err;
}

/* The last reference has gone. */
static void on_free(pn_node *node)
{
    if (node->extension.free != NULL) {
        node->extension.free(node->extension.user);
    }
    (void)pthread_cond_destroy(&node->state_changed);
    (void)pthread_cond_destroy(&node->workers.job_ready);
    (void)pthread_mutex_destroy(&pn_full(node)->trust.lock);
    pn_lock_fini(&node->lock);
    free(pn_full(node));
}

/* Frees a node that has nothing left on the loop, also one that opened in
 * part. */
static void node_free(pn_node *node)
{
    if (node->extension.close != NULL) {
        node->extension.close(node->extension.user);
    }
    pn_node_net_free(node);
    pn_timer_free(node->turn.timer);
    pn_guarded_watch_stop(&pn_full(node)->trust.watch);
    pn_node_listen_end(node);
    if (node->turn.loop != NULL) {
        pn_loop_on_turn_end(node->turn.loop, NULL, NULL);
    }
    /* A pairing or unpairing under way finishes with the files first. */
    (void)pthread_mutex_lock(&pn_full(node)->trust.lock);
    pn_node_lock(node);
    node->closing.is_done = true;
    node->turn.is_running = false;
    pn_waker_free(node->turn.waker);
    node->turn.waker = NULL;
    pn_quiet_fini(&node->quiet);
    pn_handles_fini(&node->handles);
    pn_grants_file_fini(&node->stored_grants);
    pn_forgotten_fini(&node->forgotten);
    pn_node_drop_notes(node);
    pn_registry_free(pn_full(node)->registry);
    pn_full(node)->registry = NULL;
    pn_node_peers_fini(node);
    pn_store_close(pn_full(node)->trust.store);
    pn_full(node)->trust.store = NULL;
    if (node->turn.loop != NULL) {
        pn_loop_free(node->turn.loop);
        node->turn.loop = NULL;
    }
    (void)pthread_mutex_unlock(&pn_full(node)->trust.lock);
    pn_node_unref_unlock(node);
}

pn_err pn_node_open_over(const pn_node_options *options,
    const pn_transport_ops *transport, pn_node **ret_node, pn_why *ret_why)
{
    pn_node_options checked;
    pn_full_node *full;
    pn_node *node;
    pn_err err;

    pn_why_clear(ret_why);
    err = pn_node_options_check(options, &checked, ret_why);
    if (err != PN_OK) {
        return err;
    }
    full = calloc(1, sizeof(*full));
    if (full == NULL) {
        return pn_why_complete(ret_why, PN_NOMEM);
    }
    node = &full->core;
    node->refs = 1;
    node->free = on_free;
    node->opt = checked;
    full->transport = transport;
    node->env = (pn_env){.user = node, .random = system_random};
    node->turn.armed_us = PN_TIME_NEVER;
    node->closing.look_at_us = PN_TIME_NEVER;
    node->metrics.size = sizeof(node->metrics);
    locks_make(node);
    err = pn_hash_seed(&node->env);
    if (err == PN_OK) {
        err = pn_quiet_init(&node->quiet, checked.max_stranger_events,
            checked.stranger_events_per_minute);
    }
    if (err == PN_OK) {
        err = open_all(node, ret_why);
    }
    if (err != PN_OK) {
        node_free(node);
        return pn_why_complete(ret_why, err);
    }
    /* Borrowed until here. */
    node->opt.data_dir = NULL;
    node->opt.listen_address = NULL;
    node->opt.listen_fds = NULL;
    node->opt.discovery_address = NULL;
    node->opt.announce_to = NULL;
    node->opt.interfaces = NULL;
    *ret_node = node;
    return PN_OK;
}

pn_err pn_node_open(
    const pn_node_options *options, pn_node **ret_node, pn_why *ret_why)
{
    return pn_node_open_over(options, &pn_transport_tcp, ret_node, ret_why);
}

/* ---- an application's own loop ----------------------------------------- */

int pn_node_fd(const pn_node *node)
{
    return pn_loop_fd(node->turn.loop);
}

int pn_node_timeout_ms(const pn_node *node)
{
    return pn_loop_timeout_ms(node->turn.loop);
}

/* Releases the lock meanwhile. */
static void turn(pn_node *node)
{
    assert_locked(node);
    node->turn.is_running = true;
    node->turn.owner = pthread_self();
    pn_node_unlock(node);
    pn_loop_run_once(node->turn.loop);
    pn_node_lock(node);
    node->turn.is_running = false;
    (void)pthread_cond_broadcast(&node->state_changed);
}

pn_err pn_node_run(pn_node *node)
{
    pn_err err = PN_OK;

    pn_node_lock(node);
    pn_node_ref(node); /* it may close beside us, and waits for this turn */
    if (node->turn.has_thread || node->turn.is_running) {
        err = PN_STATE;
    } else if (node->closing.is_asked) {
        err = PN_CLOSED;
    } else {
        turn(node);
    }
    pn_node_unref_unlock(node);
    return err;
}

/* ---- closing ----------------------------------------------------------- */

/* A node without a thread: pn_node_close turns the loop, once a turn that
 * another thread runs has ended. */
static void run_until_closed(pn_node *node)
{
    pn_node_lock(node);
    for (;;) {
        struct pollfd fd = {.events = POLLIN};

        while (node->turn.is_running) {
            (void)pn_lock_wait(&node->lock, &node->state_changed, NULL);
        }
        if (!node->closing.is_done) {
            turn(node);
        }
        if (node->closing.is_done) {
            break;
        }
        pn_node_unlock(node);
        fd.fd = pn_node_fd(node);
        (void)poll(&fd, 1, pn_node_timeout_ms(node));
        pn_node_lock(node);
    }
    pn_node_unlock(node);
}

/* Handlers run there, and closing waits for them. */
static bool is_worker_thread(const pn_node *node)
{
    assert_locked(node);
    for (uint32_t i = 0; i < node->workers.n; i++) {
        if (pthread_equal(pthread_self(), node->workers.threads[i])) {
            return true;
        }
    }
    return false;
}

void pn_node_close(pn_node *node)
{
    if (node == NULL) {
        return;
    }
    pn_node_lock(node);
    /* Called from its own turn, it would wait for itself or free memory in
     * use. */
    assert(!(node->turn.is_running && pn_node_is_loop_thread(node)));
    assert(!is_worker_thread(node));
    assert(!node->closing.is_asked);
    node->closing.is_asked = true;
    pn_node_wake(node);
    (void)pthread_cond_broadcast(&node->state_changed);
    pn_node_unlock(node);
    if (node->turn.has_thread) {
        (void)pthread_join(node->turn.thread, NULL);
    } else {
        run_until_closed(node);
    }
    pn_dispatch_stop(node);
    node_free(node);
}

const pn_public_key *pn_node_key(const pn_node *node)
{
    return &pn_full(node)->trust.identity->public_key;
}

uint16_t pn_node_port(const pn_node *node)
{
    return pn_full(node)->listen.port;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's life: opening, its thread, the end of each turn, closing. What
 * guards what is in node_internal.h.
 */
#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"

/* Rounds of one turn end: links that touch each other settle in a few; more
 * wait for the next turn, so one peer cannot hold the loop. */
enum { MAX_ROUNDS = 8, LOOP_STACK_BYTES = 512 * 1024 };

static _Thread_local char open_error[640];

const char *pn_node_open_error(void)
{
    return open_error;
}

void pn_node_set_open_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(open_error, sizeof(open_error), format, args);
    va_end(args);
}

/* ---- threads and time -------------------------------------------------- */

bool pn_node_is_loop_thread(const pn_node *node)
{
    return pthread_equal(pthread_self(), node->loop_thread) != 0;
}

uint64_t pn_node_now(const pn_node *node)
{
    if (node->is_in_turn && pn_node_is_loop_thread(node)) {
        return pn_loop_now_us(node->loop);
    }
    return pn_monotonic_now_us();
}

void pn_node_wake(pn_node *node)
{
    /* In a turn its end comes anyway. */
    if (node->is_closed || (node->is_in_turn && pn_node_is_loop_thread(node))) {
        return;
    }
    pn_waker_wake(node->waker);
}

void pn_node_ref(pn_node *node)
{
    node->refs++;
}

void pn_node_unref_unlock(pn_node *node)
{
    bool is_last = --node->refs == 0;

    pn_node_unlock(node);
    if (!is_last) {
        return;
    }
    (void)pthread_cond_destroy(&node->state_changed);
    (void)pthread_cond_destroy(&node->job_ready);
    (void)pthread_mutex_destroy(&node->store_lock);
    (void)pthread_mutex_destroy(&node->lock);
    free(node);
}

/* ---- the turn end (loop) ----------------------------------------------- */

static void touched_settle(pn_node *node)
{
    for (int round = 0; node->touched != NULL && round < MAX_ROUNDS; round++) {
        pn_link *link = node->touched;

        node->touched = NULL;
        while (link != NULL) {
            pn_link *next = link->next_touched;

            link->is_touched = false;
            link->ops->turn_end(link);
            link = next;
        }
    }
}

static void node_arm(pn_node *node)
{
    uint64_t deadline = pn_registry_deadline(node->registry);
    uint64_t handlers = pn_dispatch_deadline(node);

    deadline = handlers < deadline ? handlers : deadline;
    if (node->is_closing && node->linger_until_us < deadline) {
        deadline = node->linger_until_us;
    }
    if (deadline != node->armed_us) {
        node->armed_us = deadline;
        pn_timer_set(node->timer, deadline);
    }
}

/* A piece of work that somebody waits for. */
typedef struct pn_errand {
    struct pn_errand *next;
    pn_err (*fn)(void *arg);
    void *arg;
    pn_err outcome;
    bool is_done;
} pn_errand;

/* Lock held; released around each. */
static void run_errands(pn_node *node)
{
    while (node->errands != NULL) {
        pn_errand *e = node->errands;

        node->errands = e->next;
        e->outcome = PN_CLOSED;
        if (!node->is_closing) {
            pn_node_unlock(node);
            e->outcome = e->fn(e->arg);
            pn_node_lock(node);
        }
        e->is_done = true;
        (void)pthread_cond_broadcast(&node->state_changed);
    }
}

/* The last act on the loop: nothing of the node is left there. */
static void node_leave_loop(pn_node *node)
{
    run_errands(node); /* whoever waits hears that it is too late */
    if (node->listener != NULL) {
        node->transport->listener_close(node->listener);
        node->listener = NULL;
    }
    pn_watch_free(node->store_watch);
    node->store_watch = NULL;
    pn_timer_free(node->timer);
    node->timer = NULL;
    node->is_closed = true;
    (void)pthread_cond_broadcast(&node->state_changed);
    pn_loop_stop(node->loop);
}

/* Etiquette (wire section 6): links go, the port stays for a while. */
static void node_close_begin(pn_node *node)
{
    uint64_t now = pn_node_now(node);
    uint64_t linger_us = (uint64_t)node->opt.linger_ms * PN_US_PER_MS;
    bool is_awaited = node->n_up > 0
                      || (node->last_end_us != 0
                          && now - node->last_end_us < linger_us);
    pn_link *next;

    node->is_close_begun = true;
    pn_registry_stop(node->registry);
    if (node->listener != NULL) {
        node->transport->listener_pause(node->listener);
    }
    for (pn_link *link = node->links; link != NULL; link = next) {
        next = link->next;
        pn_link_end(link, PN_REASON_LOCAL_CLOSE);
    }
    node->linger_until_us = is_awaited && node->listener != NULL
                                ? now + linger_us
                                : now;
}

/* Nobody is in a turn, and an application with its own loop comes by: it is
 * the loop's thread for that long. Lock held on entry and on return. */
static pn_err run_here(pn_node *node, pn_err (*fn)(void *arg), void *arg)
{
    pn_err err;

    node->is_in_turn = true;
    node->loop_thread = pthread_self();
    pn_node_unlock(node);
    (void)pn_loop_update_now(node->loop);
    err = fn(arg);
    pn_node_lock(node);
    node->is_in_turn = false;
    (void)pthread_cond_broadcast(&node->state_changed);
    pn_node_wake(node);
    return err;
}

pn_err pn_node_on_loop(pn_node *node, pn_err (*fn)(void *arg), void *arg)
{
    pn_errand e = {.fn = fn, .arg = arg};

    pn_node_lock(node);
    if (node->is_closing) {
        e.outcome = PN_CLOSED;
    } else if (!node->has_thread && !node->is_in_turn) {
        e.outcome = run_here(node, fn, arg);
    } else if (pn_node_is_loop_thread(node)) {
        pn_node_unlock(node);
        return fn(arg);
    } else {
        e.next = node->errands;
        node->errands = &e;
        pn_node_wake(node);
        while (!e.is_done) {
            (void)pthread_cond_wait(&node->state_changed, &node->lock);
        }
    }
    pn_node_unlock(node);
    return e.outcome;
}

static bool guest_left(pn_node *node)
{
    return node->guest.leave == NULL || node->guest.leave(node->guest.user);
}

static void on_turn_end(void *user)
{
    pn_node *node = user;

    pn_node_lock(node);
    if (node->is_closed) {
        pn_node_unlock(node);
        return;
    }
    run_errands(node);
    if (node->is_reload_due && !node->is_closing) {
        pn_node_unlock(node);
        pn_node_reload_trust(node);
        pn_node_lock(node);
    }
    pn_node_net_turn(node);
    if (node->is_closing && !node->is_close_begun) {
        pn_node_unlock(node);
        pn_node_net_stop(node);
        pn_node_lock(node);
        node_close_begin(node);
    }
    touched_settle(node);
    if (node->guest.turn != NULL) {
        node->guest.turn(node->guest.user);
    }
    pn_call_report_finished(node);
    pn_node_report_notes(node);
    if (node->touched != NULL || node->finished_head != NULL
        || node->notes_head != NULL) {
        pn_waker_wake(node->waker);
    }
    if (node->is_close_begun && node->links == NULL
        && pn_node_now(node) >= node->linger_until_us
        && node->notes_head == NULL && node->finished_head == NULL
        && guest_left(node)) {
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
    node->armed_us = PN_TIME_NEVER;
    now = pn_node_now(node);
    pn_registry_tick(node->registry, now);
    pn_dispatch_expire(node, now);
    pn_node_unlock(node);
}

/* Its turn end does the work. */
static void on_wake(void *user)
{
    (void)user;
}

static void on_store_changed(void *user)
{
    pn_node *node = user;

    if (pn_store_watch_read(node->store)) {
        pn_node_reload_trust(node);
    }
}

/* ---- opening ----------------------------------------------------------- */

static pn_err system_random(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    return pn_random(buf, len);
}

static void engine_log(void *user, const pn_log_event *event)
{
    pn_node *node = user;

    pn_node_log(node, event->level, event->what, event->text, event->reason,
        event->sys_errno);
}

static void limits_fill(pn_node *node)
{
    const pn_node_options *o = &node->opt;
    pn_session_limits *l = &node->session_limits;

    pn_session_limits_default(l);
    l->handshake_us = (uint64_t)o->handshake_timeout_ms * PN_US_PER_MS;
    l->ping_interval_us = (uint64_t)o->ping_interval_ms * PN_US_PER_MS;
    l->pong_timeout_us = (uint64_t)o->pong_timeout_ms * PN_US_PER_MS;
    l->stall_us = (uint64_t)o->stall_timeout_ms * PN_US_PER_MS;
    l->max_output = o->max_output_bytes;
    l->max_output_messages = o->max_output_messages;
    l->max_calls = o->max_calls_per_peer;
    l->term.max_depth = o->max_depth;
}

static pn_err locks_make(pn_node *node)
{
    pthread_condattr_t attr;

    (void)pthread_mutex_init(&node->lock, NULL);
    (void)pthread_mutex_init(&node->store_lock, NULL);
    (void)pthread_cond_init(&node->job_ready, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&node->state_changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    return PN_OK;
}

static pn_err open_store(pn_node *node)
{
    pn_store_error why = {{0}};
    pn_store_error warning = {{0}};
    pn_err err = pn_store_open_limited(
        node->opt.data_dir, node->opt.max_peers, &node->store, &why, &warning);

    if (err == PN_OK) {
        err = pn_store_lock_node(node->store, &why);
    }
    if (err != PN_OK) {
        pn_node_set_open_error(
            "%s", why.text[0] != '\0' ? why.text : pn_strerror(err));
        return err;
    }
    node->identity = pn_store_identity(node->store);
    if (warning.text[0] != '\0') {
        pn_node_log(node, PN_LOG_WARNING, "file mode tightened", warning.text,
            PN_REASON_NONE, 0);
    }
    return PN_OK;
}

pn_gate_limits pn_node_gate_limits(const pn_node *node)
{
    const pn_node_options *o = &node->opt;

    return (pn_gate_limits){
        .max_strangers = o->max_strangers,
        .max_strangers_per_source = o->max_strangers_per_source,
        .strangers_per_second = o->strangers_per_second,
        .source_per_second = o->source_per_second,
        .source_burst = o->source_burst,
        .trusted_reserve = o->trusted_reserve,
    };
}

static pn_err open_engines(pn_node *node)
{
    const pn_node_options *o = &node->opt;
    pn_gate_limits gate = pn_node_gate_limits(node);
    pn_reg_config config;

    limits_fill(node);
    node->gate = malloc(sizeof(*node->gate));
    if (node->gate == NULL) {
        return PN_NOMEM;
    }
    pn_gate_init(node->gate, &gate, &node->env);
    pn_reg_config_default(&config);
    config.own_key = node->identity->public_key;
    config.env = &node->env;
    config.max_peers = o->max_peers;
    config.reconnect_min_us = (uint64_t)o->reconnect_min_ms * PN_US_PER_MS;
    config.reconnect_max_us = (uint64_t)o->reconnect_max_ms * PN_US_PER_MS;
    config.grace_us = (uint64_t)o->duplicate_grace_ms * PN_US_PER_MS;
    config.auto_connect = o->auto_connect;
    return pn_registry_new(
        &config, &pn_node_registry_callbacks, node, &node->registry);
}

static pn_err open_loop(pn_node *node)
{
    pn_err err = pn_loop_new(&node->loop);

    if (err != PN_OK) {
        node->loop = NULL;
        return err;
    }
    (void)pn_loop_update_now(node->loop);
    node->loop_thread = pthread_self();
    err = pn_waker_new(node->loop, on_wake, node, &node->waker);
    if (err == PN_OK) {
        err = pn_timer_new(node->loop, on_timer, node, &node->timer);
    }
    if (err == PN_OK) {
        pn_loop_on_turn_end(node->loop, on_turn_end, node);
    }
    return err;
}

static pn_err open_watch(pn_node *node)
{
    int fd = pn_store_watch_fd(node->store);

    if (fd < 0) {
        return PN_OK;
    }
    return pn_watch_new(
        node->loop, fd, on_store_changed, node, &node->store_watch);
}

static void *node_main(void *arg)
{
    pn_node *node = arg;

    pn_loop_run(node->loop);
    return NULL;
}

static pn_err thread_start(pn_node *node)
{
    pthread_attr_t attr;
    int failed;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, LOOP_STACK_BYTES);
    /* From here on the loop is that thread's, before it has run a line. */
    pn_node_lock(node);
    failed = pthread_create(&node->thread, &attr, node_main, node);
    if (failed == 0) {
        node->loop_thread = node->thread;
        node->is_in_turn = true;
    }
    pn_node_unlock(node);
    (void)pthread_attr_destroy(&attr);
    if (failed != 0) {
        pn_node_set_open_error("no thread: %s", strerror(failed));
        return PN_SYS;
    }
    node->has_thread = true;
    return PN_OK;
}

static pn_err open_all(pn_node *node)
{
    pn_err err = open_loop(node);

    if (err == PN_OK) {
        err = open_store(node);
    }
    if (err == PN_OK) {
        err = open_engines(node);
    }
    if (err == PN_OK) {
        err = pn_node_load_peers(node);
    }
    if (err == PN_OK) {
        err = pn_node_listen(node);
    }
    if (err == PN_OK) {
        err = open_watch(node);
    }
    if (err == PN_OK) {
        err = pn_node_net_start(node);
    }
    if (err == PN_OK) {
        pn_node_wake(node); /* what was touched above is for the first turn */
    }
    if (err == PN_OK && !node->opt.own_loop) {
        err = thread_start(node);
    }
    return err;
}

/* What is left when the loop has nothing of the node any more; also of a node
 * that opened in part. */
static void node_free(pn_node *node)
{
    if (node->guest.free != NULL) {
        node->guest.free(node->guest.user);
    }
    pn_node_net_free(node);
    pn_timer_free(node->timer);
    pn_watch_free(node->store_watch);
    if (node->listener != NULL) {
        node->transport->listener_close(node->listener);
    }
    if (node->loop != NULL) {
        pn_loop_on_turn_end(node->loop, NULL, NULL);
    }
    pn_node_lock(node);
    node->is_closed = true;
    node->is_in_turn = false;
    pn_waker_free(node->waker);
    node->waker = NULL;
    pn_handles_fini(&node->handles);
    pn_node_drop_notes(node);
    pn_registry_free(node->registry);
    node->registry = NULL;
    pn_node_peers_fini(node);
    free(node->gate);
    node->gate = NULL;
    pn_store_close(node->store);
    node->store = NULL;
    if (node->loop != NULL) {
        pn_loop_free(node->loop);
        node->loop = NULL;
    }
    pn_node_unref_unlock(node);
}

pn_err pn_node_open_over(const pn_node_options *options,
    const pn_transport_ops *transport, pn_node **ret_node)
{
    pn_node_options checked;
    pn_node *node;
    pn_err err;

    open_error[0] = '\0';
    err = pn_node_options_check(options, &checked);
    if (err != PN_OK) {
        return err;
    }
    node = calloc(1, sizeof(*node));
    if (node == NULL) {
        return PN_NOMEM;
    }
    node->refs = 1;
    node->opt = checked;
    node->transport = transport;
    node->env = (pn_env){
        .user = node, .random = system_random, .log = engine_log};
    node->armed_us = PN_TIME_NEVER;
    node->metrics.size = sizeof(node->metrics);
    err = locks_make(node);
    if (err == PN_OK) {
        err = open_all(node);
    }
    if (err != PN_OK) {
        if (open_error[0] == '\0') {
            pn_node_set_open_error("%s", pn_strerror(err));
        }
        node_free(node);
        return err;
    }
    /* Borrowed until here. */
    node->opt.data_dir = NULL;
    node->opt.listen_address = NULL;
    node->opt.discovery_address = NULL;
    *ret_node = node;
    return PN_OK;
}

pn_err pn_node_open(const pn_node_options *options, pn_node **ret_node)
{
    return pn_node_open_over(options, &pn_transport_tcp, ret_node);
}

/* ---- an application's own loop ----------------------------------------- */

int pn_node_fd(const pn_node *node)
{
    return pn_loop_fd(node->loop);
}

int pn_node_timeout_ms(const pn_node *node)
{
    return pn_loop_timeout_ms(node->loop);
}

pn_err pn_node_run(pn_node *node)
{
    pn_node_lock(node);
    if (node->has_thread || node->is_in_turn) {
        pn_node_unlock(node);
        return PN_STATE;
    }
    node->is_in_turn = true;
    node->loop_thread = pthread_self();
    pn_node_unlock(node);
    pn_loop_run_once(node->loop);
    pn_node_lock(node);
    node->is_in_turn = false;
    pn_node_unlock(node);
    return PN_OK;
}

/* ---- closing ----------------------------------------------------------- */

/* Nobody else turns the loop: the one who closes does. */
static void run_until_closed(pn_node *node)
{
    while (!node->is_closed) {
        struct pollfd fd = {.fd = pn_node_fd(node), .events = POLLIN};

        if (pn_node_run(node) != PN_OK) {
            return;
        }
        if (!node->is_closed) {
            (void)poll(&fd, 1, pn_node_timeout_ms(node));
        }
    }
}

void pn_node_close(pn_node *node)
{
    if (node == NULL) {
        return;
    }
    pn_node_lock(node);
    assert(!(node->is_in_turn && pn_node_is_loop_thread(node)));
    node->is_closing = true;
    pn_node_wake(node);
    (void)pthread_cond_broadcast(&node->state_changed);
    pn_node_unlock(node);
    if (node->has_thread) {
        (void)pthread_join(node->thread, NULL);
    } else {
        run_until_closed(node);
    }
    pn_dispatch_stop(node);
    node_free(node);
}

const pn_public_key *pn_node_key(const pn_node *node)
{
    return &node->identity->public_key;
}

uint16_t pn_node_port(const pn_node *node)
{
    return node->port;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an inbound message to a running handler: the decision, the link's
 * queue, the workers. The messages of one link start in the order in which they
 * came, and run one at a time. A handler that defers gives up its turn, and a
 * concurrent handle does not hold the queue. Other peers, replies to our calls
 * and pongs never wait.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "link/decide.h"
#include "link/node_core.h"

/* Handlers run on these; more stack than a handler should need. */
enum { WORKER_STACK_BYTES = 256 * 1024 };

/* ---- workers ----------------------------------------------------------- */

/* Waits for it; NULL: there is none, and the workers are to stop. */
static pn_job *job_take(pn_node *node)
{
    while (node->workers.jobs.n == 0 && !node->workers.is_stopping) {
        node->workers.n_idle++;
        (void)pn_lock_wait(&node->lock, &node->workers.job_ready, NULL);
        node->workers.n_idle--;
    }
    return PN_LIST_TAKE(&node->workers.jobs, pn_job, item);
}

static void *worker_main(void *arg)
{
    pn_node *node = arg;
    pn_job *job;

    pn_node_lock(node);
    while ((job = job_take(node)) != NULL) {
        job->run(node, job);
    }
    pn_node_unlock(node);
    return NULL;
}

static bool worker_start(pn_node *node)
{
    pthread_attr_t attr;
    bool started;

    if (node->workers.threads == NULL) {
        node->workers.threads = calloc(
            node->opt.max_workers, sizeof(pthread_t));
        if (node->workers.threads == NULL) {
            return false;
        }
    }
    if (pthread_attr_init(&attr) != 0) {
        return false;
    }
    (void)pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
    started = pthread_create(&node->workers.threads[node->workers.n], &attr,
                  worker_main, node)
              == 0;
    (void)pthread_attr_destroy(&attr);
    if (started) {
        node->workers.n++;
    }
    return started;
}

pn_err pn_dispatch_job(pn_node *node, pn_job *job)
{
    assert_locked(node);
    /* A thread is started when there are more jobs than idle threads; a thread
     * that was woken for an earlier job counts as idle until it runs. */
    if (node->workers.jobs.n >= node->workers.n_idle
        && node->workers.n < node->opt.max_workers && !worker_start(node)
        && node->workers.n == 0) {
        return PN_SYS;
    }
    pn_list_append(&node->workers.jobs, &job->item);
    (void)pthread_cond_signal(&node->workers.job_ready);
    return PN_OK;
}

void pn_dispatch_stop(pn_node *node)
{
    assert_unlocked(node);
    pn_node_lock(node);
    node->workers.is_stopping = true;
    (void)pthread_cond_broadcast(&node->workers.job_ready);
    pn_node_unlock(node);
    for (uint32_t i = 0; i < node->workers.n; i++) {
        (void)pthread_join(node->workers.threads[i], NULL);
    }
    free(node->workers.threads);
    node->workers.threads = NULL;
    node->workers.n = 0;
}

/* ---- handler deadlines ------------------------------------------------- */

/* The list is sorted; deadlines are nearly always later than all others, so
 * the search starts at the late end. */
static void request_time(pn_request *req, uint64_t deadline_us)
{
    pn_list *timed = &req->node->requests.timed;
    pn_item *before = timed->last;

    while (before != NULL
           && PN_LIST_HOLDER(before, pn_request, timed)->deadline_us
                  > deadline_us) {
        before = before->prev;
    }
    req->deadline_us = deadline_us;
    pn_list_insert(timed, before, &req->timed);
    if (before == NULL) {
        pn_node_wake(req->node); /* the node's timer has to look again */
    }
}

static pn_request *soonest(const pn_node *node)
{
    return PN_LIST_FIRST(&node->requests.timed, pn_request, timed);
}

uint64_t pn_dispatch_deadline(const pn_node *node)
{
    const pn_request *req = soonest(node);

    return req == NULL ? PN_TIME_NEVER : req->deadline_us;
}

void pn_dispatch_expire(pn_node *node, uint64_t now_us)
{
    pn_request *req;

    assert_on_loop(node);
    assert_locked(node);
    while ((req = soonest(node)) != NULL && req->deadline_us <= now_us) {
        pn_list_remove(&req->timed);
        node->metrics.handler_timeouts++;
        if (req->is_deferred) {
            pn_defer_cancel(req, PN_REASON_HANDLER_TIMEOUT);
        } else if (!req->is_answered) {
            pn_request_refuse(req, PN_REASON_HANDLER_TIMEOUT, NULL);
        }
    }
}

/* ---- running ----------------------------------------------------------- */

/* The handler has returned: a call that it did not answer is answered. */
static void request_finish(pn_request *req)
{
    pn_link *link = req->link;

    assert(link->n_running > 0);
    link->n_running--;
    pn_list_remove(&req->timed);
    if (!req->is_answered && req->deferred_copy == NULL && req->is_call) {
        pn_request_refuse(req, PN_REASON_NO_REPLY, NULL);
    }
    if (req->holds_turn) {
        link->is_turn_taken = false;
    }
}

static void handler_run(pn_request *req)
{
    pn_node *node = req->node;

    pn_node_unlock(node);
    req->handle->handler(req, req->args, req->handle->user);
    pn_node_lock(node);
}

/* Much may have changed while the request waited, so the one decision is asked
 * again. */
static void request_run(pn_request *req)
{
    pn_reason reason = pn_request_decide(req);

    assert_locked(req->node);
    if (reason == PN_REASON_NONE) {
        handler_run(req);
    } else if (req->link->stage != PN_LINK_UP || req->node->closing.is_asked) {
        req->is_answered = true;
    } else if (!req->is_answered) {
        pn_request_refuse(req, reason, NULL);
    }
    request_finish(req);
    pn_request_free(req);
}

static void on_job(pn_node *node, pn_job *job)
{
    pn_request *req = (pn_request *)(void *)job;
    pn_link *link = req->link;

    (void)node;
    link->refs++;
    request_run(req);
    pn_dispatch_pump(link);
    pn_link_unref(link);
}

static uint64_t handler_deadline(const pn_request *req)
{
    uint32_t timeout_ms = req->handle->options.timeout_ms;

    if (timeout_ms == 0) {
        timeout_ms = req->node->opt.handler_timeout_ms;
    }
    return pn_node_now(req->node) + (uint64_t)timeout_ms * PN_US_PER_MS;
}

/* Takes its place among the running. */
static void request_begin(pn_request *req)
{
    pn_link *link = req->link;

    link->n_running++;
    if ((req->handle->options.flags & PN_EXPOSE_CONCURRENT) == 0) {
        req->holds_turn = true;
        link->is_turn_taken = true;
    }
    if (!req->is_inline) {
        request_time(req, handler_deadline(req));
    }
}

void pn_dispatch_defer_deadline(pn_request *req, pn_request *kept)
{
    uint64_t deadline_us = req->timed.list != NULL ? req->deadline_us
                                                   : handler_deadline(req);

    pn_list_remove(&req->timed);
    request_time(kept, deadline_us);
}

static bool may_start(const pn_link *link, const pn_handle *handle)
{
    bool is_concurrent = (handle->options.flags & PN_EXPOSE_CONCURRENT) != 0;

    if (!is_concurrent && link->is_turn_taken) {
        return false;
    }
    return !PN_REFUSE_IF(running_per_peer,
        link->n_running >= link->node->opt.max_running_per_peer);
}

/* Of a queue that is not empty. */
static pn_request *queue_head(const pn_link *link)
{
    return PN_LIST_HOLDER(link->queue.first, pn_request, item);
}

static pn_request *queue_take(pn_link *link)
{
    pn_request *req = PN_LIST_TAKE(&link->queue, pn_request, item);

    assert(req != NULL && link->queued_bytes > 0);
    req->running_bytes = sizeof(*req) + req->args.len;
    link->queued_bytes -= req->running_bytes;
    link->running_bytes += req->running_bytes;
    return req;
}

/* Starts the head of the queue; false: it has to wait for the loop. */
static bool queue_start_head(pn_link *link)
{
    pn_node *node = link->node;
    pn_request *req;

    if (queue_head(link)->is_inline
        && (!pn_node_is_loop_thread(node) || !node->turn.is_running)) {
        link->wants_pump = true;
        pn_link_touch(link);
        return false;
    }
    req = queue_take(link);
    request_begin(req);
    if (req->is_inline) {
        request_run(req);
    } else if (pn_dispatch_job(node, &req->job) != PN_OK) {
        pn_request_refuse(req, PN_REASON_QUEUE_FULL, NULL);
        request_finish(req);
        pn_request_free(req);
    }
    return true;
}

void pn_dispatch_pump(pn_link *link)
{
    assert_locked(link->node);
    /* A handler that runs below releases the lock, and another thread may call
     * this function meanwhile; the loop below sees the requests that it
     * queued. */
    if (link->is_pumping) {
        return;
    }
    link->is_pumping = true;
    link->refs++;
    while (link->queue.n > 0 && link->stage == PN_LINK_UP
           && !link->node->closing.is_asked
           && may_start(link, queue_head(link)->handle)
           && queue_start_head(link)) {}
    link->is_pumping = false;
    if (link->is_blocked) {
        pn_link_touch(link);
    }
    pn_link_unref(link);
}

void pn_dispatch_link_ended(pn_link *link)
{
    assert_locked(link->node);
    while (link->queue.n > 0) {
        pn_request_free(queue_take(link));
    }
    pn_defer_cancel_link(link);
}

/* ---- arriving ---------------------------------------------------------- */

/* An inline handler with nothing before it needs no copy and no queue. */
static void run_at_once(pn_request *req)
{
    pn_link *link = req->link;

    link->refs++;
    request_begin(req);
    handler_run(req);
    request_finish(req);
    if (link->queue.n > 0) {
        pn_dispatch_pump(link); /* one that had to wait for this one */
    }
    pn_link_unref(link);
}

/* A message that is larger than the whole queue is queued alone, because every
 * message of a permitted size must be able to arrive. */
static bool is_over_bytes(const pn_link *link, size_t bytes)
{
    return link->queue.n > 0
           && link->queued_bytes + bytes
                  > link->node->opt.max_queue_bytes_per_link;
}

static pn_reason enqueue(const pn_request *arrived)
{
    pn_link *link = arrived->link;
    const pn_node_options *opt = &link->node->opt;
    size_t bytes = sizeof(pn_request) + arrived->args.len;
    pn_request *req;

    if (PN_REFUSE_IF(queue_length, link->queue.n >= opt->max_queue_per_link)
        || PN_REFUSE_IF(queue_bytes, is_over_bytes(link, bytes))) {
        return PN_REASON_QUEUE_FULL;
    }
    req = malloc(bytes);
    if (req == NULL) {
        return PN_REASON_OUT_OF_MEMORY;
    }
    *req = *arrived;
    memcpy(req->payload, arrived->args.data, arrived->args.len);
    req->args.data = req->payload;
    link->refs++;
    (void)pn_handle_ref(req->handle);
    pn_list_append(&link->queue, &req->item);
    link->queued_bytes += bytes;
    return PN_REASON_NONE;
}

/* The link's bucket for a handle; NULL: no memory. The bucket of a revoked
 * handle is used again. */
static pn_link_rate *rate_of(pn_link *link, pn_handle *handle)
{
    pn_link_rate *rate = NULL;
    pn_link_rate *rates;

    for (size_t i = 0; i < link->n_rates; i++) {
        if (link->rates[i].handle == handle) {
            return &link->rates[i];
        }
        if (link->rates[i].handle->is_revoked) {
            rate = &link->rates[i];
        }
    }
    if (rate != NULL) {
        pn_handle_unref(rate->handle);
    } else {
        rates = realloc(link->rates, (link->n_rates + 1) * sizeof(*rates));
        if (rates == NULL) {
            return NULL;
        }
        link->rates = rates;
        rate = &rates[link->n_rates++];
    }
    *rate = (pn_link_rate){.handle = pn_handle_ref(handle)};
    return rate;
}

/* An optional rate per grant (T12): one bucket for each link and handle. */
static bool is_over_rate(pn_link *link, pn_handle *handle)
{
    uint32_t per_s = handle->options.calls_per_second;
    pn_link_rate *rate;

    if (per_s == 0) {
        return false;
    }
    rate = rate_of(link, handle);
    return rate == NULL
           || !pn_bucket_take(
               &rate->bucket, pn_node_now(link->node), per_s, per_s);
}

static pn_reason decide_grant(const pn_request *req)
{
    return pn_link_decide(req->link, req->handle);
}

static bool is_authorized(const pn_request *req)
{
    pn_node *node = req->link->node;
    pn_handle *handle = req->handle;
    bool yes;

    pn_node_unlock(node);
    yes = handle->options.authorize(
        handle->user, &req->link->principal, handle->name, req->args);
    pn_node_lock(node);
    return yes;
}

/* The one decision, then the conditions that come after it. */
static pn_reason decide(const pn_request *req)
{
    pn_reason reason = decide_grant(req);

    if (reason == PN_REASON_NONE && req->handle->options.authorize != NULL) {
        if (PN_REFUSE_IF(authorize, !is_authorized(req))) {
            return PN_REASON_FORBIDDEN;
        }
        /* The grant may have been revoked while the application decided. */
        if (PN_SAFEGUARD(ungrant_at_authorize)) {
            reason = decide_grant(req);
        }
    }
    if (reason != PN_REASON_NONE) {
        return reason;
    }
    return PN_REFUSE_IF(handle_rate, is_over_rate(req->link, req->handle))
               ? PN_REASON_RATE_LIMITED
               : PN_REASON_NONE;
}

static void refuse(const pn_request *req, pn_subject subject, pn_reason reason)
{
    pn_link *link = req->link;
    pn_metrics *m = &link->node->metrics;

    if (reason == PN_REASON_QUEUE_FULL) {
        m->queue_refused++;
        m->queue_drops += req->is_call ? 0 : 1;
    }
    pn_link_refuse(link, req->is_call ? &req->id : NULL, subject, reason, NULL);
}

/* Runs it, or queues it. */
static pn_reason start(pn_request *req)
{
    pn_link *link = req->link;
    pn_reason reason;

    if (req->handle->is_revoked) {
        return PN_REASON_NO_SUCH_HANDLE;
    }
    if (req->is_inline && link->queue.n == 0 && may_start(link, req->handle)) {
        run_at_once(req);
        return PN_REASON_NONE;
    }
    reason = enqueue(req);
    if (reason == PN_REASON_NONE) {
        pn_dispatch_pump(link);
    }
    return reason;
}

void pn_dispatch_message(
    pn_link *link, bool is_call, uint64_t id, pn_slice handle, pn_term args)
{
    pn_metrics *metrics = &link->node->metrics;
    pn_request req = {.job.run = on_job,
        .node = link->node,
        .link = link,
        .id = id,
        .is_call = is_call,
        .args = args};
    char room[PN_FUNCTION_NAME_CAP];
    pn_reason reason;

    assert_on_loop(link->node);
    assert_locked(link->node);
    /* The session of an ended link delivers nothing. decide still checks the
     * trust for every message (T25). */
    if (link->stage != PN_LINK_UP || link->node->closing.is_asked) {
        return;
    }
    metrics->calls_in += is_call ? 1 : 0;
    metrics->sends_in += is_call ? 0 : 1;
    req.handle = pn_handles_find(&link->node->handles, handle);
    if (req.handle == NULL) {
        refuse(&req, (pn_subject){.name = handle}, PN_REASON_NO_SUCH_HANDLE);
        return;
    }
    req.is_inline = (req.handle->options.flags & PN_EXPOSE_INLINE) != 0;
    /* The application is asked without the lock: it may revoke the handle, or
     * unpair the peer. */
    (void)pn_handle_ref(req.handle);
    reason = decide(&req);
    if (link->stage == PN_LINK_UP) {
        if (reason == PN_REASON_NONE) {
            reason = start(&req);
        }
        if (reason != PN_REASON_NONE) {
            refuse(&req, pn_handle_subject(req.handle, args, room), reason);
        }
    }
    pn_handle_unref(req.handle);
}

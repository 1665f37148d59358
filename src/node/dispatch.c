/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an inbound message to a running handler: the decision, the link's
 * queue, the workers. Messages of one link start in the order they came and
 * run one at a time; a handler that defers gives up its turn, and a concurrent
 * handle does not hold it (DESIGN, decision 4).
 */
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "node/node_internal.h"

/* Handlers run on these; more stack than a handler should need. */
enum { WORKER_STACK_BYTES = 256 * 1024 };

/* ---- workers ----------------------------------------------------------- */

static pn_job *job_take(pn_node *node)
{
    pn_job *job = node->jobs_head;

    node->n_jobs--;
    node->jobs_head = job->next;
    if (node->jobs_head == NULL) {
        node->jobs_tail = NULL;
    }
    return job;
}

static void *worker_main(void *arg)
{
    pn_node *node = arg;

    pn_node_lock(node);
    for (;;) {
        while (node->jobs_head == NULL && !node->stop_workers) {
            node->n_idle_workers++;
            (void)pthread_cond_wait(&node->job_ready, &node->lock);
            node->n_idle_workers--;
        }
        if (node->jobs_head == NULL) {
            break;
        }
        pn_job *job = job_take(node);
        job->run(node, job);
    }
    pn_node_unlock(node);
    return NULL;
}

static bool worker_start(pn_node *node)
{
    pthread_attr_t attr;
    bool started;

    if (node->workers == NULL) {
        node->workers = calloc(node->opt.max_workers, sizeof(pthread_t));
        if (node->workers == NULL) {
            return false;
        }
    }
    if (pthread_attr_init(&attr) != 0) {
        return false;
    }
    (void)pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
    started = pthread_create(
                  &node->workers[node->n_workers], &attr, worker_main, node)
              == 0;
    (void)pthread_attr_destroy(&attr);
    if (started) {
        node->n_workers++;
    }
    return started;
}

pn_err pn_dispatch_job(pn_node *node, pn_job *job)
{
    /* Threads come when there is more to do than idle ones: one that was
     * woken for an earlier job counts as idle until it runs. */
    if (node->n_jobs >= node->n_idle_workers
        && node->n_workers < node->opt.max_workers && !worker_start(node)
        && node->n_workers == 0) {
        return PN_SYS;
    }
    job->next = NULL;
    if (node->jobs_tail == NULL) {
        node->jobs_head = job;
    } else {
        node->jobs_tail->next = job;
    }
    node->jobs_tail = job;
    node->n_jobs++;
    (void)pthread_cond_signal(&node->job_ready);
    return PN_OK;
}

void pn_dispatch_stop(pn_node *node)
{
    pn_node_lock(node);
    node->stop_workers = true;
    (void)pthread_cond_broadcast(&node->job_ready);
    pn_node_unlock(node);
    for (uint32_t i = 0; i < node->n_workers; i++) {
        (void)pthread_join(node->workers[i], NULL);
    }
    free(node->workers);
    node->workers = NULL;
    node->n_workers = 0;
}

/* ---- handler deadlines ------------------------------------------------- */

/* The list is sorted; deadlines are nearly always later than all others, so
 * the search starts at the late end. */
static void request_time(pn_request *req, uint64_t deadline_us)
{
    pn_node *node = req->node;
    pn_request *before = node->latest;

    while (before != NULL && before->deadline_us > deadline_us) {
        before = before->sooner;
    }
    req->deadline_us = deadline_us;
    req->is_timed = true;
    req->sooner = before;
    req->later = before == NULL ? node->soonest : before->later;
    if (req->later != NULL) {
        req->later->sooner = req;
    } else {
        node->latest = req;
    }
    if (before != NULL) {
        before->later = req;
    } else {
        node->soonest = req;
        pn_node_wake(node); /* the node's timer has to look again */
    }
}

void pn_dispatch_untime(pn_request *req)
{
    pn_node *node = req->node;

    if (!req->is_timed) {
        return;
    }
    req->is_timed = false;
    if (req->sooner != NULL) {
        req->sooner->later = req->later;
    } else {
        node->soonest = req->later;
    }
    if (req->later != NULL) {
        req->later->sooner = req->sooner;
    } else {
        node->latest = req->sooner;
    }
}

uint64_t pn_dispatch_deadline(const pn_node *node)
{
    return node->soonest == NULL ? PN_TIME_NEVER : node->soonest->deadline_us;
}

void pn_dispatch_expire(pn_node *node, uint64_t now_us)
{
    while (node->soonest != NULL && node->soonest->deadline_us <= now_us) {
        pn_request *req = node->soonest;

        pn_dispatch_untime(req);
        node->metrics.handler_timeouts++;
        if (!req->is_answered) {
            pn_request_refuse(req, PN_REASON_HANDLER_TIMEOUT, NULL);
        }
    }
}

/* ---- running ----------------------------------------------------------- */

/* After the handler has returned: what it left open is closed. */
static void request_finish(pn_request *req)
{
    pn_link *link = req->link;

    link->n_running--;
    pn_dispatch_untime(req);
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

/* From the queue or a worker: much may have changed since it came. */
static void request_run(pn_request *req)
{
    if (PN_CHECK(trust_at_start, req->link->stage != PN_LINK_UP)) {
        req->is_answered = true;
    } else if (PN_CHECK(revoke_waiting, req->handle->is_revoked)) {
        pn_request_refuse(req, PN_REASON_NO_SUCH_HANDLE, NULL);
    } else {
        handler_run(req);
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
    uint64_t deadline_us = req->is_timed ? req->deadline_us
                                         : handler_deadline(req);

    pn_dispatch_untime(req);
    request_time(kept, deadline_us);
}

static bool may_start(const pn_link *link, const pn_handle *handle)
{
    bool is_concurrent = (handle->options.flags & PN_EXPOSE_CONCURRENT) != 0;

    if (!is_concurrent && link->is_turn_taken) {
        return false;
    }
    return !PN_CHECK(running_per_peer,
        link->n_running >= link->node->opt.max_running_per_peer);
}

static pn_request *queue_take(pn_link *link)
{
    pn_request *req = link->queue_head;

    link->queue_head = req->next;
    if (link->queue_head == NULL) {
        link->queue_tail = NULL;
    }
    link->n_queued--;
    link->queued_bytes -= sizeof(*req) + req->args.len;
    return req;
}

/* Starts the head of the queue; false: it has to wait for the loop. */
static bool queue_start_head(pn_link *link)
{
    pn_node *node = link->node;
    pn_request *req;

    if (link->queue_head->is_inline
        && (!pn_node_is_loop_thread(node) || !node->is_in_turn)) {
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
    /* A handler that runs inside lets go of the lock: whoever comes then finds
     * this loop going on. */
    if (link->is_pumping) {
        return;
    }
    link->is_pumping = true;
    link->refs++;
    while (link->queue_head != NULL && link->stage == PN_LINK_UP
           && may_start(link, link->queue_head->handle)
           && queue_start_head(link)) {}
    link->is_pumping = false;
    if (link->is_blocked) {
        pn_link_touch(link);
    }
    pn_link_unref(link);
}

void pn_dispatch_drop_queue(pn_link *link)
{
    while (link->queue_head != NULL) {
        pn_request_free(queue_take(link));
    }
}

/* ---- arriving ---------------------------------------------------------- */

typedef struct arrival {
    pn_link *link;
    bool is_call;
    uint64_t id;
    pn_handle *handle;
    pn_term args;
} arrival;

static void request_fill(pn_request *req, const arrival *a)
{
    req->node = a->link->node;
    req->link = a->link;
    req->link->refs++;
    req->handle = pn_handle_ref(a->handle);
    req->id = a->id;
    req->is_call = a->is_call;
    req->is_inline = (a->handle->options.flags & PN_EXPOSE_INLINE) != 0;
    req->args = a->args;
    req->job.run = on_job;
}

/* Inline and nothing before it: no copy, no queue. */
static void run_at_once(const arrival *a)
{
    pn_request req = {0};

    request_fill(&req, a);
    request_begin(&req);
    handler_run(&req);
    request_finish(&req);
    pn_handle_unref(req.handle);
    if (a->link->queue_head != NULL) {
        pn_dispatch_pump(a->link); /* one that had to wait for this one */
    }
    pn_link_unref(req.link);
}

/* One that is larger than all of the queue waits alone: what may be sent has to
 * have a way in. */
static bool is_over_bytes(const pn_link *link, size_t bytes)
{
    return link->n_queued > 0
           && link->queued_bytes + bytes
                  > link->node->opt.max_queue_bytes_per_link;
}

static pn_reason enqueue(const arrival *a)
{
    pn_link *link = a->link;
    const pn_node_options *opt = &link->node->opt;
    size_t bytes = sizeof(pn_request) + a->args.len;
    pn_request *req;

    if (PN_CHECK(queue_length, link->n_queued >= opt->max_queue_per_link)
        || PN_CHECK(queue_bytes, is_over_bytes(link, bytes))) {
        return PN_REASON_QUEUE_FULL;
    }
    req = malloc(sizeof(*req) + a->args.len);
    if (req == NULL) {
        return PN_REASON_OUT_OF_MEMORY;
    }
    *req = (pn_request){0};
    request_fill(req, a);
    memcpy(req->payload, a->args.data, a->args.len);
    req->args.data = req->payload;
    if (link->queue_tail == NULL) {
        link->queue_head = req;
    } else {
        link->queue_tail->next = req;
    }
    link->queue_tail = req;
    link->n_queued++;
    link->queued_bytes += bytes;
    return PN_REASON_NONE;
}

/* The link's bucket for a handle; NULL: no memory. Handles that are revoked
 * leave theirs to others. */
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

static bool is_authorized(const arrival *a)
{
    pn_node *node = a->link->node;
    pn_handle *handle = a->handle;
    bool yes;

    if (handle->options.authorize == NULL) {
        return true;
    }
    pn_node_unlock(node);
    yes = handle->options.authorize(
        handle->user, &a->link->principal, handle->name, a->args);
    pn_node_lock(node);
    return yes;
}

/* The one decision, then the conditions that come after it. */
static pn_reason decide(const arrival *a)
{
    pn_link *link = a->link;
    pn_reason reason = pn_decide(
        &a->handle->grants, &link->principal, link->peer != NULL);

    if (reason != PN_REASON_NONE) {
        return reason;
    }
    if (PN_CHECK(authorize, !is_authorized(a))) {
        return PN_REASON_FORBIDDEN;
    }
    if (PN_CHECK(handle_rate, is_over_rate(link, a->handle))) {
        return PN_REASON_RATE_LIMITED;
    }
    return PN_REASON_NONE;
}

static void refuse(const arrival *a, pn_slice name, pn_reason reason)
{
    pn_link *link = a->link;
    pn_metrics *m = &link->node->metrics;

    if (reason == PN_REASON_QUEUE_FULL && a->is_call) {
        m->queue_refused++;
    } else if (reason == PN_REASON_QUEUE_FULL) {
        m->queue_drops++;
    }
    pn_node_denied(
        link->node, &link->key, link->label, &link->remote, name, reason);
    if (a->is_call) {
        pn_link_answer_error(link, a->id, reason, NULL);
    }
}

/* Runs it, or queues it. */
static pn_reason start(const arrival *a)
{
    pn_link *link = a->link;
    bool is_inline = (a->handle->options.flags & PN_EXPOSE_INLINE) != 0;
    pn_reason reason;

    if (a->handle->is_revoked) {
        return PN_REASON_NO_SUCH_HANDLE;
    }
    if (is_inline && link->queue_head == NULL && may_start(link, a->handle)) {
        run_at_once(a);
        return PN_REASON_NONE;
    }
    reason = enqueue(a);
    if (reason == PN_REASON_NONE) {
        pn_dispatch_pump(link);
    }
    return reason;
}

void pn_dispatch_message(
    pn_link *link, bool is_call, uint64_t id, pn_slice handle, pn_term args)
{
    pn_metrics *metrics = &link->node->metrics;
    arrival a = {.link = link, .is_call = is_call, .id = id, .args = args};
    pn_reason reason;

    /* The session of a link that ended delivers nothing; decide looks at the
     * trust for every message all the same (T25). */
    if (link->stage != PN_LINK_UP) {
        return;
    }
    metrics->calls_in += is_call ? 1 : 0;
    metrics->sends_in += is_call ? 0 : 1;
    a.handle = pn_handles_find(&link->node->handles, handle);
    if (a.handle == NULL) {
        refuse(&a, handle, PN_REASON_NO_SUCH_HANDLE);
        return;
    }
    /* The application is asked without the lock: it may revoke the handle, or
     * unpair the peer. */
    (void)pn_handle_ref(a.handle);
    reason = decide(&a);
    if (link->stage == PN_LINK_UP) {
        if (reason == PN_REASON_NONE) {
            reason = start(&a);
        }
        if (reason != PN_REASON_NONE) {
            refuse(&a, handle, reason);
        }
    }
    pn_handle_unref(a.handle);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The workers, and the dispatch of messages from a link to handlers. */
#ifndef PN_LINK_DISPATCH_H
#define PN_LINK_DISPATCH_H

#include <pthread.h>

#include <peernet/node.h>

#include "base/core.h"
#include "base/list.h"

typedef struct pn_link pn_link;

/* Work for a worker thread. */
typedef struct pn_job {
    pn_item item; /* in the list of jobs; the first member */
    void (*run)(pn_node *node, struct pn_job *job); /* lock held */
} pn_job;

typedef struct pn_node_workers {
    pn_list jobs;
    pthread_cond_t job_ready;
    pthread_t *threads;
    uint32_t n;
    uint32_t n_idle;
    bool is_stopping;
} pn_node_workers;

PN_CORE void pn_dispatch_message(
    pn_link *link, bool is_call, uint64_t id, pn_slice handle, pn_term args);
/* Starts what may start; inline requests only on the loop. */
void pn_dispatch_pump(pn_link *link);
/* Drops the messages that wait and cancels the deferred ones. */
void pn_dispatch_link_ended(pn_link *link);
void pn_dispatch_expire(pn_node *node, uint64_t now_us);
uint64_t pn_dispatch_deadline(const pn_node *node);
/* kept takes over what is left of req's time. */
void pn_dispatch_defer_deadline(pn_request *req, pn_request *kept);
void pn_dispatch_stop(pn_node *node);
PN_MUST_USE pn_err pn_dispatch_job(pn_node *node, pn_job *job);

#endif

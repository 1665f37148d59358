/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations that links of every family share: the gate, the node's list of
 * links, references, the touched list, the timer, the budget, the end. A link
 * is freed when it has ended, its connection is closed, and no request refers
 * to it any more.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "link/node_core.h"

/* Rounds of one turn end: links that touch each other settle in a few; more
 * wait for the next turn, so that one peer cannot hold the loop. */
enum { MAX_ROUNDS = 8 };

/* A label from before a renaming. Only the owner of this node renames. */
typedef struct pn_old_label {
    struct pn_old_label *next;
    char *text;
} pn_old_label;

/* ---- life --------------------------------------------------------------- */

pn_link *pn_link_new(pn_node *node, const pn_link_ops *ops, size_t size)
{
    pn_link *link = calloc(1, size);

    assert_locked(node);
    if (link == NULL) {
        return NULL;
    }
    link->ops = ops;
    link->node = node;
    link->refs = 1;
    link->armed_us = PN_TIME_NEVER;
    link->opened_us = pn_node_now(node);
    pn_list_insert(&node->links.all, NULL, &link->listed);
    return link;
}

static void free_labels(pn_link *link)
{
    while (link->old_labels != NULL) {
        pn_old_label *old = link->old_labels;

        link->old_labels = old->next;
        free(old->text);
        free(old);
    }
    free(link->label);
}

void pn_link_relabel(pn_link *link, const char *label)
{
    char *copy = link->label == NULL ? NULL : strdup(label);
    pn_old_label *old = copy == NULL ? NULL : calloc(1, sizeof(*old));

    assert_locked(link->node);
    if (old == NULL) {
        free(copy);
        return;
    }
    old->text = link->label;
    old->next = link->old_labels;
    link->old_labels = old;
    link->label = copy;
}

void pn_link_unref(pn_link *link)
{
    assert_locked(link->node);
    assert(link->refs > 0);
    if (--link->refs > 0) {
        return;
    }
    for (size_t i = 0; i < link->n_rates; i++) {
        pn_handle_unref(link->rates[i].handle);
    }
    if (link->ops->free != NULL) {
        link->ops->free(link);
    }
    free_labels(link);
    free(link->rates);
    free(link);
}

void pn_link_touch(pn_link *link)
{
    pn_node *node = link->node;

    assert_locked(node);
    /* A touched link is listed, and so is not freed. */
    if (link->touched.list != NULL || link->listed.list == NULL) {
        return;
    }
    pn_list_append(&node->links.touched, &link->touched);
    pn_node_wake(node);
}

void pn_link_end(pn_link *link, pn_reason reason)
{
    pn_link_stage was = link->stage;
    pn_node *node = link->node;

    assert_locked(link->node);
    assert(reason < PN_N_REASONS);
    if (was == PN_LINK_ENDED) {
        return;
    }
    link->stage = PN_LINK_ENDED;
    link->reason = reason;
    node->metrics.link_ends[reason]++;
    pn_link_leave_gate(link);
    pn_dispatch_link_ended(link);
    link->ops->end(link, was);
    (void)pthread_cond_broadcast(&node->state_changed);
    pn_link_touch(link);
}

/* ---- incoming connections ------------------------------------------------ */

bool pn_link_admit(
    pn_node *node, pn_gate *gate, const pn_address *from, bool is_known)
{
    assert_locked(node);
    return !node->closing.is_asked
           && pn_gate_enter(
               gate, pn_address_source(from), is_known, pn_node_now(node));
}

/* ---- the turn's end (loop, lock held) ------------------------------------ */

/* Keeps the memory of all links under the process's budget: over it, the link
 * with most memory is ended (T11). */
static void link_account(pn_link *link)
{
    pn_node *node = link->node;
    size_t now = link->queued_bytes + link->running_bytes + link->held_bytes
                 + link->ops->held(link);
    pn_link *largest = link;

    node->links.memory_bytes += now;
    node->links.memory_bytes -= link->accounted;
    link->accounted = now;
    if (node->links.memory_bytes <= node->opt.max_memory_bytes) {
        return;
    }
    PN_LIST_EACH(pn_link, l, &node->links.all, listed) {
        if (l->stage != PN_LINK_ENDED && l->accounted > largest->accounted) {
            largest = l;
        }
    }
    if (PN_REFUSE_IF(memory_budget, largest->stage != PN_LINK_ENDED)) {
        pn_link_end(largest, PN_REASON_FLOOD);
    }
}

/* Its time-outs run at the turn end, which knows by then whether this host has
 * slept. */
static void on_timer(void *user)
{
    pn_link *link = user;

    assert_on_loop(link->node);
    pn_node_lock(link->node);
    link->armed_us = PN_TIME_NEVER;
    link->is_due = true;
    pn_link_touch(link);
    pn_node_unlock(link->node);
}

/* The timer is not moved to a later time: one that fires too early costs less
 * than setting it for every call. */
static void link_arm(pn_link *link)
{
    uint64_t deadline = pn_sooner(
        link->ops->deadline(link), pn_call_deadline(link));

    if (deadline >= link->armed_us) {
        return;
    }
    if (link->timer == NULL
        && pn_timer_new(link->node->turn.loop, on_timer, link, &link->timer)
               != PN_OK) {
        pn_link_end(link, PN_REASON_OUT_OF_MEMORY);
        return;
    }
    link->armed_us = deadline;
    pn_timer_set(link->timer, deadline);
}

/* Takes an ended link out of the list and gives its reference back. */
static void link_unlist(pn_link *link)
{
    pn_node *node = link->node;

    assert(link->listed.list != NULL && link->touched.list == NULL);
    node->links.memory_bytes -= link->accounted;
    link->accounted = 0;
    pn_list_remove(&link->listed);
    (void)pthread_cond_broadcast(&node->state_changed);
    pn_link_unref(link);
}

static void link_bury(pn_link *link)
{
    pn_timer_free(link->timer);
    link->timer = NULL;
    link->ops->close(link);
    link_unlist(link);
}

static void link_turn_end(pn_link *link)
{
    assert_on_loop(link->node);
    assert_locked(link->node);
    if (link->is_due) {
        link->is_due = false;
        pn_call_expire(link, pn_node_now(link->node));
        link->ops->tick(link, pn_node_now(link->node));
    }
    if (link->wants_pump) {
        link->wants_pump = false;
        pn_dispatch_pump(link);
    }
    if (link->stage == PN_LINK_WANTS_DIAL) {
        link->ops->start(link);
    }
    if (link->stage != PN_LINK_ENDED) {
        link->ops->output(link);
    }
    if (link->stage != PN_LINK_ENDED) {
        link_arm(link);
        link_account(link);
    }
    /* One that ended just now is touched again, and its turn comes. */
    if (link->stage == PN_LINK_ENDED && link->listed.list != NULL
        && link->touched.list == NULL) {
        link_bury(link);
    }
}

void pn_link_turn_end(pn_node *node)
{
    pn_list *touched = &node->links.touched;
    pn_link *link;

    assert_on_loop(node);
    assert_locked(node);
    for (int round = 0; round < MAX_ROUNDS; round++) {
        for (uint32_t n = touched->n;
             n > 0 && (link = PN_LIST_TAKE(touched, pn_link, touched)) != NULL;
             n--) {
            link_turn_end(link);
        }
    }
}

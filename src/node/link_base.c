/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What links of every family share: the node's list of them, references, the
 * touched list, the budget. A link is freed when it has ended, its connection
 * is closed, and no request refers to it any more.
 */
#include <stdlib.h>

#include "base/mutant.h"
#include "node/node_internal.h"

pn_link *pn_link_new(pn_node *node, const pn_link_ops *ops, size_t size)
{
    pn_link *link = calloc(1, size);

    if (link == NULL) {
        return NULL;
    }
    link->ops = ops;
    link->node = node;
    link->refs = 1;
    link->armed_us = PN_TIME_NEVER;
    link->opened_us = pn_node_now(node);
    link->next = node->links;
    if (node->links != NULL) {
        node->links->prev = link;
    }
    node->links = link;
    link->is_listed = true;
    node->n_links++;
    return link;
}

void pn_link_unref(pn_link *link)
{
    if (--link->refs > 0) {
        return;
    }
    for (size_t i = 0; i < link->n_rates; i++) {
        pn_handle_unref(link->rates[i].handle);
    }
    if (link->ops->free != NULL) {
        link->ops->free(link);
    }
    free(link->label);
    free(link->rates);
    free(link);
}

void pn_link_touch(pn_link *link)
{
    pn_node *node = link->node;

    /* What is touched is listed, and so is not freed. */
    if (link->is_touched || !link->is_listed) {
        return;
    }
    link->is_touched = true;
    link->next_touched = node->touched;
    node->touched = link;
    pn_node_wake(node);
}

void pn_link_end(pn_link *link, pn_reason reason)
{
    link->ops->end(link, reason);
}

void pn_link_account(pn_link *link, size_t output)
{
    pn_node *node = link->node;
    size_t now = link->queued_bytes + output;
    pn_link *largest = link;

    node->memory_bytes += now;
    node->memory_bytes -= link->accounted;
    link->accounted = now;
    if (node->memory_bytes <= node->opt.max_memory_bytes) {
        return;
    }
    for (pn_link *l = node->links; l != NULL; l = l->next) {
        if (l->stage != PN_LINK_ENDED && l->accounted > largest->accounted) {
            largest = l;
        }
    }
    if (PN_CHECK(memory_budget, largest->stage != PN_LINK_ENDED)) {
        pn_link_end(largest, PN_REASON_FLOOD);
    }
}

void pn_link_unlist(pn_link *link)
{
    pn_node *node = link->node;

    node->memory_bytes -= link->accounted;
    link->accounted = 0;
    if (link->next != NULL) {
        link->next->prev = link->prev;
    }
    if (link->prev != NULL) {
        link->prev->next = link->next;
    } else {
        node->links = link->next;
    }
    link->is_listed = false;
    node->n_links--;
    (void)pthread_cond_broadcast(&node->state_changed);
    pn_link_unref(link);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Monitors of processes and nodes of the cluster. */
#include <stdlib.h>

#include "barrel_internal.h"

static void tell_down(pn_call_op *call, pn_term reason)
{
    pn_barrel_op *op = pn_barrel_op_of(call);

    op->down(call->user, op->id, reason);
    pn_barrel_op_free(op);
}

/* target: a name, a pid, or empty for the node. */
static pn_err monitor_start(pn_barrel *barrel, const char *name, pn_term target,
    pn_barrel_down *down, void *user, uint64_t *ret_monitor)
{
    pn_barrel_op *op = calloc(1, sizeof(*op));
    pn_barrel_link *link;
    pn_err err = PN_NOT_CONNECTED;

    if (op == NULL) {
        return PN_NOMEM;
    }
    pn_barrel_op_init(barrel, op, PN_BARREL_OP_MONITOR);
    op->down = down;
    op->call.tell = tell_down;
    op->call.user = user;
    op->call.wants_value = true;
    pn_node_lock(barrel->node);
    link = pn_barrel_find_up(barrel, name);
    if (link != NULL && target.len > 0) {
        err = pn_barrel_present_pid(link, target, &op->target);
    } else if (link != NULL) {
        err = PN_OK;
    }
    if (err == PN_OK) {
        err = pn_barrel_op_monitor(link, op);
    }
    if (err == PN_OK) {
        *ret_monitor = op->id;
    }
    pn_node_unlock(barrel->node);
    if (err != PN_OK) {
        pn_barrel_op_free(op);
    }
    return err;
}

pn_err pn_barrel_monitor(pn_barrel *barrel, const char *name,
    const char *process, pn_barrel_down *down, void *user,
    uint64_t *ret_monitor)
{
    pn_term_writer w = {0};
    pn_term target = {0};
    pn_err err = down == NULL ? PN_INVALID : PN_OK;

    if (err == PN_OK && process != NULL) {
        err = pn_barrel_atom_term(&w, process, &target);
    }
    if (err == PN_OK) {
        err = monitor_start(barrel, name, target, down, user, ret_monitor);
    }
    pn_term_writer_free(&w);
    return err;
}

pn_err pn_barrel_monitor_pid(pn_barrel *barrel, pn_term pid,
    pn_barrel_down *down, void *user, uint64_t *ret_monitor)
{
    char *name = pn_barrel_node_of_pid(pid);
    pn_err err = PN_INVALID;

    if (name != NULL && down != NULL) {
        err = monitor_start(barrel, name, pid, down, user, ret_monitor);
    }
    free(name);
    return err;
}

static pn_barrel_op *find_monitor(const pn_list *calls, uint64_t monitor)
{
    PN_LIST_EACH(pn_call_op, c, calls, item) {
        if (c->tell == tell_down && pn_barrel_op_of(c)->id == monitor) {
            return pn_barrel_op_of(c);
        }
    }
    return NULL;
}

pn_err pn_barrel_demonitor(pn_barrel *barrel, uint64_t monitor)
{
    pn_node *node = barrel->node;
    pn_link *link = NULL;
    pn_barrel_op *op;

    pn_node_lock(node);
    op = find_monitor(&node->calls.finished, monitor);
    PN_LIST_EACH(pn_link, l, &node->links.all, listed) {
        if (op == NULL && pn_barrel_is_link(l, barrel)) {
            link = l;
            op = find_monitor(
                &((pn_barrel_link *)(void *)l)->monitors, monitor);
        }
    }
    if (op != NULL) {
        pn_list_remove(&op->call.item);
        if (link != NULL) {
            pn_barrel_op_demonitor((pn_barrel_link *)(void *)link, op);
        }
        pn_barrel_op_free(op);
    }
    pn_node_unlock(node);
    return op == NULL ? PN_NOT_FOUND : PN_OK;
}

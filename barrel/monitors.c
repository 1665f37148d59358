/* SPDX-License-Identifier: Apache-2.0 */
/* Processes and nodes of the cluster that we watch. */
#include <stdlib.h>
#include <string.h>

#include "barrel_internal.h"

/* Lock held. */
static pn_err monitor_signal(pn_barrel_link *link, const pn_barrel_op *op)
{
    pn_dist_signal signal = {.op = PN_DIST_MONITOR_P, .to = op->process_pid};
    pn_term_writer name = {0};
    pn_barrel_op_terms t;
    pn_err err;

    if (op->process == NULL && op->process_pid.len == 0) {
        return PN_OK; /* the node: the end of the link tells */
    }
    err = pn_barrel_op_terms_init(link->barrel, op, &t);
    if (err == PN_OK && op->process != NULL) {
        err = pn_barrel_atom_term(&name, op->process, &signal.to);
    }
    if (err == PN_OK) {
        signal.from = t.pid;
        signal.ref = t.ref;
        err = pn_barrel_emit(link, &signal);
    }
    pn_term_writer_free(&name);
    pn_barrel_op_terms_fini(&t);
    return err;
}

/* Takes process and pid over. */
static pn_err monitor_start(pn_barrel *barrel, const char *name, char *process,
    pn_term pid, pn_barrel_down *down, void *user, uint64_t *ret_monitor)
{
    pn_barrel_op *op = calloc(1, sizeof(*op));
    pn_barrel_link *link;
    pn_err err = PN_OK;

    if (op == NULL) {
        free(process);
        free((uint8_t *)(uintptr_t)pid.data);
        return PN_NOMEM;
    }
    pn_barrel_op_init(barrel, op, PN_BARREL_OP_MONITOR);
    pn_node_lock(barrel->node);
    op->process = process;
    op->process_pid = pid;
    op->down = down;
    op->user = user;
    link = pn_barrel_find_up(barrel, name);
    if (link == NULL) {
        err = PN_NOT_CONNECTED;
    } else if (link->n_ops >= barrel->opt.max_calls) {
        err = PN_BUSY;
    } else {
        err = monitor_signal(link, op);
    }
    if (err == PN_OK) {
        *ret_monitor = op->id;
        pn_barrel_op_append(link, op);
    } else {
        pn_barrel_op_free(op);
    }
    pn_node_unlock(barrel->node);
    return err;
}

pn_err pn_barrel_monitor(pn_barrel *barrel, const char *name,
    const char *process, pn_barrel_down *down, void *user,
    uint64_t *ret_monitor)
{
    char *copy = process == NULL ? NULL : strdup(process);

    if (down == NULL || (process != NULL && process[0] == '\0')) {
        free(copy);
        return PN_INVALID;
    }
    if (process != NULL && copy == NULL) {
        return PN_NOMEM;
    }
    return monitor_start(
        barrel, name, copy, (pn_term){0}, down, user, ret_monitor);
}

pn_err pn_barrel_monitor_pid(pn_barrel *barrel, pn_term pid,
    pn_barrel_down *down, void *user, uint64_t *ret_monitor)
{
    char *name = pn_barrel_node_of_pid(pid);
    pn_term copy;
    pn_err err;

    if (name == NULL || down == NULL) {
        free(name);
        return PN_INVALID;
    }
    err = pn_term_copy(pid, &copy);
    if (err == PN_OK) {
        err = monitor_start(barrel, name, NULL, copy, down, user, ret_monitor);
    }
    free(name);
    return err;
}

pn_err pn_barrel_demonitor(pn_barrel *barrel, uint64_t monitor)
{
    pn_node *node = barrel->node;
    pn_err err = PN_NOT_FOUND;

    pn_node_lock(node);
    for (pn_barrel_op **at = &barrel->downs; *at != NULL; at = &(*at)->next) {
        if ((*at)->id == monitor) {
            pn_barrel_op *op = *at;

            *at = op->next;
            pn_barrel_op_free(op);
            err = PN_OK;
            break;
        }
    }
    for (pn_link *l = node->links; l != NULL && err != PN_OK; l = l->next) {
        pn_barrel_link *link = (pn_barrel_link *)(void *)l;
        pn_barrel_op *op;

        if (!pn_barrel_is_link(l, barrel)) {
            continue;
        }
        for (op = link->ops; op != NULL && op->id != monitor; op = op->next) {}
        if (op != NULL && op->kind == PN_BARREL_OP_MONITOR) {
            pn_barrel_op_remove(link, op);
            if (op->process != NULL || op->process_pid.len > 0) {
                pn_barrel_op_demonitor(link, op);
            }
            pn_barrel_op_free(op);
            err = PN_OK;
        }
    }
    pn_node_unlock(node);
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The grants of all handles and functions, as a list for the application. */
#include <stdio.h>
#include <stdlib.h>

#include "link/handles.h"
#include "link/node_core.h"

/* Filled in two passes: the first counts, with infos NULL. */
typedef struct list {
    pn_grant_info *infos;
    size_t n;
} list;

static void add(list *l, const char *name, bool is_function, bool is_paired,
    const pn_principal *who)
{
    if (l->infos != NULL) {
        pn_grant_info *info = &l->infos[l->n];

        (void)snprintf(info->name, sizeof(info->name), "%s", name);
        info->is_function = is_function;
        info->is_paired = is_paired;
        if (who != NULL) {
            info->who = *who;
        }
    }
    l->n++;
}

static void on_subject(
    void *to, const char *name, bool is_function, const pn_grants *grants)
{
    list *l = to;

    if (grants->any_paired_peernet || grants->n_principals == 0) {
        add(l, name, is_function, grants->any_paired_peernet, NULL);
    }
    for (size_t i = 0; i < grants->n_principals; i++) {
        add(l, name, is_function, false, &grants->principals[i]);
    }
}

static void each_handle(const pn_handles *handles, list *l)
{
    l->n = 0;
    for (size_t i = 0; i < handles->n_items; i++) {
        const pn_handle *handle = handles->items[i];

        on_subject(l, handle->name, false, &handle->grants);
        if (handle->owner != NULL) {
            handle->owner->each(handle->user, on_subject, l);
        }
    }
}

pn_err pn_list_grants(pn_node *node, pn_grant_info **ret_grants, size_t *ret_n)
{
    list l = {0};

    pn_node_lock(node);
    each_handle(&node->handles, &l);
    l.infos = calloc(l.n + 1, sizeof(*l.infos));
    if (l.infos != NULL) {
        each_handle(&node->handles, &l);
        *ret_grants = l.infos;
        *ret_n = l.n;
    }
    pn_node_unlock(node);
    return l.infos == NULL ? PN_NOMEM : PN_OK;
}

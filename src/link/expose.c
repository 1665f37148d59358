/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing handles, and who may use them. */
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/mutant.h"
#include "base/slice.h"
#include "link/expose.h"
#include "link/node_core.h"

pn_err pn_node_expose_owned(pn_node *node, const char *name,
    pn_handler *handler, void *user, const pn_handle_owner *owner,
    const pn_expose_options *options)
{
    pn_expose_options defaults;
    pn_handle *handle;
    pn_err err;

    if (options == NULL) {
        pn_expose_options_init(&defaults);
        options = &defaults;
    }
    err = pn_handle_new(name, handler, user, options, &handle);
    if (err != PN_OK) {
        return err;
    }
    pn_node_lock(node);
    err = pn_handles_put_take(&node->handles, handle);
    if (err == PN_OK) {
        handle->owner = owner;
        pn_defer_recheck(node); /* one of that name may have been replaced */
    } else {
        pn_handle_unref(handle);
    }
    pn_node_unlock(node);
    return err;
}

pn_err pn_expose(pn_node *node, const char *name, pn_handler *handler,
    void *user, const pn_expose_options *options)
{
    return pn_node_expose_owned(node, name, handler, user, NULL, options);
}

pn_err pn_revoke(pn_node *node, const char *name)
{
    pn_err err;

    pn_node_lock(node);
    err = pn_handles_remove(&node->handles, pn_slice_of(name));
    pn_defer_recheck(node);
    pn_node_unlock(node);
    return err;
}

/* Runs change on the grants of a handle. */
static pn_err with_grants(pn_node *node, const char *name,
    pn_err (*change)(pn_grants *g, const pn_principal *who),
    const pn_principal *who)
{
    pn_err err = PN_NOT_FOUND;
    pn_handle *handle;

    pn_node_lock(node);
    handle = pn_handles_find(&node->handles, pn_slice_of(name));
    if (handle != NULL) {
        err = change(&handle->grants, who);
        pn_defer_recheck(node);
    }
    pn_node_unlock(node);
    return err;
}

static pn_err open_to_paired(pn_grants *g, const pn_principal *who)
{
    (void)who;
    g->any_paired_peernet = true;
    return PN_OK;
}

static pn_err close_to_paired(pn_grants *g, const pn_principal *who)
{
    (void)who;
    g->any_paired_peernet = false;
    return PN_OK;
}

pn_err pn_grant(pn_node *node, const char *name, const pn_principal *who)
{
    return who == NULL ? PN_INVALID
                       : with_grants(node, name, pn_grants_add, who);
}

pn_err pn_grant_paired(pn_node *node, const char *name)
{
    return with_grants(node, name, open_to_paired, NULL);
}

pn_err pn_set_grants(pn_node *node, const char *name, bool is_paired,
    const pn_principal *who, size_t n)
{
    pn_grants grants = {.any_paired_peernet = is_paired};
    pn_handle *handle;
    pn_err err = PN_OK;

    for (size_t i = 0; err == PN_OK && i < n; i++) {
        err = pn_grants_add(&grants, &who[i]);
    }
    pn_node_lock(node);
    handle = pn_handles_find(&node->handles, pn_slice_of(name));
    if (err == PN_OK && handle == NULL) {
        err = PN_NOT_FOUND;
    }
    if (err == PN_OK) {
        pn_grants_swap(&handle->grants, &grants);
        pn_defer_recheck(node);
    }
    pn_node_unlock(node);
    pn_grants_fini(&grants);
    return err;
}

pn_err pn_ungrant(pn_node *node, const char *name, const pn_principal *who)
{
    return with_grants(
        node, name, who == NULL ? close_to_paired : pn_grants_remove, who);
}

void pn_forgotten_fini(pn_forgotten *forgotten)
{
    free(forgotten->items);
    *forgotten = (pn_forgotten){0};
}

/* Lines of the file end now, and are removed from it at the turn's end. Without
 * memory for that, those of a peer end with its pairing, which removes them;
 * for a node of the Barrel family nothing but the whole file is left to end. */
static void forget_stored(pn_node *node, const pn_principal *who)
{
    pn_forgotten *f = &node->forgotten;

    if (!pn_grants_file_names(&node->stored_grants, who)) {
        return;
    }
    pn_grants_file_kill(&node->stored_grants, who);
    if (pn_grow(&f->items, &f->cap, f->n, sizeof(*f->items))) {
        f->items[f->n++] = *who;
        f->is_news = true;
    } else if (who->family == PN_FAMILY_BARREL) {
        f->is_lost = true;
    }
}

void pn_node_forget_grants(pn_node *node, const pn_principal *who)
{
    assert_locked(node);
    if (PN_SAFEGUARD(grants_of_unpaired)) {
        pn_handles_forget(&node->handles, who);
    }
    if (PN_SAFEGUARD(stored_grants_of_unpaired)) {
        forget_stored(node, who);
    }
    pn_defer_recheck(node);
}

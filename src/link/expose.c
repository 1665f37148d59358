/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing handles, and who may use them. */
#include <string.h>

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

pn_err pn_ungrant(pn_node *node, const char *name, const pn_principal *who)
{
    return with_grants(
        node, name, who == NULL ? close_to_paired : pn_grants_remove, who);
}

void pn_node_forget_grants(pn_node *node, const pn_principal *who)
{
    assert_locked(node);
    if (PN_SAFEGUARD(grants_of_unpaired)) {
        pn_handles_forget(&node->handles, who);
    }
    pn_defer_recheck(node);
}

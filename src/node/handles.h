/* SPDX-License-Identifier: Apache-2.0 */
/* The handles a node exposes: name, handler, options, grants. */
#ifndef PN_NODE_HANDLES_H
#define PN_NODE_HANDLES_H

#include <peernet/node.h>

#include "base/core.h"
#include "trust/grants.h"

/*
 * One exposed handle. Requests that wait hold a reference, so a revoked one is
 * freed when the last of them is gone.
 */
typedef struct pn_handle {
    pn_handler *handler;
    void *user;
    void (*user_free)(void *user); /* or NULL; called when it is freed */
    pn_expose_options options;
    pn_grants grants;
    uint32_t refs;
    bool is_revoked;
    size_t name_len;
    char name[]; /* NUL-terminated */
} pn_handle;

/* Sorted by name; zero-filled is empty. */
typedef struct pn_handles {
    pn_handle **items;
    size_t n_items;
    size_t cap;
} pn_handles;

void pn_handles_fini(pn_handles *h);
/* NULL: no such handle. */
PN_CORE pn_handle *pn_handles_find(const pn_handles *h, pn_slice name);
/* Takes the place of an equal name, which is revoked. Errors: PN_NOMEM; the
 * caller still owns handle then. */
PN_MUST_USE pn_err pn_handles_put_take(pn_handles *h, pn_handle *handle);
/* Takes it out of the table. Errors: PN_NOT_FOUND. */
PN_MUST_USE pn_err pn_handles_remove(pn_handles *h, pn_slice name);

/* A new handle with one reference. Errors: PN_INVALID the name; PN_NOMEM. */
PN_MUST_USE pn_err pn_handle_new(const char *name, pn_handler *handler,
    void *user, const pn_expose_options *options, pn_handle **ret_handle);
pn_handle *pn_handle_ref(pn_handle *handle);
void pn_handle_unref(pn_handle *handle); /* NULL is fine */

#endif

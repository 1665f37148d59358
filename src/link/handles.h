/* SPDX-License-Identifier: Apache-2.0 */
/* The handles a node exposes: name, handler, options, grants. */
#ifndef PN_LINK_HANDLES_H
#define PN_LINK_HANDLES_H

#include <string.h>

#include <peernet/node.h>

#include "base/core.h"
#include "trust/grants.h"

/* "MyApp.Led.set/1"; a longer name is cut off. */
#define PN_FUNCTION_NAME_CAP 512

/* The subject of a refusal: a handle, or a function behind one. */
typedef struct pn_subject {
    pn_slice name;
    bool is_function;
} pn_subject;

/* Called with the name of a subject and its grants. */
typedef void pn_grants_told(
    void *to, const char *name, bool is_function, const pn_grants *grants);

/* Functions for a user pointer that belongs to its handle; they are called with
 * the node's lock held. */
typedef struct pn_handle_owner {
    void (*free)(void *user); /* with the handle */
    /* Drops the grants of one principal. */
    void (*forget)(void *user, const pn_principal *who);
    /* Writes the name of the function that args ask for; false: of none. */
    bool (*name_function)(
        void *user, pn_term args, char ret_name[static PN_FUNCTION_NAME_CAP]);
    /* Calls tell for each function behind the handle. */
    void (*each)(void *user, pn_grants_told *tell, void *to);
} pn_handle_owner;

/*
 * One exposed handle. Requests that wait hold a reference, so a revoked one is
 * freed when the last of them is gone.
 */
typedef struct pn_handle {
    pn_handler *handler;
    void *user;
    const pn_handle_owner *owner; /* of user; NULL: the application */
    pn_expose_options options;
    pn_grants grants;
    uint32_t refs;
    bool is_revoked;
    size_t name_len;
    char name[]; /* NUL-terminated */
} pn_handle;

/* Principals that are not trusted any more, while the file of grants may still
 * have lines of theirs: those count for nothing. */
typedef struct pn_forgotten {
    pn_principal *items;
    size_t n;
    size_t cap;
    bool is_news; /* one was added: the file is to be edited */
    bool is_lost; /* one could not be kept: the whole file counts for nothing */
} pn_forgotten;
void pn_forgotten_fini(pn_forgotten *forgotten);

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

/* The subject of a message with these arguments; room is used if that is a
 * function. */
static inline pn_subject pn_handle_subject(const pn_handle *handle,
    pn_term args, char room[static PN_FUNCTION_NAME_CAP])
{
    if (handle->owner != NULL
        && handle->owner->name_function(handle->user, args, room)) {
        return (pn_subject){
            .name = {(const uint8_t *)room, strlen(room)}, .is_function = true};
    }
    return (pn_subject){
        .name = {(const uint8_t *)handle->name, handle->name_len}};
}

/* Drops every grant of who. */
void pn_handles_forget(pn_handles *h, const pn_principal *who);

/* A new handle with one reference. Errors: PN_INVALID the name; PN_NOMEM. */
PN_MUST_USE pn_err pn_handle_new(const char *name, pn_handler *handler,
    void *user, const pn_expose_options *options, pn_handle **ret_handle);
pn_handle *pn_handle_ref(pn_handle *handle);
void pn_handle_unref(pn_handle *handle); /* NULL is fine */

#endif

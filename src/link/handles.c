/* SPDX-License-Identifier: Apache-2.0 */
/* The handles a node exposes; see handles.h. */
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "link/handles.h"

/* An atom holds at most 255 characters of up to four bytes. */
enum { HANDLE_NAME_MAX = 255 };

pn_err pn_handle_new(const char *name, pn_handler *handler, void *user,
    const pn_expose_options *options, pn_handle **ret_handle)
{
    size_t len = name == NULL ? 0 : strlen(name);
    pn_handle *handle;

    if (len == 0 || len > HANDLE_NAME_MAX || handler == NULL
        || options->size > sizeof(*options)) {
        return PN_INVALID;
    }
    handle = calloc(1, sizeof(*handle) + len + 1);
    if (handle == NULL) {
        return PN_NOMEM;
    }
    handle->handler = handler;
    handle->user = user;
    handle->options = *options;
    handle->grants.any_paired_peernet = (options->flags & PN_EXPOSE_CLOSED)
                                        == 0;
    handle->refs = 1;
    handle->name_len = len;
    memcpy(handle->name, name, len + 1);
    *ret_handle = handle;
    return PN_OK;
}

pn_handle *pn_handle_ref(pn_handle *handle)
{
    handle->refs++;
    return handle;
}

void pn_handle_unref(pn_handle *handle)
{
    if (handle == NULL || --handle->refs > 0) {
        return;
    }
    if (handle->owner != NULL) {
        handle->owner->free(handle->user);
    }
    pn_grants_fini(&handle->grants);
    free(handle);
}

static int name_compare(const pn_handle *handle, pn_slice name)
{
    size_t n = handle->name_len < name.len ? handle->name_len : name.len;
    int order = n == 0 ? 0 : memcmp(handle->name, name.data, n);

    if (order != 0) {
        return order;
    }
    return (handle->name_len > name.len) - (handle->name_len < name.len);
}

/* Where name is, or where it would be put. */
static size_t handles_position(
    const pn_handles *h, pn_slice name, bool *ret_found)
{
    size_t low = 0;
    size_t high = h->n_items;

    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = name_compare(h->items[middle], name);

        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

pn_handle *pn_handles_find(const pn_handles *h, pn_slice name)
{
    bool found;
    size_t at = handles_position(h, name, &found);

    return found ? h->items[at] : NULL;
}

pn_err pn_handles_put_take(pn_handles *h, pn_handle *handle)
{
    pn_slice name = {(const uint8_t *)handle->name, handle->name_len};
    bool found;
    size_t at = handles_position(h, name, &found);

    if (found) {
        h->items[at]->is_revoked = true;
        pn_handle_unref(h->items[at]);
        h->items[at] = handle;
        return PN_OK;
    }
    if (!pn_grow(&h->items, &h->cap, h->n_items, sizeof(pn_handle *))) {
        return PN_NOMEM;
    }
    memmove(&h->items[at + 1], &h->items[at],
        (h->n_items - at) * sizeof(pn_handle *));
    h->items[at] = handle;
    h->n_items++;
    return PN_OK;
}

pn_err pn_handles_remove(pn_handles *h, pn_slice name)
{
    bool found;
    size_t at = handles_position(h, name, &found);

    if (!found) {
        return PN_NOT_FOUND;
    }
    h->items[at]->is_revoked = true;
    pn_handle_unref(h->items[at]);
    h->n_items--;
    memmove(&h->items[at], &h->items[at + 1],
        (h->n_items - at) * sizeof(pn_handle *));
    return PN_OK;
}

void pn_handles_forget(pn_handles *h, const pn_principal *who)
{
    for (size_t i = 0; i < h->n_items; i++) {
        pn_handle *handle = h->items[i];

        (void)!pn_grants_remove(&handle->grants, who);
        if (handle->owner != NULL) {
            handle->owner->forget(handle->user, who);
        }
    }
}

void pn_handles_fini(pn_handles *h)
{
    for (size_t i = 0; i < h->n_items; i++) {
        pn_handle_unref(h->items[i]);
    }
    free(h->items);
    *h = (pn_handles){0};
}

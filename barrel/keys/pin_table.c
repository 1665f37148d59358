/* SPDX-License-Identifier: Apache-2.0 */
/* A table of pins, sorted by name; see pin_table.h. */
#include "keys/pin_table.h"

#include <stdlib.h>
#include <string.h>

void pn_pin_table_fini(pn_pin_table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->pins[i].name);
    }
    free(t->pins);
    *t = (pn_pin_table){0};
}

int pn_pin_compare(const char *name, pn_slice with)
{
    const size_t len = strlen(name);
    const size_t n = len < with.len ? len : with.len;
    const int order = n == 0 ? 0 : memcmp(name, with.data, n);

    return order != 0 ? order : (len > with.len) - (len < with.len);
}

/* The index of name, or the one where it would be inserted. */
static size_t table_place(const pn_pin_table *t, pn_slice name)
{
    size_t from = 0;
    size_t to = t->n;

    while (from < to) {
        const size_t middle = from + (to - from) / 2;

        if (pn_pin_compare(t->pins[middle].name, name) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

pn_pin *pn_pin_table_find(const pn_pin_table *t, pn_slice name)
{
    const size_t at = table_place(t, name);

    return at < t->n && pn_pin_compare(t->pins[at].name, name) == 0
               ? &t->pins[at]
               : NULL;
}

pn_err pn_pin_table_reserve(pn_pin_table *t, size_t n)
{
    const size_t cap = n < 16 ? 16 : n + n / 2;
    pn_pin *grown;

    if (n <= t->cap) {
        return PN_OK;
    }
    grown = reallocarray(t->pins, cap, sizeof(*grown));
    if (grown == NULL) {
        return PN_NOMEM;
    }
    t->pins = grown;
    t->cap = cap;
    return PN_OK;
}

void pn_pin_table_insert_take(pn_pin_table *t, pn_pin pin)
{
    const pn_slice name = {(const uint8_t *)pin.name, strlen(pin.name)};
    const size_t at = table_place(t, name);

    memmove(&t->pins[at + 1], &t->pins[at], (t->n - at) * sizeof(*t->pins));
    t->pins[at] = pin;
    t->n++;
}

pn_pin pn_pin_table_take(pn_pin_table *t, pn_slice name)
{
    pn_pin *pin = pn_pin_table_find(t, name);
    pn_pin taken = {.name = NULL};
    size_t at;

    if (pin != NULL) {
        at = (size_t)(pin - t->pins);
        taken = *pin;
        t->n--;
        memmove(pin, pin + 1, (t->n - at) * sizeof(*pin));
    }
    return taken;
}

void pn_pin_table_remove(pn_pin_table *t, pn_slice name)
{
    free(pn_pin_table_take(t, name).name);
}

static int by_name(const void *a, const void *b)
{
    const pn_pin *x = a;
    const pn_pin *y = b;

    return strcmp(x->name, y->name);
}

void pn_pin_table_sort(pn_pin_table *t)
{
    if (t->n > 1) {
        qsort(t->pins, t->n, sizeof(*t->pins), by_name);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Pins in memory, sorted by name; zero-filled is empty. */
#ifndef PN_KEYS_PIN_TABLE_H
#define PN_KEYS_PIN_TABLE_H

#include "keys/pins.h"

typedef struct pn_pin_table {
    pn_pin *pins;
    size_t n;
    size_t cap;
} pn_pin_table;

void pn_pin_table_fini(pn_pin_table *t);
/* Compares names as strcmp does. */
int pn_pin_compare(const char *name, pn_slice with);
pn_pin *pn_pin_table_find(const pn_pin_table *t, pn_slice name);
/* Room for n pins. Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_pin_table_reserve(pn_pin_table *t, size_t n);
/* Inserts a pin, which the table owns from now on; there is room for it. */
void pn_pin_table_insert_take(pn_pin_table *t, pn_pin pin);
/* Removes a pin, which the caller owns from now on; its name is NULL when there
 * is none. */
pn_pin pn_pin_table_take(pn_pin_table *t, pn_slice name);
void pn_pin_table_remove(pn_pin_table *t, pn_slice name);
/* Sorts pins that were appended without order. */
void pn_pin_table_sort(pn_pin_table *t);

#endif

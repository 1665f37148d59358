/* SPDX-License-Identifier: Apache-2.0 */
/* A node with a Barrel part, driven over its standard input; ctool.c. */
#ifndef INTEROP_BARREL_CTOOL_H
#define INTEROP_BARREL_CTOOL_H

#include <peernet/barrel.h>
#include <peernet/beam_dist.h>

/* Opens the handles `echo`, `slow`, `fail`, `sink` and `closed`, and the
 * functions capp:echo/1, capp:size/1 and capp:secret/0; none is granted. False
 * after saying why on stderr. */
bool ctool_serve(pn_node *node);
/* Grants all of them but `closed` and capp:secret/0. */
pn_err ctool_grant(pn_node *node, const pn_ed25519_key *key);
/* How many messages `sink` got, and the newest. Ownership: free() of
 * ret_last->data; empty: none. */
unsigned ctool_sunk(pn_term *ret_last);

/* Monitors that have fired. ret_reason as above; false: not within ms. */
void ctool_on_down(void *user, uint64_t monitor, pn_term reason);
bool ctool_wait_down(uint64_t monitor, uint32_t ms, pn_term *ret_reason);

/* n calls of module:function(args), one after the other or at once. Returns how
 * many had an answer equal to want. */
typedef struct ctool_load {
    pn_barrel *barrel;
    const char *name;
    const char *module;
    const char *function;
    pn_term args;
    pn_term want;
    uint32_t ms;
} ctool_load;
unsigned ctool_in_turn(const ctool_load *load, unsigned n);
unsigned ctool_at_once(const ctool_load *load, unsigned n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the end of a term. Safe on any bytes, but checks nothing else. */
#ifndef PN_TERM_SCAN_H
#define PN_TERM_SCAN_H

#include <peernet/term.h>

#include "base/core.h"

typedef struct pn_term_found {
    bool has_opaque;       /* a pid, port, reference or fun */
    uint32_t new_atoms;    /* those a BEAM peer may not know; see atoms.h */
    uint32_t n_containers; /* tuples, lists and maps: no term is deeper */
} pn_term_found;

/* The end of the one term that begins at p, or NULL when it does not end before
 * end. Adds to *found, which may be NULL, and clears nothing in it. */
const uint8_t *pn_term_scan(
    const uint8_t *p, const uint8_t *end, pn_term_found *found);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Where a term ends. Safe on any bytes, but checks only that. */
#ifndef PN_TERM_SCAN_H
#define PN_TERM_SCAN_H

#include <peernet/term.h>

#include "base/core.h"

/* The end of the one term that begins at p, or NULL when it does not end
 * before end. *has_opaque (may be NULL) becomes true when a pid, port,
 * reference or fun is in it; it is never set to false. */
PN_CORE const uint8_t *pn_term_scan(
    const uint8_t *p, const uint8_t *end, bool *has_opaque);

#endif

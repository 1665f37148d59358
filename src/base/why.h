/* SPDX-License-Identifier: Apache-2.0 */
/* Filling in a pn_why, which may be NULL in every function here. Thread: any,
 * nothing is shared. */
#ifndef PN_BASE_WHY_H
#define PN_BASE_WHY_H

#include <peernet/error.h>
#include <peernet/reason.h>

void pn_why_set(pn_why *ret_why, pn_reason reason, const char *format, ...)
    PN_PRINTF(3, 4);
/* Writes a sentence, and the reason that belongs to err where there is one;
 * returns err. */
pn_err pn_why_fail(pn_why *ret_why, pn_err err, const char *format, ...)
    PN_PRINTF(3, 4);
/* Gives a failure without a sentence that of pn_strerror; returns err. */
pn_err pn_why_complete(pn_why *ret_why, pn_err err);
/* Adds a sentence behind those that are there. */
void pn_why_add(pn_why *to, const char *sentence);
static inline void pn_why_clear(pn_why *ret_why)
{
    if (ret_why != NULL) {
        ret_why->reason = PN_REASON_NONE;
        ret_why->text[0] = '\0';
    }
}

#endif

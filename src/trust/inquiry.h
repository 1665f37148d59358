/* SPDX-License-Identifier: Apache-2.0 */
/* The one decision, written down step by step for the owner. */
#ifndef PN_TRUST_INQUIRY_H
#define PN_TRUST_INQUIRY_H

#include "trust/grants.h"

/* question: file, caller, is_paired and now_us are set by the caller; the rest
 * is zero-filled. */
typedef struct pn_inquiry {
    pn_question question;
    const char *subject;
    pn_can_step *steps; /* the caller's to free() */
    size_t n;
    size_t cap;
    bool has_failed; /* no memory: steps are missing */
} pn_inquiry;

/* Adds the steps of one decision. fixed NULL: there is no such subject. */
pn_reason pn_inquiry_ask(pn_inquiry *in, pn_asked asked, const char *subject,
    const pn_grants *fixed);
/* Gives the steps away, with reason as *ret_reason. Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_inquiry_finish(pn_inquiry *in, pn_reason reason,
    pn_reason *ret_reason, pn_can_step **ret_steps, size_t *ret_n);
/* "MyApp.Led.set/1" of that, or of "Elixir.MyApp.Led.set/1"; NULL: name is no
 * function. */
const char *pn_name_function(const char *name);

#endif

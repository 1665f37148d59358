/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of the trust list, as a term; only trust_list.c includes it. */
#ifndef PN_TRUST_TRUST_ENTRY_H
#define PN_TRUST_TRUST_ENTRY_H

#include <peernet/term.h>

#include "trust/trust_list.h"

void pn_trust_entry_fini(pn_trust_entry *e);
/* Reads a zero-filled entry. Errors: PN_CORRUPT with a static sentence in
 * *ret_why; PN_NOMEM. e needs pn_trust_entry_fini in any case. */
PN_MUST_USE pn_err pn_trust_entry_read(
    pn_term term, pn_trust_entry *e, const char **ret_why);
/* Fills a zero-filled entry as reading the same bytes would. now_us within
 * PN_DATETIME_MIN_US..MAX_US; label NULL or "": none. */
PN_MUST_USE pn_err pn_trust_entry_make(pn_trust_entry *e,
    const pn_public_key *key, const char *label, int64_t now_us);
/* Sets another label, NULL or "" for none; the other members of the entry stay
 * as they are. The label was checked. Errors: PN_NOMEM, and nothing changed. */
PN_MUST_USE pn_err pn_trust_entry_relabel(pn_trust_entry *e, const char *label);

#endif

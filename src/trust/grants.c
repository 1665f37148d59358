/* SPDX-License-Identifier: Apache-2.0 */
/* The one decision; see grants.h. */
#include <stdlib.h>

#include "base/mutant.h"
#include "trust/grants.h"

void pn_grants_fini(pn_grants *g)
{
    free(g->principals);
    *g = (pn_grants){0};
}

static bool is_known_family(pn_family family)
{
    return family == PN_FAMILY_PEERNET || family == PN_FAMILY_BARREL;
}

/* Index of who, or n_principals. */
static size_t index_of(const pn_grants *g, const pn_principal *who)
{
    size_t i = 0;

    while (i < g->n_principals && !pn_principal_equal(&g->principals[i], who)) {
        i++;
    }
    return i;
}

/* A principal without a key is refused here and in pn_decide: a peer that has
 * proven no key, such as a Barrel peer that only knows the cookie, must not
 * match a grant made by mistake. */
pn_err pn_grants_add(pn_grants *g, const pn_principal *who)
{
    pn_principal *grown;

    if (!is_known_family(who->family)
        || PN_REFUSE_IF(grants_add_nobody, !pn_principal_has_key(who))) {
        return PN_INVALID;
    }
    if (index_of(g, who) < g->n_principals) {
        return PN_OK;
    }
    grown = reallocarray(
        g->principals, g->n_principals + 1, sizeof(*g->principals));
    if (grown == NULL) {
        return PN_NOMEM;
    }
    grown[g->n_principals++] = *who;
    g->principals = grown;
    return PN_OK;
}

pn_err pn_grants_remove(pn_grants *g, const pn_principal *who)
{
    const size_t i = index_of(g, who);

    if (i == g->n_principals) {
        return PN_NOT_FOUND;
    }
    g->principals[i] = g->principals[--g->n_principals];
    return PN_OK;
}

/* ---- the decision -------------------------------------------------------- */

/* One decision under way. */
typedef struct decision {
    const pn_question *q;
    const pn_grants_line *log_only;
} decision;

static bool told(const pn_question *q, pn_can_what what, bool is_passed,
    const pn_grants_line *line)
{
    if (q->tell != NULL) {
        q->tell(q->user, what, is_passed, line);
    }
    return is_passed;
}

/* Does a line that grants the caller this count now? */
static bool does_count(void *user, const pn_grants_line *line)
{
    decision *d = user;
    const pn_question *q = d->q;

    if (PN_REFUSE_IF(decide_dead, line->is_dead)) {
        return false;
    }
    if (PN_REFUSE_IF(decide_until, line->until_us <= q->now_us)) {
        return told(q, PN_CAN_LINE_ENDED, false, line);
    }
    if (PN_REFUSE_IF(decide_log_only, line->is_log_only)) {
        d->log_only = line;
        return told(q, PN_CAN_LINE_LOG_ONLY, false, line);
    }
    return told(q, PN_CAN_LINE, true, line);
}

static bool is_granted_by_file(decision *d)
{
    const pn_question *q = d->q;
    const pn_name_kind kind = q->asked == PN_ASKED_FUNCTION ? PN_NAME_FUNCTION
                                                            : PN_NAME_HANDLE;
    bool is_granted = q->file != NULL
                      && pn_grants_file_each(
                          q->file, q->caller, kind, q->name, does_count, d);

    if (!is_granted && q->file != NULL && q->asked == PN_ASKED_TABLE) {
        is_granted = pn_grants_file_each(
            q->file, q->caller, PN_NAME_FUNCTION, (pn_slice){0}, does_count, d);
    }
    return is_granted || told(q, PN_CAN_NO_LINE, false, NULL);
}

static bool is_granted_by_program(const pn_question *q)
{
    const pn_grants *g = q->fixed;
    const bool is_open = g->any_paired_peernet
                         && !PN_REFUSE_IF(decide_barrel,
                             q->caller->family != PN_FAMILY_PEERNET);

    return told(q, PN_CAN_OPEN, is_open, NULL)
           || told(
               q, PN_CAN_FIXED, index_of(g, q->caller) < g->n_principals, NULL);
}

/* Default deny: only the last return allows. */
static pn_reason decide(decision *d)
{
    const pn_question *q = d->q;
    const pn_principal *caller = q->caller;

    if (!told(q, PN_CAN_EXPOSED, q->fixed != NULL, NULL)) {
        return PN_REASON_NO_SUCH_HANDLE;
    }
    if (PN_REFUSE_IF(decide_family, !is_known_family(caller->family))) {
        return PN_REASON_FORBIDDEN;
    }
    if (PN_REFUSE_IF(decide_nobody,
            !told(q, PN_CAN_KEY, pn_principal_has_key(caller), NULL))) {
        return PN_REASON_FORBIDDEN;
    }
    /* A grant may have been given before the key was paired; it must not
     * outweigh the trust list. */
    if (PN_REFUSE_IF(decide_paired,
            caller->family == PN_FAMILY_PEERNET
                && !told(q, PN_CAN_PAIRED, q->is_paired, NULL))) {
        return PN_REASON_FORBIDDEN;
    }
    if (PN_REFUSE_IF(decide_granted,
            !is_granted_by_program(q) && !is_granted_by_file(d))) {
        return PN_REASON_FORBIDDEN;
    }
    return PN_REASON_NONE;
}

pn_reason pn_decide(const pn_question *q, const pn_grants_line **ret_log_only)
{
    decision d = {.q = q};
    const pn_reason reason = decide(&d);

    if (ret_log_only != NULL) {
        *ret_log_only = reason == PN_REASON_NONE ? NULL : d.log_only;
    }
    return reason;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/inquiry.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/grow.h"
#include "base/slice.h"

static void fill_grant(const pn_grants_line *line, pn_can_step *step)
{
    step->line = line->number;
    step->grant = (pn_stored_grant){.is_paired = line->is_paired,
        .who = line->who,
        .until_us = line->until_us,
        .is_log_only = line->is_log_only};
    pn_name_write(
        line->kind, line->name, step->grant.name, sizeof(step->grant.name));
}

static void on_step(
    void *user, pn_can_what what, bool is_passed, const pn_grants_line *line)
{
    pn_inquiry *in = user;
    pn_can_step *step;

    if (in->has_failed
        || !pn_grow(&in->steps, &in->cap, in->n, sizeof(*in->steps))) {
        in->has_failed = true;
        return;
    }
    step = &in->steps[in->n++];
    *step = (pn_can_step){.what = what,
        .is_passed = is_passed,
        .is_function = in->question.asked == PN_ASKED_FUNCTION};
    (void)snprintf(step->subject, sizeof(step->subject), "%s", in->subject);
    if (line != NULL) {
        fill_grant(line, step);
    }
}

pn_reason pn_inquiry_ask(
    pn_inquiry *in, pn_asked asked, const char *subject, const pn_grants *fixed)
{
    in->subject = subject;
    in->question.asked = asked;
    in->question.name = pn_slice_of(subject);
    in->question.fixed = fixed;
    in->question.tell = on_step;
    in->question.user = in;
    return pn_decide(&in->question, NULL);
}

pn_err pn_inquiry_finish(pn_inquiry *in, pn_reason reason,
    pn_reason *ret_reason, pn_can_step **ret_steps, size_t *ret_n)
{
    if (in->has_failed) {
        free(in->steps);
        return PN_NOMEM;
    }
    *ret_reason = reason;
    *ret_steps = in->steps;
    *ret_n = in->n;
    return PN_OK;
}

const char *pn_name_function(const char *name)
{
    pn_name_kind kind = PN_NAME_HANDLE;
    pn_slice read; /* the end of name */

    return pn_name_read(name, &kind, &read) == PN_OK && kind == PN_NAME_FUNCTION
               ? (const char *)read.data
               : NULL;
}

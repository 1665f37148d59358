/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the one decision for a link, and reports what log-only lines of the file
 * of grants would allow; see decide.h. */
#include "link/decide.h"

#include <stdio.h>

#include "base/slice.h"
#include "link/node_core.h"
#include "os/clock.h"

static pn_reason decide(
    pn_link *link, pn_asked asked, pn_slice name, const pn_grants *fixed)
{
    pn_node *node = link->node;
    const pn_grants_line *log_only = NULL;
    const pn_question question = {
        .asked = asked,
        .name = name,
        .fixed = fixed,
        .file = pn_node_stored_grants(node),
        .caller = &link->principal,
        .is_paired = pn_link_is_paired(link),
        .now_us = node->stored_grants.n_index == 0 ? 0 : pn_wall_now_us(),
    };
    pn_reason reason;

    assert_locked(node);
    reason = pn_decide(&question, &log_only);
    if (log_only != NULL) {
        pn_node_would_allow(node, link,
            (pn_subject){name, asked == PN_ASKED_FUNCTION}, log_only->number);
    }
    return reason;
}

pn_reason pn_link_decide(pn_link *link, const pn_handle *handle)
{
    return decide(link,
        handle->owner == NULL ? PN_ASKED_HANDLE : PN_ASKED_TABLE,
        (pn_slice){(const uint8_t *)handle->name, handle->name_len},
        &handle->grants);
}

pn_reason pn_link_decide_function(
    pn_link *link, const char *shown, const pn_grants *grants)
{
    return decide(link, PN_ASKED_FUNCTION, pn_slice_of(shown), grants);
}

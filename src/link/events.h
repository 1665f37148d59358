/* SPDX-License-Identifier: Apache-2.0 */
/* Events and log lines: noted under the lock, reported at the turn end. */
#ifndef PN_LINK_EVENTS_H
#define PN_LINK_EVENTS_H

#include <string.h>

#include <peernet/node.h>

#include "base/core.h"
#include "base/list.h"
#include "base/slice.h"
#include "link/handles.h"
#include "link/quiet.h"
#include "os/address.h"

/* An event or a log line that waits to be reported on the loop. */
typedef struct pn_note pn_note;

typedef struct pn_node_notes {
    pn_list waiting;
} pn_node_notes;

PN_CORE void pn_node_event(pn_node *node, pn_event_type type,
    const pn_principal *who, const char *label, const pn_address *address,
    const char *text, size_t text_len, pn_reason reason);
/* Counts a denial, and reports it in an event and a log line, or in a summary
 * (T27). who NULL: none is known. */
void pn_node_denied(pn_node *node, const pn_principal *who, const char *label,
    const pn_address *address, pn_subject subject, pn_reason reason);
/* Reports, a few times a minute, that a log-only line of the file of grants
 * would allow what was denied. */
void pn_node_would_allow(
    pn_node *node, const pn_link *link, pn_subject subject, size_t line);
/* True: what a stranger caused is to be told; false: it is counted. id: whose
 * doing it is; each is worth n_lines a minute. */
bool pn_node_tells(pn_node *node, pn_quiet_kind kind, const pn_public_key *id,
    unsigned n_lines);
/* The id of somebody of whom no more than an address is known. */
static inline pn_public_key pn_node_source_id(const pn_address *address)
{
    uint64_t source = pn_address_source(address);
    pn_public_key id = {{0}};

    memcpy(id.bytes, &source, sizeof(source));
    return id;
}
/* Reports the counts, once they are due. */
void pn_node_tell_counts(pn_node *node, uint64_t now_us);
/* A line of the log; what is not known of it is zero. */
typedef struct pn_log_line {
    pn_log_level level;
    pn_log_what what;
    const pn_principal *who;
    const char *label;
    pn_slice text; /* may be a peer's; it is escaped */
    pn_reason reason;
    int sys_errno;
    const pn_quiet_cause *cause; /* counted instead once this is told often
                                    enough; NULL: always told */
} pn_log_line;
PN_CORE void pn_node_log(pn_node *node, const pn_log_line *line);
void pn_node_report_notes(pn_node *node); /* releases the lock meanwhile */
void pn_node_drop_notes(pn_node *node);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdicts of `peernet doctor`: stable names, with what each usually means
 * and what to do next. A verdict about a link has the name that
 * events and `peers --json` give as the reason (pn_reason_text).
 */
#ifndef PN_CLI_DOCTOR_VERDICTS_H
#define PN_CLI_DOCTOR_VERDICTS_H

#include "args.h"

typedef struct cli_verdict {
    const char *name; /* NULL ends the table */
    const char *step; /* where it is given; docs and tests read it */
    cli_exit status;  /* of the command that ends with it */
    const char *usually;
    const char *next; /* what to do */
} cli_verdict;

extern const cli_verdict cli_verdicts[];
/* Those about a node of an Erlang cluster. The name of a reason may be in both
 * tables, because its step and what to do differ. */
extern const cli_verdict cli_node_verdicts[];

/* is_node: about a node of an Erlang cluster; one that is not in its table is
 * taken from the other. NULL: there is none of that name. */
const cli_verdict *cli_verdict_find(const char *name, bool is_node);

#endif

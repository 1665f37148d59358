/* SPDX-License-Identifier: Apache-2.0 */
/* What settings mean for a node that runs: its handles, functions and grants,
 * at the start and when they are read again. */
#ifndef PN_CLI_RUN_APPLY_H
#define PN_CLI_RUN_APPLY_H

#include "run_settings.h"

/* How much a reload has changed. */
typedef struct cli_applied {
    unsigned n_changed; /* programs that are new or other ones */
    unsigned n_removed;
} cli_applied;

/*
 * Makes the node's handles, functions and grants those of s, which is resolved.
 * old: what they were; NULL at the start. What is in both is never closed, so
 * no request is refused that both allow; a grant is given before one is taken.
 * Errors: those of pn_expose, pn_beam_dist_export and pn_grant; *ret_what is
 * the handle then.
 */
PN_MUST_USE pn_err cli_settings_apply(const cli_settings *old,
    const cli_settings *s, cli_hub *hub, cli_handlers *handlers,
    cli_applied *ret_applied, const char **ret_what);

/* Gives one grant; who NULL: to every paired peer. */
PN_MUST_USE pn_err cli_settings_grant(cli_hub *hub, cli_handlers *handlers,
    const run_allowance *a, const pn_principal *who);

/* True when both have the same values of an option. */
bool cli_settings_same(
    const cli_settings *a, const cli_settings *b, const char *option);
/* The next option from *i on that differs and is not changed while the node
 * runs; NULL: there is none. Starts with *i = 0. */
const cli_option *cli_settings_needs_restart(
    const cli_settings *old, const cli_settings *s, unsigned *i);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants as JSON, for the control socket and for commands that read the files
 * themselves, and the words that name them.
 */
#ifndef PN_CLI_GRANTS_TEXT_H
#define PN_CLI_GRANTS_TEXT_H

#include <peernet/barrel.h>
#include <peernet/peernet.h>

#include "text.h"

/* To whom a grant is. */
typedef struct cli_grantee {
    bool is_paired; /* every paired peer; who is not used */
    pn_principal who;
} cli_grantee;

/* What is known beside the lines. */
typedef struct cli_grants_view {
    const pn_stored_line *lines;
    size_t n_lines;
    const pn_store_peer *peers;
    size_t n_peers;
    const pn_barrel_pin *pins;
    size_t n_pins;
    int64_t now_us; /* wall clock */
} cli_grants_view;

/* "2026-12-31T10:00:00Z", or from now on: "90s", "30m", "2h", "7d". False: it
 * is neither. */
bool cli_until_parse(const char *text, int64_t now_us, int64_t *ret_until_us);
void cli_until_write(int64_t until_us, char ret_text[static 24]);
/* Wall clock, microseconds since 1970. */
int64_t cli_wall_us(void);

/* "grants":[...]: the lines, or with only those of one grantee and of every
 * paired peer. */
void cli_json_grants(
    cli_text *t, const cli_grants_view *view, const cli_grantee *only);
/* "can":..., "reason":..., "steps":[...]. by_files: no node was asked. */
void cli_json_can(cli_text *t, pn_reason reason, const pn_can_step *steps,
    size_t n, bool by_files);
/* The grantee, as "to", "key", "fingerprint", and "label" or "node". */
void cli_json_grantee(
    cli_text *t, const cli_grants_view *view, const cli_grantee *to);

#endif

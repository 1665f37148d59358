/* SPDX-License-Identifier: Apache-2.0 */
/* The word that a mistyped one most likely stands for. */
#ifndef PN_CLI_NEAREST_H
#define PN_CLI_NEAREST_H

#include <stddef.h>

#include "text.h"

/* A search over candidates; zero-filled but for word. */
typedef struct cli_nearest {
    const char *word; /* what was typed */
    size_t len;       /* bytes of it */
    const char *best; /* the nearest so far; NULL: none is near */
    size_t distance;
} cli_nearest;

void cli_nearest_init(cli_nearest *n, const char *word, size_t len);
/* Offers a candidate, which stays the caller's. */
void cli_nearest_offer(cli_nearest *n, const char *candidate);
/* Offers each up to a NULL. */
void cli_nearest_offer_all(cli_nearest *n, const char *const *candidates);
/* ": did you mean 'WORD'?", in these quotes; nothing when none is near. */
void cli_nearest_say(
    const cli_nearest *n, const char *before, const char *after, cli_text *t);

#endif

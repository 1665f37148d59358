/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the known word that is nearest to an unknown one. */
#include "nearest.h"

#include <string.h>

#include "peer_text.h"

/* Longer words are no commands, options or labels that people type. */
#define MAX_LEN 48

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many single bytes are missing, too many, wrong, or swapped with their
 * neighbour ("optimal string alignment", three rows of the table at a time). */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][MAX_LEN + 1];

    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *two_above = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            bool is_same = a[i - 1] == b[j - 1];

            row[j] = least(least(above[j] + 1, row[j - 1] + 1),
                above[j - 1] + (is_same ? 0 : 1));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2]
                && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], two_above[j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

void cli_nearest_init(cli_nearest *n, const char *word, size_t len)
{
    *n = (cli_nearest){.word = word, .len = len};
    /* More than every third byte wrong is another word. */
    n->distance = len < 3 ? 2 : len / 3 + 1;
}

void cli_nearest_offer(cli_nearest *n, const char *candidate)
{
    size_t len = strlen(candidate);
    size_t d;

    if (n->len == 0 || n->len > MAX_LEN || len == 0 || len > MAX_LEN) {
        return;
    }
    d = distance(n->word, n->len, candidate, len);
    if (d < n->distance && d < len) {
        n->best = candidate;
        n->distance = d;
    }
}

void cli_nearest_offer_all(cli_nearest *n, const char *const *candidates)
{
    for (; *candidates != NULL; candidates++) {
        cli_nearest_offer(n, *candidates);
    }
}

void cli_nearest_say(
    const cli_nearest *n, const char *before, const char *after, cli_text *t)
{
    if (n->best != NULL) {
        cli_text_printf(t, ": did you mean %s", before);
        cli_escape(t, n->best, strlen(n->best), CLI_ESCAPE_FIELD);
        cli_text_printf(t, "%s?", after);
    }
}

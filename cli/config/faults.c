/* SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "peer_text.h"
#include "json/jsonout.h"

void cli_faults_fini(cli_faults *faults)
{
    for (size_t i = 0; i < faults->n; i++) {
        free(faults->items[i].text);
    }
    free(faults->items);
    *faults = (cli_faults){0};
}

void cli_faults_add(cli_faults *faults, const char *file, unsigned line,
    cli_exit status, const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL
        || !pn_grow(
            &faults->items, &faults->cap, faults->n, sizeof(*faults->items))) {
        free(copy);
        faults->is_lost = true;
        return;
    }
    faults->items[faults->n++] = (cli_fault){file, line, status, copy};
}

void cli_faults_add_text(cli_faults *faults, const char *file, unsigned line,
    cli_exit status, cli_text *text)
{
    cli_faults_add(faults, file, line, status, cli_text_string(text));
    cli_text_fini(text);
}

static int compare(const void *a, const void *b)
{
    const cli_fault *left = a;
    const cli_fault *right = b;

    if ((left->file == NULL) != (right->file == NULL)) {
        return left->file == NULL ? -1 : 1;
    }
    return (left->line > right->line) - (left->line < right->line);
}

void cli_faults_sort(cli_faults *faults)
{
    if (faults->n > 1) {
        qsort(faults->items, faults->n, sizeof(*faults->items), compare);
    }
}

bool cli_faults_none(const cli_faults *faults)
{
    return faults->n == 0 && !faults->is_lost;
}

void cli_fault_to_text(const cli_fault *fault, cli_text *t)
{
    if (fault->file != NULL) {
        cli_escape(t, fault->file, strlen(fault->file), CLI_ESCAPE_ALL);
        if (fault->line != 0) {
            cli_text_printf(t, ":%u", fault->line);
        }
        cli_text_puts(t, ": ");
    }
    cli_text_puts(t, fault->text);
}

void cli_fault_to_json(const cli_fault *fault, cli_text *t)
{
    cli_json_open(t, NULL, '{');
    cli_json_known(t, "file", fault->file == NULL ? "" : fault->file);
    cli_json_known_int(t, "line", fault->line);
    cli_json_string(t, "message", fault->text);
    cli_json_close(t, '}');
}

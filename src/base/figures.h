/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of a structure as Prometheus text, by a table. */
#ifndef PN_BASE_FIGURES_H
#define PN_BASE_FIGURES_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* One sample: a uint64_t of the structure. */
typedef struct pn_figure {
    const char *name;
    const char *type; /* NULL: a sample of the metric of the row before */
    const char *help;
    const char *labels; /* behind the name, with what else stands there */
    size_t offset;
    bool is_us; /* microseconds, printed as seconds */
} pn_figure;

static inline void pn_figures_print(
    FILE *out, const pn_figure *figures, size_t n, const void *values)
{
    for (const pn_figure *f = figures; f < figures + n; f++) {
        uint64_t value;

        memcpy(&value, (const char *)values + f->offset, sizeof(value));
        if (f->type != NULL) {
            (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help,
                f->name, f->type);
        }
        if (f->is_us) {
            (void)fprintf(out, "%s%s %" PRIu64 ".%06" PRIu64 "\n", f->name,
                f->labels, value / 1000000, value % 1000000);
        } else {
            (void)fprintf(out, "%s%s %" PRIu64 "\n", f->name, f->labels, value);
        }
    }
}

#endif

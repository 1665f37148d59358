/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table whose columns fit their widest cell. On a terminal that is too narrow
 * the flexible columns are cut; a cut cell ends with an ellipsis.
 */
#ifndef PN_CLI_TABLE_H
#define PN_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#define CLI_MAX_COLUMNS 8

typedef struct cli_table {
    size_t n_columns; /* at most CLI_MAX_COLUMNS */
    size_t n_cells;
    char **cells;
    unsigned flexible;   /* bit N: column N may be cut; default the first */
    size_t first_struck; /* this row and later ones are struck through */
    bool failed;
} cli_table;

/* Both take n_columns strings: the names of the columns; the cells of a row,
 * which are copied, escaped. */
void cli_table_init(
    cli_table *table, size_t n_columns, const char *const *names);
void cli_table_add(cli_table *table, const char *const *cells);
void cli_table_print(cli_table *table); /* and frees it */

/* How many columns of a terminal a text takes, which is plain UTF-8. */
size_t cli_text_width(const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, and the width of text on a terminal. */
#include "table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "app.h"
#include "base/utf8.h"
#include "peer_text.h"

#define GAP 2       /* between two columns */
#define LEAST_CUT 8 /* a column is not cut to less */
#define ELLIPSIS "\xe2\x80\xa6"
#define JOINER 0x200d
#define AS_EMOJI 0xfe0f

/* ---- width -------------------------------------------------------------- */

typedef struct range {
    uint32_t first;
    uint32_t last;
} range;

/* Unicode's East Asian width W and F, and the emoji that terminals draw like
 * them; in blocks, which is as exact as terminals agree. */
static const range wide[] = {
    {0x1100, 0x115f},
    {0x231a, 0x231b},
    {0x23e9, 0x23ec},
    {0x2e80, 0x303e},
    {0x3041, 0xa4cf},
    {0xac00, 0xd7a3},
    {0xf900, 0xfaff},
    {0xfe30, 0xfe6f},
    {0xff00, 0xff60},
    {0xffe0, 0xffe6},
    {0x1f300, 0x1f64f},
    {0x1f680, 0x1f6ff},
    {0x1f7e0, 0x1f7eb},
    {0x1f900, 0x1faff},
    {0x20000, 0x3fffd},
};

/* Characters drawn over the one before: combining marks, selectors, skin
 * tones. */
static const range none[] = {
    {0x0300, 0x036f},
    {0x0483, 0x0489},
    {0x0591, 0x05bd},
    {0x064b, 0x065f},
    {0x1ab0, 0x1aff},
    {0x1dc0, 0x1dff},
    {JOINER, JOINER},
    {0x20d0, 0x20ff},
    {0xfe00, 0xfe0f},
    {0xfe20, 0xfe2f},
    {0x1f3fb, 0x1f3ff},
};

static bool is_in(const range *ranges, size_t n, uint32_t code)
{
    for (size_t i = 0; i < n; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/*
 * The next piece of text that must not be cut: a character with all that joins
 * it. Returns its bytes, 0 at the end, and how wide it is.
 */
static size_t next_piece(const char *text, size_t *ret_width)
{
    const uint8_t *p = (const uint8_t *)text;
    const uint8_t *end = p + strlen(text);
    size_t used = 0;
    bool is_joined = true;

    *ret_width = 0;
    while (p + used < end) {
        uint32_t code = 0;
        size_t n = pn_utf8_decode(p + used, end, &code);
        bool is_mark = is_in(none, sizeof(none) / sizeof(none[0]), code);

        if (used > 0 && !is_mark && !is_joined) {
            break;
        }
        if (*ret_width == 0 && !is_mark) {
            *ret_width =
                1 + (is_in(wide, sizeof(wide) / sizeof(wide[0]), code) ? 1 : 0);
        } else if (code == AS_EMOJI) {
            *ret_width = 2;
        }
        is_joined = code == JOINER;
        used += n == 0 ? 1 : n;
    }
    return used;
}

size_t cli_text_width(const char *text)
{
    size_t width = 0;
    size_t piece;
    size_t n;

    while ((n = next_piece(text, &piece)) > 0) {
        width += piece;
        text += n;
    }
    return width;
}

/* 0: no terminal, no limit. */
static size_t terminal_width(void)
{
    struct winsize size = {0};

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* ---- tables ------------------------------------------------------------- */

static void add_escaped(cli_table *table, const char *cell)
{
    char **cells = realloc(table->cells, (table->n_cells + 1) * sizeof(*cells));
    cli_text t = {0};

    if (cells == NULL) {
        table->failed = true;
        return;
    }
    table->cells = cells;
    cli_text_puts(&t, ""); /* never NULL */
    cli_escape(&t, cell, strlen(cell), CLI_ESCAPE_FIELD);
    if (t.failed) {
        cli_text_fini(&t);
        table->failed = true;
        return;
    }
    table->cells[table->n_cells++] = t.data;
}

void cli_table_init(
    cli_table *table, size_t n_columns, const char *const *names)
{
    *table = (cli_table){
        .n_columns = n_columns, .flexible = 1, .first_struck = SIZE_MAX};
    cli_table_add(table, names);
}

void cli_table_add(cli_table *table, const char *const *cells)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        add_escaped(table, cells[i]);
    }
}

static size_t column_width(const cli_table *table, size_t column)
{
    size_t width = 0;

    for (size_t i = column; i < table->n_cells; i += table->n_columns) {
        size_t n = cli_text_width(table->cells[i]);

        width = n > width ? n : width;
    }
    return width;
}

static size_t row_width(const cli_table *table, const size_t *widths)
{
    size_t sum = 0;

    for (size_t c = 0; c < table->n_columns; c++) {
        sum += widths[c] + (c > 0 ? GAP : 0);
    }
    return sum;
}

/* Narrows the widest of the columns that may be cut, until the row fits or none
 * can be cut further. */
static void fit(const cli_table *table, size_t *widths, size_t room)
{
    while (row_width(table, widths) > room) {
        size_t *widest = NULL;

        for (size_t c = 0; c < table->n_columns; c++) {
            if ((table->flexible >> c & 1U) != 0 && widths[c] > LEAST_CUT
                && (widest == NULL || widths[c] > *widest)) {
                widest = &widths[c];
            }
        }
        if (widest == NULL) {
            return;
        }
        --*widest;
    }
}

/* Appends a cell of at most width columns; how wide it is. */
static size_t add_cell(cli_text *t, const char *cell, size_t width)
{
    size_t used = 0;
    size_t piece;
    size_t n;

    if (cli_text_width(cell) <= width) {
        cli_text_puts(t, cell);
        return cli_text_width(cell);
    }
    while ((n = next_piece(cell, &piece)) > 0 && used + piece < width) {
        cli_text_add(t, cell, n);
        used += piece;
        cell += n;
    }
    cli_text_puts(t, ELLIPSIS);
    return used + 1;
}

static void add_row(
    cli_text *t, const cli_table *table, const size_t *widths, size_t first)
{
    for (size_t c = 0; c < table->n_columns; c++) {
        size_t used = add_cell(t, table->cells[first + c], widths[c]);

        for (; c + 1 < table->n_columns && used < widths[c] + GAP; used++) {
            cli_text_putc(t, ' ');
        }
    }
    while (t->len > 0 && t->data[t->len - 1] == ' ') {
        t->data[--t->len] = '\0';
    }
}

void cli_table_print(cli_table *table)
{
    size_t widths[CLI_MAX_COLUMNS];
    size_t room = terminal_width();
    cli_text t = {0};

    for (size_t c = 0; c < table->n_columns; c++) {
        widths[c] = column_width(table, c);
    }
    if (room > 0) {
        fit(table, widths, room);
    }
    for (size_t i = 0, row = 0; !table->failed && i < table->n_cells;
         i += table->n_columns, row++) {
        bool is_struck = row >= table->first_struck;

        cli_text_puts(&t, is_struck ? "\033[9m" : "");
        add_row(&t, table, widths, i);
        cli_text_puts(&t, is_struck ? "\033[0m" : "");
        cli_print(&t);
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Terms as plain text for programs. The memory that this may take is computed
 * first, from the type and the size of the term. */
#include "program_text.h"

#include <stdlib.h>

#include "base/utf8.h"

/* A printed term against its bytes: a byte of a binary that is no text becomes
 * "255, ", and the printer's buffer doubles. */
enum { PRINTED_FACTOR = 16, PRINTED_LEAST = 1024 };

static bool is_charlist(pn_term term)
{
    pn_term_reader r;
    uint32_t n;
    bool good = true;

    pn_term_reader_init(&r, term);
    n = pn_term_read_list(&r);
    for (uint32_t i = 0; i < n && good; i++) {
        int64_t c = pn_term_read_int64(&r);

        good = c > 0 && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    }
    if (good && n > 0) {
        pn_term_read_nil(&r);
    }
    return good && pn_term_reader_finish(&r) == PN_OK;
}

static void add_charlist(cli_text *t, pn_term term)
{
    pn_term_reader r;
    uint32_t n;

    pn_term_reader_init(&r, term);
    n = pn_term_read_list(&r);
    while (n-- > 0) {
        uint8_t bytes[4];
        uint32_t c = (uint32_t)pn_term_read_int64(&r);

        cli_text_add(t, bytes, pn_utf8_encode(c, bytes));
    }
}

/* The most memory that add_text may need at a time; 0: too much. */
static size_t most(pn_term term)
{
    if (pn_term_type_of(term) == PN_TERM_BINARY) {
        return term.len;
    }
    if (term.len > CLI_PROGRAM_PRINTED_MAX) {
        return 0;
    }
    return term.len * PRINTED_FACTOR + PRINTED_LEAST;
}

static void add_printed(cli_text *t, pn_term term)
{
    char *text = NULL;
    size_t len = 0;

    if (pn_term_to_text(term, &text, &len) == PN_OK) {
        cli_text_add(t, text, len);
    } else {
        t->failed = true;
    }
    free(text);
}

static void add_text(cli_text *t, pn_term term)
{
    pn_slice bytes;

    if (pn_term_is_atom(term, "nil")) {
        return;
    }
    if (pn_term_match(term, "~b", &bytes)
        || pn_term_match(term, "~a", &bytes)) {
        cli_text_add(t, bytes.data, bytes.len);
    } else if (is_charlist(term)) {
        add_charlist(t, term);
    } else {
        add_printed(t, term);
    }
}

/* Begins to read the argument, or a list of them. */
static uint32_t n_parts(pn_term args, bool is_list, pn_term_reader *r)
{
    pn_term_reader_init(r, args);
    return is_list ? pn_term_read_list(r) : 1;
}

/* An upper bound of the bytes that all of it needs; 0: too much. */
static size_t most_of_all(pn_term args, bool is_list)
{
    pn_term_reader r;
    uint32_t n = n_parts(args, is_list, &r);
    size_t sum = 1;

    while (n-- > 0) {
        size_t part = most(pn_term_read_any(&r));

        if (part == 0 || part > SIZE_MAX / 2 - sum) {
            return 0;
        }
        sum += part + 1;
    }
    return sum;
}

pn_err cli_program_input_text(pn_term args, bool is_list, size_t max,
    cli_json_reserve *reserve, void *user, cli_text *ret_text)
{
    size_t size = most_of_all(args, is_list);
    cli_text out = {0};
    pn_term_reader r;
    uint32_t n;

    if (size == 0 || size > max) {
        return PN_TOO_LARGE;
    }
    if (!reserve(user, size)) {
        return PN_BUSY;
    }
    n = n_parts(args, is_list, &r);
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0) {
            cli_text_putc(&out, '\n');
        }
        add_text(&out, pn_term_read_any(&r));
    }
    if (out.failed || pn_term_type_of(args) == PN_TERM_NONE) {
        cli_text_fini(&out);
        return PN_NOMEM;
    }
    (void)!reserve(user, out.cap); /* less than before */
    *ret_text = out;
    return PN_OK;
}

pn_slice cli_program_output_text(const cli_text *output)
{
    pn_slice text = {(const uint8_t *)cli_text_string(output), output->len};

    if (text.len > 0 && text.data[text.len - 1] == '\n') {
        text.len--;
    }
    return text;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FZ-1: any bytes. An accepted term is written and read again, which must give
 * an equal term and then the same bytes; printed and parsed, it must be the
 * same. Input that is no term is tried as Elixir text and as a pattern.
 */
#include <stdlib.h>
#include <string.h>

#include "canonical.h"
#include "term/check.h"
#include "term/scan.h"
#include "term/writer_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                        \
    do {                                                                       \
        if (!(condition)) {                                                    \
            abort();                                                           \
        }                                                                      \
    } while (0)

enum { NO_LIMIT = 1 << 30 };

/* Reads every element as what it is. */
static void read_through(pn_term term)
{
    pn_term_reader r;
    uint8_t digits[512];
    bool is_negative;
    unsigned bits;

    pn_term_reader_init(&r, term);
    while (r.err == PN_OK && pn_term_reader_peek(&r) != PN_TERM_NONE) {
        switch (pn_term_reader_peek(&r)) {
        case PN_TERM_INTEGER:
            (void)pn_term_read_bignum(&r, &is_negative, digits, sizeof(digits));
            break;
        case PN_TERM_FLOAT:
            (void)pn_term_read_double(&r);
            break;
        case PN_TERM_BINARY:
        case PN_TERM_BITSTRING:
            (void)pn_term_read_bitstring(&r, &bits);
            break;
        case PN_TERM_TUPLE:
            (void)pn_term_read_tuple(&r);
            break;
        case PN_TERM_LIST:
            (void)pn_term_read_list(&r);
            break;
        case PN_TERM_MAP:
            (void)pn_term_read_map(&r);
            break;
        default:
            (void)pn_term_read_any(&r);
            break;
        }
    }
    MUST(pn_term_reader_finish(&r) == PN_OK);
}

/* Written again it is equal, and from then on the same bytes. */
static void check_again(pn_term term, pn_term_writer *w)
{
    pn_term_writer second;
    pn_slice bytes;
    pn_slice bytes2;
    pn_term again;
    pn_term_limits limits;
    pn_hash hash;

    pn_term_writer_init(w, NO_LIMIT);
    write_canonical(w, term);
    MUST(pn_term_writer_finish(w, &bytes, NULL) == PN_OK);
    /* Latin-1 atoms grow: size is no reason. */
    pn_term_limits_init(&limits);
    limits.max_bytes = NO_LIMIT;
    MUST(pn_term_parse(bytes.data, bytes.len, &limits, &again, NULL) == PN_OK);
    MUST(pn_term_equal(term, again) || !pn_check_hash(term, &hash));
    pn_term_writer_init(&second, NO_LIMIT);
    write_canonical(&second, again);
    MUST(pn_term_writer_finish(&second, &bytes2, NULL) == PN_OK);
    MUST(bytes.len == bytes2.len
         && memcmp(bytes.data, bytes2.data, bytes.len) == 0);
    pn_term_writer_free(&second);
}

/* Printed and read back it is the same bytes. */
static void check_text(pn_slice canonical, pn_term term, bool has_opaque)
{
    pn_term_writer w;
    pn_slice bytes;
    char *text;
    size_t len;

    MUST(pn_term_to_text(term, &text, &len) == PN_OK);
    MUST(strlen(text) == len);
    if (!has_opaque) {
        pn_term_writer_init(&w, NO_LIMIT);
        MUST(pn_term_from_text(&w, text, len, NULL, NULL) == PN_OK);
        MUST(pn_term_writer_finish(&w, &bytes, NULL) == PN_OK);
        MUST(bytes.len == canonical.len
             && memcmp(bytes.data, canonical.data, bytes.len) == 0);
        pn_term_writer_free(&w);
    }
    free(text);
}

static void fuzz_bytes(pn_term term)
{
    pn_term_writer w;
    pn_slice bytes;
    pn_term again;
    pn_term_found found = {0};

    MUST(pn_term_scan(term.data, term.data + term.len, &found)
         == term.data + term.len);
    read_through(term);
    check_again(term, &w);
    MUST(pn_term_writer_finish(&w, &bytes, &again) == PN_OK);
    check_text(bytes, term, found.has_opaque);
    pn_term_writer_free(&w);
}

/* Bytes as text: what is read is printed and read again. */
static void fuzz_text(const uint8_t *data, size_t size)
{
    pn_term_writer w;
    pn_text_error error;
    pn_slice bytes;
    pn_term term;

    pn_term_writer_init(&w, NO_LIMIT);
    if (pn_term_from_text(&w, (const char *)data, size, NULL, &error)
        != PN_OK) {
        MUST(error.offset <= size);
        MUST(memchr(error.expected, 0, sizeof(error.expected)) != NULL);
    } else if (pn_term_writer_finish(&w, &bytes, &term) == PN_OK) {
        check_text(bytes, term, false);
    }
    pn_term_writer_free(&w);
}

/* Bytes as a pattern without directives, written and matched. */
static void fuzz_pattern(const uint8_t *data, size_t size)
{
    char *pattern = malloc(size + 1);
    pn_term_writer w;
    pn_term term;
    bool is_match = false;

    MUST(pattern != NULL);
    memcpy(pattern, data, size);
    pattern[size] = '\0';
    if (strchr(pattern, '~') == NULL) {
        pn_term_writer_init(&w, NO_LIMIT);
        pn_term_write_vformat(&w, pattern, (va_list){0});
        if (pn_term_writer_finish(&w, NULL, &term) == PN_OK) {
            is_match = pn_term_vmatch(term, pattern, (va_list){0});
            /* A pattern without lists and maps matches itself. */
            MUST(is_match || strpbrk(pattern, "[%") != NULL);
        }
        pn_term_writer_free(&w);
    }
    free(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pn_term_error error = {SIZE_MAX, NULL};
    pn_term term;
    pn_err err = pn_term_parse(data, size, NULL, &term, &error);

    if (err == PN_OK) {
        fuzz_bytes(term);
        return 0;
    }
    MUST(error.text != NULL && error.offset <= size);
    fuzz_text(data, size);
    fuzz_pattern(data, size);
    return 0;
}

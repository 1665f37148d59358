/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terms without a node: written piece by piece and from a format, read with a
 * cursor and with a pattern, copied, compared, parsed from bytes and from
 * text, printed. Every pn_term_ function is here once.
 *
 *     terms                 the tour; each line is one step
 *     terms 'ELIXIR TERM'   reads it and prints it again
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "common.h"

static void print_term(const char *what, pn_term term)
{
    char *text = NULL;
    size_t len = 0;
    pn_err err = pn_term_to_text(term, &text, &len);

    if (err != PN_OK) {
        die(what, err);
    }
    printf("%s: %s\n", what, text);
    free(text);
}

static pn_term finish(pn_term_writer *w, const char *what)
{
    pn_term term = {NULL, 0};
    pn_err err = pn_term_writer_finish(w, NULL, &term);

    if (err != PN_OK) {
        die(what, err);
    }
    return term;
}

/* Scalars: nothing is checked until the end, because the first error sticks. */
static void write_scalars(pn_term_writer *w)
{
    static const uint8_t two_to_64[] = {0, 0, 0, 0, 0, 0, 0, 0, 1};
    static const uint8_t bits[] = {1, 0xa0};

    pn_term_write_list_begin(w);
    pn_term_write_int64(w, -1);
    pn_term_write_uint64(w, UINT64_MAX);
    pn_term_write_bignum(w, true, two_to_64, sizeof(two_to_64));
    pn_term_write_double(w, 1.5);
    pn_term_write_atom(w, "ok");
    pn_term_write_atom_n(w, "errors", 5);
    pn_term_write_bool(w, true);
    pn_term_write_binary(w, "\0\1", 2);
    pn_term_write_string(w, "hi");
    pn_term_write_bitstring(w, bits, sizeof(bits), 3);
    pn_term_write_list_end(w);
}

static void write_containers(pn_term_writer *w)
{
    pn_term_write_tuple_begin(w);
    pn_term_write_map_begin(w);
    pn_term_write_atom(w, "a");
    pn_term_write_int64(w, 1);
    pn_term_write_map_end(w);
    pn_term_write_list_begin(w);
    pn_term_write_int64(w, 1);
    pn_term_write_int64(w, 2);
    pn_term_write_list_end_improper(w);
    pn_term_write_tuple_end(w);
}

/* A function of one's own that takes a format passes it on. */
static void write_answer(pn_term_writer *w, const char *format, ...)
{
    va_list args;

    pn_term_write_tuple_begin(w);
    pn_term_write_atom(w, "ok");
    va_start(args, format);
    pn_term_write_vformat(w, format, args);
    va_end(args);
    pn_term_write_tuple_end(w);
}

static bool answer_match(pn_term term, const char *pattern, ...)
{
    va_list args;
    bool is_match;

    va_start(args, pattern);
    is_match = pn_term_vmatch(term, pattern, args);
    va_end(args);
    return is_match;
}

static void writing(pn_term_writer *w)
{
    pn_term reading;

    write_scalars(w);
    print_term("scalars", finish(w, "scalars"));
    pn_term_writer_reset(w); /* keeps the memory */
    write_containers(w);
    print_term("containers", finish(w, "containers"));
    pn_term_writer_reset(w);
    pn_term_write_format(w, "{reading, %{unit: ~s, value: ~d}}", "C", 21.5);
    reading = finish(w, "format");
    print_term("format", reading);
    if (pn_term_copy(reading, &reading) != PN_OK) {
        die("copy", PN_NOMEM);
    }
    pn_term_writer_reset(w);
    write_answer(w, "[~i, ~t]", 7, reading);
    print_term("vformat", finish(w, "vformat"));
    pn_term_writer_reset(w);
    pn_term_write_tuple_begin(w);
    pn_term_write_term(w, reading);
    pn_term_write_tuple_end(w);
    print_term("term in a term", finish(w, "term"));
    free((void *)(uintptr_t)reading.data);
}

/* A pattern takes a term apart in one line. */
static void matching(pn_term_writer *w)
{
    pn_slice unit;
    double value = 0;
    int number = 0;
    pn_term term;

    pn_term_writer_reset(w);
    write_answer(w, "%{unit: ~s, value: ~d, more: [1, 2]}", "C", 21.5);
    term = finish(w, "match");
    if (pn_term_match(term, "{ok, %{value: ~d, unit: ~b}}", &value, &unit)) {
        printf("match: %.1f %.*s\n", value, (int)unit.len,
            (const char *)unit.data);
    }
    if (answer_match(term, "{ok, %{more: [~i | _]}}", &number)) {
        printf("vmatch: %d\n", number);
    }
    printf("no match: %s\n",
        pn_term_match(term, "{error, _}") ? "matched" : "as it should be");
}

/* A cursor reads terms that fit no pattern; the error is checked once, at the
 * end. */
static void read_numbers(pn_term_reader *r)
{
    uint8_t magnitude[512];
    bool is_negative = false;
    int64_t small = pn_term_read_int64(r);
    uint64_t large = pn_term_read_uint64(r);
    size_t len = pn_term_read_bignum(
        r, &is_negative, magnitude, sizeof(magnitude));

    printf("numbers: %" PRId64 ", %" PRIu64 ", %s of %zu bytes, %.1f\n", small,
        large, is_negative ? "negative" : "positive", len,
        pn_term_read_double(r));
}

static void reading_scalars(pn_term_writer *w)
{
    pn_term_reader r;
    pn_slice atom;
    pn_slice binary;
    pn_slice bitstring;
    unsigned bits = 0;
    uint32_t n;
    pn_err err;

    pn_term_writer_reset(w);
    write_scalars(w);
    pn_term_reader_init(&r, finish(w, "read"));
    n = pn_term_read_list(&r);
    read_numbers(&r);
    atom = pn_term_read_atom(&r);
    pn_term_read_skip(&r); /* :error */
    printf("true: %d\n", pn_term_is_atom(pn_term_read_any(&r), "true"));
    binary = pn_term_read_binary(&r);
    pn_term_read_skip(&r); /* "hi" */
    bitstring = pn_term_read_bitstring(&r, &bits);
    pn_term_read_nil(&r); /* the list's tail */
    err = pn_term_reader_finish(&r);
    printf("list: %u elements, atom %.*s, binary of %zu, %zu bytes with %u "
           "bits in the last: %s\n",
        n, (int)atom.len, (const char *)atom.data, binary.len, bitstring.len,
        bits, pn_strerror(err));
}

static void reading_containers(pn_term_writer *w)
{
    pn_term_reader r;
    uint32_t arity;
    uint32_t pairs;
    char name[1021];
    size_t len = 0;
    pn_err err;

    pn_term_writer_reset(w);
    write_containers(w);
    pn_term_reader_init(&r, finish(w, "read"));
    arity = pn_term_read_tuple(&r);
    pairs = pn_term_read_map(&r);
    err = pn_term_atom_name(pn_term_read_any(&r), name, sizeof(name), &len);
    if (err != PN_OK) {
        die("key", err);
    }
    pn_term_read_skip(&r); /* its value */
    printf("tuple of %u, map of %u, key %s (%zu)\n", arity, pairs, name, len);
    printf("next is a list: %d\n", pn_term_reader_peek(&r) == PN_TERM_LIST);
    /* Unread elements are a mismatch, so a forgotten one is noticed. */
    printf("left over: %s\n", pn_strerror(pn_term_reader_finish(&r)));
}

/* Bytes from anywhere are parsed first; after that reading needs no checks. */
static void parsing(void)
{
    static const uint8_t good[] = {131, 107, 0, 2, 1, 2};
    static const uint8_t same[] = {131, 108, 0, 0, 0, 2, 97, 1, 97, 2, 106};
    static const uint8_t deep[] = {131, 104, 1, 104, 1, 106};
    pn_term_limits limits;
    pn_term_error why = {0, ""};
    pn_term a;
    pn_term b;

    if (pn_term_parse(good, sizeof(good), NULL, &a, NULL) == PN_OK
        && pn_term_parse(same, sizeof(same), NULL, &b, NULL) == PN_OK) {
        print_term("parsed", a);
        printf("a list: %d, the same value: %d\n",
            pn_term_type_of(a) == PN_TERM_LIST, pn_term_equal(a, b));
    }
    pn_term_limits_init(&limits);
    limits.max_depth = 1;
    if (pn_term_parse(deep, sizeof(deep), &limits, &a, &why) == PN_LIMIT) {
        printf("refused at byte %zu\n", why.offset);
    }
}

static int from_text(pn_term_writer *w, const char *text)
{
    pn_text_error why = {0, ""};
    pn_err err = pn_term_from_text(w, text, strlen(text), NULL, &why);

    if (err != PN_OK) {
        printf("at byte %zu: expected %s\n", why.offset, why.expected);
        return 1;
    }
    print_term("text", finish(w, "text"));
    return 0;
}

int main(int argc, char **argv)
{
    pn_term_writer w;
    int status;

    pn_term_writer_init(&w, 0);
    if (argc > 1) {
        status = from_text(&w, argv[1]);
    } else {
        writing(&w);
        matching(&w);
        reading_scalars(&w);
        reading_containers(&w);
        parsing();
        pn_term_writer_reset(&w);
        status = from_text(&w, "%{text: \"hi\", at: {:ok, 0xFF}}");
    }
    pn_term_writer_free(&w);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terms to JSON, in two passes over the bytes. A map is written as an object
 * only when all its keys allow it, which is known after its last key: the
 * first pass finds out for every map, in the order in which maps begin; the
 * second writes. A pass between them counts, for a text of a known size.
 *
 * jansson does not write here: its tree would take up to a hundred times the
 * bytes of a term that a peer sent.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "json.h"
#include "jsonout.h"
#include "peer_text.h"

/* Integers up to here survive every JSON reader (RFC 7493 section 2.2). */
#define SAFE_INTEGER ((INT64_C(1) << 53) - 1)
#define ATOM_CAP 1021

typedef enum frame_kind {
    FRAME_ROOT, /* around the whole term */
    FRAME_LIST,
    FRAME_TAIL, /* of an improper list */
    FRAME_TUPLE,
    FRAME_OBJECT, /* a map, all keys fit an object */
    FRAME_PAIRS   /* a map as a list of pairs */
} frame_kind;

/* The signs around the elements of a frame. A map as pairs is never empty: an
 * empty one is an object. */
static const struct {
    const char *open;
    const char *first; /* before the first element */
    const char *odd;   /* before the second, the fourth, ... */
    const char *even;  /* before the third, the fifth, ... */
    const char *close;
} shapes[] = {
    [FRAME_ROOT] = {"", "", "", "", ""},
    [FRAME_LIST] = {"[", "", ",", ",", "]"},
    [FRAME_TAIL] = {",{\"$tail\":", "", "", "", "}"},
    [FRAME_TUPLE] = {"{\"$tuple\":[", "", ",", ",", "]}"},
    [FRAME_OBJECT] = {"{", "", ":", ",", "}"},
    [FRAME_PAIRS] = {"{\"$map\":[", "[", ",", "],[", "]]}"},
};

typedef struct frame {
    frame_kind kind;
    uint32_t left;  /* elements to come; of a map, keys and values */
    uint32_t index; /* elements seen */
    size_t map;     /* its place in the order of maps */
} frame;

typedef struct walk {
    pn_term_reader reader;
    frame *frames;
    size_t n_frames;
    size_t frames_cap;
    cli_text fits; /* per map: 1 when it can be an object */
    size_t n_maps;
    bool writing; /* second pass */
    cli_text *out;
    pn_err err;
} walk;

static frame *top(walk *w)
{
    return &w->frames[w->n_frames - 1];
}

static void put(walk *w, const char *text)
{
    if (w->writing) {
        cli_text_puts(w->out, text);
    }
}

static void push(walk *w, frame_kind kind, uint32_t left, size_t map)
{
    if (w->n_frames == w->frames_cap) {
        size_t cap = w->frames_cap == 0 ? 16 : w->frames_cap * 2;
        frame *frames = realloc(w->frames, cap * sizeof(*frames));

        if (frames == NULL) {
            w->err = PN_NOMEM;
            return;
        }
        w->frames = frames;
        w->frames_cap = cap;
    }
    w->frames[w->n_frames++] = (frame){kind, left, 0, map};
    put(w, shapes[kind].open);
}

/* ---- keys of maps ------------------------------------------------------- */

/* An object's key: UTF-8 without a NUL, and not one of our marks in front. */
static bool fits_key(pn_term_reader r, pn_term_type type)
{
    pn_slice bytes;
    char name[ATOM_CAP];
    size_t len = 0;

    if (type == PN_TERM_ATOM) {
        return pn_term_atom_name(pn_term_read_any(&r), name, sizeof(name), &len)
                   == PN_OK
               && memchr(name, '\0', len) == NULL;
    }
    if (type != PN_TERM_BINARY) {
        return false;
    }
    bytes = pn_term_read_binary(&r);
    return pn_utf8_check(bytes.data, bytes.len, NULL)
           && (bytes.len == 0
               || (bytes.data[0] != '$' && bytes.data[0] != ':'
                   && memchr(bytes.data, '\0', bytes.len) == NULL));
}

static bool is_key(const frame *f)
{
    return (f->kind == FRAME_OBJECT || f->kind == FRAME_PAIRS)
           && f->index % 2 == 0;
}

/* ---- leaves ------------------------------------------------------------- */

static void write_tagged(
    walk *w, const char *tag, const void *data, size_t len, bool base64)
{
    cli_text_puts(w->out, "{\"$");
    cli_text_puts(w->out, tag);
    cli_text_puts(w->out, "\":\"");
    if (base64) {
        cli_base64_add(w->out, data, len);
    } else {
        cli_escape_json(w->out, data, len);
    }
    cli_text_puts(w->out, "\"}");
}

static void write_integer(walk *w, pn_term term)
{
    pn_term_reader r;
    int64_t value;
    char *digits = NULL;
    size_t len = 0;

    pn_term_reader_init(&r, term);
    value = pn_term_read_int64(&r);
    if (r.err == PN_OK && value >= -SAFE_INTEGER && value <= SAFE_INTEGER) {
        cli_text_printf(w->out, "%" PRId64, value);
        return;
    }
    w->err = pn_term_to_text(term, &digits, &len);
    if (w->err == PN_OK) {
        write_tagged(w, "int", digits, len, false);
    }
    free(digits);
}

/* The shortest of 15 to 17 digits that reads back as the same number, and
 * always with a point or an exponent: 1.0 is not 1. */
static void write_float(walk *w, pn_term term)
{
    pn_term_reader r;
    double value;
    char text[40];

    pn_term_reader_init(&r, term);
    value = pn_term_read_double(&r);
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    cli_text_puts(w->out, text);
    if (strpbrk(text, ".e") == NULL) {
        cli_text_puts(w->out, ".0");
    }
}

static void write_atom(walk *w, pn_term term, bool as_key)
{
    char name[ATOM_CAP];
    size_t len = 0;
    pn_err err = pn_term_atom_name(term, name, sizeof(name), &len);

    if (err != PN_OK) {
        w->err = err;
    } else if (as_key) {
        cli_text_puts(w->out, "\":");
        cli_escape_json(w->out, name, len);
        cli_text_putc(w->out, '"');
    } else if (pn_term_is_atom(term, "true")
               || pn_term_is_atom(term, "false")) {
        cli_text_add(w->out, name, len);
    } else if (pn_term_is_atom(term, "nil")) {
        cli_text_puts(w->out, "null");
    } else {
        write_tagged(w, "atom", name, len, false);
    }
}

static void write_bytes(walk *w, pn_term term)
{
    pn_slice bytes = {NULL, 0};

    if (!pn_term_match(term, "~b", &bytes)
        || !pn_utf8_check(bytes.data, bytes.len, NULL)) {
        write_tagged(w, "binary", bytes.data, bytes.len, true);
        return;
    }
    cli_text_putc(w->out, '"');
    cli_escape_json(w->out, bytes.data, bytes.len);
    cli_text_putc(w->out, '"');
}

static void write_bits(walk *w, pn_term term)
{
    pn_term_reader r;
    pn_slice bytes;
    unsigned bits = 0;

    pn_term_reader_init(&r, term);
    bytes = pn_term_read_bitstring(&r, &bits);
    cli_text_puts(w->out, "{\"$bitstring\":[\"");
    cli_base64_add(w->out, bytes.data, bytes.len);
    cli_text_printf(w->out, "\",%u]}", bits);
}

static void write_leaf(walk *w, pn_term_type type, bool as_key)
{
    pn_term term = pn_term_read_any(&w->reader);

    if (!w->writing) {
        return;
    }
    switch ((int)type) {
    case PN_TERM_INTEGER:
        write_integer(w, term);
        break;
    case PN_TERM_FLOAT:
        write_float(w, term);
        break;
    case PN_TERM_ATOM:
        write_atom(w, term, as_key);
        break;
    case PN_TERM_BINARY:
        write_bytes(w, term);
        break;
    case PN_TERM_BITSTRING:
        write_bits(w, term);
        break;
    default:
        write_tagged(w, "opaque", term.data, term.len, true);
    }
}

/* ---- containers --------------------------------------------------------- */

static void open_map(walk *w)
{
    size_t map = w->n_maps++;
    uint32_t pairs = pn_term_read_map(&w->reader);
    char fits = 1;

    if (!w->writing) {
        cli_text_add(&w->fits, &fits, 1);
        if (w->fits.failed) {
            w->err = PN_NOMEM;
            return;
        }
    }
    push(
        w, w->fits.data[map] != 0 ? FRAME_OBJECT : FRAME_PAIRS, pairs * 2, map);
}

static void open_container(walk *w, pn_term_type type)
{
    uint32_t n;

    if (type == PN_TERM_TUPLE) {
        push(w, FRAME_TUPLE, pn_term_read_tuple(&w->reader), 0);
    } else if (type == PN_TERM_LIST) {
        n = pn_term_read_list(&w->reader);
        push(w, FRAME_LIST, n == 0 ? 0 : n + 1, 0);
    } else {
        open_map(w);
    }
}

/* The last element of a list frame is its tail: nil (no other list is taken
 * there) ends it, anything else makes it improper. True when a value must be
 * read now. */
static bool enter_tail(walk *w)
{
    top(w)->left = 0;
    if (pn_term_reader_peek(&w->reader) == PN_TERM_LIST) {
        pn_term_read_nil(&w->reader);
        return false;
    }
    push(w, FRAME_TAIL, 1, 0);
    return true;
}

/* Closes the frames whose elements are all there; each is one of the frame
 * around it. A list ends with its tail. */
static void close_full(walk *w)
{
    while (w->n_frames > 0 && top(w)->left == 0) {
        put(w, shapes[top(w)->kind].close);
        w->n_frames--;
        if (w->n_frames > 0) {
            top(w)->index++;
        }
    }
}

/* Reads one element: a leaf, or the opening of a container. */
static void step(walk *w)
{
    frame *f = top(w);
    bool as_key = f->kind == FRAME_OBJECT && is_key(f);
    pn_term_type type;

    if (f->kind == FRAME_LIST && f->left == 1) {
        if (!enter_tail(w)) {
            close_full(w);
            return;
        }
        f = top(w);
    }
    if (w->err != PN_OK) {
        return;
    }
    put(w, f->index == 0       ? shapes[f->kind].first
           : f->index % 2 == 1 ? shapes[f->kind].odd
                               : shapes[f->kind].even);
    f->left--;
    type = pn_term_reader_peek(&w->reader);
    if (!w->writing && is_key(f) && !fits_key(w->reader, type)) {
        w->fits.data[f->map] = 0;
    }
    if (type == PN_TERM_TUPLE || type == PN_TERM_LIST || type == PN_TERM_MAP) {
        open_container(w, type);
    } else {
        write_leaf(w, type, as_key);
        f->index++;
    }
    close_full(w);
}

static pn_err run_pass(walk *w, pn_term term)
{
    w->n_maps = 0;
    w->n_frames = 0;
    pn_term_reader_init(&w->reader, term);
    push(w, FRAME_ROOT, 1, 0);
    while (
        w->err == PN_OK && w->n_frames > 0 && !(w->writing && w->out->failed)) {
        step(w);
    }
    if (w->err == PN_OK && w->n_frames > 0) {
        return PN_OK; /* the text has failed, which its owner reports */
    }
    return w->err == PN_OK ? pn_term_reader_finish(&w->reader) : w->err;
}

/* The first pass: what each map can be. */
static pn_err judge(walk *w, pn_term term)
{
    w->writing = false;
    return pn_term_type_of(term) == PN_TERM_NONE ? PN_INVALID
                                                 : run_pass(w, term);
}

/* The second; also for a text that only counts. */
static pn_err write_out(walk *w, pn_term term, cli_text *out)
{
    pn_err err;

    w->writing = true;
    w->out = out;
    err = run_pass(w, term);
    if (err == PN_OK && out->failed) {
        err = out->counts ? PN_TOO_LARGE : PN_NOMEM;
    }
    return err;
}

pn_err cli_json_from_term(pn_term term, size_t max, cli_json_reserve *reserve,
    void *user, cli_text *ret_text)
{
    walk w = {0};
    cli_text size = {.counts = true, .max_counted = max};
    cli_text out = {0};
    pn_err err = judge(&w, term);

    if (err == PN_OK) {
        err = write_out(&w, term, &size);
    }
    if (err == PN_OK && reserve != NULL && !reserve(user, size.len)) {
        err = PN_BUSY;
    }
    if (err == PN_OK) {
        cli_text_reserve(&out, size.len + 1);
        err = write_out(&w, term, &out);
    }
    if (err == PN_OK) {
        *ret_text = out;
    } else {
        cli_text_fini(&out);
    }
    cli_text_fini(&w.fits);
    free(w.frames);
    return err;
}

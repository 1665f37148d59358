/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terms to JSON, in two passes over the bytes. A map is written as an object
 * only when all its keys allow it, which is known after its last key: the
 * first pass finds out for every map, in the order in which maps begin; the
 * second writes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "bignum.h"
#include "escape.h"
#include "json.h"
#include "jsonout.h"

/* Integers up to here survive every JSON reader (RFC 7493 section 2.2). */
#define SAFE_INTEGER ((UINT64_C(1) << 53) - 1)
#define ATOM_CAP 1021

typedef enum frame_kind {
    FRAME_ROOT, /* around the whole term */
    FRAME_LIST,
    FRAME_TAIL, /* of an improper list */
    FRAME_TUPLE,
    FRAME_OBJECT, /* a map, all keys fit an object */
    FRAME_PAIRS   /* a map as a list of pairs */
} frame_kind;

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
}

static void put(walk *w, const char *text)
{
    if (w->writing) {
        cli_text_puts(w->out, text);
    }
}

/* ---- keys of maps ------------------------------------------------------- */

/* An object's key: UTF-8 without a NUL, and not one of our marks in front. */
static bool fits_key(pn_term key)
{
    pn_term_reader r;
    pn_slice bytes;
    char name[ATOM_CAP];
    size_t len = 0;

    if (pn_term_type_of(key) == PN_TERM_ATOM) {
        return pn_term_atom_name(key, name, sizeof(name), &len) == PN_OK
               && memchr(name, '\0', len) == NULL;
    }
    if (pn_term_type_of(key) != PN_TERM_BINARY) {
        return false;
    }
    pn_term_reader_init(&r, key);
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

/* First pass: a container as a key, or a key that does not fit. */
static void judge_key(walk *w, bool fits)
{
    if (!fits) {
        w->fits.data[top(w)->map] = 0;
    }
}

/* ---- leaves ------------------------------------------------------------- */

static void write_integer(walk *w)
{
    uint8_t magnitude[CLI_BIGNUM_MAX];
    bool negative = false;
    uint64_t value = 0;
    size_t len = pn_term_read_bignum(
        &w->reader, &negative, magnitude, sizeof(magnitude));
    bool safe = len <= 8;

    if (!w->writing) {
        return;
    }
    for (size_t i = 0; safe && i < len; i++) {
        value |= (uint64_t)magnitude[i] << (8 * i);
    }
    safe = safe && value <= SAFE_INTEGER;
    cli_text_puts(w->out, safe ? "" : "{\"$int\":\"");
    cli_bignum_to_decimal(w->out, negative, magnitude, len);
    cli_text_puts(w->out, safe ? "" : "\"}");
}

/* The shortest of 15 to 17 digits that reads back as the same number, and
 * always with a point or an exponent: 1.0 is not 1. */
static void write_float(walk *w)
{
    double value = pn_term_read_double(&w->reader);
    char text[40];

    if (!w->writing) {
        return;
    }
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

static void write_tagged(
    walk *w, const char *tag, const void *data, size_t len, bool base64)
{
    cli_text_printf(w->out, "{\"$%s\":\"", tag);
    if (base64) {
        cli_base64_add(w->out, data, len);
    } else {
        cli_escape_json(w->out, data, len);
    }
    cli_text_puts(w->out, "\"}");
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
    pn_term_reader r;
    pn_slice bytes;

    pn_term_reader_init(&r, term);
    bytes = pn_term_read_binary(&r);
    if (!pn_utf8_check(bytes.data, bytes.len, NULL)) {
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
    pn_term term;

    if (type == PN_TERM_INTEGER) {
        write_integer(w);
        return;
    }
    if (type == PN_TERM_FLOAT) {
        write_float(w);
        return;
    }
    term = pn_term_read_any(&w->reader);
    if (!w->writing) {
        if (is_key(top(w))) {
            judge_key(w, fits_key(term));
        }
    } else if (type == PN_TERM_ATOM) {
        write_atom(w, term, as_key);
    } else if (type == PN_TERM_BINARY) {
        write_bytes(w, term);
    } else if (type == PN_TERM_BITSTRING) {
        write_bits(w, term);
    } else {
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
    if (w->fits.data[map] != 0) {
        put(w, "{");
        push(w, FRAME_OBJECT, pairs * 2, map);
    } else {
        put(w, "{\"$map\":[");
        push(w, FRAME_PAIRS, pairs * 2, map);
    }
}

static void open_container(walk *w, pn_term_type type)
{
    uint32_t n;

    if (!w->writing && is_key(top(w))) {
        judge_key(w, false);
    }
    if (type == PN_TERM_TUPLE) {
        n = pn_term_read_tuple(&w->reader);
        put(w, "{\"$tuple\":[");
        push(w, FRAME_TUPLE, n, 0);
    } else if (type == PN_TERM_LIST) {
        n = pn_term_read_list(&w->reader);
        put(w, "[");
        push(w, FRAME_LIST, n == 0 ? 0 : n + 1, 0);
    } else {
        open_map(w);
    }
}

static const char *closing(frame_kind kind)
{
    switch (kind) {
    case FRAME_ROOT:
        return "";
    case FRAME_LIST:
        return "]";
    case FRAME_TAIL:
    case FRAME_OBJECT:
        return "}";
    case FRAME_TUPLE:
    case FRAME_PAIRS:
        return "]}";
    }
    return "";
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
    put(w, ",{\"$tail\":");
    push(w, FRAME_TAIL, 1, 0);
    return true;
}

/* What stands before the next element of the innermost container. */
static void write_separator(walk *w)
{
    frame *f = top(w);

    switch (f->kind) {
    case FRAME_ROOT:
    case FRAME_TAIL:
        break;
    case FRAME_LIST:
    case FRAME_TUPLE:
        put(w, f->index > 0 ? "," : "");
        break;
    case FRAME_OBJECT:
        put(w, f->index % 2 == 1 ? ":" : f->index > 0 ? "," : "");
        break;
    case FRAME_PAIRS:
        put(w, f->index % 2 == 1 ? "," : f->index > 0 ? ",[" : "[");
        break;
    }
}

/* Counts an element that is complete, and closes what it completes. */
static void end_value(walk *w)
{
    while (w->n_frames > 0) {
        frame *f = top(w);

        f->index++;
        if (f->kind == FRAME_PAIRS && f->index % 2 == 0) {
            put(w, "]");
        }
        if (f->left > 0) {
            return;
        }
        put(w, closing(f->kind));
        w->n_frames--;
        if (f->kind == FRAME_TAIL) {
            /* The tail was counted by its list, which ends with it. */
            put(w, closing(FRAME_LIST));
            w->n_frames--;
        }
    }
}

static void close_top(walk *w)
{
    put(w, closing(top(w)->kind));
    w->n_frames--;
    end_value(w);
}

/* Reads one element: a leaf, or the opening of a container. */
static void step(walk *w)
{
    frame *f = top(w);
    bool as_key = f->kind == FRAME_OBJECT && is_key(f);
    pn_term_type type;

    if (f->kind == FRAME_LIST && f->left == 1) {
        if (!enter_tail(w)) {
            close_top(w);
            return;
        }
        f = top(w);
    }
    if (w->err != PN_OK) {
        return;
    }
    write_separator(w);
    f->left--;
    type = pn_term_reader_peek(&w->reader);
    if (type == PN_TERM_TUPLE || type == PN_TERM_LIST || type == PN_TERM_MAP) {
        open_container(w, type);
        if (w->err == PN_OK && top(w)->left == 0) {
            close_top(w);
        }
        return;
    }
    if (!w->writing && (type == PN_TERM_INTEGER || type == PN_TERM_FLOAT)
        && is_key(f)) {
        judge_key(w, false);
    }
    write_leaf(w, type, as_key);
    end_value(w);
}

static pn_err run_pass(walk *w, pn_term term)
{
    w->n_maps = 0;
    w->n_frames = 0;
    pn_term_reader_init(&w->reader, term);
    push(w, FRAME_ROOT, 1, 0);
    while (w->err == PN_OK && w->n_frames > 0) {
        step(w);
    }
    return w->err == PN_OK ? pn_term_reader_finish(&w->reader) : w->err;
}

pn_err cli_json_from_term(pn_term term, cli_text *out)
{
    walk w = {.out = out};
    pn_err err = PN_INVALID;

    if (pn_term_type_of(term) != PN_TERM_NONE) {
        err = run_pass(&w, term);
    }
    if (err == PN_OK) {
        w.writing = true;
        err = run_pass(&w, term);
    }
    if (err == PN_OK && out->failed) {
        err = PN_NOMEM;
    }
    cli_text_fini(&w.fits);
    free(w.frames);
    return err;
}

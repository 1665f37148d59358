/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Printing a term as Elixir's inspect does. Whether a list or a map prints
 * with `name: value` depends on all of its elements, so a first walk finds out
 * for each of them and a second one prints; both take linear time.
 * Source: docs/TERM.md, "Elixir text".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/utf8.h"
#include "term/ident.h"
#include "term/number_text.h"
#include "term/tags.h"
#include "term/walk.h"

enum { PRINT_ATOM_MAX = TERM_ATOM_MAX_BYTES + 1 };

typedef struct print {
    pn_buf out;
    pn_buf is_keyword; /* a byte for each container in the order they open */
    size_t n_opened;   /* on the second walk */
    pn_err err;
} print;

/* ---- output ---- */

static void put(print *p, const void *bytes, size_t len)
{
    if (p->err == PN_OK) {
        p->err = pn_buf_append(&p->out, bytes, len);
    }
}

static void put_text(print *p, const char *text)
{
    put(p, text, strlen(text));
}

static void put_number(print *p, uint64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);

    put(p, text, (size_t)len);
}

/* ---- text ---- */

/* The letter behind the backslash of a short escape of c, or 0. */
static char short_escape(uint32_t c)
{
    static const char letters[] = "0......abtnvfr";

    if (c == 27) {
        return 'e';
    }
    if (c == 127) {
        return 'd';
    }
    return c < sizeof(letters) - 1 && letters[c] != '.' ? letters[c] : '\0';
}

/* True for characters that String.printable? takes. */
static bool is_printable(uint32_t c)
{
    if (c < 0xa0) {
        return (c >= 0x20 && c < 0x7f) || (c > 0 && short_escape(c) != '\0');
    }
    return c <= 0xfffd || c >= 0x10000;
}

static void put_escaped(print *p, uint32_t c, const uint8_t *utf8, size_t n)
{
    char text[16];

    if (short_escape(c) != '\0') {
        text[0] = '\\';
        text[1] = short_escape(c);
        put(p, text, 2);
    } else if (is_printable(c)) {
        put(p, utf8, n);
    } else {
        (void)snprintf(
            text, sizeof(text), c < 0x100 ? "\\x%02X" : "\\x{%X}", c);
        put_text(p, text);
    }
}

/* Valid UTF-8 between double quotes. */
static void put_quoted(print *p, pn_slice s)
{
    const uint8_t *end = s.data + s.len;
    const uint8_t *at = s.data;

    put_text(p, "\"");
    while (at < end) {
        uint32_t c = 0;
        size_t n = pn_utf8_decode(at, end, &c);

        if (c == '"' || c == '\\'
            || (c == '#' && at + 1 < end && at[1] == '{')) {
            put_text(p, "\\");
        }
        put_escaped(p, c, at, n);
        at += n;
    }
    put_text(p, "\"");
}

static bool is_text(pn_slice s)
{
    const uint8_t *end = s.data + s.len;
    const uint8_t *at = s.data;

    while (at < end) {
        uint32_t c = 0;
        size_t n = pn_utf8_decode(at, end, &c);

        if (n == 0 || !is_printable(c)) {
            return false;
        }
        at += n;
    }
    return true;
}

/* ---- atoms ---- */

/* An atom's name in UTF-8, in buf where it has to be converted. */
static pn_slice atom_name(pn_term term, char *buf)
{
    size_t len = 0;

    if (pn_term_atom_name(term, buf, PRINT_ATOM_MAX, &len) != PN_OK) {
        len = 0;
    }
    return (pn_slice){(const uint8_t *)buf, len};
}

enum { ELIXIR_LEN = 7 }; /* of "Elixir." */

static bool is_module(pn_slice name)
{
    return name.len >= ELIXIR_LEN && pn_ident_is_elixir(name);
}

/* Elixir and Elixir.Elixir.Foo are written out. */
static pn_slice alias_name(pn_slice name)
{
    pn_slice rest;

    if (!is_module(name)) {
        return name;
    }
    rest = (pn_slice){name.data + ELIXIR_LEN, name.len - ELIXIR_LEN};
    return pn_ident_is_elixir(rest) ? name : rest;
}

static void put_atom(print *p, pn_slice name)
{
    switch (pn_ident_of(name)) {
    case IDENT_WORD:
        put(p, name.data, name.len);
        break;
    case IDENT_ALIAS:
        name = alias_name(name);
        put(p, name.data, name.len);
        break;
    case IDENT_PLAIN:
        put_text(p, ":");
        put(p, name.data, name.len);
        break;
    case IDENT_QUOTED:
        put_text(p, ":");
        put_quoted(p, name);
        break;
    }
}

/* name: or "any thing": */
static void put_key(print *p, pn_slice name)
{
    pn_ident_kind kind = pn_ident_of(name);

    if (kind == IDENT_QUOTED || kind == IDENT_ALIAS) {
        put_quoted(p, name);
    } else {
        put(p, name.data, name.len);
    }
    put_text(p, ": ");
}

/* True for an atom that may stand before a colon, which a module may not. */
static bool is_key(pn_term term)
{
    char buf[PRINT_ATOM_MAX];

    return pn_term_type_of(term) == PN_TERM_ATOM
           && !is_module(atom_name(term, buf));
}

/* ---- numbers and bits ---- */

static void put_big_integer(print *p, pn_term term)
{
    size_t n = (term.len + 7) / 4 * 4; /* keeps the words aligned */
    uint32_t *scratch = malloc(2 * n + pn_decimal_room(n));
    pn_term_reader r;
    bool is_negative = false;
    uint8_t *magnitude;
    char *digits;

    if (scratch == NULL) {
        p->err = PN_NOMEM;
        return;
    }
    magnitude = (uint8_t *)scratch + n;
    digits = (char *)magnitude + n;
    pn_term_reader_init(&r, term);
    n = pn_term_read_bignum(&r, &is_negative, magnitude, n);
    if (is_negative) {
        put_text(p, "-");
    }
    put(p, digits, pn_bignum_to_decimal(magnitude, n, scratch, digits));
    free(scratch);
}

/* Nearly all integers are small; the others go through a bignum. */
static void put_integer(print *p, pn_term term)
{
    pn_term_reader r;
    int64_t value;

    pn_term_reader_init(&r, term);
    value = pn_term_read_int64(&r);
    if (pn_term_reader_finish(&r) != PN_OK) {
        put_big_integer(p, term);
        return;
    }
    if (value < 0) {
        put_text(p, "-");
    }
    put_number(p, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void put_float(print *p, pn_term term)
{
    char text[FLOAT_TEXT_MAX];
    pn_term_reader r;

    pn_term_reader_init(&r, term);
    put(p, text, pn_float_to_text(pn_term_read_double(&r), text));
}

static void put_bits(print *p, pn_term term)
{
    pn_term_reader r;
    unsigned bits;
    pn_slice s;

    pn_term_reader_init(&r, term);
    s = pn_term_read_bitstring(&r, &bits);
    if (bits == 8 && is_text(s)) {
        put_quoted(p, s);
        return;
    }
    put_text(p, "<<");
    for (size_t i = 0; i < s.len; i++) {
        bool is_part = bits < 8 && i + 1 == s.len;

        if (i > 0) {
            put_text(p, ", ");
        }
        put_number(p, is_part ? s.data[i] >> (8 - bits) : s.data[i]);
        if (is_part) {
            put_text(p, "::size(");
            put_number(p, bits);
            put_text(p, ")");
        }
    }
    put_text(p, ">>");
}

/* ---- opaque terms ---- */

/* The name of the atom at *at, which is a node or a module; *at moves behind
 * it. */
static pn_slice take_atom(const uint8_t **at, const uint8_t *end, char *buf)
{
    pn_term_reader r;
    pn_term atom;

    pn_term_reader_init(&r, (pn_term){*at, (size_t)(end - *at)});
    atom = pn_term_read_any(&r);
    *at = r.at;
    return atom_name(atom, buf);
}

/* A name between < and >, quoted unless it is plain. */
static void put_node(print *p, pn_slice name)
{
    if (pn_ident_of(name) == IDENT_QUOTED) {
        put_quoted(p, name);
    } else {
        put(p, name.data, name.len);
    }
}

/* &Mod.fun/arity, as inspect prints it. */
static void put_export(print *p, pn_term term)
{
    char buf[PRINT_ATOM_MAX];
    const uint8_t *at = term.data + 1;
    const uint8_t *end = term.data + term.len;
    pn_slice name = take_atom(&at, end, buf);

    put_text(p, "&");
    put_atom(p, name);
    put_text(p, ".");
    name = take_atom(&at, end, buf);
    if (pn_ident_is_callable(name)) {
        put(p, name.data, name.len);
    } else {
        put_quoted(p, name);
    }
    put_text(p, "/");
    put_number(p, term.data[term.len - 1]);
}

/* #Function<module/arity>. The other parts of a fun mean nothing outside its
 * node. */
static void put_fun(print *p, pn_term term)
{
    enum { FUN_HEAD = 30, FUN_ARITY = 5 };
    char buf[PRINT_ATOM_MAX];
    const uint8_t *at = term.data + FUN_HEAD;
    pn_slice name = take_atom(&at, term.data + term.len, buf);

    put_text(p, "#Function<");
    put_node(p, name);
    put_text(p, "/");
    put_number(p, term.data[FUN_ARITY]);
    put_text(p, ">");
}

static void put_words(print *p, const uint8_t *words, size_t len)
{
    for (size_t i = 0; i + 4 <= len; i += 4) {
        put_text(p, ".");
        put_number(p, pn_load_be32(words + i));
    }
}

/* The last word comes first, as with inspect. */
static void put_reference(print *p, pn_term term)
{
    char buf[PRINT_ATOM_MAX];
    bool is_oldest = term.data[0] == TAG_REFERENCE;
    size_t n_creation = term.data[0] == TAG_NEWER_REFERENCE ? 4 : 1;
    const uint8_t *at = term.data + (is_oldest ? 1 : 3);
    const uint8_t *end = term.data + term.len;
    pn_slice node = take_atom(&at, end, buf);

    put_text(p, "#Reference<");
    put_node(p, node);
    if (is_oldest) {
        put_words(p, at, 4);
    } else {
        at += n_creation;
        for (const uint8_t *w = end; w > at; w -= 4) {
            put_words(p, w - 4, 4);
        }
    }
    put_text(p, ">");
}

/* A pid has two numbers, a port one, of 4 bytes or of 8. */
static void put_id(print *p, pn_term term)
{
    char buf[PRINT_ATOM_MAX];
    const uint8_t *at = term.data + 1;
    pn_slice node = take_atom(&at, term.data + term.len, buf);
    uint8_t tag = term.data[0];
    bool is_pid = tag == TAG_PID || tag == TAG_NEW_PID;

    put_text(p, is_pid ? "#PID<" : "#Port<");
    put_node(p, node);
    if (tag == TAG_V4_PORT) {
        put_text(p, ".");
        put_number(p, pn_load_be64(at));
    } else {
        put_words(p, at, is_pid ? 8 : 4);
    }
    put_text(p, ">");
}

static void put_opaque(print *p, pn_term term)
{
    switch (term.data[0]) {
    case TAG_EXPORT:
        put_export(p, term);
        break;
    case TAG_NEW_FUN:
        put_fun(p, term);
        break;
    case TAG_REFERENCE:
    case TAG_NEW_REFERENCE:
    case TAG_NEWER_REFERENCE:
        put_reference(p, term);
        break;
    default:
        put_id(p, term);
        break;
    }
}

/* ---- first walk: which lists and maps have names ---- */

/* An element of top is complete; is_pair says whether it was {name, _}. */
static void find_element(pn_stack_item *top, pn_term term, bool is_pair)
{
    bool is_last = top->left == 0;
    bool is_first = top->left + 1 == top->total;
    bool is_fine = true;

    switch (top->kind) {
    case PN_TERM_TUPLE:
        /* Remembers whether it is {name, _}. */
        is_fine = top->total == 2 && (!is_first || is_key(term));
        break;
    case PN_TERM_LIST:
        is_fine = is_last ? term.len == 1 && term.data[0] == TAG_NIL : is_pair;
        break;
    default:
        is_fine = top->left % 2 == 0 || is_key(term);
        break;
    }
    top->flag = top->flag && is_fine;
}

static void find_open(print *p, pn_walk *w)
{
    pn_stack_item *top = pn_stack_top(&w->open);
    static const uint8_t no = 0;

    top->flag = true;
    top->index = (uint32_t)pn_buf_used(&p->is_keyword);
    if (p->err == PN_OK) {
        p->err = pn_buf_append(&p->is_keyword, &no, 1);
    }
}

static void find_step(print *p, pn_walk *w, pn_walk_event event)
{
    static const pn_term none = {NULL, 0};
    pn_stack_item *top = pn_stack_top(&w->open);

    if (event == WALK_OPEN) {
        find_open(p, w);
        return;
    }
    if (event == WALK_CLOSE) {
        pn_buf_head(&p->is_keyword)[w->closed.index] = w->closed.flag;
    }
    if (top != NULL && event == WALK_VALUE) {
        find_element(top, w->term, false);
    } else if (top != NULL) {
        find_element(
            top, none, w->closed.kind == PN_TERM_TUPLE && w->closed.flag);
    }
}

/* ---- second walk: printing ---- */

/* How a container is printed; the flag of its frame. */
enum {
    AS_TUPLE,
    AS_LIST,
    AS_MAP,
    AS_KEYWORDS, /* a list of {name, value} */
    AS_NAMES,    /* a map of names */
    AS_PAIR      /* a tuple inside a list of them: no brackets */
};

static bool is_tail(const pn_stack_item *top)
{
    return top->kind == PN_TERM_LIST && top->left == 0;
}

/* Puts what stands between the element before and this one, which is no longer
 * counted in left. */
static void put_separator(print *p, const pn_stack_item *top)
{
    uint32_t at = top->total - 1 - top->left;

    if (is_tail(top)) {
        put_text(p, " | ");
    } else if (top->kind == PN_TERM_MAP && at % 2 == 1) {
        put_text(p, top->flag == AS_MAP ? " => " : "");
    } else if (at > 0 && top->flag != AS_PAIR) {
        put_text(p, ", ");
    }
}

static bool is_name(const pn_stack_item *top)
{
    uint32_t at = top->total - 1 - top->left;

    return (top->flag == AS_NAMES && at % 2 == 0)
           || (top->flag == AS_PAIR && at == 0);
}

static void put_value(print *p, pn_term term)
{
    char buf[PRINT_ATOM_MAX];

    switch (pn_term_type_of(term)) {
    case PN_TERM_INTEGER:
        put_integer(p, term);
        break;
    case PN_TERM_FLOAT:
        put_float(p, term);
        break;
    case PN_TERM_ATOM:
        put_atom(p, atom_name(term, buf));
        break;
    case PN_TERM_BINARY:
    case PN_TERM_BITSTRING:
        put_bits(p, term);
        break;
    case PN_TERM_OPAQUE:
        put_opaque(p, term);
        break;
    case PN_TERM_TUPLE:
        put_text(p, "{}");
        break;
    case PN_TERM_MAP:
        put_text(p, "%{}");
        break;
    default:
        put_text(p, "[]");
        break;
    }
}

static void print_value(print *p, const pn_stack_item *top, pn_term term)
{
    char buf[PRINT_ATOM_MAX];

    if (top == NULL) {
        put_value(p, term);
        return;
    }
    if (is_tail(top) && term.data[0] == TAG_NIL) {
        return; /* the list is proper */
    }
    put_separator(p, top);
    if (is_name(top)) {
        put_key(p, atom_name(term, buf));
    } else {
        put_value(p, term);
    }
}

static void print_open(print *p, pn_stack_item *parent, pn_stack_item *top)
{
    static const char *const opening[] = {"{", "[", "%{", "[", "%{", ""};
    bool is_named = pn_buf_head(&p->is_keyword)[p->n_opened++] != 0;

    /* Both walks open the same containers. */
    assert(p->n_opened <= pn_buf_used(&p->is_keyword));
    if (top->kind == PN_TERM_LIST) {
        top->flag = is_named ? AS_KEYWORDS : AS_LIST;
    } else if (top->kind == PN_TERM_MAP) {
        top->flag = is_named ? AS_NAMES : AS_MAP;
    } else {
        top->flag = AS_TUPLE;
    }
    if (parent != NULL) {
        put_separator(p, parent);
        if (parent->flag == AS_KEYWORDS) {
            top->flag = AS_PAIR;
        }
    }
    put_text(p, opening[top->flag]);
}

static void print_step(print *p, pn_walk *w, pn_walk_event event)
{
    static const char *const closing[] = {"}", "]", "}", "]", "}", ""};
    pn_stack_item *top = pn_stack_top(&w->open);

    if (event == WALK_VALUE) {
        print_value(p, top, w->term);
    } else if (event == WALK_CLOSE) {
        put_text(p, closing[w->closed.flag]);
    } else {
        print_open(p, w->open.n > 1 ? top - 1 : NULL, top);
    }
}

static void walk_all(print *p, pn_term term,
    void (*step)(print *p, pn_walk *w, pn_walk_event event))
{
    pn_walk w;
    pn_walk_event event;

    pn_walk_init(&w, term);
    while ((event = pn_walk_next(&w)) > WALK_ERROR && p->err == PN_OK) {
        step(p, &w, event);
    }
    if (event == WALK_ERROR && p->err == PN_OK) {
        p->err = w.err;
    }
    pn_walk_fini(&w);
}

pn_err pn_term_to_text(pn_term term, char **ret_text, size_t *ret_len)
{
    print p = {.err = PN_OK};

    if (term.len == 0) {
        return PN_INVALID;
    }
    walk_all(&p, term, find_step);
    if (p.err == PN_OK) {
        walk_all(&p, term, print_step);
    }
    put(&p, "", 1);
    pn_buf_fini(&p.is_keyword);
    if (p.err != PN_OK) {
        pn_buf_fini(&p.out);
        return p.err;
    }
    *ret_text = (char *)p.out.data;
    *ret_len = pn_buf_used(&p.out) - 1;
    return PN_OK;
}

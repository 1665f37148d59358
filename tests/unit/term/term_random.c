/* SPDX-License-Identifier: Apache-2.0 */
/* Random terms for tests; see term_random.h. Tests may recurse. */
#include <stdio.h>
#include <string.h>

#include "term/walk.h"
#include "term_random.h"

static uint64_t draw(uint64_t *seed)
{
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t below(uint64_t *seed, uint64_t n)
{
    return draw(seed) % n;
}

static void write_integer(pn_term_writer *w, uint64_t *seed)
{
    uint8_t digits[512];
    size_t n;

    switch (below(seed, 6)) {
    case 0:
        pn_term_write_int64(w, (int64_t)below(seed, 260));
        break;
    case 1:
        pn_term_write_int64(w, (int64_t)below(seed, 1000) - 500);
        break;
    case 2: /* around a power of two */
        pn_term_write_int64(w,
            (int64_t)((UINT64_C(1) << below(seed, 63)) + below(seed, 3) - 1));
        break;
    case 3:
        pn_term_write_int64(w,
            -(int64_t)((UINT64_C(1) << below(seed, 63)) - 1 + below(seed, 3)));
        break;
    case 4:
        pn_term_write_int64(w, (int64_t)draw(seed));
        break;
    default:
        n = below(seed, 16) == 0 ? below(seed, 513) : below(seed, 20);
        for (size_t i = 0; i < n; i++) {
            digits[i] = (uint8_t)(below(seed, 4) == 0 ? 0 : draw(seed));
        }
        pn_term_write_bignum(w, below(seed, 2) == 0, digits, n);
        break;
    }
}

static double from_bits(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static double power_of_ten(uint64_t n)
{
    double value = 1;

    while (n-- > 0) {
        value *= 10;
    }
    return value;
}

static void write_float(pn_term_writer *w, uint64_t *seed)
{
    uint64_t bits = draw(seed);
    double value;

    switch (below(seed, 6)) {
    case 0:
        value = (double)(int64_t)below(seed, 2000) / 100 - 10;
        break;
    case 1:
        value = (double)(int64_t)draw(seed);
        break;
    case 2: /* a power of two, or beside one */
        value = from_bits((below(seed, 2046) << 52) + below(seed, 3) - 1);
        break;
    case 3:
        value = (double)below(seed, 100000) * power_of_ten(below(seed, 24));
        break;
    case 4:
        value = (double)below(seed, 100000) / power_of_ten(below(seed, 300));
        break;
    default:
        value = from_bits(bits);
        break;
    }
    /* Neither infinities nor what is not a number. */
    memcpy(&bits, &value, sizeof(bits));
    pn_term_write_double(w, (bits >> 52 & 0x7ff) == 0x7ff ? 0.5 : value);
}

/* Characters of many kinds: escapes, operators, scripts, marks, astral. */
static size_t put_char(uint64_t *seed, char *out)
{
    static const char *const odd[] = {"\xc3\xa9", "\xce\xb1", "\xd0\xb6",
        "\xe2\x98\x8e", "\xf0\x9f\x98\x80", "\xcc\x81", "\xe6\xbc\xa2",
        "\xe3\x81\x82", "\xd7\xa9", "\xc2\xb5", "\xc2\x80", "\xef\xbf\xbe",
        "\xe2\x80\xae", "\xe2\x80\x8b", "\xc3\x89", "\xea\xb0\x80",
        "\xf4\x8f\xbf\xbf", "\xe0\xa4\x95", "\xcc\xa7", "\xe1\xba\xa4"};
    const char *c;

    if (below(seed, 3) != 0) {
        *out = (char)('a' + below(seed, 26));
        return 1;
    }
    if (below(seed, 2) != 0) {
        *out = (char)below(seed, 128);
        return 1;
    }
    c = odd[below(seed, sizeof(odd) / sizeof(odd[0]))];
    memcpy(out, c, strlen(c));
    return strlen(c);
}

static size_t random_text(uint64_t *seed, char *out, size_t max_chars)
{
    size_t chars = below(seed, 20) == 0 ? below(seed, max_chars)
                                        : below(seed, 9);
    size_t len = 0;

    for (size_t i = 0; i < chars; i++) {
        len += put_char(seed, out + len);
    }
    return len;
}

static void write_atom(pn_term_writer *w, uint64_t *seed)
{
    static const char *const usual[] = {"ok", "error", "true", "false", "nil",
        "Elixir.MyApp.Led", "Elixir.Enum", "Elixir", "Elixir.", "Elixir.a",
        "undefined", "+", "..//", "<<>>", "%{}", "Foo", "a?", "b!", "a@b",
        "hello world", "=>", "::", "", "Elixir.Elixir", "Elixir.Elixir.A",
        "__struct__", "1a", "fn", "not", "\\\\", "&&&", "#{", "caf\xc3\xa9"};
    char name[4 * 256];
    size_t len;

    if (below(seed, 3) != 0) {
        pn_term_write_atom(
            w, usual[below(seed, sizeof(usual) / sizeof(usual[0]))]);
        return;
    }
    /* Few different ones: a VM never forgets an atom. */
    if (below(seed, 4) != 0) {
        len = (size_t)snprintf(
            name, sizeof(name), "k%u", (unsigned)below(seed, 1000));
    } else {
        len = random_text(seed, name, 255);
    }
    pn_term_write_atom_n(w, name, len);
}

static void write_binary(pn_term_writer *w, uint64_t *seed)
{
    char text[4 * 600];
    size_t len;

    switch (below(seed, 3)) {
    case 0:
        len = below(seed, 30) == 0 ? below(seed, 600) : below(seed, 40);
        for (size_t i = 0; i < len; i++) {
            text[i] = (char)draw(seed);
        }
        pn_term_write_binary(w, text, len);
        break;
    case 1:
        len = below(seed, 10);
        for (size_t i = 0; i < len + 1; i++) {
            text[i] = (char)draw(seed);
        }
        pn_term_write_bitstring(w, text, len + 1, 1 + (unsigned)below(seed, 8));
        break;
    default:
        pn_term_write_binary(w, text, random_text(seed, text, 600));
        break;
    }
}

static void write_any(pn_term_writer *w, uint64_t *seed, unsigned depth);

static void write_scalar(pn_term_writer *w, uint64_t *seed)
{
    switch (below(seed, 5)) {
    case 0:
        write_float(w, seed);
        break;
    case 1:
    case 2:
        write_atom(w, seed);
        break;
    case 3:
        write_binary(w, seed);
        break;
    default:
        write_integer(w, seed);
        break;
    }
}

static uint64_t random_count(uint64_t *seed, unsigned depth)
{
    if (depth < 2 && below(seed, 200) == 0) {
        return below(seed, 300);
    }
    return below(seed, 4);
}

static void write_list(pn_term_writer *w, uint64_t *seed, unsigned depth)
{
    uint64_t n = random_count(seed, depth);
    uint64_t how = below(seed, 4);

    pn_term_write_list_begin(w);
    for (uint64_t i = 0; i < n; i++) {
        if (how == 0) {
            pn_term_write_int64(w, (int64_t)below(seed, 256));
        } else if (how == 1) { /* nearly a keyword list, or one */
            pn_term_write_tuple_begin(w);
            write_atom(w, seed);
            write_any(w, seed, depth + 1);
            pn_term_write_tuple_end(w);
        } else {
            write_any(w, seed, depth + 1);
        }
    }
    if (n > 0 && below(seed, 6) == 0) {
        write_any(w, seed, depth + 1);
        pn_term_write_list_end_improper(w);
    } else {
        pn_term_write_list_end(w);
    }
}

/* Keys that differ: numbered, in one of several shapes. */
static void write_key(
    pn_term_writer *w, uint64_t *seed, uint64_t how, uint64_t i)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "key%u", (unsigned)i);
    switch (how) {
    case 0:
        pn_term_write_atom(w, name);
        break;
    case 1:
        pn_term_write_string(w, name);
        break;
    case 2:
        pn_term_write_int64(w, (int64_t)(i * i * i * 77777) - 300);
        break;
    case 3:
        pn_term_write_double(w, (double)i + 0.25);
        break;
    case 4:
        pn_term_write_tuple_begin(w);
        write_scalar(w, seed);
        pn_term_write_int64(w, (int64_t)i);
        pn_term_write_tuple_end(w);
        break;
    case 5:
        pn_term_write_map_begin(w);
        pn_term_write_atom(w, "n");
        pn_term_write_int64(w, (int64_t)i);
        pn_term_write_atom(w, "x");
        write_scalar(w, seed);
        pn_term_write_map_end(w);
        break;
    default:
        write_key(w, seed, i % 6, i);
        break;
    }
}

static void write_map(pn_term_writer *w, uint64_t *seed, unsigned depth)
{
    uint64_t n = random_count(seed, depth);
    uint64_t how = below(seed, 8);

    pn_term_write_map_begin(w);
    for (uint64_t i = 0; i < n; i++) {
        write_key(w, seed, how, i);
        write_any(w, seed, depth + 1);
    }
    pn_term_write_map_end(w);
}

static void write_any(pn_term_writer *w, uint64_t *seed, unsigned depth)
{
    uint64_t kind = below(seed, depth > 6 ? 6 : 12);

    if (kind < 6) {
        write_scalar(w, seed);
    } else if (kind < 8) {
        write_list(w, seed, depth);
    } else if (kind < 10) {
        uint64_t n = random_count(seed, depth);

        pn_term_write_tuple_begin(w);
        for (uint64_t i = 0; i < n; i++) {
            write_any(w, seed, depth + 1);
        }
        pn_term_write_tuple_end(w);
    } else {
        write_map(w, seed, depth);
    }
}

void term_random_write(pn_term_writer *w, uint64_t *seed)
{
    unsigned deep = below(seed, 100) == 0 ? (unsigned)below(seed, 400) : 0;

    for (unsigned i = 0; i < deep; i++) {
        pn_term_write_tuple_begin(w);
    }
    write_any(w, seed, 0);
    for (unsigned i = 0; i < deep; i++) {
        pn_term_write_tuple_end(w);
    }
}

/* ---- other spellings ---- */

typedef struct output {
    uint8_t *at;
    uint8_t *end;
    bool is_full;
} output;

static void out_bytes(output *o, const void *p, size_t n)
{
    if ((size_t)(o->end - o->at) < n) {
        o->is_full = true;
        return;
    }
    memcpy(o->at, p, n);
    o->at += n;
}

static void out_number(output *o, size_t n, uint64_t value)
{
    for (size_t i = n; i > 0; i--) {
        uint8_t byte = (uint8_t)(value >> (8 * (i - 1)));

        out_bytes(o, &byte, 1);
    }
}

static void respell_integer(output *o, uint64_t *seed, pn_term term)
{
    static const uint8_t zeros[8];
    uint8_t digits[600];
    pn_term_reader r;
    bool is_negative = false;
    size_t pad = below(seed, 4);
    size_t n;

    pn_term_reader_init(&r, term);
    n = pn_term_read_bignum(&r, &is_negative, digits, sizeof(digits));
    if (below(seed, 2) == 0 || n + pad > 255) {
        out_number(o, 1, 111);
        pad = n + pad > 512 ? 0 : pad;
        out_number(o, 4, n + pad);
    } else {
        out_number(o, 1, 110);
        out_number(o, 1, n + pad);
    }
    out_number(o, 1, is_negative ? 1 + below(seed, 255) : 0);
    out_bytes(o, digits, n);
    out_bytes(o, zeros, pad);
}

static void respell_atom(output *o, uint64_t *seed, pn_term term)
{
    char name[1021];
    size_t len = 0;
    bool is_ascii = true;

    if (pn_term_atom_name(term, name, sizeof(name), &len) != PN_OK) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        is_ascii = is_ascii && (uint8_t)name[i] < 128;
    }
    if (is_ascii && below(seed, 2) == 0) {
        bool is_short = below(seed, 2) == 0;

        out_number(o, 1, is_short ? 115 : 100);
        out_number(o, is_short ? 1 : 2, len);
    } else {
        out_number(o, 1, 118);
        out_number(o, 2, len);
    }
    out_bytes(o, name, len);
}

static void respell_value(output *o, uint64_t *seed, pn_term term)
{
    if (below(seed, 3) == 0) {
        out_bytes(o, term.data, term.len);
        return;
    }
    switch (pn_term_type_of(term)) {
    case PN_TERM_INTEGER:
        respell_integer(o, seed, term);
        break;
    case PN_TERM_ATOM:
        respell_atom(o, seed, term);
        break;
    case PN_TERM_TUPLE:
        out_number(o, 1, 105);
        out_number(o, 4, 0);
        break;
    case PN_TERM_LIST:
        out_number(o, 1, 107);
        out_number(o, 2, 0);
        break;
    default:
        out_bytes(o, term.data, term.len);
        break;
    }
}

static void respell_open(output *o, uint64_t *seed, const pn_stack_item *top)
{
    switch (top->kind) {
    case PN_TERM_TUPLE:
        if (top->total < 256 && below(seed, 2) == 0) {
            out_number(o, 1, 104);
            out_number(o, 1, top->total);
        } else {
            out_number(o, 1, 105);
            out_number(o, 4, top->total);
        }
        break;
    case PN_TERM_LIST:
        out_number(o, 1, 108);
        out_number(o, 4, top->total - 1);
        break;
    default:
        out_number(o, 1, 116);
        out_number(o, 4, top->total / 2);
        break;
    }
}

size_t term_random_respell(
    pn_term term, uint64_t *seed, uint8_t *out, size_t cap)
{
    output o = {.at = out, .end = out + cap};
    pn_walk w;
    pn_walk_event event;

    out_number(&o, 1, 131);
    pn_walk_init(&w, term);
    while ((event = pn_walk_next(&w)) > WALK_ERROR) {
        const pn_stack_item *top = pn_stack_top(&w.open);

        if (event == WALK_OPEN) {
            respell_open(&o, seed, top);
        } else if (event == WALK_VALUE && top != NULL
                   && top->kind == PN_TERM_LIST && top->left == 0) {
            /* A tail keeps its form: an empty string is none. */
            out_bytes(&o, w.term.data, w.term.len);
        } else if (event == WALK_VALUE) {
            respell_value(&o, seed, w.term);
        }
    }
    pn_walk_fini(&w);
    return o.is_full || event == WALK_ERROR ? 0 : (size_t)(o.at - out);
}

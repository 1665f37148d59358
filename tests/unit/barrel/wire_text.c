/* SPDX-License-Identifier: Apache-2.0 */
#include "wire_text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 600 };

typedef struct wire {
    uint8_t *out;
    size_t len;
    const char *text;
    const char *at;
    const uint8_t *got;
    size_t got_len;
    wire_vars *vars;
    struct {
        bool is_list;
        bool is_improper;
    } open[DEPTH_MAX];
    size_t depth;
} wire;

/* ---- bytes ------------------------------------------------------------- */

static void put(wire *w, const void *data, size_t len)
{
    assert_true(w->len + len <= WIRE_MAX);
    memcpy(w->out + w->len, data, len);
    w->len += len;
}

static void put_number(wire *w, uint64_t value, size_t bytes)
{
    while (bytes-- > 0) {
        uint8_t byte = (uint8_t)(value >> (8 * bytes));

        put(w, &byte, 1);
    }
}

static void put_atom(wire *w, const char *name, size_t len)
{
    put_number(w, 119, 1); /* SMALL_ATOM_UTF8_EXT */
    put_number(w, len, 1);
    put(w, name, len);
}

static void put_integer(wire *w, uint64_t value)
{
    if (value < 256) {
        put_number(w, 97, 1);
        put_number(w, value, 1);
    } else if (value <= INT32_MAX) {
        put_number(w, 98, 1);
        put_number(w, value, 4);
    } else {
        uint8_t n = 0;

        while (n < 8 && value >> (8 * n) != 0) {
            n++;
        }
        put_number(w, 110, 1); /* SMALL_BIG_EXT, little-endian */
        put_number(w, n, 1);
        put_number(w, 0, 1);
        for (; n > 0; n--, value >>= 8) {
            put_number(w, value & 0xff, 1);
        }
    }
}

/* ---- pids and references ----------------------------------------------- */

wire_var *wire_var_of(wire_vars *vars, char name)
{
    assert_true(name >= 'A' && name <= 'Z');
    return &vars->of[name - 'A'];
}

void wire_set_pid(wire_vars *vars, char name, const char *node, uint32_t id,
    uint32_t creation)
{
    wire_var *var = wire_var_of(vars, name);
    wire w = {.out = var->data};

    put_number(&w, 88, 1); /* NEW_PID_EXT */
    put_atom(&w, node, strlen(node));
    put_number(&w, id, 4);
    put_number(&w, 0, 4); /* serial */
    put_number(&w, creation, 4);
    var->len = w.len;
}

void wire_set_ref(wire_vars *vars, char name, const char *node, uint32_t word,
    uint32_t creation)
{
    wire_var *var = wire_var_of(vars, name);
    wire w = {.out = var->data};

    put_number(&w, 90, 1); /* NEWER_REFERENCE_EXT */
    put_number(&w, 3, 2);
    put_atom(&w, node, strlen(node));
    put_number(&w, creation, 4);
    put_number(&w, word, 4);
    put_number(&w, 0, 8);
    var->len = w.len;
}

void wire_set_binary(wire_vars *vars, char name, size_t len)
{
    wire_var *var = wire_var_of(vars, name);
    wire w = {.out = var->data};

    assert_true(len >= 5 && len <= WIRE_VAR_MAX);
    put_number(&w, 109, 1); /* BINARY_EXT */
    put_number(&w, len - 5, 4);
    memset(var->data + 5, 0x5a, len - 5);
    var->len = len;
}

/* The pid or reference at the same place of what came. */
static void take(wire *w, wire_var *var)
{
    size_t left = w->got_len > w->len ? w->got_len - w->len : 0;
    const uint8_t *p = left == 0 ? w->out : w->got + w->len;
    size_t atom_at;

    if (left < 5 || (p[0] != 88 && p[0] != 90)) {
        fail_msg("no pid or reference at byte %zu for %s", w->len, w->text);
    }
    atom_at = p[0] == 88 ? 1 : 3;
    assert_int_equal(p[atom_at], 119);
    var->len = atom_at + 2 + p[atom_at + 1];
    var->len += p[0] == 88 ? 12 : 4 + 4 * (size_t)p[2];
    assert_true(var->len <= left && var->len <= WIRE_VAR_MAX);
    memcpy(var->data, p, var->len);
}

static void put_var(wire *w, char name)
{
    wire_var *var = wire_var_of(w->vars, name);

    if (var->len == 0) {
        take(w, var);
    }
    put(w, var->data, var->len);
}

/* ---- the notation ------------------------------------------------------ */

/* Elements of what opens before p, a tail not counted. */
static size_t count(const char *p)
{
    size_t n = *p == '}' || *p == ']' ? 0 : 1;
    unsigned depth = 1;
    char quote = '\0';

    for (; depth > 0; p++) {
        assert_true(*p != '\0');
        if (quote != '\0') {
            quote = *p == quote ? '\0' : quote;
        } else if (*p == '\'' || *p == '"') {
            quote = *p;
        } else if (*p == '{' || *p == '[') {
            depth++;
        } else if (*p == '}' || *p == ']') {
            depth--;
        } else if (*p == ',' && depth == 1) {
            n++;
        }
    }
    return n;
}

static void open_container(wire *w)
{
    bool is_list = *w->at == '[';
    size_t n = count(++w->at);

    if (!is_list) {
        put_number(w, 104, 1);
        put_number(w, n, 1);
    } else if (n > 0) {
        put_number(w, 108, 1);
        put_number(w, n, 4);
    }
    assert_true(w->depth < DEPTH_MAX);
    w->open[w->depth].is_list = is_list;
    w->open[w->depth++].is_improper = false;
}

static void close_container(wire *w)
{
    assert_true(w->depth > 0);
    w->depth--;
    if (w->open[w->depth].is_list && !w->open[w->depth].is_improper) {
        put_number(w, 106, 1);
    }
    w->at++;
}

/* Up to the quote that ends it. */
static size_t quoted(wire *w, char end)
{
    const char *close = strchr(++w->at, end);

    assert_non_null(close);
    return (size_t)(close - w->at);
}

static void put_quoted(wire *w)
{
    char open = *w->at;
    size_t len = quoted(w, open == '<' ? '>' : open);

    if (open == '\'') {
        put_atom(w, w->at, len);
    } else {
        put_number(w, open == '<' ? 109 : 107, 1);
        put_number(w, len, open == '<' ? 4 : 2);
        put(w, w->at, len);
    }
    w->at += len + 1;
}

static void put_scalar(wire *w)
{
    const char *start = w->at;

    if (*start == '\'' || *start == '"' || *start == '<') {
        put_quoted(w);
    } else if (isdigit((unsigned char)*start) != 0) {
        char *end;

        put_integer(w, strtoull(start, &end, 10));
        w->at = end;
    } else if (isupper((unsigned char)*start) != 0) {
        put_var(w, *w->at++);
    } else {
        while (isalnum((unsigned char)*w->at) != 0 || *w->at == '_') {
            w->at++;
        }
        assert_true(w->at > start);
        put_atom(w, start, (size_t)(w->at - start));
    }
}

static void put_next(wire *w)
{
    switch (*w->at) {
    case '{':
    case '[':
        open_container(w);
        break;
    case '}':
    case ']':
        close_container(w);
        break;
    case '|':
        assert_true(w->depth > 0);
        w->open[w->depth - 1].is_improper = true;
        w->at++;
        break;
    case ',':
        w->at++;
        break;
    default:
        put_scalar(w);
        break;
    }
}

size_t wire_frame(uint8_t out[static WIRE_MAX], const char *text,
    wire_vars *vars, const uint8_t *got, size_t got_len)
{
    wire w = {.out = out,
        .text = text,
        .at = text,
        .vars = vars,
        .got = got,
        .got_len = got == NULL ? 0 : got_len};
    size_t len;

    put_number(&w, 0, 4);
    put_number(&w, 112, 1); /* pass through */
    put_number(&w, 131, 1);
    while (*w.at != '\0') {
        if (*w.at == ' ') {
            assert_int_equal(w.depth, 0);
            put_number(&w, 131, 1);
            w.at++;
        }
        put_next(&w);
    }
    len = w.len;
    w.len = 0;
    put_number(&w, len - 4, 4);
    return len;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a term from a pattern. The writer's own open containers say where in
 * the pattern we are, so there is no second stack. Source: docs/TERM.md.
 */
#include <peernet/key.h>

#include "term/pattern.h"
#include "term/writer_internal.h"

/* What may come next. */
typedef enum format_state {
    FORMAT_VALUE,          /* a value */
    FORMAT_VALUE_OR_CLOSE, /* just after an opening bracket */
    FORMAT_AFTER           /* a comma, a bar, an arrow, a closing bracket */
} format_state;

typedef struct format {
    pn_pattern pattern;
    pn_term_writer *w;
    uint32_t depth;
    uint64_t tails; /* bit d: the list at depth d has had its bar */
    format_state state;
} format;

static void format_fail(format *f)
{
    pn_term_writer_fail(f->w, PN_INVALID);
}

static void format_text(format *f, const char *text, bool is_atom)
{
    if (text == NULL) {
        format_fail(f);
    } else if (is_atom) {
        pn_term_write_atom(f->w, text);
    } else {
        pn_term_write_string(f->w, text);
    }
}

static void format_key(format *f, const pn_public_key *key)
{
    if (key == NULL) {
        format_fail(f);
        return;
    }
    pn_term_write_binary(f->w, key->bytes, sizeof(key->bytes));
}

/* va_list may be an array, which a pointer to it survives. */
typedef struct format_args {
    va_list list;
} format_args;

static void format_directive(format *f, format_args *args)
{
    pn_slice slice;

    switch (f->pattern.directive) {
    case 'a':
        format_text(f, va_arg(args->list, const char *), true);
        break;
    case 's':
        format_text(f, va_arg(args->list, const char *), false);
        break;
    case 'b':
        slice = va_arg(args->list, pn_slice);
        pn_term_write_binary(f->w, slice.data, slice.len);
        break;
    case 'i':
        pn_term_write_int64(f->w, va_arg(args->list, int));
        break;
    case 'l':
        pn_term_write_int64(f->w, va_arg(args->list, int64_t));
        break;
    case 'u':
        pn_term_write_uint64(f->w, va_arg(args->list, uint64_t));
        break;
    case 'd':
        pn_term_write_double(f->w, va_arg(args->list, double));
        break;
    case 'o':
        pn_term_write_bool(f->w, va_arg(args->list, int) != 0);
        break;
    case 'k':
        format_key(f, va_arg(args->list, const pn_public_key *));
        break;
    case 't':
        pn_term_write_term(f->w, va_arg(args->list, pn_term));
        break;
    default:
        format_fail(f);
        break;
    }
}

static void format_open(format *f, pn_pattern_token token)
{
    if (f->depth == PATTERN_DEPTH_MAX) {
        format_fail(f);
        return;
    }
    f->depth++;
    f->tails &= ~(UINT64_C(1) << f->depth);
    f->state = FORMAT_VALUE_OR_CLOSE;
    if (token == PATTERN_TUPLE) {
        pn_term_write_tuple_begin(f->w);
    } else if (token == PATTERN_LIST) {
        pn_term_write_list_begin(f->w);
    } else {
        pn_term_write_map_begin(f->w);
    }
}

static bool has_tail(const format *f)
{
    return (f->tails >> f->depth & 1) != 0;
}

static void format_close(format *f, pn_pattern_token token)
{
    pn_writer_kind kind = pn_term_writer_open(f->w);

    if (f->depth == 0 || (kind == WRITER_LIST) != (token == PATTERN_LIST_END)) {
        format_fail(f);
        return;
    }
    if (kind == WRITER_TUPLE) {
        pn_term_write_tuple_end(f->w);
    } else if (kind == WRITER_MAP) {
        pn_term_write_map_end(f->w);
    } else if (has_tail(f)) {
        pn_term_write_list_end_improper(f->w);
    } else {
        pn_term_write_list_end(f->w);
    }
    f->depth--;
    f->state = FORMAT_AFTER;
}

/* Inside a map, after a key: an arrow is due. */
static bool is_after_key(const format *f)
{
    return f->depth > 0 && pn_term_writer_open(f->w) == WRITER_MAP
           && pn_term_writer_count(f->w) % 2 == 1;
}

static void format_after(format *f, pn_pattern_token token)
{
    bool is_list = f->depth > 0 && pn_term_writer_open(f->w) == WRITER_LIST;

    f->state = FORMAT_VALUE;
    if (is_after_key(f)) {
        if (token != PATTERN_ARROW) {
            format_fail(f);
        }
    } else if (token == PATTERN_BAR && is_list && !has_tail(f)) {
        f->tails |= UINT64_C(1) << f->depth;
    } else if (token == PATTERN_TUPLE_END || token == PATTERN_LIST_END) {
        format_close(f, token);
    } else if (token != PATTERN_COMMA || f->depth == 0 || has_tail(f)) {
        format_fail(f);
    }
}

/* name: stands for a key and its arrow. */
static void format_name_key(format *f)
{
    bool is_map = f->depth > 0 && pn_term_writer_open(f->w) == WRITER_MAP;

    if (!is_map || pn_term_writer_count(f->w) % 2 != 0) {
        format_fail(f);
        return;
    }
    pn_term_write_atom_n(
        f->w, (const char *)f->pattern.text.data, f->pattern.text.len);
    f->state = FORMAT_VALUE;
}

static void format_value(format *f, pn_pattern_token token, format_args *args)
{
    format_state state = f->state;

    f->state = FORMAT_AFTER;
    switch (token) {
    case PATTERN_TUPLE:
    case PATTERN_LIST:
    case PATTERN_MAP:
        format_open(f, token);
        break;
    case PATTERN_TUPLE_END:
    case PATTERN_LIST_END:
        if (state != FORMAT_VALUE_OR_CLOSE) {
            format_fail(f);
        } else {
            format_close(f, token);
        }
        break;
    case PATTERN_KEY:
        format_name_key(f);
        break;
    case PATTERN_ATOM:
        pn_term_write_atom_n(
            f->w, (const char *)f->pattern.text.data, f->pattern.text.len);
        break;
    case PATTERN_INTEGER:
        pn_term_write_int64(f->w, f->pattern.number);
        break;
    case PATTERN_TEXT:
        pn_term_write_binary(f->w, f->pattern.text.data, f->pattern.text.len);
        break;
    case PATTERN_DIRECTIVE:
        format_directive(f, args);
        break;
    default:
        format_fail(f);
        break;
    }
}

void pn_term_write_vformat(pn_term_writer *w, const char *text, va_list list)
{
    format f = {.w = w, .state = FORMAT_VALUE};
    format_args args;

    if (text == NULL) {
        pn_term_writer_fail(w, PN_INVALID);
        return;
    }
    f.pattern.at = text;
    va_copy(args.list, list);
    while (w->err == PN_OK) {
        pn_pattern_token token = pn_pattern_next(&f.pattern);

        if (f.state != FORMAT_AFTER) {
            format_value(&f, token, &args);
        } else if (f.depth > 0) {
            format_after(&f, token);
        } else {
            if (token != PATTERN_END) {
                format_fail(&f);
            }
            break;
        }
    }
    va_end(args.list);
}

void pn_term_write_format(pn_term_writer *w, const char *text, ...)
{
    va_list args;

    va_start(args, text);
    pn_term_write_vformat(w, text, args);
    va_end(args);
}

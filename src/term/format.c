/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a term from a pattern. Source: docs/TERM.md, "Patterns". */
#include <peernet/key.h>

#include "term/pattern.h"
#include "term/writer_internal.h"

typedef struct format {
    pn_pattern pattern;
    pn_term_writer *w;
    bool takes_opaque; /* by ~t */
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

/* va_list may be an array type, which cannot be passed on by pointer; a
 * structure can. */
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
        (f->takes_opaque ? pn_term_write_opaque : pn_term_write_term)(
            f->w, va_arg(args->list, pn_term));
        break;
    default:
        format_fail(f);
        break;
    }
}

static void format_token(format *f, pn_pattern_token token, format_args *args)
{
    const pn_pattern *p = &f->pattern;

    switch (token) {
    case PATTERN_TUPLE:
        pn_term_write_tuple_begin(f->w);
        break;
    case PATTERN_TUPLE_END:
        pn_term_write_tuple_end(f->w);
        break;
    case PATTERN_LIST:
        pn_term_write_list_begin(f->w);
        break;
    case PATTERN_LIST_END:
        if (p->is_tail) {
            pn_term_write_list_end_improper(f->w);
        } else {
            pn_term_write_list_end(f->w);
        }
        break;
    case PATTERN_MAP:
        pn_term_write_map_begin(f->w);
        break;
    case PATTERN_MAP_END:
        pn_term_write_map_end(f->w);
        break;
    case PATTERN_ATOM:
        pn_term_write_atom_n(f->w, (const char *)p->text.data, p->text.len);
        break;
    case PATTERN_INTEGER:
        pn_term_write_int64(f->w, p->number);
        break;
    case PATTERN_TEXT:
        pn_term_write_binary(f->w, p->text.data, p->text.len);
        break;
    case PATTERN_DIRECTIVE:
        format_directive(f, args);
        break;
    default:
        format_fail(f);
        break;
    }
}

static void write_pattern(format *f, const char *text, va_list list)
{
    format_args args;
    pn_pattern_token token;

    if (text == NULL) {
        format_fail(f);
        return;
    }
    pn_pattern_init(&f->pattern, text);
    va_copy(args.list, list);
    while (f->w->err == PN_OK
           && (token = pn_pattern_next(&f->pattern)) != PATTERN_END) {
        format_token(f, token, &args);
    }
    va_end(args.list);
}

void pn_term_write_vformat(pn_term_writer *w, const char *text, va_list list)
{
    format f = {.w = w};

    write_pattern(&f, text, list);
}

void pn_term_write_format(pn_term_writer *w, const char *text, ...)
{
    va_list args;

    va_start(args, text);
    pn_term_write_vformat(w, text, args);
    va_end(args);
}

void pn_term_write_opaque_format(pn_term_writer *w, const char *text, ...)
{
    format f = {.w = w, .takes_opaque = true};
    va_list args;

    va_start(args, text);
    write_pattern(&f, text, args);
    va_end(args);
}

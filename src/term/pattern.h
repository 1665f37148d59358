/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a pattern, as pn_term_write_format and pn_term_match read it. */
#ifndef PN_TERM_PATTERN_H
#define PN_TERM_PATTERN_H

#include <peernet/term.h>

enum {
    PATTERN_TEXT_MAX = 256, /* bytes of a text or name with escapes in it */
    PATTERN_DEPTH_MAX = 32
};

typedef enum pn_pattern_token {
    PATTERN_END,
    PATTERN_ERROR,
    PATTERN_TUPLE,     /* { */
    PATTERN_TUPLE_END, /* } also ends a map */
    PATTERN_LIST,      /* [ */
    PATTERN_LIST_END,  /* ] */
    PATTERN_MAP,       /* %{ */
    PATTERN_COMMA,     /* , */
    PATTERN_BAR,       /* | */
    PATTERN_ARROW,     /* => */
    PATTERN_KEY,       /* name: */
    PATTERN_ATOM,      /* name, 'name' */
    PATTERN_INTEGER,   /* 12, -12 */
    PATTERN_TEXT,      /* "text" */
    PATTERN_DIRECTIVE, /* ~x */
    PATTERN_ANY        /* _ */
} pn_pattern_token;

typedef struct pn_pattern {
    const char *at;
    pn_slice text;  /* KEY, ATOM, TEXT; may point into unescaped */
    int64_t number; /* INTEGER */
    char directive; /* DIRECTIVE: what follows ~ */
    uint8_t unescaped[PATTERN_TEXT_MAX];
} pn_pattern;

/* The next token, and what belongs to it in p. */
pn_pattern_token pn_pattern_next(pn_pattern *p);

/* True when term is the atom whose name in UTF-8 is name. */
bool pn_term_is_atom_slice(pn_term term, pn_slice name);

#endif

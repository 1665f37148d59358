/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns, as pn_term_write_format and pn_term_match take them: their words
 * and the order in which these may stand. docs/TERM.md, "Patterns".
 */
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
    PATTERN_TUPLE_END, /* } */
    PATTERN_LIST,      /* [ */
    PATTERN_LIST_END,  /* ] */
    PATTERN_MAP,       /* %{ */
    PATTERN_MAP_END,   /* } */
    PATTERN_ATOM,      /* name, 'name'; as a key also name: */
    PATTERN_INTEGER,   /* 12, -12 */
    PATTERN_TEXT,      /* "text" */
    PATTERN_DIRECTIVE, /* ~x */
    PATTERN_ANY,       /* _ */
    /* pn_pattern_next does not return these. */
    PATTERN_KEY,   /* name: */
    PATTERN_COMMA, /* , */
    PATTERN_BAR,   /* | */
    PATTERN_ARROW  /* => */
} pn_pattern_token;

/* A container of the pattern that is open. */
typedef struct pn_pattern_frame {
    pn_pattern_token kind; /* PATTERN_TUPLE, PATTERN_LIST or PATTERN_MAP */
    bool has_key;          /* map: its newest key has no value yet */
    bool has_tail;         /* list: the bar was there */
} pn_pattern_frame;

typedef struct pn_pattern {
    const char *at;
    int state;
    uint32_t depth;
    pn_pattern_frame frames[PATTERN_DEPTH_MAX];
    /* About the newest token: */
    bool is_key;    /* it is a key of a map, or begins one */
    bool is_tail;   /* it is the tail of a list, or ends a list that has one */
    pn_slice text;  /* ATOM, TEXT; may point into unescaped */
    int64_t number; /* INTEGER */
    char directive; /* DIRECTIVE: what follows ~ */
    uint8_t unescaped[PATTERN_TEXT_MAX];
} pn_pattern;

void pn_pattern_init(pn_pattern *p, const char *text);

/* The next token, and what belongs to it in p: PATTERN_END behind one whole
 * value, PATTERN_ERROR where the pattern is none. */
pn_pattern_token pn_pattern_next(pn_pattern *p);

/* True when term is the atom whose name in UTF-8 is name. */
bool pn_term_is_atom_slice(pn_term term, pn_slice name);

#endif

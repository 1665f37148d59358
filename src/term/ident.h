/* SPDX-License-Identifier: Apache-2.0 */
/* How Elixir writes an atom: as a word, an alias, with a colon, or quoted. */
#ifndef PN_TERM_IDENT_H
#define PN_TERM_IDENT_H

#include <peernet/common.h>

typedef enum pn_ident_kind {
    IDENT_WORD,  /* true, false, nil; as a key with a colon behind it */
    IDENT_ALIAS, /* Elixir.Foo.Bar: Foo.Bar */
    IDENT_PLAIN, /* :name, :+ */
    IDENT_QUOTED /* :"any thing" */
} pn_ident_kind;

/* Whether name is Elixir, or Elixir with a dot behind it. */
bool pn_ident_is_elixir(pn_slice name);

/* The spelling of the atom called name (valid UTF-8). */
pn_ident_kind pn_ident_of(pn_slice name);

/* Whether a function of this name is called without quotes. */
bool pn_ident_is_callable(pn_slice name);

/* How many bytes at the start of text are letters, digits, _ or @. */
size_t pn_ident_run(pn_slice text);

/* How many bytes at the start of text are an identifier, ! or ? at its end
 * included; 0 when none begins there. */
size_t pn_ident_scan(pn_slice text);

/* How many bytes at the start of text are an operator that needs no quotes in
 * an atom (the longest there is); 0 when none begins there. */
size_t pn_ident_operator(pn_slice text);

/* How many bytes at the start of text are an alias, Foo or Foo.Bar. */
size_t pn_ident_alias(pn_slice text);

#endif

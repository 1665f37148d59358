/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terms as JSON and back, without loss. docs/TERM.md, "JSON", has the table.
 * A term with a natural form in JSON has that form; any other is an object of
 * one key that begins with '$'; an object key that begins with ':' is an atom.
 */
#ifndef PN_CLI_JSON_H
#define PN_CLI_JSON_H

#include <jansson.h>
#include <peernet/term.h>

#include "text.h"

/* Nesting of JSON that we build or take: three brackets per level of a term
 * of depth 512 and some room; jansson itself stops at 2048. */
#define CLI_JSON_MAX_DEPTH 512

/* The most memory that the tree of a foreign text may take. */
#define CLI_JSON_MAX_TREE ((size_t)128 << 20)

/* Where and why JSON was refused. */
typedef struct cli_json_error {
    char text[160];
} cli_json_error;

/* Returns whether len bytes may be allocated. */
typedef bool cli_json_reserve(void *user, size_t len);

/*
 * Term as JSON on one line. It is made from the term's bytes, without a tree
 * and without recursion, so a hostile term costs a small multiple of its size.
 * The length is computed first, and reserve (NULL: always true) is called
 * before the text, with room for one byte more, is allocated. Errors:
 * PN_TOO_LARGE over max bytes; PN_BUSY reserve said no; PN_NOMEM; PN_INVALID
 * the empty term. *ret_text is left alone then.
 */
PN_MUST_USE pn_err cli_json_from_term(pn_term term, size_t max,
    cli_json_reserve *reserve, void *user, cli_text *ret_text);

/*
 * Writes the term that json stands for, the only one of this writer, and
 * finishes it.
 * Errors: PN_INVALID with a sentence: an unknown '$' key, a bad value behind
 * one, a duplicate map key, nesting over CLI_JSON_MAX_DEPTH; PN_LIMIT the
 * writer is full; PN_NOMEM. The writer holds no whole term then.
 */
PN_MUST_USE pn_err cli_json_to_term(
    const json_t *json, pn_term_writer *w, cli_json_error *ret_error);

/* The same from text: exactly one value, any kind. */
PN_MUST_USE pn_err cli_json_text_to_term(
    const char *text, size_t len, pn_term_writer *w, cli_json_error *ret_error);

/*
 * The same for text from outside: refused when its tree may need more than
 * CLI_JSON_MAX_TREE bytes of memory, which is estimated from its brackets and
 * commas.
 */
PN_MUST_USE pn_err cli_json_foreign_to_term(
    const char *text, size_t len, pn_term_writer *w, cli_json_error *ret_error);

/* Text from outside as a tree, with the same limit. NULL on error. */
json_t *cli_json_load_foreign(
    const char *text, size_t len, cli_json_error *ret_error);

/* How every JSON text is read here: any value at top level, NUL allowed in
 * strings, duplicate keys refused. NULL on error. */
json_t *cli_json_load(const char *text, size_t len, cli_json_error *ret_error);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spelling of atoms in Elixir text, as String.Tokenizer and Macro.inspect_atom
 * of Elixir 1.14 spell ASCII names. A name with any other character is quoted,
 * which Elixir reads too. Source: docs/TERM.md, "Elixir text".
 */
#include <string.h>

#include "base/ascii.h"
#include "base/slice.h"
#include "term/ident.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

size_t pn_ident_run(pn_slice text)
{
    size_t n = 0;

    while (n < text.len && (pn_is_word(text.data[n]) || text.data[n] == '@')) {
        n++;
    }
    return n;
}

size_t pn_ident_scan(pn_slice text)
{
    size_t n = pn_ident_run(text);

    if (n == 0 || text.data[0] == '@' || pn_is_digit(text.data[0], 10)) {
        return 0;
    }
    if (n < text.len && (text.data[n] == '!' || text.data[n] == '?')) {
        return n + 1;
    }
    return n < text.len && text.data[n] > 127 ? 0 : n;
}

size_t pn_ident_operator(pn_slice text)
{
    /* Longest first. */
    static const char *const operators[] = {"..//", "<<>>", "!==", "%{}", "&&&",
        "+++", "---", "...", "<<<", "<<~", "<~>", "===", ">>>", "|||", "~>>",
        "!=", "&&", "**", "++", "--", "->", "..", "<-", "<=", "<>", "<~",
        "==", "=~", ">=", "\\\\", "{}", "|>", "||", "~>", "!", "%", "&", "*",
        "+", "-", ".", "/", "<", "=", ">", "@", "^", "|"};

    for (size_t i = 0; i < COUNT(operators); i++) {
        size_t len = strlen(operators[i]);

        if (len <= text.len && memcmp(text.data, operators[i], len) == 0) {
            return len;
        }
    }
    return 0;
}

/* One segment of an alias: an upper-case letter, then letters and digits. */
static size_t alias_segment(const uint8_t *p, size_t len)
{
    size_t n = 0;

    while (n < len && (pn_is_upper(p[n]) || (n > 0 && pn_is_word(p[n])))) {
        n++;
    }
    return n;
}

size_t pn_ident_alias(pn_slice text)
{
    size_t n = alias_segment(text.data, text.len);

    while (n > 0 && n + 1 < text.len && text.data[n] == '.') {
        size_t more = alias_segment(text.data + n + 1, text.len - n - 1);

        if (more == 0) {
            break;
        }
        n += 1 + more;
    }
    return n;
}

bool pn_ident_is_elixir(pn_slice name)
{
    static const char prefix[] = "Elixir";
    const size_t n = sizeof(prefix) - 1;

    return name.len >= n && memcmp(name.data, prefix, n) == 0
           && (name.len == n || name.data[n] == '.');
}

pn_ident_kind pn_ident_of(pn_slice name)
{
    if (name.len == 0) {
        return IDENT_QUOTED;
    }
    if (pn_slice_is(name, "true") || pn_slice_is(name, "false")
        || pn_slice_is(name, "nil")) {
        return IDENT_WORD;
    }
    if (pn_ident_is_elixir(name) && pn_ident_alias(name) == name.len) {
        return IDENT_ALIAS;
    }
    if (pn_ident_operator(name) == name.len
        || pn_ident_scan(name) == name.len) {
        return IDENT_PLAIN;
    }
    return IDENT_QUOTED;
}

bool pn_ident_is_callable(pn_slice name)
{
    /* Functions that are called without quotes although their atoms need them,
     * and the reverse. */
    static const char *const also[] = {"::", "^^^", "~~~", "<|>"};
    static const char *const never[] = {
        "%", "%{}", "{}", "<<>>", "...", "..", ".", "..//", "->"};

    for (size_t i = 0; i < COUNT(also); i++) {
        if (pn_slice_is(name, also[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < COUNT(never); i++) {
        if (pn_slice_is(name, never[i])) {
            return false;
        }
    }
    if (name.len > 0 && pn_ident_operator(name) == name.len) {
        return true;
    }
    return pn_ident_scan(name) > 0 && pn_ident_scan(name) == name.len
           && !pn_is_upper(name.data[0])
           && memchr(name.data, '@', name.len) == NULL;
}

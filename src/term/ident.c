/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How Elixir writes an atom. Follows what String.Tokenizer and
 * Macro.inspect_atom of Elixir 1.14 do: letters by Unicode's rules for
 * identifiers, not more scripts at once than are safe to read, and normal form
 * NFC; whatever fails is quoted. Source: docs/TERM.md, "Elixir text".
 */
#include <string.h>

#include "base/utf8.h"
#include "term/ident.h"
#include "term/ident_table.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ALL_SCRIPTS (ident_sets[0])
#define LATIN UINT64_C(1)

enum {
    KIND_NONE,
    KIND_START,
    KIND_UPPER,
    KIND_CONTINUE,
    MICRO_SIGN = 0xb5 /* is a letter only after NFKC */
};

/* An identifier as it is being read. */
typedef struct ident {
    size_t len;       /* bytes */
    uint64_t scripts; /* what all characters so far have in common */
    uint8_t kind;     /* of the first character */
    bool is_ascii;
    bool has_at;
    bool is_normal; /* in NFC */
    bool is_bad;    /* a character no identifier can have */
} ident;

static bool is_ascii_lower(uint32_t c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_ascii_upper(uint32_t c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_ascii_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

/* Kind and scripts of a character over 127. */
static uint8_t look_up(uint32_t c, uint64_t *ret_scripts)
{
    size_t low = 0;
    size_t high = COUNT(ident_ranges);

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (c < ident_ranges[mid].first) {
            high = mid;
        } else if (c > ident_ranges[mid].first + ident_ranges[mid].more) {
            low = mid + 1;
        } else {
            *ret_scripts = ident_sets[ident_ranges[mid].set];
            return ident_ranges[mid].kind;
        }
    }
    *ret_scripts = 0;
    return KIND_NONE;
}

/* The same for any character that an identifier may contain. */
static uint8_t classify(uint32_t c, uint64_t *ret_scripts)
{
    *ret_scripts = ALL_SCRIPTS;
    if (is_ascii_lower(c) || is_ascii_upper(c)) {
        *ret_scripts = LATIN;
        return is_ascii_lower(c) ? KIND_START : KIND_UPPER;
    }
    if (c == '_') {
        return KIND_START;
    }
    if (is_ascii_digit(c)) {
        return KIND_CONTINUE;
    }
    return c < 128 ? KIND_NONE : look_up(c, ret_scripts);
}

/* ---- normal form ---- */

static uint8_t combining_class(uint32_t c)
{
    for (size_t i = 0; i < COUNT(ident_marks); i++) {
        if (c >= ident_marks[i].first
            && c <= ident_marks[i].first + ident_marks[i].more) {
            return ident_marks[i].ccc;
        }
    }
    return 0;
}

static bool composes(uint32_t starter, uint32_t mark)
{
    size_t low = 0;
    size_t high = COUNT(ident_pairs);

    while (low < high) {
        size_t mid = (low + high) / 2;
        uint32_t m = ident_pairs[mid].mark;
        uint32_t s = ident_pairs[mid].starter;

        if (m == mark && s == starter) {
            return true;
        }
        if (m > mark || (m == mark && s > starter)) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return false;
}

/* Takes a composed character apart; false when it is none. */
static bool decompose(uint32_t c, uint32_t *ret_starter, uint32_t *ret_mark)
{
    for (size_t i = 0; i < COUNT(ident_pairs); i++) {
        if (ident_pairs[i].composed == c) {
            *ret_starter = ident_pairs[i].starter;
            *ret_mark = ident_pairs[i].mark;
            return true;
        }
    }
    return false;
}

/* True when a mark of class ccc behind starter changes it: by composing with
 * it, or by getting in front of a mark that is in it already. */
static bool is_changed(uint32_t starter, uint32_t mark, uint8_t ccc)
{
    uint32_t inner;

    while (!composes(starter, mark)) {
        if (!decompose(starter, &starter, &inner) || ccc == 0
            || combining_class(inner) <= ccc) {
            return false;
        }
    }
    return true;
}

/* True when NFC would leave the name as it is: marks in order, and none that
 * composes. Characters that change by themselves are in no identifier. */
static bool is_nfc(const uint8_t *p, const uint8_t *end)
{
    uint32_t starter = 0;
    uint8_t last = 0;
    uint32_t c;

    for (; p < end; p += pn_utf8_decode(p, end, &c)) {
        uint8_t ccc;

        (void)pn_utf8_decode(p, end, &c);
        ccc = c < 128 ? 0 : combining_class(c);
        if (ccc != 0 && last > ccc) {
            return false;
        }
        /* A mark behind another of its class is blocked from the starter. */
        if (starter != 0 && c > 127 && (last == 0 || last < ccc)
            && is_changed(starter, c, ccc)) {
            return false;
        }
        if (ccc == 0) {
            starter = c;
        }
        last = ccc;
    }
    return true;
}

/* ---- scripts ---- */

/* The mixtures that are usual: Latin with Japanese, Chinese or Korean. */
static bool is_restrictive(const uint8_t *p, const uint8_t *end, uint64_t mix)
{
    uint64_t scripts;
    uint32_t c;

    for (; p < end; p += pn_utf8_decode(p, end, &c)) {
        (void)pn_utf8_decode(p, end, &c);
        if (classify(c, &scripts) == KIND_NONE) {
            scripts = ALL_SCRIPTS; /* @, !, ? */
        }
        if ((scripts & mix) == 0) {
            return false;
        }
    }
    return true;
}

static bool are_scripts_safe(const uint8_t *p, size_t len, uint64_t scripts)
{
    static const uint64_t mixes[] = {
        UINT64_C(0x100001), UINT64_C(0x10001), UINT64_C(0x4000001)};

    for (size_t i = 0; scripts == 0 && i < COUNT(mixes); i++) {
        if (is_restrictive(p, p + len, mixes[i])) {
            return true;
        }
    }
    return scripts != 0;
}

/* ---- identifiers ---- */

/* Reads on until a character that does not belong; false at a bad one. */
static void read_rest(ident *id, pn_slice text)
{
    const uint8_t *end = text.data + text.len;

    while (id->len < text.len) {
        const uint8_t *p = text.data + id->len;
        uint64_t scripts;
        uint32_t c = 0;
        size_t n = pn_utf8_decode(p, end, &c);

        if (n == 0 || c == '!' || c == '?') {
            id->len += n;
            return;
        }
        if (c == '@') {
            id->has_at = true;
        } else if (c == MICRO_SIGN) {
            id->is_normal = false;
            id->is_ascii = false;
        } else if (classify(c, &scripts) != KIND_NONE) {
            id->scripts &= scripts;
            id->is_ascii = id->is_ascii && c < 128;
        } else {
            id->is_bad = c > 127;
            return;
        }
        id->len += n;
    }
}

/* An identifier at the start of text; false when there is none. */
static bool read_ident(pn_slice text, ident *id)
{
    const uint8_t *end = text.data + text.len;
    uint32_t c = 0;

    *id = (ident){.is_normal = true, .is_ascii = true};
    id->len = pn_utf8_decode(text.data, end, &c);
    id->is_ascii = c < 128;
    if (c == MICRO_SIGN) {
        id->kind = KIND_START;
        id->scripts = ALL_SCRIPTS;
        id->is_normal = false;
    } else {
        id->kind = classify(c, &id->scripts);
    }
    if (id->len == 0 || id->kind == KIND_NONE || id->kind == KIND_CONTINUE) {
        return false;
    }
    read_rest(id, text);
    return !id->is_bad;
}

/* Whether an identifier that was read needs quotes. */
static bool is_plain(pn_slice name, const ident *id)
{
    if (id->is_ascii) {
        return true;
    }
    if (!are_scripts_safe(name.data, name.len, id->scripts)) {
        return false;
    }
    /* Elixir does not ask for NFC where the name cannot be a variable's. */
    return id->kind == KIND_UPPER || id->has_at
           || (id->is_normal && is_nfc(name.data, name.data + name.len));
}

size_t pn_ident_scan(pn_slice text)
{
    ident id;

    if (text.len == 0 || !read_ident(text, &id)
        || !is_plain((pn_slice){text.data, id.len}, &id)) {
        return 0;
    }
    return id.len;
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

    while (n < len
           && (is_ascii_upper(p[n])
               || (n > 0
                   && (is_ascii_lower(p[n]) || is_ascii_digit(p[n])
                       || p[n] == '_')))) {
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

static bool is_named(pn_slice name, const char *text)
{
    return name.len == strlen(text) && memcmp(name.data, text, name.len) == 0;
}

static bool is_alias(pn_slice name)
{
    static const char prefix[] = "Elixir";
    const size_t n = sizeof(prefix) - 1;

    return name.len >= n && memcmp(name.data, prefix, n) == 0
           && (name.len == n || name.data[n] == '.')
           && pn_ident_alias(name) == name.len;
}

pn_ident_kind pn_ident_of(pn_slice name)
{
    if (name.len == 0) {
        return IDENT_QUOTED;
    }
    if (is_named(name, "true") || is_named(name, "false")
        || is_named(name, "nil")) {
        return IDENT_WORD;
    }
    if (is_alias(name)) {
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
    /* Operators in all but the way they are quoted, and the reverse. */
    static const char *const also[] = {"::", "^^^", "~~~", "<|>"};
    static const char *const never[] = {
        "%", "%{}", "{}", "<<>>", "...", "..", ".", "..//", "->"};
    ident id;

    for (size_t i = 0; i < COUNT(also); i++) {
        if (is_named(name, also[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < COUNT(never); i++) {
        if (is_named(name, never[i])) {
            return false;
        }
    }
    if (name.len > 0 && pn_ident_operator(name) == name.len) {
        return true;
    }
    return name.len > 0 && read_ident(name, &id) && id.len == name.len
           && id.kind != KIND_UPPER && !id.has_at && is_plain(name, &id);
}

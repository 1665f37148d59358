/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For exceptions of Elixir without a message field the message is made of their
 * other fields, in Elixir's words. All of it is text of a peer, and any part
 * may be missing.
 */
#include "crash.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define MAX_MESSAGE 8192 /* bytes; also of a value in one */
#define MAX_ARGUMENT 256
#define MAX_PATH 1024
#define MAX_FRAMES 64

/* ---- pieces ------------------------------------------------------------- */

static void add_cut(cli_text *out, const void *data, size_t len, size_t max)
{
    const char *bytes = data;

    if (len <= max) {
        cli_text_add(out, data, len);
        return;
    }
    while (max > 0 && ((unsigned char)bytes[max] & 0xc0) == 0x80) {
        max--;
    }
    cli_text_add(out, data, max);
    cli_text_puts(out, "...");
}

static void add_printed(cli_text *out, pn_term term, size_t max, bool is_name)
{
    char *text = NULL;
    size_t len = 0;

    if (pn_term_to_text(term, &text, &len) == PN_OK) {
        size_t from = is_name && len > 0 && text[0] == ':' ? 1 : 0;

        add_cut(out, text + from, len - from, max);
    } else {
        cli_text_puts(out, "?");
    }
    free(text);
}

static void add_term(cli_text *out, pn_term term, size_t max)
{
    add_printed(out, term, max, false);
}

/* The name of a function: as an atom, without its colon. */
static void add_name(cli_text *out, pn_term name)
{
    add_printed(out, name, SIZE_MAX, true);
}

/* The number of arguments, from a number or from the list of them. */
static void add_arity(cli_text *out, pn_term arity, bool shows_arguments)
{
    pn_term_reader r;
    uint32_t n;

    if (pn_term_type_of(arity) != PN_TERM_LIST) {
        cli_text_putc(out, '/');
        add_term(out, arity, MAX_ARGUMENT);
        return;
    }
    pn_term_reader_init(&r, arity);
    n = pn_term_read_list(&r);
    if (!shows_arguments || n > UINT8_MAX) {
        cli_text_printf(out, "/%u", n);
        return;
    }
    cli_text_putc(out, '(');
    for (uint32_t i = 0; i < n; i++) {
        cli_text_puts(out, i == 0 ? "" : ", ");
        add_term(out, pn_term_read_any(&r), MAX_ARGUMENT);
    }
    cli_text_putc(out, ')');
}

/* The compiler names an anonymous function "-name/2-fun-0-". */
static bool add_anonymous(
    cli_text *out, pn_term module, pn_term function, pn_term arity)
{
    char name[1021];
    size_t len = 0;
    const char *end;

    if (pn_term_atom_name(function, name, sizeof(name), &len) != PN_OK
        || name[0] != '-') {
        return false;
    }
    end = strstr(name, "-fun-");
    if (end == NULL || end == name) {
        return false;
    }
    cli_text_puts(out, "anonymous fn");
    add_arity(out, arity, true);
    cli_text_puts(out, " in ");
    add_term(out, module, MAX_ARGUMENT);
    cli_text_putc(out, '.');
    cli_text_add(out, name + 1, (size_t)(end - name) - 1);
    return true;
}

static void add_mfa(cli_text *out, pn_term module, pn_term function,
    pn_term arity, bool shows_arguments)
{
    if (add_anonymous(out, module, function, arity)) {
        return;
    }
    add_term(out, module, MAX_ARGUMENT);
    cli_text_putc(out, '.');
    add_name(out, function);
    add_arity(out, arity, shows_arguments);
}

/* ---- the exception ------------------------------------------------------ */

/* Those whose message is a sentence and one of their fields. */
typedef struct sentence {
    const char *kind;
    const char *pattern; /* of the field, or NULL */
    const char *words;
} sentence;

static const sentence sentences[] = {
    {"BadArityError", "%{args => ~t}", "wrong number of arguments: "},
    {"BadBooleanError", "%{term => ~t}", "expected a boolean, got: "},
    {"BadFunctionError", "%{term => ~t}", "expected a function, got: "},
    {"BadMapError", "%{term => ~t}", "expected a map, got: "},
    {"BadStructError", "%{term => ~t}", "expected another struct, got: "},
    {"CaseClauseError", "%{term => ~t}", "no case clause matching: "},
    {"CondClauseError", NULL, "no cond clause evaluated to a truthy value"},
    {"ErlangError", "%{original => ~t}", "Erlang error: "},
    {"MatchError", "%{term => ~t}", "no match of right hand side value: "},
    {"TryClauseError", "%{term => ~t}", "no try clause matching: "},
    {"WithClauseError", "%{term => ~t}", "no with clause matching: "},
};

/* A function that does not exist, or has no clause for the arguments. */
static bool add_function(cli_text *out, const char *kind, pn_term exception)
{
    bool is_clause = strcmp(kind, "FunctionClauseError") == 0;
    pn_term module;
    pn_term function;
    pn_term arity;

    if ((!is_clause && strcmp(kind, "UndefinedFunctionError") != 0)
        || !pn_term_match(exception,
            "%{module => ~t, function => ~t, arity => ~t}", &module, &function,
            &arity)
        || pn_term_is_atom(function, "nil")) {
        return false;
    }
    cli_text_puts(
        out, is_clause ? "no function clause matching in " : "function ");
    add_mfa(out, module, function, arity, false);
    cli_text_puts(out, is_clause ? "" : " is undefined or private");
    return true;
}

static bool add_key(cli_text *out, const char *kind, pn_term exception)
{
    pn_term key;
    pn_term term;

    if (strcmp(kind, "KeyError") != 0
        || !pn_term_match(exception, "%{key => ~t, term => ~t}", &key, &term)) {
        return false;
    }
    cli_text_puts(out, "key ");
    add_term(out, key, MAX_ARGUMENT);
    cli_text_puts(out, " not found");
    if (!pn_term_is_atom(term, "nil")) {
        cli_text_puts(out, " in: ");
        add_term(out, term, MAX_MESSAGE);
    }
    return true;
}

static bool add_sentence(cli_text *out, const char *kind, pn_term exception)
{
    for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
        const sentence *s = &sentences[i];
        pn_term term = {NULL, 0};

        if (strcmp(kind, s->kind) == 0
            && (s->pattern == NULL
                || pn_term_match(exception, s->pattern, &term))) {
            cli_text_puts(out, s->words);
            if (term.len > 0) {
                add_term(out, term, MAX_MESSAGE);
            }
            return true;
        }
    }
    return false;
}

static void add_message(cli_text *out, const char *kind, pn_term exception)
{
    pn_slice message;

    if (pn_term_match(exception, "%{message => ~b}", &message)) {
        add_cut(out, message.data, message.len, MAX_MESSAGE);
    } else if (!add_function(out, kind, exception)
               && !add_key(out, kind, exception)
               && !add_sentence(out, kind, exception)) {
        /* An exception of an application is shown with its fields. */
        add_term(out, exception, MAX_MESSAGE);
    }
}

static void add_exception(cli_text *out, pn_term exception)
{
    static const char elixir[] = "Elixir.";
    char kind[1021] = "";
    size_t len = 0;
    size_t from = 0;
    pn_term name;

    if (!pn_term_match(exception, "%{'__struct__' => ~t}", &name)
        || pn_term_atom_name(name, kind, sizeof(kind), &len) != PN_OK) {
        cli_text_puts(out, "** (ErlangError) Erlang error: ");
        add_term(out, exception, MAX_MESSAGE);
        return;
    }
    if (strncmp(kind, elixir, sizeof(elixir) - 1) == 0) {
        from = sizeof(elixir) - 1;
    }
    cli_text_puts(out, "** (");
    add_term(out, name, MAX_ARGUMENT);
    cli_text_puts(out, ") ");
    add_message(out, kind + from, exception);
}

/* ---- the stack ---------------------------------------------------------- */

/* A path is a list of characters. */
static bool add_path(cli_text *out, pn_term path)
{
    pn_term_reader r;
    uint32_t n;

    pn_term_reader_init(&r, path);
    if (pn_term_type_of(path) != PN_TERM_LIST) {
        return false;
    }
    n = pn_term_read_list(&r);
    if (n == 0 || n > MAX_PATH) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        int64_t c = pn_term_read_int64(&r);
        uint8_t bytes[4];

        if (c <= 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
            cli_text_putc(out, '?');
        } else {
            cli_text_add(out, bytes, pn_utf8_encode((uint32_t)c, bytes));
        }
    }
    return true;
}

/* [file: PATH, line: N], maybe with other members. */
static void add_location(cli_text *out, pn_term location)
{
    pn_term path = {NULL, 0};
    pn_term line = {NULL, 0};
    pn_term_reader r;
    uint32_t n;

    pn_term_reader_init(&r, location);
    n = pn_term_read_list(&r);
    for (uint32_t i = 0; i < n && i < 8; i++) {
        pn_term pair = pn_term_read_any(&r);

        pn_term value;

        if (pn_term_match(pair, "{file, ~t}", &value)) {
            path = value;
        } else if (pn_term_match(pair, "{line, ~t}", &value)) {
            line = value;
        }
    }
    if (path.len > 0 && add_path(out, path)) {
        if (line.len > 0) {
            cli_text_putc(out, ':');
            add_term(out, line, MAX_ARGUMENT);
        }
        cli_text_puts(out, ": ");
    }
}

static void add_frame(cli_text *out, pn_term frame)
{
    pn_term module;
    pn_term function;
    pn_term arity;
    pn_term location = {NULL, 0};

    cli_text_puts(out, "\n    ");
    if (pn_term_match(
            frame, "{~t, ~t, ~t, ~t}", &module, &function, &arity, &location)) {
        add_location(out, location);
        add_mfa(out, module, function, arity, true);
    } else {
        add_term(out, frame, MAX_ARGUMENT);
    }
}

static void add_stack(cli_text *out, pn_term stack)
{
    pn_term_reader r;
    uint32_t n;

    pn_term_reader_init(&r, stack);
    n = pn_term_read_list(&r);
    for (uint32_t i = 0; i < n && i < MAX_FRAMES; i++) {
        add_frame(out, pn_term_read_any(&r));
    }
    if (n > MAX_FRAMES) {
        cli_text_puts(out, "\n    ...");
    }
}

/* ---- all ---------------------------------------------------------------- */

bool cli_crash_to_text(pn_term reason, cli_text *out)
{
    pn_term term;
    pn_term stack;

    if (pn_term_match(
            reason, "{handler_crash, {error, ~t, ~t}}", &term, &stack)) {
        add_exception(out, term);
        add_stack(out, stack);
    } else if (pn_term_match(reason, "{handler_crash, {throw, ~t}}", &term)) {
        cli_text_puts(out, "** (throw) ");
        add_term(out, term, MAX_MESSAGE);
    } else if (pn_term_match(reason, "{handler_crash, {exit, ~t}}", &term)) {
        cli_text_puts(out, "** (exit) ");
        if (pn_term_is_atom(term, "normal")
            || pn_term_is_atom(term, "shutdown")) {
            add_name(out, term); /* Elixir has words for these */
        } else {
            add_term(out, term, MAX_MESSAGE);
        }
    } else {
        return false;
    }
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines, by table. */
#include "args.h"

#include <string.h>

#include "escape.h"

typedef struct parser {
    const cli_command *commands;
    const cli_option *global;
    cli_args *args;
    cli_text *error;
    char *const *word; /* the one to come; NULL at the end */
    bool only_words;   /* after "--" */
} parser;

static void quote(cli_text *t, const char *word, size_t len)
{
    cli_text_putc(t, '\'');
    cli_escape(t, word, len, CLI_ESCAPE_FIELD);
    cli_text_putc(t, '\'');
}

static bool fail(parser *p, const char *expected, const char *found)
{
    cli_text_printf(p->error, "expected %s", expected);
    if (found == NULL) {
        cli_text_puts(p->error, ", found nothing");
    } else {
        cli_text_puts(p->error, ", found ");
        quote(p->error, found, strlen(found));
    }
    return false;
}

/* ---- options ------------------------------------------------------------ */

static bool is_option(
    const cli_option *o, const char *name, size_t len, char short_name)
{
    if (name == NULL) {
        return o->short_name != 0 && o->short_name == short_name;
    }
    return strlen(o->name) == len && memcmp(o->name, name, len) == 0;
}

static const cli_option *find_in(
    const cli_option *table, const char *name, size_t len, char short_name)
{
    for (; table->name != NULL; table++) {
        if (is_option(table, name, len, short_name)) {
            return table;
        }
    }
    return NULL;
}

static const cli_option *find_option(
    const parser *p, const char *name, size_t len, char short_name)
{
    const cli_command *command = p->args->command;
    const cli_option *found = find_in(p->global, name, len, short_name);

    if (found == NULL && command != NULL) {
        for (size_t i = 0; command->options[i] != NULL && found == NULL; i++) {
            found = find_in(command->options[i], name, len, short_name);
        }
    }
    return found;
}

static bool fail_option(parser *p, const char *found)
{
    cli_text expected = {0};

    if (p->args->command == NULL) {
        cli_text_puts(&expected, "a command or a global option");
    } else {
        cli_text_printf(&expected, "an option of '%s'", p->args->command->name);
    }
    (void)fail(p, cli_text_string(&expected), found);
    cli_text_fini(&expected);
    return false;
}

static bool take_option(parser *p, const cli_option *option, const char *value)
{
    cli_args *args = p->args;

    if (args->n_given == CLI_MAX_OPTIONS) {
        cli_text_printf(
            p->error, "expected at most %d options", CLI_MAX_OPTIONS);
        return false;
    }
    if (option->value == NULL && value != NULL) {
        cli_text_printf(
            p->error, "expected no value for '--%s', found ", option->name);
        quote(p->error, value, strlen(value));
        return false;
    }
    if (option->value != NULL && value == NULL) {
        value = *p->word;
        if (value == NULL) {
            cli_text_printf(p->error, "expected %s after '--%s', found nothing",
                option->value, option->name);
            return false;
        }
        p->word++;
    }
    args->given[args->n_given].option = option;
    args->given[args->n_given].value = value;
    args->n_given++;
    return true;
}

/* "--name", "--name=value". */
static bool long_option(parser *p, const char *word)
{
    const char *name = word + 2;
    size_t len = strcspn(name, "=");
    const cli_option *option = find_option(p, name, len, 0);

    if (option == NULL) {
        return fail_option(p, word);
    }
    return take_option(p, option, name[len] == '=' ? name + len + 1 : NULL);
}

/* "-d value", "-dvalue". */
static bool short_option(parser *p, const char *word)
{
    const cli_option *option = find_option(p, NULL, 0, word[1]);

    if (option == NULL || (option->value == NULL && word[2] != '\0')) {
        return fail_option(p, word);
    }
    return take_option(p, option, word[2] == '\0' ? NULL : word + 2);
}

/* ---- words -------------------------------------------------------------- */

static bool take_word(parser *p, const char *word)
{
    cli_args *args = p->args;

    if (args->command == NULL) {
        for (const cli_command *c = p->commands; c->name != NULL; c++) {
            if (strcmp(c->name, word) == 0) {
                args->command = c;
                return true;
            }
        }
        return fail(p, "a command (see 'peernet help')", word);
    }
    if (args->n_positional == args->command->n_max) {
        cli_text expected = {0};

        cli_text_printf(&expected, "no more than '%s%s%s'", args->command->name,
            args->command->positional[0] == '\0' ? "" : " ",
            args->command->positional);
        (void)fail(p, cli_text_string(&expected), word);
        cli_text_fini(&expected);
        return false;
    }
    args->positional[args->n_positional++] = word;
    return true;
}

/* "-" and "-1" are words: a term may be a negative number. */
static bool looks_like_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0'
           && !(word[1] >= '0' && word[1] <= '9');
}

static bool take(parser *p)
{
    const char *word = *p->word++;

    if (!p->only_words && strcmp(word, "--") == 0) {
        p->only_words = true;
        return true;
    }
    if (p->only_words || !looks_like_option(word)) {
        return take_word(p, word);
    }
    return word[1] == '-' ? long_option(p, word) : short_option(p, word);
}

static bool has_enough(parser *p)
{
    const cli_args *args = p->args;

    if (args->command == NULL || cli_args_flag(args, "help")
        || args->n_positional >= args->command->n_min) {
        return true;
    }
    cli_text_printf(p->error, "expected '%s %s', found '%s",
        args->command->name, args->command->positional, args->command->name);
    for (unsigned i = 0; i < args->n_positional; i++) {
        const char *word = args->positional[i];

        cli_text_putc(p->error, ' ');
        cli_escape(p->error, word, strlen(word), CLI_ESCAPE_FIELD);
    }
    cli_text_putc(p->error, '\'');
    return false;
}

bool cli_args_parse(int argc, char *const *argv, const cli_command *commands,
    const cli_option *global, cli_args *ret_args, cli_text *error)
{
    parser p = {.commands = commands,
        .global = global,
        .args = ret_args,
        .error = error,
        .word = argv + (argc > 0 ? 1 : 0)};

    memset(ret_args, 0, sizeof(*ret_args));
    while (*p.word != NULL) {
        if (!take(&p)) {
            return false;
        }
    }
    return has_enough(&p);
}

/* ---- what was given ----------------------------------------------------- */

const char *cli_args_next(const cli_args *args, const char *name, unsigned *i)
{
    while (*i < args->n_given) {
        unsigned at = (*i)++;

        if (strcmp(args->given[at].option->name, name) == 0) {
            return args->given[at].value == NULL ? "" : args->given[at].value;
        }
    }
    return NULL;
}

const char *cli_args_value(const cli_args *args, const char *name)
{
    const char *last = NULL;
    const char *value;
    unsigned i = 0;

    while ((value = cli_args_next(args, name, &i)) != NULL) {
        last = value;
    }
    return last;
}

bool cli_args_flag(const cli_args *args, const char *name)
{
    return cli_args_value(args, name) != NULL;
}

bool cli_args_number(const cli_args *args, const char *name, uint32_t min,
    uint32_t max, uint32_t fallback, uint32_t *ret_number, cli_text *error)
{
    const char *text = cli_args_value(args, name);
    size_t len = text == NULL ? 0 : strlen(text);
    uint64_t number = 0;
    bool good = len > 0 && len <= 10 && strspn(text, "0123456789") == len;

    if (text == NULL) {
        *ret_number = fallback;
        return true;
    }
    for (size_t i = 0; good && i < len; i++) {
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    if (!good || number < min || number > max) {
        cli_text_printf(
            error, "expected %u to %u for '--%s', found ", min, max, name);
        quote(error, text, len);
        return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines, by table. */
#include "args.h"

#include <string.h>

#include "base/mutant.h"
#include "peer_text.h"

typedef struct parser {
    const cli_command *commands;
    const cli_option *global;
    cli_args *args;
    cli_text *error;
    char *const *word; /* the next one; NULL at the end */
    bool only_words;   /* after "--" */
} parser;

static void quote(cli_text *t, const char *word)
{
    cli_quote(t, word, strlen(word), CLI_ESCAPE_FIELD);
}

static bool fail(parser *p, const char *expected, const char *found)
{
    cli_text_printf(p->error, "expected %s, found ", expected);
    quote(p->error, found);
    return false;
}

/* ---- options ------------------------------------------------------------ */

static const cli_option *find_in(
    const cli_option *table, const char *name, size_t len, char short_name)
{
    for (; table->name != NULL; table++) {
        if (name == NULL ? table->short_name == short_name
                         : strlen(table->name) == len
                               && memcmp(table->name, name, len) == 0) {
            return table;
        }
    }
    return NULL;
}

/* The global options, then each table of the command; NULL at the end. */
static const cli_option *table_at(const parser *p, size_t i)
{
    const cli_command *command = p->args->command;

    return i == 0            ? p->global
           : command == NULL ? NULL
                             : command->options[i - 1];
}

static const cli_option *find_option(
    const parser *p, const char *name, size_t len, char short_name)
{
    const cli_option *found = NULL;
    const cli_option *table;

    for (size_t i = 0; found == NULL && (table = table_at(p, i)) != NULL; i++) {
        found = find_in(table, name, len, short_name);
    }
    return found;
}

static bool fail_option(parser *p, const char *found)
{
    const char *name = found + strspn(found, "-");
    const cli_option *table;
    cli_text expected = {0};
    cli_nearest nearest;

    if (p->args->command == NULL) {
        cli_text_puts(&expected, "a command or a global option");
    } else {
        cli_text_printf(&expected, "an option of '%s'", p->args->command->name);
    }
    (void)fail(p, cli_text_string(&expected), found);
    cli_text_fini(&expected);
    cli_nearest_init(&nearest, name, strcspn(name, "="));
    for (size_t i = 0; (table = table_at(p, i)) != NULL; i++) {
        for (; table->name != NULL; table++) {
            cli_nearest_offer(&nearest, table->name);
        }
    }
    cli_nearest_say(&nearest, "'--", "'", p->error);
    return false;
}

bool cli_option_repeats(const cli_option *option)
{
    size_t len = option->value == NULL ? 0 : strlen(option->value);

    return len > 3 && strcmp(option->value + len - 3, "...") == 0;
}

/* An option with two values is refused, because either may be meant. A repeated
 * flag changes nothing. */
static bool is_once(parser *p, const cli_option *option, const char *value)
{
    const cli_args *args = p->args;

    if (option->value == NULL || cli_option_repeats(option)) {
        return true;
    }
    for (unsigned i = 0; i < args->n_given; i++) {
        if (PN_REFUSE_IF(cli_option_once, args->given[i].option == option)) {
            cli_text_printf(
                p->error, "expected '--%s' once, found ", option->name);
            quote(p->error, args->given[i].value);
            cli_text_puts(p->error, " and ");
            quote(p->error, value);
            return false;
        }
    }
    return true;
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
        quote(p->error, value);
        return false;
    }
    if (option->value != NULL && value == NULL) {
        value = *p->word;
        if (value == NULL) {
            int len = (int)strlen(option->value)
                      - (cli_option_repeats(option) ? 3 : 0);

            cli_text_printf(p->error,
                "expected %.*s after '--%s', found nothing", len, option->value,
                option->name);
            return false;
        }
        p->word++;
    }
    if (!is_once(p, option, value)) {
        return false;
    }
    args->parsed[args->n_given++] = (cli_given){
        .option = option, .value = value};
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

const cli_command *cli_command_find(
    const cli_command *commands, const char *name, cli_nearest *ret_nearest)
{
    cli_nearest_init(ret_nearest, name, strlen(name));
    for (; commands->name != NULL; commands++) {
        if (strcmp(commands->name, name) == 0) {
            return commands;
        }
        cli_nearest_offer(ret_nearest, commands->name);
    }
    return NULL;
}

static bool take_word(parser *p, const char *word)
{
    cli_args *args = p->args;

    if (args->command == NULL) {
        cli_nearest nearest;

        args->command = cli_command_find(p->commands, word, &nearest);
        if (args->command != NULL) {
            return true;
        }
        (void)fail(p, "a command (see 'peernet help')", word);
        cli_nearest_say(&nearest, "'", "'", p->error);
        return false;
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
    ret_args->given = ret_args->parsed;
    while (*p.word != NULL) {
        if (!take(&p)) {
            return false;
        }
    }
    return has_enough(&p);
}

/* ---- values ------------------------------------------------------------- */

const char *cli_args_next(const cli_args *args, const char *name, unsigned *i)
{
    while (*i < args->n_given) {
        unsigned at = (*i)++;

        if (strcmp(args->given[at].option->name, name) == 0) {
            if (args->looked_at != NULL) {
                *args->looked_at = &args->given[at];
            }
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

static bool read_number(
    const char *text, uint32_t min, uint32_t max, uint32_t *ret_number)
{
    size_t len = strlen(text);
    uint64_t number = 0;

    if (len < 1 || len > 10 || strspn(text, "0123456789") != len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    *ret_number = (uint32_t)number;
    return number >= min && number <= max;
}

/* The words behind "expected". */
static bool fail_value(const char *note, const char *text, cli_text *error)
{
    if (note != NULL) {
        cli_text_printf(error, " (%s)", note);
    }
    cli_text_puts(error, ", found ");
    quote(error, text);
    return false;
}

static bool fail_number(
    const cli_option *o, bool is_key, const char *text, cli_text *error)
{
    cli_text_printf(error, "expected %u to %u for '%s%s'", o->min, o->max,
        is_key ? "" : "--", is_key ? o->key : o->name);
    return fail_value(o->note, text, error);
}

static bool store_number(
    const cli_option *o, const char *text, void *member, cli_text *error)
{
    uint32_t number = 0;
    uint16_t small;

    if (!read_number(text, o->min, o->max, &number)) {
        return fail_number(o, false, text, error);
    }
    if (o->kind == CLI_U16) {
        small = (uint16_t)number;
        memcpy(member, &small, sizeof(small));
    } else {
        memcpy(member, &number, sizeof(number));
    }
    return true;
}

/* "'a' or 'b'" comes from the name of the value, which is "a|b". */
static bool fail_choice(
    const cli_option *o, bool is_key, const char *text, cli_text *error)
{
    cli_nearest nearest;

    cli_text_puts(error, "expected '");
    for (const char *at = o->value; *at != '\0'; at++) {
        if (*at == '|') {
            cli_text_puts(error, "' or '");
        } else {
            cli_text_putc(error, *at);
        }
    }
    cli_text_printf(error, is_key ? "' for '%s'" : "' after '--%s'",
        is_key ? o->key : o->name);
    (void)fail_value(o->note, text, error);
    cli_nearest_init(&nearest, text, strlen(text));
    cli_nearest_offer_all(&nearest, o->choices);
    cli_nearest_say(&nearest, "'", "'", error);
    return false;
}

static bool store_choice(
    const cli_option *o, const char *text, void *member, cli_text *error)
{
    for (unsigned i = 0; o->choices[i] != NULL; i++) {
        if (strcmp(o->choices[i], text) == 0) {
            memcpy(member, &i, sizeof(i));
            return true;
        }
    }
    return fail_choice(o, false, text, error);
}

bool cli_option_is_negative(const cli_option *option)
{
    return option->kind == CLI_FALSE || option->kind == CLI_ZERO;
}

bool cli_key_check(const cli_option *o, const char *text, cli_text *error)
{
    uint32_t number = 0;
    unsigned i = 0;

    if (o->kind == CLI_U16 || o->kind == CLI_U32) {
        return read_number(text, o->min, o->max, &number)
               || fail_number(o, true, text, error);
    }
    if (o->kind != CLI_CHOICE) {
        return true;
    }
    while (o->choices[i] != NULL && strcmp(o->choices[i], text) != 0) {
        i++;
    }
    return o->choices[i] != NULL || fail_choice(o, true, text, error);
}

bool cli_option_store(
    const cli_option *option, const char *text, void *into, cli_text *error)
{
    void *member = (char *)into + option->offset;
    const uint32_t zero = 0;
    bool flag = option->kind == CLI_TRUE;

    switch (option->kind) {
    case CLI_BY_COMMAND:
        break;
    case CLI_TRUE:
    case CLI_FALSE:
        memcpy(member, &flag, sizeof(flag));
        break;
    case CLI_ZERO:
        memcpy(member, &zero, sizeof(zero));
        break;
    case CLI_U16:
    case CLI_U32:
        return store_number(option, text, member, error);
    case CLI_STRING:
        memcpy(member, &text, sizeof(text));
        break;
    case CLI_CHOICE:
        return store_choice(option, text, member, error);
    }
    return true;
}

bool cli_args_store(
    const cli_args *args, const cli_option *table, void *into, cli_text *error)
{
    for (; table->name != NULL; table++) {
        const char *text = cli_args_value(args, table->name);

        if (text != NULL && !cli_option_store(table, text, into, error)) {
            return false;
        }
    }
    return true;
}

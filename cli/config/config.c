/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/grow.h"
#include "base/mutant.h"
#include "os/secret.h"
#include "peer_text.h"

/* Keys of one section that can be given; each option has at most one. */
#define MAX_SEEN 128

static const char *const section_names[] = {
    "node", "handle", "export", "barrel", "log", NULL};

#define N_SECTIONS (sizeof(section_names) / sizeof(section_names[0]) - 1)

/* One header. */
typedef struct section {
    unsigned kind;    /* a cli_section; 0: an unknown one, or a second of it */
    const char *name; /* "lamp" of [handle lamp]; NULL: it has none */
    unsigned line;
    unsigned n_before; /* options given before it */
    bool has_program;
} section;

typedef struct reading {
    cli_config *config;
    const cli_config_rules *rules;
    cli_faults *faults;
    const char *data; /* the whole file */
    size_t len;
    size_t at;
    unsigned line;
    char text[CLI_CONFIG_MAX_LINE + 1]; /* of the line */
    bool expects_key; /* the line has not come back from libinih */
    bool failed;      /* no memory */
    section *sections;
    size_t n_sections;
    size_t cap_sections;
    struct {
        const cli_option *option;
        unsigned line;
    } seen[MAX_SEEN]; /* keys of the present section */
    unsigned n_seen;
} reading;

const char *cli_config_section(const cli_option *option)
{
    for (size_t i = 0; i < N_SECTIONS; i++) {
        if ((option->sections & (1u << i)) != 0) {
            return section_names[i];
        }
    }
    return NULL;
}

/* ---- faults ------------------------------------------------------------- */

static void fault(reading *r, unsigned line, cli_text *text)
{
    cli_faults_add_text(r->faults, r->config->path, line, CLI_USAGE, text);
}

/* "expected EXPECTED, found 'WORD': did you mean ...?" */
static void fault_word(reading *r, const char *expected, const char *word,
    const cli_nearest *nearest)
{
    cli_text t = {0};

    cli_text_printf(&t, "expected %s, found ", expected);
    cli_quote(&t, word, strlen(word), CLI_ESCAPE_FIELD);
    if (nearest != NULL) {
        cli_nearest_say(nearest, "'", "'", &t);
    }
    fault(r, r->line, &t);
}

/* ---- memory ------------------------------------------------------------- */

/* "a", or "a=b" with b; NULL: no memory. */
static const char *keep(reading *r, const char *a, const char *b)
{
    cli_config *c = r->config;
    size_t len = strlen(a);
    size_t room = len + (b == NULL ? 0 : strlen(b) + 1) + 1;
    char *copy = malloc(room);

    if (copy == NULL
        || !pn_grow(
            &c->strings, &c->cap_strings, c->n_strings, sizeof(*c->strings))) {
        free(copy);
        r->failed = true;
        return NULL;
    }
    (void)snprintf(
        copy, room, "%s%s%s", a, b == NULL ? "" : "=", b == NULL ? "" : b);
    c->strings[c->n_strings++] = copy;
    return copy;
}

/* ---- sections ----------------------------------------------------------- */

static section *present(reading *r)
{
    return r->n_sections == 0 ? NULL : &r->sections[r->n_sections - 1];
}

static bool is_in(const char *const *names, const char *name)
{
    while (*names != NULL && strcmp(*names, name) != 0) {
        names++;
    }
    return *names != NULL;
}

/* The end of a section: one of a handle must say what the handle is. Without
 * that, the rest of it means nothing. */
static void end_section(reading *r)
{
    const section *s = present(r);
    cli_text t = {0};

    if (s == NULL || (s->kind & CLI_IN_HANDLES) == 0 || s->has_program
        || is_in(r->rules->builtin, s->name)) {
        return;
    }
    cli_text_puts(&t, "expected 'program = PROGRAM' in [");
    cli_text_printf(&t, "%s ", s->kind == CLI_IN_HANDLE ? "handle" : "export");
    cli_escape(&t, s->name, strlen(s->name), CLI_ESCAPE_FIELD);
    cli_text_puts(&t, "], found none");
    fault(r, s->line, &t);
    r->config->n_given = s->n_before;
}

static const section *find_section(const reading *r, const section *like)
{
    for (size_t i = 0; i < r->n_sections; i++) {
        const section *s = &r->sections[i];

        if (s->kind == like->kind
            && (s->name == NULL || strcmp(s->name, like->name) == 0)) {
            return s;
        }
    }
    return NULL;
}

static void fault_section(reading *r, const char *header, const char *word)
{
    cli_nearest nearest;

    cli_nearest_init(&nearest, word, strlen(word));
    cli_nearest_offer_all(&nearest, section_names);
    fault_word(r,
        "[node], [handle NAME], [export MOD.FUN/ARITY], [barrel] or [log]",
        header, &nearest);
}

/* Fills kind and name from "handle lamp"; leaves kind 0 after a fault. */
static void read_header(reading *r, char *words, section *s)
{
    size_t len = strcspn(words, " \t");
    char *name = words + len + strspn(words + len, " \t");
    char header[CLI_CONFIG_MAX_LINE + 3];
    size_t i = 0;

    (void)snprintf(header, sizeof(header), "[%s]", words);
    words[len] = '\0';
    while (i < N_SECTIONS && strcmp(section_names[i], words) != 0) {
        i++;
    }
    if (i == N_SECTIONS
        || (((1u << i) & CLI_IN_HANDLES) != 0) == (name[0] == '\0')) {
        fault_section(r, header, words);
        return;
    }
    s->kind = 1u << i;
    s->name = name[0] == '\0' ? NULL : keep(r, name, NULL);
    if (r->failed) {
        s->kind = 0;
    }
}

/* text: what stands behind the '['. */
static void begin_section(reading *r, char *text)
{
    char *end = strrchr(text, ']');
    section s = {.line = r->line, .n_before = r->config->n_given};
    const section *first;

    end_section(r);
    r->n_seen = 0;
    if (end == NULL
        || (end[1 + strspn(end + 1, " \t")] != '\0'
            && strchr(";#", end[1 + strspn(end + 1, " \t")]) == NULL)) {
        fault_word(r, "']' at the end of a section's name", text, NULL);
    } else {
        while (end > text && (end[-1] == ' ' || end[-1] == '\t')) {
            end--;
        }
        *end = '\0';
        read_header(r, text + strspn(text, " \t"), &s);
    }
    first = s.kind == 0 ? NULL : find_section(r, &s);
    if (PN_REFUSE_IF(config_section_once, first != NULL)) {
        cli_text t = {0};

        cli_text_printf(
            &t, "expected this section once, it is in line %u", first->line);
        fault(r, r->line, &t);
        s.kind = 0;
    }
    if (pn_grow(&r->sections, &r->cap_sections, r->n_sections, sizeof(s))) {
        r->sections[r->n_sections++] = s;
    } else {
        r->failed = true;
    }
}

/* ---- keys --------------------------------------------------------------- */

/* The option of that key in one of these sections; NULL: none. */
static const cli_option *find_key(
    const reading *r, unsigned sections, const char *key)
{
    for (size_t t = 0; r->rules->tables[t] != NULL; t++) {
        for (const cli_option *o = r->rules->tables[t]; o->name != NULL; o++) {
            if ((o->sections & sections) != 0 && strcmp(o->key, key) == 0) {
                return o;
            }
        }
    }
    return NULL;
}

static void fault_key(reading *r, const section *s, const char *key)
{
    const cli_option *elsewhere = find_key(r, ~0u, key);
    cli_nearest nearest;
    cli_text t = {0};

    cli_nearest_init(&nearest, key, strlen(key));
    for (size_t i = 0; r->rules->tables[i] != NULL; i++) {
        for (const cli_option *o = r->rules->tables[i]; o->name != NULL; o++) {
            if ((o->sections & s->kind) != 0) {
                cli_nearest_offer(&nearest, o->key);
            }
        }
    }
    cli_text_puts(&t, "expected a key of [");
    for (size_t i = 0; i < N_SECTIONS; i++) {
        if (s->kind == 1u << i) {
            cli_text_puts(&t, section_names[i]);
        }
    }
    cli_text_puts(&t, "], found ");
    cli_quote(&t, key, strlen(key), CLI_ESCAPE_FIELD);
    if (elsewhere != NULL) {
        cli_text_printf(
            &t, ", which is one of [%s]", cli_config_section(elsewhere));
    } else {
        cli_nearest_say(&nearest, "'", "'", &t);
    }
    fault(r, r->line, &t);
}

/* True for a flag, and for the option of a handle that has no value. */
static bool is_flag(const cli_option *option)
{
    return option->value == NULL
           || ((option->sections & CLI_IN_HANDLES) != 0
               && strcmp(option->value, "NAME...") == 0);
}

/* A key that was given before is a fault, because either may be meant. */
static bool is_first(reading *r, const cli_option *option)
{
    for (unsigned i = 0; i < r->n_seen; i++) {
        if (PN_REFUSE_IF(config_key_once, r->seen[i].option == option)
            && (is_flag(option) || !cli_option_repeats(option)
                || strcmp(option->key, "program") == 0)) {
            cli_text t = {0};

            cli_text_printf(&t, "expected '%s' once, it is in line %u",
                option->key, r->seen[i].line);
            fault(r, r->line, &t);
            return false;
        }
    }
    if (r->n_seen < MAX_SEEN) {
        r->seen[r->n_seen].option = option;
        r->seen[r->n_seen++].line = r->line;
    }
    return true;
}

static void give(reading *r, const cli_option *option, const char *value)
{
    cli_config *c = r->config;

    if (!pn_grow(&c->given, &c->cap, c->n_given, sizeof(*c->given))) {
        r->failed = true;
        return;
    }
    c->given[c->n_given++] = (cli_given){
        .option = option, .value = value, .file = c->path, .line = r->line};
}

static void take_flag(
    reading *r, const section *s, const cli_option *option, const char *value)
{
    bool is_yes = strcmp(value, "yes") == 0;

    if (!is_yes && strcmp(value, "no") != 0) {
        cli_text t = {0};

        cli_text_printf(
            &t, "expected 'yes' or 'no' for '%s', found ", option->key);
        cli_quote(&t, value, strlen(value), CLI_ESCAPE_FIELD);
        fault(r, r->line, &t);
    } else if (is_yes != cli_option_is_negative(option)) {
        give(r, option, s->name);
    }
}

static void take_value(
    reading *r, const section *s, const cli_option *option, const char *value)
{
    cli_text error = {0};
    const char *kept = NULL;

    if (value[0] == '\0' && strcmp(option->key, "arg") != 0) {
        cli_text_printf(
            &error, "expected a value for '%s', found nothing", option->key);
        fault(r, r->line, &error);
    } else if (!cli_key_check(option, value, &error)) {
        fault(r, r->line, &error);
    } else {
        kept = s->name == NULL ? keep(r, value, NULL) : keep(r, s->name, value);
    }
    if (kept != NULL) {
        give(r, option, kept);
    }
}

/* libinih's callback. A fault does not stop it. */
static int on_key(
    void *user, const char *name_of_section, const char *key, const char *value)
{
    reading *r = user;
    section *s = present(r);
    const cli_option *option;

    (void)name_of_section;
    r->expects_key = false;
    if (s == NULL) {
        fault_word(
            r, "a section such as [node] before the first key", key, NULL);
        return 1;
    }
    if (s->kind == 0) {
        return 1;
    }
    option = find_key(r, s->kind, key);
    if (option == NULL) {
        fault_key(r, s, key);
        return 1;
    }
    s->has_program = s->has_program || strcmp(key, "program") == 0;
    if (!is_first(r, option)) {
        return 1;
    }
    if (is_flag(option)) {
        take_flag(r, s, option, value);
    } else {
        take_value(r, s, option, value);
    }
    return 1;
}

/* ---- lines -------------------------------------------------------------- */

/* Called when the line before is done: one that had no key is a fault. */
static void check_last(reading *r)
{
    if (r->expects_key) {
        fault_word(r, "KEY = VALUE or [SECTION]", r->text, NULL);
        r->expects_key = false;
    }
}

/* Takes the next line into r->text without blanks around it; "" for one that
 * cannot be read. False: the end. */
static bool next_line(reading *r)
{
    static const char bom[] = "\xef\xbb\xbf";
    const char *begin = r->data + r->at;
    const char *newline = memchr(begin, '\n', r->len - r->at);
    size_t len = newline == NULL ? r->len - r->at : (size_t)(newline - begin);

    if (r->at == r->len) {
        return false;
    }
    r->at += len + (newline != NULL);
    r->line++;
    if (r->line == 1 && len >= 3 && memcmp(begin, bom, 3) == 0) {
        begin += 3;
        len -= 3;
    }
    while (len > 0 && (*begin == ' ' || *begin == '\t')) {
        begin++;
        len--;
    }
    while (len > 0 && strchr(" \t\r", begin[len - 1]) != NULL
           && begin[len - 1] != '\0') {
        len--;
    }
    r->text[0] = '\0';
    if (PN_REFUSE_IF(config_line_length, len > CLI_CONFIG_MAX_LINE)) {
        cli_text t = {0};

        cli_text_printf(&t, "expected at most %d bytes in a line, found %zu",
            CLI_CONFIG_MAX_LINE, len);
        fault(r, r->line, &t);
    } else if (memchr(begin, '\0', len) != NULL) {
        cli_text t = {0};

        cli_text_puts(&t, "expected text, found a NUL byte");
        fault(r, r->line, &t);
    } else {
        memcpy(r->text, begin, len);
        r->text[len] = '\0';
    }
    return true;
}

/* libinih's reader: it gets lines with keys only. */
static char *on_read(char *str, int num, void *stream)
{
    reading *r = stream;

    check_last(r);
    if (r->failed || !next_line(r)) {
        return NULL;
    }
    str[0] = '\0';
    if (r->text[0] == '[') {
        begin_section(r, r->text + 1);
    } else if (r->text[0] != '\0' && strchr(";#", r->text[0]) == NULL) {
        r->expects_key = true;
        (void)snprintf(str, (size_t)num, "%s", r->text);
    }
    return str;
}

/* ---- the file ----------------------------------------------------------- */

static bool read_all(int fd, cli_text *t)
{
    char piece[65536];
    ssize_t n;

    while (!t->failed && t->len <= CLI_CONFIG_MAX_FILE
           && (n = read(fd, piece, sizeof(piece))) != 0) {
        if (n < 0 && errno != EINTR) {
            return false;
        }
        cli_text_add(t, piece, n > 0 ? (size_t)n : 0);
    }
    return !t->failed;
}

static bool load(
    const char *path, cli_text *t, const char **ret_why, bool *ret_is_missing)
{
    int sys_errno = 0;
    int fd = -1;
    pn_err err = pn_owned_open(path, &fd, &sys_errno, ret_why);
    bool good;

    if (err != PN_OK) {
        *ret_is_missing = err == PN_NOT_FOUND;
        *ret_why = *ret_why != NULL ? *ret_why : strerror(sys_errno);
        return false;
    }
    good = read_all(fd, t);
    *ret_why = good ? NULL : strerror(t->failed ? ENOMEM : errno);
    (void)close(fd);
    if (good && t->len > CLI_CONFIG_MAX_FILE) {
        *ret_why = "expected at most 4 MiB";
    }
    return *ret_why == NULL;
}

static void read_lines(cli_config *config, const cli_config_rules *rules,
    cli_faults *faults, const cli_text *text)
{
    reading r = {.config = config,
        .rules = rules,
        .faults = faults,
        .data = cli_text_string(text),
        .len = text->len};

    (void)ini_parse_stream(on_read, &r, on_key, &r);
    check_last(&r);
    end_section(&r);
    free(r.sections);
    faults->is_lost = faults->is_lost || r.failed;
}

cli_config *cli_config_read(const char *path, const cli_config_rules *rules,
    cli_faults *faults, bool *ret_is_missing)
{
    cli_config *config = calloc(1, sizeof(*config));
    cli_text text = {0};
    const char *why = NULL;
    bool is_missing = false;

    if (config == NULL || (config->path = strdup(path)) == NULL) {
        free(config);
        faults->is_lost = true;
        return NULL;
    }
    if (load(path, &text, &why, &is_missing)) {
        read_lines(config, rules, faults, &text);
    } else {
        cli_faults_add(faults, config->path, 0, CLI_LOCAL, why);
    }
    cli_text_fini(&text);
    if (ret_is_missing != NULL) {
        *ret_is_missing = is_missing;
    }
    return config;
}

void cli_config_free(cli_config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config->n_strings; i++) {
        free(config->strings[i]);
    }
    free(config->strings);
    free(config->given);
    free(config->path);
    free(config);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "run_settings.h"

#include <grp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/grow.h"
#include "base/mutant.h"
#include "commands.h"
#include "peer_text.h"
#include "peername.h"
#include "program/program_find.h"

#define MAX_EXPOSED 4096
#define MAX_ARGS 32
/* Most bytes of a program's output: room for JSON of the largest message, 1 MiB
 * over PeerNet and 16 MiB over Barrel. */
#define MAX_OUTPUT ((size_t)4 << 20)
#define MAX_OUTPUT_BARREL ((size_t)32 << 20)
/* Most bytes of a program's input: room for the JSON of a usual message of 16
 * MiB. */
#define MAX_INPUT_BYTES ((size_t)32 << 20)
#define SYSTEM_FILE "/etc/peernet/peernet.conf"

/* Fills a run_options. */
const cli_option cli_run_option_table[] = {
    {"expose", 'e', "NAME=PROGRAM...",
        .help = "let a program answer to the handle NAME", .key = "program",
        .sections = CLI_IN_HANDLE},
    {"export", 0, "MOD.FUN/ARITY=PROGRAM...",
        .help = "let a program answer to 'rpc'; NAME is MOD.FUN/ARITY then",
        .key = "program", .sections = CLI_IN_EXPORT},
    {"arg", 0, "NAME=ARG...", .help = "a fixed argument for NAME's program",
        .key = "arg", .sections = CLI_IN_HANDLES},
    {"text", 0, "NAME...",
        .help = "NAME's program takes and prints text, not JSON", .key = "text",
        .sections = CLI_IN_HANDLES},
    {"allow", 'A', "NAME=PEER|paired...",
        .help = "who may use NAME, NODE@HOST too", .key = "allow",
        .sections = CLI_IN_HANDLES},
    {"program-timeout", 0, "MS",
        .help = "when a program is killed; default 30000", .kind = CLI_U32,
        .offset = offsetof(run_options, program_timeout_ms), .min = 1,
        .max = 3600000, .key = "program-timeout", .sections = CLI_IN_NODE},
    {"echo", 0, NULL, .help = "expose 'echo', which answers with its argument",
        .kind = CLI_TRUE, .offset = offsetof(run_options, echo), .key = "echo",
        .sections = CLI_IN_NODE},
    {"chat", 0, NULL, .help = "expose 'chat', and print what is sent there",
        .kind = CLI_TRUE, .offset = offsetof(run_options, chat), .key = "chat",
        .sections = CLI_IN_NODE},
    {"announce-every", 0, "MS", .help = "pause between announces; default 5000",
        .kind = CLI_U32, .offset = offsetof(run_options, announce_ms),
        .min = 100, .max = 3600000, .key = "announce-every",
        .sections = CLI_IN_NODE},
    {"quiet-on-new-networks", 0, NULL,
        .help = "when the network changes, be silent until 'announce'",
        .kind = CLI_TRUE,
        .offset = offsetof(run_options, quiet_on_new_networks),
        .key = "quiet-on-new-networks", .sections = CLI_IN_NODE},
    {"own-label", 0, "LABEL",
        .help = "what paired peers that run peernet are told of this node",
        .kind = CLI_STRING, .offset = offsetof(run_options, own_label),
        .key = "label", .sections = CLI_IN_NODE},
    {"publish-label", 0, NULL,
        .help = "let DNS-SD show that label to everybody on the network",
        .kind = CLI_TRUE, .offset = offsetof(run_options, publish_label),
        .key = "publish-label", .sections = CLI_IN_NODE},
    {"no-control", 0, NULL,
        .help = "no control socket: other commands are refused",
        .kind = CLI_FALSE, .offset = offsetof(run_options, control),
        .key = "control", .sections = CLI_IN_NODE},
    {"handles-socket", 0, "PATH",
        .help = "where programs of other users serve handles",
        .kind = CLI_STRING, .offset = offsetof(run_options, handles_socket),
        .key = "handles-socket", .sections = CLI_IN_NODE},
    {"handles-group", 0, "GROUP", .help = "who may connect there",
        .kind = CLI_STRING, .offset = offsetof(run_options, handles_group),
        .key = "handles-group", .sections = CLI_IN_NODE},
    {"handles-allow", 0, "NAME=PEER|paired...",
        .help = "a handle that they may serve, and who may use it",
        .key = "handles-allow", .sections = CLI_IN_NODE},
    {"verbose", 'v', NULL, .help = "print debug lines of the log too",
        .kind = CLI_TRUE, .offset = offsetof(run_options, verbose),
        .key = "verbose", .sections = CLI_IN_LOG},
    {"metrics-file", 0, "FILE",
        .help = "write the counters there every 15 s, for a node exporter",
        .kind = CLI_STRING, .offset = offsetof(run_options, metrics_file),
        .key = "metrics-file", .sections = CLI_IN_LOG},
    {"config", 0, "FILE",
        .help = "the configuration; default DATA-DIR/peernet.conf, else "
                "/etc/peernet/peernet.conf"},
    {.name = NULL},
};

const cli_option *const cli_run_tables[] = {cli_run_option_table,
    cli_node_option_table, cli_barrel_run_option_table, cli_barrel_option_table,
    NULL};

/* The built-in handles and functions. */
static const char *const builtins[] = {"echo", "chat", "Logger.debug/1",
    "Logger.info/1", "Logger.warning/1", "Logger.error/1", NULL};
static const char *const *const loggers = builtins + 2;
static const cli_function logger_functions[] = {{"Logger", "debug", 1},
    {"Logger", "info", 1}, {"Logger", "warning", 1}, {"Logger", "error", 1}};

/* ---- faults ------------------------------------------------------------- */

/* A fault of g, in the words of the place where it was given: expected, and of
 * a key its value without the name of its section. */
static void fault(cli_settings *s, const cli_given *g, const char *expected,
    const char *expected_of_key, const cli_nearest *nearest)
{
    const char *equals = g->file == NULL ? NULL : strchr(g->value, '=');

    s->faults.at = g;
    (void)cli_fail_word(&s->app, g->file == NULL ? expected : expected_of_key,
        equals == NULL ? g->value : equals + 1, nearest);
}

/* The same about the name of its section. */
static void fault_name(cli_settings *s, const cli_given *g,
    const char *expected, const char *expected_of_key, const char *name)
{
    s->faults.at = g;
    (void)cli_fail_word(&s->app, g->file == NULL ? expected : expected_of_key,
        g->file == NULL ? g->value : name, NULL);
}

/* name: of the value of g, that which nothing is exposed by. */
static void fault_unexposed(cli_settings *s, const cli_given *g,
    const char *expected, const char *name, bool is_allow)
{
    cli_nearest nearest;

    cli_nearest_init(&nearest, name, strlen(name));
    for (size_t i = 0; i < s->n_programs; i++) {
        cli_nearest_offer(&nearest, s->programs[i]->name);
    }
    if (is_allow) {
        cli_nearest_offer_all(&nearest, loggers);
    }
    if (is_allow && s->options.echo) {
        cli_nearest_offer(&nearest, "echo");
    }
    if (is_allow && s->options.chat) {
        cli_nearest_offer(&nearest, "chat");
    }
    s->faults.at = g;
    if (g->file == NULL) {
        (void)cli_fail_word(&s->app, expected, g->value, &nearest);
    } else if (strcmp(name, "echo") == 0 || strcmp(name, "chat") == 0) {
        (void)cli_fail(&s->app, CLI_USAGE,
            "expected '%s = yes' in [node], or 'program' in this section",
            name);
    } /* else its program is a fault, and the rest means nothing */
}

/* ---- programs ----------------------------------------------------------- */

/* The part of NAME=VALUE before '='; NULL when there is none that fits. */
static const char *split_pair(const char *word, char *name, size_t room)
{
    const char *equals = strchr(word, '=');
    size_t len = equals == NULL ? room : (size_t)(equals - word);

    if (len >= room) {
        return NULL;
    }
    memcpy(name, word, len);
    name[len] = '\0';
    return equals + 1;
}

/* The options of one handle are beside each other in a file, so the search
 * begins where the last one ended. */
static run_program *find_exposed(cli_settings *s, const char *name)
{
    for (size_t i = 0; i < s->n_programs; i++) {
        size_t at = (s->found + i) % s->n_programs;

        if (strcmp(s->programs[at]->name, name) == 0) {
            s->found = at;
            return s->programs[at];
        }
    }
    return NULL;
}

/* "MyApp.Led.on/1", ":led.on/1": the module is all before the last dot. */
static bool read_function(run_program *p)
{
    char *slash;
    char *dot;

    memcpy(p->words, p->name, sizeof(p->words));
    slash = strrchr(p->words, '/');
    if (slash == NULL || slash[1] == '\0' || strlen(slash + 1) > 3
        || strspn(slash + 1, "0123456789") != strlen(slash + 1)) {
        return false;
    }
    *slash = '\0';
    dot = strrchr(p->words, '.');
    if (dot == NULL || dot == p->words || dot[1] == '\0') {
        return false;
    }
    *dot = '\0';
    p->function = (cli_function){.module = p->words,
        .name = dot + 1,
        .arity = (unsigned)atoi(slash + 1)};
    return p->function.arity <= 255;
}

static void program_free(cli_exposed *exposed)
{
    run_program *p = (run_program *)exposed;

    free(p->path);
    for (size_t i = 0; p->argv != NULL && i <= p->n_args; i++) {
        free(p->argv[i]);
    }
    free(p->argv);
    free(p);
}

static run_program *program_new(cli_settings *s)
{
    run_program *p = calloc(1, sizeof(*p));

    if (p == NULL
        || !pn_grow(&s->programs, &s->cap_programs, s->n_programs,
            sizeof(*s->programs))) {
        free(p);
        s->faults.is_lost = true;
        return NULL;
    }
    p->exposed.free = program_free;
    p->exposed.refs = 1;
    return p;
}

/* The handle's name is one; program NULL: the word has no '='. */
static bool check_name(cli_settings *s, run_program *p, const char *program)
{
    bool is_function = p->exposed.is_function;

    if (!is_function
        && (program == NULL || !cli_handle_name_is_good(p->name))) {
        fault_name(s, p->given,
            "NAME=PROGRAM after '--expose', NAME of 1 to 64 characters a-z, "
            "0-9 and _",
            "NAME of 1 to 64 characters a-z, 0-9 and _ in [handle NAME]",
            p->name);
        return false;
    }
    if (is_function && (program == NULL || !read_function(p))) {
        fault_name(s, p->given,
            "MOD.FUN/ARITY=PROGRAM after '--export', such as MyApp.Led.on/1",
            "[export MOD.FUN/ARITY], such as MyApp.Led.on/1", p->name);
        return false;
    }
    if (is_function && p->words[0] != ':'
        && (p->words[0] < 'A' || p->words[0] > 'Z')) {
        (void)cli_fail(&s->app, CLI_USAGE,
            "expected ':%s' after '%s' for the Erlang module %s, or an "
            "Elixir module such as MyApp.Led.on/1, found '%s'",
            p->name, p->given->file == NULL ? "--export" : "[export", p->words,
            p->name);
        return false;
    }
    if (find_exposed(s, p->name) != NULL) {
        fault_name(s, p->given, "each NAME once after '--expose'",
            "each NAME in one section", p->name);
        return false;
    }
    return true;
}

/* A program that was found for the handle before need not be looked for. */
static bool find_program(cli_settings *s, run_program *p, const char *program)
{
    const run_program *last = s->n_programs == 0
                                  ? NULL
                                  : s->programs[s->n_programs - 1];
    char path[PATH_MAX];
    cli_text why = {0};

    if (last != NULL && last->path != NULL
        && strcmp(last->argv[0], program) == 0) {
        p->path = strdup(last->path);
        return true;
    }
    if (!cli_find_program(program, path, &why)) {
        (void)cli_fail_text(&s->app, CLI_USAGE, &why);
        return false;
    }
    p->path = strdup(path);
    return true;
}

static void add_program(cli_settings *s, const cli_given *g, bool is_function)
{
    run_program *p = program_new(s);
    const char *program;

    if (p == NULL) {
        return;
    }
    p->given = g;
    p->exposed.is_function = is_function;
    p->argv = calloc(MAX_ARGS + 2, sizeof(*p->argv));
    program = split_pair(g->value, p->name, sizeof(p->name));
    if (s->n_programs == MAX_EXPOSED) {
        fault(s, g, "at most 4096 programs", "at most 4096 programs", NULL);
        program_free(&p->exposed);
        return;
    }
    if (p->argv == NULL || !check_name(s, p, program)) {
        s->faults.is_lost = s->faults.is_lost || p->argv == NULL;
        program_free(&p->exposed);
        return;
    }
    /* Without its program it stays in the list, so that what else is said of
     * it is checked all the same. */
    (void)find_program(s, p, program);
    /* argv[0] is the program's name as the owner has written it. */
    p->argv[0] = strdup(program);
    s->faults.is_lost = s->faults.is_lost || p->argv[0] == NULL;
    p->exposed.max_input = MAX_INPUT_BYTES;
    p->exposed.program = (cli_program){.name = p->name,
        .path = p->path,
        .argv = p->argv,
        .timeout_ms = s->options.program_timeout_ms,
        .max_output = cli_args_flag(&s->args, "barrel") ? MAX_OUTPUT_BARREL
                                                        : MAX_OUTPUT};
    s->programs[s->n_programs++] = p;
}

static void add_handle(cli_settings *s, const cli_given *g)
{
    add_program(s, g, false);
}

static void add_function(cli_settings *s, const cli_given *g)
{
    add_program(s, g, true);
}

static void add_argument(cli_settings *s, const cli_given *g)
{
    char name[CLI_FUNCTION_NAME_CAP];
    const char *value = split_pair(g->value, name, sizeof(name));
    run_program *p = value == NULL ? NULL : find_exposed(s, name);

    if (value == NULL) {
        fault(
            s, g, "NAME=ARG after '--arg', NAME exposed", "an argument", NULL);
    } else if (p == NULL) {
        fault_unexposed(
            s, g, "NAME=ARG after '--arg', NAME exposed", name, false);
    } else if (p->n_args == MAX_ARGS) {
        fault(s, g, "at most 32 arguments", "at most 32 arguments", NULL);
    } else {
        p->argv[++p->n_args] = strdup(value);
        s->faults.is_lost = s->faults.is_lost || p->argv[p->n_args] == NULL;
    }
}

static void add_text(cli_settings *s, const cli_given *g)
{
    run_program *p = find_exposed(s, g->value);

    if (p == NULL) {
        fault_unexposed(
            s, g, "NAME after '--text', NAME exposed", g->value, false);
    } else {
        p->exposed.is_text = true;
    }
}

/* ---- allowances --------------------------------------------------------- */

static bool is_builtin(const cli_settings *s, const char *name)
{
    return (strcmp(name, "echo") == 0 && s->options.echo)
           || (strcmp(name, "chat") == 0 && s->options.chat);
}

static const cli_function *find_logger(const char *name)
{
    for (size_t i = 0; loggers[i] != NULL; i++) {
        if (strcmp(name, loggers[i]) == 0) {
            return &logger_functions[i];
        }
    }
    return NULL;
}

static void add_allowance(cli_settings *s, const cli_given *g)
{
    static const char expected[] =
        "NAME=PEER or NAME=paired after '--allow', NAME exposed";
    run_allowance *a;
    run_program *p;

    if (!pn_grow(&s->allowances, &s->cap_allowances, s->n_allowances,
            sizeof(*s->allowances))) {
        s->faults.is_lost = true;
        return;
    }
    a = &s->allowances[s->n_allowances];
    *a = (run_allowance){.given = g};
    a->peer = split_pair(g->value, a->name, sizeof(a->name));
    if (a->peer == NULL || a->peer[0] == '\0') {
        fault(s, g, expected, "a peer or 'paired' for 'allow'", NULL);
        return;
    }
    p = find_exposed(s, a->name);
    a->function = p == NULL                ? find_logger(a->name)
                  : p->exposed.is_function ? &p->function
                                           : NULL;
    if (p == NULL && a->function == NULL && !is_builtin(s, a->name)) {
        fault_unexposed(s, g, expected, a->name, true);
        return;
    }
    if (cli_is_node(a->peer) && !cli_args_flag(&s->args, "barrel")) {
        fault(s, g, "'--barrel NAME@HOST' with a node after '--allow'",
            "'name = NAME@HOST' in [barrel] with a node for 'allow'", NULL);
        return;
    }
    if (p != NULL) {
        p->allowed = true;
    }
    s->n_allowances++;
}

/* docs/THREATS.md, T14: a program is closed until --allow names a peer. A
 * section without `allow` means whoever the file of grants names. */
static void check_allowed(cli_settings *s)
{
    for (size_t i = 0; i < s->n_programs; i++) {
        const run_program *p = s->programs[i];

        s->faults.at = p->given;
        if (is_builtin(s, p->name)) {
            (void)cli_fail_word(&s->app,
                "one of '--expose' and the handle that is built in", p->name,
                NULL);
        } else if (p->given->file == NULL
                   && PN_REFUSE_IF(cli_expose_needs_allow, !p->allowed)) {
            (void)cli_fail(&s->app, CLI_USAGE,
                "expected '--allow %s=PEER' or '--allow %s=paired': nobody "
                "may use '%s' yet",
                p->name, p->name, p->name);
        }
    }
}

/* ---- handles of other users' programs ------------------------------------ */

static void check_handle_peer(cli_settings *s, const cli_given *g)
{
    char name[CLI_FUNCTION_NAME_CAP];
    const char *peer = split_pair(g->value, name, sizeof(name));

    if (peer == NULL || peer[0] == '\0' || !cli_handle_name_is_good(name)) {
        fault(s, g,
            "NAME=PEER or NAME=paired after '--handles-allow', NAME of 1 to 64 "
            "characters a-z, 0-9 and _",
            "NAME=PEER or NAME=paired for 'handles-allow'", NULL);
    }
}

const char *cli_settings_handle_peer(
    cli_settings *s, const char *handle, size_t i)
{
    size_t len = strlen(handle);
    const char *word;
    unsigned at = 0;

    while ((word = cli_args_next(&s->args, "handles-allow", &at)) != NULL) {
        if (strncmp(word, handle, len) == 0 && word[len] == '=' && i-- == 0) {
            return word + len + 1;
        }
    }
    return NULL;
}

static bool find_group(const char *name, gid_t *ret_group)
{
    const struct group *group = getgrnam(name);

    if (group != NULL) {
        *ret_group = group->gr_gid;
        return true;
    }
    if (name[0] == '\0' || strlen(name) > 9
        || strspn(name, "0123456789") != strlen(name)) {
        return false;
    }
    *ret_group = (gid_t)strtoul(name, NULL, 10);
    return true;
}

/* Without all three nothing is opened, so one alone is a mistake. */
static void check_handles(cli_settings *s)
{
    const char *group = s->options.handles_group;
    bool has_socket = s->options.handles_socket != NULL;
    bool has_names = cli_args_flag(&s->args, "handles-allow");

    if (has_socket != (group != NULL) || has_socket != has_names) {
        (void)cli_fail(&s->app, CLI_USAGE,
            "expected '--handles-socket PATH', '--handles-group GROUP' and "
            "'--handles-allow NAME=PEER' together");
    } else if (has_socket && s->options.handles_socket[0] != '/') {
        (void)cli_fail_word(&s->app,
            "an absolute path after "
            "'--handles-socket'",
            s->options.handles_socket, NULL);
    } else if (group != NULL && !find_group(group, &s->handles_group)) {
        (void)cli_fail_word(&s->app,
            "a group of this system after '--handles-group'", group, NULL);
    }
}

/* The order matters: the later options name handles of the first two. */
static void read_exposures(cli_settings *s)
{
    static const struct {
        const char *option;
        void (*add)(cli_settings *s, const cli_given *g);
    } steps[] = {
        {"expose", add_handle},
        {"export", add_function},
        {"arg", add_argument},
        {"text", add_text},
        {"allow", add_allowance},
        {"handles-allow", check_handle_peer},
    };

    for (size_t step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
        unsigned i = 0;

        while (cli_args_next(&s->args, steps[step].option, &i) != NULL) {
            steps[step].add(s, s->faults.at);
        }
    }
    check_allowed(s);
    check_handles(s);
}

/* ---- whom it is for ----------------------------------------------------- */

/* A grant is given to the key, whatever name its owner has later. */
static cli_exit find_pinned(
    cli_settings *s, cli_hub *hub, const char *node, pn_principal *ret_who)
{
    cli_text why = {0};
    cli_exit status = cli_check_node(&s->app, node);
    pn_err err;

    if (status != CLI_OK) {
        return status;
    }
    err = cli_hub_pinned(hub, node, ret_who);
    if (err == PN_NOT_FOUND) {
        cli_text_printf(&why,
            "%s is not pinned: expected 'peernet barrel trust %s KEYFILE' "
            "first",
            node, node);
        cli_hub_suggest_node(hub, node, &why);
        return cli_fail_text(&s->app, CLI_NO_PEER, &why);
    }
    return err == PN_OK
               ? CLI_OK
               : cli_fail(&s->app, CLI_LOCAL, "%s: %s", node, pn_strerror(err));
}

/* A key may be allowed before it is paired; a name must be known. A word with
 * two meanings is refused, because it could open a handle to the wrong peer. */
static void resolve(cli_settings *s, cli_hub *hub, run_allowance *a)
{
    pn_node *node = cli_hub_node(hub);
    cli_text why = {0};

    s->faults.at = a->given;
    a->is_all = strcmp(a->peer, "paired") == 0;
    a->is_stored = strcmp(a->peer, "granted") == 0;
    if (cli_name_check(node, a->peer, &why) != PN_OK) {
        (void)cli_fail_text(&s->app, CLI_NO_PEER, &why);
        return;
    }
    if (a->is_all || a->is_stored) {
        return;
    }
    if (cli_is_node(a->peer)) {
        (void)find_pinned(s, hub, a->peer, &a->who);
        return;
    }
    a->who.family = PN_FAMILY_PEERNET;
    if (pn_key_parse(a->peer, &a->who.key.x25519) != PN_OK
        && cli_peer_of_node(node, a->peer, "paired", &a->who.key.x25519, &why)
               != PN_OK) {
        (void)cli_fail_text(&s->app, CLI_NO_PEER, &why);
    }
}

void cli_settings_resolve(cli_settings *s, cli_hub *hub)
{
    for (size_t i = 0; i < s->n_allowances; i++) {
        resolve(s, hub, &s->allowances[i]);
    }
}

/* ---- the file and the command line -------------------------------------- */

/* True when two values are of one handle: "lamp=x" and "lamp", "lamp=y". */
static bool is_same_handle(const char *a, const char *b)
{
    size_t len = strcspn(a, "=");

    return len == strcspn(b, "=") && memcmp(a, b, len) == 0;
}

/* True when the command line says otherwise. */
static bool is_replaced(const cli_args *line, const cli_given *g)
{
    for (unsigned i = 0; i < line->n_given; i++) {
        const cli_given *other = &line->given[i];
        bool is_handle = (other->option->sections & CLI_IN_HANDLES) != 0;

        if (!is_handle && other->option == g->option) {
            return true;
        }
        if (is_handle && (g->option->sections & CLI_IN_HANDLES) != 0
            && (other->option == g->option
                || strcmp(other->option->key, "program") == 0)
            && is_same_handle(other->value, g->value)) {
            return true;
        }
    }
    return false;
}

static bool merge(cli_settings *s, const cli_args *line)
{
    unsigned n_file = s->config == NULL ? 0 : s->config->n_given;
    unsigned n = 0;

    s->args = *line;
    s->merged = calloc(n_file + line->n_given + 1, sizeof(*s->merged));
    if (s->merged == NULL) {
        return false;
    }
    for (unsigned i = 0; i < n_file; i++) {
        if (!is_replaced(line, &s->config->given[i])) {
            s->merged[n++] = s->config->given[i];
        }
    }
    memcpy(s->merged + n, line->given, line->n_given * sizeof(*s->merged));
    s->args.given = s->merged;
    s->args.n_given = n + line->n_given;
    s->args.looked_at = &s->faults.at;
    s->app.args = &s->args;
    return true;
}

/* The first that is there; one that was asked for must be. */
static void read_file(cli_settings *s, const cli_app *app, const char *file)
{
    const cli_config_rules rules = {
        .tables = cli_run_tables, .builtin = builtins};
    char of_data[PATH_MAX + 16];
    const char *places[] = {file, of_data, SYSTEM_FILE};
    bool is_missing = false;

    if (file == NULL) {
        file = cli_args_value(app->args, "config");
        places[0] = file;
    }
    (void)snprintf(of_data, sizeof(of_data), "%s/peernet.conf", app->data_dir);
    for (size_t i = file == NULL ? 1 : 0; i < (file == NULL ? 3 : 1); i++) {
        s->config = cli_config_read(places[i], &rules, &s->faults, &is_missing);
        if (file != NULL || !is_missing || s->config == NULL) {
            return;
        }
        cli_faults_fini(&s->faults); /* that it is missing */
        cli_config_free(s->config);
        s->config = NULL;
    }
}

static void read_all(cli_settings *s)
{
    s->options = (run_options){
        .program_timeout_ms = 30000, .announce_ms = 5000, .control = true};
    (void)cli_read_options(&s->app, cli_run_option_table, &s->options);
    read_exposures(s);
    (void)cli_node_options(&s->app, &s->hub);
    (void)cli_barrel_run_setup(&s->app, &s->barrel, &s->has_barrel);
    if (s->options.publish_label && s->options.own_label == NULL) {
        (void)cli_args_value(&s->args, "publish-label");
        (void)cli_fail(&s->app, CLI_USAGE,
            s->faults.at->file == NULL
                ? "expected --own-label beside '--publish-label', found "
                  "'--publish-label'"
                : "expected 'label' beside 'publish-label', found none");
    }
    s->hub.publish_label = s->options.publish_label;
    s->hub.node.announce_interval_ms = s->options.announce_ms;
    s->hub.node.own_label = s->options.own_label;
    s->hub.node.announce_on_new_networks = !s->options.quiet_on_new_networks;
    s->hub.chat = s->options.chat;
    s->hub.verbose = s->options.verbose;
    s->hub.barrel = s->has_barrel ? &s->barrel.options : NULL;
}

cli_settings *cli_settings_read(const cli_app *app, const char *file)
{
    cli_settings *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    s->app = *app;
    s->app.faults = &s->faults;
    read_file(s, app, file);
    if (!merge(s, app->args)) {
        s->faults.is_lost = true;
        return s;
    }
    read_all(s);
    s->faults.at = NULL;
    return s;
}

void cli_settings_keep(cli_settings *s, const cli_settings *old)
{
    for (size_t i = 0; i < s->n_programs; i++) {
        s->programs[i]->exposed.program.timeout_ms =
            old->options.program_timeout_ms;
        s->programs[i]->exposed.program.max_output = old->has_barrel
                                                         ? MAX_OUTPUT_BARREL
                                                         : MAX_OUTPUT;
    }
    s->options.program_timeout_ms = old->options.program_timeout_ms;
    s->options.chat = old->options.chat;
}

void cli_settings_free(cli_settings *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->n_programs; i++) {
        cli_exposed_unref(&s->programs[i]->exposed);
    }
    free(s->programs);
    free(s->allowances);
    free(s->merged);
    cli_barrel_wipe(&s->barrel);
    cli_config_free(s->config);
    cli_faults_fini(&s->faults);
    free(s);
}

cli_exit cli_settings_report(const cli_app *app, cli_settings *s)
{
    cli_exit status = CLI_OK;

    if (s->faults.is_lost) {
        return cli_fail(app, CLI_LOCAL, "%s", pn_strerror(PN_NOMEM));
    }
    cli_faults_sort(&s->faults);
    for (size_t i = 0; i < s->faults.n; i++) {
        const cli_fault *f = &s->faults.items[i];
        cli_text t = {0};

        cli_fault_to_text(f, &t);
        status = status == CLI_OK ? f->status : status;
        (void)cli_fail_text(app, f->status, &t);
        if (f->file == NULL) {
            break; /* of a command line the first is enough */
        }
    }
    return status;
}

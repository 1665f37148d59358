/* SPDX-License-Identifier: Apache-2.0 */
/* run: the node in the foreground, its exposed programs, its control socket. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "barrel.h"
#include "base/mutant.h"
#include "commands.h"
#include "control/control.h"
#include "peername.h"
#include "program/handlers.h"
#include "program/program_find.h"
#include "run_service.h"
#include "json/jsonout.h"

#define MAX_EXPOSED 64
#define MAX_NAME CLI_PROGRAM_NAME_CAP
#define MAX_ARGS 32
/* Most bytes of a program's output: room for JSON of the largest message, 1 MiB
 * over PeerNet and 16 MiB over Barrel. */
#define MAX_OUTPUT ((size_t)4 << 20)
#define MAX_OUTPUT_BARREL ((size_t)32 << 20)
/* Most bytes of a program's input: room for the JSON of a usual message of 16
 * MiB. */
#define MAX_INPUT_BYTES ((size_t)32 << 20)

typedef struct run_options {
    uint32_t program_timeout_ms;
    uint32_t announce_ms;
    const char *own_label;
    bool quiet_on_new_networks;
    bool publish_label;
    bool echo;
    bool chat;
    bool control;
    bool verbose;
} run_options;

/* Fills a run_options. */
const cli_option cli_run_option_table[] = {
    {"expose", 'e', "NAME=PROGRAM...",
        .help = "let a program answer to the handle NAME"},
    {"export", 0, "MOD.FUN/ARITY=PROGRAM...",
        .help = "let a program answer to 'rpc'; NAME is MOD.FUN/ARITY then"},
    {"arg", 0, "NAME=ARG...", .help = "a fixed argument for NAME's program"},
    {"text", 0, "NAME...",
        .help = "NAME's program takes and prints text, not JSON"},
    {"allow", 'A', "NAME=PEER|paired...",
        .help = "who may use NAME, NODE@HOST too"},
    {"program-timeout", 0, "MS",
        .help = "when a program is killed; default 30000", .kind = CLI_U32,
        .offset = offsetof(run_options, program_timeout_ms), .min = 1,
        .max = 3600000},
    {"echo", 0, NULL, .help = "expose 'echo', which answers with its argument",
        .kind = CLI_TRUE, .offset = offsetof(run_options, echo)},
    {"chat", 0, NULL, .help = "expose 'chat', and print what is sent there",
        .kind = CLI_TRUE, .offset = offsetof(run_options, chat)},
    {"announce-every", 0, "MS", .help = "pause between announces; default 5000",
        .kind = CLI_U32, .offset = offsetof(run_options, announce_ms),
        .min = 100, .max = 3600000},
    {"quiet-on-new-networks", 0, NULL,
        .help = "when the network changes, be silent until 'announce'",
        .kind = CLI_TRUE,
        .offset = offsetof(run_options, quiet_on_new_networks)},
    {"own-label", 0, "LABEL",
        .help = "what paired peers that run peernet are told of this node",
        .kind = CLI_STRING, .offset = offsetof(run_options, own_label)},
    {"publish-label", 0, NULL,
        .help = "let DNS-SD show that label to everybody on the network",
        .kind = CLI_TRUE, .offset = offsetof(run_options, publish_label)},
    {"no-control", 0, NULL,
        .help = "no control socket: other commands are refused",
        .kind = CLI_FALSE, .offset = offsetof(run_options, control)},
    {"verbose", 'v', NULL, .help = "print debug lines of the log too",
        .kind = CLI_TRUE, .offset = offsetof(run_options, verbose)},
    {.name = NULL},
};

/* One --expose or --export with its arguments; memory of main's life. */
typedef struct exposed_program {
    cli_exposed exposed;
    char name[MAX_NAME];
    cli_function function; /* of --export */
    char words[MAX_NAME];  /* its module and name */
    char path[PATH_MAX];
    char *argv[MAX_ARGS + 2];
    size_t n_args;
    bool allowed;
} exposed_program;

/* One --allow. */
typedef struct allowance {
    const char *word; /* NAME=PEER */
    char name[MAX_NAME];
    const char *peer;
    /* NULL: a handle that is built in. */
    const cli_function *function;
} allowance;

typedef struct running {
    const cli_app *app;
    run_options options;
    cli_session *session;
    cli_hub *hub; /* the session's */
    cli_control *control;
    char canonical_dir[PATH_MAX]; /* where the link to its socket is */
    cli_starter *starter;
    cli_handlers *handlers;
    cli_barrel_setup barrel;
    bool has_barrel;
    cli_run_service service;
    exposed_program programs[MAX_EXPOSED];
    size_t n_programs;
    const cli_program *table[MAX_EXPOSED + 1]; /* of the starter */
    allowance allowances[CLI_MAX_OPTIONS];
    size_t n_allowances;
} running;

/* ---- the command line --------------------------------------------------- */

static cli_exit fail_word(
    const running *r, const char *expected, const char *word)
{
    return cli_fail_word(r->app, expected, word, NULL);
}

/* The built-in functions. */
static const char *const loggers[] = {"Logger.debug/1", "Logger.info/1",
    "Logger.warning/1", "Logger.error/1", NULL};
static const cli_function logger_functions[] = {{"Logger", "debug", 1},
    {"Logger", "info", 1}, {"Logger", "warning", 1}, {"Logger", "error", 1}};

/* name: of word, that which nothing is exposed by. */
static cli_exit fail_name(const running *r, const char *expected,
    const char *word, const char *name, bool is_allow)
{
    cli_nearest nearest;

    cli_nearest_init(&nearest, name, strlen(name));
    for (size_t i = 0; i < r->n_programs; i++) {
        cli_nearest_offer(&nearest, r->programs[i].name);
    }
    if (is_allow) {
        cli_nearest_offer_all(&nearest, loggers);
    }
    if (is_allow && r->options.echo) {
        cli_nearest_offer(&nearest, "echo");
    }
    if (is_allow && r->options.chat) {
        cli_nearest_offer(&nearest, "chat");
    }
    return cli_fail_word(r->app, expected, word, &nearest);
}

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

static exposed_program *find_exposed(running *r, const char *name)
{
    for (size_t i = 0; i < r->n_programs; i++) {
        if (strcmp(r->programs[i].name, name) == 0) {
            return &r->programs[i];
        }
    }
    return NULL;
}

/* "MyApp.Led.on/1", ":led.on/1": the module is all before the last dot. */
static bool read_function(exposed_program *p)
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

static cli_exit add_program(running *r, const char *word, bool is_function)
{
    exposed_program *p = &r->programs[r->n_programs];
    const char *program;
    cli_text why = {0};

    if (r->n_programs == MAX_EXPOSED) {
        return fail_word(r, "at most 64 programs", word);
    }
    program = split_pair(word, p->name, sizeof(p->name));
    if (!is_function
        && (program == NULL || !cli_handle_name_is_good(p->name))) {
        return fail_word(r,
            "NAME=PROGRAM after '--expose', NAME of 1 to 64 characters a-z, "
            "0-9 and _",
            word);
    }
    if (is_function && (program == NULL || !read_function(p))) {
        return fail_word(r,
            "MOD.FUN/ARITY=PROGRAM after '--export', such as MyApp.Led.on/1",
            word);
    }
    if (is_function && p->words[0] != ':'
        && (p->words[0] < 'A' || p->words[0] > 'Z')) {
        return cli_fail(r->app, CLI_USAGE,
            "expected ':%s' after '--export' for the Erlang module %s, or an "
            "Elixir module such as MyApp.Led.on/1, found '%s'",
            p->name, p->words, p->name);
    }
    if (find_exposed(r, p->name) != NULL) {
        return fail_word(r, "each NAME once after '--expose'", word);
    }
    if (!cli_find_program(program, p->path, &why)) {
        return cli_fail_text(r->app, CLI_USAGE, &why);
    }
    /* argv[0] is the program's name as the command line has it. */
    p->argv[0] = (char *)(uintptr_t)program;
    p->exposed = (cli_exposed){.max_input = MAX_INPUT_BYTES,
        .is_function = is_function,
        .program = {.name = p->name,
            .path = p->path,
            .argv = p->argv,
            .timeout_ms = r->options.program_timeout_ms,
            .max_output = cli_args_flag(r->app->args, "barrel")
                              ? MAX_OUTPUT_BARREL
                              : MAX_OUTPUT}};
    r->n_programs++;
    return CLI_OK;
}

static cli_exit add_handle(running *r, const char *word)
{
    return add_program(r, word, false);
}

static cli_exit add_function(running *r, const char *word)
{
    return add_program(r, word, true);
}

static cli_exit add_argument(running *r, const char *word)
{
    char name[MAX_NAME];
    const char *value = split_pair(word, name, sizeof(name));
    exposed_program *p = value == NULL ? NULL : find_exposed(r, name);

    if (value == NULL) {
        return fail_word(r, "NAME=ARG after '--arg', NAME exposed", word);
    }
    if (p == NULL) {
        return fail_name(
            r, "NAME=ARG after '--arg', NAME exposed", word, name, false);
    }
    if (p->n_args == MAX_ARGS) {
        return fail_word(r, "at most 32 arguments", word);
    }
    p->argv[++p->n_args] = (char *)(uintptr_t)value;
    return CLI_OK;
}

static cli_exit add_text(running *r, const char *word)
{
    exposed_program *p = find_exposed(r, word);

    if (p == NULL) {
        return fail_name(
            r, "NAME after '--text', NAME exposed", word, word, false);
    }
    p->exposed.is_text = true;
    return CLI_OK;
}

static bool is_builtin(const running *r, const char *name)
{
    return (strcmp(name, "echo") == 0 && r->options.echo)
           || (strcmp(name, "chat") == 0 && r->options.chat);
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

static cli_exit add_allowance(running *r, const char *word)
{
    allowance *a = &r->allowances[r->n_allowances];
    exposed_program *p;

    a->word = word;
    a->peer = split_pair(word, a->name, sizeof(a->name));
    if (a->peer == NULL || a->peer[0] == '\0') {
        return fail_word(
            r, "NAME=PEER or NAME=paired after '--allow', NAME exposed", word);
    }
    p = find_exposed(r, a->name);
    a->function = p == NULL                ? find_logger(a->name)
                  : p->exposed.is_function ? &p->function
                                           : NULL;
    if (p == NULL && a->function == NULL && !is_builtin(r, a->name)) {
        return fail_name(r,
            "NAME=PEER or NAME=paired after '--allow', NAME exposed", word,
            a->name, true);
    }
    if (cli_is_node(a->peer) && !cli_args_flag(r->app->args, "barrel")) {
        return fail_word(
            r, "'--barrel NAME@HOST' with a node after '--allow'", word);
    }
    if (p != NULL) {
        p->allowed = true;
    }
    r->n_allowances++;
    return CLI_OK;
}

/* docs/THREATS.md, T14: a program is closed until --allow names a peer. */
static cli_exit check_allowed(const running *r)
{
    for (size_t i = 0; i < r->n_programs; i++) {
        const exposed_program *p = &r->programs[i];

        if (is_builtin(r, p->name)) {
            return fail_word(r,
                "one of '--expose' and the handle that is built in", p->name);
        }
        if (PN_REFUSE_IF(cli_expose_needs_allow, !p->allowed)) {
            return cli_fail(r->app, CLI_USAGE,
                "expected '--allow %s=PEER' or '--allow %s=paired': nobody "
                "may use '%s' yet",
                p->name, p->name, p->name);
        }
    }
    return CLI_OK;
}

/* The order matters: the later options name handles of the first two. */
static cli_exit read_exposures(running *r)
{
    static const struct {
        const char *option;
        cli_exit (*add)(running *r, const char *word);
    } steps[] = {
        {"expose", add_handle},
        {"export", add_function},
        {"arg", add_argument},
        {"text", add_text},
        {"allow", add_allowance},
    };
    cli_exit status = cli_read_options(
        r->app, cli_run_option_table, &r->options);

    for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
        unsigned i = 0;
        const char *word;

        while (status == CLI_OK
               && (word = cli_args_next(r->app->args, steps[s].option, &i))
                      != NULL) {
            status = steps[s].add(r, word);
        }
    }
    return status == CLI_OK ? check_allowed(r) : status;
}

/* docs/THREATS.md, T14 and T39: the process that starts programs has nothing of
 * the node but their table. */
static cli_exit fork_starter(running *r)
{
    cli_starter_options options;

    for (size_t i = 0; i < r->n_programs; i++) {
        r->table[i] = &r->programs[i].exposed.program;
    }
    cli_starter_options_init(&options);
    options.programs = r->table;
    r->starter = cli_starter_new(&options);
    return r->starter != NULL
               ? CLI_OK
               : cli_fail(r->app, CLI_LOCAL,
                   "cannot start the process that starts programs: %s",
                   strerror(errno));
}

/* ---- exposing ----------------------------------------------------------- */

static cli_exit fail_err(const running *r, const char *what, pn_err err)
{
    return cli_fail(r->app, CLI_LOCAL, "%s: %s", what, pn_strerror(err));
}

/* A grant is given to the key, whatever name its owner has later. */
static cli_exit find_pinned(
    const running *r, const char *node, pn_principal *ret_who)
{
    cli_text why = {0};
    cli_exit status = cli_check_node(r->app, node);
    pn_err err;

    if (status != CLI_OK) {
        return status;
    }
    err = cli_hub_pinned(r->hub, node, ret_who);
    if (err == PN_NOT_FOUND) {
        cli_text_printf(&why,
            "%s is not pinned: expected 'peernet barrel trust %s KEYFILE' "
            "first",
            node, node);
        cli_hub_suggest_node(r->hub, node, &why);
        return cli_fail_text(r->app, CLI_NO_PEER, &why);
    }
    return err == PN_OK ? CLI_OK : fail_err(r, node, err);
}

/* A key may be allowed before it is paired; a name must be known. */
static cli_exit find_principal(
    const running *r, const char *peer, pn_principal *ret_who)
{
    cli_text why = {0};

    if (cli_is_node(peer)) {
        return find_pinned(r, peer, ret_who);
    }
    ret_who->family = PN_FAMILY_PEERNET;
    if (pn_key_parse(peer, &ret_who->key.x25519) != PN_OK
        && cli_peer_of_node(
               cli_hub_node(r->hub), peer, "paired", &ret_who->key.x25519, &why)
               != PN_OK) {
        return cli_fail_text(r->app, CLI_NO_PEER, &why);
    }
    return CLI_OK;
}

/* A function needs the grant of its handle, too. who NULL: every paired
 * peer. */
static pn_err grant_to(
    const running *r, const allowance *a, const pn_principal *who)
{
    pn_node *node = cli_hub_node(r->hub);
    const char *handle = a->function != NULL ? PN_BEAM_DIST_HANDLE : a->name;
    pn_err err = a->function != NULL ? cli_handlers_serve(r->handlers, 0)
                                     : PN_OK;

    if (err == PN_OK) {
        err = who == NULL ? pn_grant_paired(node, handle)
                          : pn_grant(node, handle, who);
    }
    return err == PN_OK && a->function != NULL
               ? cli_handlers_allow(r->handlers, a->function, who)
               : err;
}

/* A word with two meanings is refused, because it could open a handle to the
 * wrong peer. */
static cli_exit grant(const running *r, const allowance *a)
{
    bool is_all = strcmp(a->peer, "paired") == 0;
    pn_principal who = {0};
    cli_text why = {0};
    cli_exit status = CLI_OK;
    pn_err err;

    if (cli_name_check(cli_hub_node(r->hub), a->peer, &why) != PN_OK) {
        return cli_fail_text(r->app, CLI_NO_PEER, &why);
    }
    if (!is_all) {
        status = find_principal(r, a->peer, &who);
    }
    if (status != CLI_OK) {
        return status;
    }
    err = grant_to(r, a, is_all ? NULL : &who);
    return err == PN_OK ? CLI_OK : fail_err(r, a->name, err);
}

/* A grant ends with the pin of its key. --allow NAME=NODE@HOST names a node, so
 * a key that the owner pins for that name later is granted again. With tofu the
 * pin may be of any key, so there the grant is not renewed. */
static void grant_again(void *user)
{
    running *r = user;
    pn_principal who;

    if (r->barrel.options.trust != PN_BARREL_STRICT) {
        return;
    }
    for (size_t i = 0; i < r->n_allowances; i++) {
        const allowance *a = &r->allowances[i];

        if (cli_is_node(a->peer)
            && cli_hub_pinned(r->hub, a->peer, &who) == PN_OK) {
            pn_err err = grant_to(r, a, &who);

            if (err != PN_OK) {
                cli_log("peernet: error: %s is not allowed: %s", a->word,
                    pn_strerror(err));
            }
        }
    }
}

/* A built-in handle without --allow is open to every paired peer. */
static bool is_limited(const running *r, const char *handle)
{
    for (size_t i = 0; i < r->n_allowances; i++) {
        if (strcmp(r->allowances[i].name, handle) == 0) {
            return true;
        }
    }
    return false;
}

static cli_exit expose_all(running *r)
{
    pn_node *node = cli_hub_node(r->hub);
    cli_exit status = CLI_OK;
    pn_err err;

    for (size_t i = 0; i < r->n_programs; i++) {
        exposed_program *p = &r->programs[i];

        err = p->exposed.is_function
                  ? cli_handlers_export(r->handlers, &p->exposed, &p->function)
                  : cli_handlers_expose(r->handlers, &p->exposed);
        if (err != PN_OK) {
            return fail_err(r, p->name, err);
        }
    }
    if (r->options.echo) {
        err = cli_expose_echo(
            node, is_limited(r, "echo") ? PN_EXPOSE_CLOSED : 0);
        if (err != PN_OK) {
            return fail_err(r, "echo", err);
        }
    }
    if (r->options.chat && is_limited(r, "chat")) {
        (void)!pn_ungrant(node, "chat", NULL);
    }
    cli_hub_on_pins(r->hub, grant_again, r);
    for (size_t i = 0; status == CLI_OK && i < r->n_allowances; i++) {
        status = grant(r, &r->allowances[i]);
    }
    return status;
}

/* ---- the control socket ------------------------------------------------- */

static void deliver_to_client(void *user, const char *line, size_t len)
{
    cli_control_send(user, line, len);
}

static size_t unread_by_client(void *user)
{
    return cli_control_unread(user);
}

/* One request of the largest size fits beside what may wait. */
static void widen_client(void *user)
{
    cli_control_set_limits(user, CLI_CONTROL_MAX_LINE,
        CLI_CONTROL_MAX_OUTPUT + CLI_SERVE_MAX_EVENT);
}

static void *on_client(void *user, cli_control_client *client)
{
    static const cli_flow flow = {unread_by_client, widen_client};
    running *r = user;
    cli_caller *caller = cli_hub_join(r->hub, deliver_to_client, client);

    if (caller != NULL) {
        cli_hub_set_flow(caller, &flow);
    }
    return caller;
}

static void on_line(void *user, void *caller, char *line, size_t len)
{
    (void)user;
    cli_hub_request(caller, line, len);
}

static void on_gone(void *user, void *caller)
{
    (void)user;
    cli_hub_leave(caller);
}

static void on_made_again(void *user, const char *path)
{
    running *r = user;

    cli_runtime_write_link(r->canonical_dir, path);
    cli_log("peernet: warning: the control socket was removed, and is now %s",
        path);
}

static cli_exit open_control(running *r)
{
    const cli_control_callbacks callbacks = {
        on_client, on_line, on_gone, r, on_made_again};
    cli_runtime runtime;
    cli_text error = {0};
    cli_exit status = CLI_OK;

    if (!r->options.control) {
        return CLI_OK;
    }
    if (realpath(r->app->data_dir, r->canonical_dir) == NULL) {
        return cli_fail(
            r->app, CLI_LOCAL, "%s: %s", r->app->data_dir, strerror(errno));
    }
    cli_runtime_places(r->canonical_dir, &runtime);
    if (cli_control_open(
            &r->session->loop, &runtime, &callbacks, &r->control, &error)
        == PN_OK) {
        cli_runtime_write_link(r->canonical_dir, cli_control_path(r->control));
    } else {
        status = cli_fail(r->app, CLI_LOCAL,
            "no control socket (--no-control does without): %s",
            cli_text_string(&error));
    }
    cli_text_fini(&error);
    return status;
}

/* ---- life --------------------------------------------------------------- */

/* Prints the line that scripts wait for: the node now accepts links and
 * commands. */
static void print_ready(const running *r)
{
    pn_node *node = cli_hub_node(r->hub);
    const pn_principal who = pn_peernet_principal(pn_node_key(node));
    char base32[PN_BASE32_LEN + 1];
    cli_text t = {0};

    if (r->app->json) {
        cli_json_begin(&t);
        cli_json_string(&t, "event", "ready");
        cli_json_base32(&t, "key", &who);
        cli_json_int(&t, "port", pn_node_port(node));
        if (r->has_barrel) {
            cli_json_string(&t, "node", r->barrel.name);
            cli_json_int(&t, "barrel_port", cli_hub_barrel_port(r->hub));
        }
        if (r->control != NULL) {
            cli_json_string(&t, "control", cli_control_path(r->control));
        }
        cli_json_close(&t, '}');
    } else {
        pn_key_to_base32(pn_node_key(node), base32);
        cli_text_printf(&t, "ready %s port %u", base32, pn_node_port(node));
        if (r->has_barrel) {
            cli_text_printf(&t, " barrel %s port %u", r->barrel.name,
                cli_hub_barrel_port(r->hub));
        }
    }
    cli_print_event(&t);
}

static cli_exit open_session(running *r)
{
    cli_session_options options = {
        .data_dir = r->app->data_dir, .must_open = true};
    cli_exit status = cli_node_options(r->app, &options.hub);

    if (status == CLI_OK && r->options.publish_label
        && r->options.own_label == NULL) {
        status = fail_word(
            r, "--own-label beside '--publish-label'", "--publish-label");
    }
    if (status == CLI_OK) {
        options.hub.publish_label = r->options.publish_label;
        options.hub.node.announce_interval_ms = r->options.announce_ms;
        options.hub.node.own_label = r->options.own_label;
        options.hub.node.announce_on_new_networks =
            !r->options.quiet_on_new_networks;
        options.hub.chat = r->options.chat;
        options.hub.verbose = r->options.verbose;
        options.hub.barrel = r->has_barrel ? &r->barrel.options : NULL;
        status = cli_app_open_session(r->app, &options, &r->session);
    }
    cli_barrel_wipe(&r->barrel);
    return status;
}

static cli_exit open_all(running *r)
{
    cli_exit status = open_session(r);

    if (status != CLI_OK) {
        return status;
    }
    r->hub = r->session->hub;
    r->handlers = cli_handlers_new(&r->session->loop, r->hub, r->starter);
    if (r->handlers == NULL) {
        return fail_err(r, "run", PN_NOMEM);
    }
    status = cli_print_events(r->app, r->session);
    if (status == CLI_OK) {
        status = expose_all(r);
    }
    return status == CLI_OK ? open_control(r) : status;
}

/* Closes the control socket first, so that no new request begins; then ends
 * programs, then links. A second signal waits until the programs have ended,
 * and then ends the process at once. */
static void close_all(running *r)
{
    cli_run_service_stopping(&r->service);
    if (r->session != NULL) {
        cli_end_signals_stop(&r->session->signals);
    }
    if (r->control != NULL) {
        cli_runtime_write_link(r->canonical_dir, NULL);
    }
    cli_control_close(r->control);
    cli_handlers_close(r->handlers);
    cli_starter_free(r->starter);
    cli_session_close(r->session);
    cli_handlers_free(r->handlers);
}

cli_exit cli_cmd_run(const cli_app *app)
{
    static running r; /* large, and one per process */
    cli_exit status;

    r.app = app;
    r.options = (run_options){
        .program_timeout_ms = 30000, .announce_ms = 5000, .control = true};
    status = read_exposures(&r);
    if (status == CLI_OK) {
        status = fork_starter(&r);
    }
    if (status != CLI_OK) {
        return status;
    }
    /* A cookie may come from a pipe that is never written to, so a signal ends
     * the process until there is a loop. */
    status = cli_barrel_run_setup(app, &r.barrel, &r.has_barrel);
    if (status == CLI_OK) {
        status = open_all(&r);
    }
    if (status == CLI_OK) {
        print_ready(&r);
        cli_run_service_ready(&r.service, &r.session->loop, r.hub);
        while (r.session->signal == 0) {
            (void)uv_run(&r.session->loop, UV_RUN_ONCE);
        }
    }
    close_all(&r);
    cli_barrel_wipe(&r.barrel);
    return status;
}

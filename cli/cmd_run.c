/* SPDX-License-Identifier: Apache-2.0 */
/* run: the node in the foreground, what it exposes, its control socket. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "barrel.h"
#include "base/mutant.h"
#include "commands.h"
#include "control.h"
#include "escape.h"
#include "handlers.h"
#include "jsonout.h"
#include "peername.h"

#define MAX_EXPOSED 64
#define MAX_NAME 520 /* of a function: module, name and arity */
#define MAX_ARGS 32
#define MAX_OUTPUT ((size_t)4 << 20) /* of a program, before it is a term */

const cli_option cli_run_option_table[] = {
    {"expose", 'e', "NAME=PROGRAM", "let a program answer to the handle NAME"},
    {"export", 0, "MOD.FUN/ARITY=PROGRAM",
        "let a program answer to 'rpc'; NAME is MOD.FUN/ARITY then"},
    {"arg", 0, "NAME=ARG", "a fixed argument for NAME's program; may repeat"},
    {"allow", 'A', "NAME=PEER|paired",
        "who may use NAME, NODE@HOST too; may repeat"},
    {"program-timeout", 0, "MS", "when a program is killed; default 30000"},
    {"echo", 0, NULL, "expose 'echo', which answers with its argument"},
    {"chat", 0, NULL, "expose 'chat', and print what is sent there"},
    {"announce-every", 0, "MS", "pause between announces; default 5000"},
    {"no-control", 0, NULL, "no control socket: other commands are refused"},
    {"verbose", 'v', NULL, "print debug lines of the log too"},
    {NULL, 0, NULL, NULL},
};

/* One --expose or --export with its arguments; memory of main's life. */
typedef struct exposed_program {
    cli_exposed exposed;
    char name[MAX_NAME];
    cli_function function; /* of --export */
    char words[MAX_NAME];  /* its module and name */
    bool is_function;
    char path[PATH_MAX];
    char *argv[MAX_ARGS + 2];
    size_t n_args;
    bool allowed;
} exposed_program;

typedef struct running {
    const cli_app *app;
    uv_loop_t loop;
    uv_signal_t signals[CLI_N_END_SIGNALS];
    cli_hub *hub;
    cli_caller *printer;
    cli_control *control;
    cli_handlers *handlers;
    cli_barrel_setup barrel;
    bool has_barrel;
    bool stopping;
    exposed_program programs[MAX_EXPOSED];
    size_t n_programs;
} running;

/* ---- the command line --------------------------------------------------- */

static cli_exit fail_word(
    const running *r, const char *expected, const char *word)
{
    cli_text t = {0};
    cli_exit status;

    cli_escape(&t, word, strlen(word), CLI_ESCAPE_FIELD);
    status = cli_fail(r->app, CLI_USAGE, "expected %s, found '%s'", expected,
        cli_text_string(&t));
    cli_text_fini(&t);
    return status;
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

/* A directory may be entered, which is what X_OK means for it. */
static bool is_program(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISREG(info.st_mode)
           && access(path, X_OK) == 0;
}

/* As a shell would find it, once and for all: a name without '/' in PATH. */
static bool find_program(const char *text, char path[PATH_MAX])
{
    const char *dirs = getenv("PATH");
    char candidate[PATH_MAX];

    if (strchr(text, '/') != NULL) {
        return realpath(text, path) != NULL && is_program(path);
    }
    while (dirs != NULL && *dirs != '\0' && text[0] != '\0') {
        size_t len = strcspn(dirs, ":");

        if (snprintf(
                candidate, sizeof(candidate), "%.*s/%s", (int)len, dirs, text)
                < (int)sizeof(candidate)
            && dirs[0] == '/' && is_program(candidate)) {
            return realpath(candidate, path) != NULL;
        }
        dirs += len + (dirs[len] == ':');
    }
    return false;
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
    p->is_function = true;
    return p->function.arity <= 255;
}

/* option: "expose" or "export". */
static cli_exit add_program(
    running *r, const char *option, const char *word, uint32_t timeout_ms)
{
    exposed_program *p = &r->programs[r->n_programs];
    bool is_function = strcmp(option, "export") == 0;
    const char *program;

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
    if (find_exposed(r, p->name) != NULL) {
        return fail_word(r, "each NAME once after '--expose'", word);
    }
    if (!find_program(program, p->path)) {
        return fail_word(r, "a program that can be run", program);
    }
    /* What it is called by is what was written. */
    p->argv[0] = (char *)(uintptr_t)program;
    p->exposed = (cli_exposed){.name = p->name,
        .program = {.path = p->path,
            .argv = p->argv,
            .timeout_ms = timeout_ms,
            .max_output = MAX_OUTPUT}};
    r->n_programs++;
    return CLI_OK;
}

static cli_exit add_argument(running *r, const char *word)
{
    char name[MAX_NAME];
    const char *value = split_pair(word, name, sizeof(name));
    exposed_program *p = value == NULL ? NULL : find_exposed(r, name);

    if (p == NULL) {
        return fail_word(r, "NAME=ARG after '--arg', NAME exposed", word);
    }
    if (p->n_args == MAX_ARGS) {
        return fail_word(r, "at most 32 arguments", word);
    }
    p->argv[++p->n_args] = (char *)(uintptr_t)value;
    return CLI_OK;
}

static bool is_builtin(const running *r, const char *name)
{
    return (strcmp(name, "echo") == 0 && cli_args_flag(r->app->args, "echo"))
           || (strcmp(name, "chat") == 0
               && cli_args_flag(r->app->args, "chat"));
}

static cli_exit check_allow(running *r, const char *word)
{
    char name[MAX_NAME];
    const char *peer = split_pair(word, name, sizeof(name));
    exposed_program *p = peer == NULL ? NULL : find_exposed(r, name);

    if (peer == NULL || peer[0] == '\0'
        || (p == NULL && !is_builtin(r, name))) {
        return fail_word(
            r, "NAME=PEER or NAME=paired after '--allow', NAME exposed", word);
    }
    if (cli_is_node(peer) && !cli_args_flag(r->app->args, "barrel")) {
        return fail_word(
            r, "'--barrel NAME@HOST' with a node after '--allow'", word);
    }
    if (p != NULL) {
        p->allowed = true;
    }
    return CLI_OK;
}

/* DESIGN 6: a program is open to nobody until somebody is named. */
static cli_exit check_allowed(const running *r)
{
    for (size_t i = 0; i < r->n_programs; i++) {
        const exposed_program *p = &r->programs[i];

        if (is_builtin(r, p->name)) {
            return fail_word(r,
                "one of '--expose' and the handle that is built in", p->name);
        }
        if (PN_CHECK(cli_expose_needs_allow, !p->allowed)) {
            return cli_fail(r->app, CLI_USAGE,
                "expected '--allow %s=PEER' or '--allow %s=paired': nobody "
                "may use '%s' yet",
                p->name, p->name, p->name);
        }
    }
    return CLI_OK;
}

static cli_exit read_exposures(running *r)
{
    const cli_args *args = r->app->args;
    uint32_t timeout_ms = 0;
    unsigned i = 0;
    const char *word;
    cli_text error = {0};
    cli_exit status = CLI_OK;

    if (!cli_args_number(
            args, "program-timeout", 1, 3600000, 30000, &timeout_ms, &error)) {
        status = cli_fail(r->app, CLI_USAGE, "%s", cli_text_string(&error));
    }
    cli_text_fini(&error);
    while (status == CLI_OK
           && (word = cli_args_next(args, "expose", &i)) != NULL) {
        status = add_program(r, "expose", word, timeout_ms);
    }
    for (i = 0; status == CLI_OK
                && (word = cli_args_next(args, "export", &i)) != NULL;) {
        status = add_program(r, "export", word, timeout_ms);
    }
    for (i = 0;
         status == CLI_OK && (word = cli_args_next(args, "arg", &i)) != NULL;) {
        status = add_argument(r, word);
    }
    for (i = 0; status == CLI_OK
                && (word = cli_args_next(args, "allow", &i)) != NULL;) {
        status = check_allow(r, word);
    }
    return status == CLI_OK ? check_allowed(r) : status;
}

/* ---- exposing ----------------------------------------------------------- */

static cli_exit fail_err(const running *r, const char *what, pn_err err)
{
    return cli_fail(r->app, CLI_LOCAL, "%s: %s", what, pn_strerror(err));
}

/* A grant is one of a key: whoever has it, under whatever name. */
static cli_exit find_pinned(
    const running *r, const char *node, pn_public_key *ret_key)
{
    cli_exit status = cli_check_node(r->app, node);
    pn_err err;

    if (status != CLI_OK) {
        return status;
    }
    err = cli_hub_pinned(r->hub, node, ret_key);
    if (err == PN_NOT_FOUND) {
        return cli_fail(r->app, CLI_NO_PEER,
            "%s is not pinned: expected 'peernet barrel trust %s KEYFILE' "
            "first",
            node, node);
    }
    return err == PN_OK ? CLI_OK : fail_err(r, node, err);
}

/* A key may be allowed before it is paired; a name must be known. */
static cli_exit find_principal(
    const running *r, const char *peer, pn_principal *ret_who)
{
    cli_text why = {0};
    cli_exit status = CLI_OK;

    if (cli_is_node(peer)) {
        ret_who->family = PN_FAMILY_BARREL;
        return find_pinned(r, peer, &ret_who->key);
    }
    ret_who->family = PN_FAMILY_PEERNET;
    if (cli_peer_of_node(cli_hub_node(r->hub), peer, &ret_who->key, &why)
            != PN_OK
        && pn_key_parse(peer, &ret_who->key) != PN_OK) {
        status = cli_fail(r->app, CLI_NO_PEER, "%s", cli_text_string(&why));
    }
    cli_text_fini(&why);
    return status;
}

/* who NULL: every paired peer. */
static pn_err grant_handle(
    const running *r, const char *name, const pn_principal *who)
{
    pn_node *node = cli_hub_node(r->hub);

    return who == NULL ? pn_grant_paired(node, name)
                       : pn_grant(node, name, who);
}

static cli_exit grant(running *r, const char *name, const char *peer)
{
    const exposed_program *p = find_exposed(r, name);
    bool is_function = p != NULL && p->is_function;
    bool is_all = strcmp(peer, "paired") == 0;
    pn_principal who = {0};
    cli_exit status = is_all ? CLI_OK : find_principal(r, peer, &who);
    pn_err err;

    if (status != CLI_OK) {
        return status;
    }
    err = grant_handle(
        r, is_function ? PN_BEAM_DIST_HANDLE : name, is_all ? NULL : &who);
    if (err == PN_OK && is_function) {
        err = cli_handlers_allow(
            r->handlers, &p->function, is_all ? NULL : &who);
    }
    return err == PN_OK ? CLI_OK : fail_err(r, name, err);
}

static cli_exit grant_all(running *r)
{
    char name[MAX_NAME];
    unsigned i = 0;
    const char *word;
    cli_exit status = CLI_OK;

    while (status == CLI_OK
           && (word = cli_args_next(r->app->args, "allow", &i)) != NULL) {
        const char *peer = split_pair(word, name, sizeof(name));

        status = grant(r, name, peer);
    }
    return status;
}

/* A built-in handle without --allow is open to everybody who is paired. */
static bool is_limited(const running *r, const char *handle)
{
    char name[MAX_NAME];
    unsigned i = 0;
    const char *word;

    while ((word = cli_args_next(r->app->args, "allow", &i)) != NULL) {
        if (split_pair(word, name, sizeof(name)) != NULL
            && strcmp(name, handle) == 0) {
            return true;
        }
    }
    return false;
}

static cli_exit expose_all(running *r)
{
    pn_node *node = cli_hub_node(r->hub);
    pn_err err;

    for (size_t i = 0; i < r->n_programs; i++) {
        const exposed_program *p = &r->programs[i];

        err = p->is_function
                  ? cli_handlers_export(r->handlers, &p->exposed, &p->function)
                  : cli_handlers_expose(r->handlers, &p->exposed);
        if (err != PN_OK) {
            return fail_err(r, r->programs[i].name, err);
        }
    }
    if (cli_args_flag(r->app->args, "echo")) {
        err = cli_expose_echo(
            node, is_limited(r, "echo") ? PN_EXPOSE_CLOSED : 0);
        if (err != PN_OK) {
            return fail_err(r, "echo", err);
        }
    }
    if (cli_args_flag(r->app->args, "chat") && is_limited(r, "chat")) {
        (void)!pn_ungrant(node, "chat", NULL);
    }
    return grant_all(r);
}

/* ---- the control socket ------------------------------------------------- */

static void deliver_to_client(void *user, const char *line, size_t len)
{
    cli_control_send(user, line, len);
}

static void *on_client(void *user, cli_control_client *client)
{
    running *r = user;

    return cli_hub_join(r->hub, deliver_to_client, client);
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

static cli_exit open_control(running *r)
{
    const cli_control_callbacks callbacks = {on_client, on_line, on_gone, r};
    char path[PATH_MAX];
    cli_runtime runtime;
    cli_text error = {0};
    cli_exit status = CLI_OK;

    if (cli_args_flag(r->app->args, "no-control")) {
        return CLI_OK;
    }
    if (!cli_canonical_dir(r->app->data_dir, path)) {
        return cli_fail(
            r->app, CLI_LOCAL, "%s: %s", r->app->data_dir, strerror(errno));
    }
    cli_runtime_places(path, &runtime);
    if (cli_control_open(&r->loop, &runtime, &callbacks, &r->control, &error)
        != PN_OK) {
        status = cli_fail(r->app, CLI_LOCAL,
            "no control socket (--no-control does without): %s",
            cli_text_string(&error));
    }
    cli_text_fini(&error);
    return status;
}

/* ---- what is printed ---------------------------------------------------- */

static void print_line(void *user, const char *line, size_t len)
{
    running *r = user;
    json_t *event = json_loadb(line, len, 0, NULL);
    cli_text t = {0};

    if (json_object_get(event, "event") != NULL) {
        if (r->app->json) {
            cli_text_add(&t, line, len);
        } else {
            cli_event_to_text(&t, event);
        }
        cli_print(&t);
    }
    json_decref(event);
    cli_text_fini(&t);
}

static bool start_printing(running *r)
{
    static const char request[] = "{\"cmd\":\"events\"}";

    r->printer = cli_hub_join(r->hub, print_line, r);
    if (r->printer == NULL) {
        return false;
    }
    cli_hub_request(r->printer, request, sizeof(request) - 1);
    return true;
}

/* The line that a script waits for: links and commands are taken from now. */
static void print_ready(const running *r)
{
    pn_node *node = cli_hub_node(r->hub);
    char base32[PN_BASE32_LEN + 1];
    cli_text t = {0};

    pn_key_to_base32(pn_node_key(node), base32);
    if (r->app->json) {
        cli_json_open(&t, NULL, '{');
        cli_json_string(&t, "event", "ready");
        cli_json_string(&t, "key", base32);
        cli_json_int(&t, "port", pn_node_port(node));
        if (r->has_barrel) {
            cli_json_string(&t, "barrel", cli_hub_barrel_name(r->hub));
            cli_json_int(&t, "barrel_port", cli_hub_barrel_port(r->hub));
        }
        if (r->control != NULL) {
            cli_json_string(&t, "control", cli_control_path(r->control));
        }
        cli_json_close(&t, '}');
    } else {
        cli_text_printf(&t, "ready %s port %u", base32, pn_node_port(node));
        if (r->has_barrel) {
            cli_text_printf(&t, " barrel %s port %u",
                cli_hub_barrel_name(r->hub), cli_hub_barrel_port(r->hub));
        }
    }
    cli_print(&t);
    cli_text_fini(&t);
}

/* ---- life --------------------------------------------------------------- */

static void on_signal(uv_signal_t *handle, int signum)
{
    running *r = handle->data;

    (void)signum;
    r->stopping = true;
    uv_stop(&r->loop);
}

static void catch_signals(running *r)
{
    for (size_t i = 0; i < CLI_N_END_SIGNALS; i++) {
        (void)uv_signal_init(&r->loop, &r->signals[i]);
        r->signals[i].data = r;
        cli_catch_end_signal(&r->signals[i], i, on_signal);
    }
}

static cli_exit open_hub(running *r, const cli_hub_options *options)
{
    cli_text error = {0};
    pn_err err = cli_hub_open(&r->loop, options, &r->hub, &error);
    cli_exit status = CLI_OK;

    if (err != PN_OK) {
        status = cli_fail(r->app, err == PN_INVALID ? CLI_USAGE : CLI_LOCAL,
            "%s", cli_text_string(&error));
    }
    cli_text_fini(&error);
    return status;
}

static cli_exit open_node(running *r)
{
    cli_hub_options options;
    uint32_t every_ms = 0;
    cli_text error = {0};
    cli_exit status = cli_node_options(r->app, &options);

    if (status == CLI_OK
        && !cli_args_number(r->app->args, "announce-every", 100, 3600000, 5000,
            &every_ms, &error)) {
        status = cli_fail(r->app, CLI_USAGE, "%s", cli_text_string(&error));
    }
    if (status == CLI_OK) {
        options.node.announce_interval_ms = every_ms;
        options.chat = cli_args_flag(r->app->args, "chat");
        options.verbose = cli_args_flag(r->app->args, "verbose");
        options.barrel = r->has_barrel ? &r->barrel.options : NULL;
        status = open_hub(r, &options);
    }
    cli_text_fini(&error);
    return status;
}

static cli_exit open_all(running *r)
{
    cli_exit status = open_node(r);

    cli_barrel_wipe(&r->barrel);
    if (status != CLI_OK) {
        return status;
    }
    r->handlers = cli_handlers_new(&r->loop, r->hub);
    if (r->handlers == NULL || !start_printing(r)) {
        return fail_err(r, "run", PN_NOMEM);
    }
    status = expose_all(r);
    return status == CLI_OK ? open_control(r) : status;
}

static void close_any(uv_handle_t *handle, void *user)
{
    (void)user;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

/* Commands first, so that nothing new begins; then programs, then links. With
 * our signal handlers gone, a second signal ends the process at once. */
static void close_all(running *r)
{
    cli_control_close(r->control);
    if (r->hub != NULL) {
        cli_handlers_close(r->handlers);
        if (cli_hub_will_linger(r->hub)) {
            cli_warn("leaving: the port stays open for 6 s, so that peers do "
                     "not count refused dials (interrupt to exit now)");
        }
        cli_hub_leave(r->printer);
        cli_hub_close(r->hub);
    }
    uv_walk(&r->loop, close_any, NULL);
    (void)uv_run(&r->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&r->loop);
    cli_hub_free(r->hub);
    cli_handlers_free(r->handlers);
    cli_barrel_wipe(&r->barrel);
}

cli_exit cli_cmd_run(const cli_args *args)
{
    static running r; /* large, and one per process */
    static cli_app app;
    cli_exit status = cli_app_init(&app, args);

    r.app = &app;
    if (status == CLI_OK) {
        status = read_exposures(&r);
    }
    if (status != CLI_OK) {
        return status;
    }
    if (uv_loop_init(&r.loop) != 0) {
        return fail_err(&r, "run", PN_NOMEM);
    }
    catch_signals(&r);
    status = cli_barrel_run_setup(&app, &r.barrel, &r.has_barrel);
    if (status == CLI_OK) {
        status = open_all(&r);
    }
    if (status == CLI_OK) {
        print_ready(&r);
        while (!r.stopping) {
            (void)uv_run(&r.loop, UV_RUN_DEFAULT);
        }
    }
    close_all(&r);
    return status;
}

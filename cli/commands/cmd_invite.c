/* SPDX-License-Identifier: Apache-2.0 */
/*
 * invite and join: pairing by a text that is a password (peernet/pairing.h).
 * The text is printed by the one, and read by the other from anywhere but an
 * argument.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <peernet/pairing.h>

#include "commands.h"
#include "peer_text.h"
#include "peername.h"
#include "secret_input.h"
#include "json/jsonout.h"

_Static_assert(
    PN_INVITATION_CAP <= CLI_SECRET_MAX + 1, "every invitation can be read");

/* ---- durations -------------------------------------------------------------
 */

/* "90", "90s", "10m", "2h", "1d" as seconds. False: it is none. */
static bool read_duration(const char *text, uint32_t *ret_s)
{
    static const struct {
        const char *unit;
        uint32_t seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    const size_t n = strspn(text, "0123456789");

    if (n < 1 || n > 6) {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(text + n, units[i].unit) == 0) {
            const uint64_t s = (uint64_t)strtoul(text, NULL, 10)
                               * units[i].seconds;

            *ret_s = s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
            return true;
        }
    }
    return false;
}

/* ---- invite ----------------------------------------------------------------
 */

typedef struct invite_options {
    bool list;
    const char *cancel;
    const char *ttl;
    uint32_t uses;
    const char *label;
    const char *role;
    const char *listen;
} invite_options;

const cli_option cli_invite_option_table[] = {
    {"ttl", 0, "TIME",
        .help = "how long it holds, like 90s, 10m, 2h, 7d; default 10m",
        .kind = CLI_STRING, .offset = offsetof(invite_options, ttl)},
    {"uses", 0, "N", .help = "how many devices may use it; default 1",
        .kind = CLI_U32, .offset = offsetof(invite_options, uses), .min = 1,
        .max = 16},
    {"label", 'l', "LABEL", .help = "a name to call who joins by",
        .kind = CLI_STRING, .offset = offsetof(invite_options, label)},
    {"role", 0, "ROLE", .help = "a role that who joins is granted",
        .kind = CLI_STRING, .offset = offsetof(invite_options, role)},
    {"listen", 0, "ADDRESS",
        .help = "numeric address that joiners come to; default: every",
        .kind = CLI_STRING, .offset = offsetof(invite_options, listen)},
    {"list", 0, NULL, .help = "list the invitations of this device",
        .kind = CLI_TRUE, .offset = offsetof(invite_options, list)},
    {"cancel", 0, "ID", .help = "end an invitation", .kind = CLI_STRING,
        .offset = offsetof(invite_options, cancel)},
    {.name = NULL},
};

typedef struct inviting {
    const cli_app *app;
    pn_inviting *inviting;
    char id[PN_INVITATION_ID_CAP];
    unsigned n_joined;
} inviting;

static void begin_event(cli_text *t, const char *name)
{
    cli_json_begin(t);
    cli_json_string(t, "event", name);
}

static void on_joined(void *user, const pn_public_key *key, const char *label,
    const char *proposed)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    inviting *v = user;
    cli_text t = {0};

    v->n_joined++;
    if (v->app->json) {
        begin_event(&t, "joined");
        cli_json_peer(&t, key);
        cli_json_known(&t, "label", label);
        cli_json_known(&t, "proposed_label", proposed);
        cli_print_result(&t);
        return;
    }
    pn_key_fingerprint(key, fingerprint);
    cli_text_printf(&t, "paired %s", fingerprint);
    if (label[0] != '\0') {
        cli_text_puts(&t, ", called ");
        cli_escape(&t, label, strlen(label), CLI_ESCAPE_FIELD);
    } else if (proposed[0] != '\0') {
        cli_text_puts(&t, ", which calls itself ");
        cli_quote(&t, proposed, strlen(proposed), CLI_ESCAPE_FIELD);
    }
    cli_print(&t);
}

static void on_refused(void *user, const char *from, const char *why)
{
    const inviting *v = user;
    cli_text t = {0};

    if (v->app->json) {
        begin_event(&t, "invitation-refused");
        cli_json_string(&t, "from", from);
        cli_json_string(&t, "detail", why);
        cli_print_result(&t);
    } else {
        cli_warn("refused %s: %s", from, why);
    }
}

static const pn_inviting_callbacks callbacks = {
    .on_joined = on_joined,
    .on_refused = on_refused,
};

static cli_exit tell_invitation(
    const inviting *v, const char *text, uint32_t ttl_s, uint32_t uses)
{
    const time_t until = time(NULL) + (time_t)ttl_s;
    char clock[32] = "";
    struct tm tm;
    cli_text t = {0};

    if (v->app->json) {
        begin_event(&t, "invitation");
        cli_json_string(&t, "id", v->id);
        cli_json_string(&t, "invitation", text);
        cli_json_at(&t, "until", (int64_t)until * 1000000);
        cli_json_int(&t, "uses", uses);
        cli_print_result(&t);
        return CLI_OK;
    }
    if (cli_can_draw_qr() && isatty(STDOUT_FILENO) == 1
        && cli_draw_qr(v->app, text) != CLI_OK) {
        return CLI_LOCAL;
    }
    cli_text_puts(&t, text);
    cli_print(&t);
    if (localtime_r(&until, &tm) != NULL) {
        (void)strftime(clock, sizeof(clock), "%Y-%m-%d %H:%M:%S", &tm);
    }
    cli_text_printf(&t,
        "Whoever has this text is paired without a question: it is a password, "
        "for %u device%s, until %s. On the other device: 'peernet join'. "
        "Ctrl-C cancels it.",
        (unsigned)uses, uses == 1 ? "" : "s", clock);
    cli_print(&t);
    return CLI_OK;
}

/* The signals that end it, as a descriptor; -1: they end the process. */
static int catch_signals(void)
{
    sigset_t set;
    int fd;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd >= 0) {
        (void)sigprocmask(SIG_BLOCK, &set, NULL);
    }
    return fd;
}

/* Until nobody may use it any more. CLI_INTERRUPTED: by a signal. */
static cli_exit wait_for_joiners(const inviting *v, int signal_fd)
{
    while (pn_inviting_is_live(v->inviting)) {
        struct pollfd fds[] = {
            {.fd = pn_inviting_fd(v->inviting), .events = POLLIN},
            {.fd = signal_fd, .events = POLLIN},
        };
        int wait_ms = pn_inviting_timeout_ms(v->inviting);

        /* Its time, or a cancelling beside us, is noticed within a second. */
        wait_ms = wait_ms < 0 || wait_ms > 1000 ? 1000 : wait_ms;
        if (poll(fds, 2, wait_ms) < 0 && errno != EINTR) {
            return cli_fail(v->app, CLI_LOCAL, "poll: %s", strerror(errno));
        }
        if (fds[1].revents != 0) {
            return CLI_INTERRUPTED;
        }
        pn_inviting_run(v->inviting);
    }
    return CLI_OK;
}

/* Nobody listens from here on, so nobody can use it. */
static cli_exit end_invitation(const inviting *v, cli_exit status)
{
    pn_err err = pn_inviting_cancel(v->app->data_dir, v->id, NULL);

    if (status == CLI_INTERRUPTED && err == PN_OK && !v->app->json) {
        cli_warn("the invitation is cancelled");
    }
    if (status != CLI_OK || v->n_joined > 0) {
        return status;
    }
    return cli_fail(v->app, CLI_NO_LINK,
        "nobody has joined, and the invitation is over; 'peernet invite' makes "
        "another");
}

static cli_exit run_inviting(inviting *v, const pn_inviting_options *options)
{
    const int signal_fd = catch_signals();
    char text[PN_INVITATION_CAP];
    pn_why why = {0};
    cli_exit status;
    pn_err err = pn_inviting_open(v->app->data_dir, options, &callbacks, v,
        text, v->id, &v->inviting, &why);

    if (err == PN_OK) {
        status = tell_invitation(v, text, options->ttl_s, options->uses);
        explicit_bzero(text, sizeof(text));
        if (status == CLI_OK) {
            status = wait_for_joiners(v, signal_fd);
        }
        pn_inviting_close(v->inviting);
        status = end_invitation(v, status);
    } else {
        status = cli_fail_store(v->app, err, &why);
    }
    if (signal_fd >= 0) {
        (void)close(signal_fd);
    }
    return status;
}

static cli_exit list_invitations(const cli_app *app)
{
    static const char *const names[] = {
        "ID", "STATE", "UNTIL", "USES", "JOINED", "LABEL", "ROLE"};
    pn_invitation_row *rows = NULL;
    pn_why why = {0};
    cli_table table = {0};
    size_t n = 0;
    pn_err err = pn_inviting_list(app->data_dir, &rows, &n, &why);

    if (err != PN_OK) {
        return cli_fail_store(app, err, &why);
    }
    if (!app->json) {
        cli_table_init(&table, 7, names);
    }
    for (size_t i = 0; i < n; i++) {
        const pn_invitation_row *row = &rows[i];
        const time_t until = (time_t)row->until_s;
        char clock[32] = "";
        char uses[16];
        char joined[16];
        struct tm tm;
        cli_text t = {0};

        if (app->json) {
            cli_json_begin(&t);
            cli_json_string(&t, "id", row->id);
            cli_json_string(&t, "state", row->state);
            cli_json_at(&t, "until", row->until_s * 1000000);
            cli_json_int(&t, "uses", row->uses);
            cli_json_int(&t, "joined", row->n_joined);
            cli_json_known(&t, "label", row->label);
            if (row->role[0] != '\0') {
                cli_json_string(&t, "role", row->role);
            }
            cli_print_result(&t);
            continue;
        }
        if (localtime_r(&until, &tm) != NULL) {
            (void)strftime(clock, sizeof(clock), "%Y-%m-%d %H:%M:%S", &tm);
        }
        (void)snprintf(uses, sizeof(uses), "%u", (unsigned)row->uses);
        (void)snprintf(joined, sizeof(joined), "%u", (unsigned)row->n_joined);
        cli_table_add(
            &table, (const char *const[]){row->id, row->state, clock, uses,
                        joined, row->label[0] == '\0' ? "-" : row->label,
                        row->role[0] == '\0' ? "-" : row->role});
    }
    if (!app->json) {
        cli_table_print(&table);
    }
    free(rows);
    return CLI_OK;
}

static cli_exit cancel_invitation(const cli_app *app, const char *id)
{
    pn_why why = {0};
    cli_text t = {0};
    pn_err err = pn_inviting_cancel(app->data_dir, id, &why);

    if (err == PN_NOT_FOUND) {
        return cli_fail(app, CLI_NO_PEER,
            "no open invitation has this id; 'peernet invite --list' shows "
            "them");
    }
    if (err != PN_OK) {
        return cli_fail_store(app, err, &why);
    }
    if (app->json) {
        cli_result_begin(&t, true);
        cli_json_string(&t, "id", id);
        cli_print_result(&t);
    } else {
        cli_text_printf(&t, "cancelled %s", id);
        cli_print(&t);
    }
    return CLI_OK;
}

cli_exit cli_cmd_invite(const cli_app *app)
{
    invite_options o = {.ttl = "10m", .uses = 1};
    inviting v = {.app = app};
    char own_label[64 + 1] = "";
    pn_inviting_options options;
    cli_text why = {0};
    cli_exit status = cli_read_options(app, cli_invite_option_table, &o);

    if (status != CLI_OK) {
        return status;
    }
    if (o.list && o.cancel != NULL) {
        return cli_fail(app, CLI_USAGE, "expected one of --list and --cancel");
    }
    if (o.list || o.cancel != NULL) {
        return o.list ? list_invitations(app)
                      : cancel_invitation(app, o.cancel);
    }
    pn_inviting_options_init(&options);
    if (!read_duration(o.ttl, &options.ttl_s) || options.ttl_s < 10
        || options.ttl_s > 604800) {
        return cli_fail(app, CLI_USAGE,
            "expected a time of 10 seconds to 7 days after '--ttl', like 90s, "
            "10m, 2h or 7d");
    }
    if (o.label != NULL && o.uses > 1) {
        return cli_fail(app, CLI_USAGE,
            "expected one of --label and --uses: a label names one peer");
    }
    if (o.label != NULL && !cli_pair_label_check(app, o.label, &why)) {
        return cli_fail_text(app, CLI_USAGE, &why);
    }
    status = o.role == NULL ? CLI_OK : cli_check_role(app, o.role);
    if (status == CLI_OK) {
        status = cli_own_offer(app, own_label, &options.node_port);
    }
    if (status != CLI_OK) {
        return status;
    }
    options.uses = o.uses;
    options.label = o.label;
    options.role = o.role;
    options.own_label = own_label[0] == '\0' ? NULL : own_label;
    options.listen_address = o.listen;
    return run_inviting(&v, &options);
}

/* ---- join ------------------------------------------------------------------
 */

typedef struct join_options {
    const char *file;
    const char *picture;
    const char *label;
} join_options;

const cli_option cli_join_option_table[] = {
    {"file", 0, "FILE", .help = "read the invitation from a file",
        .kind = CLI_STRING, .offset = offsetof(join_options, file)},
    {"picture", 0, "FILE",
        .help = "read it from a picture of the code, with zbarimg",
        .kind = CLI_STRING, .offset = offsetof(join_options, picture)},
    {"label", 'l', "LABEL", .help = "a name to call the other device by",
        .kind = CLI_STRING, .offset = offsetof(join_options, label)},
    {.name = NULL},
};

static cli_exit fail_secret(const cli_app *app, cli_secret_result result)
{
    return cli_fail_secret(
        app, result, "invitation", "it on standard input, or --file FILE");
}

static cli_exit read_file(
    const cli_app *app, const char *path, cli_secret *ret_secret)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    cli_secret_result result;

    if (fd < 0) {
        return cli_fail_path(app, path, strerror(errno));
    }
    result = cli_secret_read(fd, ret_secret);
    (void)close(fd);
    return result == CLI_SECRET_OK ? CLI_OK : fail_secret(app, result);
}

/* Runs zbarimg with its standard output in a pipe. -1: it cannot be started. */
static pid_t start_zbarimg(const char *path, int *ret_fd)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execlp("zbarimg", "zbarimg", "--quiet", "--raw", "--nodbus", "-S",
            "disable", "-S", "qrcode.enable", "--", path, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
    }
    *ret_fd = ends[0];
    return pid;
}

static cli_exit read_picture(
    const cli_app *app, const char *path, cli_secret *ret_secret)
{
    cli_secret_result result;
    int status = 0;
    int fd = -1;
    pid_t pid;

    if (access(path, R_OK) != 0) {
        return cli_fail_path(app, path, strerror(errno));
    }
    pid = start_zbarimg(path, &fd);
    if (pid < 0) {
        return cli_fail(
            app, CLI_LOCAL, "zbarimg cannot be started: %s", strerror(errno));
    }
    result = cli_secret_read(fd, ret_secret);
    (void)close(fd);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        return cli_fail(app, CLI_LOCAL,
            "zbarimg, which reads pictures, is not here; install zbar-tools, "
            "or join by the text");
    }
    if (result != CLI_SECRET_OK) {
        return cli_fail_path(app, path, "zbarimg finds no QR code in it");
    }
    return CLI_OK;
}

static cli_exit read_invitation(
    const cli_app *app, const join_options *o, cli_secret *ret_secret)
{
    cli_secret_result result;

    if (o->file != NULL || o->picture != NULL) {
        return o->file != NULL ? read_file(app, o->file, ret_secret)
                               : read_picture(app, o->picture, ret_secret);
    }
    result = isatty(STDIN_FILENO) == 1
                 ? cli_secret_ask("Invitation (it is not shown): ", ret_secret)
                 : cli_secret_read(STDIN_FILENO, ret_secret);
    return result == CLI_SECRET_OK ? CLI_OK : fail_secret(app, result);
}

/* Without the blanks that copying adds. */
static void trim(const cli_secret *secret, const char **ret_text, size_t *len)
{
    const size_t skip = strspn(secret->text, " \t\r");

    *ret_text = secret->text + skip;
    *len = strlen(*ret_text);
    while (*len > 0 && strchr(" \t\r", (*ret_text)[*len - 1]) != NULL) {
        (*len)--;
    }
}

static void print_joined(
    const cli_app *app, const pn_join_result *r, const char *label)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    cli_text t = {0};

    if (app->json) {
        cli_result_begin(&t, true);
        cli_json_peer(&t, &r->key);
        cli_json_known(&t, "label", label == NULL ? "" : label);
        cli_json_known(&t, "proposed_label", r->proposed_label);
        cli_json_known(&t, "address", r->address);
        cli_json_bool(&t, "was_paired", r->was_paired);
        cli_print_result(&t);
        return;
    }
    pn_key_fingerprint(&r->key, fingerprint);
    cli_text_printf(
        &t, "%s %s", r->was_paired ? "already paired" : "paired", fingerprint);
    if (label != NULL) {
        cli_text_puts(&t, ", called ");
        cli_escape(&t, label, strlen(label), CLI_ESCAPE_FIELD);
    } else if (r->proposed_label[0] != '\0') {
        cli_text_puts(&t, ", which calls itself ");
        cli_quote(
            &t, r->proposed_label, strlen(r->proposed_label), CLI_ESCAPE_FIELD);
    }
    cli_print(&t);
}

static cli_exit fail_join(const cli_app *app, pn_err err, const pn_why *why)
{
    switch (err) {
    case PN_MALFORMED:
        return cli_fail(app, CLI_USAGE, "%s", why->text);
    case PN_DENIED:
    case PN_TIMEOUT:
    case PN_AUTH:
        return cli_fail(app, CLI_NO_LINK, "%s", why->text);
    default:
        return cli_fail_store(app, err, why);
    }
}

static cli_exit use_invitation(const cli_app *app, const cli_secret *secret,
    const pn_join_options *options)
{
    pn_join_result result = {.was_paired = false};
    pn_why why = {0};
    const char *text;
    size_t len;
    pn_err err;

    trim(secret, &text, &len);
    err = pn_join(app->data_dir, text, len, options, &result, &why);
    if (err != PN_OK) {
        return fail_join(app, err, &why);
    }
    print_joined(app, &result, options->label);
    return CLI_OK;
}

cli_exit cli_cmd_join(const cli_app *app)
{
    join_options o = {.file = NULL};
    char own_label[64 + 1] = "";
    pn_join_options options;
    cli_secret secret;
    cli_text why = {0};
    cli_exit status = cli_read_options(app, cli_join_option_table, &o);

    if (status != CLI_OK) {
        return status;
    }
    if (app->args->n_positional > 0) {
        return cli_fail(app, CLI_USAGE,
            "expected no argument: an invitation is a password, and other "
            "users and the shell's history see arguments; type it when asked, "
            "or give it on standard input or with --file. Cancel it if it is a "
            "real one");
    }
    if (o.file != NULL && o.picture != NULL) {
        return cli_fail(app, CLI_USAGE, "expected one of --file and --picture");
    }
    if (o.label != NULL && !cli_pair_label_check(app, o.label, &why)) {
        return cli_fail_text(app, CLI_USAGE, &why);
    }
    pn_join_options_init(&options);
    status = cli_own_offer(app, own_label, &options.node_port);
    if (status == CLI_OK) {
        status = read_invitation(app, &o, &secret);
    }
    if (status != CLI_OK) {
        return status;
    }
    options.label = o.label;
    options.own_label = own_label[0] == '\0' ? NULL : own_label;
    status = use_invitation(app, &secret, &options);
    cli_secret_wipe(&secret);
    return status;
}

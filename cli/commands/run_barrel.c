/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the command line to the options of a Barrel node. The cookie is read
 * from a file that no other user can read, into memory of ours that is wiped as
 * soon as the library has it: it is in no argument and in no log.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "barrel.h"
#include "os/secret.h"
#include "peer_text.h"

enum { COOKIE_MAX = 255 };

/* ---- the cookie --------------------------------------------------------- */

/* One line: what Erlang takes as a cookie, and what may end it. */
static bool take_cookie(char *text, size_t len)
{
    size_t n = 0;

    while (n < len && text[n] >= ' ' && text[n] <= '~') {
        n++;
    }
    for (size_t i = n; i < len; i++) {
        if (text[i] != '\n' && text[i] != '\r') {
            return false;
        }
    }
    text[n] = '\0';
    return n >= 1 && n <= COOKIE_MAX;
}

/* NULL, or what is wrong. */
static const char *read_cookie_from(int fd, char ret_cookie[static 256])
{
    char text[COOKIE_MAX + 4]; /* "\r\n", and one too many */
    size_t used = 0;
    ssize_t n;
    const char *wrong = NULL;

    while (wrong == NULL && used < sizeof(text)
           && (n = read(fd, text + used, sizeof(text) - used)) != 0) {
        if (n < 0 && errno != EINTR) {
            wrong = strerror(errno);
        }
        used += n > 0 ? (size_t)n : 0;
    }
    if (wrong == NULL && (used == sizeof(text) || !take_cookie(text, used))) {
        wrong = "expected a cookie: one line of 1 to 255 printable characters";
    }
    if (wrong == NULL) {
        memcpy(ret_cookie, text, strlen(text) + 1);
    }
    explicit_bzero(text, sizeof(text));
    return wrong;
}

/* The file of --cookie-file, or the credential "cookie" that systemd gives a
 * service; NULL: none. */
static const char *cookie_path(
    const cli_app *app, char ret_credential[static PATH_MAX])
{
    const char *path = cli_args_value(app->args, "cookie-file");
    const char *dir = getenv("CREDENTIALS_DIRECTORY");

    if (path != NULL || dir == NULL || dir[0] != '/'
        || snprintf(ret_credential, PATH_MAX, "%s/cookie", dir) >= PATH_MAX
        || access(ret_credential, F_OK) != 0) {
        return path;
    }
    return ret_credential;
}

static cli_exit read_cookie(const cli_app *app, char ret_cookie[static 256])
{
    char credential[PATH_MAX];
    const char *path = cookie_path(app, credential);
    const char *wrong;
    int sys_errno;
    int fd;

    if (path == NULL) {
        return cli_fail(app, CLI_USAGE,
            "expected '--cookie-file FILE', the cluster's cookie (cookie-file "
            "in [barrel])");
    }
    if (pn_secret_open(AT_FDCWD, path, &fd, &sys_errno, &wrong) != PN_OK) {
        return cli_fail_path(
            app, path, wrong != NULL ? wrong : strerror(sys_errno));
    }
    wrong = read_cookie_from(fd, ret_cookie);
    (void)close(fd);
    return wrong == NULL ? CLI_OK : cli_fail_path(app, path, wrong);
}

/* ---- directories -------------------------------------------------------- */

static cli_exit find_dir(const cli_app *app, const char *option,
    const char *name, char ret_dir[static PATH_MAX])
{
    const char *given = cli_args_value(app->args, option);
    int n = given != NULL ? snprintf(ret_dir, PATH_MAX, "%s", given)
                          : snprintf(ret_dir, PATH_MAX, "%s/barrel/%s",
                              app->data_dir, name);

    if (n < 1 || n >= PATH_MAX) {
        return cli_fail(
            app, CLI_USAGE, "expected a directory after '--%s'", option);
    }
    if (given == NULL) {
        cli_make_parents(ret_dir);
    }
    return CLI_OK;
}

cli_exit cli_barrel_key_dir(const cli_app *app, char ret_dir[static PATH_MAX])
{
    return find_dir(app, "key-dir", "keys", ret_dir);
}

cli_exit cli_barrel_cert_dir(const cli_app *app, char ret_dir[static PATH_MAX])
{
    return find_dir(app, "cert-dir", "quic", ret_dir);
}

/* ---- words -------------------------------------------------------------- */

static cli_exit read_address(
    const cli_app *app, const char *word, size_t n, cli_barrel_setup *s)
{
    size_t len = strcspn(word, "=");

    if (n == CLI_MAX_OPTIONS) {
        return cli_fail_word(app, "at most 128 nodes", word, NULL);
    }
    if (word[len] == '\0' || len >= sizeof(s->names[n])) {
        return cli_fail_word(
            app, "NAME@HOST=HOST:PORT after '--node'", word, NULL);
    }
    memcpy(s->names[n], word, len);
    s->names[n][len] = '\0';
    s->addresses[n] = (pn_barrel_address){s->names[n], word + len + 1};
    return cli_check_node(app, s->names[n]);
}

static cli_exit read_addresses(const cli_app *app, cli_barrel_setup *s)
{
    size_t n = 0;
    unsigned i = 0;
    const char *word;

    while ((word = cli_args_next(app->args, "node", &i)) != NULL) {
        cli_exit status = read_address(app, word, n, s);

        if (status == CLI_OK) {
            n++;
        } else if (app->faults == NULL || n == CLI_MAX_OPTIONS) {
            return status;
        }
    }
    s->options.addresses = s->addresses;
    s->options.n_addresses = n;
    return CLI_OK;
}

static cli_exit read_patterns(const cli_app *app, cli_barrel_setup *s)
{
    unsigned i = 0;
    const char *word;

    while ((word = cli_args_next(app->args, "cookie-only", &i)) != NULL) {
        if (s->options.n_cookie_only == CLI_MAX_OPTIONS) {
            return cli_fail_word(app, "at most 128 patterns", word, NULL);
        }
        s->cookie_only[s->options.n_cookie_only++] = word;
    }
    s->options.cookie_only = s->cookie_only;
    return CLI_OK;
}

/* All but our name, the cookie and the directories: touches no file. */
static cli_exit read_words(const cli_app *app, cli_barrel_setup *s)
{
    pn_barrel_options *o = &s->options;
    cli_exit status;

    memset(s, 0, sizeof(*s));
    pn_barrel_options_init(o);
    o->name = s->name;
    o->cookie = s->cookie;
    o->key_dir = s->key_dir;
    o->cert_dir = s->cert_dir;
    status = read_patterns(app, s);
    if (status == CLI_OK) {
        status = cli_read_options(app, cli_barrel_option_table, o);
    }
    return status == CLI_OK ? read_addresses(app, s) : status;
}

cli_exit cli_barrel_read_files(const cli_app *app, cli_barrel_setup *s)
{
    cli_exit status = read_cookie(app, s->cookie);

    if (status == CLI_OK) {
        status = cli_barrel_key_dir(app, s->key_dir);
    }
    return status == CLI_OK ? cli_barrel_cert_dir(app, s->cert_dir) : status;
}

/* ---- run ---------------------------------------------------------------- */

/* "NAME@HOST", "NAME@HOST:PORT". */
static cli_exit read_barrel(
    const cli_app *app, const char *word, cli_barrel_setup *s)
{
    size_t len = strcspn(word, ":");
    const char *port = word[len] == ':' ? word + len + 1 : NULL;
    size_t n = port == NULL ? 0 : strlen(port);

    if (len >= sizeof(s->name)
        || (port != NULL
            && (n < 1 || n > 5 || strspn(port, "0123456789") != n
                || atoi(port) > 65535))) {
        return cli_fail_word(
            app, "NAME@HOST or NAME@HOST:PORT after '--barrel'", word, NULL);
    }
    memcpy(s->name, word, len);
    s->name[len] = '\0';
    if (port != NULL) {
        s->options.listen_port = atoi(port);
    }
    return cli_check_node(app, s->name);
}

cli_exit cli_barrel_run_setup(
    const cli_app *app, cli_barrel_setup *setup, bool *ret_wanted)
{
    const char *word = cli_args_value(app->args, "barrel");
    cli_exit status;

    *ret_wanted = word != NULL;
    if (word == NULL) {
        return cli_barrel_check_unused(app, "'--barrel NAME@HOST'");
    }
    status = read_words(app, setup);
    setup->options.dial_pinned = true;
    if (status == CLI_OK) {
        status = cli_read_options(
            app, cli_barrel_run_option_table, &setup->options);
    }
    if (status == CLI_OK) {
        status = read_barrel(app, word, setup);
    }
    return status;
}

/* ---- commands ----------------------------------------------------------- */

static cli_exit find_own_name(const cli_app *app, cli_barrel_setup *s)
{
    const char *given = cli_args_value(app->args, "as");
    char host[128] = "";

    if (given == NULL && gethostname(host, sizeof(host) - 1) != 0) {
        return cli_fail(
            app, CLI_LOCAL, "expected '--as NAME@HOST': %s", strerror(errno));
    }
    if (given != NULL && strlen(given) >= sizeof(s->name)) {
        return cli_check_node(app, given); /* too long for one */
    }
    (void)snprintf(s->name, sizeof(s->name), "%s%s",
        given == NULL ? "peernet@" : given, host);
    return cli_check_node(app, s->name);
}

static cli_exit open_own(
    const cli_app *app, cli_barrel_setup *s, cli_session **ret_session)
{
    cli_session_options options = {.data_dir = app->data_dir, .may_open = true};
    cli_exit status = cli_node_options(app, &options.hub);

    if (status == CLI_OK) {
        status = find_own_name(app, s);
    }
    if (status == CLI_OK) {
        status = cli_barrel_read_files(app, s);
    }
    if (status != CLI_OK) {
        return status;
    }
    s->options.listen_port = 0;
    s->options.publish = false;
    options.hub.barrel = &s->options;
    options.hub.node.listen_address = NULL;
    options.hub.node.listen_port = PN_PORT_NONE;
    options.hub.node.discovery = PN_DISCOVERY_NONE;
    options.hub.dnssd = CLI_DNSSD_NONE;
    options.hub.node.auto_connect = false;
    return cli_app_open_session(app, &options, ret_session);
}

cli_exit cli_barrel_session(const cli_app *app, cli_session **ret_session)
{
    static cli_barrel_setup setup; /* large, and one per process */
    cli_exit status = read_words(app, &setup);

    if (status == CLI_OK) {
        status = cli_app_running(app, ret_session);
    }
    if (status == CLI_OK && *ret_session == NULL) {
        status = open_own(app, &setup, ret_session);
    }
    cli_barrel_wipe(&setup);
    return status;
}

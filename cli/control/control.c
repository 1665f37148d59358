/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: its clients and their limits. */
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mutant.h"

struct cli_control_client {
    cli_control *control;
    cli_control_client *next;
    void *data; /* the owner's */
    uv_pipe_t pipe;
    uv_timer_t timer; /* until the first line */
    unsigned n_handles;
    bool greeted; /* a line has come */
    bool gone;
    bool held;         /* its lines wait */
    size_t n_searched; /* bytes of input that have no newline */
    size_t max_line;   /* bytes without the newline */
    size_t max_output; /* unread */
    cli_text input;
    char read_buf[4096];
};

struct cli_control {
    uv_pipe_t *pipe; /* NULL: there is no socket now */
    uv_timer_t timer;
    cli_runtime runtime;
    cli_control_callbacks callbacks;
    bool is_of_group; /* for programs of other users, in this group: */
    gid_t group;
    cli_control_client *clients;
    unsigned n_clients;
    char path[CLI_SOCKET_PATH_MAX + 1];
    struct stat made; /* what is at path */
    bool is_lent;
};

/* ---- sent lines --------------------------------------------------------- */

typedef struct output {
    uv_write_t write;
    cli_text line;
    void (*on_failed)(uv_stream_t *stream);
} output;

static void output_free(output *o)
{
    cli_text_fini(&o->line);
    free(o);
}

static void on_sent(uv_write_t *write, int status)
{
    output *o = write->data;

    if (status != 0 && o->on_failed != NULL) {
        o->on_failed(write->handle);
    }
    output_free(o);
}

bool cli_stream_send(
    uv_stream_t *stream, cli_text *line, void (*on_failed)(uv_stream_t *))
{
    output *o = calloc(1, sizeof(*o));
    uv_buf_t buf;

    cli_text_putc(line, '\n');
    if (o == NULL || line->failed) {
        cli_text_fini(line);
        free(o);
        return false;
    }
    *o = (output){.line = *line, .on_failed = on_failed};
    *line = (cli_text){0};
    o->write.data = o;
    buf = uv_buf_init(o->line.data, (unsigned)o->line.len);
    if (uv_write(&o->write, stream, &buf, 1, on_sent) != 0) {
        output_free(o);
        return false;
    }
    return true;
}

/* ---- clients ------------------------------------------------------------ */

static void on_client_closed(uv_handle_t *handle)
{
    cli_control_client *c = handle->data;

    if (--c->n_handles == 0) {
        cli_text_fini(&c->input);
        free(c);
    }
}

/* Ends a client; the only place that does. on_gone is called first, while the
 * client is still valid. */
static void client_end(cli_control_client *c)
{
    cli_control *control = c->control;
    cli_control_client **at = &control->clients;

    if (c->gone) {
        return;
    }
    c->gone = true;
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    control->n_clients--;
    if (c->data != NULL) {
        control->callbacks.on_gone(control->callbacks.user, c->data);
    }
    uv_close((uv_handle_t *)&c->timer, on_client_closed);
    uv_close((uv_handle_t *)&c->pipe, on_client_closed);
}

size_t cli_control_unread(const cli_control_client *c)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&c->pipe);
}

void cli_control_set_limits(
    cli_control_client *c, size_t max_line, size_t max_output)
{
    c->max_line = max_line;
    c->max_output = max_output;
}

void cli_control_send(cli_control_client *c, const char *line, size_t len)
{
    uv_stream_t *stream = (uv_stream_t *)&c->pipe;
    cli_text t = {0};

    if (c->gone) {
        return;
    }
    if (PN_REFUSE_IF(
            cli_control_output, cli_control_unread(c) > c->max_output)) {
        client_end(c);
        return;
    }
    cli_text_reserve(&t, len + 1);
    cli_text_add(&t, line, len);
    /* The end of a client is noticed by reading. */
    if (!cli_stream_send(stream, &t, NULL)) {
        client_end(c);
    }
}

static void send_error(cli_control_client *c, const char *error)
{
    cli_text t = {0};

    cli_text_printf(&t,
        "{\"ok\":false,\"error\":\"bad-request\",\"message\":\"%s\"}", error);
    if (!t.failed) {
        cli_control_send(c, t.data, t.len);
    }
    cli_text_fini(&t);
}

/* Hands out complete lines; false when the client ended meanwhile. */
static bool take_lines(cli_control_client *c)
{
    const cli_control_callbacks *callbacks = &c->control->callbacks;
    size_t at = 0;
    char *end;

    while (!c->held && c->input.len > c->n_searched
           && (end = memchr(c->input.data + c->n_searched, '\n',
                   c->input.len - c->n_searched))
                  != NULL) {
        size_t len = (size_t)(end - (c->input.data + at));

        if (PN_REFUSE_IF(cli_control_line, len > c->max_line)) {
            at = 0;
            break;
        }
        *end = '\0';
        c->greeted = true;
        (void)uv_timer_stop(&c->timer);
        callbacks->on_line(callbacks->user, c->data, c->input.data + at, len);
        if (c->gone) {
            return false;
        }
        at += len + 1;
        c->n_searched = at;
    }
    cli_text_drop(&c->input, at);
    c->n_searched = c->held ? 0 : c->input.len;
    if (!c->held
        && PN_REFUSE_IF(cli_control_line, c->input.len > c->max_line)) {
        char expected[80];

        (void)snprintf(expected, sizeof(expected),
            "expected a line of at most %zu bytes", c->max_line);
        send_error(c, expected);
        client_end(c);
        return false;
    }
    return true;
}

static void start_reading(cli_control_client *c);

void cli_control_hold(cli_control_client *c, bool is_held)
{
    if (c->gone || c->held == is_held) {
        return;
    }
    c->held = is_held;
    if (is_held) {
        (void)uv_read_stop((uv_stream_t *)&c->pipe);
    } else if (c->input.len == 0 || take_lines(c)) {
        start_reading(c);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    cli_control_client *c = handle->data;

    (void)suggested;
    *buf = uv_buf_init(c->read_buf, sizeof(c->read_buf));
}

/* True when the client has closed: after a stop of the node (SIGSTOP) requests
 * may be of clients that have gone. */
static bool has_left(cli_control_client *c)
{
    struct pollfd fd = {.events = 0};

    return uv_fileno((uv_handle_t *)&c->pipe, &fd.fd) == 0
           && poll(&fd, 1, 0) > 0 && (fd.revents & (POLLHUP | POLLERR)) != 0;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    cli_control_client *c = stream->data;

    if (n < 0 || PN_REFUSE_IF(cli_control_left, has_left(c))) {
        client_end(c);
        return;
    }
    cli_text_add(&c->input, buf->base, (size_t)n);
    if (c->input.failed) {
        client_end(c);
        return;
    }
    if (n > 0) {
        (void)take_lines(c);
    }
}

static void start_reading(cli_control_client *c)
{
    if (!c->held && !c->gone) {
        (void)uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
    }
}

static void on_first_line_timeout(uv_timer_t *timer)
{
    cli_control_client *c = timer->data;

    if (PN_REFUSE_IF(cli_control_first_line, !c->greeted)) {
        send_error(c, "expected a line within 5 seconds");
        client_end(c);
    }
}

static bool peer_user(int fd, uid_t *ret_user)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) {
        return false;
    }
    *ret_user = peer.uid;
    return true;
}

bool cli_control_peer_is_us(int fd)
{
    uid_t user;

    return peer_user(fd, &user)
           && !PN_REFUSE_IF(cli_control_node, user != geteuid());
}

/* The groups that the process had when it connected. */
static bool peer_is_in(int fd, gid_t group)
{
    socklen_t len = sizeof(struct ucred);
    struct ucred peer;
    gid_t *groups = NULL;
    bool found = false;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) {
        return false;
    }
    if (peer.gid == group) {
        return true;
    }
    len = 0; /* the system says how much it needs */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0
        || errno != ERANGE) {
        return false;
    }
    groups = malloc(len);
    if (groups != NULL
        && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0) {
        for (size_t i = 0; i < len / sizeof(*groups); i++) {
            found = found || groups[i] == group;
        }
    }
    free(groups);
    return found;
}

/* Root could become our user anyway. */
static bool client_is_allowed(cli_control_client *c)
{
    const cli_control *control = c->control;
    uv_os_fd_t fd;
    uid_t user;

    if (uv_fileno((uv_handle_t *)&c->pipe, &fd) != 0 || !peer_user(fd, &user)) {
        return false;
    }
    if (control->is_of_group && user != geteuid() && user != 0) {
        return !PN_REFUSE_IF(
            cli_control_group, !peer_is_in(fd, control->group));
    }
    return !PN_REFUSE_IF(cli_control_uid, user != geteuid() && user != 0);
}

static void client_begin(cli_control_client *c)
{
    cli_control *control = c->control;

    if (!client_is_allowed(c)) {
        client_end(c);
        return;
    }
    if (PN_REFUSE_IF(cli_control_clients,
            control->n_clients > CLI_CONTROL_MAX_CLIENTS)) {
        send_error(c, "expected at most 32 clients");
        client_end(c);
        return;
    }
    c->data = control->callbacks.on_client(control->callbacks.user, c);
    if (c->data == NULL) {
        client_end(c);
        return;
    }
    (void)uv_timer_start(
        &c->timer, on_first_line_timeout, CLI_CONTROL_FIRST_LINE_MS, 0);
    start_reading(c);
}

static void on_connection(uv_stream_t *server, int status)
{
    cli_control *control = server->data;
    cli_control_client *c = status < 0 ? NULL : calloc(1, sizeof(*c));

    if (c == NULL) {
        return;
    }
    c->control = control;
    c->n_handles = 2;
    c->max_line = CLI_CONTROL_MAX_LINE;
    c->max_output = CLI_CONTROL_MAX_OUTPUT;
    (void)uv_pipe_init(server->loop, &c->pipe, 0);
    (void)uv_timer_init(server->loop, &c->timer);
    c->pipe.data = c;
    c->timer.data = c;
    c->next = control->clients;
    control->clients = c;
    control->n_clients++;
    if (uv_accept(server, (uv_stream_t *)&c->pipe) != 0) {
        client_end(c);
        return;
    }
    client_begin(c);
}

/* ---- the server --------------------------------------------------------- */

static void on_server_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_control_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* The umask gives the socket its mode at once, so that nobody can connect
 * between bind and chmod. */
static int bind_at(uv_pipe_t *pipe, const char *path)
{
    struct stat there;
    mode_t before;
    int error;

    if (lstat(path, &there) == 0 && S_ISSOCK(there.st_mode)) {
        (void)unlink(path);
    }
    before = umask(0177);
    error = uv_pipe_bind(pipe, path);
    (void)umask(before);
    return error;
}

/* Opens it to the group, before anybody can connect. */
static int give_to_group(const cli_control *control, const char *path)
{
    return lchown(path, (uid_t)-1, control->group) == 0
                   && chmod(path, 0660) == 0
               ? 0
               : uv_translate_sys_error(errno);
}

/* fd: a socket that is bound to path; -1: there is none yet. */
static int listen_at(cli_control *control, const char *path, int fd)
{
    uv_pipe_t *pipe = calloc(1, sizeof(*pipe));
    int error;

    if (pipe == NULL) {
        return UV_ENOMEM;
    }
    (void)uv_pipe_init(control->timer.loop, pipe, 0);
    pipe->data = control;
    error = fd < 0 ? bind_at(pipe, path) : uv_pipe_open(pipe, fd);
    if (error == 0 && control->is_of_group) {
        error = give_to_group(control, path);
    }
    if (error == 0) {
        error = uv_listen(
            (uv_stream_t *)pipe, CLI_CONTROL_MAX_CLIENTS, on_connection);
    }
    if (error == 0 && lstat(path, &control->made) != 0) {
        error = uv_translate_sys_error(errno);
    }
    if (error != 0) {
        uv_close((uv_handle_t *)pipe, on_server_closed);
        return error;
    }
    control->pipe = pipe;
    control->is_lent = fd >= 0;
    (void)snprintf(control->path, sizeof(control->path), "%s", path);
    return 0;
}

/* Removes the socket, too. */
static void stop_listening(cli_control *control)
{
    if (control->pipe != NULL) {
        uv_close((uv_handle_t *)control->pipe, on_server_closed);
        control->pipe = NULL;
    }
}

static bool is_there(const cli_control *control)
{
    struct stat now;

    return control->pipe != NULL && lstat(control->path, &now) == 0
           && now.st_dev == control->made.st_dev
           && now.st_ino == control->made.st_ino;
}

static const char *usable_place(const cli_runtime *runtime, cli_text *ret_error)
{
    for (size_t i = 0; i < runtime->n_places; i++) {
        if (cli_runtime_folder_is_safe(runtime->places[i].folder, true)) {
            return runtime->places[i].socket;
        }
        cli_text_printf(ret_error,
            "%s%s: expected a directory of ours with mode 0700",
            ret_error->len > 0 ? "; " : "", runtime->places[i].folder);
    }
    return NULL;
}

/* Connected clients stay. */
static void on_look(uv_timer_t *timer)
{
    cli_control *control = timer->data;
    const cli_control_callbacks *callbacks = &control->callbacks;
    cli_text error = {0};
    const char *path;

    if (is_there(control) || !PN_SAFEGUARD(cli_control_again)) {
        return;
    }
    stop_listening(control);
    path = control->is_of_group ? control->runtime.places[0].socket
                                : usable_place(&control->runtime, &error);
    cli_text_fini(&error);
    if (path != NULL && listen_at(control, path, -1) == 0
        && callbacks->on_made_again != NULL) {
        callbacks->on_made_again(callbacks->user, path);
    }
}

static bool option_is(int fd, int name, int value)
{
    int found = 0;
    socklen_t len = sizeof(found);

    return getsockopt(fd, SOL_SOCKET, name, &found, &len) == 0
           && found == value;
}

/* The path of a socket that listens already, in a folder that is private to us
 * as our own would be; false with a sentence. */
static bool lent_place(
    int fd, char ret_path[static CLI_SOCKET_PATH_MAX + 1], cli_text *ret_error)
{
    struct sockaddr_un at = {.sun_family = AF_UNSPEC};
    socklen_t len = sizeof(at) - 1;
    char folder[CLI_SOCKET_PATH_MAX + 1];
    char *slash;

    if (!option_is(fd, SO_DOMAIN, AF_UNIX)
        || !option_is(fd, SO_TYPE, SOCK_STREAM)
        || !option_is(fd, SO_ACCEPTCONN, 1)
        || getsockname(fd, (struct sockaddr *)&at, &len) != 0
        || at.sun_path[0] != '/') {
        cli_text_puts(ret_error,
            "the socket 'control' of systemd: expected ListenStream= with a "
            "path");
        return false;
    }
    (void)snprintf(ret_path, CLI_SOCKET_PATH_MAX + 1, "%s", at.sun_path);
    (void)snprintf(folder, sizeof(folder), "%s", at.sun_path);
    slash = strrchr(folder, '/');
    *slash = '\0';
    if (PN_REFUSE_IF(
            cli_control_lent, !cli_runtime_folder_is_safe(folder, false))) {
        cli_text_printf(ret_error,
            "%s, where the socket 'control' of systemd is: expected a "
            "directory of ours with mode 0700",
            folder);
        return false;
    }
    return true;
}

/* Takes control, which has its callbacks and places. */
static pn_err open_at(uv_loop_t *loop, cli_control *control, const char *path,
    cli_control **ret_control, cli_text *ret_error)
{
    int error;

    (void)uv_timer_init(loop, &control->timer);
    control->timer.data = control;
    error = listen_at(control, path,
        control->runtime.has_socket ? control->runtime.socket_fd : -1);
    if (error != 0) {
        cli_text_clear(ret_error);
        cli_text_printf(ret_error, "%s: %s", path, uv_strerror(error));
        uv_close((uv_handle_t *)&control->timer, on_control_closed);
        return PN_SYS;
    }
    (void)uv_timer_start(
        &control->timer, on_look, CLI_CONTROL_LOOK_MS, CLI_CONTROL_LOOK_MS);
    *ret_control = control;
    return PN_OK;
}

pn_err cli_control_open(uv_loop_t *loop, const cli_runtime *runtime,
    const cli_control_callbacks *callbacks, cli_control **ret_control,
    cli_text *ret_error)
{
    char lent[CLI_SOCKET_PATH_MAX + 1];
    const char *path = lent;
    cli_control *control;

    if (!runtime->has_socket) {
        path = usable_place(runtime, ret_error);
    } else if (!lent_place(runtime->socket_fd, lent, ret_error)) {
        path = NULL;
    }
    if (path == NULL) {
        return PN_PERMISSION;
    }
    control = calloc(1, sizeof(*control));
    if (control == NULL) {
        return PN_NOMEM;
    }
    control->callbacks = *callbacks;
    control->runtime = *runtime;
    return open_at(loop, control, path, ret_control, ret_error);
}

pn_err cli_control_open_to_group(uv_loop_t *loop, const char *path, gid_t group,
    const cli_control_callbacks *callbacks, cli_control **ret_control,
    cli_text *ret_error)
{
    cli_control *control;

    if (strlen(path) > CLI_SOCKET_PATH_MAX) {
        cli_text_printf(ret_error, "%s: expected a path of at most %d bytes",
            path, CLI_SOCKET_PATH_MAX);
        return PN_SYS;
    }
    control = calloc(1, sizeof(*control));
    if (control == NULL) {
        return PN_NOMEM;
    }
    control->callbacks = *callbacks;
    control->is_of_group = true;
    control->group = group;
    control->runtime.n_places = 1;
    (void)snprintf(control->runtime.places[0].socket,
        sizeof(control->runtime.places[0].socket), "%s", path);
    return open_at(loop, control, control->runtime.places[0].socket,
        ret_control, ret_error);
}

void cli_control_close(cli_control *control)
{
    if (control == NULL) {
        return;
    }
    while (control->clients != NULL) {
        client_end(control->clients);
    }
    stop_listening(control);
    uv_close((uv_handle_t *)&control->timer, on_control_closed);
}

bool cli_control_is_lent(const cli_control *control)
{
    return control->is_lent;
}

const char *cli_control_path(const cli_control *control)
{
    return control->path;
}

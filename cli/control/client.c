/* SPDX-License-Identifier: Apache-2.0 */
/* A command's session with a node: the running one, or one of its own. */
#include "client.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "runtime.h"
#include "std_output.h"
#include "json/json.h"
#include "json/jsonout.h"

/* A node that holds the directory may be just starting, or just leaving. */
#define SLOW_MS 1000 /* after this the command prints what it waits for */
#define LOCKED_TRIES 40
#define LOCKED_PAUSE_US 250000
/* Raw text per line; each byte may become six. */
#define PART_BYTES 8192

/* The first of a status is the one that a command's own error has. */
static const struct {
    const char *error;
    cli_exit status;
} errors[] = {
    {"local", CLI_LOCAL},
    {"remote", CLI_REMOTE},
    {"bad-request", CLI_USAGE},
    {"no-such-peer", CLI_NO_PEER},
    {"not-connected", CLI_NO_LINK},
    {"timeout", CLI_NO_LINK},
    {"closed", CLI_NO_LINK},
    {"busy", CLI_NO_LINK},
    {"node-silent", CLI_NO_ANSWER},
    {"interrupted", CLI_INTERRUPTED},
};

#define N_ERRORS (sizeof(errors) / sizeof(errors[0]))

cli_exit cli_exit_of(const char *error)
{
    size_t i = 0;

    while (i < N_ERRORS
           && (error == NULL || strcmp(errors[i].error, error) != 0)) {
        i++;
    }
    return i < N_ERRORS ? errors[i].status : CLI_LOCAL;
}

const char *cli_error_of(cli_exit status)
{
    size_t i = 0;

    while (i < N_ERRORS && errors[i].status != status) {
        i++;
    }
    return i < N_ERRORS ? errors[i].error : "local";
}

void cli_answer_fini(cli_answer *answer)
{
    json_decref(answer->json);
    cli_text_fini(&answer->line);
    answer->json = NULL;
}

/* ---- received lines ----------------------------------------------------- */

/* Takes the "id" out of an answer, which is then printed as it is. */
static void strip_id(cli_text *t, const char *line, size_t len)
{
    const char *comma = memchr(line, ',', len);

    if (len > 6 && memcmp(line, "{\"id\":", 6) == 0 && comma != NULL) {
        cli_text_putc(t, '{');
        len -= (size_t)(comma + 1 - line);
        line = comma + 1;
    }
    cli_text_add(t, line, len);
}

static void keep_answer(
    cli_session *s, json_t *json, const char *line, size_t len)
{
    cli_answer_fini(&s->answer);
    s->awaited = 0;
    s->answer.json = json;
    strip_id(&s->answer.line, line, len);
}

static void tell(
    cli_session *s, const json_t *json, const char *line, size_t len)
{
    cli_text t = {0};

    strip_id(&t, line, len);
    if (!t.failed) {
        s->on_event(s->user, json, t.data, t.len);
    }
    cli_text_fini(&t);
}

/* True for the answer to a liveness request. */
static bool is_alive(cli_session *s, const json_t *json)
{
    json_int_t id = json_integer_value(json_object_get(json, "id"));

    if (json_object_get(json, "event") != NULL || s->asked == 0
        || id != s->asked) {
        return false;
    }
    s->asked = 0;
    return true;
}

static void on_line(void *user, const char *line, size_t len)
{
    cli_session *s = user;
    cli_json_error error;
    json_t *json = cli_json_load(line, len, &error);
    json_int_t id = json_integer_value(json_object_get(json, "id"));

    if (json != NULL && json_object_get(json, "event") == NULL
        && s->awaited != 0
        && (id == s->awaited || json_object_get(json, "id") == NULL)) {
        keep_answer(s, json, line, len);
        return;
    }
    /* is_alive comes first: it must see the answer without a listener, too. */
    if (json != NULL && !is_alive(s, json) && s->on_event != NULL) {
        tell(s, json, line, len);
    }
    json_decref(json);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    cli_session *s = handle->data;

    (void)suggested;
    *buf = uv_buf_init(s->read_buf, sizeof(s->read_buf));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    cli_session *s = stream->data;
    char *end;
    size_t at = 0;

    if (n < 0) {
        s->is_closed = true;
        (void)uv_read_stop(stream);
        return;
    }
    cli_text_add(&s->input, buf->base, (size_t)n);
    /* The kept bytes have no newline, so only the new ones are searched. */
    while (s->input.len > at
           && (end = memchr(s->input.data + at, '\n', s->input.len - at))
                  != NULL) {
        on_line(s, s->input.data + at, (size_t)(end - s->input.data) - at);
        at = (size_t)(end - s->input.data) + 1;
    }
    cli_text_drop(&s->input, at);
}

/* ---- the running node --------------------------------------------------- */

/* A socket that another user made is refused. *ret_silent: so many
 * wait to be taken that there is no place for one more. */
static int dial(const char *path, bool *ret_silent)
{
    const struct timeval wait = {.tv_sec = CLI_ANSWER_MS / 1000};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    /* Bounds connect, too. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        *ret_silent = errno == EAGAIN;
        (void)close(fd);
        return -1;
    }
    if (!cli_control_peer_is_us(fd)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int find_node(const char *data_dir, bool *ret_silent)
{
    char path[PATH_MAX];
    cli_runtime runtime;
    int fd = -1;

    *ret_silent = false;
    if (realpath(data_dir, path) == NULL) {
        return -1;
    }
    cli_runtime_places(path, &runtime);
    cli_runtime_read_link(path, &runtime);
    for (size_t i = 0; i < runtime.n_places && fd < 0 && !*ret_silent; i++) {
        if (cli_runtime_folder_is_safe(runtime.places[i].folder, false)) {
            fd = dial(runtime.places[i].socket, ret_silent);
        }
    }
    return fd;
}

static void add_node(const char *data_dir, cli_text *t)
{
    int64_t pid = 0;

    if (pn_store_find_node(data_dir, &pid) == PN_OK && pid > 0) {
        cli_text_printf(t, " (pid %lld)", (long long)pid);
    }
}

void cli_silent_node(const char *data_dir, cli_text *t)
{
    cli_text_puts(t, "the running node");
    add_node(data_dir, t);
    cli_text_puts(t, " does not answer: it is stopped, or very busy");
}

/* Adds the path where the socket should be: that of the link in the data
 * directory, or the first place. */
static void add_unreachable(const char *data_dir, cli_text *t)
{
    char path[PATH_MAX];
    cli_runtime runtime;
    size_t expected;

    cli_text_puts(t, "a node runs");
    add_node(data_dir, t);
    if (realpath(data_dir, path) == NULL) {
        cli_text_puts(t, " but cannot be reached");
        return;
    }
    cli_runtime_places(path, &runtime);
    expected = runtime.n_places;
    cli_runtime_read_link(path, &runtime);
    cli_text_printf(t,
        " but cannot be reached at %s: it may have been started with "
        "--no-control, or with another RUNTIME_DIRECTORY or XDG_RUNTIME_DIR",
        runtime.places[runtime.n_places > expected ? expected : 0].socket);
}

/* Asks the node periodically whether it is there, so that every wait ends.
 * After a stop of this process (SIGSTOP) answers may be unread, so the missed
 * time does not count. */
static void on_alive(uv_timer_t *timer)
{
    cli_session *s = timer->data;
    cli_text t = {0};

    if (s->asked != 0 && s->was_asked) {
        s->is_silent = true;
        s->is_closed = true;
        return;
    }
    s->was_asked = s->asked != 0;
    if (s->asked == 0) {
        cli_request_begin(s, &t, "status");
        s->asked = s->next_id;
        (void)cli_request_end(s, &t, NULL);
    }
}

static bool join_remote(cli_session *s, const char *data_dir, bool *ret_silent)
{
    int fd = find_node(data_dir, ret_silent);

    if (fd < 0) {
        return false;
    }
    (void)uv_pipe_init(&s->loop, &s->pipe, 0);
    s->pipe.data = s;
    (void)uv_pipe_open(&s->pipe, fd);
    (void)uv_read_start((uv_stream_t *)&s->pipe, on_alloc, on_read);
    (void)uv_timer_start(&s->alive, on_alive, CLI_ALIVE_MS, CLI_ALIVE_MS);
    s->is_remote = true;
    return true;
}

/* ---- a node of our own -------------------------------------------------- */

/* Opens a node of our own; if the port is in use, without listening, which a
 * command does not need. */
static pn_err open_hub(
    cli_session *s, const cli_hub_options *options, cli_text *error)
{
    cli_hub_options without = *options;
    pn_err err = cli_hub_open(&s->loop, options, &s->hub, error);

    if (err != PN_SYS || options->node.listen_port <= 0) {
        return err;
    }
    cli_text_clear(error);
    without.node.listen_port = PN_PORT_NONE;
    return cli_hub_open(&s->loop, &without, &s->hub, error);
}

/* The directory is locked: a node is starting or leaving, or makes its removed
 * socket again. True: the session is joined to it, a signal came, or it does
 * not answer. */
static bool wait_for_node(
    cli_session *s, const char *data_dir, cli_exit *ret_status, cli_text *error)
{
    bool is_silent = false;

    (void)uv_run(&s->loop, UV_RUN_NOWAIT);
    if (s->signal == 0) {
        (void)usleep(LOCKED_PAUSE_US);
        if (join_remote(s, data_dir, &is_silent)) {
            *ret_status = CLI_OK;
            return true;
        }
    }
    if (is_silent) {
        cli_text_clear(error);
        cli_silent_node(data_dir, error);
        *ret_status = CLI_NO_ANSWER;
        return true;
    }
    *ret_status = CLI_INTERRUPTED;
    return s->signal != 0;
}

/* Joins a node of our own, if opening it has not failed with err. */
static cli_exit join_own(cli_session *s, pn_err err, cli_text *error)
{
    if (err != PN_OK) {
        return err == PN_INVALID ? CLI_USAGE : CLI_LOCAL;
    }
    s->caller = cli_hub_join(s->hub, on_line, s);
    if (s->caller == NULL) {
        cli_text_puts(error, "out of memory");
        return CLI_LOCAL;
    }
    return CLI_OK;
}

/* Opens a node of our own, if we may; PN_LOCKED: somebody has the directory. */
static pn_err open_unless_locked(
    cli_session *s, const cli_session_options *options, cli_text *error)
{
    int64_t pid = 0;

    if (options->may_open) {
        cli_text_clear(error);
        return open_hub(s, &options->hub, error);
    }
    return pn_store_find_node(options->data_dir, &pid) == PN_OK ? PN_LOCKED
                                                                : PN_OK;
}

/* No node answers: opens one, or does without; waits for one that has the
 * directory and is not there yet, or not any more. */
static cli_exit join_late(
    cli_session *s, const cli_session_options *options, cli_text *error)
{
    cli_exit status = CLI_OK;

    for (int i = 0; i < LOCKED_TRIES; i++) {
        pn_err err = open_unless_locked(s, options, error);

        if (err != PN_LOCKED) {
            return err == PN_OK && s->hub == NULL ? CLI_OK
                                                  : join_own(s, err, error);
        }
        if (wait_for_node(s, options->data_dir, &status, error)) {
            return status;
        }
    }
    cli_text_clear(error);
    add_unreachable(options->data_dir, error);
    return CLI_LOCAL;
}

static cli_exit join(
    cli_session *s, const cli_session_options *options, cli_text *error)
{
    bool is_silent = false;

    if (options->must_open) {
        return join_own(
            s, cli_hub_open(&s->loop, &options->hub, &s->hub, error), error);
    }
    if (join_remote(s, options->data_dir, &is_silent)) {
        return CLI_OK;
    }
    if (is_silent) {
        cli_silent_node(options->data_dir, error);
        return CLI_NO_ANSWER;
    }
    return join_late(s, options, error);
}

/* ---- life --------------------------------------------------------------- */

static void on_signal(void *user, int number)
{
    cli_session *s = user;

    if (number == SIGHUP && s->on_hangup != NULL
        && s->on_hangup(s->on_hangup_user)) {
        return;
    }
    cli_output_hurry();
    s->signal = number;
}

static void on_timer(uv_timer_t *timer)
{
    cli_session *s = timer->data;

    s->timed_out = true;
}

/* On the thread that writes. */
static void wake_loop(void *user)
{
    (void)uv_async_send(user);
}

static void start_handles(cli_session *s)
{
    uv_timer_t *const timers[] = {&s->timer, &s->deadline, &s->alive, &s->slow};

    cli_end_signals_catch(&s->signals, &s->loop, on_signal, s);
    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
        (void)uv_timer_init(&s->loop, timers[i]);
        timers[i]->data = s;
    }
    (void)uv_async_init(&s->loop, &s->output_failed, NULL);
    cli_output_on_error(wake_loop, &s->output_failed);
}

cli_exit cli_session_open(const cli_session_options *options,
    cli_session **ret_session, cli_text *error)
{
    cli_session *s = calloc(1, sizeof(*s));
    cli_exit status = CLI_OK;

    *ret_session = NULL;
    if (s == NULL || uv_loop_init(&s->loop) != 0) {
        free(s);
        cli_text_puts(error, "out of memory");
        return CLI_LOCAL;
    }
    start_handles(s);
    status = join(s, options, error);
    if (status != CLI_OK || (!s->is_remote && s->hub == NULL)) {
        cli_session_close(s);
        return status;
    }
    *ret_session = s;
    return CLI_OK;
}

static void close_any(uv_handle_t *handle, void *user)
{
    (void)user;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void say_linger(const cli_session *s)
{
    if (s->hub != NULL && cli_hub_will_linger(s->hub)) {
        static const char text[] =
            "peernet: leaving: the port stays open for 6 s, so that peers do "
            "not count refused dials (interrupt to exit now)\n";

        cli_output(STDERR_FILENO, CLI_OUTPUT_LINE, text, sizeof(text) - 1);
    }
}

void cli_session_close(cli_session *s)
{
    if (s == NULL) {
        return;
    }
    cli_output_on_error(NULL, NULL);
    cli_end_signals_stop(&s->signals); /* a second one ends the process */
    cli_hub_leave(s->caller);
    say_linger(s);
    if (s->hub != NULL) {
        cli_hub_close(s->hub);
    }
    uv_walk(&s->loop, close_any, NULL);
    (void)uv_run(&s->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&s->loop);
    cli_end_signals_leave(&s->signals);
    cli_hub_free(s->hub);
    cli_answer_fini(&s->answer);
    cli_text_fini(&s->input);
    free(s);
}

/* ---- requests ----------------------------------------------------------- */

static void on_send_failed(uv_stream_t *stream)
{
    cli_session *s = stream->data;

    s->is_closed = true;
}

void cli_request_begin(cli_session *s, cli_text *t, const char *cmd)
{
    cli_json_open(t, NULL, '{');
    cli_json_int(t, "id", ++s->next_id);
    cli_json_string(t, "cmd", cmd);
}

/* A node of our own keeps its deadlines by itself. */
static void start_deadline(cli_session *s)
{
    s->timed_out = false;
    if (s->is_remote && s->allowed_ms != CLI_FOR_EVER) {
        uv_update_time(&s->loop);
        (void)uv_timer_start(
            &s->deadline, on_timer, s->allowed_ms + CLI_ANSWER_MS, 0);
    }
}

static void on_slow_timer(uv_timer_t *timer)
{
    cli_session *s = timer->data;

    s->on_slow(s->user);
}

static void start_slow(cli_session *s)
{
    if (s->on_slow != NULL) {
        uv_update_time(&s->loop);
        (void)uv_timer_start(&s->slow, on_slow_timer, SLOW_MS, 0);
    }
}

static bool wait_answer(cli_session *s, cli_answer *ret_answer)
{
    start_deadline(s);
    start_slow(s);
    while (
        s->awaited != 0 && s->signal == 0 && !s->is_closed && !s->timed_out) {
        (void)uv_run(&s->loop, UV_RUN_ONCE);
    }
    (void)uv_timer_stop(&s->deadline);
    (void)uv_timer_stop(&s->slow);
    /* This process may have been stopped, and the answer may be unread. */
    if (s->timed_out) {
        (void)uv_run(&s->loop, UV_RUN_NOWAIT);
        s->is_silent = s->awaited != 0;
        s->is_closed = s->is_closed || s->is_silent;
    }
    if (s->awaited != 0 || s->answer.json == NULL) {
        s->awaited = 0;
        return false;
    }
    *ret_answer = s->answer;
    s->answer = (cli_answer){0};
    return true;
}

bool cli_request_end(cli_session *s, cli_text *t, cli_answer *ret_answer)
{
    bool sent;

    if (ret_answer != NULL) { /* {"id":N,...: maybe not the newest */
        s->awaited = t->len < 6 ? 0 : strtoll(t->data + 6, NULL, 10);
    }
    cli_json_close(t, '}');
    if (s->is_remote) {
        sent = cli_stream_send((uv_stream_t *)&s->pipe, t, on_send_failed);
        s->is_closed = s->is_closed || !sent;
    } else {
        sent = !t->failed;
        if (sent) {
            cli_hub_request(s->caller, t->data, t->len);
        }
    }
    cli_text_fini(t);
    if (ret_answer == NULL || !sent) {
        s->awaited = sent ? s->awaited : 0;
        return sent;
    }
    return wait_answer(s, ret_answer);
}

void cli_request_give_up(cli_session *s)
{
    s->awaited = 0;
}

static bool send_part(cli_session *s, const char *text, size_t len)
{
    cli_answer answer = {0};
    cli_text t = {0};
    bool good;

    cli_request_begin(s, &t, "part");
    cli_json_bytes(&t, "text", text, len);
    good = cli_request_end(s, &t, &answer)
           && json_is_true(json_object_get(answer.json, "ok"));
    cli_answer_fini(&answer);
    return good;
}

bool cli_request_term(cli_session *s, cli_text *t, const char *text, size_t len)
{
    if (len <= PART_BYTES) {
        cli_json_bytes(t, "term", text, len);
        return true;
    }
    while (len > 0) {
        size_t n = len < PART_BYTES ? len : PART_BYTES;

        while (n < len && ((unsigned char)text[n] & 0xc0) == 0x80) {
            n--; /* not in the middle of a character */
        }
        if (!send_part(s, text, n)) {
            return false;
        }
        text += n;
        len -= n;
    }
    cli_json_bool(t, "parts", true);
    return true;
}

void cli_session_wait(cli_session *s, uint64_t ms)
{
    s->timed_out = false;
    if (ms > 0) {
        uv_update_time(&s->loop);
        (void)uv_timer_start(&s->timer, on_timer, ms, 0);
    }
    while (s->signal == 0 && !s->is_closed && !s->timed_out
           && cli_output_error() == 0) {
        (void)uv_run(&s->loop, UV_RUN_ONCE);
    }
    (void)uv_timer_stop(&s->timer);
}

void cli_session_end_wait(cli_session *s)
{
    s->timed_out = true;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    bool *is_ready = poll->data;

    (void)status; /* an error of the descriptor: its reader sees it */
    (void)events;
    *is_ready = true;
}

static void on_poll_closed(uv_handle_t *handle)
{
    handle->data = NULL;
}

bool cli_session_poll(cli_session *s, int fd, int events, uint64_t ms)
{
    bool is_ready = false;
    uv_poll_t poll;

    if (uv_poll_init(&s->loop, &poll, fd) != 0) {
        return false;
    }
    poll.data = &is_ready;
    (void)uv_poll_start(&poll, events, on_ready);
    start_slow(s);
    s->timed_out = false;
    uv_update_time(&s->loop);
    (void)uv_timer_start(&s->timer, on_timer, ms, 0);
    while (!is_ready && s->signal == 0 && !s->is_closed && !s->timed_out
           && cli_output_error() == 0) {
        (void)uv_run(&s->loop, UV_RUN_ONCE);
    }
    (void)uv_timer_stop(&s->timer);
    (void)uv_timer_stop(&s->slow);
    uv_close((uv_handle_t *)&poll, on_poll_closed);
    while (poll.data != NULL) {
        (void)uv_run(&s->loop, UV_RUN_NOWAIT);
    }
    return is_ready;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A command and its node, near or far. */
#include "session.h"

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
#include "escape.h"
#include "json.h"
#include "jsonout.h"
#include "runtime.h"

/* A node that holds the directory may be just starting, or just leaving. */
#define LOCKED_TRIES 40
#define LOCKED_PAUSE_US 250000
/* Raw text per line; each byte may become six. */
#define PART_BYTES 8192

struct cli_session {
    uv_loop_t loop;
    uv_signal_t signals[CLI_N_END_SIGNALS];
    uv_timer_t timer;
    uv_pipe_t pipe; /* remote */
    bool is_remote;
    bool is_closed;
    bool timed_out;
    int signal;
    cli_hub *hub; /* local */
    cli_caller *caller;
    cli_text input;
    char read_buf[65536];
    cli_session_event *on_event;
    void *user;
    json_int_t next_id;
    json_int_t awaited; /* 0: none */
    cli_answer answer;
};

cli_exit cli_exit_of(const char *error)
{
    static const struct {
        const char *error;
        cli_exit status;
    } table[] = {
        {"remote", CLI_REMOTE},
        {"bad-request", CLI_USAGE},
        {"no-such-peer", CLI_NO_PEER},
        {"not-connected", CLI_NO_LINK},
        {"timeout", CLI_NO_LINK},
        {"closed", CLI_NO_LINK},
        {"busy", CLI_NO_LINK},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (error != NULL && strcmp(table[i].error, error) == 0) {
            return table[i].status;
        }
    }
    return CLI_LOCAL;
}

void cli_answer_fini(cli_answer *answer)
{
    json_decref(answer->json);
    cli_text_fini(&answer->line);
    answer->json = NULL;
}

/* ---- lines that come ---------------------------------------------------- */

/* An answer as people and programs see it: without our number in front. */
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
    if (json != NULL && s->on_event != NULL) {
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
    /* An old newline cannot be in what was kept: only the new is looked at. */
    while (s->input.len > at
           && (end = memchr(s->input.data + at, '\n', s->input.len - at))
                  != NULL) {
        on_line(s, s->input.data + at, (size_t)(end - s->input.data) - at);
        at = (size_t)(end - s->input.data) + 1;
    }
    cli_text_drop(&s->input, at);
}

/* ---- the running node --------------------------------------------------- */

bool cli_canonical_dir(const char *data_dir, char ret_path[])
{
    return realpath(data_dir, ret_path) != NULL;
}

/* A socket of somebody else's making is not spoken to. */
static int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0
        || !cli_control_peer_is_us(fd)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int find_node(const char *data_dir)
{
    char path[PATH_MAX];
    cli_runtime runtime;
    int fd = -1;

    if (!cli_canonical_dir(data_dir, path)) {
        return -1;
    }
    cli_runtime_places(path, &runtime);
    for (size_t i = 0; i < runtime.n_places && fd < 0; i++) {
        if (cli_runtime_folder_is_safe(runtime.places[i].folder, false)) {
            fd = dial(runtime.places[i].socket);
        }
    }
    return fd;
}

static bool join_remote(cli_session *s, const char *data_dir)
{
    int fd = find_node(data_dir);

    if (fd < 0) {
        return false;
    }
    (void)uv_pipe_init(&s->loop, &s->pipe, 0);
    s->pipe.data = s;
    (void)uv_pipe_open(&s->pipe, fd);
    (void)uv_read_start((uv_stream_t *)&s->pipe, on_alloc, on_read);
    s->is_remote = true;
    return true;
}

/* ---- a node of our own -------------------------------------------------- */

/* Somebody may have the port already; a command can do without. */
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

static cli_exit join_local(
    cli_session *s, const cli_session_options *options, cli_text *error)
{
    pn_err err = PN_LOCKED;

    for (int i = 0; err == PN_LOCKED && i < LOCKED_TRIES; i++) {
        (void)uv_run(&s->loop, UV_RUN_NOWAIT);
        if (s->signal != 0) {
            return CLI_INTERRUPTED;
        }
        if (i > 0) {
            (void)usleep(LOCKED_PAUSE_US);
            if (join_remote(s, options->data_dir)) {
                return CLI_OK;
            }
        }
        cli_text_clear(error);
        err = open_hub(s, &options->hub, error);
    }
    if (err == PN_LOCKED) {
        cli_text_puts(error, ", and it has no control socket that answers");
    }
    if (err != PN_OK) {
        return err == PN_INVALID ? CLI_USAGE : CLI_LOCAL;
    }
    s->caller = cli_hub_join(s->hub, on_line, s);
    return s->caller == NULL ? CLI_LOCAL : CLI_OK;
}

/* ---- life --------------------------------------------------------------- */

void cli_catch_end_signal(
    uv_signal_t *handle, size_t which, uv_signal_cb on_end_signal)
{
    static const int numbers[CLI_N_END_SIGNALS] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction now;

    /* nohup(1) means that we stay when the terminal goes. */
    if (numbers[which] != SIGHUP
        || (sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler != SIG_IGN)) {
        (void)uv_signal_start(handle, on_end_signal, numbers[which]);
    }
}

static void on_signal(uv_signal_t *handle, int signum)
{
    cli_session *s = handle->data;

    s->signal = signum;
}

static void on_timer(uv_timer_t *timer)
{
    cli_session *s = timer->data;

    s->timed_out = true;
}

static void catch_signals(cli_session *s)
{
    for (size_t i = 0; i < CLI_N_END_SIGNALS; i++) {
        (void)uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        cli_catch_end_signal(&s->signals[i], i, on_signal);
    }
    (void)uv_timer_init(&s->loop, &s->timer);
    s->timer.data = s;
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
    catch_signals(s);
    if (!join_remote(s, options->data_dir)) {
        if (!options->may_open) {
            cli_session_close(s);
            return CLI_OK;
        }
        status = join_local(s, options, error);
    }
    if (status != CLI_OK) {
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

/* From here on a second signal ends the process at once. */
static void say_linger(const cli_session *s)
{
    if (s->hub != NULL && cli_hub_will_linger(s->hub)) {
        static const char text[] =
            "peernet: leaving: the port stays open for 6 s, so that peers do "
            "not count refused dials (interrupt to exit now)\n";

        (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    }
}

void cli_session_close(cli_session *s)
{
    if (s == NULL) {
        return;
    }
    (void)fflush(stdout);
    cli_hub_leave(s->caller);
    say_linger(s);
    if (s->hub != NULL) {
        cli_hub_close(s->hub);
    }
    uv_walk(&s->loop, close_any, NULL);
    (void)uv_run(&s->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&s->loop);
    cli_hub_free(s->hub);
    cli_answer_fini(&s->answer);
    cli_text_fini(&s->input);
    free(s);
}

bool cli_session_is_remote(const cli_session *s)
{
    return s->is_remote;
}

int cli_session_signal(const cli_session *s)
{
    return s->signal;
}

bool cli_session_is_closed(const cli_session *s)
{
    return s->is_closed;
}

uv_loop_t *cli_session_loop(cli_session *s)
{
    return &s->loop;
}

void cli_session_on_event(
    cli_session *s, cli_session_event *on_event, void *user)
{
    s->on_event = on_event;
    s->user = user;
}

/* ---- requests ----------------------------------------------------------- */

typedef struct output {
    uv_write_t write;
    cli_text text;
} output;

static void on_written(uv_write_t *write, int status)
{
    output *o = write->data;
    cli_session *s = write->handle->data;

    if (status != 0) {
        s->is_closed = true;
    }
    cli_text_fini(&o->text);
    free(o);
}

static bool send_remote(cli_session *s, cli_text *t)
{
    output *o = calloc(1, sizeof(*o));
    uv_buf_t buf;

    cli_text_putc(t, '\n');
    if (o == NULL || t->failed) {
        free(o);
        return false;
    }
    o->text = *t;
    *t = (cli_text){0};
    o->write.data = o;
    buf = uv_buf_init(o->text.data, (unsigned)o->text.len);
    if (uv_write(&o->write, (uv_stream_t *)&s->pipe, &buf, 1, on_written)
        != 0) {
        cli_text_fini(&o->text);
        free(o);
        s->is_closed = true;
        return false;
    }
    return true;
}

void cli_request_begin(cli_session *s, cli_text *t, const char *cmd)
{
    cli_json_open(t, NULL, '{');
    cli_json_int(t, "id", ++s->next_id);
    cli_json_string(t, "cmd", cmd);
}

static bool wait_answer(cli_session *s, cli_answer *ret_answer)
{
    while (s->awaited != 0 && s->signal == 0 && !s->is_closed) {
        (void)uv_run(&s->loop, UV_RUN_ONCE);
    }
    if (s->awaited != 0) {
        s->awaited = 0;
        return false;
    }
    *ret_answer = s->answer;
    s->answer = (cli_answer){0};
    return true;
}

/* id: of the request in t, which may not be the newest. */
static bool request_send(
    cli_session *s, cli_text *t, json_int_t id, cli_answer *ret_answer)
{
    bool sent;

    cli_json_close(t, '}');
    if (ret_answer != NULL) {
        s->awaited = id;
    }
    if (s->is_remote) {
        sent = send_remote(s, t);
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

bool cli_request_end(cli_session *s, cli_text *t, cli_answer *ret_answer)
{
    /* {"id":N,... */
    json_int_t id = t->len < 6 ? 0 : strtoll(t->data + 6, NULL, 10);

    return request_send(s, t, id, ret_answer);
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
           && ferror(stdout) == 0) {
        (void)uv_run(&s->loop, UV_RUN_ONCE);
    }
    (void)uv_timer_stop(&s->timer);
}

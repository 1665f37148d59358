/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve: one program that goes on running answers to a handle. Each argument is
 * a line of its standard input, each line of its standard output the answer to
 * the oldest argument that has none yet. A program that ends, or that lets a
 * call come to its time-out, is started again after a pause; calls that it has
 * not answered fail.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mutant.h"
#include "base/utf8.h"
#include "commands.h"
#include "control/control.h"
#include "program/program_find.h"
#include "program/program_text.h"
#include "serve.h"
#include "json/json.h"
#include "json/jsonout.h"

/* Arguments that the program has not answered. */
#define MAX_PENDING 1024
/* ... and those that it has not read, in bytes. */
#define MAX_UNREAD ((size_t)1 << 20)
#define FIRST_PAUSE_MS 1000
#define LONGEST_PAUSE_MS 30000
/* A program that ran for so long is started again after the first pause. */
#define STEADY_MS 30000
/* Between SIGTERM and SIGKILL, at the end of the command. */
#define LEAVE_MS 2000
#define MESSAGE (-1) /* in place of a number: nobody waits */

typedef struct serving {
    const cli_app *app;
    cli_session *session;
    const char *handle;
    uint32_t timeout_ms;
    bool is_text;
    char path[PATH_MAX];
    char *argv[CLI_MAX_POSITIONAL + 1];

    uv_process_t process;
    uv_pipe_t input;   /* to the program */
    uv_pipe_t output;  /* from it */
    unsigned n_open;   /* of these three */
    bool is_running;   /* it gets what comes */
    bool is_leaving;   /* the command ends */
    bool warned_idle;  /* of a line that answers nothing */
    bool warned_slow;  /* of messages that it does not take */
    uint64_t begun_at; /* ms */
    uint64_t pause_ms;
    uv_timer_t pause;
    cli_text line; /* of output, not whole yet */
    char read_buf[65536];
    /* A ring: the numbers of what it has not answered. */
    json_int_t pending[MAX_PENDING];
    unsigned first;
    unsigned n_pending;
} serving;

/* Fills a serving. */
const cli_option cli_serve_option_table[] = {
    {"text", 0, NULL, .help = "PROGRAM takes and prints text, not JSON",
        .kind = CLI_TRUE, .offset = offsetof(serving, is_text)},
    {"timeout", 't', "MS",
        .help = "when a call fails, and PROGRAM is killed; default 30000",
        .kind = CLI_U32, .offset = offsetof(serving, timeout_ms), .min = 1,
        .max = 3600000},
    {.name = NULL},
};

/* ---- answers
 * ------------------------------------------------------------------ */

static void begin_answer(cli_text *t, const char *cmd, json_int_t number)
{
    cli_json_open(t, NULL, '{');
    cli_json_string(t, "cmd", cmd);
    cli_json_int(t, "request", number);
}

/* term: the reason, as text. */
static void fail_request(serving *s, json_int_t number, const char *term)
{
    cli_text t = {0};

    if (number != MESSAGE) {
        begin_answer(&t, "fail", number);
        cli_json_string(&t, "term", term);
        (void)cli_request_end(s->session, &t, NULL);
    }
}

static bool take_pending(serving *s, json_int_t *ret_number)
{
    if (s->n_pending == 0) {
        return false;
    }
    *ret_number = s->pending[s->first];
    s->first = (s->first + 1) % MAX_PENDING;
    s->n_pending--;
    return true;
}

static void fail_pending(serving *s, const char *term)
{
    json_int_t number;

    while (take_pending(s, &number)) {
        fail_request(s, number, term);
    }
}

static void add_text_value(cli_text *t, const char *line, size_t len)
{
    if (pn_utf8_check((const uint8_t *)line, len, NULL)) {
        cli_json_bytes(t, "value", line, len);
        return;
    }
    cli_json_open(t, "value", '{');
    cli_text_puts(t, "\"$binary\":\"");
    cli_base64_add(t, line, len);
    cli_text_putc(t, '"');
    cli_json_close(t, '}');
}

/* False: the line is no JSON. */
static bool add_value(serving *s, cli_text *t, const char *line, size_t len)
{
    cli_json_error error = {""};
    json_t *json;

    if (s->is_text) {
        add_text_value(t, line, len);
        return true;
    }
    json = cli_json_load(line, len, &error);
    if (json == NULL) {
        cli_warn("%s: expected a line of JSON: %s", s->handle, error.text);
        return false;
    }
    json_decref(json);
    cli_json_raw(t, "value", line, len);
    return true;
}

static void on_program_line(serving *s, const char *line, size_t len)
{
    json_int_t number;
    cli_text t = {0};

    if (!take_pending(s, &number)) {
        if (!s->warned_idle) {
            cli_warn("%s: the program printed a line that answers nothing",
                s->handle);
        }
        s->warned_idle = true;
        return;
    }
    if (number == MESSAGE) {
        return;
    }
    begin_answer(&t, "reply", number);
    if (!add_value(s, &t, line, len)) {
        cli_text_fini(&t);
        fail_request(s, number, "{:handler_crash, {:exit, :badarg}}");
    } else if (t.len >= CLI_SERVE_MAX_LINE) {
        cli_text_fini(&t);
        cli_warn("%s: the program printed a line that is too long", s->handle);
        fail_request(s, number, ":system_limit");
    } else {
        (void)cli_request_end(s->session, &t, NULL);
    }
}

/* ---- the program
 * ---------------------------------------------------------------- */

static void start_program(serving *s);

static void on_pause(uv_timer_t *timer)
{
    serving *s = timer->data;

    if (!s->is_leaving) {
        start_program(s);
    }
}

/* Starts it again when all of the last run is closed. */
static void on_closed(uv_handle_t *handle)
{
    serving *s = handle->data;

    if (--s->n_open > 0 || s->is_leaving) {
        return;
    }
    (void)uv_timer_start(&s->pause, on_pause, s->pause_ms, 0);
    s->pause_ms = s->pause_ms * 2 > LONGEST_PAUSE_MS ? LONGEST_PAUSE_MS
                                                     : s->pause_ms * 2;
}

static void close_run(serving *s)
{
    cli_text_clear(&s->line);
    uv_close((uv_handle_t *)&s->input, on_closed);
    uv_close((uv_handle_t *)&s->output, on_closed);
    uv_close((uv_handle_t *)&s->process, on_closed);
}

static void kill_program(serving *s)
{
    (void)uv_process_kill(&s->process, SIGKILL);
}

static void take_output(serving *s, const char *data, size_t len)
{
    const char *end;

    while ((end = memchr(data, '\n', len)) != NULL) {
        size_t n = (size_t)(end - data);

        cli_text_add(&s->line, data, n);
        on_program_line(s, cli_text_string(&s->line), s->line.len);
        cli_text_clear(&s->line);
        data += n + 1;
        len -= n + 1;
    }
    cli_text_add(&s->line, data, len);
    if (PN_REFUSE_IF(cli_serve_line, s->line.len > CLI_SERVE_MAX_LINE)) {
        cli_warn("%s: the program printed a line that is too long", s->handle);
        cli_text_clear(&s->line);
        kill_program(s);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    serving *s = handle->data;

    (void)suggested;
    *buf = uv_buf_init(s->read_buf, sizeof(s->read_buf));
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    serving *s = stream->data;

    if (n > 0) {
        take_output(s, buf->base, (size_t)n);
    } else if (n < 0) {
        (void)uv_read_stop(stream);
    }
}

/* What it wrote right before its end. */
static void read_rest(serving *s)
{
    uv_os_fd_t fd;
    ssize_t n;

    if (uv_fileno((uv_handle_t *)&s->output, &fd) != 0) {
        return;
    }
    while ((n = read(fd, s->read_buf, sizeof(s->read_buf))) > 0) {
        take_output(s, s->read_buf, (size_t)n);
    }
}

static void on_exit_program(uv_process_t *process, int64_t status, int signal)
{
    serving *s = process->data;
    cli_text reason = {0};

    read_rest(s);
    s->is_running = false;
    if (uv_now(&s->session->loop) - s->begun_at > STEADY_MS) {
        s->pause_ms = FIRST_PAUSE_MS;
    }
    if (signal != 0) {
        cli_text_printf(
            &reason, "{:handler_crash, {:exit, {:signal, %d}}}", signal);
    } else {
        cli_text_printf(&reason, "{:handler_crash, {:exit, %d}}", (int)status);
    }
    fail_pending(s, cli_text_string(&reason));
    cli_text_fini(&reason);
    if (!s->is_leaving) {
        cli_warn("%s: the program ended %s %d: it is started again in %u s",
            s->handle, signal != 0 ? "by signal" : "with status",
            signal != 0 ? signal : (int)status, (unsigned)(s->pause_ms / 1000));
    }
    close_run(s);
}

static int spawn(serving *s, const uv_file in[2], const uv_file out[2])
{
    uv_stdio_container_t stdio[] = {
        {.flags = UV_INHERIT_FD, .data.fd = in[0]},
        {.flags = UV_INHERIT_FD, .data.fd = out[1]},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
    };
    uv_process_options_t options = {.exit_cb = on_exit_program,
        .file = s->path,
        .args = s->argv,
        .stdio_count = 3,
        .stdio = stdio};
    int error;

    error = uv_spawn(&s->session->loop, &s->process, &options);
    (void)close(in[0]);
    (void)close(out[1]);
    return error;
}

/* Pipes, and no sockets as libuv would make them: a script may open
 * /dev/stdout. */
static int open_run(serving *s)
{
    uv_loop_t *loop = &s->session->loop;
    uv_file in[2];
    uv_file out[2];
    int error = uv_pipe(in, 0, UV_NONBLOCK_PIPE);

    if (error != 0) {
        return error;
    }
    error = uv_pipe(out, UV_NONBLOCK_PIPE, 0);
    if (error != 0) {
        (void)close(in[0]);
        (void)close(in[1]);
        return error;
    }
    (void)uv_pipe_init(loop, &s->input, 0);
    (void)uv_pipe_init(loop, &s->output, 0);
    s->input.data = s->output.data = s->process.data = s;
    (void)uv_pipe_open(&s->input, in[1]);
    (void)uv_pipe_open(&s->output, out[0]);
    s->n_open = 3;
    error = spawn(s, in, out);
    if (error != 0) {
        close_run(s);
        return error;
    }
    (void)uv_read_start((uv_stream_t *)&s->output, on_alloc, on_output);
    return 0;
}

static void start_program(serving *s)
{
    int error;

    s->begun_at = uv_now(&s->session->loop);
    s->warned_idle = s->warned_slow = false;
    error = open_run(s);
    if (error == 0) {
        s->is_running = true;
        return;
    }
    cli_warn("%s: not started: %s: tried again in %u s", s->path,
        uv_strerror(error), (unsigned)(s->pause_ms / 1000));
    if (s->n_open == 0) { /* without a pipe there is nothing to close */
        s->n_open = 1;
        on_closed((uv_handle_t *)&s->pause);
    }
}

/* ---- requests
 * --------------------------------------------------------------------- */

/* A call or a message: parsed, and as it came. */
typedef struct arrival {
    const json_t *event;
    const char *line;
    size_t len;
} arrival;

/* The argument stands last, and is passed on byte by byte. A quotation mark
 * within a text before it would have a backslash. */
static bool add_json(const arrival *a, cli_text *line)
{
    static const char name[] = ",\"args\":";
    const char *at = memmem(a->line, a->len, name, sizeof(name) - 1);

    if (at == NULL) {
        return false;
    }
    at += sizeof(name) - 1;
    cli_text_add(line, at, (size_t)(a->line + a->len - 1 - at));
    return !line->failed;
}

/* The node has limited what comes. */
static bool reserve(void *user, size_t len)
{
    (void)user;
    return len <= CLI_SERVE_MAX_EVENT;
}

/* The argument as a line; false: it has none. */
static bool make_line(serving *s, const arrival *a, cli_text *line)
{
    cli_json_error error = {""};
    pn_term term = {NULL, 0};
    pn_term_writer w;
    bool good;

    if (!s->is_text) {
        return add_json(a, line);
    }
    pn_term_writer_init(&w, CLI_HUB_NODE_TERM_MAX);
    good = cli_json_to_term(json_object_get(a->event, "args"), &w, &error)
               == PN_OK
           && pn_term_writer_finish(&w, NULL, &term) == PN_OK
           && cli_program_input_text(
                  term, false, CLI_SERVE_MAX_EVENT, reserve, NULL, line)
                  == PN_OK
           && memchr(cli_text_string(line), '\n', line->len) == NULL;
    pn_term_writer_free(&w);
    return good;
}

static bool is_full(const serving *s)
{
    return PN_REFUSE_IF(cli_serve_pending, s->n_pending == MAX_PENDING)
           || PN_REFUSE_IF(cli_serve_program_unread,
               uv_stream_get_write_queue_size((const uv_stream_t *)&s->input)
                   > MAX_UNREAD);
}

static void feed(serving *s, json_int_t number, cli_text *line)
{
    if (!cli_stream_send((uv_stream_t *)&s->input, line, NULL)) {
        fail_request(s, number, ":busy");
        return;
    }
    s->pending[(s->first + s->n_pending) % MAX_PENDING] = number;
    s->n_pending++;
}

static void take_request(serving *s, const arrival *a, json_int_t number)
{
    cli_text line = {0};

    if (!s->is_running) {
        fail_request(s, number, "{:handler_crash, {:exit, :noproc}}");
    } else if (is_full(s)) {
        if (!s->warned_slow && number == MESSAGE) {
            cli_warn("%s: messages are dropped: the program is slower than "
                     "they come",
                s->handle);
            s->warned_slow = true;
        }
        fail_request(s, number, ":busy");
    } else if (!make_line(s, a, &line)) {
        fail_request(s, number, ":badarg");
    } else {
        feed(s, number, &line);
    }
    cli_text_fini(&line);
}

/* The call is the oldest: the program hangs, and all behind it wait. */
static void take_cancelled(serving *s, const json_t *event)
{
    json_int_t number = json_integer_value(json_object_get(event, "request"));

    if (s->is_running && s->n_pending > 0 && s->pending[s->first] == number
        && strcmp(cli_field(event, "reason"),
               pn_reason_text(PN_REASON_HANDLER_TIMEOUT))
               == 0) {
        cli_warn("%s: the program is killed: no line in time", s->handle);
        kill_program(s);
    }
}

static void on_event(
    void *user, const json_t *event, const char *line, size_t len)
{
    serving *s = user;
    const arrival a = {event, line, len};
    bool is_call = false;

    cli_warn_dropped(event);
    if (cli_is_message(event, &is_call)) {
        const json_t *number = json_object_get(event, "request");

        take_request(s, &a, is_call ? json_integer_value(number) : MESSAGE);
    } else if (strcmp(cli_field(event, "event"), "cancelled") == 0) {
        take_cancelled(s, event);
    }
}

/* ---- the command
 * -------------------------------------------------------------------- */

/* The program sees the end of its input, and a signal. */
static void stop_program(serving *s)
{
    uint64_t end;

    s->is_leaving = true;
    (void)uv_timer_stop(&s->pause);
    if (!s->is_running) {
        return;
    }
    (void)uv_process_kill(&s->process, SIGTERM);
    uv_update_time(&s->session->loop);
    end = uv_now(&s->session->loop) + LEAVE_MS;
    (void)uv_timer_start(&s->pause, on_pause, 20, 20);
    while (s->is_running) {
        (void)uv_run(&s->session->loop, UV_RUN_ONCE);
        if (uv_now(&s->session->loop) > end) {
            kill_program(s);
        }
    }
}

static cli_exit serve(serving *s)
{
    cli_exit status;

    s->session->on_event = on_event;
    s->session->user = s;
    (void)uv_timer_init(&s->session->loop, &s->pause);
    s->pause.data = s;
    s->pause_ms = FIRST_PAUSE_MS;
    start_program(s);
    status = cli_expose_handle(s->app, s->session, s->handle, s->timeout_ms);
    if (status == CLI_OK) {
        cli_session_wait(s->session, 0);
        if (s->session->is_closed) {
            status = cli_fail_node(s->app, s->session);
        }
    }
    stop_program(s);
    return status;
}

cli_exit cli_cmd_serve(const cli_app *app)
{
    static serving s; /* large, and one per process */
    cli_text why = {0};
    cli_exit status;

    s.app = app;
    s.handle = app->args->positional[0];
    status = cli_read_options(app, cli_serve_option_table, &s);
    if (status == CLI_OK
        && !cli_find_program(app->args->positional[1], s.path, &why)) {
        status = cli_fail_text(app, CLI_USAGE, &why);
    }
    for (unsigned i = 1; i < app->args->n_positional; i++) {
        s.argv[i - 1] = (char *)(uintptr_t)app->args->positional[i];
    }
    if (status == CLI_OK) {
        status = cli_serve_session(app, &s.session);
    }
    if (status == CLI_OK) {
        status = serve(&s);
        cli_session_close(s.session);
    }
    cli_text_fini(&s.line);
    return status;
}

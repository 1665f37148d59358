/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat: lines both ways. With a terminal there is a line editor, which waits
 * for keys by turning the loop, so what the peer says appears above the
 * prompt; without one, lines are read as they come.
 */
#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"
#include "commands.h"
#include "escape.h"
#include "jsonout.h"

#define HISTORY_LINES 500
#define MAX_LINE 4096
/* Lines on their way; more wait for their answers first. */
#define MAX_UNANSWERED 16

typedef struct chat {
    const cli_app *app;
    cli_session *session;
    EditLine *editor; /* NULL: no terminal */
    History *history;
    char history_path[PATH_MAX + 16];
    uv_poll_t input;
    bool has_input;
    bool watches_input;
    cli_text line;         /* without an editor */
    unsigned n_unanswered; /* lines on their way */
    bool failed;           /* one did not go out */
} chat;

/* ---- what is shown ------------------------------------------------------ */

/* A line above the prompt and what is being typed. */
static void show(chat *c, cli_text *t)
{
    if (c->editor != NULL) {
        (void)fputs("\r\033[K", stdout);
    }
    cli_print(t);
    if (c->editor != NULL) {
        (void)el_set(c->editor, EL_REFRESH);
        (void)fflush(stdout);
    }
}

/* How a line of ours fared: nothing is said when it went out. */
static void show_answer(
    chat *c, const json_t *answer, const char *line, size_t len)
{
    cli_text t = {0};

    c->n_unanswered -= c->n_unanswered > 0;
    if (json_is_true(json_object_get(answer, "ok"))) {
        return;
    }
    c->failed = true;
    if (c->app->json) {
        cli_text_add(&t, line, len);
    } else {
        cli_text_printf(&t, "peernet: %s", cli_field(answer, "message"));
    }
    show(c, &t);
    cli_text_fini(&t);
}

/* Every line bears the name of who said it: a second one could look like
 * somebody else's, or like ours. */
static void add_said(cli_text *t, const json_t *event, const json_t *text)
{
    const char *line = json_string_value(text);
    size_t left = json_string_length(text);

    for (;;) {
        const char *end = left == 0 ? NULL : memchr(line, '\n', left);
        size_t len = end == NULL ? left : (size_t)(end - line);

        cli_add_who(t, event);
        cli_text_puts(t, "> ");
        cli_escape_lines(t, line, len);
        if (end == NULL) {
            return;
        }
        cli_text_putc(t, '\n');
        line += len + 1;
        left -= len + 1;
    }
}

static void on_event(
    void *user, const json_t *event, const char *line, size_t len)
{
    chat *c = user;
    const json_t *text = json_object_get(event, "text");
    cli_text t = {0};

    if (json_object_get(event, "event") == NULL) {
        show_answer(c, event, line, len);
        return;
    }
    if (strcmp(cli_field(event, "event"), "chat") != 0) {
        return;
    }
    if (c->app->json) {
        cli_text_add(&t, line, len);
    } else {
        add_said(&t, event, text);
    }
    show(c, &t);
    cli_text_fini(&t);
}

/* ---- what is said ------------------------------------------------------- */

/* The answer comes later: keys are not kept waiting for it. */
static void say(chat *c, const char *text, size_t len)
{
    cli_text t = {0};

    cli_request_begin(c->session, &t, "send");
    cli_json_string(&t, "peer", c->app->args->positional[0]);
    cli_json_string(&t, "handle", "chat");
    cli_json_open(&t, "args", '{');
    cli_json_bytes(&t, ":text", text, len);
    cli_json_close(&t, '}');
    c->n_unanswered++;
    if (!cli_request_end(c->session, &t, NULL)) {
        c->n_unanswered--;
        c->failed = true;
    }
}

/* ---- keys --------------------------------------------------------------- */

static void on_input(uv_poll_t *poll, int status, int events)
{
    chat *c = poll->data;

    (void)status;
    (void)events;
    c->has_input = true;
    (void)uv_poll_stop(poll);
}

/* A file can always be read, and cannot be polled. */
static void wait_input(chat *c)
{
    if (!c->watches_input) {
        (void)uv_run(cli_session_loop(c->session), UV_RUN_NOWAIT);
        return;
    }
    c->has_input = false;
    (void)uv_poll_start(&c->input, UV_READABLE | UV_DISCONNECT, on_input);
    while (!c->has_input && cli_session_signal(c->session) == 0
           && !cli_session_is_closed(c->session)) {
        (void)uv_run(cli_session_loop(c->session), UV_RUN_ONCE);
    }
    (void)uv_poll_stop(&c->input);
}

static bool is_over(const chat *c)
{
    return cli_session_signal(c->session) != 0
           || cli_session_is_closed(c->session) || ferror(stdout) != 0;
}

/* One byte, or -1 at the end. */
static int next_byte(chat *c)
{
    unsigned char byte;
    ssize_t n;

    do {
        wait_input(c);
        if (is_over(c)) {
            return -1;
        }
        n = read(STDIN_FILENO, &byte, 1);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    return n == 1 ? byte : -1;
}

/* What the editor calls for each key: a whole character. */
static int get_character(EditLine *editor, wchar_t *ret_character)
{
    chat *c = NULL;
    uint8_t bytes[4];
    size_t n = 0;

    (void)el_get(editor, EL_CLIENTDATA, (void *)&c);
    for (;;) {
        int byte = next_byte(c);
        uint32_t code_point = 0;

        if (byte < 0) {
            return 0;
        }
        if (n == sizeof(bytes) || (byte & 0xc0) != 0x80) {
            n = 0; /* what came before was not UTF-8: forgotten */
        }
        bytes[n++] = (uint8_t)byte;
        if (pn_utf8_decode(bytes, bytes + n, &code_point) == n) {
            *ret_character = (wchar_t)code_point;
            return 1;
        }
    }
}

static char *prompt(EditLine *editor)
{
    static char text[] = "you> ";

    (void)editor;
    return text;
}

/* ---- the editor --------------------------------------------------------- */

/* The history tells what was said: it is ours to read and nobody else's. */
static void load_history(chat *c)
{
    HistEvent event;
    int fd;

    c->history = history_init();
    if (c->history == NULL) {
        return;
    }
    (void)history(c->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(c->history, &event, H_SETUNIQUE, 1);
    (void)snprintf(c->history_path, sizeof(c->history_path), "%s/chat.history",
        c->app->data_dir);
    fd = open(c->history_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)fchmod(fd, 0600);
        (void)close(fd);
        (void)history(c->history, &event, H_LOAD, c->history_path);
    } else {
        c->history_path[0] = '\0';
    }
    (void)el_set(c->editor, EL_HIST, history, c->history);
}

static void open_editor(chat *c)
{
    if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1
        || c->app->json) {
        return;
    }
    c->editor = el_init("peernet", stdin, stdout, stderr);
    if (c->editor == NULL) {
        return;
    }
    (void)el_set(c->editor, EL_CLIENTDATA, c);
    (void)el_set(c->editor, EL_PROMPT, prompt);
    (void)el_set(c->editor, EL_EDITOR, "emacs");
    (void)el_set(c->editor, EL_GETCFN, get_character);
    (void)el_set(c->editor, EL_SIGNAL, 0);
    load_history(c);
}

static void close_editor(chat *c)
{
    HistEvent event;

    if (c->history != NULL) {
        if (c->history_path[0] != '\0') {
            (void)history(c->history, &event, H_SAVE, c->history_path);
        }
        history_end(c->history);
    }
    if (c->editor != NULL) {
        el_end(c->editor);
    }
}

/* The next line without its newline; NULL at the end. */
static const char *edited_line(chat *c, int *ret_len)
{
    HistEvent event;
    int n = 0;
    const char *line = el_gets(c->editor, &n);

    if (line == NULL || n <= 0 || is_over(c)) {
        return NULL;
    }
    if (n > 1) {
        (void)history(c->history, &event, H_ENTER, line);
    }
    *ret_len = line[n - 1] == '\n' ? n - 1 : n;
    return *ret_len == 0 ? NULL : line;
}

/* A line that is too long is cut between two characters, not within one. */
static bool is_full(const cli_text *line)
{
    const uint8_t *end;
    const uint8_t *last;
    uint32_t code_point = 0;

    if (line->len < MAX_LINE) {
        return false;
    }
    end = (const uint8_t *)line->data + line->len;
    last = end - 1;
    while (end - last < 4 && (*last & 0xc0) == 0x80) {
        last--;
    }
    return line->len >= MAX_LINE + 3
           || pn_utf8_decode(last, end, &code_point) == (size_t)(end - last);
}

static const char *plain_line(chat *c, int *ret_len)
{
    int byte = 0;

    cli_text_clear(&c->line);
    while (!is_full(&c->line) && (byte = next_byte(c)) >= 0 && byte != '\n') {
        cli_text_putc(&c->line, (char)byte);
    }
    *ret_len = (int)c->line.len;
    return byte < 0 && c->line.len == 0 ? NULL : cli_text_string(&c->line);
}

/* ---- the command -------------------------------------------------------- */

/* Each is answered: within the time that a link is waited for, if need be. */
static void wait_answers(chat *c, unsigned n)
{
    while (c->n_unanswered > n && !is_over(c)) {
        (void)uv_run(cli_session_loop(c->session), UV_RUN_ONCE);
    }
}

static void talk(chat *c)
{
    const char *line;
    int len = 0;

    do {
        line = c->editor != NULL ? edited_line(c, &len) : plain_line(c, &len);
        if (line != NULL && len > 0) {
            say(c, line, (size_t)len);
            wait_answers(c, MAX_UNANSWERED);
        }
    } while (line != NULL && !is_over(c));
    wait_answers(c, 0);
}

static cli_exit attend(chat *c)
{
    cli_answer answer = {0};
    cli_text t = {0};
    cli_exit status = CLI_OK;

    cli_request_begin(c->session, &t, "chat");
    cli_json_string(&t, "peer", c->app->args->positional[0]);
    if (!cli_request_end(c->session, &t, &answer)
        || !json_is_true(json_object_get(answer.json, "ok"))) {
        status = cli_fail_answer(c->app, c->session, &answer);
    }
    cli_answer_fini(&answer);
    return status;
}

static cli_exit run_chat(chat *c)
{
    cli_exit status = attend(c);

    if (status != CLI_OK) {
        return status;
    }
    c->watches_input = uv_poll_init(cli_session_loop(c->session), &c->input,
                           STDIN_FILENO)
                       == 0;
    c->input.data = c;
    open_editor(c);
    talk(c);
    close_editor(c);
    if (cli_session_is_closed(c->session)) {
        return cli_fail(c->app, CLI_LOCAL, "the node has ended");
    }
    return c->failed ? CLI_NO_LINK : CLI_OK;
}

cli_exit cli_cmd_chat(const cli_args *args)
{
    cli_app app;
    chat c = {.app = &app};
    cli_exit status = cli_app_init(&app, args);

    if (status == CLI_OK) {
        status = cli_app_session(&app, &c.session);
    }
    if (status != CLI_OK) {
        return status;
    }
    cli_session_on_event(c.session, on_event, &c);
    status = run_chat(&c);
    cli_text_fini(&c.line);
    cli_session_close(c.session);
    return status;
}

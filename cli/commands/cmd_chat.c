/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat: lines both ways. With a terminal there is a line editor, which runs the
 * loop while it waits for keys, so the peer's lines appear above the prompt.
 * Without a terminal lines are read as they come.
 */
#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"
#include "commands.h"
#include "control/std_output.h"
#include "peer_text.h"
#include "json/jsonout.h"

#define HISTORY_LINES 500
#define MAX_LINE 4096
/* Lines on their way; more wait for their answers first. */
#define MAX_UNANSWERED 16
#define SCREEN_BYTES 4096

typedef struct chat {
    const cli_app *app;
    cli_session *session;
    EditLine *editor; /* NULL: no terminal */
    FILE *screen;     /* where the editor draws */
    History *history;
    char history_path[PATH_MAX + 16];
    uv_poll_t input;
    bool has_input;
    bool watches_input;
    cli_text line;         /* without an editor */
    unsigned n_unanswered; /* lines on their way */
    bool failed;           /* one did not go out */
} chat;

/* ---- output ------------------------------------------------------------- */

/* The terminal may have been stopped with Control-S. The editor's output waits
 * in the same queue as the lines, so drawing does not block. */
static ssize_t on_drawn(void *user, const char *data, size_t len)
{
    (void)user;
    cli_output(STDOUT_FILENO, CLI_OUTPUT_ECHO, data, len);
    return (ssize_t)len;
}

static void draw(chat *c, const char *text)
{
    (void)fputs(text, c->screen);
    (void)fflush(c->screen);
}

/* A line above the prompt and what is being typed. */
static void show(chat *c, cli_text *t)
{
    if (c->editor != NULL) {
        draw(c, "\r\033[K");
    }
    cli_print_event(t);
    if (c->editor != NULL) {
        (void)el_set(c->editor, EL_REFRESH);
        (void)fflush(c->screen);
    }
}

/* Shows the error of a line that could not be sent; shows nothing for one that
 * was. */
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
}

/* Every line of a message begins with the sender's name; otherwise a second
 * line could look like another sender's, or like ours. */
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
    } else if (text == NULL) {
        cli_add_who(&t, event);
        cli_text_printf(&t, ": (%s)", cli_field(event, "detail"));
    } else {
        add_said(&t, event, text);
    }
    show(c, &t);
}

/* ---- lines to the peer -------------------------------------------------- */

/* Sends a line without waiting for its answer, so that keys are not delayed. */
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
        (void)uv_run(&c->session->loop, UV_RUN_NOWAIT);
        return;
    }
    c->has_input = false;
    (void)uv_poll_start(&c->input, UV_READABLE | UV_DISCONNECT, on_input);
    while (!c->has_input && c->session->signal == 0 && !c->session->is_closed) {
        (void)uv_run(&c->session->loop, UV_RUN_ONCE);
    }
    (void)uv_poll_stop(&c->input);
}

static bool is_over(const chat *c)
{
    return c->session->signal != 0 || c->session->is_closed
           || cli_output_error() != 0;
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

/* The editor calls this for each key: returns a whole character. */
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
            n = 0; /* the bytes before were not UTF-8 and are dropped */
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

/* The history has the text of messages, so only its owner may read it. */
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
    c->screen = fopencookie(c, "w", (cookie_io_functions_t){.write = on_drawn});
    if (c->screen == NULL) {
        return;
    }
    (void)setvbuf(c->screen, NULL, _IOFBF, SCREEN_BYTES);
    c->editor = el_init_fd("peernet", stdin, c->screen, c->screen, STDIN_FILENO,
        STDOUT_FILENO, STDERR_FILENO);
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
    if (c->screen != NULL) {
        (void)fclose(c->screen);
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

    /* The byte after a carriage return decides whether it ends the line. */
    if (line->len < MAX_LINE
        || (line->data[line->len - 1] == '\r' && line->len < MAX_LINE + 3)) {
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
    if (byte == '\n' && c->line.len > 0
        && c->line.data[c->line.len - 1] == '\r') {
        c->line.data[--c->line.len] = '\0';
    }
    *ret_len = (int)c->line.len;
    return byte < 0 && c->line.len == 0 ? NULL : cli_text_string(&c->line);
}

/* ---- the command -------------------------------------------------------- */

/* Waits for the answers of n lines; each comes within the time of a call. */
static void wait_answers(chat *c, unsigned n)
{
    while (c->n_unanswered > n && !is_over(c)) {
        (void)uv_run(&c->session->loop, UV_RUN_ONCE);
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

static cli_exit run_chat(chat *c)
{
    cli_answer answer = {0};
    cli_exit status = cli_ask_one(c->app, c->session, "chat", "peer",
        c->app->args->positional[0], &answer);

    cli_answer_fini(&answer);
    if (status != CLI_OK) {
        return status;
    }
    c->watches_input = uv_poll_init(&c->session->loop, &c->input, STDIN_FILENO)
                       == 0;
    c->input.data = c;
    open_editor(c);
    talk(c);
    close_editor(c);
    if (c->session->is_closed) {
        return cli_fail_node(c->app, c->session);
    }
    return c->failed ? CLI_NO_LINK : CLI_OK;
}

static cli_exit chat_in(const cli_app *app, cli_session *session)
{
    static chat c; /* static, because its handle is closed with the session's */
    cli_exit status;

    c.app = app;
    c.session = session;
    session->on_event = on_event;
    session->user = &c;
    status = run_chat(&c);
    cli_text_fini(&c.line);
    return status;
}

cli_exit cli_cmd_chat(const cli_app *app)
{
    return cli_in_session(app, chat_in);
}

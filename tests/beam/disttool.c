/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our distribution over plain TCP, for dist.exs: the protocol of a real BEAM,
 * but for two bytes of length in front of each handshake message. One
 * connection, then the end.
 *
 *   disttool dial PORT NAME PEER COOKIE [KEY=VALUE ...]
 *   disttool accept 0 NAME PEER COOKIE [KEY=VALUE ...]
 *
 * PEER is "-" for anybody. Keys: flags=HEX more than ours; max=BYTES;
 * alive=gone what is said to the status alive; rival=dial|link what there is
 * beside the connection; call=MODULE FUNCTION LIST one call to rex instead of
 * serving.
 *
 * Lines out: listening PORT; up PEER FLAGS; rival lost|gone; signal OP TERM;
 * result TERM; failed REASON; closed. It serves the names net_kernel and echo
 * and processes that others spawn here, until the connection ends or stdin
 * does, and a minute at most.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "crypto/crypto.h"
#include "dist/dist.h"
#include "dist_text.h"
#include "os/clock.h"
#include "term/writer_internal.h"

enum { LIFE_S = 60, READ_BYTES = 65536 };

static struct {
    int fd;
    pn_dist *dist;
    pn_dist_config config;
    pn_buf in;  /* of the handshake */
    pn_buf out; /* frames to be sent */
    uint64_t n_said;
    uint32_t next_id;
    pn_dist_pid self;
    pn_dist_ref ref;
    pn_dist_rival rival;
    bool is_gone;
    const char *call;
    bool is_done;
    /* The last that has a monitor on echo. */
    pn_buf watcher;
    pn_buf watch_ref;
} tool;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "disttool: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* ---- terms --------------------------------------------------------------- */

static void print_term(pn_term term)
{
    char *text;
    size_t len;

    if (term.len == 0) {
        puts(" -");
    } else if (pn_term_to_text(term, &text, &len) == PN_OK) {
        printf(" %s\n", text);
        free(text);
    } else {
        puts(" ?");
    }
}

static pn_term finish(pn_term_writer *w)
{
    pn_term term;

    if (pn_term_writer_finish(w, NULL, &term) != PN_OK) {
        die("a term of ours");
    }
    return term;
}

static pn_term pid_term(pn_dist_room *room, const pn_dist_pid *pid)
{
    return pn_dist_pid_term(room, tool.config.name, pid);
}

static pn_term ref_term(pn_dist_room *room, const pn_dist_ref *ref)
{
    return pn_dist_ref_term(room, tool.config.name, ref);
}

static pn_term kept(const pn_buf *b)
{
    return (pn_term){b->data + b->off, pn_buf_used(b)};
}

static void keep(pn_buf *b, pn_term term)
{
    pn_buf_consume(b, pn_buf_used(b));
    if (pn_buf_append(b, term.data, term.len) != PN_OK) {
        die("memory");
    }
}

/* ---- signals out --------------------------------------------------------- */

static void send_signal(const pn_dist_signal *s)
{
    if (pn_dist_signal_write(&tool.out, s, 0) != PN_OK) {
        die("a signal of ours");
    }
}

static void send_message(pn_term to, pn_term message)
{
    send_signal(
        &(pn_dist_signal){.op = PN_DIST_SEND, .to = to, .message = message});
}

/* {Tag, Value}, as gen:reply/2. */
static void reply(pn_term to, pn_term tag, pn_term value)
{
    pn_term_writer w;

    pn_term_writer_init(&w, 32 * 1024 * 1024);
    pn_term_write_tuple_begin(&w);
    pn_term_write_opaque(&w, tag);
    pn_term_write_opaque(&w, value);
    pn_term_write_tuple_end(&w);
    send_message(to, finish(&w));
    pn_term_writer_free(&w);
}

static void reply_atom(pn_term to, pn_term tag, const char *name)
{
    pn_term_writer w;

    pn_term_writer_init(&w, 0);
    pn_term_write_atom(&w, name);
    reply(to, tag, finish(&w));
    pn_term_writer_free(&w);
}

static void send_down(pn_term from, pn_term to, pn_term ref, const char *reason)
{
    pn_term_writer w;

    pn_term_writer_init(&w, 0);
    pn_term_write_atom(&w, reason);
    send_signal(&(pn_dist_signal){.op = PN_DIST_MONITOR_P_EXIT,
        .from = from,
        .to = to,
        .ref = ref,
        .reason = finish(&w)});
    pn_term_writer_free(&w);
}

/* Reports the end of the process echo to the process that monitors it. */
static void send_end(void)
{
    pn_term_writer w;

    pn_term_writer_init(&w, 0);
    pn_term_write_atom(&w, "echo");
    if (pn_buf_used(&tool.watcher) > 0) {
        send_down(
            finish(&w), kept(&tool.watcher), kept(&tool.watch_ref), "stopped");
    }
    pn_term_writer_free(&w);
}

/* ---- services ------------------------------------------------------------ */

static void reply_self(pn_term to, pn_term tag)
{
    pn_dist_room pid;
    pn_dist_room ref;
    pn_term_writer w;

    pn_term_writer_init(&w, 0);
    pn_term_write_opaque_format(
        &w, "{~t, ~t}", pid_term(&pid, &tool.self), ref_term(&ref, &tool.ref));
    reply(to, tag, finish(&w));
    pn_term_writer_free(&w);
}

static void on_echo_call(pn_term to, pn_term tag, pn_term request)
{
    if (pn_term_is_atom(request, "self")) {
        reply_self(to, tag);
    } else {
        reply(to, tag, request);
    }
}

static void on_named(const pn_dist_signal *s)
{
    pn_term from;
    pn_term tag;
    pn_term request;
    bool is_call = pn_term_match(
        s->message, "{'$gen_call', {~t, ~t}, ~t}", &from, &tag, &request);

    if (pn_term_is_atom(s->to, "net_kernel")) {
        if (is_call && pn_term_match(request, "{is_auth, _}")) {
            reply_atom(from, tag, "yes");
        }
    } else if (pn_term_is_atom(s->to, "echo")) {
        if (is_call) {
            on_echo_call(from, tag, request);
        } else if (pn_term_is_atom(s->message, "stop")) {
            send_end();
        } else if (pn_term_match(s->message, "{~t, ~t}", &from, &request)) {
            send_message(from, request);
        }
    }
}

static void on_monitor(const pn_dist_signal *s)
{
    if (pn_term_is_atom(s->to, "echo")) {
        keep(&tool.watcher, s->from);
        keep(&tool.watch_ref, s->ref);
    } else if (pn_term_type_of(s->to) == PN_TERM_ATOM
               && !pn_term_is_atom(s->to, "net_kernel")) {
        send_down(s->to, s->from, s->ref, "noproc");
    }
}

/* {Res, return, {M, F, Args}}; {Res, error, failed, []} of the function fail.
 */
static void write_outcome(
    pn_term_writer *w, pn_term res, const pn_term mfa[static 3])
{
    bool fails = pn_term_is_atom(mfa[1], "fail");

    pn_term_write_tuple_begin(w);
    pn_term_write_opaque(w, res);
    pn_term_write_atom(w, fails ? "error" : "return");
    if (fails) {
        pn_term_write_format(w, "failed");
        pn_term_write_format(w, "[]");
    } else {
        pn_term_write_tuple_begin(w);
        for (size_t i = 0; i < 3; i++) {
            pn_term_write_opaque(w, mfa[i]);
        }
        pn_term_write_tuple_end(w);
    }
    pn_term_write_tuple_end(w);
}

static void send_spawned(const pn_dist_signal *s, pn_term result, uint64_t how)
{
    send_signal(&(pn_dist_signal){.op = PN_DIST_SPAWN_REPLY,
        .ref = s->ref,
        .to = s->from,
        .id = how,
        .reason = result});
}

/* docs/BARREL-PROTOCOL.md, section 16.1: the reply and the end of the process,
 * on one stream. */
static void on_spawn(const pn_dist_signal *s)
{
    pn_dist_pid pid = tool.self;
    pn_dist_room room;
    pn_term_writer end;
    pn_term res;
    pn_term mfa[3];

    pid.id = ++tool.next_id;
    if (!pn_term_match(s->mfa, "{erpc, execute_call, 4}")
        || !pn_term_match(
            s->message, "[~t, ~t, ~t, ~t]", &res, &mfa[0], &mfa[1], &mfa[2])) {
        send_spawned(s, pn_dist_atom_term(&room, "notsup"), 0);
        return;
    }
    send_spawned(s, pid_term(&room, &pid), 2);
    pn_term_writer_init(&end, 32 * 1024 * 1024);
    write_outcome(&end, res, mfa);
    send_signal(&(pn_dist_signal){.op = PN_DIST_MONITOR_P_EXIT,
        .from = pid_term(&room, &pid),
        .to = s->from,
        .ref = s->ref,
        .reason = finish(&end)});
    pn_term_writer_free(&end);
}

/* ---- the call ------------------------------------------------------------ */

/* docs/BARREL-PROTOCOL.md, section 16.2: {'$gen_call', {Self, Ref}, {call, M,
 * F, Args, user}}. */
static void send_call(void)
{
    char module[64];
    char function[64];
    int n = 0;
    pn_term_writer w;
    pn_term_writer args;
    pn_dist_room self;
    pn_dist_room ref;
    pn_term_writer rex;

    if (sscanf(tool.call, "%63s %63s %n", module, function, &n) != 2) {
        die("call");
    }
    pn_term_writer_init(&args, 0);
    if (pn_term_from_text(
            &args, tool.call + n, strlen(tool.call + n), NULL, NULL)
        != PN_OK) {
        die("arguments");
    }
    pn_term_writer_init(&w, 32 * 1024 * 1024);
    pn_term_write_opaque_format(&w,
        "{'$gen_call', {~t, ~t}, {call, ~a, ~a, ~t, user}}",
        pid_term(&self, &tool.self), ref_term(&ref, &tool.ref), module,
        function, finish(&args));
    pn_term_writer_init(&rex, 0);
    pn_term_write_atom(&rex, "rex");
    send_signal(&(pn_dist_signal){.op = PN_DIST_REG_SEND,
        .from = pid_term(&self, &tool.self),
        .to = finish(&rex),
        .message = finish(&w)});
    pn_term_writer_free(&w);
    pn_term_writer_free(&args);
    pn_term_writer_free(&rex);
}

/* {Ref, Value} to us: is it what we asked for? */
static void on_message(const pn_dist_signal *s)
{
    pn_term ref;
    pn_term value;
    pn_dist_pid pid;
    pn_dist_ref is;

    if (tool.call != NULL && pn_term_match(s->message, "{~t, ~t}", &ref, &value)
        && pn_dist_pid_read(s->to, tool.config.name, tool.config.creation, &pid)
        && pn_dist_ref_read(ref, tool.config.name, tool.config.creation, &is)
        && pid.id == tool.self.id && memcmp(&is, &tool.ref, sizeof(is)) == 0) {
        printf("result");
        print_term(value);
        tool.is_done = true;
    }
}

/* ---- the engine's callbacks ---------------------------------------------- */

static pn_err draw(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    return pn_random(buf, len);
}

static pn_dist_rival on_name(void *user, pn_slice name)
{
    (void)user;
    (void)name;
    return tool.rival;
}

static void on_rival_lost(void *user)
{
    (void)user;
    puts("rival lost");
}

static void on_rival_gone(void *user)
{
    (void)user;
    puts("rival gone");
}

static bool on_alive(void *user)
{
    (void)user;
    return tool.is_gone;
}

static void on_up(void *user)
{
    pn_slice name = pn_dist_peer_name(tool.dist);

    (void)user;
    printf("up %.*s %llx\n", (int)name.len, (const char *)name.data,
        (unsigned long long)tool.dist->flags);
    if (tool.call != NULL) {
        send_call();
    }
}

static void on_signal(void *user, const pn_dist_signal *s)
{
    (void)user;
    if (tool.call == NULL) {
        printf("signal %u", (unsigned)s->op);
        print_term(s->reason.len > 0      ? s->reason
                   : s->message.len < 100 ? s->message
                                          : (pn_term){NULL, 0});
    }
    switch (s->op) {
    case PN_DIST_SEND:
        on_message(s);
        break;
    case PN_DIST_REG_SEND:
        on_named(s);
        break;
    case PN_DIST_MONITOR_P:
        on_monitor(s);
        break;
    case PN_DIST_SPAWN_REQUEST:
        on_spawn(s);
        break;
    case PN_DIST_UNLINK_ID:
        send_signal(&(pn_dist_signal){.op = PN_DIST_UNLINK_ID_ACK,
            .id = s->id,
            .from = s->to,
            .to = s->from});
        break;
    case PN_DIST_LINK:
    case PN_DIST_EXIT:
    case PN_DIST_EXIT2:
    case PN_DIST_DEMONITOR_P:
    case PN_DIST_MONITOR_P_EXIT:
    case PN_DIST_SPAWN_REPLY:
    case PN_DIST_ALIAS_SEND:
    case PN_DIST_UNLINK_ID_ACK:
        break;
    }
}

static const pn_dist_callbacks callbacks = {
    .on_name = on_name,
    .on_rival_lost = on_rival_lost,
    .on_rival_gone = on_rival_gone,
    .on_alive = on_alive,
    .on_up = on_up,
    .on_signal = on_signal,
};
static const pn_env env = {.random = draw};

/* ---- the socket ---------------------------------------------------------- */

/* False: the peer has gone. */
static bool send_all(const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(tool.fd, data, len, MSG_NOSIGNAL);

        if (n <= 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* Handshake messages with their length, then frames, which have theirs. */
static void flush(void)
{
    for (;;) {
        pn_slice said = pn_dist_output(tool.dist);
        uint8_t head[2];

        if (said.len == 0) {
            break;
        }
        pn_store_be16(head, (uint16_t)said.len);
        (void)(send_all(head, 2) && send_all(said.data, said.len));
        tool.n_said += said.len;
        pn_dist_written(tool.dist);
        pn_dist_acked(tool.dist, tool.n_said);
    }
    if (pn_buf_used(&tool.out) > 0) {
        (void)send_all(pn_buf_head(&tool.out), pn_buf_used(&tool.out));
        pn_buf_consume(&tool.out, pn_buf_used(&tool.out));
    }
}

/* Whole messages of the handshake; false: more bytes are needed, or it is
 * over. */
static bool take_handshake(void)
{
    size_t used = pn_buf_used(&tool.in);
    const uint8_t *p = pn_buf_head(&tool.in);
    size_t len;

    if (pn_dist_state_of(tool.dist) != PN_DIST_HANDSHAKE || used < 2) {
        return false;
    }
    len = pn_load_be16(p);
    if (used < 2 + len) {
        return false;
    }
    pn_dist_control_input(tool.dist, pn_monotonic_now_us(), p + 2, len);
    pn_buf_consume(&tool.in, 2 + len);
    flush();
    return true;
}

static void take(const uint8_t *data, size_t len)
{
    int64_t stream = tool.config.role == PN_DIST_RESPONDER ? 4 : 1;

    if (pn_dist_state_of(tool.dist) == PN_DIST_UP) {
        pn_dist_data_input(tool.dist, pn_monotonic_now_us(), stream, data, len);
        flush();
        return;
    }
    if (pn_buf_append(&tool.in, data, len) != PN_OK) {
        die("memory");
    }
    while (take_handshake()) {}
    if (pn_dist_state_of(tool.dist) == PN_DIST_UP
        && pn_buf_used(&tool.in) > 0) {
        pn_dist_data_input(tool.dist, pn_monotonic_now_us(), stream,
            pn_buf_head(&tool.in), pn_buf_used(&tool.in));
        pn_buf_consume(&tool.in, pn_buf_used(&tool.in));
        flush();
    }
}

/* Until the connection, stdin or the call is over. */
static void run(void)
{
    static uint8_t bytes[READ_BYTES];
    struct pollfd both[2] = {
        {.fd = tool.fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};

    flush();
    while (!tool.is_done && pn_dist_state_of(tool.dist) != PN_DIST_FAILED) {
        ssize_t n;

        fflush(stdout);
        if (poll(both, 2, -1) < 0) {
            die("poll");
        }
        if (both[1].revents != 0 && read(0, bytes, 1) <= 0) {
            return;
        }
        if (both[0].revents == 0) {
            continue;
        }
        n = recv(tool.fd, bytes, sizeof(bytes), 0);
        if (n <= 0) {
            puts("closed");
            return;
        }
        take(bytes, (size_t)n);
    }
    flush();
    if (pn_dist_state_of(tool.dist) == PN_DIST_FAILED) {
        printf("failed %s\n", dist_reason_text(pn_dist_reason_of(tool.dist)));
    }
}

static int open_socket(struct sockaddr_in *addr, int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0) {
        die("socket");
    }
    *addr = (struct sockaddr_in){.sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return fd;
}

static void dial(int port)
{
    struct sockaddr_in addr;

    tool.fd = open_socket(&addr, port);
    if (connect(tool.fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        die("connect");
    }
}

static void accept_one(void)
{
    struct sockaddr_in addr;
    socklen_t len = sizeof(addr);
    int fd = open_socket(&addr, 0);

    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0
        || listen(fd, 1) != 0
        || getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
        die("listen");
    }
    printf("listening %d\n", ntohs(addr.sin_port));
    fflush(stdout);
    tool.fd = accept(fd, NULL, NULL);
    if (tool.fd < 0) {
        die("accept");
    }
    (void)close(fd);
}

/* ---- arguments ----------------------------------------------------------- */

static const char *value_of(const char *arg, const char *key)
{
    size_t n = strlen(key);

    return strncmp(arg, key, n) == 0 && arg[n] == '=' ? arg + n + 1 : NULL;
}

static void take_option(const char *arg)
{
    const char *value;

    if ((value = value_of(arg, "flags")) != NULL) {
        tool.config.flags = PN_DIST_FLAGS | strtoull(value, NULL, 16);
    } else if ((value = value_of(arg, "max")) != NULL) {
        tool.config.max_message = strtoull(value, NULL, 10);
    } else if (value_of(arg, "alive") != NULL) {
        tool.is_gone = true;
    } else if ((value = value_of(arg, "rival")) != NULL) {
        tool.rival = strcmp(value, "dial") == 0 ? PN_DIST_RIVAL_DIAL
                                                : PN_DIST_RIVAL_LINK;
    } else if ((value = value_of(arg, "call")) != NULL) {
        tool.call = value;
    }
}

static pn_slice text(const char *s)
{
    return (pn_slice){(const uint8_t *)s, strlen(s)};
}

static void set_up(char **argv)
{
    bool is_dialling = strcmp(argv[1], "dial") == 0;

    tool.config = (pn_dist_config){
        .role = is_dialling ? PN_DIST_INITIATOR : PN_DIST_RESPONDER,
        .name = argv[3],
        .peer_name = strcmp(argv[4], "-") == 0 ? (pn_slice){NULL, 0}
                                               : text(argv[4]),
        .cookie = text(argv[5]),
        .flags = PN_DIST_FLAGS,
        .creation = (uint32_t)getpid() + 4,
        .handshake_us = 7 * PN_US_PER_S,
        .max_message = 16 * 1024 * 1024,
        .drain_us = 10 * PN_US_PER_S,
        .env = &env,
        .callbacks = &callbacks,
    };
    tool.next_id = 1;
    tool.self = (pn_dist_pid){1, 0, tool.config.creation};
    tool.ref = (pn_dist_ref){{0x1234, 0x89abcdef, 7}, tool.config.creation};
}

int main(int argc, char **argv)
{
    (void)alarm(LIFE_S);
    if (argc < 6) {
        die("arguments");
    }
    set_up(argv);
    for (int i = 6; i < argc; i++) {
        take_option(argv[i]);
    }
    if (tool.config.role == PN_DIST_INITIATOR) {
        dial(atoi(argv[2]));
    } else {
        accept_one();
    }
    if (pn_dist_new(&tool.config, pn_monotonic_now_us(), &tool.dist) != PN_OK) {
        die("configuration");
    }
    run();
    fflush(stdout);
    (void)close(tool.fd);
    pn_dist_free(tool.dist);
    pn_buf_fini(&tool.in);
    pn_buf_fini(&tool.out);
    pn_buf_fini(&tool.watcher);
    pn_buf_fini(&tool.watch_ref);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of one BEAM node in a Barrel cluster, for cluster.exs: QUIC and
 * the authentication on one side, plain TCP as every BEAM speaks it on the
 * other. The messages of the two nodes are passed on unread; only the two bytes
 * of length before each message of the handshake are added or taken off.
 *
 *   bridgetool DIR BEAM@HOST BEAM_TCP_PORT OURS@HOST OUR_UDP_PORT UDP_PORT
 *              [silent]
 *
 * DIR has the keys of the BEAM node. silent: as upstream's, it does not close
 * when the BEAM gives up the handshake, for a cookie say. Lines out: listening
 * TCP_PORT UDP_PORT. Ends with its input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "anybody.h"
#include "auth/auth.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "keys/barrel_keys.h"
#include "os/clock.h"
#include "quic/quic.h"
#include "quic_defaults.h"

enum { READ_BYTES = 65536, ACK = 'a', CONTROL_STREAM = 0 };

typedef struct bridge {
    int fd; /* TCP; -1: not connected, or closed */
    pn_watch *watch;
    pn_quic_conn *conn;
    bool is_dialled; /* by the BEAM */
    pn_auth *auth;
    uint8_t binding[PN_QUIC_BINDING_LEN];
    int64_t auth_out;
    int64_t control;
    int64_t data;
    bool is_authenticated;
    bool is_up; /* the handshake's last message has passed */
    pn_buf in;  /* of TCP, not passed on yet */
} bridge;

static struct {
    pn_loop *loop;
    pn_quic *quic;
    pn_env env;
    const char *beam;
    const char *ours;
    pn_address our_address;
    uint16_t beam_port;
    pn_barrel_keys *keys;
    int listener;
    bool is_silent;
} tool;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bridgetool: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void check(pn_err err, const char *what)
{
    if (err != PN_OK) {
        fprintf(stderr, "bridgetool: %s: %s\n", what, pn_strerror(err));
        exit(2);
    }
}

/* Printed, so that a failing test shows which end closed. */
static void bridge_end(bridge *b, const char *why)
{
    fprintf(stderr, "bridgetool: %s: %s\n", tool.beam, why);
    if (b->conn != NULL) {
        pn_quic_close(b->conn, PN_QUIC_NO_ERROR);
        b->conn = NULL;
    }
    if (b->fd >= 0) {
        pn_watch_free(b->watch);
        (void)close(b->fd);
        b->fd = -1;
    }
}

/* ---- from TCP to QUIC -----------------------------------------------------
 */

static void quic_write(bridge *b, int64_t *stream, const uint8_t *p, size_t len)
{
    if (*stream < 0) {
        check(pn_quic_open_bidi(b->conn, stream), "a stream");
    }
    if (pn_quic_write(b->conn, *stream, p, len, false) != PN_OK) {
        bridge_end(b, "QUIC took no more");
    }
}

static void pass_to_quic(bridge *b)
{
    while (b->is_authenticated && b->fd >= 0 && pn_buf_used(&b->in) > 0) {
        const uint8_t *p = b->in.data + b->in.off;
        size_t used = pn_buf_used(&b->in);
        size_t len;

        if (b->is_up) {
            quic_write(b, &b->data, p, used);
            pn_buf_consume(&b->in, used);
            return;
        }
        len = used < 2 ? 0 : pn_load_be16(p);
        if (used < 2 || used < 2 + len) {
            return;
        }
        b->is_up = p[2] == ACK;
        quic_write(b, &b->control, p + 2, len);
        pn_buf_consume(&b->in, 2 + len);
    }
}

static void on_tcp(void *user)
{
    bridge *b = user;
    ssize_t n;

    check(pn_buf_reserve(&b->in, READ_BYTES), "memory");
    n = read(b->fd, b->in.data + b->in.len, READ_BYTES);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0 && tool.is_silent && !b->is_up) {
        pn_watch_free(b->watch);
        (void)close(b->fd);
        b->fd = -1;
        return;
    }
    if (n <= 0) {
        bridge_end(b, n == 0 ? "the BEAM closed" : strerror(errno));
        return;
    }
    b->in.len += (size_t)n;
    pass_to_quic(b);
}

/* ---- from QUIC to TCP -----------------------------------------------------
 */

/* The socket is non-blocking, because it is watched, so this waits for a BEAM
 * that reads slowly. A BEAM always reads, so the wait ends. */
static void tcp_write(bridge *b, const uint8_t *p, size_t len)
{
    while (len > 0 && b->fd >= 0) {
        ssize_t n = write(b->fd, p, len);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            struct pollfd room = {.fd = b->fd, .events = POLLOUT};

            (void)poll(&room, 1, -1);
            continue;
        }
        if (n <= 0) {
            bridge_end(b, strerror(errno));
            return;
        }
        p += n;
        len -= (size_t)n;
    }
}

static void tcp_attach(bridge *b, int fd)
{
    b->fd = fd;
    check(pn_watch_new(tool.loop, fd, on_tcp, b, &b->watch), "a watch");
}

/* The BEAM's TCP port. */
static void tcp_connect(bridge *b)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
        .sin_port = htons(tool.beam_port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
        (void)close(fd);
        bridge_end(b, "the BEAM does not listen");
        return;
    }
    tcp_attach(b, fd);
}

/* ---- authentication --------------------------------------------------------
 */

static void auth_step(bridge *b)
{
    pn_slice out = pn_auth_output(b->auth);
    pn_auth_outcome outcome = pn_auth_outcome_of(b->auth);

    if (out.len > 0) {
        if (b->auth_out < 0) {
            check(pn_quic_open_uni(b->conn, &b->auth_out), "a stream");
        }
        check(pn_quic_write(b->conn, b->auth_out, out.data, out.len,
                  outcome != PN_AUTH_RUNNING),
            "a write");
        pn_auth_written(b->auth, out.len);
    }
    if (outcome == PN_AUTH_FAILED) {
        bridge_end(b, pn_auth_reason_text(pn_auth_reason_of(b->auth)));
    } else if (outcome == PN_AUTH_DONE && !b->is_authenticated) {
        b->is_authenticated = true;
        if (!b->is_dialled) {
            tcp_connect(b);
        }
        pass_to_quic(b);
    }
}

static void auth_begin(bridge *b)
{
    pn_auth_config config = {.initiator = b->is_dialled,
        .name = tool.beam,
        .dialled_name = b->is_dialled ? tool.ours : NULL,
        .identity = pn_barrel_keys_pair(tool.keys),
        .binding = b->binding,
        .timeout_us = 10 * PN_US_PER_S,
        .window_ms = 30000,
        .env = &tool.env,
        .pins = &anybody};

    check(pn_quic_binding(b->conn, b->binding), "the binding");
    check(pn_auth_new(&config, pn_loop_now_us(tool.loop), &b->auth),
        "the authentication");
    auth_step(b);
}

/* ---- QUIC -------------------------------------------------------------------
 */

static void on_open(void *user)
{
    auth_begin(user);
}

static void on_data(
    void *user, int64_t stream, const uint8_t *data, size_t len, bool is_last)
{
    bridge *b = user;

    if ((stream & 2) != 0) {
        if (!b->is_authenticated) {
            pn_auth_input(b->auth, pn_loop_now_us(tool.loop),
                (uint64_t)pn_wall_now_us() / 1000, data, len, is_last);
            auth_step(b);
        }
    } else if (stream == CONTROL_STREAM && !b->is_up) {
        uint8_t head[2];

        /* Each message is acknowledged before the next is sent, so this is one
         * message. */
        b->control = stream;
        pn_store_be16(head, (uint16_t)len);
        b->is_up = len > 0 && data[0] == ACK;
        tcp_write(b, head, sizeof(head));
        tcp_write(b, data, len);
    } else if (stream != CONTROL_STREAM) {
        tcp_write(b, data, len);
    }
    if (b->conn != NULL) {
        pn_quic_consumed(b->conn, stream, len);
    }
}

static void on_reset(void *user, int64_t stream, uint64_t code)
{
    (void)stream;
    (void)code;
    bridge_end(user, "a stream was reset");
}

static void on_end(void *user, pn_err why, uint64_t code, int sys_errno)
{
    (void)code;
    (void)sys_errno;
    bridge_end(user, pn_strerror(why));
}

static const pn_quic_conn_callbacks conn_callbacks = {.on_open = on_open,
    .on_data = on_data,
    .on_reset = on_reset,
    .on_end = on_end};

/* Kept until the end of the process: a test has few. */
static bridge *bridge_new(bool is_dialled)
{
    bridge *b = calloc(1, sizeof(*b));

    if (b == NULL) {
        die("memory");
    }
    *b = (bridge){.fd = -1,
        .is_dialled = is_dialled,
        .auth_out = -1,
        .control = -1,
        .data = -1};
    return b;
}

static void on_accept(void *user, pn_quic_conn *conn, const pn_address *from)
{
    bridge *b = bridge_new(false);

    (void)user;
    (void)from;
    b->conn = conn;
    pn_quic_set_callbacks(conn, &conn_callbacks, b);
    auth_begin(b);
}

/* The BEAM dials. */
static void on_tcp_accept(void *user)
{
    int fd = accept4(tool.listener, NULL, NULL, SOCK_CLOEXEC);
    bridge *b;

    (void)user;
    if (fd < 0) {
        return;
    }
    b = bridge_new(true);
    tcp_attach(b, fd);
    if (pn_quic_dial(tool.quic, &tool.our_address, &conn_callbacks, b, &b->conn)
        != PN_OK) {
        bridge_end(b, "no dial");
    }
}

static const pn_quic_callbacks quic_callbacks = {.on_accept = on_accept};

/* ---- life -------------------------------------------------------------------
 */

static void on_stdin(void *user)
{
    char c[64];

    (void)user;
    if (read(STDIN_FILENO, c, sizeof(c)) <= 0) {
        exit(0);
    }
}

static uint16_t tcp_listen(void)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);

    tool.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (tool.listener < 0
        || bind(tool.listener, (struct sockaddr *)&at, len) != 0
        || listen(tool.listener, 8) != 0
        || getsockname(tool.listener, (struct sockaddr *)&at, &len) != 0) {
        die("the TCP port");
    }
    return ntohs(at.sin_port);
}

static uint16_t quic_listen(const char *dir, uint16_t port)
{
    pn_quic_options options = {
        .alpn = "erlang-dist", .max_unsent = (size_t)1 << 30};
    char path[512];
    pn_certificate *certificate;
    pn_address at;
    int sys_errno = 0;

    (void)snprintf(path, sizeof(path), "%s/keys", dir);
    check(pn_barrel_keys_open(path, &tool.keys, NULL, NULL), "the keys");
    (void)snprintf(path, sizeof(path), "%s/quic", dir);
    check(pn_certificate_open(
              path, pn_wall_now_us() / 1000000, &certificate, NULL),
        "the certificate");
    options.certificate = certificate;
    quic_defaults(&options);
    check(pn_address_parse("127.0.0.1", port, &at), "an address");
    errno = 0;
    check(pn_quic_new(tool.loop, &at, &options, &quic_callbacks, NULL,
              &tool.quic, &sys_errno),
        "QUIC");
    pn_quic_address(tool.quic, &at);
    return pn_address_port(&at);
}

int main(int argc, char **argv)
{
    pn_watch *in;
    pn_watch *accepting;
    uint16_t tcp;
    uint16_t udp;

    if (argc != 7 && argc != 8) {
        fprintf(stderr, "usage: bridgetool DIR BEAM@HOST BEAM_TCP_PORT "
                        "OURS@HOST OUR_UDP_PORT UDP_PORT [silent]\n");
        return 2;
    }
    tool.env = (pn_env){.random = anybody_draw};
    tool.beam = argv[2];
    tool.beam_port = (uint16_t)atoi(argv[3]);
    tool.ours = argv[4];
    tool.is_silent = argc == 8;
    check(pn_address_parse("127.0.0.1", atoi(argv[5]), &tool.our_address),
        "an address");
    check(pn_loop_new(&tool.loop), "a loop");
    udp = quic_listen(argv[1], (uint16_t)atoi(argv[6]));
    tcp = tcp_listen();
    check(
        pn_watch_new(tool.loop, tool.listener, on_tcp_accept, NULL, &accepting),
        "a watch");
    check(pn_watch_new(tool.loop, STDIN_FILENO, on_stdin, NULL, &in),
        "standard input");
    printf("listening %u %u\n", tcp, udp);
    (void)fflush(stdout);
    pn_loop_run(tool.loop);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two processes, a core each, loopback TCP with NODELAY: latency and rates of
 * calls and sends beside ceilings measured in the same run.
 *
 * Both nodes have their own thread. The server's handlers are inline, and the
 * client continues from the callback of its last operation, so no message
 * changes threads.
 */
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <peernet/peernet.h>

#include "bench.h"
#include "crypto/crypto.h"

enum { ROUNDS = 5, LATENCY_CALLS = 20000 };

/* ---- bare TCP ---------------------------------------------------------- */

static void must(int condition, const char *what)
{
    if (!condition) {
        perror(what);
        exit(1);
    }
}

static void write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            continue;
        }
        must(n > 0, "write");
        data += n;
        len -= (size_t)n;
    }
}

static int tcp_listen(uint16_t *ret_port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    must(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0
             && listen(fd, 1) == 0
             && getsockname(fd, (struct sockaddr *)&at, &len) == 0,
        "listen");
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static int tcp_connect(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    must(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0,
        "connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

/* One side of the bare ping-pong: epoll, non-blocking read of a whole frame. */
static void epoll_read(int ep, int fd, uint8_t *buf, size_t len)
{
    size_t have = 0;

    while (have < len) {
        struct epoll_event event;
        ssize_t n;

        must(
            epoll_wait(ep, &event, 1, -1) >= 0 || errno == EINTR, "epoll_wait");
        n = recv(fd, buf + have, 65536 - have, MSG_DONTWAIT);
        must(n > 0 || errno == EAGAIN, "recv");
        have += n > 0 ? (size_t)n : 0;
    }
}

static int epoll_on(int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    int ep = epoll_create1(0);

    must(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0, "epoll");
    return ep;
}

/* The work of a Noise link on a frame, if it is to be done; one counter for
 * both directions, as they take turns. Keys are made by each side: a context
 * does not outlive a fork. */
typedef struct pingpong {
    bool is_sealing;
    pn_aead *seal;
    pn_aead *open;
    uint64_t counter;
    size_t request; /* frame sizes: header, ciphertext, tag */
    size_t reply;
} pingpong;

enum { HEADER_LEN = 4 };

static void pingpong_begin(pingpong *p)
{
    pn_secret_key key = {{1}};

    must(!p->is_sealing
             || (pn_aead_new(&key, &p->seal) == PN_OK
                 && pn_aead_new(&key, &p->open) == PN_OK),
        "aead");
}

static void pingpong_seal(const pingpong *p, uint8_t *frame, size_t len)
{
    uint8_t *at = frame + HEADER_LEN;

    if (p->is_sealing) {
        must(pn_aead_seal(p->seal, p->counter, NULL, 0, at,
                 len - HEADER_LEN - PN_TAG_LEN, at)
                 == PN_OK,
            "seal");
    }
}

static void pingpong_open(const pingpong *p, uint8_t *frame, size_t len)
{
    uint8_t *at = frame + HEADER_LEN;

    if (p->is_sealing) {
        must(
            pn_aead_open(p->open, p->counter, NULL, 0, at, len - HEADER_LEN, at)
                == PN_OK,
            "open");
    }
}

static void pingpong_server(int listener, pingpong *p)
{
    static uint8_t buf[65536];
    int one = 1;
    int fd = accept(listener, NULL, NULL);
    int ep;

    bench_pin(1);
    must(fd >= 0, "accept");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    ep = epoll_on(fd);
    pingpong_begin(p);
    for (;; p->counter++) {
        epoll_read(ep, fd, buf, p->request);
        pingpong_open(p, buf, p->request);
        pingpong_seal(p, buf, p->reply);
        write_all(fd, buf, p->reply);
    }
}

/* Median microseconds of a bare round trip of the same frame sizes. */
static double bare_pingpong_us(pingpong *p)
{
    static uint8_t buf[65536];
    static double times[LATENCY_CALLS];
    uint16_t port;
    int listener = tcp_listen(&port);
    pid_t child = fork();
    int fd;
    int ep;

    must(child >= 0, "fork");
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        pingpong_server(listener, p);
    }
    fd = tcp_connect(port);
    ep = epoll_on(fd);
    pingpong_begin(p);
    for (int i = 0; i < LATENCY_CALLS; i++, p->counter++) {
        uint64_t start = bench_now_ns();

        pingpong_seal(p, buf, p->request);
        write_all(fd, buf, p->request);
        epoll_read(ep, fd, buf, p->reply);
        pingpong_open(p, buf, p->reply);
        times[i] = (double)(bench_now_ns() - start) / 1e3;
    }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    (void)close(fd);
    (void)close(ep);
    (void)close(listener);
    pn_aead_free(p->seal);
    pn_aead_free(p->open);
    return bench_median(times, LATENCY_CALLS);
}

/* Nanoseconds to write len bytes to loopback TCP, the reader on the other
 * core. */
static double bare_tcp_ns(size_t len)
{
    enum { TOTAL = 256 << 20 };
    static uint8_t buf[1 << 20];
    unsigned n = (unsigned)(TOTAL / len);
    uint16_t port;
    int listener = tcp_listen(&port);
    pid_t child = fork();
    uint64_t start;
    double ns;
    int fd;

    must(child >= 0, "fork");
    if (child == 0) {
        int from = accept(listener, NULL, NULL);

        bench_pin(1);
        while (read(from, buf, sizeof(buf)) > 0) {}
        _exit(0);
    }
    fd = tcp_connect(port);
    start = bench_now_ns();
    for (unsigned i = 0; i < n; i++) {
        write_all(fd, buf, len);
    }
    ns = (double)(bench_now_ns() - start) / n;
    (void)close(fd);
    (void)waitpid(child, NULL, 0);
    (void)close(listener);
    return ns;
}

/* ---- the two nodes ----------------------------------------------------- */

typedef struct sender sender;

typedef struct client {
    pn_node *node;
    pn_public_key server;
    char dir[64];
    pid_t child;
    sender *sender; /* goes on when the link is writable; loop only */
} client;

static void send_more(sender *s);

static void on_event(void *user, const pn_event *event)
{
    const client *c = user;

    if (event->type == PN_EVENT_WRITABLE && c->sender != NULL) {
        send_more(c->sender);
    }
}

static void on_echo(pn_request *req, pn_term args, void *user)
{
    (void)user;
    (void)pn_request_reply_term(req, args);
}

static void on_sink(pn_request *req, pn_term args, void *user)
{
    (void)args;
    (void)user;
    if (pn_request_is_call(req)) {
        (void)pn_request_reply(req, "ok");
    }
}

static void node_options(pn_node_options *opt, const char *dir)
{
    pn_node_options_init(opt);
    opt->data_dir = dir;
    opt->listen_address = "127.0.0.1";
    opt->listen_port = 0;
    opt->linger_ms = 0;
    opt->watch_network = false;
}

/* The server's message to the client through a pipe. */
typedef struct hello {
    pn_public_key key;
    uint16_t port;
} hello;

static void server_main(const char *dir, int in, int out)
{
    pn_why why = {0};
    pn_expose_options inline_handler;
    pn_node_options opt;
    pn_node *node = NULL;
    pn_public_key peer;
    hello h;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_pin(1);
    node_options(&opt, dir);
    must(pn_node_open(&opt, &node, &why) == PN_OK, why.text);
    pn_expose_options_init(&inline_handler);
    inline_handler.flags = PN_EXPOSE_INLINE;
    must(
        pn_expose(node, "echo", on_echo, NULL, &inline_handler) == PN_OK
            && pn_expose(node, "sink", on_sink, NULL, &inline_handler) == PN_OK,
        "expose");
    h = (hello){.key = *pn_node_key(node), .port = pn_node_port(node)};
    must(write(out, &h, sizeof(h)) == sizeof(h), "hello");
    must(read(in, &peer, sizeof(peer)) == sizeof(peer), "peer");
    must(pn_pair(node, &peer, NULL) == PN_OK, "pair");
    must(write(out, "k", 1) == 1, "ready");
    for (;;) {
        (void)pause();
    }
}

static void client_start(client *c)
{
    pn_why why = {0};
    char server_dir[] = "/tmp/peernet-bench-XXXXXX";
    char address[32];
    pn_node_options opt;
    int to[2];
    int from[2];
    hello h;
    char ready;

    (void)snprintf(c->dir, sizeof(c->dir), "/tmp/peernet-bench-XXXXXX");
    must(mkdtemp(server_dir) != NULL && mkdtemp(c->dir) != NULL, "mkdtemp");
    must(pipe(to) == 0 && pipe(from) == 0, "pipe");
    c->child = fork();
    must(c->child >= 0, "fork");
    if (c->child == 0) {
        server_main(server_dir, to[0], from[1]);
    }
    node_options(&opt, c->dir);
    /* Small messages go in bursts that stay in the cache. */
    opt.max_output_messages = 1024;
    opt.on_event = on_event;
    opt.user = c;
    must(pn_node_open(&opt, &c->node, &why) == PN_OK, why.text);
    must(read(from[0], &h, sizeof(h)) == sizeof(h), "hello");
    must(write(to[1], pn_node_key(c->node), sizeof(pn_public_key))
             == sizeof(pn_public_key),
        "key");
    must(read(from[0], &ready, 1) == 1, "ready");
    c->server = h.key;
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", h.port);
    must(pn_pair_at(c->node, &c->server, NULL, address) == PN_OK
             && pn_wait_connected(c->node, &c->server, 10000, NULL) == PN_OK,
        "pair");
}

static void client_stop(client *c)
{
    pn_node_close(c->node);
    (void)kill(c->child, SIGKILL);
    (void)waitpid(c->child, NULL, 0);
}

/* ---- calls ------------------------------------------------------------- */

typedef struct caller {
    client *c;
    pn_term args;
    unsigned done;
    unsigned total;
    unsigned left;
    uint64_t started;
    double *times;
    sem_t finished;
} caller;

static void caller_init(caller *k, client *c, pn_term args, unsigned total)
{
    *k = (caller){.c = c, .args = args, .total = total, .left = total};
    must(sem_init(&k->finished, 0, 0) == 0, "sem_init");
}

static void caller_wait(caller *k)
{
    while (sem_wait(&k->finished) != 0) {}
    (void)sem_destroy(&k->finished);
}

static void call_again(caller *k);

static void on_reply(void *user, pn_err outcome, pn_term value)
{
    caller *k = user;

    (void)value;
    must(outcome == PN_OK, "call");
    if (k->times != NULL) {
        k->times[k->done] = (double)(bench_now_ns() - k->started) / 1e3;
    }
    k->done++;
    if (k->left > 0) {
        call_again(k);
    } else if (k->done == k->total) {
        (void)sem_post(&k->finished);
    }
}

static void call_again(caller *k)
{
    k->left--;
    k->started = bench_now_ns();
    must(pn_call_async(
             k->c->node, &k->c->server, "echo", 10000, k->args, on_reply, k)
             == PN_OK,
        "call_async");
}

/* The first of as many as shall be in flight; they start on the loop. */
static void on_first(void *user, pn_err outcome, pn_term value)
{
    (void)outcome;
    (void)value;
    call_again(user);
}

static void calls_start(caller *k, unsigned in_flight)
{
    for (unsigned i = 0; i < in_flight; i++) {
        must(pn_call_async(
                 k->c->node, &k->c->server, "sink", 10000, k->args, on_first, k)
                 == PN_OK,
            "call_async");
    }
}

static pn_term binary_term(pn_term_writer *w, size_t len)
{
    uint8_t *zeros = calloc(1, len);
    pn_term term;

    must(zeros != NULL, "calloc");
    pn_term_writer_init(w, 0);
    pn_term_write_binary(w, zeros, len);
    must(pn_term_writer_finish(w, NULL, &term) == PN_OK, "term");
    free(zeros);
    return term;
}

static double call_latency_us(client *c, pn_term args)
{
    static double times[LATENCY_CALLS];
    caller k;

    caller_init(&k, c, args, LATENCY_CALLS);
    k.times = times;
    calls_start(&k, 1);
    caller_wait(&k);
    return bench_median(times, LATENCY_CALLS);
}

static double calls_per_s(client *c, pn_term args, unsigned in_flight)
{
    enum { CALLS = 300000 };
    uint64_t start = bench_now_ns();
    caller k;

    caller_init(&k, c, args, CALLS);
    calls_start(&k, in_flight);
    caller_wait(&k);
    return CALLS / ((double)(bench_now_ns() - start) / 1e9);
}

struct sender {
    client *c;
    pn_term args;
    pn_term small;
    unsigned left;
    caller last;
};

/* Sends until the link is full; a call at the end waits for the last. */
static void send_more(sender *s)
{
    client *c = s->c;
    pn_err err = PN_OK;

    while (s->left > 0 && err == PN_OK) {
        err = pn_send_term(c->node, &c->server, "sink", s->args);
        s->left -= err == PN_OK;
    }
    if (err == PN_OK) {
        err = pn_call_async(
            c->node, &c->server, "sink", 10000, s->small, on_reply, &s->last);
    }
    if (err == PN_OK) {
        c->sender = NULL;
    }
    must(err == PN_OK || err == PN_BUSY, "send");
}

/* The first on the loop, as all that follow. */
static void on_start(void *user, pn_err outcome, pn_term value)
{
    sender *s = user;

    (void)value;
    must(outcome == PN_OK, "call");
    s->c->sender = s;
    send_more(s);
}

static double sends_per_s(client *c, pn_term args, pn_term small, unsigned n)
{
    sender s = {.c = c, .args = args, .small = small, .left = n};
    uint64_t start = bench_now_ns();

    caller_init(&s.last, c, small, 1);
    s.last.left = 0;
    must(pn_call_async(c->node, &c->server, "sink", 10000, small, on_start, &s)
             == PN_OK,
        "call");
    caller_wait(&s.last);
    return n / ((double)(bench_now_ns() - start) / 1e9);
}

/* ---- the table --------------------------------------------------------- */

/* Frame sizes of a call and a reply that carry a binary of len bytes. */
static size_t call_frame(size_t len)
{
    /* header, tag; 131, tuple, call, id (SMALL_BIG), echo, binary */
    return 4 + 16 + 1 + 2 + 6 + 11 + 6 + 5 + len;
}

static size_t reply_frame(size_t len)
{
    return 4 + 16 + 1 + 2 + 7 + 11 + 2 + 4 + 5 + len;
}

static void bench_latency(client *c, pn_term args)
{
    double ours[ROUNDS];
    double bare[ROUNDS];
    double sealed[ROUNDS];
    double ratio[ROUNDS];
    double ratio_sealed[ROUNDS];

    for (int r = 0; r < ROUNDS; r++) {
        pingpong p = {.request = call_frame(64), .reply = reply_frame(64)};

        bare[r] = bare_pingpong_us(&p);
        ours[r] = call_latency_us(c, args);
        p.is_sealing = true;
        sealed[r] = bare_pingpong_us(&p);
        ratio[r] = ours[r] / bare[r];
        ratio_sealed[r] = ours[r] / sealed[r];
    }
    bench_result("call 64 B, one in flight, p50", bench_median(ours, ROUNDS),
        "us", bench_median(bare, ROUNDS), bench_median(ratio, ROUNDS), 1.25, 1);
    (void)printf("  beside a ping-pong that seals and opens too:      "
                 "ceiling %12.2f  ratio %6.3f\n",
        bench_median(sealed, ROUNDS), bench_median(ratio_sealed, ROUNDS));
}

static void bench_calls(client *c, pn_term args)
{
    double ours[ROUNDS];
    double bound[ROUNDS];
    double ratio[ROUNDS];

    for (int r = 0; r < ROUNDS; r++) {
        /* Four seals or opens a call over two cores. */
        bound[r] = 2.0 / (4.0 * bench_seal_ns(call_frame(64) - 20)) * 1e9;
        ours[r] = calls_per_s(c, args, 64);
        ratio[r] = ours[r] / bound[r];
    }
    bench_result("calls 64 B, 64 in flight", bench_median(ours, ROUNDS),
        "calls/s", bench_median(bound, ROUNDS), bench_median(ratio, ROUNDS),
        0.4, 0);
}

static void bench_small_sends(client *c, pn_term args)
{
    double ours[ROUNDS];
    double bound[ROUNDS];
    double ratio[ROUNDS];

    for (int r = 0; r < ROUNDS; r++) {
        bound[r] = 1e9 / bench_seal_ns(call_frame(64) - 20 - 11);
        ours[r] = sends_per_s(c, args, args, 1000000);
        ratio[r] = ours[r] / bound[r];
    }
    bench_result("sends 64 B, one way", bench_median(ours, ROUNDS), "sends/s",
        bench_median(bound, ROUNDS), bench_median(ratio, ROUNDS), 0.7, 0);
}

static void bench_large_sends(
    client *c, pn_term small, size_t len, const char *name)
{
    double ours[ROUNDS];
    double bound[ROUNDS];
    double ratio[ROUNDS];
    pn_term_writer w;
    pn_term args = binary_term(&w, len);

    for (int r = 0; r < ROUNDS; r++) {
        /* One core that seals and then writes: 1/(1/seal + 1/tcp). */
        bound[r] = (double)len / (bench_seal_ns(len) + bare_tcp_ns(len)) * 1e3;
        ours[r] = sends_per_s(c, args, small, (unsigned)((512u << 20) / len))
                  * (double)len / 1e6;
        ratio[r] = ours[r] / bound[r];
    }
    bench_result(name, bench_median(ours, ROUNDS), "MB/s",
        bench_median(bound, ROUNDS), bench_median(ratio, ROUNDS), 0.8, 0);
    pn_term_writer_free(&w);
}

/* bench-node [ROW...]: latency, calls, sends, 64k, 512k. */
int main(int argc, char **argv)
{
    pn_term_writer w;
    pn_term args = binary_term(&w, 64);
    client c;

    bench_pin(0);
    client_start(&c);
    if (bench_wants(argc, argv, "latency")) {
        bench_latency(&c, args);
    }
    if (bench_wants(argc, argv, "calls")) {
        bench_calls(&c, args);
    }
    if (bench_wants(argc, argv, "sends")) {
        bench_small_sends(&c, args);
    }
    if (bench_wants(argc, argv, "64k")) {
        bench_large_sends(&c, args, 64 << 10, "sends 64 KiB, one way");
    }
    if (bench_wants(argc, argv, "512k")) {
        bench_large_sends(&c, args, 512 << 10, "sends 512 KiB, one way");
    }
    client_stop(&c);
    pn_term_writer_free(&w);
    return 0;
}

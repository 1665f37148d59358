/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory: a node at rest, and the slope over idle authenticated links.
 *
 * The links are real: another process makes a key pair for each, speaks the
 * handshake over loopback TCP, and stays silent.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <peernet/peernet.h>

#include "bench.h"
#include "session/session_internal.h"
#include "trust/trust_list.h"

enum { LINKS = 1000, STEP = 100 };

static void must(int condition, const char *what)
{
    if (!condition) {
        perror(what);
        exit(1);
    }
}

/* Anonymous memory of this process in KiB (RssAnon). */
static long rss_anon_kib(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long kib = -1;

    must(file != NULL, "/proc/self/status");
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "RssAnon: %ld", &kib) == 1) {
            break;
        }
    }
    (void)fclose(file);
    return kib;
}

static void node_turns(pn_node *node, int ms)
{
    uint64_t until = bench_now_ns() + (uint64_t)ms * 1000000;

    while (bench_now_ns() < until) {
        struct pollfd p = {.fd = pn_node_fd(node), .events = POLLIN};

        (void)poll(&p, 1, 5);
        if (pn_node_run(node) != PN_OK) {
            abort();
        }
    }
}

/* ---- the process with the other ends ----------------------------------- */

static bool trust_all(void *user, const pn_public_key *peer)
{
    (void)user;
    (void)peer;
    return true;
}

static void ignore(void *user)
{
    (void)user;
}

static void ignore_open(void *user, const pn_public_key *peer)
{
    (void)user;
    (void)peer;
}

static pn_err env_random(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    return pn_random(buf, len);
}

static const pn_env env = {.random = env_random};
static const pn_session_callbacks callbacks = {
    .is_trusted = trust_all, .on_open = ignore_open, .on_output = ignore};

static void flush(pn_session *s, int fd)
{
    pn_slice out;

    while ((out = pn_session_output(s)).len > 0) {
        ssize_t n = write(fd, out.data, out.len);

        must(n > 0, "write");
        pn_session_written(s, bench_now_ns() / 1000, (size_t)n);
    }
}

/* One handshake over a socket; the socket and the session stay. */
static void link_make(const pn_key_pair *pair, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static pn_session_limits limits;
    pn_session_config config = {.initiator = true,
        .identity = pair,
        .limits = &limits,
        .env = &env,
        .callbacks = &callbacks};
    pn_session *s = NULL;
    uint8_t buf[512];
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    pn_session_limits_default(&limits);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0,
        "connect");
    must(
        pn_session_new(&config, bench_now_ns() / 1000, &s) == PN_OK, "session");
    flush(s, fd);
    while (s->state != PN_SESSION_OPEN) {
        ssize_t n = read(fd, buf, sizeof(buf));
        size_t used = 0;

        must(n > 0, "read");
        must(pn_session_input(s, bench_now_ns() / 1000, buf, (size_t)n, &used)
                 == PN_OK,
            "handshake");
    }
    flush(s, fd);
}

static void peers_main(const pn_key_pair *pairs, uint16_t port, int in, int out)
{
    for (int i = 0; i < LINKS; i++) {
        char go;

        must(read(in, &go, 1) == 1, "go");
        link_make(&pairs[i], port);
        must(write(out, "k", 1) == 1, "done");
    }
    (void)pause();
    _exit(0);
}

/* ---- the node ---------------------------------------------------------- */

static pn_key_pair *make_pairs(const char *dir)
{
    pn_key_pair *pairs = calloc(LINKS, sizeof(*pairs));
    pn_trust_list list = {0};
    pn_buf file = {0};
    char path[96];
    FILE *out;

    must(pairs != NULL, "calloc");
    for (int i = 0; i < LINKS; i++) {
        must(pn_random(pairs[i].secret.bytes, PN_KEY_LEN) == PN_OK
                 && pn_x25519_public(&pairs[i].secret, &pairs[i].public_key)
                        == PN_OK
                 && pn_trust_list_add(&list, &pairs[i].public_key, NULL, i)
                        == PN_OK,
            "pair");
    }
    must(pn_trust_list_write(&list, &file) == PN_OK, "trust list");
    (void)snprintf(path, sizeof(path), "%s/trust.bin", dir);
    out = fopen(path, "w");
    must(out != NULL, "trust.bin");
    (void)fwrite(pn_buf_head(&file), 1, pn_buf_used(&file), out);
    (void)fclose(out);
    pn_buf_fini(&file);
    pn_trust_list_fini(&list);
    return pairs;
}

static pn_node *open_node(const char *dir)
{
    pn_why why = {0};
    pn_node_options opt;
    pn_node *node = NULL;

    pn_node_options_init(&opt);
    opt.data_dir = dir;
    opt.listen_address = "127.0.0.1";
    opt.listen_port = 0;
    opt.linger_ms = 0;
    opt.own_loop = true;
    opt.source_per_second = 1000000;
    opt.source_burst = 1000000;
    must(pn_node_open(&opt, &node, &why) == PN_OK, why.text);
    return node;
}

/* In a process of its own, which has done nothing else. */
static long node_at_rest_kib(void)
{
    char dir[] = "/tmp/peernet-bench-XXXXXX";
    int result[2];
    long kib = 0;
    pid_t child;

    must(mkdtemp(dir) != NULL && pipe(result) == 0, "mkdtemp");
    child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        pn_node *node = open_node(dir);

        node_turns(node, 200);
        kib = rss_anon_kib();
        must(write(result[1], &kib, sizeof(kib)) == sizeof(kib), "write");
        _exit(0);
    }
    must(read(result[0], &kib, sizeof(kib)) == sizeof(kib), "read");
    (void)waitpid(child, NULL, 0);
    return kib;
}

/* Least squares over (links, KiB). */
static double slope(const double *x, const double *y, int n)
{
    double sx = 0;
    double sy = 0;
    double sxx = 0;
    double sxy = 0;

    for (int i = 0; i < n; i++) {
        sx += x[i];
        sy += y[i];
        sxx += x[i] * x[i];
        sxy += x[i] * y[i];
    }
    return (n * sxy - sx * sy) / (n * sxx - sx * sx);
}

static double link_slope_kib(void)
{
    char dir[] = "/tmp/peernet-bench-XXXXXX";
    double x[LINKS / STEP];
    double y[LINKS / STEP];
    pn_key_pair *pairs;
    pn_node *node;
    pid_t child;
    int to[2];
    int from[2];

    must(mkdtemp(dir) != NULL && pipe(to) == 0 && pipe(from) == 0, "mkdtemp");
    pairs = make_pairs(dir);
    node = open_node(dir);
    child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        peers_main(pairs, pn_node_port(node), to[0], from[1]);
    }
    free(pairs);
    for (int i = 0; i < LINKS; i++) {
        struct pollfd p = {.fd = from[0], .events = POLLIN};
        char done;

        must(write(to[1], "g", 1) == 1, "go");
        while (poll(&p, 1, 0) == 0) {
            node_turns(node, 1);
        }
        must(read(from[0], &done, 1) == 1, "done");
        if ((i + 1) % STEP == 0) {
            node_turns(node, 1500); /* nudges and idle buffers are over */
            x[i / STEP] = i + 1;
            y[i / STEP] = (double)rss_anon_kib();
        }
    }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    pn_node_close(node);
    return slope(x, y, LINKS / STEP);
}

int main(void)
{
    struct rlimit files = {.rlim_cur = 4096, .rlim_max = 4096};
    double rest = (double)node_at_rest_kib();
    double link;

    (void)setrlimit(RLIMIT_NOFILE, &files);
    link = link_slope_kib();
    bench_result("node at rest, RssAnon", rest, "KiB", 2048, rest / 2048, 1, 1);
    bench_result("idle authenticated link", link, "KiB", 8, link / 8, 1, 1);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floods at a Barrel node (T2, T3), and their effect on others: the calls of a
 * node that is connected, and the dials of one whose address is known and of
 * one whose address is new. Limits are the defaults. Everything is on loopback;
 * each node has an address of its own there.
 *
 *   load-quic [DIALS]
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ftw.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <peernet/barrel.h>

#include "flood.h"
#include "load.h"

#define SERVER "server@127.0.0.1"
#define KNOWN_HOST 0x7f000003U

enum {
    FLOOD_PER_SECOND = 5000,
    HALF_PER_SECOND = 50,
    FLOOD_MARGIN = 50, /* a fiftieth more is asked for than the bar */
    DIALS = 100,
    NEW_DIALS = 20,
    DIAL_EVERY_US = 250000, /* below the rate of one source */
    IN_TIME_MS = 1000,
    CALLS_MAX = 100000
};

/* ---- nodes ------------------------------------------------------------- */

typedef struct side {
    const char *name;
    char dir[64];
    char keys[80];
    char quic[80];
    pn_ed25519_key key;
    pn_node *node;
    pn_barrel *barrel;
} side;

static void side_init(side *s, const char *name)
{
    pn_barrel_store *store = NULL;

    s->name = name;
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/peernet-load-XXXXXX");
    load_must(mkdtemp(s->dir) != NULL, "a directory");
    (void)snprintf(s->keys, sizeof(s->keys), "%s/keys", s->dir);
    (void)snprintf(s->quic, sizeof(s->quic), "%s/quic", s->dir);
    load_must(
        pn_barrel_store_open(s->keys, &store, NULL, NULL) == PN_OK, "keys");
    s->key = *pn_barrel_store_key(store);
    pn_barrel_store_close(store);
}

static void side_pin(const side *s, const side *other)
{
    pn_barrel_store *store = NULL;

    load_must(pn_barrel_store_open(s->keys, &store, NULL, NULL) == PN_OK
                  && pn_barrel_store_pin(store, other->name, &other->key, NULL)
                         == PN_OK,
        "pins");
    pn_barrel_store_close(store);
}

/* where: of the server; NULL: this is it. */
static void side_open(side *s, const char *host, const char *where)
{
    pn_why why = {0};
    const pn_barrel_address address = {SERVER, where};
    pn_node_options node;
    pn_barrel_options barrel;

    pn_node_options_init(&node);
    node.data_dir = s->dir;
    node.listen_port = PN_PORT_NONE;
    node.watch_network = false;
    load_must(pn_node_open(&node, &s->node, &why) == PN_OK, why.text);
    pn_barrel_options_init(&barrel);
    barrel.name = s->name;
    barrel.cookie = "load";
    barrel.key_dir = s->keys;
    barrel.cert_dir = s->quic;
    barrel.listen_address = host;
    barrel.listen_port = 0;
    barrel.addresses = &address;
    barrel.n_addresses = where == NULL ? 0 : 1;
    load_must(
        pn_barrel_open(s->node, &barrel, &s->barrel, &why) == PN_OK, why.text);
}

static int remove_one(
    const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void side_fini(side *s)
{
    pn_node_close(s->node);
    (void)nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool side_connects(side *s)
{
    pn_why why = {0};
    pn_err err = pn_barrel_connect(s->barrel, SERVER, IN_TIME_MS, &why);

    if (err != PN_OK) {
        (void)fprintf(stderr, "    %s: %s\n", s->name, why.text);
    }
    return err == PN_OK;
}

static void on_echo(pn_request *req, pn_term args, void *user)
{
    (void)user;
    (void)pn_request_reply_term(req, args);
}

static _Noreturn void server_main(side *s, const side *live, int out)
{
    pn_principal who = pn_barrel_principal(&live->key);
    pn_expose_options options;
    uint16_t port;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    side_open(s, "127.0.0.1", NULL);
    pn_expose_options_init(&options);
    options.flags = PN_EXPOSE_INLINE | PN_EXPOSE_CLOSED;
    load_must(pn_expose(s->node, "echo", on_echo, NULL, &options) == PN_OK
                  && pn_grant(s->node, "echo", &who) == PN_OK,
        "a handle");
    port = pn_barrel_port(s->barrel);
    load_must(write(out, &port, sizeof(port)) == sizeof(port), "the port");
    for (;;) {
        (void)pause();
    }
}

/* ---- the rig ----------------------------------------------------------- */

typedef struct rig {
    side server, live, known, fresh;
    char where[32];
    uint16_t port;
    pid_t server_pid;
    pid_t flood_pid;
    int flood_fd;
    atomic_uint *n_flood; /* packets; shared with its process */
    unsigned n_fresh;     /* each from another address */
    pthread_mutex_t lock;
    bool is_over;
    double calls_ms[CALLS_MAX];
    size_t n_calls;
    size_t n_failed;
} rig;

static void fork_server(rig *r)
{
    int out[2] = {-1, -1};

    load_must(pipe(out) == 0, "a pipe");
    r->server_pid = fork();
    load_must(r->server_pid >= 0, "a process");
    if (r->server_pid == 0) {
        server_main(&r->server, &r->live, out[1]);
    }
    load_must(
        read(out[0], &r->port, sizeof(r->port)) == sizeof(r->port), "a server");
    (void)snprintf(r->where, sizeof(r->where), "127.0.0.1:%u", r->port);
}

static void fork_flood(rig *r)
{
    int in[2] = {-1, -1};

    r->n_flood = mmap(NULL, sizeof(*r->n_flood), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    load_must(r->n_flood != MAP_FAILED && pipe(in) == 0, "a pipe");
    r->flood_pid = fork();
    load_must(r->flood_pid >= 0, "a process");
    if (r->flood_pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(in[1]);
        flood_main(in[0], r->n_flood);
    }
    r->flood_fd = in[1];
}

static void rig_init(rig *r)
{
    side_init(&r->server, SERVER);
    side_init(&r->live, "live@127.0.0.2");
    side_init(&r->known, "known@127.0.0.3");
    side_init(&r->fresh, "fresh@127.0.0.4");
    for (side *s = &r->live; s <= &r->fresh; s++) {
        side_pin(&r->server, s);
        side_pin(s, &r->server);
    }
    fork_server(r); /* before there are threads */
    fork_flood(r);
    (void)pthread_mutex_init(&r->lock, NULL);
    side_open(&r->live, "127.0.0.2", r->where);
    side_open(&r->known, "127.0.0.3", r->where);
    load_must(side_connects(&r->live) && side_connects(&r->known),
        "two connected nodes");
}

static void rig_fini(rig *r)
{
    side_fini(&r->live);
    side_fini(&r->known);
    (void)kill(r->server_pid, SIGKILL);
    (void)kill(r->flood_pid, SIGKILL);
    (void)waitpid(r->server_pid, NULL, 0);
    (void)waitpid(r->flood_pid, NULL, 0);
    side_fini(&r->server);
    side_fini(&r->fresh);
}

static double flood_goal(flood_kind kind)
{
    if (kind == FLOOD_NONE) {
        return 0;
    }
    return kind == FLOOD_HALF ? HALF_PER_SECOND : FLOOD_PER_SECOND;
}

/* A process that the machine holds up sends the packets later, which at the
 * end of a measurement is after it: hence the margin. */
static void command(rig *r, flood_kind kind)
{
    uint32_t goal = (uint32_t)flood_goal(kind);
    flood_command c = {.kind = kind,
        .per_second = goal + goal / FLOOD_MARGIN,
        .from = KNOWN_HOST,
        .to_port = r->port};

    load_must(write(r->flood_fd, &c, sizeof(c)) == sizeof(c), "the flood");
}

/* Seconds of CPU time of the server so far. */
static double server_cpu_s(const rig *r)
{
    unsigned long user = 0;
    unsigned long system = 0;
    char path[64];
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)r->server_pid);
    f = fopen(path, "r");
    load_must(f != NULL
                  && fscanf(f,
                         "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                         "%lu %lu",
                         &user, &system)
                         == 2,
        path);
    (void)fclose(f);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* ---- the effect on others ---------------------------------------------- */

static bool is_over(rig *r)
{
    bool yes;

    (void)pthread_mutex_lock(&r->lock);
    yes = r->is_over;
    (void)pthread_mutex_unlock(&r->lock);
    return yes;
}

static void *call_on(void *user)
{
    rig *r = user;
    pn_term_writer w;
    pn_term term;

    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, "{hello, ~i}", 42);
    load_must(pn_term_writer_finish(&w, NULL, &term) == PN_OK, "a term");
    while (!is_over(r) && r->n_calls < CALLS_MAX) {
        uint64_t start_us = load_now_us();
        pn_reply *reply = NULL;
        pn_err err = pn_gen_call(
            r->live.barrel, SERVER, "echo", term, 10000, &reply);

        r->n_failed += err == PN_OK ? 0 : 1;
        r->calls_ms[r->n_calls++] = (double)(load_now_us() - start_us) / 1000;
        pn_reply_free(reply);
        load_sleep_us(2000);
    }
    pn_term_writer_free(&w);
    return NULL;
}

static unsigned dial_known(rig *r, unsigned n)
{
    unsigned n_in = 0;

    for (unsigned i = 0; i < n; i++) {
        uint64_t next_us = load_now_us() + DIAL_EVERY_US;

        (void)!pn_barrel_disconnect(r->known.barrel, SERVER);
        n_in += side_connects(&r->known);
        while (load_now_us() < next_us) {
            load_sleep_us(1000);
        }
    }
    return n_in;
}

static unsigned dial_fresh(rig *r)
{
    unsigned n_in = 0;

    for (unsigned i = 0; i < NEW_DIALS; i++) {
        char host[32];

        r->n_fresh++;
        (void)snprintf(host, sizeof(host), "127.0.%u.%u", 1 + r->n_fresh / 200,
            1 + r->n_fresh % 200);
        side_open(&r->fresh, host, r->where);
        n_in += side_connects(&r->fresh);
        pn_node_close(r->fresh.node);
        r->fresh.node = NULL;
    }
    return n_in;
}

/* The measurements of one flood. */
typedef struct outcome {
    unsigned n_known;
    unsigned n_fresh;
    double flood_per_s;
    double cpu_percent;
} outcome;

static outcome measure(rig *r, unsigned dials)
{
    double cpu_s = server_cpu_s(r);
    unsigned n_flood = *r->n_flood;
    uint64_t start_us = load_now_us();
    outcome o = {0};
    pthread_t thread;
    double s;

    load_must(pthread_create(&thread, NULL, call_on, r) == 0, "a thread");
    o.n_known = dial_known(r, dials);
    o.n_fresh = dial_fresh(r);
    (void)pthread_mutex_lock(&r->lock);
    r->is_over = true;
    (void)pthread_mutex_unlock(&r->lock);
    (void)pthread_join(thread, NULL);
    s = (double)(load_now_us() - start_us) / 1e6;
    o.flood_per_s = (*r->n_flood - n_flood) / s;
    o.cpu_percent = (server_cpu_s(r) - cpu_s) / s * 100;
    return o;
}

static void row(rig *r, const char *name, flood_kind kind, unsigned dials)
{
    outcome o;

    printf("-- %s\n", name);
    r->n_calls = 0;
    r->n_failed = 0;
    r->is_over = false;
    command(r, kind);
    load_sleep_us(1000000); /* it has used up what there was */
    o = measure(r, dials);
    command(r, FLOOD_NONE);
    load_result(
        "packets of the flood", o.flood_per_s, "/s", flood_goal(kind), false);
    load_result(
        "calls of a live link that failed", (double)r->n_failed, "", 0, true);
    load_result("p99 of all of them", load_p99(r->calls_ms, r->n_calls), "ms",
        50, true);
    load_result(
        "dials of a known address in within 1 s", o.n_known, "", dials, false);
    load_result("dials of a new address in within 1 s", o.n_fresh, "",
        NEW_DIALS, false);
    load_result(
        "CPU time of the node, of one core", o.cpu_percent, "%", 50, true);
}

int main(int argc, char **argv)
{
    static rig r;
    unsigned dials = argc > 1 ? (unsigned)atoi(argv[1]) : DIALS;

    rig_init(&r);
    row(&r, "no flood", FLOOD_NONE, dials < 20 ? dials : 20);
    row(&r, "5,000/s ClientHello and close, one address", FLOOD_ONE, dials);
    row(&r, "5,000/s, each from another address", FLOOD_MANY, dials);
    row(&r, "5,000/s, as if from the known address", FLOOD_AS_PEER, dials);
    row(&r, "half handshakes of one proven address, 50/s", FLOOD_HALF, dials);
    rig_fini(&r);
    return load_exit_code();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Barrel link: two processes on loopback, both nodes with a thread of their
 * own and inline handlers. Beside each figure stand the figure of the same
 * nodes over TCP and Noise in the same run, and a ceiling of bare primitives.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <peernet/barrel.h>
#include <peernet/beam_dist.h>

#include "bench.h"
#include "crypto/crypto.h"
#include "keys/ed25519.h"

enum { ROUNDS = 5, DIALLERS = 64, AUTHS = 8, CALLS = 30000, IN_FLIGHT = 64 };

#define SERVER "server@127.0.0.1"
#define CLIENT "client@127.0.0.1"

static void must(int condition, const char *what)
{
    if (!condition) {
        perror(what);
        exit(1);
    }
}

/* ---- the two nodes ---------------------------------------------------- */

typedef struct side {
    char dir[64];
    char keys[80];
    char quic[80];
    pn_ed25519_key key;
    pn_node *node;
    pn_barrel *barrel;
} side;

typedef struct hello {
    pn_public_key key; /* of PeerNet */
    uint16_t tcp;
    uint16_t udp;
} hello;

static void side_init(side *s)
{
    pn_barrel_store *store = NULL;

    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/peernet-bench-XXXXXX");
    must(mkdtemp(s->dir) != NULL, "mkdtemp");
    (void)snprintf(s->keys, sizeof(s->keys), "%s/keys", s->dir);
    (void)snprintf(s->quic, sizeof(s->quic), "%s/quic", s->dir);
    must(pn_barrel_store_open(s->keys, &store, NULL, NULL) == PN_OK, "keys");
    s->key = *pn_barrel_store_key(store);
    pn_barrel_store_close(store);
}

static void side_pin(const side *s, const char *name, const pn_ed25519_key *key)
{
    pn_barrel_store *store = NULL;

    must(pn_barrel_store_open(s->keys, &store, NULL, NULL) == PN_OK
             && pn_barrel_store_pin(store, name, key, NULL) == PN_OK,
        "pin");
    pn_barrel_store_close(store);
}

static void side_open(side *s, const char *name, const pn_barrel_address *where)
{
    pn_why why = {0};
    pn_node_options node;
    pn_barrel_options barrel;

    pn_node_options_init(&node);
    node.data_dir = s->dir;
    node.listen_address = "127.0.0.1";
    node.listen_port = 0;
    node.linger_ms = 0;
    node.watch_network = false;
    /* All authentications come from one source. */
    node.max_strangers = 4 * DIALLERS;
    node.max_strangers_per_source = 4 * DIALLERS;
    node.strangers_per_second = 1000000;
    node.source_per_second = 1000000;
    node.source_burst = 1000000;
    must(pn_node_open(&node, &s->node, &why) == PN_OK, why.text);
    pn_barrel_options_init(&barrel);
    barrel.name = name;
    barrel.cookie = "bench";
    barrel.key_dir = s->keys;
    barrel.cert_dir = s->quic;
    barrel.listen_address = "127.0.0.1";
    barrel.listen_port = 0;
    barrel.addresses = where;
    barrel.n_addresses = where == NULL ? 0 : 1;
    must(pn_barrel_open(s->node, &barrel, &s->barrel, &why) == PN_OK, why.text);
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

static void serve(side *s, const pn_ed25519_key *client)
{
    pn_principal who = pn_barrel_principal(client);
    pn_expose_options options;
    pn_beam_dist *table = NULL;

    pn_expose_options_init(&options);
    options.flags = PN_EXPOSE_INLINE;
    must(pn_expose(s->node, "echo", on_echo, NULL, &options) == PN_OK
             && pn_expose(s->node, "sink", on_sink, NULL, &options) == PN_OK
             && pn_grant(s->node, "echo", &who) == PN_OK
             && pn_grant(s->node, "sink", &who) == PN_OK
             && pn_beam_dist_serve(s->node, NULL, &options, &table) == PN_OK
             && pn_grant(s->node, PN_BEAM_DIST_HANDLE, &who) == PN_OK
             && pn_beam_dist_export(table, ":bench", "echo", 1, on_echo, NULL)
                    == PN_OK
             && pn_beam_dist_grant(table, ":bench", "echo", 1, &who) == PN_OK,
        "expose");
}

static void server_main(
    side *s, const pn_ed25519_key *client, unsigned core, int in, int out)
{
    pn_public_key peer;
    hello h;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_pin(core);
    side_open(s, SERVER, NULL);
    serve(s, client);
    h = (hello){.key = *pn_node_key(s->node),
        .tcp = pn_node_port(s->node),
        .udp = pn_barrel_port(s->barrel)};
    must(write(out, &h, sizeof(h)) == sizeof(h), "hello");
    must(read(in, &peer, sizeof(peer)) == sizeof(peer)
             && pn_pair(s->node, &peer, NULL) == PN_OK
             && write(out, "k", 1) == 1,
        "pair");
    for (;;) {
        (void)pause();
    }
}

typedef struct pair {
    side client;
    side server;
    pn_public_key server_key; /* of PeerNet */
    char udp[32];             /* where the server is */
    pid_t child;
} pair;

static void pair_open(pair *p, unsigned server_core)
{
    pn_barrel_address where = {.name = SERVER};
    char tcp[32];
    int to[2];
    int from[2];
    char ready;
    hello h;

    side_init(&p->client);
    side_init(&p->server);
    side_pin(&p->client, SERVER, &p->server.key);
    side_pin(&p->server, CLIENT, &p->client.key);
    must(pipe(to) == 0 && pipe(from) == 0, "pipe");
    p->child = fork();
    must(p->child >= 0, "fork");
    if (p->child == 0) {
        server_main(&p->server, &p->client.key, server_core, to[0], from[1]);
    }
    must(read(from[0], &h, sizeof(h)) == sizeof(h), "hello");
    (void)snprintf(p->udp, sizeof(p->udp), "127.0.0.1:%u", h.udp);
    (void)snprintf(tcp, sizeof(tcp), "127.0.0.1:%u", h.tcp);
    where.address = p->udp;
    side_open(&p->client, CLIENT, &where);
    must(write(to[1], pn_node_key(p->client.node), sizeof(pn_public_key))
                 == sizeof(pn_public_key)
             && read(from[0], &ready, 1) == 1,
        "ready");
    p->server_key = h.key;
    must(pn_pair_at(p->client.node, &h.key, NULL, tcp) == PN_OK
             && pn_wait_connected(p->client.node, &h.key, 10000, NULL) == PN_OK,
        "pair");
}

static void pair_close(pair *p)
{
    pn_node_close(p->client.node);
    (void)kill(p->child, SIGKILL);
    (void)waitpid(p->child, NULL, 0);
}

/* ---- authentications --------------------------------------------------- */

/* Microseconds of the public-key operations of one authentication: two X25519
 * key pairs and secrets, one P-256 signature and its check, two Ed25519 of
 * either. */
static double bound_us(void)
{
    enum { N = 400 };
    EVP_PKEY *ec = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    EVP_MD_CTX *sign = EVP_MD_CTX_new();
    EVP_MD_CTX *verify = EVP_MD_CTX_new();
    pn_secret_key secret = {{1}};
    pn_public_key public_key;
    pn_ed25519_key signer;
    uint8_t shared[PN_KEY_LEN];
    uint8_t signature[PN_SIGNATURE_LEN];
    uint8_t data[130] = {0};
    uint8_t p256[128];
    uint64_t start = bench_now_ns();

    must(ec != NULL && sign != NULL && verify != NULL, "evp");
    for (int i = 0; i < N; i++) {
        size_t len = sizeof(p256);

        for (int half = 0; half < 2; half++) {
            must(pn_x25519_public(&secret, &public_key) == PN_OK
                     && pn_x25519(&secret, &public_key, shared) == PN_OK
                     && pn_ed25519_public(&secret, &signer) == PN_OK
                     && pn_ed25519_sign(&secret, data, 104, signature) == PN_OK
                     && pn_ed25519_verify(&signer, data, 104, signature)
                            == PN_OK,
                "25519");
        }
        must(
            EVP_DigestSignInit(sign, NULL, EVP_sha256(), NULL, ec) == 1
                && EVP_DigestSign(sign, p256, &len, data, sizeof(data)) == 1
                && EVP_DigestVerifyInit(verify, NULL, EVP_sha256(), NULL, ec)
                       == 1
                && EVP_DigestVerify(verify, p256, len, data, sizeof(data)) == 1,
            "p256");
    }
    EVP_MD_CTX_free(sign);
    EVP_MD_CTX_free(verify);
    EVP_PKEY_free(ec);
    return (double)(bench_now_ns() - start) / 1e3 / N;
}

typedef struct dialler {
    side side;
    pthread_t thread;
} dialler;

static void *dial_and_leave(void *user)
{
    dialler *d = user;
    pn_why why = {0};

    for (int i = 0; i < AUTHS; i++) {
        if (pn_barrel_connect(d->side.barrel, SERVER, 10000, &why) != PN_OK) {
            (void)fprintf(stderr, "connect: %s\n", why.text);
            exit(1);
        }
        (void)!pn_barrel_disconnect(d->side.barrel, SERVER);
    }
    return NULL;
}

static void diallers_open(dialler *diallers, const pair *p)
{
    pn_barrel_address where = {.name = SERVER, .address = p->udp};

    for (int i = 0; i < DIALLERS; i++) {
        side *s = &diallers[i].side;
        char name[32];

        (void)snprintf(name, sizeof(name), "client%d@127.0.0.1", i);
        side_init(s);
        side_pin(s, SERVER, &p->server.key);
        side_pin(&p->server, name, &s->key);
        side_open(s, name, &where);
    }
}

static double auths_per_s(dialler *diallers)
{
    uint64_t start = bench_now_ns();

    for (int i = 0; i < DIALLERS; i++) {
        must(pthread_create(
                 &diallers[i].thread, NULL, dial_and_leave, &diallers[i])
                 == 0,
            "thread");
    }
    for (int i = 0; i < DIALLERS; i++) {
        (void)pthread_join(diallers[i].thread, NULL);
    }
    return DIALLERS * AUTHS / ((double)(bench_now_ns() - start) / 1e9);
}

/* All on one core, which many diallers together keep busy, because a single one
 * waits for acknowledgements most of the time (docs/BARREL-PROTOCOL.md, section
 * 14.1). */
static void bench_auths(void)
{
    static dialler diallers[DIALLERS];
    double ours[ROUNDS];
    double bound[ROUNDS];
    double ratio[ROUNDS];
    pair p;

    pair_open(&p, 0);
    diallers_open(diallers, &p);
    for (int r = 0; r < ROUNDS; r++) {
        ours[r] = auths_per_s(diallers);
        bound[r] = 1e6 / bound_us();
        ratio[r] = ours[r] / bound[r];
    }
    bench_result("authentications, QUIC to distribution",
        bench_median(ours, ROUNDS), "/s", bench_median(bound, ROUNDS),
        bench_median(ratio, ROUNDS), 0.3, 0);
    for (int i = 0; i < DIALLERS; i++) {
        pn_node_close(diallers[i].side.node);
    }
    pair_close(&p);
}

/* ---- calls ------------------------------------------------------------- */

typedef struct caller {
    pair *p;
    int over_tcp;
    pn_term args; /* a list of one */
    unsigned left;
    unsigned done;
    sem_t finished;
} caller;

static void call_again(caller *k);

static void on_reply(void *user, pn_err outcome, pn_term value)
{
    caller *k = user;

    (void)value;
    must(outcome == PN_OK, "reply");
    k->done++;
    if (k->left > 0) {
        call_again(k);
    } else if (k->done == CALLS) {
        (void)sem_post(&k->finished);
    }
}

static void call_again(caller *k)
{
    k->left--;
    if (k->over_tcp) {
        must(pn_call_async(k->p->client.node, &k->p->server_key, "echo", 10000,
                 k->args, on_reply, k)
                 == PN_OK,
            "call");
    } else {
        must(pn_rpc_async(k->p->client.barrel, SERVER, ":bench", "echo",
                 k->args, 10000, on_reply, k)
                 == PN_OK,
            "rpc");
    }
}

static double calls_per_s(pair *p, pn_term args, int over_tcp)
{
    caller k = {.p = p, .over_tcp = over_tcp, .args = args, .left = CALLS};
    uint64_t start = bench_now_ns();

    must(sem_init(&k.finished, 0, 0) == 0, "sem_init");
    for (int i = 0; i < IN_FLIGHT; i++) {
        call_again(&k);
    }
    while (sem_wait(&k.finished) != 0) {}
    (void)sem_destroy(&k.finished);
    return CALLS / ((double)(bench_now_ns() - start) / 1e9);
}

static void binary_list(pn_term_writer *w, size_t len, pn_term *ret)
{
    uint8_t *zeros = calloc(1, len);

    must(zeros != NULL, "calloc");
    pn_term_writer_init(w, len + 64);
    pn_term_write_list_begin(w);
    pn_term_write_binary(w, zeros, len);
    pn_term_write_list_end(w);
    must(pn_term_writer_finish(w, NULL, ret) == PN_OK, "term");
    free(zeros);
}

static void bench_calls(pair *p)
{
    double ours[ROUNDS];
    double tcp[ROUNDS];
    double ratio[ROUNDS];
    pn_term_writer w;
    pn_term args;

    binary_list(&w, 64, &args);
    for (int r = 0; r < ROUNDS; r++) {
        tcp[r] = calls_per_s(p, args, 1);
        ours[r] = calls_per_s(p, args, 0);
        ratio[r] = ours[r] / tcp[r];
    }
    bench_result("rpc 64 B, 64 in flight, beside TCP and Noise",
        bench_median(ours, ROUNDS), "calls/s", bench_median(tcp, ROUNDS),
        bench_median(ratio, ROUNDS), 0.4, 0);
    pn_term_writer_free(&w);
}

/* ---- throughput -------------------------------------------------------- */

enum { LARGE = 512 << 10, N_LARGE = 256 };

/* Sends until all are accepted, then waits for the last with a call. */
static double large_mb_s(pair *p, pn_term args, pn_term small, int over_tcp)
{
    uint64_t start = bench_now_ns();
    int n = 0;

    while (n < N_LARGE) {
        pn_err err =
            over_tcp
                ? pn_send_term(p->client.node, &p->server_key, "sink", args)
                : pn_barrel_send(p->client.barrel, SERVER, "sink", args);

        n += err == PN_OK;
        if (err == PN_BUSY) {
            (void)usleep(50);
        } else {
            must(err == PN_OK, "send");
        }
    }
    for (;;) {
        pn_err err = over_tcp ? pn_call_term(p->client.node, &p->server_key,
                         "sink", 20000, small, NULL)
                              : pn_gen_call(p->client.barrel, SERVER, "sink",
                                  small, 20000, NULL);

        if (err == PN_OK) {
            break;
        }
        must(err == PN_BUSY, "last");
        (void)usleep(50);
    }
    return (double)LARGE * N_LARGE / ((double)(bench_now_ns() - start) / 1e3);
}

/* Bare UDP with GSO on loopback, sender and reader on a core each: Returns MB/s
 * sent; loss does not count, because QUIC would send again. */
static double bare_gso_mb_s(void)
{
    enum { SEGMENT = 1452, SEGMENTS = 44, TOTAL = 256 << 20 };
    static uint8_t buf[SEGMENT * SEGMENTS];
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int segment = SEGMENT;
    int one = 1;
    int from = socket(AF_INET, SOCK_DGRAM, 0);
    int to = socket(AF_INET, SOCK_DGRAM, 0);
    uint64_t start;
    uint64_t ns;
    pid_t child;

    must(from >= 0 && to >= 0
             && bind(from, (struct sockaddr *)&at, sizeof(at)) == 0
             && getsockname(from, (struct sockaddr *)&at, &len) == 0
             && connect(to, (struct sockaddr *)&at, len) == 0,
        "udp");
    must(setsockopt(to, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)) == 0,
        "UDP_SEGMENT");
    (void)setsockopt(from, SOL_UDP, UDP_GRO, &one, sizeof(one));
    child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        static uint8_t in[65536];

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        bench_pin(1);
        while (recv(from, in, sizeof(in), 0) >= 0) {}
        _exit(0);
    }
    start = bench_now_ns();
    for (size_t sent = 0; sent < TOTAL; sent += sizeof(buf)) {
        must(send(to, buf, sizeof(buf), 0) > 0, "send");
    }
    ns = bench_now_ns() - start;
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    (void)close(from);
    (void)close(to);
    return (double)TOTAL / ((double)ns / 1e3);
}

static void bench_large(pair *p)
{
    double ours[ROUNDS];
    double tcp[ROUNDS];
    double bare[ROUNDS];
    double ratio[ROUNDS];
    double ratio_tcp[ROUNDS];
    pn_term_writer w;
    pn_term_writer v;
    pn_term args;
    pn_term small;

    binary_list(&w, LARGE, &args);
    binary_list(&v, 8, &small);
    for (int r = 0; r < ROUNDS; r++) {
        bare[r] = bare_gso_mb_s();
        tcp[r] = large_mb_s(p, args, small, 1);
        ours[r] = large_mb_s(p, args, small, 0);
        ratio[r] = ours[r] / bare[r];
        ratio_tcp[r] = ours[r] / tcp[r];
    }
    bench_result("sends 512 KiB over QUIC, beside TCP and Noise",
        bench_median(ours, ROUNDS), "MB/s", bench_median(tcp, ROUNDS),
        bench_median(ratio_tcp, ROUNDS), 0.2, 0);
    bench_result("the same beside bare UDP with GSO",
        bench_median(ours, ROUNDS), "MB/s", bench_median(bare, ROUNDS),
        bench_median(ratio, ROUNDS), 0.03, 0);
    pn_term_writer_free(&w);
    pn_term_writer_free(&v);
}

/* bench-barrel [ROW...]: auths, rpc, large. */
int main(int argc, char **argv)
{
    pair p;

    bench_pin(0);
    if (bench_wants(argc, argv, "auths")) {
        bench_auths();
    }
    pair_open(&p, 1);
    must(pn_barrel_connect(p.client.barrel, SERVER, 10000, NULL) == PN_OK,
        "connect");
    if (bench_wants(argc, argv, "rpc")) {
        bench_calls(&p);
    }
    if (bench_wants(argc, argv, "large")) {
        bench_large(&p);
    }
    pair_close(&p);
    return 0;
}

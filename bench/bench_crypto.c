/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of sealing, X25519 and a handshake, each beside the cost of
 * OpenSSL's own interface in the same run. Medians of several rounds; pin it to
 * a core (taskset) for steady figures.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "noise/noise.h"

#define N_ROUNDS 31
#define ROUND_NS 5e6

static uint8_t *buf;

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "bench: %s failed\n", what);
        exit(1);
    }
}

/* Processor time, so that of other programs does not count. */
static double now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

typedef struct task {
    void (*run)(void *arg);
    void *arg;
    unsigned n; /* calls a round */
    double rounds[N_ROUNDS];
    double ns; /* of one call: the median round */
} task;

static void warm_up(task *t)
{
    double start = now_ns();

    for (t->n = 0; now_ns() - start < ROUND_NS; t->n++) {
        t->run(t->arg);
    }
}

/* Runs them in turn, so that a slow machine slows all alike. */
static void measure(task *tasks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        warm_up(&tasks[i]);
    }
    for (size_t r = 0; r < N_ROUNDS; r++) {
        for (size_t i = 0; i < n; i++) {
            task *t = &tasks[i];
            double start = now_ns();

            for (unsigned k = 0; k < t->n; k++) {
                t->run(t->arg);
            }
            t->rounds[r] = (now_ns() - start) / t->n;
        }
    }
    for (size_t i = 0; i < n; i++) {
        task *t = &tasks[i];

        qsort(t->rounds, N_ROUNDS, sizeof(t->rounds[0]), compare_double);
        t->ns = t->rounds[N_ROUNDS / 2];
    }
}

/* ---- sealing ------------------------------------------------------------- */

typedef struct seal_bench {
    pn_cipher cipher;
    EVP_CIPHER_CTX *evp;
    uint64_t counter;
    size_t len;
    uint8_t *sealed;
} seal_bench;

static void run_seal(void *arg)
{
    seal_bench *b = arg;

    must(pn_cipher_seal(&b->cipher, NULL, 0, buf, b->len) == PN_OK, "seal");
}

static void run_open(void *arg)
{
    seal_bench *b = arg;
    size_t len;

    /* Opening needs valid bytes each time; the time of the copy is measured and
     * subtracted. */
    memcpy(buf, b->sealed, b->len + PN_TAG_LEN);
    b->cipher.n = 0;
    must(pn_cipher_open(&b->cipher, NULL, 0, buf, b->len + PN_TAG_LEN, &len)
             == PN_OK,
        "open");
}

static void run_copy(void *arg)
{
    seal_bench *b = arg;

    memcpy(buf, b->sealed, b->len + PN_TAG_LEN);
    __asm__ volatile("" ::: "memory");
}

/* The four calls of every example. */
static void run_evp_seal(void *arg)
{
    seal_bench *b = arg;
    uint8_t nonce[12] = {0};
    int n;

    memcpy(nonce + 4, &b->counter, 8);
    b->counter++;
    must(EVP_EncryptInit_ex(b->evp, NULL, NULL, NULL, nonce) == 1
             && EVP_EncryptUpdate(b->evp, buf, &n, buf, (int)b->len) == 1
             && EVP_EncryptFinal_ex(b->evp, buf + b->len, &n) == 1
             && EVP_CIPHER_CTX_ctrl(
                    b->evp, EVP_CTRL_AEAD_GET_TAG, PN_TAG_LEN, buf + b->len)
                    == 1,
        "EVP");
}

/* The operation that `openssl speed` times: one update, no nonce and no tag. */
static void run_evp_update(void *arg)
{
    seal_bench *b = arg;
    int n;

    must(EVP_EncryptUpdate(b->evp, buf, &n, buf, (int)b->len) == 1, "EVP");
}

static void bench_seal(size_t len)
{
    pn_secret_key key = {{1}};
    uint8_t nonce[12] = {0};
    seal_bench b = {.len = len};
    task tasks[] = {{.run = run_seal, .arg = &b}, {.run = run_open, .arg = &b},
        {.run = run_copy, .arg = &b}, {.run = run_evp_seal, .arg = &b},
        {.run = run_evp_update, .arg = &b}};

    b.sealed = calloc(1, len + PN_TAG_LEN);
    b.evp = EVP_CIPHER_CTX_new();
    must(b.sealed != NULL && b.evp != NULL, "memory");
    must(pn_cipher_init(&b.cipher, &key) == PN_OK, "cipher");
    b.cipher.max_message = len + PN_TAG_LEN;
    must(EVP_EncryptInit_ex(
             b.evp, EVP_chacha20_poly1305(), NULL, key.bytes, nonce)
             == 1,
        "EVP");
    must(pn_cipher_seal(&b.cipher, NULL, 0, b.sealed, len) == PN_OK, "seal");
    measure(tasks, sizeof(tasks) / sizeof(tasks[0]));
    printf("%8zu  %10.0f  %10.0f  %10.0f  %10.0f  %9.0f\n", len, tasks[0].ns,
        tasks[1].ns - tasks[2].ns, tasks[3].ns, tasks[4].ns,
        (double)len * 1e3 / tasks[0].ns);
    pn_cipher_fini(&b.cipher);
    EVP_CIPHER_CTX_free(b.evp);
    free(b.sealed);
}

/* ---- X25519 and handshakes ----------------------------------------------- */

static EVP_PKEY_CTX *raw_derivation(void)
{
    EVP_PKEY *own = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    EVP_PKEY *peer = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);

    must(ctx != NULL && EVP_PKEY_derive_init(ctx) == 1
             && EVP_PKEY_derive_set_peer(ctx, peer) == 1,
        "EVP_PKEY");
    EVP_PKEY_free(own);
    EVP_PKEY_free(peer);
    return ctx;
}

static void run_raw_derive(void *arg)
{
    uint8_t shared[PN_KEY_LEN];
    size_t len = sizeof(shared);

    must(EVP_PKEY_derive(arg, shared, &len) == 1, "EVP_PKEY_derive");
}

static pn_key_pair pairs[2];

static void run_x25519(void *arg)
{
    uint8_t shared[PN_KEY_LEN];

    (void)arg;
    must(pn_x25519(&pairs[0].secret, &pairs[1].public_key, shared) == PN_OK,
        "pn_x25519");
}

static void run_x25519_public(void *arg)
{
    pn_public_key key;

    (void)arg;
    must(pn_x25519_public(&pairs[0].secret, &key) == PN_OK, "pn_x25519_public");
}

static void pass(pn_handshake *from, pn_handshake *to)
{
    uint8_t message[128];
    size_t len;

    must(pn_handshake_write(from, NULL, 0, message, sizeof(message), &len)
                 == PN_OK
             && pn_handshake_read(to, message, len, NULL, 0, &len) == PN_OK,
        "handshake");
}

static pn_err draw(void *user, uint8_t *out, size_t len)
{
    (void)user;
    return pn_random(out, len);
}

/* Both sides, from nothing to four keyed ciphers. */
static void run_handshake(void *arg)
{
    static const pn_env env = {.random = draw};
    pn_handshake *h[2];
    pn_cipher c[4];

    (void)arg;
    for (size_t i = 0; i < 2; i++) {
        must(pn_handshake_new(
                 &pn_noise_peernet_0_1, i == 0, &pairs[i], NULL, 0, &env, &h[i])
                 == PN_OK,
            "handshake");
    }
    pass(h[0], h[1]);
    pass(h[1], h[0]);
    pass(h[0], h[1]);
    for (size_t i = 0; i < 2; i++) {
        must(pn_handshake_split(h[i], &c[2 * i], &c[2 * i + 1]) == PN_OK,
            "split");
        pn_handshake_free(h[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        pn_cipher_fini(&c[i]);
    }
}

static void bench_handshake(void)
{
    EVP_PKEY_CTX *raw = raw_derivation();
    task tasks[] = {{.run = run_raw_derive, .arg = raw}, {.run = run_x25519},
        {.run = run_x25519_public}, {.run = run_handshake}};
    double bound;

    measure(tasks, sizeof(tasks) / sizeof(tasks[0]));
    bound = 8 * tasks[0].ns;
    printf("\nX25519             %7.0f/s  %7.1f us; OpenSSL's derivation alone "
           "%.1f us\n",
        1e9 / tasks[1].ns, tasks[1].ns / 1e3, tasks[0].ns / 1e3);
    printf("X25519 public key  %7.0f/s  %7.1f us\n", 1e9 / tasks[2].ns,
        tasks[2].ns / 1e3);
    printf("handshakes         %7.0f/s  %7.1f us, both sides on one core; "
           "bound of 8 derivations %.1f us\n",
        1e9 / tasks[3].ns, tasks[3].ns / 1e3, bound / 1e3);
    printf("handshakes / bound %9.2f  goal >= 0.80\n", bound / tasks[3].ns);
    EVP_PKEY_CTX_free(raw);
}

int main(void)
{
    static const size_t lens[] = {64, 256, 1024, 65536, 524288};

    buf = calloc(1, 524288 + PN_TAG_LEN);
    must(buf != NULL, "memory");
    for (size_t i = 0; i < 2; i++) {
        must(pn_random(pairs[i].secret.bytes, PN_KEY_LEN) == PN_OK
                 && pn_x25519_public(&pairs[i].secret, &pairs[i].public_key)
                        == PN_OK,
            "keys");
    }
    printf("nanoseconds a message; EVP: the usual four calls; update: what "
           "`openssl speed` times\n");
    printf("   bytes        seal        open         EVP      update  seal "
           "MB/s\n");
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        bench_seal(lens[i]);
    }
    bench_handshake();
    free(buf);
    return 0;
}

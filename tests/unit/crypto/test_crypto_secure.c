/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for secrets (T38), its contents in a forked child (T32), and several
 * threads at once. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "harness.h"

static const uint8_t zero[8192];

/* The kernel's flags of the mapping that holds p, as /proc/self/smaps shows
 * them: "lo" locked, "dd" not dumped, "wf" wiped on fork. */
static void flags_of(const void *p, char ret_flags[static 512])
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false;

    assert_non_null(f);
    ret_flags[0] = '\0';
    while (fgets(line, sizeof(line), f) != NULL) {
        unsigned long from;
        unsigned long to;

        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            inside = (uintptr_t)p >= from && (uintptr_t)p < to;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            (void)snprintf(ret_flags, 512, "%s", line + 8);
        }
    }
    (void)fclose(f);
}

/* Sanitizers make mlock do nothing and say it did. */
static bool can_lock(void)
{
    void *p = mmap(
        NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char flags[512];

    assert_true(p != MAP_FAILED);
    (void)mlock(p, 4096);
    flags_of(p, flags);
    (void)munmap(p, 4096);
    return strstr(flags, " lo") != NULL;
}

static const size_t sizes[] = {1, 96, 511, 512, 513, 4096, 5000};

static void test_flags(void **state)
{
    size_t n = *(const size_t *)*state;
    uint8_t *p = pn_secure_alloc(n);
    char flags[512];

    assert_non_null(p);
    assert_memory_equal(p, zero, n);
    flags_of(p, flags);
    assert_non_null(strstr(flags, " dd"));
    assert_non_null(strstr(flags, " wf"));
    if (can_lock()) {
        assert_non_null(strstr(flags, " lo"));
    }
    memset(p, 0xaa, n);
    pn_secure_free(p, n);
}

/* Pieces do not overlap, and one given back comes again empty. */
static void test_pieces(void **state)
{
    uint8_t *pieces[100];
    uint8_t expected[512];

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        pieces[i] = pn_secure_alloc(512);
        assert_non_null(pieces[i]);
        memset(pieces[i], (int)i + 1, 512);
    }
    for (size_t i = 0; i < 100; i += 3) {
        pn_secure_free(pieces[i], 512);
        pieces[i] = NULL;
    }
    for (size_t i = 0; i < 100; i += 3) {
        pieces[i] = pn_secure_alloc(300);
        assert_non_null(pieces[i]);
        assert_memory_equal(pieces[i], zero, 512);
        memset(pieces[i], (int)i + 1, 512);
    }
    for (size_t i = 0; i < 100; i++) {
        memset(expected, (int)i + 1, sizeof(expected));
        assert_memory_equal(pieces[i], expected, sizeof(expected));
        pn_secure_free(pieces[i], 512);
    }
    pn_secure_free(NULL, 512);
}

/* Runs check in a forked child; its answer. */
static int in_child(int (*check)(void *arg), void *arg)
{
    pid_t pid = fork();
    int status = 0;

    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(check(arg));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int child_reads(void *arg)
{
    return memcmp(arg, zero, 512) == 0 ? 0 : 1;
}

static void test_fork_memory(void **state)
{
    uint8_t *p = pn_secure_alloc(512);

    (void)state;
    assert_non_null(p);
    memset(p, 0x77, 512);
    assert_int_equal(in_child(child_reads, p), 0);
    assert_int_equal(p[0], 0x77);
    pn_secure_free(p, 512);
}

static int child_seals(void *arg)
{
    pn_secret_key key = {{3}};
    uint8_t buf[8 + PN_TAG_LEN] = {0};
    pn_aead *own = NULL;

    for (unsigned i = 0; i < 2; i++) {
        if (pn_aead_seal(arg, 1, NULL, 0, buf, 8, buf) != PN_STATE) {
            return 1;
        }
        /* A key of its own is a new beginning, and not for the old one. */
        if (pn_aead_new(&key, &own) != PN_OK
            || pn_aead_seal(own, 1, NULL, 0, buf, 8, buf) != PN_OK) {
            return 2;
        }
        pn_aead_free(own);
    }
    return 0;
}

static void test_fork_seal(void **state)
{
    pn_secret_key key = {{9}};
    uint8_t buf[8 + PN_TAG_LEN] = {0};
    pn_aead *aead;

    (void)state;
    assert_int_equal(pn_aead_new(&key, &aead), PN_OK);
    assert_int_equal(pn_aead_seal(aead, 0, NULL, 0, buf, 8, buf), PN_OK);
    assert_int_equal(in_child(child_seals, aead), 0);
    assert_int_equal(pn_aead_seal(aead, 1, NULL, 0, buf, 8, buf), PN_OK);
    pn_aead_free(aead);
}

/* ---- threads ------------------------------------------------------------- */

#define N_THREADS 4

static void *work(void *arg)
{
    uint8_t *ret_digest = arg;
    pn_secret_key secret = {{5}};
    pn_public_key public_key;
    uint8_t buf[64 + PN_TAG_LEN] = {0};
    bool ok = true;

    for (unsigned i = 0; i < 40; i++) {
        uint8_t *p = pn_secure_alloc(64);
        pn_aead *aead = NULL;

        ok = ok && p != NULL && pn_x25519_public(&secret, &public_key) == PN_OK
             && pn_x25519(&secret, &public_key, secret.bytes) == PN_OK
             && pn_aead_new(&secret, &aead) == PN_OK
             && pn_aead_seal(aead, i, NULL, 0, buf, 64, buf) == PN_OK
             && pn_sha256(ret_digest, ret_digest, PN_HASH_LEN, buf, sizeof(buf))
                    == PN_OK;
        pn_aead_free(aead);
        pn_secure_free(p, 64);
    }
    return ok ? arg : NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[N_THREADS];
    uint8_t digests[N_THREADS][PN_HASH_LEN] = {{0}};

    (void)state;
    for (size_t i = 0; i < N_THREADS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, work, digests[i]), 0);
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        void *result = NULL;

        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
        assert_memory_equal(digests[i], digests[0], PN_HASH_LEN);
    }
}

int main(void)
{
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        pn_test_addf(test_flags, (void *)(uintptr_t)&sizes[i],
            "crypto/secure/flags/%zu_bytes", sizes[i]);
    }
    pn_test_add("crypto/secure/pieces", test_pieces, NULL);
    pn_test_add("crypto/secure/zero_in_a_child", test_fork_memory, NULL);
    pn_test_add("crypto/aead/child_cannot_seal", test_fork_seal, NULL);
    pn_test_add("crypto/threads", test_threads, NULL);
    return pn_test_run("crypto/secure");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handshake and its first messages while memory runs out: the first, second,
 * ... allocation fails, ours and OpenSSL's alike, until all of it passes. Each
 * failure is an error of ours and never the peer's, and nothing leaks.
 */
#include <openssl/crypto.h>

#include "noise_pair.h"

static long countdown; /* allocations until the one that fails; < 0: none */

static bool fails_now(void)
{
    if (countdown < 0) {
        return false;
    }
    return countdown-- == 0;
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
    return fails_now() ? NULL : __real_calloc(n, size);
}

static void *openssl_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return n == 0 || fails_now() ? NULL : malloc(n);
}

static void *openssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return fails_now() ? NULL : realloc(p, n);
}

static void openssl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

static pn_err pass(noise_end *from, noise_end *to)
{
    uint8_t message[128];
    size_t len;
    pn_err err = pn_handshake_write(
        from->handshake, NULL, 0, message, sizeof(message), &len);

    if (err != PN_OK) {
        return err;
    }
    return pn_handshake_read(to->handshake, message, len, NULL, 0, &len);
}

static pn_err start(noise_end *end, bool initiator)
{
    static const pn_env env = {.random = noise_draw};

    return pn_handshake_new(&pn_noise_peernet_0_1, initiator, &end->identity,
        NULL, 0, &env, &end->handshake);
}

static pn_err finish(noise_end *end)
{
    return pn_handshake_split(end->handshake, &end->send, &end->receive);
}

static pn_err talk(noise_end *from, noise_end *to)
{
    uint8_t buf[5 + PN_TAG_LEN] = "hello";
    size_t len;
    pn_err err = pn_cipher_seal(&from->send, NULL, 0, buf, 5);

    return err != PN_OK
               ? err
               : pn_cipher_open(&to->receive, NULL, 0, buf, sizeof(buf), &len);
}

static pn_err scenario(noise_pair *p)
{
    pn_err err = start(&p->initiator, true);

    err = err != PN_OK ? err : start(&p->responder, false);
    err = err != PN_OK ? err : pass(&p->initiator, &p->responder);
    err = err != PN_OK ? err : pass(&p->responder, &p->initiator);
    err = err != PN_OK ? err : pass(&p->initiator, &p->responder);
    err = err != PN_OK ? err : finish(&p->initiator);
    err = err != PN_OK ? err : finish(&p->responder);
    err = err != PN_OK ? err : talk(&p->initiator, &p->responder);
    return err != PN_OK ? err : talk(&p->responder, &p->initiator);
}

static void prepare(noise_pair *p)
{
    uint8_t secret[2][PN_KEY_LEN];

    memset(secret[0], 1, PN_KEY_LEN);
    memset(secret[1], 2, PN_KEY_LEN);
    noise_end_init(&p->initiator, secret[0], secret[0]);
    noise_end_init(&p->responder, secret[1], secret[1]);
}

static void test_every_allocation(void **state)
{
    noise_pair p;
    long n;

    (void)state;
    prepare(&p); /* also sets OpenSSL up, which is not ours to test */
    assert_int_equal(scenario(&p), PN_OK);
    noise_pair_fini(&p);
    for (n = 0; n < 2000; n++) {
        pn_err err;

        prepare(&p);
        countdown = n;
        err = scenario(&p);
        noise_pair_fini(&p);
        if (countdown >= 0) {
            countdown = -1;
            assert_int_equal(err, PN_OK);
            break;
        }
        countdown = -1;
        if (err != PN_OK && err != PN_NOMEM && err != PN_SYS) {
            fail_msg("allocation %ld: %s", n, pn_err_name(err));
        }
    }
    print_message("# %ld allocations\n", n);
    assert_in_range(n, 50, 1999);
}

int main(void)
{
    countdown = -1;
    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free)
        != 1) {
        return 99;
    }
    pn_test_add("noise/memory/every_allocation", test_every_allocation, NULL);
    return pn_test_run("noise/memory");
}

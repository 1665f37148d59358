/* SPDX-License-Identifier: Apache-2.0 */
/* Envelopes as bytes: what is written, and that it reads back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "wire/envelope.h"

static pn_slice slice(const char *text)
{
    return (pn_slice){(const uint8_t *)text, strlen(text)};
}

static void assert_hex(const pn_buf *b, const char *hex)
{
    size_t len;
    uint8_t *want = pn_unhex(hex, &len);

    pn_assert_bytes(b->data + b->off, pn_buf_used(b), want, len);
    free(want);
}

/* ---- heads ------------------------------------------------------------- */

static const struct {
    uint64_t id;
    const char *hex;
} ids[] = {
    {1, "6101"},
    {255, "61ff"},
    {256, "6200000100"},
    {65536, "6200010000"},
    {INT32_MAX, "627fffffff"},
    {UINT64_C(1) << 31, "6e040000000080"},
    {UINT32_MAX, "6e0400ffffffff"},
    {UINT64_C(1) << 32, "6e05000000000001"},
    {INT64_MAX, "6e0800ffffffffffffff7f"},
    {UINT64_C(1) << 63, "6e08000000000000000080"},
    {UINT64_MAX, "6e0800ffffffffffffffff"},
};

static void test_call_head(void **state)
{
    size_t i = *(const size_t *)*state;
    char hex[256];
    pn_envelope e;
    pn_buf b = {0};

    assert_int_equal(
        pn_envelope_head_call(&b, ids[i].id, slice("echo")), PN_OK);
    (void)snprintf(
        hex, sizeof(hex), "836804770463616c6c%s77046563686f", ids[i].hex);
    assert_hex(&b, hex);
    assert_int_equal(pn_buf_append(&b, "\x6a", 1), PN_OK);
    assert_int_equal(
        pn_envelope_read(pn_buf_head(&b), pn_buf_used(&b), NULL, &e, NULL),
        PN_OK);
    assert_int_equal(e.type, PN_ENVELOPE_CALL);
    assert_true(e.id == ids[i].id);
    assert_int_equal(e.handle.len, 4);
    assert_memory_equal(e.handle.data, "echo", 4);
    assert_int_equal(e.args.len, 1);
    assert_int_equal(e.args.data[0], 0x6a);
    pn_buf_fini(&b);
}

static void test_reply_head(void **state)
{
    size_t i = *(const size_t *)*state;

    for (int is_ok = 0; is_ok < 2; is_ok++) {
        char hex[256];
        pn_envelope e;
        pn_buf b = {0};

        assert_int_equal(
            pn_envelope_head_reply(&b, ids[i].id, is_ok != 0), PN_OK);
        (void)snprintf(hex, sizeof(hex), "83680377057265706c79%s6802%s",
            ids[i].hex, is_ok ? "77026f6b" : "77056572726f72");
        assert_hex(&b, hex);
        assert_int_equal(pn_buf_append(&b, "\x61\x07", 2), PN_OK);
        assert_int_equal(
            pn_envelope_read(pn_buf_head(&b), pn_buf_used(&b), NULL, &e, NULL),
            PN_OK);
        assert_int_equal(e.type, PN_ENVELOPE_REPLY);
        assert_true(e.id == ids[i].id);
        assert_int_equal(e.is_ok, is_ok);
        assert_int_equal(e.value.len, 2);
        pn_buf_fini(&b);
    }
}

static void test_send_head(void **state)
{
    pn_envelope e;
    pn_buf b = {0};

    (void)state;
    assert_int_equal(pn_envelope_head_send(&b, slice("chat")), PN_OK);
    assert_hex(&b, "836803770473656e64770463686174");
    assert_int_equal(pn_buf_append(&b, "\x68\x00", 2), PN_OK);
    assert_int_equal(
        pn_envelope_read(pn_buf_head(&b), pn_buf_used(&b), NULL, &e, NULL),
        PN_OK);
    assert_int_equal(e.type, PN_ENVELOPE_SEND);
    assert_int_equal(e.args.len, 2);
    pn_buf_fini(&b);
}

static void test_ping_pong(void **state)
{
    pn_envelope e;
    pn_buf b = {0};

    (void)state;
    assert_int_equal(
        pn_envelope_write_ping(&b, PN_ENVELOPE_PING, slice("abc")), PN_OK);
    assert_hex(&b, "836802770470696e676d00000003616263");
    pn_buf_consume(&b, SIZE_MAX);
    assert_int_equal(
        pn_envelope_write_ping(&b, PN_ENVELOPE_PONG, slice("abc")), PN_OK);
    assert_hex(&b, "8368027704706f6e676d00000003616263");
    assert_int_equal(
        pn_envelope_read(pn_buf_head(&b), pn_buf_used(&b), NULL, &e, NULL),
        PN_OK);
    assert_int_equal(e.type, PN_ENVELOPE_PONG);
    assert_int_equal(e.nonce.len, 3);
    assert_memory_equal(e.nonce.data, "abc", 3);
    pn_buf_consume(&b, SIZE_MAX);
    assert_int_equal(
        pn_envelope_write_ping(&b, PN_ENVELOPE_PING, (pn_slice){NULL, 0}),
        PN_OK);
    assert_hex(&b, "836802770470696e676d00000000");
    pn_buf_fini(&b);
}

/* ---- handles ----------------------------------------------------------- */

static char *repeat(const char *text, size_t n)
{
    size_t len = strlen(text);
    char *all = malloc(n * len + 1);

    if (all == NULL) {
        abort();
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(all + i * len, text, len);
    }
    all[n * len] = '\0';
    return all;
}

/* An atom is at most 255 characters, of one to four bytes each. */
static void test_handle_length(void **state)
{
    static const char *const letters[] = {
        "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

    (void)state;
    for (size_t l = 0; l < 4; l++) {
        for (size_t n = 254; n <= 256; n++) {
            char *name = repeat(letters[l], n);
            pn_buf b = {0};
            pn_envelope e;

            assert_int_equal(pn_envelope_head_call(&b, 1, slice(name)),
                n <= 255 ? PN_OK : PN_INVALID);
            assert_int_equal(pn_buf_used(&b) == 0, n > 255);
            if (n <= 255) {
                assert_int_equal(pn_buf_append(&b, "\x6a", 1), PN_OK);
                assert_int_equal(pn_envelope_read(pn_buf_head(&b),
                                     pn_buf_used(&b), NULL, &e, NULL),
                    PN_OK);
                assert_int_equal(e.handle.len, strlen(name));
                assert_memory_equal(e.handle.data, name, e.handle.len);
            }
            pn_buf_fini(&b);
            free(name);
        }
    }
}

static void test_bad_handles(void **state)
{
    static const char *const bad[] = {"\xff", "a\xc3", "\xc0\x80",
        "\xed\xa0\x80", "\xf4\x90\x80\x80", "ok\x80"};
    pn_buf b = {0};

    (void)state;
    assert_int_equal(pn_buf_append(&b, "keep", 4), PN_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(
            pn_envelope_head_call(&b, 1, slice(bad[i])), PN_INVALID);
        assert_int_equal(pn_envelope_head_send(&b, slice(bad[i])), PN_INVALID);
    }
    assert_int_equal(pn_envelope_head_call(&b, 0, slice("x")), PN_INVALID);
    assert_int_equal(pn_envelope_head_reply(&b, 0, true), PN_INVALID);
    assert_int_equal(pn_buf_used(&b), 4);
    pn_buf_fini(&b);
}

/* Letters above 127 of a Latin-1 atom come out in UTF-8, beside the input. */
static void test_latin1_handle(void **state)
{
    static const uint8_t plain[] =
        "\x83\x68\x03\x77\x04send\x64\x00\x03g\xe9\xff\x6a";
    pn_envelope e;

    (void)state;
    assert_int_equal(
        pn_envelope_read(plain, sizeof(plain) - 1, NULL, &e, NULL), PN_OK);
    assert_int_equal(e.handle.len, 5);
    assert_memory_equal(e.handle.data, "g\xc3\xa9\xc3\xbf", 5);
    assert_ptr_equal(e.handle.data, e.latin1);
    assert_int_equal(e.args.len, 1);
}

/* ---- reading ----------------------------------------------------------- */

/* ret_shape tells a bad term from a bad envelope, and may be left out. */
static void test_shape_flag(void **state)
{
    bool is_shape = false;
    pn_envelope e;

    (void)state;
    assert_int_equal(
        pn_envelope_read((const uint8_t *)"\x83\x6a", 2, NULL, &e, &is_shape),
        PN_MALFORMED);
    assert_true(is_shape);
    assert_int_equal(
        pn_envelope_read((const uint8_t *)"\x83\x6b", 2, NULL, &e, &is_shape),
        PN_MALFORMED);
    assert_false(is_shape);
    assert_int_equal(
        pn_envelope_read((const uint8_t *)"", 0, NULL, &e, &is_shape),
        PN_MALFORMED);
    assert_false(is_shape);
    assert_int_equal(
        pn_envelope_read((const uint8_t *)"\x83\x6a", 2, NULL, &e, NULL),
        PN_MALFORMED);
}

/* Limits are the caller's. */
static void test_limits(void **state)
{
    static const uint8_t plain[] =
        "\x83\x68\x03\x77\x04send\x77\x01x\x68\x01\x68\x01\x68\x00";
    pn_term_limits limits;
    pn_envelope e;

    (void)state;
    pn_term_limits_init(&limits);
    for (uint32_t depth = 1; depth <= 5; depth++) {
        limits.max_depth = depth;
        assert_int_equal(
            pn_envelope_read(plain, sizeof(plain) - 1, &limits, &e, NULL),
            depth < 3 ? PN_LIMIT : PN_OK); /* an empty tuple is not deep */
    }
    limits.max_depth = 0;
    for (uint32_t over = 0; over <= 2; over++) {
        limits.max_bytes = (uint32_t)sizeof(plain) - 2 + over;
        assert_int_equal(
            pn_envelope_read(plain, sizeof(plain) - 1, &limits, &e, NULL),
            over < 1 ? PN_LIMIT : PN_OK);
    }
}

/* No prefix of an envelope is one, nor is an envelope with a byte behind. */
static void test_prefixes(void **state)
{
    static const char *const good[] = {
        "836804770463616c6c6e0800ffffffffffffffff77046563686f6d000000026869",
        "836803770473656e6477046563686f6c0000000161016a",
        "83680377057265706c796107680277026f6b6b00026869",
        "836802770470696e676d000000026869",
        "8368027704706f6e676d000000026869",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        size_t len;
        uint8_t *plain = pn_unhex(good[i], &len);
        pn_envelope e;

        assert_int_equal(pn_envelope_read(plain, len, NULL, &e, NULL), PN_OK);
        for (size_t n = 0; n < len; n++) {
            uint8_t *cut = malloc(n == 0 ? 1 : n);

            memcpy(cut, plain, n);
            assert_int_not_equal(
                pn_envelope_read(cut, n, NULL, &e, NULL), PN_OK);
            free(cut);
        }
        plain = realloc(plain, len + 1);
        plain[len] = 0;
        assert_int_not_equal(
            pn_envelope_read(plain, len + 1, NULL, &e, NULL), PN_OK);
        free(plain);
    }
}

int main(void)
{
    static size_t index[sizeof(ids) / sizeof(ids[0])];

    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        index[i] = i;
        pn_test_addf(test_call_head, &index[i], "wire/envelope/call_head/%s",
            ids[i].hex);
        pn_test_addf(test_reply_head, &index[i], "wire/envelope/reply_head/%s",
            ids[i].hex);
    }
    pn_test_add("wire/envelope/send_head", test_send_head, NULL);
    pn_test_add("wire/envelope/ping_pong", test_ping_pong, NULL);
    pn_test_add("wire/envelope/handle_length", test_handle_length, NULL);
    pn_test_add("wire/envelope/bad_handles", test_bad_handles, NULL);
    pn_test_add("wire/envelope/latin1_handle", test_latin1_handle, NULL);
    pn_test_add("wire/envelope/shape_flag", test_shape_flag, NULL);
    pn_test_add("wire/envelope/limits", test_limits, NULL);
    pn_test_add("wire/envelope/prefixes", test_prefixes, NULL);
    return pn_test_run("wire/envelope");
}

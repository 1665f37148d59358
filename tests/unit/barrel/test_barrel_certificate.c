/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate's two files: made, kept, refused, rotated. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gnutls/gnutls.h>

#include "crypto/crypto.h"
#include "harness.h"
#include "made_certificate.h"
#include "quic/quic_internal.h"
#include "tempdir.h"

#define NOW_S INT64_C(1790000000)
#define YEAR_S (INT64_C(365) * 24 * 3600)

static pn_err open_in(
    const pn_tempdir *t, pn_certificate **ret_certificate, pn_why *why)
{
    return pn_certificate_open(t->path, NOW_S, ret_certificate, why);
}

/* The hash of the present certificate, which must open. */
static void hash_in(const pn_tempdir *t, uint8_t ret_hash[32])
{
    pn_certificate *c = NULL;
    pn_why why;

    assert_int_equal(open_in(t, &c, &why), PN_OK);
    assert_string_equal(why.text, "");
    memcpy(ret_hash, c->hash, 32);
    pn_certificate_free(c);
}

/* Refused with this error, and the sentence names the file; nothing is
 * changed. */
static void assert_refused(const pn_tempdir *t, pn_err err, const char *file)
{
    pn_certificate *c = NULL;
    pn_why why;
    unsigned n = pn_tempdir_count(t);

    assert_int_equal(open_in(t, &c, &why), err);
    assert_null(c);
    assert_non_null(strstr(why.text, file));
    assert_int_equal(pn_tempdir_count(t), n);
}

static void copy_file(
    const pn_tempdir *from, const char *name, const pn_tempdir *to)
{
    size_t len;
    uint8_t *data = pn_tempdir_get(from, name, &len);

    assert_non_null(data);
    pn_tempdir_put(to, name, data, len);
    free(data);
}

/* Twice the same file, one behind the other. */
static void double_file(const pn_tempdir *t, const char *name)
{
    size_t len;
    uint8_t *data = pn_tempdir_get(t, name, &len);
    uint8_t *twice = malloc(2 * len);

    assert_non_null(data);
    assert_non_null(twice);
    memcpy(twice, data, len);
    memcpy(twice + len, data, len);
    pn_tempdir_put(t, name, twice, 2 * len);
    free(twice);
    free(data);
}

static void remove_file(const pn_tempdir *t, const char *name)
{
    assert_int_equal(unlink(pn_tempdir_path(t, name)), 0);
}

/* Another program, which takes no lock, writes this file first; NULL: none. */
static const pn_tempdir *raced;
static const char *raced_file;

pn_err __real_pn_file_create(int dir_fd, const char *name, const uint8_t *data,
    size_t len, int *ret_errno);
pn_err __wrap_pn_file_create(int dir_fd, const char *name, const uint8_t *data,
    size_t len, int *ret_errno);
pn_err __wrap_pn_file_create(int dir_fd, const char *name, const uint8_t *data,
    size_t len, int *ret_errno)
{
    if (raced != NULL && strcmp(name, raced_file) == 0) {
        pn_tempdir_put(raced, name, "theirs", 6);
    }
    return __real_pn_file_create(dir_fd, name, data, len, ret_errno);
}

/* ---- made and kept ---------------------------------------------------- */

static void test_made_on_first_use(void **state)
{
    pn_tempdir t;
    pn_certificate *c = NULL;
    pn_why why;
    uint8_t again[32];

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(open_in(&t, &c, &why), PN_OK);
    assert_int_equal(c->expires_s, NOW_S + YEAR_S);
    assert_int_equal(pn_tempdir_mode(&t, "node.crt"), 0600);
    assert_int_equal(pn_tempdir_mode(&t, "node.key"), 0600);
    hash_in(&t, again);
    assert_memory_equal(again, c->hash, 32);
    pn_certificate_free(c);
    pn_tempdir_fini(&t);
}

/* A key of ours does not stay behind beside a certificate that another program
 * wrote meanwhile: it would not fit. */
static void test_other_writer(void **state)
{
    static const char *const files[] = {"node.key", "node.crt"};
    pn_certificate *c = NULL;
    pn_why why;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        pn_tempdir t;
        uint8_t *theirs;
        size_t len;

        pn_tempdir_init(&t);
        raced = &t;
        raced_file = files[i];
        assert_int_equal(open_in(&t, &c, &why), PN_EXISTS);
        raced = NULL;
        assert_null(c);
        assert_null(pn_tempdir_get(&t, files[1 - i], &len));
        theirs = pn_tempdir_get(&t, files[i], &len);
        pn_assert_bytes(theirs, len, (const uint8_t *)"theirs", 6);
        free(theirs);
        pn_tempdir_fini(&t);
    }
}

static void test_directory_is_made(void **state)
{
    pn_tempdir t;
    pn_certificate *c = NULL;
    pn_why why;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(
        pn_certificate_open(pn_tempdir_path(&t, "data/quic"), NOW_S, &c, &why),
        PN_OK);
    assert_int_equal(pn_tempdir_mode(&t, "data/quic"), 0700);
    pn_certificate_free(c);
    pn_tempdir_fini(&t);
}

static void test_each_is_another(void **state)
{
    pn_certificate *a = NULL;
    pn_certificate *b = NULL;

    (void)state;
    assert_int_equal(pn_test_certificate(NOW_S, &a), PN_OK);
    assert_int_equal(pn_test_certificate(NOW_S, &b), PN_OK);
    assert_memory_not_equal(a->hash, b->hash, 32);
    pn_certificate_free(a);
    pn_certificate_free(b);
    pn_certificate_free(NULL);
}

/* The last year that a time_t of 32 bits has all of: the end is not before the
 * beginning. */
static void test_ends_after_it_begins(void **state)
{
    const int64_t made_s = INT32_MAX - YEAR_S / 2;
    pn_certificate *c = NULL;

    (void)state;
    assert_int_equal(pn_test_certificate(made_s, &c), PN_OK);
    assert_true(c->expires_s > made_s);
    pn_certificate_free(c);
}

/* The hash is that of openssl's own reading of the file. */
static void test_hash_is_of_the_der(void **state)
{
    pn_tempdir t;
    uint8_t hash[32];
    char command[1024];
    char line[256] = "";
    char want[128] = "sha256 Fingerprint=";
    FILE *f;

    (void)state;
    pn_tempdir_init(&t);
    hash_in(&t, hash);
    (void)snprintf(command, sizeof(command),
        "openssl x509 -in %s -noout -fingerprint -sha256 2>/dev/null",
        pn_tempdir_path(&t, "node.crt"));
    f = popen(command, "r"); /* NOLINT(cert-env33-c): our own text */
    if (f == NULL || fgets(line, sizeof(line), f) == NULL) {
        if (f != NULL) {
            (void)pclose(f);
        }
        pn_tempdir_fini(&t);
        pn_test_skip("no openssl here");
    }
    (void)pclose(f);
    for (size_t i = 0; i < sizeof(hash); i++) {
        size_t used = strlen(want);

        (void)snprintf(want + used, sizeof(want) - used, "%s%02X",
            i > 0 ? ":" : "", hash[i]);
    }
    line[strcspn(line, "\n")] = '\0';
    assert_string_equal(line, want);
    pn_tempdir_fini(&t);
}

/* ---- refused ---------------------------------------------------------- */

static void test_half_is_missing(void **state)
{
    const char *const name = *state;
    pn_tempdir t;
    uint8_t hash[32];

    pn_tempdir_init(&t);
    hash_in(&t, hash);
    remove_file(&t, name);
    assert_refused(&t, PN_NOT_FOUND, name);
    assert_int_equal(pn_tempdir_mode(&t, name), -1);
    pn_tempdir_fini(&t);
}

static void test_pair_does_not_match(void **state)
{
    pn_tempdir a;
    pn_tempdir b;
    uint8_t hash[32];

    (void)state;
    pn_tempdir_init(&a);
    pn_tempdir_init(&b);
    hash_in(&a, hash);
    hash_in(&b, hash);
    copy_file(&a, "node.key", &b);
    assert_refused(&b, PN_CORRUPT, "node.key");
    pn_tempdir_fini(&a);
    pn_tempdir_fini(&b);
}

static void test_two_of_them(void **state)
{
    const char *const name = *state;
    pn_tempdir t;
    uint8_t hash[32];

    pn_tempdir_init(&t);
    hash_in(&t, hash);
    double_file(&t, name);
    assert_refused(&t, PN_CORRUPT, name);
    pn_tempdir_fini(&t);
}

static void test_no_pem(void **state)
{
    const char *const name = *state;
    static const char *const texts[] = {"", "x", "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"};
    pn_tempdir t;
    uint8_t hash[32];

    pn_tempdir_init(&t);
    hash_in(&t, hash);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        pn_tempdir_put(&t, name, texts[i], strlen(texts[i]));
        assert_refused(&t, PN_CORRUPT, name);
    }
    pn_tempdir_fini(&t);
}

/* Cut anywhere, both are refused. */
static void test_every_prefix(void **state)
{
    const char *const name = *state;
    pn_tempdir t;
    pn_certificate *c = NULL;
    pn_why why;
    uint8_t hash[32];
    size_t len;
    uint8_t *data;

    pn_tempdir_init(&t);
    hash_in(&t, hash);
    data = pn_tempdir_get(&t, name, &len);
    assert_non_null(data);
    len -= strlen("-----END ");
    /* GnuTLS asks no more of the last line than its beginning. */
    while (len > 0 && strncmp((char *)data + len, "-----END ", 9) != 0) {
        len--;
    }
    assert_true(len > 100);
    for (size_t n = 0; n <= len; n++) {
        pn_tempdir_put(&t, name, data, n);
        assert_int_equal(open_in(&t, &c, &why), PN_CORRUPT);
    }
    free(data);
    pn_tempdir_fini(&t);
}

static void test_key_others_may_read(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0644, 0660, 0601};
    pn_tempdir t;
    uint8_t hash[32];

    (void)state;
    pn_tempdir_init(&t);
    hash_in(&t, hash);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        assert_int_equal(chmod(pn_tempdir_path(&t, "node.key"), modes[i]), 0);
        assert_refused(&t, PN_PERMISSION, "node.key");
        assert_int_equal(pn_tempdir_mode(&t, "node.key"), modes[i]);
    }
    assert_int_equal(chmod(pn_tempdir_path(&t, "node.key"), 0600), 0);
    hash_in(&t, hash);
    pn_tempdir_fini(&t);
}

/* The modes are those of upstream. */
static void test_certificate_others_may_read(void **state)
{
    pn_tempdir t;
    uint8_t hash[32];
    uint8_t again[32];

    (void)state;
    pn_tempdir_init(&t);
    hash_in(&t, hash);
    assert_int_equal(chmod(pn_tempdir_path(&t, "node.crt"), 0644), 0);
    hash_in(&t, again);
    assert_memory_equal(hash, again, 32);
    pn_tempdir_fini(&t);
}

static void make_link(const pn_tempdir *t, const char *name)
{
    assert_int_equal(renameat(t->fd, name, t->fd, "elsewhere"), 0);
    assert_int_equal(symlinkat("elsewhere", t->fd, name), 0);
}

static void test_link_for_the_certificate(void **state)
{
    pn_tempdir t;
    uint8_t hash[32];

    (void)state;
    pn_tempdir_init(&t);
    hash_in(&t, hash);
    make_link(&t, "node.crt");
    assert_refused(&t, PN_PERMISSION, "node.crt");
    pn_tempdir_fini(&t);
}

/* A key that is mounted is used as it is, and changed where it comes from. */
static void test_link_for_the_key(void **state)
{
    pn_why error;
    char *backup = NULL;
    pn_tempdir t;
    uint8_t hash[32];
    uint8_t again[32];

    (void)state;
    pn_tempdir_init(&t);
    hash_in(&t, hash);
    make_link(&t, "node.key");
    assert_int_equal(fchmodat(t.fd, "elsewhere", 0440, 0), 0);
    hash_in(&t, again);
    assert_memory_equal(hash, again, 32);
    assert_int_equal(pn_tempdir_mode(&t, "elsewhere"), 0440);
    assert_int_equal(
        pn_certificate_rotate(t.path, NOW_S * 1000000, &backup, &error),
        PN_PERMISSION);
    assert_non_null(strstr(error.text, "node.key: is a symbolic link"));
    hash_in(&t, again);
    assert_memory_equal(hash, again, 32);
    assert_int_equal(fchmodat(t.fd, "elsewhere", 0444, 0), 0);
    assert_refused(&t, PN_PERMISSION, "node.key");
    pn_tempdir_fini(&t);
}

static void test_too_large(void **state)
{
    const char *const name = *state;
    pn_tempdir t;
    uint8_t hash[32];
    uint8_t *big = calloc(1, 65537);

    assert_non_null(big);
    pn_tempdir_init(&t);
    hash_in(&t, hash);
    pn_tempdir_put(&t, name, big, 65537);
    assert_refused(&t, PN_LIMIT, name);
    pn_tempdir_put(&t, name, big, 65536);
    assert_refused(&t, PN_CORRUPT, name);
    free(big);
    pn_tempdir_fini(&t);
}

/* ---- rotation --------------------------------------------------------- */

static void test_rotate(void **state)
{
    pn_tempdir t;
    uint8_t before[32];
    uint8_t after[32];
    uint8_t copied[32];
    char *backup = NULL;
    pn_why error;
    pn_certificate *c = NULL;
    pn_why why;

    (void)state;
    pn_tempdir_init(&t);
    hash_in(&t, before);
    assert_int_equal(
        pn_certificate_rotate(t.path, NOW_S * 1000000, &backup, &error), PN_OK);
    assert_non_null(backup);
    hash_in(&t, after);
    assert_memory_not_equal(before, after, 32);
    assert_int_equal(pn_certificate_open(backup, NOW_S, &c, &why), PN_OK);
    memcpy(copied, c->hash, 32);
    assert_memory_equal(before, copied, 32);
    pn_certificate_free(c);
    assert_int_equal(pn_tempdir_mode(&t, "node.key"), 0600);
    assert_int_equal(pn_tempdir_mode(&t, "node.key.bak"), -1);
    assert_int_equal(pn_tempdir_mode(&t, "node.crt.bak"), -1);
    free(backup);
    pn_tempdir_fini(&t);
}

static void test_rotate_nothing(void **state)
{
    pn_tempdir t;
    char *backup = NULL;
    pn_why error;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(
        pn_certificate_rotate(t.path, NOW_S * 1000000, &backup, &error),
        PN_NOT_FOUND);
    assert_null(backup);
    assert_int_equal(pn_tempdir_mode(&t, "node.crt"), -1);
    pn_tempdir_fini(&t);
}

/* After a kill between the two files the old pair is back. */
static void test_rotation_cut_short(void **state)
{
    pn_tempdir t;
    pn_tempdir other;
    uint8_t before[32];
    uint8_t after[32];

    (void)state;
    pn_tempdir_init(&t);
    pn_tempdir_init(&other);
    hash_in(&t, before);
    hash_in(&other, after);
    assert_int_equal(rename(pn_tempdir_path(&t, "node.crt"),
                         pn_tempdir_path(&t, "node.crt.bak")),
        0);
    copy_file(&other, "node.crt", &t);
    hash_in(&t, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(pn_tempdir_mode(&t, "node.crt.bak"), -1);
    hash_in(&t, after);
    assert_memory_equal(before, after, 32);
    pn_tempdir_fini(&t);
    pn_tempdir_fini(&other);
}

/* ---- as recorded from upstream ------------------------------------------- */

static json_t *vectors;

/* The bytes that the first certificate in a PEM text stands for. */
static void decode_pem(const char *pem, gnutls_datum_t *ret_der)
{
    gnutls_datum_t text = {
        (unsigned char *)(uintptr_t)pem, (unsigned)strlen(pem)};

    assert_int_equal(
        gnutls_pem_base64_decode2("CERTIFICATE", &text, ret_der), 0);
}

/* Checks the binding of a peer that shows this certificate, as at the end of a
 * TLS handshake. */
static void assert_binding(const char *pem, const char *want)
{
    gnutls_datum_t der;
    uint8_t hash[PN_HASH_LEN];
    char hex[2 * PN_HASH_LEN + 1];

    decode_pem(pem, &der);
    assert_int_equal(pn_sha256(hash, der.data, der.size, NULL, 0), PN_OK);
    gnutls_free(der.data);
    for (size_t i = 0; i < sizeof(hash); i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    }
    assert_string_equal(hex, want);
}

/* The text with our certificate in place of the recorded one, whose private key
 * was not recorded: it opens, and its hash is the same with and without the
 * text around it. */
static void assert_opens_with_ours(const char *pem)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    static const char end[] = "-----END CERTIFICATE-----\n";
    const char *from = strstr(pem, begin);
    const char *to = strstr(pem, end);
    pn_tempdir t;
    uint8_t before[32];
    uint8_t after[32];
    uint8_t *ours;
    size_t len;
    char text[4096];
    int n;

    assert_non_null(from);
    assert_non_null(to);
    pn_tempdir_init(&t);
    hash_in(&t, before);
    ours = pn_tempdir_get(&t, "node.crt", &len);
    assert_non_null(ours);
    n = snprintf(text, sizeof(text), "%.*s%.*s%s", (int)(from - pem), pem,
        (int)len, (const char *)ours, to + strlen(end));
    assert_true(n > 0 && (size_t)n < sizeof(text));
    pn_tempdir_put(&t, "node.crt", text, (size_t)n);
    hash_in(&t, after);
    assert_memory_equal(before, after, sizeof(before));
    free(ours);
    pn_tempdir_fini(&t);
}

static void test_cert_binding(void **state)
{
    const json_t *row = *state;
    const json_t *result = json_object_get(row, "result");
    const char *pem = pn_json_string(row, "pem");
    pn_certificate *c = NULL;
    pn_why why;
    pn_tempdir t;
    uint8_t hash[32];
    bool is_ok = json_object_get(result, "ok") != NULL;

    pn_tempdir_init(&t);
    hash_in(&t, hash);
    pn_tempdir_put(&t, "node.crt", pem, strlen(pem));
    assert_int_equal(open_in(&t, &c, &why), PN_CORRUPT);
    assert_null(c);
    if (is_ok) {
        /* It has been read, and is not that of our key. */
        assert_non_null(
            strstr(why.text, "node.crt is not of the key in node.key"));
        assert_binding(pem, pn_json_string(result, "ok"));
        assert_opens_with_ours(pem);
    } else {
        assert_string_equal(
            pn_json_string(result, "error"), "no_certificate_in_pem");
        assert_non_null(strstr(why.text, "node.crt"));
        assert_null(strstr(why.text, "not of the key"));
    }
    pn_tempdir_fini(&t);
}

/* The certificate of the recorded signatures. */
static void test_cert_der(void **state)
{
    const json_t *row = json_object_get(vectors, "signature");
    gnutls_datum_t der;
    size_t len;
    uint8_t *want = pn_json_hex(row, "cert_der", &len);

    (void)state;
    decode_pem(pn_json_string(row, "cert_pem"), &der);
    pn_assert_bytes(der.data, der.size, want, len);
    gnutls_free(der.data);
    free(want);
    assert_binding(
        pn_json_string(row, "cert_pem"), pn_json_string(row, "binding"));
}

static void add_vectors(void)
{
    json_t *rows = json_object_get(vectors, "cert_binding");
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        pn_test_addf(test_cert_binding, row, "barrel/certificate/recorded/%s",
            pn_json_string(row, "name"));
    }
    pn_test_add("barrel/certificate/recorded/der", test_cert_der, NULL);
}

static char crt[] = "node.crt";
static char key[] = "node.key";

static void add_both(const char *name, CMUnitTestFunction function)
{
    pn_test_addf(function, crt, "barrel/certificate/%s/crt", name);
    pn_test_addf(function, key, "barrel/certificate/%s/key", name);
}

int main(void)
{
    int result;

#define ADD(name) pn_test_add("barrel/certificate/" #name, test_##name, NULL)
    ADD(made_on_first_use);
    ADD(directory_is_made);
    ADD(ends_after_it_begins);
    ADD(each_is_another);
    ADD(hash_is_of_the_der);
    ADD(other_writer);
    add_both("half_is_missing", test_half_is_missing);
    ADD(pair_does_not_match);
    add_both("two_of_them", test_two_of_them);
    add_both("no_pem", test_no_pem);
    add_both("every_prefix", test_every_prefix);
    ADD(key_others_may_read);
    ADD(certificate_others_may_read);
    ADD(link_for_the_certificate);
    ADD(link_for_the_key);
    add_both("too_large", test_too_large);
    ADD(rotate);
    ADD(rotate_nothing);
    ADD(rotation_cut_short);
    vectors = pn_vectors_as("barrel.json", JSON_DECODE_INT_AS_REAL);
    add_vectors();
    result = pn_test_run("barrel/certificate");
    json_decref(vectors);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The primitives against the vectors of their RFCs. */
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "crypto/crypto.h"
#include "harness.h"

/* ---- SHA-256 (FIPS 180-4 examples), HMAC (RFC 4231) ---------------------- */

static void check_sha256(const char *a, const char *b, const char *want_hex)
{
    size_t n;
    uint8_t *want = pn_unhex(want_hex, &n);
    uint8_t got[PN_HASH_LEN];

    assert_int_equal(
        pn_sha256(got, a, strlen(a), b, b == NULL ? 0 : strlen(b)), PN_OK);
    pn_assert_bytes(got, sizeof(got), want, n);
    free(want);
}

static void test_sha256(void **state)
{
    (void)state;
    check_sha256("", NULL,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_sha256("abc", NULL,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_sha256("a", "bc",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_sha256("abcdbcdecdefdefgefghfghighij", "hijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

typedef struct hmac_row {
    const char *name;
    const char *key;
    const char *data;
    const char *mac;
    size_t mac_len; /* case 5 is truncated to 128 bits */
} hmac_row;

#define TWENTY_0B "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"
#define TWENTY_AA "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define FIFTY_DD                                                               \
    "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"         \
    "dddddddddddddddddddddddddddddddddddd"
#define FIFTY_CD                                                               \
    "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"         \
    "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
#define LONG_AA                                                                \
    TWENTY_AA TWENTY_AA TWENTY_AA TWENTY_AA TWENTY_AA TWENTY_AA                \
        "aaaaaaaaaaaaaaaaaaaaaa"

static const hmac_row hmac_rows[] = {
    {"rfc4231_1", TWENTY_0B, "4869205468657265",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7", 32},
    {"rfc4231_2", "4a656665",
        "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", 32},
    {"rfc4231_3", TWENTY_AA, FIFTY_DD,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe", 32},
    {"rfc4231_4", "0102030405060708090a0b0c0d0e0f10111213141516171819",
        FIFTY_CD,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b", 32},
    {"rfc4231_5", "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c",
        "546573742057697468205472756e636174696f6e",
        "a3b6167473100ee06e0c796c2955552b", 16},
    {"rfc4231_6", LONG_AA,
        "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b"
        "6579202d2048617368204b6579204669727374",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", 32},
    {"rfc4231_7", LONG_AA,
        "5468697320697320612074657374207573696e672061206c6172676572207468616e20"
        "626c6f636b2d73697a65206b657920616e642061206c6172676572207468616e20626c"
        "6f636b2d73697a6520646174612e20546865206b6579206e6565647320746f20626520"
        "686173686564206265666f7265206265696e6720757365642062792074686520484d41"
        "4320616c676f726974686d2e",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2", 32},
};

static void test_hmac(void **state)
{
    const hmac_row *r = *state;
    size_t key_len;
    size_t data_len;
    size_t mac_len;
    uint8_t *key = pn_unhex(r->key, &key_len);
    uint8_t *data = pn_unhex(r->data, &data_len);
    uint8_t *mac = pn_unhex(r->mac, &mac_len);
    uint8_t got[PN_HASH_LEN];

    assert_int_equal(pn_hmac_sha256(got, key, key_len, data, data_len), PN_OK);
    pn_assert_bytes(got, r->mac_len, mac, mac_len);
    free(key);
    free(data);
    free(mac);
}

/* RFC 5869 A.3: no salt (the same as zeros) and no info; 42 bytes of ours. */
static void test_hkdf(void **state)
{
    static const char okm[] =
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
        "9d201395faa4b61a96c8";
    uint8_t out[2 * PN_HASH_LEN] = {0};
    uint8_t ikm[22];
    size_t n;
    uint8_t *want = pn_unhex(okm, &n);

    (void)state;
    memset(ikm, 0x0b, sizeof(ikm));
    /* The first output is written over the salt, as MixKey does. */
    assert_int_equal(
        pn_hkdf2_sha256(out, ikm, sizeof(ikm), out, out + PN_HASH_LEN), PN_OK);
    pn_assert_bytes(out, n, want, 42);
    free(want);
}

/* The third block by its definition (RFC 5869, section 2.3), the first two as
 * above. */
static void test_hkdf3(void **state)
{
    const uint8_t salt[PN_HASH_LEN] = {1, 2, 3};
    const uint8_t ikm[] = {4, 5, 6, 7};
    uint8_t two[2][PN_HASH_LEN];
    uint8_t three[3][PN_HASH_LEN];
    uint8_t prk[PN_HASH_LEN];
    uint8_t block[PN_HASH_LEN + 1];
    uint8_t want[PN_HASH_LEN];

    (void)state;
    memcpy(three[0], salt, sizeof(salt));
    assert_int_equal(
        pn_hkdf2_sha256(salt, ikm, sizeof(ikm), two[0], two[1]), PN_OK);
    assert_int_equal(pn_hkdf3_sha256(three[0], ikm, sizeof(ikm), three[0],
                         three[1], three[2]),
        PN_OK);
    assert_memory_equal(three, two, sizeof(two));
    assert_int_equal(
        pn_hmac_sha256(prk, salt, sizeof(salt), ikm, sizeof(ikm)), PN_OK);
    memcpy(block, two[1], PN_HASH_LEN);
    block[PN_HASH_LEN] = 3;
    assert_int_equal(
        pn_hmac_sha256(want, prk, sizeof(prk), block, sizeof(block)), PN_OK);
    assert_memory_equal(three[2], want, sizeof(want));
}

/* ---- X25519 (RFC 7748) --------------------------------------------------- */

static void from_hex(const char *hex, uint8_t out[static PN_KEY_LEN])
{
    size_t n;
    uint8_t *bytes = pn_unhex(hex, &n);

    assert_int_equal(n, PN_KEY_LEN);
    memcpy(out, bytes, n);
    free(bytes);
}

static void check_x25519(
    const char *scalar, const char *point, const char *want_hex)
{
    pn_secret_key secret;
    pn_public_key peer;
    uint8_t want[PN_KEY_LEN];
    uint8_t got[PN_KEY_LEN];

    from_hex(scalar, secret.bytes);
    from_hex(point, peer.bytes);
    from_hex(want_hex, want);
    assert_int_equal(pn_x25519(&secret, &peer, got), PN_OK);
    pn_assert_bytes(got, sizeof(got), want, sizeof(want));
}

static void test_x25519_5_2(void **state)
{
    (void)state;
    check_x25519(
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    /* The point has its top bit set, which must be masked. */
    check_x25519(
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
}

static void test_x25519_iterated(void **state)
{
    pn_secret_key k = {{9}};
    pn_public_key u = {{9}};
    uint8_t want[PN_KEY_LEN];

    (void)state;
    for (unsigned i = 1; i <= 1000; i++) {
        uint8_t next[PN_KEY_LEN];

        assert_int_equal(pn_x25519(&k, &u, next), PN_OK);
        memcpy(u.bytes, k.bytes, PN_KEY_LEN);
        memcpy(k.bytes, next, PN_KEY_LEN);
        if (i == 1) {
            from_hex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e8031"
                     "1ae3079",
                want);
            pn_assert_bytes(k.bytes, PN_KEY_LEN, want, PN_KEY_LEN);
        }
    }
    from_hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51",
        want);
    pn_assert_bytes(k.bytes, PN_KEY_LEN, want, PN_KEY_LEN);
}

static void test_x25519_6_1(void **state)
{
    pn_secret_key alice;
    pn_secret_key bob;
    pn_public_key public_key;
    uint8_t want[PN_KEY_LEN];

    (void)state;
    from_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        alice.bytes);
    from_hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        bob.bytes);
    from_hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
        want);
    assert_int_equal(pn_x25519_public(&alice, &public_key), PN_OK);
    pn_assert_bytes(public_key.bytes, PN_KEY_LEN, want, PN_KEY_LEN);
    from_hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
        want);
    assert_int_equal(pn_x25519_public(&bob, &public_key), PN_OK);
    pn_assert_bytes(public_key.bytes, PN_KEY_LEN, want, PN_KEY_LEN);
    check_x25519(
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

/* Recorded results; what raises in the original is PN_AUTH here, and the
 * output is wiped. */
static void test_dh(void **state)
{
    static const uint8_t zero[PN_KEY_LEN];
    const char *name = pn_json_string(*state, "name");
    json_t *root = pn_vectors("identity.json");
    const json_t *valid = json_object_get(root, "valid");
    /* Rows of `valid`: 0 is alice, 1 is bob. */
    const json_t *who = json_array_get(
        valid, strncmp(name, "alice", 5) == 0 ? 0 : 1);
    pn_secret_key secret;
    pn_public_key peer;
    uint8_t got[PN_KEY_LEN];
    uint8_t want[PN_KEY_LEN];

    memset(got, 0xee, sizeof(got));
    pn_json_hex_n(who, "private_hex", secret.bytes, PN_KEY_LEN);
    pn_json_hex_n(*state, "peer_public_hex", peer.bytes, PN_KEY_LEN);
    if (strcmp(pn_json_string(*state, "result"), "ok") == 0) {
        pn_json_hex_n(*state, "shared_hex", want, PN_KEY_LEN);
        assert_int_equal(pn_x25519(&secret, &peer, got), PN_OK);
        pn_assert_bytes(got, sizeof(got), want, sizeof(want));
    } else {
        assert_int_equal(pn_x25519(&secret, &peer, got), PN_AUTH);
        pn_assert_bytes(got, sizeof(got), zero, sizeof(zero));
    }
    json_decref(root);
}

/* ---- ChaCha20-Poly1305 (RFC 8439) ---------------------------------------- */

/* Appendix A.5: the nonce starts with four zero bytes, as ours do. */
static const char a5_key[] =
    "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0";
static const char a5_ad[] = "f33388860000000000004e91";
static const char a5_ciphertext[] =
    "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2"
    "4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf"
    "332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
    "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4"
    "b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e"
    "af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
    "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10"
    "49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29"
    "a6ad5cb4022b02709b"
    "eead9d67890cbb22392336fea1851f38";
static const char a5_text[] =
    "Internet-Drafts are draft documents valid for a maximum of six months "
    "and may be updated, replaced, or obsoleted by other documents at any "
    "time. It is inappropriate to use Internet-Drafts as reference material "
    "or to cite them other than as /\xe2\x80\x9cwork in progress./\xe2\x80\x9d";

/* RFC 8439 A.5: nonce 00000000 0102030405060708. */
#define A5_COUNTER UINT64_C(0x0807060504030201)

static pn_aead *a5_aead(void)
{
    pn_secret_key key;
    pn_aead *aead;

    from_hex(a5_key, key.bytes);
    assert_int_equal(pn_aead_new(&key, &aead), PN_OK);
    return aead;
}

static void test_aead_rfc8439(void **state)
{
    size_t len;
    size_t ad_len;
    uint8_t *sealed = pn_unhex(a5_ciphertext, &len);
    uint8_t *ad = pn_unhex(a5_ad, &ad_len);
    pn_aead *aead = a5_aead();
    uint8_t buf[512];

    (void)state;
    assert_int_equal(len, sizeof(a5_text) - 1 + PN_TAG_LEN);
    assert_int_equal(
        pn_aead_open(aead, A5_COUNTER, ad, ad_len, sealed, len, buf), PN_OK);
    pn_assert_bytes(
        buf, len - PN_TAG_LEN, (const uint8_t *)a5_text, sizeof(a5_text) - 1);
    /* And back, in place, with the same context. */
    assert_int_equal(
        pn_aead_seal(aead, A5_COUNTER, ad, ad_len, buf, len - PN_TAG_LEN, buf),
        PN_OK);
    pn_assert_bytes(buf, len, sealed, len);
    pn_aead_free(aead);
    free(sealed);
    free(ad);
}

/* Any bit of ciphertext, tag or additional data: refused, output wiped. */
static void test_aead_every_bit(void **state)
{
    static const uint8_t zero[512];
    size_t len;
    size_t ad_len;
    uint8_t *sealed = pn_unhex(a5_ciphertext, &len);
    uint8_t *ad = pn_unhex(a5_ad, &ad_len);
    pn_aead *aead = a5_aead();
    uint8_t buf[512];

    (void)state;
    for (size_t i = 0; i < 8 * (len + ad_len); i++) {
        uint8_t *byte = i < 8 * len ? &sealed[i / 8] : &ad[i / 8 - len];

        *byte ^= (uint8_t)(1u << i % 8);
        memset(buf, 0xee, sizeof(buf));
        assert_int_equal(
            pn_aead_open(aead, A5_COUNTER, ad, ad_len, sealed, len, buf),
            PN_AUTH);
        assert_memory_equal(buf, zero, len - PN_TAG_LEN);
        *byte ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(
        pn_aead_open(aead, A5_COUNTER + 1, ad, ad_len, sealed, len, buf),
        PN_AUTH);
    assert_int_equal(
        pn_aead_open(aead, A5_COUNTER, ad, ad_len, sealed, len, buf), PN_OK);
    pn_aead_free(aead);
    free(sealed);
    free(ad);
}

/* One context in any order of directions, sizes, counters and additional data
 * gives what a fresh one gives each time. */
static void test_aead_context_has_no_memory(void **state)
{
    pn_aead *aead = a5_aead();
    uint64_t seed = 5;

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        pn_aead *fresh = a5_aead();
        uint8_t plain[300];
        uint8_t one[300 + PN_TAG_LEN];
        uint8_t two[300 + PN_TAG_LEN];
        uint8_t ad[40] = {(uint8_t)i};
        size_t len = pn_test_random(&seed) % (sizeof(plain) + 1);
        size_t ad_len = pn_test_random(&seed) % sizeof(ad);
        uint64_t counter = pn_test_random(&seed);

        memset(plain, (int)(i & 0xff), sizeof(plain));
        ad_len = i % 3 == 0 ? 0 : ad_len;
        assert_int_equal(
            pn_aead_seal(fresh, counter, ad, ad_len, plain, len, two), PN_OK);
        if (pn_test_random(&seed) % 2 == 0) {
            assert_int_equal(
                pn_aead_seal(aead, counter, ad, ad_len, plain, len, one),
                PN_OK);
            assert_memory_equal(one, two, len + PN_TAG_LEN);
        } else {
            two[0] ^= (uint8_t)(i % 5 == 0);
            assert_int_equal(pn_aead_open(aead, counter, ad, ad_len, two,
                                 len + PN_TAG_LEN, one),
                i % 5 == 0 ? PN_AUTH : PN_OK);
            if (i % 5 != 0) {
                assert_memory_equal(one, plain, len);
            }
        }
        pn_aead_free(fresh);
    }
    pn_aead_free(aead);
}

/* ---- small things -------------------------------------------------------- */

static void test_random(void **state)
{
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};

    (void)state;
    assert_int_equal(pn_random(a, sizeof(a)), PN_OK);
    assert_int_equal(pn_random(b, sizeof(b)), PN_OK);
    assert_memory_not_equal(a, b, sizeof(a));
}

static void test_secret_equal(void **state)
{
    uint8_t a[64];
    uint8_t b[64];

    (void)state;
    memset(a, 7, sizeof(a));
    memset(b, 7, sizeof(b));
    assert_true(pn_secret_equal(a, b, sizeof(a)));
    for (size_t i = 0; i < 8 * sizeof(a); i++) {
        b[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_false(pn_secret_equal(a, b, sizeof(a)));
        b[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    pn_wipe(a, sizeof(a));
    memset(b, 0, sizeof(b));
    assert_memory_equal(a, b, sizeof(a));
}

/* ---- scrypt (RFC 7914, section 12; the first 32 bytes of each) ------------
 */

typedef struct scrypt_row {
    const char *name;
    const char *passphrase;
    const char *salt;
    unsigned log_n;
    uint32_t r;
    uint32_t p;
    const char *want;
} scrypt_row;

static const scrypt_row scrypt_rows[] = {
    {"empty", "", "", 4, 1, 1,
        "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"},
    {"nacl", "password", "NaCl", 10, 8, 16,
        "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"},
    {"chloride", "pleaseletmein", "SodiumChloride", 14, 8, 1,
        "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"},
};

static void test_scrypt(void **state)
{
    const scrypt_row *row = *state;
    pn_secret_key key;
    size_t n;
    uint8_t *want = pn_unhex(row->want, &n);

    assert_int_equal(
        pn_scrypt(pn_slice_of(row->passphrase), pn_slice_of(row->salt),
            row->log_n, row->r, row->p, &key),
        PN_OK);
    pn_assert_bytes(key.bytes, sizeof(key.bytes), want, n);
    free(want);
}

int main(void)
{
    json_t *root = pn_vectors("identity.json");
    const json_t *dh = json_object_get(root, "dh");
    int status;

    pn_test_add("crypto/sha256/fips180", test_sha256, NULL);
    for (size_t i = 0; i < sizeof(hmac_rows) / sizeof(hmac_rows[0]); i++) {
        pn_test_addf(test_hmac, (void *)(uintptr_t)&hmac_rows[i],
            "crypto/hmac/%s", hmac_rows[i].name);
    }
    pn_test_add("crypto/hkdf/rfc5869_a3", test_hkdf, NULL);
    pn_test_add("crypto/hkdf/three", test_hkdf3, NULL);
    pn_test_add("crypto/x25519/rfc7748_5_2", test_x25519_5_2, NULL);
    pn_test_add("crypto/x25519/rfc7748_1000_times", test_x25519_iterated, NULL);
    pn_test_add("crypto/x25519/rfc7748_6_1", test_x25519_6_1, NULL);
    for (size_t i = 0; i < json_array_size(dh); i++) {
        json_t *row = json_array_get(dh, i);

        pn_test_addf(
            test_dh, row, "crypto/x25519/%s", pn_json_string(row, "name"));
    }
    pn_test_add("crypto/aead/rfc8439_a5", test_aead_rfc8439, NULL);
    pn_test_add("crypto/aead/every_bit", test_aead_every_bit, NULL);
    pn_test_add("crypto/aead/context_has_no_memory",
        test_aead_context_has_no_memory, NULL);
    for (size_t i = 0; i < sizeof(scrypt_rows) / sizeof(scrypt_rows[0]); i++) {
        pn_test_addf(test_scrypt, (void *)(uintptr_t)&scrypt_rows[i],
            "crypto/scrypt/%s", scrypt_rows[i].name);
    }
    pn_test_add("crypto/random", test_random, NULL);
    pn_test_add("crypto/secret_equal", test_secret_equal, NULL);
    status = pn_test_run("crypto");
    json_decref(root);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 9001, section 5.2 (keys of Initial packets), RFC 9000 section 17.2.2
 * (their layout), RFC 8446 section 4.1.2 and RFC 9001 section 8.2
 * (ClientHello). */
#include "quic_initial.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

enum { TAG_LEN = 16, PN_LEN = 4, SECRET_LEN = 32, KEY_LEN = 16, IV_LEN = 12 };

static void must(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

/* ---- writing ---------------------------------------------------------- */

typedef struct out {
    uint8_t data[QUIC_INITIAL_LEN];
    size_t n;
} out;

static void put(out *o, const void *data, size_t len)
{
    must(o->n + len <= sizeof(o->data));
    if (len > 0) {
        memcpy(o->data + o->n, data, len);
        o->n += len;
    }
}

static void put8(out *o, unsigned value)
{
    uint8_t byte = (uint8_t)value;

    put(o, &byte, 1);
}

static void put16(out *o, unsigned value)
{
    put8(o, value >> 8);
    put8(o, value);
}

/* A variable-length integer of two bytes. */
static void put_int(out *o, size_t value)
{
    must(value < 0x4000);
    put16(o, 0x4000 | (unsigned)value);
}

static void put_random(out *o, size_t len)
{
    must(o->n + len <= sizeof(o->data));
    must(RAND_bytes(o->data + o->n, (int)len) == 1);
    o->n += len;
}

/* ---- keys ------------------------------------------------------------- */

static void hmac(const uint8_t *key, size_t key_len, const uint8_t *data,
    size_t len, uint8_t ret[static SECRET_LEN])
{
    unsigned n = SECRET_LEN;

    must(HMAC(EVP_sha256(), key, (int)key_len, data, len, ret, &n) != NULL);
}

/* HKDF-Expand-Label of at most one block. */
static void expand(
    const uint8_t *secret, const char *label, size_t len, uint8_t *ret)
{
    uint8_t block[SECRET_LEN];
    out info = {.n = 0};

    put16(&info, (unsigned)len);
    put8(&info, 6 + (unsigned)strlen(label));
    put(&info, "tls13 ", 6);
    put(&info, label, strlen(label));
    put8(&info, 0);
    put8(&info, 1);
    hmac(secret, SECRET_LEN, info.data, info.n, block);
    memcpy(ret, block, len);
}

typedef struct keys {
    uint8_t key[KEY_LEN];
    uint8_t iv[IV_LEN];
    uint8_t hp[KEY_LEN];
} keys;

static void keys_make(const uint8_t *dcid, keys *ret)
{
    static const uint8_t salt[] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34,
        0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f,
        0x0a};
    uint8_t initial[SECRET_LEN];
    uint8_t client[SECRET_LEN];

    hmac(salt, sizeof(salt), dcid, QUIC_INITIAL_CID, initial);
    expand(initial, "client in", SECRET_LEN, client);
    expand(client, "quic key", KEY_LEN, ret->key);
    expand(client, "quic iv", IV_LEN, ret->iv);
    expand(client, "quic hp", KEY_LEN, ret->hp);
}

/* AES-128-GCM in place; the tag goes behind it. The packet number is 0, so the
 * nonce is the IV. */
static void seal(
    const keys *k, const uint8_t *ad, size_t ad_len, uint8_t *at, size_t len)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n = 0;

    must(c != NULL
         && EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, k->key, k->iv)
         && EVP_EncryptUpdate(c, NULL, &n, ad, (int)ad_len)
         && EVP_EncryptUpdate(c, at, &n, at, (int)len)
         && EVP_EncryptFinal_ex(c, at + len, &n)
         && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_LEN, at + len));
    EVP_CIPHER_CTX_free(c);
}

static void mask_header(const keys *k, uint8_t *packet, size_t pn_at)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    uint8_t mask[KEY_LEN];
    int n = 0;

    must(c != NULL
         && EVP_EncryptInit_ex(c, EVP_aes_128_ecb(), NULL, k->hp, NULL)
         && EVP_EncryptUpdate(
             c, mask, &n, packet + pn_at + PN_LEN, sizeof(mask)));
    packet[0] ^= mask[0] & 0x0f;
    for (int i = 0; i < PN_LEN; i++) {
        packet[pn_at + (size_t)i] ^= mask[1 + i];
    }
    EVP_CIPHER_CTX_free(c);
}

/* ---- ClientHello ------------------------------------------------------ */

static void put_extension(out *o, unsigned type, const out *body)
{
    put16(o, type);
    put16(o, (unsigned)body->n);
    put(o, body->data, body->n);
}

static void put_bytes_extension(
    out *o, unsigned type, const char *bytes, size_t len)
{
    out body = {.n = 0};

    put(&body, bytes, len);
    put_extension(o, type, &body);
}

static void put_key_share(out *o)
{
    out body = {.n = 0};

    put16(&body, 36);
    put16(&body, 0x1d);
    put16(&body, 32);
    put_random(&body, 32); /* any is a point of X25519 */
    put_extension(o, 51, &body);
}

static void put_alpn(out *o, const char *alpn)
{
    size_t len = strlen(alpn);
    out body = {.n = 0};

    put16(&body, (unsigned)len + 1);
    put8(&body, (unsigned)len);
    put(&body, alpn, len);
    put_extension(o, 16, &body);
}

static void put_params(out *o, const uint8_t *scid)
{
    out body = {.n = 0};

    put8(&body, 0x0f);
    put8(&body, QUIC_INITIAL_CID);
    put(&body, scid, QUIC_INITIAL_CID);
    put(&body, "\x04\x02\x50\x00\x08\x01\x0a\x09\x01\x0a", 10);
    put_extension(o, 57, &body);
}

static void make_hello(const char *alpn, const uint8_t *scid, out *ret)
{
    out body = {.n = 0};
    out ext = {.n = 0};

    put_bytes_extension(&ext, 43, "\x02\x03\x04", 3);
    put_bytes_extension(&ext, 10, "\0\2\0\x1d", 4);
    put_bytes_extension(&ext, 13, "\0\6\4\3\x08\x04\x08\x07", 8);
    put_key_share(&ext);
    put_alpn(&ext, alpn);
    put_params(&ext, scid);
    put16(&body, 0x0303);
    put_random(&body, 32);
    put(&body, "\0\0\x02\x13\x01\x01\0", 7);
    put16(&body, (unsigned)ext.n);
    put(&body, ext.data, ext.n);
    *ret = (out){.n = 0};
    put8(ret, 1);
    put8(ret, 0);
    put16(ret, (unsigned)body.n);
    put(ret, body.data, body.n);
}

/* ---- the packet ------------------------------------------------------- */

static void put_frames(
    out *o, const quic_initial_options *options, const uint8_t *scid)
{
    out hello;

    make_hello(options->alpn, scid, &hello);
    if (options->is_half) {
        hello.n /= 2;
    }
    put8(o, 0x06);
    put_int(o, 0);
    put_int(o, hello.n);
    put(o, hello.data, hello.n);
    if (options->has_close) {
        put(o, "\x1c\0\0\0", 4);
    }
}

void quic_initial_make(
    const quic_initial_options *options, uint8_t ret[static QUIC_INITIAL_LEN])
{
    uint8_t dcid[QUIC_INITIAL_CID];
    uint8_t scid[QUIC_INITIAL_CID];
    out packet = {.n = 0};
    size_t pn_at;
    keys k;

    must(RAND_bytes(dcid, sizeof(dcid)) == 1
         && RAND_bytes(scid, sizeof(scid)) == 1);
    if (options->to != NULL) {
        memcpy(dcid, options->to, sizeof(dcid));
    }
    put8(&packet, 0xc3);
    put(&packet, "\0\0\0\1", 4);
    put8(&packet, sizeof(dcid));
    put(&packet, dcid, sizeof(dcid));
    put8(&packet, sizeof(scid));
    put(&packet, scid, sizeof(scid));
    put_int(&packet, options->token_len);
    put(&packet, options->token, options->token_len);
    put_int(&packet, QUIC_INITIAL_LEN - packet.n - 2);
    pn_at = packet.n;
    put(&packet, "\0\0\0\0", PN_LEN);
    put_frames(&packet, options, scid);
    must(packet.n <= QUIC_INITIAL_LEN - TAG_LEN);
    keys_make(dcid, &k);
    seal(&k, packet.data, pn_at + PN_LEN, packet.data + pn_at + PN_LEN,
        QUIC_INITIAL_LEN - TAG_LEN - pn_at - PN_LEN); /* zeros are PADDING */
    mask_header(&k, packet.data, pn_at);
    memcpy(ret, packet.data, QUIC_INITIAL_LEN);
}

bool quic_initial_after_retry(const quic_initial_options *options,
    const uint8_t *retry, size_t len, uint8_t ret[static QUIC_INITIAL_LEN])
{
    /* Flags and version, our id with its length, theirs, token, tag. */
    const size_t id_at = 5 + 1 + QUIC_INITIAL_CID + 1;
    quic_initial_options o = *options;

    if (len <= id_at + QUIC_INITIAL_CID + TAG_LEN
        || (retry[0] & 0xf0) != 0xf0) {
        return false;
    }
    o.to = retry + id_at;
    o.token = retry + id_at + QUIC_INITIAL_CID;
    o.token_len = len - TAG_LEN - id_at - QUIC_INITIAL_CID;
    quic_initial_make(&o, ret);
    return true;
}

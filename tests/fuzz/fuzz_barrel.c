/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FZ-8: Barrel's authentication in both roles against any peer. The input is
 * one byte of settings and then pieces of the peer's stream, each a length (0:
 * reflect) and its bytes; a reflection sends a part of our own output back to
 * us. Randomness and time stand still, so the recorded signatures of the corpus
 * are valid, and no others can be made. So a peer that is authenticated is the
 * recorded one, under a name that is not ours; or it has no identity, and a
 * name that the configuration accepts and that is not pinned. No other peer
 * gets OK.
 */
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WALL_MS UINT64_C(1790000000000)

static unsigned n_added;
static bool was_done; /* at the end of an earlier piece */

static pn_err fixed_random(void *user, uint8_t *buf, size_t len)
{
    const uint8_t *first = user;

    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)(*first + i);
    }
    return PN_OK;
}

static pn_auth_pin look_up(void *user, pn_slice name, const pn_ed25519_key *key)
{
    (void)name;
    (void)key;
    return *(const pn_auth_pin *)user;
}

static pn_err add(void *user, pn_slice name, const pn_ed25519_key *key)
{
    if (*(const pn_auth_pin *)user != PN_AUTH_PIN_ABSENT || key == NULL
        || !pn_node_name_is_valid(name.data, name.len)) {
        abort();
    }
    n_added++;
    return PN_OK;
}

static const pn_auth_pins pins = {.look_up = look_up, .add = add};

/* The recorded key pairs are made of counting bytes. */
static void key_pair(uint8_t first, pn_ed25519_pair *ret_pair)
{
    for (size_t i = 0; i < PN_KEY_LEN; i++) {
        ret_pair->secret.bytes[i] = (uint8_t)(first + i);
    }
    if (pn_ed25519_public(&ret_pair->secret, &ret_pair->public_key) != PN_OK) {
        abort();
    }
}

static bool slice_is(pn_slice slice, const char *text)
{
    return slice.len == strlen(text)
           && memcmp(slice.data, text, slice.len) == 0;
}

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* The number of OKs in our output. */
static unsigned count_oks(const pn_auth *auth)
{
    pn_slice said = pn_auth_output(auth);
    unsigned n = 0;

    for (size_t at = 0; at < said.len;) {
        size_t len = (size_t)said.data[at] << 8 | said.data[at + 1];

        require(len > 0 && len <= said.len - at - PN_AUTH_HEADER_LEN);
        n += said.data[at + PN_AUTH_HEADER_LEN] == PN_AUTH_OK;
        at += PN_AUTH_HEADER_LEN + len;
    }
    return n;
}

/* Only a responder sends OK, once, and ends in failure afterwards only if more
 * bytes come. */
static void check_ok(const pn_auth *auth, const pn_auth_config *config)
{
    pn_auth_outcome outcome = pn_auth_outcome_of(auth);
    bool is_done = outcome == PN_AUTH_DONE
                   || outcome == PN_AUTH_DONE_COOKIE_ONLY;
    unsigned n = count_oks(auth);

    require(n == (!config->initiator && (is_done || was_done) ? 1 : 0));
    require(!was_done || is_done
            || pn_auth_reason_of(auth) == PN_AUTH_REASON_TRAILING_BYTES);
    was_done = was_done || is_done;
}

static void check_done(
    const pn_auth *auth, const pn_auth_config *config, pn_auth_pin pin)
{
    static pn_ed25519_pair peers[2];
    static bool has_keys;

    if (!has_keys) {
        key_pair(0x40, &peers[0]);
        key_pair(0x00, &peers[1]);
        has_keys = true;
    }
    require(memcmp(pn_auth_peer_key(auth)->bytes,
                peers[config->initiator ? 0 : 1].public_key.bytes, PN_KEY_LEN)
            == 0);
    require(pin != PN_AUTH_PIN_DIFFERS);
    require(n_added == (pin == PN_AUTH_PIN_ABSENT ? 1 : 0));
    require(pin == PN_AUTH_PIN_EQUAL || config->mode == PN_AUTH_TOFU);
}

/* By the name alone: asked here another way than in the engine. */
static void check_cookie_only(
    const pn_auth *auth, const pn_auth_config *config, pn_auth_pin pin)
{
    pn_slice name = pn_auth_peer_name(auth);

    require(pn_auth_peer_key(auth) == NULL && n_added == 0);
    require(config->n_cookie_only == 1 && pin == PN_AUTH_PIN_ABSENT);
    require(name.len > 8 && memcmp(name.data, "monitor@", 8) == 0);
    require(!config->initiator || slice_is(name, config->dialled_name));
}

static void check(
    const pn_auth *auth, const pn_auth_config *config, pn_auth_pin pin)
{
    check_ok(auth, config);
    switch (pn_auth_outcome_of(auth)) {
    case PN_AUTH_DONE:
        check_done(auth, config, pin);
        break;
    case PN_AUTH_DONE_COOKIE_ONLY:
        check_cookie_only(auth, config, pin);
        break;
    case PN_AUTH_RUNNING:
    case PN_AUTH_FAILED:
        require(pn_auth_peer_key(auth) == NULL);
        return;
    }
    require(!slice_is(pn_auth_peer_name(auth), config->name));
}

/* One piece; how much of the input it took. */
static size_t piece(pn_auth *auth, const uint8_t *data, size_t size)
{
    size_t len = data[0];

    if (len == 0) {
        pn_slice said = pn_auth_output(auth);
        size_t from = size > 1 ? data[1] * 2u : 0;
        size_t n = size > 2 ? data[2] : 0;
        uint8_t copy[512];

        if (from < said.len) {
            n = n < said.len - from ? n : said.len - from;
            memcpy(copy, said.data + from, n);
            pn_auth_input(auth, 0, WALL_MS, copy, n, false);
        }
        return size < 3 ? size : 3;
    }
    len = len < size - 1 ? len : size - 1;
    pn_auth_input(auth, 0, WALL_MS, data + 1, len, false);
    return 1 + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const patterns[] = {"monitor@*"};
    uint8_t settings = size == 0 ? 0 : data[0];
    bool initiator = (settings & 1) != 0;
    pn_auth_pin pin = (pn_auth_pin)((settings >> 2) % 3);
    uint8_t nonce = initiator ? 0xa0 : 0xb0;
    uint8_t binding[PN_AUTH_BINDING_LEN] = {0};
    pn_env env = {.user = &nonce, .random = fixed_random};
    pn_ed25519_pair identity;
    pn_auth_config config = {
        .initiator = initiator,
        .name = initiator ? "alpha@127.0.0.1" : "beta@127.0.0.1",
        .dialled_name = (settings & 0x80) != 0 ? "monitor@h" : "beta@127.0.0.1",
        .identity = &identity,
        .binding = binding,
        .mode = (settings & 2) != 0 ? PN_AUTH_TOFU : PN_AUTH_STRICT,
        .cookie_only = patterns,
        .n_cookie_only = (settings & 0x40) != 0 ? 0 : 1,
        .timeout_us = 10 * PN_US_PER_S,
        .window_ms = 30000,
        .env = &env,
        .pins = &pins,
        .pins_user = &pin,
    };
    pn_auth *auth = NULL;

    key_pair(initiator ? 0x00 : 0x40, &identity);
    n_added = 0;
    was_done = false;
    if (pn_auth_new(&config, 0, &auth) != PN_OK) {
        return 0;
    }
    for (size_t at = 1; at < size;) {
        at += piece(auth, data + at, size - at);
        check(auth, &config, pin);
    }
    pn_auth_input(auth, 0, WALL_MS, NULL, 0, true);
    check(auth, &config, pin);
    pn_auth_free(auth);
    return 0;
}

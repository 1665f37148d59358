/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authentication engine with pins on a disk: a name that no file can have
 * is refused before success is reported; and the results of a relay that shows
 * the certificate of the dialled node (BAD-9, B2, B3, D2, D3).
 */
#include <stdio.h>
#include <string.h>

#include "auth_end.h"
#include "base/bytes.h"
#include "tempdir.h"

/* ---- an end that keeps its pins ------------------------------------------ */

typedef struct keeper {
    auth_end end;
    pn_tempdir dir;
    pn_pins *pins;
    char name[PN_NODE_NAME_MAX + 2];
} keeper;

static pn_auth_pin look_up(void *user, pn_slice name, const pn_ed25519_key *key)
{
    const keeper *k = user;

    return pn_pins_look_up(k->pins, name, key);
}

static pn_err add(void *user, pn_slice name, const pn_ed25519_key *key)
{
    keeper *k = user;
    pn_why why;

    k->end.n_added++;
    return pn_pins_add(k->pins, name, key, NOW_US, &why);
}

static const pn_auth_pins on_disk = {.look_up = look_up, .add = add};

static void keeper_init(keeper *k, bool initiator, pn_auth_mode mode)
{
    pn_pins_options options;

    auth_end_init(&k->end, initiator);
    pn_tempdir_init(&k->dir);
    options = (pn_pins_options){
        .own_name = k->end.config.name, .own_key = &k->end.identity.public_key};
    assert_int_equal(
        pn_pins_open(k->dir.path, &options, &k->pins, NULL, NULL), PN_OK);
    k->end.config.mode = mode;
    k->end.config.pins = &on_disk;
    k->end.config.pins_user = k;
}

static void keeper_fini(keeper *k)
{
    auth_end_fini(&k->end);
    pn_pins_close(k->pins);
    pn_tempdir_fini(&k->dir);
}

static size_t count_pins(const keeper *k)
{
    size_t n;

    (void)pn_pins_all(k->pins, &n);
    return n;
}

/* Whether OK is in the output that an end has not sent yet. */
static bool says_ok(const auth_end *e)
{
    pn_slice said = pn_auth_output(e->auth);
    bool is_ok = false;

    for (size_t at = 0; at < said.len;
         at += PN_AUTH_HEADER_LEN + pn_load_be16(said.data + at)) {
        is_ok = is_ok || said.data[at + PN_AUTH_HEADER_LEN] == PN_AUTH_OK;
    }
    return is_ok;
}

/* ---- long names ---------------------------------------------------------- */

typedef struct name_row {
    size_t len;
    bool is_name; /* else not even a HELLO can say it */
    bool fits;    /* a file NAME.pub can be */
} name_row;

static const name_row names[] = {
    {245, true, true},
    {246, true, true},
    {247, true, true},
    {248, true, true},
    {249, true, true},
    {250, true, true},
    {251, true, true},
    {252, true, false},
    {253, true, false},
    {254, true, false},
    {255, true, false},
    {256, false, false},
};

/* n@hhh... of len bytes. */
static void make_name(char *name, size_t len)
{
    memset(name, 'h', len);
    memcpy(name, "n@", 2);
    name[len] = '\0';
}

/* A HELLO by hand: the encoder takes valid names only. */
static size_t long_hello(const auth_end *peer, const char *name, uint8_t *out)
{
    size_t len = strlen(name);

    pn_store_be16(out, (uint16_t)(4 + len + PN_KEY_LEN));
    out[2] = PN_AUTH_HELLO;
    out[3] = PN_AUTH_VERSION;
    pn_store_be16(out + 4, (uint16_t)len);
    memcpy(out + 6, name, len);
    memcpy(out + 6 + len, peer->identity.public_key.bytes, PN_KEY_LEN);
    return 6 + len + PN_KEY_LEN;
}

/* All that an honest peer says, after the name. */
static void prove(auth_end *victim, const auth_end *peer)
{
    uint8_t out[600];

    auth_read_challenge(victim);
    auth_hear(victim, out, auth_peer_challenge(victim, peer, out));
    auth_hear(victim, out, auth_peer_response(victim, peer, out));
    if (victim->config.initiator) {
        auth_hear(victim, out, auth_peer_ok(victim, peer, out));
    }
}

static void check_name(const name_row *row, bool initiator)
{
    uint8_t out[600];
    keeper k;
    auth_end peer;

    keeper_init(&k, initiator, PN_AUTH_TOFU);
    auth_end_init(&peer, !initiator);
    make_name(k.name, row->len);
    k.end.config.dialled_name = k.name;
    auth_end_start(&k.end);
    auth_hear(&k.end, out, long_hello(&peer, k.name, out));
    if (!row->is_name) {
        auth_assert_failed(&k.end, PN_AUTH_REASON_BAD_MESSAGE);
    } else {
        prove(&k.end, &peer);
        assert_int_equal(k.end.n_added, 1);
        if (row->fits) {
            assert_int_equal(pn_auth_outcome_of(k.end.auth), PN_AUTH_DONE);
            assert_int_equal(pn_pins_look_up(k.pins, auth_text(k.name),
                                 &peer.identity.public_key),
                PN_AUTH_PIN_EQUAL);
            assert_int_equal(says_ok(&k.end), !initiator);
        } else {
            auth_assert_failed(&k.end, PN_AUTH_REASON_PIN_NOT_STORED);
        }
    }
    if (!row->fits) {
        assert_false(says_ok(&k.end));
    }
    assert_int_equal(count_pins(&k), row->fits ? 1 : 0);
    keeper_fini(&k);
}

static void test_name_responder(void **state)
{
    check_name(*state, false);
}

/* 256 bytes cannot even be dialled. */
static void test_name_initiator(void **state)
{
    const name_row *row = *state;
    keeper k;

    if (row->is_name) {
        check_name(row, true);
        return;
    }
    keeper_init(&k, true, PN_AUTH_TOFU);
    make_name(k.name, row->len);
    k.end.config.dialled_name = k.name;
    assert_int_equal(
        pn_auth_new(&k.end.config, NOW_US, &k.end.auth), PN_INVALID);
    k.end.auth = NULL;
    keeper_fini(&k);
}

/* ---- a relay ------------------------------------------------------------- */

/* gamma is a relay between alpha, which dials, and beta, which answers, and
 * passes on their messages. Each binds to the certificate that its connection
 * has. */
typedef struct relay_row {
    const char *name;
    const char *dialled; /* by alpha */
    bool is_shared;      /* gamma shows the certificate that beta shows */
    bool renames;        /* beta's HELLO says gamma */
    bool knows_gamma;    /* alpha has a pin of it */
    pn_auth_mode mode;
    pn_auth_reason alpha; /* NONE: done */
    pn_auth_reason beta;
} relay_row;

#define REASON(name) PN_AUTH_REASON_##name
#define BETA "beta@127.0.0.1"
#define GAMMA "gamma@127.0.0.1"

static const relay_row relays[] = {
    {"own_certificate", BETA, false, false, false, PN_AUTH_STRICT,
        REASON(REJECTED), REASON(SIGNATURE_INVALID)},
    {"own_certificate_tofu", BETA, false, false, false, PN_AUTH_TOFU,
        REASON(REJECTED), REASON(SIGNATURE_INVALID)},
    /* The holder of the private key of beta's certificate passes the binding
     * check as beta: nodes that share a certificate must trust each other. */
    {"shared", BETA, true, false, false, PN_AUTH_STRICT, REASON(NONE),
        REASON(NONE)},
    /* The certificate gives it no other node's name. */
    {"shared_dialled", GAMMA, true, false, false, PN_AUTH_STRICT,
        REASON(NAME_MISMATCH), REASON(STREAM_FINISHED)},
    {"shared_dialled_tofu", GAMMA, true, false, false, PN_AUTH_TOFU,
        REASON(NAME_MISMATCH), REASON(STREAM_FINISHED)},
    {"shared_renamed", GAMMA, true, true, false, PN_AUTH_STRICT,
        REASON(UNTRUSTED_KEY), REASON(STREAM_FINISHED)},
    {"shared_renamed_known", GAMMA, true, true, true, PN_AUTH_STRICT,
        REASON(KEY_MISMATCH), REASON(STREAM_FINISHED)},
    {"shared_renamed_known_tofu", GAMMA, true, true, true, PN_AUTH_TOFU,
        REASON(KEY_MISMATCH), REASON(STREAM_FINISHED)},
};

static void relay_init(const relay_row *row, keeper *alpha, keeper *beta)
{
    auth_end gamma;

    keeper_init(alpha, true, row->mode);
    keeper_init(beta, false, row->mode);
    auth_end_init(&gamma, false);
    auth_end_key(&gamma, 0x99);
    alpha->end.config.dialled_name = row->dialled;
    memset(beta->end.binding, row->is_shared ? 0xb1 : 0xb2,
        sizeof(beta->end.binding));
    assert_int_equal(
        pn_pins_pin(alpha->pins, BETA, &beta->end.identity.public_key, NULL),
        PN_OK);
    assert_int_equal(pn_pins_pin(beta->pins, "alpha@127.0.0.1",
                         &alpha->end.identity.public_key, NULL),
        PN_OK);
    if (row->knows_gamma) {
        assert_int_equal(
            pn_pins_pin(alpha->pins, GAMMA, &gamma.identity.public_key, NULL),
            PN_OK);
    }
    auth_end_start(&alpha->end);
    auth_end_start(&beta->end);
}

/* beta's first piece: HELLO and CHALLENGE, the HELLO in gamma's name. */
static void pass_renamed(auth_end *from, auth_end *to)
{
    uint8_t said[600];
    uint8_t out[600];
    size_t n = auth_take(from, said, sizeof(said));
    size_t hello = PN_AUTH_HEADER_LEN + pn_load_be16(said);

    assert_true(n > hello);
    auth_hear(to, out, long_hello(from, GAMMA, out));
    auth_hear(to, said + hello, n - hello);
}

static void assert_end(const auth_end *e, pn_auth_reason want)
{
    assert_string_equal(pn_auth_reason_text(pn_auth_reason_of(e->auth)),
        pn_auth_reason_text(want));
    assert_int_equal(pn_auth_outcome_of(e->auth),
        want == PN_AUTH_REASON_NONE ? PN_AUTH_DONE : PN_AUTH_FAILED);
    assert_int_equal(e->n_added, 0);
}

static void test_relay(void **state)
{
    const relay_row *row = *state;
    keeper alpha;
    keeper beta;

    relay_init(row, &alpha, &beta);
    auth_pass(&alpha.end, &beta.end, SIZE_MAX);
    if (row->renames) {
        pass_renamed(&beta.end, &alpha.end);
    }
    auth_talk(&beta.end, &alpha.end);
    if (pn_auth_outcome_of(alpha.end.auth) == PN_AUTH_FAILED) {
        pn_auth_input(beta.end.auth, NOW_US, WALL_MS, NULL, 0, true);
    }
    assert_end(&alpha.end, row->alpha);
    assert_end(&beta.end, row->beta);
    assert_int_equal(count_pins(&alpha), row->knows_gamma ? 2 : 1);
    assert_int_equal(count_pins(&beta), 1);
    keeper_fini(&alpha);
    keeper_fini(&beta);
}

/* Two responders with one certificate, each connected to the other: each waits
 * for the other's proof, and nothing is ever signed. */
static void test_crossed_responders(void **state)
{
    uint8_t out[600];
    auth_end a;
    auth_end b;
    auth_end *ends[] = {&a, &b};

    (void)state;
    auth_end_init(&a, false);
    auth_end_init(&b, false);
    auth_end_key(&a, 0x00);
    a.seed = 1;
    a.config.name = "alpha@127.0.0.1";
    auth_end_start(&a);
    auth_end_start(&b);
    auth_hear(&a, out, auth_peer_hello(&a, &b, out));
    auth_hear(&b, out, auth_peer_hello(&b, &a, out));
    for (size_t i = 0; i < 2; i++) { /* the HELLO has been said by hand */
        assert_true(auth_take(ends[i], out,
                        PN_AUTH_HEADER_LEN + 36 + strlen(ends[i]->config.name))
                    > 0);
    }
    auth_pass(&a, &b, SIZE_MAX);
    auth_pass(&b, &a, SIZE_MAX);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pn_auth_output(ends[i]->auth).len, 0);
        pn_auth_tick(ends[i]->auth, pn_auth_deadline(ends[i]->auth));
        auth_assert_failed(ends[i], PN_AUTH_REASON_TIMEOUT);
        auth_end_fini(ends[i]);
    }
}

/* alpha's messages of one connection are refused on the next one, though both
 * have the same certificate. */
static void test_replayed(void **state)
{
    bool initiator = *(const bool *)*state;
    uint8_t heard[1024];
    size_t n = 0;
    auth_end a;
    auth_end b;
    auth_end again;

    auth_end_init(&a, true);
    auth_end_init(&b, false);
    auth_end_init(&again, initiator);
    again.seed = 77;
    auth_end_start(&a);
    auth_end_start(&b);
    auth_end_start(&again);
    while (pn_auth_outcome_of(a.auth) == PN_AUTH_RUNNING) {
        auth_end *from = initiator ? &b : &a;
        size_t len;

        auth_pass(initiator ? &a : &b, from, SIZE_MAX);
        len = auth_take(from, heard + n, sizeof(heard) - n);
        auth_hear(initiator ? &a : &b, heard + n, len);
        n += len;
    }
    auth_hear(&again, heard, n);
    auth_assert_failed(&again, PN_AUTH_REASON_SIGNATURE_INVALID);
    auth_end_fini(&a);
    auth_end_fini(&b);
    auth_end_fini(&again);
}

int main(void)
{
    static bool roles[] = {false, true};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        void *row = (void *)(uintptr_t)&names[i];

        pn_test_addf(test_name_responder, row, "barrel/bad9/name/responder/%zu",
            names[i].len);
        pn_test_addf(test_name_initiator, row, "barrel/bad9/name/initiator/%zu",
            names[i].len);
    }
    for (size_t i = 0; i < sizeof(relays) / sizeof(relays[0]); i++) {
        pn_test_addf(test_relay, (void *)(uintptr_t)&relays[i],
            "barrel/bad9/relay/%s", relays[i].name);
    }
    pn_test_add(
        "barrel/bad9/relay/crossed_responders", test_crossed_responders, NULL);
    for (size_t i = 0; i < 2; i++) {
        pn_test_addf(test_replayed, &roles[i], "barrel/bad9/relay/replayed/%s",
            roles[i] ? "initiator" : "responder");
    }
    return pn_test_run("barrel/auth_pins");
}

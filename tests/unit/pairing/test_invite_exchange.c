/* SPDX-License-Identifier: Apache-2.0 */
/* One use of an invitation: what each end says, stores and refuses (PAIR-3). */
#include "exchange/invite.h"
#include "harness.h"
#include "noise/noise.h"

#define BEGIN_US (1000 * PN_US_PER_S)
#define PROLOGUE "peernet pairing: invitation, version 1"

typedef struct end {
    pn_invite *invite;
    pn_key_pair identity;
    pn_env env;
    uint8_t draws[2][PN_KEY_LEN]; /* the ephemeral key is the last drawn */
    unsigned n_draws;
    pn_offer ours;
    pn_offer theirs; /* as stored */
    bool knows_id;
    bool is_stored;
    bool is_confirmed;
    pn_err take_err;
    pn_err store_err;
    unsigned n_find;
    unsigned n_take;
    unsigned n_refused;
} end;

typedef struct rig {
    end joiner;
    end inviter;
    pn_invitation invitation;
    unsigned n_messages;
    unsigned drop_at;
    size_t flip_at; /* of message flip; SIZE_MAX: none */
    unsigned flip;
    size_t lens[8];
    uint8_t said[8][256];
} rig;

/* ---- the ends --------------------------------------------------------------
 */

static pn_err draw(void *user, uint8_t *buf, size_t len)
{
    end *e = user;

    assert_int_equal(len, PN_KEY_LEN);
    assert_true(e->n_draws < 2);
    memcpy(buf, e->draws[e->n_draws++], len);
    return PN_OK;
}

static pn_err find(void *user, const uint8_t id[static PN_INVITATION_ID_LEN],
    pn_secret_key *ret_key)
{
    rig *r = user;
    uint8_t want[PN_INVITATION_ID_LEN];
    pn_secret_key key;

    r->inviter.n_find++;
    assert_int_equal(
        pn_invitation_derive(r->invitation.secret, want, &key), PN_OK);
    if (!r->inviter.knows_id || memcmp(id, want, sizeof(want)) != 0) {
        return PN_NOT_FOUND;
    }
    *ret_key = key;
    return PN_OK;
}

static pn_err take(void *user, const uint8_t id[static PN_INVITATION_ID_LEN],
    const pn_public_key *joiner, const pn_offer *theirs, pn_offer *ret_ours)
{
    rig *r = user;

    (void)id;
    assert_true(r->inviter.knows_id);
    assert_true(pn_key_equal(joiner, &r->joiner.identity.public_key));
    r->inviter.n_take++;
    if (r->inviter.take_err == PN_OK) {
        r->inviter.is_stored = true;
        r->inviter.theirs = *theirs;
        *ret_ours = r->inviter.ours;
    }
    return r->inviter.take_err;
}

static void refused(void *user, const uint8_t id[static PN_INVITATION_ID_LEN])
{
    rig *r = user;

    (void)id;
    r->inviter.n_refused++;
}

static void confirmed(void *user, const uint8_t id[static PN_INVITATION_ID_LEN],
    const pn_public_key *joiner)
{
    rig *r = user;

    (void)id;
    (void)joiner;
    assert_true(r->joiner.is_stored);
    r->inviter.is_confirmed = true;
}

static pn_err store(
    void *user, const pn_public_key *inviter, const pn_offer *theirs)
{
    rig *r = user;

    assert_true(pn_key_equal(inviter, &r->inviter.identity.public_key));
    assert_true(r->inviter.is_stored);
    r->joiner.is_stored = r->joiner.store_err == PN_OK;
    r->joiner.theirs = *theirs;
    return r->joiner.store_err;
}

static const pn_invite_callbacks callbacks = {
    .find = find,
    .take = take,
    .refused = refused,
    .confirmed = confirmed,
    .store = store,
};

static void end_init(end *e, uint8_t identity, uint8_t ephemeral,
    const char *label, uint16_t port)
{
    *e = (end){.ours = {.port = port}};
    (void)strcpy(e->ours.label, label);
    memset(e->identity.secret.bytes, identity, PN_KEY_LEN);
    assert_int_equal(
        pn_x25519_public(&e->identity.secret, &e->identity.public_key), PN_OK);
    memset(e->draws, ephemeral, sizeof(e->draws));
    e->env = (pn_env){.user = e, .random = draw};
}

static void rig_init(rig *r)
{
    *r = (rig){.drop_at = UINT32_MAX, .flip_at = SIZE_MAX};
    end_init(&r->joiner, 0x11, 0x33, "lamp", 1111);
    end_init(&r->inviter, 0x22, 0x44, "door", 2222);
    memset(r->inviter.draws[0], 0x99, PN_KEY_LEN); /* the random key */
    r->inviter.knows_id = true;
    r->invitation.key = r->inviter.identity.public_key;
    for (size_t i = 0; i < PN_INVITATION_SECRET_LEN; i++) {
        r->invitation.secret[i] = (uint8_t)i;
    }
}

static void open_inviter(rig *r)
{
    const pn_invite_config config = {
        .identity = &r->inviter.identity,
        .env = &r->inviter.env,
        .callbacks = &callbacks,
        .user = r,
    };

    assert_int_equal(
        pn_invite_new(&config, BEGIN_US, &r->inviter.invite), PN_OK);
}

static void open_joiner(rig *r)
{
    const pn_invite_config config = {
        .identity = &r->joiner.identity,
        .env = &r->joiner.env,
        .callbacks = &callbacks,
        .user = r,
        .invitation = &r->invitation,
        .offer = &r->joiner.ours,
    };

    assert_int_equal(
        pn_invite_new(&config, BEGIN_US, &r->joiner.invite), PN_OK);
}

static void rig_fini(rig *r)
{
    pn_invite_free(r->joiner.invite);
    pn_invite_free(r->inviter.invite);
}

static pn_invite_outcome outcome(const end *e)
{
    return pn_invite_get_outcome(e->invite);
}

/* ---- carrying --------------------------------------------------------------
 */

static size_t give(end *e, const uint8_t *data, size_t len)
{
    uint8_t copy[512];
    size_t want;

    assert_true(len <= sizeof(copy));
    memcpy(copy, data, len);
    return pn_invite_input(e->invite, copy, len, &want);
}

/* Carries what one end has to say. False: it has nothing, or it was lost. */
static bool carry(rig *r, end *from, end *to)
{
    const pn_slice out = pn_invite_output(from->invite);
    const unsigned n = r->n_messages;

    if (out.len == 0) {
        return false;
    }
    r->n_messages++;
    assert_true(n < 8);
    if (n == r->drop_at) {
        pn_invite_closed(from->invite);
        pn_invite_closed(to->invite);
        return false;
    }
    r->lens[n] = out.len;
    memcpy(r->said[n], out.data, out.len);
    if (n == r->flip && r->flip_at < out.len) {
        r->said[n][r->flip_at] ^= 0x08;
    }
    pn_invite_sent(from->invite, out.len);
    (void)give(to, r->said[n], out.len);
    return true;
}

/* Until nobody speaks; an end that is over hangs up. */
static void run(rig *r)
{
    while (carry(r, &r->joiner, &r->inviter)
           || carry(r, &r->inviter, &r->joiner)) {}
    if (outcome(&r->inviter) != PN_INVITE_OPEN) {
        pn_invite_closed(r->joiner.invite);
    }
    if (outcome(&r->joiner) != PN_INVITE_OPEN) {
        pn_invite_closed(r->inviter.invite);
    }
}

static void run_new(rig *r)
{
    open_joiner(r);
    open_inviter(r);
    run(r);
}

/* ---- the ordinary way ------------------------------------------------------
 */

static void test_joined(void **state)
{
    static const size_t lens[] = {PN_INVITE_M1_LEN, PN_INVITE_M2_LEN,
        PN_INVITE_JOIN_LEN, PN_INVITE_ANSWER_LEN, PN_INVITE_ANSWER_LEN};
    rig r;

    (void)state;
    rig_init(&r);
    run_new(&r);
    assert_int_equal(outcome(&r.joiner), PN_INVITE_JOINED);
    assert_int_equal(outcome(&r.inviter), PN_INVITE_JOINED);
    assert_true(r.joiner.is_stored && r.inviter.is_stored);
    assert_true(r.inviter.is_confirmed);
    assert_int_equal(r.n_messages, 5);
    assert_memory_equal(r.lens, lens, sizeof(lens));
    assert_string_equal(r.joiner.theirs.label, "door");
    assert_int_equal(r.joiner.theirs.port, 2222);
    assert_string_equal(r.inviter.theirs.label, "lamp");
    assert_int_equal(r.inviter.theirs.port, 1111);
    assert_true(pn_key_equal(
        pn_invite_peer(r.inviter.invite), &r.joiner.identity.public_key));
    rig_fini(&r);
}

/* The bytes of another implementation. */
static void test_vector(void **state)
{
    static const char *const names[] = {"m1", "m2", "join", "answer", "stored"};
    json_t *vectors = pn_vectors("invitation.json");
    const json_t *exchange = json_object_get(vectors, "exchange");
    rig r;

    (void)state;
    rig_init(&r);
    run_new(&r);
    for (size_t i = 0; i < 5; i++) {
        size_t len;
        uint8_t *want = pn_json_hex(exchange, names[i], &len);

        pn_assert_bytes(r.said[i], r.lens[i], want, len);
        free(want);
    }
    rig_fini(&r);
    json_decref(vectors);
}

/* Bytes come one by one; nothing happens before a message is whole. */
static void test_byte_by_byte(void **state)
{
    uint8_t m1[PN_INVITE_M1_LEN];
    size_t want;
    rig r;

    (void)state;
    rig_init(&r);
    open_joiner(&r);
    open_inviter(&r);
    memcpy(m1, pn_invite_output(r.joiner.invite).data, sizeof(m1));
    for (size_t n = 0; n < sizeof(m1); n++) {
        assert_int_equal(pn_invite_input(r.inviter.invite, m1, n, &want), 0);
        assert_int_equal(want, PN_INVITE_M1_LEN);
        assert_int_equal(r.inviter.n_find, 0);
    }
    run(&r);
    assert_int_equal(outcome(&r.inviter), PN_INVITE_JOINED);
    rig_fini(&r);
}

/* ---- refusals --------------------------------------------------------------
 */

/* An unknown id, and a joiner that has the key and no use: the same bytes up to
 * the end, the same end, and nothing is stored. */
static void test_refused_alike(void **state)
{
    rig unknown;
    rig used;

    (void)state;
    rig_init(&unknown);
    unknown.inviter.knows_id = false;
    run_new(&unknown);
    rig_init(&used);
    used.inviter.take_err = PN_DENIED;
    run_new(&used);
    assert_int_equal(unknown.inviter.n_take, 0);
    assert_int_equal(unknown.inviter.n_refused, 1);
    assert_int_equal(used.inviter.n_take, 1);
    assert_int_equal(used.inviter.n_refused, 0);
    assert_int_equal(outcome(&unknown.inviter), PN_INVITE_BROKEN);
    assert_int_equal(outcome(&used.inviter), PN_INVITE_REFUSED);
    assert_int_equal(outcome(&unknown.joiner), PN_INVITE_REFUSED);
    assert_int_equal(outcome(&used.joiner), PN_INVITE_REFUSED);
    assert_int_equal(unknown.n_messages, 3);
    assert_int_equal(used.n_messages, 3);
    assert_memory_equal(unknown.said, used.said, sizeof(used.said));
    assert_false(unknown.joiner.is_stored || unknown.inviter.is_stored);
    assert_false(used.joiner.is_stored || used.inviter.is_stored);
    assert_null(pn_invite_peer(unknown.inviter.invite));
    rig_fini(&unknown);
    rig_fini(&used);
}

/* A joiner that has the id, seen on its way, and no secret. It takes a key of
 * zeros, which an end that looked up nothing might have. */
static void test_no_key(void **state)
{
    uint8_t id[PN_INVITATION_ID_LEN] = {0};
    uint8_t message[512] = {PN_INVITE_FIRST};
    pn_secret_key key = {.bytes = {0}};
    pn_handshake *bare;
    pn_cipher send;
    pn_cipher receive;
    pn_slice out;
    size_t n;
    rig r;

    rig_init(&r);
    r.inviter.knows_id = *state != NULL;
    if (r.inviter.knows_id) {
        assert_int_equal(
            pn_invitation_derive(r.invitation.secret, id, &key), PN_OK);
        pn_wipe(&key, sizeof(key));
    }
    open_inviter(&r);
    assert_int_equal(
        pn_handshake_new(&pn_noise_standard_psk3, true, &r.joiner.identity,
            (const uint8_t *)PROLOGUE, strlen(PROLOGUE), &r.joiner.env, &bare),
        PN_OK);
    pn_handshake_set_psk(bare, &key);
    assert_int_equal(pn_handshake_write(bare, id, sizeof(id), message + 1,
                         sizeof(message) - 1, &n),
        PN_OK);
    assert_int_equal(give(&r.inviter, message, n + 1), PN_INVITE_M1_LEN);
    out = pn_invite_output(r.inviter.invite);
    assert_int_equal(
        pn_handshake_read(bare, out.data, out.len, NULL, 0, &n), PN_OK);
    assert_int_equal(
        pn_handshake_write(bare, NULL, 0, message, sizeof(message), &n), PN_OK);
    assert_int_equal(pn_handshake_split(bare, &send, &receive), PN_OK);
    pn_offer_write(message + n, 1, &r.joiner.ours);
    assert_int_equal(
        pn_cipher_seal(&send, NULL, 0, message + n, PN_OFFER_TEXT_LEN), PN_OK);
    assert_int_equal(n + PN_OFFER_TEXT_LEN + PN_TAG_LEN, PN_INVITE_JOIN_LEN);
    (void)give(&r.inviter, message, PN_INVITE_JOIN_LEN);
    assert_int_equal(outcome(&r.inviter), PN_INVITE_BROKEN);
    assert_int_equal(r.inviter.n_take, 0);
    assert_int_equal(r.inviter.n_refused, 1);
    pn_handshake_free(bare);
    pn_cipher_fini(&send);
    pn_cipher_fini(&receive);
    rig_fini(&r);
}

/* Somebody else answers at the address: the joiner does not say who it is. */
static void test_other_key(void **state)
{
    rig r;

    (void)state;
    rig_init(&r);
    r.invitation.key.bytes[5] ^= 1;
    run_new(&r);
    assert_int_equal(outcome(&r.joiner), PN_INVITE_OTHER_KEY);
    assert_int_equal(r.n_messages, 2);
    assert_int_equal(r.inviter.n_take, 0);
    rig_fini(&r);
}

static void test_own_key(void **state)
{
    rig r;

    (void)state;
    rig_init(&r);
    r.joiner.identity = r.inviter.identity;
    run_new(&r);
    assert_int_equal(outcome(&r.joiner), PN_INVITE_OWN_KEY);
    assert_int_equal(r.inviter.n_take, 0);
    rig_fini(&r);
}

static void test_first_byte(void **state)
{
    uint8_t m1[PN_INVITE_M1_LEN];
    rig r;

    (void)state;
    rig_init(&r);
    open_joiner(&r);
    open_inviter(&r);
    memcpy(m1, pn_invite_output(r.joiner.invite).data, sizeof(m1));
    m1[0] = 1;
    (void)give(&r.inviter, m1, sizeof(m1));
    assert_int_equal(outcome(&r.inviter), PN_INVITE_BROKEN);
    assert_int_equal(pn_invite_output(r.inviter.invite).len, 0);
    assert_int_equal(r.inviter.n_find, 0);
    rig_fini(&r);
}

/* A bit of each byte of each message. */
static void test_flips(void **state)
{
    const unsigned message = (unsigned)(uintptr_t)*state;
    size_t len = 1;

    for (size_t at = 0; at < len; at++) {
        rig r;

        rig_init(&r);
        r.flip = message;
        r.flip_at = at;
        run_new(&r);
        len = r.lens[message];
        assert_true(r.inviter.is_stored == (message >= 3));
        assert_true(r.joiner.is_stored == (message >= 4));
        assert_false(r.inviter.is_confirmed);
        assert_int_not_equal(outcome(&r.inviter), PN_INVITE_JOINED);
        rig_fini(&r);
    }
    assert_true(len > 32);
}

/* M1 and JOIN again, in another exchange. */
static void test_replay(void **state)
{
    rig r;
    rig again;

    (void)state;
    rig_init(&r);
    run_new(&r);
    rig_init(&again);
    memset(again.inviter.draws[1], 0x45, PN_KEY_LEN);
    open_inviter(&again);
    (void)give(&again.inviter, r.said[0], r.lens[0]);
    assert_int_equal(
        pn_invite_output(again.inviter.invite).len, PN_INVITE_M2_LEN);
    (void)give(&again.inviter, r.said[2], r.lens[2]);
    assert_int_equal(outcome(&again.inviter), PN_INVITE_BROKEN);
    assert_int_equal(again.inviter.n_take, 0);
    rig_fini(&r);
    rig_fini(&again);
}

/* ---- failures and losses ---------------------------------------------------
 */

static void test_later(void **state)
{
    rig r;

    (void)state;
    rig_init(&r);
    r.inviter.take_err = PN_FULL;
    run_new(&r);
    assert_int_equal(outcome(&r.inviter), PN_INVITE_FAILED);
    assert_int_equal(outcome(&r.joiner), PN_INVITE_LATER);
    assert_false(r.joiner.is_stored);
    rig_fini(&r);
}

static void test_store_fails(void **state)
{
    rig r;

    (void)state;
    rig_init(&r);
    r.joiner.store_err = PN_FULL;
    run_new(&r);
    assert_int_equal(outcome(&r.joiner), PN_INVITE_FAILED);
    assert_int_equal(outcome(&r.inviter), PN_INVITE_UNCONFIRMED);
    assert_false(r.inviter.is_confirmed);
    rig_fini(&r);
}

static void test_lost(void **state)
{
    static const struct {
        pn_invite_outcome joiner;
        pn_invite_outcome inviter;
    } rows[] = {
        {PN_INVITE_LOST, PN_INVITE_LOST},
        {PN_INVITE_LOST, PN_INVITE_LOST},
        {PN_INVITE_REFUSED, PN_INVITE_LOST},
        {PN_INVITE_REFUSED, PN_INVITE_UNCONFIRMED},
        {PN_INVITE_JOINED, PN_INVITE_UNCONFIRMED},
    };
    const unsigned drop_at = (unsigned)(uintptr_t)*state;
    rig r;

    rig_init(&r);
    r.drop_at = drop_at;
    run_new(&r);
    assert_int_equal(outcome(&r.joiner), rows[drop_at].joiner);
    assert_int_equal(outcome(&r.inviter), rows[drop_at].inviter);
    assert_true(r.inviter.is_stored == (drop_at >= 3));
    assert_true(r.joiner.is_stored == (drop_at >= 4));
    rig_fini(&r);
}

static void test_late(void **state)
{
    const bool is_joiner = *state != NULL;
    end *e;
    rig r;

    rig_init(&r);
    open_joiner(&r);
    open_inviter(&r);
    e = is_joiner ? &r.joiner : &r.inviter;
    assert_true(
        pn_invite_deadline(e->invite) == BEGIN_US + PN_INVITE_EXCHANGE_US);
    pn_invite_tick(e->invite, BEGIN_US + PN_INVITE_EXCHANGE_US - 1);
    assert_int_equal(outcome(e), PN_INVITE_OPEN);
    pn_invite_tick(e->invite, BEGIN_US + PN_INVITE_EXCHANGE_US);
    assert_int_equal(outcome(e), PN_INVITE_LATE);
    assert_true(pn_invite_deadline(e->invite) == PN_TIME_NEVER);
    rig_fini(&r);
}

int main(void)
{
    void *const set = (void *)(uintptr_t)1;

    pn_test_add("invite/exchange/joined", test_joined, NULL);
    pn_test_add("invite/exchange/vector", test_vector, NULL);
    pn_test_add("invite/exchange/byte_by_byte", test_byte_by_byte, NULL);
    pn_test_add("invite/exchange/refused_alike", test_refused_alike, NULL);
    pn_test_add("invite/exchange/no_key/unknown_id", test_no_key, NULL);
    pn_test_add("invite/exchange/no_key/known_id", test_no_key, set);
    pn_test_add("invite/exchange/other_key", test_other_key, NULL);
    pn_test_add("invite/exchange/own_key", test_own_key, NULL);
    pn_test_add("invite/exchange/first_byte", test_first_byte, NULL);
    for (unsigned i = 0; i < 5; i++) {
        pn_test_addf(
            test_flips, (void *)(uintptr_t)i, "invite/exchange/flips/%u", i);
        pn_test_addf(
            test_lost, (void *)(uintptr_t)i, "invite/exchange/lost/%u", i);
    }
    pn_test_add("invite/exchange/replay", test_replay, NULL);
    pn_test_add("invite/exchange/later", test_later, NULL);
    pn_test_add("invite/exchange/store_fails", test_store_fails, NULL);
    pn_test_add("invite/exchange/late/inviter", test_late, NULL);
    pn_test_add("invite/exchange/late/joiner", test_late, set);
    return pn_test_run("invite/exchange");
}

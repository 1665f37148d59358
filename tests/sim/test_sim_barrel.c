/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authentications in virtual time, thousands of them: two honest ends over
 * streams that split, delay, lose for good, finish and reset; and one end
 * against a peer that sends anything it can make. Every run follows from its
 * seed, and the forbidden outcomes are checked in each.
 */
#include <string.h>

#include "auth/auth.h"
#include "base/bytes.h"
#include "base/mutant.h"
#include "harness.h"

#define WALL_MS UINT64_C(1790000000000)
#define START_US (1000 * PN_US_PER_S)
#define AUTH_TIMEOUT_US (10 * PN_US_PER_S)
#define DEADLINE_US (START_US + AUTH_TIMEOUT_US)

enum { HONEST_RUNS = 3000, HOSTILE_RUNS = 6000, STREAM_MAX = 4096 };

/* ---- one end ----------------------------------------------------------- */

typedef struct end {
    pn_auth *auth;
    pn_auth_config config;
    pn_ed25519_pair identity;
    pn_env env;
    uint64_t *seed;
    bool knows; /* the one key that is pinned for the peer's name */
    pn_ed25519_key pinned;
    unsigned n_added;
    /* what it has written, and how much of it the other has read */
    uint8_t out[STREAM_MAX];
    size_t out_len;
    size_t delivered;
    uint64_t next_us; /* when more of it arrives */
    size_t lost_at;   /* from this byte on nothing does; SIZE_MAX: never */
    size_t ends_at;   /* FIN after this byte, although not the last */
    bool resets;      /* ... or RESET */
    bool is_over;
} end;

static pn_err end_random(void *user, uint8_t *buf, size_t len)
{
    end *e = user;

    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)pn_test_random(e->seed);
    }
    return PN_OK;
}

static pn_auth_pin end_look_up(
    void *user, pn_slice name, const pn_ed25519_key *key)
{
    const end *e = user;

    (void)name;
    if (!e->knows) {
        return PN_AUTH_PIN_ABSENT;
    }
    return pn_ed25519_key_equal(key, &e->pinned) ? PN_AUTH_PIN_EQUAL
                                                 : PN_AUTH_PIN_DIFFERS;
}

static pn_err end_add(void *user, pn_slice name, const pn_ed25519_key *key)
{
    end *e = user;

    (void)name;
    (void)key;
    e->n_added++;
    return PN_OK;
}

static const pn_auth_pins pins = {.look_up = end_look_up, .add = end_add};
static const uint8_t binding[PN_AUTH_BINDING_LEN] = {0xb1};
static const uint8_t other_binding[PN_AUTH_BINDING_LEN] = {0xb2};

static pn_slice name_of(const char *name)
{
    return (pn_slice){(const uint8_t *)name, strlen(name)};
}

/* The same three pairs in every run: making them would be most of the time. */
static const pn_ed25519_pair *pair_of(unsigned which)
{
    static pn_ed25519_pair pairs[3];
    static bool is_made;

    for (unsigned i = 0; !is_made && i < 3; i++) {
        memset(pairs[i].secret.bytes, (int)(0x11 * (i + 1)), PN_KEY_LEN);
        assert_int_equal(
            pn_ed25519_public(&pairs[i].secret, &pairs[i].public_key), PN_OK);
    }
    is_made = true;
    return &pairs[which];
}

static void end_init(end *e, bool initiator, uint64_t *seed)
{
    memset(e, 0, sizeof(*e));
    e->identity = *pair_of(initiator ? 0 : 1);
    e->seed = seed;
    e->lost_at = SIZE_MAX;
    e->ends_at = SIZE_MAX;
    e->next_us = START_US;
    e->env = (pn_env){.user = e, .random = end_random};
    e->config = (pn_auth_config){
        .initiator = initiator,
        .name = initiator ? "alpha@h" : "beta@h",
        .dialled_name = initiator ? "beta@h" : NULL,
        .identity = &e->identity,
        .binding = binding,
        .mode = PN_AUTH_TOFU,
        .timeout_us = AUTH_TIMEOUT_US,
        .window_ms = 30000,
        .env = &e->env,
        .pins = &pins,
        .pins_user = e,
    };
}

static void end_begin(end *e)
{
    assert_int_equal(pn_auth_new(&e->config, START_US, &e->auth), PN_OK);
}

static void end_collect(end *e)
{
    pn_slice out = pn_auth_output(e->auth);

    assert_true(e->out_len + out.len <= STREAM_MAX);
    if (out.len > 0) {
        memcpy(e->out + e->out_len, out.data, out.len);
        e->out_len += out.len;
        pn_auth_written(e->auth, out.len);
    }
}

/* ---- two honest ends --------------------------------------------------- */

typedef struct honest {
    end a;
    end b;
    uint64_t seed;
    uint64_t now_us;
} honest;

/* Some of what from has written reaches to. */
static void deliver(honest *h, end *from, end *to)
{
    size_t ready = from->out_len;
    bool is_last = pn_auth_outcome_of(from->auth) != PN_AUTH_RUNNING;
    size_t n;

    if (h->now_us < from->next_us || from->is_over) {
        return;
    }
    ready = ready < from->lost_at ? ready : from->lost_at;
    ready = ready < from->ends_at ? ready : from->ends_at;
    n = ready - from->delivered;
    if (n > 0) {
        n = 1 + pn_test_random(&h->seed) % n;
    }
    from->next_us = h->now_us + pn_test_random(&h->seed) % 40000;
    if (from->delivered + n >= from->ends_at) {
        is_last = true;
    } else if (from->delivered + n < from->out_len
               || from->lost_at != SIZE_MAX) {
        is_last = false;
    }
    if (n == 0 && !is_last) {
        return;
    }
    from->is_over = is_last;
    if (is_last && from->resets) {
        pn_auth_reset(to->auth);
    } else {
        pn_auth_input(to->auth, h->now_us, WALL_MS + h->now_us / 1000,
            from->out + from->delivered, n, is_last);
    }
    from->delivered += n;
    end_collect(to);
}

static void trouble(end *e, uint64_t *seed)
{
    switch (pn_test_random(seed) % 8) {
    case 0:
        e->lost_at = pn_test_random(seed) % 200;
        return;
    case 1:
        e->ends_at = pn_test_random(seed) % 200;
        return;
    case 2:
        e->ends_at = pn_test_random(seed) % 200;
        e->resets = true;
        return;
    default:
        return;
    }
}

static void run_honest(honest *h)
{
    end_begin(&h->a);
    end_begin(&h->b);
    end_collect(&h->a);
    for (h->now_us = START_US; h->now_us <= DEADLINE_US + 1;
         h->now_us += 500 + pn_test_random(&h->seed) % 5000) {
        deliver(h, &h->a, &h->b);
        deliver(h, &h->b, &h->a);
        pn_auth_tick(h->a.auth, h->now_us);
        pn_auth_tick(h->b.auth, h->now_us);
        if (h->a.is_over && h->b.is_over) {
            break;
        }
    }
    h->now_us = DEADLINE_US + 1;
    pn_auth_tick(h->a.auth, h->now_us);
    pn_auth_tick(h->b.auth, h->now_us);
}

static bool is_troubled(const end *e)
{
    return e->lost_at != SIZE_MAX || e->ends_at != SIZE_MAX;
}

/* For every behaviour of the streams: both are done in time when nothing was
 * lost; neither waits past the deadline; the initiator is never done alone, and
 * each pins the other's key or nothing. */
static void test_honest(void **state)
{
    unsigned n_done = 0;

    (void)state;
    for (uint64_t run = 1; run <= HONEST_RUNS; run++) {
        honest h = {.seed = run};
        pn_auth_outcome a;
        pn_auth_outcome b;

        end_init(&h.a, true, &h.seed);
        end_init(&h.b, false, &h.seed);
        trouble(&h.a, &h.seed);
        trouble(&h.b, &h.seed);
        run_honest(&h);
        a = pn_auth_outcome_of(h.a.auth);
        b = pn_auth_outcome_of(h.b.auth);
        if (a == PN_AUTH_RUNNING || b == PN_AUTH_RUNNING
            || (a == PN_AUTH_DONE && b == PN_AUTH_RUNNING) || h.a.n_added > 1
            || h.b.n_added > 1 || (h.a.n_added == 1) != (a == PN_AUTH_DONE)
            || (!is_troubled(&h.a) && !is_troubled(&h.b)
                && (a != PN_AUTH_DONE || b != PN_AUTH_DONE))) {
            fail_msg("seed %llu: %s and %s", (unsigned long long)run,
                pn_auth_reason_text(pn_auth_reason_of(h.a.auth)),
                pn_auth_reason_text(pn_auth_reason_of(h.b.auth)));
        }
        /* Done means: that very key. */
        assert_true(a != PN_AUTH_DONE
                    || pn_ed25519_key_equal(
                        pn_auth_peer_key(h.a.auth), &h.b.identity.public_key));
        assert_true(b != PN_AUTH_DONE
                    || pn_ed25519_key_equal(
                        pn_auth_peer_key(h.b.auth), &h.a.identity.public_key));
        n_done += a == PN_AUTH_DONE && b == PN_AUTH_DONE;
        pn_auth_free(h.a.auth);
        pn_auth_free(h.b.auth);
    }
    /* The draw reaches both ways of ending. */
    assert_in_range(n_done, HONEST_RUNS / 4, HONEST_RUNS * 9 / 10);
}

/* ---- a hostile peer ---------------------------------------------------- */

/* It holds a key of its own, and knows all output of the victim and the public
 * key of the node that it impersonates. */
typedef struct hostile {
    end victim;
    uint64_t seed;
    pn_auth_challenge seen; /* the victim's last challenge */
    bool has_seen;
    uint8_t signature[PN_SIGNATURE_LEN]; /* ... and signature */
    bool has_signature;
    size_t read;      /* of the victim's output */
    bool signed_well; /* a good signature, by its own key, over seen */
    pn_ed25519_key claimed;
} hostile;

/* The victim's messages since: challenges and signatures to send back. */
static void eavesdrop(hostile *h)
{
    const end *v = &h->victim;

    while (v->out_len - h->read >= PN_AUTH_HEADER_LEN) {
        size_t len = pn_load_be16(v->out + h->read);
        pn_auth_message m;

        if (v->out_len - h->read < PN_AUTH_HEADER_LEN + len) {
            return;
        }
        if (pn_auth_decode(v->out + h->read + PN_AUTH_HEADER_LEN, len, &m)
            == PN_AUTH_DECODED) {
            if (m.type == PN_AUTH_CHALLENGE) {
                h->seen = m.challenge;
                h->has_seen = true;
            } else if (m.type == PN_AUTH_RESPONSE) {
                memcpy(h->signature, m.signature, PN_SIGNATURE_LEN);
                h->has_signature = true;
            }
        }
        h->read += PN_AUTH_HEADER_LEN + len;
    }
}

static const char *a_name(hostile *h)
{
    static const char *const names[] = {
        "alpha@h", "beta@h", "gamma@h", "*@h", "a@b@c"};

    /* Mostly the right one. */
    return pn_test_random(&h->seed) % 4 > 0
               ? (h->victim.config.initiator ? "beta@h" : "gamma@h")
               : names[pn_test_random(&h->seed) % 5];
}

static size_t say_hello(hostile *h, uint8_t *out)
{
    unsigned who = (unsigned)(pn_test_random(&h->seed) % 6);

    /* Its own, the victim's, another's, nothing. */
    h->claimed = who < 4    ? pair_of(2)->public_key
                 : who == 4 ? h->victim.identity.public_key
                            : (pn_ed25519_key){{0}};
    if (pn_test_random(&h->seed) % 8 == 0) {
        h->claimed = pair_of(h->victim.config.initiator ? 1 : 0)->public_key;
    }
    h->signed_well = false;
    return pn_auth_encode_hello(out, name_of(a_name(h)), &h->claimed);
}

static size_t say_challenge(hostile *h, uint8_t *out)
{
    pn_auth_challenge c = {.wall_ms = WALL_MS + START_US / 1000};

    for (size_t i = 0; i < PN_AUTH_NONCE_LEN; i++) {
        c.nonce[i] = (uint8_t)pn_test_random(&h->seed);
    }
    switch (pn_test_random(&h->seed) % 6) {
    case 0:
        if (h->has_seen) {
            c = h->seen;
        }
        break;
    case 1:
        c.wall_ms += pn_test_random(&h->seed) % 200000;
        break;
    default:
        break;
    }
    return pn_auth_encode_challenge(out, &c);
}

static size_t say_response(hostile *h, uint8_t *out)
{
    uint8_t bytes[PN_AUTH_SIGNED_LEN];
    uint8_t signature[PN_SIGNATURE_LEN];
    unsigned how = (unsigned)(pn_test_random(&h->seed) % 5);

    pn_auth_signed_bytes(bytes, &h->seen, &pair_of(2)->public_key,
        how == 1 ? other_binding : binding);
    assert_int_equal(
        pn_ed25519_sign(&pair_of(2)->secret, bytes, sizeof(bytes), signature),
        PN_OK);
    if (how == 2 && h->has_signature) {
        memcpy(signature, h->signature, sizeof(signature));
    } else if (how == 3) {
        signature[pn_test_random(&h->seed) % sizeof(signature)] ^= 1;
    }
    h->signed_well =
        h->signed_well
        || (h->has_seen && how != 1 && how != 3
            && !(how == 2 && h->has_signature)
            && pn_ed25519_key_equal(&h->claimed, &pair_of(2)->public_key));
    return pn_auth_encode_response(out, signature);
}

static size_t say_anything(hostile *h, uint8_t *out)
{
    switch (pn_test_random(&h->seed) % 8) {
    case 0:
        return say_hello(h, out);
    case 1:
    case 2:
        return say_challenge(h, out);
    case 3:
    case 4:
        return say_response(h, out);
    case 5:
        return pn_auth_encode_ok(out);
    case 6:
        return pn_auth_encode_fail(out, name_of("untrusted_key"));
    default:
        for (size_t i = 0; i < 70; i++) {
            out[i] = (uint8_t)pn_test_random(&h->seed);
        }
        out[0] = 0;
        return 70;
    }
}

/* Mostly sends the correct next message, because it has to get far to attack
 * the end. */
static size_t say(hostile *h, uint8_t *out, unsigned step)
{
    bool initiator = h->victim.config.initiator;

    if (pn_test_random(&h->seed) % 6 == 0) {
        return say_anything(h, out);
    }
    switch (step) {
    case 0:
        return say_hello(h, out);
    case 1:
        return say_challenge(h, out);
    case 2:
        return say_response(h, out);
    default:
        return initiator ? pn_auth_encode_ok(out) : say_anything(h, out);
    }
}

static void run_hostile(hostile *h)
{
    uint64_t now_us = START_US;

    end_begin(&h->victim);
    end_collect(&h->victim);
    for (unsigned step = 0;
         step < 6 && pn_auth_outcome_of(h->victim.auth) == PN_AUTH_RUNNING;
         step++) {
        uint8_t message[PN_AUTH_HEADER_LEN + PN_AUTH_MESSAGE_MAX];
        size_t len;

        eavesdrop(h);
        len = say(h, message, step);
        now_us += pn_test_random(&h->seed) % 1000000;
        pn_auth_input(h->victim.auth, now_us, WALL_MS + now_us / 1000, message,
            len, pn_test_random(&h->seed) % 20 == 0);
        end_collect(&h->victim);
    }
}

/* Done only with a peer that has signed with the claimed key, which it holds
 * and which is not ours. */
static void test_hostile(void **state)
{
    bool initiator = *(const char *)*state == 'i';
    unsigned n_done = 0;

    for (uint64_t run = 1; run <= HOSTILE_RUNS; run++) {
        hostile h = {.seed = run + (initiator ? 1000000 : 0)};

        end_init(&h.victim, initiator, &h.seed);
        h.victim.knows = run % 3 == 0;
        h.victim.pinned = pair_of(run % 2 == 0 ? 2 : 0)->public_key;
        run_hostile(&h);
        if (pn_auth_outcome_of(h.victim.auth) == PN_AUTH_DONE) {
            n_done++;
            if (!h.signed_well
                || !pn_ed25519_key_equal(
                    pn_auth_peer_key(h.victim.auth), &pair_of(2)->public_key)
                || (h.victim.knows
                    && !pn_ed25519_key_equal(
                        &h.victim.pinned, &pair_of(2)->public_key))) {
                fail_msg("seed %llu: let in", (unsigned long long)h.seed);
            }
        }
        assert_int_equal(
            h.victim.n_added, pn_auth_outcome_of(h.victim.auth) == PN_AUTH_DONE
                                  && !h.victim.knows);
        pn_auth_free(h.victim.auth);
    }
    /* With its own key and name it is an honest peer, as in some of the
     * runs. */
    assert_in_range(n_done, HOSTILE_RUNS / 100, HOSTILE_RUNS / 2);
}

int main(void)
{
    static char initiator[] = "initiator";
    static char responder[] = "responder";

    pn_test_add("sim/barrel/honest", test_honest, NULL);
    pn_test_add("sim/barrel/hostile/initiator", test_hostile, initiator);
    pn_test_add("sim/barrel/hostile/responder", test_hostile, responder);
    return pn_test_run("sim-barrel");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Up to authentication: recorded transcripts, recorded single steps, and
 * handshakes with a byte or a bit changed, which must never authenticate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "recorded_link.h"
#include "wire/frame.h"

/* ---- recorded transcripts ------------------------------------------------ */

static void take_private(const json_t *pair, pn_secret_key *ret_key)
{
    pn_json_hex_n(pair, "private_hex", ret_key->bytes, PN_KEY_LEN);
}

static void transcript_end(
    end *e, bool initiator, const json_t *identity, const json_t *ephemeral)
{
    end_init(e, initiator, 1);
    take_private(identity, &e->identity.secret);
    take_private(ephemeral, &e->ephemeral);
    assert_int_equal(
        pn_x25519_public(&e->identity.secret, &e->identity.public_key), PN_OK);
    end_start(e, 0);
}

static void transcript_ends(const json_t *t, end *a, end *b)
{
    transcript_end(a, true, json_object_get(t, "init_static"),
        json_object_get(t, "init_ephemeral"));
    transcript_end(b, false, json_object_get(t, "resp_static"),
        json_object_get(t, "resp_ephemeral"));
}

/* Takes the output of `from`, compares it, and gives it to `to` in pieces of
 * step bytes. */
static pn_err pass_frame(end *from, end *to, const json_t *message, size_t step)
{
    size_t len;
    uint8_t *frame = pn_json_hex(message, "frame_hex", &len);
    pn_buf out = {0};

    end_take(from, 0, &out);
    pn_assert_bytes(pn_buf_head(&out), pn_buf_used(&out), frame, len);
    free(frame);
    (void)end_feed_by(to, 0, pn_buf_head(&out), pn_buf_used(&out), step);
    pn_buf_fini(&out);
    return to->err;
}

/* The plaintexts are OTP 25's, so ours differ in the spelling of atoms: what
 * is checked is that the recorded frames are read. */
static void read_transport(const json_t *t, end *a, end *b)
{
    size_t i;
    json_t *m;

    json_array_foreach(json_object_get(t, "transport"), i, m)
    {
        bool from_a = strcmp(pn_json_string(m, "from"), "initiator") == 0;
        size_t len;
        uint8_t *frame = pn_json_hex(m, "frame_hex", &len);

        assert_int_equal(end_feed(from_a ? b : a, 0, frame, len), PN_OK);
        free(frame);
    }
    assert_int_equal(b->n_calls, 1);
    assert_int_equal(b->n_sends, 1);
    assert_string_equal(b->handle, "chat");
    assert_int_equal(a->n_replies, 0); /* to a call that was never made */
}

static void run_transcript(const json_t *t, size_t step)
{
    end a;
    end b;

    transcript_ends(t, &a, &b);
    assert_int_equal(pass_frame(&a, &b, json_object_get(t, "m1"), step), PN_OK);
    assert_int_equal(pass_frame(&b, &a, json_object_get(t, "m2"), step), PN_OK);
    assert_int_equal(pass_frame(&a, &b, json_object_get(t, "m3"), step), PN_OK);
    assert_open(&a);
    assert_open(&b);
    assert_memory_equal(pn_session_peer(a.s), &b.identity.public_key, 32);
    assert_memory_equal(pn_session_peer(b.s), &a.identity.public_key, 32);
    read_transport(t, &a, &b);
    link_fini(&a, &b);
}

static void test_transcript(void **state)
{
    run_transcript(*state, 1000);
}

static void test_transcript_bytewise(void **state)
{
    run_transcript(*state, 1);
}

/* Two transcripts of the original that must not come about with us (T34). */
static void test_transcript_own_key(void **state)
{
    end a;
    end b;

    transcript_ends(*state, &a, &b);
    assert_int_equal(
        pass_frame(&a, &b, json_object_get(*state, "m1"), 1000), PN_OK);
    assert_true(pn_err_is_peer(
        pass_frame(&b, &a, json_object_get(*state, "m2"), 1000)));
    assert_closed(&a, PN_REASON_OWN_KEY);
    assert_int_equal(a.n_trust, 0);
    assert_int_equal(a.n_open, 0);
    link_fini(&a, &b);
}

static void test_transcript_one_ephemeral(void **state)
{
    pn_buf out = {0};
    end a;
    end b;

    transcript_ends(*state, &a, &b);
    end_take(&a, 0, &out);
    assert_true(
        pn_err_is_peer(end_feed(&b, 0, pn_buf_head(&out), pn_buf_used(&out))));
    assert_closed(&b, PN_REASON_BAD_HANDSHAKE);
    assert_int_equal(pn_session_queued_bytes(b.s), 0);
    pn_buf_fini(&out);
    link_fini(&a, &b);
}

static void add_transcripts(void)
{
    size_t i;
    json_t *t;

    json_array_foreach(json_object_get(recorded, "transcripts"), i, t)
    {
        const char *name = pn_json_string(t, "name");

        if (strncmp(name, "same static", 11) == 0) {
            pn_test_addf(
                test_transcript_own_key, t, "session/t34/transcript/%s", name);
        } else if (strncmp(name, "both sides reuse", 16) == 0) {
            pn_test_addf(test_transcript_one_ephemeral, t,
                "session/t34/transcript/%s", name);
        } else {
            pn_test_addf(test_transcript, t, "session/transcript/%s", name);
            pn_test_addf(test_transcript_bytewise, t,
                "session/transcript/%s/bytewise", name);
        }
    }
}

/* ---- recorded single steps ----------------------------------------------- */

/* Where ours is stricter than the original, on purpose: a fixed body, no other
 * way to write it (T1). */
static bool is_stricter(const char *name)
{
    return strstr(name, "(accepted)") != NULL;
}

/* Drops what e has queued: it has been sent. */
static void sent(end *e)
{
    pn_buf out = {0};

    end_take(e, 0, &out);
    pn_buf_fini(&out);
}

/* The responder after the M1 of a peer that claims another's key. */
static void impostor_start(end *b)
{
    const json_t *impostor = json_object_get(
        json_object_get(recorded, "single_step_cases"), "impostor");
    const json_t *t = json_array_get(
        json_object_get(recorded, "transcripts"), 0);
    size_t len;
    uint8_t *m1 = pn_json_hex(impostor, "m1_frame_hex", &len);
    uint8_t m2[106];
    pn_buf out = {0};

    end_fini(b);
    transcript_end(b, false, json_object_get(t, "resp_static"),
        json_object_get(impostor, "resp_ephemeral"));
    assert_int_equal(end_feed(b, 0, m1, len), PN_OK);
    end_take(b, 0, &out);
    pn_json_hex_n(impostor, "m2_frame_hex", m2, sizeof(m2));
    pn_assert_bytes(pn_buf_head(&out), pn_buf_used(&out), m2, sizeof(m2));
    pn_buf_fini(&out);
    free(m1);
}

/* Brings e to the state the case starts in, over the first transcript. */
static void step_start(const json_t *c, end *a, end *b, end **ret_e)
{
    const json_t *t = json_array_get(
        json_object_get(recorded, "transcripts"), 0);
    const char *phase = pn_json_string(c, "phase");

    transcript_ends(t, a, b);
    *ret_e = strcmp(pn_json_string(c, "role"), "initiator") == 0 ? a : b;
    if (strstr(pn_json_string(c, "name"), "impostor") != NULL) {
        impostor_start(b);
    } else if (strcmp(phase, "wait_m3") == 0) {
        assert_int_equal(
            pass_frame(a, b, json_object_get(t, "m1"), 1000), PN_OK);
        sent(b);
    } else if (strcmp(phase, "wait_m2") == 0) {
        sent(a);
    }
}

/* The key the peer shows in this case. */
static const pn_public_key *shown_key(const json_t *c, end *a, end *b, end *e)
{
    static pn_public_key claimed;

    if (strstr(pn_json_string(c, "name"), "impostor") != NULL) {
        pn_json_hex_n(
            json_object_get(
                json_object_get(recorded, "single_step_cases"), "impostor"),
            "init_claims_public_hex", claimed.bytes, 32);
        return &claimed;
    }
    return e == a ? &b->identity.public_key : &a->identity.public_key;
}

/* The original asks for trust before it knows whether the key is the peer's
 * own, and calls these untrusted; we say what they are (T18). */
static bool is_bad_before_untrusted(const char *name)
{
    return strstr(name, "trust is checked first") != NULL
           || strstr(name, "impostor") != NULL;
}

static bool lists_key(const json_t *trusted, const pn_public_key *key)
{
    size_t i;
    json_t *hex;

    json_array_foreach(trusted, i, hex)
    {
        size_t len;
        uint8_t *bytes = pn_unhex(json_string_value(hex), &len);
        bool same = len == 32 && memcmp(bytes, key->bytes, 32) == 0;

        free(bytes);
        if (same) {
            return true;
        }
    }
    return false;
}

static void step_outcome(const json_t *c, end *e)
{
    const char *name = pn_json_string(c, "name");
    const char *reason = json_string_value(json_object_get(c, "reason"));

    if (strcmp(pn_json_string(c, "result"), "ok") == 0 && !is_stricter(name)) {
        pn_buf out = {0};
        size_t len;
        uint8_t *want = pn_json_hex(c, "output_hex", &len);

        assert_int_equal(e->err, PN_OK);
        end_take(e, 0, &out);
        pn_assert_bytes(pn_buf_head(&out), pn_buf_used(&out), want, len);
        assert_int_equal(pn_buf_used(&e->in),
            json_integer_value(json_object_get(c, "inbox_left")));
        free(want);
        pn_buf_fini(&out);
        return;
    }
    assert_int_not_equal(e->err, PN_OK);
    assert_int_equal(e->n_open, 0);
    assert_int_equal(pn_session_queued_bytes(e->s), 0);
    assert_closed(e, reason != NULL && strcmp(reason, "untrusted_peer") == 0
                             && !is_bad_before_untrusted(name)
                         ? PN_REASON_UNTRUSTED_PEER
                         : PN_REASON_BAD_HANDSHAKE);
}

static void test_single_step(void **state)
{
    const json_t *c = *state;
    const json_t *trusted = json_object_get(c, "trusted");
    size_t len;
    uint8_t *input = pn_json_hex(c, "input_hex", &len);
    end a;
    end b;
    end *e;

    step_start(c, &a, &b, &e);
    if (trusted != NULL) {
        e->trusts = lists_key(trusted, shown_key(c, &a, &b, e));
    }
    (void)end_feed(e, 0, input, len);
    step_outcome(c, e);
    free(input);
    link_fini(&a, &b);
}

static void add_single_steps(void)
{
    json_t *cases = json_object_get(
        json_object_get(recorded, "single_step_cases"), "cases");
    size_t i;
    json_t *c;

    json_array_foreach(cases, i, c)
    {
        pn_test_addf(test_single_step, c, "session/step/%s/%s",
            pn_json_string(c, "phase"), pn_json_string(c, "name"));
    }
}

/* ---- every bit of a handshake -------------------------------------------- */

/* Message n with one bit of its body flipped; the rest as it should be.
 * True when either end believes it is authenticated with the flip behind it. */
static bool flip_authenticates(unsigned message, size_t bit)
{
    pn_buf out = {0};
    end a;
    end b;
    end *from;
    end *to;
    bool opened;

    fresh_ends(&a, &b);
    for (unsigned m = 0; m < message; m++) {
        assert_true(m % 2 == 0 ? end_pass(&a, &b, 0) : end_pass(&b, &a, 0));
    }
    from = message % 2 == 0 ? &a : &b;
    to = message % 2 == 0 ? &b : &a;
    end_take(from, 0, &out);
    pn_buf_head(&out)[PN_FRAME_HEADER_LEN + bit / 8] ^= (uint8_t)(1 << bit % 8);
    (void)end_feed(to, 0, pn_buf_head(&out), pn_buf_used(&out));
    pn_buf_fini(&out);
    if (!end_is_closed(to)) {
        (void)end_pass(to, from, 0);
        (void)end_pass(from, to, 0);
    }
    /* After M3 the initiator is right to be open: only the responder knows. */
    opened = b.n_open > 0 || (message < 2 && a.n_open > 0);
    assert_int_equal(b.n_trust, 0);
    link_fini(&a, &b);
    return opened;
}

static void test_bit_flips(void **state)
{
    static const size_t bits[] = {8 * 38, 8 * 102, 8 * 70};
    unsigned message = *(const unsigned *)*state;

    for (size_t bit = 0; bit < bits[message]; bit++) {
        if (flip_authenticates(message, bit)) {
            fail_msg("bit %zu of M%u can be flipped", bit, message + 1);
        }
    }
}

/* A byte dropped, said twice, or exchanged with the next, header included. */
typedef enum damage { DROP, REPEAT, SWAP } damage;

static void spoil(pn_buf *b, damage how, size_t at)
{
    size_t rest = pn_buf_used(b) - at;
    uint8_t *p;
    uint8_t was;

    assert_int_equal(pn_buf_append(b, "", 1), PN_OK);
    p = b->data + b->off + at;
    was = p[0];
    b->len--;
    switch (how) {
    case DROP:
        memmove(p, p + 1, rest - 1);
        b->len--;
        break;
    case REPEAT:
        memmove(p + 1, p, rest);
        b->len++;
        break;
    case SWAP:
        p[0] = p[1];
        p[1] = was;
        break;
    }
}

/* One handshake in which message M is spoiled. True when the responder has
 * authenticated a peer, or the initiator has after a spoiled M1 or M2.
 * *ret_same: the message is what it was. */
static bool spoiled_authenticates(
    unsigned message, damage how, size_t at, bool *ret_same)
{
    pn_buf out = {0};
    pn_buf before = {0};
    bool opened;
    end a;
    end b;
    end *from = message == 1 ? &b : &a;
    end *to = message == 1 ? &a : &b;

    fresh_ends(&a, &b);
    for (unsigned m = 0; m < message; m++) {
        assert_true(m % 2 == 0 ? end_pass(&a, &b, 0) : end_pass(&b, &a, 0));
    }
    end_take(from, 0, &out);
    assert_int_equal(
        pn_buf_append(&before, pn_buf_head(&out), pn_buf_used(&out)), PN_OK);
    spoil(&out, how, at);
    /* Nothing has changed: two equal bytes exchanged, or the last one said
     * twice, which is a byte behind a good message. */
    *ret_same = pn_buf_used(&out) >= pn_buf_used(&before)
                && memcmp(out.data + out.off, before.data + before.off,
                       pn_buf_used(&before))
                       == 0;
    (void)end_feed(to, 0, pn_buf_head(&out), pn_buf_used(&out));
    link_settle(&a, &b, 0);
    opened = b.n_open > 0 || (message < 2 && a.n_open > 0);
    pn_buf_fini(&out);
    pn_buf_fini(&before);
    link_fini(&a, &b);
    return opened;
}

static void test_spoiled(void **state)
{
    static const size_t lengths[] = {42, 106, 74};
    unsigned message = *(const unsigned *)*state;

    for (size_t at = 0; at < lengths[message]; at++) {
        for (unsigned how = DROP; how <= SWAP; how++) {
            bool is_last = at + 1 == lengths[message];
            bool is_same;

            if (how == SWAP && is_last) {
                continue;
            }
            if (spoiled_authenticates(message, how, at, &is_same) && !is_same) {
                fail_msg("M%u, byte %zu, damage %u", message + 1, at, how);
            }
        }
    }
}

/* Every bit of three sealed frames: what is before the flip is delivered,
 * nothing of the frame it is in, nothing after. */
static void test_transport_flips(void **state)
{
    uint64_t now = 0;
    pn_buf out = {0};
    size_t frame_len;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(end_send(&a, now, "x", 2), PN_OK);
    }
    end_take(&a, now, &out);
    frame_len = pn_buf_used(&out) / 3;
    link_fini(&a, &b);
    for (size_t bit = 0; bit < 8 * 3 * frame_len; bit++) {
        pn_buf copy = {0};

        now = 0;
        link_init(&a, &b, &now);
        assert_int_equal(
            pn_buf_append(&copy, pn_buf_head(&out), 3 * frame_len), PN_OK);
        copy.data[copy.off + bit / 8] ^= (uint8_t)(1 << bit % 8);
        (void)end_feed(&b, now, pn_buf_head(&copy), pn_buf_used(&copy));
        assert_int_equal(b.n_sends, bit / 8 / frame_len);
        /* A longer length in the header may still be waited for. */
        assert_true(end_is_closed(&b) || bit / 8 % frame_len < 4);
        pn_buf_fini(&copy);
        link_fini(&a, &b);
    }
    pn_buf_fini(&out);
}

/* ---- threats by number ------------------------------------------------- */

static void add_threats(void)
{
    static unsigned messages[] = {0, 1, 2};

    for (size_t i = 0; i < 3; i++) {
        pn_test_addf(test_spoiled, &messages[i], "session/bytes_moved/m%u_all",
            messages[i] + 1);
        pn_test_addf(test_bit_flips, &messages[i], "session/bit_flips/m%u_all",
            messages[i] + 1);
    }
}

static const struct {
    const char *name;
    CMUnitTestFunction run;
} tests[] = {
    {"session/bit_flips/transport_all", test_transport_flips},
};

int main(void)
{
    int status;

    recorded = pn_vectors("handshake.json");
    add_transcripts();
    add_single_steps();
    add_threats();
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        pn_test_add(tests[i].name, tests[i].run, NULL);
    }
    status = pn_test_run("session/handshake");
    json_decref(recorded);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes of our kind recognise each other by the nonce of a ping
 * (docs/PROTOCOL.md, section 5.1): the bytes, the order, and that nothing else
 * is taken for it or harms the link.
 */
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "wire/frame.h"

static json_t *vectors;

static const pn_kind kind_a = {1, PN_KIND_NO_ETIQUETTE, "phone"};
static const pn_kind kind_b = {1, PN_KIND_NO_ETIQUETTE | PN_KIND_LABEL_UPDATES,
    "K\xc3\xbc"
    "che"};

/* An authenticated link; a NULL kind is an end that knows nothing of kinds. */
static void kinds_link(end *a, end *b, uint64_t *now, const pn_kind *of_a,
    const pn_kind *of_b, uint64_t seed)
{
    end_init(a, true, seed);
    end_init(b, false, seed + 1);
    a->config.kind = of_a;
    b->config.kind = of_b;
    end_start(a, *now);
    end_start(b, *now);
    link_open(a, b, now);
    assert_open(a);
    assert_open(b);
}

static void assert_kind(const end *e, const pn_kind *want)
{
    const pn_kind *kind = pn_session_kind(e->s);

    assert_non_null(kind);
    assert_int_equal(kind->version, want->version);
    assert_int_equal(kind->flags, want->flags);
    assert_string_equal(kind->label, want->label);
}

/* Calls still work in both directions. */
static void assert_unharmed(end *a, end *b, uint64_t now)
{
    end *const ends[] = {a, b};

    for (unsigned i = 0; i < 2; i++) {
        end *from = ends[i];
        end *to = ends[1 - i];
        unsigned n = from->n_replies;

        assert_int_equal(
            end_call(from, now, "echo", now + PN_US_PER_S, NULL), PN_OK);
        link_settle(a, b, now);
        assert_int_equal(end_reply(to, now, to->call_id, true), PN_OK);
        link_settle(a, b, now);
        assert_int_equal(from->n_replies, n + 1);
        assert_open(from);
    }
}

/* The envelope of a ping or pong with this nonce. */
static size_t envelope(const char *name, const uint8_t *nonce, size_t len,
    uint8_t ret_plain[static 256])
{
    static const uint8_t head[] = {
        131, 104, 2, 119, 4, 'p', '?', 'n', 'g', 109, 0, 0, 0};

    memcpy(ret_plain, head, sizeof(head));
    ret_plain[6] = (uint8_t)name[1]; /* ping, pong */
    ret_plain[13] = (uint8_t)len;
    memcpy(ret_plain + 14, nonce, len);
    return 14 + len;
}

static pn_err inject(end *from, end *to, uint64_t now, const char *name,
    const uint8_t *nonce, size_t len)
{
    uint8_t plain[256];
    size_t n = envelope(name, nonce, len, plain);

    return link_inject(from, to, now, plain, n);
}

/* ---- the bytes ---------------------------------------------------------- */

static void test_vector(void **state)
{
    const json_t *v = *state;
    bool by_initiator = strcmp(pn_json_string(v, "role"), "initiator") == 0;
    uint8_t hash[PN_HASH_LEN];
    uint8_t nonce[PN_KIND_NONCE_MAX];
    pn_kind kind = {
        .version = (uint8_t)json_integer_value(json_object_get(v, "version")),
        .flags = (uint8_t)json_integer_value(json_object_get(v, "flags"))};
    pn_kind read = {0};
    size_t len;
    size_t want_len;
    uint8_t *want = pn_json_hex(v, "nonce_hex", &want_len);
    uint8_t *label = pn_json_hex(v, "label_hex", &len);

    memcpy(kind.label, label, len);
    pn_json_hex_n(v, "handshake_hash_hex", hash, sizeof(hash));
    assert_int_equal(
        pn_kind_write(hash, by_initiator, &kind, nonce, &len), PN_OK);
    pn_assert_bytes(nonce, len, want, want_len);
    assert_true(
        pn_kind_read(hash, by_initiator, (pn_slice){want, want_len}, &read));
    assert_memory_equal(&read, &kind, sizeof(kind));
    free(want);
    free(label);
}

/* The hash is that of the handshake which the originals recorded. */
static void test_recorded_hash(void **state)
{
    json_t *root = pn_vectors("handshake.json");
    const json_t *t = json_array_get(json_object_get(root, "transcripts"), 0);
    uint8_t want[PN_HASH_LEN];
    uint64_t now = 0;
    end a;
    end b;
    end *const ends[] = {&a, &b};
    static const char *const sides[] = {"init", "resp"};

    (void)state;
    end_init(&a, true, 1);
    end_init(&b, false, 2);
    for (unsigned i = 0; i < 2; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "%s_static", sides[i]);
        pn_json_hex_n(json_object_get(t, key), "private_hex",
            ends[i]->identity.secret.bytes, PN_KEY_LEN);
        pn_json_hex_n(json_object_get(t, key), "public_hex",
            ends[i]->identity.public_key.bytes, PN_KEY_LEN);
        (void)snprintf(key, sizeof(key), "%s_ephemeral", sides[i]);
        pn_json_hex_n(json_object_get(t, key), "private_hex",
            ends[i]->ephemeral.bytes, PN_KEY_LEN);
        ends[i]->config.kind = i == 0 ? &kind_a : &kind_b;
        end_start(ends[i], now);
    }
    link_open(&a, &b, &now);
    pn_json_hex_n(
        json_object_get(t, "final"), "handshake_hash_hex", want, sizeof(want));
    assert_memory_equal(a.s->kinds->hash, want, sizeof(want));
    assert_memory_equal(b.s->kinds->hash, want, sizeof(want));
    json_decref(root);
    link_fini(&a, &b);
}

static void test_label_limits(void **state)
{
    static const struct {
        const char *label;
        bool is_valid;
    } rows[] = {
        {"", true},
        {"kitchen", true},
        {"\xc3\xa9", true},
        {"a\nb", false},
        {"\x1b[2J", false},
        {"\x7f", false},
        {"\xc2\x85", false}, /* C1 */
        {"\xc3", false},     /* cut */
        {"\xff", false},
    };
    char longest[PN_KIND_LABEL_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(
            pn_kind_label_is_valid(rows[i].label, strlen(rows[i].label)),
            rows[i].is_valid);
    }
    assert_false(pn_kind_label_is_valid("a\0b", 3));
    memset(longest, 'x', sizeof(longest));
    assert_int_equal(PN_KIND_LABEL_MAX, 54);
    assert_true(pn_kind_label_is_valid(longest, sizeof(longest) - 1));
    assert_false(pn_kind_label_is_valid(longest, sizeof(longest)));
}

/* ---- the order ---------------------------------------------------------- */

static void test_both(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    kinds_link(&a, &b, &now, &kind_a, &kind_b, 1);
    assert_kind(&a, &kind_b);
    assert_kind(&b, &kind_a);
    assert_true(pn_session_rtt_us(a.s) == 0); /* virtual time stood still */
    assert_int_equal(a.s->n_pings, 0);
    assert_int_equal(b.s->n_pings, 0);
    assert_unharmed(&a, &b, now);
    link_fini(&a, &b);
}

/* The responder's first frame is its kind, before whatever its owner sends when
 * the link opens; and the initiator has nothing behind M3 in its segment. */
static void send_at_once(end *e)
{
    assert_int_equal(end_send(e, e->now, "hello", 1), PN_OK);
}

static void test_first_frame(void **state)
{
    pn_buf bytes = {0};
    pn_slice plain;
    uint8_t *at;
    size_t len;
    end a;
    end b;

    (void)state;
    end_init(&a, true, 1);
    end_init(&b, false, 2);
    a.config.kind = &kind_a;
    b.config.kind = &kind_b;
    b.hooks.on_open = send_at_once;
    end_start(&a, 0);
    end_start(&b, 0);
    assert_true(end_pass(&a, &b, 0));
    assert_true(end_pass(&b, &a, 0));
    assert_int_equal(pn_session_output(a.s).len, PN_FRAME_HEADER_LEN + 70);
    assert_true(end_pass(&a, &b, 0));
    end_take(&b, 0, &bytes);
    at = pn_buf_head(&bytes);
    len = pn_buf_used(&bytes);
    assert_true(end_open_frame(&a, &at, &len, &plain));
    assert_int_equal(plain.len, 14 + PN_KIND_NONCE_MIN + 6);
    assert_memory_equal(
        plain.data, "\x83\x68\x02\x77\x04ping\x6d\0\0\0\x10", 14);
    assert_memory_equal(plain.data + 14,
        "\x01\x03K\xc3\xbc"
        "che",
        8);
    pn_buf_fini(&bytes);
    link_fini(&a, &b);
}

/* A responder that knows nothing of kinds, as Elixir nodes, gets from an
 * initiator what it always got: nothing at all before the owner sends. */
static void test_other_responder(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    kinds_link(&a, &b, &now, &kind_a, NULL, 1);
    assert_int_equal(pn_session_frames_out(a.s), 2); /* M1, M3 */
    assert_int_equal(pn_session_ping(a.s, now), PN_OK);
    link_settle(&a, &b, now);
    assert_int_equal(pn_session_frames_out(a.s), 3);
    assert_null(pn_session_kind(a.s));
    assert_null(pn_session_kind(b.s));
    assert_unharmed(&a, &b, now);
    link_fini(&a, &b);
}

/* Another initiator echoes the nonce, and is not recognised by that. */
static void test_other_initiator(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    kinds_link(&a, &b, &now, NULL, &kind_b, 1);
    assert_int_equal(b.s->n_pings, 0); /* its pong has come */
    assert_null(pn_session_kind(a.s));
    assert_null(pn_session_kind(b.s));
    assert_unharmed(&a, &b, now);
    link_fini(&a, &b);
}

static void ping_at_once(end *e)
{
    assert_int_equal(pn_session_ping(e->s, e->now), PN_OK);
}

/* While the responder's first frame was under way, all nudges were sent. */
static void test_after_nudges(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    end_init(&a, true, 1);
    end_init(&b, false, 2);
    a.config.kind = &kind_a;
    b.config.kind = &kind_b;
    a.hooks.on_open = ping_at_once;
    end_start(&a, now);
    end_start(&b, now);
    assert_true(end_pass(&a, &b, now));
    assert_true(end_pass(&b, &a, now));
    assert_true(end_pass(&a, &b, now));
    while (a.s->n_nudges < PN_NUDGES_MAX) {
        now = pn_session_deadline(a.s);
        assert_int_equal(end_tick(&a, now), PN_OK);
        (void)end_pass(&a, &b, now);
    }
    assert_int_equal(a.s->n_nudges, PN_NUDGES_MAX);
    assert_int_equal(a.s->n_pings, PN_PINGS_MAX - 1);
    assert_null(pn_session_kind(a.s));
    link_settle(&a, &b, now);
    assert_kind(&a, &kind_b);
    assert_kind(&b, &kind_a);
    link_fini(&a, &b);
}

/* A later nonce replaces what was said. */
static void test_label_update(void **state)
{
    const pn_kind later = {1, PN_KIND_NO_ETIQUETTE, "other name"};
    uint8_t nonce[PN_KIND_NONCE_MAX];
    uint64_t now = 0;
    size_t len;
    end a;
    end b;

    (void)state;
    kinds_link(&a, &b, &now, &kind_a, &kind_b, 1);
    assert_int_equal(
        pn_kind_write(b.s->kinds->hash, true, &later, nonce, &len), PN_OK);
    assert_int_equal(inject(&a, &b, now, "ping", nonce, len), PN_OK);
    assert_kind(&b, &later);
    assert_unharmed(&a, &b, now);
    link_fini(&a, &b);
}

/* ---- updates ------------------------------------------------------------ */

static const pn_kind takes_updates = {
    1, PN_KIND_NO_ETIQUETTE | PN_KIND_LABEL_UPDATES, ""};

static void relabel(end *e, pn_kind *kind, const char *label)
{
    memset(kind->label, 0, sizeof(kind->label));
    memcpy(kind->label, label, strlen(label));
    pn_session_kind_changed(e->s);
}

/* Runs what is due now. */
static void run_at(end *a, end *b, uint64_t now)
{
    assert_int_equal(end_tick(a, now), PN_OK);
    assert_int_equal(end_tick(b, now), PN_OK);
    link_settle(a, b, now);
}

/* Of several changes in a second the last is told, and a change that is taken
 * back is none. */
static void test_update_pace(void **state)
{
    pn_kind mine = takes_updates;
    uint64_t now = 0;
    uint64_t frames;
    end a;
    end b;

    (void)state;
    kinds_link(&a, &b, &now, &mine, &takes_updates, 1);
    frames = pn_session_frames_out(a.s);
    relabel(&a, &mine, "one");
    relabel(&a, &mine, "two");
    run_at(&a, &b, now);
    assert_int_equal(pn_session_frames_out(a.s), frames);
    /* The first was said a moment ago. */
    assert_in_range(pn_session_deadline(a.s), now + PN_KIND_UPDATE_US / 2,
        now + PN_KIND_UPDATE_US);
    now = pn_session_deadline(a.s);
    run_at(&a, &b, now);
    assert_kind(&b, &mine);
    assert_string_equal(pn_session_kind(b.s)->label, "two");
    assert_int_equal(pn_session_frames_out(a.s), frames + 1);
    relabel(&a, &mine, "three");
    relabel(&a, &mine, "two");
    now += PN_KIND_UPDATE_US;
    run_at(&a, &b, now);
    assert_int_equal(pn_session_frames_out(a.s), frames + 1);
    relabel(&a, &mine, "");
    run_at(&a, &b, now);
    assert_string_equal(pn_session_kind(b.s)->label, "");
    assert_unharmed(&a, &b, now);
    link_fini(&a, &b);
}

/* A peer that does not take them, or is of another make, gets none. */
static void test_update_not_taken(void **state)
{
    static const pn_kind *const theirs[] = {&kind_a, NULL};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        pn_kind mine = takes_updates;
        uint64_t now = 0;
        uint64_t frames;
        end a;
        end b;

        kinds_link(&a, &b, &now, theirs[i], &mine, 1);
        frames = pn_session_frames_out(b.s);
        relabel(&b, &mine, "new");
        now += 2 * PN_KIND_UPDATE_US;
        run_at(&a, &b, now);
        assert_int_equal(pn_session_frames_out(b.s), frames);
        link_fini(&a, &b);
    }
}

/* With all pings on their way it is told later. */
static void test_update_busy(void **state)
{
    pn_kind mine = takes_updates;
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    kinds_link(&a, &b, &now, &mine, &takes_updates, 1);
    now += PN_KIND_UPDATE_US;
    while (pn_session_ping(a.s, now) == PN_OK) {}
    relabel(&a, &mine, "later");
    assert_int_equal(end_tick(&a, now), PN_OK);
    link_settle(&a, &b, now);
    assert_string_equal(pn_session_kind(b.s)->label, "");
    assert_int_equal(pn_session_deadline(a.s), now + PN_KIND_UPDATE_US);
    now += PN_KIND_UPDATE_US;
    run_at(&a, &b, now);
    assert_string_equal(pn_session_kind(b.s)->label, "later");
    link_fini(&a, &b);
}

/* The change came while the initiator was not known yet. */
static void test_update_early(void **state)
{
    pn_kind mine = takes_updates;
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    end_init(&a, true, 1);
    end_init(&b, false, 2);
    a.config.kind = &takes_updates;
    b.config.kind = &mine;
    end_start(&a, now);
    end_start(&b, now);
    assert_true(end_pass(&a, &b, now));
    assert_true(end_pass(&b, &a, now));
    assert_true(end_pass(&a, &b, now));
    assert_open(&b);
    relabel(&b, &mine, "early");
    link_settle(&a, &b, now);
    assert_string_equal(pn_session_kind(a.s)->label, "");
    now += PN_KIND_UPDATE_US;
    run_at(&a, &b, now);
    assert_string_equal(pn_session_kind(a.s)->label, "early");
    link_fini(&a, &b);
}

/* Somebody on the way who sends the bytes of an update again ends the link, as
 * with any frame (docs/PROTOCOL.md, section 3). */
static void test_update_replayed(void **state)
{
    pn_kind mine = takes_updates;
    pn_buf bytes = {0};
    uint8_t copy[256];
    uint64_t now = 0;
    size_t len;
    end a;
    end b;

    (void)state;
    kinds_link(&a, &b, &now, &mine, &takes_updates, 1);
    now += PN_KIND_UPDATE_US;
    relabel(&a, &mine, "new");
    assert_int_equal(end_tick(&a, now), PN_OK);
    end_take(&a, now, &bytes);
    len = pn_buf_used(&bytes);
    assert_in_range(len, 1, sizeof(copy));
    memcpy(copy, pn_buf_head(&bytes), len);
    assert_int_equal(end_feed(&b, now, pn_buf_head(&bytes), len), PN_OK);
    assert_string_equal(pn_session_kind(b.s)->label, "new");
    assert_int_equal(end_feed(&b, now, copy, len), PN_AUTH);
    pn_buf_fini(&bytes);
    link_fini(&a, &b);
}

/* ---- what is not taken for it ------------------------------------------- */

/* A link whose initiator is a node of another make, with its attacks. */
typedef struct attack {
    end a;
    end b;
    uint64_t now;
    uint8_t nonce[PN_KIND_NONCE_MAX + 1]; /* a good one of the initiator */
    size_t len;
} attack;

static void attack_init(attack *t)
{
    t->now = 0;
    kinds_link(&t->a, &t->b, &t->now, NULL, &kind_b, 1);
    assert_int_equal(
        pn_kind_write(t->b.s->kinds->hash, true, &kind_a, t->nonce, &t->len),
        PN_OK);
}

/* The nonce is echoed like any, is not recognised, and harms nothing. */
static void assert_nothing(attack *t, const uint8_t *nonce, size_t len)
{
    pn_buf bytes = {0};
    uint8_t want[256];
    size_t want_len = envelope("pong", nonce, len, want);
    pn_slice plain;
    uint8_t *at;
    size_t left;

    t->now += PN_US_PER_S; /* the rate of pings */
    assert_int_equal(inject(&t->a, &t->b, t->now, "ping", nonce, len), PN_OK);
    assert_null(pn_session_kind(t->b.s));
    end_take(&t->b, t->now, &bytes);
    at = pn_buf_head(&bytes);
    left = pn_buf_used(&bytes);
    assert_true(end_open_frame(&t->a, &at, &left, &plain));
    pn_assert_bytes(plain.data, plain.len, want, want_len);
    assert_int_equal(left, 0); /* and nothing else */
    pn_buf_fini(&bytes);
    assert_unharmed(&t->a, &t->b, t->now);
}

/* The good one is, in the end: the refusals are of the nonces. */
static void attack_fini(attack *t)
{
    t->now += PN_US_PER_S;
    assert_int_equal(
        inject(&t->a, &t->b, t->now, "ping", t->nonce, t->len), PN_OK);
    assert_kind(&t->b, &kind_a);
    link_fini(&t->a, &t->b);
}

static void test_other_link(void **state)
{
    uint8_t nonce[PN_KIND_NONCE_MAX];
    uint64_t now = 0;
    size_t len;
    attack t;
    end a;
    end b;

    (void)state;
    attack_init(&t);
    kinds_link(&a, &b, &now, &kind_a, &kind_b, 77);
    assert_int_equal(
        pn_kind_write(a.s->kinds->hash, true, &kind_a, nonce, &len), PN_OK);
    link_fini(&a, &b);
    assert_nothing(&t, nonce, len);
    attack_fini(&t);
}

static void test_wrong_role(void **state)
{
    uint8_t nonce[PN_KIND_NONCE_MAX];
    size_t len;
    attack t;

    (void)state;
    attack_init(&t);
    assert_int_equal(
        pn_kind_write(t.b.s->kinds->hash, false, &kind_a, nonce, &len), PN_OK);
    assert_nothing(&t, nonce, len);
    attack_fini(&t);
}

/* Its own nonce comes back in a ping. */
static void test_reflected(void **state)
{
    uint8_t nonce[PN_KIND_NONCE_MAX];
    size_t len;
    attack t;

    (void)state;
    attack_init(&t);
    assert_int_equal(
        pn_kind_write(t.b.s->kinds->hash, false, &kind_b, nonce, &len), PN_OK);
    assert_nothing(&t, nonce, len);
    attack_fini(&t);
}

/* A good nonce in a pong is an echo, and says nothing. */
static void test_in_a_pong(void **state)
{
    attack t;

    (void)state;
    attack_init(&t);
    assert_int_equal(inject(&t.a, &t.b, t.now, "pong", t.nonce, t.len), PN_OK);
    assert_null(pn_session_kind(t.b.s));
    assert_unharmed(&t.a, &t.b, t.now);
    attack_fini(&t);
}

static void test_random(void **state)
{
    uint8_t nonce[PN_KIND_NONCE_MAX];
    uint64_t seed = 5;
    attack t;

    (void)state;
    attack_init(&t);
    for (size_t len = 0; len <= PN_KIND_NONCE_MAX; len++) {
        for (size_t i = 0; i < len; i++) {
            nonce[i] = (uint8_t)pn_test_random(&seed);
        }
        if (len > 1) {
            nonce[0] = PN_KIND_VERSION;
        }
        assert_nothing(&t, nonce, len);
    }
    attack_fini(&t);
}

static void test_truncated(void **state)
{
    attack t;

    (void)state;
    attack_init(&t);
    for (size_t len = 0; len < t.len; len++) {
        assert_nothing(&t, t.nonce, len);
        assert_nothing(&t, t.nonce + (t.len - len), len);
    }
    t.nonce[t.len] = 0;
    assert_nothing(&t, t.nonce, t.len + 1);
    attack_fini(&t);
}

/* Each bit counts: version, flags, label, MAC. */
static void test_bit_flips(void **state)
{
    attack t;

    (void)state;
    attack_init(&t);
    for (size_t bit = 0; bit < t.len * 8; bit++) {
        t.nonce[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_nothing(&t, t.nonce, t.len);
        t.nonce[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    attack_fini(&t);
}

/* A peer can make a right MAC over anything. */
static void signed_by_peer(attack *t, const pn_kind *kind)
{
    uint8_t nonce[PN_KIND_NONCE_MAX];
    size_t len;

    assert_int_equal(
        pn_kind_write(t->b.s->kinds->hash, true, kind, nonce, &len), PN_OK);
    assert_nothing(t, nonce, len);
}

static void test_bad_contents(void **state)
{
    static const char *const labels[] = {
        "\x1b[2J", "a\nb", "\x7f", "\xc2\x9b[31m", "\xff", "\xc3"};
    attack t;

    (void)state;
    attack_init(&t);
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        pn_kind kind = kind_a;

        (void)snprintf(kind.label, sizeof(kind.label), "%s", labels[i]);
        signed_by_peer(&t, &kind);
    }
    signed_by_peer(&t, &(pn_kind){0, PN_KIND_NO_ETIQUETTE, "version 0"});
    attack_fini(&t);
}

/* As any nonce of over 64 bytes. */
static void test_oversize(void **state)
{
    uint8_t nonce[PN_KIND_NONCE_MAX + 1] = {PN_KIND_VERSION};
    attack t;

    (void)state;
    attack_init(&t);
    assert_nothing(&t, nonce, PN_KIND_NONCE_MAX);
    assert_int_equal(
        inject(&t.a, &t.b, t.now, "ping", nonce, sizeof(nonce)), PN_LIMIT);
    assert_closed(&t.b, PN_REASON_BAD_ENVELOPE);
    assert_null(pn_session_kind(t.b.s));
    link_fini(&t.a, &t.b);
}

/* ---- closing ------------------------------------------------------------ */

static void close_in_kind(void *user)
{
    end *e = user;

    pn_session_close(e->s, PN_REASON_LOCAL_CLOSE);
}

static void test_callback_closes(void **state)
{
    pn_session_callbacks callbacks;
    end a;
    end b;

    (void)state;
    end_init(&a, true, 1);
    end_init(&b, false, 2);
    a.config.kind = &kind_a;
    b.config.kind = &kind_b;
    callbacks = *a.config.callbacks;
    callbacks.on_kind = close_in_kind;
    a.config.callbacks = &callbacks;
    end_start(&a, 0);
    end_start(&b, 0);
    link_settle(&a, &b, 0);
    assert_closed(&a, PN_REASON_LOCAL_CLOSE);
    assert_kind(&a, &kind_b);
    link_fini(&a, &b);
}

static const struct {
    const char *name;
    CMUnitTestFunction run;
} tests[] = {
    {"session/kind/recorded_hash", test_recorded_hash},
    {"session/kind/label_limits", test_label_limits},
    {"session/kind/both", test_both},
    {"session/kind/first_frame", test_first_frame},
    {"session/kind/other_responder", test_other_responder},
    {"session/kind/other_initiator", test_other_initiator},
    {"session/kind/after_nudges", test_after_nudges},
    {"session/kind/label_update", test_label_update},
    {"session/kind/update/pace", test_update_pace},
    {"session/kind/update/not_taken", test_update_not_taken},
    {"session/kind/update/busy", test_update_busy},
    {"session/kind/update/early", test_update_early},
    {"session/kind/update/replayed", test_update_replayed},
    {"session/kind/not/other_link", test_other_link},
    {"session/kind/not/wrong_role", test_wrong_role},
    {"session/kind/not/reflected", test_reflected},
    {"session/kind/not/in_a_pong", test_in_a_pong},
    {"session/kind/not/random", test_random},
    {"session/kind/not/truncated", test_truncated},
    {"session/kind/not/bit_flips", test_bit_flips},
    {"session/kind/not/bad_contents", test_bad_contents},
    {"session/kind/not/oversize", test_oversize},
    {"session/kind/callback_closes", test_callback_closes},
};

int main(void)
{
    json_t *rows;
    json_t *row;
    size_t i;
    int status;

    vectors = pn_vectors("kind.json");
    rows = json_object_get(vectors, "vectors");
    json_array_foreach(rows, i, row)
    {
        pn_test_addf(test_vector, row, "session/kind/vector/%s",
            pn_json_string(row, "name"));
    }
    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        pn_test_add(tests[i].name, tests[i].run, NULL);
    }
    status = pn_test_run("session/kind");
    json_decref(vectors);
    return status;
}

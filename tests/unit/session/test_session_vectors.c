/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output of PeerNet 0.1.0 on OTP 25 and 27, byte for byte: our session
 * reads all of it, and answers a request with the same bytes (atoms in the
 * spelling of OTP 26 and later). Rows name the cases in which ours is stricter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canonical.h"
#include "link.h"
#include "term/writer_internal.h"

typedef struct row {
    const json_t *json;
    const char *file;
    bool to_initiator;
} row;

static row rows[1024];
static size_t n_rows;

static row *add(const json_t *json, const char *file, bool to_initiator)
{
    if (n_rows == sizeof(rows) / sizeof(rows[0])) {
        abort();
    }
    rows[n_rows] = (row){json, file, to_initiator};
    return &rows[n_rows++];
}

/* Bytes of a recorded plaintext as our writer would have written it. */
static void canonical(const uint8_t *bytes, size_t len, pn_buf *out)
{
    pn_term_writer w;
    pn_term term;

    assert_int_equal(pn_term_parse(bytes, len, NULL, &term, NULL), PN_OK);
    pn_term_writer_init_buf(&w, out, 0);
    write_canonical(&w, term);
    assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_OK);
    pn_term_writer_free(&w);
}

/* Both, because an argument that is passed on keeps its sender's spelling. */
static void assert_canonical(pn_slice got, const uint8_t *want, size_t len)
{
    pn_buf expected = {0};
    pn_buf ours = {0};

    canonical(want, len, &expected);
    canonical(got.data, got.len, &ours);
    pn_assert_bytes(pn_buf_head(&ours), pn_buf_used(&ours),
        pn_buf_head(&expected), pn_buf_used(&expected));
    pn_buf_fini(&expected);
    pn_buf_fini(&ours);
}

typedef struct scene {
    end a;
    end b;
    end *to;
    end *from;
    uint64_t now;
} scene;

static void scene_init(scene *sc, const row *r)
{
    sc->now = 1000;
    link_init(&sc->a, &sc->b, &sc->now);
    sc->to = r->to_initiator ? &sc->a : &sc->b;
    sc->from = r->to_initiator ? &sc->b : &sc->a;
}

static void inject(scene *sc, const json_t *json, const char *key)
{
    size_t len;
    uint8_t *plain = pn_json_hex(json, key, &len);

    (void)link_inject(sc->from, sc->to, sc->now, plain, len);
    free(plain);
}

/* The one frame the end under test has queued. */
static void assert_answer(scene *sc, const json_t *json, const char *key)
{
    size_t want_len;
    uint8_t *want = pn_json_hex(json, key, &want_len);
    pn_buf out = {0};
    uint8_t *at;
    size_t len;
    pn_slice plain;

    assert_open(sc->to);
    assert_int_equal(pn_session_queued_messages(sc->to->s), 1);
    end_take(sc->to, sc->now, &out);
    at = pn_buf_head(&out);
    len = pn_buf_used(&out);
    assert_true(end_open_frame(sc->from, &at, &len, &plain));
    assert_canonical(plain, want, want_len);
    pn_buf_fini(&out);
    free(want);
}

/* ---- emitted_by_caller ------------------------------------------------- */

/* The same envelope from our own caller. */
static void emit_again(scene *sc, bool is_call)
{
    pn_term args = {pn_buf_head(&sc->to->args), pn_buf_used(&sc->to->args)};
    pn_slice handle = text_slice(sc->to->handle);
    pn_term_writer w;

    if (is_call) {
        assert_int_equal(
            pn_session_begin_call(sc->to->s, handle, NULL, &w), PN_OK);
    } else {
        assert_int_equal(pn_session_begin_send(sc->to->s, handle, &w), PN_OK);
    }
    pn_term_write_term(&w, args);
    assert_int_equal(pn_session_commit(sc->to->s, sc->now, &w), PN_OK);
}

static void test_emitted(void **state)
{
    const row *r = *state;
    const char *term = pn_json_string(r->json, "term");
    scene sc;

    scene_init(&sc, r);
    inject(&sc, r->json, "payload_hex");
    assert_int_equal(sc.to->err, PN_OK);
    if (strncmp(term, "{:call, ", 8) == 0) {
        assert_int_equal(sc.to->n_calls, 1);
        assert_true(sc.to->call_id == strtoull(term + 8, NULL, 10));
        emit_again(&sc, true);
        /* Our id, the rest alike. */
        assert_true(end_pass(sc.to, sc.from, sc.now));
        assert_string_equal(sc.from->handle, sc.to->handle);
    } else if (strncmp(term, "{:send, ", 8) == 0) {
        assert_int_equal(sc.to->n_sends, 1);
        emit_again(&sc, false);
        assert_answer(&sc, r->json, "payload_hex");
    } else {
        assert_memory_equal(term, "{:ping, ", 8);
        assert_int_equal(pn_session_queued_messages(sc.to->s), 1);
    }
    link_fini(&sc.a, &sc.b);
}

/* ---- request_reply ----------------------------------------------------- */

/* The recorded handlers, as far as they are more than their answer: echo gives
 * back what it got; where the original's answer holds its own stack trace or a
 * process id, the recorded value is what our handler replies. */
static void handle(end *e, uint64_t id, pn_slice name, pn_term args)
{
    const row *r = e->context;
    size_t len;
    uint8_t *reply = pn_json_hex(r->json, "reply_hex", &len);
    pn_envelope recorded;
    pn_term_writer w;

    (void)name;
    assert_int_equal(
        pn_envelope_read(reply, len, NULL, &recorded, NULL), PN_OK);
    assert_int_equal(recorded.type, PN_ENVELOPE_REPLY);
    assert_true(recorded.id == id);
    assert_int_equal(
        pn_session_begin_reply(e->s, id, recorded.is_ok, &w), PN_OK);
    if (strcmp(e->handle, "echo") == 0) {
        pn_term_write_term(&w, args);
    } else if (pn_term_is_atom(recorded.value, "no_such_handle")) {
        pn_term_write_atom(&w, "no_such_handle");
    } else if (pn_term_is_atom(recorded.value, "forbidden")) {
        pn_term_write_atom(&w, "forbidden");
    } else {
        write_canonical(&w, recorded.value);
    }
    assert_int_equal(pn_session_commit(e->s, e->now, &w), PN_OK);
    free(reply);
}

static void test_request_reply(void **state)
{
    row *r = *state;
    scene sc;

    scene_init(&sc, r);
    sc.to->hooks.on_call = handle;
    sc.to->context = r;
    inject(&sc, r->json, "request_hex");
    assert_int_equal(sc.to->n_calls, 1);
    assert_answer(&sc, r->json, "reply_hex");
    /* The recorded reply itself reads, and names no call of ours. */
    inject(&sc, r->json, "reply_hex");
    assert_open(sc.to);
    assert_int_equal(sc.to->n_replies, 0);
    link_fini(&sc.a, &sc.b);
}

/* ---- request_id_echo --------------------------------------------------- */

/* The original echoes any term; ours takes 1..2^64-1 and closes otherwise. */
static void test_id_echo(void **state)
{
    row *r = *state;
    const char *id = pn_json_string(r->json, "id");
    char *end_of_id;
    unsigned long long value = strtoull(id, &end_of_id, 10);
    bool fits = *end_of_id == '\0' && id[0] != '-' && strlen(id) < 20
                && value != 0;
    scene sc;

    scene_init(&sc, r);
    sc.to->hooks.on_call = handle;
    sc.to->context = r;
    inject(&sc, r->json, "request_hex");
    if (fits) {
        assert_true(sc.to->call_id == value);
        assert_answer(&sc, r->json, "reply_hex");
    } else {
        assert_int_equal(sc.to->n_calls, 0);
        assert_closed(sc.to, PN_REASON_BAD_ENVELOPE);
    }
    link_fini(&sc.a, &sc.b);
}

/* ---- ping_pong --------------------------------------------------------- */

/* Before each ping, what the original ignored: we do too. The nonce of 100
 * bytes it answers is where we are stricter (T12). */
static void test_ping_pong(void **state)
{
    static const char *const ignored[] = {
        "83680377057265706c7962000f423f680277026f6b6101",
        "836803770473656e647709756e646566696e65646101",
        "8368027704706f6e676d0000000400000000",
    };
    row *r = *state;
    size_t nonce_len = strlen(pn_json_string(r->json, "nonce_hex")) / 2;
    scene sc;

    scene_init(&sc, r);
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        size_t len;
        uint8_t *plain = pn_unhex(ignored[i], &len);

        assert_int_equal(
            link_inject(sc.from, sc.to, sc.now, plain, len), PN_OK);
        free(plain);
    }
    inject(&sc, r->json, "ping_hex");
    if (nonce_len > 64) {
        assert_closed(sc.to, PN_REASON_BAD_ENVELOPE);
    } else {
        assert_answer(&sc, r->json, "pong_hex");
    }
    link_fini(&sc.a, &sc.b);
}

/* ---- closes_connection ------------------------------------------------- */

static void test_closes(void **state)
{
    row *r = *state;
    scene sc;

    scene_init(&sc, r);
    inject(&sc, r->json, "payload_hex");
    assert_int_equal(sc.to->err, PN_MALFORMED);
    assert_closed(sc.to, PN_REASON_BAD_ENVELOPE);
    assert_int_equal(sc.to->n_calls + sc.to->n_sends + sc.to->n_replies, 0);
    assert_int_equal(pn_session_queued_bytes(sc.to->s), 0);
    link_fini(&sc.a, &sc.b);
}

static void add_file(const json_t *root, const char *file)
{
    static const struct {
        const char *key;
        const char *name;
        CMUnitTestFunction run;
    } groups[] = {
        {"emitted_by_caller", "name", test_emitted},
        {"request_reply", "name", test_request_reply},
        {"request_id_echo", "id", test_id_echo},
        {"ping_pong", "nonce_hex", test_ping_pong},
        {"closes_connection", "name", test_closes},
    };

    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
        json_t *list = json_object_get(root, groups[g].key);
        size_t i;
        json_t *json;

        if (json_is_object(list)) {
            list = json_object_get(list, "cases");
        }
        json_array_foreach(list, i, json)
        {
            for (int to_a = 0; to_a < 2; to_a++) {
                pn_test_addf(groups[g].run, add(json, file, to_a != 0),
                    "session/vectors/%s/%s/%s/to_%s", file, groups[g].key,
                    pn_json_string(json, groups[g].name),
                    to_a ? "initiator" : "responder");
            }
        }
    }
}

/* ---- channel.json: sealed frames at chosen counters -------------------- */

static json_t *channel;

static void scene_at(scene *sc, const char *key_name, uint64_t counter)
{
    static const row to_b = {0};
    pn_secret_key key;

    scene_init(sc, &to_b);
    pn_json_hex_n(
        json_object_get(channel, "keys"), key_name, key.bytes, PN_KEY_LEN);
    pn_cipher_fini(&sc->to->s->receive);
    assert_int_equal(pn_cipher_init(&sc->to->s->receive, &key), PN_OK);
    sc->to->s->receive.n = counter;
}

static uint64_t json_counter(const json_t *json, const char *key)
{
    return strtoull(pn_json_string(json, key), NULL, 10);
}

static void feed_body(scene *sc, const uint8_t *body, size_t len)
{
    uint8_t header[4] = {
        0, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};

    (void)end_feed(sc->to, sc->now, header, 4);
    if (sc->to->err == PN_OK) {
        (void)end_feed(sc->to, sc->now, body, len);
    }
}

/* Recorded frames: envelopes are taken, `[]` and `nil` end the link. */
static void test_channel_frame(void **state)
{
    const row *r = *state;
    const char *term = pn_json_string(r->json, "term");
    size_t len;
    uint8_t *frame = pn_json_hex(r->json, "frame_hex", &len);
    scene sc;

    scene_at(
        &sc, pn_json_string(r->json, "key"), json_counter(r->json, "counter"));
    (void)end_feed(sc.to, sc.now, frame, len);
    if (term[0] == '{') {
        assert_open(sc.to);
        assert_true(
            sc.to->s->receive.n == json_counter(r->json, "next_counter"));
    } else {
        assert_closed(sc.to, PN_REASON_BAD_ENVELOPE);
    }
    assert_int_equal(sc.to->n_calls, strncmp(term, "{:call", 6) == 0);
    assert_int_equal(sc.to->n_sends, strncmp(term, "{:send", 6) == 0);
    free(frame);
    link_fini(&sc.a, &sc.b);
}

/* The reaction of a session to each recorded decryption. Atoms are never
 * interned here, so an unknown handle is a call like any other; what follows a
 * term and what is compressed the original takes and we do not. */
static pn_reason channel_reason(const json_t *json)
{
    static const struct {
        const char *start;
        pn_reason reason;
    } ours[] = {
        {"empty body", PN_REASON_BAD_FRAME},
        {"15 bytes", PN_REASON_BAD_FRAME},
        {"16 zero bytes", PN_REASON_BAD_FRAME},
        {"authentic call to a handle name", PN_REASON_NONE},
        {"authentic term + trailing junk", PN_REASON_BAD_TERM},
        {"authentic compressed term", PN_REASON_BAD_TERM},
        {"authentic non-envelope", PN_REASON_BAD_ENVELOPE},
    };
    const char *name = pn_json_string(json, "name");
    const char *reason = json_string_value(json_object_get(json, "reason"));

    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (strncmp(name, ours[i].start, strlen(ours[i].start)) == 0) {
            return ours[i].reason;
        }
    }
    if (reason == NULL) {
        return PN_REASON_NONE;
    }
    return strcmp(reason, ":invalid_term") == 0 ? PN_REASON_BAD_TERM
                                                : PN_REASON_BAD_TAG;
}

static void test_channel_decrypt(void **state)
{
    const row *r = *state;
    pn_reason reason = channel_reason(r->json);
    size_t len;
    uint8_t *body = pn_json_hex(r->json, "body_hex", &len);
    scene sc;

    scene_at(&sc, pn_json_string(r->json, "key"),
        json_counter(r->json, "receiver_counter"));
    feed_body(&sc, body, len);
    if (reason == PN_REASON_NONE) {
        assert_open(sc.to);
        assert_int_equal(sc.to->n_calls, 1);
    } else {
        assert_closed(sc.to, reason);
        assert_int_equal(sc.to->n_calls + sc.to->n_sends, 0);
    }
    free(body);
    link_fini(&sc.a, &sc.b);
}

static void test_channel_exhaustion(void **state)
{
    const row *r = *state;
    uint64_t counter = json_counter(r->json, "counter");
    size_t len;
    uint8_t *body = pn_json_hex(r->json, "body_hex", &len);
    scene sc;

    scene_at(&sc, "k1", counter);
    feed_body(&sc, body, len);
    /* The plaintext is no envelope; only the last counter is never used. */
    assert_closed(sc.to, counter == UINT64_MAX ? PN_REASON_NONCES_USED_UP
                                               : PN_REASON_BAD_ENVELOPE);
    free(body);
    link_fini(&sc.a, &sc.b);
}

static void add_channel(void)
{
    size_t i;
    json_t *json;

    json_array_foreach(json_object_get(channel, "encrypt"), i, json)
    {
        pn_test_addf(test_channel_frame, add(json, "channel", false),
            "session/vectors/channel/frame/%s/%s/%.40s",
            pn_json_string(json, "key"), pn_json_string(json, "counter"),
            pn_json_string(json, "term"));
    }
    json_array_foreach(json_object_get(channel, "decrypt"), i, json)
    {
        pn_test_addf(test_channel_decrypt, add(json, "channel", false),
            "session/vectors/channel/decrypt/%s", pn_json_string(json, "name"));
    }
    json_array_foreach(json_object_get(channel, "exhaustion"), i, json)
    {
        pn_test_addf(test_channel_exhaustion, add(json, "channel", false),
            "session/vectors/channel/exhaustion/%s",
            pn_json_string(json, "counter"));
    }
}

int main(void)
{
    json_t *otp25 = pn_vectors("envelope.json");
    json_t *otp27 = pn_vectors("envelope.otp27.json");
    int status;

    channel = pn_vectors("channel.json");
    add_file(otp25, "otp25");
    add_file(otp27, "otp27");
    add_channel();
    status = pn_test_run("session/vectors");
    json_decref(otp25);
    json_decref(otp27);
    json_decref(channel);
    return status;
}

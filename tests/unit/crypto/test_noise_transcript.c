/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profile "peernet-0.1" against transcripts recorded from the original: every
 * frame, and h, ck, k and n at every single operation. The linker puts our
 * watchers around the operations (--wrap), so the code has no hook in it.
 */
#include "base/bytes.h"
#include "noise/handshake_state.h"
#include "noise_pair.h"
#include "wire/frame.h"

/* The position in the recorded list of operations; NULL: not watching. */
static const json_t *trace;
static size_t at;
static const pn_symmetric *watched;

static pn_secret_key last_keys[2]; /* of the last two ciphers made */

pn_err __real_pn_sha256(uint8_t *ret_hash, const void *a, size_t a_len,
    const void *b, size_t b_len);
pn_err __wrap_pn_sha256(uint8_t *ret_hash, const void *a, size_t a_len,
    const void *b, size_t b_len);
pn_err __real_pn_symmetric_mix_key(pn_symmetric *s, const uint8_t *ikm);
pn_err __wrap_pn_symmetric_mix_key(pn_symmetric *s, const uint8_t *ikm);
pn_err __real_pn_cipher_encrypt(pn_cipher *c, const uint8_t *ad, size_t ad_len,
    const uint8_t *in, size_t len, uint8_t *out);
pn_err __wrap_pn_cipher_encrypt(pn_cipher *c, const uint8_t *ad, size_t ad_len,
    const uint8_t *in, size_t len, uint8_t *out);
pn_err __real_pn_cipher_decrypt(pn_cipher *c, const uint8_t *ad, size_t ad_len,
    const uint8_t *in, size_t len, uint8_t *out);
pn_err __wrap_pn_cipher_decrypt(pn_cipher *c, const uint8_t *ad, size_t ad_len,
    const uint8_t *in, size_t len, uint8_t *out);
pn_err __real_pn_cipher_init(pn_cipher *c, const pn_secret_key *key);
pn_err __wrap_pn_cipher_init(pn_cipher *c, const pn_secret_key *key);

static void check_bytes(
    const json_t *object, const char *key, const uint8_t *got, size_t got_len)
{
    size_t len;
    uint8_t *want = pn_json_hex(object, key, &len);

    pn_assert_bytes(got, got_len, want, len);
    free(want);
}

static void check_state(const json_t *want)
{
    check_bytes(want, "h_hex", watched->h, PN_HASH_LEN);
    check_bytes(want, "ck_hex", watched->ck, PN_HASH_LEN);
    if (json_is_null(json_object_get(want, "k_hex"))) {
        assert_false(watched->has_key);
    } else {
        assert_true(watched->has_key);
        check_bytes(want, "k_hex", watched->k.bytes, PN_KEY_LEN);
    }
    assert_int_equal(
        watched->n, json_integer_value(json_object_get(want, "n")));
}

/* The next recorded operation, which must be called op. */
static const json_t *expect(const char *op)
{
    const json_t *want = json_array_get(trace, at++);

    if (want == NULL) {
        fail_msg("%s after the last recorded operation", op);
    }
    assert_string_equal(pn_json_string(want, "op"), op);
    return want;
}

pn_err __wrap_pn_sha256(
    uint8_t *ret_hash, const void *a, size_t a_len, const void *b, size_t b_len)
{
    pn_err err = __real_pn_sha256(ret_hash, a, a_len, b, b_len);

    if (trace != NULL) {
        const json_t *want = expect("mix_hash");

        check_bytes(want, "data_hex", b, b_len);
        check_state(want);
    }
    return err;
}

pn_err __wrap_pn_symmetric_mix_key(pn_symmetric *s, const uint8_t *ikm)
{
    pn_err err = __real_pn_symmetric_mix_key(s, ikm);

    if (trace != NULL) {
        const json_t *want = expect("mix_key");

        check_bytes(want, "dh_hex", ikm, PN_KEY_LEN);
        check_state(want);
    }
    return err;
}

pn_err __wrap_pn_cipher_encrypt(pn_cipher *c, const uint8_t *ad, size_t ad_len,
    const uint8_t *in, size_t len, uint8_t *out)
{
    const json_t *want = trace == NULL ? NULL : expect("aead_encrypt");
    pn_err err;

    if (want == NULL) {
        return __real_pn_cipher_encrypt(c, ad, ad_len, in, len, out);
    }
    check_state(want);
    assert_int_equal(c->n, watched->n);
    check_bytes(want, "ad_hex", ad, ad_len);
    check_bytes(want, "plaintext_hex", in, len);
    err = __real_pn_cipher_encrypt(c, ad, ad_len, in, len, out);
    check_bytes(want, "ciphertext_hex", out, len + PN_TAG_LEN);
    return err;
}

pn_err __wrap_pn_cipher_decrypt(pn_cipher *c, const uint8_t *ad, size_t ad_len,
    const uint8_t *in, size_t len, uint8_t *out)
{
    const json_t *want = trace == NULL ? NULL : expect("aead_decrypt");
    pn_err err;

    if (want == NULL) {
        return __real_pn_cipher_decrypt(c, ad, ad_len, in, len, out);
    }
    check_state(want);
    assert_int_equal(c->n, watched->n);
    check_bytes(want, "ad_hex", ad, ad_len);
    check_bytes(want, "ciphertext_hex", in, len);
    err = __real_pn_cipher_decrypt(c, ad, ad_len, in, len, out);
    check_bytes(want, "plaintext_hex", out, len - PN_TAG_LEN);
    return err;
}

pn_err __wrap_pn_cipher_init(pn_cipher *c, const pn_secret_key *key)
{
    last_keys[0] = last_keys[1];
    last_keys[1] = *key;
    return __real_pn_cipher_init(c, key);
}

static void load_end(noise_end *end, const json_t *transcript,
    const char *identity_key, const char *ephemeral_key, bool initiator)
{
    const json_t *identity = json_object_get(transcript, identity_key);
    const json_t *ephemeral = json_object_get(transcript, ephemeral_key);
    uint8_t s[PN_KEY_LEN];
    uint8_t e[PN_KEY_LEN];

    pn_json_hex_n(identity, "private_hex", s, sizeof(s));
    pn_json_hex_n(ephemeral, "private_hex", e, sizeof(e));
    noise_end_init(end, s, e);
    check_bytes(
        identity, "public_hex", end->identity.public_key.bytes, PN_KEY_LEN);
    noise_end_start(end, &pn_noise_peernet_0_1, initiator, NULL, 0);
}

static void watch(const json_t *operations, const noise_end *end)
{
    trace = operations;
    at = 0;
    watched = &end->handshake->symmetric;
}

static void unwatch(const json_t *after)
{
    if (trace != NULL) {
        assert_int_equal(at, json_array_size(trace));
        check_state(after);
    }
    trace = NULL;
}

/* Writes the next message and compares the whole frame. */
static pn_err write_frame(noise_end *end, const json_t *message,
    uint8_t frame[static 128], size_t *ret_len)
{
    const size_t head = PN_FRAME_HEADER_LEN + PN_HANDSHAKE_PREFIX_LEN;
    size_t len;
    pn_err err = pn_handshake_write(
        end->handshake, NULL, 0, frame + head, 128 - head, &len);

    if (err == PN_OK) {
        pn_handshake_wrap(frame, len);
        *ret_len = head + len;
        check_bytes(message, "frame_hex", frame, *ret_len);
        check_bytes(message, "body_hex", frame + head, len);
    }
    return err;
}

static pn_err read_frame(noise_end *end, const uint8_t *frame, size_t len)
{
    pn_slice message;
    size_t n;

    assert_int_equal(
        pn_handshake_unwrap(frame + PN_FRAME_HEADER_LEN,
            len - PN_FRAME_HEADER_LEN, len - PN_FRAME_HEADER_LEN, &message),
        PN_OK);
    return pn_handshake_read(
        end->handshake, message.data, message.len, NULL, 0, &n);
}

/* One recorded turn: which message is read, which written, by whom. */
typedef struct turn {
    const char *name;
    bool initiator;
    const char *reads;
    const char *writes;
    const char *recorded_in;
    const char *trace;
    const char *after;
} turn;

static const turn turns[] = {
    {"initiator_m1", true, NULL, "m1", "m1", "initiator_trace",
        "initiator_after"},
    {"responder_m2", false, "m1", "m2", "m2", "responder_trace",
        "responder_after"},
    {"initiator_m3", true, "m2", "m3", "m3", "initiator_trace",
        "initiator_after"},
    {"responder_done", false, "m3", NULL, "m3", "responder_trace",
        "responder_after"},
};
#define N_TURNS (sizeof(turns) / sizeof(turns[0]))

typedef struct row {
    const json_t *transcript;
    size_t n_turns;  /* how many to take */
    size_t reflects; /* the turn that must be refused, or N_TURNS */
} row;

static pn_err take_turn(noise_pair *pair, const json_t *transcript,
    const turn *t, bool watching, uint8_t frame[static 128], size_t *len)
{
    noise_end *end = t->initiator ? &pair->initiator : &pair->responder;
    const json_t *recorded = json_object_get(transcript, t->recorded_in);
    pn_err err = PN_OK;

    if (watching) {
        watch(json_object_get(recorded, t->trace), end);
    }
    if (t->reads != NULL) {
        err = read_frame(end, frame, *len);
    }
    if (err == PN_OK && t->writes != NULL) {
        err = write_frame(
            end, json_object_get(transcript, t->writes), frame, len);
    }
    if (watching && err == PN_OK) {
        unwatch(json_object_get(recorded, t->after));
    }
    trace = NULL;
    return err;
}

static void start_pair(noise_pair *pair, const json_t *transcript)
{
    load_end(
        &pair->initiator, transcript, "init_static", "init_ephemeral", true);
    load_end(
        &pair->responder, transcript, "resp_static", "resp_ephemeral", false);
    watched = &pair->initiator.handshake->symmetric;
    check_state(json_object_get(transcript, "initial"));
    watched = &pair->responder.handshake->symmetric;
    check_state(json_object_get(transcript, "initial"));
}

/* Takes turns up to one, watching that one. */
static void test_turn(void **state)
{
    const row *r = *state;
    uint8_t frame[128];
    size_t len = 0;
    noise_pair pair;

    start_pair(&pair, r->transcript);
    for (size_t i = 0; i < r->n_turns; i++) {
        pn_err err = take_turn(&pair, r->transcript, &turns[i],
            i + 1 == r->n_turns && i != r->reflects, frame, &len);

        assert_int_equal(err, i != r->reflects ? PN_OK
                              : i == 1         ? PN_AUTH
                                               : PN_DENIED);
    }
    noise_pair_fini(&pair);
}

static void finish_pair(noise_pair *pair, const json_t *transcript)
{
    uint8_t frame[128];
    size_t len = 0;

    start_pair(pair, transcript);
    for (size_t i = 0; i < N_TURNS; i++) {
        assert_int_equal(
            take_turn(pair, transcript, &turns[i], false, frame, &len), PN_OK);
    }
}

static void check_final(noise_end *end, const json_t *final, const char *tx_key,
    const char *rx_key, const char *peer_key)
{
    bool initiator = end->handshake->initiator;
    uint8_t h[PN_HASH_LEN];

    memcpy(h, end->handshake->symmetric.h, PN_HASH_LEN);
    check_bytes(final, "handshake_hash_hex", h, sizeof(h));
    check_bytes(
        final, "chaining_key_hex", end->handshake->symmetric.ck, PN_HASH_LEN);
    check_bytes(
        final, peer_key, pn_handshake_peer(end->handshake)->bytes, PN_KEY_LEN);
    assert_int_equal(
        pn_handshake_split(end->handshake, &end->send, &end->receive), PN_OK);
    check_bytes(final, tx_key, last_keys[initiator ? 0 : 1].bytes, PN_KEY_LEN);
    check_bytes(final, rx_key, last_keys[initiator ? 1 : 0].bytes, PN_KEY_LEN);
}

static void check_transport(noise_pair *pair, const json_t *message)
{
    bool initiator = strcmp(pn_json_string(message, "from"), "initiator") == 0;
    noise_end *from = initiator ? &pair->initiator : &pair->responder;
    noise_end *to = initiator ? &pair->responder : &pair->initiator;
    uint64_t counter = (uint64_t)json_integer_value(
        json_object_get(message, "counter"));
    size_t len;
    uint8_t *frame = pn_json_hex(message, "frame_hex", &len);
    uint8_t *body = frame + PN_FRAME_HEADER_LEN;
    size_t n;

    assert_int_equal(to->receive.n, counter);
    assert_int_equal(pn_frame_peek(frame, len, 17, PN_FRAME_MAX, &n), PN_OK);
    assert_int_equal(pn_cipher_open(&to->receive, NULL, 0, body, n, &n), PN_OK);
    assert_int_equal(body[0], 131);
    assert_int_equal(to->receive.n, counter + 1);
    assert_int_equal(from->send.n, counter);
    assert_int_equal(pn_cipher_seal(&from->send, NULL, 0, body, n), PN_OK);
    check_bytes(message, "frame_hex", frame, len);
    free(frame);
}

static void test_final(void **state)
{
    const row *r = *state;
    const json_t *final = json_object_get(r->transcript, "final");
    const json_t *transport = json_object_get(r->transcript, "transport");
    noise_pair pair;

    finish_pair(&pair, r->transcript);
    check_final(&pair.initiator, final, "initiator_tx_key_hex",
        "initiator_rx_key_hex", "initiator_learned_peer_hex");
    check_final(&pair.responder, final, "responder_tx_key_hex",
        "responder_rx_key_hex", "responder_learned_peer_hex");
    assert_true(json_array_size(transport) > 0);
    for (size_t i = 0; i < json_array_size(transport); i++) {
        check_transport(&pair, json_array_get(transport, i));
    }
    noise_pair_fini(&pair);
}

static bool shares(const json_t *transcript, const char *a, const char *b)
{
    return strcmp(pn_json_string(json_object_get(transcript, a), "public_hex"),
               pn_json_string(json_object_get(transcript, b), "public_hex"))
           == 0;
}

static size_t reflects_at(const json_t *transcript)
{
    if (shares(transcript, "init_ephemeral", "resp_ephemeral")) {
        return 1; /* the responder has drawn what it was given */
    }
    if (shares(transcript, "init_static", "resp_static")) {
        return 2; /* the initiator finds its own key in M2 */
    }
    return N_TURNS;
}

static row *row_new(const json_t *transcript, size_t n_turns)
{
    row *r = malloc(sizeof(*r));

    if (r == NULL) {
        abort();
    }
    *r = (row){transcript, n_turns, reflects_at(transcript)};
    return r;
}

static size_t add_transcript(const json_t *transcript, row **rows)
{
    const char *name = pn_json_string(transcript, "name");
    size_t reflects = reflects_at(transcript);
    size_t n = 0;

    for (size_t i = 0; i < N_TURNS && i <= reflects; i++) {
        rows[n] = row_new(transcript, i + 1);
        pn_test_addf(test_turn, rows[n], "noise/transcript/%s/%s%s", name,
            turns[i].name, i == reflects ? "_refused" : "");
        n++;
    }
    if (reflects == N_TURNS) {
        rows[n] = row_new(transcript, N_TURNS);
        pn_test_addf(test_final, rows[n], "noise/transcript/%s/final", name);
        n++;
    }
    return n;
}

int main(void)
{
    json_t *root = pn_vectors("handshake.json");
    const json_t *transcripts = json_object_get(root, "transcripts");
    row *rows[64];
    size_t n = 0;
    int status;

    for (size_t i = 0; i < json_array_size(transcripts) && n < 58; i++) {
        n += add_transcript(json_array_get(transcripts, i), rows + n);
    }
    status = pn_test_run("noise/transcript");
    for (size_t i = 0; i < n; i++) {
        free(rows[i]);
    }
    json_decref(root);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FZ-4: plaintexts of an authenticated peer, given to the session where
 * decryption would have. The first byte says whether the rest is one plaintext
 * (0) or several, each behind two bytes of length.
 *
 * What is delivered must be what it claims: a valid term, an atom's name, an
 * id that is not 0, and the same again when it is written anew. A call has one
 * outcome, and a session that refuses is closed for one of two reasons.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "session/session_internal.h"
#include "wire/envelope.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_CALLS = 4 };

typedef struct run {
    pn_session *s;
    unsigned outcomes[N_CALLS];
    unsigned n_delivered;
} run;

static pn_session_limits limits;
static pn_key_pair identity;
static pn_cipher cipher; /* one for all runs: making one takes longest */

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static bool same(pn_slice a, pn_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* The head of our own with what came behind it reads as what came. */
static void again(
    pn_err err, pn_buf *b, pn_slice handle, pn_term last, pn_envelope_type type)
{
    pn_envelope e;

    must(err == PN_OK);
    must(pn_buf_append(b, last.data, last.len) == PN_OK);
    /* One level of depth and a few bytes more than came may be too much. */
    err = pn_envelope_read(
        pn_buf_head(b), pn_buf_used(b), &limits.term, &e, NULL);
    must(err == PN_OK || err == PN_LIMIT);
    if (err == PN_OK) {
        must(e.type == type && same(e.handle, handle));
        must(e.args.len == last.len
             && memcmp(e.args.data, last.data, last.len) == 0);
    }
    pn_buf_fini(b);
}

static bool is_trusted(void *user, const pn_public_key *peer)
{
    (void)user;
    (void)peer;
    return true;
}

static void on_open(void *user, const pn_public_key *peer)
{
    (void)user;
    (void)peer;
}

static void on_call(void *user, uint64_t id, pn_slice handle, pn_term args)
{
    run *r = user;
    pn_buf b = {0};
    pn_term_writer w;

    r->n_delivered++;
    must(id != 0 && args.len > 0);
    again(pn_envelope_head_call(&b, id, handle), &b, handle, args,
        PN_ENVELOPE_CALL);
    must(pn_session_begin_reply(r->s, id, true, &w) == PN_OK);
    pn_term_write_term(&w, args);
    /* Opaque terms are not sent back, and a reply has a longer head. */
    if (pn_session_commit(r->s, 0, &w) != PN_OK) {
        must(r->s->state != PN_SESSION_CLOSED);
    }
}

static void on_send(void *user, pn_slice handle, pn_term args)
{
    run *r = user;
    pn_buf b = {0};

    r->n_delivered++;
    must(args.len > 0);
    again(
        pn_envelope_head_send(&b, handle), &b, handle, args, PN_ENVELOPE_SEND);
}

static void on_reply(void *user, void *call, pn_err outcome, pn_term value)
{
    run *r = user;
    unsigned *seen = call;

    must(seen >= r->outcomes && seen < r->outcomes + N_CALLS && *seen == 0);
    *seen = 1;
    must(outcome == PN_OK || outcome == PN_REMOTE || outcome == PN_CLOSED);
    must((outcome == PN_CLOSED) == (value.len == 0));
}

static void on_output(void *user)
{
    (void)user;
}

static pn_err fixed_random(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    memset(buf, 5, len);
    return PN_OK;
}

static const pn_env env = {.random = fixed_random};
static const pn_session_callbacks callbacks = {
    .is_trusted = is_trusted,
    .on_open = on_open,
    .on_call = on_call,
    .on_send = on_send,
    .on_reply = on_reply,
    .on_output = on_output,
};

/* An open session without the handshake, which would be most of the time. */
static void open_session(run *r)
{
    static const pn_kind kind = {1, PN_KIND_NO_ETIQUETTE, "fuzz"};
    pn_session_config config = {
        .identity = &identity,
        .kind = &kind,
        .limits = &limits,
        .env = &env,
        .callbacks = &callbacks,
        .user = r,
    };
    static const pn_secret_key key = {{9}};

    *r = (run){0};
    must(pn_session_new(&config, 0, &r->s) == PN_OK);
    pn_handshake_free(r->s->handshake);
    r->s->handshake = NULL;
    r->s->handshake_deadline_us = PN_TIME_NEVER;
    r->s->state = PN_SESSION_OPEN;
    r->s->kinds = calloc(1, sizeof(*r->s->kinds)); /* the hash is zeros */
    must(r->s->kinds != NULL);
    if (cipher.aead == NULL) {
        must(pn_cipher_init(&cipher, &key) == PN_OK);
    }
    r->s->send = cipher;
    for (unsigned i = 0; i < N_CALLS; i++) {
        pn_term_writer w;

        must(pn_session_begin_call(
                 r->s, (pn_slice){(const uint8_t *)"x", 1}, &r->outcomes[i], &w)
             == PN_OK);
        pn_term_write_int64(&w, 1);
        must(pn_session_commit(r->s, 0, &w) == PN_OK);
    }
    /* And one ping of ours, whose nonce is 16 bytes of 5. */
    must(pn_session_ping(r->s, 0) == PN_OK);
}

/* The session may have closed, and wiped what it took for its own. */
static void close_session(run *r)
{
    if (r->s->state == PN_SESSION_CLOSED) {
        cipher.aead = NULL;
    }
    r->s->send.aead = NULL;
    pn_session_free(r->s);
}

/* Whoever is recognised has a label that can be shown. */
static void check_kind(const pn_session *s)
{
    const pn_kind *peer = pn_session_kind(s);

    must(peer == NULL
         || pn_kind_label_is_valid(peer->label, strlen(peer->label)));
}

static void plaintext(run *r, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    size_t queued = pn_session_queued_bytes(r->s);
    pn_err err;

    must(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    err = pn_session_on_plaintext(r->s, 0, copy, size);
    if (err != PN_OK) {
        must(r->s->state == PN_SESSION_CLOSED);
        must(pn_session_reason(r->s) == PN_REASON_BAD_TERM
             || pn_session_reason(r->s) == PN_REASON_BAD_ENVELOPE);
        must(pn_session_queued_bytes(r->s) == queued);
    } else {
        must(r->s->state == PN_SESSION_OPEN);
        /* At most one answer, no larger than what asked for it. */
        must(pn_session_queued_bytes(r->s) <= queued + size + 64);
    }
    check_kind(r->s);
    free(copy);
}

static void several(run *r, const uint8_t *data, size_t size)
{
    while (size >= 2 && r->s->state == PN_SESSION_OPEN) {
        size_t n = pn_load_be16(data);

        data += 2;
        size -= 2;
        n = n < size ? n : size;
        plaintext(r, data, n);
        data += n;
        size -= n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run r;

    if (size == 0 || size > PN_FRAME_MAX - PN_TAG_LEN) {
        return 0;
    }
    pn_session_limits_default(&limits);
    open_session(&r);
    if (data[0] == 0) {
        plaintext(&r, data + 1, size - 1);
    } else {
        several(&r, data + 1, size - 1);
    }
    close_session(&r);
    for (unsigned i = 0; i < N_CALLS; i++) {
        must(r.outcomes[i] == 1);
    }
    return 0;
}

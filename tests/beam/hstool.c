/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a handshake, without a socket: bytes in hexadecimal come and go
 * on standard input and output, so that a BEAM can be the other end.
 *
 *     new i|r STATIC EPHEMERAL   ok FRAME (an initiator's first message)
 *     new I|R STATIC EPHEMERAL   the same with a whole session of the library
 *     step FRAME                 ok FRAME (may be empty) | error REASON
 *     done                       ok H PEER SEALED_BY_SEND SEALED_BY_RECEIVE
 *
 * FRAME is one whole frame. `done`, for the first kind only, seals 32 zero
 * bytes with each key: equal output means equal keys.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "noise/handshake_state.h"
#include "session/session.h"
#include "wire/frame.h"

#define MESSAGE_AT (PN_FRAME_HEADER_LEN + PN_HANDSHAKE_PREFIX_LEN)

static pn_key_pair identity;
static pn_secret_key ephemeral;
static pn_handshake *handshake;
static bool initiator;
static unsigned n_read;

static size_t unhex(const char *text, uint8_t *out, size_t cap)
{
    size_t n = 0;
    unsigned byte;

    while (n < cap && sscanf(text + 2 * n, "%2x", &byte) == 1) {
        out[n++] = (uint8_t)byte;
    }
    return n;
}

static void print_hex(const uint8_t *data, size_t len)
{
    putchar(' ');
    for (size_t i = 0; i < len; i++) {
        printf("%02x", data[i]);
    }
}

static void answer(pn_err err)
{
    printf("%s %s\n", err == PN_OK ? "ok" : "error", pn_err_name(err));
}

/* Our next message as a frame, or nothing when there is none left. */
static void answer_next(void)
{
    uint8_t frame[PN_FRAME_HEADER_LEN + PN_M2_LEN];
    size_t len;
    pn_err err;

    if (pn_handshake_is_done(handshake)) {
        puts("ok ");
        return;
    }
    err = pn_handshake_write(handshake, NULL, 0, frame + MESSAGE_AT,
        sizeof(frame) - MESSAGE_AT, &len);
    if (err != PN_OK) {
        answer(err);
        return;
    }
    pn_handshake_wrap(frame, len);
    fputs("ok", stdout);
    print_hex(frame, MESSAGE_AT + len);
    puts("");
}

/* ---- a whole session ---- */

static pn_session *session;
static pn_session_limits limits;

static pn_err env_random(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    if (len != PN_KEY_LEN) {
        return pn_random(buf, len);
    }
    memcpy(buf, ephemeral.bytes, len);
    return PN_OK;
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
    (void)user;
    (void)id;
    (void)handle;
    (void)args;
}

static void on_send(void *user, pn_slice handle, pn_term args)
{
    (void)user;
    (void)handle;
    (void)args;
}

static void on_reply(void *user, void *call, pn_err outcome, pn_term value)
{
    (void)user;
    (void)call;
    (void)outcome;
    (void)value;
}

static void on_output(void *user)
{
    (void)user;
}

static const pn_env env = {.random = env_random};
static const pn_session_callbacks callbacks = {
    .is_trusted = is_trusted,
    .on_open = on_open,
    .on_call = on_call,
    .on_send = on_send,
    .on_reply = on_reply,
    .on_output = on_output,
};

static pn_err session_new(void)
{
    pn_session_config config = {
        .initiator = initiator,
        .identity = &identity,
        .limits = &limits,
        .env = &env,
        .callbacks = &callbacks,
    };

    pn_session_limits_default(&limits);
    return pn_session_new(&config, 1, &session);
}

/* All output of the session so far. */
static void answer_output(void)
{
    pn_slice out = pn_session_output(session);

    fputs("ok", stdout);
    print_hex(out.data, out.len);
    puts("");
    pn_session_written(session, 2, out.len);
}

static void session_step(uint8_t *frame, size_t len)
{
    size_t consumed = 0;
    pn_err err = pn_session_input(session, 2, frame, len, &consumed);

    if (err == PN_OK && consumed != len) {
        err = PN_AGAIN;
    }
    if (err != PN_OK) {
        answer(err);
    } else {
        answer_output();
    }
}

/* ---- commands ---- */

static void do_new(const char *args)
{
    char role = ' ';
    char secret[65];
    char drawn[65];
    pn_err err = PN_INVALID;

    pn_handshake_free(handshake);
    handshake = NULL;
    pn_session_free(session);
    session = NULL;
    n_read = 0;
    if (sscanf(args, "%c %64s %64s", &role, secret, drawn) == 3
        && unhex(secret, identity.secret.bytes, PN_KEY_LEN) == PN_KEY_LEN
        && unhex(drawn, ephemeral.bytes, PN_KEY_LEN) == PN_KEY_LEN) {
        err = pn_x25519_public(&identity.secret, &identity.public_key);
    }
    initiator = role == 'i' || role == 'I';
    if (err == PN_OK && (role == 'I' || role == 'R')) {
        err = session_new();
        if (err == PN_OK && initiator) {
            answer_output();
            return;
        }
    } else if (err == PN_OK) {
        err = pn_handshake_new(&pn_noise_peernet_0_1, initiator, &identity,
            NULL, 0, &env, &handshake);
    }
    if (err == PN_OK && initiator) {
        answer_next();
    } else {
        answer(err);
    }
}

static pn_err read_frame(const uint8_t *frame, size_t len)
{
    size_t body_len = initiator     ? PN_M2_LEN
                      : n_read == 0 ? PN_M1_LEN
                                    : PN_M3_LEN;
    uint8_t nothing[1];
    size_t n;
    pn_slice message;
    pn_err err = pn_frame_peek(frame, len, body_len, body_len, &n);

    if (err == PN_OK) {
        err = pn_handshake_unwrap(
            frame + PN_FRAME_HEADER_LEN, n, body_len, &message);
    }
    if (err == PN_OK) {
        err = pn_handshake_read(
            handshake, message.data, message.len, nothing, sizeof(nothing), &n);
    }
    n_read++;
    return err;
}

static void do_step(const char *args)
{
    uint8_t frame[256];
    size_t len = unhex(args, frame, sizeof(frame));
    pn_err err = PN_STATE;

    if (session != NULL) {
        session_step(frame, len);
        return;
    }
    if (handshake != NULL) {
        err = read_frame(frame, len);
    }
    if (err != PN_OK) {
        answer(err);
    } else {
        answer_next();
    }
}

static pn_err print_sealed(pn_cipher *cipher)
{
    uint8_t zeros[32 + PN_TAG_LEN] = {0};
    pn_err err = pn_cipher_seal(cipher, NULL, 0, zeros, 32);

    if (err == PN_OK) {
        print_hex(zeros, sizeof(zeros));
    }
    return err;
}

static void do_done(void)
{
    uint8_t h[PN_HASH_LEN];
    pn_cipher send = {0};
    pn_cipher receive = {0};
    pn_public_key peer;
    pn_err err;

    if (handshake == NULL || !pn_handshake_is_done(handshake)) {
        answer(PN_STATE);
        return;
    }
    memcpy(h, handshake->symmetric.h, PN_HASH_LEN);
    peer = *pn_handshake_peer(handshake);
    err = pn_handshake_split(handshake, &send, &receive);
    if (err != PN_OK) {
        answer(err);
        return;
    }
    fputs("ok", stdout);
    print_hex(h, sizeof(h));
    print_hex(peer.bytes, sizeof(peer.bytes));
    err = print_sealed(&send);
    if (err == PN_OK) {
        err = print_sealed(&receive);
    }
    printf("%s\n", err == PN_OK ? "" : " failed");
    pn_cipher_fini(&send);
    pn_cipher_fini(&receive);
}

int main(void)
{
    char line[1024];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (strncmp(line, "new ", 4) == 0) {
            do_new(line + 4);
        } else if (strncmp(line, "step ", 5) == 0) {
            do_step(line + 5);
        } else if (strncmp(line, "done", 4) == 0) {
            do_done();
        } else {
            puts("error no such command");
        }
        fflush(stdout);
    }
    pn_handshake_free(handshake);
    pn_session_free(session);
    return 0;
}

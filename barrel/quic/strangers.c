/* SPDX-License-Identifier: Apache-2.0 */
/* Strangers: the limits on handshakes, and the answers to datagrams without a
 * connection. A handshake costs as much as a thousand datagrams, and the source
 * address of a datagram can be forged. So handshakes with unproven addresses
 * are few, at once and in a second; all other strangers are sent a Retry and
 * come back with its token, which shows that they receive at that address. From
 * then on the owner counts them by their source (on_proven). All of this comes
 * before anything is computed or kept for a stranger, and costs the same
 * however many peers there are. An answer without a connection is never longer
 * than the packet it answers, and each kind of answer has a budget of its own,
 * so that a flood of one cannot use up another. The owner may have a reserve
 * for addresses that it knows (on_reserve), for when a budget is used up. */
#include <string.h>

#include <gnutls/crypto.h>

#include "base/mutant.h"
#include "os/clock.h"
#include "quic_internal.h"

enum {
    /* A datagram that may begin a connection (RFC 9000 section 14.1). */
    INITIAL_MIN = 1200,
    /* The shortest datagram that is taken for a packet of a forgotten
     * connection, and the longest answer to one (RFC 9000 section 10.3). */
    RESET_MIN = 22,
    RESET_MAX = 43,
    TOKEN_LIFE_S = 10
};

/* ---- answers ---------------------------------------------------------- */

static bool is_within_budget(pn_quic *quic, quic_answer kind)
{
    uint64_t now_us = pn_monotonic_now_us();
    uint32_t n = quic->options.answers_per_second;

    if (kind == QUIC_ANSWER_RETRY) {
        n = quic->options.retries_per_second;
        return !PN_REFUSE_IF(quic_retry_rate,
            !pn_bucket_take(&quic->answers[kind], now_us, n, n));
    }
    return !PN_REFUSE_IF(
        quic_stateless, !pn_bucket_take(&quic->answers[kind], now_us, n, n));
}

static bool may_answer(pn_quic *quic, quic_answer kind, const pn_address *to)
{
    return is_within_budget(quic, kind)
           || (quic->callbacks.on_reserve != NULL
               && quic->callbacks.on_reserve(quic->user, to));
}

/* Shorter than what it answers, so that two endpoints cannot keep each other
 * busy for ever. */
void pn_quic_send_reset(
    pn_quic *quic, const quic_path *path, const uint8_t *id, size_t len)
{
    uint8_t out[RESET_MAX];
    uint8_t noise[RESET_MAX];
    uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN];
    ngtcp2_cid cid;
    ngtcp2_ssize n;

    if (len < RESET_MIN
        || !may_answer(quic, QUIC_ANSWER_RESET, &path->remote)) {
        return;
    }
    len = len - 1 < RESET_MAX ? len - 1 : RESET_MAX;
    ngtcp2_cid_init(&cid, id, QUIC_CID_LEN);
    if (ngtcp2_crypto_generate_stateless_reset_token(
            token, quic->reset_secret, QUIC_SECRET_LEN, &cid)
            != 0
        || gnutls_rnd(GNUTLS_RND_NONCE, noise, sizeof(noise)) != 0) {
        return;
    }
    n = ngtcp2_pkt_write_stateless_reset(
        out, len, token, noise, len - sizeof(token));
    if (n > 0) {
        (void)pn_quic_socket_send(quic, path, out, (size_t)n);
    }
}

void pn_quic_send_versions(pn_quic *quic, const quic_path *path,
    const ngtcp2_version_cid *vc, size_t len)
{
    static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1};
    uint8_t out[600]; /* two ids of at most 255 bytes */
    uint8_t unused = 0;
    ngtcp2_ssize n;

    if (len < INITIAL_MIN
        || !may_answer(quic, QUIC_ANSWER_VERSIONS, &path->remote)) {
        return;
    }
    (void)gnutls_rnd(GNUTLS_RND_NONCE, &unused, 1);
    n = ngtcp2_pkt_write_version_negotiation(out, sizeof(out), unused, vc->scid,
        vc->scidlen, vc->dcid, vc->dcidlen, versions, 1);
    if (n > 0) {
        (void)pn_quic_socket_send(quic, path, out, (size_t)n);
    }
}

static void refuse(
    pn_quic *quic, const quic_path *path, const ngtcp2_pkt_hd *hd)
{
    uint8_t out[QUIC_DATAGRAM_MAX];
    ngtcp2_ssize n;

    quic->counters.refused++;
    if (!may_answer(quic, QUIC_ANSWER_REFUSAL, &path->remote)) {
        return;
    }
    n = ngtcp2_crypto_write_connection_close(out, sizeof(out), hd->version,
        &hd->scid, &hd->dcid, NGTCP2_CONNECTION_REFUSED, NULL, 0);
    if (n > 0 && n <= INITIAL_MIN) {
        (void)pn_quic_socket_send(quic, path, out, (size_t)n);
    }
}

/* Beyond the budget nothing is sent, and an honest client sends its Initial
 * again in a moment. */
static void send_retry(
    pn_quic *quic, const quic_path *path, const ngtcp2_pkt_hd *hd)
{
    uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN];
    uint8_t out[INITIAL_MIN];
    uint8_t id[QUIC_CID_LEN];
    ngtcp2_cid cid;
    ngtcp2_ssize n;

    if (!may_answer(quic, QUIC_ANSWER_RETRY, &path->remote)
        || gnutls_rnd(GNUTLS_RND_RANDOM, id, sizeof(id)) != 0) {
        return;
    }
    ngtcp2_cid_init(&cid, id, sizeof(id));
    n = ngtcp2_crypto_generate_retry_token(token, quic->retry_secret,
        QUIC_SECRET_LEN, hd->version, &path->remote.any,
        pn_address_len(&path->remote), &cid, &hd->dcid, pn_quic_now_ns());
    if (n <= 0) {
        return;
    }
    n = ngtcp2_crypto_write_retry(out, sizeof(out), hd->version, &hd->scid,
        &cid, &hd->dcid, token, (size_t)n);
    if (n > 0) {
        quic->counters.retries_sent++;
        (void)pn_quic_socket_send(quic, path, out, (size_t)n);
    }
}

/* ---- letting in ------------------------------------------------------- */

/* True when it shows a token that we sent to this address lately. */
static bool has_token(pn_quic *quic, const quic_path *path,
    const ngtcp2_pkt_hd *hd, ngtcp2_cid *ret_odcid)
{
    ngtcp2_vec token = quic_api_token(hd);

    return token.len > 0
           && !PN_REFUSE_IF(quic_retry_token,
               ngtcp2_crypto_verify_retry_token(ret_odcid, token.base,
                   token.len, quic->retry_secret, QUIC_SECRET_LEN, hd->version,
                   &path->remote.any, pn_address_len(&path->remote), &hd->dcid,
                   TOKEN_LIFE_S * NGTCP2_SECONDS, pn_quic_now_ns())
                   != 0);
}

static bool is_full(const pn_quic *quic)
{
    return PN_REFUSE_IF(
               quic_max_conns, quic->n_conns >= quic->options.max_conns)
           || PN_REFUSE_IF(quic_max_handshakes,
               quic->n_handshakes >= quic->options.max_handshakes);
}

/* A connection that ends at once still cost a handshake, so the rate counts
 * besides those that are unfinished. */
static bool has_to_prove(pn_quic *quic)
{
    uint32_t n = quic->options.unproven_per_second;

    return PN_REFUSE_IF(
               quic_retry, quic->n_unproven >= quic->options.retry_above)
           || PN_REFUSE_IF(quic_unproven_rate,
               !pn_bucket_take(&quic->unproven, pn_monotonic_now_us(), n, n));
}

static bool is_let_in(pn_quic *quic, const pn_address *from)
{
    return quic->callbacks.on_incoming == NULL
           || quic->callbacks.on_incoming(quic->user, from);
}

bool pn_quic_place_take(pn_quic *quic, const pn_address *from)
{
    return quic->callbacks.on_proven == NULL
           || quic->callbacks.on_proven(quic->user, from);
}

void pn_quic_place_leave(pn_quic *quic, const pn_address *from)
{
    if (quic->callbacks.on_leave != NULL && !quic->is_freed) {
        quic->callbacks.on_leave(quic->user, from);
    }
}

static void let_in(pn_quic *quic, const quic_path *path,
    const ngtcp2_pkt_hd *hd, const uint8_t *data, size_t len)
{
    ngtcp2_cid odcid = hd->dcid;
    pn_quic_conn *conn;
    bool is_proven;

    if (is_full(quic)) {
        refuse(quic, path, hd);
        return;
    }
    is_proven = has_token(quic, path, hd, &odcid);
    if (!is_proven && has_to_prove(quic)) {
        send_retry(quic, path, hd);
        return;
    }
    if (PN_REFUSE_IF(quic_incoming, !is_let_in(quic, &path->remote))
        || (is_proven
            && PN_REFUSE_IF(
                quic_proven, !pn_quic_place_take(quic, &path->remote)))) {
        refuse(quic, path, hd);
        return;
    }
    if (quic->is_freed
        || pn_quic_conn_accept(quic, path, hd, is_proven ? &odcid : NULL, &conn)
               != PN_OK) {
        return;
    }
    pn_quic_conn_read(conn, path, data, len);
}

void pn_quic_stranger(
    pn_quic *quic, const quic_path *path, const uint8_t *data, size_t len)
{
    ngtcp2_pkt_hd hd;

    if (quic->options.certificate == NULL || len < INITIAL_MIN
        || ngtcp2_accept(&hd, data, len) != 0
        || hd.version != NGTCP2_PROTO_VER_V1) {
        return;
    }
    let_in(quic, path, &hd, data, len);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An endpoint: who a datagram is for, and what strangers are told. Nothing is
 * kept of a stranger before it was let in, and what it is answered is never
 * longer than what it sent.
 */
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>

#include "base/bytes.h"
#include "base/mutant.h"
#include "quic/quic_impl.h"

enum {
    MAX_CONNS = 256,
    MAX_HANDSHAKES = 64,
    RETRY_ABOVE = 16,
    MAX_STREAMS = 100,
    STATELESS_PER_SECOND = 200,
    /* A datagram that may begin a connection (RFC 9000 section 14.1). */
    INITIAL_MIN = 1200,
    /* What looks like a packet of a connection that we have forgotten, and the
     * longest answer to one (RFC 9000 section 10.3). */
    RESET_MIN = 22,
    RESET_MAX = 43,
    TOKEN_LIFE_S = 10
};

#define HANDSHAKE_US (10 * PN_US_PER_S)
#define KEEP_ALIVE_US (15 * PN_US_PER_S)
#define IDLE_TIMEOUT_US (300 * PN_US_PER_S)
#define DEAD_AFTER_US (60 * PN_US_PER_S)
#define MAX_DATA (UINT64_C(16) * 1024 * 1024)
#define MAX_STREAM_DATA (UINT64_C(4) * 1024 * 1024)
#define MAX_UNSENT ((size_t)16 * 1024 * 1024)

/* ---- connection ids --------------------------------------------------- */

static size_t cid_bucket(const pn_quic *quic, const uint8_t *id, size_t len)
{
    uint8_t head[8] = {0};
    uint64_t h;

    memcpy(head, id, len < sizeof(head) ? len : sizeof(head));
    h = (pn_load_be64(head) ^ quic->cid_seed) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h >> 32) % QUIC_CID_BUCKETS;
}

static quic_cid **cid_place(pn_quic *quic, const uint8_t *id, size_t len)
{
    quic_cid **at = &quic->cids[cid_bucket(quic, id, len)];

    while (*at != NULL
           && ((*at)->cid.datalen != len
               || memcmp((*at)->cid.data, id, len) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

pn_err pn_quic_cid_add(pn_quic_conn *conn, const ngtcp2_cid *cid)
{
    quic_cid **at = cid_place(conn->quic, cid->data, cid->datalen);
    quic_cid *entry;

    if (*at != NULL) {
        return PN_EXISTS;
    }
    entry = calloc(1, sizeof(*entry));
    if (entry == NULL) {
        return PN_NOMEM;
    }
    entry->cid = *cid;
    entry->conn = conn;
    entry->next_of_conn = conn->cids;
    conn->cids = entry;
    *at = entry;
    return PN_OK;
}

static void forget_cid(quic_cid *entry)
{
    quic_cid **at = &entry->conn->cids;

    while (*at != entry) {
        at = &(*at)->next_of_conn;
    }
    *at = entry->next_of_conn;
    free(entry);
}

void pn_quic_cid_remove(pn_quic *quic, const ngtcp2_cid *cid)
{
    quic_cid **at = cid_place(quic, cid->data, cid->datalen);
    quic_cid *entry = *at;

    if (entry != NULL) {
        *at = entry->next;
        forget_cid(entry);
    }
}

/* ---- what strangers are told ------------------------------------------ */

static bool stateless_allowed(pn_quic *quic)
{
    uint64_t second = pn_loop_now_us(quic->loop) / PN_US_PER_S;

    if (second != quic->stateless_second) {
        quic->stateless_second = second;
        quic->n_stateless = 0;
    }
    if (PN_CHECK(quic_stateless, quic->n_stateless >= STATELESS_PER_SECOND)) {
        return false;
    }
    quic->n_stateless++;
    return true;
}

/* Shorter than what it answers, so that two endpoints cannot keep each other
 * busy for ever. */
static void send_reset(
    pn_quic *quic, const quic_path *path, const uint8_t *id, size_t len)
{
    uint8_t out[RESET_MAX];
    uint8_t noise[RESET_MAX];
    uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN];
    ngtcp2_cid cid;
    ngtcp2_ssize n;

    if (len < RESET_MIN || !stateless_allowed(quic)) {
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

static void send_versions(pn_quic *quic, const quic_path *path,
    const ngtcp2_version_cid *vc, size_t len)
{
    static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1};
    uint8_t out[600]; /* two ids of at most 255 bytes */
    uint8_t unused = 0;
    ngtcp2_ssize n;

    if (len < INITIAL_MIN || !stateless_allowed(quic)) {
        return;
    }
    (void)gnutls_rnd(GNUTLS_RND_NONCE, &unused, 1);
    n = ngtcp2_pkt_write_version_negotiation(out, sizeof(out), unused, vc->scid,
        vc->scidlen, vc->dcid, vc->dcidlen, versions, 1);
    if (n > 0) {
        (void)pn_quic_socket_send(quic, path, out, (size_t)n);
    }
}

static void send_refusal(pn_quic *quic, const quic_path *path,
    const ngtcp2_pkt_hd *hd, uint64_t code)
{
    uint8_t out[QUIC_DATAGRAM_MAX];
    ngtcp2_ssize n;

    quic->counters.refused++;
    if (!stateless_allowed(quic)) {
        return;
    }
    n = ngtcp2_crypto_write_connection_close(
        out, sizeof(out), hd->version, &hd->scid, &hd->dcid, code, NULL, 0);
    if (n > 0 && n <= INITIAL_MIN) {
        (void)pn_quic_socket_send(quic, path, out, (size_t)n);
    }
}

static void send_retry(
    pn_quic *quic, const quic_path *path, const ngtcp2_pkt_hd *hd)
{
    uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN];
    uint8_t out[INITIAL_MIN];
    uint8_t id[QUIC_CID_LEN];
    ngtcp2_cid cid;
    ngtcp2_ssize n;

    if (gnutls_rnd(GNUTLS_RND_RANDOM, id, sizeof(id)) != 0) {
        return;
    }
    ngtcp2_cid_init(&cid, id, sizeof(id));
    n = ngtcp2_crypto_generate_retry_token(token, quic->retry_secret,
        QUIC_SECRET_LEN, hd->version, &path->remote.any,
        pn_address_len(&path->remote), &cid, &hd->dcid, pn_quic_now_ns(quic));
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
    return hd->token.len > 0
           && !PN_CHECK(quic_retry_token,
               ngtcp2_crypto_verify_retry_token(ret_odcid, hd->token.base,
                   hd->token.len, quic->retry_secret, QUIC_SECRET_LEN,
                   hd->version, &path->remote.any,
                   pn_address_len(&path->remote), &hd->dcid,
                   TOKEN_LIFE_S * NGTCP2_SECONDS, pn_quic_now_ns(quic))
                   != 0);
}

static bool is_full(const pn_quic *quic)
{
    return PN_CHECK(quic_max_conns, quic->n_conns >= quic->options.max_conns)
           || PN_CHECK(quic_max_handshakes,
               quic->n_handshakes >= quic->options.max_handshakes);
}

/* The order matters: an address is asked at the door only when it is certain
 * or we can afford that it is not, and once. */
static void let_in(pn_quic *quic, const quic_path *path,
    const ngtcp2_pkt_hd *hd, const uint8_t *data, size_t len)
{
    ngtcp2_cid odcid = hd->dcid;
    bool is_certain = has_token(quic, path, hd, &odcid);
    pn_quic_conn *conn;

    if (is_full(quic)) {
        send_refusal(quic, path, hd, NGTCP2_CONNECTION_REFUSED);
        return;
    }
    if (PN_CHECK(quic_retry,
            !is_certain && quic->n_handshakes >= quic->options.retry_above)) {
        send_retry(quic, path, hd);
        return;
    }
    if (PN_CHECK(quic_knock,
            quic->callbacks.on_knock != NULL
                && !quic->callbacks.on_knock(quic->user, &path->remote))) {
        send_refusal(quic, path, hd, NGTCP2_CONNECTION_REFUSED);
        return;
    }
    if (quic->is_freed
        || pn_quic_conn_accept(
               quic, path, hd, is_certain ? &odcid : NULL, &conn)
               != PN_OK) {
        return;
    }
    pn_quic_conn_read(conn, path, data, len);
}

static void on_stranger(
    pn_quic *quic, const quic_path *path, const uint8_t *data, size_t len)
{
    ngtcp2_pkt_hd hd;

    if (quic->options.certificate == NULL || len < INITIAL_MIN
        || ngtcp2_accept(&hd, data, len) != 0
        || hd.version != NGTCP2_PROTO_VER_V1) {
        return;
    }
    if (PN_CHECK(quic_listening, !quic->is_listening)) {
        send_refusal(quic, path, &hd, NGTCP2_CONNECTION_REFUSED);
        return;
    }
    let_in(quic, path, &hd, data, len);
}

/* A stateless reset hides what it is about: the connections with this peer
 * look whether they know the token. True when one did. */
static bool is_reset_of_ours(
    pn_quic *quic, const quic_path *path, const uint8_t *data, size_t len)
{
    pn_quic_conn *next;

    for (pn_quic_conn *conn = quic->conns; conn != NULL; conn = next) {
        next = conn->next;
        if (conn->state <= QUIC_LINGER
            && pn_address_equal(&conn->path.remote, &path->remote)) {
            pn_quic_conn_read(conn, path, data, len);
            if (conn->was_reset) {
                return true;
            }
        }
    }
    return false;
}

void pn_quic_datagram(
    pn_quic *quic, const quic_path *path, const uint8_t *data, size_t len)
{
    ngtcp2_version_cid vc;
    int r = ngtcp2_pkt_decode_version_cid(&vc, data, len, QUIC_CID_LEN);
    const quic_cid *entry;

    if (r != 0 && r != NGTCP2_ERR_VERSION_NEGOTIATION) {
        return;
    }
    entry = *cid_place(quic, vc.dcid, vc.dcidlen);
    if (entry != NULL) {
        pn_quic_conn_read(entry->conn, path, data, len);
    } else if (r == NGTCP2_ERR_VERSION_NEGOTIATION) {
        if (quic->is_listening) {
            send_versions(quic, path, &vc, len);
        }
    } else if ((data[0] & 0x80) != 0) {
        on_stranger(quic, path, data, len);
    } else if (!is_reset_of_ours(quic, path, data, len)) {
        send_reset(quic, path, vc.dcid, len);
    }
}

/* Only who dials and has heard nothing yet believes it: anybody could say so
 * later on. */
void pn_quic_unreachable(pn_quic *quic, const pn_address *remote, int why)
{
    pn_quic_conn *next;

    for (pn_quic_conn *conn = quic->conns; conn != NULL; conn = next) {
        next = conn->next;
        if (PN_CHECK(quic_unreachable, conn->state != QUIC_HANDSHAKE
                                           || conn->is_server
                                           || conn->last_received_us != 0)) {
            continue;
        }
        if (pn_address_equal(&conn->path.remote, remote)) {
            pn_quic_conn_end(conn, PN_SYS, 0, why);
        }
    }
}

/* ---- turns ------------------------------------------------------------ */

static void quic_destroy(pn_quic *quic);

static void work_one(pn_quic *quic)
{
    pn_quic_conn *conn = quic->dirty;

    quic->dirty = conn->next_dirty;
    if (quic->dirty == NULL) {
        quic->dirty_end = &quic->dirty;
    }
    conn->next_dirty = NULL;
    conn->is_dirty = false;
    quic->n_dirty--;
    pn_quic_conn_work(conn);
}

/* Twice around: what the callbacks of the first round asked for goes out with
 * the second. Who still has something then waits for the next turn, so that
 * others are heard in between. */
static void work(pn_quic *quic)
{
    for (int round = 0; round < 2; round++) {
        for (size_t n = quic->n_dirty; n > 0 && quic->n_dirty > 0; n--) {
            if (quic->is_freed) {
                return;
            }
            work_one(quic);
        }
    }
    if (quic->n_dirty > 0) {
        pn_loop_post(quic->loop, &quic->flush);
    }
}

void pn_quic_enter(pn_quic *quic)
{
    quic->n_inside++;
}

void pn_quic_leave(pn_quic *quic)
{
    if (quic->n_inside == 1) {
        work(quic);
        if (quic->conns == NULL && quic->on_idle != NULL && !quic->is_freed) {
            void (*on_idle)(void *user) = quic->on_idle;

            quic->on_idle = NULL;
            on_idle(quic->idle_user);
        }
    }
    quic->n_inside--;
    if (quic->n_inside == 0 && quic->is_freed) {
        quic_destroy(quic);
    }
}

static void on_flush(void *user)
{
    pn_quic *quic = user;

    pn_quic_enter(quic);
    pn_quic_leave(quic);
}

void pn_quic_conn_touch(pn_quic_conn *conn)
{
    pn_quic *quic = conn->quic;

    if (!conn->is_dirty) {
        conn->is_dirty = true;
        *quic->dirty_end = conn;
        quic->dirty_end = &conn->next_dirty;
        quic->n_dirty++;
    }
    if (quic->n_inside == 0) {
        pn_loop_post(quic->loop, &quic->flush);
    }
}

/* It is about to be freed. */
void pn_quic_conn_untouch(pn_quic_conn *conn)
{
    pn_quic *quic = conn->quic;
    pn_quic_conn **at = &quic->dirty;

    if (!conn->is_dirty) {
        return;
    }
    while (*at != conn) {
        at = &(*at)->next_dirty;
    }
    *at = conn->next_dirty;
    if (quic->dirty_end == &conn->next_dirty) {
        quic->dirty_end = at;
    }
    conn->is_dirty = false;
    quic->n_dirty--;
}

void pn_quic_unblocked(pn_quic *quic)
{
    /* Last words first: who has a lot to say fills the socket again. */
    for (pn_quic_conn *conn = quic->conns; conn != NULL; conn = conn->next) {
        if (conn->owes_close) {
            pn_quic_conn_touch(conn);
        }
    }
    for (pn_quic_conn *conn = quic->conns; conn != NULL; conn = conn->next) {
        pn_quic_conn_touch(conn);
    }
}

void pn_quic_when_idle(pn_quic *quic, void (*on_idle)(void *user), void *user)
{
    quic->on_idle = on_idle;
    quic->idle_user = user;
    pn_loop_post(quic->loop, &quic->flush);
}

/* ---- life ------------------------------------------------------------- */

static bool options_are_valid(const pn_quic_options *o)
{
    return o->alpn != NULL && o->alpn[0] != '\0' && strlen(o->alpn) < 256;
}

static void set_default32(uint32_t *field, uint32_t value)
{
    if (*field == 0) {
        *field = value;
    }
}

static void set_default64(uint64_t *field, uint64_t value)
{
    if (*field == 0) {
        *field = value;
    }
}

static void options_default(pn_quic_options *o)
{
    set_default32(&o->max_conns, MAX_CONNS);
    set_default32(&o->max_handshakes, MAX_HANDSHAKES);
    set_default32(&o->retry_above, RETRY_ABOVE);
    set_default64(&o->handshake_us, HANDSHAKE_US);
    set_default64(&o->keep_alive_us, KEEP_ALIVE_US);
    set_default64(&o->idle_timeout_us, IDLE_TIMEOUT_US);
    set_default64(&o->dead_after_us, DEAD_AFTER_US);
    set_default64(&o->max_data, MAX_DATA);
    set_default64(&o->max_stream_data, MAX_STREAM_DATA);
    set_default64(&o->max_streams, MAX_STREAMS);
    if (o->max_unsent == 0) {
        o->max_unsent = MAX_UNSENT;
    }
}

static pn_err secrets_init(pn_quic *quic)
{
    pn_err err = pn_random(quic->retry_secret, QUIC_SECRET_LEN);

    if (err == PN_OK) {
        err = pn_random((uint8_t *)&quic->cid_seed, sizeof(quic->cid_seed));
    }
    if (err == PN_OK && quic->options.certificate != NULL) {
        memcpy(quic->reset_secret, quic->options.certificate->reset_secret,
            QUIC_SECRET_LEN);
    } else if (err == PN_OK) {
        err = pn_random(quic->reset_secret, QUIC_SECRET_LEN);
    }
    return err;
}

pn_err pn_quic_new(pn_loop *loop, const pn_address *at,
    const pn_quic_options *options, const pn_quic_callbacks *callbacks,
    void *user, pn_quic **ret_quic, int *ret_errno)
{
    pn_quic *quic;
    pn_err err;

    if (!options_are_valid(options)) {
        return PN_INVALID;
    }
    quic = calloc(1, sizeof(*quic));
    if (quic == NULL) {
        return PN_NOMEM;
    }
    quic->loop = loop;
    quic->options = *options;
    options_default(&quic->options);
    quic->callbacks = *callbacks;
    quic->user = user;
    quic->dirty_end = &quic->dirty;
    quic->socket.fd = -1;
    quic->is_listening = options->certificate != NULL;
    quic->flush = (pn_task){.run = on_flush, .user = quic};
    err = pn_quic_tls_init(quic);
    if (err == PN_OK) {
        err = secrets_init(quic);
    }
    if (err == PN_OK) {
        err = pn_quic_socket_open(quic, at, ret_errno);
    }
    if (err != PN_OK) {
        quic_destroy(quic);
        return err;
    }
    *ret_quic = quic;
    return PN_OK;
}

static void quic_destroy(pn_quic *quic)
{
    while (quic->conns != NULL) {
        pn_quic_conn_free(quic->conns);
    }
    pn_task_cancel(&quic->flush);
    (void)pn_quic_socket_flush(quic);
    pn_quic_socket_close(quic);
    pn_quic_tls_fini(quic);
    pn_wipe(quic, sizeof(*quic));
    free(quic);
}

void pn_quic_free(pn_quic *quic)
{
    if (quic == NULL || quic->is_freed) {
        return;
    }
    quic->is_freed = true;
    if (quic->n_inside == 0) {
        quic_destroy(quic);
        return;
    }
    for (pn_quic_conn *conn = quic->conns; conn != NULL; conn = conn->next) {
        conn->callbacks = NULL;
    }
}

void pn_quic_address(const pn_quic *quic, pn_address *ret_address)
{
    *ret_address = quic->socket.address;
}

void pn_quic_set_listening(pn_quic *quic, bool on)
{
    quic->is_listening = on && quic->options.certificate != NULL;
}

void pn_quic_network_changed(pn_quic *quic)
{
    for (pn_quic_conn *conn = quic->conns; conn != NULL; conn = conn->next) {
        pn_quic_conn_probe(conn);
    }
}

bool pn_quic_is_idle(const pn_quic *quic)
{
    for (const pn_quic_conn *c = quic->conns; c != NULL; c = c->next) {
        if (c->state == QUIC_LINGER
            || (c->state == QUIC_OPEN && (c->n_unsent > 0 || c->ready != NULL))
            || (c->state == QUIC_CLOSING && c->owes_close)) {
            return false;
        }
    }
    return quic->socket.n_segments == 0;
}

void pn_quic_count(const pn_quic *quic, pn_quic_counters *ret_counters)
{
    *ret_counters = quic->counters;
}

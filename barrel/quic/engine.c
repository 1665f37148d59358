/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ngtcp2_conn of a connection: making it, and its callbacks.
 */
#include <string.h>

#include <gnutls/crypto.h>

#include "base/mutant.h"
#include "quic_internal.h"

enum {
    /* Nodes are near each other: a first datagram that was lost is sent again
     * after three times this, where RFC 9002, section 6.2.2, waits for a
     * second. */
    INITIAL_RTT_MS = 100,
    ALERT_NO_APPLICATION_PROTOCOL = 120
};

/* True when a packet could be decrypted since it was cleared: the decrypt
 * callback does not get the connection. */
static _Thread_local bool has_decrypted;

/* ---- callbacks of ngtcp2 ---------------------------------------------- */

static int on_decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
    const ngtcp2_crypto_aead_ctx *aead_ctx, const uint8_t *in, size_t len,
    const uint8_t *nonce, size_t nonce_len, const uint8_t *ad, size_t ad_len)
{
    int r = ngtcp2_crypto_decrypt_cb(
        dest, aead, aead_ctx, in, len, nonce, nonce_len, ad, ad_len);

    has_decrypted = has_decrypted || r == 0;
    return r;
}

static void on_rand(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
    (void)ctx;
    if (gnutls_rnd(GNUTLS_RND_NONCE, dest, len) != 0) {
        memset(dest, 0, len); /* it is for nothing secret */
    }
}

static pn_err new_cid(pn_quic_conn *conn, size_t len, ngtcp2_cid *ret_cid)
{
    uint8_t id[NGTCP2_MAX_CIDLEN];
    pn_err err = pn_random(id, len);

    if (err == PN_OK) {
        ngtcp2_cid_init(ret_cid, id, len);
        err = pn_quic_cid_add(conn, ret_cid);
    }
    return err;
}

static int on_new_cid(ngtcp2_conn *engine, ngtcp2_cid *cid, uint8_t *token,
    size_t len, void *user)
{
    pn_quic_conn *conn = user;

    (void)engine;
    if (new_cid(conn, len, cid) != PN_OK
        || ngtcp2_crypto_generate_stateless_reset_token(
               token, conn->quic->reset_secret, QUIC_SECRET_LEN, cid)
               != 0) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
}

static int on_remove_cid(ngtcp2_conn *engine, const ngtcp2_cid *cid, void *user)
{
    const pn_quic_conn *conn = user;

    (void)engine;
    pn_quic_cid_remove(conn->quic, cid);
    return 0;
}

static int on_stateless_reset(
    ngtcp2_conn *engine, const ngtcp2_pkt_stateless_reset *sr, void *user)
{
    pn_quic_conn *conn = user;

    (void)engine;
    (void)sr;
    conn->was_reset = true;
    return 0;
}

/* The handshake went to the address and back, so that is proven now, if no
 * token had proven it before. */
static void accept_conn(pn_quic_conn *conn)
{
    pn_quic *quic = conn->quic;

    if (quic->is_freed) {
        return;
    }
    if (!conn->has_place && !pn_quic_place_take(quic, &conn->from)) {
        pn_quic_close(conn, PN_QUIC_NO_ERROR);
        return;
    }
    conn->has_place = false; /* the owner's now */
    quic->counters.accepted++;
    conn->is_owned = true;
    quic->callbacks.on_accept(quic->user, conn, &conn->from);
}

/* A peer that did not agree to the protocol gets no further. */
static int on_handshake(ngtcp2_conn *engine, void *user)
{
    pn_quic_conn *conn = user;
    pn_quic *quic = conn->quic;
    bool agrees = pn_quic_tls_alpn_agrees(conn);

    if ((conn->is_server && PN_REFUSE_IF(quic_alpn_server, !agrees))
        || (!conn->is_server && PN_REFUSE_IF(quic_alpn_client, !agrees))) {
        conn->alert = ALERT_NO_APPLICATION_PROTOCOL;
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    if (pn_quic_tls_bind(conn) != PN_OK) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    if (conn->state != QUIC_HANDSHAKE) {
        return 0; /* closed meanwhile */
    }
    conn->state = QUIC_OPEN;
    pn_quic_conn_shook_hands(conn);
    ngtcp2_conn_set_keep_alive_timeout(
        engine, quic->options.keep_alive_us * QUIC_NS_PER_US);
    if (!conn->is_server) {
        conn->callbacks->on_open(conn->user);
    } else {
        accept_conn(conn);
    }
    return 0;
}

static int on_stream_open(ngtcp2_conn *engine, int64_t id, void *user)
{
    pn_quic_conn *conn = user;

    (void)engine;
    if (pn_quic_stream_new(conn, id) == NULL) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    if (conn->callbacks != NULL && conn->callbacks->on_stream != NULL) {
        conn->callbacks->on_stream(conn->user, id);
    }
    return 0;
}

/* A unidirectional stream of the peer is over; see quic_internal.h. */
static void uni_finished(pn_quic_conn *conn, quic_stream *s)
{
    if (!PN_REFUSE_IF(quic_peer_uni, ++conn->n_peer_uni > QUIC_PEER_UNI_MAX)) {
        ngtcp2_conn_extend_max_streams_uni(conn->engine, 1);
    }
    pn_quic_stream_done(s);
}

static bool is_peer_uni(const pn_quic_conn *conn, int64_t id)
{
    return ngtcp2_conn_is_local_stream(conn->engine, id) == 0
           && ngtcp2_is_bidi_stream(id) == 0;
}

static int on_stream_data(ngtcp2_conn *engine, uint32_t flags, int64_t id,
    uint64_t offset, const uint8_t *data, size_t len, void *user,
    void *stream_user)
{
    pn_quic_conn *conn = user;
    quic_stream *s = pn_quic_stream_find(conn, id);
    bool fin = (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0;

    (void)engine;
    (void)offset;
    (void)stream_user;
    if (s == NULL) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    s->n_received += len;
    if (conn->callbacks == NULL || s->is_reset) {
        pn_quic_stream_forgive(s);
    } else {
        conn->callbacks->on_data(conn->user, id, data, len, fin);
    }
    if (fin && is_peer_uni(conn, id)) {
        uni_finished(conn, s);
    }
    return 0;
}

static int on_stream_reset(ngtcp2_conn *engine, int64_t id, uint64_t final_size,
    uint64_t code, void *user, void *stream_user)
{
    pn_quic_conn *conn = user;
    quic_stream *s = pn_quic_stream_find(conn, id);

    (void)engine;
    (void)final_size;
    (void)stream_user;
    if (s != NULL) {
        s->peer_code = code;
        pn_quic_stream_forgive(s);
    }
    if (conn->callbacks != NULL && (s == NULL || !s->is_reset)) {
        conn->callbacks->on_reset(conn->user, id, code);
    }
    if (s != NULL && is_peer_uni(conn, id)) {
        uni_finished(conn, s);
    }
    return 0;
}

static int on_stream_close(ngtcp2_conn *engine, uint32_t flags, int64_t id,
    uint64_t code, void *user, void *stream_user)
{
    pn_quic_conn *conn = user;
    quic_stream *s = pn_quic_stream_find(conn, id);

    (void)flags;
    (void)code;
    (void)stream_user;
    if (s != NULL) {
        pn_quic_stream_done(s);
    }
    if (ngtcp2_conn_is_local_stream(engine, id) == 0
        && ngtcp2_is_bidi_stream(id) != 0) {
        ngtcp2_conn_extend_max_streams_bidi(engine, 1);
    }
    return 0;
}

static int on_acked(ngtcp2_conn *engine, int64_t id, uint64_t offset,
    uint64_t len, void *user, void *stream_user)
{
    pn_quic_conn *conn = user;
    quic_stream *s = pn_quic_stream_find(conn, id);

    (void)engine;
    (void)stream_user;
    if (s != NULL) {
        pn_quic_stream_acked(s, offset + len);
    }
    return 0;
}

static int on_more_credit(ngtcp2_conn *engine, int64_t id, uint64_t max_data,
    void *user, void *stream_user)
{
    quic_stream *s = pn_quic_stream_find(user, id);

    (void)engine;
    (void)max_data;
    (void)stream_user;
    if (s != NULL) {
        s->is_blocked = false;
        pn_quic_stream_wake(s);
    }
    return 0;
}

void pn_quic_engine_validated(
    void *user, const ngtcp2_path *path, ngtcp2_path_validation_result result)
{
    pn_quic_conn *conn = user;

    if (result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS) {
        memcpy(&conn->proven, path->remote.addr, path->remote.addrlen);
    }
}

static const ngtcp2_callbacks engine_callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
    .handshake_completed = on_handshake,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = on_decrypt,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_stream_data = on_stream_data,
    .acked_stream_data_offset = on_acked,
    .stream_open = on_stream_open,
    .stream_close = on_stream_close,
    .recv_stateless_reset = on_stateless_reset,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .rand = on_rand,
    .get_new_connection_id = on_new_cid,
    .remove_connection_id = on_remove_cid,
    .update_key = ngtcp2_crypto_update_key_cb,
    .stream_reset = on_stream_reset,
    .extend_max_stream_data = on_more_credit,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    .path_validation = quic_api_on_path_validation,
};

/* ---- making ----------------------------------------------------------- */

static void settings_init(uint64_t handshake_us, ngtcp2_settings *settings)
{
    ngtcp2_settings_default(settings);
    settings->initial_ts = pn_quic_now_ns();
    settings->handshake_timeout = handshake_us * QUIC_NS_PER_US;
    settings->initial_rtt = INITIAL_RTT_MS * NGTCP2_MILLISECONDS;
    settings->max_tx_udp_payload_size = QUIC_DATAGRAM_MAX;
}

/* docs/BARREL-PROTOCOL.md, section 2.3. */
static void params_init(const pn_quic *quic, ngtcp2_transport_params *params)
{
    const pn_quic_options *o = &quic->options;

    ngtcp2_transport_params_default(params);
    params->initial_max_data = o->max_data;
    params->initial_max_stream_data_bidi_local = o->max_stream_data;
    params->initial_max_stream_data_bidi_remote = o->max_stream_data;
    params->initial_max_stream_data_uni = o->max_stream_data;
    params->initial_max_streams_bidi = o->max_streams;
    params->initial_max_streams_uni = o->max_streams;
    params->max_idle_timeout = o->idle_timeout_us * QUIC_NS_PER_US;
    params->max_udp_payload_size = QUIC_DATAGRAM_MAX;
    params->active_connection_id_limit = 2;
    /* Distribution's handshake waits for acknowledgements
     * (docs/BARREL-PROTOCOL.md, section 14.1): the default of 25 ms would be
     * most of its time. */
    params->max_ack_delay = NGTCP2_MILLISECONDS;
}

pn_err pn_quic_engine_server(
    pn_quic_conn *conn, const ngtcp2_pkt_hd *hd, const ngtcp2_cid *odcid)
{
    const pn_quic *quic = conn->quic;
    ngtcp2_path path = pn_quic_ngtcp2_path(&conn->path);
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid scid;
    pn_err err = new_cid(conn, QUIC_CID_LEN, &scid);

    if (err == PN_OK) {
        err = pn_quic_cid_add(conn, &hd->dcid);
    }
    if (err != PN_OK) {
        return err;
    }
    settings_init(quic->options.accept_us, &settings);
    params_init(quic, &params);
    quic_api_original_dcid(&params, odcid != NULL ? odcid : &hd->dcid);
    if (odcid != NULL) {
        quic_api_use_retry_token(&settings, hd);
        params.retry_scid = hd->dcid;
        params.retry_scid_present = 1;
    }
    params.stateless_reset_token_present = 1;
    if (ngtcp2_crypto_generate_stateless_reset_token(
            params.stateless_reset_token, quic->reset_secret, QUIC_SECRET_LEN,
            &scid)
            != 0
        || ngtcp2_conn_server_new(&conn->engine, &hd->scid, &scid, &path,
               hd->version, &engine_callbacks, &settings, &params,
               pn_quic_memory_init(&conn->memory), conn)
               != 0) {
        return PN_NOMEM;
    }
    ngtcp2_conn_set_tls_native_handle(conn->engine, conn->session);
    return PN_OK;
}

pn_err pn_quic_engine_client(pn_quic_conn *conn)
{
    ngtcp2_path path = pn_quic_ngtcp2_path(&conn->path);
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    uint8_t id[QUIC_CID_LEN];
    ngtcp2_cid dcid;
    ngtcp2_cid scid;
    pn_err err = pn_random(id, sizeof(id));

    if (err == PN_OK) {
        err = new_cid(conn, QUIC_CID_LEN, &scid);
    }
    if (err != PN_OK) {
        return err;
    }
    ngtcp2_cid_init(&dcid, id, sizeof(id));
    settings_init(conn->quic->options.handshake_us, &settings);
    params_init(conn->quic, &params);
    if (ngtcp2_conn_client_new(&conn->engine, &dcid, &scid, &path,
            NGTCP2_PROTO_VER_V1, &engine_callbacks, &settings, &params,
            pn_quic_memory_init(&conn->memory), conn)
        != 0) {
        return PN_NOMEM;
    }
    ngtcp2_conn_set_tls_native_handle(conn->engine, conn->session);
    return PN_OK;
}

/* ---- reading ---------------------------------------------------------- */

int pn_quic_engine_read(pn_quic_conn *conn, const quic_path *path,
    const uint8_t *data, size_t len, bool *ret_genuine)
{
    quic_path mine = *path;
    ngtcp2_path at = pn_quic_ngtcp2_path(&mine);
    ngtcp2_pkt_info info = {.ecn = NGTCP2_ECN_NOT_ECT};
    int r;

    has_decrypted = false;
    r = ngtcp2_conn_read_pkt(
        conn->engine, &at, &info, data, len, pn_quic_now_ns());
    *ret_genuine = has_decrypted;
    return r;
}

ngtcp2_ccerr pn_quic_engine_received_close(pn_quic_conn *conn)
{
    return quic_api_received_close(conn->engine);
}

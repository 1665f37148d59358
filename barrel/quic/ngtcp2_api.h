/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ngtcp2 0.12 (Debian 12) and 1.x (Debian 13) as one. The code is written for
 * 1.x; this file is the only one that knows of versions.
 *
 * Differences of 1.x that keep their names:
 * - NGTCP2_ERR_RETRY and NGTCP2_ERR_DROP_CONN stay; ngtcp2_accept takes no
 *   0-RTT any more.
 * - PMTU probes can be chosen (settings.pmtud_probes).
 */
#ifndef PN_BARREL_QUIC_NGTCP2_API_H
#define PN_BARREL_QUIC_NGTCP2_API_H

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

/* Engine's: what came of a path's validation. user is the connection. */
void pn_quic_engine_validated(
    void *user, const ngtcp2_path *path, ngtcp2_path_validation_result result);

#if NGTCP2_VERSION_NUM < 0x010000

typedef ngtcp2_connection_close_error ngtcp2_ccerr;

#define ngtcp2_ccerr_default ngtcp2_connection_close_error_default
#define ngtcp2_ccerr_set_application_error                                     \
    ngtcp2_connection_close_error_set_application_error
#define ngtcp2_ccerr_set_tls_alert                                             \
    ngtcp2_connection_close_error_set_transport_error_tls_alert
#define ngtcp2_ccerr_set_liberr                                                \
    ngtcp2_connection_close_error_set_transport_error_liberr
#define NGTCP2_CCERR_TYPE_TRANSPORT                                            \
    NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_TRANSPORT
#define NGTCP2_CCERR_TYPE_APPLICATION                                          \
    NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION

/* With what the peer closed. */
static inline ngtcp2_ccerr quic_api_received_close(ngtcp2_conn *engine)
{
    ngtcp2_ccerr error;

    ngtcp2_ccerr_default(&error);
    ngtcp2_conn_get_connection_close_error(engine, &error);
    return error;
}

static inline int quic_api_shutdown_stream(
    ngtcp2_conn *engine, int64_t id, uint64_t code)
{
    return ngtcp2_conn_shutdown_stream(engine, id, code);
}

/* The token of an Initial packet; its length is 0 when there is none. */
static inline ngtcp2_vec quic_api_token(const ngtcp2_pkt_hd *hd)
{
    return hd->token;
}

/* The connection answers the Retry that hd's token came from. */
static inline void quic_api_use_retry_token(
    ngtcp2_settings *settings, const ngtcp2_pkt_hd *hd)
{
    settings->token = hd->token;
}

static inline void quic_api_original_dcid(
    ngtcp2_transport_params *params, const ngtcp2_cid *dcid)
{
    params->original_dcid = *dcid;
}

static inline int quic_api_on_path_validation(ngtcp2_conn *engine,
    uint32_t flags, const ngtcp2_path *path,
    ngtcp2_path_validation_result result, void *user)
{
    (void)engine;
    (void)flags;
    pn_quic_engine_validated(user, path, result);
    return 0;
}

#else

static inline ngtcp2_ccerr quic_api_received_close(ngtcp2_conn *engine)
{
    return *ngtcp2_conn_get_ccerr(engine);
}

static inline int quic_api_shutdown_stream(
    ngtcp2_conn *engine, int64_t id, uint64_t code)
{
    return ngtcp2_conn_shutdown_stream(engine, 0, id, code);
}

static inline ngtcp2_vec quic_api_token(const ngtcp2_pkt_hd *hd)
{
    /* ngtcp2_vec points to what may be written, for its own reasons. */
    return (ngtcp2_vec){
        .base = (uint8_t *)(uintptr_t)hd->token, .len = hd->tokenlen};
}

static inline void quic_api_use_retry_token(
    ngtcp2_settings *settings, const ngtcp2_pkt_hd *hd)
{
    settings->token = hd->token;
    settings->tokenlen = hd->tokenlen;
    settings->token_type = NGTCP2_TOKEN_TYPE_RETRY;
}

static inline void quic_api_original_dcid(
    ngtcp2_transport_params *params, const ngtcp2_cid *dcid)
{
    params->original_dcid = *dcid;
    params->original_dcid_present = 1;
}

static inline int quic_api_on_path_validation(ngtcp2_conn *engine,
    uint32_t flags, const ngtcp2_path *path, const ngtcp2_path *old_path,
    ngtcp2_path_validation_result result, void *user)
{
    (void)engine;
    (void)flags;
    (void)old_path;
    pn_quic_engine_validated(user, path, result);
    return 0;
}

#endif

#endif

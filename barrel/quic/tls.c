/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.3 by GnuTLS, as barrel nodes speak it (docs/BARREL-PROTOCOL.md, section
 * 2.2). The chain is not validated: who the peer is, the auth messages tell.
 * That it holds the key of the certificate it shows is checked by GnuTLS
 * (CertificateVerify), and the authentication is bound to that certificate.
 */
#include <string.h>

#include <gnutls/crypto.h>

#include "base/mutant.h"
#include "quic_internal.h"

#define PRIORITY                                                               \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:"                  \
    "-GROUP-ALL:+GROUP-X25519:%DISABLE_TLS13_COMPAT_MODE"

pn_err pn_quic_tls_init(pn_quic *quic)
{
    if (gnutls_certificate_allocate_credentials(&quic->client_credentials)
        != 0) {
        quic->client_credentials = NULL;
        return PN_NOMEM;
    }
    if (gnutls_priority_init2(&quic->priority, PRIORITY, NULL, 0) != 0) {
        quic->priority = NULL;
        return PN_NOMEM;
    }
    return PN_OK;
}

void pn_quic_tls_fini(pn_quic *quic)
{
    if (quic->client_credentials != NULL) {
        gnutls_certificate_free_credentials(quic->client_credentials);
    }
    if (quic->priority != NULL) {
        gnutls_priority_deinit(quic->priority);
    }
}

static ngtcp2_conn *get_engine(ngtcp2_crypto_conn_ref *ref)
{
    const pn_quic_conn *conn = ref->user_data;

    return conn->engine;
}

/* GnuTLS as it comes writes the secrets of a connection to the file that
 * SSLKEYLOGFILE names. */
static int tell_nobody(
    gnutls_session_t session, const char *label, const gnutls_datum_t *secret)
{
    (void)session;
    (void)label;
    (void)secret;
    return 0;
}

/* No tickets, because no session is resumed. No 0-RTT. */
static int session_init(pn_quic_conn *conn)
{
    unsigned flags = conn->is_server
                         ? GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET
                               | GNUTLS_NO_TICKETS
                         : GNUTLS_CLIENT | GNUTLS_NO_TICKETS;
    int r = gnutls_init(&conn->session, flags);

    if (r != 0) {
        conn->session = NULL;
        return r;
    }
    gnutls_session_set_keylog_function(conn->session, tell_nobody);
    conn->ref.get_conn = get_engine;
    conn->ref.user_data = conn;
    gnutls_session_set_ptr(conn->session, &conn->ref);
    r = conn->is_server
            ? ngtcp2_crypto_gnutls_configure_server_session(conn->session)
            : ngtcp2_crypto_gnutls_configure_client_session(conn->session);
    if (r == 0) {
        r = gnutls_priority_set(conn->session, conn->quic->priority);
    }
    return r;
}

/* Not as mandatory for GnuTLS: that lets a peer pass that names no protocol
 * at all. We look ourselves when the handshake is done. */
static int session_set_alpn(pn_quic_conn *conn)
{
    const char *name = conn->quic->options.alpn;
    gnutls_datum_t alpn = {(void *)(uintptr_t)name, (unsigned)strlen(name)};

    return gnutls_alpn_set_protocols(conn->session, &alpn, 1, 0);
}

pn_err pn_quic_tls_session(pn_quic_conn *conn)
{
    pn_quic *quic = conn->quic;
    int r = session_init(conn);

    if (r == 0) {
        r = session_set_alpn(conn);
    }
    if (r == 0) {
        r = gnutls_credentials_set(conn->session, GNUTLS_CRD_CERTIFICATE,
            conn->is_server ? quic->options.certificate->credentials
                            : quic->client_credentials);
    }
    return r == 0 ? PN_OK : PN_NOMEM;
}

bool pn_quic_tls_alpn_agrees(const pn_quic_conn *conn)
{
    const char *name = conn->quic->options.alpn;
    gnutls_datum_t got;

    return gnutls_alpn_get_selected_protocol(conn->session, &got) == 0
           && got.size == strlen(name) && memcmp(got.data, name, got.size) == 0;
}

pn_err pn_quic_tls_bind(pn_quic_conn *conn)
{
    const gnutls_datum_t *chain;
    unsigned n = 0;

    if (conn->is_server) {
        memcpy(conn->binding, conn->quic->options.certificate->hash,
            PN_QUIC_BINDING_LEN);
        conn->has_binding = true;
        return PN_OK;
    }
    chain = gnutls_certificate_get_peers(conn->session, &n);
    if (chain == NULL || n == 0) {
        return PN_AUTH;
    }
    conn->has_binding = gnutls_hash_fast(GNUTLS_DIG_SHA256, chain[0].data,
                            chain[0].size, conn->binding)
                        == 0;
    return conn->has_binding ? PN_OK : PN_SYS;
}

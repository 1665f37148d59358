/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QUIC version 1 over one UDP socket: connections in both directions and their
 * streams. The one interface to ngtcp2 and GnuTLS, small enough to be written
 * again for another version of them; nothing outside this folder includes
 * either.
 *
 * Everything runs on one loop's thread. Callbacks come from the loop, never
 * from inside a call of the functions below. What is written is copied.
 */
#ifndef PN_BARREL_QUIC_QUIC_H
#define PN_BARREL_QUIC_QUIC_H

#include "os/address.h"
#include "os/loop.h"
#include "quic/certificate.h"

typedef struct pn_quic pn_quic;
typedef struct pn_quic_conn pn_quic_conn;

/* SHA-256 of the responder's certificate in DER. */
#define PN_QUIC_BINDING_LEN 32
/* The step of growth that on_memory reports. */
#define PN_QUIC_MEMORY_STEP ((size_t)1 << 20)
/* Error codes that we send: an application's close, and no reason. */
#define PN_QUIC_NO_ERROR UINT64_C(0)
/* A stream that is not part of the protocol (docs/BARREL-PROTOCOL.md, section
 * 15.1). */
#define PN_QUIC_STREAM_REFUSED UINT64_C(0x100)

/* Everything is required but the certificate. */
typedef struct pn_quic_options {
    const char *alpn; /* both sides have to agree */
    /* NULL: dials only. Borrowed for the endpoint's life. */
    const pn_certificate *certificate;
    uint32_t max_conns;      /* in all */
    uint32_t max_handshakes; /* unfinished ones of others */
    /* Handshakes with addresses that may be forged, unfinished and begun in a
     * second; more are sent a Retry. */
    uint32_t retry_above;
    uint32_t unproven_per_second;
    uint32_t retries_per_second;
    uint32_t answers_per_second; /* others to strangers, of each kind */
    uint64_t handshake_us;       /* until the TLS handshake of a dial is done */
    uint64_t accept_us;          /* and that of an incoming connection */
    uint64_t keep_alive_us;      /* PING when idle for this long */
    uint64_t idle_timeout_us;    /* the transport parameter */
    uint64_t dead_after_us;      /* not one packet for this long */
    uint64_t max_data;           /* flow control of a connection */
    uint64_t max_stream_data;    /* and of a stream */
    uint64_t max_streams;        /* of each kind that a peer may open */
    size_t max_unsent;           /* bytes written and not acknowledged */
} pn_quic_options;

typedef struct pn_quic_callbacks {
    /* Before anything is kept: may an incoming connection begin? The address
     * may be forged. NULL: yes. */
    bool (*on_incoming)(void *user, const pn_address *from);
    /* The address is proven, by a token or by the handshake: may it have a
     * place? Once for each connection. It keeps the place until on_accept,
     * which takes it over, or until on_leave. NULL: yes. */
    bool (*on_proven)(void *user, const pn_address *from);
    /* A connection with a place came to nothing. */
    void (*on_leave)(void *user, const pn_address *from);
    /* The budget of an answer to strangers is used up: may this address have
     * one all the same, from a reserve of its own? It may be forged. NULL: no.
     */
    bool (*on_reserve)(void *user, const pn_address *to);
    /* An incoming connection whose TLS handshake is done. The callee owns conn
     * and sets callbacks, or closes it, at once. */
    void (*on_accept)(void *user, pn_quic_conn *conn, const pn_address *from);
} pn_quic_callbacks;

typedef struct pn_quic_conn_callbacks {
    /* A dialled connection: the TLS handshake is done, the protocol agreed. */
    void (*on_open)(void *user);
    /* The peer has opened a stream; it may carry nothing yet. May be NULL. */
    void (*on_stream)(void *user, int64_t stream);
    /* Bytes of a stream that the peer opened or that is bidirectional. All of
     * them are the callee's, who gives credit with pn_quic_consumed. is_last:
     * FIN; it may come with no bytes. */
    void (*on_data)(void *user, int64_t stream, const uint8_t *data, size_t len,
        bool is_last);
    /* The peer has reset its sending side of a stream, or does not want what
     * we write there (code is 0 then: ngtcp2 0.12 does not tell). */
    void (*on_reset)(void *user, int64_t stream, uint64_t code);
    /* The first total bytes of what we wrote to a stream have arrived. May be
     * NULL. */
    void (*on_acked)(void *user, int64_t stream, uint64_t total);
    /* After pn_quic_write said PN_FULL: less than half of max_unsent is left
     * to be acknowledged. May be NULL. */
    void (*on_writable)(void *user);
    /* pn_quic_memory has grown by PN_QUIC_MEMORY_STEP or more since the last
     * time: bytes behind a gap, which nobody is shown yet. May be NULL. */
    void (*on_memory)(void *user);
    /* The end, once and last, unless the owner closed it: PN_CLOSED the peer
     * closed it, *code being its error; PN_TIMEOUT nothing came; PN_SYS with
     * errno (ECONNREFUSED while dialling, or later when the peer's system says
     * that nobody listens there and nothing genuine comes for 2 s), and
     * PN_CLOSED with ECONNRESET when the peer has forgotten us (it was
     * restarted); PN_MALFORMED it broke the protocol; PN_AUTH our TLS or its
     * refused (no common ALPN, bad CertificateVerify), *code being 0x100 and
     * the alert; PN_NOMEM. Everything that arrived before was shown. The owner
     * still closes conn; it may do so in the callback. */
    void (*on_end)(void *user, pn_err why, uint64_t code, int sys_errno);
} pn_quic_conn_callbacks;

/* Opens the socket (port 0: any) and begins to serve if there is a
 * certificate. The IPv6 wildcard means every address, IPv4 too. No address is
 * shared with another socket. Errors: PN_INVALID an option; PN_NOMEM; PN_SYS
 * with *ret_errno. */
PN_MUST_USE pn_err pn_quic_new(pn_loop *loop, const pn_address *at,
    const pn_quic_options *options, const pn_quic_callbacks *callbacks,
    void *user, pn_quic **ret_quic, int *ret_errno);
/* Closes all connections, at once and without callbacks. NULL is fine. */
void pn_quic_free(pn_quic *quic);
void pn_quic_address(const pn_quic *quic, pn_address *ret_address);
/* The network has changed: every connection tries its path again, from the
 * address it has now (migration when it differs). */
void pn_quic_network_changed(pn_quic *quic);

/* Dials, without SNI; on_open or on_end follows. Errors: PN_NOMEM, PN_FULL. */
PN_MUST_USE pn_err pn_quic_dial(pn_quic *quic, const pn_address *to,
    const pn_quic_conn_callbacks *callbacks, void *user,
    pn_quic_conn **ret_conn);
void pn_quic_set_callbacks(
    pn_quic_conn *conn, const pn_quic_conn_callbacks *callbacks, void *user);

/* A new stream of ours. Errors: PN_AGAIN the peer allows no more for now. */
PN_MUST_USE pn_err pn_quic_open_uni(pn_quic_conn *conn, int64_t *ret_stream);
PN_MUST_USE pn_err pn_quic_open_bidi(pn_quic_conn *conn, int64_t *ret_stream);
/* Takes all of it or nothing. What one call brings leaves in one STREAM frame
 * when it fits into a packet, and with nothing before or behind it of a call
 * made after it was acknowledged. is_last: FIN. Errors: PN_FULL max_unsent
 * (on_writable follows); PN_NOT_FOUND no such stream, or finished; PN_NOMEM;
 * PN_CLOSED. */
PN_MUST_USE pn_err pn_quic_write(pn_quic_conn *conn, int64_t stream,
    const uint8_t *data, size_t len, bool is_last);
/* Gives the peer credit for n more bytes of stream. */
void pn_quic_consumed(pn_quic_conn *conn, int64_t stream, size_t n);
/* Gives the peer credit for n more bytes of the connection, for good: what
 * max_data was, and n. */
void pn_quic_grant(pn_quic_conn *conn, uint64_t n);
/* Bytes that QUIC holds for it, but not those of pn_quic_unsent. */
size_t pn_quic_memory(const pn_quic_conn *conn);
/* We neither read nor write it any more. */
void pn_quic_reset(pn_quic_conn *conn, int64_t stream, uint64_t code);

/* The binding of the authentication: the certificate seen (dialled) or served
 * (accepted). Errors: PN_NOT_FOUND before the handshake. */
PN_MUST_USE pn_err pn_quic_binding(
    const pn_quic_conn *conn, uint8_t ret_binding[static PN_QUIC_BINDING_LEN]);
void pn_quic_addresses(
    const pn_quic_conn *conn, pn_address *ret_local, pn_address *ret_remote);
/* PING after this much silence from now on; 0: as keep_alive_us of the endpoint
 * says. */
void pn_quic_set_keep_alive(pn_quic_conn *conn, uint64_t silence_us);
size_t pn_quic_unsent(const pn_quic_conn *conn);
/* Written bytes are still sent (for at most 3 s), then CONNECTION_CLOSE of the
 * application with code. No callback follows; conn is gone. */
void pn_quic_close(pn_quic_conn *conn, uint64_t code);

typedef struct pn_quic_counters {
    uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out;
    uint64_t accepted, dialled, retries_sent, refused, handshake_failures;
    uint64_t begun; /* handshakes of others */
} pn_quic_counters;
void pn_quic_count(const pn_quic *quic, pn_quic_counters *ret_counters);
/* Nothing is waiting to be sent or acknowledged, closed connections too. */
bool pn_quic_is_idle(const pn_quic *quic);

#endif

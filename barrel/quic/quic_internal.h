/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations shared by the files of this folder.
 *
 * Of ngtcp2 0.12.1 (Debian 12; ngtcp2_api.h has the names that differ in 1.x):
 * - It has no callback for STOP_SENDING: stream.c finds out by a write that
 * cannot succeed.
 * - It never closes a unidirectional stream of the peer: we allow the next one
 *   ourselves when it has finished, up to QUIC_PEER_UNI_MAX in all, because
 *   ngtcp2 keeps a few hundred bytes of each for ever.
 * - It sends lost bytes again of a stream that was reset, from where they
 *   were: they stay until they are acknowledged or the stream is closed.
 * - It loses memory when a frame of many pieces is lost (outgoing.c).
 * - Its Retry token is bound to the address and the connection ids but not to
 *   the version (a defect of its associated data); we speak one version.
 */
#ifndef PN_BARREL_QUIC_QUIC_INTERNAL_H
#define PN_BARREL_QUIC_QUIC_INTERNAL_H

#include <gnutls/gnutls.h>

#include "base/bucket.h"
#include "base/list.h"
#include "ngtcp2_api.h"
#include "outgoing.h"
#include "quic.h"

#define QUIC_NS_PER_US UINT64_C(1000)

enum {
    QUIC_CID_LEN = 8,
    /* The largest datagram we send or receive (docs/BARREL-PROTOCOL.md, section
     * 2.3). */
    QUIC_DATAGRAM_MAX = 1452,
    QUIC_STREAM_BUCKETS = 32,
    QUIC_CID_BUCKETS = 1024,
    QUIC_REMOTE_BUCKETS = 1024,
    QUIC_PEER_UNI_MAX = 10000,
    /* One send call carries so much (UDP_SEGMENT). */
    QUIC_BATCH_SEGMENTS = 44,
    QUIC_BATCH_LEN = QUIC_BATCH_SEGMENTS * QUIC_DATAGRAM_MAX,
    QUIC_SECRET_LEN = 32
};

typedef struct quic_stream quic_stream;

/* ---- certificate ------------------------------------------------------ */

struct pn_certificate {
    gnutls_certificate_credentials_t credentials;
    uint8_t hash[PN_HASH_LEN];
    int64_t expires_s;
    /* The secret of stateless reset tokens: the same after a restart, so that
     * peers of the process before notice at once that it is gone. */
    uint8_t reset_secret[QUIC_SECRET_LEN];
};

/* ---- socket ----------------------------------------------------------- */

/* The two addresses of a datagram, IPv4 as IPv4. */
typedef struct quic_path {
    pn_address local;
    pn_address remote;
} quic_path;

typedef struct quic_socket {
    int fd;
    int family;
    pn_watch *watch;
    pn_address address; /* as bound */
    bool can_segment;   /* UDP_SEGMENT works */
    /* Datagrams that leave in one call: all to one place, all of one length
     * but the last, which may be shorter. */
    uint8_t *out;
    size_t out_len;
    size_t segment_len;
    size_t n_segments;
    quic_path out_path;
    bool is_blocked; /* the kernel takes no more for now */
    pn_timer *retry;
    uint8_t *in;
} quic_socket;

/* ---- endpoint --------------------------------------------------------- */

typedef struct quic_cid {
    pn_item in_bucket;
    pn_item of_conn;
    ngtcp2_cid cid;
    pn_quic_conn *conn;
} quic_cid;

/* Answers that need no connection. */
typedef enum quic_answer {
    QUIC_ANSWER_RETRY,
    QUIC_ANSWER_REFUSAL,
    QUIC_ANSWER_VERSIONS,
    QUIC_ANSWER_RESET,
    QUIC_N_ANSWERS
} quic_answer;

struct pn_quic {
    pn_loop *loop;
    pn_quic_options options;
    pn_quic_callbacks callbacks;
    void *user;
    quic_socket socket;
    gnutls_certificate_credentials_t client_credentials;
    gnutls_priority_t priority;
    uint8_t retry_secret[QUIC_SECRET_LEN];
    uint8_t reset_secret[QUIC_SECRET_LEN];
    uint64_t cid_seed;
    pn_list cids[QUIC_CID_BUCKETS];
    pn_list remotes[QUIC_REMOTE_BUCKETS]; /* by path.remote */
    pn_list conns;
    pn_list dirty;        /* connections that have something to do */
    uint32_t n_conns;     /* in QUIC_HANDSHAKE or QUIC_OPEN */
    uint32_t n_lingering; /* in QUIC_LINGER */
    uint32_t n_closing;
    uint32_t n_handshakes; /* unfinished ones of others */
    uint32_t n_unproven;   /* of those, from an address that may be forged */
    bool is_freed;         /* as soon as n_inside is 0 */
    unsigned n_inside;
    pn_task flush;
    pn_bucket unproven; /* handshakes with addresses that may be forged */
    pn_bucket answers[QUIC_N_ANSWERS];
    pn_quic_counters counters;
};

/* ---- memory ------------------------------------------------------------ */

/* The allocations of ngtcp2 for one connection; may not be moved. */
typedef struct quic_memory {
    ngtcp2_mem mem;
    pn_list blocks;
    size_t bytes; /* in all of them */
} quic_memory;

const ngtcp2_mem *pn_quic_memory_init(quic_memory *memory);
/* Frees what was not; harmless when filled with zeros. */
void pn_quic_memory_fini(quic_memory *memory);

/* ---- connections ------------------------------------------------------ */

typedef enum quic_state {
    QUIC_HANDSHAKE,
    QUIC_OPEN,
    QUIC_LINGER,  /* closed by its owner, what was written still goes out */
    QUIC_CLOSING, /* CONNECTION_CLOSE has been sent, or will be once the socket
                     has room, and is repeated */
    QUIC_GONE     /* nothing is sent any more */
} quic_state;

struct pn_quic_conn {
    pn_quic *quic;
    pn_item listed;
    pn_item dirty;
    pn_item remote; /* in its bucket of remotes */
    ngtcp2_conn *engine;
    quic_memory memory; /* of engine */
    size_t memory_told;
    ngtcp2_crypto_conn_ref ref;
    gnutls_session_t session;
    pn_timer *timer;
    const pn_quic_conn_callbacks
        *callbacks; /* NULL: the owner has closed it, or has set none yet */
    void *user;
    quic_state state;
    bool is_server;
    bool is_owned;   /* the owner has not closed it */
    bool has_ended;  /* on_end was called, or is not owed */
    bool has_place;  /* on_proven returned true, and on_leave is owed */
    pn_address from; /* where it was let in from */
    /* The last remote address that the peer has shown to be at: the one of the
     * handshake, then of the last path that was validated. */
    pn_address proven;
    bool wants_ping;
    uint64_t keep_alive_us; /* 0: the endpoint's */
    uint64_t refused_us;    /* ICMP says so since; 0: a packet came after it */
    bool was_reset;         /* by a stateless reset */
    uint8_t alert;          /* of ours, when a callback refused; 0: none */
    bool has_binding;
    uint8_t binding[PN_QUIC_BINDING_LEN];
    quic_path path;
    pn_list cids;
    int dial_errno; /* there is no way to where it dials */
    uint64_t created_us;
    uint64_t last_received_us; /* 0: nothing yet */
    uint64_t until_us;         /* of lingering or closing */
    uint64_t close_code;
    uint8_t *close_packet;
    size_t close_packet_len;
    uint64_t n_after_close; /* packets since */
    bool owes_close;        /* not sent yet: the socket was full */
    uint64_t closing_us;    /* how long it is retransmitted, once sent */
    pn_list streams[QUIC_STREAM_BUCKETS];
    pn_list ready;       /* streams that have something to send, in turn */
    uint32_t n_peer_uni; /* unidirectional streams that the peer finished */
    size_t n_unsent;
    bool wants_write; /* on_writable is owed */
};

struct quic_stream {
    pn_item listed; /* in its bucket */
    pn_item ready;
    pn_quic_conn *conn;
    int64_t id;
    quic_out out;
    uint64_t n_received;
    uint64_t n_consumed;
    bool is_blocked; /* by the peer's flow control */
    bool can_write;  /* there is a sending side, and it is not finished */
    bool has_fin;    /* FIN comes behind the last byte */
    bool is_fin_sent;
    bool owes_stop;     /* the peer has stopped it, and on_reset is owed */
    bool wants_open;    /* a frame without bytes, when nothing else goes */
    bool is_closed;     /* only waits for the owner to consume the rest */
    uint64_t peer_code; /* with which the peer reset its half */
    bool is_reset;      /* by us: nothing is shown any more */
    bool wants_reset;
    uint64_t reset_code;
};

/* ---- tls.c ------------------------------------------------------------ */

PN_MUST_USE pn_err pn_quic_tls_init(pn_quic *quic);
void pn_quic_tls_fini(pn_quic *quic);
/* Makes conn->session. */
PN_MUST_USE pn_err pn_quic_tls_session(pn_quic_conn *conn);
/* Both agree on the protocol? */
bool pn_quic_tls_alpn_agrees(const pn_quic_conn *conn);
/* Sets conn->binding. Errors: PN_AUTH no certificate. */
PN_MUST_USE pn_err pn_quic_tls_bind(pn_quic_conn *conn);

/* ---- engine.c --------------------------------------------------------- */

/* conn->engine, for one whose first datagram came with hd (odcid: what it asked
 * for before a Retry, or NULL), or for one of ours. Errors: PN_NOMEM; PN_EXISTS
 * the id that hd asks for is taken; those of pn_random. */
PN_MUST_USE pn_err pn_quic_engine_server(
    pn_quic_conn *conn, const ngtcp2_pkt_hd *hd, const ngtcp2_cid *odcid);
PN_MUST_USE pn_err pn_quic_engine_client(pn_quic_conn *conn);
/* Shows it a datagram; 0, or an error of ngtcp2. *ret_genuine: some packet of
 * it was the peer's. */
PN_MUST_USE int pn_quic_engine_read(pn_quic_conn *conn, const quic_path *path,
    const uint8_t *data, size_t len, bool *ret_genuine);
/* With what the peer closed. */
ngtcp2_ccerr pn_quic_engine_received_close(pn_quic_conn *conn);

/* ---- socket.c --------------------------------------------------------- */

PN_MUST_USE pn_err pn_quic_socket_open(
    pn_quic *quic, const pn_address *at, int *ret_errno);
void pn_quic_socket_close(pn_quic *quic);
/* Room for one more datagram, at out + out_len. */
uint8_t *pn_quic_socket_room(pn_quic *quic);
/* len bytes were put there, for path. An errno: what stood before them could
 * not be sent, and never will. */
int pn_quic_socket_put(pn_quic *quic, const quic_path *path, size_t len);
/* Sends what was put. An errno as above. */
int pn_quic_socket_flush(pn_quic *quic);
/* One datagram at once. False: not taken, the socket is blocked. */
bool pn_quic_socket_send(
    pn_quic *quic, const quic_path *path, const uint8_t *data, size_t len);
/* The address that datagrams to remote would come from. */
PN_MUST_USE pn_err pn_quic_socket_local(const pn_quic *quic,
    const pn_address *remote, pn_address *ret_local, int *ret_errno);

/* ---- endpoint.c ------------------------------------------------------- */

/* Around everything that comes from the loop; leave does what is left. */
void pn_quic_enter(pn_quic *quic);
void pn_quic_leave(pn_quic *quic);
void pn_quic_datagram(
    pn_quic *quic, const quic_path *path, const uint8_t *data, size_t len);
/* An ICMP error for what was sent to remote. */
void pn_quic_unreachable(pn_quic *quic, const pn_address *remote, int why);
/* An ICMP error says that the other end of an open connection is gone. */
void pn_quic_conn_refused(pn_quic_conn *conn);
/* The socket takes datagrams again. */
void pn_quic_unblocked(pn_quic *quic);
PN_MUST_USE pn_err pn_quic_cid_add(pn_quic_conn *conn, const ngtcp2_cid *cid);
void pn_quic_cid_remove(pn_quic *quic, const ngtcp2_cid *cid);
/* The connections of a peer's address are in its bucket, with those of others.
 */
pn_list *pn_quic_remote_bucket(pn_quic *quic, const pn_address *remote);

/* ---- strangers.c ------------------------------------------------------ */

/* A datagram with a long header and an unknown connection id. */
void pn_quic_stranger(
    pn_quic *quic, const quic_path *path, const uint8_t *data, size_t len);
/* Answers to a datagram of len bytes: the versions we speak; a connection with
 * this id is not here. */
void pn_quic_send_versions(pn_quic *quic, const quic_path *path,
    const ngtcp2_version_cid *vc, size_t len);
void pn_quic_send_reset(
    pn_quic *quic, const quic_path *path, const uint8_t *id, size_t len);
/* One of the owner's places for addresses that are proven. */
bool pn_quic_place_take(pn_quic *quic, const pn_address *from);
void pn_quic_place_leave(pn_quic *quic, const pn_address *from);

/* ---- conn.c ----------------------------------------------------------- */

/* A connection of the peer. odcid: from a Retry token, or NULL; with one it has
 * a place, which is left when it comes to nothing. */
PN_MUST_USE pn_err pn_quic_conn_accept(pn_quic *quic, const quic_path *path,
    const ngtcp2_pkt_hd *hd, const ngtcp2_cid *odcid, pn_quic_conn **ret_conn);
void pn_quic_conn_read(
    pn_quic_conn *conn, const quic_path *path, const uint8_t *data, size_t len);
/* Something to do, in this turn or the next. */
void pn_quic_conn_touch(pn_quic_conn *conn);
/* Does it. May free conn. */
void pn_quic_conn_work(pn_quic_conn *conn);
/* Ends it, with on_end. */
void pn_quic_conn_end(
    pn_quic_conn *conn, pn_err why, uint64_t code, int sys_errno);
/* Frees it, without callbacks. */
void pn_quic_conn_free(pn_quic_conn *conn);
void pn_quic_conn_probe(pn_quic_conn *conn);
/* It no longer counts as a handshake, and leaves that state. */
void pn_quic_conn_shook_hands(pn_quic_conn *conn);
uint64_t pn_quic_now_ns(void);
ngtcp2_path pn_quic_ngtcp2_path(quic_path *path);

/* ---- stream.c --------------------------------------------------------- */

quic_stream *pn_quic_stream_find(const pn_quic_conn *conn, int64_t id);
/* NULL: no memory. */
quic_stream *pn_quic_stream_new(pn_quic_conn *conn, int64_t id);
void pn_quic_stream_free(quic_stream *stream);
/* The next in turn that has something to send and may. */
quic_stream *pn_quic_stream_next(pn_quic_conn *conn);
/* The bytes of it for one packet; *ret_fin: FIN as well. Returns the number of
 * pieces. */
size_t pn_quic_stream_gather(const quic_stream *stream, size_t packet_len,
    ngtcp2_vec pieces[static QUIC_OUT_PIECES], bool *ret_fin);
/* So much of it was put into a packet. */
void pn_quic_stream_sent(quic_stream *stream, size_t n, bool fin);
void pn_quic_stream_acked(quic_stream *stream, uint64_t total);
/* No new byte of it is sent any more. */
void pn_quic_stream_shut(quic_stream *stream);
/* Puts it at the end of those that send, when it has anything to. */
void pn_quic_stream_wake(quic_stream *stream);
/* The part of resetting that ngtcp2 does not want in a callback. */
void pn_quic_stream_reset_due(pn_quic_conn *conn);
/* The peer has stopped reading it; on_reset follows at the next turn. */
void pn_quic_stream_stopped(quic_stream *stream);
/* Finds those streams. */
void pn_quic_stream_find_stopped(pn_quic_conn *conn);
/* Gives credit for bytes that came and will not be consumed. */
void pn_quic_stream_forgive(quic_stream *stream);
/* Nothing comes or goes by it any more; freed when all is consumed. */
void pn_quic_stream_done(quic_stream *stream);

#endif

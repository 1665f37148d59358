/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte-stream transport behind one table of operations. TCP is the one here;
 * tests/conform runs the same suite over it, an in-memory one and QUIC.
 *
 * Everything here runs on one loop's thread. A connection delivers bytes from
 * a buffer that all connections of the loop share; it keeps only the
 * incomplete rest of what its owner did not consume.
 */
#ifndef PN_OS_TRANSPORT_H
#define PN_OS_TRANSPORT_H

#include "os/address.h"
#include "os/loop.h"

typedef struct pn_conn pn_conn;
typedef struct pn_listener pn_listener;

/* Callbacks to a connection's owner: always from the loop, never from inside a
 * call of the operations below. */
typedef struct pn_conn_callbacks {
    /* A dialled connection is up. */
    void (*on_open)(void *user);
    /* Bytes: everything not yet consumed, writable in place. Returns how many
     * of len were used up; the rest comes again with more behind it, at the
     * earliest when `*want` bytes are there (0: any more). The rest grows with
     * what was received, never with what was wanted (T5). Bytes left while
     * reading was off come again when it is turned on. */
    size_t (*on_data)(void *user, uint8_t *data, size_t len, size_t *want);
    /* There is room again after pn_transport_ops.write took less than all. */
    void (*on_writable)(void *user);
    /* The end, exactly once and last, unless the owner closed it: PN_CLOSED the
     * peer ended it (errno ECONNRESET or EPIPE when it reset the connection),
     * PN_SYS with errno (ECONNREFUSED, ...), PN_NOMEM, PN_LIMIT when more than
     * PN_CONN_REST_MAX bytes were left unconsumed. The owner still closes conn;
     * it may do so in the callback. */
    void (*on_end)(void *user, pn_err why, int sys_errno);
} pn_conn_callbacks;

/* Twice the largest frame, so that an owner that waits for a frame never
 * reaches it. */
#define PN_CONN_REST_MAX (2 * 1024 * 1024)

typedef struct pn_listener_callbacks {
    /* Before anything is allocated: may this address connect? (T2, T3). NULL:
     * every address may. */
    bool (*on_incoming)(void *user, const pn_address *from);
    /* A connection that on_incoming allowed could not be made: PN_NOMEM. NULL:
     * the owner does not count connections. */
    void (*on_lost)(void *user, const pn_address *from);
    /* A connection; the callee owns conn and must set callbacks (or close it)
     * at once. */
    void (*on_accept)(void *user, pn_conn *conn, const pn_address *from);
    /* Accepting failed for want of descriptors or memory (EMFILE, ENFILE,
     * ENOBUFS, ENOMEM) and pauses for 100 ms; at most once a minute (T4). May
     * be NULL. */
    void (*on_trouble)(void *user, int sys_errno);
} pn_listener_callbacks;

typedef struct pn_transport_ops {
    const char *name;

    /* Listens on at (port 0: any). The IPv6 wildcard means every address, IPv6
     * and IPv4, and falls back to IPv4 on a host without IPv6. Errors:
     * PN_NOMEM; PN_SYS with *ret_errno. */
    pn_err (*listen)(pn_loop *loop, const pn_address *at,
        const pn_listener_callbacks *callbacks, void *user,
        pn_listener **ret_listener, int *ret_errno);
    /* Listens on a duplicate of fd, a socket that listens already and that the
     * caller keeps. NULL: this transport has no descriptors. Errors: PN_INVALID
     * it is none of this transport; PN_NOMEM; PN_SYS with *ret_errno. */
    pn_err (*listen_fd)(pn_loop *loop, int fd,
        const pn_listener_callbacks *callbacks, void *user,
        pn_listener **ret_listener, int *ret_errno);
    void (*listener_address)(
        const pn_listener *listener, pn_address *ret_address);
    /* Keeps the port open but accepts no more connections: for a dialling peer
     * the port still answers (docs/PROTOCOL.md, section 7). */
    void (*listener_pause)(pn_listener *listener);
    void (*listener_close)(pn_listener *listener);

    /* Starts connecting; on_open or on_end follows. callbacks outlives the
     * connection. Errors: PN_NOMEM; PN_SYS with *ret_errno when there is no
     * socket to be had; all else arrives in on_end. */
    pn_err (*dial)(pn_loop *loop, const pn_address *to,
        const pn_conn_callbacks *callbacks, void *user, pn_conn **ret_conn,
        int *ret_errno);
    void (*set_callbacks)(
        pn_conn *conn, const pn_conn_callbacks *callbacks, void *user);
    /* Writes as much of the len bytes at data as goes now. Less than all of
     * them: on_writable follows when there is room again, and nothing goes
     * before that. Errors: PN_AGAIN: not open yet, on_open follows; PN_CLOSED,
     * PN_SYS: on_end follows. *ret_written is 0 then. */
    pn_err (*write)(
        pn_conn *conn, const uint8_t *data, size_t len, size_t *ret_written);
    /* Stops or resumes reading (back-pressure). While it is off the end of the
     * connection may go unnoticed. */
    void (*set_reading)(pn_conn *conn, bool on);
    /* ret_local is all zero before on_open. */
    void (*addresses)(
        const pn_conn *conn, pn_address *ret_local, pn_address *ret_remote);
    /* Bytes that write took and the peer's system has not acknowledged. NULL:
     * this transport cannot tell. */
    size_t (*unacked)(const pn_conn *conn);
    /* Dialled, and the peer's system has answered already, before on_open says
     * so. NULL: this transport has no such time. */
    bool (*is_answered)(const pn_conn *conn);
    /* Never blocks; no callback follows; conn is gone. Bytes that write took
     * are still sent. */
    void (*close)(pn_conn *conn);
} pn_transport_ops;

extern const pn_transport_ops pn_transport_tcp;

#endif

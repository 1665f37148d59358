/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte-stream transport behind one table of operations: TCP, an in-memory
 * one for tests, later QUIC. tests/conform runs the same suite over each.
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

/* What a connection tells its owner, always from the loop, never from inside
 * a call of the operations below. */
typedef struct pn_conn_callbacks {
    /* A dialled connection is up. */
    void (*on_open)(void *user);
    /* Bytes: everything not yet consumed, writable in place. Returns how many
     * of len were used up; the rest comes again with more behind it, at the
     * earliest when `*want` bytes are there (0: any more). */
    size_t (*on_data)(void *user, uint8_t *data, size_t len, size_t *want);
    /* What pn_transport_ops.write could not take fits again. */
    void (*on_writable)(void *user);
    /* The end, exactly once and last, unless the owner closed it: PN_CLOSED
     * the peer ended it, PN_SYS with errno. */
    void (*on_end)(void *user, pn_err why, int sys_errno);
} pn_conn_callbacks;

typedef struct pn_listener_callbacks {
    /* Before anything is allocated: may this address connect? (T2, T3) */
    bool (*on_knock)(void *user, const pn_address *from);
    /* A connection; the callee owns conn and must set callbacks at once. */
    void (*on_accept)(void *user, pn_conn *conn, const pn_address *from);
} pn_listener_callbacks;

typedef struct pn_transport_ops {
    const char *name;

    /* Listens on at (port 0: any). backlog: 0 means the default (128).
     * Errors: PN_SYS with *ret_errno. */
    pn_err (*listen)(pn_loop *loop, const pn_address *at, int backlog,
        const pn_listener_callbacks *callbacks, void *user,
        pn_listener **ret_listener, int *ret_errno);
    void (*listener_address)(
        const pn_listener *listener, pn_address *ret_address);
    /* Keeps the port open but accepts nobody any more (wire section 6). */
    void (*listener_pause)(pn_listener *listener);
    void (*listener_close)(pn_listener *listener);

    /* Starts connecting; on_open or on_end follows. */
    pn_err (*dial)(pn_loop *loop, const pn_address *to,
        const pn_conn_callbacks *callbacks, void *user, pn_conn **ret_conn,
        int *ret_errno);
    void (*set_callbacks)(
        pn_conn *conn, const pn_conn_callbacks *callbacks, void *user);
    /* Writes as much of the len bytes at data as goes now. Less than all of
     * them: on_writable follows when there is room again. Errors: PN_SYS,
     * PN_CLOSED: on_end follows. */
    pn_err (*write)(
        pn_conn *conn, const uint8_t *data, size_t len, size_t *ret_written);
    /* Stops or resumes reading (back-pressure). */
    void (*set_reading)(pn_conn *conn, bool on);
    void (*addresses)(
        const pn_conn *conn, pn_address *ret_local, pn_address *ret_remote);
    /* Never blocks; no callback follows; conn is gone. */
    void (*close)(pn_conn *conn);
} pn_transport_ops;

extern const pn_transport_ops pn_transport_tcp;
/* Connects only within one loop; addresses are ports of an imaginary host. */
extern const pn_transport_ops pn_transport_memory;

#endif

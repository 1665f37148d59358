/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations shared by the files of the TCP transport. */
#ifndef PN_OS_TCP_INTERNAL_H
#define PN_OS_TCP_INTERNAL_H

#include "loop_internal.h"
#include "transport.h"

/* When one connection acknowledges at once (tcp_ack.c). */
typedef struct pn_tcp_ack {
    pn_loop *loop;
    int fd;
    bool is_late;     /* its task waits for the late turn */
    uint8_t eager;    /* so often still without waiting */
    uint64_t late_us; /* of the last late one; 0: something went since */
    pn_task task;
} pn_tcp_ack;

void pn_tcp_ack_init(pn_tcp_ack *ack, pn_loop *loop, int fd);
void pn_tcp_ack_received(pn_tcp_ack *ack, size_t n);
void pn_tcp_ack_sent(pn_tcp_ack *ack);
void pn_tcp_ack_stop(pn_tcp_ack *ack);

/* An accepted socket (non-blocking, close-on-exec) as a connection. Takes fd
 * on success. Errors: PN_NOMEM, PN_SYS. */
PN_MUST_USE pn_err pn_tcp_conn_accepted(
    pn_loop *loop, int fd, const pn_address *from, pn_conn **ret_conn);

PN_MUST_USE pn_err pn_tcp_listen(pn_loop *loop, const pn_address *at,
    const pn_listener_callbacks *callbacks, void *user,
    pn_listener **ret_listener, int *ret_errno);
PN_MUST_USE pn_err pn_tcp_listen_fd(pn_loop *loop, int fd,
    const pn_listener_callbacks *callbacks, void *user,
    pn_listener **ret_listener, int *ret_errno);
void pn_tcp_listener_address(
    const pn_listener *listener, pn_address *ret_address);
void pn_tcp_listener_pause(pn_listener *listener);
void pn_tcp_listener_close(pn_listener *listener);

#endif

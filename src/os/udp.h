/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams for discovery: a shared port, broadcast, the interface it came by.
 */
#ifndef PN_OS_UDP_H
#define PN_OS_UDP_H

#include "os/address.h"
#include "os/loop.h"

/* At most this many bytes of a datagram are read; a longer one has this many
 * bytes and its true length. */
#define PN_UDP_DATA_MAX 2048

typedef struct pn_udp pn_udp;

/* data lives during the callback; at most PN_UDP_DATA_MAX bytes of it are
 * there, len is the datagram's own. May free udp. */
typedef void pn_udp_callback(void *user, const uint8_t *data, size_t len,
    const pn_address *from, unsigned interface_index);

/* Binds at (port shared with other processes: SO_REUSEADDR), may broadcast.
 * Errors: PN_NOMEM; PN_SYS with *ret_errno. */
PN_MUST_USE pn_err pn_udp_new(pn_loop *loop, const pn_address *at,
    pn_udp_callback *callback, void *user, pn_udp **ret_udp, int *ret_errno);
/* Never waits. Errors: PN_SYS with *ret_errno. */
PN_MUST_USE pn_err pn_udp_send(pn_udp *udp, const pn_address *to,
    const uint8_t *data, size_t len, int *ret_errno);
/* The address that a datagram to `to` would leave from; asks the kernel and
 * sends nothing. Errors: PN_SYS (errno): there is no route. */
PN_MUST_USE pn_err pn_udp_source(const pn_address *to, pn_address *ret_source);
/* Off: datagrams wait in the kernel, which drops those that do not fit. */
void pn_udp_set_reading(pn_udp *udp, bool on);
/* How many datagrams the kernel has dropped, as of the last one read. */
uint32_t pn_udp_overflows(const pn_udp *udp);
void pn_udp_free(pn_udp *udp); /* NULL is fine */

#endif

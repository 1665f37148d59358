/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams for discovery: a shared port, broadcast, the interface it came by.
 */
#ifndef PN_OS_UDP_H
#define PN_OS_UDP_H

#include "os/address.h"
#include "os/loop.h"

typedef struct pn_udp pn_udp;

/* data lives during the callback; at most 2 KiB are looked at. */
typedef void pn_udp_callback(void *user, const uint8_t *data, size_t len,
    const pn_address *from, unsigned interface_index);

/* Binds at (port shared with other processes: SO_REUSEADDR), may broadcast. */
PN_MUST_USE pn_err pn_udp_new(pn_loop *loop, const pn_address *at,
    pn_udp_callback *callback, void *user, pn_udp **ret_udp, int *ret_errno);
PN_MUST_USE pn_err pn_udp_send(pn_udp *udp, const pn_address *to,
    const uint8_t *data, size_t len, int *ret_errno);
void pn_udp_free(pn_udp *udp); /* NULL is fine */

#endif

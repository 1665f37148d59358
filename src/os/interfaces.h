/* SPDX-License-Identifier: Apache-2.0 */
/* This host's interfaces and their addresses. */
#ifndef PN_OS_INTERFACES_H
#define PN_OS_INTERFACES_H

#include "os/address.h"

typedef struct pn_interface {
    char name[16];
    unsigned index;
    bool is_up;
    bool is_loopback;
    pn_address address; /* port 0 */
    pn_address netmask;
    bool has_broadcast;
    pn_address broadcast; /* port 0 */
} pn_interface;

/* One entry per address. Ownership: free() of *ret_interfaces. */
PN_MUST_USE pn_err pn_interfaces_list(
    pn_interface **ret_interfaces, size_t *ret_n);
/* True when address is on a directly connected network of this host. */
bool pn_interfaces_is_on_link(
    const pn_interface *interfaces, size_t n, const pn_address *address);

#endif

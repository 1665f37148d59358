/* SPDX-License-Identifier: Apache-2.0 */
/* This host's interfaces and their addresses. */
#ifndef PN_OS_INTERFACES_H
#define PN_OS_INTERFACES_H

#include "base/core.h"
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

/* One entry per address, in the kernel's order, without those of IPv6 that are
 * tentative: nothing can be sent from them yet. Ownership: free() of
 * *ret_interfaces (NULL when there are none). Errors: PN_NOMEM, PN_SYS. */
PN_MUST_USE pn_err pn_interfaces_list(
    pn_interface **ret_interfaces, size_t *ret_n);
/* The same, and before its addresses an entry without one (AF_UNSPEC) for each
 * interface. */
PN_MUST_USE pn_err pn_interfaces_list_all(
    pn_interface **ret_interfaces, size_t *ret_n);
/* True when address is on a network that is directly connected to the
 * interface of this index (0: to any that is up). */
bool pn_interfaces_is_on_link(const pn_interface *interfaces, size_t n,
    unsigned index, const pn_address *address);
/* True when address is one of this host's own. */
bool pn_interfaces_is_own(
    const pn_interface *interfaces, size_t n, const pn_address *address);
/* The same for the present list of interfaces; true for every address if they
 * cannot be listed. */
bool pn_interfaces_may_be_own(const pn_address *address);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The interfaces of this host that DNS-SD is for, as Avahi wants them. */
#ifndef PN_DNSSD_INTERFACES_H
#define PN_DNSSD_INTERFACES_H

#include "os/interfaces.h"

/* A daemon takes 32 entries in a group. */
#define PN_DNSSD_INDEXES_MAX 16

/* The interfaces that are used (os/interface_names.h) and up, each once; at
 * most PN_DNSSD_INDEXES_MAX. */
size_t pn_dnssd_interfaces_used(const char *list, const pn_interface *all,
    size_t n, int ret_indexes[static PN_DNSSD_INDEXES_MAX]);

#endif

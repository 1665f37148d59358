/* SPDX-License-Identifier: Apache-2.0 */
/* This host's interfaces; see interfaces.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ifaddrs.h>
#include <net/if.h>

#include "os/interfaces.h"

static bool has_address(const struct ifaddrs *ifa)
{
    return ifa->ifa_addr != NULL
           && (ifa->ifa_addr->sa_family == AF_INET
               || ifa->ifa_addr->sa_family == AF_INET6);
}

static size_t count(const struct ifaddrs *list)
{
    size_t n = 0;

    for (const struct ifaddrs *ifa = list; ifa != NULL; ifa = ifa->ifa_next) {
        n += has_address(ifa) ? 1 : 0;
    }
    return n;
}

static void copy_address(pn_address *to, const struct sockaddr *from)
{
    *to = (pn_address){.in6 = {0}};
    if (from != NULL && from->sa_family == AF_INET6) {
        memcpy(&to->in6, from, sizeof(to->in6));
    } else if (from != NULL && from->sa_family == AF_INET) {
        memcpy(&to->in, from, sizeof(to->in));
    }
}

static void fill(pn_interface *to, const struct ifaddrs *from)
{
    *to = (pn_interface){.name = {0}};
    memcpy(to->name, from->ifa_name,
        strnlen(from->ifa_name, sizeof(to->name) - 1));
    to->index = if_nametoindex(to->name);
    to->is_up = (from->ifa_flags & IFF_UP) != 0
                && (from->ifa_flags & IFF_RUNNING) != 0;
    to->is_loopback = (from->ifa_flags & IFF_LOOPBACK) != 0;
    copy_address(&to->address, from->ifa_addr);
    copy_address(&to->netmask, from->ifa_netmask);
    to->has_broadcast = (from->ifa_flags & IFF_BROADCAST) != 0
                        && from->ifa_broadaddr != NULL
                        && from->ifa_broadaddr->sa_family == AF_INET;
    if (to->has_broadcast) {
        copy_address(&to->broadcast, from->ifa_broadaddr);
    }
}

pn_err pn_interfaces_list(pn_interface **ret_interfaces, size_t *ret_n)
{
    struct ifaddrs *list = NULL;
    pn_interface *interfaces = NULL;
    size_t n;
    size_t i = 0;

    if (getifaddrs(&list) != 0) {
        return errno == ENOMEM ? PN_NOMEM : PN_SYS;
    }
    n = count(list);
    if (n > 0) {
        interfaces = calloc(n, sizeof(*interfaces));
        if (interfaces == NULL) {
            freeifaddrs(list);
            return PN_NOMEM;
        }
    }
    for (const struct ifaddrs *ifa = list; ifa != NULL; ifa = ifa->ifa_next) {
        if (i < n && has_address(ifa)) {
            fill(&interfaces[i++], ifa);
        }
    }
    freeifaddrs(list);
    *ret_interfaces = interfaces;
    *ret_n = n;
    return PN_OK;
}

/* ---- networks --------------------------------------------------------- */

static const uint8_t *host_bytes(const pn_address *a, size_t *ret_len)
{
    if (a->any.sa_family == AF_INET6) {
        *ret_len = 16;
        return a->in6.sin6_addr.s6_addr;
    }
    *ret_len = 4;
    return (const uint8_t *)&a->in.sin_addr;
}

/* An interface without a netmask (all zero) is on no network: everybody would
 * be its neighbour. */
static bool same_network(const pn_interface *i, const pn_address *address)
{
    size_t len;
    const uint8_t *theirs = host_bytes(address, &len);
    const uint8_t *ours = host_bytes(&i->address, &len);
    const uint8_t *mask = host_bytes(&i->netmask, &len);
    bool has_mask = false;

    if (i->address.any.sa_family != address->any.sa_family
        || i->netmask.any.sa_family != address->any.sa_family) {
        return false;
    }
    for (size_t k = 0; k < len; k++) {
        has_mask |= mask[k] != 0;
        if (((ours[k] ^ theirs[k]) & mask[k]) != 0) {
            return false;
        }
    }
    return has_mask;
}

bool pn_interfaces_is_on_link(const pn_interface *interfaces, size_t n,
    unsigned index, const pn_address *address)
{
    pn_address a = *address;

    pn_address_unmap(&a);
    for (size_t k = 0; k < n; k++) {
        const pn_interface *i = &interfaces[k];

        if (i->is_up && (index == 0 || index == i->index)
            && same_network(i, &a)) {
            return true;
        }
    }
    return false;
}

bool pn_interfaces_is_own(
    const pn_interface *interfaces, size_t n, const pn_address *address)
{
    for (size_t k = 0; k < n; k++) {
        if (pn_address_same_host(&interfaces[k].address, address)) {
            return true;
        }
    }
    return false;
}

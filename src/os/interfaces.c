/* SPDX-License-Identifier: Apache-2.0 */
/* This host's interfaces; see interfaces.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>

#include "base/grow.h"
#include "os/interfaces.h"

/* In /proc/net/if_inet6 (include/uapi/linux/if_addr.h): an address that others
 * may have, or do have. Nothing can be sent from it. */
#define TENTATIVE 0x40U
#define DAD_FAILED 0x08U

/* Addresses of IPv6 that are not usable yet. */
typedef struct unusable {
    struct in6_addr *at;
    size_t n;
    size_t cap;
} unusable;

/* "20010db8...0001 02 40 00 c0 eth0": address, index, prefix, scope, flags */
static void unusable_read(unusable *u)
{
    FILE *f = fopen("/proc/net/if_inet6", "re");
    char line[128];

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        unsigned word[4];
        unsigned flags;

        if (sscanf(line, "%8x%8x%8x%8x %*x %*x %*x %x", &word[0], &word[1],
                &word[2], &word[3], &flags)
                != 5
            || (flags & (TENTATIVE | DAD_FAILED)) == 0
            || !pn_grow(&u->at, &u->cap, u->n, sizeof(*u->at))) {
            continue;
        }
        for (size_t i = 0; i < 4; i++) {
            word[i] = htonl(word[i]);
        }
        memcpy(&u->at[u->n++], word, sizeof(word));
    }
    if (f != NULL) {
        (void)fclose(f);
    }
}

static bool is_unusable(const unusable *u, const struct sockaddr *address)
{
    struct sockaddr_in6 in6;

    memcpy(&in6, address, sizeof(in6));
    for (size_t i = 0; i < u->n; i++) {
        if (memcmp(&u->at[i], &in6.sin6_addr, sizeof(u->at[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* The kernel lists the interfaces themselves first, as AF_PACKET. */
static bool is_wanted(
    const struct ifaddrs *ifa, const unusable *u, bool with_bare)
{
    if (ifa->ifa_addr == NULL) {
        return false;
    }
    switch (ifa->ifa_addr->sa_family) {
    case AF_INET:
        return true;
    case AF_INET6:
        return !is_unusable(u, ifa->ifa_addr);
    case AF_PACKET:
        return with_bare;
    default:
        return false;
    }
}

static size_t count(
    const struct ifaddrs *list, const unusable *u, bool with_bare)
{
    size_t n = 0;

    for (const struct ifaddrs *ifa = list; ifa != NULL; ifa = ifa->ifa_next) {
        n += is_wanted(ifa, u, with_bare) ? 1 : 0;
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

/* A network of two hosts (RFC 3021) has no broadcast address: the address that
 * is not ours is the other host's. */
static void fill_other_of_two(pn_interface *to)
{
    if (to->has_broadcast || to->is_loopback
        || to->address.any.sa_family != AF_INET
        || to->netmask.in.sin_addr.s_addr != htonl(0xfffffffeU)) {
        return;
    }
    to->broadcast = to->address;
    to->broadcast.in.sin_addr.s_addr ^= htonl(1);
    to->has_broadcast = true;
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
        /* Without one, the system's list shows the address itself there. */
        to->has_broadcast = !pn_address_is_any(&to->broadcast)
                            && !pn_address_same_host(
                                &to->broadcast, &to->address);
    }
    fill_other_of_two(to);
}

static pn_err list_entries(
    bool with_bare, pn_interface **ret_interfaces, size_t *ret_n)
{
    struct ifaddrs *list = NULL;
    pn_interface *interfaces = NULL;
    unusable u = {0};
    size_t n;
    size_t i = 0;

    if (getifaddrs(&list) != 0) {
        return errno == ENOMEM ? PN_NOMEM : PN_SYS;
    }
    unusable_read(&u);
    n = count(list, &u, with_bare);
    interfaces = n == 0 ? NULL : calloc(n, sizeof(*interfaces));
    for (const struct ifaddrs *ifa = list; ifa != NULL; ifa = ifa->ifa_next) {
        if (interfaces != NULL && is_wanted(ifa, &u, with_bare)) {
            fill(&interfaces[i++], ifa);
        }
    }
    free(u.at);
    freeifaddrs(list);
    if (interfaces == NULL && n > 0) {
        return PN_NOMEM;
    }
    *ret_interfaces = interfaces;
    *ret_n = i;
    return PN_OK;
}

pn_err pn_interfaces_list(pn_interface **ret_interfaces, size_t *ret_n)
{
    return list_entries(false, ret_interfaces, ret_n);
}

pn_err pn_interfaces_list_all(pn_interface **ret_interfaces, size_t *ret_n)
{
    return list_entries(true, ret_interfaces, ret_n);
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

/* An interface without a netmask (all zero) is on no network; otherwise every
 * address would be on its network. */
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

bool pn_interfaces_may_be_own(const pn_address *address)
{
    pn_interface *interfaces = NULL;
    size_t n = 0;
    bool is_own = pn_interfaces_list(&interfaces, &n) != PN_OK
                  || pn_interfaces_is_own(interfaces, n, address);

    free(interfaces);
    return is_own;
}

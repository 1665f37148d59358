/* SPDX-License-Identifier: Apache-2.0 */
/* Numeric socket addresses, IPv4 and IPv6, as bytes and as text. */
#ifndef PN_OS_ADDRESS_H
#define PN_OS_ADDRESS_H

#include <sys/socket.h>

#include <netinet/in.h>

#include <peernet/error.h>

/* "[xxxx:...%interface]:65535" and a NUL: 1 + 39 + 1 + 15 + 1 + 6 + 1. */
#define PN_ADDRESS_TEXT_LEN 64

typedef union pn_address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
} pn_address;

/* Reads "1.2.3.4:80", "[::1]:80", "[fe80::1%eth0]:80"; without a port when
 * default_port >= 0. Names are not resolved. Errors: PN_INVALID. */
PN_MUST_USE pn_err pn_address_parse(
    const char *text, int default_port, pn_address *ret_address);
/* Writes "HOST:PORT"; an IPv4-mapped IPv6 address as IPv4. */
void pn_address_text(
    const pn_address *address, char ret_text[static PN_ADDRESS_TEXT_LEN]);
/* The host alone: no port, no brackets. */
void pn_address_host_text(
    const pn_address *address, char ret_text[static PN_ADDRESS_TEXT_LEN]);

/* Reads one to five digits, 0 to 65535, and nothing else. */
bool pn_port_parse(const char *text, uint16_t *ret_port);

static inline uint16_t pn_address_port(const pn_address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->in6.sin6_port
                                                    : address->in.sin_port);
}

static inline void pn_address_set_port(pn_address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET6) {
        address->in6.sin6_port = htons(port);
    } else {
        address->in.sin_port = htons(port);
    }
}

static inline socklen_t pn_address_len(const pn_address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof(address->in6)
                                              : sizeof(address->in);
}

/* Turns ::ffff:a.b.c.d into a.b.c.d. */
void pn_address_unmap(pn_address *address);

bool pn_address_is_loopback(const pn_address *address);
bool pn_address_is_multicast(const pn_address *address);
bool pn_address_is_any(const pn_address *address);

/* One host of IPv4 or IPv6: neither "any" nor a group, and not the broadcast
 * address. Linux takes "any" for this host. */
bool pn_address_is_host(const pn_address *address);

/* On a host without IPv6, which errno says, the IPv6 wildcard becomes that of
 * IPv4. False: at is another address, or errno says something else. */
bool pn_address_fall_back(pn_address *at, int sys_errno);

/* Host parts equal, ports left out. */
bool pn_address_same_host(const pn_address *a, const pn_address *b);

bool pn_address_equal(const pn_address *a, const pn_address *b);

/* The source as rate limits see it: IPv4 /32, IPv6 /64, as 64 bits. An IPv4
 * source is below a prefix that no IPv6 source has (::/64 is not routed). */
uint64_t pn_address_source(const pn_address *address);

#endif

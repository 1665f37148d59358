/* SPDX-License-Identifier: Apache-2.0 */
/* Numeric socket addresses, IPv4 and IPv6, as bytes and as text. */
#ifndef PN_OS_ADDRESS_H
#define PN_OS_ADDRESS_H

#include <sys/socket.h>

#include <netinet/in.h>

#include <peernet/error.h>

#include "base/core.h"

/* "[xxxx:...%interface]:65535" and a NUL: 1 + 39 + 1 + 15 + 1 + 6 + 1. */
#define PN_ADDRESS_TEXT_LEN 64

typedef union pn_address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
} pn_address;

/* Reads "1.2.3.4:80", "[::1]:80", "[fe80::1%eth0]:80"; without a port when
 * default_port >= 0. Names are not resolved. Errors: PN_INVALID. */
PN_CORE PN_MUST_USE pn_err pn_address_parse(
    const char *text, int default_port, pn_address *ret_address);
/* Writes "HOST:PORT"; an IPv4-mapped IPv6 address as IPv4. */
PN_CORE void pn_address_text(
    const pn_address *address, char ret_text[static PN_ADDRESS_TEXT_LEN]);
/* The host alone: no port, no brackets. */
void pn_address_host_text(
    const pn_address *address, char ret_text[static PN_ADDRESS_TEXT_LEN]);
PN_CORE uint16_t pn_address_port(const pn_address *address);
PN_CORE void pn_address_set_port(pn_address *address, uint16_t port);
PN_CORE socklen_t pn_address_len(const pn_address *address);
PN_CORE bool pn_address_is_loopback(const pn_address *address);
PN_CORE bool pn_address_is_multicast(const pn_address *address);
PN_CORE bool pn_address_is_any(const pn_address *address);
/* Host parts equal, ports left out. */
PN_CORE bool pn_address_same_host(const pn_address *a, const pn_address *b);
PN_CORE bool pn_address_equal(const pn_address *a, const pn_address *b);
/* Turns ::ffff:a.b.c.d into a.b.c.d. */
PN_CORE void pn_address_unmap(pn_address *address);
/* The source as rate limits see it: IPv4 /32, IPv6 /64, as 64 bits. */
PN_CORE uint64_t pn_address_source(const pn_address *address);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Numeric socket addresses; see address.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <net/if.h>

#include "base/bytes.h"
#include "os/address.h"

enum { PORT_MAX = 65535 };

/* ---- reading ---------------------------------------------------------- */

/* A name of an interface of this host, or its number. */
static bool parse_zone(const char *zone, uint32_t *ret_scope)
{
    unsigned index = if_nametoindex(zone);
    size_t len = strlen(zone);

    if (index == 0 && len <= 9 && strspn(zone, "0123456789") == len) {
        index = (unsigned)strtoul(zone, NULL, 10);
    }
    *ret_scope = index;
    return index != 0;
}

static bool parse_host6(char *host, pn_address *ret_address)
{
    struct sockaddr_in6 *in6 = &ret_address->in6;
    char *zone = strchr(host, '%');

    if (zone != NULL) {
        *zone++ = '\0';
        if (!parse_zone(zone, &in6->sin6_scope_id)) {
            return false;
        }
    }
    in6->sin6_family = AF_INET6;
    return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
}

static bool parse_host(char *host, pn_address *ret_address)
{
    if (strchr(host, ':') != NULL) {
        return parse_host6(host, ret_address);
    }
    ret_address->in.sin_family = AF_INET;
    return inet_pton(AF_INET, host, &ret_address->in.sin_addr) == 1;
}

/*
 * Cuts text, a copy, into host and port ("" when there is none). An IPv6 host
 * is in brackets when a port follows; without brackets all of it is the host.
 */
static bool split(char *text, char **ret_host, const char **ret_port)
{
    char *colon;

    *ret_port = "";
    *ret_host = text;
    if (text[0] == '[') {
        char *end = strchr(text, ']');

        if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
            return false;
        }
        *end = '\0';
        *ret_host = text + 1;
        if (end[1] == '\0') {
            return strchr(text + 1, ':') != NULL;
        }
        *ret_port = end + 2;
        return strchr(text + 1, ':') != NULL && end[2] != '\0';
    }
    colon = strchr(text, ':');
    if (colon == NULL || strchr(colon + 1, ':') != NULL) {
        return true;
    }
    *colon = '\0';
    *ret_port = colon + 1;
    return colon[1] != '\0';
}

pn_err pn_address_parse(
    const char *text, int default_port, pn_address *ret_address)
{
    char copy[PN_ADDRESS_TEXT_LEN];
    size_t len = strlen(text);
    pn_address address = {.in6 = {0}};
    char *host;
    const char *port_text;
    uint16_t port;

    if (len >= sizeof(copy)) {
        return PN_INVALID;
    }
    memcpy(copy, text, len + 1);
    if (!split(copy, &host, &port_text) || !parse_host(host, &address)) {
        return PN_INVALID;
    }
    if (port_text[0] == '\0') {
        if (default_port < 0 || default_port > PORT_MAX) {
            return PN_INVALID;
        }
        port = (uint16_t)default_port;
    } else if (!pn_port_parse(port_text, &port)) {
        return PN_INVALID;
    }
    pn_address_set_port(&address, port);
    *ret_address = address;
    return PN_OK;
}

/* ---- writing ---------------------------------------------------------- */

void pn_address_host_text(
    const pn_address *address, char ret_text[static PN_ADDRESS_TEXT_LEN])
{
    pn_address a = *address;
    char zone[IF_NAMESIZE];
    size_t len;

    pn_address_unmap(&a);
    if (a.any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &a.in.sin_addr, ret_text, PN_ADDRESS_TEXT_LEN);
        return;
    }
    if (a.any.sa_family != AF_INET6) {
        (void)snprintf(ret_text, PN_ADDRESS_TEXT_LEN, "?");
        return;
    }
    (void)inet_ntop(AF_INET6, &a.in6.sin6_addr, ret_text, PN_ADDRESS_TEXT_LEN);
    if (a.in6.sin6_scope_id == 0) {
        return;
    }
    len = strlen(ret_text);
    if (if_indextoname(a.in6.sin6_scope_id, zone) != NULL) {
        (void)snprintf(ret_text + len, PN_ADDRESS_TEXT_LEN - len, "%%%s", zone);
    } else {
        (void)snprintf(ret_text + len, PN_ADDRESS_TEXT_LEN - len, "%%%u",
            (unsigned)a.in6.sin6_scope_id);
    }
}

void pn_address_text(
    const pn_address *address, char ret_text[static PN_ADDRESS_TEXT_LEN])
{
    char host[PN_ADDRESS_TEXT_LEN];
    bool is_6;

    pn_address_host_text(address, host);
    is_6 = strchr(host, ':') != NULL;
    /* A host is 39 characters and a zone of 1 + 15 at most: 55 hold it. */
    (void)snprintf(ret_text, PN_ADDRESS_TEXT_LEN, "%s%.55s%s:%u",
        is_6 ? "[" : "", host, is_6 ? "]" : "",
        (unsigned)pn_address_port(address));
}

/* ---- parts and classes ------------------------------------------------- */

bool pn_port_parse(const char *text, uint16_t *ret_port)
{
    size_t len = strlen(text);
    unsigned long value;

    if (len == 0 || len > 5 || strspn(text, "0123456789") != len) {
        return false;
    }
    value = strtoul(text, NULL, 10);
    if (value > UINT16_MAX) {
        return false;
    }
    *ret_port = (uint16_t)value;
    return true;
}

void pn_address_unmap(pn_address *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET};

    if (address->any.sa_family != AF_INET6
        || !IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr)) {
        return;
    }
    in.sin_port = address->in6.sin6_port;
    memcpy(&in.sin_addr, address->in6.sin6_addr.s6_addr + 12, 4);
    *address = (pn_address){.in6 = {0}};
    address->in = in;
}

static pn_address unmapped(const pn_address *address)
{
    pn_address a = *address;

    pn_address_unmap(&a);
    return a;
}

bool pn_address_is_loopback(const pn_address *address)
{
    pn_address a = unmapped(address);

    if (a.any.sa_family == AF_INET6) {
        return IN6_IS_ADDR_LOOPBACK(&a.in6.sin6_addr);
    }
    return a.any.sa_family == AF_INET
           && ntohl(a.in.sin_addr.s_addr) >> 24 == 127;
}

bool pn_address_is_multicast(const pn_address *address)
{
    pn_address a = unmapped(address);

    if (a.any.sa_family == AF_INET6) {
        return IN6_IS_ADDR_MULTICAST(&a.in6.sin6_addr);
    }
    return a.any.sa_family == AF_INET
           && ntohl(a.in.sin_addr.s_addr) >> 28 == 0xe;
}

bool pn_address_is_any(const pn_address *address)
{
    pn_address a = unmapped(address);

    if (a.any.sa_family == AF_INET6) {
        return IN6_IS_ADDR_UNSPECIFIED(&a.in6.sin6_addr);
    }
    return a.in.sin_addr.s_addr == htonl(INADDR_ANY);
}

bool pn_address_is_host(const pn_address *address)
{
    pn_address a = unmapped(address);

    return (a.any.sa_family == AF_INET6
               || (a.any.sa_family == AF_INET
                   && a.in.sin_addr.s_addr != htonl(INADDR_BROADCAST)))
           && !pn_address_is_any(&a) && !pn_address_is_multicast(&a);
}

bool pn_address_fall_back(pn_address *at, int sys_errno)
{
    struct sockaddr_in in = {.sin_family = AF_INET};

    if ((sys_errno != EAFNOSUPPORT && sys_errno != EADDRNOTAVAIL)
        || at->any.sa_family != AF_INET6 || !pn_address_is_any(at)) {
        return false;
    }
    in.sin_port = at->in6.sin6_port;
    *at = (pn_address){.in = in};
    return true;
}

bool pn_address_same_host(const pn_address *a, const pn_address *b)
{
    pn_address x = unmapped(a);
    pn_address y = unmapped(b);

    if (x.any.sa_family != y.any.sa_family) {
        return false;
    }
    if (x.any.sa_family == AF_INET6) {
        return IN6_ARE_ADDR_EQUAL(&x.in6.sin6_addr, &y.in6.sin6_addr)
               && x.in6.sin6_scope_id == y.in6.sin6_scope_id;
    }
    return x.in.sin_addr.s_addr == y.in.sin_addr.s_addr;
}

bool pn_address_equal(const pn_address *a, const pn_address *b)
{
    return pn_address_same_host(a, b)
           && pn_address_port(a) == pn_address_port(b);
}

uint64_t pn_address_source(const pn_address *address)
{
    pn_address a = unmapped(address);

    if (a.any.sa_family == AF_INET6) {
        return pn_load_be64(a.in6.sin6_addr.s6_addr);
    }
    return UINT64_C(0xffff00000000) | ntohl(a.in.sin_addr.s_addr);
}

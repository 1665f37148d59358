/* SPDX-License-Identifier: Apache-2.0 */
/* A node's address as the text of an endpoint file: one Erlang term and a
 * newline, {"HOST",PORT}. ; docs/BARREL-PROTOCOL.md, section 13. No I/O. */
#ifndef PN_LOOKUP_ENDPOINT_RECORD_H
#define PN_LOOKUP_ENDPOINT_RECORD_H

#include <peernet/error.h>

/* Bytes of a host, and of a whole file. */
#define PN_BARREL_HOST_MAX 255
#define PN_BARREL_ENDPOINT_MAX 512

typedef struct pn_barrel_endpoint {
    char host[PN_BARREL_HOST_MAX + 1]; /* a name or an address */
    uint16_t port;                     /* 1 to 65535 */
} pn_barrel_endpoint;

/* One to PN_BARREL_HOST_MAX printable ASCII characters other than the space,
 * quotes and the backslash. */
bool pn_barrel_host_is_valid(const char *host, size_t len);

/*
 * Reads the text of a file; white space may be wherever Erlang allows it, and
 * the newline behind the dot shows that nothing was cut off. Comments, escapes
 * and a second term, which are never written, are refused. *ret_why is static
 * storage, written on an error. Errors: PN_MALFORMED; PN_LIMIT more than
 * PN_BARREL_ENDPOINT_MAX bytes.
 */
PN_MUST_USE pn_err pn_barrel_endpoint_parse(const uint8_t *text, size_t len,
    pn_barrel_endpoint *ret_endpoint, const char **ret_why);

/* Writes the text as upstream does; NUL-terminated, *ret_len without the NUL.
 * Errors: PN_INVALID no such host, port 0. */
PN_MUST_USE pn_err pn_barrel_endpoint_write(const pn_barrel_endpoint *endpoint,
    char ret_text[static PN_BARREL_ENDPOINT_MAX], size_t *ret_len);

#endif

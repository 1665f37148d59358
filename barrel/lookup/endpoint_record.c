/* SPDX-License-Identifier: Apache-2.0 */
/* The text of an endpoint file; see endpoint_record.h. One pass, the first
 * error sticks, every step after it does nothing. */
#include "endpoint_record.h"

#include <stdio.h>
#include <string.h>

#include "base/mutant.h"

enum { PORT_MAX = 65535, PORT_DIGITS = 5 };

typedef struct reader {
    const uint8_t *p;
    const uint8_t *end;
    const char *why; /* NULL: all is well so far */
} reader;

static void reader_fail(reader *r, const char *why)
{
    if (r->why == NULL) {
        r->why = why;
    }
}

static bool is_white(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The number of white characters. */
static size_t skip_white(reader *r)
{
    const uint8_t *from = r->p;

    while (r->why == NULL && r->p < r->end && is_white(*r->p)) {
        r->p++;
    }
    return (size_t)(r->p - from);
}

static void take(reader *r, char c, const char *why)
{
    (void)skip_white(r);
    if (r->why == NULL && r->p < r->end && *r->p == (uint8_t)c) {
        r->p++;
    } else {
        reader_fail(r, why);
    }
}

static bool is_host_byte(uint8_t c)
{
    return c > 0x20 && c < 0x7f && c != '"' && c != '\'' && c != '\\';
}

bool pn_barrel_host_is_valid(const char *host, size_t len)
{
    if (len == 0 || len > PN_BARREL_HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_host_byte((uint8_t)host[i])) {
            return false;
        }
    }
    return true;
}

static void take_host(reader *r, pn_barrel_endpoint *out)
{
    const uint8_t *quote;
    size_t len;

    take(r, '"', "there is no \" before the host");
    if (r->why != NULL) {
        return;
    }
    quote = memchr(r->p, '"', (size_t)(r->end - r->p));
    len = quote == NULL ? 0 : (size_t)(quote - r->p);
    if (quote == NULL) {
        reader_fail(r, "there is no \" after the host");
    } else if (len == 0 || len > PN_BARREL_HOST_MAX) {
        reader_fail(r, "the host is not of 1 to 255 bytes");
    } else if (PN_REFUSE_IF(endpoint_host_bytes,
                   !pn_barrel_host_is_valid((const char *)r->p, len))) {
        reader_fail(r, "the host has a character that no host has");
    } else {
        memcpy(out->host, r->p, len);
        out->host[len] = '\0';
        r->p = quote + 1;
    }
}

static void take_port(reader *r, pn_barrel_endpoint *out)
{
    unsigned value = 0;
    unsigned digits = 0;

    (void)skip_white(r);
    while (r->why == NULL && r->p < r->end && *r->p >= '0' && *r->p <= '9'
           && digits <= PORT_DIGITS) {
        value = value * 10 + (unsigned)(*r->p++ - '0');
        digits++;
    }
    if (digits == 0
        || PN_REFUSE_IF(endpoint_port,
            digits > PORT_DIGITS || value == 0 || value > PORT_MAX)) {
        reader_fail(r, "the port is not from 1 to 65535");
    }
    out->port = (uint16_t)value;
}

static void take_end(reader *r)
{
    take(r, '.', "there is no . after the term");
    if (skip_white(r) == 0) {
        reader_fail(r, "there is no newline after the term");
    }
    if (PN_REFUSE_IF(endpoint_trailing, r->p < r->end)) {
        reader_fail(r, "there is more than one term");
    }
}

pn_err pn_barrel_endpoint_parse(const uint8_t *text, size_t len,
    pn_barrel_endpoint *ret_endpoint, const char **ret_why)
{
    reader r = {.p = text, .end = text + len};
    pn_barrel_endpoint endpoint = {.port = 0};

    if (PN_REFUSE_IF(endpoint_length, len > PN_BARREL_ENDPOINT_MAX)) {
        *ret_why = "is longer than 512 bytes";
        return PN_LIMIT;
    }
    if (len == 0) {
        *ret_why = "is empty";
        return PN_MALFORMED;
    }
    take(&r, '{', "does not begin with {");
    take_host(&r, &endpoint);
    take(&r, ',', "there is no comma after the host");
    take_port(&r, &endpoint);
    take(&r, '}', "there is no } after the port");
    take_end(&r);
    if (r.why != NULL) {
        *ret_why = r.why;
        return PN_MALFORMED;
    }
    *ret_endpoint = endpoint;
    return PN_OK;
}

pn_err pn_barrel_endpoint_write(const pn_barrel_endpoint *endpoint,
    char ret_text[static PN_BARREL_ENDPOINT_MAX], size_t *ret_len)
{
    size_t host_len = strnlen(endpoint->host, sizeof(endpoint->host));

    if (endpoint->port == 0
        || PN_REFUSE_IF(endpoint_written_host,
            !pn_barrel_host_is_valid(endpoint->host, host_len))) {
        return PN_INVALID;
    }
    *ret_len = (size_t)snprintf(ret_text, PN_BARREL_ENDPOINT_MAX,
        "{\"%s\",%u}.\n", endpoint->host, (unsigned)endpoint->port);
    return PN_OK;
}

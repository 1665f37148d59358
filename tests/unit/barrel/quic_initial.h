/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First packets of a hostile QUIC client that keeps no state: a ClientHello, or
 * the first part of one, and a close in the same packet.
 */
#ifndef PN_TESTS_QUIC_INITIAL_H
#define PN_TESTS_QUIC_INITIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUIC_INITIAL_LEN = 1200, QUIC_INITIAL_CID = 8 };

typedef struct quic_initial_options {
    const char *alpn;
    bool is_half;   /* the ClientHello goes on in a packet that never comes */
    bool has_close; /* CONNECTION_CLOSE behind it */
    /* Of a Retry: its token, and its id in place of a random one. */
    const uint8_t *token;
    size_t token_len;
    const uint8_t *to;
} quic_initial_options;

/* A new connection each time. */
void quic_initial_make(
    const quic_initial_options *options, uint8_t ret[static QUIC_INITIAL_LEN]);
/* The packet that answers a Retry, itself; false: that is no Retry. */
bool quic_initial_after_retry(const quic_initial_options *options,
    const uint8_t *retry, size_t len, uint8_t ret[static QUIC_INITIAL_LEN]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a QUIC endpoint for tests that set few of them. */
#ifndef PN_TESTS_QUIC_DEFAULTS_H
#define PN_TESTS_QUIC_DEFAULTS_H

#include "quic/quic.h"

#define QUIC_DEFAULT(field, value)                                             \
    do {                                                                       \
        if (o->field == 0) {                                                   \
            o->field = (value);                                                \
        }                                                                      \
    } while (0)

/* Fills in what is 0. */
static inline void quic_defaults(pn_quic_options *o)
{
    QUIC_DEFAULT(max_conns, 256);
    QUIC_DEFAULT(max_handshakes, 64);
    QUIC_DEFAULT(retry_above, 16);
    QUIC_DEFAULT(unproven_per_second, 20);
    QUIC_DEFAULT(retries_per_second, 10000);
    QUIC_DEFAULT(answers_per_second, 200);
    QUIC_DEFAULT(handshake_us, 10 * PN_US_PER_S);
    QUIC_DEFAULT(accept_us, 5 * PN_US_PER_S);
    QUIC_DEFAULT(keep_alive_us, 15 * PN_US_PER_S);
    QUIC_DEFAULT(idle_timeout_us, 300 * PN_US_PER_S);
    QUIC_DEFAULT(dead_after_us, 60 * PN_US_PER_S);
    QUIC_DEFAULT(max_data, UINT64_C(16) * 1024 * 1024);
    QUIC_DEFAULT(max_stream_data, UINT64_C(4) * 1024 * 1024);
    QUIC_DEFAULT(max_streams, 100);
    QUIC_DEFAULT(max_unsent, (size_t)16 * 1024 * 1024);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A transport without descriptor and kernel, for the suite of transports. */
#ifndef PN_TEST_MEMORY_TRANSPORT_H
#define PN_TEST_MEMORY_TRANSPORT_H

#include "os/transport.h"

/* Connects only within one loop; addresses are ports of an imaginary host,
 * whatever their hosts say. Everything arrives in a later turn and in the same
 * order every time. */
extern const pn_transport_ops pn_transport_memory;

/* How awkward the memory transport is. */
typedef struct pn_memory_options {
    size_t capacity;  /* bytes on their way to one end; 0: 64 KiB */
    size_t max_chunk; /* bytes shown at a time; 0: all */
    uint64_t seed;    /* chunks of 1 to max_chunk; 0: all of max_chunk */
} pn_memory_options;

/* An imaginary host with nothing on it, for the next loop that uses it. */
void pn_memory_configure(const pn_memory_options *options);

#endif

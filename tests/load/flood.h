/* SPDX-License-Identifier: Apache-2.0 */
/* Floods of first packets at a QUIC endpoint on loopback, from a process of
 * their own. */
#ifndef PN_LOAD_FLOOD_H
#define PN_LOAD_FLOOD_H

#include <stdatomic.h>
#include <stdint.h>

typedef enum flood_kind {
    FLOOD_NONE,
    FLOOD_ONE,     /* ClientHello and CONNECTION_CLOSE, from one address */
    FLOOD_MANY,    /* ... each as if from another of 65,536 */
    FLOOD_AS_PEER, /* ... as if from the address in `from` */
    FLOOD_HALF     /* half a ClientHello, after a Retry, from one address */
} flood_kind;

typedef struct flood_command {
    flood_kind kind;
    uint32_t per_second;
    uint32_t from; /* IPv4, host order */
    uint16_t to_port;
} flood_command;

/* Reads commands from a descriptor and does each until the next comes; ends
 * with the descriptor. *n_sent is shared and counts packets. */
_Noreturn void flood_main(int commands, atomic_uint *n_sent);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The UDP announce of PeerNet 0.1.0 (docs/PROTOCOL.md, section 6): 39 bytes
 * exactly. */
#ifndef PN_WIRE_ANNOUNCE_H
#define PN_WIRE_ANNOUNCE_H

#include <peernet/key.h>

#define PN_ANNOUNCE_LEN 39
#define PN_ANNOUNCE_VERSION 1

typedef struct pn_announce {
    uint16_t port;
    pn_public_key key;
} pn_announce;

void pn_announce_write(
    const pn_announce *announce, uint8_t out[static PN_ANNOUNCE_LEN]);

/* Errors: PN_MALFORMED wrong length, magic, version, or port 0. */
PN_MUST_USE pn_err pn_announce_read(
    const uint8_t *data, size_t len, pn_announce *ret_announce);

#endif

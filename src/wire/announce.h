/* SPDX-License-Identifier: Apache-2.0 */
/* The UDP announce of PeerNet 0.1.0 (docs/PROTOCOL.md, section 6): 39 bytes
 * exactly. */
#ifndef PN_WIRE_ANNOUNCE_H
#define PN_WIRE_ANNOUNCE_H

#include <peernet/key.h>

#define PN_ANNOUNCE_LEN 39
#define PN_ANNOUNCE_VERSION 1

/* What listens at the port: a node, or an owner's open window for pairing
 * (docs/PROTOCOL.md, section 10.7). PeerNet 0.1.0 knows the first only. */
typedef enum pn_announce_kind {
    PN_ANNOUNCE_NODE,
    PN_ANNOUNCE_PAIRING
} pn_announce_kind;

typedef struct pn_announce {
    uint16_t port;
    pn_public_key key;
    pn_announce_kind kind;
} pn_announce;

void pn_announce_write(
    const pn_announce *announce, uint8_t out[static PN_ANNOUNCE_LEN]);

/* Errors: PN_MALFORMED wrong length, magic (that of another kind, too),
 * version, or port 0. */
PN_MUST_USE pn_err pn_announce_read_kind(pn_announce_kind kind,
    const uint8_t *data, size_t len, pn_announce *ret_announce);
static inline PN_MUST_USE pn_err pn_announce_read(
    const uint8_t *data, size_t len, pn_announce *ret_announce)
{
    return pn_announce_read_kind(PN_ANNOUNCE_NODE, data, len, ret_announce);
}

#endif

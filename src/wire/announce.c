/* SPDX-License-Identifier: Apache-2.0 */
/* The UDP announce (docs/PROTOCOL.md, section 6): "PNET", u8 1, u16 port, 32
 * bytes key. */
#include <string.h>

#include "base/bytes.h"
#include "base/mutant.h"
#include "wire/announce.h"

enum { MAGIC_LEN = 5 };

static const uint8_t magics[][MAGIC_LEN] = {
    [PN_ANNOUNCE_NODE] = {'P', 'N', 'E', 'T', PN_ANNOUNCE_VERSION},
    [PN_ANNOUNCE_PAIRING] = {'P', 'N', 'P', 'W', PN_ANNOUNCE_VERSION},
};

void pn_announce_write(
    const pn_announce *announce, uint8_t out[static PN_ANNOUNCE_LEN])
{
    memcpy(out, magics[announce->kind], MAGIC_LEN);
    pn_store_be16(out + 5, announce->port);
    memcpy(out + 7, announce->key.bytes, PN_PUBLIC_KEY_LEN);
}

pn_err pn_announce_read_kind(pn_announce_kind kind, const uint8_t *data,
    size_t len, pn_announce *ret_announce)
{
    pn_announce announce = {.kind = kind};

    if (len < PN_ANNOUNCE_LEN
        || PN_REFUSE_IF(announce_long, len > PN_ANNOUNCE_LEN)
        || PN_REFUSE_IF(
            announce_magic, memcmp(data, magics[kind], MAGIC_LEN) != 0)) {
        return PN_MALFORMED;
    }
    announce.port = pn_load_be16(data + 5);
    /* A node cannot listen on port 0. PeerNet 0.1.0 would dial it. */
    if (PN_REFUSE_IF(announce_port_zero, announce.port == 0)) {
        return PN_MALFORMED;
    }
    memcpy(announce.key.bytes, data + 7, PN_PUBLIC_KEY_LEN);
    *ret_announce = announce;
    return PN_OK;
}

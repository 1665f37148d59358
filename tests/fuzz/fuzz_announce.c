/* SPDX-License-Identifier: Apache-2.0 */
/* FZ-3: a datagram is refused, or equals the announce that we would write for
 * the same key and port. */
#include <stdlib.h>
#include <string.h>

#include "wire/announce.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pn_announce announce;
    uint8_t again[PN_ANNOUNCE_LEN];

    if (pn_announce_read(data, size, &announce) != PN_OK) {
        return 0;
    }
    pn_announce_write(&announce, again);
    if (size != sizeof(again) || memcmp(data, again, size) != 0
        || announce.port == 0) {
        abort();
    }
    return 0;
}

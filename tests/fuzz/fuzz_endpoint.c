/* SPDX-License-Identifier: Apache-2.0 */
/* An endpoint file is refused with a reason, or has an address whose file,
 * written by us, is read as the same. */
#include <stdlib.h>
#include <string.h>

#include "lookup/endpoint_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pn_barrel_endpoint first = {.port = 0};
    pn_barrel_endpoint second = {.port = 0};
    char text[PN_BARREL_ENDPOINT_MAX];
    const char *why = NULL;
    size_t len;

    if (pn_barrel_endpoint_parse(data, size, &first, &why) != PN_OK) {
        if (why == NULL || first.port != 0) {
            abort();
        }
        return 0;
    }
    if (why != NULL || size > PN_BARREL_ENDPOINT_MAX
        || pn_barrel_endpoint_write(&first, text, &len) != PN_OK
        || pn_barrel_endpoint_parse((uint8_t *)text, len, &second, &why)
               != PN_OK
        || first.port != second.port || strcmp(first.host, second.host) != 0) {
        abort();
    }
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "offer.h"

#include <string.h>

#include "base/bytes.h"
#include "base/mutant.h"
#include "trust/label.h"

enum {
    /* Type, port, length of the label, label, zeros. */
    AT_TYPE = 0,
    AT_PORT = 1,
    AT_LABEL_LEN = 3,
    AT_LABEL = 4
};

void pn_offer_write(uint8_t ret_text[static PN_OFFER_TEXT_LEN], uint8_t type,
    const pn_offer *offer)
{
    memset(ret_text, 0, PN_OFFER_TEXT_LEN);
    ret_text[AT_TYPE] = type;
    if (offer != NULL) {
        const size_t len = strlen(offer->label);

        pn_store_be16(ret_text + AT_PORT, offer->port);
        ret_text[AT_LABEL_LEN] = (uint8_t)len;
        memcpy(ret_text + AT_LABEL, offer->label, len);
    }
}

pn_err pn_offer_read(const uint8_t text[static PN_OFFER_TEXT_LEN],
    uint8_t *ret_type, pn_offer *ret_offer)
{
    char label[PN_LABEL_MAX + 1];
    const size_t len = text[AT_LABEL_LEN];

    if (PN_REFUSE_IF(pairing_label_length, len > PN_OFFER_LABEL_MAX)) {
        return PN_MALFORMED;
    }
    *ret_type = text[AT_TYPE];
    ret_offer->port = pn_load_be16(text + AT_PORT);
    pn_label_clean(text + AT_LABEL, len, label);
    label[PN_OFFER_LABEL_MAX] = '\0';
    memcpy(ret_offer->label, label, sizeof(ret_offer->label));
    return PN_OK;
}

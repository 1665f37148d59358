/* SPDX-License-Identifier: Apache-2.0 */
/* What an end of a pairing says of itself, and the text that carries it:
 * docs/PROTOCOL.md, section 10.2 (ANSWER). */
#ifndef PN_EXCHANGE_OFFER_H
#define PN_EXCHANGE_OFFER_H

#include <peernet/error.h>

#include <stdint.h>

#define PN_OFFER_LABEL_MAX 64
#define PN_OFFER_TEXT_LEN 128

/* A proposal: it proves nothing. */
typedef struct pn_offer {
    uint16_t port;                      /* of its node; 0: not known */
    char label[PN_OFFER_LABEL_MAX + 1]; /* empty: none */
} pn_offer;

/* Writes a message of this type; offer NULL: zeros. */
void pn_offer_write(uint8_t ret_text[static PN_OFFER_TEXT_LEN], uint8_t type,
    const pn_offer *offer);
/* Reads one whose tag has been verified; the label is cleaned. Errors:
 * PN_MALFORMED the length of the label. */
PN_MUST_USE pn_err pn_offer_read(const uint8_t text[static PN_OFFER_TEXT_LEN],
    uint8_t *ret_type, pn_offer *ret_offer);

#endif

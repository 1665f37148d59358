/* SPDX-License-Identifier: Apache-2.0 */
#include "common.h"

#include <string.h>

#include "base/slice.h"
#include "trust/grants_file.h"

static pn_err draw(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    return pn_random(buf, len);
}

const pn_env pn_pairing_env = {.random = draw};

const pn_gate_limits pn_pairing_gate_limits = {
    .max_strangers = 4 * PN_PAIRING_INCOMING,
    .max_strangers_per_source = 3,
    .strangers_per_second = 20,
    .source_per_second = 3,
    .source_burst = 6,
};

pn_err pn_pairing_check(
    const char *own_label, const char *label, const char *role, pn_why *ret_why)
{
    if (own_label != NULL
        && (strlen(own_label) > PN_OFFER_LABEL_MAX
            || !pn_label_is_valid(own_label))) {
        return pn_why_fail(ret_why, PN_INVALID,
            "own_label: expected at most %d bytes of UTF-8 without control "
            "characters",
            PN_OFFER_LABEL_MAX);
    }
    if (label != NULL && !pn_label_is_valid(label)) {
        return pn_why_fail(ret_why, PN_INVALID,
            "label: expected at most 255 bytes of UTF-8 without control "
            "characters");
    }
    if (role != NULL && !pn_role_name_is_valid(pn_slice_of(role))) {
        return pn_why_fail(ret_why, PN_INVALID,
            "role: expected 1 to 64 letters, digits, '_' and '-'");
    }
    return PN_OK;
}

void pn_pairing_note_address(pn_store *store, const pn_public_key *peer,
    const pn_address *remote, uint16_t port,
    char ret_text[static PN_ADDRESS_TEXT_LEN])
{
    pn_address at = *remote;

    if (port != 0) {
        pn_address_set_port(&at, port);
        pn_address_text(&at, ret_text);
        (void)!pn_store_remember(store, peer, ret_text);
    }
}

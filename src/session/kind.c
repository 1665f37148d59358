/* SPDX-License-Identifier: Apache-2.0 */
/* Nonces of our kind; see kind.h. */
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "base/utf8.h"
#include "session/kind.h"

static const char context[] = "peernet kind";

enum {
    CONTEXT_LEN = sizeof(context) - 1,
    ROLE_INITIATOR = 1,
    ROLE_RESPONDER = 2
};

/* The first bytes of HMAC-SHA256 over the context, the role and the message,
 * which is the nonce without its MAC. */
static pn_err kind_mac(const uint8_t hash[static PN_HASH_LEN],
    bool by_initiator, const uint8_t *message, size_t len,
    uint8_t ret_mac[static PN_KIND_MAC_LEN])
{
    uint8_t data[CONTEXT_LEN + 1 + PN_KIND_NONCE_MAX];
    uint8_t mac[PN_HASH_LEN];
    pn_err err;

    assert(len <= PN_KIND_NONCE_MAX - PN_KIND_MAC_LEN);
    memcpy(data, context, CONTEXT_LEN);
    data[CONTEXT_LEN] = PN_REFUSE_IF(session_kind_role, by_initiator)
                            ? ROLE_INITIATOR
                            : ROLE_RESPONDER;
    memcpy(data + CONTEXT_LEN + 1, message, len);
    err = pn_hmac_sha256(mac, hash, PN_HASH_LEN, data, CONTEXT_LEN + 1 + len);
    if (err == PN_OK) {
        memcpy(ret_mac, mac, PN_KIND_MAC_LEN);
    }
    return err;
}

bool pn_kind_label_is_valid(const char *label, size_t len)
{
    const uint8_t *p = (const uint8_t *)label;
    const uint8_t *end = p + len;

    if (len > PN_KIND_LABEL_MAX) {
        return false;
    }
    while (p < end) {
        uint32_t code = 0;
        size_t n = pn_utf8_decode(p, end, &code);

        if (n == 0 || PN_REFUSE_IF(session_kind_label, pn_is_control(code))) {
            return false;
        }
        p += n;
    }
    return true;
}

pn_err pn_kind_write(const uint8_t hash[static PN_HASH_LEN], bool by_initiator,
    const pn_kind *kind, uint8_t ret_nonce[static PN_KIND_NONCE_MAX],
    size_t *ret_len)
{
    size_t label_len = strlen(kind->label);
    size_t len = 2 + label_len;

    assert(label_len <= PN_KIND_LABEL_MAX);
    ret_nonce[0] = kind->version;
    ret_nonce[1] = kind->flags;
    memcpy(ret_nonce + 2, kind->label, label_len);
    *ret_len = len + PN_KIND_MAC_LEN;
    return kind_mac(hash, by_initiator, ret_nonce, len, ret_nonce + len);
}

bool pn_kind_read(const uint8_t hash[static PN_HASH_LEN], bool by_initiator,
    pn_slice nonce, pn_kind *ret_kind)
{
    uint8_t mac[PN_KIND_MAC_LEN];
    const char *label;
    size_t len;

    if (nonce.len < PN_KIND_NONCE_MIN || nonce.len > PN_KIND_NONCE_MAX
        || nonce.data[0] == 0) {
        return false;
    }
    len = nonce.len - PN_KIND_MAC_LEN;
    if (kind_mac(hash, by_initiator, nonce.data, len, mac) != PN_OK
        || PN_REFUSE_IF(session_kind_mac,
            !pn_secret_equal(mac, nonce.data + len, sizeof(mac)))) {
        return false;
    }
    label = (const char *)nonce.data + 2;
    if (!pn_kind_label_is_valid(label, len - 2)) {
        return false;
    }
    *ret_kind = (pn_kind){.version = nonce.data[0], .flags = nonce.data[1]};
    memcpy(ret_kind->label, label, len - 2);
    return true;
}

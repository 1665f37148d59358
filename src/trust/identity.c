/* SPDX-License-Identifier: Apache-2.0 */
/* The identity keyfile; see identity.h and docs/PROTOCOL.md, section 8.2. */
#include <string.h>

#include "base/mutant.h"
#include "trust/identity.h"

/* "PNID" | u8 2 | u8 32 | public | u8 32 | private */
enum {
    AT_VERSION = 4,
    AT_PUBLIC_LEN = 5,
    AT_PUBLIC = 6,
    AT_PRIVATE_LEN = AT_PUBLIC + PN_PUBLIC_KEY_LEN,
    AT_PRIVATE = AT_PRIVATE_LEN + 1,
    VERSION_ED25519 = 1,
    VERSION = 2
};

static const uint8_t magic[AT_VERSION] = {'P', 'N', 'I', 'D'};

static const char *check_form(const uint8_t *data, size_t len)
{
    if (len <= AT_VERSION) {
        return "it is too short to be a keyfile";
    }
    if (PN_REFUSE_IF(identity_magic, memcmp(data, magic, sizeof(magic)) != 0)) {
        return "it does not begin as a keyfile does";
    }
    if (data[AT_VERSION] == VERSION_ED25519) {
        return "it holds an Ed25519 key of an older version, which cannot "
               "speak PeerNet";
    }
    if (PN_REFUSE_IF(identity_version, data[AT_VERSION] != VERSION)) {
        return "it is of a version this program does not know";
    }
    if (len != PN_IDENTITY_LEN) {
        return "it has not the length of a keyfile";
    }
    if (PN_REFUSE_IF(
            identity_lengths, data[AT_PUBLIC_LEN] != PN_PUBLIC_KEY_LEN
                                  || data[AT_PRIVATE_LEN] != PN_KEY_LEN)) {
        return "the lengths inside are not those of X25519 keys";
    }
    return NULL;
}

pn_err pn_identity_read(const uint8_t *data, size_t len, pn_key_pair *ret_pair,
    const char **ret_why)
{
    const char *why = check_form(data, len);
    pn_secret_key secret;
    pn_public_key derived;
    pn_err err;

    if (why != NULL) {
        *ret_why = why;
        return PN_CORRUPT;
    }
    memcpy(secret.bytes, data + AT_PRIVATE, PN_KEY_LEN);
    err = pn_x25519_public(&secret, &derived);
    /* Otherwise peers would know us by a key that we cannot prove (T20). */
    if (err == PN_OK
        && PN_REFUSE_IF(identity_derived,
            memcmp(derived.bytes, data + AT_PUBLIC, PN_PUBLIC_KEY_LEN) != 0)) {
        *ret_why = "its public key does not belong to its private key";
        err = PN_CORRUPT;
    }
    if (err == PN_OK) {
        memcpy(ret_pair->public_key.bytes, data + AT_PUBLIC, PN_PUBLIC_KEY_LEN);
        ret_pair->secret = secret;
    }
    pn_wipe(&secret, sizeof(secret));
    return err;
}

void pn_identity_write(
    const pn_key_pair *pair, uint8_t out[static PN_IDENTITY_LEN])
{
    memcpy(out, magic, sizeof(magic));
    out[AT_VERSION] = VERSION;
    out[AT_PUBLIC_LEN] = PN_PUBLIC_KEY_LEN;
    memcpy(out + AT_PUBLIC, pair->public_key.bytes, PN_PUBLIC_KEY_LEN);
    out[AT_PRIVATE_LEN] = PN_KEY_LEN;
    memcpy(out + AT_PRIVATE, pair->secret.bytes, PN_KEY_LEN);
}

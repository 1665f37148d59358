/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an invitation says and how it is written: the `peernet:` URI of
 * docs/PROTOCOL.md, section 11.1.
 *
 *     peernet:join/1?key=KEY&at=HOST:PORT&name=TEXT&until=SECONDS&secret=HEX
 *
 * The order is fixed; `at` comes one to four times, `name` may be missing. A
 * text is accepted if it is what pn_invitation_write makes of its content, so
 * there is one spelling.
 */
#ifndef PN_EXCHANGE_INVITATION_H
#define PN_EXCHANGE_INVITATION_H

#include "crypto/crypto.h"
#include "trust/addresses.h"

#define PN_INVITATION_SECRET_LEN 20
#define PN_INVITATION_ID_LEN 8
#define PN_INVITATION_ADDRESSES 4
#define PN_INVITATION_NAME_MAX 64
#define PN_INVITATION_URI_CAP 1024 /* with its NUL */

/* Belongs into memory of pn_secure_alloc: it holds the secret. */
typedef struct pn_invitation {
    pn_public_key key;
    int64_t until_s; /* wall clock, seconds since 1970 UTC, positive */
    size_t n_addresses;
    char addresses[PN_INVITATION_ADDRESSES][PN_ADDRESS_CAP]; /* of pairing */
    char name[PN_INVITATION_NAME_MAX + 1];                   /* empty: none */
    uint8_t secret[PN_INVITATION_SECRET_LEN];
} pn_invitation;

/* Writes it, NUL-terminated; ret_uri holds the secret. Errors: PN_TOO_LARGE;
 * PN_INVALID a member is not as above. ret_uri is wiped then. */
PN_MUST_USE pn_err pn_invitation_write(const pn_invitation *invitation,
    char ret_uri[static PN_INVITATION_URI_CAP]);

/* Errors: PN_MALFORMED, with a sentence of static storage that shows nothing of
 * the text. *ret_invitation is wiped then. */
PN_MUST_USE pn_err pn_invitation_read(const char *text, size_t len,
    pn_invitation *ret_invitation, const char **ret_why);

/* The id that goes over the wire and the key of the handshake, both of the
 * secret, which neither tells. Errors: PN_SYS. */
PN_MUST_USE pn_err pn_invitation_derive(
    const uint8_t secret[static PN_INVITATION_SECRET_LEN],
    uint8_t ret_id[static PN_INVITATION_ID_LEN], pn_secret_key *ret_key);

/* Appends text to out, of which *used of cap bytes are taken, with everything
 * but A-Z a-z 0-9 - . _ ~ : as %HH, and a NUL. False: no room. */
PN_MUST_USE bool pn_percent_append(
    const char *text, char *out, size_t cap, size_t *used);
/* The reverse, of len bytes. False: no room, or not what the other writes. */
PN_MUST_USE bool pn_percent_take(
    const char *text, size_t len, char *ret_text, size_t cap);

/* 2 * n lower-case digits and a NUL; and back, of n bytes: false if it is
 * anything else. */
void pn_hex_write(const uint8_t *bytes, size_t n, char *ret_text);
PN_MUST_USE bool pn_hex_read(const char *text, size_t n, uint8_t *ret_bytes);

#endif

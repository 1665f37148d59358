/* SPDX-License-Identifier: Apache-2.0 */
/* Invitations as text: docs/PROTOCOL.md, section 11.1. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mutant.h"
#include "invitation.h"
#include "trust/label.h"

#define HEAD "peernet:join/1?key="
#define AT "&at="
#define NAME "&name="
#define UNTIL "&until="
#define SECRET "&secret="

enum {
    SECRET_HEX = 2 * PN_INVITATION_SECRET_LEN,
    UNTIL_DIGITS = 12, /* the year 33658 */
    NUMBER_CAP = 24
};

/* ---- hexadecimal and percent --------------------------------------------- */

void pn_hex_write(const uint8_t *bytes, size_t n, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_text[2 * n] = '\0';
}

/* -1: it is no digit. upper says which letters count. */
static int hex_value(char c, bool upper)
{
    const char first = upper ? 'A' : 'a';

    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= first && c <= first + 5 ? c - first + 10 : -1;
}

/* -1: these two are no byte. */
static int hex_byte(const char *text, bool upper)
{
    const int high = hex_value(text[0], upper);
    const int low = high < 0 ? -1 : hex_value(text[1], upper);

    return low < 0 ? -1 : high << 4 | low;
}

bool pn_hex_read(const char *text, size_t n, uint8_t *ret_bytes)
{
    for (size_t i = 0; i < n; i++) {
        const int value = hex_byte(text + 2 * i, false);

        if (value < 0) {
            return false;
        }
        ret_bytes[i] = (uint8_t)value;
    }
    return true;
}

static bool is_kept(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
           || (c >= 'a' && c <= 'z')
           || (c != '\0' && strchr("-._~:", c) != NULL);
}

bool pn_percent_append(const char *text, char *out, size_t cap, size_t *used)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t at = *used;

    for (; *text != '\0'; text++) {
        const uint8_t byte = (uint8_t)*text;

        if (cap - at < sizeof("%00")) {
            return false;
        }
        if (is_kept(*text)) {
            out[at++] = *text;
        } else {
            out[at++] = '%';
            out[at++] = digits[byte >> 4];
            out[at++] = digits[byte & 15];
        }
    }
    out[at] = '\0';
    *used = at;
    return true;
}

bool pn_percent_take(const char *text, size_t len, char *ret_text, size_t cap)
{
    size_t n = 0;

    for (size_t at = 0; at < len;) {
        int value = (uint8_t)text[at];

        if (is_kept(text[at])) {
            at++;
        } else if (text[at] == '%' && len - at >= 3) {
            value = hex_byte(text + at + 1, true);
            at += 3;
            if (value <= 0 || is_kept((char)value)) {
                return false;
            }
        } else {
            return false;
        }
        if (cap - n <= 1) {
            return false;
        }
        ret_text[n++] = (char)value;
    }
    ret_text[n] = '\0';
    return true;
}

/* ---- writing ---------------------------------------------------------------
 */

/* The text that is written; once there was no room it stays as it is. */
typedef struct writer {
    char *out;
    size_t used;
    bool is_full;
} writer;

static void put(writer *w, const char *text)
{
    const size_t n = strlen(text);

    if (w->is_full || PN_INVITATION_URI_CAP - w->used <= n) {
        w->is_full = true;
        return;
    }
    memcpy(w->out + w->used, text, n + 1);
    w->used += n;
}

static void put_encoded(writer *w, const char *head, const char *text)
{
    put(w, head);
    w->is_full = w->is_full
                 || !pn_percent_append(
                     text, w->out, PN_INVITATION_URI_CAP, &w->used);
}

static bool is_sound(const pn_invitation *invitation)
{
    bool is = invitation->n_addresses >= 1
              && invitation->n_addresses <= PN_INVITATION_ADDRESSES
              && invitation->until_s > 0
              && invitation->until_s < INT64_C(1000000000000)
              && strlen(invitation->name) <= PN_INVITATION_NAME_MAX
              && pn_label_is_valid(invitation->name);

    for (size_t i = 0; is && i < invitation->n_addresses; i++) {
        is = pn_address_is_plausible(invitation->addresses[i]);
    }
    return is;
}

pn_err pn_invitation_write(
    const pn_invitation *invitation, char ret_uri[static PN_INVITATION_URI_CAP])
{
    char key[PN_BASE32_LEN + 1];
    char number[NUMBER_CAP];
    char secret[SECRET_HEX + 1];
    writer w = {.out = ret_uri};

    if (!is_sound(invitation)) {
        return PN_INVALID;
    }
    pn_key_to_base32(&invitation->key, key);
    put(&w, HEAD);
    put(&w, key);
    for (size_t i = 0; i < invitation->n_addresses; i++) {
        put_encoded(&w, AT, invitation->addresses[i]);
    }
    if (invitation->name[0] != '\0') {
        put_encoded(&w, NAME, invitation->name);
    }
    (void)snprintf(number, sizeof(number), "%" PRId64, invitation->until_s);
    put(&w, UNTIL);
    put(&w, number);
    pn_hex_write(invitation->secret, sizeof(invitation->secret), secret);
    put(&w, SECRET);
    put(&w, secret);
    pn_wipe(secret, sizeof(secret));
    if (w.is_full) {
        pn_wipe(ret_uri, PN_INVITATION_URI_CAP);
        return PN_TOO_LARGE;
    }
    return PN_OK;
}

/* ---- reading ---------------------------------------------------------------
 */

typedef struct reader {
    const char *at;
    size_t left;
} reader;

static bool take(reader *r, const char *head)
{
    const size_t n = strlen(head);

    if (r->left < n || memcmp(r->at, head, n) != 0) {
        return false;
    }
    r->at += n;
    r->left -= n;
    return true;
}

/* What stands before the next '&', or the end. */
static size_t value_len(const reader *r)
{
    const char *end = memchr(r->at, '&', r->left);

    return end == NULL ? r->left : (size_t)(end - r->at);
}

static void skip(reader *r, size_t n)
{
    r->at += n;
    r->left -= n;
}

static bool take_key(reader *r, pn_public_key *ret_key)
{
    char text[PN_BASE32_LEN + 1] = "";

    if (value_len(r) != PN_BASE32_LEN) {
        return false;
    }
    memcpy(text, r->at, PN_BASE32_LEN);
    skip(r, PN_BASE32_LEN);
    return pn_key_parse(text, ret_key) == PN_OK;
}

static bool take_encoded(reader *r, char *ret_text, size_t cap)
{
    const size_t n = value_len(r);
    const bool is = pn_percent_take(r->at, n, ret_text, cap);

    skip(r, n);
    return is;
}

static bool take_until(reader *r, int64_t *ret_until_s)
{
    const size_t n = value_len(r);
    int64_t value = 0;

    if (n < 1 || n > UNTIL_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (r->at[i] < '0' || r->at[i] > '9') {
            return false;
        }
        value = 10 * value + (r->at[i] - '0');
    }
    skip(r, n);
    *ret_until_s = value;
    return true;
}

static const char *take_all(reader *r, pn_invitation *invitation)
{
    if (!take(r, HEAD)) {
        return "it does not begin with \"peernet:join/1?key=\", which is an "
               "invitation of this version";
    }
    if (!take_key(r, &invitation->key)) {
        return "its key is not 52 characters of Base32";
    }
    while (take(r, AT)) {
        if (invitation->n_addresses == PN_INVITATION_ADDRESSES) {
            return "it has more than 4 addresses";
        }
        if (!take_encoded(r, invitation->addresses[invitation->n_addresses++],
                PN_ADDRESS_CAP)) {
            return "an address of it is not HOST:PORT";
        }
    }
    if (take(r, NAME)
        && (!take_encoded(r, invitation->name, sizeof(invitation->name))
            || invitation->name[0] == '\0')) {
        return "its name is not 1 to 64 bytes of UTF-8";
    }
    if (!take(r, UNTIL) || !take_until(r, &invitation->until_s)) {
        return "its time of expiry is missing or not a number of seconds";
    }
    if (!take(r, SECRET) || r->left != SECRET_HEX
        || !pn_hex_read(r->at, PN_INVITATION_SECRET_LEN, invitation->secret)) {
        return "its secret is not 40 hexadecimal digits at the end";
    }
    return NULL;
}

/* One spelling: what was read is written as the same text. */
static bool is_as_written(
    const pn_invitation *invitation, const char *text, size_t len)
{
    char again[PN_INVITATION_URI_CAP];
    bool is = pn_invitation_write(invitation, again) == PN_OK
              && strlen(again) == len && pn_secret_equal(again, text, len);

    pn_wipe(again, sizeof(again));
    return is;
}

pn_err pn_invitation_read(const char *text, size_t len,
    pn_invitation *ret_invitation, const char **ret_why)
{
    reader r = {.at = text, .left = len};
    const char *why = NULL;

    memset(ret_invitation, 0, sizeof(*ret_invitation));
    if (PN_REFUSE_IF(invitation_long, len >= PN_INVITATION_URI_CAP)) {
        why = "it is longer than 1023 characters";
    } else {
        why = take_all(&r, ret_invitation);
    }
    if (why == NULL
        && PN_REFUSE_IF(
            invitation_spelling, !is_as_written(ret_invitation, text, len))) {
        why = "it is not written as an invitation is: an address, the name or "
              "the time of expiry is wrong or has another spelling";
    }
    if (why != NULL) {
        pn_wipe(ret_invitation, sizeof(*ret_invitation));
        *ret_why = why;
        return PN_MALFORMED;
    }
    return PN_OK;
}

/* ---- what is derived -------------------------------------------------------
 */

pn_err pn_invitation_derive(
    const uint8_t secret[static PN_INVITATION_SECRET_LEN],
    uint8_t ret_id[static PN_INVITATION_ID_LEN], pn_secret_key *ret_key)
{
    static const char salt[] = "peernet invitation, version 1...";
    uint8_t id[PN_HASH_LEN];
    pn_err err;

    _Static_assert(sizeof(salt) == PN_HASH_LEN + 1, "as long as a hash");
    err = pn_hkdf2_sha256((const uint8_t *)salt, secret,
        PN_INVITATION_SECRET_LEN, ret_key->bytes, id);
    if (err == PN_OK) {
        memcpy(ret_id, id, PN_INVITATION_ID_LEN);
    }
    pn_wipe(id, sizeof(id));
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The format of a backup; see backup_format.h and docs/FILES.md. */
#include "trust/backup_format.h"

#include "base/bytes.h"
#include "base/mutant.h"

/* "PNBACKUP" | u8 version | u8 log2 N | u8 r | u8 p | salt */
enum {
    AT_VERSION = 8,
    AT_LOG_N,
    AT_R,
    AT_P,
    AT_SALT,
    VERSION = 1,
    /* of a file: u16 length of the name | u16 mode | u32 length */
    AT_MODE = 2,
    AT_LEN = 4,
    FILE_HEADER_LEN = 8,
    MODE_MAX = 0777
};

_Static_assert(AT_SALT + PN_BACKUP_SALT_LEN == PN_BACKUP_HEADER_LEN,
    "the salt ends the header");

static const uint8_t magic[AT_VERSION] = "PNBACKUP";

/* ---- files in it --------------------------------------------------------- */

/* Makes room without leaving a copy of what is in the buffer. */
static pn_err reserve(pn_buf *b, size_t n)
{
    pn_buf larger = {0};

    if (n <= b->cap - b->len) {
        return PN_OK;
    }
    if (pn_buf_reserve(&larger, b->len + n) != PN_OK) {
        return PN_NOMEM;
    }
    if (b->len > 0) {
        memcpy(larger.data, b->data, b->len);
        pn_wipe(b->data, b->len);
    }
    larger.len = b->len;
    pn_buf_fini(b);
    *b = larger;
    return PN_OK;
}

pn_err pn_backup_put(pn_buf *plain, const char *name, unsigned mode,
    const uint8_t *data, size_t len)
{
    const size_t name_len = strlen(name);
    uint8_t header[FILE_HEADER_LEN];

    if (name_len > PN_BACKUP_NAME_MAX || len > PN_BACKUP_PLAIN_MAX
        || plain->len + sizeof(header) + name_len + len > PN_BACKUP_PLAIN_MAX) {
        return PN_LIMIT;
    }
    pn_store_be16(header, (uint16_t)name_len);
    pn_store_be16(header + AT_MODE, (uint16_t)(mode & MODE_MAX));
    pn_store_be32(header + AT_LEN, (uint32_t)len);
    if (reserve(plain, sizeof(header) + name_len + len) != PN_OK
        || pn_buf_append(plain, header, sizeof(header)) != PN_OK
        || pn_buf_append(plain, name, name_len) != PN_OK) {
        return PN_NOMEM;
    }
    return pn_buf_append(plain, data, len);
}

pn_err pn_backup_next(pn_slice *plain, pn_backup_entry *ret_entry)
{
    const uint8_t *p = plain->data;
    size_t name_len;
    size_t mode;
    size_t len;
    size_t left;

    if (plain->len == 0) {
        return PN_NOT_FOUND;
    }
    if (plain->len < FILE_HEADER_LEN) {
        return PN_CORRUPT;
    }
    name_len = pn_load_be16(p);
    mode = pn_load_be16(p + AT_MODE);
    len = pn_load_be32(p + AT_LEN);
    p += FILE_HEADER_LEN;
    left = plain->len - FILE_HEADER_LEN;
    if (PN_REFUSE_IF(
            backup_lengths, name_len == 0 || name_len > PN_BACKUP_NAME_MAX
                                || name_len > left || len > left - name_len)) {
        return PN_CORRUPT;
    }
    if (mode > MODE_MAX || memchr(p, '\0', name_len) != NULL) {
        return PN_CORRUPT;
    }
    memcpy(ret_entry->name, p, name_len);
    ret_entry->name[name_len] = '\0';
    ret_entry->mode = (uint16_t)mode;
    ret_entry->bytes = (pn_slice){p + name_len, len};
    *plain = (pn_slice){p + name_len + len, left - name_len - len};
    return PN_OK;
}

/* ---- encryption ---------------------------------------------------------- */

/* The key of a header, ready for use. */
static pn_err aead_of(
    const uint8_t *header, pn_slice passphrase, pn_aead **ret_aead)
{
    pn_secret_key *key = pn_secure_alloc(sizeof(*key));
    pn_err err = PN_NOMEM;

    if (key != NULL) {
        err = pn_scrypt(passphrase,
            (pn_slice){header + AT_SALT, PN_BACKUP_SALT_LEN}, header[AT_LOG_N],
            header[AT_R], header[AT_P], key);
    }
    if (err == PN_OK) {
        err = pn_aead_new(key, ret_aead);
    }
    pn_secure_free(key, sizeof(*key));
    return err;
}

/* A new salt makes a new key, so the nonce may be zero. */
static pn_err seal(uint8_t *to, pn_slice plain, pn_slice passphrase)
{
    pn_aead *aead = NULL;
    pn_err err = aead_of(to, passphrase, &aead);

    if (err == PN_OK) {
        err = pn_aead_seal(aead, 0, to, PN_BACKUP_HEADER_LEN, plain.data,
            plain.len, to + PN_BACKUP_HEADER_LEN);
    }
    pn_aead_free(aead);
    return err;
}

pn_err pn_backup_seal(
    pn_slice plain, pn_slice passphrase, unsigned log_n, pn_buf *out)
{
    const size_t len = PN_BACKUP_HEADER_LEN + plain.len + PN_TAG_LEN;
    uint8_t *header;
    pn_err err;

    if (plain.len == 0 || plain.len > PN_BACKUP_PLAIN_MAX) {
        return PN_LIMIT;
    }
    if (pn_buf_reserve(out, len) != PN_OK) {
        return PN_NOMEM;
    }
    header = out->data;
    memcpy(header, magic, sizeof(magic));
    header[AT_VERSION] = VERSION;
    header[AT_LOG_N] = (uint8_t)log_n;
    header[AT_R] = PN_BACKUP_R;
    header[AT_P] = PN_BACKUP_P;
    err = pn_random(header + AT_SALT, PN_BACKUP_SALT_LEN);
    if (err == PN_OK) {
        err = seal(header, plain, passphrase);
    }
    if (err == PN_OK) {
        out->len = len;
    }
    return err;
}

pn_err pn_backup_check(const uint8_t *data, size_t len, const char **ret_why)
{
    if (len < sizeof(magic) || memcmp(data, magic, sizeof(magic)) != 0) {
        *ret_why = "is no backup that 'peernet backup' has made";
        return PN_CORRUPT;
    }
    if (len <= PN_BACKUP_HEADER_LEN + PN_TAG_LEN) {
        *ret_why = "is cut off; expected a whole backup";
        return PN_CORRUPT;
    }
    if (PN_REFUSE_IF(backup_version, data[AT_VERSION] != VERSION)) {
        *ret_why = "is a backup of a version that this program does not know";
        return PN_CORRUPT;
    }
    if (PN_REFUSE_IF(backup_cost, data[AT_LOG_N] < PN_BACKUP_LOG_N_MIN
                                      || data[AT_LOG_N] > PN_BACKUP_LOG_N_MAX
                                      || data[AT_R] != PN_BACKUP_R
                                      || data[AT_P] != PN_BACKUP_P)) {
        *ret_why = "asks for more memory or work than a backup needs: it is "
                   "damaged or hostile";
        return PN_CORRUPT;
    }
    return PN_OK;
}

pn_err pn_backup_open(const uint8_t *data, size_t len, pn_slice passphrase,
    uint8_t **ret_plain, size_t *ret_len)
{
    const size_t sealed_len = len - PN_BACKUP_HEADER_LEN;
    const size_t plain_len = sealed_len - PN_TAG_LEN;
    uint8_t *plain = pn_secure_alloc(plain_len);
    pn_aead *aead = NULL;
    pn_err err = plain == NULL ? PN_NOMEM : aead_of(data, passphrase, &aead);

    if (err == PN_OK) {
        err = pn_aead_open(aead, 0, data, PN_BACKUP_HEADER_LEN,
            data + PN_BACKUP_HEADER_LEN, sealed_len, plain);
    }
    pn_aead_free(aead);
    if (err != PN_OK) {
        pn_secure_free(plain, plain_len);
        return err;
    }
    *ret_plain = plain;
    *ret_len = plain_len;
    return PN_OK;
}

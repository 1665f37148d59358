/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's certificate; see certificate.h. Unlike upstream's, both files are
 * 0600 from the start, and half a pair is never completed, because a node that
 * lost one file would silently change its certificate.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/x509.h>

#include "base/buf.h"
#include "base/mutant.h"
#include "quic_internal.h"
#include "trust/guarded_pair.h"

#define CRT_FILE "node.crt"
#define KEY_FILE "node.key"
#define CRT_BAK CRT_FILE ".bak"
#define BEGIN "-----BEGIN "

enum {
    FILE_MAX = 64 * 1024,
    SERIAL_LEN = 16,
    BEFORE_S = 300,
    VALID_S = 365 * 24 * 3600
};

typedef struct x509_pair {
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key;
} x509_pair;

static void pair_fini(x509_pair *pair)
{
    if (pair->crt != NULL) {
        gnutls_x509_crt_deinit(pair->crt);
    }
    if (pair->key != NULL) {
        gnutls_x509_privkey_deinit(pair->key);
    }
}

void pn_certificate_free(pn_certificate *certificate)
{
    if (certificate != NULL) {
        if (certificate->credentials != NULL) {
            gnutls_certificate_free_credentials(certificate->credentials);
        }
        pn_wipe(certificate, sizeof(*certificate));
        free(certificate);
    }
}

/* ---- from PEM --------------------------------------------------------- */

static pn_err import_error(const char *file, const char *what, pn_why *ret_why)
{
    return pn_why_fail(ret_why, PN_CORRUPT, "%s %s", file, what);
}

static unsigned count_begins(const pn_buf *pem)
{
    size_t step = strlen(BEGIN);
    unsigned n = 0;

    for (size_t i = pem->off; i + step <= pem->len; i++) {
        if (memcmp(pem->data + i, BEGIN, step) == 0) {
            n++;
        }
    }
    return n;
}

static gnutls_datum_t datum(const pn_buf *pem)
{
    return (gnutls_datum_t){pn_buf_head(pem), (unsigned)pn_buf_used(pem)};
}

/* One certificate and nothing else: a peer of upstream's refuses a chain. */
static pn_err import_pair(const pn_buf *crt_pem, const pn_buf *key_pem,
    x509_pair *pair, pn_why *ret_why)
{
    gnutls_datum_t crt = datum(crt_pem);
    gnutls_datum_t key = datum(key_pem);

    if (PN_REFUSE_IF(certificate_one, count_begins(crt_pem) != 1)) {
        return import_error(
            CRT_FILE, "does not hold exactly one certificate", ret_why);
    }
    if (PN_REFUSE_IF(certificate_one_key, count_begins(key_pem) != 1)) {
        return import_error(KEY_FILE, "does not hold exactly one key", ret_why);
    }
    if (gnutls_x509_crt_init(&pair->crt) != 0
        || gnutls_x509_privkey_init(&pair->key) != 0) {
        return PN_NOMEM;
    }
    if (gnutls_x509_crt_import(pair->crt, &crt, GNUTLS_X509_FMT_PEM) != 0) {
        return import_error(CRT_FILE, "is not a certificate in PEM", ret_why);
    }
    if (gnutls_x509_privkey_import2(
            pair->key, &key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN)
        != 0) {
        return import_error(KEY_FILE, "is not a private key in PEM", ret_why);
    }
    return PN_OK;
}

static pn_err hash_crt(gnutls_x509_crt_t crt, uint8_t ret_hash[PN_HASH_LEN])
{
    gnutls_datum_t der;
    int failed;

    if (gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der) != 0) {
        return PN_NOMEM;
    }
    failed = gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, ret_hash);
    gnutls_free(der.data);
    return failed == 0 ? PN_OK : PN_SYS;
}

static pn_err use_pair(pn_certificate *c, x509_pair *pair, pn_why *ret_why)
{
    int r = gnutls_certificate_allocate_credentials(&c->credentials);

    if (r != 0) {
        c->credentials = NULL;
        return PN_NOMEM;
    }
    r = gnutls_certificate_set_x509_key(
        c->credentials, &pair->crt, 1, pair->key);
    if (PN_REFUSE_IF(certificate_pair, r < 0)) {
        return import_error(
            CRT_FILE, "is not of the key in " KEY_FILE, ret_why);
    }
    c->expires_s = gnutls_x509_crt_get_expiration_time(pair->crt);
    return hash_crt(pair->crt, c->hash);
}

static pn_err from_pem(const pn_buf *crt_pem, const pn_buf *key_pem,
    pn_certificate **ret_certificate, pn_why *ret_why)
{
    static const char label[] = "stateless reset";
    pn_certificate *c = calloc(1, sizeof(*c));
    x509_pair pair = {0};
    pn_err err = PN_NOMEM;

    if (c != NULL) {
        err = import_pair(crt_pem, key_pem, &pair, ret_why);
    }
    if (err == PN_OK) {
        err = use_pair(c, &pair, ret_why);
    }
    if (err == PN_OK
        && gnutls_hmac_fast(GNUTLS_MAC_SHA256, key_pem->data + key_pem->off,
               pn_buf_used(key_pem), label, sizeof(label), c->reset_secret)
               != 0) {
        err = PN_SYS;
    }
    pair_fini(&pair);
    if (err != PN_OK) {
        pn_certificate_free(c);
        return err;
    }
    *ret_certificate = c;
    return PN_OK;
}

/* ---- a new one -------------------------------------------------------- */

/* Where time_t has 32 bits it ends in 2038, and so does the certificate. */
static time_t to_time(int64_t wall_s)
{
    time_t t = (time_t)wall_s;

    return (int64_t)t == wall_s ? t : INT32_MAX;
}

static int pair_describe(gnutls_x509_crt_t crt, int64_t wall_s)
{
    static const char name[] = "peernet-node";
    static const char organization[] = "PeerNet";
    int r = gnutls_x509_crt_set_version(crt, 3);

    r |= gnutls_x509_crt_set_dn_by_oid(
        crt, GNUTLS_OID_X520_COMMON_NAME, 0, name, sizeof(name) - 1);
    r |= gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATION_NAME,
        0, organization, sizeof(organization) - 1);
    r |= gnutls_x509_crt_set_activation_time(crt, to_time(wall_s - BEFORE_S));
    r |= gnutls_x509_crt_set_expiration_time(crt, to_time(wall_s + VALID_S));
    r |= gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
    r |= gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
    r |= gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
    r |= gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
    return r;
}

static pn_err pair_make(int64_t wall_s, x509_pair *pair)
{
    uint8_t serial[SERIAL_LEN];
    pn_err err = pn_random(serial, sizeof(serial));

    if (err != PN_OK) {
        return err;
    }
    serial[0] &= 0x7f; /* positive, and not shortened to nothing */
    serial[0] |= 0x40;
    if (gnutls_x509_crt_init(&pair->crt) != 0
        || gnutls_x509_privkey_init(&pair->key) != 0
        || gnutls_x509_privkey_generate(pair->key, GNUTLS_PK_ECDSA,
               GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0)
               != 0
        || gnutls_x509_crt_set_serial(pair->crt, serial, sizeof(serial)) != 0
        || pair_describe(pair->crt, wall_s) != 0
        || gnutls_x509_crt_set_key(pair->crt, pair->key) != 0
        || gnutls_x509_crt_sign2(
               pair->crt, pair->crt, pair->key, GNUTLS_DIG_SHA256, 0)
               != 0) {
        return PN_NOMEM;
    }
    return PN_OK;
}

static pn_err take_datum(int r, gnutls_datum_t *from, pn_buf *to)
{
    pn_err err = PN_NOMEM;

    if (r == 0) {
        err = pn_buf_append(to, from->data, from->size);
        pn_wipe(from->data, from->size);
        gnutls_free(from->data);
    }
    return err;
}

static pn_err make_pem(int64_t wall_s, pn_buf *crt_pem, pn_buf *key_pem)
{
    x509_pair pair = {0};
    gnutls_datum_t out;
    pn_err err = pair_make(wall_s, &pair);

    if (err == PN_OK) {
        int r = gnutls_x509_crt_export2(pair.crt, GNUTLS_X509_FMT_PEM, &out);

        err = take_datum(r, &out, crt_pem);
    }
    if (err == PN_OK) {
        int r = gnutls_x509_privkey_export2(
            pair.key, GNUTLS_X509_FMT_PEM, &out);

        err = take_datum(r, &out, key_pem);
    }
    pair_fini(&pair);
    return err;
}

/* ---- files ------------------------------------------------------------ */

typedef struct pem_pair {
    pn_buf crt;
    pn_buf key;
} pem_pair;

static void pem_fini(pem_pair *pem)
{
    pn_guarded_wipe(&pem->key);
    pn_buf_fini(&pem->crt);
}

static bool is_there(const pn_guarded_dir *dir, const char *file)
{
    struct stat st;

    return fstatat(dir->fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0
           || errno != ENOENT;
}

/* A key that others could read has to be thought of as known to them: it is
 * not quietly made private. */
static bool is_readable_by_others(const pn_guarded_dir *dir, const char *file)
{
    struct stat st;

    return fstatat(dir->fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0
           && S_ISREG(st.st_mode) && (st.st_mode & 0077) != 0;
}

/* PEM is parsed once both files are there. */
static pn_err take_pem(const void *owner, const uint8_t *data, size_t len,
    void *ret_pem, pn_why *ret_why)
{
    (void)owner;
    (void)ret_why;
    return pn_buf_append(ret_pem, data, len);
}

static pn_err read_file(const pn_guarded_dir *dir, const char *file,
    pn_guarded_access access, pn_buf *out, pn_why *ret_why)
{
    const pn_guarded_format format = {.access = access, .parse = take_pem};
    pn_err err = pn_guarded_load(
        dir, file, &format, NULL, FILE_MAX, out, ret_why, NULL);

    return err == PN_NOT_FOUND ? pn_guarded_fail(
               dir, ret_why, err, file, "%s", pn_strerror(err))
                               : err;
}

static pn_err read_both(
    const pn_guarded_dir *dir, pem_pair *pem, pn_why *ret_why)
{
    pn_err err;

    if (PN_REFUSE_IF(
            certificate_key_mode, is_readable_by_others(dir, KEY_FILE))) {
        return pn_guarded_fail(dir, ret_why, PN_PERMISSION, KEY_FILE,
            "others may read this private key; remove both files for a new "
            "pair, or make it 0600 if nobody has read it");
    }
    err = read_file(
        dir, KEY_FILE, PN_GUARDED_OURS_OR_MOUNTED, &pem->key, ret_why);
    return err == PN_OK
               ? read_file(dir, CRT_FILE, PN_GUARDED_OURS, &pem->crt, ret_why)
               : err;
}

static pn_guarded_file file_of(const char *name, const pn_buf *pem)
{
    return (pn_guarded_file){name, pn_buf_head(pem), pn_buf_used(pem)};
}

static pn_err create_both(
    const pn_guarded_dir *dir, int64_t wall_s, pem_pair *pem, pn_why *ret_why)
{
    pn_err err = make_pem(wall_s, &pem->crt, &pem->key);

    if (err != PN_OK) {
        return pn_guarded_fail(
            dir, ret_why, err, CRT_FILE, "could not be made");
    }
    err = pn_guarded_create(dir,
        (const pn_guarded_file[]){
            file_of(KEY_FILE, &pem->key), file_of(CRT_FILE, &pem->crt)},
        PN_PAIR_FILES, ret_why);
    return err == PN_EXISTS
               ? pn_guarded_fail(dir, ret_why, err, "", "%s", pn_strerror(err))
               : err;
}

static pn_err read_or_create(const pn_guarded_dir *dir, int64_t wall_s,
    bool may_create, pem_pair *pem, pn_why *ret_why)
{
    bool has_crt = is_there(dir, CRT_FILE);
    bool has_key = is_there(dir, KEY_FILE);

    if (PN_REFUSE_IF(certificate_half, has_crt != has_key)) {
        return pn_guarded_fail(dir, ret_why, PN_NOT_FOUND,
            has_crt ? KEY_FILE : CRT_FILE,
            "is missing while its other half is there; put it back, or remove "
            "both for a new pair");
    }
    if (!(has_crt && has_key) && may_create) {
        return create_both(dir, wall_s, pem, ret_why);
    }
    return read_both(dir, pem, ret_why);
}

static pn_err use_files(const pn_guarded_dir *dir, const pem_pair *pem,
    pn_certificate **ret_certificate, pn_why *ret_why)
{
    pn_why why = {0};
    pn_err err = from_pem(&pem->crt, &pem->key, ret_certificate, &why);

    if (err != PN_OK) {
        return pn_guarded_fail(dir, ret_why, err, "", "%s",
            why.text[0] != '\0' ? why.text
                                : "the certificate could not be used");
    }
    return PN_OK;
}

/* A rotation that did not finish has left the new certificate beside the old
 * key, and the old one as node.crt.bak: that comes back. */
static pn_err mend_rotation(
    const pn_guarded_dir *dir, pem_pair *pem, pn_certificate **ret_certificate)
{
    pn_err err;

    pn_buf_consume(&pem->crt, pn_buf_used(&pem->crt));
    err = read_file(dir, CRT_BAK, PN_GUARDED_OURS, &pem->crt, NULL);
    if (err == PN_OK) {
        err = use_files(dir, pem, ret_certificate, NULL);
    }
    if (err == PN_OK && pn_guarded_restore(dir, CRT_FILE) != PN_OK) {
        pn_certificate_free(*ret_certificate);
        err = PN_CORRUPT;
    }
    return err;
}

static pn_err open_locked(const pn_guarded_dir *dir, int64_t wall_s,
    pn_certificate **ret_certificate, pn_why *ret_why)
{
    pem_pair pem = {0};
    pn_err err = read_or_create(dir, wall_s, true, &pem, ret_why);

    if (err == PN_OK) {
        err = use_files(dir, &pem, ret_certificate, ret_why);
        if (err == PN_CORRUPT
            && mend_rotation(dir, &pem, ret_certificate) == PN_OK) {
            pn_why_clear(ret_why);
            err = PN_OK;
        }
    }
    pem_fini(&pem);
    return err;
}

static pn_err lock_dir(
    const char *path, pn_guarded_dir *ret_dir, int *ret_lock, pn_why *ret_why)
{
    pn_err err = pn_guarded_open(path, NULL, ret_dir, ret_why);

    if (err == PN_OK) {
        err = pn_guarded_lock(ret_dir, true, ret_lock, ret_why);
    }
    return err;
}

pn_err pn_certificate_open(const char *dir, int64_t wall_s,
    pn_certificate **ret_certificate, pn_why *ret_why)
{
    pn_guarded_dir at;
    int lock_fd;
    pn_err err;

    pn_why_clear(ret_why);
    err = lock_dir(dir, &at, &lock_fd, ret_why);
    if (err == PN_OK) {
        err = open_locked(&at, wall_s, ret_certificate, ret_why);
        (void)close(lock_fd);
    }
    pn_guarded_close(&at);
    return err;
}

/* ---- rotation --------------------------------------------------------- */

static pn_err rotate_locked(const pn_guarded_dir *dir, int64_t wall_us,
    char **ret_backup, pn_why *ret_why)
{
    pn_certificate *old_certificate = NULL;
    pem_pair old = {0};
    pem_pair new = {0};
    pn_err err = read_or_create(dir, 0, false, &old, ret_why);

    if (err == PN_OK) {
        err = use_files(dir, &old, &old_certificate, ret_why);
    }
    if (err == PN_OK) {
        err = make_pem(wall_us / 1000000, &new.crt, &new.key);
    }
    if (err == PN_OK) {
        const pn_guarded_file old_crt = file_of(CRT_FILE, &old.crt);
        const pn_guarded_file files[PN_PAIR_FILES] = {
            file_of(CRT_FILE, &new.crt), file_of(KEY_FILE, &new.key)};

        err = pn_pair_rotate(
            dir, files, &old_crt, wall_us, ret_backup, ret_why);
    }
    pn_certificate_free(old_certificate);
    pem_fini(&old);
    pem_fini(&new);
    return err;
}

pn_err pn_certificate_rotate(
    const char *dir, int64_t wall_us, char **ret_backup, pn_why *ret_why)
{
    pn_guarded_dir at;
    int lock_fd;
    pn_err err;

    pn_why_clear(ret_why);
    err = lock_dir(dir, &at, &lock_fd, ret_why);
    if (err == PN_OK) {
        err = rotate_locked(&at, wall_us, ret_backup, ret_why);
        (void)close(lock_fd);
    }
    pn_guarded_close(&at);
    return err;
}

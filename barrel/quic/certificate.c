/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's certificate; see certificate.h. Unlike upstream's, both files are
 * 0600 from the start, and half a pair is never completed: whoever lost one
 * file would silently become somebody else.
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
#include "os/file.h"
#include "quic/quic_impl.h"
#include "trust/backup.h"

#define CRT_FILE "node.crt"
#define KEY_FILE "node.key"
#define CRT_BAK CRT_FILE ".bak"
#define KEY_BAK KEY_FILE ".bak"
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

const uint8_t *pn_certificate_hash(const pn_certificate *certificate)
{
    return certificate->hash;
}

int64_t pn_certificate_expires_s(const pn_certificate *certificate)
{
    return certificate->expires_s;
}

/* ---- from PEM --------------------------------------------------------- */

static pn_err import_error(
    const char *file, const char *what, char ret_why[PN_CERTIFICATE_WHY_MAX])
{
    (void)snprintf(ret_why, PN_CERTIFICATE_WHY_MAX, "%s %s", file, what);
    return PN_CORRUPT;
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
    return (gnutls_datum_t){
        pem->data + pem->off, (unsigned)(pem->len - pem->off)};
}

/* One certificate and nothing else: a peer of upstream's refuses a chain. */
static pn_err import_pair(const pn_buf *crt_pem, const pn_buf *key_pem,
    x509_pair *pair, char ret_why[PN_CERTIFICATE_WHY_MAX])
{
    gnutls_datum_t crt = datum(crt_pem);
    gnutls_datum_t key = datum(key_pem);

    if (PN_CHECK(certificate_one, count_begins(crt_pem) != 1)) {
        return import_error(
            CRT_FILE, "does not hold exactly one certificate", ret_why);
    }
    if (PN_CHECK(certificate_one_key, count_begins(key_pem) != 1)) {
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
    pn_err err;

    if (gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der) != 0) {
        return PN_NOMEM;
    }
    err = pn_sha256(ret_hash, der.data, der.size, NULL, 0);
    gnutls_free(der.data);
    return err;
}

static pn_err use_pair(
    pn_certificate *c, x509_pair *pair, char ret_why[PN_CERTIFICATE_WHY_MAX])
{
    int r = gnutls_certificate_allocate_credentials(&c->credentials);

    if (r != 0) {
        c->credentials = NULL;
        return PN_NOMEM;
    }
    r = gnutls_certificate_set_x509_key(
        c->credentials, &pair->crt, 1, pair->key);
    if (PN_CHECK(certificate_pair, r < 0)) {
        return import_error(
            CRT_FILE, "is not of the key in " KEY_FILE, ret_why);
    }
    c->expires_s = gnutls_x509_crt_get_expiration_time(pair->crt);
    return hash_crt(pair->crt, c->hash);
}

static pn_err from_pem(const pn_buf *crt_pem, const pn_buf *key_pem,
    pn_certificate **ret_certificate, char ret_why[PN_CERTIFICATE_WHY_MAX])
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
    if (err == PN_OK) {
        err = pn_hmac_sha256(c->reset_secret, key_pem->data + key_pem->off,
            pn_buf_used(key_pem), (const uint8_t *)label, sizeof(label));
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

static int pair_describe(gnutls_x509_crt_t crt, int64_t wall_s)
{
    static const char name[] = "peernet-node";
    static const char organization[] = "PeerNet";
    int r = gnutls_x509_crt_set_version(crt, 3);

    r |= gnutls_x509_crt_set_dn_by_oid(
        crt, GNUTLS_OID_X520_COMMON_NAME, 0, name, sizeof(name) - 1);
    r |= gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATION_NAME,
        0, organization, sizeof(organization) - 1);
    r |= gnutls_x509_crt_set_activation_time(crt, (time_t)(wall_s - BEFORE_S));
    r |= gnutls_x509_crt_set_expiration_time(crt, (time_t)(wall_s + VALID_S));
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

static void wipe_buf(pn_buf *b)
{
    if (b->data != NULL) {
        pn_wipe(b->data, b->cap);
    }
    pn_buf_fini(b);
}

pn_err pn_certificate_make(int64_t wall_s, pn_certificate **ret_certificate)
{
    char why[PN_CERTIFICATE_WHY_MAX];
    pn_buf crt_pem = {0};
    pn_buf key_pem = {0};
    pn_err err = make_pem(wall_s, &crt_pem, &key_pem);

    if (err == PN_OK) {
        err = from_pem(&crt_pem, &key_pem, ret_certificate, why);
    }
    wipe_buf(&key_pem);
    pn_buf_fini(&crt_pem);
    return err;
}

/* ---- files ------------------------------------------------------------ */

typedef struct pem_pair {
    pn_buf crt;
    pn_buf key;
} pem_pair;

static void pem_fini(pem_pair *pem)
{
    wipe_buf(&pem->key);
    pn_buf_fini(&pem->crt);
}

static bool is_there(const pn_data_dir *dir, const char *file)
{
    struct stat st;

    return fstatat(dir->fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0
           || errno != ENOENT;
}

/* A key that others could read has to be thought of as known to them: it is
 * not quietly made private. */
static bool is_readable_by_others(const pn_data_dir *dir, const char *file)
{
    struct stat st;

    return fstatat(dir->fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0
           && S_ISREG(st.st_mode) && (st.st_mode & 0077) != 0;
}

static pn_err read_file(const pn_data_dir *dir, const char *file, pn_buf *out,
    pn_store_error *error)
{
    bool tightened;
    int why = 0;
    pn_err err = pn_buf_reserve(out, FILE_MAX + 1);

    if (err == PN_OK) {
        err = pn_file_read(dir->fd, file, FILE_MAX, out, &tightened, &why);
    }
    return err == PN_OK ? PN_OK
                        : pn_data_dir_fail_file(dir, error, err, file, why);
}

static pn_err read_both(
    const pn_data_dir *dir, pem_pair *pem, pn_store_error *error)
{
    pn_err err;

    if (PN_CHECK(certificate_key_mode, is_readable_by_others(dir, KEY_FILE))) {
        return pn_data_dir_fail(dir, error, PN_PERMISSION, KEY_FILE,
            "others may read this private key; remove both files for a new "
            "pair, or make it 0600 if nobody has read it");
    }
    err = read_file(dir, KEY_FILE, &pem->key, error);
    if (err != PN_OK) {
        return err;
    }
    return read_file(dir, CRT_FILE, &pem->crt, error);
}

static pn_err create_file(const pn_data_dir *dir, const char *file,
    const pn_buf *pem, pn_store_error *error)
{
    int why = 0;
    pn_err err = pn_file_create(
        dir->fd, file, pem->data + pem->off, pn_buf_used(pem), &why);

    return err == PN_OK ? PN_OK
                        : pn_data_dir_fail_file(dir, error, err, file, why);
}

static pn_err create_both(const pn_data_dir *dir, int64_t wall_s, pem_pair *pem,
    pn_store_error *error)
{
    pn_err err = make_pem(wall_s, &pem->crt, &pem->key);

    if (err != PN_OK) {
        return pn_data_dir_fail(dir, error, err, CRT_FILE, "could not be made");
    }
    err = create_file(dir, KEY_FILE, &pem->key, error);
    if (err == PN_OK) {
        err = create_file(dir, CRT_FILE, &pem->crt, error);
        if (err != PN_OK) {
            (void)unlinkat(dir->fd, KEY_FILE, 0); /* ours, seconds old */
        }
    }
    return err;
}

static pn_err read_or_create(const pn_data_dir *dir, int64_t wall_s,
    bool may_create, pem_pair *pem, pn_store_error *error)
{
    bool has_crt = is_there(dir, CRT_FILE);
    bool has_key = is_there(dir, KEY_FILE);

    if (PN_CHECK(certificate_half, has_crt != has_key)) {
        return pn_data_dir_fail(dir, error, PN_NOT_FOUND,
            has_crt ? KEY_FILE : CRT_FILE,
            "is missing while its other half is there; put it back, or remove "
            "both for a new pair");
    }
    if (!(has_crt && has_key) && may_create) {
        return create_both(dir, wall_s, pem, error);
    }
    return read_both(dir, pem, error);
}

static pn_err use_files(const pn_data_dir *dir, const pem_pair *pem,
    pn_certificate **ret_certificate, pn_store_error *error)
{
    char why[PN_CERTIFICATE_WHY_MAX] = "";
    pn_err err = from_pem(&pem->crt, &pem->key, ret_certificate, why);

    if (err != PN_OK) {
        return pn_data_dir_fail(dir, error, err, "",
            why[0] != '\0' ? why : "the certificate could not be used");
    }
    return PN_OK;
}

/* A rotation that did not finish has left the new certificate beside the old
 * key, and the old one as node.crt.bak: that comes back. */
static pn_err mend_rotation(
    const pn_data_dir *dir, pem_pair *pem, pn_certificate **ret_certificate)
{
    pn_store_error ignored;
    int why;
    pn_err err;

    if (!is_there(dir, CRT_BAK)) {
        return PN_CORRUPT;
    }
    pn_buf_consume(&pem->crt, pn_buf_used(&pem->crt));
    err = read_file(dir, CRT_BAK, &pem->crt, &ignored);
    if (err == PN_OK) {
        err = use_files(dir, pem, ret_certificate, &ignored);
    }
    if (err == PN_OK && pn_file_restore(dir->fd, CRT_FILE, &why) != PN_OK) {
        pn_certificate_free(*ret_certificate);
        err = PN_CORRUPT;
    }
    return err;
}

static pn_err open_locked(const pn_data_dir *dir, int64_t wall_s,
    pn_certificate **ret_certificate, pn_store_error *error)
{
    pem_pair pem = {0};
    pn_err err = read_or_create(dir, wall_s, true, &pem, error);

    if (err == PN_OK) {
        err = use_files(dir, &pem, ret_certificate, error);
        if (err == PN_CORRUPT
            && mend_rotation(dir, &pem, ret_certificate) == PN_OK) {
            err = PN_OK;
        }
    }
    pem_fini(&pem);
    return err;
}

static pn_err lock_dir(const char *path, pn_data_dir *ret_dir, int *ret_lock,
    pn_store_error *error)
{
    pn_err err = pn_data_dir_open(path, ret_dir, error);

    if (err == PN_OK) {
        err = pn_data_dir_lock(ret_dir, true, ret_lock, error);
    }
    return err;
}

pn_err pn_certificate_open(const char *dir, int64_t wall_s,
    pn_certificate **ret_certificate, char ret_why[PN_CERTIFICATE_WHY_MAX])
{
    pn_store_error error = {.text = ""};
    pn_data_dir at;
    int lock_fd;
    pn_err err = lock_dir(dir, &at, &lock_fd, &error);

    if (err == PN_OK) {
        err = open_locked(&at, wall_s, ret_certificate, &error);
        (void)close(lock_fd);
    }
    pn_data_dir_close(&at);
    (void)snprintf(
        ret_why, PN_CERTIFICATE_WHY_MAX, "%s", err == PN_OK ? "" : error.text);
    return err;
}

/* ---- rotation --------------------------------------------------------- */

static pn_err replace_file(const pn_data_dir *dir, const char *file,
    const pn_buf *pem, pn_store_error *error)
{
    int why = 0;
    pn_err err = pn_file_replace(
        dir->fd, file, pem->data + pem->off, pn_buf_used(pem), &why);

    return err == PN_OK ? PN_OK
                        : pn_data_dir_fail_file(dir, error, err, file, why);
}

static pn_err replace_both(const pn_data_dir *dir, const pem_pair *old,
    const pem_pair *new, pn_store_error *error)
{
    pn_store_error ignored;
    int why;
    pn_err err = replace_file(dir, CRT_FILE, &new->crt, error);

    if (err != PN_OK) {
        return err;
    }
    err = replace_file(dir, KEY_FILE, &new->key, error);
    if (err != PN_OK && pn_file_restore(dir->fd, CRT_FILE, &why) != PN_OK) {
        (void)!replace_file(dir, CRT_FILE, &old->crt, &ignored);
    }
    /* The copies that replacing leaves beside the files; backups has them. */
    (void)!pn_file_remove(dir->fd, KEY_BAK, &why);
    (void)!pn_file_remove(dir->fd, CRT_BAK, &why);
    return err;
}

static pn_err rotate_locked(const pn_data_dir *dir, int64_t wall_us,
    char **ret_backup, pn_store_error *error)
{
    static const char *const names[PN_BACKUP_FILES] = {CRT_FILE, KEY_FILE};
    pn_certificate *old_certificate = NULL;
    pem_pair old = {0};
    pem_pair new = {0};
    char *backup = NULL;
    pn_err err = read_or_create(dir, 0, false, &old, error);

    if (err == PN_OK) {
        err = use_files(dir, &old, &old_certificate, error);
    }
    if (err == PN_OK) {
        err = make_pem(wall_us / 1000000, &new.crt, &new.key);
    }
    if (err == PN_OK) {
        err = pn_backup_make(dir, names, wall_us, &backup, error);
    }
    if (err == PN_OK) {
        err = replace_both(dir, &old, &new, error);
    }
    pn_certificate_free(old_certificate);
    pem_fini(&old);
    pem_fini(&new);
    if (err != PN_OK) {
        free(backup);
        return err;
    }
    *ret_backup = backup;
    return PN_OK;
}

pn_err pn_certificate_rotate(const char *dir, int64_t wall_us,
    char **ret_backup, pn_store_error *ret_error)
{
    pn_data_dir at;
    int lock_fd;
    pn_err err;

    pn_store_error_clear(ret_error);
    err = lock_dir(dir, &at, &lock_fd, ret_error);
    if (err == PN_OK) {
        err = rotate_locked(&at, wall_us, ret_backup, ret_error);
        (void)close(lock_fd);
    }
    pn_data_dir_close(&at);
    return err;
}

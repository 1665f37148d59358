/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A data directory as one encrypted file. The passphrase is a line of standard
 * input: neither arguments nor the environment are a place for it.
 *
 *     backup DIR save FILE
 *     backup DIR load FILE         into an empty or missing DIR
 */
#include <string.h>

#include "common.h"

static int save(const char *dir, const char *file, pn_slice passphrase)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    pn_public_key key;
    uint32_t n_files;
    pn_why why = {0};

    if (pn_backup_write(dir, file, false, passphrase, &key, &n_files, &why)
        != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    pn_key_fingerprint(&key, fingerprint);
    printf("saved %s, %u files\n", fingerprint, (unsigned)n_files);
    return 0;
}

/* A wrong passphrase and a damaged file look the same: PN_AUTH. */
static int load(const char *dir, const char *file, pn_slice passphrase)
{
    pn_why why = {0};
    pn_err err = pn_backup_restore(
        dir, file, false, passphrase, NULL, NULL, NULL, &why);

    if (err != PN_OK) {
        fprintf(stderr, "%s: %s\n", pn_err_name(err), why.text);
        return 1;
    }
    printf("loaded; run no other node with this key\n");
    return 0;
}

int main(int argc, char **argv)
{
    char line[PN_BACKUP_PASSPHRASE_MAX + 2];
    pn_slice passphrase = {(const uint8_t *)line, 0};
    int status = 2;

    if (argc != 4 || fgets(line, sizeof(line), stdin) == NULL) {
        fprintf(stderr, "usage: backup DIR save|load FILE <PASSPHRASE\n");
        return status;
    }
    passphrase.len = strcspn(line, "\n");
    if (strcmp(argv[2], "save") == 0) {
        status = save(argv[1], argv[3], passphrase);
    } else if (strcmp(argv[2], "load") == 0) {
        status = load(argv[1], argv[3], passphrase);
    }
    explicit_bzero(line, sizeof(line));
    return status;
}

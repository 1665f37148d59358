/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trust list of a data directory, with or without a node that runs on it;
 * one that does sees the change at once.
 *
 *     trust DIR                    our key, and who is paired
 *     trust DIR add KEY LABEL
 *     trust DIR remove PEER        a label, a key, or digits of a fingerprint
 */
#include <string.h>

#include "common.h"

/* An error of the store is a sentence that names the file. */
static int refuse(pn_err err, const pn_store_error *error)
{
    fprintf(stderr, "%s\n", error->text[0] ? error->text : pn_strerror(err));
    return 1;
}

static int list(const pn_store *store, const pn_store_peer *peers, size_t n)
{
    char text[PN_BASE32_LEN + 1];
    char fingerprint[PN_FINGERPRINT_LEN + 1];

    pn_key_to_base32(pn_store_key(store), text);
    printf("libpeernet %s\nkey %s\n", pn_version(), text);
    for (size_t i = 0; i < n; i++) {
        pn_key_fingerprint(&peers[i].key, fingerprint);
        printf("%s %s\n", fingerprint, peers[i].label);
    }
    return 0;
}

static int add(pn_store *store, const char *key_text, const char *label)
{
    pn_store_error error = {""};
    pn_public_key key;
    pn_err err = pn_key_parse(key_text, &key);

    if (err == PN_OK) {
        err = pn_store_pair(store, &key, label, NULL, &error);
    }
    return err == PN_OK ? 0 : refuse(err, &error);
}

static int take_out(
    pn_store *store, const pn_store_peer *peers, size_t n, const char *name)
{
    pn_store_error error = {""};
    pn_public_key key;
    pn_err err = pn_store_find(peers, n, name, &key);

    if (err == PN_OK) {
        err = pn_store_unpair(store, &key, &error);
    }
    return err == PN_OK ? 0 : refuse(err, &error);
}

int main(int argc, char **argv)
{
    pn_store_error error = {""};
    pn_store_error warning = {""};
    pn_store *store = NULL;
    pn_store_peer *peers = NULL;
    size_t n = 0;
    int status = 2;
    pn_err err;

    if (argc < 2) {
        fprintf(stderr, "usage: trust DIR [add KEY LABEL | remove PEER]\n");
        return status;
    }
    err = pn_store_open(argv[1], &store, &error, &warning);
    if (err == PN_OK) {
        err = pn_store_peers(store, &peers, &n, &error);
    }
    if (err != PN_OK) {
        status = refuse(err, &error);
    } else if (argc == 2) {
        status = list(store, peers, n);
    } else if (argc == 5 && strcmp(argv[2], "add") == 0) {
        status = add(store, argv[3], argv[4]);
    } else if (argc == 4 && strcmp(argv[2], "remove") == 0) {
        status = take_out(store, peers, n, argv[3]);
    }
    free(peers);
    pn_store_close(store);
    return status;
}

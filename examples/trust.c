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
static int refuse(pn_err err, const pn_why *why)
{
    fprintf(stderr, "%s\n", why->text[0] ? why->text : pn_strerror(err));
    return 1;
}

static int list(const char *dir, const pn_store *store,
    const pn_store_peer *peers, size_t n)
{
    char text[PN_BASE32_LEN + 1];
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    int64_t pid = 0;

    if (pn_store_find_node(dir, &pid) == PN_OK) {
        printf("a node runs here: process %lld\n", (long long)pid);
    }
    pn_key_to_base32(pn_store_key(store), text);
    printf("libpeernet %s\nkey %s\n", pn_version(), text);
    for (size_t i = 0; i < n; i++) {
        pn_key_fingerprint(&peers[i].key, fingerprint);
        printf("%s %s\n", fingerprint, peers[i].label);
    }
    return 0;
}

/* Peers whose pairing waits for the other end. */
static int list_pending(pn_store *store)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    pn_why why = {0};
    pn_store_peer *peers;
    size_t n;
    pn_err err = pn_store_list_pending(store, &peers, &n, &why);

    if (err != PN_OK) {
        return refuse(err, &why);
    }
    for (size_t i = 0; i < n; i++) {
        pn_key_fingerprint(&peers[i].key, fingerprint);
        printf("%s %s (not confirmed)\n", fingerprint, peers[i].label);
    }
    free(peers);
    return 0;
}

static int add(pn_store *store, const char *key_text, const char *label)
{
    pn_why why = {0};
    pn_public_key key;
    pn_err err = pn_key_parse(key_text, &key);

    if (err == PN_OK) {
        err = pn_store_pair(store, &key, label, NULL, &why);
    }
    return err == PN_OK ? 0 : refuse(err, &why);
}

static int take_out(
    pn_store *store, const pn_store_peer *peers, size_t n, const char *name)
{
    pn_why why = {0};
    pn_public_key key;
    pn_err err = pn_store_find(peers, n, name, &key);

    if (err == PN_OK) {
        err = pn_store_unpair(store, &key, &why);
    }
    return err == PN_OK ? 0 : refuse(err, &why);
}

int main(int argc, char **argv)
{
    pn_why why = {0};
    pn_why warning = {0};
    pn_store *store = NULL;
    pn_store_peer *peers = NULL;
    size_t n = 0;
    int status = 2;
    pn_err err;

    if (argc < 2) {
        fprintf(stderr, "usage: trust DIR [add KEY LABEL | remove PEER]\n");
        return status;
    }
    err = pn_store_open(argv[1], &store, &why, &warning);
    if (err == PN_OK) {
        err = pn_store_peers(store, &peers, &n, &why);
    }
    if (err != PN_OK) {
        status = refuse(err, &why);
    } else if (argc == 2) {
        status = list(argv[1], store, peers, n);
        if (status == 0) {
            status = list_pending(store);
        }
    } else if (argc == 5 && strcmp(argv[2], "add") == 0) {
        status = add(store, argv[3], argv[4]);
    } else if (argc == 4 && strcmp(argv[2], "remove") == 0) {
        status = take_out(store, peers, n, argv[3]);
    }
    free(peers);
    pn_store_close(store);
    return status;
}

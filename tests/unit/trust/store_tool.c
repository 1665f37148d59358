/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A data directory from the command line, for the fault-injection scripts:
 *
 *     store-tool DIR init | pair KEY [LABEL] | unpair KEY | list
 *                | hold | serve | backup FILE | restore FILE
 *
 * init and list print our key, list then one "KEY LABEL" per peer. hold takes
 * node.lock, says so and waits for the end of standard input. serve unpairs and
 * pairs by lines of standard input and answers each with the error's name and
 * whether the key is trusted in memory. backup and restore have a passphrase
 * that is cheap to try; restore replaces what is there. Exit status: 0, or 1
 * with a sentence.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "trust/backup_files.h"
#include "trust/store.h"

static pn_why error;

static int report(pn_err err)
{
    if (err == PN_OK) {
        return 0;
    }
    fprintf(stderr, "%s: %s\n", pn_err_name(err), error.text);
    return 1;
}

static int print_list(pn_store *store)
{
    pn_store_peer *peers;
    size_t n;
    char text[PN_BASE32_LEN + 1];
    pn_err err = pn_store_peers(store, &peers, &n, &error);

    if (err != PN_OK) {
        return report(err);
    }
    pn_key_to_base32(pn_store_key(store), text);
    printf("%s\n", text);
    for (size_t i = 0; i < n; i++) {
        pn_key_to_base32(&peers[i].key, text);
        printf("%s %s\n", text, peers[i].label);
    }
    free(peers);
    return 0;
}

static int hold(pn_store *store)
{
    pn_err err = pn_store_lock_node(store, &error);

    if (err != PN_OK) {
        return report(err);
    }
    puts("held");
    (void)fflush(stdout);
    while (getchar() != EOF) {}
    return 0;
}

static int serve(pn_store *store)
{
    char verb[8];
    char text[65];

    while (scanf("%7s %64s", verb, text) == 2) {
        pn_public_key key;
        pn_err err = pn_key_parse(text, &key);

        if (err == PN_OK) {
            err = strcmp(verb, "pair") == 0
                      ? pn_store_pair(store, &key, NULL, NULL, &error)
                      : pn_store_unpair(store, &key, &error);
        }
        printf("%s %s\n", pn_err_name(err),
            pn_trust_list_find(pn_store_trust(store), &key) != NULL
                ? "trusted"
                : "stranger");
        (void)fflush(stdout);
    }
    return 0;
}

static int edit(pn_store *store, int n, char **args)
{
    pn_public_key key;

    if (n < 2 || pn_key_parse(args[1], &key) != PN_OK) {
        fprintf(stderr, "expected a key\n");
        return 2;
    }
    if (strcmp(args[0], "pair") == 0) {
        return report(
            pn_store_pair(store, &key, n > 2 ? args[2] : NULL, NULL, &error));
    }
    return report(pn_store_unpair(store, &key, &error));
}

static int run(pn_store *store, int n, char **args)
{
    if (strcmp(args[0], "init") == 0 || strcmp(args[0], "list") == 0) {
        return print_list(store);
    }
    if (strcmp(args[0], "hold") == 0) {
        return hold(store);
    }
    if (strcmp(args[0], "serve") == 0) {
        return serve(store);
    }
    if (strcmp(args[0], "pair") == 0 || strcmp(args[0], "unpair") == 0) {
        return edit(store, n, args);
    }
    fprintf(stderr, "no such verb: %s\n", args[0]);
    return 2;
}

/* These open the directory themselves. */
static int back_up(const char *dir, const char *verb, const char *file)
{
    const pn_slice passphrase = pn_slice_of("store-tool");

    return report(strcmp(verb, "backup") == 0
                      ? pn_backup_write_costing(dir, file, true, passphrase,
                          PN_BACKUP_LOG_N_MIN, NULL, NULL, &error)
                      : pn_backup_restore(dir, file, true, passphrase, NULL,
                          NULL, NULL, &error));
}

int main(int argc, char **argv)
{
    pn_why warning;
    pn_store *store;
    int status;
    pn_err err;

    if (argc < 3) {
        fprintf(stderr, "store-tool DIR VERB [KEY [LABEL]]\n");
        return 2;
    }
    if (argc == 4
        && (strcmp(argv[2], "backup") == 0
            || strcmp(argv[2], "restore") == 0)) {
        return back_up(argv[1], argv[2], argv[3]);
    }
    err = pn_store_open(argv[1], &store, &error, &warning);
    if (err != PN_OK) {
        return report(err);
    }
    if (warning.text[0] != '\0') {
        fprintf(stderr, "warning: %s\n", warning.text);
    }
    status = run(store, argc - 2, argv + 2);
    pn_store_close(store);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A data directory with known content; see fixture.h. */
#include <sys/stat.h>
#include <sys/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

pn_public_key fixture_alice;
pn_public_key fixture_bob;
pn_public_key fixture_carol;
fixture_file fixture_files[FIXTURE_N_FILES];

static void must(bool is_done, const char *what)
{
    if (!is_done) {
        fprintf(stderr, "fixture: %s\n", what);
        exit(99);
    }
}

pn_public_key fixture_key(unsigned n)
{
    pn_public_key key;

    memset(key.bytes, 0x40, sizeof(key.bytes));
    for (unsigned i = 0; i < 4; i++) {
        key.bytes[i] = (uint8_t)(n >> 8 * i);
    }
    return key;
}

static void keep(unsigned at, const char *name, const pn_buf *b)
{
    uint8_t *copy = malloc(b->len);

    must(copy != NULL, "memory");
    memcpy(copy, b->data, b->len);
    fixture_files[at] = (fixture_file){name, copy, b->len};
}

static void make_identity(void)
{
    static const char hex[] =
        "504e49440220c769cbfc99432f19e1eb60f54c1a5af920a5941b3ae0384ca15690"
        "c221592c5c2035876825af8dfc53d5bf60f77693dfedaa7848e6137502027a9557"
        "7e44c79721";
    size_t len;
    uint8_t *data = pn_unhex(hex, &len);

    fixture_files[FIXTURE_IDENTITY] = (fixture_file){
        "identity.keys", data, len};
    memcpy(fixture_alice.bytes, data + 6, sizeof(fixture_alice.bytes));
}

static void make_trust(void)
{
    pn_trust_list list = {0};
    pn_buf b = {0};

    must(pn_trust_list_add(&list, &fixture_bob, NULL, FIXTURE_BOB_US) == PN_OK,
        "bob");
    must(pn_trust_list_add(&list, &fixture_carol, "carol", FIXTURE_CAROL_US)
             == PN_OK,
        "carol");
    must(pn_trust_list_write(&list, &b) == PN_OK, "trust.bin");
    keep(FIXTURE_TRUST, "trust.bin", &b);
    pn_trust_list_fini(&list);
    pn_buf_fini(&b);
}

static void make_addresses(void)
{
    pn_address_list list = {0};
    bool is_changed;
    pn_buf b = {0};

    must(pn_address_list_add(
             &list, &fixture_carol, "192.0.2.7:7100", true, &is_changed)
             == PN_OK,
        "manual");
    must(pn_address_list_add(
             &list, &fixture_carol, "192.0.2.8:7100", false, &is_changed)
             == PN_OK,
        "learned");
    must(pn_address_list_write(&list, &b) == PN_OK, "addresses");
    keep(FIXTURE_ADDRESSES, "addresses", &b);
    pn_address_list_fini(&list);
    pn_buf_fini(&b);
}

void fixture_init(void)
{
    must(pn_key_parse(
             "172f6a5d0a3b2d3aa9f334bbc7a350a9b7f5156db8aa00a8f68e54e8db17d914",
             &fixture_bob)
             == PN_OK,
        "bob");
    must(pn_key_parse(
             "371564cd66892c291f3beae8eac67a8dc4837a69062f562ade8b6102628a2066",
             &fixture_carol)
             == PN_OK,
        "carol");
    make_identity();
    make_trust();
    make_addresses();
}

const char *fixture_data(const pn_tempdir *t)
{
    return pn_tempdir_path(t, "data");
}

const char *fixture_path(const pn_tempdir *t, const char *name)
{
    char below[256];

    (void)snprintf(below, sizeof(below), "data/%s", name);
    return pn_tempdir_path(t, below);
}

void fixture_make(pn_tempdir *t)
{
    char below[256];

    pn_tempdir_init(t);
    must(mkdir(fixture_data(t), 0700) == 0, "mkdir");
    for (unsigned i = 0; i < FIXTURE_N_FILES; i++) {
        (void)snprintf(below, sizeof(below), "data/%s", fixture_files[i].name);
        pn_tempdir_put(t, below, fixture_files[i].data, fixture_files[i].len);
    }
}

void fixture_assert_file(
    const pn_tempdir *t, const char *name, const void *want, size_t want_len)
{
    char below[256];
    size_t len = 0;
    uint8_t *data;

    (void)snprintf(below, sizeof(below), "data/%s", name);
    data = pn_tempdir_get(t, below, &len);
    if (data == NULL) {
        fail_msg("%s is not there", name);
    }
    pn_assert_bytes(data, len, want, want_len);
    free(data);
}

void fixture_assert_untouched(const pn_tempdir *t)
{
    for (unsigned i = 0; i < FIXTURE_N_FILES; i++) {
        fixture_assert_file(t, fixture_files[i].name, fixture_files[i].data,
            fixture_files[i].len);
    }
}

pn_store *fixture_open(const pn_tempdir *t)
{
    pn_store *store = NULL;
    pn_why error = {.text = ""};

    if (pn_store_open(fixture_data(t), &store, &error, NULL) != PN_OK) {
        fail_msg("open: %s", error.text);
    }
    return store;
}

bool fixture_has(pn_store *store, const pn_public_key *key)
{
    pn_store_peer *peers;
    size_t n;
    bool is_there = false;

    assert_int_equal(pn_store_peers(store, &peers, &n, NULL), PN_OK);
    for (size_t i = 0; i < n; i++) {
        is_there = is_there || pn_key_equal(&peers[i].key, key);
    }
    free(peers);
    return is_there;
}

void assert_says(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", text, part);
    }
}

void fixture_eight_first_starts(
    pn_err (*open)(void *user, pn_principal *ret_who), void *user)
{
    enum { STARTS = 8 };
    pid_t pids[STARTS];
    pn_principal keys[STARTS];
    int results[2];

    assert_int_equal(pipe(results), 0);
    for (unsigned i = 0; i < STARTS; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            if (open(user, &keys[i]) != PN_OK) {
                _exit(1);
            }
            (void)!write(results[1], &keys[i], sizeof(keys[i]));
            _exit(0);
        }
    }
    for (unsigned i = 0; i < STARTS; i++) {
        int status = 1;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
        assert_int_equal(
            read(results[0], &keys[i], sizeof(keys[i])), sizeof(keys[i]));
        assert_true(pn_principal_equal(&keys[0], &keys[i]));
    }
    assert_int_equal(close(results[0]), 0);
    assert_int_equal(close(results[1]), 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FI-8 for the store: the 1st, 2nd, 3rd ... allocation of an edit fails, until
 * it passes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "nomem.h"

static pn_public_key new_key;

static pn_err do_pair(pn_store *store)
{
    return pn_store_pair(store, &new_key, "label", "h:1", NULL);
}

static pn_err do_unpair(pn_store *store)
{
    return pn_store_unpair(store, &fixture_carol, NULL);
}

static pn_err do_remember(pn_store *store)
{
    return pn_store_remember(store, &fixture_bob, "h:2");
}

static pn_err do_reload(pn_store *store)
{
    return pn_store_reload(store, NULL, NULL);
}

static pn_err do_peers(pn_store *store)
{
    pn_store_peer *peers = NULL;
    size_t n;
    pn_err err = pn_store_peers(store, &peers, &n, NULL);

    free(peers);
    return err;
}

static pn_err do_grant(pn_store *store)
{
    const pn_stored_grant grant = {.who = pn_peernet_principal(&fixture_bob),
        .name = "led",
        .until_us = PN_GRANT_FOR_EVER};

    return pn_store_grant(store, &grant, NULL);
}

static pn_err do_role(pn_store *store)
{
    return pn_store_set_role(
        store, "r", (const char *[]){"led", "a b"}, 2, NULL);
}

static pn_err do_grants(pn_store *store)
{
    pn_stored_line *lines = NULL;
    size_t n;
    pn_err err = pn_store_list_grants(store, &lines, &n, NULL);

    free(lines);
    return err;
}

static pn_err do_can(pn_store *store)
{
    const pn_principal who = pn_peernet_principal(&fixture_bob);
    pn_reason reason;
    pn_can_step *steps = NULL;
    size_t n;
    pn_err err = pn_store_can(store, &who, "led", &reason, &steps, &n, NULL);

    free(steps);
    return err;
}

typedef struct op_row {
    const char *name;
    pn_err (*run)(pn_store *store);
    bool is_edit; /* of the trust list */
} op_row;

static const op_row OPS[] = {
    {"pair", do_pair, true},
    {"unpair", do_unpair, true},
    {"remember", do_remember, false},
    {"reload", do_reload, false},
    {"peers", do_peers, false},
    {"grant", do_grant, false},
    {"role", do_role, false},
    {"grants", do_grants, false},
    {"can", do_can, false},
};

static bool trusts(const pn_store *store, const pn_public_key *key)
{
    return pn_trust_list_find(pn_store_trust(store), key) != NULL;
}

/* On disk, by a store that knows nothing of what failed. */
static bool lists(const pn_tempdir *t, const pn_public_key *key)
{
    pn_store *store = fixture_open(t);
    const bool is_listed = trusts(store, key);

    pn_store_close(store);
    return is_listed;
}

static void write_grants(const pn_tempdir *t)
{
    char key[PN_BASE32_LEN + 1];
    FILE *f = fopen(fixture_path(t, "grants"), "w");

    assert_non_null(f);
    pn_key_to_base32(&fixture_carol, key);
    (void)fprintf(f, "# x\npaired \"a b\"\nrole r x\npeernet %s x\nbad\n", key);
    assert_int_equal(fclose(f), 0);
}

/* Runs one operation with its nth allocation failing; false when it has fewer.
 */
static bool fail_nth(const op_row *op, unsigned n)
{
    pn_tempdir t;
    pn_store *store;
    pn_store *again;
    bool has_failed;
    pn_err err;

    fixture_make(&t);
    write_grants(&t);
    store = fixture_open(&t);
    pn_nomem_begin(n);
    err = op->run(store);
    has_failed = pn_nomem_end();
    if (has_failed && err != PN_OK) {
        assert_int_equal(err, PN_NOMEM);
        /* Unpairing counts all the same; nothing else happened. */
        assert_int_equal(trusts(store, &fixture_carol), op->run != do_unpair);
        assert_false(trusts(store, &new_key));
        /* ... but that its grants could not be removed. */
        if (op->run != do_unpair || lists(&t, &fixture_carol)) {
            fixture_assert_file(
                &t, "trust.bin", fixture_files[1].data, fixture_files[1].len);
        }
    } else {
        assert_int_equal(err, PN_OK);
        assert_int_equal(trusts(store, &new_key), op->run == do_pair);
    }
    assert_true(trusts(store, &fixture_bob));
    /* With memory again, everything works, also for others. */
    err = op->run(store);
    assert_true(err == PN_OK || err == PN_EXISTS || err == PN_NOT_FOUND);
    again = fixture_open(&t);
    assert_true(
        pn_trust_list_equal(pn_store_trust(again), pn_store_trust(store)));
    pn_store_close(again);
    pn_store_close(store);
    pn_tempdir_fini(&t);
    return has_failed;
}

static void test_trust_nomem_op(void **state)
{
    const op_row *op = *state;
    unsigned n = 1;

    while (fail_nth(op, n)) {
        n++;
    }
    assert_true(n > (op->is_edit ? 10 : 3));
}

/* Memory ends at the nth allocation of an unpairing: the peer stays removed
 * whatever the disk has, also when it is read again. */
static void test_trust_nomem_cut(void **state)
{
    bool has_failed;
    unsigned n = 0;

    (void)state;
    do {
        pn_store *store;
        pn_tempdir t;

        fixture_make(&t);
        store = fixture_open(&t);
        pn_nomem_begin_all(++n);
        (void)!pn_store_unpair(store, &fixture_carol, NULL);
        has_failed = pn_nomem_end();
        assert_false(trusts(store, &fixture_carol));
        assert_int_equal(pn_store_reload(store, NULL, NULL), PN_OK);
        assert_false(trusts(store, &fixture_carol));
        pn_store_close(store);
        pn_tempdir_fini(&t);
    } while (has_failed);
    assert_true(n > 10);
}

/* Opening: nothing is left open or half made, and the next one works. */
static void test_trust_nomem_open(void **state)
{
    const bool is_first = *(const bool *)*state;
    unsigned n = 0;
    bool has_failed;
    pn_err err;

    do {
        pn_store *store = NULL;
        pn_tempdir t;

        if (is_first) {
            pn_tempdir_init(&t);
        } else {
            fixture_make(&t);
        }
        pn_nomem_begin(++n);
        err = pn_store_open(fixture_data(&t), &store, NULL, NULL);
        has_failed = pn_nomem_end();
        if (err != PN_OK) {
            assert_true(err == PN_NOMEM || err == PN_SYS);
            assert_null(store);
            assert_int_equal(
                pn_store_open(fixture_data(&t), &store, NULL, NULL), PN_OK);
        }
        if (!is_first) {
            fixture_assert_untouched(&t);
            assert_true(trusts(store, &fixture_bob));
        }
        pn_store_close(store);
        pn_tempdir_fini(&t);
    } while (has_failed);
    assert_true(n > 3);
}

int main(void)
{
    static const bool truths[] = {false, true};

    fixture_init();
    new_key = fixture_key(1);
    for (size_t i = 0; i < sizeof(OPS) / sizeof(OPS[0]); i++) {
        pn_test_addf(test_trust_nomem_op, (void *)(uintptr_t)&OPS[i],
            "trust/nomem/%s", OPS[i].name);
    }
    pn_test_add("trust/nomem/cut", test_trust_nomem_cut, NULL);
    pn_test_add("trust/nomem/open", test_trust_nomem_open,
        (void *)(uintptr_t)&truths[0]);
    pn_test_add("trust/nomem/first_open", test_trust_nomem_open,
        (void *)(uintptr_t)&truths[1]);
    return pn_test_run("trust/nomem");
}

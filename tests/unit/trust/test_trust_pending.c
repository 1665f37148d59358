/* SPDX-License-Identifier: Apache-2.0 */
/* Pending pairings: the file, the time that a record lasts, and the record that
 * becomes a peer (PAIR-2). */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "os/clock.h"

#define NOW_S INT64_C(1790000000)

static pn_why error;

/* ---- the bytes ---------------------------------------------------------- */

static void make_file(pn_buf *out)
{
    pn_pending_list list = {0};
    const pn_public_key one = fixture_key(1);
    const pn_public_key two = fixture_key(2);

    pn_pending_add(&list, &one, "lamp", NOW_S);
    pn_pending_add(&list, &two, NULL, NOW_S + 5);
    *out = (pn_buf){0};
    assert_int_equal(pn_pending_write(&list, out), PN_OK);
    assert_int_equal(out->len, 16 + 2 * PN_PENDING_RECORD_LEN + 32);
}

static void test_round_trip(void **state)
{
    const pn_public_key one = fixture_key(1);
    const pn_public_key two = fixture_key(2);
    const char *why = NULL;
    pn_pending_list list;
    pn_buf file;

    (void)state;
    make_file(&file);
    assert_int_equal(pn_pending_read(file.data, file.len, &list, &why), PN_OK);
    assert_int_equal(list.n, 2);
    assert_string_equal(pn_pending_find(&list, &one, NOW_S)->label, "lamp");
    assert_string_equal(pn_pending_find(&list, &two, NOW_S + 5)->label, "");
    assert_true(list.entries[1].until_s == NOW_S + 5 + PN_PENDING_S);
    pn_buf_fini(&file);
}

static pn_err read_copy(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    pn_pending_list list = {.n = 77};
    const char *why = NULL;
    pn_err err;

    assert_non_null(copy);
    memcpy(copy, data, len);
    err = pn_pending_read(copy, len, &list, &why);
    assert_true((err == PN_OK) == (list.n != 77));
    assert_true((err == PN_OK) == (why == NULL));
    free(copy);
    return err;
}

/* Every prefix, every changed byte, and a byte too many. */
static void test_damage(void **state)
{
    pn_buf file;

    (void)state;
    make_file(&file);
    for (size_t n = 0; n < file.len; n++) {
        assert_int_equal(read_copy(file.data, n), PN_CORRUPT);
        file.data[n] ^= 0x20;
        assert_int_equal(read_copy(file.data, file.len), PN_CORRUPT);
        file.data[n] ^= 0x20;
    }
    assert_int_equal(pn_buf_append(&file, "x", 1), PN_OK);
    assert_int_equal(read_copy(file.data, file.len), PN_CORRUPT);
    pn_buf_fini(&file);
}

/* A label with control characters, under a sum that fits. */
static void test_label(void **state)
{
    const pn_public_key one = fixture_key(1);
    pn_pending_list list = {0};
    pn_buf file = {0};

    (void)state;
    pn_pending_add(&list, &one, "a\x1b", NOW_S);
    assert_int_equal(pn_pending_write(&list, &file), PN_OK);
    assert_int_equal(read_copy(file.data, file.len), PN_CORRUPT);
    pn_buf_fini(&file);
}

/* ---- the list -------------------------------------------------------------
 */

static void test_time(void **state)
{
    const pn_public_key one = fixture_key(1);
    pn_pending_list list = {0};

    (void)state;
    pn_pending_add(&list, &one, NULL, NOW_S);
    assert_non_null(pn_pending_find(&list, &one, NOW_S));
    assert_non_null(pn_pending_find(&list, &one, NOW_S + PN_PENDING_S - 1));
    assert_null(pn_pending_find(&list, &one, NOW_S + PN_PENDING_S));
    /* The clock was set back: it would last longer than a day. */
    assert_null(pn_pending_find(&list, &one, NOW_S - 1));
    assert_false(pn_pending_expire(&list, NOW_S + PN_PENDING_S - 1));
    assert_true(pn_pending_expire(&list, NOW_S + PN_PENDING_S));
    assert_int_equal(list.n, 0);
}

static void test_full(void **state)
{
    const pn_public_key first = fixture_key(0);
    const pn_public_key second = fixture_key(1);
    pn_pending_list list = {0};

    (void)state;
    for (unsigned i = 0; i < PN_PENDING_MAX; i++) {
        const pn_public_key key = fixture_key(i);

        pn_pending_add(&list, &key, NULL, NOW_S);
    }
    pn_pending_add(&list, &second, "again", NOW_S + 1);
    assert_int_equal(list.n, PN_PENDING_MAX);
    assert_non_null(pn_pending_find(&list, &first, NOW_S + 1));
    pn_pending_add(&list, &fixture_bob, NULL, NOW_S + 1);
    assert_int_equal(list.n, PN_PENDING_MAX);
    assert_null(pn_pending_find(&list, &first, NOW_S + 1));
    assert_string_equal(
        pn_pending_find(&list, &second, NOW_S + 1)->label, "again");
}

/* ---- in a data directory ---------------------------------------------------
 */

static size_t count_pending(pn_store *store)
{
    pn_store_peer *peers;
    size_t n;

    assert_int_equal(pn_store_list_pending(store, &peers, &n, &error), PN_OK);
    free(peers);
    return n;
}

static void test_store(void **state)
{
    const pn_public_key key = fixture_key(1);
    pn_store_peer *peers;
    pn_store *store;
    pn_store *other;
    pn_tempdir t;
    size_t n;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    assert_int_equal(count_pending(store), 0);
    assert_int_equal(pn_store_complete(store, &key, &error), PN_NOT_FOUND);
    assert_int_equal(pn_store_pend(store, &key, "lamp", &error), PN_OK);
    assert_int_equal(pn_tempdir_mode(&t, "data/pending"), 0600);
    assert_false(fixture_has(store, &key));

    /* Another process sees it, and knows who it is. */
    other = fixture_open(&t);
    assert_int_equal(pn_store_list_pending(other, &peers, &n, &error), PN_OK);
    assert_int_equal(n, 1);
    assert_true(pn_key_equal(&peers[0].key, &key));
    assert_string_equal(peers[0].label, "lamp");
    free(peers);
    assert_int_equal(pn_store_complete(other, &key, &error), PN_OK);
    assert_true(fixture_has(other, &key));
    assert_int_equal(count_pending(other), 0);
    /* Once only. */
    assert_int_equal(pn_store_complete(other, &key, &error), PN_NOT_FOUND);
    pn_store_close(other);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* What is unpaired does not come back. */
static void test_unpair(void **state)
{
    const pn_public_key key = fixture_key(1);
    pn_store *store;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    assert_int_equal(pn_store_pend(store, &key, NULL, &error), PN_OK);
    assert_int_equal(pn_store_unpair(store, &key, &error), PN_OK);
    assert_int_equal(count_pending(store), 0);
    assert_int_equal(pn_store_complete(store, &key, &error), PN_NOT_FOUND);
    assert_false(fixture_has(store, &key));
    assert_int_equal(pn_store_unpair(store, &key, &error), PN_NOT_FOUND);

    assert_int_equal(pn_store_pend(store, &key, NULL, &error), PN_OK);
    assert_int_equal(pn_store_unpend(store, &key, &error), PN_OK);
    assert_int_equal(pn_store_complete(store, &key, &error), PN_NOT_FOUND);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* A damaged file completes nothing, and is not overwritten. */
static void test_store_damaged(void **state)
{
    const pn_public_key key = fixture_key(1);
    pn_store *store;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    assert_int_equal(pn_store_pend(store, &key, NULL, &error), PN_OK);
    pn_tempdir_put(&t, "data/pending", "peernet pending1", 16);
    assert_int_equal(pn_store_complete(store, &key, &error), PN_CORRUPT);
    assert_says(error.text, "pending");
    assert_int_equal(pn_store_pend(store, &key, NULL, &error), PN_CORRUPT);
    assert_false(fixture_has(store, &key));
    fixture_assert_file(&t, "pending", "peernet pending1", 16);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

int main(void)
{
    fixture_init();
    pn_test_add("trust/pending/round_trip", test_round_trip, NULL);
    pn_test_add("trust/pending/damage", test_damage, NULL);
    pn_test_add("trust/pending/label", test_label, NULL);
    pn_test_add("trust/pending/time", test_time, NULL);
    pn_test_add("trust/pending/full", test_full, NULL);
    pn_test_add("trust/pending/store", test_store, NULL);
    pn_test_add("trust/pending/unpair", test_unpair, NULL);
    pn_test_add("trust/pending/store_damaged", test_store_damaged, NULL);
    return pn_test_run("trust/pending");
}

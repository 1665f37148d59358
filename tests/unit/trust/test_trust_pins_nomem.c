/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FI-8 for a Barrel key directory: the 1st, 2nd, 3rd ... allocation fails,
 * until it passes.
 */
#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "keys/barrel_keys.h"
#include "keys/pins.h"
#include "nomem.h"
#include "tempdir.h"

/* ---- operations -------------------------------------------------------- */

static const pn_ed25519_key KEY = {.bytes = {1, 2, 3}};
static const pn_slice NAME = {(const uint8_t *)"new@h", 5};

static pn_err do_add(pn_pins *pins)
{
    return pn_pins_add(pins, NAME, &KEY, 0, NULL);
}

static pn_err do_pin(pn_pins *pins)
{
    return pn_pins_pin(pins, "new@h", &KEY, NULL);
}

static pn_err do_unpin(pn_pins *pins)
{
    return pn_pins_unpin(pins, "a@h", NULL);
}

static pn_err do_reload(pn_pins *pins)
{
    return pn_pins_reload(pins, NULL, NULL);
}

static pn_err do_set_own(pn_pins *pins)
{
    return pn_pins_set_own(pins, "me@h", NULL);
}

typedef struct op_row {
    const char *name;
    pn_err (*run)(pn_pins *pins);
    unsigned min_allocations;
} op_row;

static const op_row OPS[] = {
    {"add", do_add, 3},
    {"pin", do_pin, 3},
    {"unpin", do_unpin, 0},
    {"reload", do_reload, 3},
    {"set_own", do_set_own, 1},
};

static void put(const pn_tempdir *t, const char *name)
{
    char file[64];

    (void)snprintf(file, sizeof(file), "trusted/%s.pub", name);
    pn_tempdir_put(t, file, KEY.bytes, sizeof(KEY.bytes));
}

static bool is_on_disk(const pn_tempdir *t, const char *name)
{
    char file[64];

    (void)snprintf(file, sizeof(file), "trusted/%s.pub", name);
    return pn_tempdir_mode(t, file) >= 0;
}

static bool is_known(const pn_pins *pins, const char *name)
{
    return pn_pins_find(pins, (pn_slice){(const uint8_t *)name, strlen(name)})
           != NULL;
}

/* Runs one operation with its nth allocation failing; false when it has fewer.
 * The table is full, so that one more pin makes it grow. */
static bool fail_nth(const op_row *op, unsigned n)
{
    const pn_pins_options options = {.new_interval_us = 0};
    pn_pins *pins = NULL;
    pn_tempdir t;
    pn_err err;
    char name[16];
    bool has_failed;

    pn_tempdir_init(&t);
    assert_int_equal(mkdir(pn_tempdir_path(&t, "trusted"), 0700), 0);
    put(&t, "a@h");
    for (unsigned i = 1; i < 16; i++) {
        (void)snprintf(name, sizeof(name), "n%u@h", i);
        put(&t, name);
    }
    assert_int_equal(pn_pins_open(t.path, &options, &pins, NULL, NULL), PN_OK);
    pn_nomem_begin(n);
    err = op->run(pins);
    has_failed = pn_nomem_end();
    assert_int_equal(err, has_failed ? PN_NOMEM : PN_OK);
    /* Memory is disk, and an operation that failed did nothing. */
    assert_int_equal(is_known(pins, "a@h"), is_on_disk(&t, "a@h"));
    assert_int_equal(is_known(pins, "new@h"), is_on_disk(&t, "new@h"));
    if (err != PN_OK) {
        assert_true(is_known(pins, "a@h"));
        assert_false(is_known(pins, "new@h"));
        /* With memory again it works. A failed add is no new pin yet, but for
         * one that came as far as the disk there is a pause. */
        err = op->run == do_add ? pn_pins_add(
                  pins, NAME, &KEY, PN_PINS_INTERVAL_DEFAULT_US, NULL)
                                : op->run(pins);
        assert_int_equal(err, PN_OK);
    }
    assert_true(is_known(pins, "n7@h"));
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
    return has_failed;
}

static void test_trust_pins_nomem_op(void **state)
{
    const op_row *op = *state;
    unsigned n = 1;

    while (fail_nth(op, n)) {
        n++;
    }
    assert_true(n > op->min_allocations);
}

/* Taken back although the lock is broken and there is no memory left: it counts
 * no more, whatever the disk says at the next reload. */
static void test_trust_pins_nomem_cut(void **state)
{
    pn_pins *pins = NULL;
    pn_tempdir t;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(mkdir(pn_tempdir_path(&t, "trusted"), 0700), 0);
    put(&t, "a@h");
    assert_int_equal(pn_pins_open(t.path, NULL, &pins, NULL, NULL), PN_OK);
    assert_int_equal(mkdir(pn_tempdir_path(&t, "edit.lock"), 0700), 0);
    pn_nomem_begin_all(1);
    assert_int_equal(pn_pins_unpin(pins, "a@h", NULL), PN_PERMISSION);
    (void)pn_nomem_end();
    assert_false(is_known(pins, "a@h"));
    assert_int_equal(pn_pins_reload(pins, NULL, NULL), PN_OK);
    assert_false(is_known(pins, "a@h"));
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* ---- opening and rotating ---------------------------------------------- */

static pn_err open_pins(const pn_tempdir *t)
{
    const pn_pins_options options = {.own_name = "me@h"};
    pn_pins *pins = NULL;
    pn_err err = pn_pins_open(t->path, &options, &pins, NULL, NULL);

    assert_true(err == PN_OK || pins == NULL);
    pn_pins_close(pins);
    return err;
}

static pn_err open_keys(const pn_tempdir *t)
{
    pn_barrel_keys *keys = NULL;
    pn_err err = pn_barrel_keys_open(t->path, &keys, NULL, NULL);

    assert_true(err == PN_OK || keys == NULL);
    pn_barrel_keys_close(keys);
    return err;
}

static pn_err rotate_keys(const pn_tempdir *t)
{
    pn_barrel_keys *keys = NULL;
    char *backup = NULL;
    pn_err err = pn_barrel_keys_open(t->path, &keys, NULL, NULL);

    if (err == PN_OK) {
        err = pn_barrel_keys_reload(keys, NULL, NULL);
    }
    if (err == PN_OK) {
        err = pn_barrel_keys_rotate(keys, 0, &backup, NULL);
    }
    assert_true((err == PN_OK) == (backup != NULL));
    free(backup);
    pn_barrel_keys_close(keys);
    return err;
}

typedef struct open_row {
    const char *name;
    pn_err (*run)(const pn_tempdir *t);
    unsigned min_allocations;
} open_row;

static const open_row OPENS[] = {
    {"open_pins", open_pins, 4},
    {"open_keys", open_keys, 3},
    {"rotate", rotate_keys, 8},
};

static void test_trust_pins_nomem_open(void **state)
{
    const open_row *row = *state;
    unsigned n = 0;
    bool has_failed;

    do {
        pn_tempdir t;
        pn_err err;

        pn_tempdir_init(&t);
        pn_nomem_begin(++n);
        err = row->run(&t);
        has_failed = pn_nomem_end();
        /* Making a directory says ENOMEM. */
        assert_true(
            err == PN_OK ? !has_failed : err == PN_NOMEM || err == PN_SYS);
        assert_int_equal(open_pins(&t), PN_OK);
        assert_int_equal(open_keys(&t), PN_OK);
        pn_tempdir_fini(&t);
    } while (has_failed);
    assert_true(n > row->min_allocations);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(OPS) / sizeof(OPS[0]); i++) {
        pn_test_addf(test_trust_pins_nomem_op, (void *)(uintptr_t)&OPS[i],
            "trust/pins_nomem/%s", OPS[i].name);
    }
    pn_test_add("trust/pins_nomem/cut", test_trust_pins_nomem_cut, NULL);
    for (size_t i = 0; i < sizeof(OPENS) / sizeof(OPENS[0]); i++) {
        pn_test_addf(test_trust_pins_nomem_open, (void *)(uintptr_t)&OPENS[i],
            "trust/pins_nomem/%s", OPENS[i].name);
    }
    return pn_test_run("trust/pins_nomem");
}

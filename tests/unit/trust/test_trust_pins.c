/* SPDX-License-Identifier: Apache-2.0 */
/* Pins in a key directory. T20 to T23, T37 of RELIABILITY by name. */
#include <sys/stat.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "trust/pins.h"

#define SECOND UINT64_C(1000000)
#define NOW (1000 * SECOND)

static pn_store_error error;
static pn_store_error warning;

static pn_public_key key_of(unsigned n)
{
    pn_public_key key;

    memset(key.bytes, 0x40, sizeof(key.bytes));
    key.bytes[0] = (uint8_t)n;
    key.bytes[1] = (uint8_t)(n >> 8);
    return key;
}

static pn_slice name_of(const char *name)
{
    return (pn_slice){(const uint8_t *)name, strlen(name)};
}

/* A folder with an empty "trusted". */
static void make(pn_tempdir *t)
{
    pn_tempdir_init(t);
    assert_int_equal(mkdirat(t->fd, "trusted", 0700), 0);
}

static void put_key(const pn_tempdir *t, const char *name, unsigned n)
{
    const pn_public_key key = key_of(n);
    char file[300];

    (void)snprintf(file, sizeof(file), "trusted/%s.pub", name);
    pn_tempdir_put(t, file, key.bytes, sizeof(key.bytes));
}

static pn_pins *open_with(const pn_tempdir *t, const pn_pins_options *options)
{
    pn_pins *pins = NULL;

    if (pn_pins_open(t->path, options, &pins, &error, &warning) != PN_OK) {
        fail_msg("open: %s", error.text);
    }
    return pins;
}

static pn_auth_pin look_up(const pn_pins *pins, const char *name, unsigned n)
{
    const pn_public_key key = key_of(n);

    return pn_pins_look_up(pins, name_of(name), &key);
}

static pn_err add(pn_pins *pins, const char *name, unsigned n, uint64_t now_us)
{
    const pn_public_key key = key_of(n);

    return pn_pins_add(pins, name_of(name), &key, now_us, &error);
}

static pn_err pin(pn_pins *pins, const char *name, unsigned n)
{
    const pn_public_key key = key_of(n);

    return pn_pins_pin(pins, name, &key, &error);
}

/* The file of a name holds this key; n 0: there is none. */
static void assert_file(const pn_tempdir *t, const char *name, unsigned n)
{
    const pn_public_key key = key_of(n);
    char file[300];
    size_t len = 0;
    uint8_t *data;

    (void)snprintf(file, sizeof(file), "trusted/%s.pub", name);
    data = pn_tempdir_get(t, file, &len);
    if (n == 0) {
        assert_null(data);
        return;
    }
    assert_non_null(data);
    pn_assert_bytes(data, len, key.bytes, sizeof(key.bytes));
    free(data);
}

/* ---- asking -------------------------------------------------------------- */

static void test_trust_pins_three_answers(void **state)
{
    pn_pins *pins;
    pn_tempdir t;
    const pn_pin *all;
    size_t n;

    (void)state;
    make(&t);
    put_key(&t, "beta@h", 2);
    put_key(&t, "alpha@h", 1);
    put_key(&t, "alpha@h.org", 3);
    pins = open_with(&t, NULL);
    assert_string_equal(warning.text, "");
    assert_int_equal(look_up(pins, "alpha@h", 1), PN_AUTH_PIN_EQUAL);
    assert_int_equal(look_up(pins, "alpha@h", 2), PN_AUTH_PIN_DIFFERS);
    assert_int_equal(look_up(pins, "beta@h", 2), PN_AUTH_PIN_EQUAL);
    assert_int_equal(look_up(pins, "alpha@h.org", 3), PN_AUTH_PIN_EQUAL);
    assert_int_equal(look_up(pins, "alpha@", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(look_up(pins, "alpha@h.", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(look_up(pins, "Alpha@h", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(look_up(pins, "zeta@h", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(look_up(pins, "", 1), PN_AUTH_PIN_ABSENT);
    all = pn_pins_all(pins, &n);
    assert_int_equal(n, 3);
    assert_string_equal(all[0].name, "alpha@h");
    assert_string_equal(all[1].name, "alpha@h.org");
    assert_string_equal(all[2].name, "beta@h");
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* ---- pinning whoever comes ------------------------------------------------
 */

/* T37: kept on disk before it is said. */
static void test_trust_pins_add_is_for_good(void **state)
{
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    pins = open_with(&t, NULL);
    assert_int_equal(add(pins, "alpha@h", 1, NOW), PN_OK);
    assert_file(&t, "alpha@h", 1);
    assert_int_equal(pn_tempdir_mode(&t, "trusted/alpha@h.pub"), 0600);
    assert_int_equal(look_up(pins, "alpha@h", 1), PN_AUTH_PIN_EQUAL);
    assert_int_equal(add(pins, "alpha@h", 2, NOW + 60 * SECOND), PN_EXISTS);
    assert_file(&t, "alpha@h", 1);
    pn_pins_close(pins);
    pins = open_with(&t, NULL);
    assert_int_equal(look_up(pins, "alpha@h", 1), PN_AUTH_PIN_EQUAL);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

#define ADD(function, name) pn_test_add("trust/pins/" name, function, NULL)

int main(void)
{
    ADD(test_trust_pins_three_answers, "three_answers");
    ADD(test_trust_pins_add_is_for_good, "T37_add_is_for_good");
    (void)pin;
    return pn_test_run("trust/pins");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The identity of a Barrel node. T20 to T23 of RELIABILITY by name. */
#include <sys/stat.h>

#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "trust/barrel_keys.h"

static pn_store_error error;
static pn_store_error warning;

/* T20: what we make is ours alone, whatever the umask. */
static void test_trust_barrel_keys_first_start(void **state)
{
    const mode_t mask = umask(0);
    pn_barrel_keys *keys;
    pn_barrel_keys *again;
    pn_tempdir t;
    pn_public_key derived;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(
        pn_barrel_keys_open(pn_tempdir_path(&t, "k"), &keys, &error, &warning),
        PN_OK);
    assert_string_equal(error.text, "");
    assert_string_equal(warning.text, "");
    assert_int_equal(pn_tempdir_mode(&t, "k"), 0700);
    assert_int_equal(pn_tempdir_mode(&t, "k/node.key"), 0600);
    assert_int_equal(pn_tempdir_mode(&t, "k/node.pub"), 0600);
    assert_int_equal(
        pn_ed25519_public(&pn_barrel_keys_pair(keys)->secret, &derived), PN_OK);
    assert_true(pn_key_equal(&derived, &pn_barrel_keys_pair(keys)->public_key));
    assert_int_equal(
        pn_barrel_keys_open(pn_tempdir_path(&t, "k"), &again, &error, &warning),
        PN_OK);
    assert_true(
        pn_key_equal(&derived, &pn_barrel_keys_pair(again)->public_key));
    pn_barrel_keys_close(again);
    pn_barrel_keys_close(keys);
    pn_tempdir_fini(&t);
    (void)umask(mask);
}

#define ADD(function, name)                                                    \
    pn_test_add("trust/barrel_keys/" name, function, NULL)

int main(void)
{
    ADD(test_trust_barrel_keys_first_start, "T20_first_start_is_private");
    return pn_test_run("trust/barrel_keys");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshake of distribution: both roles against each other in any pieces,
 * and each against a peer that does not keep to it (barrel-wire section 14).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "dist_end.h"

/* ---- our two ends -------------------------------------------------------- */

static void test_both(void **state)
{
    size_t piece = *(const size_t *)*state;
    dist_end a;
    dist_end b;

    dist_end_init(&a, PN_DIST_INITIATOR);
    dist_end_init(&b, PN_DIST_RESPONDER);
    dist_end_start(&a);
    dist_end_start(&b);
    dist_talk(&a, &b, piece);
    dist_assert_up(&a, &b);
    dist_assert_up(&b, &a);
    assert_string_equal(b.order, "nu");
    assert_string_equal(b.name, "alpha@127.0.0.1");
    assert_string_equal(a.order, "u");
    assert_true(pn_dist_flags(a.dist) == PN_DIST_FLAGS);
    assert_true(pn_dist_flags(b.dist) == PN_DIST_FLAGS);
    dist_end_fini(&a);
    dist_end_fini(&b);
}

static void add_pairs(void)
{
    static size_t pieces[] = {1, 2, 3, 4, 5, 7, 16, 21, 512};

    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        pn_test_addf(test_both, &pieces[i],
            "barrel/dist_handshake/both in pieces of %zu", pieces[i]);
    }
}

int main(void)
{
    add_pairs();
    return pn_test_run("barrel/dist_handshake");
}

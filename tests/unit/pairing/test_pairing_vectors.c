/* SPDX-License-Identifier: Apache-2.0 */
/* Whole exchanges as another implementation computed them
 * (tests/vectors/make_pairing.py): every byte of both ends, and the digits. */
#include <stdlib.h>

#include "pairing_rig.h"

/* Randomness as recorded. */
typedef struct recorded {
    uint8_t *bytes;
    size_t len;
    size_t at;
} recorded;

static pn_err replay(void *user, uint8_t *buf, size_t len)
{
    recorded *r = user;

    assert_true(len <= r->len - r->at);
    memcpy(buf, r->bytes + r->at, len);
    r->at += len;
    return PN_OK;
}

static void load_end(pairing_end *end, recorded *random, const json_t *row,
    const char *identity, const char *draws)
{
    pn_json_hex_n(row, identity, end->identity.secret.bytes, PN_KEY_LEN);
    assert_int_equal(
        pn_x25519_public(&end->identity.secret, &end->identity.public_key),
        PN_OK);
    random->bytes = pn_json_hex(row, draws, &random->len);
    end->env = (pn_env){.user = random, .random = replay};
}

/* The next message is the one recorded at key. */
static void carry(pairing_rig *rig, pairing_end *from, pairing_end *to,
    const json_t *row, const char *key)
{
    pn_slice out = pn_digits_output(from->digits);
    size_t len;
    uint8_t *want = pn_json_hex(row, key, &len);

    pn_assert_bytes(out.data, out.len, want, len);
    pn_digits_sent(from->digits, out.len);
    pairing_rig_give(rig, to, want, len);
    free(want);
}

static void answer(pairing_end *end, bool yes, uint16_t port, const char *label)
{
    pn_digits_offer offer = {.port = port};

    (void)strcpy(offer.label, label);
    end->owner_yes = yes;
    pn_digits_answer(end->digits, PAIRING_BEGIN, yes, &offer);
}

static void test_exchange(void **state)
{
    const json_t *row = *state;
    const bool is_paired = json_object_get(row, "initiator_yes") != NULL;
    recorded of_a = {0};
    recorded of_b = {0};
    pairing_rig rig;

    pairing_rig_init(&rig, 1);
    load_end(&rig.a, &of_a, row, "initiator_static", "initiator_random");
    load_end(&rig.b, &of_b, row, "responder_static", "responder_random");
    pairing_rig_start(&rig, PN_COMPARE_DIGITS);
    carry(&rig, &rig.a, &rig.b, row, "m1");
    carry(&rig, &rig.b, &rig.a, row, "m2");
    carry(&rig, &rig.a, &rig.b, row, "m3");
    carry(&rig, &rig.b, &rig.a, row, "commit");
    carry(&rig, &rig.a, &rig.b, row, "nonce");
    carry(&rig, &rig.b, &rig.a, row, "reveal");
    assert_string_equal(
        pn_digits_shown(rig.a.digits), pn_json_string(row, "digits"));
    assert_string_equal(
        pn_digits_shown(rig.b.digits), pn_json_string(row, "digits"));
    answer(&rig.b, true, 7100, "door");
    carry(&rig, &rig.b, &rig.a, row, "responder_yes");
    answer(&rig.a, is_paired, 4242, "lamp \xc3\xa9");
    if (is_paired) {
        carry(&rig, &rig.a, &rig.b, row, "initiator_yes");
        carry(&rig, &rig.b, &rig.a, row, "stored");
        assert_string_equal(rig.a.theirs.label, "door");
        assert_string_equal(rig.b.theirs.label, "lamp \xc3\xa9");
    } else {
        carry(&rig, &rig.a, &rig.b, row, "initiator_no");
    }
    assert_true(rig.a.is_stored == is_paired);
    assert_true(rig.b.is_stored == is_paired);
    free(of_a.bytes);
    free(of_b.bytes);
    pairing_rig_fini(&rig);
}

int main(void)
{
    json_t *rows = pn_vectors("pairing.json");
    int status;

    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);

        pn_test_addf(test_exchange, row, "pairing/vectors/%s",
            pn_json_string(row, "name"));
    }
    status = pn_test_run("pairing/vectors");
    json_decref(rows);
    return status;
}

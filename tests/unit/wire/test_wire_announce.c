/* SPDX-License-Identifier: Apache-2.0 */
/* The UDP announce: recorded packets, every length, every constant byte. */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "wire/announce.h"

/* Inputs that raise in the original do not fit our types: a port is 16 bits, a
 * key 32 bytes. */
static void test_encode(void **state)
{
    const char *result = pn_json_string(*state, "result");
    size_t len;
    uint8_t *packet;
    uint8_t out[PN_ANNOUNCE_LEN];
    pn_announce announce = {.kind = PN_ANNOUNCE_NODE};

    if (strcmp(result, "ok") != 0) {
        const json_t *port = json_object_get(*state, "port");
        bool no_key = strlen(pn_json_string(*state, "pubkey_hex"))
                      != 2 * PN_PUBLIC_KEY_LEN;
        bool no_port = !json_is_integer(port) || json_integer_value(port) < 0
                       || json_integer_value(port) > UINT16_MAX;

        assert_true(no_key || no_port);
        assert_int_equal(sizeof(announce.port), 2);
        assert_int_equal(sizeof(announce.key.bytes), 32);
        return;
    }
    packet = pn_json_hex(*state, "packet_hex", &len);
    pn_json_hex_n(*state, "pubkey_hex", announce.key.bytes, 32);
    announce.port = (uint16_t)json_integer_value(
        json_object_get(*state, "port"));
    pn_announce_write(&announce, out);
    pn_assert_bytes(out, sizeof(out), packet, len);
    free(packet);
}

/* Port 0, which the original takes and then dials, is refused. */
static void test_decode(void **state)
{
    size_t len;
    uint8_t *packet = pn_json_hex(*state, "packet_hex", &len);
    json_int_t port = json_integer_value(json_object_get(*state, "port"));
    bool ok = strcmp(pn_json_string(*state, "result"), "ok") == 0 && port != 0;
    pn_announce announce;
    pn_announce before;

    memset(&announce, 0xee, sizeof(announce));
    before = announce;
    assert_int_equal(
        pn_announce_read(packet, len, &announce), ok ? PN_OK : PN_MALFORMED);
    if (ok) {
        uint8_t key[PN_PUBLIC_KEY_LEN];

        pn_json_hex_n(*state, "pubkey_hex", key, sizeof(key));
        assert_int_equal(announce.port, port);
        assert_memory_equal(announce.key.bytes, key, sizeof(key));
    } else {
        assert_memory_equal(&announce, &before, sizeof(before));
    }
    free(packet);
}

static void write_valid(uint8_t out[static PN_ANNOUNCE_LEN])
{
    pn_announce announce = {.port = 7100};

    memset(announce.key.bytes, 0x42, sizeof(announce.key.bytes));
    pn_announce_write(&announce, out);
}

static void test_length(void **state)
{
    uint8_t valid[PN_ANNOUNCE_LEN];
    pn_announce announce;

    (void)state;
    write_valid(valid);
    for (size_t len = 0; len <= 2 * PN_ANNOUNCE_LEN; len++) {
        uint8_t *packet = calloc(1, len == 0 ? 1 : len);

        assert_non_null(packet);
        memcpy(packet, valid, len < sizeof(valid) ? len : sizeof(valid));
        assert_int_equal(pn_announce_read(packet, len, &announce),
            len == PN_ANNOUNCE_LEN ? PN_OK : PN_MALFORMED);
        free(packet);
    }
}

/* Row: which of the five constant bytes. */
static void test_constant(void **state)
{
    size_t at = (size_t)(uintptr_t)*state;
    uint8_t packet[PN_ANNOUNCE_LEN];
    pn_announce announce;

    write_valid(packet);
    for (unsigned x = 1; x < 256; x++) {
        packet[at] ^= (uint8_t)x;
        assert_int_equal(
            pn_announce_read(packet, sizeof(packet), &announce), PN_MALFORMED);
        packet[at] ^= (uint8_t)x;
    }
    assert_int_equal(
        pn_announce_read(packet, sizeof(packet), &announce), PN_OK);
}

/* An announce that was read is written back as it was. */
static void test_round_trip(void **state)
{
    uint64_t seed = 11;

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        uint8_t packet[PN_ANNOUNCE_LEN];
        uint8_t again[PN_ANNOUNCE_LEN];
        pn_announce announce;

        write_valid(packet);
        for (size_t k = 5; k < sizeof(packet); k++) {
            packet[k] = (uint8_t)pn_test_random(&seed);
        }
        packet[6] |= 1; /* not port 0 */
        assert_int_equal(
            pn_announce_read(packet, sizeof(packet), &announce), PN_OK);
        pn_announce_write(&announce, again);
        assert_memory_equal(packet, again, sizeof(packet));
    }
}

static void add_vectors(
    const json_t *rows, CMUnitTestFunction test, const char *kind)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);

        pn_test_addf(test, row, "wire/announce/%s/%s", kind,
            pn_json_string(row, "name"));
    }
}

int main(void)
{
    json_t *root = pn_vectors("announce.json");
    int status;

    add_vectors(json_object_get(root, "encode"), test_encode, "encode");
    add_vectors(json_object_get(root, "decode"), test_decode, "decode");
    pn_test_add("wire/announce/every_other_length_refused", test_length, NULL);
    for (uintptr_t at = 0; at < 5; at++) {
        pn_test_addf(test_constant, (void *)at,
            "wire/announce/constant_byte/%zu", (size_t)at);
    }
    pn_test_add("wire/announce/round_trip", test_round_trip, NULL);
    status = pn_test_run("wire/announce");
    json_decref(root);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of written bytes: their addresses, and the contents of a packet. */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "quic/outgoing.h"

enum { PACKET = 1000 };

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 31 ^ offset >> 8);
}

static void append(quic_out *out, size_t len)
{
    static uint8_t data[70000];

    assert_true(len <= sizeof(data));
    for (size_t i = 0; i < len; i++) {
        data[i] = byte_at(out->n_written + i);
    }
    assert_int_equal(pn_quic_out_append(out, data, len), PN_OK);
}

/* Bytes of the next packet of len, which are looked at. */
static size_t next_packet(const quic_out *out, size_t len)
{
    ngtcp2_vec pieces[QUIC_OUT_PIECES];
    size_t total = 99;
    size_t n = pn_quic_out_gather(out, len, pieces, &total);
    uint64_t at = out->n_sent;
    size_t sum = 0;

    assert_true(n <= QUIC_OUT_PIECES);
    for (size_t i = 0; i < n; i++) {
        assert_true(pieces[i].len > 0);
        for (size_t k = 0; k < pieces[i].len; k++) {
            assert_int_equal(pieces[i].base[k], byte_at(at++));
        }
        sum += pieces[i].len;
    }
    assert_int_equal(sum, total);
    return total;
}

/* Writes, and how many bytes go into packets of 1000. */
typedef struct packet_row {
    const char *name;
    size_t writes[6];
    size_t packets[6]; /* at most these, the first ones of it count */
} packet_row;

static packet_row packet_rows[] = {
    {"one", {1}, {1}},
    {"exactly", {1000}, {1000}},
    {"two_that_fit", {400, 600}, {1000}},
    {"two_that_do_not", {400, 601}, {400, 601}},
    {"many_small", {300, 300, 300, 300, 300}, {900, 600}},
    {"the_last_waits", {999, 2}, {999, 2}},
    {"large_is_cut", {2500}, {1000, 1000, 500}},
    {"large_fills_the_rest", {400, 2000}, {1000, 1000, 400}},
    {"small_behind_large", {1500, 500}, {1000, 1000}},
    {"small_behind_large_waits", {1500, 501}, {1000, 500, 501}},
    {"large_behind_large", {1500, 1500}, {1000, 1000, 1000}},
    {"larger_than_a_block", {5000}, {1000, 1000, 1000, 1000, 1000}},
};

static void test_packets(void **state)
{
    const packet_row *row = *state;
    quic_out out = {0};

    for (size_t i = 0; i < 6 && row->writes[i] > 0; i++) {
        append(&out, row->writes[i]);
    }
    for (size_t i = 0; i < 6 && row->packets[i] > 0; i++) {
        size_t n = next_packet(&out, PACKET);

        n = n < PACKET ? n : PACKET; /* ngtcp2 takes what fits */
        assert_int_equal(n, row->packets[i]);
        pn_quic_out_sent(&out, n);
    }
    assert_int_equal(next_packet(&out, PACKET), 0);
    assert_int_equal(out.n_sent, out.n_written);
    assert_null(out.next);
    pn_quic_out_fini(&out);
}

static void test_nothing(void **state)
{
    quic_out out = {0};

    (void)state;
    assert_int_equal(next_packet(&out, PACKET), 0);
    pn_quic_out_sent(&out, 0);
    assert_int_equal(pn_quic_out_acked(&out, 0), 0);
    assert_int_equal(pn_quic_out_cut(&out), 0);
    pn_quic_out_fini(&out);
}

static void test_acked(void **state)
{
    quic_out out = {0};

    (void)state;
    for (int i = 0; i < 100; i++) {
        append(&out, 500);
    }
    while (next_packet(&out, PACKET) > 0) {
        pn_quic_out_sent(&out, 500);
    }
    assert_int_equal(pn_quic_out_acked(&out, 1), 1);
    assert_int_equal(pn_quic_out_acked(&out, 1), 0);
    assert_int_equal(pn_quic_out_acked(&out, 40000), 39999);
    assert_int_equal(pn_quic_out_acked(&out, 39000), 0);
    assert_non_null(out.first);
    assert_int_equal(pn_quic_out_acked(&out, 50000), 10000);
    assert_null(out.first);
    append(&out, 10);
    assert_int_equal(next_packet(&out, PACKET), 10);
    pn_quic_out_fini(&out);
}

/* Bytes in flight are still there after the cut, at the same address. */
static void test_cut(void **state)
{
    const size_t sent = *(const size_t *)*state;
    ngtcp2_vec pieces[QUIC_OUT_PIECES];
    quic_out out = {0};
    size_t total;
    size_t n;

    append(&out, 3000);
    append(&out, 9000);
    append(&out, 100);
    n = pn_quic_out_gather(&out, 12100, pieces, &total);
    assert_true(n > 0);
    pn_quic_out_sent(&out, sent);
    assert_int_equal(pn_quic_out_cut(&out), 12100 - sent);
    assert_int_equal(out.n_written, sent);
    assert_int_equal(next_packet(&out, PACKET), 0);
    total = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < pieces[i].len && total < sent; k++) {
            assert_int_equal(pieces[i].base[k], byte_at(total++));
        }
    }
    assert_int_equal(pn_quic_out_acked(&out, sent), sent);
    assert_null(out.first);
    pn_quic_out_fini(&out);
}

/* Random writes, sends and acknowledgements: every byte once and in order,
 * and no write cut that a packet could hold. */
static void test_random(void **state)
{
    uint64_t seed = 4711;
    quic_out out = {0};
    static size_t lens[4096]; /* of writes not sent as a whole */
    size_t first = 0;
    size_t last = 0;
    size_t part = 0; /* sent of the first */

    (void)state;
    for (int i = 0; i < 20000; i++) {
        size_t n;

        if (pn_test_random(&seed) % 2 == 0 && last - first < 4000) {
            size_t len = 1 + pn_test_random(&seed) % 3000;

            len = pn_test_random(&seed) % 3 == 0 ? len : 1 + len % 200;
            append(&out, len);
            lens[last++ % 4096] = len;
        }
        n = next_packet(&out, PACKET);
        n = n < PACKET ? n : PACKET;
        pn_quic_out_sent(&out, n);
        while (n > 0) {
            size_t left = lens[first % 4096] - part;

            if (left > n) {
                assert_true(lens[first % 4096] > PACKET);
                part += n;
                break;
            }
            n -= left;
            part = 0;
            first++;
        }
        if (pn_test_random(&seed) % 3 == 0) {
            uint64_t to = out.n_acked
                          + pn_test_random(&seed)
                                % (out.n_sent - out.n_acked + 1);

            (void)pn_quic_out_acked(&out, to);
        }
    }
    pn_quic_out_fini(&out);
}

int main(void)
{
    static size_t sents[] = {0, 1, 2999, 3000, 3001, 8000, 12000};

    for (size_t i = 0; i < sizeof(packet_rows) / sizeof(packet_rows[0]); i++) {
        pn_test_addf(test_packets, &packet_rows[i],
            "barrel/quic_outgoing/packets/%s", packet_rows[i].name);
    }
    pn_test_add("barrel/quic_outgoing/nothing", test_nothing, NULL);
    pn_test_add("barrel/quic_outgoing/acked", test_acked, NULL);
    for (size_t i = 0; i < sizeof(sents) / sizeof(sents[0]); i++) {
        pn_test_addf(
            test_cut, &sents[i], "barrel/quic_outgoing/cut/%zu", sents[i]);
    }
    pn_test_add("barrel/quic_outgoing/random", test_random, NULL);
    return pn_test_run("barrel/quic_outgoing");
}

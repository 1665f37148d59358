/* SPDX-License-Identifier: Apache-2.0 */
/* QUIC connections and streams between two endpoints of ours. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "quic_rig.h"

#define LOOPBACK "127.0.0.1:0"

static void write_text(
    quic_rig *r, quic_side *s, int64_t id, const char *text, bool is_last)
{
    r->in_call = true;
    assert_int_equal(pn_quic_write(s->conn, id, (const uint8_t *)text,
                         strlen(text), is_last),
        PN_OK);
    r->in_call = false;
}

static bool client_heard_5(quic_rig *r)
{
    return pn_buf_used(&quic_side_heard(&r->client, 0)->in) == 5;
}

static void test_echo(void **state)
{
    quic_rig r;
    int64_t id = -1;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    r.server.is_echo = true;
    quic_rig_connect(&r);
    assert_int_equal(pn_quic_open_bidi(r.client.conn, &id), PN_OK);
    assert_int_equal(id, 0);
    write_text(&r, &r.client, id, "hello", false);
    assert_true(quic_rig_run(&r, client_heard_5));
    assert_memory_equal(
        pn_buf_head(&quic_side_heard(&r.client, 0)->in), "hello", 5);
    quic_rig_fini(&r);
}

int main(void)
{
    pn_test_add("barrel/quic/echo", test_echo, NULL);
    return pn_test_run("barrel/quic");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every transport must do, run over each. A new one joins by a row.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conform.h"

typedef struct transport_row {
    const char *name;
    const pn_transport_ops *ops;
    const char *at; /* port 0: any */
    bool needs_ipv6;
} transport_row;

static const transport_row transports[] = {
    {"tcp4", &pn_transport_tcp, "127.0.0.1:0", false},
    {"tcp6", &pn_transport_tcp, "[::1]:0", true},
};

static void start(rig *r, void **state)
{
    const transport_row *row = *state;

    if (row->needs_ipv6 && !host_has_ipv6()) {
        skip();
    }
    rig_init(r, row->ops, row->at);
}

static bool client_ended(rig *r)
{
    return r->client.n_end > 0;
}

static bool server_ended(rig *r)
{
    return r->server.n_end > 0;
}

/* ---- connecting ------------------------------------------------------- */

static void test_refused(void **state)
{
    rig r;

    start(&r, state);
    r.ops->listener_close(r.listener);
    r.listener = NULL;
    rig_dial(&r, &r.at);
    assert_int_equal(r.client.n_end, 0);
    assert_true(rig_run(&r, client_ended));
    rig_settle(&r, 20);
    assert_int_equal(r.client.n_open, 0);
    assert_int_equal(r.client.n_end, 1);
    assert_int_equal(r.client.why, PN_SYS);
    assert_int_equal(r.client.sys_errno, ECONNREFUSED);
    rig_fini(&r);
}

/* ---- bytes ------------------------------------------------------------ */

static bool echo_is_back(rig *r)
{
    return pn_buf_used(&r->client.in) == 5;
}

static void test_exchange(void **state)
{
    rig r;

    start(&r, state);
    r.server.is_echo = true;
    rig_connect(&r);
    assert_int_equal(side_write(&r.client, "hello", 5), PN_OK);
    assert_int_equal(pn_buf_used(&r.client.out), 0);
    assert_true(rig_run(&r, echo_is_back));
    assert_memory_equal(pn_buf_head(&r.client.in), "hello", 5);
    assert_memory_equal(pn_buf_head(&r.server.in), "hello", 5);
    side_close(&r.client);
    assert_true(rig_run(&r, server_ended));
    assert_int_equal(r.server.why, PN_CLOSED);
    rig_fini(&r);
}

/* ---- the suite -------------------------------------------------------- */

typedef struct suite_row {
    const char *name;
    CMUnitTestFunction function;
} suite_row;

static const suite_row suite[] = {
    {"refused", test_refused},
    {"exchange", test_exchange},
};

int main(void)
{
    for (size_t t = 0; t < sizeof(transports) / sizeof(transports[0]); t++) {
        for (size_t i = 0; i < sizeof(suite) / sizeof(suite[0]); i++) {
            transport_row *row = malloc(sizeof(*row));

            *row = transports[t];
            pn_test_addf(suite[i].function, row, "conform/%s/%s", row->name,
                suite[i].name);
        }
    }
    return pn_test_run("conform/transport");
}

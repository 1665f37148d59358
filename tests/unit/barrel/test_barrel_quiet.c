/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strangers at the Barrel port of a whole node, in virtual time: each kind of
 * failure has its number of lines, and all others are in the node's summary of
 * each minute (T27). QUIC and TLS are real; only the clock is the test's.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <peernet/barrel.h>

#include "../os/own_clock.h"
#include "auth/auth.h"
#include "harness.h"
#include "quic/quic.h"
#include "quic_defaults.h"
#include "tempdir.h"

#define MS UINT64_C(1000)
#define S (1000 * MS)

enum { LINES = 4, MINUTES = 3 };

/* One way to fail. */
typedef struct way {
    const void *data; /* said at once on stream 2 */
    size_t len;
    const char *logged;
} way;

static const uint8_t too_much_data[PN_AUTH_HEADER_LEN] = {0x02, 0x01};
static const uint8_t version_1_data[] = {0, 3, PN_AUTH_HELLO, 1, 0};

static const way too_much = {
    too_much_data, sizeof(too_much_data), "a message that is too long"};
static const way version_1 = {
    version_1_data, sizeof(version_1_data), "unsupported version"};

static struct {
    pn_tempdir dir;
    pn_node *node;
    pn_barrel *barrel;
    pn_loop *loop; /* of the strangers */
    pn_quic *quic;
    pn_quic_conn *conn; /* NULL: it has ended */
    const way *way;
    unsigned n_too_much;
    unsigned n_version_1;
    unsigned n_summaries;
    uint64_t n_counted;
    uint64_t summary_us;
} rig;

static void on_event(void *user, const pn_event *event)
{
    (void)user;
    if (event->type == PN_EVENT_SUPPRESSED) {
        assert_string_equal(event->text, "log");
        assert_true(
            rig.summary_us == 0 || own_clock_now() - rig.summary_us >= 60 * S);
        rig.summary_us = own_clock_now();
        rig.n_summaries++;
        rig.n_counted += event->n_suppressed;
    }
}

static void on_log(void *user, const pn_log_event *event)
{
    (void)user;
    if (event->what == PN_LOG_AUTH_IN_FAILED) {
        rig.n_too_much += strstr(event->text, too_much.logged) != NULL;
        rig.n_version_1 += strstr(event->text, version_1.logged) != NULL;
    }
}

static void on_open(void *user)
{
    int64_t stream = -1;

    (void)user;
    assert_int_equal(pn_quic_open_uni(rig.conn, &stream), PN_OK);
    assert_int_equal(
        pn_quic_write(rig.conn, stream, rig.way->data, rig.way->len, false),
        PN_OK);
}

static void on_data(
    void *user, int64_t stream, const uint8_t *data, size_t len, bool is_last)
{
    (void)user;
    (void)stream;
    (void)data;
    (void)len;
    (void)is_last;
}

static void on_reset(void *user, int64_t stream, uint64_t code)
{
    (void)user;
    (void)stream;
    (void)code;
}

static void on_end(void *user, pn_err why, uint64_t code, int sys_errno)
{
    (void)user;
    (void)why;
    (void)code;
    (void)sys_errno;
    pn_quic_close(rig.conn, 0);
    rig.conn = NULL;
}

static const pn_quic_callbacks nobody = {0};
static const pn_quic_conn_callbacks callbacks = {.on_open = on_open,
    .on_data = on_data,
    .on_reset = on_reset,
    .on_end = on_end};

static pn_address loopback(uint16_t port)
{
    pn_address at;

    assert_int_equal(pn_address_parse("127.0.0.1:0", -1, &at), PN_OK);
    pn_address_set_port(&at, port);
    return at;
}

static void open_node(void)
{
    pn_why why = {0};
    pn_node_options node;
    pn_barrel_options barrel;

    pn_tempdir_init(&rig.dir);
    pn_node_options_init(&node);
    node.data_dir = rig.dir.path;
    node.listen_port = PN_PORT_NONE;
    node.linger_ms = 0;
    node.watch_network = false;
    node.own_loop = true;
    node.on_event = on_event;
    node.on_log = on_log;
    assert_int_equal(pn_node_open(&node, &rig.node, &why), PN_OK);
    pn_barrel_options_init(&barrel);
    barrel.name = "bob@127.0.0.1";
    barrel.cookie = "cookie";
    barrel.key_dir = pn_tempdir_path(&rig.dir, "keys");
    barrel.cert_dir = pn_tempdir_path(&rig.dir, "quic");
    barrel.listen_address = "127.0.0.1";
    barrel.listen_port = 0;
    barrel.dns_port = 0;
    if (pn_barrel_open(rig.node, &barrel, &rig.barrel, &why) != PN_OK) {
        fail_msg("barrel: %s", why.text);
    }
}

static void set_up(void)
{
    pn_quic_options options = {.alpn = "erlang-dist"};
    pn_address at = loopback(0);
    int sys_errno = 0;

    quic_defaults(&options);
    open_node();
    assert_int_equal(pn_loop_new(&rig.loop), PN_OK);
    assert_int_equal(pn_quic_new(rig.loop, &at, &options, &nobody, NULL,
                         &rig.quic, &sys_errno),
        PN_OK);
}

static void tear_down(void)
{
    pn_quic_free(rig.quic);
    pn_loop_free(rig.loop);
    own_clock_go(true);
    pn_node_close(rig.node);
    own_clock_go(false);
    pn_tempdir_fini(&rig.dir);
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

/* Moves the clock, then lets both do what is to be done at that time. */
static void pass(uint64_t us)
{
    bool is_busy = true;

    own_clock_advance(us);
    while (is_busy) {
        is_busy = false;
        if (is_readable(pn_node_fd(rig.node))
            || pn_node_timeout_ms(rig.node) == 0) {
            assert_int_equal(pn_node_run(rig.node), PN_OK);
            is_busy = true;
        }
        if (is_readable(pn_loop_fd(rig.loop))
            || pn_loop_timeout_ms(rig.loop) == 0) {
            pn_loop_run_once(rig.loop);
            is_busy = true;
        }
    }
}

static uint64_t failures(void)
{
    pn_barrel_metrics m;

    pn_barrel_get_metrics(rig.barrel, &m);
    return m.auth_fail_incoming;
}

/* One stranger connects, fails, and has gone. */
static void fail_once(const way *how)
{
    pn_address at = loopback(pn_barrel_port(rig.barrel));
    uint64_t n = failures();

    rig.way = how;
    assert_int_equal(
        pn_quic_dial(rig.quic, &at, &callbacks, NULL, &rig.conn), PN_OK);
    while (rig.conn != NULL || failures() == n) {
        pass(MS);
    }
}

static void test_minutes(void **state)
{
    const unsigned n = 60 * MINUTES;

    (void)state;
    set_up();
    for (unsigned i = 0; i < n; i++) {
        fail_once(&too_much);
        if (i == LINES * 2) {
            fail_once(&version_1);
            assert_int_equal(rig.n_too_much, LINES);
            assert_int_equal(rig.n_version_1, 1);
        }
        pass(S);
    }
    pass(60 * S);
    assert_true(rig.n_too_much >= LINES * MINUTES);
    assert_true(rig.n_too_much <= LINES * (MINUTES + 1));
    assert_int_equal(rig.n_version_1, 1);
    assert_int_equal(rig.n_too_much + rig.n_counted, n);
    assert_true(rig.n_summaries >= MINUTES);
    assert_true(rig.n_summaries <= MINUTES + 1);
    tear_down();
}

int main(void)
{
    pn_test_add("barrel/quiet/minutes", test_minutes, NULL);
    return pn_test_run("barrel/quiet");
}

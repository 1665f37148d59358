/* SPDX-License-Identifier: Apache-2.0 */
/* Options and their ranges; limits of a node that are reached on purpose. */
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "two_nodes.h"

static void sleep_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&t, NULL);
}

/* ---- options: one below, at, and above each bound ---------------------- */

typedef struct range_row {
    const char *name;
    size_t offset;
    uint32_t min;
    uint32_t max;
} range_row;

#define ROW(field, min, max)                                                   \
    {                                                                          \
#field, offsetof(pn_node_options, field), (min), (max)                 \
    }

static range_row ranges[] = {
    ROW(announce_interval_ms, 100, 3600000),
    ROW(max_peers, 1, 65536),
    ROW(max_strangers, 1, 65536),
    ROW(max_strangers_per_source, 1, 65536),
    ROW(strangers_per_second, 1, 1000000),
    ROW(source_per_second, 1, 1000000),
    ROW(source_burst, 1, 1000000),
    ROW(trusted_reserve, 0, 65535),
    ROW(handshake_timeout_ms, 10, 600000),
    ROW(connect_timeout_ms, 10, 600000),
    ROW(ping_interval_ms, 10, 86400000),
    ROW(pong_timeout_ms, 10, 86400000),
    ROW(stall_timeout_ms, 10, 86400000),
    ROW(call_timeout_ms, 1, 86400000),
    ROW(handler_timeout_ms, 1, 86400000),
    ROW(max_calls_per_peer, 1, 65536),
    ROW(max_queue_per_link, 1, 1000000),
    ROW(max_queue_bytes_per_link, 1, 1u << 30),
    ROW(max_output_bytes, 1024, 1u << 30),
    ROW(max_output_messages, 1, 1000000),
    ROW(max_workers, 1, 256),
    ROW(max_running_per_peer, 1, 256),
    ROW(max_deferred, 1, 1000000),
    ROW(max_depth, 1, 65535),
    ROW(reconnect_min_ms, 10, 30000),
    ROW(reconnect_max_ms, 500, 86400000),
    ROW(duplicate_grace_ms, 10, 60000),
    ROW(linger_ms, 0, 600000),
};

static pn_err open_with(const range_row *row, uint32_t value)
{
    char dir[64];
    pn_node_options opt;
    pn_node *node = NULL;
    pn_err err;

    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    memcpy((char *)&opt + row->offset, &value, sizeof(value));
    err = pn_node_open(&opt, &node);
    if (err != PN_OK) {
        assert_non_null(strstr(pn_node_open_error(), row->name));
    }
    pn_node_close(node);
    remove_dir(dir);
    return err;
}

static void test_option_range(void **state)
{
    const range_row *row = *state;

    assert_int_equal(open_with(row, row->min), PN_OK);
    assert_int_equal(open_with(row, row->max), PN_OK);
    if (row->min > 0) {
        assert_int_equal(open_with(row, row->min - 1), PN_INVALID);
    }
    assert_int_equal(open_with(row, row->max + 1), PN_INVALID);
}

static void assert_refused(const pn_node_options *opt, const char *word)
{
    pn_node *node = NULL;

    assert_int_equal(pn_node_open(opt, &node), PN_INVALID);
    assert_null(node);
    assert_non_null(strstr(pn_node_open_error(), word));
}

static void test_options_refused(void **state)
{
    pn_node_options opt;

    (void)state;
    two_nodes_options(&opt);
    assert_refused(&opt, "data_dir");
    opt.data_dir = "";
    assert_refused(&opt, "data_dir");
    opt.data_dir = "/tmp/peernet-never-made";
    opt.listen_port = 65536;
    assert_refused(&opt, "listen_port");
    opt.listen_port = -2;
    assert_refused(&opt, "listen_port");
    opt.listen_port = 0;
    opt.max_memory_bytes = (1u << 20) - 1;
    assert_refused(&opt, "max_memory_bytes");
    opt.max_memory_bytes = 1u << 20;
    opt.size = sizeof(opt) + 1;
    assert_refused(&opt, "options");
    opt.size = 1;
    assert_refused(&opt, "options");
}

static void test_listen_address_refused(void **state)
{
    char dir[64];
    pn_node_options opt;
    pn_node *node = NULL;

    (void)state;
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    opt.listen_address = "example.org";
    assert_int_equal(pn_node_open(&opt, &node), PN_INVALID);
    assert_non_null(strstr(pn_node_open_error(), "example.org"));
    opt.listen_address = "192.0.2.77"; /* TEST-NET: not ours */
    assert_int_equal(pn_node_open(&opt, &node), PN_SYS);
    assert_non_null(strstr(pn_node_open_error(), "192.0.2.77"));
    remove_dir(dir);
}

/* A caller built against an older header passes a shorter struct. */
static void test_options_of_an_older_caller(void **state)
{
    char dir[64];
    pn_node_options opt;
    pn_node *node = NULL;

    (void)state;
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    opt.size = offsetof(pn_node_options, max_peers);
    memset((char *)&opt + opt.size, 0xff, sizeof(opt) - opt.size);
    assert_int_equal(pn_node_open(&opt, &node), PN_OK);
    pn_node_close(node);
    remove_dir(dir);
}

/* ---- handlers ---------------------------------------------------------- */

static void one_worker(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->max_workers = 1;
}

/* T25: what has left the queue and not begun is stopped by unpairing too. */
static void test_unpair_stops_what_waits_for_a_worker(void **state)
{
    pn_expose_options concurrent;
    gatepost gate = {.n_wanted = 1};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, one_worker);
    pn_expose_options_init(&concurrent);
    concurrent.flags = PN_EXPOSE_CONCURRENT;
    assert_int_equal(
        pn_expose(t.bob, "gate", on_gatepost, &gate, &concurrent), PN_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pn_send(t.alice, &t.bob_key, "gate", "~i", 1), PN_OK);
    }
    two_nodes_wait(gatepost_is_reached, &gate);
    sleep_ms(200); /* the others are there by then */
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    atomic_store(&gate.is_open, true);
    sleep_ms(500);
    assert_int_equal(atomic_load(&gate.n_inside), 1);
    two_nodes_close(&t);
}

static void two_running(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->max_running_per_peer = 2;
}

static void test_running_per_peer(void **state)
{
    pn_expose_options concurrent;
    gatepost gate = {.n_wanted = 2};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, two_running);
    pn_expose_options_init(&concurrent);
    concurrent.flags = PN_EXPOSE_CONCURRENT;
    assert_int_equal(
        pn_expose(t.bob, "gate", on_gatepost, &gate, &concurrent), PN_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pn_send(t.alice, &t.bob_key, "gate", "~i", 1), PN_OK);
    }
    two_nodes_wait(gatepost_is_reached, &gate);
    sleep_ms(500);
    assert_int_equal(atomic_load(&gate.n_inside), 2);
    atomic_store(&gate.is_open, true);
    gate.n_wanted = 4;
    two_nodes_wait(gatepost_is_reached, &gate);
    two_nodes_close(&t);
}

static void small_queue(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->max_queue_bytes_per_link = 4096;
}

static void test_queue_bytes(void **state)
{
    static uint8_t zeros[3000];
    pn_slice big = {zeros, sizeof(zeros)};
    pn_reply *reply = NULL;
    gatepost gate = {.n_wanted = 1};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, small_queue);
    assert_int_equal(pn_expose(t.bob, "gate", on_gatepost, &gate, NULL), PN_OK);
    assert_int_equal(pn_send(t.alice, &t.bob_key, "gate", "~i", 1), PN_OK);
    two_nodes_wait(gatepost_is_reached, &gate);
    assert_int_equal(pn_send(t.alice, &t.bob_key, "gate", "~b", big), PN_OK);
    assert_int_equal(
        pn_call(t.alice, &t.bob_key, "gate", 2000, &reply, "~b", big),
        PN_REMOTE);
    assert_true(pn_term_is_atom(pn_reply_term(reply), "busy"));
    pn_reply_free(reply);
    atomic_store(&gate.is_open, true);
    two_nodes_close(&t);
}

static void little_memory(pn_node_options *opt, bool is_alice)
{
    if (!is_alice) {
        opt->max_memory_bytes = 1u << 20;
        opt->max_queue_bytes_per_link = 64u << 20;
    }
}

/* T11: over the budget of the process the largest link goes. */
static void test_t11_memory_budget(void **state)
{
    static uint8_t zeros[300000];
    pn_slice big = {zeros, sizeof(zeros)};
    gatepost gate = {0};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, little_memory);
    assert_int_equal(pn_expose(t.bob, "gate", on_gatepost, &gate, NULL), PN_OK);
    assert_int_equal(pn_send(t.alice, &t.bob_key, "gate", "~i", 1), PN_OK);
    for (int i = 0; i < 6; i++) {
        (void)!pn_send(t.alice, &t.bob_key, "gate", "~b", big);
    }
    two_nodes_wait_event(&t, PN_EVENT_PEER_DOWN, 1);
    atomic_store(&gate.is_open, true);
    two_nodes_close(&t);
}

/* ---- trust ------------------------------------------------------------- */

static bool bob_is_alone(void *user)
{
    two_nodes *t = user;

    return !pn_connected(t->bob, &t->alice_key);
}

/* T22: a list that becomes unreadable under a running node lets nobody new in,
 * and is neither mended nor forgotten. */
static void test_t22_damaged_while_running(void **state)
{
    char path[96];
    char backup[96];
    char address[32];
    FILE *file;
    pn_node_options opt;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    (void)snprintf(path, sizeof(path), "%s/trust.bin", t.bob_dir);
    (void)snprintf(backup, sizeof(backup), "%s/saved", t.bob_dir);
    assert_int_equal(rename(path, backup), 0);
    two_nodes_wait_event(&t, PN_EVENT_TRUST_CHANGED, 3);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("\x83h", file);
    (void)fclose(file);
    sleep_ms(200);
    /* Put back what it was: everything works again. */
    assert_int_equal(rename(backup, path), 0);
    node_address(t.bob, address);
    pn_node_close(t.alice);
    two_nodes_options(&opt);
    opt.data_dir = t.alice_dir;
    assert_int_equal(pn_node_open(&opt, &t.alice), PN_OK);
    assert_int_equal(pn_wait_connected(t.alice, &t.bob_key, 5000, NULL), PN_OK);
    /* Bob decides when the last message of the handshake is there. */
    assert_int_equal(pn_wait_connected(t.bob, &t.alice_key, 5000, NULL), PN_OK);
    /* And damaged with the peer still in memory: no new link. */
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("\x83h", file);
    (void)fclose(file);
    sleep_ms(200);
    assert_true(pn_connected(t.bob, &t.alice_key));
    pn_node_close(t.alice);
    two_nodes_wait(bob_is_alone, &t);
    assert_int_equal(pn_node_open(&opt, &t.alice), PN_OK);
    assert_int_equal(
        pn_wait_connected(t.bob, &t.alice_key, 1500, NULL), PN_TIMEOUT);
    two_nodes_close(&t);
}

/* ---- T27: a peer that is refused all the time -------------------------- */

enum { N_DENIED = 40 };

static atomic_uint n_denied_lines;
static atomic_uint n_denied_untold;

static void on_denied_log(void *user, const pn_log_event *event)
{
    (void)user;
    if (strcmp(event->what, "denied") == 0) {
        atomic_fetch_add(&n_denied_lines, 1);
        atomic_fetch_add(&n_denied_untold, (unsigned)event->n_suppressed);
    }
}

static void log_of_bob(pn_node_options *opt, bool is_alice)
{
    if (!is_alice) {
        opt->on_log = on_denied_log;
    }
}

static void call_nothing(two_nodes *t)
{
    assert_int_equal(
        pn_call(t->alice, &t->bob_key, "nothing", 5000, NULL, "1"), PN_REMOTE);
}

static bool is_told(void *user)
{
    (void)user;
    return atomic_load(&n_denied_lines) + atomic_load(&n_denied_untold)
           == N_DENIED + 1;
}

/* One event and one line a second for a reason; the next one tells how many
 * were left out, and the counter knows them all. */
static void test_t27_denials_are_told_once_a_second(void **state)
{
    struct timespec begin;
    struct timespec end;
    pn_metrics m;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, log_of_bob);
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < N_DENIED; i++) {
        call_nothing(&t);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(atomic_load(&n_denied_lines)
                <= 1 + (unsigned)(end.tv_sec - begin.tv_sec + 1));
    sleep_ms(1050);
    call_nothing(&t);
    two_nodes_wait(is_told, NULL);
    assert_true(atomic_load(&n_denied_untold) > 0);
    assert_true(t.n_events[PN_EVENT_DENIED] < N_DENIED / 2);
    assert_int_equal(pn_node_metrics(t.bob, &m), PN_OK);
    assert_int_equal(m.denials[PN_REASON_NO_SUCH_HANDLE], N_DENIED + 1);
    two_nodes_close(&t);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        pn_test_addf(test_option_range, &ranges[i], "node/options/range/%s",
            ranges[i].name);
    }
    pn_test_add("node/options/refused", test_options_refused, NULL);
    pn_test_add("node/options/listen_address_refused",
        test_listen_address_refused, NULL);
    pn_test_add("node/options/of_an_older_caller",
        test_options_of_an_older_caller, NULL);
    pn_test_add("node/t27/denials_are_told_once_a_second",
        test_t27_denials_are_told_once_a_second, NULL);
    pn_test_add("node/t25/unpair_stops_what_waits_for_a_worker",
        test_unpair_stops_what_waits_for_a_worker, NULL);
    pn_test_add("node/limit/running_per_peer", test_running_per_peer, NULL);
    pn_test_add("node/limit/queue_bytes", test_queue_bytes, NULL);
    pn_test_add("node/t11/memory_budget", test_t11_memory_budget, NULL);
    pn_test_add(
        "node/t22/damaged_while_running", test_t22_damaged_while_running, NULL);
    return pn_test_run("node/limits");
}

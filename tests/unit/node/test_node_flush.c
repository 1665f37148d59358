/* SPDX-License-Identifier: Apache-2.0 */
/* Accepted messages go out before a node closes, and pn_flush waits for them.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"
#include "two_nodes.h"

/* More than two sockets hold. */
enum { N_CHUNKS = 300, CHUNK_BYTES = 100000 };

/* Bob reads nothing while his handler, on his loop, is kept. */
typedef struct reader {
    two_nodes t;
    gatepost gate;
    atomic_uint n_chunks;
    atomic_uint n_lost; /* lines of alice's log */
    atomic_int on_loop; /* the result of pn_flush there */
} reader;

static void on_chunk(pn_request *req, pn_term args, void *user)
{
    reader *r = user;
    pn_slice chunk;

    if (atomic_load(&r->n_chunks) == 0) {
        on_gatepost(req, args, &r->gate);
    }
    if (pn_term_match(args, "~b", &chunk) && chunk.len == CHUNK_BYTES) {
        atomic_fetch_add(&r->n_chunks, 1);
    }
}

static void on_log(void *user, const pn_log_event *event)
{
    reader *r = user;

    if (event->what == PN_LOG_OUTPUT_LOST) {
        assert_non_null(strstr(event->text, "bytes"));
        atomic_fetch_add(&r->n_lost, 1);
    }
}

static uint32_t flush_timeout_ms;

static void large_output(pn_node_options *opt, bool is_alice)
{
    if (is_alice) {
        opt->max_output_bytes = 64u << 20;
        opt->flush_timeout_ms = flush_timeout_ms;
        opt->on_log = on_log; /* user is the two_nodes, and so the reader */
    }
}

static void reader_open(reader *r, uint32_t timeout_ms)
{
    pn_expose_options opt;

    memset(r, 0, sizeof(*r));
    r->gate.n_wanted = 1;
    flush_timeout_ms = timeout_ms;
    two_nodes_open(&r->t, large_output);
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_INLINE;
    assert_int_equal(pn_expose(r->t.bob, "chunk", on_chunk, r, &opt), PN_OK);
}

static void send_all(reader *r)
{
    uint8_t *chunk = calloc(1, CHUNK_BYTES);

    assert_non_null(chunk);
    for (int i = 0; i < N_CHUNKS; i++) {
        assert_int_equal(pn_send(r->t.alice, &r->t.bob_key, "chunk", "~b",
                             (pn_slice){chunk, CHUNK_BYTES}),
            PN_OK);
    }
    free(chunk);
    two_nodes_wait(gatepost_is_reached, &r->gate);
}

static void *close_main(void *arg)
{
    reader *r = arg;

    pn_node_close(r->t.alice);
    return NULL;
}

static bool is_not_connected(void *user)
{
    reader *r = user;

    return pn_send(r->t.alice, &r->t.bob_key, "chunk", "1") != PN_OK;
}

static bool has_all(void *user)
{
    const reader *r = user;

    return atomic_load(&r->n_chunks) == N_CHUNKS;
}

/* Every message for which pn_send returned PN_OK. */
static void test_close_sends_all(void **state)
{
    pthread_t closer;
    reader r;

    (void)state;
    reader_open(&r, 60000);
    send_all(&r);
    assert_int_equal(pthread_create(&closer, NULL, close_main, &r), 0);
    two_nodes_wait(is_not_connected, &r);
    atomic_store(&r.gate.is_open, true);
    assert_int_equal(pthread_join(closer, NULL), 0);
    r.t.alice = NULL;
    two_nodes_wait(has_all, &r);
    two_nodes_close(&r.t);
    assert_int_equal(atomic_load(&r.n_lost), 0);
}

/* Output that a peer does not read in time is logged, and closing still
 * ends. */
static void test_close_says_what_is_lost(void **state)
{
    reader r;

    (void)state;
    reader_open(&r, 200);
    send_all(&r);
    pn_node_close(r.t.alice);
    r.t.alice = NULL;
    assert_int_equal(atomic_load(&r.n_lost), 1);
    atomic_store(&r.gate.is_open, true);
    two_nodes_close(&r.t);
    assert_true(atomic_load(&r.n_chunks) < N_CHUNKS);
}

static void test_flush(void **state)
{
    pn_public_key stranger = {{1, 2, 3}};
    reader r;

    (void)state;
    reader_open(&r, 60000);
    assert_int_equal(pn_flush(r.t.alice, &r.t.bob_key, 10000), PN_OK);
    assert_int_equal(pn_flush(r.t.alice, &stranger, 10000), PN_NOT_CONNECTED);
    send_all(&r);
    assert_int_equal(pn_flush(r.t.alice, &r.t.bob_key, 50), PN_TIMEOUT);
    atomic_store(&r.gate.is_open, true);
    assert_int_equal(pn_flush(r.t.alice, &r.t.bob_key, 60000), PN_OK);
    two_nodes_wait(has_all, &r);
    two_nodes_close(&r.t);
}

static bool alice_rests(void *user)
{
    pn_node *alice = ((reader *)user)->t.alice;
    bool rests;

    pn_node_lock(alice);
    rests = alice->closing.look_at_us == PN_TIME_NEVER;
    pn_node_unlock(alice);
    return rests;
}

/* No caller waits any more, so the polling stops. */
static void test_flush_leaves_no_timer(void **state)
{
    reader r;

    (void)state;
    reader_open(&r, 100);
    assert_int_equal(pn_flush(r.t.alice, &r.t.bob_key, 10000), PN_OK);
    two_nodes_wait(alice_rests, &r);
    send_all(&r);
    assert_int_equal(pn_flush(r.t.alice, &r.t.bob_key, 50), PN_TIMEOUT);
    two_nodes_wait(alice_rests, &r);
    atomic_store(&r.gate.is_open, true);
    two_nodes_close(&r.t);
}

static void *flush_main(void *arg)
{
    reader *r = arg;

    atomic_store(&r->on_loop, (int)pn_flush(r->t.alice, &r->t.bob_key, 60000));
    return NULL;
}

/* Waiters return when the link ends, and when the node does. */
static void flush_until_the_end(reader *r, bool is_node)
{
    pthread_t waiter;

    send_all(r);
    assert_int_equal(pthread_create(&waiter, NULL, flush_main, r), 0);
    assert_int_equal(pn_flush(r->t.alice, &r->t.bob_key, 100), PN_TIMEOUT);
    if (is_node) {
        pn_node_close(r->t.alice);
    } else {
        assert_int_equal(pn_unpair(r->t.alice, &r->t.bob_key), PN_OK);
    }
    assert_int_equal(pthread_join(waiter, NULL), 0);
    assert_int_equal(atomic_load(&r->on_loop), PN_CLOSED);
    atomic_store(&r->gate.is_open, true);
}

static void test_flush_ends_with_the_link(void **state)
{
    reader r;

    (void)state;
    reader_open(&r, 0);
    flush_until_the_end(&r, false);
    two_nodes_close(&r.t);
}

static void test_flush_ends_with_the_node(void **state)
{
    reader r;

    (void)state;
    reader_open(&r, 100);
    flush_until_the_end(&r, true);
    r.t.alice = NULL;
    two_nodes_close(&r.t);
}

static void on_flush_here(pn_request *req, pn_term args, void *user)
{
    reader *r = user;

    (void)args;
    atomic_store(&r->on_loop,
        (int)pn_flush(r->t.bob, &pn_request_caller(req)->key.x25519, 1000));
    (void)pn_request_reply(req, "ok");
}

static void test_flush_refused_on_loop(void **state)
{
    pn_expose_options opt;
    reader r;

    (void)state;
    reader_open(&r, 100);
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_INLINE;
    assert_int_equal(
        pn_expose(r.t.bob, "here", on_flush_here, &r, &opt), PN_OK);
    assert_int_equal(
        pn_call(r.t.alice, &r.t.bob_key, "here", 10000, NULL, "1"), PN_OK);
    assert_int_equal(atomic_load(&r.on_loop), PN_STATE);
    two_nodes_close(&r.t);
}

int main(void)
{
    pn_test_add("node/flush/close_sends_all", test_close_sends_all, NULL);
    pn_test_add("node/flush/close_says_what_is_lost",
        test_close_says_what_is_lost, NULL);
    pn_test_add("node/flush/waits", test_flush, NULL);
    pn_test_add("node/flush/leaves_no_timer", test_flush_leaves_no_timer, NULL);
    pn_test_add(
        "node/flush/ends_with_the_link", test_flush_ends_with_the_link, NULL);
    pn_test_add(
        "node/flush/ends_with_the_node", test_flush_ends_with_the_node, NULL);
    pn_test_add("node/flush/refused_on_loop", test_flush_refused_on_loop, NULL);
    return pn_test_run("node/flush");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link that we dialled is up with the peer's first frame, whatever that is,
 * and before a handler sees what it holds. The peer is a session on a socket of
 * its own, so that nothing else is in that frame.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../session/link.h"
#include "os/clock.h"
#include "two_nodes.h"

typedef struct spoken {
    pn_node *alice;
    end peer;
    int fd;
    bool says_call;
    atomic_int n_handled;
    atomic_int n_connected; /* to the handler */
    atomic_int called_back; /* pn_err */
    atomic_int n_outcomes;
} spoken;

static void on_outcome(void *user, pn_err outcome, pn_term value)
{
    spoken *s = user;

    (void)value;
    assert_int_equal(outcome, PN_OK);
    atomic_fetch_add(&s->n_outcomes, 1);
}

static void on_hello(pn_request *req, pn_term args, void *user)
{
    spoken *s = user;
    const pn_public_key *caller = &pn_request_caller(req)->key.x25519;

    atomic_fetch_add(&s->n_connected, pn_connected(s->alice, caller));
    atomic_store(&s->called_back, (int)pn_call_async(s->alice, caller, "back",
                                      10000, args, on_outcome, s));
    atomic_fetch_add(&s->n_handled, 1);
    if (pn_request_is_call(req)) {
        (void)pn_request_reply(req, "ok");
    }
}

/* Alice's ping, which comes next, has not been seen yet. */
static void on_peer_open(end *e)
{
    spoken *s = e->context;

    if (s->says_call) {
        assert_int_equal(end_call(e, e->now, "hello", PN_TIME_NEVER, s), PN_OK);
    } else {
        assert_int_equal(end_send(e, e->now, "hello", 1), PN_OK);
    }
}

static void on_peer_call(end *e, uint64_t id, pn_slice handle, pn_term args)
{
    (void)handle;
    (void)args;
    assert_int_equal(end_reply(e, e->now, id, true), PN_OK);
}

/* A socket that listens on loopback, and where. */
static int listen_at(char ret_text[static 32])
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(ret_text, 32, "127.0.0.1:%u", ntohs(at.sin_port));
    return fd;
}

/* Moves bytes between the session and its socket until alice has called back.
 */
static void serve(spoken *s)
{
    struct pollfd p = {.fd = s->fd, .events = POLLIN};
    uint8_t bytes[4096];
    pn_buf out = {0};

    while (s->peer.n_calls == 0) {
        const uint64_t now = pn_monotonic_now_us();
        ssize_t n;

        assert_int_equal(poll(&p, 1, 10000), 1);
        n = read(s->fd, bytes, sizeof(bytes));
        assert_true(n > 0);
        assert_int_equal(end_feed(&s->peer, now, bytes, (size_t)n), PN_OK);
        end_take(&s->peer, now, &out);
        assert_int_equal(write(s->fd, pn_buf_head(&out), pn_buf_used(&out)),
            pn_buf_used(&out));
        pn_buf_consume(&out, pn_buf_used(&out));
    }
    pn_buf_fini(&out);
}

static bool has_outcome(void *user)
{
    return atomic_load(&((spoken *)user)->n_outcomes) > 0;
}

static void test_node_first_frame(void **state)
{
    spoken s = {.says_call = *(const bool *)*state};
    pn_expose_options opt;
    pn_node_options node_opt;
    char dir[64];
    char at[32];
    int listening = listen_at(at);

    make_dir(dir);
    two_nodes_options(&node_opt);
    node_opt.data_dir = dir;
    node_opt.listen_port = PN_PORT_NONE;
    assert_int_equal(pn_node_open(&node_opt, &s.alice, NULL), PN_OK);
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_INLINE;
    assert_int_equal(pn_expose(s.alice, "hello", on_hello, &s, &opt), PN_OK);

    end_init(&s.peer, false, 7);
    s.peer.context = &s;
    s.peer.hooks.on_open = on_peer_open;
    s.peer.hooks.on_call = on_peer_call;
    end_start(&s.peer, pn_monotonic_now_us());
    assert_int_equal(
        pn_pair_at(s.alice, &s.peer.identity.public_key, "peer", at), PN_OK);
    s.fd = accept(listening, NULL, NULL);
    assert_true(s.fd >= 0);
    serve(&s);
    two_nodes_wait(has_outcome, &s);
    assert_int_equal(atomic_load(&s.n_handled), 1);
    assert_int_equal(atomic_load(&s.n_connected), 1);
    assert_int_equal(atomic_load(&s.called_back), PN_OK);

    pn_node_close(s.alice);
    end_fini(&s.peer);
    (void)close(s.fd);
    (void)close(listening);
    remove_dir(dir);
}

int main(void)
{
    static const bool truths[] = {false, true};

    pn_test_add("node/spoken/first_frame_is_a_send", test_node_first_frame,
        (void *)(uintptr_t)&truths[0]);
    pn_test_add("node/spoken/first_frame_is_a_call", test_node_first_frame,
        (void *)(uintptr_t)&truths[1]);
    return pn_test_run("node/spoken");
}

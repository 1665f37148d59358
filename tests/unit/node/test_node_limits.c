/* SPDX-License-Identifier: Apache-2.0 */
/* Options and their ranges; limits of a node that are reached on purpose. */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "two_nodes.h"

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
    ROW(flush_timeout_ms, 0, 600000),
    ROW(max_deferred_per_link, 1, 1000000),
    ROW(max_candidates, 1, 65536),
    ROW(max_held_bytes_per_link, 1024, 1u << 30),
    ROW(max_stranger_events, 1, 65536),
    ROW(stranger_events_per_minute, 1, 1000000),
};

static pn_err open_with(const range_row *row, uint32_t value)
{
    pn_why why = {0};
    char dir[64];
    pn_node_options opt;
    pn_node *node = NULL;
    pn_err err;

    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    memcpy((char *)&opt + row->offset, &value, sizeof(value));
    err = pn_node_open(&opt, &node, &why);
    if (err != PN_OK) {
        assert_non_null(strstr(why.text, row->name));
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
    pn_why why = {0};
    pn_node *node = NULL;

    assert_int_equal(pn_node_open(opt, &node, &why), PN_INVALID);
    assert_null(node);
    assert_non_null(strstr(why.text, word));
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
    pn_why why = {0};
    char dir[64];
    pn_node_options opt;
    pn_node *node = NULL;

    (void)state;
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    opt.listen_address = "example.org";
    assert_int_equal(pn_node_open(&opt, &node, &why), PN_INVALID);
    assert_non_null(strstr(why.text, "example.org"));
    opt.listen_address = "192.0.2.77"; /* TEST-NET: not ours */
    assert_int_equal(pn_node_open(&opt, &node, &why), PN_SYS);
    assert_non_null(strstr(why.text, "192.0.2.77"));
    remove_dir(dir);
}

/* A TCP socket of 127.0.0.1; it listens if told. */
static int tcp_socket(bool listens, uint16_t *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *ret_port = ntohs(at.sin_port);
    assert_true(!listens || listen(fd, 1) == 0);
    return fd;
}

static void refuse_fd(int fd)
{
    char dir[64];
    pn_node_options opt;

    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    opt.listen_fds = &fd;
    opt.n_listen_fds = 1;
    assert_refused(&opt, "expected a listening TCP socket");
    remove_dir(dir);
}

static void test_listen_fds_refused(void **state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    uint16_t port;
    int fds[5] = {[4] = 1000000};

    (void)state;
    fds[0] = tcp_socket(false, &port);
    fds[1] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    fds[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
    fds[3] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* A name that the kernel finds. */
    assert_int_equal(
        bind(fds[3], (struct sockaddr *)&at, sizeof(at.sun_family)), 0);
    assert_int_equal(listen(fds[3], 1), 0);
    for (size_t i = 0; i < 5; i++) {
        refuse_fd(fds[i]);
        (void)close(fds[i]);
    }
}

static void test_listen_fds(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    char dir[64];
    pn_node_options opt;
    pn_node *node = NULL;
    uint16_t ports[2];
    int fds[2] = {tcp_socket(true, &ports[0]), tcp_socket(true, &ports[1])};
    int client;

    (void)state;
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    opt.listen_address = "192.0.2.77"; /* not used, nor is its port */
    opt.listen_fds = fds;
    opt.n_listen_fds = 2;
    assert_int_equal(pn_node_open(&opt, &node, NULL), PN_OK);
    assert_int_equal(pn_node_port(node), ports[0]);
    for (int i = 0; i < 2; i++) {
        char c;

        (void)close(fds[i]); /* the node has its own */
        client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        at.sin_port = htons(ports[i]);
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_int_equal(
            connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
        /* It is heard: what is no handshake is answered with the end. */
        assert_int_equal(write(client, "\xff\xff\xff\xff\xff", 5), 5);
        assert_true(read(client, &c, 1) <= 0);
        (void)close(client);
    }
    pn_node_close(node);
    remove_dir(dir);
}

static void test_listen_fds_too_many(void **state)
{
    char dir[64];
    pn_node_options opt;
    uint16_t port;
    int fds[9];

    (void)state;
    for (size_t i = 0; i < 9; i++) {
        fds[i] = i == 0 ? tcp_socket(true, &port) : fds[0];
    }
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    opt.listen_fds = fds;
    opt.n_listen_fds = 9;
    assert_refused(&opt, "listen_fds has more than 8");
    (void)close(fds[0]);
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
    assert_int_equal(pn_node_open(&opt, &node, NULL), PN_OK);
    pn_node_close(node);
    remove_dir(dir);
}

/* ---- handlers ---------------------------------------------------------- */

static void two_running(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->max_running_per_peer = 2;
    opt->max_queue_per_link = 2;
}

static bool has_dropped_one(void *user)
{
    pn_metrics metrics;

    assert_int_equal(pn_node_metrics(user, &metrics), PN_OK);
    return metrics.queue_drops == 1;
}

/* Two run and two wait, so the fifth is dropped. */
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
    for (int i = 0; i < 5; i++) {
        assert_int_equal(pn_send(t.alice, &t.bob_key, "gate", "~i", 1), PN_OK);
    }
    two_nodes_wait(gatepost_is_reached, &gate);
    two_nodes_wait(has_dropped_one, t.bob);
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
        pn_call(t.alice, &t.bob_key, "gate", 10000, &reply, "~b", big),
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

/* T11: arguments count for as long as their handlers run. */
static void test_t11_running_arguments(void **state)
{
    static uint8_t zeros[300000];
    pn_slice big = {zeros, sizeof(zeros)};
    gatepost gate = {0};
    pn_expose_options opt;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, little_memory);
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_CONCURRENT;
    assert_int_equal(pn_expose(t.bob, "gate", on_gatepost, &gate, &opt), PN_OK);
    for (int i = 0; i < 4; i++) {
        (void)!pn_send(t.alice, &t.bob_key, "gate", "~b", big);
    }
    two_nodes_wait_event(&t, PN_EVENT_PEER_DOWN, 1);
    atomic_store(&gate.is_open, true);
    two_nodes_close(&t);
}

/* ---- memory of the application ------------------------------------------ */

typedef struct holder {
    pthread_mutex_t lock;
    pn_request *kept[2];
    int n_kept;
    pn_err before; /* of a hold before the request is deferred */
} holder;

static void on_hold(pn_request *req, pn_term args, void *user)
{
    holder *h = user;
    pn_request *kept = NULL;
    pn_err before = pn_request_hold(req, 1);

    (void)args;
    assert_int_equal(pn_request_defer(req, &kept), PN_OK);
    (void)pthread_mutex_lock(&h->lock);
    h->before = before;
    h->kept[h->n_kept++] = kept;
    (void)pthread_mutex_unlock(&h->lock);
}

static bool holds_two(void *user)
{
    holder *h = user;
    bool yes;

    (void)pthread_mutex_lock(&h->lock);
    yes = h->n_kept == 2;
    (void)pthread_mutex_unlock(&h->lock);
    return yes;
}

static void open_holding(
    two_nodes *t, holder *h, void (*change)(pn_node_options *opt, bool))
{
    two_nodes_open(t, change);
    assert_int_equal(pn_expose(t->bob, "hold", on_hold, h, NULL), PN_OK);
    assert_int_equal(pn_send(t->alice, &t->bob_key, "hold", "~i", 1), PN_OK);
    assert_int_equal(pn_send(t->alice, &t->bob_key, "hold", "~i", 2), PN_OK);
    two_nodes_wait(holds_two, h);
}

static void holds_little(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->max_held_bytes_per_link = 10000;
}

static void test_held_per_link(void **state)
{
    holder h = {.lock = PTHREAD_MUTEX_INITIALIZER};
    two_nodes t;

    (void)state;
    open_holding(&t, &h, holds_little);
    assert_int_equal(h.before, PN_STATE);
    assert_int_equal(pn_request_hold(h.kept[0], 10001), PN_BUSY);
    assert_int_equal(pn_request_hold(h.kept[0], SIZE_MAX), PN_BUSY);
    assert_int_equal(pn_request_hold(h.kept[0], 10000), PN_OK);
    assert_int_equal(pn_request_hold(h.kept[1], 1), PN_BUSY);
    assert_int_equal(pn_request_hold(h.kept[0], 9999), PN_OK);
    assert_int_equal(pn_request_hold(h.kept[1], 1), PN_OK);
    assert_int_equal(pn_request_hold(h.kept[1], 2), PN_BUSY);
    pn_request_drop(h.kept[0]);
    assert_int_equal(pn_request_hold(h.kept[1], 10000), PN_OK);
    pn_request_drop(h.kept[1]);
    two_nodes_close(&t);
}

/* Half of 1 MiB. Beyond it nothing is held, and the link stays. */
static void test_held_budget(void **state)
{
    holder h = {.lock = PTHREAD_MUTEX_INITIALIZER};
    two_nodes t;

    (void)state;
    open_holding(&t, &h, little_memory);
    assert_int_equal(pn_request_hold(h.kept[0], 524289), PN_BUSY);
    assert_int_equal(pn_request_hold(h.kept[0], 524288), PN_OK);
    assert_int_equal(pn_request_hold(h.kept[1], 1), PN_BUSY);
    assert_true(pn_connected(t.bob, &t.alice_key));
    pn_request_drop(h.kept[0]);
    assert_int_equal(pn_request_hold(h.kept[1], 524288), PN_OK);
    pn_request_drop(h.kept[1]);
    two_nodes_close(&t);
}

/* ---- trust ------------------------------------------------------------- */

/* Bob's log says of his trust list. */
static atomic_uint n_unreadable;
static atomic_uint n_readable;

static void on_trust_log(void *user, const pn_log_event *event)
{
    (void)user;
    if (event->what == PN_LOG_TRUST_LIST_NOT_READ) {
        atomic_fetch_add(&n_unreadable, 1);
    } else if (event->what == PN_LOG_TRUST_LIST
               && strstr(event->text, "read now") != NULL) {
        atomic_fetch_add(&n_readable, 1);
    }
}

static void trust_log(pn_node_options *opt, bool is_alice)
{
    if (!is_alice) {
        opt->on_log = on_trust_log;
    }
}

static bool is_unreadable(void *user)
{
    (void)user;
    return atomic_load(&n_unreadable) > 0;
}

static bool is_readable(void *user)
{
    (void)user;
    return atomic_load(&n_readable) > 0;
}

static void forget_trust_log(void)
{
    atomic_store(&n_unreadable, 0);
    atomic_store(&n_readable, 0);
}

static void damage(const char *path)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    (void)fputs("\x83h", file);
    (void)fclose(file);
}

static bool bob_is_alone(void *user)
{
    two_nodes *t = user;

    return !pn_connected(t->bob, &t->alice_key);
}

typedef struct denied_wait {
    pn_node *node;
    uint64_t n; /* this many strangers had been refused */
} denied_wait;

static uint64_t denials(pn_node *node)
{
    pn_metrics m = {0};

    assert_int_equal(pn_node_metrics(node, &m), PN_OK);
    return m.denials[PN_REASON_UNTRUSTED_PEER];
}

static bool has_denied(void *user)
{
    const denied_wait *w = user;

    return denials(w->node) > w->n;
}

/* T22: with a list that becomes unreadable under a running node no new peer is
 * admitted, and the list is neither repaired nor forgotten. */
static void test_t22_damaged_while_running(void **state)
{
    char path[96];
    char backup[96];
    char address[32];
    pn_node_options opt;
    denied_wait w;
    two_nodes t;

    (void)state;
    forget_trust_log();
    two_nodes_open(&t, trust_log);
    (void)snprintf(path, sizeof(path), "%s/trust.bin", t.bob_dir);
    (void)snprintf(backup, sizeof(backup), "%s/saved", t.bob_dir);
    assert_int_equal(rename(path, backup), 0);
    two_nodes_wait_event(&t, PN_EVENT_TRUST_CHANGED, 3);
    damage(path);
    two_nodes_wait(is_unreadable, NULL);
    /* With the old file everything works again. */
    assert_int_equal(rename(backup, path), 0);
    node_address(t.bob, address);
    pn_node_close(t.alice);
    two_nodes_options(&opt);
    opt.data_dir = t.alice_dir;
    assert_int_equal(pn_node_open(&opt, &t.alice, NULL), PN_OK);
    assert_int_equal(pn_wait_connected(t.alice, &t.bob_key, 5000, NULL), PN_OK);
    /* Bob decides when the last message of the handshake is there. */
    assert_int_equal(pn_wait_connected(t.bob, &t.alice_key, 5000, NULL), PN_OK);
    /* And damaged with the peer still in memory: no new link. */
    two_nodes_wait(is_readable, NULL);
    forget_trust_log();
    damage(path);
    two_nodes_wait(is_unreadable, NULL);
    assert_true(pn_connected(t.bob, &t.alice_key));
    pn_node_close(t.alice);
    two_nodes_wait(bob_is_alone, &t);
    w = (denied_wait){t.bob, denials(t.bob)};
    assert_int_equal(pn_node_open(&opt, &t.alice, NULL), PN_OK);
    two_nodes_wait(has_denied, &w);
    assert_false(pn_connected(t.bob, &t.alice_key));
    two_nodes_close(&t);
}

/* T22: the lack of descriptors passes, and no file changes then. */
static void test_t22_read_again_after_a_lack(void **state)
{
    struct rlimit limit;
    struct rlimit none;
    char path[96];
    char byte;
    two_nodes t;
    int fd;

    (void)state;
    forget_trust_log();
    two_nodes_open(&t, trust_log);
    (void)snprintf(path, sizeof(path), "%s/trust.bin", t.bob_dir);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    /* The same again is a change all the same. */
    assert_int_equal(pread(fd, &byte, 1, 0), 1);
    assert_int_equal(pwrite(fd, &byte, 1, 0), 1);
    (void)close(fd);
    two_nodes_wait(is_unreadable, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    two_nodes_wait(is_readable, NULL);
    assert_int_equal(atomic_load(&n_unreadable), 1);
    assert_true(pn_connected(t.bob, &t.alice_key));
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
    pn_test_add(
        "node/options/listen_fds_refused", test_listen_fds_refused, NULL);
    pn_test_add("node/options/listen_fds", test_listen_fds, NULL);
    pn_test_add(
        "node/options/listen_fds_too_many", test_listen_fds_too_many, NULL);
    pn_test_add("node/options/of_an_older_caller",
        test_options_of_an_older_caller, NULL);
    pn_test_add("node/limit/running_per_peer", test_running_per_peer, NULL);
    pn_test_add("node/limit/queue_bytes", test_queue_bytes, NULL);
    pn_test_add("node/t11/memory_budget", test_t11_memory_budget, NULL);
    pn_test_add("node/t11/running_arguments", test_t11_running_arguments, NULL);
    pn_test_add("node/t11/held_per_link", test_held_per_link, NULL);
    pn_test_add("node/t11/held_budget", test_held_budget, NULL);
    pn_test_add(
        "node/t22/damaged_while_running", test_t22_damaged_while_running, NULL);
    pn_test_add("node/t22/read_again_after_a_lack",
        test_t22_read_again_after_a_lack, NULL);
    return pn_test_run("node/limits");
}

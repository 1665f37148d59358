/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole node in virtual time, and its reports about strangers and refused
 * peers over minutes: some lines at once, then one summary a minute with the
 * right count, in bounded memory (T27). Sockets, handshakes and files are real;
 * only the clock is the test's.
 */
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <peernet/peernet.h>

#include "../unit/os/own_clock.h"
#include "harness.h"
#include "tempdir.h"

#define MS UINT64_C(1000)
#define S (1000 * MS)

enum {
    BURST = 256, /* the defaults of the options */
    PER_MINUTE = 6,
    PAIRED_LINES = 4,
    MAX_SUMMARIES = 64
};

/* One event SUPPRESSED. */
typedef struct summary {
    uint64_t at_us;
    pn_reason reason;
    uint64_t n;
    char of[32];
} summary;

/* The lines and events that one node has told its owner. */
typedef struct told {
    unsigned n_events[PN_EVENT_LABEL_PROPOSED + 1];
    unsigned n_denied[PN_N_REASONS]; /* events */
    unsigned n_denied_lines;         /* of the log */
    unsigned n_summary_lines;
    summary summaries[MAX_SUMMARIES];
    unsigned n_summaries;
    void (*on_event)(const pn_event *event); /* or NULL */
} told;

typedef struct side {
    pn_tempdir dir;
    pn_node *node;
    pn_public_key key;
    told told;
} side;

static void on_event(void *user, const pn_event *event)
{
    told *t = user;

    t->n_events[event->type]++;
    if (event->type == PN_EVENT_DENIED) {
        t->n_denied[event->reason]++;
    } else if (event->type == PN_EVENT_SUPPRESSED) {
        summary *s = &t->summaries[t->n_summaries++];

        assert_true(t->n_summaries <= MAX_SUMMARIES);
        *s = (summary){own_clock_now(), event->reason, event->n_suppressed, ""};
        (void)snprintf(s->of, sizeof(s->of), "%s", event->text);
    }
    if (t->on_event != NULL) {
        t->on_event(event);
    }
}

static void on_log(void *user, const pn_log_event *event)
{
    told *t = user;

    t->n_denied_lines += event->what == PN_LOG_DENIED;
    t->n_summary_lines += event->what == PN_LOG_SUPPRESSED;
}

/* ---- nodes on this thread ------------------------------------------------ */

static side *sides[2];

static void side_open(
    side *s, unsigned place, void (*change)(pn_node_options *options))
{
    pn_why why = {0};
    pn_node_options options;
    pn_err err;

    memset(s, 0, sizeof(*s));
    pn_tempdir_init(&s->dir);
    pn_node_options_init(&options);
    options.data_dir = s->dir.path;
    options.listen_address = "127.0.0.1";
    options.listen_port = 0;
    options.linger_ms = 0;
    options.watch_network = false;
    options.own_loop = true;
    options.on_event = on_event;
    options.on_log = on_log;
    options.user = &s->told;
    if (change != NULL) {
        change(&options);
    }
    err = pn_node_open(&options, &s->node, &why);
    if (err != PN_OK) {
        fail_msg("open: %s", why.text);
    }
    s->key = *pn_node_key(s->node);
    sides[place] = s;
}

static void side_close(side *s, unsigned place)
{
    sides[place] = NULL;
    own_clock_go(true);
    pn_node_close(s->node);
    own_clock_go(false);
    pn_tempdir_fini(&s->dir);
}

/* Runs until no node has anything to do at this time. */
static void settle(void)
{
    bool is_busy = true;

    while (is_busy) {
        is_busy = false;
        for (unsigned i = 0; i < 2; i++) {
            struct pollfd p = {.events = POLLIN};

            if (sides[i] == NULL) {
                continue;
            }
            p.fd = pn_node_fd(sides[i]->node);
            if (poll(&p, 1, 0) > 0 || pn_node_timeout_ms(sides[i]->node) == 0) {
                is_busy = true;
                assert_int_equal(pn_node_run(sides[i]->node), PN_OK);
            }
        }
    }
}

static void pass(uint64_t us)
{
    own_clock_advance(us);
    settle();
}

static uint64_t denials(const side *s, pn_reason reason)
{
    pn_metrics m = {0};

    assert_int_equal(pn_node_metrics(s->node, &m), PN_OK);
    return m.denials[reason];
}

/* ---- checks for every flood ---------------------------------------------- */

/* The sum over the summaries of one event and reason, each a minute after the
 * one before. */
static uint64_t counted(const told *t, const char *of, pn_reason reason)
{
    uint64_t last_us = 0;
    uint64_t n = 0;

    for (unsigned i = 0; i < t->n_summaries; i++) {
        const summary *s = &t->summaries[i];

        if (strcmp(s->of, of) == 0 && s->reason == reason) {
            assert_true(last_us == 0 || s->at_us - last_us >= 60 * S);
            assert_true(s->n > 0);
            last_us = s->at_us;
            n += s->n;
        }
    }
    return n;
}

static size_t allocated(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

/* ---- unknown keys that are announced ------------------------------------- */

enum { ANNOUNCED_PER_S = 40, ANNOUNCED_S = 300 };

static pn_discovery_sink sink;
static bool was_told[ANNOUNCED_PER_S * ANNOUNCED_S];

static pn_err source_start(void *user, const pn_discovery_sink *s)
{
    (void)user;
    sink = *s;
    return PN_OK;
}

static void source_stop(void *user)
{
    (void)user;
}

static const pn_discovery_source source = {.size = sizeof(source),
    .name = "test",
    .start = source_start,
    .stop = source_stop};

static void with_source(pn_node_options *options)
{
    options->discovery_source = &source;
}

static void on_discovered(const pn_event *event)
{
    unsigned i;

    if (event->type == PN_EVENT_DISCOVERED) {
        memcpy(&i, event->who->key.x25519.bytes, sizeof(i));
        assert_false(was_told[i]);
        was_told[i] = true;
    }
}

static void announce(unsigned i)
{
    pn_public_key key = {{0}};

    memcpy(key.bytes, &i, sizeof(i));
    key.bytes[31] = 1;
    sink.found(sink.node, &key, "192.0.2.1:7100");
}

static void test_announced(void **state)
{
    static side s;
    const unsigned n = ANNOUNCED_PER_S * ANNOUNCED_S;
    size_t before = 0;

    (void)state;
    side_open(&s, 0, with_source);
    s.told.on_event = on_discovered;
    settle();
    for (unsigned i = 0; i < n; i++) {
        announce(i);
        pass(S / ANNOUNCED_PER_S);
        if (i == n / ANNOUNCED_S * 60) {
            before = allocated();
        }
    }
    assert_true(allocated() < before + 64 * 1024);
    pass(60 * S);
    assert_true(s.told.n_events[PN_EVENT_DISCOVERED] >= BURST);
    assert_true(s.told.n_events[PN_EVENT_DISCOVERED]
                <= BURST + PER_MINUTE * (ANNOUNCED_S / 60 + 1));
    assert_int_equal(s.told.n_events[PN_EVENT_DISCOVERED]
                         + counted(&s.told, "discovered", PN_REASON_NONE),
        n);
    assert_int_equal(s.told.n_summaries, ANNOUNCED_S / 60);
    assert_int_equal(s.told.n_summary_lines, s.told.n_summaries);
    side_close(&s, 0);
}

/* Another thread may cause the first event that is only counted; the waiting
 * loop reports it in time. */
static void test_announced_beside_the_loop(void **state)
{
    static side s;

    (void)state;
    side_open(&s, 0, with_source);
    settle();
    for (unsigned i = 0; i <= BURST; i++) {
        announce(i);
        if (i == BURST - 1) {
            settle();
        }
    }
    settle();
    assert_true(pn_node_timeout_ms(s.node) != 0);
    pass(60 * S);
    assert_int_equal(counted(&s.told, "discovered", PN_REASON_NONE), 1);
    side_close(&s, 0);
}

/* ---- strangers that connect ---------------------------------------------- */

enum { STRANGERS_PER_S = 4, STRANGERS_S = 180 };

/* Garbage from an address of its own; the descriptor. */
static int stranger_connect(uint16_t port, unsigned n)
{
    static const uint8_t garbage[38];
    struct sockaddr_in from = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f400001U + n)};
    struct sockaddr_in to = {.sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(
        send(fd, garbage, sizeof(garbage), MSG_NOSIGNAL), sizeof(garbage));
    return fd;
}

static void test_refused(void **state)
{
    static side s;
    const unsigned n = STRANGERS_PER_S * STRANGERS_S;
    uint64_t n_denied;

    (void)state;
    side_open(&s, 0, NULL);
    for (unsigned i = 0; i < n; i++) {
        int fd = stranger_connect(pn_node_port(s.node), i);

        do {
            settle();
        } while (denials(&s, PN_REASON_BAD_HANDSHAKE) <= i);
        (void)close(fd);
        pass(S / STRANGERS_PER_S);
    }
    pass(60 * S);
    n_denied = s.told.n_denied[PN_REASON_BAD_HANDSHAKE];
    assert_int_equal(denials(&s, PN_REASON_BAD_HANDSHAKE), n);
    assert_true(n_denied >= BURST);
    assert_true(n_denied <= BURST + PER_MINUTE * (STRANGERS_S / 60 + 1));
    assert_int_equal(
        n_denied + counted(&s.told, "denied", PN_REASON_BAD_HANDSHAKE), n);
    assert_int_equal(s.told.n_denied_lines, n_denied);
    side_close(&s, 0);
}

/* A peer with an unpaired key that tries for ever. */
static void test_unpaired(void **state)
{
    static side alice;
    static side bob;
    char address[32];
    unsigned n_told;

    (void)state;
    side_open(&alice, 0, NULL);
    side_open(&bob, 1, NULL);
    (void)snprintf(
        address, sizeof(address), "127.0.0.1:%u", pn_node_port(bob.node));
    assert_int_equal(pn_pair_at(alice.node, &bob.key, "bob", address), PN_OK);
    for (unsigned i = 0; i < 300 * 10; i++) {
        pass(100 * MS);
    }
    pass(60 * S);
    n_told = bob.told.n_denied[PN_REASON_UNTRUSTED_PEER];
    assert_true(denials(&bob, PN_REASON_UNTRUSTED_PEER) > 7);
    assert_in_range(n_told, 1, 6);
    assert_int_equal(
        n_told + counted(&bob.told, "denied", PN_REASON_UNTRUSTED_PEER),
        denials(&bob, PN_REASON_UNTRUSTED_PEER));
    side_close(&alice, 0);
    side_close(&bob, 1);
}

/* ---- a paired peer that is refused --------------------------------------- */

static void on_nothing(pn_request *req, pn_term args, void *user)
{
    (void)req;
    (void)args;
    (void)user;
}

static void open_paired(side *alice, side *bob)
{
    pn_expose_options closed;
    char address[32];

    side_open(alice, 0, NULL);
    side_open(bob, 1, NULL);
    (void)snprintf(
        address, sizeof(address), "127.0.0.1:%u", pn_node_port(bob->node));
    assert_int_equal(pn_pair(bob->node, &alice->key, "alice"), PN_OK);
    assert_int_equal(pn_pair_at(alice->node, &bob->key, "bob", address), PN_OK);
    pn_expose_options_init(&closed);
    closed.flags = PN_EXPOSE_CLOSED;
    assert_int_equal(
        pn_expose(bob->node, "closed", on_nothing, NULL, &closed), PN_OK);
    while (!pn_connected(alice->node, &bob->key)
           || !pn_connected(bob->node, &alice->key)) {
        pass(10 * MS);
    }
}

static void assert_told(const side *s, pn_reason reason, unsigned n)
{
    unsigned n_told = s->told.n_denied[reason];

    assert_int_equal(denials(s, reason), n);
    assert_in_range(n_told, PAIRED_LINES, PAIRED_LINES * 4);
    assert_int_equal(n_told + counted(&s->told, "denied", reason), n);
}

/* Refused for two reasons, five times a second and once: the first lines of
 * each are reported at once, and the counts are separate. */
static void test_paired(void **state)
{
    static side alice;
    static side bob;
    const unsigned n_s = 180;

    (void)state;
    open_paired(&alice, &bob);
    for (unsigned i = 0; i < n_s * 5; i++) {
        assert_int_equal(
            pn_send(alice.node, &bob.key, "nothing", "~i", 1), PN_OK);
        if (i % 5 == 0) {
            assert_int_equal(
                pn_send(alice.node, &bob.key, "closed", "~i", 1), PN_OK);
        }
        do {
            pass(MS);
        } while (denials(&bob, PN_REASON_NO_SUCH_HANDLE) <= i
                 || denials(&bob, PN_REASON_FORBIDDEN) <= i / 5);
        if (i == PAIRED_LINES - 1) {
            assert_int_equal(
                bob.told.n_denied[PN_REASON_NO_SUCH_HANDLE], PAIRED_LINES);
        }
        pass(199 * MS);
    }
    pass(60 * S);
    assert_told(&bob, PN_REASON_NO_SUCH_HANDLE, n_s * 5);
    assert_told(&bob, PN_REASON_FORBIDDEN, n_s);
    assert_int_equal(
        bob.told.n_denied_lines, bob.told.n_events[PN_EVENT_DENIED]);
    side_close(&alice, 0);
    side_close(&bob, 1);
}

int main(void)
{
    pn_test_add("sim/quiet/announced", test_announced, NULL);
    pn_test_add("sim/quiet/announced_beside_the_loop",
        test_announced_beside_the_loop, NULL);
    pn_test_add("sim/quiet/refused", test_refused, NULL);
    pn_test_add("sim/quiet/unpaired", test_unpaired, NULL);
    pn_test_add("sim/quiet/paired", test_paired, NULL);
    return pn_test_run("sim/quiet");
}

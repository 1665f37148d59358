/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shortages: descriptors (docs/THREATS.md, T4 and FI-5), IPv6.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/wait.h>

#include "conform.h"
#include "faults.h"

enum { CROWD = 40, MAX_LINKS = 128, SHORT_MS = 2000 };

/* ---- a server and a crowd of clients ---------------------------------- */

typedef struct server_link {
    struct server *server;
    pn_conn *conn;
} server_link;

typedef struct server {
    rig r;
    server_link links[MAX_LINKS];
    unsigned n_links;
    unsigned n_ended;
} server;

static size_t echo_on_data(void *user, uint8_t *data, size_t len, size_t *want)
{
    server_link *l = user;
    size_t n;

    (void)want;
    assert_int_equal(l->server->r.ops->write(l->conn, data, len, &n), PN_OK);
    return len;
}

static void echo_on_end(void *user, pn_err why, int sys_errno)
{
    server_link *l = user;

    (void)why;
    (void)sys_errno;
    l->server->n_ended++;
}

static const pn_conn_callbacks echo_callbacks = {
    .on_data = echo_on_data, .on_end = echo_on_end};

static void server_on_accept(void *user, pn_conn *conn, const pn_address *from)
{
    server *d = user;
    server_link *l = &d->links[d->n_links];

    (void)from;
    assert_true(d->n_links < MAX_LINKS);
    d->n_links++;
    *l = (server_link){.server = d, .conn = conn};
    d->r.ops->set_callbacks(conn, &echo_callbacks, l);
}

static void server_on_trouble(void *user, int sys_errno)
{
    server *d = user;

    assert_true(sys_errno == EMFILE || sys_errno == ENFILE);
    d->r.n_troubles++;
}

static const pn_listener_callbacks server_callbacks = {
    .on_accept = server_on_accept, .on_trouble = server_on_trouble};

/* The crowd's report. */
typedef struct report {
    unsigned n_answers;     /* on the first link, one every 20 ms */
    unsigned n_turned_away; /* of the others, closed at once */
    unsigned slowest_ms;
} report;

static unsigned crowd_ping(int fd)
{
    uint64_t before;
    struct timespec ts;
    char c = 'p';

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    before = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
    if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1) {
        _exit(1);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (unsigned)((uint64_t)ts.tv_sec * 1000
                      + (uint64_t)ts.tv_nsec / 1000000 - before);
}

/* The first link is served while the others connect; runs until its stop pipe
 * is closed. */
static void crowd(const pn_address *to, int stop, int out)
{
    int fds[CROWD];
    report rep = {0};
    struct pollfd p = {.fd = stop, .events = POLLIN};

    for (int i = 0; i < CROWD; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fds[i], &to->any, pn_address_len(to)) != 0) {
            _exit(1);
        }
        if (i == 0) {
            (void)crowd_ping(fds[0]); /* it is in */
        }
    }
    while (poll(&p, 1, 20) == 0) {
        unsigned ms = crowd_ping(fds[0]);

        rep.slowest_ms = ms > rep.slowest_ms ? ms : rep.slowest_ms;
        rep.n_answers++;
    }
    for (int i = 1; i < CROWD; i++) {
        char c;

        if (recv(fds[i], &c, 1, MSG_DONTWAIT) == 0) {
            rep.n_turned_away++;
        }
    }
    (void)!write(out, &rep, sizeof(rep));
    _exit(0);
}

/* ---- descriptors ------------------------------------------------------ */

/* So many more descriptors than are open now. */
static void limit_to(unsigned more, rlim_t *ret_before)
{
    struct rlimit lim;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
    *ret_before = lim.rlim_cur;
    lim.rlim_cur = (rlim_t)fd + more;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
}

static void unlimit(rlim_t before)
{
    struct rlimit lim;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
    lim.rlim_cur = before;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
}

static uint64_t cpu_us(void)
{
    struct rusage u;

    assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * PN_US_PER_S
           + (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void server_open(server *d)
{
    int sys_errno;

    *d = (server){0};
    rig_init(&d->r, &pn_transport_tcp, "127.0.0.1:0");
    d->r.ops->listener_close(d->r.listener);
    assert_int_equal(d->r.ops->listen(d->r.loop, &d->r.at, &server_callbacks, d,
                         &d->r.listener, &sys_errno),
        PN_OK);
}

static void server_close(server *d)
{
    for (unsigned i = 0; i < d->n_links; i++) {
        d->r.ops->close(d->links[i].conn);
    }
    rig_fini(&d->r);
}

typedef struct shortage_row {
    unsigned room; /* descriptors left for links */
} shortage_row;

static shortage_row shortages[] = {{1}, {4}, {20}};

/* Descriptors run out while clients wait: the loop does not spin, the live
 * links are served, one client in 100 ms is refused, and the owner is told
 * once. When there are descriptors again all waiting clients are accepted
 * within a second. */
static void test_shortage(void **state)
{
    const shortage_row *row = *state;
    server d;
    int stop[2];
    int out[2];
    rlim_t before;
    report rep;
    uint64_t cpu;
    pid_t child;

    server_open(&d);
    assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    child = fork();
    if (child == 0) {
        (void)close(stop[1]);
        crowd(&d.r.at, stop[0], out[1]);
    }
    limit_to(row->room, &before);
    while (d.n_links < row->room) {
        rig_settle(&d.r, 10);
    }
    rig_settle(&d.r, 100);
    assert_int_equal(d.n_links, row->room);
    cpu = cpu_us();
    rig_settle(&d.r, SHORT_MS);
    cpu = cpu_us() - cpu;
    assert_int_equal(d.n_links, row->room);
    assert_int_equal(d.r.n_troubles, 1);
    assert_true(cpu < SHORT_MS * 1000 / 20); /* 5 % of a core */
    unlimit(before);
    rig_settle(&d.r, 1000);
    (void)close(stop[0]);
    (void)close(stop[1]);
    while (read(out[0], &rep, sizeof(rep)) != (ssize_t)sizeof(rep)) {
        rig_settle(&d.r, 10);
        assert_int_equal(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(rep.n_answers > 20);
    assert_in_range(rep.slowest_ms, 0, 1000);
    assert_in_range(rep.n_turned_away, 10, SHORT_MS / 100 + 3);
    assert_int_equal(d.n_links + rep.n_turned_away, CROWD);
    (void)close(out[0]);
    (void)close(out[1]);
    server_close(&d);
}

/* Dialling without a descriptor is an error of the call, and changes nothing
 * else. */
static void test_dial_without(void **state)
{
    rig r;
    rlim_t before;
    int sys_errno = 0;
    pn_err err;

    (void)state;
    rig_init(&r, &pn_transport_tcp, "127.0.0.1:0");
    limit_to(0, &before);
    err = r.ops->dial(r.loop, &r.at, &rig_conn_callbacks, &r.client,
        &r.client.conn, &sys_errno);
    unlimit(before);
    assert_int_equal(err, PN_SYS);
    assert_int_equal(sys_errno, EMFILE);
    assert_null(r.client.conn);
    rig_connect(&r);
    rig_fini(&r);
}

static void test_listen_without(void **state)
{
    rig r;
    rlim_t before;
    int sys_errno = 0;
    pn_listener *other = NULL;
    pn_address at;
    pn_err err;

    (void)state;
    rig_init(&r, &pn_transport_tcp, "127.0.0.1:0");
    at = r.at;
    pn_address_set_port(&at, 0);
    limit_to(0, &before);
    err = r.ops->listen(
        r.loop, &at, &rig_listener_callbacks, &r, &other, &sys_errno);
    unlimit(before);
    assert_int_equal(err, PN_SYS);
    assert_int_equal(sys_errno, EMFILE);
    assert_null(other);
    rig_fini(&r);
}

static void test_loop_without(void **state)
{
    pn_loop *loop = NULL;
    rlim_t before;
    struct rlimit lim;
    pn_err err;

    (void)state;
    for (unsigned room = 0; room < 8; room++) {
        limit_to(room, &before);
        err = pn_loop_new(&loop);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
        unlimit(before);
        if (err == PN_OK) {
            pn_loop_free(loop);
            loop = NULL;
        } else {
            assert_int_equal(err, PN_SYS);
            assert_null(loop);
        }
    }
    assert_int_equal(err, PN_OK);
}

/* ---- IPv6 ------------------------------------------------------------- */

static bool has_accepted(rig *r)
{
    return r->n_accepts > 0;
}

/* Everywhere is IPv4 where there is no IPv6. */
static void test_no_ipv6(void **state)
{
    rig r;
    pn_address to;

    (void)state;
    faults_set(FAULTS_NO_IPV6);
    rig_init(&r, &pn_transport_tcp, "[::]:0");
    assert_true(faults_count() > 0);
    assert_int_equal(r.at.any.sa_family, AF_INET);
    assert_int_equal(
        pn_address_parse("127.0.0.1", pn_address_port(&r.at), &to), PN_OK);
    rig_dial(&r, &to);
    assert_true(rig_run(&r, has_accepted));
    rig_fini(&r);
    faults_set(FAULTS_NONE);
}

/* A narrow IPv6 address does not become another one. */
static void test_no_ipv6_narrow(void **state)
{
    pn_loop *loop;
    pn_listener *l = NULL;
    pn_address at;
    int sys_errno = 0;

    (void)state;
    faults_set(FAULTS_NO_IPV6);
    assert_int_equal(pn_loop_new(&loop), PN_OK);
    assert_int_equal(pn_address_parse("[::1]:0", -1, &at), PN_OK);
    assert_int_equal(pn_transport_tcp.listen(loop, &at, &rig_listener_callbacks,
                         NULL, &l, &sys_errno),
        PN_SYS);
    assert_int_equal(sys_errno, EAFNOSUPPORT);
    assert_null(l);
    pn_loop_free(loop);
    faults_set(FAULTS_NONE);
}

int main(void)
{
    pn_loop *loop = NULL;

    /* libuv opens what it keeps for good. */
    if (pn_loop_new(&loop) != PN_OK) {
        return 99;
    }
    pn_loop_free(loop);
    for (size_t i = 0; i < sizeof(shortages) / sizeof(shortages[0]); i++) {
        pn_test_addf(test_shortage, &shortages[i],
            "faults/T4 no descriptors, room for %u", shortages[i].room);
    }
    pn_test_add("faults/dial without descriptors", test_dial_without, NULL);
    pn_test_add("faults/listen without descriptors", test_listen_without, NULL);
    pn_test_add("faults/loop without descriptors", test_loop_without, NULL);
    pn_test_add("faults/no IPv6, everywhere", test_no_ipv6, NULL);
    pn_test_add("faults/no IPv6, narrow", test_no_ipv6_narrow, NULL);
    return pn_test_run("faults");
}

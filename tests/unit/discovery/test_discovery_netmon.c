/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network monitor, in a network namespace of this process's own, where
 * `lo` goes up and down and gets addresses.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "discovery/netmon.h"
#include "harness.h"

#define MS PN_US_PER_MS

static bool has_namespace;

typedef struct watcher {
    pn_loop *loop;
    pn_netmon *m;
    pn_network_sink sink;
    unsigned n_changed;
    bool stops;
} watcher;

static void on_changed(void *node)
{
    watcher *w = node;

    w->n_changed++;
    if (w->stops) {
        pn_netmon_monitor.stop(w->m);
    }
}

static void lo_set(bool up)
{
    struct ifreq r = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    r.ifr_flags = up ? IFF_UP : 0;
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &r), 0);
    (void)close(fd);
}

/* An alias, "lo:1"; "0.0.0.0" takes it away. */
static void lo_alias(const char *address)
{
    struct ifreq r = {.ifr_name = "lo:1"};
    struct sockaddr_in in = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(inet_pton(AF_INET, address, &in.sin_addr), 1);
    memcpy(&r.ifr_addr, &in, sizeof(in));
    assert_int_equal(ioctl(fd, SIOCSIFADDR, &r), 0);
    (void)close(fd);
}

static void begin(watcher *w, pn_netmon_mode mode)
{
    pn_netmon_config config = {.mode = mode, .poll_ms = 20, .settle_ms = 50};

    if (!has_namespace) {
        pn_test_skip("no right to make a namespace");
    }
    lo_set(true);
    *w = (watcher){
        .sink = {.size = sizeof(w->sink), .node = w, .changed = on_changed}};
    assert_int_equal(pn_loop_new(&w->loop), PN_OK);
    config.loop = w->loop;
    assert_int_equal(pn_netmon_new(&config, &w->m), PN_OK);
    assert_int_equal(pn_netmon_mode_now(w->m), PN_NETMON_AUTO);
}

static void start(watcher *w)
{
    assert_int_equal(pn_netmon_monitor.start(w->m, &w->sink), PN_OK);
}

static void end(watcher *w)
{
    pn_netmon_monitor.stop(w->m);
    pn_netmon_free(w->m);
    pn_loop_free(w->loop);
}

static void run_for(watcher *w, unsigned ms)
{
    uint64_t until_us = pn_loop_update_now(w->loop) + ms * MS;
    struct pollfd p = {.fd = pn_loop_fd(w->loop), .events = POLLIN};

    do {
        int timeout = pn_loop_timeout_ms(w->loop);

        (void)poll(&p, 1, timeout >= 0 && timeout < 5 ? timeout : 5);
        pn_loop_run_once(w->loop);
    } while (pn_loop_update_now(w->loop) < until_us);
}

static void run_until(watcher *w, unsigned n)
{
    for (int i = 0; i < 100 && w->n_changed < n; i++) {
        run_for(w, 20);
    }
}

typedef struct mode_row {
    const char *name;
    pn_netmon_mode mode;
} mode_row;

static mode_row modes[] = {
    {"rtnetlink", PN_NETMON_RTNETLINK},
    {"polling", PN_NETMON_POLLING},
};

static void test_address_comes_and_goes(void **state)
{
    const mode_row *row = *state;
    watcher w;

    begin(&w, row->mode);
    start(&w);
    assert_int_equal(pn_netmon_mode_now(w.m), row->mode);
    run_for(&w, 80);
    assert_int_equal(w.n_changed, 0);
    lo_alias("10.77.0.1");
    run_until(&w, 1);
    assert_int_equal(w.n_changed, 1);
    run_for(&w, 100);
    assert_int_equal(w.n_changed, 1);
    lo_alias("0.0.0.0");
    run_until(&w, 2);
    run_for(&w, 100);
    assert_int_equal(w.n_changed, 2);
    end(&w);
}

static void test_interface_goes_down(void **state)
{
    const mode_row *row = *state;
    watcher w;

    begin(&w, row->mode);
    start(&w);
    lo_set(false);
    run_until(&w, 1);
    run_for(&w, 100);
    assert_int_equal(w.n_changed, 1);
    lo_set(true);
    run_until(&w, 2);
    assert_int_equal(w.n_changed, 2);
    end(&w);
}

static void test_stopped_is_silent(void **state)
{
    const mode_row *row = *state;
    watcher w;

    begin(&w, row->mode);
    start(&w);
    lo_alias("10.77.0.2");
    pn_netmon_monitor.stop(w.m); /* with a change on its way */
    lo_alias("0.0.0.0");
    run_for(&w, 150);
    assert_int_equal(w.n_changed, 0);
    start(&w);
    w.stops = true; /* from inside the callback */
    lo_alias("10.77.0.3");
    run_until(&w, 1);
    lo_alias("0.0.0.0");
    run_for(&w, 150);
    assert_int_equal(w.n_changed, 1);
    end(&w);
}

/* A burst is one change, and one that ends where it began is none. */
static void test_burst(void **state)
{
    watcher w;

    (void)state;
    begin(&w, PN_NETMON_RTNETLINK);
    start(&w);
    for (int i = 0; i < 20; i++) {
        lo_alias(i % 2 == 0 ? "10.77.0.4" : "10.77.0.5");
    }
    run_until(&w, 1);
    run_for(&w, 150);
    assert_int_equal(w.n_changed, 1);
    lo_alias("10.77.0.6");
    lo_alias("10.77.0.5");
    run_for(&w, 150);
    assert_int_equal(w.n_changed, 1);
    lo_alias("0.0.0.0");
    end(&w);
}

/* As many descriptors as are open, and no more: a new socket is refused. */
static void limit_descriptors(rlim_t *ret_before)
{
    struct rlimit r;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
    *ret_before = r.rlim_cur;
    r.rlim_cur = (rlim_t)fd;
    (void)close(fd);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
}

static void unlimit_descriptors(rlim_t before)
{
    struct rlimit r;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
    r.rlim_cur = before;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
}

/* Without rtnetlink it polls, unless the mode forbids that. */
static void test_falls_back(void **state)
{
    watcher w;
    rlim_t before;

    (void)state;
    begin(&w, PN_NETMON_AUTO);
    limit_descriptors(&before);
    start(&w);
    unlimit_descriptors(before);
    assert_int_equal(pn_netmon_mode_now(w.m), PN_NETMON_POLLING);
    lo_alias("10.77.0.7");
    run_until(&w, 1);
    assert_int_equal(w.n_changed, 1);
    lo_alias("0.0.0.0");
    pn_netmon_monitor.stop(w.m);
    start(&w);
    assert_int_equal(pn_netmon_mode_now(w.m), PN_NETMON_RTNETLINK);
    assert_int_equal(pn_netmon_monitor.start(w.m, &w.sink), PN_STATE);
    end(&w);
}

static void test_insists(void **state)
{
    watcher w;
    rlim_t before;
    pn_err err;

    (void)state;
    begin(&w, PN_NETMON_RTNETLINK);
    limit_descriptors(&before);
    err = pn_netmon_monitor.start(w.m, &w.sink);
    unlimit_descriptors(before);
    assert_int_equal(err, PN_SYS);
    end(&w);
}

/* The current addresses: those that are up, all counted, written while they
 * fit. */
static void test_current(void **state)
{
    watcher w;
    pn_local_address a[4];
    size_t n = 0;
    size_t n_all = 0;
    bool found = false;

    (void)state;
    begin(&w, PN_NETMON_AUTO);
    lo_alias("10.77.0.8");
    assert_int_equal(pn_netmon_monitor.current(w.m, NULL, 0, &n_all), PN_OK);
    assert_true(n_all >= 2);
    memset(a, 0x5a, sizeof(a));
    assert_int_equal(pn_netmon_monitor.current(w.m, a, 1, &n), PN_OK);
    assert_int_equal(n, n_all);
    assert_int_equal(a[1].address[0], 0x5a);
    assert_int_equal(pn_netmon_monitor.current(w.m, a, 4, &n), PN_OK);
    for (size_t i = 0; i < n && i < 4; i++) {
        assert_true(strncmp(a[i].interface_name, "lo", 2) == 0);
        found |= strcmp(a[i].address, "10.77.0.8") == 0;
    }
    assert_true(found);
    lo_set(false);
    assert_int_equal(pn_netmon_monitor.current(w.m, a, 4, &n), PN_OK);
    assert_int_equal(n, 0);
    lo_set(true);
    lo_alias("0.0.0.0");
    end(&w);
}

int main(void)
{
    has_namespace = unshare(CLONE_NEWNET) == 0
                    || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        pn_test_addf(test_address_comes_and_goes, &modes[i],
            "discovery/netmon/address_comes_and_goes %s", modes[i].name);
        pn_test_addf(test_interface_goes_down, &modes[i],
            "discovery/netmon/interface_goes_down %s", modes[i].name);
        pn_test_addf(test_stopped_is_silent, &modes[i],
            "discovery/netmon/stopped_is_silent %s", modes[i].name);
    }
    pn_test_add("discovery/netmon/burst", test_burst, NULL);
    pn_test_add("discovery/netmon/falls_back", test_falls_back, NULL);
    pn_test_add("discovery/netmon/insists", test_insists, NULL);
    pn_test_add("discovery/netmon/current", test_current, NULL);
    return pn_test_run("discovery/netmon");
}

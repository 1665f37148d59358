/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source without a daemon: its options, and that starting and stopping wait
 * for nobody. One bus is not there; the other accepts connections and never
 * answers, as a bus that hangs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <peernet/dnssd.h>

#include "harness.h"

typedef struct option_row {
    const char *name;
    size_t offset;
    uint32_t min;
    uint32_t max;
} option_row;

#define ROW(field, min, max)                                                   \
    {                                                                          \
#field, offsetof(pn_dnssd_options, field), min, max                    \
    }

static const option_row option_rows[] = {
    ROW(max_services, 1, 300),
    ROW(max_addresses, 1, 16),
    ROW(min_port, 1, 65535),
    ROW(repeat_ms, 100, 3600000),
};

static pn_err make(const option_row *row, uint32_t value, pn_why *ret_why)
{
    pn_dnssd_options options;
    pn_dnssd *d = NULL;
    pn_err err;

    pn_dnssd_options_init(&options);
    memcpy((char *)&options + row->offset, &value, sizeof(value));
    err = pn_dnssd_new(&options, &d, ret_why);
    pn_dnssd_free(d);
    return err;
}

static void test_option(void **state)
{
    const option_row *row = *state;
    pn_why why;

    assert_int_equal(make(row, row->min, NULL), PN_OK);
    assert_int_equal(make(row, row->max, NULL), PN_OK);
    assert_int_equal(make(row, row->min - 1, NULL), PN_INVALID);
    assert_int_equal(make(row, row->max + 1, &why), PN_INVALID);
    assert_non_null(strstr(why.text, row->name));
}

static pn_err make_labelled(const char *label)
{
    pn_dnssd_options options;
    pn_dnssd *d = NULL;
    pn_err err;

    pn_dnssd_options_init(&options);
    options.label = label;
    err = pn_dnssd_new(&options, &d, NULL);
    pn_dnssd_free(d);
    return err;
}

static void test_label(void **state)
{
    char label[66];

    (void)state;
    memset(label, 'l', sizeof(label));
    label[65] = '\0';
    assert_int_equal(make_labelled(label), PN_INVALID);
    label[64] = '\0';
    assert_int_equal(make_labelled(label), PN_OK);
    assert_int_equal(make_labelled("k"), PN_OK);
    assert_int_equal(make_labelled(""), PN_INVALID);
    assert_int_equal(make_labelled("\xff"), PN_INVALID);
    assert_int_equal(make_labelled("two\nlines"), PN_INVALID);
    assert_int_equal(make_labelled(NULL), PN_OK);
}

static pn_dnssd *open_source(void)
{
    pn_dnssd_options options;
    pn_dnssd *d = NULL;

    pn_dnssd_options_init(&options);
    assert_int_equal(pn_dnssd_new(&options, &d, NULL), PN_OK);
    return d;
}

static void test_set_label(void **state)
{
    char label[66];
    pn_dnssd *d = open_source();

    (void)state;
    memset(label, 'l', sizeof(label));
    label[65] = '\0';
    assert_int_equal(pn_dnssd_set_label(d, label), PN_INVALID);
    label[64] = '\0';
    assert_int_equal(pn_dnssd_set_label(d, label), PN_OK);
    assert_int_equal(pn_dnssd_set_label(d, ""), PN_INVALID);
    assert_int_equal(pn_dnssd_set_label(d, "two\nlines"), PN_INVALID);
    assert_int_equal(pn_dnssd_set_label(d, NULL), PN_OK);
    pn_dnssd_free(d);
}

static pn_err make_with_helper(
    pn_dnssd_use use, const char *helper, pn_why *ret_why)
{
    pn_dnssd_options options;
    pn_dnssd *d = NULL;
    pn_err err;

    pn_dnssd_options_init(&options);
    options.use = use;
    options.helper = helper;
    err = pn_dnssd_new(&options, &d, ret_why);
    pn_dnssd_free(d);
    return err;
}

static void test_helper(void **state)
{
    char path[513];
    pn_why why;

    (void)state;
    memset(path, '/', sizeof(path));
    path[512] = '\0';
    assert_int_equal(
        make_with_helper(PN_DNSSD_USE_ANY, path, NULL), PN_INVALID);
    path[511] = '\0';
    assert_int_equal(make_with_helper(PN_DNSSD_USE_ANY, path, NULL), PN_OK);
    assert_int_equal(make_with_helper(PN_DNSSD_USE_ANY, NULL, NULL), PN_OK);
    assert_int_equal(
        make_with_helper(PN_DNSSD_USE_DAEMON, "/nowhere", NULL), PN_OK);
    assert_int_equal(
        make_with_helper(PN_DNSSD_USE_HELPER, "/bin/true", NULL), PN_OK);
    assert_int_equal(
        make_with_helper(PN_DNSSD_USE_HELPER, NULL, NULL), PN_NOT_FOUND);
    assert_int_equal(
        make_with_helper(PN_DNSSD_USE_HELPER, "/nowhere", &why), PN_NOT_FOUND);
    assert_non_null(strstr(why.text, "/nowhere"));
    assert_int_equal(make_with_helper((pn_dnssd_use)3, NULL, NULL), PN_INVALID);
}

static pn_err make_for(const char *interfaces)
{
    pn_dnssd_options options;
    pn_dnssd *d = NULL;
    pn_err err;

    pn_dnssd_options_init(&options);
    options.interfaces = interfaces;
    err = pn_dnssd_new(&options, &d, NULL);
    pn_dnssd_free(d);
    return err;
}

static void test_interfaces(void **state)
{
    char list[257];

    (void)state;
    assert_int_equal(make_for("eth0"), PN_OK);
    assert_int_equal(make_for("eth0,wlan0"), PN_OK);
    assert_int_equal(make_for("fifteen-letters"), PN_OK);
    assert_int_equal(make_for("sixteen--letters"), PN_INVALID);
    assert_int_equal(make_for(""), PN_INVALID);
    assert_int_equal(make_for("eth0,"), PN_INVALID);
    assert_int_equal(make_for(",eth0"), PN_INVALID);
    for (size_t i = 0; i < sizeof(list); i++) {
        list[i] = i % 2 == 0 ? 'e' : ',';
    }
    list[256] = '\0';
    list[255] = 'e';
    assert_int_equal(make_for(list), PN_INVALID);
    list[255] = '\0';
    assert_int_equal(make_for(list), PN_OK);
}

static void test_newer_header(void **state)
{
    pn_dnssd_options options;
    pn_dnssd *d = NULL;

    (void)state;
    pn_dnssd_options_init(&options);
    options.size++;
    assert_int_equal(pn_dnssd_new(&options, &d, NULL), PN_INVALID);
    assert_null(d);
}

/* ---- life ---------------------------------------------------------------- */

static void on_report(void *node, const pn_public_key *key, const char *address)
{
    (void)node;
    (void)key;
    (void)address;
    fail();
}

static const pn_discovery_sink sink = {
    .size = sizeof(sink), .found = on_report, .lost = on_report};

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static pn_dnssd_state state_of(pn_dnssd *d)
{
    pn_dnssd_status status = {.size = sizeof(status)};

    assert_int_equal(pn_dnssd_get_status(d, &status), PN_OK);
    return status.state;
}

static bool until_state(pn_dnssd *d, pn_dnssd_state want)
{
    for (int i = 0; i < 1000 && state_of(d) != want; i++) {
        (void)usleep(10000);
    }
    return state_of(d) == want;
}

static void test_no_bus(void **state)
{
    const pn_discovery_source *source = pn_dnssd_source();
    pn_dnssd *d = open_source();
    pn_public_key key = {{1}};

    (void)state;
    assert_int_equal(state_of(d), PN_DNSSD_STOPPED);
    assert_int_equal(source->announce(d, &key, 7100), PN_STATE);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(source->start(d, &sink), PN_OK);
        assert_int_equal(source->start(d, &sink), PN_SYS);
        assert_int_equal(source->announce(d, &key, 7100), PN_OK);
        assert_true(until_state(d, PN_DNSSD_NO_BUS));
        source->stop(d);
        assert_int_equal(source->announce(d, &key, 7100), PN_STATE);
        assert_true(until_state(d, PN_DNSSD_STOPPED));
    }
    pn_dnssd_free(d);
}

/* Takes every descriptor there is but one; returns how many. */
static size_t take_descriptors(int *taken, size_t cap)
{
    size_t n = 0;

    while (n < cap && (taken[n] = dup(0)) >= 0) {
        n++;
    }
    assert_true(n > 1 && n < cap);
    (void)close(taken[--n]);
    return n;
}

/* A thread that can open nothing tries again until it can. The one descriptor
 * that is left is for what wakes it. */
static void test_no_descriptors(void **state)
{
    const pn_discovery_source *source = pn_dnssd_source();
    pn_dnssd *d = open_source();
    struct rlimit before;
    struct rlimit few;
    int taken[128];
    size_t n;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){.rlim_cur = 64, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    n = take_descriptors(taken, sizeof(taken) / sizeof(taken[0]));
    assert_int_equal(source->start(d, &sink), PN_OK);
    (void)usleep(100000); /* long enough for it to fail, most of the time */
    assert_int_equal(state_of(d), PN_DNSSD_STOPPED);
    while (n > 0) {
        (void)close(taken[--n]);
    }
    assert_true(until_state(d, PN_DNSSD_NO_BUS));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    source->stop(d);
    assert_true(until_state(d, PN_DNSSD_STOPPED));
    pn_dnssd_free(d);
}

static int listen_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

/* The thread waits for the bus. Nothing waits for the thread but free, which
 * does for 300 ms. */
static void test_bus_hangs(void **state)
{
    const pn_discovery_source *source = pn_dnssd_source();
    const char *path = *state;
    pn_public_key key = {{1}};
    pn_dnssd *d = open_source();
    int64_t begin;
    int fd;
    int client;

    fd = listen_at(path);
    assert_int_equal(source->start(d, &sink), PN_OK);
    client = accept(fd, NULL, NULL); /* it is in the call that blocks */
    assert_true(client >= 0);
    begin = now_ms();
    assert_int_equal(source->announce(d, &key, 7100), PN_OK);
    source->stop(d);
    assert_int_equal(source->start(d, &sink), PN_SYS);
    pn_dnssd_free(d);
    assert_true(now_ms() - begin < 10000); /* libdbus waits 25 s */
    (void)close(client);                   /* lets the thread end */
    (void)close(fd);
    (void)unlink(path);
}

static void test_status_size(void **state)
{
    pn_dnssd *d = open_source();
    pn_dnssd_status status = {.size = sizeof(status) - 1};

    (void)state;
    assert_int_equal(pn_dnssd_get_status(d, &status), PN_INVALID);
    pn_dnssd_free(d);
    pn_dnssd_free(NULL);
}

int main(void)
{
    char dir[] = "/tmp/test_dnssd_XXXXXX";
    char path[64];
    char bus[128];
    int status;

    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    /* libdbus reads it once in a process. */
    (void)snprintf(path, sizeof(path), "%s/bus", dir);
    (void)snprintf(bus, sizeof(bus), "unix:path=%s", path);
    (void)setenv("DBUS_SYSTEM_BUS_ADDRESS", bus, 1);
    for (size_t i = 0; i < sizeof(option_rows) / sizeof(option_rows[0]); i++) {
        pn_test_addf(test_option, (void *)(uintptr_t)&option_rows[i],
            "dnssd/source/option/%s", option_rows[i].name);
    }
    pn_test_add("dnssd/source/label", test_label, NULL);
    pn_test_add("dnssd/source/set_label", test_set_label, NULL);
    pn_test_add("dnssd/source/helper", test_helper, NULL);
    pn_test_add("dnssd/source/interfaces", test_interfaces, NULL);
    pn_test_add("dnssd/source/newer_header", test_newer_header, NULL);
    pn_test_add("dnssd/source/status_size", test_status_size, NULL);
    pn_test_add("dnssd/source/no_bus", test_no_bus, NULL);
    pn_test_add("dnssd/source/no_descriptors", test_no_descriptors, NULL);
    pn_test_add("dnssd/source/bus_hangs", test_bus_hangs, path);
    status = pn_test_run("dnssd/source");
    (void)rmdir(dir);
    return status;
}

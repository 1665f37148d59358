/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source with a helper process that is not peernet-mdns: a script of the
 * test, which says what the row is about. In a network namespace of this
 * process's own, where `lo` is the network 10.0.0.0/8.
 */
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <peernet/dnssd.h>

#include "harness.h"

static bool has_namespace;
static size_t sink_size = sizeof(pn_discovery_sink);

enum { LOG_CAP = 4096 };

/* A node, a source, and what was reported. */
typedef struct world {
    char dir[32];
    char helper[64];
    pn_dnssd *dnssd;
    pn_discovery_sink sink;
    pthread_mutex_t lock;
    char log[LOG_CAP];
    size_t n_found;
    size_t n_lost;
} world;

/* What the default options let a helper keep, and what one says in a test. */
enum { PLACES_MAX = 256 * 8, PLACES_SAID = 2304 };

/* ---- the network ------------------------------------------------------- */

static void lo_is_lan(void)
{
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    struct ifreq alias = {.ifr_name = "lo:1"};
    struct sockaddr_in in = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &up), 0);
    assert_int_equal(inet_pton(AF_INET, "10.9.0.1", &in.sin_addr), 1);
    memcpy(&alias.ifr_addr, &in, sizeof(in));
    assert_int_equal(ioctl(fd, SIOCSIFADDR, &alias), 0);
    (void)close(fd);
}

/* ---- the world --------------------------------------------------------- */

static void note(
    world *w, const char *what, const pn_public_key *key, const char *address)
{
    size_t len;

    (void)pthread_mutex_lock(&w->lock);
    len = strlen(w->log);
    (void)snprintf(w->log + len, sizeof(w->log) - len, "%s%s %u %s",
        len > 0 ? ", " : "", what, key->bytes[0], address);
    w->n_found += what[0] == 'f' ? 1 : 0;
    w->n_lost += what[0] == 'l' ? 1 : 0;
    (void)pthread_mutex_unlock(&w->lock);
}

static void on_found(void *node, const pn_public_key *key, const char *address)
{
    note(node, "found", key, address);
}

static void on_lost(void *node, const pn_public_key *key, const char *address)
{
    note(node, "lost", key, address);
}

static void on_labelled(void *node, const pn_public_key *key,
    const char *address, const char *label)
{
    char text[80];

    (void)snprintf(text, sizeof(text), "\"%s\"", label);
    note(node, text, key, address);
}

/* True when nothing more is waited for. */
static bool log_is_over(world *w, const char *want, char log[LOG_CAP])
{
    (void)pthread_mutex_lock(&w->lock);
    memcpy(log, w->log, LOG_CAP);
    (void)pthread_mutex_unlock(&w->lock);
    return strcmp(log, want) == 0 || strncmp(log, want, strlen(log)) != 0;
}

/* Waits for the reports, of which none may be another. */
static void expect_log(world *w, const char *want)
{
    char log[LOG_CAP];

    for (int i = 0; i < 3000 && !log_is_over(w, want, log); i++) {
        (void)usleep(10000);
    }
    assert_string_equal(log, want);
}

static void wait_reports(world *w, size_t n)
{
    size_t there = 0;

    for (int i = 0; i < 3000 && there < n; i++) {
        (void)usleep(10000);
        (void)pthread_mutex_lock(&w->lock);
        there = w->n_found + w->n_lost;
        (void)pthread_mutex_unlock(&w->lock);
    }
}

/* The n-th start of the helper runs the n-th of the texts, and later ones the
 * last. KEY is 32 bytes of 1. Each start leaves its time in the file `starts`.
 */
static void write_helper(const world *w, const char *const *texts, size_t n)
{
    pn_public_key key;
    char text[PN_BASE32_LEN + 1];
    FILE *f = fopen(w->helper, "we");

    memset(&key, 1, sizeof(key));
    pn_key_to_base32(&key, text);
    assert_non_null(f);
    (void)fprintf(f,
        "#!/bin/sh\nKEY=%s\ncd %s\nread -r now idle </proc/uptime\n"
        "echo $now >>starts\nn=0\n"
        "while read -r line; do n=$((n + 1)); done <starts\n",
        text, w->dir);
    for (size_t i = 0; i + 1 < n; i++) {
        (void)fprintf(f, "[ $n != %zu ] || { %s\nexit\n}\n", i + 1, texts[i]);
    }
    (void)fprintf(f, "%s\n", texts[n - 1]);
    assert_int_equal(fchmod(fileno(f), 0700), 0);
    assert_int_equal(fclose(f), 0);
}

/* Until the node closes its input. */
#define STAY "\nwhile read -r line; do :; done"

static void open_world(world *w, const char *const *texts, size_t n)
{
    const pn_discovery_source *source = pn_dnssd_source();
    pn_dnssd_options options;
    pn_public_key own = {{9}};

    if (!has_namespace) {
        pn_test_skip("no right to make a namespace");
    }
    *w = (world){.dir = "/tmp/test_dnssd_XXXXXX",
        .sink = {.size = sink_size,
            .node = w,
            .found = on_found,
            .lost = on_lost,
            .labelled = on_labelled}};
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->helper, sizeof(w->helper), "%s/helper", w->dir);
    write_helper(w, texts, n);
    (void)pthread_mutex_init(&w->lock, NULL);
    pn_dnssd_options_init(&options);
    options.use = PN_DNSSD_USE_HELPER;
    options.helper = w->helper;
    options.interfaces = "lo";
    assert_int_equal(pn_dnssd_new(&options, &w->dnssd, NULL), PN_OK);
    assert_int_equal(source->start(w->dnssd, &w->sink), PN_OK);
    assert_int_equal(source->announce(w->dnssd, &own, 7100), PN_OK);
}

static void close_world(world *w)
{
    char path[80];

    pn_dnssd_source()->stop(w->dnssd);
    pn_dnssd_free(w->dnssd);
    (void)snprintf(path, sizeof(path), "%s/starts", w->dir);
    (void)unlink(path);
    (void)unlink(w->helper);
    (void)rmdir(w->dir);
    (void)pthread_mutex_destroy(&w->lock);
}

/* ---- the rows ---------------------------------------------------------- */

/* What a helper has found and not taken back is lost when it dies. */
static void test_death(void **state)
{
    static const char *const texts[] = {
        "echo found $KEY 10.9.0.2:7100\necho found $KEY 10.9.0.3:7100\n"
        "echo found $KEY 10.9.0.2:7100\necho lost $KEY 10.9.0.3:7100\n"
        "echo found $KEY 10.9.0.5:7100",
        "echo found $KEY 10.9.0.4:7100" STAY};
    world w;

    (void)state;
    open_world(&w, texts, 2);
    expect_log(&w, "found 1 10.9.0.2:7100, found 1 10.9.0.3:7100, "
                   "found 1 10.9.0.2:7100, lost 1 10.9.0.3:7100, "
                   "found 1 10.9.0.5:7100, lost 1 10.9.0.2:7100, "
                   "lost 1 10.9.0.5:7100, found 1 10.9.0.4:7100");
    close_world(&w);
}

/* What a helper says, behind which comes a place that is good by itself. */
typedef struct line_row {
    const char *name;
    const char *says;
} line_row;

/* The helper is ended and started again, and nothing of it is reported. */
static const line_row broken_rows[] = {
    {"bytes", "printf '\\377\\376\\001\\n'"},
    {"empty", "echo"},
    {"other_word", "echo finds $KEY 10.9.0.2:7100"},
    {"too_long", "printf '%0256d' 0"},
    {"flood", "yes published 1"},
    {"endless", "while printf %0256d 0; do :; done"},
    {"nul", "printf 'found %s 10.9.0.2:7100\\000\\n' $KEY"},
    {"no_place", "echo found"},
    {"no_address", "echo found $KEY"},
    {"short_key", "echo found ${KEY%?} 10.9.0.2:7100"},
    {"long_key", "echo found ${KEY}A 10.9.0.2:7100"},
    {"no_key", "echo found ${KEY%?}! 10.9.0.2:7100"},
    {"no_port", "echo found $KEY 10.9.0.2"},
    {"port_zero", "echo found $KEY 10.9.0.2:0"},
    {"port_low", "echo found $KEY 10.9.0.2:1023"},
    {"port_high", "echo found $KEY 10.9.0.2:65536"},
    {"port_signed", "echo found $KEY 10.9.0.2:-7100"},
    {"more_words", "echo found $KEY 10.9.0.2:7100 10.9.0.3:7100"},
    {"name", "echo found $KEY example.com:7100"},
    {"loopback", "echo found $KEY 127.0.0.1:7100"},
    {"loopback_6", "echo found $KEY [::1]:7100"},
    {"loopback_mapped", "echo found $KEY [::ffff:127.0.0.1]:7100"},
    {"any", "echo found $KEY 0.0.0.0:7100"},
    {"any_6", "echo found $KEY [::]:7100"},
    {"multicast", "echo found $KEY 224.0.0.251:7100"},
    {"broadcast", "echo found $KEY 255.255.255.255:7100"},
    {"labelled_nothing", "echo labelled"},
    {"labelled_no_address", "echo labelled $KEY"},
    {"labelled_no_key", "echo labelled A 10.9.0.2:7100 kitchen"},
    {"labelled_no_space", "echo labelled $KEY 10.9.0.2:7100"},
    {"labelled_no_port", "echo labelled $KEY 10.9.0.2 kitchen"},
    {"labelled_too_long", "printf 'labelled %s 10.9.0.2:7100 %065d\\n' $KEY 0"},
    {"labelled_control", "printf 'labelled %s 10.9.0.2:7100 \\033[2J\\n' $KEY"},
    {"labelled_c1", "printf 'labelled %s 10.9.0.2:7100 \\302\\233\\n' $KEY"},
    {"labelled_not_utf8", "printf 'labelled %s 10.9.0.2:7100 \\377\\n' $KEY"},
    {"lost_no_key", "echo lost A 10.9.0.2:7100"},
    {"published_other", "echo published 2"},
    {"published_more", "echo published 10"},
    {"counters_few", "echo counters 1 2 3 4"},
    {"counters_many", "echo counters 1 2 3 4 5 6"},
    {"counters_text", "echo counters 1 2 3 4 x"},
    {"counters_signed", "echo counters 1 2 3 4 -5"},
    {"counters_large", "echo counters 1 2 3 4 99999999999999999999999"},
};

/* Not reported: these may come of a change of this host's network. */
static const line_row ignored_rows[] = {
    {"far_away", "echo found $KEY 8.8.8.8:7100"},
    {"far_away_6", "echo found $KEY [2001:db8::1]:7100"},
    {"far_away_mapped", "echo found $KEY [::ffff:8.8.8.8]:7100"},
    {"link_local", "echo found $KEY [fe80::1]:7100"},
    {"interface_gone", "echo found $KEY [fe80::1%nowhere0]:7100"},
    {"labelled_not_found", "echo labelled $KEY 10.9.0.2:7100 kitchen"},
    {"labelled_loopback", "echo labelled $KEY 127.0.0.1:7100 kitchen"},
    {"labelled_interface_gone",
        "echo labelled $KEY [fe80::1%nowhere0]:7100 kitchen"},
    {"lost_not_found", "echo lost $KEY 10.9.0.2:7100"},
    {"lost_interface_gone", "echo lost $KEY [fe80::1%nowhere0]:7100"},
};

/* Spaces belong to the label, and 64 bytes fit; then it is taken back. */
static void test_labelled(void **state)
{
    static const char *const texts[] = {
        "echo found $KEY 10.9.0.2:7100\n"
        "echo \"labelled $KEY 10.9.0.2:7100  the  kitchen \"\n"
        "printf 'labelled %s 10.9.0.2:7100 %064d\\n' $KEY 0\n"
        "echo \"labelled $KEY 10.9.0.2:7100 \"\n"
        "echo lost $KEY 10.9.0.2:7100\n"
        "echo labelled $KEY 10.9.0.2:7100 late\n"
        "echo found $KEY 10.9.0.4:7100" STAY};
    world w;

    (void)state;
    open_world(&w, texts, 1);
    expect_log(&w,
        "found 1 10.9.0.2:7100, \" the  kitchen \" 1 10.9.0.2:7100, "
        "\"00000000000000000000000000000000"
        "00000000000000000000000000000000\" 1 10.9.0.2:7100, "
        "\"\" 1 10.9.0.2:7100, lost 1 10.9.0.2:7100, found 1 10.9.0.4:7100");
    close_world(&w);
}

/* The sink of a node that was built before there were labels ends before
 * `labelled`: whatever lies there is not called. */
static void test_small_sink(void **state)
{
    static const char *const texts[] = {
        "echo found $KEY 10.9.0.2:7100\n"
        "echo labelled $KEY 10.9.0.2:7100 kitchen\n"
        "echo found $KEY 10.9.0.4:7100" STAY};
    world w;

    (void)state;
    sink_size = offsetof(pn_discovery_sink, labelled);
    open_world(&w, texts, 1);
    sink_size = sizeof(pn_discovery_sink);
    expect_log(&w, "found 1 10.9.0.2:7100, found 1 10.9.0.4:7100");
    close_world(&w);
}

static void test_broken(void **state)
{
    const line_row *row = *state;
    char text[256];
    const char *const texts[] = {text, "echo found $KEY 10.9.0.4:7100" STAY};
    world w;

    (void)snprintf(text, sizeof(text),
        "%s\necho found $KEY 10.9.0.66:7100" STAY, row->says);
    open_world(&w, texts, 2);
    expect_log(&w, "found 1 10.9.0.4:7100");
    close_world(&w);
}

static void test_ignored(void **state)
{
    const line_row *row = *state;
    char text[256];
    const char *const texts[] = {text};
    world w;

    (void)snprintf(text, sizeof(text), "%s\necho found $KEY 10.9.0.4:1024" STAY,
        row->says);
    open_world(&w, texts, 1);
    expect_log(&w, "found 1 10.9.0.4:1024");
    close_world(&w);
}

/* A helper may say more than it keeps: what it said first is forgotten. */
static void test_many_places(void **state)
{
    static const char *const texts[] = {
        "n=0\nwhile [ $n -lt 2304 ]; do n=$((n + 1))\n"
        "echo found $KEY 10.9.0.2:$((2000 + n)); done",
        "echo found $KEY 10.9.0.4:7100" STAY};
    world w;

    (void)state;
    open_world(&w, texts, 2);
    wait_reports(&w, PLACES_SAID + PLACES_MAX + 1);
    assert_int_equal(w.n_found, PLACES_SAID + 1);
    assert_int_equal(w.n_lost, PLACES_MAX);
    close_world(&w);
}

static double starts_gap(FILE *f, double *last)
{
    double at = 0;
    double gap;

    assert_int_equal(fscanf(f, "%lf", &at), 1);
    gap = at - *last;
    *last = at;
    return gap;
}

/* Each start of one that ends soon comes after a longer pause. */
static void test_backoff(void **state)
{
    static const char *const texts[] = {"echo nonsense" STAY,
        "echo nonsense" STAY, "exit 1", "kill -9 $$",
        "echo found $KEY 10.9.0.4:7100" STAY};
    char path[80];
    double last = 0;
    double pause = 0.5;
    world w;
    FILE *f;

    (void)state;
    open_world(&w, texts, 5);
    expect_log(&w, "found 1 10.9.0.4:7100");
    (void)snprintf(path, sizeof(path), "%s/starts", w.dir);
    f = fopen(path, "re");
    assert_non_null(f);
    (void)starts_gap(f, &last);
    for (int i = 1; i < 5; i++) {
        assert_true(starts_gap(f, &last) > pause - 0.02); /* as /proc rounds */
        pause *= 2;
    }
    (void)fclose(f);
    close_world(&w);
}

int main(void)
{
    has_namespace = unshare(CLONE_NEWNET) == 0
                    || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    if (has_namespace) {
        lo_is_lan();
    }
    pn_test_add("dnssd/embed/death", test_death, NULL);
    pn_test_add("dnssd/embed/labelled", test_labelled, NULL);
    pn_test_add("dnssd/embed/small_sink", test_small_sink, NULL);
    pn_test_add("dnssd/embed/many_places", test_many_places, NULL);
    pn_test_add("dnssd/embed/backoff", test_backoff, NULL);
    for (size_t i = 0; i < sizeof(broken_rows) / sizeof(broken_rows[0]); i++) {
        pn_test_addf(test_broken, (void *)(uintptr_t)&broken_rows[i],
            "dnssd/embed/broken/%s", broken_rows[i].name);
    }
    for (size_t i = 0; i < sizeof(ignored_rows) / sizeof(ignored_rows[0]);
         i++) {
        pn_test_addf(test_ignored, (void *)(uintptr_t)&ignored_rows[i],
            "dnssd/embed/ignored/%s", ignored_rows[i].name);
    }
    return pn_test_run("dnssd/embed");
}

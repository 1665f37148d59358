/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source with a helper process that is not peernet-mdns: a script of the
 * test, which says what the row is about. In a network namespace of this
 * process's own, where `lo` is the network 10.0.0.0/8.
 */
#include <pthread.h>
#include <sched.h>
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

/* A node, a source, and what was reported. */
typedef struct world {
    char dir[32];
    char helper[64];
    pn_dnssd *dnssd;
    pn_discovery_sink sink;
    pthread_mutex_t lock;
    char log[4096];
} world;

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

static bool has_log(world *w, const char *want)
{
    bool is_same;

    (void)pthread_mutex_lock(&w->lock);
    is_same = strcmp(w->log, want) == 0;
    (void)pthread_mutex_unlock(&w->lock);
    return is_same;
}

/* Waits for the reports, of which none may be another. */
static void expect_log(world *w, const char *want)
{
    for (int i = 0; i < 3000 && !has_log(w, want); i++) {
        (void)usleep(10000);
    }
    (void)pthread_mutex_lock(&w->lock);
    assert_string_equal(w->log, want);
    (void)pthread_mutex_unlock(&w->lock);
}

/* The n-th start of the helper runs the n-th of the texts, and later ones the
 * last. KEY is key_of(1). Each start leaves a line in the file `starts`. */
static void write_helper(const world *w, const char *const *texts, size_t n)
{
    pn_public_key key;
    char text[PN_BASE32_LEN + 1];
    FILE *f = fopen(w->helper, "we");

    memset(&key, 1, sizeof(key));
    pn_key_to_base32(&key, text);
    assert_non_null(f);
    (void)fprintf(f,
        "#!/bin/sh\nKEY=%s\ncd %s\necho >>starts\nn=0\n"
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
        .sink = {.size = sizeof(w->sink),
            .node = w,
            .found = on_found,
            .lost = on_lost}};
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

int main(void)
{
    has_namespace = unshare(CLONE_NEWNET) == 0
                    || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    if (has_namespace) {
        lo_is_lan();
    }
    pn_test_add("dnssd/embed/death", test_death, NULL);
    return pn_test_run("dnssd/embed");
}

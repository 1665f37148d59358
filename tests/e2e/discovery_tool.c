/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery and the network monitor alone, for tests in network namespaces.
 *
 *   discovery_tool watch KEY SECONDS   announces KEY (a letter) at port 7100
 *       and prints a line for whatever is found and whenever the network
 *       changes, and its counters at the end
 *   discovery_tool forge SOURCE DESTINATION   one announce of key x
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/random.h>

#include "discovery/netmon.h"
#include "discovery/udp_discovery.h"
#include "os/udp.h"

enum { PORT = 4040, TCP_PORT = 7100, INTERVAL_MS = 200 };

static pn_loop *loop;

static pn_err draw(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    return getrandom(buf, len, 0) == (ssize_t)len ? PN_OK : PN_SYS;
}

static pn_public_key key_of(char c)
{
    pn_public_key key;

    memset(&key, c, sizeof(key));
    return key;
}

static void on_found(void *node, const pn_public_key *key, const char *address)
{
    (void)node;
    printf("found %c at %s\n", key->bytes[0], address);
    (void)fflush(stdout);
}

static void on_changed(void *node)
{
    (void)node;
    printf("changed\n");
    (void)fflush(stdout);
}

static void on_done(void *user)
{
    (void)user;
    pn_loop_stop(loop);
}

static void print_counters(const pn_udp_discovery *d)
{
    pn_udp_discovery_counters c;

    pn_udp_discovery_counters_get(d, &c);
    printf("in %llu found %llu bad_source %llu off_link %llu out %llu "
           "out_failed %llu\n",
        (unsigned long long)c.in, (unsigned long long)c.heard[PN_HEARD_FOUND],
        (unsigned long long)c.heard[PN_HEARD_BAD_SOURCE],
        (unsigned long long)c.heard[PN_HEARD_OFF_LINK],
        (unsigned long long)c.out, (unsigned long long)c.out_failed);
}

static int fail(const char *what)
{
    fprintf(stderr, "discovery_tool: %s\n", what);
    return 1;
}

static int watch(char letter, unsigned seconds)
{
    pn_env env = {.random = draw};
    pn_public_key key = key_of(letter);
    pn_udp_discovery_config config = {.loop = loop,
        .env = &env,
        .own_key = key,
        .port = PORT,
        .min_port = 1024,
        .interval_ms = INTERVAL_MS,
        .is_everywhere = true};
    pn_netmon_config netmon = {.loop = loop, .mode = PN_NETMON_AUTO};
    pn_discovery_sink sink = {.size = sizeof(sink), .found = on_found};
    pn_network_sink network = {.size = sizeof(network), .changed = on_changed};
    pn_udp_discovery *d;
    pn_netmon *m;
    pn_timer *done;

    if (pn_udp_discovery_new(&config, &d) != PN_OK
        || pn_netmon_new(&netmon, &m) != PN_OK
        || pn_timer_new(loop, on_done, NULL, &done) != PN_OK) {
        return fail("no memory");
    }
    if (pn_udp_discovery_source.start(d, &sink) != PN_OK
        || pn_udp_discovery_source.announce(d, &key, TCP_PORT) != PN_OK
        || pn_netmon_monitor.start(m, &network) != PN_OK) {
        return fail("cannot start");
    }
    pn_timer_set(done, pn_loop_update_now(loop) + seconds * PN_US_PER_S);
    pn_loop_run(loop);
    print_counters(d);
    pn_udp_discovery_source.stop(d);
    pn_udp_discovery_free(d);
    pn_netmon_free(m);
    pn_timer_free(done);
    return 0;
}

static void on_datagram(void *user, const uint8_t *data, size_t len,
    const pn_address *from, unsigned interface_index)
{
    (void)user;
    (void)data;
    (void)len;
    (void)from;
    (void)interface_index;
}

static int forge(const char *source, const char *destination)
{
    pn_address from;
    pn_address to;
    pn_udp *udp;
    uint8_t data[PN_ANNOUNCE_LEN];
    int sys_errno = 0;
    pn_err err;

    if (pn_address_parse(source, 0, &from) != PN_OK
        || pn_address_parse(destination, PORT, &to) != PN_OK) {
        return fail("not an address");
    }
    if (pn_udp_new(loop, &from, on_datagram, NULL, &udp, &sys_errno) != PN_OK) {
        return fail(strerror(sys_errno));
    }
    pn_announce_write(
        &(pn_announce){.port = TCP_PORT, .key = key_of('x')}, data);
    err = pn_udp_send(udp, &to, data, sizeof(data), &sys_errno);
    pn_udp_free(udp);
    return err == PN_OK ? 0 : fail(strerror(sys_errno));
}

int main(int argc, char **argv)
{
    int status = 2;

    if (pn_loop_new(&loop) != PN_OK) {
        return fail("no loop");
    }
    if (argc == 4 && strcmp(argv[1], "watch") == 0) {
        status = watch(argv[2][0], (unsigned)strtoul(argv[3], NULL, 10));
    } else if (argc == 4 && strcmp(argv[1], "forge") == 0) {
        status = forge(argv[2], argv[3]);
    } else {
        (void)fail("watch KEY SECONDS | forge SOURCE DESTINATION");
    }
    pn_loop_free(loop);
    return status;
}

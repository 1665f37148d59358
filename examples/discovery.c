/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery and a network monitor of the program's own. The source watches a
 * file with one line, "KEY HOST:PORT"; Bonjour or a cloud registry would use
 * the same table. The monitor lists addresses with getifaddrs(3), and the
 * program calls it for a change.
 *
 *     discovery DIR FILE KEY    pairs KEY, waits for it, calls its `greet`
 */
#include <ifaddrs.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

/* ---- a source --------------------------------------------------------- */

typedef struct hosts {
    const char *path;
    const pn_discovery_sink *sink;
    pthread_t thread;
    atomic_bool stops;
    atomic_int n_announces;
    pn_public_key key;
    char address[64]; /* what was reported last; empty: nothing */
} hosts;

static void hosts_look(hosts *h)
{
    char text[PN_BASE32_LEN + 1] = "";
    char address[64] = "";
    pn_public_key key = h->key;
    FILE *file = fopen(h->path, "r");

    if (file != NULL) {
        if (fscanf(file, "%52s %63s", text, address) != 2
            || pn_key_parse(text, &key) != PN_OK) {
            address[0] = '\0';
        }
        (void)fclose(file);
    }
    if (strcmp(address, h->address) == 0 && pn_key_equal(&key, &h->key)) {
        return;
    }
    if (h->address[0] != '\0') {
        h->sink->lost(h->sink->node, &h->key, h->address);
    }
    h->key = key;
    memcpy(h->address, address, sizeof(address));
    if (address[0] != '\0') {
        h->sink->found(h->sink->node, &key, address);
    }
}

static void *hosts_watch(void *user)
{
    hosts *h = user;

    while (!atomic_load(&h->stops)) {
        hosts_look(h);
        (void)usleep(100000);
    }
    return NULL;
}

static pn_err hosts_start(void *user, const pn_discovery_sink *sink)
{
    hosts *h = user;

    h->sink = sink;
    return pthread_create(&h->thread, NULL, hosts_watch, h) == 0 ? PN_OK
                                                                 : PN_SYS;
}

/* Nothing may be reported once this has returned. */
static void hosts_stop(void *user)
{
    hosts *h = user;

    atomic_store(&h->stops, true);
    (void)pthread_join(h->thread, NULL);
}

static pn_err hosts_announce(
    void *user, const pn_public_key *key, uint16_t port)
{
    hosts *h = user;

    (void)key;
    printf("announce: %s\n", port == 0 ? "no longer" : "our port");
    atomic_fetch_add(&h->n_announces, 1);
    return PN_OK;
}

static const pn_discovery_source hosts_source = {
    .size = sizeof(hosts_source),
    .name = "hosts",
    .start = hosts_start,
    .stop = hosts_stop,
    .announce = hosts_announce,
};

/* ---- a monitor -------------------------------------------------------- */

typedef struct monitor {
    const pn_network_sink *sink;
} monitor;

static pn_err monitor_start(void *user, const pn_network_sink *sink)
{
    monitor *m = user;

    m->sink = sink;
    return PN_OK;
}

static void monitor_stop(void *user)
{
    monitor *m = user;

    m->sink = NULL;
}

static pn_err monitor_current(
    void *user, pn_local_address *addresses, size_t cap, size_t *ret_n)
{
    struct ifaddrs *all = NULL;
    size_t n = 0;

    (void)user;
    if (getifaddrs(&all) != 0) {
        return PN_SYS;
    }
    for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
        int family = i->ifa_addr == NULL ? AF_UNSPEC : i->ifa_addr->sa_family;
        socklen_t len = family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                           : sizeof(struct sockaddr_in);
        pn_local_address one = {"", ""};

        if ((family != AF_INET && family != AF_INET6)
            || getnameinfo(i->ifa_addr, len, one.address, sizeof(one.address),
                   NULL, 0, NI_NUMERICHOST)
                   != 0) {
            continue;
        }
        (void)snprintf(
            one.interface_name, sizeof(one.interface_name), "%s", i->ifa_name);
        if (n < cap) {
            addresses[n] = one;
        }
        n++;
    }
    freeifaddrs(all);
    *ret_n = n;
    return PN_OK;
}

static const pn_network_monitor by_hand = {
    .size = sizeof(by_hand),
    .name = "by hand",
    .start = monitor_start,
    .stop = monitor_stop,
    .current = monitor_current,
};

/* ---- the program ------------------------------------------------------ */

static void on_event(void *user, const pn_event *event)
{
    (void)user;
    if (event->type == PN_EVENT_DISCOVERED || event->type == PN_EVENT_LOST) {
        printf("%s: by %s\n", pn_event_name(event->type), event->text);
    } else if (event->type == PN_EVENT_PEER_UP
               || event->type == PN_EVENT_NETWORK_CHANGED) {
        printf("%s\n", pn_event_name(event->type));
    }
}

/* An inline handle that asks its own node. */
static void on_links(pn_request *req, pn_term args, void *user)
{
    pn_metrics metrics;

    (void)args;
    (void)user;
    if (pn_node_metrics(pn_request_node(req), &metrics) == PN_OK) {
        pn_request_reply(req, "~u", metrics.links_up);
    } else {
        pn_request_fail(req, "error");
    }
}

static void greet(pn_node *node, const pn_public_key *peer)
{
    pn_reply *reply = NULL;
    pn_why why = {0};
    pn_slice name;
    pn_err err = pn_wait_connected(node, peer, 10000, &why);

    if (err != PN_OK) {
        fprintf(stderr, "%s: %s\n", pn_err_name(err), why.text);
        return;
    }
    err = pn_call(node, peer, "greet", 0, &reply, "~s", "found you");
    if (err == PN_OK
        && pn_term_match(pn_reply_term(reply), "{ok, ~b}", &name)) {
        printf("reply: %.*s\n", (int)name.len, (const char *)name.data);
    }
    pn_reply_free(reply);
}

static void wait_announces(hosts *h, int n)
{
    for (int i = 0; i < 100 && atomic_load(&h->n_announces) < n; i++) {
        (void)usleep(50000);
    }
}

/* How the sources fare, and what they have reported. */
static void print_sources(pn_node *node)
{
    pn_source_info *sources = NULL;
    pn_heard_info *heard = NULL;
    pn_interface_info *interfaces = NULL;
    size_t n = 0;
    pn_err err = pn_list_sources(node, &sources, &n);

    for (size_t i = 0; err == PN_OK && i < n; i++) {
        printf("%s: %s\n", sources[i].name,
            sources[i].is_running ? "runs" : "does not run");
    }
    if (err == PN_OK) {
        err = pn_list_interfaces(node, "hosts", &interfaces, &n);
    }
    for (size_t i = 0; err == PN_OK && i < n; i++) {
        if (strcmp(interfaces[i].name, "lo") == 0) {
            printf("lo is %s\n",
                interfaces[i].unused == NULL ? "used" : interfaces[i].unused);
        }
    }
    if (err == PN_OK) {
        err = pn_list_heard(node, &heard, &n);
    }
    for (size_t i = 0; err == PN_OK && i < n; i++) {
        printf("heard by %s\n", heard[i].source);
    }
    free(sources);
    free(interfaces);
    free(heard);
}

/* On another network the node is silent until pn_discovery_resume. */
static void move(pn_node *node, monitor *m, hosts *h)
{
    m->sink->changed(m->sink->node);
    wait_announces(h, 2);
    (void)pn_discovery_resume(node);
    wait_announces(h, 3);
}

int main(int argc, char **argv)
{
    pn_why why = {0};
    hosts h = {.path = NULL};
    monitor m = {.sink = NULL};
    pn_expose_options quick;
    pn_node_options opt;
    pn_node *node = NULL;
    pn_public_key peer;
    pn_err err;

    if (argc != 4 || pn_key_parse(argv[3], &peer) != PN_OK) {
        fprintf(stderr, "usage: discovery DIR FILE KEY\n");
        return 2;
    }
    h.path = argv[2];
    pn_node_options_init(&opt);
    opt.data_dir = argv[1];
    opt.listen_address = "127.0.0.1";
    opt.listen_port = 0;
    opt.discovery_source = &hosts_source;
    opt.discovery_source_user = &h;
    opt.network_monitor = &by_hand;
    opt.network_monitor_user = &m;
    opt.announce_on_new_networks = false;
    opt.on_event = on_event;
    if (pn_node_open(&opt, &node, &why) != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    pn_expose_options_init(&quick);
    quick.flags = PN_EXPOSE_INLINE;
    err = pn_expose(node, "links", on_links, NULL, &quick);
    if (err == PN_OK) {
        err = pn_pair(node, &peer, "found");
    }
    if (err != PN_OK && err != PN_EXISTS) {
        die("pair", err);
    }
    greet(node, &peer);
    print_sources(node);
    move(node, &m, &h);
    printf("leaves %s\n", pn_node_will_linger(node) ? "late" : "at once");
    pn_node_close(node);
    return 0;
}

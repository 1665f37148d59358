/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peernet-mdns: multicast DNS in a process of its own, for a node whose host
 * has no Avahi daemon. It is started by libpeernet-dnssd; embed.h has its
 * lines. It publishes no reverse records: those of two responders on a host
 * would conflict, and one of them would rename the host.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/resource.h>

#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/simple-watch.h>
#include <avahi-core/core.h>
#include <avahi-core/log.h>
#include <avahi-core/lookup.h>
#include <avahi-core/publish.h>

#include "base/env.h"
#include "interfaces.h"
#include "os/clock.h"
#include "os/interface_names.h"
#include "os/netlink.h"
#include "services.h"

/* The addresses of this host are looked at this long after the kernel's first
 * notice of a change, and now and then without one, in case a look failed. */
enum { SETTLE_MS = 200, LOOK_MS = 300000 };
/* How long a record that was withdrawn has to leave. */
enum { LEAVE_MS = 150 };
enum { LINE_CAP = 256, RETRY_MS = 5000, COLLISION_RETRY_MS = 1000 };

typedef struct helper {
    AvahiSimplePoll *poll;
    AvahiServer *server;
    AvahiSServiceBrowser *browser;
    AvahiSEntryGroup *group;
    pn_dnssd_services *services;
    const char *used; /* the owner's list of interfaces; NULL: the default */
    pn_interface *interfaces;
    size_t n_interfaces;
    char line[LINE_CAP];
    size_t len;
    bool is_over;
    bool is_running; /* the server's state */

    pn_public_key key;
    uint16_t port; /* 0: nothing is published */
    char label[PN_DNSSD_LABEL_MAX + 1];
    char name[PN_DNSSD_NAME_CAP];
    char host[PN_DNSSD_NAME_CAP]; /* its label */
    bool is_publish_due;
    uint64_t publish_ms; /* not before */
    uint64_t browse_ms;  /* not to browse anew before */
    uint64_t look_ms;
    uint64_t repeat_ms;
    uint64_t repeat_every_ms;
    pn_dnssd_services_counters told;
    size_t told_services;
} helper;

static uint64_t now_ms(void)
{
    return pn_monotonic_now_us() / 1000;
}

/* ---- services of others ------------------------------------------------ */

static void say_place(
    const char *word, const pn_public_key *key, const char *address)
{
    char text[PN_BASE32_LEN + 1];

    pn_key_to_base32(key, text);
    printf("%s %s %s\n", word, text, address);
}

static void on_found(void *user, const pn_public_key *key, const char *address)
{
    (void)user;
    say_place("found", key, address);
}

static void on_lost(void *user, const pn_public_key *key, const char *address)
{
    (void)user;
    say_place("lost", key, address);
}

/* A label has no control characters, so it does not end the line. */
static void on_labelled(void *user, const pn_public_key *key,
    const char *address, const char *label)
{
    char text[PN_BASE32_LEN + 1];

    (void)user;
    pn_key_to_base32(key, text);
    printf("labelled %s %s %s\n", text, address, label);
}

static const pn_dnssd_reports reports = {
    .found = on_found, .lost = on_lost, .labelled = on_labelled};

static void on_resolved(AvahiSServiceResolver *resolver, AvahiIfIndex interface,
    AvahiProtocol protocol, AvahiResolverEvent event, const char *name,
    const char *type, const char *domain, const char *host,
    const AvahiAddress *address, uint16_t port, AvahiStringList *txt,
    AvahiLookupResultFlags flags, void *user)
{
    pn_dnssd_service *service = user;
    pn_public_key key;
    char label[PN_DNSSD_LABEL_CAP];
    bool is_node;

    (void)interface;
    (void)protocol;
    (void)name;
    (void)type;
    (void)domain;
    (void)address;
    (void)flags;
    if (event != AVAHI_RESOLVER_FOUND || host == NULL) {
        service->resolver = NULL;
        avahi_s_service_resolver_free(resolver);
        pn_dnssd_services_resolved(service, NULL, 0, NULL);
        return;
    }
    is_node = pn_dnssd_txt_read(txt, &key, label);
    pn_dnssd_services_resolved(service, host, port, is_node ? &key : NULL);
    if (is_node) {
        pn_dnssd_services_labelled(service, label);
    }
}

static void backend_resolve(void *user, pn_dnssd_service *service)
{
    helper *h = user;

    service->resolver = avahi_s_service_resolver_new(h->server,
        (AvahiIfIndex)service->interface, service->protocol, service->name,
        PN_DNSSD_TYPE, PN_DNSSD_DOMAIN, AVAHI_PROTO_UNSPEC,
        AVAHI_LOOKUP_NO_ADDRESS, on_resolved, service);
}

static void on_address(AvahiSRecordBrowser *watch, AvahiIfIndex interface,
    AvahiProtocol protocol, AvahiBrowserEvent event, AvahiRecord *record,
    AvahiLookupResultFlags flags, void *user)
{
    pn_dnssd_service *service = user;
    pn_address address;
    const void *data;
    size_t size;

    (void)interface;
    (void)protocol;
    (void)flags;
    if (event == AVAHI_BROWSER_FAILURE) {
        service->watches[watch == service->watches[0] ? 0 : 1] = NULL;
        avahi_s_record_browser_free(watch);
        return;
    }
    if (event != AVAHI_BROWSER_NEW && event != AVAHI_BROWSER_REMOVE) {
        return;
    }
    data = record->key->type == AVAHI_DNS_TYPE_A
               ? (const void *)&record->data.a.address
               : (const void *)&record->data.aaaa.address;
    size = record->key->type == AVAHI_DNS_TYPE_A ? 4 : 16;
    if (pn_dnssd_address_read(record->key->type, data, size, &address)) {
        pn_dnssd_services_address(
            service, &address, event == AVAHI_BROWSER_NEW);
    }
}

static void close_watches(pn_dnssd_service *service)
{
    for (int i = 0; i < 2; i++) {
        if (service->watches[i] != NULL) {
            avahi_s_record_browser_free(service->watches[i]);
            service->watches[i] = NULL;
        }
    }
}

static void backend_watch(void *user, pn_dnssd_service *service)
{
    static const uint16_t types[2] = {AVAHI_DNS_TYPE_A, AVAHI_DNS_TYPE_AAAA};
    helper *h = user;

    close_watches(service);
    for (int i = 0; i < 2; i++) {
        AvahiKey *key = avahi_key_new(
            service->host, AVAHI_DNS_CLASS_IN, types[i]);

        if (key != NULL) {
            service->watches[i] = avahi_s_record_browser_new(h->server,
                (AvahiIfIndex)service->interface, service->protocol, key,
                AVAHI_LOOKUP_USE_MULTICAST, on_address, service);
            avahi_key_unref(key);
        }
    }
}

static void backend_release(void *user, pn_dnssd_service *service)
{
    (void)user;
    if (service->resolver != NULL) {
        avahi_s_service_resolver_free(service->resolver);
        service->resolver = NULL;
    }
    close_watches(service);
}

static const pn_dnssd_backend backend = {
    .resolve = backend_resolve,
    .watch = backend_watch,
    .release = backend_release,
};

static void on_service(AvahiSServiceBrowser *browser, AvahiIfIndex interface,
    AvahiProtocol protocol, AvahiBrowserEvent event, const char *name,
    const char *type, const char *domain, AvahiLookupResultFlags flags,
    void *user)
{
    helper *h = user;

    (void)browser;
    (void)type;
    (void)domain;
    if (event == AVAHI_BROWSER_FAILURE) {
        h->is_over = true;
    } else if (event == AVAHI_BROWSER_NEW
               && (flags & AVAHI_LOOKUP_RESULT_OUR_OWN) == 0) {
        pn_dnssd_services_add(h->services, (unsigned)interface, protocol, name);
    } else if (event == AVAHI_BROWSER_REMOVE) {
        pn_dnssd_services_remove(
            h->services, (unsigned)interface, protocol, name);
    }
}

/* ---- our record -------------------------------------------------------- */

/* The next name after a conflict; cap: of name. other is freed. */
static void take_other(char *name, size_t cap, char *other)
{
    if (other != NULL && strlen(other) < cap) {
        memcpy(name, other, strlen(other) + 1);
    }
    avahi_free(other);
}

/* Either name may be the one that conflicts, so both change. */
static void take_other_names(helper *h)
{
    take_other(
        h->name, sizeof(h->name), avahi_alternative_service_name(h->name));
    take_other(h->host, sizeof(h->host), avahi_alternative_host_name(h->host));
}

/* A pause, so that a responder that claims each name keeps nobody busy. */
static void publish_later(helper *h, uint64_t pause_ms)
{
    h->is_publish_due = true;
    h->publish_ms = now_ms() + pause_ms;
}

static void on_group(AvahiServer *server, AvahiSEntryGroup *group,
    AvahiEntryGroupState state, void *user)
{
    helper *h = user;

    (void)server;
    (void)group;
    printf("published %d\n", state == AVAHI_ENTRY_GROUP_ESTABLISHED);
    if (state == AVAHI_ENTRY_GROUP_COLLISION) {
        take_other_names(h);
        publish_later(h, COLLISION_RETRY_MS);
    } else if (state == AVAHI_ENTRY_GROUP_FAILURE) {
        publish_later(h, RETRY_MS);
    }
}

/* An address of ours as Avahi has it. False: one that others cannot use. */
static bool own_address(
    const helper *h, const pn_interface *i, AvahiAddress *ret_address)
{
    if (pn_interface_unused(h->used, i) != NULL) {
        return false;
    }
    if (i->address.any.sa_family == AF_INET) {
        ret_address->proto = AVAHI_PROTO_INET;
        memcpy(&ret_address->data.ipv4, &i->address.in.sin_addr, 4);
    } else {
        ret_address->proto = AVAHI_PROTO_INET6;
        memcpy(&ret_address->data.ipv6, &i->address.in6.sin6_addr, 16);
    }
    return true;
}

/* indexes: the n interfaces of the service. An Avahi error; 0 is none. */
static int group_fill(helper *h, const int *indexes, size_t n)
{
    AvahiStringList *txt = pn_dnssd_txt_write(&h->key, h->label);
    char host[PN_DNSSD_NAME_CAP + sizeof(PN_DNSSD_DOMAIN)];
    int err = txt == NULL ? AVAHI_ERR_NO_MEMORY : 0;

    (void)snprintf(host, sizeof(host), "%s.%s", h->host, PN_DNSSD_DOMAIN);
    for (size_t i = 0; err == 0 && i < h->n_interfaces; i++) {
        AvahiAddress a;

        if (own_address(h, &h->interfaces[i], &a)) {
            err = avahi_server_add_address(h->server, h->group,
                (AvahiIfIndex)h->interfaces[i].index, AVAHI_PROTO_UNSPEC,
                AVAHI_PUBLISH_NO_REVERSE, host, &a);
        }
    }
    for (size_t i = 0; err == 0 && i < n; i++) {
        err = avahi_server_add_service_strlst(h->server, h->group, indexes[i],
            AVAHI_PROTO_UNSPEC, 0, h->name, PN_DNSSD_TYPE, PN_DNSSD_DOMAIN,
            host, h->port, txt);
    }
    avahi_string_list_free(txt);
    return err == 0 ? avahi_s_entry_group_commit(h->group) : err;
}

static void publish(helper *h)
{
    int indexes[PN_DNSSD_INDEXES_MAX];
    size_t n = pn_dnssd_interfaces_used(
        h->used, h->interfaces, h->n_interfaces, indexes);
    bool is_wanted = h->port != 0 && n > 0;
    int err = 0;

    h->is_publish_due = false;
    if (h->group != NULL) {
        avahi_s_entry_group_reset(h->group);
    } else if (is_wanted) {
        h->group = avahi_s_entry_group_new(h->server, on_group, h);
        err = h->group == NULL ? AVAHI_ERR_NO_MEMORY : 0;
    }
    if (err == 0 && is_wanted) {
        err = group_fill(h, indexes, n);
    }
    if (err != 0) {
        publish_later(h, RETRY_MS);
    }
}

/* ---- the node's lines -------------------------------------------------- */

/* "publish PORT KEY [LABEL]". False: something else. */
static bool on_line(helper *h, char *line)
{
    char key[PN_BASE32_LEN + 1] = "";
    unsigned port = 0;
    int end = 0;

    if (sscanf(line, "publish %u %52s%n", &port, key, &end) != 2
        || port > UINT16_MAX || pn_key_parse(key, &h->key) != PN_OK) {
        return false;
    }
    h->port = (uint16_t)port;
    h->label[0] = '\0';
    if (line[end] == ' ') {
        (void)snprintf(h->label, sizeof(h->label), "%s", line + end + 1);
    }
    pn_dnssd_instance_name(&h->key, h->name);
    /* The name of the host belongs to this node alone, too. */
    pn_dnssd_instance_name(&h->key, h->host);
    pn_dnssd_services_set_own(h->services, &h->key);
    h->is_publish_due = true;
    h->publish_ms = 0;
    return true;
}

static void on_input(
    AvahiWatch *watch, int fd, AvahiWatchEvent event, void *user)
{
    helper *h = user;
    char data[LINE_CAP];
    ssize_t n = read(fd, data, sizeof(data));

    (void)watch;
    (void)event;
    if (n <= 0) {
        h->is_over = true;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (data[i] == '\n') {
            h->line[h->len] = '\0';
            h->len = 0;
            h->is_over = h->is_over || !on_line(h, h->line);
        } else if (h->len + 1 < sizeof(h->line)) {
            h->line[h->len++] = data[i];
        } else {
            h->is_over = true;
        }
    }
}

/* ---- the kernel's notices ---------------------------------------------- */

/* The first notice of a burst sets the time. */
static void on_netlink(
    AvahiWatch *watch, int fd, AvahiWatchEvent event, void *user)
{
    helper *h = user;

    (void)watch;
    (void)event;
    if (pn_netlink_socket_read(fd)) {
        h->look_ms = pn_sooner(h->look_ms, now_ms() + SETTLE_MS);
    }
}

/* Avahi's core needs the notices as well, so a host without them has no
 * helper. */
static bool watch_addresses(helper *h)
{
    const AvahiPoll *poll = avahi_simple_poll_get(h->poll);
    int fd = pn_netlink_socket_open();

    return fd >= 0
           && poll->watch_new(poll, fd, AVAHI_WATCH_IN, on_netlink, h) != NULL;
}

/* ---- the server -------------------------------------------------------- */

static void on_server(AvahiServer *server, AvahiServerState state, void *user)
{
    helper *h = user;

    (void)server;
    h->is_running = state == AVAHI_SERVER_RUNNING;
    h->is_publish_due = true;
    if (state == AVAHI_SERVER_FAILURE) {
        h->is_over = true;
    }
}

static void silent(AvahiLogLevel level, const char *text)
{
    (void)level;
    (void)text;
}

/* Only the owner's interfaces are joined, or all but those that are left out
 * now. */
static void limit_interfaces(const helper *h, AvahiServerConfig *config)
{
    char list[PN_INTERFACE_NAMES_CAP];
    char *rest = list;
    char *name;

    config->deny_interfaces = avahi_string_list_new("lo", NULL);
    if (h->used != NULL) {
        (void)snprintf(list, sizeof(list), "%s", h->used);
        while ((name = strsep(&rest, ",")) != NULL) {
            config->allow_interfaces = avahi_string_list_add(
                config->allow_interfaces, name);
        }
    }
    for (size_t i = 0; i < h->n_interfaces; i++) {
        if (!pn_interface_is_used(h->used, h->interfaces[i].name)) {
            config->deny_interfaces = avahi_string_list_add(
                config->deny_interfaces, h->interfaces[i].name);
        }
    }
}

static bool browse(helper *h)
{
    h->browser = avahi_s_service_browser_new(h->server, AVAHI_IF_UNSPEC,
        AVAHI_PROTO_UNSPEC, PN_DNSSD_TYPE, PN_DNSSD_DOMAIN, 0, on_service, h);
    return h->browser != NULL;
}

static bool open_server(helper *h)
{
    const AvahiPoll *poll = avahi_simple_poll_get(h->poll);
    AvahiServerConfig config;
    int err;

    (void)avahi_server_config_init(&config);
    config.host_name = avahi_strdup("peernet");
    config.publish_addresses = 0;
    config.publish_hinfo = 0;
    config.publish_workstation = 0;
    config.publish_domain = 0;
    config.enable_wide_area = 0;
    limit_interfaces(h, &config);
    h->server = avahi_server_new(poll, &config, on_server, h, &err);
    avahi_server_config_free(&config);
    if (h->server == NULL) {
        return false;
    }
    return browse(h)
           && poll->watch_new(poll, STDIN_FILENO, AVAHI_WATCH_IN, on_input, h)
                  != NULL;
}

/* ---- what is due ------------------------------------------------------- */

static bool same_interfaces(
    const pn_interface *a, size_t n_a, const pn_interface *b, size_t n_b)
{
    bool is_same = n_a == n_b;

    for (size_t i = 0; is_same && i < n_a; i++) {
        is_same = a[i].index == b[i].index && a[i].is_up == b[i].is_up
                  && pn_address_same_host(&a[i].address, &b[i].address)
                  && pn_address_same_host(&a[i].netmask, &b[i].netmask);
    }
    return is_same;
}

/* Another address of this host is another record. */
static void look(helper *h)
{
    pn_interface *list;
    size_t n;

    if (pn_interfaces_list(&list, &n) != PN_OK) {
        return;
    }
    if (!same_interfaces(h->interfaces, h->n_interfaces, list, n)) {
        pn_dnssd_services_set_interfaces(h->services, list, n);
        h->is_publish_due = h->is_publish_due || h->port != 0;
    }
    free(h->interfaces);
    h->interfaces = list;
    h->n_interfaces = n;
}

static void say_counters(helper *h)
{
    pn_dnssd_services_counters c;
    size_t n = pn_dnssd_services_count(h->services);

    pn_dnssd_services_counters_get(h->services, &c);
    if (n == h->told_services && memcmp(&c, &h->told, sizeof(c)) == 0) {
        return;
    }
    h->told = c;
    h->told_services = n;
    printf("counters %zu %llu %llu %llu %llu\n", n, (unsigned long long)c.seen,
        (unsigned long long)c.evicted, (unsigned long long)c.addresses_dropped,
        (unsigned long long)c.refused);
}

static void browse_anew(helper *h)
{
    if (pn_dnssd_services_take_browse(h->services)) {
        avahi_s_service_browser_free(h->browser);
        h->is_over = h->is_over || !browse(h);
    }
}

/* Returns how long the poll may sleep, in milliseconds. */
static int step(helper *h)
{
    uint64_t now = now_ms();
    uint64_t next;

    if (now >= h->look_ms) {
        look(h);
        h->look_ms = now + LOOK_MS;
    }
    if (now >= h->repeat_ms) {
        pn_dnssd_services_repeat(h->services);
        h->repeat_ms = now + h->repeat_every_ms;
    }
    if (now >= h->browse_ms) {
        h->browse_ms = now + PN_DNSSD_BROWSE_MS;
        browse_anew(h);
    }
    if (h->is_publish_due && h->is_running && now >= h->publish_ms) {
        publish(h);
    }
    say_counters(h);
    if (fflush(stdout) != 0) {
        h->is_over = true;
    }
    next = pn_sooner(pn_sooner(h->look_ms, h->repeat_ms), h->browse_ms);
    next = pn_sooner(next, pn_dnssd_services_step(h->services, now));
    if (h->is_publish_due && h->is_running) {
        next = pn_sooner(next, h->publish_ms);
    }
    return h->is_over || next <= now ? 0 : (int)(next - now);
}

/* Says good-bye for the record. */
static void leave(helper *h)
{
    uint64_t end = now_ms() + LEAVE_MS;

    pn_dnssd_services_clear(h->services);
    if (h->group != NULL) {
        avahi_s_entry_group_free(h->group);
    }
    for (uint64_t now = now_ms(); now < end; now = now_ms()) {
        if (avahi_simple_poll_iterate(h->poll, (int)(end - now)) != 0) {
            break;
        }
    }
    if (h->browser != NULL) {
        avahi_s_service_browser_free(h->browser);
    }
    avahi_server_free(h->server);
}

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    static helper h; /* one per process */
    const struct rlimit none = {0, 0};
    pn_dnssd_services_config config = {.reports = &reports};

    if (argc != 5 && argc != 6) {
        fprintf(stderr, "peernet-mdns is started by libpeernet-dnssd\n");
        return 2;
    }
    /* The application's open descriptors are none of ours. */
    (void)close_range(STDERR_FILENO + 1, ~0U, 0);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
    avahi_set_log_function(silent);
    config.max_services = number(argv[1]);
    config.max_addresses = number(argv[2]);
    config.min_port = (uint16_t)number(argv[3]);
    h.repeat_every_ms = number(argv[4]);
    h.used = argv[5]; /* NULL: not given */
    config.interfaces = h.used;
    config.seed = pn_dnssd_services_seed();
    h.poll = avahi_simple_poll_new();
    if (h.poll == NULL
        || pn_dnssd_services_new(&config, &h.services) != PN_OK) {
        return 1;
    }
    pn_dnssd_services_set_backend(h.services, &backend, &h);
    if (!watch_addresses(&h)) {
        return 1;
    }
    look(&h);
    if (!open_server(&h)) {
        return 1;
    }
    while (!h.is_over) {
        if (avahi_simple_poll_iterate(h.poll, step(&h)) != 0) {
            return 1;
        }
    }
    leave(&h);
    return 0;
}

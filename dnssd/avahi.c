/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Avahi daemon; see avahi.h. Callbacks only note what has happened;
 * pn_dnssd_avahi_step acts on it, because a client must not be freed in a
 * callback of its own. avahi_client_free closes the connection first, so it
 * does not wait for a daemon that hangs.
 */
#include <stdlib.h>
#include <string.h>

#include <avahi-client/client.h>
#include <avahi-client/lookup.h>
#include <avahi-client/publish.h>
#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>

#include "avahi.h"
#include "interfaces.h"
#include "os/clock.h"

/* Between two attempts to connect, and to publish after a failure. */
enum { RETRY_MIN_MS = 500, RETRY_MAX_MS = 8000 };
enum { PUBLISH_RETRY_MS = 5000, COLLISION_RETRY_MS = 1000 };

struct pn_dnssd_avahi {
    const AvahiPoll *poll;
    pn_dnssd_services *services;
    AvahiClient *client;
    AvahiServiceBrowser *browser;
    uint64_t browse_ms; /* not to browse anew before */
    AvahiEntryGroup *group;
    AvahiClientState state; /* as the client said last */
    bool is_failed;         /* the client has to be freed */
    uint64_t retry_ms;      /* when to connect again */
    uint64_t pause_ms;

    pn_dnssd_record record;
    char name[PN_DNSSD_NAME_CAP];
    int indexes[PN_DNSSD_INDEXES_MAX]; /* interfaces it is for */
    size_t n_indexes;
    bool is_held;
    bool is_publish_due;
    uint64_t publish_ms; /* not before */
    bool is_published;
};

/* ---- services of others ------------------------------------------------ */

static void on_resolved(AvahiServiceResolver *resolver, AvahiIfIndex interface,
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
        (void)avahi_service_resolver_free(resolver);
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
    pn_dnssd_avahi *a = user;

    service->resolver = avahi_service_resolver_new(a->client,
        (AvahiIfIndex)service->interface, service->protocol, service->name,
        PN_DNSSD_TYPE, PN_DNSSD_DOMAIN, AVAHI_PROTO_UNSPEC,
        AVAHI_LOOKUP_NO_ADDRESS, on_resolved, service);
}

static void on_address(AvahiRecordBrowser *watch, AvahiIfIndex interface,
    AvahiProtocol protocol, AvahiBrowserEvent event, const char *name,
    uint16_t class, uint16_t type, const void *data, size_t size,
    AvahiLookupResultFlags flags, void *user)
{
    pn_dnssd_service *service = user;
    pn_address address;

    (void)interface;
    (void)protocol;
    (void)name;
    (void)class;
    (void)flags;
    if (event == AVAHI_BROWSER_FAILURE) {
        /* pn_dnssd_services_repeat opens another. */
        service->watches[watch == service->watches[0] ? 0 : 1] = NULL;
        (void)avahi_record_browser_free(watch);
        return;
    }
    if ((event == AVAHI_BROWSER_NEW || event == AVAHI_BROWSER_REMOVE)
        && pn_dnssd_address_read(type, data, size, &address)) {
        pn_dnssd_services_address(
            service, &address, event == AVAHI_BROWSER_NEW);
    }
}

static void close_watches(pn_dnssd_service *service)
{
    for (int i = 0; i < 2; i++) {
        if (service->watches[i] != NULL) {
            (void)avahi_record_browser_free(service->watches[i]);
            service->watches[i] = NULL;
        }
    }
}

/* A resolver gives one address. Records give all of them, and those that come
 * and go later. */
static void backend_watch(void *user, pn_dnssd_service *service)
{
    static const uint16_t types[2] = {PN_DNSSD_TYPE_A, PN_DNSSD_TYPE_AAAA};
    pn_dnssd_avahi *a = user;

    close_watches(service);
    for (int i = 0; i < 2; i++) {
        service->watches[i] = avahi_record_browser_new(a->client,
            (AvahiIfIndex)service->interface, service->protocol, service->host,
            PN_DNSSD_CLASS_IN, types[i], AVAHI_LOOKUP_USE_MULTICAST, on_address,
            service);
    }
}

static void backend_release(void *user, pn_dnssd_service *service)
{
    pn_dnssd_avahi *a = user;

    if (a->is_failed) {
        return; /* avahi_client_free frees them, without asking the daemon */
    }
    if (service->resolver != NULL) {
        (void)avahi_service_resolver_free(service->resolver);
        service->resolver = NULL;
    }
    close_watches(service);
}

static const pn_dnssd_backend backend = {
    .resolve = backend_resolve,
    .watch = backend_watch,
    .release = backend_release,
};

static void on_service(AvahiServiceBrowser *browser, AvahiIfIndex interface,
    AvahiProtocol protocol, AvahiBrowserEvent event, const char *name,
    const char *type, const char *domain, AvahiLookupResultFlags flags,
    void *user)
{
    pn_dnssd_avahi *a = user;

    (void)browser;
    (void)type;
    (void)domain;
    if (event == AVAHI_BROWSER_FAILURE) {
        a->is_failed = true;
    } else if (event == AVAHI_BROWSER_NEW
               && (flags & AVAHI_LOOKUP_RESULT_OUR_OWN) == 0) {
        pn_dnssd_services_add(a->services, (unsigned)interface, protocol, name);
    } else if (event == AVAHI_BROWSER_REMOVE) {
        pn_dnssd_services_remove(
            a->services, (unsigned)interface, protocol, name);
    }
}

/* ---- our record -------------------------------------------------------- */

static void take_other_name(pn_dnssd_avahi *a)
{
    char *name = avahi_alternative_service_name(a->name);

    if (name != NULL && strlen(name) < sizeof(a->name)) {
        memcpy(a->name, name, strlen(name) + 1);
    }
    avahi_free(name);
}

/* A pause, so that a responder that claims each name keeps nobody busy. */
static void publish_later(pn_dnssd_avahi *a, uint64_t pause_ms)
{
    a->is_publish_due = true;
    a->publish_ms = pn_monotonic_now_us() / 1000 + pause_ms;
}

static void on_group(
    AvahiEntryGroup *group, AvahiEntryGroupState state, void *user)
{
    pn_dnssd_avahi *a = user;

    (void)group;
    a->is_published = state == AVAHI_ENTRY_GROUP_ESTABLISHED;
    if (state == AVAHI_ENTRY_GROUP_COLLISION) {
        take_other_name(a);
        publish_later(a, COLLISION_RETRY_MS);
    } else if (state == AVAHI_ENTRY_GROUP_FAILURE) {
        publish_later(a, PUBLISH_RETRY_MS);
    }
}

/* An Avahi error; 0 is none. */
static int group_fill(pn_dnssd_avahi *a)
{
    AvahiStringList *txt = pn_dnssd_txt_write(&a->record.key, a->record.label);
    int err = txt == NULL ? AVAHI_ERR_NO_MEMORY : 0;

    for (size_t i = 0; err == 0 && i < a->n_indexes; i++) {
        err = avahi_entry_group_add_service_strlst(a->group, a->indexes[i],
            AVAHI_PROTO_UNSPEC, 0, a->name, PN_DNSSD_TYPE, PN_DNSSD_DOMAIN,
            NULL, a->record.port, txt);
    }
    avahi_string_list_free(txt);
    return err == 0 ? avahi_entry_group_commit(a->group) : err;
}

static void publish(pn_dnssd_avahi *a)
{
    bool is_wanted = a->record.port != 0 && a->n_indexes > 0;
    int err = 0;

    a->is_publish_due = false;
    a->is_published = false;
    if (a->group != NULL) {
        err = avahi_entry_group_reset(a->group);
    } else if (is_wanted) {
        a->group = avahi_entry_group_new(a->client, on_group, a);
        err = a->group == NULL ? AVAHI_ERR_FAILURE : 0;
    }
    if (err == 0 && is_wanted) {
        err = group_fill(a);
    }
    if (err == AVAHI_ERR_COLLISION) {
        take_other_name(a);
    }
    if (err != 0) {
        publish_later(a, PUBLISH_RETRY_MS);
    }
}

void pn_dnssd_avahi_publish(pn_dnssd_avahi *a, const pn_dnssd_record *record)
{
    a->record = *record;
    pn_dnssd_instance_name(&record->key, a->name);
    a->is_publish_due = true;
    a->publish_ms = 0;
}

void pn_dnssd_avahi_set_interfaces(
    pn_dnssd_avahi *a, const int *indexes, size_t n)
{
    if (n == a->n_indexes
        && memcmp(a->indexes, indexes, n * sizeof(indexes[0])) == 0) {
        return;
    }
    memcpy(a->indexes, indexes, n * sizeof(indexes[0]));
    a->n_indexes = n;
    a->is_publish_due = true;
}

void pn_dnssd_avahi_hold(pn_dnssd_avahi *a, bool is_held)
{
    a->is_held = is_held;
}

/* ---- the connection ---------------------------------------------------- */

static void on_client(AvahiClient *client, AvahiClientState state, void *user)
{
    pn_dnssd_avahi *a = user;

    (void)client;
    a->state = state;
    if (state == AVAHI_CLIENT_FAILURE) {
        a->is_failed = true;
    } else if (state != AVAHI_CLIENT_S_RUNNING) {
        a->is_published = false;
    }
    a->is_publish_due = true; /* also after the host has got another name */
}

static void disconnect(pn_dnssd_avahi *a)
{
    a->is_failed = true; /* nothing is freed one by one */
    pn_dnssd_services_clear(a->services);
    if (a->client != NULL) {
        avahi_client_free(a->client);
    }
    a->client = NULL;
    a->browser = NULL;
    a->group = NULL;
    a->is_failed = false;
    a->is_published = false;
}

/* False: no D-Bus. A daemon that is not there is waited for. */
static bool connect_bus(pn_dnssd_avahi *a)
{
    a->client = avahi_client_new(
        a->poll, AVAHI_CLIENT_NO_FAIL, on_client, a, NULL);
    return a->client != NULL && !a->is_failed;
}

static bool browse(pn_dnssd_avahi *a)
{
    a->browser = avahi_service_browser_new(a->client, AVAHI_IF_UNSPEC,
        AVAHI_PROTO_UNSPEC, PN_DNSSD_TYPE, PN_DNSSD_DOMAIN, 0, on_service, a);
    return a->browser != NULL;
}

static void retry_later(pn_dnssd_avahi *a, uint64_t now_ms)
{
    disconnect(a);
    a->retry_ms = now_ms + a->pause_ms;
    a->pause_ms = a->pause_ms * 2 < RETRY_MAX_MS ? a->pause_ms * 2
                                                 : RETRY_MAX_MS;
}

/* A daemon that runs is asked for services, and to publish ours. */
static uint64_t step_running(pn_dnssd_avahi *a, uint64_t now_ms)
{
    uint64_t next;

    a->pause_ms = RETRY_MIN_MS;
    if (a->browser != NULL && now_ms >= a->browse_ms) {
        a->browse_ms = now_ms + PN_DNSSD_BROWSE_MS;
        if (pn_dnssd_services_take_browse(a->services)) {
            (void)avahi_service_browser_free(a->browser);
            a->browser = NULL;
        }
    }
    if (a->browser == NULL && !browse(a)) {
        a->is_failed = true;
        return now_ms;
    }
    if (a->is_publish_due && !a->is_held && now_ms >= a->publish_ms) {
        publish(a);
    }
    next = pn_dnssd_services_step(a->services, now_ms);
    return a->is_publish_due && !a->is_held && a->publish_ms < next
               ? a->publish_ms
               : next;
}

uint64_t pn_dnssd_avahi_step(pn_dnssd_avahi *a, uint64_t now_ms)
{
    if (a->is_failed) {
        retry_later(a, now_ms);
    }
    if (a->client == NULL && now_ms >= a->retry_ms && !connect_bus(a)) {
        retry_later(a, now_ms);
    }
    if (a->client == NULL) {
        return a->retry_ms;
    }
    return a->state == AVAHI_CLIENT_S_RUNNING ? step_running(a, now_ms)
                                              : UINT64_MAX;
}

pn_dnssd_state pn_dnssd_avahi_state(const pn_dnssd_avahi *a)
{
    if (a->client == NULL) {
        return PN_DNSSD_NO_BUS;
    }
    return a->state == AVAHI_CLIENT_S_RUNNING ? PN_DNSSD_RUNNING
                                              : PN_DNSSD_NO_DAEMON;
}

bool pn_dnssd_avahi_is_published(const pn_dnssd_avahi *a)
{
    return a->is_published;
}

/* ---- life -------------------------------------------------------------- */

pn_err pn_dnssd_avahi_new(const AvahiPoll *poll, pn_dnssd_services *services,
    pn_dnssd_avahi **ret_avahi)
{
    pn_dnssd_avahi *a = calloc(1, sizeof(*a));

    if (a == NULL) {
        return PN_NOMEM;
    }
    a->poll = poll;
    a->services = services;
    a->pause_ms = RETRY_MIN_MS;
    pn_dnssd_services_set_backend(services, &backend, a);
    *ret_avahi = a;
    return PN_OK;
}

void pn_dnssd_avahi_free(pn_dnssd_avahi *a)
{
    if (a == NULL) {
        return;
    }
    disconnect(a);
    free(a);
}

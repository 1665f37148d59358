/* SPDX-License-Identifier: Apache-2.0 */
/* The services that a network has shown; see services.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/random.h>

#include "base/bucket.h"
#include "base/mutant.h"
#include "os/interface_names.h"
#include "services.h"

/* Until the next attempts to resolve, when there were too many. */
enum { NEXT_RESOLVES_MS = 100 };

struct pn_dnssd_services {
    pn_dnssd_services_config config;
    const pn_dnssd_backend *backend;
    void *backend_user;
    pn_public_key own_key;
    bool has_own_key;
    pn_interface *interfaces;
    size_t n_interfaces;
    pn_dnssd_service **all; /* in order of arrival */
    size_t n;
    bool has_evicted; /* since a backend has browsed anew */
    pn_bucket resolves;
    size_t turn;   /* whose turn to be resolved it is */
    uint64_t lots; /* the state of a generator */
    size_t n_lots; /* drawn since a backend has browsed anew */
    pn_dnssd_services_counters counters;
};

/* ---- reports ----------------------------------------------------------- */

/* An interface that is not listed yet is judged when it is. */
static bool is_used(const pn_dnssd_services *s, unsigned interface)
{
    for (size_t i = 0; i < s->n_interfaces; i++) {
        if (s->interfaces[i].index == interface) {
            return pn_interface_is_used(
                s->config.interfaces, s->interfaces[i].name);
        }
    }
    return true;
}

/* An address of a network that this host is on, as an announce must come from
 * one (discovery/heard.h). Otherwise a forged record could make a node connect
 * to any host of the Internet. */
static bool is_usable(
    const pn_dnssd_service *service, const pn_dnssd_address *address)
{
    const pn_dnssd_services *s = service->owner;

    if (!pn_address_is_host(&address->at)
        || pn_address_is_loopback(&address->at)
        || PN_REFUSE_IF(dnssd_interface, !is_used(s, service->interface))) {
        return false;
    }
    return !PN_REFUSE_IF(
        dnssd_off_link, !pn_interfaces_is_on_link(s->interfaces,
                            s->n_interfaces, service->interface, &address->at)
                            && !pn_interfaces_is_own(
                                s->interfaces, s->n_interfaces, &address->at));
}

static bool is_ours(const pn_dnssd_service *service)
{
    return service->owner->has_own_key
           && pn_key_equal(&service->owner->own_key, &service->key);
}

/* True when another service has reported the same key there. */
static bool is_shown_elsewhere(
    const pn_dnssd_service *service, const pn_address *address)
{
    const pn_dnssd_services *s = service->owner;

    for (size_t i = 0; i < s->n; i++) {
        const pn_dnssd_service *other = s->all[i];

        for (size_t k = 0; other != service && k < other->n_addresses; k++) {
            if (other->addresses[k].is_reported
                && pn_address_equal(&other->addresses[k].at, address)
                && pn_key_equal(&other->key, &service->key)) {
                return true;
            }
        }
    }
    return false;
}

static void report(
    const pn_dnssd_service *service, const pn_address *address, bool is_found)
{
    const pn_dnssd_services_config *c = &service->owner->config;
    char text[PN_ADDRESS_TEXT_LEN];

    pn_address_text(address, text);
    if (is_found) {
        c->reports->found(c->reports_user, &service->key, text);
        c->reports->labelled(
            c->reports_user, &service->key, text, service->label);
    } else {
        c->reports->lost(c->reports_user, &service->key, text);
    }
}

/* Reports an address that has become usable, or no longer is. */
static void address_judge(pn_dnssd_service *service, pn_dnssd_address *address)
{
    bool is_good = service->is_resolved && !is_ours(service)
                   && is_usable(service, address);

    if (is_good == address->is_reported) {
        return;
    }
    address->is_reported = is_good;
    if (!is_shown_elsewhere(service, &address->at)) {
        report(service, &address->at, is_good);
    }
}

static void service_judge(pn_dnssd_service *service)
{
    for (size_t i = 0; i < service->n_addresses; i++) {
        address_judge(service, &service->addresses[i]);
    }
}

/* Takes back what was reported of it. */
static void service_withdraw(pn_dnssd_service *service)
{
    service->is_resolved = false;
    service_judge(service);
    service->label[0] = '\0';
}

/* ---- the table --------------------------------------------------------- */

static void service_free(pn_dnssd_service *service)
{
    pn_dnssd_services *s = service->owner;

    s->backend->release(s->backend_user, service);
    free(service->host);
    free(service);
}

static void take_out(pn_dnssd_services *s, size_t i)
{
    s->n--;
    memmove(&s->all[i], &s->all[i + 1], (s->n - i) * sizeof(s->all[0]));
}

/* The place of a service; n: it is not there. */
static size_t find(const pn_dnssd_services *s, unsigned interface, int protocol,
    const char *name)
{
    size_t i = 0;

    while (
        i < s->n
        && (s->all[i]->interface != interface || s->all[i]->protocol != protocol
            || strcmp(s->all[i]->name, name) != 0)) {
        i++;
    }
    return i;
}

/* A number that whoever makes up services cannot foresee (splitmix64). */
static uint64_t draw(pn_dnssd_services *s)
{
    uint64_t z = s->lots += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* One that is no node's, as far as can be known. */
static bool is_useless(const pn_dnssd_service *service)
{
    return !service->is_resolved
           && (service->is_refused
               || (service->resolver == NULL
                   && service->n_tries >= PN_DNSSD_RESOLVE_TRIES));
}

static size_t quarter(const pn_dnssd_services *s)
{
    return (s->config.max_services + 3) / 4;
}

/* The place of the k-th that is resolved, or is not; it is there. */
static size_t find_kth(const pn_dnssd_services *s, bool is_resolved, size_t k)
{
    size_t i = 0;

    while (s->all[i]->is_resolved != is_resolved || k-- > 0) {
        i++;
    }
    return i;
}

/* The place of the one that gives way; n: it is the one that has come. Between
 * those that may answer yet it is by lot, with the same chance for all since
 * the backend has browsed: it names the same services in the same order each
 * time, so by age it would always be the same ones that are forgotten. A
 * quarter is for them, or made-up services that answer would leave no room for
 * others to be resolved. */
static size_t find_least(pn_dnssd_services *s)
{
    size_t n = 0; /* not resolved */
    uint64_t lot;

    for (size_t i = 0; i < s->n; i++) {
        if (is_useless(s->all[i]) && PN_SAFEGUARD(dnssd_useless_first)) {
            return i;
        }
        n += s->all[i]->is_resolved ? 0 : 1;
    }
    if (n == 0 || (n < quarter(s) && PN_SAFEGUARD(dnssd_room_for_new))) {
        return find_kth(s, true, 0);
    }
    lot = PN_SAFEGUARD(dnssd_lots) ? draw(s) % (n + ++s->n_lots) : 0;
    return lot < n ? find_kth(s, false, (size_t)lot) : s->n;
}

/* Made-up services do not drive out those of nodes. False: there is no room for
 * another. */
static bool make_room(pn_dnssd_services *s)
{
    pn_dnssd_service *least;
    size_t i;

    if (s->n < s->config.max_services) {
        return true;
    }
    i = find_least(s);
    s->counters.evicted++;
    s->has_evicted = true;
    if (i == s->n) {
        return false;
    }
    least = s->all[i];
    take_out(s, i);
    service_free(least);
    return true;
}

void pn_dnssd_services_add(
    pn_dnssd_services *s, unsigned interface, int protocol, const char *name)
{
    pn_dnssd_service *service;
    size_t len = strlen(name);

    if (len >= sizeof(service->name) || !is_used(s, interface)
        || find(s, interface, protocol, name) < s->n) {
        return;
    }
    s->counters.seen++;
    service = make_room(s) ? calloc(1, sizeof(*service)) : NULL;
    if (service == NULL) {
        return;
    }
    service->owner = s;
    service->interface = interface;
    service->protocol = protocol;
    memcpy(service->name, name, len + 1);
    s->all[s->n++] = service;
    service->is_due = true;
}

void pn_dnssd_services_remove(
    pn_dnssd_services *s, unsigned interface, int protocol, const char *name)
{
    size_t i = find(s, interface, protocol, name);
    pn_dnssd_service *service;

    if (i == s->n) {
        return;
    }
    service = s->all[i];
    service_withdraw(service);
    take_out(s, i);
    service_free(service);
}

static bool may_resolve(pn_dnssd_services *s, uint64_t now_ms)
{
    return !PN_REFUSE_IF(dnssd_resolve_rate,
        !pn_bucket_take(&s->resolves, now_ms * PN_US_PER_MS,
            PN_DNSSD_RESOLVES_PER_S, PN_DNSSD_RESOLVES_BURST));
}

/* In turn, so that each is resolved some day, however many there are. */
uint64_t pn_dnssd_services_step(pn_dnssd_services *s, uint64_t now_ms)
{
    for (size_t k = 0; k < s->n; k++) {
        size_t i = (s->turn + k) % s->n;
        pn_dnssd_service *service = s->all[i];

        if (!service->is_due) {
            continue;
        }
        if (!may_resolve(s, now_ms)) {
            s->turn = i;
            return now_ms + NEXT_RESOLVES_MS;
        }
        service->is_due = false;
        service->n_tries++;
        s->backend->resolve(s->backend_user, service);
    }
    return UINT64_MAX;
}

bool pn_dnssd_services_take_browse(pn_dnssd_services *s)
{
    bool has_evicted = s->has_evicted;

    s->has_evicted = false;
    s->n_lots = 0;
    return has_evicted;
}

/* ---- records ----------------------------------------------------------- */

static void set_port(pn_dnssd_service *service, uint16_t port)
{
    service->port = port;
    for (size_t i = 0; i < service->n_addresses; i++) {
        pn_address_set_port(&service->addresses[i].at, port);
    }
}

/* The addresses of another host are watched from now on. False: no memory. */
static bool set_host(pn_dnssd_service *service, const char *host)
{
    char *copy;

    if (service->host != NULL && strcmp(service->host, host) == 0) {
        return true;
    }
    copy = strdup(host);
    if (copy == NULL) {
        return false;
    }
    free(service->host);
    service->host = copy;
    service->n_addresses = 0;
    service->owner->backend->watch(service->owner->backend_user, service);
    return true;
}

/* A daemon would ask a name server for a host of another domain, which may be
 * that of whoever forged the record. */
static bool is_local(const char *host)
{
    static const char domain[] = "." PN_DNSSD_DOMAIN;
    size_t len = strlen(host);

    return len >= sizeof(domain)
           && strcasecmp(host + len - (sizeof(domain) - 1), domain) == 0;
}

static bool is_known(const pn_dnssd_service *service, const char *host,
    uint16_t port, const pn_public_key *key)
{
    return service->is_resolved && host != NULL && key != NULL
           && strcmp(service->host, host) == 0 && service->port == port
           && pn_key_equal(&service->key, key);
}

void pn_dnssd_services_resolved(pn_dnssd_service *service, const char *host,
    uint16_t port, const pn_public_key *key)
{
    pn_dnssd_services *s = service->owner;

    if (is_known(service, host, port, key)) {
        return;
    }
    service_withdraw(service);
    service->is_refused = false;
    if (host == NULL) {
        return;
    }
    if (key == NULL || !is_local(host)
        || PN_REFUSE_IF(dnssd_low_port, port < s->config.min_port)) {
        s->counters.refused++;
        service->is_refused = true;
        return;
    }
    service->n_tries = 0;
    service->key = *key;
    if (!is_ours(service) && set_host(service, host)) {
        set_port(service, port);
        service->is_resolved = true;
        service_judge(service);
    }
}

void pn_dnssd_services_labelled(pn_dnssd_service *service, const char *label)
{
    const pn_dnssd_services_config *c = &service->owner->config;
    char text[PN_ADDRESS_TEXT_LEN];

    if (!service->is_resolved || strcmp(service->label, label) == 0) {
        return;
    }
    (void)snprintf(service->label, sizeof(service->label), "%s", label);
    for (size_t i = 0; i < service->n_addresses; i++) {
        if (service->addresses[i].is_reported) {
            pn_address_text(&service->addresses[i].at, text);
            c->reports->labelled(
                c->reports_user, &service->key, text, service->label);
        }
    }
}

static size_t find_address(
    const pn_dnssd_service *service, const pn_address *host)
{
    size_t i = 0;

    while (i < service->n_addresses
           && !pn_address_same_host(&service->addresses[i].at, host)) {
        i++;
    }
    return i;
}

static void address_add(pn_dnssd_service *service, const pn_address *host)
{
    pn_dnssd_address *address;

    if (service->n_addresses == service->owner->config.max_addresses) {
        service->owner->counters.addresses_dropped++;
        return;
    }
    address = &service->addresses[service->n_addresses++];
    *address = (pn_dnssd_address){.at = *host};
    pn_address_set_port(&address->at, service->port);
    address_judge(service, address);
}

static void address_remove(pn_dnssd_service *service, size_t i)
{
    pn_dnssd_address gone = service->addresses[i];

    service->n_addresses--;
    memmove(&service->addresses[i], &service->addresses[i + 1],
        (service->n_addresses - i) * sizeof(gone));
    if (gone.is_reported && !is_shown_elsewhere(service, &gone.at)) {
        report(service, &gone.at, false);
    }
}

/* A link-local address means nothing without the interface it was heard on. */
static pn_address with_scope(
    const pn_dnssd_service *service, const pn_address *host)
{
    pn_address at = *host;

    if (at.any.sa_family == AF_INET6
        && IN6_IS_ADDR_LINKLOCAL(&at.in6.sin6_addr)) {
        at.in6.sin6_scope_id = service->interface;
    }
    return at;
}

void pn_dnssd_services_address(
    pn_dnssd_service *service, const pn_address *host, bool is_there)
{
    pn_address at = with_scope(service, host);
    size_t i = find_address(service, &at);

    if (is_there && i == service->n_addresses) {
        address_add(service, &at);
    } else if (!is_there && i < service->n_addresses) {
        address_remove(service, i);
    }
}

/* ---- all of them ------------------------------------------------------- */

/* An address that two services show is reported twice here, which is one hint
 * more and nothing else. */
static void service_repeat(pn_dnssd_service *service)
{
    for (size_t i = 0; i < service->n_addresses; i++) {
        address_judge(service, &service->addresses[i]);
        if (service->addresses[i].is_reported) {
            report(service, &service->addresses[i].at, true);
        }
    }
    if (service->resolver == NULL
        && (service->n_tries < PN_DNSSD_RESOLVE_TRIES
            || ++service->n_skipped % PN_DNSSD_RESOLVE_SKIPS == 0)) {
        service->is_due = true;
    }
    if (service->is_resolved
        && (service->watches[0] == NULL || service->watches[1] == NULL)) {
        service->owner->backend->watch(service->owner->backend_user, service);
    }
}

void pn_dnssd_services_repeat(pn_dnssd_services *s)
{
    for (size_t i = 0; i < s->n; i++) {
        service_repeat(s->all[i]);
    }
}

void pn_dnssd_services_set_interfaces(
    pn_dnssd_services *s, const pn_interface *list, size_t n)
{
    pn_interface *copy = n == 0 ? NULL : calloc(n, sizeof(*copy));

    if (n > 0 && copy == NULL) {
        return; /* the list of before is used on */
    }
    if (n > 0) {
        memcpy(copy, list, n * sizeof(*copy));
    }
    free(s->interfaces);
    s->interfaces = copy;
    s->n_interfaces = n;
    for (size_t i = 0; i < s->n; i++) {
        service_judge(s->all[i]);
    }
}

void pn_dnssd_services_clear(pn_dnssd_services *s)
{
    while (s->n > 0) {
        service_free(s->all[--s->n]);
    }
}

/* ---- life -------------------------------------------------------------- */

/* The kernel gives eight bytes, whatever happens, once it has begun to. */
uint64_t pn_dnssd_services_seed(void)
{
    uint64_t seed = 0;

    (void)!getrandom(&seed, sizeof(seed), 0);
    return seed;
}

pn_err pn_dnssd_services_new(
    const pn_dnssd_services_config *config, pn_dnssd_services **ret_services)
{
    pn_dnssd_services *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return PN_NOMEM;
    }
    s->all = calloc(config->max_services, sizeof(s->all[0]));
    if (s->all == NULL) {
        free(s);
        return PN_NOMEM;
    }
    s->config = *config;
    s->lots = config->seed;
    *ret_services = s;
    return PN_OK;
}

void pn_dnssd_services_free(pn_dnssd_services *s)
{
    if (s == NULL) {
        return;
    }
    pn_dnssd_services_clear(s);
    free(s->all);
    free(s->interfaces);
    free(s);
}

void pn_dnssd_services_set_backend(
    pn_dnssd_services *s, const pn_dnssd_backend *backend, void *user)
{
    s->backend = backend;
    s->backend_user = user;
}

void pn_dnssd_services_set_own(pn_dnssd_services *s, const pn_public_key *key)
{
    s->own_key = *key;
    s->has_own_key = true;
    for (size_t i = 0; i < s->n; i++) {
        service_judge(s->all[i]);
    }
}

size_t pn_dnssd_services_count(const pn_dnssd_services *s)
{
    return s->n;
}

void pn_dnssd_services_counters_get(
    const pn_dnssd_services *s, pn_dnssd_services_counters *ret_counters)
{
    *ret_counters = s->counters;
}

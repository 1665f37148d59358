/* SPDX-License-Identifier: Apache-2.0 */
/* The sources of a node's address, in order; see chain.h. A look-up goes from
 * one source to the next, each step in a turn of its own or in that of an
 * answer; failures on the way are collected for the caller. */
#include "lookup/chain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/list.h"
#include "base/mutant.h"
#include "keys/node_name.h"
#include "lookup/endpoint_file.h"
#include "os/clock.h"
#include "os/interfaces.h"
#include "os/resolve.h"

enum { TIMEOUT_MAX_MS = 120000, STATIC_MAX = 65536, LOOKUPS_MAX = 1024 };

typedef struct entry {
    char *name;
    pn_barrel_endpoint endpoint;
} entry;

struct pn_barrel_discovery {
    pn_loop *loop;
    pn_barrel_discovery_options options;
    char *node_name; /* or NULL */
    char *dir;       /* or NULL */
    pn_address bound;
    bool is_bound;
    entry *entries;
    size_t n_entries;
    size_t entries_cap;
    pn_list lookups;
    pn_barrel_endpoint published; /* port 0: nothing is */
};

struct pn_barrel_lookup {
    pn_barrel_discovery *d;
    pn_item listed;
    pn_barrel_lookup_callback *callback;
    void *user;
    pn_barrel_source source; /* asked now, or next */
    pn_timer *timer;
    pn_task task; /* posted: the next source is asked */
    pn_resolve *resolve;
    size_t why_len;
    char why[PN_BARREL_WHY_MAX];
    char name[PN_NODE_NAME_MAX + 1];
    pn_barrel_endpoint endpoint; /* what the source knows */
};

/* In the order in which they are asked. */
static const char *const source_texts[] = {
    [PN_BARREL_STATIC] = "static",
    [PN_BARREL_FILE] = "file",
    [PN_BARREL_DNS] = "dns",
};

/* ---- the static table --------------------------------------------------- */

static bool name_is_valid(const char *name)
{
    return pn_node_name_is_valid(name, strlen(name));
}

static entry *find_entry(const pn_barrel_discovery *d, const char *name)
{
    for (size_t i = 0; i < d->n_entries; i++) {
        if (strcmp(d->entries[i].name, name) == 0) {
            return &d->entries[i];
        }
    }
    return NULL;
}

/* An IPv6 address needs its brackets here: where would its port begin? */
static bool parse_host_and_port(
    const char *text, pn_barrel_endpoint *ret_endpoint)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);

    if (len > 1 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    } else if (len > 0 && memchr(text, ':', len) != NULL) {
        return false;
    }
    if (colon == NULL || !pn_barrel_host_is_valid(text, len)
        || !pn_port_parse(colon + 1, &ret_endpoint->port)
        || ret_endpoint->port == 0) {
        return false;
    }
    memcpy(ret_endpoint->host, text, len);
    ret_endpoint->host[len] = '\0';
    return true;
}

static pn_err reserve_entry(pn_barrel_discovery *d)
{
    if (PN_REFUSE_IF(
            discovery_max_static, d->n_entries >= d->options.max_static)) {
        return PN_FULL;
    }
    return pn_grow(&d->entries, &d->entries_cap, d->n_entries, sizeof(entry))
               ? PN_OK
               : PN_NOMEM;
}

pn_err pn_barrel_discovery_add_static(
    pn_barrel_discovery *d, const char *name, const char *host_and_port)
{
    pn_barrel_endpoint endpoint = {.port = 0};
    entry *there = find_entry(d, name);
    char *copy;
    pn_err err;

    if (!name_is_valid(name)
        || !parse_host_and_port(host_and_port, &endpoint)) {
        return PN_INVALID;
    }
    if (there != NULL) {
        there->endpoint = endpoint;
        return PN_OK;
    }
    err = reserve_entry(d);
    if (err != PN_OK) {
        return err;
    }
    copy = strdup(name);
    if (copy == NULL) {
        return PN_NOMEM;
    }
    d->entries[d->n_entries++] = (entry){.name = copy, .endpoint = endpoint};
    return PN_OK;
}

bool pn_barrel_discovery_knows(const pn_barrel_discovery *d, const char *name)
{
    pn_barrel_endpoint endpoint;
    char why[PN_BARREL_WHY_MAX];

    return find_entry(d, name) != NULL
           || (d->dir != NULL
               && pn_barrel_endpoint_read(
                      d->dir, name, &endpoint, why, sizeof(why))
                      == PN_OK);
}

/* ---- our own addresses -------------------------------------------------- */

/* True when a datagram to address would come to us. When our addresses cannot
 * be listed, any address may be ours. */
static bool is_ourselves(
    const pn_barrel_discovery *d, const pn_address *address)
{
    if (!d->is_bound
        || pn_address_port(address) != pn_address_port(&d->bound)) {
        return false;
    }
    if (!pn_address_is_any(&d->bound)) {
        return pn_address_same_host(address, &d->bound);
    }
    if (pn_address_is_loopback(address)) {
        return true;
    }
    return pn_interfaces_may_be_own(address);
}

void pn_barrel_discovery_set_bound(
    pn_barrel_discovery *d, const pn_address *bound)
{
    d->is_bound = bound != NULL;
    if (bound != NULL) {
        d->bound = *bound;
    }
}

/* ---- one look-up -------------------------------------------------------- */

static void lookup_note(pn_barrel_lookup *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void lookup_note(pn_barrel_lookup *l, const char *format, ...)
{
    char text[PN_BARREL_WHY_MAX];
    va_list args;
    int n;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    n = snprintf(l->why + l->why_len, sizeof(l->why) - l->why_len, "%s%s: %s",
        l->why_len == 0 ? "" : "; ", source_texts[l->source], text);
    l->why_len = n < 0 ? l->why_len : l->why_len + (size_t)n;
    if (l->why_len >= sizeof(l->why)) {
        l->why_len = sizeof(l->why) - 1;
    }
}

static void lookup_free(pn_barrel_lookup *l)
{
    pn_list_remove(&l->listed);
    pn_resolve_cancel(l->resolve);
    pn_task_cancel(&l->task);
    pn_timer_free(l->timer);
    free(l);
}

static void lookup_finish(
    pn_barrel_lookup *l, pn_err err, const pn_address *addresses, size_t n)
{
    pn_barrel_lookup_callback *callback = l->callback;
    void *user = l->user;
    char why[PN_BARREL_WHY_MAX];
    pn_barrel_found found = {.err = err,
        .source = l->source,
        .addresses = addresses,
        .n = n,
        .why = why};

    memcpy(why, l->why, sizeof(why));
    lookup_free(l);
    callback(user, &found);
}

static void on_timeout(void *user)
{
    pn_barrel_lookup *l = user;

    lookup_note(
        l, "no answer within %u ms", (unsigned)l->d->options.timeout_ms);
    l->source = PN_BARREL_SOURCES;
    lookup_finish(l, PN_TIMEOUT, NULL, 0);
}

/* Keeps the addresses that may be dialled; notes the others for the
 * sentence. */
static size_t keep_dialable(pn_barrel_lookup *l, const pn_address *addresses,
    size_t n, pn_address ret_kept[static PN_RESOLVE_MAX])
{
    char text[PN_ADDRESS_TEXT_LEN];
    size_t n_kept = 0;

    for (size_t i = 0; i < n; i++) {
        pn_address_text(&addresses[i], text);
        if (PN_REFUSE_IF(
                discovery_nobody, !pn_address_is_host(&addresses[i]))) {
            lookup_note(l, "%s is not an address of a node", text);
        } else if (PN_REFUSE_IF(discovery_ourselves,
                       is_ourselves(l->d, &addresses[i]))) {
            lookup_note(l, "%s is where we listen ourselves", text);
        } else {
            ret_kept[n_kept++] = addresses[i];
        }
    }
    return n_kept;
}

static void lookup_next(pn_barrel_lookup *l);

static void on_resolved(void *user, pn_err err, const pn_address *addresses,
    size_t n, const char *why)
{
    pn_barrel_lookup *l = user;
    pn_address kept[PN_RESOLVE_MAX];
    size_t n_kept;

    l->resolve = NULL;
    n_kept = keep_dialable(l, addresses, n, kept);
    if (n_kept > 0) {
        lookup_finish(l, PN_OK, kept, n_kept);
        return;
    }
    if (err != PN_OK) {
        lookup_note(l, "%s: %s", l->endpoint.host, why);
    }
    lookup_next(l);
}

/* ---- the sources -------------------------------------------------------- */

/* Each returns true when it knows an endpoint. */
static bool ask_static(pn_barrel_lookup *l)
{
    const entry *there = find_entry(l->d, l->name);

    if (there != NULL) {
        l->endpoint = there->endpoint;
    }
    return there != NULL;
}

static bool ask_file(pn_barrel_lookup *l)
{
    char why[PN_BARREL_WHY_MAX];

    if (l->d->dir == NULL) {
        return false;
    }
    if (pn_barrel_endpoint_read(
            l->d->dir, l->name, &l->endpoint, why, sizeof(why))
        == PN_OK) {
        return true;
    }
    lookup_note(l, "%s", why);
    return false;
}

static bool ask_dns(pn_barrel_lookup *l)
{
    const char *host = strchr(l->name, '@') + 1;

    l->endpoint.port = l->d->options.dns_port;
    memcpy(l->endpoint.host, host, strlen(host) + 1);
    return l->endpoint.port != 0;
}

static bool (*const ask[])(pn_barrel_lookup *) = {
    [PN_BARREL_STATIC] = ask_static,
    [PN_BARREL_FILE] = ask_file,
    [PN_BARREL_DNS] = ask_dns,
};

/* True when the resolver is at it; its answer goes on. */
static bool lookup_resolve(pn_barrel_lookup *l)
{
    pn_err err;

    if (!ask[l->source](l)) {
        return false;
    }
    err = pn_resolve_start(l->d->loop, l->endpoint.host, l->endpoint.port,
        on_resolved, l, &l->resolve);
    if (err != PN_OK) {
        lookup_note(l, "%s: %s", l->endpoint.host,
            err == PN_INVALID ? "neither a name nor an address"
            : err == PN_BUSY  ? "too many names are being resolved"
                              : pn_strerror(err));
    }
    return err == PN_OK;
}

static void lookup_try(pn_barrel_lookup *l)
{
    while (l->source < PN_BARREL_SOURCES) {
        if (lookup_resolve(l)) {
            return;
        }
        l->source++;
    }
    lookup_finish(l, PN_NOT_FOUND, NULL, 0);
}

static void lookup_next(pn_barrel_lookup *l)
{
    l->source++;
    lookup_try(l);
}

static void on_task(void *user)
{
    lookup_try(user);
}

static bool is_own_name(const pn_barrel_discovery *d, const char *name)
{
    return d->node_name != NULL && strcmp(d->node_name, name) == 0;
}

static pn_err lookup_new(
    pn_barrel_discovery *d, const char *name, pn_barrel_lookup **ret_lookup)
{
    pn_barrel_lookup *l = calloc(1, sizeof(*l));
    pn_err err;

    if (l == NULL) {
        return PN_NOMEM;
    }
    err = pn_timer_new(d->loop, on_timeout, l, &l->timer);
    if (err != PN_OK) {
        free(l);
        return err;
    }
    l->d = d;
    l->task = (pn_task){.run = on_task, .user = l};
    memcpy(l->name, name, strlen(name) + 1);
    pn_list_append(&d->lookups, &l->listed);
    *ret_lookup = l;
    return PN_OK;
}

pn_err pn_barrel_discovery_lookup(pn_barrel_discovery *d, const char *name,
    pn_barrel_lookup_callback *callback, void *user,
    pn_barrel_lookup **ret_lookup)
{
    pn_barrel_lookup *l = NULL;
    pn_err err;

    if (!name_is_valid(name)
        || PN_REFUSE_IF(discovery_own_name, is_own_name(d, name))) {
        return PN_INVALID;
    }
    if (PN_REFUSE_IF(
            discovery_max_lookups, d->lookups.n >= d->options.max_lookups)) {
        return PN_FULL;
    }
    err = lookup_new(d, name, &l);
    if (err != PN_OK) {
        return err;
    }
    l->callback = callback;
    l->user = user;
    pn_timer_set(
        l->timer, pn_monotonic_now_us() + d->options.timeout_ms * PN_US_PER_MS);
    pn_loop_post(d->loop, &l->task);
    *ret_lookup = l;
    return PN_OK;
}

void pn_barrel_lookup_cancel(pn_barrel_lookup *l)
{
    if (l != NULL) {
        lookup_free(l);
    }
}

/* ---- our own endpoint --------------------------------------------------- */

static pn_err say_state(char *ret_why, size_t cap, const char *text)
{
    (void)snprintf(ret_why, cap, "%s", text);
    return PN_STATE;
}

pn_err pn_barrel_discovery_publish(
    pn_barrel_discovery *d, const char *host, char *ret_why, size_t cap)
{
    pn_barrel_endpoint endpoint = {.port = 0};
    pn_err err;
    size_t len;

    if (d->node_name == NULL || d->dir == NULL) {
        return say_state(ret_why, cap, "no name of ours, or no directory");
    }
    if (!d->is_bound || pn_address_port(&d->bound) == 0) {
        return say_state(ret_why, cap, "we listen nowhere");
    }
    host = host != NULL ? host : strchr(d->node_name, '@') + 1;
    len = strlen(host);
    if (!pn_barrel_host_is_valid(host, len)) {
        (void)snprintf(ret_why, cap, "the host cannot be that of a node");
        return PN_INVALID;
    }
    memcpy(endpoint.host, host, len + 1);
    endpoint.port = pn_address_port(&d->bound);
    err = pn_barrel_endpoint_publish(
        d->dir, d->node_name, &endpoint, ret_why, cap);
    if (err == PN_OK) {
        d->published = endpoint;
    }
    return err;
}

pn_err pn_barrel_discovery_unpublish(
    pn_barrel_discovery *d, char *ret_why, size_t cap)
{
    pn_err err;

    if (d->published.port == 0) {
        return say_state(ret_why, cap, "nothing is published");
    }
    err = pn_barrel_endpoint_unpublish(
        d->dir, d->node_name, &d->published, ret_why, cap);
    d->published.port = 0;
    return err;
}

/* ---- life --------------------------------------------------------------- */

void pn_barrel_discovery_options_init(pn_barrel_discovery_options *options)
{
    *options = (pn_barrel_discovery_options){.dns_port = PN_BARREL_DNS_PORT,
        .timeout_ms = 5000,
        .max_static = 1024,
        .max_lookups = 64};
}

static bool options_are_valid(const pn_barrel_discovery_options *o)
{
    return (o->node_name == NULL || name_is_valid(o->node_name))
           && (o->dir == NULL || o->dir[0] != '\0') && o->timeout_ms >= 1
           && o->timeout_ms <= TIMEOUT_MAX_MS && o->max_static >= 1
           && o->max_static <= STATIC_MAX && o->max_lookups >= 1
           && o->max_lookups <= LOOKUPS_MAX;
}

static bool copy_text(const char *text, char **ret_copy)
{
    *ret_copy = text == NULL ? NULL : strdup(text);
    return text == NULL || *ret_copy != NULL;
}

pn_err pn_barrel_discovery_new(pn_loop *loop,
    const pn_barrel_discovery_options *options,
    pn_barrel_discovery **ret_discovery)
{
    pn_barrel_discovery *d;

    if (!options_are_valid(options)) {
        return PN_INVALID;
    }
    d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return PN_NOMEM;
    }
    d->loop = loop;
    d->options = *options;
    if (!copy_text(options->node_name, &d->node_name)
        || !copy_text(options->dir, &d->dir)) {
        pn_barrel_discovery_free(d);
        return PN_NOMEM;
    }
    *ret_discovery = d;
    return PN_OK;
}

void pn_barrel_discovery_free(pn_barrel_discovery *d)
{
    if (d == NULL) {
        return;
    }
    PN_LIST_EACH(pn_barrel_lookup, l, &d->lookups, listed) {
        lookup_free(l);
    }
    for (size_t i = 0; i < d->n_entries; i++) {
        free(d->entries[i].name);
    }
    free(d->entries);
    free(d->node_name);
    free(d->dir);
    free(d);
}

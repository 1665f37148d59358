/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The services of other nodes that a network has shown, in bounded memory. An
 * engine: a backend tells it what it sees and is asked to resolve and to watch
 * addresses; the engine reports where keys may be found. An address is reported
 * once, however many interfaces and protocols show it, and as lost when the
 * last of them has gone. docs/THREATS.md, T15.
 */
#ifndef PN_DNSSD_SERVICES_H
#define PN_DNSSD_SERVICES_H

#include <peernet/key.h>

#include "os/interfaces.h"
#include "record.h"

/* Attempts to resolve a service that does not answer, one at each repeat; after
 * them, one at each twelfth. */
#define PN_DNSSD_RESOLVE_TRIES 5
#define PN_DNSSD_RESOLVE_SKIPS 12
/* Attempts in a second, and at once: each is a question to the whole network,
 * and one packet of a stranger may name many services. */
#define PN_DNSSD_RESOLVES_PER_S 20
#define PN_DNSSD_RESOLVES_BURST 100
/* Between two times of browsing anew. */
#define PN_DNSSD_BROWSE_MS 60000
#define PN_DNSSD_ADDRESSES_CAP 16

typedef struct pn_dnssd_services pn_dnssd_services;

typedef struct pn_dnssd_address {
    pn_address at; /* with the port of the service */
    bool is_reported;
} pn_dnssd_address;

/* One instance, seen by one interface over one protocol. */
typedef struct pn_dnssd_service {
    pn_dnssd_services *owner;
    unsigned interface;
    int protocol; /* the backend's number */
    char name[PN_DNSSD_NAME_CAP];
    unsigned n_tries;
    unsigned n_skipped; /* repeats without an attempt */
    bool is_due;        /* to be resolved */
    bool is_refused;    /* its records are not a node's */
    bool is_resolved;
    pn_public_key key; /* resolved: what the TXT says */
    uint16_t port;
    char label[PN_DNSSD_LABEL_CAP]; /* "": none */
    char *host;
    pn_dnssd_address addresses[PN_DNSSD_ADDRESSES_CAP];
    size_t n_addresses;
    /* The backend's; NULL: none is open. */
    void *resolver;
    void *watches[2];
} pn_dnssd_service;

/* The requests of the engine to a backend. */
typedef struct pn_dnssd_backend {
    /* Opens service->resolver, which calls pn_dnssd_services_resolved. */
    void (*resolve)(void *user, pn_dnssd_service *service);
    /* Opens service->watches of service->host, in place of earlier ones. They
     * call pn_dnssd_services_address. */
    void (*watch)(void *user, pn_dnssd_service *service);
    /* Closes all that is open for it. */
    void (*release)(void *user, pn_dnssd_service *service);
} pn_dnssd_backend;

/* Where reports go. */
typedef struct pn_dnssd_reports {
    void (*found)(void *user, const pn_public_key *key, const char *address);
    void (*lost)(void *user, const pn_public_key *key, const char *address);
    /* After each found, and when it has changed; "": none. */
    void (*labelled)(void *user, const pn_public_key *key, const char *address,
        const char *label);
} pn_dnssd_reports;

typedef struct pn_dnssd_services_config {
    uint32_t max_services;
    uint32_t max_addresses; /* at most PN_DNSSD_ADDRESSES_CAP */
    uint16_t min_port;
    const char *interfaces; /* of pn_interface_is_used; outlives it */
    uint64_t seed;          /* of the lots: pn_dnssd_services_seed() */
    const pn_dnssd_reports *reports;
    void *reports_user;
} pn_dnssd_services_config;

typedef struct pn_dnssd_services_counters {
    uint64_t seen;
    uint64_t evicted;
    uint64_t addresses_dropped;
    uint64_t refused;
} pn_dnssd_services_counters;

/* A number that nobody can foresee. */
uint64_t pn_dnssd_services_seed(void);
/* Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_dnssd_services_new(
    const pn_dnssd_services_config *config, pn_dnssd_services **ret_services);
/* Every service is released by the backend that is set. NULL is fine. */
void pn_dnssd_services_free(pn_dnssd_services *s);

void pn_dnssd_services_set_backend(
    pn_dnssd_services *s, const pn_dnssd_backend *backend, void *user);
/* Records of this key are our own and are not reported. */
void pn_dnssd_services_set_own(pn_dnssd_services *s, const pn_public_key *key);
/* The interfaces of this host, as they are now: an address that belongs to none
 * of their networks is not reported. list is copied. */
void pn_dnssd_services_set_interfaces(
    pn_dnssd_services *s, const pn_interface *list, size_t n);

/* A service came or went. When the table is full, one is forgotten without
 * being reported as lost: one that is no node's or has not answered in its
 * tries; or else, while those that are not resolved yet have a quarter of the
 * table, one of them or the one that has come, by lot; or else the oldest that
 * is resolved. A name that does not fit is not kept. */
void pn_dnssd_services_add(
    pn_dnssd_services *s, unsigned interface, int protocol, const char *name);
void pn_dnssd_services_remove(
    pn_dnssd_services *s, unsigned interface, int protocol, const char *name);
/* Resolves what is due, at a limited rate. To be called after every turn of the
 * backend; returns when the next call must be, now_ms being the present. */
uint64_t pn_dnssd_services_step(pn_dnssd_services *s, uint64_t now_ms);
/* True when services were forgotten since the last call: a backend names a
 * service once, so it has to browse anew. To be called at most every
 * PN_DNSSD_BROWSE_MS. */
bool pn_dnssd_services_take_browse(pn_dnssd_services *s);
/* Its records. host NULL: it did not answer. key NULL: its TXT is not that of a
 * node. */
void pn_dnssd_services_resolved(pn_dnssd_service *service, const char *host,
    uint16_t port, const pn_public_key *key);
/* The label of a service that was resolved as a node's; "": none. */
void pn_dnssd_services_labelled(pn_dnssd_service *service, const char *label);
/* An address of its host came or went; the port is left out. */
void pn_dnssd_services_address(
    pn_dnssd_service *service, const pn_address *host, bool is_there);

/* Reports again what is known, since the node may have forgotten an address
 * that did not answer once, and resolves again what did not answer. */
void pn_dnssd_services_repeat(pn_dnssd_services *s);
/* Forgets all of them without reporting them as lost: the backend has gone,
 * which says nothing about the peers. */
void pn_dnssd_services_clear(pn_dnssd_services *s);

size_t pn_dnssd_services_count(const pn_dnssd_services *s);
void pn_dnssd_services_counters_get(
    const pn_dnssd_services *s, pn_dnssd_services_counters *ret_counters);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UDP address of node NAME@HOST, from these sources in this order, until
 * one knows it; docs/BARREL-PROTOCOL.md, section 13:
 *
 *   static  what the application said
 *   file    DIR/NAME@HOST.endpoint, endpoint_file.h
 *   dns     HOST, at a port that the application gives for all nodes. Upstream
 *           takes the port it listens on itself and so can dial itself.
 *
 * One that knows a host which has no address, or only ours, counts as one that
 * does not know. An answer is a hint: the node at the address has to prove the
 * name. Thread: the loop's, for everything here. Nothing waits for DNS;
 * endpoint files are read and written at once.
 */
#ifndef PN_LOOKUP_CHAIN_H
#define PN_LOOKUP_CHAIN_H

#include "os/address.h"
#include "os/loop.h"

#define PN_BARREL_DNS_PORT 9100
#define PN_BARREL_WHY_MAX 1024

typedef struct pn_barrel_discovery pn_barrel_discovery;
typedef struct pn_barrel_lookup pn_barrel_lookup;

typedef enum pn_barrel_source {
    PN_BARREL_STATIC,
    PN_BARREL_FILE,
    PN_BARREL_DNS,
    PN_BARREL_SOURCES /* how many; no source knew it */
} pn_barrel_source;

/* Strings are copied. */
typedef struct pn_barrel_discovery_options {
    const char *node_name; /* ours; NULL: we have none, and publish nothing */
    const char *dir;       /* of endpoint files; NULL: there are none */
    uint16_t dns_port;     /* default PN_BARREL_DNS_PORT; 0: DNS is not asked */
    uint32_t timeout_ms;   /* a whole look-up; default 5000, 1 to 120000 */
    uint32_t max_static;   /* entries; default 1024, 1 to 65536 */
    uint32_t max_lookups;  /* at a time; default 64, 1 to 1024 */
} pn_barrel_discovery_options;

void pn_barrel_discovery_options_init(pn_barrel_discovery_options *options);

/* loop outlives it. Errors: PN_INVALID an option; PN_NOMEM. */
PN_MUST_USE pn_err pn_barrel_discovery_new(pn_loop *loop,
    const pn_barrel_discovery_options *options,
    pn_barrel_discovery **ret_discovery);
/* Cancels what is under way; leaves what was published. NULL is fine. */
void pn_barrel_discovery_free(pn_barrel_discovery *d);

/* Where we listen, once we do: answers that would lead there are refused (with
 * 0.0.0.0 or ::, each address of this host at that port). NULL: nowhere. */
void pn_barrel_discovery_set_bound(
    pn_barrel_discovery *d, const pn_address *bound);

/* "HOST:PORT" or "[IPv6]:PORT"; replaces what there was for name. Errors:
 * PN_INVALID; PN_FULL max_static; PN_NOMEM. */
PN_MUST_USE pn_err pn_barrel_discovery_add_static(
    pn_barrel_discovery *d, const char *name, const char *host_and_port);

/* Does the static table or an endpoint file have it? DNS is not asked. Reads a
 * file. */
bool pn_barrel_discovery_knows(const pn_barrel_discovery *d, const char *name);

/* The result of a look-up; valid during the callback. */
typedef struct pn_barrel_found {
    pn_err err;
    pn_barrel_source source; /* the source that knew it */
    const pn_address *addresses;
    size_t n;        /* 1 to PN_RESOLVE_MAX; 0 on an error */
    const char *why; /* what did not work on the way, maybe "" */
} pn_barrel_found;

/* Once for each look-up, in a later turn. The look-up is gone. It may free the
 * discovery. err: PN_OK; PN_NOT_FOUND no source knows it; PN_TIMEOUT. */
typedef void pn_barrel_lookup_callback(
    void *user, const pn_barrel_found *found);

/* Errors, after which nothing follows: PN_INVALID no node's name, or our own;
 * PN_FULL max_lookups are under way; PN_NOMEM. */
PN_MUST_USE pn_err pn_barrel_discovery_lookup(pn_barrel_discovery *d,
    const char *name, pn_barrel_lookup_callback *callback, void *user,
    pn_barrel_lookup **ret_lookup);
/* The callback will not come. NULL is fine. */
void pn_barrel_lookup_cancel(pn_barrel_lookup *lookup);

/*
 * Writes our endpoint file: host (NULL: what is behind the @ of our name) and
 * the port of pn_barrel_discovery_set_bound. On an error ret_why (cap bytes)
 * is a sentence. Errors: PN_STATE no name, directory or port; else those of
 * pn_barrel_endpoint_publish.
 */
PN_MUST_USE pn_err pn_barrel_discovery_publish(
    pn_barrel_discovery *d, const char *host, char *ret_why, size_t cap);
/* Removes it unless another has written it since. Errors: PN_STATE nothing is
 * published; else those of pn_barrel_endpoint_unpublish. */
PN_MUST_USE pn_err pn_barrel_discovery_unpublish(
    pn_barrel_discovery *d, char *ret_why, size_t cap);

#endif

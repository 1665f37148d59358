/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Avahi daemon of this host, over D-Bus: browses, resolves and publishes.
 * Every function may block for as long as the daemon or the bus does not
 * answer (libdbus gives up after 25 s), so all of them belong to the source's
 * own thread.
 */
#ifndef PN_DNSSD_AVAHI_H
#define PN_DNSSD_AVAHI_H

#include <avahi-common/watch.h>
#include <peernet/dnssd.h>

#include "services.h"

typedef struct pn_dnssd_avahi pn_dnssd_avahi;

/* The record of a node; port 0: nothing is published. */
typedef struct pn_dnssd_record {
    pn_public_key key;
    uint16_t port;
    char label[PN_DNSSD_LABEL_MAX + 1]; /* "": none */
} pn_dnssd_record;

/* poll and services outlive it; it sets itself as the backend of services.
 * Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_dnssd_avahi_new(const AvahiPoll *poll,
    pn_dnssd_services *services, pn_dnssd_avahi **ret_avahi);
/* Ends the connection, at which the daemon withdraws our record. */
void pn_dnssd_avahi_free(pn_dnssd_avahi *a); /* NULL is fine */

/* Publishes this from now on, in place of what was before. */
void pn_dnssd_avahi_publish(pn_dnssd_avahi *a, const pn_dnssd_record *record);

/* The interfaces that our record is for, from now on. */
void pn_dnssd_avahi_set_interfaces(
    pn_dnssd_avahi *a, const int *indexes, size_t n);

/* While held, it browses and does not publish: another responder of ours still
 * has the record. */
void pn_dnssd_avahi_hold(pn_dnssd_avahi *a, bool is_held);

/* Does what is due: connects, again after a failure, browses and publishes. To
 * be called after every turn of poll; returns when the next turn must be, in
 * milliseconds, now_ms being the present. */
uint64_t pn_dnssd_avahi_step(pn_dnssd_avahi *a, uint64_t now_ms);

/* PN_DNSSD_NO_BUS, PN_DNSSD_NO_DAEMON or PN_DNSSD_RUNNING. */
pn_dnssd_state pn_dnssd_avahi_state(const pn_dnssd_avahi *a);
/* True when the daemon has said that our record is on the network. */
bool pn_dnssd_avahi_is_published(const pn_dnssd_avahi *a);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multicast DNS without a daemon: a helper process (helper.c) that embeds
 * Avahi's core. Packets of strangers reach assertions of that library, which
 * end the process that embeds it; so that process is not the node. When it
 * dies, what it had found is lost, and it is started again, later each time.
 *
 * The helper reads lines "publish PORT KEY [LABEL]" and leaves at the end of
 * its input. It writes "found KEY ADDRESS", "lost KEY ADDRESS",
 * "labelled KEY ADDRESS [LABEL]" (with the last space in any case),
 * "published 0|1" and "counters SERVICES SEEN EVICTED DROPPED REFUSED". A
 * packet may have taken the helper over, so its lines are checked: a malformed
 * one ends the helper, as do a low port and an address that is no host's. An
 * address outside of this host's networks is not reported, and neither is a
 * label of an address that was not.
 */
#ifndef PN_DNSSD_EMBED_H
#define PN_DNSSD_EMBED_H

#include <avahi-common/watch.h>
#include <peernet/dnssd.h>

#include "avahi.h"
#include "services.h"

typedef struct pn_dnssd_embed pn_dnssd_embed;

typedef struct pn_dnssd_embed_config {
    const AvahiPoll *poll;
    const pn_dnssd_options *options; /* outlives it; helper is set */
    const pn_dnssd_reports *reports;
    void *reports_user;
    /* "LD_LIBRARY_PATH=...", all of the helper's environment; "": it has none.
     * Outlives it. */
    const char *library_path;
} pn_dnssd_embed_config;

/* Starts nothing yet. Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_dnssd_embed_new(
    const pn_dnssd_embed_config *config, pn_dnssd_embed **ret_embed);
/* A helper that runs is told to leave, and is given 250 ms. NULL is fine. */
void pn_dnssd_embed_free(pn_dnssd_embed *e);

/* Whether there shall be a helper. One that is not wanted withdraws its record
 * and ends. */
void pn_dnssd_embed_want(pn_dnssd_embed *e, bool is_wanted);
void pn_dnssd_embed_publish(pn_dnssd_embed *e, const pn_dnssd_record *record);
/* Does what is due, as pn_dnssd_avahi_step. */
uint64_t pn_dnssd_embed_step(pn_dnssd_embed *e, uint64_t now_ms);

bool pn_dnssd_embed_is_running(const pn_dnssd_embed *e);
/* True when no record of a helper is on the network: none has run, or it ended
 * more than a second ago. */
bool pn_dnssd_embed_is_clear(const pn_dnssd_embed *e, uint64_t now_ms);
/* Fills in what the helper has said last. */
void pn_dnssd_embed_status(const pn_dnssd_embed *e, pn_dnssd_status *status);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hosts of paired peers' addresses, in a hash map, so that one look-up
 * tells whether a stranger's address is one of them. The owner limits the
 * number.
 */
#ifndef PN_NODE_HOSTS_H
#define PN_NODE_HOSTS_H

#include "base/bucket.h"
#include "base/core.h"
#include "base/map.h"
#include "os/address.h"

typedef struct pn_host {
    uint32_t n;        /* how often it was added */
    pn_bucket reserve; /* what is kept for this host alone */
} pn_host;

/* Zero-filled is empty. */
typedef struct pn_hosts {
    pn_map map;
} pn_hosts;

void pn_hosts_fini(pn_hosts *hosts);
/* Counts the host of an address, whatever its port. Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_hosts_add(pn_hosts *hosts, const pn_address *address);
/* Undoes one pn_hosts_add. */
void pn_hosts_remove(pn_hosts *hosts, const pn_address *address);
/* NULL: not one of them. Valid until it is removed. */
pn_host *pn_hosts_find(const pn_hosts *hosts, const pn_address *address);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in network monitor: reports a change of this host's addresses. The
 * kernel announces changes over rtnetlink; where there is none (or where a
 * sandbox forbids it) the addresses are read every few seconds.
 */
#ifndef PN_DISCOVERY_NETMON_H
#define PN_DISCOVERY_NETMON_H

#include <peernet/discovery.h>

#include "os/loop.h"

typedef struct pn_netmon pn_netmon;

typedef enum pn_netmon_mode {
    PN_NETMON_AUTO, /* rtnetlink, else polling */
    PN_NETMON_RTNETLINK,
    PN_NETMON_POLLING
} pn_netmon_mode;

typedef struct pn_netmon_config {
    pn_loop *loop;
    pn_netmon_mode mode;
    uint32_t poll_ms;   /* between looks when polling; 0: 5000 */
    uint32_t settle_ms; /* a burst of changes is one; 0: 200 */
} pn_netmon_config;

/* Opens nothing yet: that is `start`. Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_netmon_new(
    const pn_netmon_config *config, pn_netmon **ret_netmon);
void pn_netmon_free(pn_netmon *m); /* NULL is fine */

/* The table; its user is a pn_netmon. start: PN_SYS with errno when the mode
 * asked for is not to be had. */
extern const pn_network_monitor pn_netmon_monitor;

/* How it watches; PN_NETMON_AUTO before start. */
pn_netmon_mode pn_netmon_mode_now(const pn_netmon *m);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The one decision (trust/grants.h) with what a node knows. */
#ifndef PN_LINK_DECIDE_H
#define PN_LINK_DECIDE_H

#include "link/handles.h"
#include "link/link.h"
#include "trust/grants.h"

/* May the peer of this link use the handle? Lock held. */
pn_reason pn_link_decide(pn_link *link, const pn_handle *handle);
/* The same for a function behind a handle; shown: "MyApp.Led.set/1". grants
 * NULL: there is none. */
pn_reason pn_link_decide_function(
    pn_link *link, const char *shown, const pn_grants *grants);

#endif

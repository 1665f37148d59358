/* SPDX-License-Identifier: Apache-2.0 */
/* Exposing handles. */
#ifndef PN_LINK_EXPOSE_H
#define PN_LINK_EXPOSE_H

#include "base/core.h"
#include "link/handles.h"

/* pn_expose with a user pointer that is the handle's; owner may be NULL. */
PN_MUST_USE pn_err pn_node_expose_owned(pn_node *node, const char *name,
    pn_handler *handler, void *user, const pn_handle_owner *owner,
    const pn_expose_options *options);
/* Drops every grant of a principal that was unpaired. */
PN_CORE void pn_node_forget_grants(pn_node *node, const pn_principal *who);

#endif

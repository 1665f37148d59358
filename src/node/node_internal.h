/* SPDX-License-Identifier: Apache-2.0 */
/* A whole node, and its own functions. */
#ifndef PN_NODE_NODE_INTERNAL_H
#define PN_NODE_NODE_INTERNAL_H

#include <pthread.h>

#include <peernet/node.h>

#include "link/expose.h"
#include "link/node_core.h"
#include "node/flush.h"
#include "node/listen.h"
#include "node/lookup.h"
#include "node/net.h"
#include "node/peer_call.h"
#include "node/peer_link.h"
#include "node/peers.h"
#include "node/race.h"
#include "node/registry.h"
#include "os/interfaces.h"
#include "os/transport.h"

/*
 * A whole node: the core, which links of every family use and which is its
 * first member, and the members for PeerNet's links and for the node's life.
 */
typedef struct pn_full_node {
    pn_node core;
    const pn_transport_ops *transport;
    pn_node_listen listen;
    pn_node_trust trust;
    pn_node_peers peers;
    pn_registry *registry;
    pn_gate gate;
    pn_session_limits session_limits;
    pn_kind kind; /* what peers of our kind are told */
    pn_node_lookups lookups;
    struct pn_net *net; /* discovery and network changes */
} pn_full_node;

static inline pn_full_node *pn_full(const pn_node *node)
{
    return (pn_full_node *)(uintptr_t)node;
}

/* ---- node.c ---- */
/* pn_node_open over another transport than TCP. */
PN_MUST_USE pn_err pn_node_open_over(const pn_node_options *options,
    const pn_transport_ops *transport, pn_node **ret_node, pn_why *ret_why);
/* ---- options.c ---- */
/* Copies and checks; an error has a sentence. */
PN_MUST_USE pn_err pn_node_options_check(const pn_node_options *options,
    pn_node_options *ret_options, pn_why *ret_why);

/* ---- connect.c ---- */
/* For pthread_cond_timedwait on state_changed. */
struct timespec pn_monotonic_after(uint32_t ms);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Links of the PeerNet family. */
#ifndef PN_NODE_PEER_LINK_H
#define PN_NODE_PEER_LINK_H

#include "link/link.h"
#include "node/registry.h"
#include "os/transport.h"
#include "session/session.h"

typedef struct pn_peer pn_peer;

/* The atoms of messages that the peer has read, as sums (term/atoms.h). */
enum { PN_READ_ATOMS = 8 };

typedef struct pn_read_atoms {
    uint32_t sums[PN_READ_ATOMS];
    uint32_t n; /* the next takes the place of the oldest */
} pn_read_atoms;

/* A link to or from a node of the PeerNet family. */
typedef struct pn_peer_link {
    pn_link base;
    pn_conn *conn;
    pn_session *session;
    uint64_t connect_deadline_us;
    pn_list spares;    /* connecting beside conn: race.c */
    uint64_t race_us;  /* when the next may; PN_TIME_NEVER: none */
    pn_peer *peer;     /* once authenticated; NULL again when unpaired */
    bool is_told;      /* PEER_UP was: the peer is known to have us, too */
    bool has_answered; /* something was written */
    size_t n_left; /* bytes that were shown, and come again with more behind */
    uint64_t counted_in; /* frames in node->metrics */
    uint64_t counted_out;
    uint64_t message_us; /* our last call or send with atoms that are new */
    uint32_t message_atoms;
    pn_read_atoms read_atoms;
} pn_peer_link;

extern const pn_link_ops pn_peer_link_ops;
/* NULL for NULL; base is of this family. */
static inline pn_peer_link *pn_peer_link_of(pn_link *base)
{
    return (pn_peer_link *)(void *)base;
}
/* The peer has said that it counts no connections that end. A link that has
 * ended is still asked. */
bool pn_link_ends_freely(const pn_peer_link *link);
/* Of the key that it dials, or that was proven; NULL: it is not paired. Lock
 * held. */
pn_peer *pn_link_peer(const pn_peer_link *link);
PN_MUST_USE pn_err pn_link_new_dialled(pn_peer *peer, pn_node *node,
    const pn_address *to, pn_peer_link **ret_link);
extern const pn_listener_callbacks pn_link_listener_callbacks;
extern const pn_conn_callbacks pn_link_conn_callbacks;
/* One of its connections is up, and is link->conn. */
void pn_link_connected(pn_peer_link *link);
/* Keeps a connection that came too late open and silent until it may end. */
void pn_link_new_silent(
    const pn_peer_link *link, pn_conn *conn, const pn_address *to);
pn_reason pn_link_reason(
    const pn_peer_link *link, const pn_address *to, pn_err why, int sys_errno);
/* Reports the failure if it is news. */
void pn_link_tell_failure(pn_peer_link *link, pn_reg_peer *reg,
    const char *label, const pn_address *to, pn_reason reason);

#endif

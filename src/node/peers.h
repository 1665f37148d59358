/* SPDX-License-Identifier: Apache-2.0 */
/* Paired peers, and the trust list in memory. */
#ifndef PN_NODE_PEERS_H
#define PN_NODE_PEERS_H

#include <pthread.h>

#include "node/peer_link.h"
#include "node/registry.h"
#include "os/loop.h"
#include "trust/store.h"

/* A paired peer. */
struct pn_peer {
    pn_public_key key;
    pn_reg_peer *reg;
    char *label; /* NULL: none */
    /* Its name for itself, as an event last told it. */
    char told_label[PN_KIND_LABEL_MAX + 1];
    int64_t added_at_us;
    int64_t last_seen_ms;  /* wall clock of the last link's last frame */
    pn_peer_link *dial;    /* in flight, or NULL */
    pn_address remembered; /* what was last written; port 0: nothing */
    bool seen_in_reload;
    /* lookup.c: the name given at pairing, which is looked up again when a dial
     * has failed. "": none, or it is numeric. */
    char name[PN_ADDRESS_CAP];
    bool is_looked_up;      /* a question is under way */
    bool is_lookup_told;    /* the log has that it failed */
    uint64_t lookup_due_us; /* PN_TIME_NEVER: none is wanted */
    uint64_t lookup_us;     /* not before; 0: at once */
    uint64_t lookup_wait_us;
};

typedef struct pn_node_peers {
    pn_peer **list; /* newest first */
    size_t n;
    size_t cap;
} pn_node_peers;

/* The file of grants (node/grants.c). */
typedef struct pn_node_grants {
    pn_err read_err;   /* of the last reading, as it was told */
    size_t n_bad_told; /* lines that count for nothing, as the log has them */
    uint64_t bad_told;
    uint64_t due_us;    /* when a grant ends, or the clock is looked at again */
    bool is_forgetting; /* a worker writes */
} pn_node_grants;

typedef struct pn_node_trust {
    pthread_mutex_t lock; /* taken before the node's, never after */
    pn_store *store;
    pn_guarded_watch watch;
    const pn_key_pair *identity;
    bool is_damaged;    /* the file could not be read again: no new peer */
    bool is_reload_due; /* the store was busy when its file changed */
    pn_err reload_err;  /* of the last reading, as it was told */
    pn_pending_list pending;
    pn_node_grants grants;
} pn_node_trust;

pn_peer *pn_node_find_peer(pn_node *node, const pn_public_key *key);
bool pn_node_is_trusted(pn_node *node, const pn_public_key *key);
/* A key that is not trusted has dialled and authenticated: a pairing that waits
 * for it is completed, and the peer's next dial is admitted. */
void pn_node_complete_pairing(pn_node *node, const pn_public_key *key);
PN_MUST_USE pn_err pn_node_load_peers(pn_node *node);
void pn_node_peers_fini(pn_node *node);
extern const pn_reg_callbacks pn_node_registry_callbacks;
/* Reads the trust list again after another process edited it. If the store is
 * busy, it is read once the store is free, because the loop must not wait for
 * an edit. */
PN_MUST_USE pn_err pn_node_watch_trust(pn_node *node);
/* Lock held, or the node not open yet. label is valid, or NULL. */
void pn_node_own_label(pn_node *node, const char *label);
/* Where a peer can be dialled: as pn_address_parse, and port 0 is none. */
PN_MUST_USE pn_err pn_peer_address_parse(
    const char *text, pn_address *ret_address);
/* The store, and a reference to the node, for an edit that may wait for another
 * process. Errors: PN_CLOSED. */
PN_MUST_USE pn_err pn_node_store_enter(pn_node *node);
void pn_node_store_leave(pn_node *node);
/* Gives the store's lock back, and lets the loop do what it could not
 * meanwhile. */
void pn_node_store_unlock(pn_node *node);
/* The sentence of a failed edit goes to the log where the function returns a
 * code only. Both locks held. */
void pn_node_log_store_error(
    pn_node *node, pn_log_what what, pn_err err, const pn_why *why);

/* ---- grants.c ---- */
/* Reads the file of grants again, and decides again what waits. The store's
 * lock held; not the node's. */
void pn_node_reload_grants(pn_node *node);
/* When pn_node_grants_tick wants to be called. */
static inline uint64_t pn_node_grants_due(const pn_node_grants *grants)
{
    return grants->due_us;
}
/* Cancels what is deferred under a grant that has ended. Loop, lock held. */
void pn_node_grants_tick(pn_node *node, uint64_t now_us);
/* The turn's end, lock held: has a worker remove the grants to principals that
 * are not trusted any more. */
void pn_node_grants_turn(pn_node *node);

void pn_peer_remember(pn_node *node, pn_peer *peer, const pn_address *address);

#endif

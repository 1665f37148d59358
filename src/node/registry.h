/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry: when to dial whom, and which link of a peer is the one to use.
 * An engine: no socket, no clock, no thread. What happened and `now` go in;
 * dials, closes and the next deadline come out.
 *
 * It knows paired peers only. A key that is not paired, and our own, is never
 * dialled and never gets a link, whatever discovery says (T15, T34).
 *
 * Dialling (T15, T19). One dial in flight per peer, none while a link is up.
 * A step of the backoff tries the preferred address (last good, manual, newest
 * heard) and, when that fails, one of the others in turn; steps are 0.5 s
 * doubling to 30 s apart, each shortened by a random 0-25 %. Failed connects,
 * failed handshakes and links that ended early all count; a link that was up
 * for 30 s starts it again. A newly discovered address is dialled out of turn,
 * after a random wait of at most 300 ms (the peer may be dialling us; the
 * larger key waits longer), and at most once in 5 s per peer.
 *
 * Two links (RELIABILITY 2.8, policy 3, "delayed tie-break"). Both stay, the
 * newest is primary. Both are probed; once a frame has come on each since both
 * exist, both ends are known to have both: then the one dialled by the smaller
 * key is primary, and after the grace time the other is closed (DUPLICATE). A
 * frame from before proves nothing: the older link may be of a peer that lost
 * its power. A third link closes the oldest at once (SUPERSEDED), so a peer
 * never holds more than two.
 *
 * Etiquette (wire section 6). Connections that ended are counted per peer,
 * whoever ended them. A dial or the close of a duplicate waits while two ended
 * within 5 s: one more is kept in reserve for an orderly close, and the fourth
 * would cost an Elixir node all its links. Closes of duplicates are at least
 * 2 s apart.
 *
 * Thread: the node's loop. Callbacks come from inside the functions below, as
 * their last act, and may call any of them except pn_registry_free.
 */
#ifndef PN_NODE_REGISTRY_H
#define PN_NODE_REGISTRY_H

#include <peernet/key.h>
#include <peernet/reason.h>

#include "base/env.h"
#include "os/address.h"

#define PN_REG_MAX_ADDRESSES 4
#define PN_REG_MAX_LINKS 2

typedef struct pn_registry pn_registry;

/* A paired peer. Valid from pn_registry_peer_add to pn_registry_peer_remove.
 * Only `user` is the node's to write. */
typedef struct pn_reg_peer {
    /* The link to send on, as given to pn_registry_link_up; NULL: none. */
    void *primary;
    void *user;
    pn_public_key key;
    /* While true every authenticated frame of this peer is reported, with
     * pn_registry_link_received. */
    bool is_probing;
} pn_reg_peer;

/* How the node learnt of an address. */
typedef enum pn_reg_hint {
    PN_REG_DISCOVERED, /* heard; whoever says it is not to be believed */
    PN_REG_REMEMBERED, /* from an earlier run */
    PN_REG_MANUAL      /* the owner said so; never pushed out by the others */
} pn_reg_hint;

typedef enum pn_reg_state {
    PN_REG_IDLE,    /* no link and nothing to dial */
    PN_REG_WAITING, /* between two dials */
    PN_REG_DIALLING,
    PN_REG_UP
} pn_reg_state;

typedef struct pn_reg_info {
    pn_reg_state state;
    bool has_address;
    pn_address address;    /* primary link's, or dialled, or next to dial */
    bool dialled_by_us;    /* the primary link */
    uint64_t up_us;        /* when the primary link came up; 0: none */
    uint64_t next_dial_us; /* WAITING: not before; else PN_TIME_NEVER */
    pn_reason last_reason; /* why the last link or dial ended */
    unsigned n_links;
} pn_reg_info;

typedef struct pn_reg_callbacks {
    /*
     * Starts connecting to address, expecting peer->key. Its outcome is
     * reported once, later: pn_registry_link_up or pn_registry_dial_failed.
     * Returns PN_REASON_NONE, or why it failed at once (then nothing is
     * reported).
     */
    pn_reason (*dial)(void *user, pn_reg_peer *peer, const pn_address *address);
    /* Ends the dial in flight; its outcome is not reported any more. True
     * when it was connected already, so that the peer sees an end. */
    bool (*cancel_dial)(void *user, pn_reg_peer *peer);
    /* Sends a ping on a link, to learn whether the peer still has it. */
    void (*probe)(void *user, pn_reg_peer *peer, void *link);
    /* Closes a link. The registry has forgotten it already: no
     * pn_registry_link_down follows (a late one is ignored). */
    void (*close_link)(
        void *user, pn_reg_peer *peer, void *link, pn_reason reason);
} pn_reg_callbacks;

typedef struct pn_reg_config {
    pn_public_key own_key;
    const pn_env *env; /* outlives the registry; only random is used */
    uint32_t max_peers;
    uint64_t reconnect_min_us;
    uint64_t reconnect_max_us;
    uint64_t grace_us;                /* two links: T19 */
    uint64_t reset_up_us;             /* backoff starts again */
    uint64_t new_address_interval_us; /* T15 */
    /* Dial peers at manual and remembered addresses without being asked. When
     * false such a peer is dialled after pn_registry_connect only; discovered
     * ones are dialled either way. */
    bool auto_connect;
} pn_reg_config;

/* Everything but own_key and env: 1024 peers, 0.5 s, 30 s, 2 s, 30 s, 5 s,
 * auto_connect. */
void pn_reg_config_default(pn_reg_config *config);

/* config is copied; callbacks is borrowed for life. Errors: PN_NOMEM;
 * PN_INVALID max_peers 0 or reconnect times of 0 or in the wrong order. */
PN_MUST_USE pn_err pn_registry_new(const pn_reg_config *config,
    const pn_reg_callbacks *callbacks, void *user, pn_registry **ret_registry);
/* Calls nobody; NULL is fine. */
void pn_registry_free(pn_registry *r);

/* ---- peers ---- */

/* Pairs. ret_peer may be NULL. Errors: PN_EXISTS (*ret_peer is the one there);
 * PN_INVALID our own key; PN_LIMIT max_peers; PN_NOMEM. */
PN_MUST_USE pn_err pn_registry_peer_add(pn_registry *r,
    const pn_public_key *key, void *user, pn_reg_peer **ret_peer);
/* Unpairs: cancels its dial and closes its links (UNPAIRED) before it returns;
 * the handle is gone then. Errors: PN_NOT_FOUND. */
pn_err pn_registry_peer_remove(
    pn_registry *r, const pn_public_key *key, uint64_t now_us);
/* NULL: not paired. One hash look-up. */
pn_reg_peer *pn_registry_find(const pn_registry *r, const pn_public_key *key);
/* All peers in no order: start with *cursor = 0 until NULL comes. No peer is
 * added or removed meanwhile. */
pn_reg_peer *pn_registry_next(const pn_registry *r, size_t *cursor);
uint32_t pn_registry_count(const pn_registry *r);

/* ---- what may be dialled ---- */

/*
 * A peer may be at address. Never touches a live link; dials come from
 * pn_registry_tick. Errors: PN_NOT_FOUND not paired; PN_INVALID our own key,
 * port 0, or not the address of one host.
 */
pn_err pn_registry_hint(pn_registry *r, const pn_public_key *key,
    const pn_address *address, pn_reg_hint kind, uint64_t now_us);
/* A source no longer sees the peer there. Forgets a discovered address unless
 * it was the last that worked; a live link stays. */
void pn_registry_hint_lost(pn_registry *r, const pn_public_key *key,
    const pn_address *address, uint64_t now_us);
/*
 * The owner wants this link now: dials without waiting for the backoff, at
 * address (kept as a manual one) or, NULL, where the peer is known to be. The
 * etiquette and one dial in flight hold all the same; with a live link only
 * the address is kept. Errors: PN_NOT_FOUND; PN_NOT_CONNECTED no address is
 * known (it is dialled when one is); PN_INVALID the address; PN_STATE after
 * pn_registry_stop.
 */
PN_MUST_USE pn_err pn_registry_connect(pn_registry *r, const pn_public_key *key,
    const pn_address *address, uint64_t now_us);
/* Addresses came or went. The node has closed the links of addresses that went
 * (and reported them); peers without a link are dialled at once, their backoff
 * starts again, dials that hang are started anew. */
void pn_registry_network_changed(pn_registry *r, uint64_t now_us);
/* No more dials, no more closes; cancels those in flight. For good. */
void pn_registry_stop(pn_registry *r);

/* ---- what happened ---- */

/* The dial in flight came to nothing. */
void pn_registry_dial_failed(
    pn_registry *r, pn_reg_peer *peer, pn_reason reason, uint64_t now_us);
/*
 * An authenticated link. dialled_by_us: the dial in flight succeeded. address:
 * the other end. Returns the peer; NULL: the key
 * is not paired (any more), and the node closes the link itself (UNPAIRED).
 */
PN_MUST_USE pn_reg_peer *pn_registry_link_up(pn_registry *r,
    const pn_public_key *key, void *link, bool dialled_by_us,
    const pn_address *address, uint64_t now_us);
/* An authenticated frame came on it. Needed while peer->is_probing, harmless
 * and cheap at any other time. */
void pn_registry_link_received(
    pn_registry *r, pn_reg_peer *peer, void *link, uint64_t now_us);
/* It ended: the peer, the network, or the node by itself. */
void pn_registry_link_down(pn_registry *r, pn_reg_peer *peer, void *link,
    pn_reason reason, uint64_t now_us);

/* ---- time ---- */

/* When pn_registry_tick is due; PN_TIME_NEVER. O(1). */
uint64_t pn_registry_deadline(const pn_registry *r);
/* Dials and closes what is due. */
void pn_registry_tick(pn_registry *r, uint64_t now_us);

/* ---- questions ---- */

void pn_registry_info(
    const pn_registry *r, const pn_reg_peer *peer, pn_reg_info *ret_info);
/* At most cap addresses of a peer, best first; returns how many there are. */
size_t pn_registry_addresses(const pn_registry *r, const pn_reg_peer *peer,
    pn_address *ret_addresses, size_t cap);

#endif

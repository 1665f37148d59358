/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry: when to dial whom, and which link of a peer is the one to use.
 * An engine: no socket, no clock, no thread. Events and `now` are arguments;
 * dials, closes and the next deadline are results.
 *
 * It knows paired peers only. A key that is not paired, and our own, is never
 * dialled and never gets a link, whatever discovery reports (T15, T34).
 *
 * Dialling (T15, T19). One dial in flight per peer, none while a link is up
 * that answers (pn_registry_suspect). A step of the backoff tries the preferred
 * address (last good, manual, remembered, the heard one that was dialled
 * longest ago), beside it all that were not merely heard and, when that fails,
 * one of the others in turn; steps are 0.5 s doubling to 30 s apart, each
 * shortened by a random 0-25 %. Failed connects, failed handshakes and links
 * that ended early all count; a link that was up for 30 s starts it again. A
 * newly discovered address is dialled out of turn, after a random wait of at
 * most 300 ms (the peer may be dialling us; the larger key waits longer), and
 * at most once in 5 s per peer.
 *
 * Announces can be forged, so newly discovered addresses are candidates that
 * take turns by source: one waits for each source, the oldest is dialled first,
 * and none gives its place to a later one. A dial to an address merely heard
 * gives way after 5 s while candidates wait, and what failed already takes no
 * part in the steps then. A dial to a known address whose SYN is unanswered for
 * 0.5 s gives way too, every other time, because the peer may have moved. So
 * beside N forging sources an address is dialled within 5 x (N + 1) s of its
 * first announce, as long as N is smaller than max_candidates. With more
 * sources the table is full, and the next announce after a place is freed takes
 * it, so there is no bound.
 *
 * Which link is used. A link that the peer dialled is used at once: its last
 * handshake message proves that it has paired us. One that we dialled is used
 * when the first frame has come on it; until then the peer counts as dialled.
 *
 * Two links (docs/THREATS.md, section 3, policy 3, "delayed tie-break"). Both
 * stay, the newest that can be used is primary. Both are probed; once a frame
 * has come on each since both exist, both ends are known to have both: then the
 * one dialled by the smaller key is primary, and after the grace time the other
 * is closed (DUPLICATE). A frame from before proves nothing: the older link may
 * be of a peer that lost its power. A third link closes the oldest at once
 * (SUPERSEDED), so a peer never holds more than two.
 *
 * Etiquette (docs/PROTOCOL.md, section 7). Connections that ended are counted
 * per peer, whoever ended them. A dial or the close of a duplicate waits while
 * two ended within 5 s: one more is kept in reserve for an orderly close, and
 * the fourth would cost an Elixir node all its links. Closes of duplicates are
 * at least 2 s apart. None of this is needed towards a peer of our own kind.
 *
 * Thread: the node's loop. Callbacks come from inside the functions below, as
 * their last act, and may call any of them except pn_registry_free.
 */
#ifndef PN_NODE_REGISTRY_H
#define PN_NODE_REGISTRY_H

#include <peernet/node.h>

#include "base/env.h"
#include "os/address.h"

/* Of one peer: given by its owner, and remembered or heard and dialled (T15).
 * Those heard and not dialled yet are candidates. */
#define PN_REG_MAX_MANUAL 16
#define PN_REG_MAX_OTHERS 4
#define PN_REG_MAX_ADDRESSES (PN_REG_MAX_MANUAL + PN_REG_MAX_OTHERS)
#define PN_REG_MAX_LINKS 2

typedef struct pn_registry pn_registry;

/* A paired peer. Valid from pn_registry_peer_add to pn_registry_peer_remove.
 * Only `user` is the node's to write. */
typedef struct pn_reg_peer {
    /* The link to send on, as given to pn_registry_link_up, which makes the
     * peer one that is up; NULL: none. */
    void *primary;
    void *user;
    pn_public_key key;
    /* While true every authenticated frame of this peer is reported, with
     * pn_registry_link_received. */
    bool is_probing;
    /* The peer has said that it counts no connections that end. */
    bool ends_freely;
} pn_reg_peer;

/* How the node learnt of an address. */
typedef enum pn_reg_hint {
    PN_REG_DISCOVERED, /* heard in an announce, which may be forged */
    PN_REG_REMEMBERED, /* from an earlier run */
    PN_REG_MANUAL      /* the owner said so; never pushed out by the others */
} pn_reg_hint;

/* How the address of a link was known, when no source had heard it. */
#define PN_REG_RUNG_ADDRESS "address"
#define PN_REG_RUNG_NAME "name"
#define PN_REG_RUNG_REMEMBERED "remembered"

typedef struct pn_reg_info {
    pn_peer_state state;
    bool has_address;
    pn_address address; /* primary link's, or dialled, or next to dial */
    /* The primary link; DIALLING: one is authenticated, and the peer has not
     * spoken over it. */
    bool dialled_by_us;
    uint64_t next_dial_us; /* WAITING: not before; else PN_TIME_NEVER */
    pn_reason last_reason; /* why the last link or dial ended */
    unsigned n_links;
    bool has_address_left; /* one at which no other key has been found */
    /* How the address of the last dial that succeeded was known: one of
     * PN_REG_RUNG_*, or the source; NULL: none has succeeded. */
    const char *rung;
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
    /* Sends a ping on a link, to learn whether the peer still has it;
     * pn_registry_not_read where its answer is not read. */
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
    uint64_t grace_us;       /* two links: T19 */
    uint32_t max_candidates; /* heard and not dialled yet, of one peer */
    /* Dial peers at manual and remembered addresses without being asked. When
     * false such a peer is dialled after pn_registry_connect only; discovered
     * ones are dialled either way. */
    bool auto_connect;
    /* Nobody hears of us, so that a peer that we hear is not dialling us in the
     * same moment: it is dialled without the random wait. */
    bool is_unheard;
} pn_reg_config;

/* config is copied; callbacks is borrowed for life. Errors: PN_NOMEM;
 * PN_INVALID max_peers 0 or reconnect times of 0 or in the wrong order. */
PN_MUST_USE pn_err pn_registry_new(const pn_reg_config *config,
    const pn_reg_callbacks *callbacks, void *user, pn_registry **ret_registry);
/* Without callbacks; NULL is fine. */
void pn_registry_free(pn_registry *r);

/* ---- peers ---- */

/* Pairs. ret_peer may be NULL. Errors: PN_EXISTS (*ret_peer is the one there);
 * PN_INVALID our own key; PN_FULL max_peers; PN_NOMEM. */
PN_MUST_USE pn_err pn_registry_peer_add(pn_registry *r,
    const pn_public_key *key, void *user, pn_reg_peer **ret_peer);
/* Unpairs: cancels its dial and closes its links (UNPAIRED) before it returns;
 * the handle is gone then. Errors: PN_NOT_FOUND. */
pn_err pn_registry_peer_remove(
    pn_registry *r, const pn_public_key *key, uint64_t now_us);
/* NULL: not paired. One hash look-up. */
pn_reg_peer *pn_registry_find(const pn_registry *r, const pn_public_key *key);
/* ---- what may be dialled ---- */

/*
 * A peer may be at address. Never touches a live link; dials come from
 * pn_registry_tick. Errors: PN_NOT_FOUND not paired; PN_INVALID our own key,
 * port 0, or not the address of one host.
 */
pn_err pn_registry_hint(pn_registry *r, const pn_public_key *key,
    const pn_address *address, pn_reg_hint kind, uint64_t now_us);
/* The same for PN_REG_DISCOVERED; source names what heard it, and outlives the
 * registry. */
pn_err pn_registry_heard(pn_registry *r, const pn_public_key *key,
    const pn_address *address, const char *source, uint64_t now_us);
/* A source no longer sees the peer there. Forgets a discovered address unless
 * it was the last that worked; a live link stays. */
void pn_registry_hint_lost(
    pn_registry *r, const pn_public_key *key, const pn_address *address);
/*
 * The name of the peer's host has these addresses now, in the order to try;
 * more than PN_REG_MAX_MANUAL are left out, and so are those that cannot be
 * dialled. They are manual ones, and replace those of the answer before, but
 * for the last that worked. Errors: PN_NOT_FOUND not paired.
 */
pn_err pn_registry_name_is_at(pn_registry *r, const pn_public_key *key,
    const pn_address *addresses, size_t n, uint64_t now_us);
/*
 * The owner wants this link now: dials without waiting for the backoff, at
 * these addresses in this order (kept as manual ones; at most
 * PN_REG_MAX_MANUAL) or, with n 0, where the peer is known to be. The etiquette
 * and one dial in flight hold all the same; with a live link the addresses are
 * kept and no more. Errors, which change nothing: PN_NOT_FOUND; PN_INVALID one
 * of the addresses, or too many; PN_STATE after pn_registry_stop.
 * PN_NOT_CONNECTED no address is known (it is dialled when one is).
 */
PN_MUST_USE pn_err pn_registry_connect(pn_registry *r, const pn_public_key *key,
    const pn_address *addresses, size_t n, uint64_t now_us);
/*
 * Something says that the peer may have lost its link: it started again, woke,
 * or is elsewhere. It is asked on the link, at most once in 2 s, so that a host
 * that does not know the link any more ends it at once. When a peer of our own
 * kind has not answered for 1.5 s, it is dialled where it was newly heard,
 * beside the link, which no announce ends (T15). Nothing without a link, and
 * with two, which are asked anyway.
 */
void pn_registry_suspect(
    pn_registry *r, const pn_public_key *key, uint64_t now_us);
/* Addresses came or went. The node has closed the links of addresses that went
 * (and reported them); peers without a link are dialled at once, their backoff
 * starts again, dials that hang are started anew. */
void pn_registry_network_changed(pn_registry *r, uint64_t now_us);
/* No more dials, no more closes; cancels those in flight. For good. */
void pn_registry_stop(pn_registry *r);

/* ---- events ---- */

/* The dial in flight failed. */
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
 * and cheap at any other time; the primary link may change. */
void pn_registry_link_received(pn_registry *r, pn_reg_peer *peer, void *link);
/* Nothing of the peer is read for now, so that its silence says nothing. */
void pn_registry_not_read(pn_reg_peer *peer);
/* TCP is up for the dial in flight; its handshake goes on. */
void pn_registry_dial_connected(pn_registry *r, const pn_reg_peer *peer);
/*
 * The dial in flight is not answered: returns another address to try beside it.
 * False: no other is known, or the dial is to an address that was only
 * announced. Each address is returned once for a dial.
 */
PN_MUST_USE bool pn_registry_dial_also(
    const pn_reg_peer *peer, pn_address *ret_address);
/* The dial in flight is to this one of them from now on. */
void pn_registry_dial_at(const pn_reg_peer *peer, const pn_address *address);
/* One of them failed; the dial goes on at another. */
void pn_registry_attempt_failed(const pn_reg_peer *peer,
    const pn_address *address, pn_reason reason, uint64_t now_us);
/* The time at which a connection that came too late may end; and the report
 * that it has ended. */
uint64_t pn_registry_may_end_us(const pn_reg_peer *peer);
void pn_registry_spare_ended(const pn_reg_peer *peer, uint64_t now_us);
/* The address refused us and has announced itself since: a stock PeerNet node
 * listens on its loopback and announces all the same. */
bool pn_registry_announces_and_refuses(
    const pn_reg_peer *peer, const pn_address *address);
/*
 * Whether a failed dial is reported: when the reason is not the one reported
 * last for this address, and the first time at each address known at
 * pn_registry_connect, whatever the outcome at the others. Called before the
 * failure itself is reported. *ret_is_hearsay: the address is known from
 * announces alone.
 */
PN_MUST_USE bool pn_registry_is_news(pn_reg_peer *peer,
    const pn_address *address, pn_reason reason, bool *ret_is_hearsay);
/* The peer has said over its link that it counts no connections that end
 * (docs/PROTOCOL.md, section 5.1): the etiquette does not hold for it until it
 * has a new link and no other, because that may be of another program with the
 * same key. */
void pn_registry_ends_freely(pn_registry *r, pn_reg_peer *peer);
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
/* Is a paired peer known to come from there? A host that was given by hand,
 * remembered, or that a link was authenticated from; not one that was only
 * heard. One hash look-up, whatever the number of peers. */
bool pn_registry_knows_host(const pn_registry *r, const pn_address *address);
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the registry: a peer, its addresses, its links. registry.c keeps the
 * peers and their timers, reg_dial.c dials, reg_links.c chooses among links,
 * reg_silence.c asks on a link that may be lost, reg_addresses.c among
 * addresses, reg_known.c knows hosts, reg_candidates.c keeps what was heard and
 * not dialled yet.
 */
#ifndef PN_NODE_REG_PEER_H
#define PN_NODE_REG_PEER_H

#include "base/heap.h"
#include "base/map.h"
#include "node/hosts.h"
#include "node/registry.h"

/* The hosts a peer is known to come from, at most. */
#define PN_REG_MAX_KNOWN PN_REG_MAX_ADDRESSES

/* An address heard again after this long says that the peer came back. */
#define PN_REG_SILENCE_US (15 * PN_US_PER_S)

typedef struct pn_reg_slot {
    pn_address address;
    uint64_t heard_us;
    pn_reg_hint kind;
    pn_reason failure;   /* of the last dial; NONE: it worked, or none yet */
    pn_reason told;      /* the last failure the owner was told; NONE: none */
    uint64_t tried;      /* number of its last dial; 0: never dialled */
    uint64_t refused_us; /* the first of the refusals in a row; 0: none */
    bool is_fresh;       /* heard again and to be dialled out of turn */
    bool is_good;        /* the last that worked; at most one of a peer */
    bool is_target;      /* the owner asked for it; first in the next step */
    bool is_asked;       /* the owner waits to hear how its next dial goes */
    bool is_named;       /* from the last answer for the peer's name */
    const char *source;  /* that heard it last; NULL: none has */
} pn_reg_slot;

/* Manual and remembered addresses are dialled in the order of this array. */
typedef struct pn_reg_slots {
    pn_reg_slot at[PN_REG_MAX_ADDRESSES];
    unsigned n;
    unsigned turn; /* whose turn it is among those not preferred */
} pn_reg_slots;

/* NULL: not there. */
pn_reg_slot *pn_reg_slots_find(pn_reg_slots *s, const pn_address *address);
/* A slot for an address that has none, filled in as heard now, behind all
 * others; replaces the slot of the lowest rank if all are used. An announced
 * address gets a slot when it is dialled. */
pn_reg_slot *pn_reg_slots_add(pn_reg_slots *s, const pn_address *address,
    pn_reg_hint kind, uint64_t now_us);
/* Raises what an address is worth to kind. */
void pn_reg_slots_promote(pn_reg_slots *s, pn_reg_slot *slot, pn_reg_hint kind);
void pn_reg_slots_drop(pn_reg_slots *s, pn_reg_slot *slot);
/* Makes it the first address that is tried; returns its place. */
pn_reg_slot *pn_reg_slots_to_front(pn_reg_slots *s, pn_reg_slot *slot);
/* The next failure at each address is worth telling: the peer is up or,
 * is_asked, the owner waits to hear of it. */
void pn_reg_slots_forget_told(pn_reg_slots *s, bool is_asked);
/* Only this one is good from now on. */
void pn_reg_slots_set_good(pn_reg_slots *s, pn_reg_slot *slot);
/* True when the address is known from announces alone. */
bool pn_reg_slot_is_hearsay(const pn_reg_slot *slot);
/* The first choice of a step; NULL: no address takes part. only_known leaves
 * out what is hearsay. */
pn_reg_slot *pn_reg_slots_preferred(pn_reg_slots *s, bool only_known);
/* The second: each of the others in turn that dial_seq has not tried; NULL:
 * there is none. */
pn_reg_slot *pn_reg_slots_other(
    pn_reg_slots *s, bool only_known, uint64_t dial_seq);
/* The best of those that are to be dialled out of turn; NULL: none. */
pn_reg_slot *pn_reg_slots_fresh(pn_reg_slots *s);
bool pn_reg_slots_has_target(const pn_reg_slots *s);
/* True when a is to be dialled before b, of the same slots. */
bool pn_reg_slot_before(const pn_reg_slot *a, const pn_reg_slot *b);

/* A port, and one host of IPv4 or IPv6: neither "any" nor a group. */
bool pn_reg_address_is_dialable(const pn_address *address);

/* Addresses that were heard and not dialled yet: at most one of each source,
 * the oldest first. */
typedef struct pn_reg_candidate {
    pn_address address;
    const char *source;
    uint64_t heard_us; /* the last time */
} pn_reg_candidate;

typedef struct pn_reg_candidates {
    pn_reg_candidate *at;
    size_t n;
    size_t cap;
} pn_reg_candidates;

/* ---- reg_candidates.c ---- */

/* False when it was left out: its source has one that waits, max wait, or
 * there is no memory. */
bool pn_reg_candidates_add(pn_reg_candidates *c, const pn_address *address,
    const char *source, unsigned max, uint64_t now_us);
/* True when it was there. */
bool pn_reg_candidates_drop(pn_reg_candidates *c, const pn_address *address);
/* The one of this host, whatever its port, waits behind all others. */
void pn_reg_candidates_put_last(
    pn_reg_candidates *c, const pn_address *address);
/* Takes the oldest of those that were heard since then, or the oldest of all;
 * there is one. */
pn_reg_candidate pn_reg_candidates_take(
    pn_reg_candidates *c, uint64_t since_us);
void pn_reg_candidates_fini(pn_reg_candidates *c);

typedef struct pn_reg_link {
    void *handle;
    pn_address address;
    uint64_t up_us;
    bool is_ours;     /* dialled by us */
    bool is_received; /* the peer is known to have it too, beside the other */
    bool is_proven;   /* the peer has spoken over it, so it has paired us */
    bool is_silent;   /* the other was dialled because nothing came on this */
} pn_reg_link;

/* The last ends of connections, newest first. */
typedef struct pn_reg_ended {
    uint64_t us[2];
    unsigned n;
} pn_reg_ended;

typedef struct pn_reg_entry {
    pn_reg_peer pub; /* first: what the node holds */
    pn_heap_node timer;

    pn_reg_link links[PN_REG_MAX_LINKS + 1]; /* oldest first */
    unsigned n_links;
    uint64_t closed_us; /* our last close of a duplicate */
    bool has_closed;

    uint64_t ask_us;     /* when to ask the peer on its link; PN_TIME_NEVER */
    uint64_t asked_us;   /* the last time */
    uint64_t overdue_us; /* since when an answer is due; 0: it is not */
    bool is_asked;       /* and nothing has come since */

    pn_address known[PN_REG_MAX_KNOWN]; /* hosts, newest first */
    unsigned n_known;

    pn_reg_slots slots;
    pn_reg_candidates candidates;
    bool is_wanted;
    bool is_dialling;
    bool was_fresh;     /* the last dial was out of turn */
    bool is_restart;    /* the dial in flight is of a network that went */
    bool is_hearsay;    /* the dial in flight is to an address merely heard */
    bool is_answered;   /* the dial in flight is connected */
    bool has_given_way; /* the last dial to a known address did */
    pn_address dialled;
    bool is_beside;   /* it was moved to another address than it began with */
    const char *rung; /* of the last dial that succeeded; NULL: none has */
    uint64_t dial_seq;
    uint64_t dialled_us;       /* when the last dial started */
    uint64_t fresh_wait_us;    /* the random wait after an announce */
    uint64_t fresh_allowed_us; /* T15: no dial out of turn before */
    uint64_t backoff_us;       /* until the next step, before jitter */
    uint64_t step_us;          /* when it may begin; PN_TIME_NEVER: none */
    unsigned step_left;        /* dials of the step that are left */

    pn_reg_ended ended;       /* of all its connections */
    pn_reg_ended known_ended; /* without those to candidates */
    pn_reason last_reason;
} pn_reg_entry;

/* Peers unpaired of late whose ended connections still count. */
#define PN_REG_N_DEPARTED 16

typedef struct pn_reg_departed {
    pn_public_key key;
    pn_reg_ended ended;
} pn_reg_departed;

struct pn_registry {
    pn_reg_config config;
    const pn_reg_callbacks *callbacks;
    void *user;
    pn_map peers;
    pn_hosts hosts; /* known of all of them */
    pn_heap timers;
    uint64_t dial_seq;
    uint64_t n_changes; /* of the set of peers */
    bool is_stopped;
    pn_reg_departed departed[PN_REG_N_DEPARTED];
    unsigned next_departed;
};

/* ---- registry.c ---- */

pn_reg_entry *pn_reg_find(const pn_registry *r, const pn_public_key *key);
/* The private side of what the node holds. */
pn_reg_entry *pn_reg_entry_of(const pn_reg_peer *peer);
bool pn_reg_own_is_smaller(const pn_registry *r, const pn_reg_entry *p);
/* A random number below `below`. */
uint64_t pn_reg_draw(const pn_registry *r, uint64_t below);
/* After each change of a peer: when it acts next. */
void pn_reg_set_timer(pn_registry *r, pn_reg_entry *p);

/* ---- reg_dial.c ---- */

/* One of its connections ended, at either end. */
void pn_reg_note_ended(pn_reg_entry *p, uint64_t now_us);
/* When one more may end through us: two may have ended within the window, this
 * would be the third, and the reserve is kept. */
uint64_t pn_reg_etiquette_us(const pn_reg_entry *p);
/* True when an address is to be dialled out of turn. */
bool pn_reg_has_fresh(pn_reg_entry *p);
uint64_t pn_reg_dial_due_us(const pn_registry *r, pn_reg_entry *p);
/* Dials what is due. May free p (see registry.h on callbacks). */
void pn_reg_dial_due(pn_registry *r, pn_reg_entry *p, uint64_t now_us);
/* A step of the backoff may begin at at_us. */
void pn_reg_step_now(pn_reg_entry *p, uint64_t at_us);
void pn_reg_step_after_link(pn_registry *r, pn_reg_entry *p, uint64_t now_us);
/* When the dial in flight gives way to a candidate; PN_TIME_NEVER. */
uint64_t pn_reg_give_way_us(const pn_registry *r, pn_reg_entry *p);
/* Cancels the dial in flight; it counts as timed out. May free p. */
void pn_reg_give_way(pn_registry *r, pn_reg_entry *p, uint64_t now_us);
/* Cancels the dial in flight and dials again. May free p. */
void pn_reg_restart_dial(pn_registry *r, pn_reg_entry *p, uint64_t now_us);
void pn_reg_dial_succeeded(pn_reg_entry *p);

/* ---- reg_known.c ---- */

/* The peer is known to come from the host of address. */
void pn_reg_known_add(
    pn_registry *r, pn_reg_entry *p, const pn_address *address);
void pn_reg_known_forget(pn_registry *r, pn_reg_entry *p);

/* ---- reg_silence.c ---- */

/* When to ask the peer on its link; PN_TIME_NEVER. */
uint64_t pn_reg_ask_due_us(const pn_registry *r, const pn_reg_entry *p);
/* May free p. */
void pn_reg_ask(pn_registry *r, pn_reg_entry *p, uint64_t now_us);
/* From when on the peer may be dialled beside its link; PN_TIME_NEVER. */
uint64_t pn_reg_silent_us(const pn_reg_entry *p);
/* True when an answer was due before all that has arrived until now was read.
 */
bool pn_reg_is_overdue(pn_registry *r, pn_reg_entry *p, uint64_t now_us);
/* Something has come from the peer, or its links are others now. */
void pn_reg_heard_from(pn_reg_entry *p);

/* ---- reg_links.c ---- */

uint64_t pn_reg_close_due_us(const pn_registry *r, const pn_reg_entry *p);
/* May free p. */
void pn_reg_close_duplicate(pn_registry *r, pn_reg_entry *p, uint64_t now_us);
/* NULL: not one of its links. */
pn_reg_link *pn_reg_find_link(pn_reg_entry *p, const void *handle);

#endif

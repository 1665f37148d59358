/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the registry: a peer, its addresses, its links. registry.c decides
 * about links and time, reg_addresses.c about which address comes next.
 */
#ifndef PN_NODE_REG_PEER_H
#define PN_NODE_REG_PEER_H

#include "base/heap.h"
#include "node/registry.h"

/* At most this many manual addresses, so that there is always room for the
 * last that worked and one that was heard. */
#define PN_REG_MAX_MANUAL 2

/* An address heard again after this long says that the peer came back. */
#define PN_REG_SILENCE_US (15 * PN_US_PER_S)

typedef struct pn_reg_slot {
    pn_address address;
    uint64_t heard_us;
    pn_reg_hint kind;
    pn_reason failure; /* of the last dial; NONE: it worked, or none yet */
    bool is_fresh;     /* heard and to be dialled out of turn */
    bool is_tried;     /* was dialled: takes part in the steps */
    bool is_good;      /* the last that worked; at most one of a peer */
    bool is_target;    /* the owner asked for it; first in the next step */
} pn_reg_slot;

typedef struct pn_reg_slots {
    pn_reg_slot at[PN_REG_MAX_ADDRESSES];
    unsigned n;
    unsigned turn; /* whose turn it is among those not preferred */
} pn_reg_slots;

/* NULL: not there. */
pn_reg_slot *pn_reg_slots_find(pn_reg_slots *s, const pn_address *address);
/* A slot for an address that has none, filled in as heard now; pushes out the
 * one worth least. */
pn_reg_slot *pn_reg_slots_add(pn_reg_slots *s, const pn_address *address,
    pn_reg_hint kind, uint64_t now_us);
/* Raises what an address is worth to kind; never lowers it. */
void pn_reg_slots_promote(pn_reg_slots *s, pn_reg_slot *slot, pn_reg_hint kind);
void pn_reg_slots_drop(pn_reg_slots *s, pn_reg_slot *slot);
/* Only this one is good from now on. */
void pn_reg_slots_set_good(pn_reg_slots *s, pn_reg_slot *slot);
/* The first choice of a step; NULL: no address takes part. */
pn_reg_slot *pn_reg_slots_preferred(pn_reg_slots *s);
/* The second: each of the others in turn; NULL: there is no other. */
pn_reg_slot *pn_reg_slots_other(pn_reg_slots *s);
/* The best of those that are to be dialled out of turn; NULL: none. */
pn_reg_slot *pn_reg_slots_fresh(pn_reg_slots *s);
bool pn_reg_slots_has_target(const pn_reg_slots *s);
/* True when a is to be dialled before b. */
bool pn_reg_slot_before(const pn_reg_slot *a, const pn_reg_slot *b);

/* A port, and one host of IPv4 or IPv6: neither "any" nor a group. */
bool pn_reg_address_is_dialable(const pn_address *address);

typedef struct pn_reg_link {
    void *handle;
    pn_address address;
    uint64_t up_us;
    bool is_ours;     /* dialled by us */
    bool is_received; /* the peer is known to have it too */
} pn_reg_link;

typedef struct pn_reg_entry {
    pn_reg_peer pub; /* first: what the node holds */
    pn_heap_node timer;

    pn_reg_link links[PN_REG_MAX_LINKS + 1]; /* oldest first */
    unsigned n_links;
    uint64_t closed_us; /* our last close of a duplicate */
    bool has_closed;

    pn_reg_slots slots;
    bool is_wanted;
    bool is_dialling;
    bool was_fresh;  /* the last dial was out of turn */
    bool is_restart; /* the dial in flight is of a network that went */
    pn_address dialled;
    uint64_t dial_seq;
    uint64_t dialled_us;       /* when the last dial started */
    uint64_t fresh_wait_us;    /* the random wait after an announce */
    uint64_t fresh_allowed_us; /* T15: no dial out of turn before */
    uint64_t backoff_us;       /* until the next step, before jitter */
    uint64_t step_us;          /* when it may begin; PN_TIME_NEVER: none */
    unsigned step_left;        /* dials of the step that are left */

    uint64_t ended_us[2]; /* the last ends of its connections, newest first */
    unsigned n_ended;
    pn_reason last_reason;
} pn_reg_entry;

#endif

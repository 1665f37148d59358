/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside discovery: heard.c keeps what the sources report, sources.c starts
 * them and lets them announce, net.c follows the network.
 */
#ifndef PN_NODE_NET_INTERNAL_H
#define PN_NODE_NET_INTERNAL_H

#include "discovery/netmon.h"
#include "discovery/udp_discovery.h"
#include "node/node_internal.h"
#include "os/interface_names.h"
#include "os/resume.h"

enum {
    PN_NET_MAX_SOURCES = 2, /* our own, and one of the application's */
    /* The keys heard recently, so that an announce every five seconds is one
     * event. */
    PN_NET_MAX_HEARD = 128,
    PN_NET_LABEL_MAX = 64 /* bytes */
};

typedef struct pn_heard_row {
    pn_public_key key;
    pn_address address;
    const char *source; /* its name; the source's */
    int64_t first_us;   /* wall clock */
    int64_t last_us;
    uint64_t n_reports;
    uint64_t by_us[PN_NET_MAX_SOURCES]; /* last report of each slot; 0: none, or
                                           lost */
    char label[PN_NET_LABEL_MAX + 1];   /* that is published there; "": none */
    size_t label_slot;                  /* that has told it */
    bool is_doubted; /* lost by one slot, still heard by another */
    bool is_used;
} pn_heard_row;

/* One source. The sink's `node` is the slot, so events can name the source. */
typedef struct pn_source_slot {
    pn_node *node;
    const pn_discovery_source *source;
    void *user;
    pn_discovery_sink sink;
    bool is_started;
    bool is_failing;      /* it could not be started, as was said */
    int sys_errno;        /* why */
    int64_t failed_at_us; /* wall clock; 0: never */
} pn_source_slot;

/* Slots and monitor are set up before the node's thread starts and taken down
 * on the loop; the node's lock guards the rest. */
struct pn_net {
    pn_source_slot slots[PN_NET_MAX_SOURCES];
    size_t n_slots;
    pn_udp_discovery *udp;
    const pn_network_monitor *monitor;
    void *monitor_user;
    pn_network_sink monitor_sink;
    pn_netmon *netmon;
    pn_timer *retry;
    pn_timer *doubt; /* the first doubted row is due */
    pn_resume *resume;
    pn_local_address *locals; /* of this host, as of the last look */
    size_t n_locals;          /* may be more than MAX_LOCAL */
    bool is_monitoring;
    bool is_monitor_failing;
    bool is_changed;  /* since the last turn end */
    bool is_doubting; /* a row is doubted since the last turn end */
    bool is_quiet;    /* not announcing since the network changed */
    bool wants_announce;
    pn_heard_row heard[PN_NET_MAX_HEARD];
    size_t next_heard;
    const char *interfaces; /* the option's, in names; NULL: none */
    char names[PN_INTERFACE_NAMES_CAP];
};

/* ---- heard.c ---- */

/* Those of a slot's sink. */
void pn_heard_found(void *user, const pn_public_key *key, const char *text);
void pn_heard_lost(void *user, const pn_public_key *key, const char *text);
void pn_heard_labelled(
    void *user, const pn_public_key *key, const char *text, const char *label);
/* Forgets the doubted rows that are due and sets the timer for the next. */
void pn_heard_look(pn_node *node);
void pn_heard_on_doubt(void *user);

/* ---- sources.c ---- */

/* Those that the options ask for. */
PN_MUST_USE pn_err pn_sources_add(pn_node *node, pn_why *ret_why);
/* Starts those that do not run; false: one could not be started. */
bool pn_sources_start(pn_node *node);
void pn_sources_stop(pn_node *node);
/* Announces, or withdraws where this node is quiet. */
void pn_sources_announce(pn_node *node);
void pn_sources_count(pn_node *node);
/* A warning of the node's log. */
void pn_net_log(
    pn_node *node, pn_log_what what, const char *text, int sys_errno);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated network in virtual time: hosts, connections with latency, lost
 * dials, partitions, power loss; on them nodes with a real registry, nodes that
 * behave as Elixir PeerNet 0.1.0 does (its supervisor included), and passive
 * ones. Everything follows from one seed.
 *
 * The invariants are checked at every step; a breach ends the test with
 * the seed and the virtual time.
 */
#ifndef PN_TESTS_SIM_WORLD_H
#define PN_TESTS_SIM_WORLD_H

#include <string.h>

#include "base/heap.h"
#include "discovery/pace.h"
#include "harness.h"
#include "node/registry.h"

#define MS PN_US_PER_MS
#define S PN_US_PER_S

typedef enum sim_kind {
    SIM_OURS,
    SIM_ELIXIR, /* newest wins, announces dial, a supervisor that counts */
    SIM_PASSIVE /* newest is primary, never closes */
} sim_kind;

typedef enum sim_frame {
    SIM_SYN,
    SIM_SYN_ACK,
    SIM_M1,
    SIM_M2,
    SIM_M3,
    SIM_PING,
    SIM_PONG,
    SIM_END /* FIN or RST; the connection's reason says which */
} sim_frame;

typedef struct sim_world sim_world;
typedef struct sim_node sim_node;

/* Side 0 dialled, side 1 was dialled. */
typedef struct sim_conn {
    sim_world *world;
    sim_node *node[2];
    pn_public_key expected;
    pn_address from;
    pn_address to;
    bool is_open[2]; /* there is a socket */
    bool is_up[2];   /* authenticated */
    bool is_silent;  /* a power loss took one side */
    bool is_connected;
    bool is_backlog; /* accepted by the kernel, never by the program */
    bool is_counted; /* its end has been counted */
    bool has_frame;  /* the dialler got an answer on it */
    uint64_t busy_until_us[2]; /* frames keep their order */
    pn_reason why;
    unsigned n_refs;
} sim_conn;

/* An Elixir-like node's knowledge of one peer. */
typedef struct sim_peer {
    pn_public_key key;
    bool is_trusted;
    bool is_discovered;
    bool is_dialling;
    pn_address address;
    sim_conn *primary;
    sim_conn *other; /* passive only */
    uint64_t redial_ms;
    uint64_t redial_seq;
} sim_peer;

typedef struct sim_node {
    sim_world *world;
    sim_kind kind;
    unsigned index;
    pn_public_key key;
    pn_address address;
    unsigned partition; /* nodes of one number hear each other */
    bool is_host_up;
    bool is_running;
    bool is_lingering;   /* listens and does not accept */
    bool is_on_loopback; /* listens on its loopback only */
    uint64_t life;       /* changes at each start; old timers know */
    sim_conn **conns;
    unsigned n_conns;
    unsigned conns_cap;

    /* SIM_OURS */
    pn_registry *registry;
    pn_reg_config config;
    pn_env env;
    uint64_t wake_us; /* the earliest wake-up asked for */
    pn_pace pace;
    uint64_t n_announces;

    /* SIM_OURS: whom it has paired; Elixir-like: what it knows */
    sim_peer *peers;
    unsigned n_peers;

    /* the Elixir supervisor: starts of whole seconds of the last ends */
    uint64_t ended_s[4];
    unsigned n_ended;
    bool is_tripped;
} sim_node;

typedef struct sim_event sim_event;
typedef void sim_fire(sim_world *w, sim_event *e);

struct sim_event {
    pn_heap_node timer;
    sim_fire *fire;
    sim_node *node;
    sim_conn *conn;
    unsigned side;
    uint64_t arg;
    pn_address address;
    pn_public_key key;
};

struct sim_world {
    uint64_t now_us;
    uint64_t first_seed;
    uint64_t seed;
    const char *name;
    sim_node **nodes;
    unsigned n_nodes;
    pn_heap events;
    uint64_t latency_min_us;
    uint64_t latency_max_us;
    unsigned loss_percent; /* of dials */
    bool refuses_at_once;  /* ours closes on an untrusted key at once */
    bool checks_ends;      /* at most three ends of a pair in 5 s */
    uint64_t *pair_ends;   /* n_nodes * n_nodes * 3; with checks_ends */
    /* figures */
    uint64_t n_dials;
    uint64_t n_links;
    uint64_t n_ends;
    uint64_t n_duplicates;
    uint64_t n_events;
};

/* Prints seed and time, and fails. */
#define SIM_CHECK(w, condition)                                                \
    do {                                                                       \
        if (!(condition)) {                                                    \
            sim_breach((w), #condition, __FILE__, __LINE__);                   \
        }                                                                      \
    } while (0)
void sim_breach(
    const sim_world *w, const char *what, const char *file, int line);

/* ---- the world ---- */

sim_world *sim_new(const char *name, uint64_t seed);
void sim_free(sim_world *w);
uint64_t sim_random(sim_world *w, uint64_t below);
void sim_run_until(sim_world *w, uint64_t until_us);
void sim_run_for(sim_world *w, uint64_t us);
sim_event *sim_at(sim_world *w, uint64_t at_us, sim_fire *fire);

/* ---- nodes ---- */

/* rank orders the keys: a larger rank is a larger key. Not running yet. */
sim_node *sim_add(sim_world *w, sim_kind kind, uint8_t rank);
void sim_start(sim_node *n);
void sim_kill(sim_node *n);       /* kill -9: the kernel closes its sockets */
void sim_power_loss(sim_node *n); /* without packets */
/* An orderly stop: links closed, the port open for linger_us without accepting,
 * then closed (docs/PROTOCOL.md, section 7). */
void sim_stop(sim_node *n, uint64_t linger_us);
void sim_move(sim_node *n);     /* a new address, unknown to all */
void sim_announce(sim_node *n); /* once; those in its partition hear it */
/* Ours: at its pace, from now; Elixir: each 5 s, the first after 5 s. */
void sim_announce_every(sim_node *n);
void sim_partition(sim_node *n, unsigned partition);

/* One way: a trusts b and, with knows, remembers its address. */
void sim_pair(sim_node *a, sim_node *b, bool knows);
void sim_unpair(sim_node *a, sim_node *b);
bool sim_is_paired(const sim_node *a, const sim_node *b);
/* a dials b now, if nothing speaks against it. */
void sim_dial(sim_node *a, sim_node *b);

/* How many connections both hold authenticated, and whether both would send
 * on the same live one. */
/* The network resets whatever is between them. */
void sim_cut(sim_node *a, sim_node *b);
unsigned sim_links(const sim_node *a, const sim_node *b);
bool sim_is_settled(const sim_node *a, const sim_node *b);

/* ---- between world.c, ours.c and elixir.c ---- */

sim_conn *sim_conn_dial(
    sim_node *n, const pn_address *to, const pn_public_key *expected);
void sim_conn_send(sim_conn *c, unsigned side, sim_frame frame);
/* Closes one side by itself; the other is told. */
void sim_conn_close(sim_conn *c, unsigned side, pn_reason why);
sim_peer *sim_peer_of(const sim_node *n, const pn_public_key *key);
sim_node *sim_node_of(const sim_world *w, const pn_public_key *key);
void sim_count_end(sim_node *n); /* for its supervisor */

/* The callbacks of a kind of node. */
typedef struct sim_actor {
    void (*start)(sim_node *n);
    void (*stop)(sim_node *n); /* the process is gone or going: no more acts */
    void (*pair)(sim_node *n, sim_peer *p);
    void (*unpair)(sim_node *n, sim_peer *p);
    void (*dial)(sim_node *n, sim_peer *p);
    void (*heard)(
        sim_node *n, const pn_public_key *key, const pn_address *address);
    /* A dial failed. */
    void (*failed)(sim_node *n, sim_conn *c, pn_reason why);
    void (*up)(sim_node *n, sim_conn *c, unsigned side);
    void (*frame)(sim_node *n, sim_conn *c, unsigned side);
    void (*down)(sim_node *n, sim_conn *c, unsigned side, pn_reason why);
    sim_conn *(*primary)(const sim_node *n, const sim_peer *p);
} sim_actor;

/* TCP is up for a dial; nothing for other kinds of nodes. */
void sim_ours_connected(const sim_conn *c);

extern const sim_actor sim_ours;
extern const sim_actor sim_elixir; /* also passive */

#endif

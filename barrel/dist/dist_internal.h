/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the engine: dist.c is its life, dist_handshake.c
 * stream 0, frames.c the data streams. */
#ifndef PN_BARREL_DIST_INTERNAL_H
#define PN_BARREL_DIST_INTERNAL_H

#include "crypto/crypto.h"
#include "dist/dist.h"

enum {
    /* 's' and the longest word. */
    PN_DIST_STATUS_MAX = 1 + 15,
    /* 'N', flags, challenge, creation, name. */
    PN_DIST_SAID_MAX = 1 + 8 + 4 + 4 + 2 + PN_DIST_NAME_MAX,
    PN_DIST_OUT_MAX = 2, /* a status and the challenge behind it */
    PN_DIST_SLOTS = PN_DIST_RESERVED_EVEN / 2
};

/* Named for what they wait for. */
typedef enum pn_dist_step {
    WAIT_NAME,        /* responder */
    WAIT_ALIVE_REPLY, /* responder: true or false */
    WAIT_REPLY,       /* responder */
    WAIT_STATUS,      /* initiator */
    WAIT_CHALLENGE,   /* initiator */
    WAIT_ACK          /* initiator */
} pn_dist_step;

typedef struct pn_dist_said {
    uint8_t data[PN_DIST_SAID_MAX];
    size_t len;
} pn_dist_said;

/* A data stream of the peer. */
typedef struct pn_dist_stream {
    pn_buf in;         /* of a message that is incomplete, or its head */
    size_t left;       /* to be drained; 0: nothing is */
    size_t len;        /* of the message that is drained */
    size_t step_left;  /* until the deadline moves */
    uint64_t until_us; /* that deadline */
} pn_dist_stream;

struct pn_dist {
    pn_dist_config config;
    bool is_paused;  /* the peer has no credit */
    uint8_t *cookie; /* until the handshake is over */
    size_t cookie_len;
    pn_dist_state state;
    pn_dist_reason reason;
    pn_dist_step step;
    uint64_t deadline_us;
    pn_dist_rival rival;
    uint32_t challenge; /* ours */
    uint64_t flags;
    uint32_t peer_creation;
    uint8_t peer_name[PN_DIST_NAME_MAX];
    size_t peer_name_len;
    /* Stream 0. */
    uint8_t in[PN_DIST_SAID_MAX];
    size_t in_len;
    unsigned n_zeros; /* of a tick that has begun */
    pn_dist_said out[PN_DIST_OUT_MAX];
    size_t n_out;
    uint64_t n_sent; /* bytes in all */
    uint64_t n_acked;
    /* The peer's data streams, by half their number. */
    pn_dist_stream streams[PN_DIST_SLOTS];
    size_t n_buffered; /* bytes in all of them */
    unsigned n_draining;
    size_t n_heads;  /* bytes of heads of those, not in n_buffered */
    uint64_t now_us; /* of the input that is taken */
    pn_term_limits limits;
};

/* Nothing more is sent or read; the cookie is wiped. */
void pn_dist_fail(pn_dist *d, pn_dist_reason reason);
/* The same, with a status word to send. */
void pn_dist_refuse(pn_dist *d, pn_dist_reason reason, const char *status);
/* Room for one more message. */
pn_dist_said *pn_dist_say(pn_dist *d);
void pn_dist_say_status(pn_dist *d, const char *status);
void pn_dist_is_up(pn_dist *d);

bool pn_dist_flags_are_enough(uint64_t flags);

void pn_dist_handshake_begin(pn_dist *d, uint64_t now_us);
void pn_dist_handshake_byte(pn_dist *d, uint64_t now_us, uint8_t byte);

/* Takes what was held back. */
void pn_dist_streams_begin(pn_dist *d);
void pn_dist_stream_input(
    pn_dist *d, int64_t stream, const uint8_t *data, size_t len);
void pn_dist_streams_fini(pn_dist *d);
/* When the slowest message that is drained ends the connection. */
uint64_t pn_dist_streams_deadline(const pn_dist *d);

#endif

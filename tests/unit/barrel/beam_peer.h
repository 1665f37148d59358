/* SPDX-License-Identifier: Apache-2.0 */
/* An Erlang node made of hand-written frames, linked to ours over QUIC. */
#ifndef PN_TESTS_BEAM_PEER_H
#define PN_TESTS_BEAM_PEER_H

#include "dist/dist.h"
#include "node/node_internal.h"
#include "os/clock.h"
#include "stranger_rig.h"
#include "wire_text.h"

enum {
    HEARD_MAX = 16384,
    CREATION = 0x11223344,
    PID_LEN = 30, /* of alice's pids and references as terms */
    REF_LEN = 36,
    KEPT_MAX = 1024,
    N_STREAMS = 2
};

/* Alice, connected. Capital letters of the notation: A her pid, G a group
 * leader, B a pid of bob's without a process, Q R S T references of hers, K L M
 * N tags around the limit; O and P what bob's frames hold. */
typedef struct peer {
    stranger s;
    pn_dist *dist;
    wire_vars vars;
    int64_t streams[N_STREAMS];
    uint8_t heard[HEARD_MAX]; /* on bob's data stream */
    size_t n_heard;
    size_t n_taken;
    unsigned n_inbox; /* messages that bob's handlers must have received */
    unsigned n_told;  /* calls and monitors of bob's that are over */
    pn_err outcome;
    uint64_t monitor;
    char value[256];
} peer;

peer *peer_up(bool is_granted);

/* No frame has come that was not expected. */
void peer_down(peer *p);

void tell(peer *p, int i, const char *text);

/* Of the first frame that has not been taken, all of it there; 0: not yet. */
size_t frame_len(const peer *p);

bool has_frame(stranger *s);

void expect(peer *p, const char *text);

/* No other answer to the messages so far has come. */
void nothing_else(peer *p);

#endif

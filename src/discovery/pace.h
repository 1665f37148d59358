/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a node announces itself: an engine without a clock. Three announces come
 * in the first two seconds, the first of them at once, because a datagram may
 * be lost and the others should not wait an interval for the next. Then one
 * comes in each interval. Nothing that is heard changes these times, so forged
 * announces cannot make a network speak (T16).
 *
 * A peer of Elixir PeerNet dials at each announce, and the fourth connection
 * that ends within five of its seconds ends all its links (docs/PROTOCOL.md,
 * section 7). So no fourth announce comes in six seconds, also when a node gets
 * one address after another; a first at once has room beside the regular ones.
 */
#ifndef PN_DISCOVERY_PACE_H
#define PN_DISCOVERY_PACE_H

#include "base/env.h"

typedef struct pn_pace {
    uint64_t interval_us; /* set by the owner before the first call */
    uint64_t next_us;     /* when to announce; PN_TIME_NEVER: not */
    unsigned n_early;     /* announces since it began; stops after the early */
    uint64_t sent_us[3];  /* of the last three, newest first; 0: none */
} pn_pace;

/* Announces of the first two seconds, with the first. */
#define PN_PACE_EARLY 3
/* No four in so long; with an interval so short that the regular ones do not
 * keep it, three intervals. A supervisor of OTP counts whole seconds, so five
 * of its seconds can last nearly six. */
#define PN_PACE_WINDOW_US (6 * PN_US_PER_S)

/* The node starts, wakes or has got an address. */
void pn_pace_begin(pn_pace *p, uint64_t now_us);
void pn_pace_stop(pn_pace *p);
/* An announce was sent; sets the time of the next. */
void pn_pace_sent(pn_pace *p, const pn_env *env, uint64_t now_us);

#endif

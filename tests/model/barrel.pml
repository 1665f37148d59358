/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Barrel's authentication against somebody who only echoes: Eve has a key of
 * her own, hears all that she is sent, and says any of it again. She talks to
 * one node twice, as initiator to its responder (session 0) and as responder to
 * its initiator (session 1). Nobody is authenticated under a key that is not
 * hers.
 *
 *   ORDER      0 a responder signs at the CHALLENGE (upstream), 1 after the
 *              initiator has proven its key (ours)
 *   OWN_KEY    1: a HELLO with our own key is refused
 *   OWN_NONCE  1: a CHALLENGE with our own nonce is refused
 *   SHARED     1: both sessions have one binding, as when a cluster shares a
 *              certificate
 */
#ifndef ORDER
#define ORDER 1
#endif
#ifndef OWN_KEY
#define OWN_KEY 1
#endif
#ifndef OWN_NONCE
#define OWN_NONCE 1
#endif
#ifndef SHARED
#define SHARED 0
#endif

#define NODE 0 /* keys */
#define EVE 1
#define EVES_NONCE 2 /* nonces 0 and 1 are the node's in sessions 0 and 1 */
#define BINDING(s) (SHARED -> 0 : (s))

bool signed_[12]; /* signatures of the node that Eve has: nonce, binding */
#define SIGNED(nonce, binding) signed_[(nonce) * 2 + (binding)]

bool said[3]; /* nonces Eve knows */
byte peer[2]; /* the key claimed in a session */

/* Eve has this signature, or can make it. */
#define CAN(key, nonce, s) ((key) == EVE || SIGNED(nonce, BINDING(s)))

inline hear_hello(s)
{
    if
    :: peer[s] = EVE
    :: !OWN_KEY -> peer[s] = NODE
    fi
    said[s] = true
}

/* Any nonce that Eve knows, but our own when that is looked at. */
inline hear_challenge(s, n)
{
    if
    :: n = EVES_NONCE
    :: said[0] && !(OWN_NONCE && s == 0) -> n = 0
    :: said[1] && !(OWN_NONCE && s == 1) -> n = 1
    fi
}

active proctype responder()
{
    byte n

    hear_hello(0)
    atomic {
        hear_challenge(0, n)
        if
        :: ORDER == 0 -> SIGNED(n, BINDING(0)) = true
        :: else
        fi
    }
    CAN(peer[0], 0, 0)
    assert(peer[0] == EVE)
    SIGNED(n, BINDING(0)) = true
}

active proctype initiator()
{
    byte n

    hear_hello(1)
    atomic {
        hear_challenge(1, n)
        SIGNED(n, BINDING(1)) = true
    }
    CAN(peer[1], 1, 1)
    assert(peer[1] == EVE)
}

init {
    said[EVES_NONCE] = true
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Barrel's authentication against somebody who only echoes: Eve has a key and a
 * certificate of her own, hears all that she is sent, and says any of it again,
 * in any of her connections to two honest ones. Whoever authenticates Eve does
 * so under her own key: that is the assertion at the end of each session.
 *
 *   session   0 the node answers Eve    2 the peer answers her (PEER_ANSWERS)
 *             1 it dials her            3 the peer dials her (PEER_DIALS)
 *               (NODE_DIALS)
 *
 *   ORDER      0 a responder signs at the CHALLENGE (upstream), 1 after the
 *              initiator has proven its key (ours)
 *   OWN_KEY    1: a HELLO with our own key is refused
 *   OWN_NONCE  1: a CHALLENGE with our own nonce is refused
 *   SHARED     1: all have one certificate, as a cluster may
 *   PROOF      0: who dials is content with a certificate whose key the other
 *              end does not have (upstream)
 *   FRESH      0: the nonce of session 0 is one that the peer has signed before
 *
 * An initiator signs at the CHALLENGE in either order: one has to begin. What it
 * dials has proven nothing by then, so
 * - its own echo is stopped by OWN_KEY or OWN_NONCE, whatever the ORDER;
 * - two that dial at the same time, and both get Eve, sign under one binding,
 *   that of her certificate, and for each other: nothing here stops that. Nor
 *   does anything, with a certificate that is shared.
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
#ifndef PROOF
#define PROOF 1
#endif
#ifndef FRESH
#define FRESH 1
#endif
#ifndef NODE_DIALS
#define NODE_DIALS 0
#endif
#ifndef PEER_ANSWERS
#define PEER_ANSWERS 0
#endif
#ifndef PEER_DIALS
#define PEER_DIALS 0
#endif

#define NODE 0 /* keys, and whose certificate */
#define PEER 1
#define EVE 2
#define OTHER(key) (1 - (key))
#define CERT(owner) (SHARED -> NODE : (owner))
#define EVES_NONCE 4 /* the others are those of the sessions */

bool signed_[30]; /* signatures that Eve has: key, nonce, binding */
#define SIGNED(key, nonce, cert) signed_[((key) * 5 + (nonce)) * 3 + (cert)]

bool said[4]; /* sessions whose nonce Eve knows */

/* A session, of ME at the one end, and Eve at the other. */
inline hear_hello()
{
    if
    :: peer = EVE
    :: peer = OTHER(me)
    :: !OWN_KEY -> peer = me
    fi
    said[s] = true
}

/* Any nonce that Eve knows, but our own when that is looked at. */
inline hear_challenge()
{
    if
    :: n = EVES_NONCE
    :: said[0] && !(OWN_NONCE && s == 0) -> n = 0
    :: said[1] && !(OWN_NONCE && s == 1) -> n = 1
    :: said[2] && !(OWN_NONCE && s == 2) -> n = 2
    :: said[3] && !(OWN_NONCE && s == 3) -> n = 3
    fi
}

/* Goes on when Eve has the signature, or can make it. */
inline hear_response()
{
    peer == EVE || SIGNED(peer, s, cert)
    assert(peer == EVE)
}

proctype responder(byte s; byte me)
{
    byte peer, n
    byte cert = CERT(me)

    hear_hello()
    atomic {
        hear_challenge()
        if
        :: ORDER == 0 -> SIGNED(me, n, cert) = true
        :: else
        fi
    }
    hear_response()
    SIGNED(me, n, cert) = true
}

#if NODE_DIALS || PEER_DIALS
proctype initiator(byte s; byte me)
{
    byte peer, n
    byte cert

    if
    :: cert = CERT(EVE)
    :: !PROOF -> cert = CERT(OTHER(me))
    fi
    hear_hello()
    atomic {
        hear_challenge()
        SIGNED(me, n, cert) = true
    }
    hear_response()
}
#endif

init {
    atomic {
        SIGNED(PEER, 0, CERT(NODE)) = !FRESH
        run responder(0, NODE)
#if NODE_DIALS
        run initiator(1, NODE)
#endif
#if PEER_ANSWERS
        run responder(2, PEER)
#endif
#if PEER_DIALS
        run initiator(3, PEER)
#endif
    }
}

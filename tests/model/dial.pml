/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two nodes that may dial each other at the same moment, and what each does
 * about a second link. Node 0 has the smaller key. Connection i is the one
 * dialled by node i. POL0 and POL1 are the policies of the nodes:
 *
 *   0  newest wins: the older link is closed (Elixir PeerNet 0.1.0)
 *   1  tie-break: the link dialled by node 0 stays, the other is closed at once
 *   2  passive: the newest is primary, nothing is closed
 *   3  delayed tie-break, ours: as 2, and once both ends have both links the
 *      one dialled by node 1 is closed
 *
 * Claims: `stable`, from some moment on both nodes have a live primary for
 * ever; `one`, and it is the same. Each action is fair (pan -f). tests/model/
 * check.sh says which pairs must hold and which must not.
 *
 * A dial is one connection here, to whichever address. In src/node/race.c it may
 * be several: the handshake begins on the first that connects, the unanswered
 * are cancelled, and one that was answered as well never begins its handshake,
 * so it is no connection of this model (node/race in the unit tests).
 * src/node/lookup.c only adds addresses (node/lookup).
 */
#ifndef POL0
#define POL0 0
#endif
#ifndef POL1
#define POL1 0
#endif

#define NONE 2

byte primary[2] = NONE;
bool alive[3]; /* [NONE] stays false */
bool est[4];   /* node s has finished the handshake of connection c */
bool ended[4]; /* ... has yet to notice that it was closed */

#define EST(s, c) est[(s) * 2 + (c)]
#define ENDED(s, c) ended[(s) * 2 + (c)]

inline close_link(who, which)
{
    alive[which] = false;
    EST(who, which) = false;
    ENDED(1 - who, which) = true;
    if
    :: primary[who] == which -> primary[who] = NONE
    :: else
    fi
}

inline link_up(at, which, policy)
{
    EST(at, which) = true;
    if
    :: primary[at] == NONE || primary[at] == which -> primary[at] = which
    :: else ->
        if
        :: policy == 0 ->
            close_link(at, (1 - (which)));
            primary[at] = which
        :: policy == 1 && which == 0 ->
            close_link(at, 1);
            primary[at] = 0
        :: policy == 1 && which == 1 -> close_link(at, 1)
        :: policy >= 2 -> primary[at] = which
        fi
    fi
}

/* One dial in flight, none while a link is up. */
proctype Dial(byte i)
{
    do
    :: atomic {
        primary[i] == NONE && !alive[i] && !ENDED(0, i) && !ENDED(1, i) &&
            !EST(1 - i, i) ->
        alive[i] = true;
        EST(0, i) = false;
        EST(1, i) = false
    }
    od
}

/* The initiator is done after the second message ... */
proctype Initiate(byte s; byte policy)
{
    do
    :: atomic { alive[s] && !EST(s, s) -> link_up(s, s, policy) }
    od
}

/* ... the responder after the third. */
proctype Respond(byte s; byte policy)
{
    do
    :: atomic {
        alive[1 - s] && EST(1 - s, 1 - s) && !EST(s, 1 - s) ->
        link_up(s, (1 - s), policy)
    }
    od
}

/* The other end closed it: fall back to what is left. */
proctype Notice(byte s; byte c)
{
    do
    :: atomic {
        ENDED(s, c) ->
        ENDED(s, c) = false;
        EST(s, c) = false;
        if
        :: primary[s] == c ->
            if
            :: EST(s, 1 - c) -> primary[s] = 1 - c
            :: else -> primary[s] = NONE
            fi
        :: else
        fi
    }
    od
}

#define BOTH_HAVE_BOTH(s)                                                      \
    (alive[0] && alive[1] && EST(s, 0) && EST(s, 1) && EST(1 - s, 0)           \
     && EST(1 - s, 1))

/* Policy 3 before the grace time is over: calls move to the link that stays. */
proctype Prefer(byte s)
{
    do
    :: atomic { BOTH_HAVE_BOTH(s) && primary[s] != 0 -> primary[s] = 0 }
    od
}

/* ... and after it. */
proctype Grace(byte s)
{
    do
    :: atomic {
        BOTH_HAVE_BOTH(s) ->
        close_link(s, 1);
        primary[s] = 0
    }
    od
}

/* Keeps every run infinite, so that a stuck state is judged by the claim. */
bool tick;
proctype Tick()
{
    do
    :: tick = !tick
    od
}

init
{
    atomic {
        run Tick();
        if
        :: POL0 == 3 -> run Prefer(0); run Grace(0)
        :: else
        fi;
        if
        :: POL1 == 3 -> run Prefer(1); run Grace(1)
        :: else
        fi;
        run Dial(0);
        run Dial(1);
        run Initiate(0, POL0);
        run Initiate(1, POL1);
        run Respond(0, POL0);
        run Respond(1, POL1);
        run Notice(0, 0);
        run Notice(0, 1);
        run Notice(1, 0);
        run Notice(1, 1)
    }
}

#define CONNECTED                                                              \
    (primary[0] != NONE && primary[1] != NONE && alive[primary[0]]             \
     && alive[primary[1]])
ltl stable { <>[] CONNECTED }

#define SAME (primary[0] == primary[1] && CONNECTED)
ltl one { <>[] SAME }

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The delayed tie-break on both sides, with what dial.pml leaves out: a node
 * that loses its power and comes back (the other end still holds the old
 * links), dials that fail, unpair and pair, and knowledge of the other end
 * that comes only from frames.
 *
 * RULE 0: a frame counts whenever it came. RULE 1, ours: a frame counts when it
 * came since both links exist. With RULE 0 the link of before the power loss
 * wins against the new one: the assertion in Grace fails.
 *
 * A node also dials beside a link on which it hears nothing: one of before a
 * power loss, or SLOW times one of the other end's that is merely slow. (One of
 * its own would be replaced by the newer at both ends.) It may close the old link
 * then, when the other end means to keep that one.
 *
 * Connection i is dialled by node i; node 0 has the smaller key. Of two
 * connections one node dialled, the newer replaces the older at the acceptor.
 */
#ifndef RULE
#define RULE 1
#endif
#ifndef RESTARTS
#define RESTARTS 2
#endif
#ifndef UNPAIRS
#define UNPAIRS 1
#endif
#ifndef FAILURES
#define FAILURES 1
#endif
#ifndef SLOW
#define SLOW 1
#endif

#define NONE 2

mtype = { gone, up, stale };

byte primary[2] = NONE;
mtype has[4] = gone; /* what node s holds of connection c; stale: the other end
                        has forgotten it and cannot say so */
bool got[4];         /* node s has a frame on c that counts */
bool ended[4];       /* node s has yet to notice that c was closed */
bool m3[2];          /* the third message of connection i is on its way */
bool dialling[2];
bool paired[2] = true;
bool excused[2]; /* node 1 - s went away after node s got its newest link */

byte restarts = RESTARTS;
byte unpairs = UNPAIRS;
byte failures = FAILURES;
byte slow = SLOW;
bool silent[2]; /* node i dials beside a link that is slow */

#define HAS(s, c) has[(s) * 2 + (c)]
#define GOT(s, c) got[(s) * 2 + (c)]
#define ENDED(s, c) ended[(s) * 2 + (c)]

inline fall_back(s, c)
{
    HAS(s, c) = gone;
    GOT(s, c) = false;
    if
    :: primary[s] == c && HAS(s, 1 - (c)) != gone -> primary[s] = 1 - (c)
    :: primary[s] == c && HAS(s, 1 - (c)) == gone -> primary[s] = NONE
    :: else
    fi
}

/* Node s ends connection c; the other end will notice. */
inline close_link(s, c)
{
    if
    :: HAS(s, c) == up ->
        if
        :: HAS(1 - (s), c) == up -> ENDED(1 - (s), c) = true
        :: else
        fi;
        m3[c] = false
    :: else
    fi;
    fall_back(s, c)
}

inline link_up(s, c, is_acceptor)
{
    HAS(s, c) = up;
    ENDED(s, c) = false;
    GOT(s, c) = is_acceptor; /* the third message came */
    if
    :: RULE == 1 -> GOT(s, 1 - (c)) = false
    :: else
    fi;
    primary[s] = c;
    excused[s] = false
}

/* A dial whose handshake reached the second message. The initiator has the
 * link; the third message is on its way. */
proctype Dial(byte i)
{
    do
    :: atomic {
        paired[i] && primary[i] == NONE && !dialling[i] -> dialling[i] = true
    }
    od
}

#define HAS_ONE(i) (primary[i] != NONE && HAS(i, 1 - primary[i]) == gone)

proctype Beside(byte i)
{
    do
    :: atomic {
        paired[i] && !dialling[i] && HAS_ONE(i) && HAS(i, primary[i]) == stale ->
        dialling[i] = true
    }
    :: atomic {
        paired[i] && !dialling[i] && HAS_ONE(i) && primary[i] == 1 - i && HAS(i, 1 - i) == up && slow > 0 ->
        slow--;
        silent[i] = true;
        dialling[i] = true
    }
    od
}

/* It has heard nothing on the old link since the new one showed itself. */
proctype Give_up(byte i)
{
    do
    :: atomic {
        silent[i] && HAS(i, 1 - i) == up && !GOT(i, 1 - i) && HAS(i, i) == up && GOT(i, i) ->
        silent[i] = false;
        close_link(i, 1 - i)
    }
    od
}

proctype Initiate(byte i)
{
    do
    :: atomic {
        dialling[i] && paired[i] && !m3[i] && !ENDED(1 - i, i) ->
        dialling[i] = false;
        if
        /* The acceptor still holds an older one: it is of no use any more. */
        :: HAS(1 - i, i) == up -> HAS(1 - i, i) = stale
        :: else
        fi;
        m3[i] = true;
        link_up(i, i, false)
    }
    od
}

proctype Fail(byte i)
{
    do
    :: atomic {
        dialling[i] && failures > 0 ->
        dialling[i] = false;
        failures--
    }
    od
}

proctype Respond(byte s)
{
    do
    :: atomic {
        m3[1 - s] ->
        m3[1 - s] = false;
        if
        :: paired[s] -> link_up(s, (1 - s), true)
        :: else -> ENDED(1 - s, 1 - s) = true
        fi
    }
    od
}

proctype Notice(byte s; byte c)
{
    do
    :: atomic {
        ENDED(s, c) ->
        ENDED(s, c) = false;
        if
        :: HAS(s, c) == up -> fall_back(s, c)
        :: else
        fi
    }
    od
}

/* No pong: a dead link is noticed at last. */
proctype Timeout(byte s; byte c)
{
    do
    :: atomic { HAS(s, c) == stale -> fall_back(s, c) }
    od
}

/* A frame of the other end, which sends on whatever it has. */
proctype Frame(byte s; byte c)
{
    do
    :: atomic {
        HAS(s, c) == up && HAS(1 - s, c) == up && !GOT(s, c) ->
        GOT(s, c) = true
    }
    od
}

proctype Grace(byte s)
{
    do
    :: atomic {
        HAS(s, 0) != gone && HAS(s, 1) != gone && GOT(s, 0) && GOT(s, 1) ->
        /* What stays, the other end has too, unless it has just gone away or
         * closed it. */
        assert(excused[s] || HAS(s, 0) == up);
        close_link(s, 1)
    }
    od
}

inline forget(x, c)
{
    HAS(x, c) = gone;
    GOT(x, c) = false;
    ENDED(x, c) = false;
    if
    :: HAS(1 - (x), c) == up -> HAS(1 - (x), c) = stale
    :: else
    fi;
    ENDED(1 - (x), c) = false;
    m3[c] = false
}

/* The power fails and comes back: nobody is told. */
proctype Restart(byte x)
{
    do
    :: atomic {
        restarts > 0 ->
        restarts--;
        forget(x, 0);
        forget(x, 1);
        primary[x] = NONE;
        dialling[x] = false;
        excused[1 - x] = true
    }
    od
}

proctype Unpair(byte x)
{
    do
    :: atomic {
        paired[x] && unpairs > 0 ->
        unpairs--;
        paired[x] = false;
        close_link(x, 0);
        close_link(x, 1);
        dialling[x] = false;
        excused[1 - x] = true
    }
    od
}

proctype Pair(byte x)
{
    do
    :: atomic { !paired[x] -> paired[x] = true }
    od
}

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
        byte s = 0;

        run Tick();
        do
        :: s < 2 ->
            run Dial(s);
            run Beside(s);
            run Give_up(s);
            run Initiate(s);
            run Fail(s);
            run Respond(s);
            run Notice(s, 0);
            run Notice(s, 1);
            run Timeout(s, 0);
            run Timeout(s, 1);
            run Frame(s, 0);
            run Frame(s, 1);
            run Grace(s);
            run Restart(s);
            run Unpair(s);
            run Pair(s);
            s++
        :: else -> break
        od
    }
}

/* Unpair holds in the same step. */
#define CUT_OFF(x)                                                             \
    (paired[x] || (HAS(x, 0) == gone && HAS(x, 1) == gone && primary[x] == NONE))
ltl cut_off { [] (CUT_OFF(0) && CUT_OFF(1)) }

/* Must be found false: simultaneous dials do happen in this model. */
ltl never_two { [] !(HAS(0, 0) == up && HAS(0, 1) == up && HAS(1, 0) == up
                     && HAS(1, 1) == up) }

/* Restarts, unpairs and failures are finitely many; after the last the same
 * live link is primary at both ends, for ever. */
ltl settles { <>[] (primary[0] == primary[1] && primary[0] != NONE
                    && HAS(0, primary[0]) == up && HAS(1, primary[0]) == up) }

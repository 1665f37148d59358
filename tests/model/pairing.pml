/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two answers of a pairing (docs/PROTOCOL.md, sections 10.2 and 10.5): a
 * connection that may break at any moment with what is on its way, owners who
 * say yes or no, ends that stop waiting, and the contact of the two nodes
 * afterwards.
 *
 * RULE 1, ours: the responder's yes comes first, with a record; the initiator
 * stores before it says its own. RULE 0: each end says its yes when its owner
 * has, with a record on both sides, and stores at the other's; then each may be
 * left with a record and nobody who dials.
 * RECORD 0: the responder keeps none.
 */
#ifndef RULE
#define RULE 1
#endif
#ifndef RECORD
#define RECORD 1
#endif

#define I 0
#define R 1

mtype = { nothing, yes, no, ack };

mtype owner[2] = nothing; /* what the owner said */
mtype said[2] = nothing;  /* on its way from this end */
bool saw[2];              /* the other's yes has come */
bool spoke[2];
bool stored[2];
bool pending[2];
bool over[2];             /* this end waits for nothing any more */
bool up = true;           /* the connection */

inline finish(x)
{
    over[x] = true
}

proctype Owner(byte x)
{
    atomic {
        !over[x] ->
        if
        :: owner[x] = yes
        :: owner[x] = no
        fi
    }
}

inline send(x, what)
{
    spoke[x] = true;
    if
    :: up -> said[x] = what
    :: else
    fi
}

/* A no, or an owner who did not answer in time. */
proctype Say_no(byte x)
{
    atomic {
        !over[x] && !spoke[x] && !stored[x] && owner[x] != yes ->
        send(x, no);
        finish(x)
    }
}

proctype Say_yes(byte x)
{
    atomic {
        !over[x] && !spoke[x] && owner[x] == yes && (RULE == 0 || x == R || saw[I]) ->
        if
        :: RULE == 1 && x == I -> stored[I] = true
        :: (RULE == 0 || x == R) && RECORD == 1 -> pending[x] = true
        :: else
        fi;
        send(x, yes)
    }
}

proctype Hear(byte x)
{
    do
    :: atomic {
        up && !over[x] && said[1 - x] != nothing ->
        if
        :: said[1 - x] == no ->
            pending[x] = false;
            finish(x)
        :: said[1 - x] == ack -> finish(x)
        :: said[1 - x] == yes && RULE == 1 && x == I -> saw[I] = true
        :: said[1 - x] == yes && (RULE == 0 || x == R) && spoke[x] ->
            stored[x] = true;
            pending[x] = false;
            finish(x);
            said[x] = ack
        :: said[1 - x] == yes && (RULE == 0 || x == R) && !spoke[x] ->
            saw[x] = true
        fi;
        said[1 - x] = nothing
    }
    :: atomic {
        RULE == 0 && saw[x] && spoke[x] && !stored[x] && owner[x] == yes ->
        stored[x] = true;
        pending[x] = false;
        finish(x)
    }
    od
}

/* The connection breaks; what was on its way is lost. */
proctype Break()
{
    atomic {
        up = false;
        said[I] = nothing;
        said[R] = nothing
    }
}

/* Each end notices in the end, and so does an end that has waited too long. */
proctype Give_up(byte x)
{
    atomic { !up && !over[x] -> finish(x) }
}

/* The nodes meet: an end that has stored dials, and shows by that that its
 * owner said yes. */
proctype Contact(byte x)
{
    do
    :: atomic {
        stored[1 - x] && pending[x] ->
        stored[x] = true;
        pending[x] = false
    }
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
        byte x = 0;

        run Tick();
        run Break();
        do
        :: x < 2 ->
            run Owner(x);
            run Say_no(x);
            run Say_yes(x);
            run Hear(x);
            run Give_up(x);
            run Contact(x);
            x++
        :: else -> break
        od
    }
}

#define BOTH_YES (owner[I] == yes && owner[R] == yes)
ltl both_yes { [] (!(stored[I] || stored[R]) || BOTH_YES) }

/* A record says that its owner said yes, and grants nothing. */
ltl record { [] ((!pending[I] || owner[I] == yes) && (!pending[R] || owner[R] == yes)) }

/* Never a record at both ends, with nobody who dials. */
ltl one_record { [] !(pending[I] && pending[R]) }

/* Both have stored in the end, or neither has. */
ltl agree { <>[] (stored[I] == stored[R]) }

/* Both have stored in the end if both owners said yes and the initiator heard
 * of it. */
ltl done { [] ((saw[I] && owner[I] == yes && spoke[I]) -> <> (stored[I] && stored[R])) }

/* Must be found false: pairings do happen in this model. */
ltl never_both { [] !(stored[I] && stored[R]) }
/* Must be found false: so do records that are left. */
ltl none_left { [] !(over[R] && pending[R]) }

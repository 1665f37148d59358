#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Verifies the models with Spin and prints TAP. A claim that must fail is as
# much a test as one that must hold: it shows that the model can tell.
# usage: check.sh [CC]
set -u
here=$(cd "$(dirname "$0")" && pwd)
cc=${1:-cc}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
n=0
failed=0

if ! command -v spin >/dev/null; then
    echo "1..0 # SKIP spin is not installed"
    exit 0
fi

report() { # RESULT NAME
    n=$((n + 1))
    echo "$1 $n - model/$2"
    [ "$1" = ok ] || failed=1
}

build() { # MODEL DEFINES CC_OPTIONS
    rm -f pan pan.* "$1"
    : >spin.log
    : >cc.log
    cp "$here/$1" . || return 1
    # $2 and $3 are lists of options.
    # shellcheck disable=SC2086
    spin -a $2 "$1" >spin.log 2>&1 &&
        "$cc" -w $3 -DNFAIR=10 -DMEMLIM=2048 -DVECTORSZ=2048 \
            -o pan pan.c >cc.log 2>&1
}

# Only a finished search counts: pan prints "errors: N" at its end, and
# complains when a limit cut the search short.
verify() { # NAME CLAIM holds|fails
    outcome=broken
    timeout 300 ./pan -a -f -m500000 -N "$2" >pan.log 2>&1
    if ! grep -q 'max search depth too small' pan.log; then
        grep -q 'errors: 0$' pan.log && outcome=holds
        grep -q 'errors: 1$' pan.log && outcome=fails
    fi
    if [ "$outcome" = "$3" ]; then
        report ok "$1/$2 $3"
    else
        report 'not ok' "$1/$2 $3"
        sed 's/^/# /' spin.log cc.log pan.log
    fi
}

dial() { # POLICY0 POLICY1 stable:EXPECTED one:EXPECTED
    build dial.pml "-DPOL0=$1 -DPOL1=$2" "" || rm -f pan
    verify "dial/$1-$2" stable "$3"
    verify "dial/$1-$2" one "$4"
}

links() { # RULE CLAIM EXPECTED
    build links.pml "-DRULE=$1" -O2 || rm -f pan # the largest
    verify "links/rule-$1" "$2" "$3"
}

pairing() { # NAME DEFINES CLAIM holds|fails
    build pairing.pml "$2" "" || rm -f pan
    verify "pairing/$1" "$3" "$4"
}

barrel() { # NAME DEFINES holds|fails
    outcome=broken
    if build barrel.pml "$2" ""; then
        # A failed attack waits for ever, which is no error: -E.
        timeout 300 ./pan -E -m100000 >pan.log 2>&1
        # A claim that holds was reached: no assertion is among the unreached.
        grep -q 'errors: 0$' pan.log && ! grep -q '"assert' pan.log &&
            outcome=holds
        grep -q 'assertion violated' pan.log && outcome=fails
    fi
    if [ "$outcome" = "$3" ]; then
        report ok "barrel/$1 $3"
    else
        report 'not ok' "barrel/$1 $3"
        sed 's/^/# /' spin.log cc.log pan.log
    fi
}

echo "TAP version 13"
# MC-1 (docs/THREATS.md, section 3). 0 newest wins (Elixir), 1 tie-break, 2 passive,
# 3 ours.
dial 0 0 fails fails
dial 1 0 fails fails
dial 1 1 holds holds
dial 2 0 holds holds
dial 0 2 holds holds
dial 2 2 holds fails
dial 3 0 holds holds
dial 0 3 holds holds
dial 3 2 holds holds
dial 2 3 holds holds
dial 3 3 holds holds
# Power loss, failed dials, unpair and pair.
links 1 cut_off holds
links 1 settles holds
links 1 never_two fails
# By the assertion: a link of before the power loss wins.
links 0 settles fails
# MC-3. A responder that gets its own challenge back, from a peer that claims its key:
# the order of signing alone prevents the attack, and each check alone does.
unchecked='-DOWN_KEY=0 -DOWN_NONCE=0'
barrel echo/upstream_order "-DORDER=0 $unchecked" fails
barrel echo/our_order "-DORDER=1 $unchecked" holds
barrel echo/own_key '-DORDER=0 -DOWN_NONCE=0' holds
barrel echo/own_nonce '-DORDER=0 -DOWN_KEY=0' holds
# An initiator: the checks, in either order; the key also with one certificate.
barrel dialling/unchecked "-DNODE_DIALS=1 $unchecked" fails
barrel dialling/own_nonce '-DNODE_DIALS=1 -DOWN_KEY=0' holds
barrel dialling/own_nonce_shared '-DNODE_DIALS=1 -DOWN_KEY=0 -DSHARED=1' fails
barrel dialling/own_key_shared '-DNODE_DIALS=1 -DOWN_NONCE=0 -DSHARED=1' holds
# Another node's key, whose owner is connected to Eve as well.
barrel claim/answers '-DNODE_DIALS=1 -DPEER_ANSWERS=1' holds
barrel claim/answers_shared '-DPEER_ANSWERS=1 -DSHARED=1' fails
barrel claim/dials '-DPEER_ANSWERS=1 -DPEER_DIALS=1' holds
barrel claim/dials_without_proof '-DPEER_DIALS=1 -DPROOF=0' fails
barrel claim/both_dial '-DNODE_DIALS=1 -DPEER_DIALS=1' fails
barrel claim/replay '-DFRESH=0' fails
# PAIR-2. Two answers, and a connection that breaks (docs/PROTOCOL.md, section 10.5).
pairing ours "" both_yes holds
pairing ours "" record holds
pairing ours "" one_record holds
pairing ours "" agree holds
pairing ours "" "done" holds
pairing ours "" never_both fails
pairing ours "" none_left fails
# Without the record, and without the order of the two answers.
pairing no_record -DRECORD=0 agree fails
pairing any_order -DRULE=0 one_record fails
echo "1..$n"
exit $failed

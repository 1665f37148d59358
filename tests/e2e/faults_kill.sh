#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal (FI-1): a process that is killed at any system call while making an identity,
# pairing, unpairing or restoring a backup leaves the old or the new state; the key is never lost, the next
# start removes temporary files, and the next edit works.
# usage: faults_kill.sh STORE_TOOL
set -u
tool=$1
. "$(dirname "$0")/faults.sh"
can_strace || skip_all "strace cannot inject here"
make_base
old=$(state "$work/base")

# after NAME OLD NEW: checks $work/d after a kill.
after() {
    local wrong="" before="" now again

    [ ! -f "$work/d/identity.keys" ] || before=$(sha256sum <"$work/d/identity.keys")
    now=$(state "$work/d")
    if [ -z "$2" ]; then
        # An identity: there is none yet, or there is a whole one.
        [[ "$now" =~ ^[A-Z2-7]{52}$ ]] || wrong="after a restart: $now"
        if [ -n "$before" ] && [ "$before" != "$(sha256sum <"$work/d/identity.keys")" ]; then
            wrong="the key changed"
        fi
    elif [ "$now" != "$2" ] && [ "$now" != "$3" ]; then
        wrong="neither old nor new: $now"
    fi
    again=$(state "$work/d")
    [ "$again" = "$now" ] || wrong="$wrong; then $again"
    ! ls "$work/d" | grep -q pn-tmp || wrong="$wrong; a temporary stayed"
    "$tool" "$work/d" pair "$CAT" 2>"$work/err" \
        || grep -q EXISTS "$work/err" || wrong="$wrong; $(cat "$work/err")"
    [[ "$(state "$work/d")" == *"$CAT"* ]] || wrong="$wrong; the next edit is lost"
    result "$1" "$wrong"
}

# kill_everywhere NAME empty|base NEW COMMAND...
kill_everywhere() {
    local name=$1 from=$2 new=$3 call nth n_killed=0 n_all=0 status
    shift 3

    fresh "$from"
    strace -o "$work/log" "$tool" "$work/d" "$@" >/dev/null 2>&1
    calls "$work/log" >"$work/calls"
    while read -r call nth; do
        # The first is the exec of the program itself.
        [ "$call" != execve ] || continue
        fresh "$from"
        # In braces, for the shell would report each death.
        {
            strace -o /dev/null -e "inject=$call:signal=SIGKILL:when=$nth" \
                "$tool" "$work/d" "$@"
            status=$?
        } >/dev/null 2>&1
        n_all=$((n_all + 1))
        [ "$status" -ne 137 ] || n_killed=$((n_killed + 1))
        if [ "$from" = empty ]; then
            after "kill/$name/$call.$nth" "" ""
        else
            after "kill/$name/$call.$nth" "$old" "$new"
        fi
    done <"$work/calls"
    # Calls vary a little from run to run; most must have hit.
    if [ $((n_killed * 10)) -ge $((n_all * 9)) ] && [ "$n_all" -ge 50 ]; then
        result "kill/$name/was_killed" ""
    else
        result "kill/$name/was_killed" "$n_killed of $n_all"
    fi
}

fresh
"$tool" "$work/d" pair "$CAT"
paired=$(state "$work/d")
fresh
"$tool" "$work/d" unpair "$ANN"
unpaired=$(state "$work/d")
if [ "$old" = "$paired" ] || [ "$old" = "$unpaired" ]; then
    result "kill/states_differ" "old $old, paired $paired, unpaired $unpaired"
fi

# A backup of another state, to be restored over this one.
fresh
"$tool" "$work/d" unpair "$BEN"
"$tool" "$work/d" backup "$work/backup"
restored=$(state "$work/d")

kill_everywhere init empty "" init
kill_everywhere pair base "$paired" pair "$CAT"
kill_everywhere unpair base "$unpaired" unpair "$ANN"
kill_everywhere restore base "$restored" restore "$work/backup"
# None of them has removed what was there before.
wrong=
for dir in "$work"/d.old-*; do
    [ "$(state "$dir")" = "$old" ] || wrong="$wrong $dir"
done
result "kill/restore/old_is_kept" "$wrong"
finish

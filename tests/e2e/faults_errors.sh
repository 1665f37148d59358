#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Goal (FI-4, and ENOSPC of FI-3): whichever system call fails while making an
# identity, pairing or unpairing, the command either did it and says so, or
# says why not and left every file as it was.
# usage: faults_errors.sh STORE_TOOL
set -u
tool=$1
. "$(dirname "$0")/faults.sh"
can_strace || skip_all "strace cannot inject here"
make_base
old=$(state "$work/base")

# The errors that each call may have.
errors_of() {
    case $1 in
    openat) echo EACCES EMFILE EIO ;;
    read | newfstatat | fstat | getdents64) echo EIO ;;
    write) echo ENOSPC EIO ;;
    fsync) echo EIO ;;
    close) echo EIO ;;
    rename | renameat | renameat2) echo EROFS EIO ENOSPC ;;
    linkat) echo EIO ENOSPC EPERM ;;
    unlinkat) echo EROFS EIO ;;
    mkdir) echo EACCES ENOSPC ;;
    flock) echo ENOLCK ;;
    fchmod | fcntl) echo EIO ;;
    esac
}

# Fingerprints of the files that count, without what is swept.
files_of() {
    (cd "$1" 2>/dev/null && sha256sum identity.keys trust.bin addresses 2>/dev/null)
}

check() { # NAME STATUS NEW BEFORE
    local wrong="" now
    now=$(state "$work/d")
    if [ "$2" -eq 0 ]; then
        [ "$now" = "$3" ] || wrong="said done, is $now"
    elif [ "$2" -eq 1 ]; then
        [ -z "$old_state" ] || [ "$now" = "$old_state" ] || wrong="said no, is $now"
        [ -z "$4" ] || [ "$(files_of "$work/d")" = "$4" ] || wrong="$wrong; a file changed"
        grep -q '^[A-Z]*: .*' "$work/err" || wrong="$wrong; no sentence: $(cat "$work/err")"
    else
        wrong="status $2: $(cat "$work/err")"
    fi
    ! ls "$work/d" 2>/dev/null | grep -q pn-tmp || wrong="$wrong; a temporary stayed"
    result "$1" "$wrong"
}

# fail_everywhere NAME empty|base NEW COMMAND...: from the first call that
# touches the directory on; before it is the loader's business.
fail_everywhere() {
    local name=$1 from=$2 new=$3 call nth error status before
    shift 3

    fresh "$from"
    calls_of "$@"
    old_state=$old
    [ "$from" = base ] || old_state=""
    while read -r call nth; do
        for error in $(errors_of "$call"); do
            fresh "$from"
            before=$(files_of "$work/d")
            strace -o /dev/null -e "inject=$call:error=$error:when=$nth" \
                "$tool" "$work/d" "$@" >"$work/out" 2>"$work/err"
            status=$?
            # A new identity differs from run to run: it is what was printed.
            [ "$from" = base ] || new=$(cut -d' ' -f1 "$work/out")
            check "errors/$name/$call.$nth/$error" "$status" "$new" "$before"
        done
    done <"$work/calls"
}

fresh
"$tool" "$work/d" pair "$CAT"
paired=$(state "$work/d")
fresh
"$tool" "$work/d" unpair "$ANN"
unpaired=$(state "$work/d")

fail_everywhere init empty "" init
n_init=$n_tests
fail_everywhere pair base "$paired" pair "$CAT"
n_pair=$n_tests
fail_everywhere unpair base "$unpaired" unpair "$ANN"
if [ "$n_init" -lt 10 ] || [ $((n_pair - n_init)) -lt 20 ]; then
    result "errors/enough_calls" "$n_init, $n_pair"
fi

# A process that goes on: two edits fail, memory says what disk says but for
# the unpairing, which counts; with the first edit that reaches the disk the
# unpairing is written too (T23).
serve() { # NAME INJECTION WANTED
    fresh
    printf 'pair %s\nunpair %s\npair %s\nunpair %s\n' "$CAT" "$ANN" "$CAT" "$ANN" \
        | strace -o /dev/null -e "inject=$2" "$tool" "$work/d" serve >"$work/out" 2>&1
    wrong=""
    [ "$(tr '\n' ' ' <"$work/out")" = "$3" ] || wrong="$(cat "$work/out")"
    now=$(state "$work/d" | tail -n +2 | sort | tr '\n' ' ')
    [ "$now" = "$BEN $CAT " ] || wrong="$wrong; on disk: $now"
    result "errors/serve/$1" "$wrong"
}
recovers="SYS stranger SYS stranger OK trusted NOT_FOUND stranger "
serve fsync_of_the_file fsync:error=EIO:when=1..2 "$recovers"
serve fsync_of_the_directory fsync:error=EIO:when=2..4+2 "$recovers"
serve rename renameat:error=EROFS:when=1..2 "$recovers"
serve backup linkat:error=EIO:when=1..2 "$recovers"
finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Goal (FI-1, FI-4 for a Barrel key directory): whichever system call fails, or
# kills, while an identity is made or rotated and pins are written, the command
# did it and says so or left what was there; the old key is never lost, and no
# second pair is made.
# usage: faults_barrel.sh BARREL_TOOL
set -u
tool=$1
. "$(dirname "$0")/faults.sh"
can_strace || skip_all "strace cannot inject here"
SECONDS_NOW=1770091506
STAMP=20260203T040506Z

"$tool" "$work/base" keys >/dev/null
"$tool" "$work/base" pin a@h 1
old_key=$("$tool" "$work/base" keys)
old_pins="a@h 1"

errors_of() {
    case $1 in
    openat) echo EACCES EIO ;;
    read | newfstatat | fstat | getdents64) echo EIO ;;
    write) echo ENOSPC ;;
    fsync | close) echo EIO ;;
    renameat | renameat2) echo EROFS ;;
    linkat) echo EIO EPERM ;;
    unlinkat) echo EROFS ;;
    mkdir | mkdirat) echo ENOSPC ;;
    flock) echo ENOLCK ;;
    fchmod) echo EIO ;;
    esac
}

secrets() { (cd "$1" 2>/dev/null && sha256sum node.key node.pub 2>/dev/null); }
pins() { "$tool" "$work/d" list 2>&1; }
# A sentence has the path in front, of a file that the call was about.
check_sentence() {
    local files

    grep -qE "^[A-Z_]+: $work/d(/.*)?: ." "$work/err" || echo "no sentence: $(cat "$work/err")"
    files=$(grep -F '(INJECTED)' "$work/injected" \
        | grep -oE '([a-z]@h|node)\.(pub|key)' | paste -sd '|')
    [ -z "$files" ] || grep -qE "/($files)" "$work/err" || echo "not of $files: $(cat "$work/err")"
}
same_secret() { cmp -s "$work/base/node.key" "$1"; }

# Holds after a rotation, done or not.
check_rotation() { # STATUS, or "killed"
    local now

    now=$("$tool" "$work/d" keys 2>&1)
    [[ "$now" =~ ^[A-Z2-7]{52}$ ]] || echo "does not start: $now"
    case $1 in
    0)
        [ "$now" = "$(cat "$work/out")" ] || echo "said $(cat "$work/out"), is $now"
        [ "$now" != "$old_key" ] || echo "said done, is the old key"
        ;;
    1)
        [ "$now" = "$old_key" ] || echo "said no, is another key"
        [ "$(secrets "$work/d")" = "$(secrets "$work/base")" ] || echo "a file changed"
        check_sentence
        ;;
    killed) ;;
    *) echo "status $1: $(cat "$work/err")" ;;
    esac
    same_secret "$work/d/node.key" || same_secret "$work/d/backups/$STAMP/node.key" \
        || echo "the old key is lost"
    [ -z "$(find "$work/d" -type f -perm /077)" ] || echo "a file is open to others"
    "$tool" "$work/d" rotate $((SECONDS_NOW + 1)) >/dev/null 2>"$work/err" \
        || echo "the next one: $(cat "$work/err")"
    ! ls "$work/d" | grep -qE '\.(pn-tmp|bak)$' \
        || echo "something stayed behind"
}

check_first() {
    local now

    now=$("$tool" "$work/d" keys 2>&1)
    case $1 in
    0) [ "$now" = "$(cat "$work/out")" ] || echo "said $(cat "$work/out"), is $now" ;;
    1) check_sentence ;;
    killed)
        # Between the files: refused until a person removes the first.
        if [[ "$now" == *"node.key: is not there although node.pub is"* ]]; then
            [ ! -e "$work/d/node.key" ] || echo "a key is there: $now"
            rm "$work/d/node.pub"
            now=$("$tool" "$work/d" keys 2>&1)
        fi
        ;;
    *) echo "status $1: $(cat "$work/err")" ;;
    esac
    [[ "$now" =~ ^[A-Z2-7]{52}$ ]] || echo "does not start: $now"
    [ "$now" = "$("$tool" "$work/d" keys 2>&1)" ] || echo "the key changed"
}

# new_pins is what an edit makes of old_pins.
check_pins() {
    local now

    now=$(pins)
    case $1 in
    0) [ "$now" = "$new_pins" ] || echo "said done, is $now" ;;
    1)
        [ "$now" = "$old_pins" ] || { [ "$may_be_gone" = yes ] && [ "$now" = "$new_pins" ]; } \
            || echo "said no, is $now"
        check_sentence
        ;;
    killed) [ "$now" = "$old_pins" ] || [ "$now" = "$new_pins" ] || echo "neither: $now" ;;
    *) echo "status $1: $(cat "$work/err")" ;;
    esac
    [ "$(secrets "$work/d")" = "$(secrets "$work/base")" ] || echo "the identity changed"
    "$tool" "$work/d" pin z@h 9 2>"$work/err" || echo "the next one: $(cat "$work/err")"
    ! ls "$work/d/trusted" | grep -q pn-tmp || echo "a temporary stayed"
}

# everywhere NAME empty|base CHECK COMMAND...
everywhere() {
    local name=$1 from=$2 check=$3 call nth error status n_before=$n_tests
    shift 3

    fresh "$from"
    calls_of "$@"
    while read -r call nth; do
        for error in $(errors_of "$call"); do
            fresh "$from"
            strace -y -o "$work/injected" -e "inject=$call:error=$error:when=$nth" \
                "$tool" "$work/d" "$@" >"$work/out" 2>"$work/err"
            status=$?
            result "barrel/$name/$call.$nth/$error" "$($check $status)"
        done
        [ -n "$(errors_of "$call")" ] || continue
        fresh "$from"
        {
            strace -o /dev/null -e "inject=$call:signal=SIGKILL:when=$nth" \
                "$tool" "$work/d" "$@"
        } >/dev/null 2>&1
        result "barrel/$name/$call.$nth/killed" "$($check killed)"
    done <"$work/calls"
    [ $((n_tests - n_before)) -ge 30 ] \
        || result "barrel/$name/enough_calls" "$((n_tests - n_before))"
}

everywhere first empty check_first keys
everywhere rotate base check_rotation rotate "$SECONDS_NOW"
may_be_gone=no
new_pins=$'a@h 1\nb@h 2'
everywhere pin base check_pins pin b@h 2
everywhere add base check_pins add b@h 2
new_pins=
may_be_gone=yes # an fsync after the removal
everywhere unpin base check_pins unpin a@h

# A file system without second names: there is no copy to rename back.
fresh
strace -y -o "$work/injected" -e inject=linkat:error=EPERM \
    -e inject=renameat:error=EROFS:when=2 \
    "$tool" "$work/d" rotate "$SECONDS_NOW" >"$work/out" 2>"$work/err"
result "barrel/rotate/no_second_names" "$(check_rotation $?)"
finish

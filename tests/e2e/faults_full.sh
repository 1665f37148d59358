#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Goal (FI-3): on a 64 KiB file system filled to every 1 KiB step, an edit
# succeeds whole or fails whole, the process goes on, and when there is room
# again the same edit works. Needs a mount namespace of its own.
# usage: faults_full.sh STORE_TOOL
set -u
tool=$1
if [ "${2-}" != inside ]; then
    unshare -m true 2>/dev/null && exec unshare -m "$0" "$tool" inside
    unshare -rm true 2>/dev/null && exec unshare -rm "$0" "$tool" inside
fi
. "$(dirname "$0")/faults.sh"
[ "${2-}" = inside ] || skip_all "no mount namespace to be had"

# Thirty peers: trust.bin is larger than two pages.
make_base
for i in $(seq 30); do
    printf 'pair %02x%062x\n' "$i" 7
done | "$tool" "$work/base" serve >/dev/null
mkdir "$work/full"
old=$(state "$work/base")
n_new=0
n_old=0

# One process: an edit that meets the full disk, then two that do not.
edit_full() { # KIB
    local wrong="" got now
    mount -t tmpfs -o size=64k,mode=700 tmpfs "$work/full" || return 1
    cp "$work/base/identity.keys" "$work/base/trust.bin" "$work/full/"
    head -c "$(($1 * 1024))" /dev/zero >"$work/full/filler" 2>/dev/null
    cp "$work/full/trust.bin" "$work/trust.before"
    coproc "$tool" "$work/full" serve 2>/dev/null
    echo "pair $CAT" >&"${COPROC[1]}"
    read -r got <&"${COPROC[0]}"
    now=$(state "$work/full")
    case $got in
    "OK trusted")
        n_new=$((n_new + 1))
        [[ "$now" == *"$CAT"* ]] || wrong="said done, is $now"
        ;;
    "SYS stranger")
        n_old=$((n_old + 1))
        cmp -s "$work/full/trust.bin" "$work/trust.before" || wrong="trust.bin changed"
        [ "$now" = "$old" ] || wrong="$wrong; is $now"
        ;;
    *) wrong="answered $got" ;;
    esac
    # Unpairing counts, written or not.
    echo "unpair $ANN" >&"${COPROC[1]}"
    read -r got <&"${COPROC[0]}"
    [[ "$got" == *" stranger" ]] || wrong="$wrong; unpair answered $got"
    rm "$work/full/filler"
    echo "pair $CAT" >&"${COPROC[1]}"
    read -r got <&"${COPROC[0]}"
    [[ "$got" == *" trusted" ]] || wrong="$wrong; then answered $got"
    eval "exec ${COPROC[1]}>&-"
    wait
    now=$(state "$work/full")
    [[ "$now" == *"$CAT"* && "$now" == *"$BEN"* && "$now" != *"$ANN"* ]] \
        || wrong="$wrong; at last $now"
    ! ls "$work/full" | grep -q pn-tmp || wrong="$wrong; a temporary stayed"
    umount "$work/full"
    result "full/pair_at_$1_KiB" "$wrong"
}

if ! mount -t tmpfs -o size=64k tmpfs "$work/full" 2>/dev/null; then
    skip_all "no tmpfs to be had"
fi
umount "$work/full"
for kib in $(seq 0 64); do
    edit_full "$kib"
done
# The steps must have met both a disk with room and one without.
if [ "$n_new" -ge 5 ] && [ "$n_old" -ge 5 ]; then
    result "full/both_outcomes" ""
else
    result "full/both_outcomes" "$n_new done, $n_old refused"
fi

# A first start without room leaves nothing half made.
mount -t tmpfs -o size=4k,mode=700 tmpfs "$work/full"
head -c 4096 /dev/zero >"$work/full/filler" 2>/dev/null
wrong=""
! "$tool" "$work/full" init >/dev/null 2>"$work/err" || wrong="made an identity of nothing"
grep -q identity.keys "$work/err" || wrong="$wrong; $(cat "$work/err")"
[ ! -e "$work/full/identity.keys" ] || wrong="$wrong; half a key"
rm "$work/full/filler"
"$tool" "$work/full" init >/dev/null 2>"$work/err" || wrong="$wrong; $(cat "$work/err")"
result "full/first_start" "$wrong"
umount "$work/full"
finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: systemd takes the units, and finds the service well confined.
# Usage: units.sh PEERNET SOURCE_DIR UNIT...
set -u
peernet=$(realpath "$1")
source=$(realpath "$2")
shift 2
# shellcheck disable=SC2034 # tap.sh's
suite=units
# shellcheck source=tests/e2e/tap.sh
. "$(dirname "$0")/tap.sh"
if ! command -v systemd-analyze >/dev/null; then
    echo "1..0 # SKIP no systemd-analyze"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
explain() { cat "$work/log"; }

# The program is not installed where the units say, nor is its manual page.
mkdir "$work/system" "$work/user"
for unit; do
    to=$work/system/${unit##*/}
    [ "${unit##*/}" != peernet-user.service ] || to=$work/user/peernet.service
    sed "s#^\(Exec[A-Z][a-z]*\)=[^ ]*/peernet#\1=$peernet#" "$unit" >"$to"
done
verify() { # ARG...
    systemd-analyze verify --man=no --recursive-errors=no "$@" \
        >"$work/log" 2>&1 && [ ! -s "$work/log" ]
}
for unit in "$work"/system/*; do
    verify "$unit"
    ok $? "verify/${unit##*/}"
done
export XDG_RUNTIME_DIR=$work
verify --user "$work/user/peernet.service"
ok $? verify/user
sed 's/^ProtectHome=.*/ProtectHom=yes/' "$work/system/peernet.service" \
    >"$work/peernet.service"
! verify "$work/peernet.service"
ok $? verify/mistakes_are_seen

# exposure TENTHS UNIT: at most that.
exposure() {
    systemd-analyze security --offline=true --no-pager --threshold="$1" "$2" \
        >"$work/log" 2>&1
}
exposure 15 "$work/system/peernet.service"
ok $? exposure/at_most_1.5
sed '/^RestrictNamespaces\|^SystemCallFilter\|^CapabilityBoundingSet/d' \
    "$work/system/peernet.service" >"$work/peernet.service"
! exposure 15 "$work/peernet.service"
ok $? exposure/less_is_seen

if command -v systemd-sysusers >/dev/null; then
    mkdir -p "$work/root/etc"
    systemd-sysusers --root="$work/root" "$source/systemd/sysusers.conf" \
        >"$work/log" 2>&1 &&
        grep -q '^peernet:.*:/var/lib/peernet:' "$work/root/etc/passwd"
    ok $? sysusers
fi

done_testing

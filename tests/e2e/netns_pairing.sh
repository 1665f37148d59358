#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: two hosts that have never met, and their owners, from nothing to the first
# authorised call of a program: no key is typed, and y twice. A third host whose
# window is open at the same time is a choice, and one that only listens sees a port
# that goes with the window.
#
#   alice, bob and carol on one bridge, no default route.
# Usage: netns_pairing.sh PEERNET
# shellcheck disable=SC2154 # pid_NAME and port_NAME are set by start
peernet=$1
suite=netns_pairing
# shellcheck source=tests/e2e/netns_lib.sh
. "$(dirname "$0")/netns_lib.sh"
netns_enter "$0" "$@"
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"
netns_mount

setup() {
    netns_setup lan "alice bob carol" && link alice eth0 lan &&
        link bob eth0 lan && link carol eth0 lan &&
        in_host alice ip addr add 10.1.0.1/24 brd + dev eth0 &&
        in_host bob ip addr add 10.1.0.2/24 brd + dev eth0 &&
        in_host carol ip addr add 10.1.0.3/24 brd + dev eth0
}
setup 2>"$work/setup" || netns_skip "no network: $(head -n 1 "$work/setup")"

node() { # node NAME ARG...
    local name=$1
    shift
    start_by "$name" in_host "$name" "$peernet" -d "$work/$name" run \
        --no-linger --dnssd none "$@"
}

# owner NAME ARG...: runs pair; its terminal is a pipe, open for type.
owner() {
    local name=$1
    shift
    rm -f "$work/$name.in"
    mkfifo "$work/$name.in"
    : >"$work/$name.pair"
    in_host "$name" "$peernet" -d "$work/$name" pair "$@" <"$work/$name.in" \
        >"$work/$name.pair" 2>&1 &
    pids+=($!)
    printf -v "owner_$name" %s $!
    exec {fd}>"$work/$name.in"
    printf -v "fd_$name" %s "$fd"
}
type_in() { # type_in NAME TEXT
    local fd=fd_$1
    echo "$2" >&"${!fd}"
}
sees() { # sees NAME PATTERN
    grep -q -e "$2" "$work/$1.pair"
}
digits() {
    sed -n 's/^    \([0-9]* [0-9]*\)$/\1/p' "$work/$1.pair"
}
milliseconds() {
    date +%s%3N
}
calls() {
    run -d "$work/$1" call "$2" temperature nil
    [ "$status" -eq 0 ] && [ "$out" = 21.5 ]
}

printf '#!/bin/sh\necho 21.5\n' >"$work/read-sensor"
chmod +x "$work/read-sensor"

# ---- two hosts --------------------------------------------------------------------

node alice --expose temperature="$work/read-sensor" \
    --allow temperature=paired --own-label kitchen
ok $? alice_runs
node bob
ok $? bob_runs
begin=$(milliseconds)
owner alice
owner bob
until_true 20 sees alice 'y or n' && until_true 20 sees bob 'y or n'
ok $? digits_are_shown
[ -n "$(digits alice)" ] && [ "$(digits alice)" = "$(digits bob)" ]
ok $? the_same_at_both
type_in alice y
type_in bob y
wait "$owner_alice" && wait "$owner_bob"
ok $? both_are_paired
until_true 20 calls bob kitchen
ok $? first_call
echo "# from 'peernet pair' to the first answer: $(($(milliseconds) - begin)) ms"
! in_host alice ss -Hltn | grep -v ":$port_alice " | grep -q .
ok $? no_port_is_left

# ---- three ----------------------------------------------------------------------

owner alice --window 60
owner bob --window 60
owner carol --window 60
until_true 20 sees carol '^  2 '
ok $? carol_sees_both
grep -q '^  [12]  .*  10\.1\.0\.1:' "$work/carol.pair" &&
    grep -q '^  [12]  .*  10\.1\.0\.2:' "$work/carol.pair"
ok $? by_address
done_testing

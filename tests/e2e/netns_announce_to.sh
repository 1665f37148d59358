#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: hosts that no broadcast reaches hear each other when they are listed with
# --announce-to: on two networks with a router between them, and on one network
# whose switch passes broadcasts on to nobody. Hosts are network namespaces.
# Usage: netns_announce_to.sh PEERNET
# shellcheck disable=SC2154 # pid_NAME and port_NAME are set
peernet=$1
suite=netns_announce_to
here=$(dirname "$(realpath "$0")")
# shellcheck source=tests/e2e/netns_lib.sh
. "$here/netns_lib.sh"
netns_enter "$0" "$@"
# shellcheck source=tests/e2e/cli_lib.sh
. "$here/cli_lib.sh"
# shellcheck source=tests/e2e/dnssd_lib.sh
. "$here/dnssd_lib.sh" # for key, pair and calls
netns_mount

# a and c are in one network, b is in another, r routes.
setup() {
    netns_setup "one two" "a b c r" && link a eth0 one && link c eth0 one &&
        link r eth0 one && link b eth0 two &&
        ip link add two-r type veth peer name eth1 netns r &&
        ip link set two-r master two up && in_host r ip link set eth1 up &&
        in_host r sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward' &&
        in_host a ip addr add 10.1.0.1/24 brd + dev eth0 &&
        in_host c ip addr add 10.1.0.3/24 brd + dev eth0 &&
        in_host r ip addr add 10.1.0.9/24 brd + dev eth0 &&
        in_host b ip addr add 10.2.0.2/24 brd + dev eth0 &&
        in_host r ip addr add 10.2.0.9/24 brd + dev eth1 &&
        in_host a ip route add default via 10.1.0.9 &&
        in_host c ip route add default via 10.1.0.9 &&
        in_host b ip route add default via 10.2.0.9
}
setup 2>"$work/setup" ||
    netns_skip "no bridges or veth pairs: $(head -n 1 "$work/setup")"

on() { # on HOST NAME ARG...: a node that has nothing but announces
    local host=$1 name=$2
    shift 2
    start_by "$name" ip netns exec "$host" "$peernet" -d "$work/$name" run \
        --listen 0 --dnssd none --no-linger --announce-every 200 "$@"
}
pair alice bob
pair alice carol

# ---- another network --------------------------------------------------------------

on b bob --echo && on a alice
ok $? both_run
note bob
until_true 30 more bob 10 && ! heard alice 'peer-up  *bob' &&
    ! heard bob 'peer-up  *alice'
ok $? no_broadcast_passes_the_router

# bob names alice, and she does not name him: she heeds nothing from elsewhere.
stop bob
on b bob --echo --announce-to 10.1.0.1
note bob
until_true 30 more bob 10 && ! heard alice 'peer-up  *bob'
ok $? an_announce_of_another_network_is_not_heeded

stop alice
on a alice --announce-to 10.2.0.2,10.1.0.77
until_true 30 heard alice 'peer-up  *bob'
ok $? hosts_that_list_each_other_link
calls alice bob
ok $? they_call
"$peernet" --json -d "$work/alice" peers | grep -q '"rung":"udp"' ||
    "$peernet" --json -d "$work/bob" peers | grep -q '"rung":"udp"'
ok $? by_announces
stop alice
stop bob

# ---- a switch without broadcast -----------------------------------------------------

for host in a c; do
    ip link set "one-$host" type bridge_slave bcast_flood off
    mac=$(in_host $host cat /sys/class/net/eth0/address)
    [ $host = a ] && to=c at=10.1.0.1 || to=a at=10.1.0.3
    in_host $to ip neigh replace "$at" lladdr "$mac" dev eth0 nud permanent
done
on c carol --echo && on a alice
ok $? both_run_on_one_network
note carol
until_true 30 more carol 10 && ! heard alice 'peer-up  *carol' &&
    ! heard carol 'peer-up  *alice'
ok $? the_switch_drops_broadcasts
stop alice
on a alice --announce-to 10.1.0.3 # carol lists nobody
until_true 30 heard alice 'peer-up  *carol'
ok $? listed_by_one_is_enough_on_one_network
calls alice carol
ok $? they_call_as_well

# ---- misuse ----------------------------------------------------------------------------

for bad in nowhere ::1 10.1.0.1:99999; do
    run -d "$work/alice2" run --announce-to "$bad"
    expect 2 "announce_to" "bad_$bad"
done
run -d "$work/alice2" run --announce-to "$(seq -s, -f '10.1.0.%.0f' 1 9)"
expect 2 "at most" nine_are_refused

done_testing

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the program between hosts: nodes on a network find each other, call, refuse a
# stranger, and get their links back when a host dies, moves to another address or is
# unplugged; other links stay up. Hosts are network namespaces. home: alice, bob and
# mallory, who is not paired. lab: alice, by a second interface, and dave.
# Usage: netns_nodes.sh PEERNET
# shellcheck disable=SC2154 # pid_NAME and port_NAME are set by start
peernet=$1
suite=netns_nodes
# shellcheck source=tests/e2e/netns_lib.sh
. "$(dirname "$0")/netns_lib.sh"
netns_enter "$0" "$@"
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"
netns_mount

setup() {
    netns_setup "home lab" "alice bob mallory dave" &&
        link alice eth0 home && link bob eth0 home && link mallory eth0 home &&
        link alice eth1 lab && link dave eth0 lab
}
setup 2>"$work/setup" ||
    netns_skip "no bridges or veth pairs: $(head -n 1 "$work/setup")"
address() { # address HOST add|del INTERFACE ADDRESS
    case $4 in
    *:*) in_host "$1" ip addr "$2" "$4/64" dev "$3" nodad ;;
    *) in_host "$1" ip addr "$2" "$4/24" brd + dev "$3" ;;
    esac
}
address alice add eth0 10.1.0.1
address bob add eth0 10.1.0.2
address mallory add eth0 10.1.0.3
address alice add eth1 10.2.0.1
address dave add eth0 10.2.0.4
address alice add eth0 fd00:1::1
address bob add eth0 fd00:1::2

# on HOST ARG...: a command of the program on that host; sets out, err, status.
on() {
    local host=$1
    shift
    timeout "${limit:-60}" ip netns exec "$host" "$peernet" \
        -d "$work/$host" "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    out=$(cat "$work/out")
    err=$(cat "$work/err")
}
# node HOST ARG...: its node, in the background.
node() {
    local host=$1
    shift
    start_by "$host" ip netns exec "$host" "$peernet" -d "$work/$host" \
        run --announce-every 300 "$@"
}
count() { # count HOST PATTERN: how many lines its node has printed
    grep -c -e "$2" "$work/$1.out"
}
more_than() { # more_than N HOST PATTERN
    [ "$(count "$2" "$3")" -gt "$1" ]
}
calls() { # calls HOST PEER: it answers
    on "$1" call "$2" echo '{:ok, 1}' --wait 20000 && [ "$out" = "{:ok, 1}" ]
}

# ---- NET-1: they find each other --------------------------------------------------

for host in alice bob mallory dave; do
    declare "key_$host=$(key $host)"
done
on alice pair "$key_bob" --label bob
expect 0 "paired " NET-1_pair
on alice pair "$key_dave" --label dave
on bob pair "$key_alice" --label alice
on dave pair "$key_alice" --label alice
on mallory pair "$key_alice" --label alice
node alice --echo
ok $? NET-1_alice_runs
node bob --echo --chat --expose closed=/bin/cat \
    --allow closed="$key_dave"
ok $? NET-1_bob_runs
node dave --echo
until_true 15 heard alice 'peer-up  *bob'
ok $? NET-1_alice_finds_bob
until_true 15 heard alice 'peer-up  *dave'
ok $? NET-1_alice_finds_dave_on_the_other_network
on alice discover --seconds 1
expect 0 "10.1.0.2:" NET-1_discover
has "$out" "10.2.0.4:"
ok $? NET-1_discover_on_both_networks
on bob --json discover --seconds 1
has "$out" "$key_alice" && ! has "$out" "$key_dave"
ok $? NET-1_networks_are_apart
calls alice bob
ok $? NET-1_call
calls bob alice
ok $? NET-1_call_back
on alice send bob chat '%{text: "over the bridge"}'
until_true 20 heard bob 'alice: over the bridge'
ok $? NET-1_send
on alice call bob closed 1
expect 1 ":forbidden" NET-1_deny

# ---- NET-2: a stranger ----------------------------------------------------------------

own=(--discovery none --no-linger)
on mallory call alice echo 1 --at "10.1.0.1:$port_alice" --timeout 9000 \
    "${own[@]}"
expect 3 "probably not paired" NET-2_stranger_is_refused
until_true 20 heard alice 'denied .*: that key is not paired here'
ok $? NET-2_stranger_is_noticed
node mallory --discovery-address 10.1.0.255
on mallory call alice echo 1 --wait 3000
expect 3 "" NET-2_stranger_that_discovers_is_refused
stop mallory
! heard mallory 'peer-up .*' || ! heard alice 'peer-up .*mallory'
ok $? NET-2_stranger_has_no_link
calls alice bob
ok $? NET-2_others_do_not_notice

# ---- NET-3: addresses change while up --------------------------------------------------

ups=$(count alice 'peer-up  *bob')
address bob del eth0 10.1.0.2
until_true 10 heard bob 'peer-down  *alice .*this host lost the address'
ok $? NET-3_bob_drops_the_link_of_the_lost_address
address bob add eth0 10.1.0.22
until_true 20 more_than "$ups" alice 'peer-up  *bob'
ok $? NET-3_link_from_the_new_address
calls alice bob
ok $? NET-3_call_after_bob_has_moved
ups=$(count bob 'peer-up  *alice')
address alice del eth0 10.1.0.1
address alice add eth0 10.1.0.11
until_true 20 more_than "$ups" bob 'peer-up  *alice'
ok $? NET-3_link_after_alice_has_moved
calls bob alice
ok $? NET-3_call_after_alice_has_moved
heard alice 'network-changed'
ok $? NET-3_event
! heard alice 'peer-down  *dave .*this host lost the address'
ok $? NET-3_the_other_network_keeps_its_link
calls dave alice
ok $? NET-3_and_it_works

# ---- unplugged, and plugged in again ------------------------------------------------------

downs=$(count bob 'peer-down  *alice')
in_host bob ip link set eth0 down
until_true 10 more_than "$downs" bob 'peer-down  *alice'
ok $? unplugged_is_noticed
on bob call alice echo 1 --wait 300
expect 3 "no link" unplugged_call_fails_at_once
in_host bob ip link set eth0 up
address bob add eth0 fd00:1::2 # the kernel forgets it with the link
limit=60 calls bob alice
ok $? plugged_in_again_call

# ---- kill -9 ------------------------------------------------------------------------------------

downs=$(count alice 'peer-down  *bob')
kill -9 "$pid_bob"
wait "$pid_bob" 2>/dev/null
until_true 10 more_than "$downs" alice 'peer-down  *bob'
ok $? kill_9_is_noticed
ups=$(count alice 'peer-up  *bob')
node bob --echo --listen "$port_bob"
until_true 45 more_than "$ups" alice 'peer-up  *bob'
ok $? kill_9_link_comes_back
calls alice bob
ok $? kill_9_call

# ---- IPv6 -----------------------------------------------------------------------------------------

stop alice
on alice call bob echo '"global"' --at "[fd00:1::2]:$port_bob" "${own[@]}"
expect 0 '"global"' ipv6_call
local_address=$(in_host bob ip -6 -o addr show dev eth0 scope link |
    sed 's/.*inet6 \([^/]*\)\/.*/\1/' | head -n 1)
on alice call bob echo '"local"' --at "[$local_address%eth0]:$port_bob" \
    "${own[@]}"
expect 0 '"local"' ipv6_link_local_call

# ---- unpair ------------------------------------------------------------------------------------------

node alice
until_true 20 heard bob 'peer-up  *alice'
calls alice bob
ok $? unpair_linked_before
downs=$(count bob 'peer-down  *alice .*unpaired')
on bob unpair alice
expect 0 "unpaired " unpair
until_true 10 more_than "$downs" bob 'peer-down  *alice .*unpaired'
ok $? unpair_ends_the_link
on alice call bob echo 1 --wait 2000
expect 3 "" unpaired_is_a_stranger

done_testing

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a node of --quiet-on-new-networks falls silent when this host gets on
# another network: it announces nothing over UDP and withdraws its record of
# DNS-SD, says so, and goes on after `peernet announce`. A node without the
# option goes on by itself. Hosts are network namespaces: a and c are on one
# network from the start, b is on one that a joins later.
# Usage: netns_silence.sh PEERNET
# shellcheck disable=SC2154 # pid_NAME and port_NAME are set
peernet=$1
suite=netns_silence
# shellcheck source=tests/e2e/netns_lib.sh
. "$(dirname "$0")/netns_lib.sh"
netns_enter "$0" "$@"
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"
# shellcheck source=tests/e2e/dnssd_lib.sh
. "$(dirname "$0")/dnssd_lib.sh"
dnssd_tools
netns_mount

dnssd_hosts a c
for host in a c; do
    bus $host && daemon $host
    ok $? "daemon_$host"
done
second_network() {
    ip link add two type bridge && ip link set two up && ip netns add b &&
        in_host b ip link set lo up && link b eth0 two &&
        in_host b ip addr add 10.2.0.2/24 brd + dev eth0
}
second_network && until_true 20 dnssd_usable b && bus b && daemon b
ok $? daemon_b

status_of() {
    out=$("$peernet" --json -d "$work/$1" status)
}
is_silent() { # by each of its two sources
    status_of "$1"
    [ "$(grep -o '"announces":false,"silent":"new-network"' <<<"$out" |
        wc -l)" -eq 2 ]
}
is_announcing() {
    status_of "$1"
    [ "$(grep -o '"announces":true,"silent":null' <<<"$out" | wc -l)" -eq 2 ]
}
# hears HOST PORT NAME: an announce of that node over UDP is heard there.
hears() {
    "$peernet" -d "$work/listener" id >/dev/null
    out=$(ip netns exec "$1" "$peernet" --json -d "$work/listener" discover \
        --seconds 3 --dnssd none --discovery-port "$2")
    has "$out" "$(key "$3")"
}

# ---- on the network of the start --------------------------------------------------

node a alice auto --announce-every 200 --quiet-on-new-networks --echo
ok $? alice_runs
udp_alice=$udp
node a other auto --announce-every 200
ok $? other_runs
udp_other=$udp
until_true 30 is_announcing alice
ok $? alice_announces
until_true 30 sees c alice && until_true 30 sees c other
ok $? both_have_records
note alice
until_true 60 more alice 10
ok $? alice_announces_over_udp
pair carol alice
start_by carol ip netns exec c "$peernet" -d "$work/carol" run --listen 0 \
    --discovery-port "$udp_alice" --dnssd none
until_true 30 heard carol 'peer-up  *alice'
ok $? carol_is_linked

# ---- another network --------------------------------------------------------------

link a eth1 two && in_host a ip addr add 10.2.0.1/24 brd + dev eth1
ok $? a_joins_another_network
until_true 60 is_silent alice
ok $? alice_is_silent
until_true 60 sees_not c alice
ok $? record_is_withdrawn
until_true 60 sees b other
ok $? without_the_option_the_record_is_on_both
until_true 60 sees c other
ok $? without_the_option_the_record_stays
sees_not b alice
ok $? no_record_on_the_new_network

# The node without the option measures the time.
note other
until_true 60 more other 5
ok $? without_the_option_announces_go_on
note alice
note other
until_true 120 more other 20
[ "$(announces alice)" -eq "$before_alice" ]
ok $? no_announce_is_sent
until_true 60 hears b "$udp_other" other
ok $? without_the_option_it_is_heard_on_the_new_network
! hears b "$udp_alice" alice
ok $? nothing_is_heard_on_the_new_network
run -d "$work/alice" status
expect 0 "is silent since the network changed" status_says_why
run -d "$work/other" status
expect 0 "udp port $udp_other: announces and hears" status_of_the_other
[ "$(grep -c "'peernet announce'" "$work/alice.err")" -eq 1 ] &&
    ! grep -q "'peernet announce'" "$work/other.err"
ok $? log_says_so_once
calls carol alice
ok $? link_stays

# ---- until its owner says so --------------------------------------------------------

note alice
run -d "$work/alice" announce
expect 0 "announcing by udp, dns-sd" announce
is_announcing alice
ok $? alice_announces_again
until_true 60 more alice 10
ok $? announces_are_sent_again
until_true 60 sees c alice
ok $? record_is_back
until_true 60 sees b alice
ok $? record_is_on_the_new_network
until_true 60 hears b "$udp_alice" alice
ok $? heard_on_the_new_network

in_host a ip addr add 10.3.0.1/24 brd + dev eth1
until_true 60 is_silent alice
ok $? silent_again_at_the_next_change
until_true 60 sees_not c alice
ok $? record_is_withdrawn_again
[ "$(grep -c "'peernet announce'" "$work/alice.err")" -eq 2 ]
ok $? log_says_so_again
run --json -d "$work/alice" announce
expect 0 '"ok":true' announce_json
has "$out" '"sources":[{"source":"udp"},{"source":"dns-sd"}]' && is_announcing alice
ok $? announce_json_sources
run -d "$work/alice" announce
expect 0 "announcing by" announce_of_one_that_is_not_silent

# ---- nothing to announce --------------------------------------------------------------

stop alice
stop other
run -d "$work/alice" announce
expect 3 "no node runs" no_node
start_by mute ip netns exec a "$peernet" -d "$work/mute" run --listen 0 \
    --discovery none
run -d "$work/mute" announce
expect 2 "no discovery source" no_source
stop mute
stop carol

done_testing

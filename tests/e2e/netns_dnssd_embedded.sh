#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: nodes on hosts without an Avahi daemon find each other through the helper
# process. A daemon's programs see them, a daemon on the same host is not
# disturbed, a helper that dies is started again, and a daemon that appears takes
# over. Hosts are network namespaces on one bridge; c has a daemon.
# Usage: netns_dnssd_embedded.sh PEERNET HELPER
# shellcheck disable=SC2154 # pid_NAME, port_NAME and daemon_NAME are set
peernet=$1
PEERNET_MDNS_HELPER=$(realpath "$2")
export PEERNET_MDNS_HELPER
suite=netns_dnssd_embedded
# shellcheck source=tests/e2e/netns_lib.sh
. "$(dirname "$0")/netns_lib.sh"
netns_enter "$0" "$@"
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"
# shellcheck source=tests/e2e/dnssd_lib.sh
. "$(dirname "$0")/dnssd_lib.sh"
dnssd_tools
netns_mount

dnssd_hosts a b c

# ---- two hosts without a daemon ----------------------------------------------

pair alice bob
node a alice embedded --echo
ok $? alice_runs
node b bob embedded --echo --no-linger --own-label hall --publish-label
ok $? bob_runs
until_true 40 heard alice 'peer-up  *bob'
ok $? alice_finds_bob
calls alice bob
ok $? call
grep -q 'discovered .*dns-sd' "$work/alice.out" "$work/bob.out"
ok $? source_is_named

# ---- a daemon beside them, and on the same host ---------------------------------

bus c && daemon c
ok $? daemon_c
until_true 40 sees c alice
ok $? avahi_browse_sees_alice
record=$(grep '^=;eth0;IPv4;peernet-' <<<"$out" | grep "pk=$(key alice)")
has "$record" ";peernet-$(key alice);" && has "$record" ";10.1.0.1;$port_alice;" &&
    has "$record" ";peernet-$(key alice).local;"
ok $? record_is_the_documented_one
node c carol embedded --echo
pair alice carol
until_true 40 heard carol 'peer-up  *alice'
ok $? helper_beside_a_daemon
until_true 40 sees c bob
has "$(grep "pk=$(key bob)" <<<"$out")" '"n=hall"'
ok $? avahi_browse_sees_the_label
until_true 40 says carol bob hall
ok $? published_label_is_discovered
! grep -qi 'conflict' "$work/bus.c/avahi.log"
ok $? daemon_keeps_its_name

# ---- a helper dies ------------------------------------------------------------------

helper_of() { # helper_of NAME: the process id of its helper
    local pid=pid_$1
    pgrep -P "${!pid}" peernet-mdns
}
first=$(helper_of alice)
kill -9 "$first"
other_helper() {
    now=$(helper_of alice) && [ "$now" != "$first" ]
}
until_true 20 other_helper
ok $? helper_is_started_again
calls alice bob
ok $? helper_killed_link_stays
stop bob
until_true 30 sees_not c bob
ok $? record_is_withdrawn_at_leave
node b bob embedded --echo --no-linger
until_true 40 heard bob 'peer-up  *alice'
ok $? helper_again_found

helper=$(helper_of bob)
kill -9 "$pid_bob"
gone() {
    ! kill -0 "$helper" 2>/dev/null
}
until_true 20 gone
ok $? helper_ends_with_its_node
until_true 30 sees_not c bob
ok $? record_of_a_killed_node_is_withdrawn
stop carol

# ---- a daemon appears ------------------------------------------------------------------

bus b
node b dora auto --echo --no-linger
pair dora alice
ok $? auto_runs
until_true 40 heard dora 'peer-up  *alice'
ok $? auto_uses_the_helper
helper=$(helper_of dora)
[ -n "$helper" ] && daemon b
ok $? auto_daemon_appears
until_true 20 gone
ok $? auto_helper_leaves
by_daemon() {
    sees c dora && grep '^=' <<<"$out" | grep "pk=$(key dora)" |
        grep -q ';host-b.local;'
}
until_true 40 by_daemon
ok $? auto_daemon_publishes
! has "$out" "#2"
ok $? auto_without_a_conflict
ticks() { # processor time of dora's node, in hundredths of a second
    sed 's/.*) //' "/proc/$pid_dora/stat" | awk '{ print $12 + $13 }'
}
# An idle node takes one or two in five seconds; one that spins takes what a busy
# machine leaves it, which is more than a twentieth.
idle() {
    local before
    before=$(ticks)
    sleep 5
    [ $(($(ticks) - before)) -lt 25 ]
}
until_true 60 idle
ok $? auto_is_idle_after_the_hand_over
kill -9 "$daemon_b"
wait "$daemon_b" 2>/dev/null
has_helper() {
    helper_of dora >/dev/null
}
until_true 60 has_helper
ok $? auto_helper_again
stop dora

# ---- another address ------------------------------------------------------------------------

# The helper is told of it, and looks without being told each 5 minutes only.
in_host a ip addr del 10.1.0.1/24 dev eth0 &&
    in_host a ip addr add 10.1.0.11/24 brd + dev eth0
ok $? address_changes
moved() {
    sees c alice && grep '^=;eth0;IPv4;' <<<"$out" | grep "pk=$(key alice)" |
        grep -q ';10.1.0.11;'
}
until_true 20 moved
ok $? record_follows

# ---- without a helper ----------------------------------------------------------------------

export PEERNET_MDNS_HELPER=/nowhere
run -d "$work/none" run --dnssd embedded --discovery none --listen 0
expect 4 "the helper /nowhere cannot be run" no_helper_embedded_says_so
on=(ip netns exec a env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere)
start_by quiet "${on[@]}" "$peernet" -d "$work/quiet" run --listen 0
stop quiet
! [ -s "$work/quiet.err" ]
ok $? no_helper_auto_is_silent
stop alice

done_testing

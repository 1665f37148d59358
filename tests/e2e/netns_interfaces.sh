#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: peers are looked for on the interfaces that --interface names, and without
# it on none of a container or tunnel: nothing is announced there, and nothing that
# comes by them is heeded. By announces, and by DNS-SD where a helper is given.
#
# Hosts are network namespaces: a is in b's network by eth0 and in c's by docker0,
# where its default route leads.
# Usage: netns_interfaces.sh PEERNET [HELPER]
# shellcheck disable=SC2154 # pid_NAME and port_NAME are set
peernet=$1
suite=netns_interfaces
here=$(dirname "$(realpath "$0")")
if [ -n "${2-}" ]; then
    PEERNET_MDNS_HELPER=$(realpath "$2")
    export PEERNET_MDNS_HELPER
fi
# shellcheck source=tests/e2e/netns_lib.sh
. "$here/netns_lib.sh"
netns_enter "$0" "$@"
# shellcheck source=tests/e2e/cli_lib.sh
. "$here/cli_lib.sh"
# shellcheck source=tests/e2e/dnssd_lib.sh
. "$here/dnssd_lib.sh" # for key and pair
netns_mount

setup() {
    netns_setup "one two" "a b c" && link a eth0 one && link b eth0 one &&
        link a docker0 two && link c eth0 two &&
        in_host a ip addr add 10.1.0.1/24 brd + dev eth0 &&
        in_host b ip addr add 10.1.0.2/24 brd + dev eth0 &&
        in_host a ip addr add 10.2.0.1/24 brd + dev docker0 &&
        in_host c ip addr add 10.2.0.3/24 brd + dev eth0 &&
        in_host a ip route add default via 10.2.0.3
}
setup 2>"$work/setup" ||
    netns_skip "no bridges or veth pairs: $(head -n 1 "$work/setup")"

on() { # on HOST NAME ARG...
    local host=$1 name=$2
    shift 2
    start_by "$name" ip netns exec "$host" "$peernet" -d "$work/$name" run \
        --listen 0 --no-linger --announce-every 200 "$@"
}
# have_announced NAME...: ten more than so far.
have_announced() {
    local name
    for name in "$@"; do
        note "$name"
        until_true 30 more "$name" 10 || return 1
    done
}
publishes() { # publishes NAME: by DNS-SD
    "$peernet" --json -d "$work/$1" status |
        grep -q '"source":"dns-sd","running":true,"announces":true'
}
linked() {
    heard alice "peer-up  *$1" || heard "$1" 'peer-up  *alice'
}

pair alice bob
pair alice carol

# forget: where they were reached before.
forget() {
    rm -f "$work"/*/addresses "$work"/*/addresses.bak
}

# ---- announces --------------------------------------------------------------------

on b bob --dnssd none && on c carol --dnssd none && on a alice --dnssd none
ok $? all_run
until_true 30 linked bob
ok $? default_uses_eth0
have_announced carol alice && ! linked carol
ok $? default_leaves_docker0_out
stop alice
forget
on a alice --dnssd none --interface docker0
until_true 30 linked carol
ok $? named_docker0_is_used
have_announced bob alice && ! heard alice 'peer-up  *bob'
ok $? eth0_is_left_out_when_another_is_named
stop alice
stop bob
stop carol
forget
on b bob --dnssd none && on c carol --dnssd none &&
    on a alice --dnssd none --interface docker0 --interface eth0,none0
until_true 30 linked bob && until_true 30 linked carol
ok $? both_are_used_when_both_are_named
stop alice
stop bob
stop carol
forget
in_host a ip addr flush dev eth0
in_host a ip addr add 10.1.0.1/24 brd + dev eth0 label eth0:1
on b bob --dnssd none && on a alice --dnssd none --interface eth0
until_true 30 linked bob
ok $? address_with_a_label_belongs_to_its_interface
stop alice
stop bob

# ---- DNS-SD ------------------------------------------------------------------------

if [ -n "${PEERNET_MDNS_HELPER-}" ]; then
    on() {
        local host=$1 name=$2
        shift 2
        start_by "$name" ip netns exec "$host" "$peernet" -d "$work/$name" run \
            --listen 0 --no-linger --discovery none --dnssd embedded "$@"
    }
    forget
    on b bob && on c carol && on a alice
    until_true 60 linked bob
    ok $? dnssd_default_uses_eth0
    until_true 60 publishes carol && until_true 60 publishes alice
    ok $? dnssd_runs_on_both_sides
    sleep 2
    ! linked carol
    ok $? dnssd_default_leaves_docker0_out
    stop alice
    stop bob
    forget
    on b bob && on a alice --interface docker0
    until_true 60 linked carol
    ok $? dnssd_named_docker0_is_used
    ! linked bob
    ok $? dnssd_leaves_eth0_out_when_another_is_named
    stop alice
fi

# ---- misuse ------------------------------------------------------------------------

for bad in 'eth0,' ',eth0' a234567890123456; do
    run -d "$work/dave" run --interface "$bad"
    expect 2 "interfaces" "bad_$bad"
done

done_testing

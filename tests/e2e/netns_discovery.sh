#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Goal: hosts on a network find each other by broadcast, whatever broadcast
# gets through, and notice when their own addresses change.
#
# Three hosts, each a network namespace: a and b on one bridge, a and c on
# another. Nothing leaves the namespace this script makes for itself.
# $1 is discovery_tool.
set -u
tool=$1

# shellcheck source=tests/e2e/netns_lib.sh
. "$(dirname "$0")/netns_lib.sh"
netns_enter "$0" "$@"

n=0
failed=0
# shellcheck disable=SC2317 # these are called by check
heard() { # heard HOST TEXT
    grep -q "^$2" "$dir/out.$1"
}
# shellcheck disable=SC2317
not_heard() {
    ! heard "$@"
}
# shellcheck disable=SC2317
changes() { # changes HOST N: it has noticed so many
    [ "$(grep -c '^changed' "$dir/out.$1")" -ge "$2" ]
}
wait_for() { # wait_for COMMAND...: until it is so, for 10 s
    for _ in $(seq 100); do
        "$@" 2>/dev/null && return
        sleep 0.1
    done
}
check() { # check NAME COMMAND...: one test
    name=$1
    shift
    n=$((n + 1))
    if "$@"; then
        echo "ok $n - netns_discovery/$name"
    else
        failed=1
        echo "not ok $n - netns_discovery/$name"
        sed 's/^/# /' "$dir"/out.* 2>/dev/null
    fi
}

netns_mount
dir=$(mktemp -d /run/netns_discovery.XXXXXX)
setup() {
    netns_setup "br0 br1" "a b c" &&
        link a eth0 br0 && link b eth0 br0 && link a eth1 br1 && link c eth0 br1
}
setup 2>"$dir/setup" ||
    netns_skip "no bridges or veth pairs: $(head -n 1 "$dir/setup")"
in_host a ip addr add 10.1.0.1/24 brd + dev eth0
in_host b ip addr add 10.1.0.2/24 brd + dev eth0
in_host a ip addr add 10.2.0.1/24 brd + dev eth1
in_host c ip addr add 10.2.0.3/24 brd + dev eth0
# Let what is forged in: it is ours to refuse.
in_host b sh -c 'echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
    echo 0 >/proc/sys/net/ipv4/conf/eth0/rp_filter'

run_all() { # all three for $1 seconds; sets pids
    rm -f "$dir"/out.*
    pids=
    for host in a b c; do
        ip netns exec $host "$tool" watch $host "$1" >"$dir/out.$host" 2>&1 &
        pids="$pids $!"
    done
}

# 1. By each interface's broadcast address; without a default route the
#    limited broadcast cannot leave.
run_all 3
wait
check "NET-5 per interface: a hears b" heard a "found b at 10.1.0.2:7100"
check "NET-5 per interface: b hears a" heard b "found a at 10.1.0.1:7100"
check "NET-5 second interface: c hears a" heard c "found a at 10.2.0.1:7100"
check "NET-5 second interface: a hears c" heard a "found c at 10.2.0.3:7100"
check "b and c are strangers" not_heard b "found c"
check "own announces are not found" not_heard a "found a"
check "limited broadcast needs a route" \
    grep -q "out_failed [1-9]" "$dir/out.b"

# 2. By the limited broadcast alone: addresses without a broadcast address,
#    and a default route.
for host in a b; do
    in_host $host ip addr flush dev eth0
done
in_host a ip addr add 10.1.0.1/24 dev eth0
in_host b ip addr add 10.1.0.2/24 dev eth0
in_host a ip route add default dev eth0
in_host b ip route add default dev eth0
run_all 3
wait
check "limited: a hears b" heard a "found b at 10.1.0.2:7100"
check "limited: b hears a" heard b "found a at 10.1.0.1:7100"
check "limited: nothing failed" grep -q "out_failed 0" "$dir/out.b"

# 3. A source that is not of this network is dropped (T15, NET-5), a true one
#    heard.
in_host a ip addr add 172.16.9.9/32 dev eth0
run_all 5
wait_for heard b "found a"
in_host a "$tool" forge 172.16.9.9 255.255.255.255
in_host a "$tool" forge 10.1.0.1 255.255.255.255
wait
check "NET-5 off link: dropped" not_heard b "found x at 172.16.9.9"
check "NET-5 off link: counted" grep -q "off_link 1 " "$dir/out.b"
check "NET-5 on link: heard" heard b "found x at 10.1.0.1:7100"
in_host a ip addr del 172.16.9.9/32 dev eth0

# 4. Changes of this host's network are noticed, those of others are not.
run_all 12
wait_for heard b "found a"
wait_for heard c "found a"
in_host b ip addr del 10.1.0.2/24 dev eth0
wait_for changes b 1
in_host b ip addr add 10.1.0.22/24 brd + dev eth0
in_host c ip link set eth0 down
wait_for changes b 2
wait_for heard c changed
wait_for heard a "found b at 10.1.0.22:7100"
# shellcheck disable=SC2086 # one word each
kill $pids
wait
check "network: an address goes and one comes" changes b 2
check "network: an interface goes down" heard c changed
check "network: announces go on from the new address" \
    heard a "found b at 10.1.0.22:7100"

# 5. An address of IPv6 counts when it can be used: the kernel first asks whether another
#    host has it, for a second or more.
is_tentative() {
    [ -n "$(in_host b ip -6 addr show dev eth0 tentative)" ]
}
run_all 30
sleep 0.5
in_host b ip addr add fd00:1::5/64 dev eth0
was_tentative=no
is_tentative && was_tentative=yes
wait_for heard b changed
if [ $was_tentative = yes ]; then
    check "network: a tentative address is none yet" eval "! is_tentative"
fi
check "network: an address of IPv6 comes" heard b changed
# shellcheck disable=SC2086 # one word each
kill $pids
wait

# 6. A network of two has no broadcast address (RFC 3021).
for host in a b; do
    in_host $host ip route del default dev eth0 2>/dev/null
    in_host $host ip addr flush dev eth0
done
in_host a ip addr add 10.3.0.0/31 dev eth0
in_host b ip addr add 10.3.0.1/31 dev eth0
run_all 3
wait
check "a network of two: a hears b" heard a "found b at 10.3.0.1:7100"
check "a network of two: b hears a" heard b "found a at 10.3.0.0:7100"

echo "1..$n"
exit $failed

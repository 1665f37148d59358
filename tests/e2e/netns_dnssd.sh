#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: nodes find each other by DNS-SD alone, over the Avahi daemons of their
# hosts; Avahi's own programs see them and reach them; a daemon that ends,
# returns or hangs harms no node. Hosts are network namespaces on one bridge:
# a, b and c have IPv4 and IPv6; six and seven have IPv6 link-local addresses
# only.
# Usage: netns_dnssd.sh PEERNET
# shellcheck disable=SC2154 # pid_NAME, port_NAME and daemon_NAME are set
peernet=$1
suite=netns_dnssd
# shellcheck source=tests/e2e/netns_lib.sh
. "$(dirname "$0")/netns_lib.sh"
netns_enter "$0" "$@"
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"
# shellcheck source=tests/e2e/dnssd_lib.sh
. "$(dirname "$0")/dnssd_lib.sh"
dnssd_tools
netns_mount

dnssd_hosts a b c six seven
ip netns add guest && in_host guest ip link set lo up
in_host six ip -4 addr flush dev eth0
in_host seven ip -4 addr flush dev eth0
for host in a b c six seven; do
    bus $host && daemon $host
    ok $? "daemon_$host"
done

# ---- two nodes ---------------------------------------------------------------

pair alice bob
node a alice avahi --echo --own-label kitchen
ok $? alice_runs
node b bob avahi --echo --own-label hall --publish-label
ok $? bob_runs
until_true 30 heard alice 'peer-up  *bob'
ok $? alice_finds_bob
calls alice bob
ok $? call
calls bob alice
ok $? call_back
grep -q 'discovered .*dns-sd' "$work/alice.out" "$work/bob.out"
ok $? source_is_named
! [ -s "$work/alice.err" ] && ! [ -s "$work/bob.err" ]
ok $? nothing_is_warned_of

# ---- an interface of containers ---------------------------------------------

# guest is behind docker0 of a, with a daemon that the bridge reaches.
in_host a ip link add docker0 type veth peer name eth0 netns guest
in_host a ip link set docker0 up
in_host guest ip link set eth0 up
in_host a ip addr add 10.9.0.1/24 brd + dev docker0
in_host guest ip addr add 10.9.0.2/24 brd + dev eth0
bus guest && daemon guest
ok $? daemon_behind_a_bridge
until_true 40 grep -q 'docker0.IPv4' "$work/bus.a/avahi.log"
ok $? daemon_uses_the_bridge
browse guest >"$work/guest" # every answer there is, before the next line
until_true 30 sees c alice
! grep -q "pk=$(key alice)" "$work/guest" && sees_not guest alice
ok $? bridge_has_no_record

shows() { # shows HOST NAME GREP_ARG...: the TXT of that node's record matches
    local host=$1 name=$2 found
    shift 2
    found=$(browse "$host" | grep "pk=$(key "$name")")
    [ -n "$found" ] && grep -q "$@" <<<"$found"
}

# ---- Avahi's own programs ------------------------------------------------------

until_true 30 sees c alice
ok $? avahi_browse_sees_alice
until_true 30 sees c bob
ok $? avahi_browse_sees_bob
until_true 30 sees c alice
record=$(grep '^=;eth0;IPv4;peernet-' <<<"$out" | grep "pk=$(key alice)")
has "$record" ";peernet-$(key alice);" && has "$record" ";_peernet._tcp;" &&
    has "$record" ";$port_alice;" && has "$record" '"v=1"' &&
    ! has "$record" '"n='
ok $? record_is_the_documented_one
# A label is for linked peers, unless the owner wants it published.
has "$(grep "pk=$(key bob)" <<<"$out")" '"n=hall"'
ok $? label_is_published_when_asked
run -d "$work/bob" label attic
has "$out" attic && until_true 30 shows c bob '"n=attic"'
ok $? published_label_follows
run -d "$work/bob" status --json
has "$out" '"published_label":"attic"'
ok $? published_label_in_status
run -d "$work/bob" label --none
until_true 30 shows c bob -v '"n='
ok $? published_label_is_withdrawn
run -d "$work/alice" label larder
[ $status -eq 0 ] && sees c alice && shows c alice -v '"n='
ok $? label_that_is_not_published_stays_so
run -d "$work/alice2" run --publish-label
expect 2 "own-label" publish_label_needs_a_label

# A node without DNS-SD, whose record another program publishes.
"$peernet" -d "$work/carol" id >/dev/null
pair alice carol
start_by carol ip netns exec c "$peernet" -d "$work/carol" run --discovery none \
    --dnssd none --listen 0 --echo
ok $? carol_runs
with_bus c
"${on[@]}" avahi-publish -s somebody _peernet._tcp "$port_carol" \
    "pk=$(key carol)" v=1 more=1 >"$work/publish" 2>&1 &
publish=$!
pids+=("$publish")
until_true 30 heard alice 'peer-up  *carol'
ok $? avahi_publish_reaches_alice
calls alice carol
ok $? avahi_publish_call
kill $publish
wait $publish 2>/dev/null
until_true 20 heard alice 'lost .*dns-sd'
ok $? avahi_publish_ends_is_lost
calls alice carol
ok $? lost_leaves_the_link
stop carol

# ---- labels ---------------------------------------------------------------------

# Who is not paired is shown what a node publishes of itself, and nothing that a
# terminal would obey.
node c eve avahi
run -d "$work/bob" label hall
until_true 30 says eve bob hall
ok $? published_label_is_discovered
eve_hears() { # into eve.json: everybody whom eve hears, alice too
    "$peernet" -d "$work/eve" --json discover -s 1 >"$work/eve.json"
    grep -q "\"key\":\"$(key alice)\"" "$work/eve.json"
}
until_true 30 eve_hears && ! grep -q larder "$work/eve.json"
ok $? own_label_is_not
grep "\"key\":\"$(key bob)\"" "$work/eve.json" |
    grep '"label":null' | grep -q '"published_label":"hall"'
ok $? published_label_json
grep "\"key\":\"$(key alice)\"" "$work/eve.json" |
    grep -q '"published_label":null'
ok $? published_label_json_none
publish_as() { # publish_as NAME LABEL: a record of its key, by another program
    "$peernet" -d "$work/$1" id >/dev/null
    with_bus b
    "${on[@]}" avahi-publish -s "$1" _peernet._tcp 7100 v=1 "pk=$(key "$1")" \
        "n=$2" >"$work/publish.$1" 2>&1 &
    forgers+=($!)
    pids+=($!)
}
forgers=()
publish_as bidi $'hall\342\200\256llih'
publish_as escape $'\033[2Jhall'
until_true 30 says eve bidi 'hall\xE2\x80\xAEllih'
ok $? published_label_is_escaped
has_no_label() {
    out=$("$peernet" -d "$work/eve" discover -s 1 2>&1)
    grep -q "^- .*$(fingerprint escape)" <<<"$out"
}
until_true 30 has_no_label
ok $? published_label_with_control_is_none
"$peernet" -d "$work/eve" --json discover -s 1 >>"$work/eve.json"
! LC_ALL=C grep -q $'\342\200\256\|\033' "$work/eve.json" <(echo "$out")
ok $? published_label_never_raw
kill "${forgers[@]}"
wait "${forgers[@]}" 2>/dev/null
stop eve

# ---- two nodes on one host -------------------------------------------------------

pair alice neighbour
node a neighbour avahi --echo
until_true 30 heard neighbour 'peer-up  *alice'
ok $? two_nodes_on_one_host
calls neighbour alice
ok $? two_nodes_on_one_host_call
until_true 20 sees c neighbour && sees c alice
ok $? two_nodes_on_one_host_two_records
stop neighbour
until_true 20 sees_not c neighbour
ok $? record_is_withdrawn_at_leave
sees c alice
ok $? record_of_the_other_stays

# ---- a daemon ends and returns -----------------------------------------------------

kill -9 "$daemon_a"
wait "$daemon_a" 2>/dev/null
calls alice bob
ok $? daemon_killed_link_stays
daemon a
ok $? daemon_again
stop bob
node b bob avahi --echo --no-linger
until_true 40 heard bob 'peer-up  *alice'
ok $? daemon_again_found
until_true 20 sees a alice
ok $? daemon_again_published

kill -9 "$bus_a" "$daemon_a"
wait "$bus_a" "$daemon_a" 2>/dev/null
bus a && daemon a
ok $? bus_again
until_true 40 sees c alice
ok $? bus_again_published

# ---- a daemon that hangs --------------------------------------------------------------

ends_soon() { # ends_soon NAME: an orderly end within 2 s
    local name=pid_$1 begin
    begin=$(date +%s%N)
    kill -INT "${!name}"
    wait "${!name}"
    status=$?
    took=$((($(date +%s%N) - begin) / 1000000))
    out="ended after $took ms"
    [ $status -eq 0 ] && [ $took -lt $((2000 * ${PN_TEST_SLOW:-1})) ]
}
kill -STOP "$daemon_b"
ends_soon bob
ok $? daemon_stopped_node_ends
node b bob avahi --echo --no-linger
ok $? daemon_stopped_node_starts
ends_soon bob
ok $? daemon_stopped_new_node_ends
kill -CONT "$daemon_b"
stop alice

# ---- without a daemon, and without a bus ------------------------------------------------

kill "$daemon_c"
wait "$daemon_c" 2>/dev/null
node c waits avahi --echo --no-linger
pair waits alice
ok $? no_daemon_node_runs
node a alice avahi --echo --no-linger
daemon c
until_true 40 heard waits 'peer-up  *alice'
ok $? daemon_that_comes_later
ends_soon waits
ok $? no_daemon_node_ends
start_by quiet env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere "$peernet" \
    -d "$work/quiet" run --listen 0
ok $? no_bus_node_runs
ends_soon quiet && ! [ -s "$work/quiet.err" ]
ok $? no_bus_is_silent
stop alice

# ---- IPv6 only -----------------------------------------------------------------------------

pair v6a v6b
node six v6a avahi --echo
node seven v6b avahi --echo
until_true 30 heard v6b 'peer-up  *v6a'
ok $? ipv6_only
calls v6b v6a
ok $? ipv6_only_call
grep -q 'discovered .*fe80::.*%eth0' "$work/v6a.out" "$work/v6b.out"
ok $? ipv6_link_local_keeps_its_scope
stop v6a
stop v6b

done_testing

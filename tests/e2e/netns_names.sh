#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: names of hosts, with the system's resolver and a table of hosts of our own:
# every address of a name is tried, whether the first refuses or is silent, and errors
# name what cannot be reached or looked up.
#
# Everything is on one host, a network namespace without a name server.
# 2001:db8:: leads to a host that is gone: its system answers nothing, not even
# that it is not there.
# Usage: netns_names.sh PEERNET
# shellcheck disable=SC2154 # pid_NAME and port_NAME are set by start
peernet=$1
suite=netns_names
# shellcheck source=tests/e2e/netns_lib.sh
. "$(dirname "$0")/netns_lib.sh"
netns_enter "$0" "$@"
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"
netns_mount

# A name of 253 bytes, which is as long as they get.
label=$(printf 'l%.0s' {1..62})
long=$label.$label.$label.$(printf 'x%.0s' {1..59}).test
cat >"$work/hosts" <<EOF
::1 localhost both.test refused.test
127.0.0.1 localhost both.test refused.test gone.test half.test $long
127.0.0.2 refused.test
2001:db8::9 gone.test
2001:db8::8 gone.test
2001:db8::7 gone.test
2001:db8:1::1 half.test
EOF
echo "hosts: files" >"$work/nsswitch"
: >"$work/gai"
place() { # place FILE ETC: in its place, if there is one
    [ ! -e "/etc/$2" ] || mount --bind "$work/$1" "/etc/$2"
}
# No link-local addresses: they become usable a second or two later, which is a
# change of the network, and each dials again.
setup() {
    ip link set lo up && [ -e /etc/hosts ] && [ -e /etc/nsswitch.conf ] &&
        place hosts hosts && place nsswitch nsswitch.conf && place gai gai.conf &&
        ip link add v0 type veth peer name v1 &&
        ip link set v0 addrgenmode none && ip link set v1 addrgenmode none &&
        ip link set v0 up && ip link set v1 up &&
        ip addr add 192.0.2.1/24 dev v0 &&
        ip addr add 2001:db8::1/64 dev v0 nodad || return 1
    for host in 7 8 9; do
        ip neigh add "2001:db8::$host" lladdr 02:00:00:00:00:09 dev v0 \
            nud permanent || return 1
    done
}
setup 2>"$work/setup" ||
    netns_skip "no table of hosts of our own: $(head -n 1 "$work/setup")"
is_last() { # is_last NAME ADDRESS: in the resolver's order
    [ "$(getent ahosts "$1" | sed -n '$s/ .*//p')" = "$2" ]
}
if ! is_last both.test 127.0.0.1 || ! is_last gone.test 127.0.0.1; then
    netns_skip "the resolver does not put IPv6 first"
fi

own=(--discovery none --no-linger)
a() { run -d "$work/alice" "$@"; }
alice=$(key alice)
bob=$(key bob)
"$peernet" -d "$work/alice" pair "$bob" --label bob >/dev/null
"$peernet" -d "$work/bob" pair "$alice" --label alice >/dev/null
start bob --listen 127.0.0.1:0 --discovery none --echo
ok $? bob_listens_on_ipv4_only

# ---- a command of its own ------------------------------------------------------------

for name in localhost both.test; do
    a call bob echo "\"$name\"" --at "$name:$port_bob" "${own[@]}"
    expect 0 "\"$name\"" "at_${name}_whose_first_address_refuses"
done
since=${EPOCHREALTIME/[.,]/}
a call bob echo '"gone"' --at "gone.test:$port_bob" "${own[@]}" --wait 60000
expect 0 '"gone"' at_a_name_whose_first_addresses_are_silent
[ $((${EPOCHREALTIME/[.,]/} - since)) -ge 750000 ]
ok $? three_that_are_silent_take_250_ms_each
a send bob echo 1 --at "$long:$port_bob" "${own[@]}"
expect 0 "" at_a_name_of_253_bytes
a call bob echo 1 --at refused.test:1 "${own[@]}"
expect 3 "no link to the peer at [::1]:1, 127.0.0." all_addresses_refuse
has "$err" " or 127.0.0." && has "$err" ": the host refuses the connection"
ok $? all_addresses_refuse_is_said
a --json call bob echo 1 --at refused.test:1 "${own[@]}"
expect 3 '"reason":"connection-refused"' all_addresses_refuse_in_json
a call bob echo 1 --at half.test:1 "${own[@]}"
[ "$status" -eq 3 ] && has "$err" "[2001:db8:1::1]:1" &&
    has "$err" "127.0.0.1:1" && has "$err" " or "
ok $? one_address_is_out_of_reach_the_other_refuses
for name in nobody.test "${long/llll/nobo}"; do
    a call bob echo 1 --at "$name:1" "${own[@]}"
    expect 3 "cannot look up ${name:0:40}" "unknown_name_of_${#name}_bytes"
done

# ---- a name given at pairing ------------------------------------------------------------

# met NAME HOST: a node that knows bob by this name of his host, and nothing else,
# has a link to him.
met() {
    rm -f "$work/alice/addresses" "$work/alice/addresses.bak"
    a pair "$bob" --address "$2:$port_bob"
    start alice --discovery none --no-linger
    until_true 30 heard alice 'peer-up  *bob'
    ok $? "$1"
    a metrics
    has "$out" "
peernet_dials_total 1
"
    ok $? "$1_in_one_dial"
    a --json peers
    expect 0 '"rung":"name"' "$1_is_the_rung"
    stop alice
    a --json peers
    expect 0 "\"$2:$port_bob\"" "$1_is_kept"
}
met paired_at_a_name_whose_first_addresses_are_silent gone.test
met paired_at_localhost localhost
met paired_at_a_name_of_253_bytes "$long"

# ---- an interface without a usable address ---------------------------------------------

# Such is one whose addresses are all tentative. The kernel would take the link-local
# address of another, ask for the neighbour with it, which nobody can answer, and
# count the neighbour as dead for three seconds.
wire() {
    ip link add w0 type veth peer name w1 && ip link set w0 addrgenmode none &&
        ip link set w1 addrgenmode none && ip link set w0 up && ip link set w1 up &&
        ip addr del 2001:db8::1/64 dev v0 && ip addr add fe80::5/64 dev v0 nodad &&
        ip -6 route add fd00:9::/64 dev w0
}
wire
ok $? wire
a pair "$(key carol)" --label carol
a call carol echo 1 --at '[fd00:9::9]:1' "${own[@]}"
expect 3 "no way to the host" no_usable_address
[ -z "$(ip -6 neigh show fd00:9::9)" ]
ok $? no_usable_address_asks_for_no_neighbour

done_testing

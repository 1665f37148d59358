#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: programs that nobody here wrote find our records and are found: those of
# python3-zeroconf, in both directions, against a node that uses the Avahi daemon
# and one that uses the helper process. Hosts are network namespaces on one
# bridge: a has a daemon, b and d have none.
# An Elixir application finds them, too, with the module of examples/elixir.
# With NODE_MODULES, the folder of npm's bonjour-service, that takes the place of
# zeroconf; Debian has no package of it (`make bonjour`).
# Usage: netns_dnssd_clients.sh PEERNET HELPER BEAM_BUILD_FOLDER
# shellcheck disable=SC2154 # pid_NAME and port_NAME are set
peernet=$1
PEERNET_MDNS_HELPER=$(realpath "$2")
beam=$(realpath "$3")
export PEERNET_MDNS_HELPER
suite=netns_dnssd_clients
here=$(dirname "$(realpath "$0")")
# shellcheck source=tests/e2e/netns_lib.sh
. "$here/netns_lib.sh"
netns_enter "$0" "$@"
# shellcheck source=tests/e2e/cli_lib.sh
. "$here/cli_lib.sh"
# shellcheck source=tests/e2e/dnssd_lib.sh
. "$here/dnssd_lib.sh"
dnssd_tools
# client: what the rows are called, and its command.
if [ -n "${NODE_MODULES-}" ]; then
    client=bonjour
    js=(env "NODE_PATH=$(realpath "$NODE_MODULES")" node)
    command=("${js[@]}" "$here/dnssd_bonjour.js")
    "${js[@]}" -e 'require("bonjour-service")' || exit
else # Debian's package is for Debian's Python
    client=zeroconf
    command=(/usr/bin/python3 "$here/dnssd_zeroconf.py")
    /usr/bin/python3 -c 'import zeroconf' 2>/dev/null ||
        netns_skip "no python3-zeroconf: tools/deps installs it"
fi
netns_mount

dnssd_hosts a b d
in_host d ip route add 224.0.0.0/4 dev eth0
bus a && daemon a
ok $? daemon_a

# client NAME ARG...: on host d, until end_input NAME.
client() {
    local name=$1
    shift
    mkfifo "$work/$name.in"
    exec {fd}<>"$work/$name.in"
    printf -v "fd_$name" %s "$fd"
    ip netns exec d "${command[@]}" "$@" \
        <"$work/$name.in" >"$work/$name.out" 2>"$work/$name.err" {fd}>&- &
    pids+=($!)
    printf -v "pid_$name" %s $!
    until_true 30 heard "$name" '^ready'
}

pair alice carol
pair bob carol
node a alice avahi --echo
ok $? alice_runs
node b bob embedded --echo
ok $? bob_runs

# ---- it finds us ---------------------------------------------------------------

client browser browse
ok $? ${client}_browses
until_true 40 heard browser "^found $(key alice) 10.1.0.1:$port_alice peernet-"
ok $? ${client}_finds_the_daemons_record
until_true 40 heard browser "^found $(key bob) 10.1.0.2:$port_bob peernet-"
ok $? ${client}_finds_the_helpers_record
! heard browser '^bad'
ok $? ${client}_understands_every_record

# ---- we find it ----------------------------------------------------------------

start_by carol ip netns exec d "$peernet" -d "$work/carol" run \
    --discovery none --dnssd none --listen 0 --echo
ok $? carol_runs
client publisher publish 10.1.0.3 "$port_carol" "$(key carol)"
ok $? ${client}_publishes
until_true 40 heard alice 'peer-up  *carol'
ok $? ${client}_reaches_a_node_with_a_daemon
until_true 40 heard bob 'peer-up  *carol'
ok $? ${client}_reaches_a_node_with_the_helper
calls alice carol && calls bob carol
ok $? ${client}_calls

# ---- an Elixir application ---------------------------------------------------------

room() { # room NAME KEY: on host d, with the module of examples/elixir
    mkfifo "$work/$1.in"
    exec {fd}<>"$work/$1.in"
    printf -v "fd_$1" %s "$fd"
    HOME=$work ip netns exec d elixir -pa "$3/peer_ebin" -pa "$3/facade_ebin" \
        "$here/dnssd_peer.exs" "$here/../../examples/elixir/dns_sd.ex" \
        "$work/$1" "$2" <"$work/$1.in" >"$work/$1.out" 2>"$work/$1.err" {fd}>&- &
    pids+=($!)
    until_true 60 heard "$1" '^key '
}
for name in alice bob; do
    room "room_$name" "$(key $name)" "$beam"
    ok $? elixir_runs_for_$name
    "$peernet" -d "$work/$name" pair \
        "$(sed -n 's/^key //p' "$work/room_$name.out")" --label room >/dev/null
    until_true 60 heard "room_$name" '^linked'
    ok $? elixir_finds_$name
    until_true 20 heard "room_$name" '^echo: {:ok, "found by DNS-SD"}'
    ok $? elixir_calls_$name
    fd=fd_room_$name
    echo >&"${!fd}"
    until_true 20 heard "room_$name" '^stopped'
    ok $? elixir_stops_for_$name
done

# ---- leaving ---------------------------------------------------------------------

stop alice
until_true 40 heard browser "^lost peernet-$(key alice)"
ok $? ${client}_loses_the_daemons_record
stop bob
until_true 40 heard browser "^lost peernet-$(key bob)"
ok $? ${client}_loses_the_helpers_record

done_testing

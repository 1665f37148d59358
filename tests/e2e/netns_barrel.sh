#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: our own client against our own server over QUIC between hosts: with
# loss and reordering, when addresses change, when nothing comes any more, and
# with strangers who forge, damage and invent datagrams (T16, T33, NET-6).
#
# Hosts are network namespaces on one bridge. Between client and server sits
# relay where a case wants it; mallory sends what victim is said to have sent.
# Usage: netns_barrel.sh BARREL_PEER UDP_TOOL
# shellcheck disable=SC2154 # pid_NAME and port_NAME are set by node
peernet=$1
udp_tool=$(realpath "$2")
suite=netns_barrel
# shellcheck source=tests/e2e/netns_lib.sh
. "$(dirname "$0")/netns_lib.sh"
netns_enter "$0" "$@"
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"
netns_mount

hosts="server client relay mallory victim"
setup() {
    netns_setup lan "$hosts" || return 1
    for host in $hosts; do
        link "$host" eth0 lan || return 1
    done
}
setup 2>"$work/setup" ||
    netns_skip "no bridges or veth pairs: $(head -n 1 "$work/setup")"
address() { # address HOST add|del ADDRESS
    case $3 in
    *:*) in_host "$1" ip addr "$2" "$3/64" dev eth0 nodad ;;
    *) in_host "$1" ip addr "$2" "$3/24" brd + dev eth0 ;;
    esac
}
address server add 10.1.0.1
address client add 10.1.0.2
address relay add 10.1.0.9
address mallory add 10.1.0.66
address victim add 10.1.0.77
address server add fd00:1::1
address client add fd00:1::2
# An address that relay claims and nobody has.
in_host relay sh -c 'echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter'

# ---- processes that are told what to do ---------------------------------------------

declare -A asked
# begin NAME COMMAND...: in the background, commands by a pipe.
begin() {
    local name=$1
    shift
    rm -f "$work/$name.in" "$work/$name.out"
    mkfifo "$work/$name.in"
    asked[$name]=0
    exec {fd}<>"$work/$name.in"
    "$@" <"$work/$name.in" >"$work/$name.out" 2>"$work/$name.err" &
    pids+=($!)
    printf -v "pid_$name" %s $!
    printf -v "fd_$name" %s "$fd"
    until_true 20 heard "$name" '^ready'
}
# ask NAME COMMAND [SECONDS]: sets out to the answer.
ask() {
    local fd=fd_$1 seq=$((asked[$1] + 1))
    asked[$1]=$seq
    err=
    echo "$2" >&"${!fd}"
    until_true "${3:-30}" heard "$1" "^= $seq "
    status=$?
    out=$(sed -n "s/^= $seq //p" "$work/$1.out")
    [ $status -eq 0 ] || err="no answer to $2: $(tail -n 3 "$work/$1.out" \
        "$work/$1.err")"
}
# told NAME COMMAND PART TEST [SECONDS]: the answer has PART.
told() {
    ask "$1" "$2" "${5-}"
    has "$out" "$3"
    ok $? "$4"
}
# finish NAME: an orderly end, with nothing lost and no complaint.
finish() {
    local pid=pid_$1 name=fd_$1
    local fd=${!name}
    echo quit >&"$fd"
    wait "${!pid}" && ! [ -s "$work/$1.err" ]
    status=$?
    exec {fd}>&-
    out=$(tail -n 3 "$work/$1.out" "$work/$1.err")
    return $status
}
alive() {
    kill -0 "$1" 2>/dev/null
}
# number TEXT WORD: the number behind a word.
number() {
    echo " $1" | sed -n "s/.* $2 \([0-9]*\).*/\1/p"
}

# node HOST NAME ARG...: a node there; ADDRESS and PORT by $listen.
node() {
    local host=$1 name=$2
    shift 2
    begin "$name" ip netns exec "$host" "$peernet" run "$name@test" \
        "$work/d/$name" "${listen:-::}" 9100 "$@" &&
        printf -v "port_$name" %s "$(sed -n 's/^ready //p' "$work/$name.out")"
}
key() {
    "$peernet" key "$work/d/$1"
}
pin() { # pin AT WHOM
    "$peernet" pin "$work/d/$1" "$2@test" "$(key "$2")"
}
mkdir "$work/d"

# server_with ARG...: the server again, with other limits.
server_with() {
    node server server "grant=$key_client" "$@"
}
# client_at ADDRESS ARG...: the client again, that finds the server there.
client_at() {
    local where=$1
    shift
    node client client "server@test=$where" "$@"
}
relay=10.1.0.9:9000
key_server=$(key server)
key_client=$(key client)
[ ${#key_server} -eq 52 ] && [ ${#key_client} -eq 52 ] && pin server client &&
    pin client server
ok $? keys

# ---- two hosts ----------------------------------------------------------------------

server_with
ok $? server_runs
client_at 10.1.0.1:9100
ok $? client_runs
told client "connect server@test 10000" "success" connect
told client "calls server@test 1000 50" "1000 right: success" calls 60
told client "sends server@test 1000" "1000 came, 0 wrong: success" sends_in_order 60
told client "big server@test 3145728" "success" large
told client metrics "out 1 ok 0 failed, in 0 ok 0 failed, up 1" client_metrics
told server metrics "in 1 ok 0 failed, up 1, retries 0." server_metrics
finish client
ok $? client_ends

client_at '[fd00:1::1]:9100'
told client "connect server@test 10000" "success" ipv6_connect
told client "calls server@test 300 20" "300 right: success" ipv6_calls 60
told client nodes "fd00:1::1" ipv6_address
finish client
ok $? ipv6_client_ends

# ---- loss, delay, reordering -------------------------------------------------------

begin relay ip netns exec relay "$udp_tool" relay 10.1.0.9 9000 10.1.0.1 9100 1
ok $? relay_runs
for how in "loss 10" "delay 20" "reorder 25" "dup 2"; do
    ask relay "$how"
done
client_at $relay
told client "connect server@test 20000" "success" lossy_connect
told client "calls server@test 300 20" "300 right: success" lossy_calls 60
told client "sends server@test 300" "300 came, 0 wrong: success" lossy_order 60
told client "big server@test 3145728" "success" lossy_large 60
ask relay stats
[ "$(number "${out#*lost}" lost)" -gt 20 ]
ok $? lossy_was_lossy
ask relay mend
told client metrics "out 1 ok 0 failed, in 0 ok 0 failed, up 1" lossy_one_link

# ---- addresses change: the connection stays ----------------------------------------

told server nodes "client@test 10.1.0.9:" moved_before
before=$out
ask relay rebind
told client "calls server@test 100 10" "100 right: success" rebound_calls
ask server nodes
[ "$out" != "$before" ] && has "$out" "client@test 10.1.0.9:"
ok $? rebound_is_noticed
told server metrics "in 3 ok 0 failed, up 1" rebound_is_no_new_link
! heard client '^down' && ! heard client '^failed'
ok $? rebound_stays_up
finish client
ok $? rebound_client_ends

client_at 10.1.0.1:9100
told client "connect server@test 10000" "success" moved_connect
address client del 10.1.0.2
sleep 0.3
address client add 10.1.0.22
told client "calls server@test 100 10" "100 right: success" moved_calls
told server nodes "client@test 10.1.0.22:9100" moved_is_noticed
told server metrics "in 4 ok 0 failed, up 1" moved_is_no_new_link
told client metrics "out 1 ok 0 failed" moved_authenticates_once
! heard client '^down' && ! heard client '^failed'
ok $? moved_stays_up
address client del 10.1.0.22
address client add 10.1.0.2
told client "calls server@test 100 10" "100 right: success" moved_back_calls
finish client
ok $? moved_client_ends

done_testing

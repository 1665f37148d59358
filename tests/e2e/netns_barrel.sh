#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: our own client against our own server over QUIC between hosts: with loss and
# reordering, when addresses change, when the network is cut, and with strangers that
# forge, damage and invent datagrams (T16, T33, NET-6).
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
# An address that relay claims and no host has.
in_host relay sh -c 'echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter'

# ---- processes driven by commands ---------------------------------------------------

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
# tell NAME COMMAND: does not wait.
tell() {
    local fd=fd_$1
    asked[$1]=$((asked[$1] + 1))
    echo "$2" >&"${!fd}"
}
# ask NAME COMMAND [SECONDS]: sets out to the answer.
ask() {
    tell "$1" "$2"
    answer "$@"
}
answer() { # of what it was told last
    local seq=${asked[$1]}
    err=
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

# node HOST NAME ARG...: a node there, listening on $listen.
node() {
    local host=$1 name=$2
    shift 2
    begin "$name" ip netns exec "$host" "$peernet" run "$name@test" \
        "$work/d/$name" :: "${listen:-9100}" "$@"
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
told client "big server@test 3145728" "success" lossy_large 150
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

# ---- a move forged by an attacker on the path ----------------------------------------
# An attacker on the path sends the client's datagrams from another address. That
# address gets at most three times the bytes that came from it, until it answers.

begin sink ip netns exec victim "$udp_tool" sink
ok $? sink_runs
got() { # got LOW HIGH: how much victim has got at these ports
    ask sink "stats $1 $2"
    got=$(echo "$out" | sed 's/ .*//')
}
at_most() { # at_most BYTES LOW HIGH NAME: victim has got so much, and something
    got "$2" "$3"
    err="at most $1"
    [ "$got" -gt 0 ] && [ "$got" -le "$1" ]
    ok $? "$4"
}
client_at $relay "grant=$key_server"
told client "connect server@test 10000" "success" spoofed_move_connect
ask server metrics
before=$(number "$out" in)
ask relay "spoof 10.1.0.77 30000"
tell server "big client@test 1000000"
tell client "calls server@test 20 20"
some_came() {
    got 30000 30000
    [ "$got" -gt 0 ]
}
until_true 30 some_came
sleep 2
got 30000 30000
ask relay stats # after it: what is carried meanwhile may be answered later
[ "$got" -gt 0 ] && [ "$got" -le $((3 * $(number "$out" carried))) ]
ok $? spoofed_move_3x
ask relay rebind
# Who has heard nothing all this while asks at longer and longer intervals.
answer server "" 90
has "$out" success
ok $? spoofed_move_large_arrives
answer client "" 90
has "$out" "20 right: success"
ok $? spoofed_move_calls_arrive
told server metrics "in $before ok 0 failed, up 1" spoofed_move_one_link
finish client
ok $? spoofed_move_client_ends

# ---- forged strangers: T16 ------------------------------------------------------------
# Initials of our own client, each as if from a port of victim of its own.

initials=$work/initials
begin capture ip netns exec mallory "$udp_tool" initials "$initials" 120 \
    10.1.0.66 7000
node mallory mallory connect_timeout_ms=600000 \
    $(seq -f "%gi@test=10.1.0.66:7000" 60) \
    $(seq -f "%gj@test=10.1.0.66:7000" 60)
ask mallory "dial i@test 60"
ask mallory "dial j@test 60"
until_true 10 heard capture "^written 120"
ok $? initials
kill -9 "$pid_mallory"
wait "$pid_mallory" 2>/dev/null
for name in s1 s10 s100 s0; do
    key $name >/dev/null
    pin $name client
    pin client $name
done
listen=9101 node server s1
listen=9102 node server s10
listen=9103 node server s100 "grant=$key_client"
listen=9104 node server s0 "grant=$key_client"
replay() { # replay SKIP N TIMES SOURCE PORT TO-PORT
    in_host mallory "$udp_tool" replay "$initials" "$1" "$2" "$3" "$4" "$5" \
        10.1.0.1 "$6" >"$work/replayed" || echo failed
}
replay 0 1 1 10.1.0.77 20000 9101
replay 1 10 1 10.1.0.77 21000 9102
replay 11 100 1 10.1.0.77 22000 9103
# The same connection again and again, and one of another's.
replay 111 1 50 10.1.0.77 23000 9101
replay 112 1 1 10.1.0.66 24000 9102
replay 112 1 3 10.1.0.77 24000 9102
node client client s100@test=10.1.0.1:9103 s0@test=10.1.0.1:9104
told client "connect s100@test 10000" "success" flooded_client_gets_in
ask s100 metrics
[ "$(number "$out" retries)" -eq 85 ] # 84 of the 100 and the client
ok $? flooded_retries
told client "calls s100@test 100 10" "100 right: success" flooded_calls
spoofed=$SECONDS

# ---- garbage, while the handshakes of the others run out ---------------------------------

# garbage KIND N: sets out to what came of it.
garbage() {
    out=$(in_host mallory "$udp_tool" garbage "$1" "$2" 7 10.1.0.66 10.1.0.1 \
        9104 "$initials")
}
silent() { # silent KIND N: nothing is answered
    garbage "$1" "$2"
    has "$out" "got 0 0,"
    ok $? "garbage_$1"
}
silent cut 600
silent short-version 300
silent damaged 15
silent tiny 42
# More of them than may begin in a second have to prove their address first.
garbage damaged 120
has "$out" "versions 0 " && has "$out" "resets 0 longs 0 " &&
    [ "$(number "$out" retries)" -ge 60 ] # a slow machine takes over a second
ok $? garbage_damaged_many
# Before those that use up what strangers are answered in a second.
garbage version 50
has "$out" "versions 50 retries 0 resets 0 longs 0 longest 27."
ok $? garbage_version
garbage random 500 # two ids of 255 bytes come back in a list of versions
has "$out" "retries 0 " && has "$out" "longs 0 " &&
    [ "$(number "$out" longest)" -le 600 ]
ok $? garbage_random
sleep 1
garbage short 400
has "$out" "versions 0 retries 0 " && has "$out" "longs 0 " &&
    has "$out" "longest 43."
ok $? garbage_short
garbage token 10
has "$out" "versions 0 " && has "$out" "resets 0 " &&
    [ "$(echo "$out" | sed 's/.*got [0-9]* \([0-9]*\),.*/\1/')" -le 36000 ]
ok $? garbage_token
alive "$pid_s0"
ok $? garbage_server_is_there
told client "connect s0@test 10000" "success" garbage_client_gets_in
told client "calls s0@test 100 10" "100 right: success" garbage_calls
finish client
ok $? garbage_client_ends
finish s0
ok $? garbage_server_ends

# Their handshakes have ended, and said so to victim or not.
while [ $SECONDS -lt $((spoofed + 13)) ]; do sleep 0.2; done
at_most 3600 20000 20000 spoofed_1
at_most 36000 21000 21009 spoofed_10
at_most 360000 22000 22099 spoofed_100
err="in what victim got"
[ "$(number "$out" most)" -le 3600 ] && has "$out" "retries 84."
ok $? spoofed_100_each
at_most 180000 23000 23000 spoofed_again
got 24000 24000
[ "$got" -le 10800 ]
ok $? spoofed_connection_of_another

# Callers that never finished are forgotten: no caller needs a token any more.
node client client s100@test=10.1.0.1:9103
told client "connect s100@test 10000" "success" forgotten_connect
told s100 metrics "retries 85." forgotten_half_open
finish client
ok $? forgotten_client_ends
for name in s1 s10 s100; do
    finish $name
    ok $? spoofed_${name}_ends
done

# ---- nothing comes any more --------------------------------------------------------------

finish server
ok $? server_ends
server_with keep_alive_ms=300 dead_after_ms=4000
ask relay cut
client_at $relay connect_timeout_ms=4000 auth_timeout_ms=3000 \
    keep_alive_ms=300 dead_after_ms=4000
before=$SECONDS
ask client "connect server@test 10000"
has "$out" "10.1.0.9:9000" || has "$out" "4000 ms"
ok $? black_hole_sentence
[ $((SECONDS - before)) -le 8 ]
ok $? black_hole_in_time
ask relay mend
told client "connect server@test 10000" "success" black_hole_ends
ask relay cut
until_true 15 heard client '^down server@test' &&
    until_true 15 heard server '^down client@test'
ok $? dead_link_is_noticed_by_both
ask relay mend
told client "calls server@test 20 5" "20 right: success" dead_link_comes_back

finish client
ok $? dead_link_client_ends

# ---- kill -9 -----------------------------------------------------------------------------------
# A peer of the former run gets a stateless reset, long before a silent link counts as
# dead.

client_at 10.1.0.1:9100 keep_alive_ms=300
told client "connect server@test 10000" "success" kill_9_connect
kill -9 "$pid_server"
wait "$pid_server" 2>/dev/null
server_with
ok $? kill_9_runs_again
until_true 5 heard client '^down server@test'
ok $? kill_9_is_noticed
told client "calls server@test 20 5" "20 right: success" kill_9_next_call
finish client
ok $? kill_9_client_ends

# ---- no other family of links: T33 ---------------------------------------------------------------

tcp_dials() { # by anybody on client, ever
    in_host client awk '$1 == "Tcp:" && $6 ~ /^[0-9]+$/ { print $6 }' \
        /proc/net/snmp
}
key stranger >/dev/null
pin stranger server
key fooled >/dev/null
"$peernet" pin "$work/d/fooled" server@test "$key_client"
"$peernet" pin "$work/d/server" fooled@test "$(key fooled)"
node client stranger server@test=10.1.0.1:9100
told stranger "connect server@test 10000" \
    "our key is not pinned there" refused_there
sleep 1
finish stranger
node client fooled server@test=10.1.0.1:9100
told fooled "connect server@test 10000" \
    "another key is pinned here" refused_here
sleep 1
finish fooled
[ "$(tcp_dials)" -eq 0 ]
ok $? no_other_family_is_tried
# Would it have been noticed?
in_host client bash -c 'exec 3<>/dev/tcp/10.1.0.1/9100' 2>/dev/null
[ "$(tcp_dials)" -eq 1 ]
ok $? another_would_be_noticed
told server metrics " 2 failed" refused_are_counted
finish server
ok $? server_ends_at_last

done_testing

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: `peernet doctor NODE@HOST` names what is in the way to a node of an Erlang
# cluster: each fault alone, on loopback.
# Usage: cli_doctor_node.sh PEERNET DAY_OFF
# shellcheck disable=SC2154 # pid_NAME is set by start_by
peernet=$1
day_off=$(realpath "$2")
suite=cli/doctor_node
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"

umask 077
echo secret >"$work/cookie"
echo other >"$work/cookie2"
quiet=(--listen 127.0.0.1:0 --discovery none --no-linger --dnssd none)
for who in a b c; do
    "$peernet" -d "$work/$who" barrel id --out "$work/$who.pub" >/dev/null
done
pin() { # pin AT NODE KEY
    "$peernet" -d "$work/$1" barrel unpin "$2" >/dev/null 2>&1
    "$peernet" -d "$work/$1" barrel trust "$2" "$work/$3.pub" >/dev/null
}
start_by b "$peernet" -d "$work/b" run "${quiet[@]}" --barrel b@localhost:0 \
    --barrel-listen 127.0.0.1 --dns-port 0 --cookie-file "$work/cookie"
ok $? node_runs
port=$(sed -n 's/^ready .* barrel [^ ]* port //p' "$work/b.out")

# ask [ARG...]: doctor about b@localhost; $at, $cookie and $under (a command that runs
# it) say how. Sets out, err, status.
ask() {
    timeout 90 "${under[@]}" "$peernet" -d "$work/a" doctor b@localhost \
        --as a@localhost --cookie-file "$work/$cookie" --dns-port 0 \
        ${at:+--node "b@localhost=$at"} "$@" \
        >"$work/out" 2>"$work/err" </dev/null
    status=$?
    out=$(cat "$work/out") err=$(cat "$work/err")
}
# named FAULT VERDICT STEP NEXT: doctor names it, at that step, and says what to do; the
# steps before it are well, and the others are not said. People read no names.
named() {
    ask --json
    [ "$status" -eq 3 ] && [ "$(grep -c '"verdict"' "$work/out")" -eq 1 ] &&
        has "$out" "\"step\":\"$3\",\"result\":\"failed\"" &&
        has "$out" "\"verdict\":\"$2\"" && has "$out" "\"next\":\"$4\"}"
    ok $? "$1"
    ask
    [ "$status" -eq 3 ] && has "$out" "next:    $4" && ! has "$out" "${2%?}?" &&
        ! has "$out" "$2 "
    ok $? "$1/text"
}
at=127.0.0.1:$port
cookie=cookie
under=()

pin a b@localhost b
pin b a@localhost a
ask --json
[ "$status" -eq 0 ] && ! has "$out" '"verdict"'
ok $? healthy
for step in data clock node address udp protocol pin pin-there cookie \
    distribution ping; do
    has "$out" "\"step\":\"$step\",\"result\":\"ok\""
    ok $? "healthy_walks/$step"
done
cookie=cookie2
named cookie_differs 'cookie-differs?' cookie "give both nodes the same cookie"
cookie=cookie
under=(env "LD_PRELOAD=$day_off")
named clock_a_day_off clock-differs clock \
    "set both clocks, for example with NTP"
never=$((60 - $(date +%s)))
under=(env "LD_PRELOAD=$day_off" "CLOCK_OFF=$never")
ask --json
[ "$status" -eq 3 ] && has "$out" '"seen":"it is 1970-01-01 00:01:' &&
    has "$out" '"verdict":"clock-wrong"' &&
    has "$out" '"step":"clock","result":"failed"' &&
    has "$out" '"verdict":"clock-differs"'
ok $? clock_never_set
under=()
at=127.0.0.1:1
named nothing_listens connection-refused udp \
    "start it there, or give its port with '--node NAME@HOST=HOST:PORT'"
at=127.0.0.1:$port
pin a b@localhost c
named pin_differs key-mismatch pin "compare 'peernet barrel id' there with \
'peernet barrel pins' here; replace the pin with 'peernet barrel unpin' and \
'peernet barrel trust'"
"$peernet" -d "$work/a" barrel unpin b@localhost >/dev/null
named not_pinned untrusted-peer pin \
    "pin it with 'peernet barrel trust NAME@HOST KEYFILE'"
pin a b@localhost b
there="run 'peernet barrel trust' there with our name and the file that \
'peernet barrel id --out FILE' writes here"
pin b a@localhost c
named pin_differs_there 'not-paired-there?' pin-there "$there"
"$peernet" -d "$work/b" barrel unpin a@localhost >/dev/null
named not_pinned_there 'not-paired-there?' pin-there "$there"
pin b a@localhost a

# A node that was copied with its key: the other end closes without a word.
mkdir "$work/copy"
cp -r "$work/a/barrel" "$work/copy/"
start_by copy "$peernet" -d "$work/copy" run "${quiet[@]}" \
    --barrel b@localhost:0 --barrel-listen 127.0.0.1 --dns-port 0 \
    --cookie-file "$work/cookie" --no-dial
at=127.0.0.1:$(sed -n 's/^ready .* barrel [^ ]* port //p' "$work/copy.out")
named our_own_key peer-closed pin-there "look at the other node's log"
stop copy

# UDP ports that take what comes: one says nothing, one something else.
python3 -c 'import socket
quiet, talks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in "ab"]
for s in quiet, talks:
    s.bind(("127.0.0.1", 0))
print(quiet.getsockname()[1], talks.getsockname()[1], flush=True)
while True:
    talks.sendto(b"no QUIC", talks.recvfrom(2000)[1])' >"$work/ports" &
pids+=($!)
until_true 20 grep -q . "$work/ports"
read -r quiet_port talks_port <"$work/ports"
drops="start it there, and allow incoming UDP on its port, 9100 unless it was \
changed"
at=127.0.0.1:$quiet_port
named udp_is_dropped connect-timeout udp "$drops"
at=127.0.0.1:$talks_port
named no_quic connect-timeout udp "$drops"
at=127.0.0.1:$port
kill -STOP "$pid_b"
named node_is_stopped connect-timeout udp "$drops"
kill -CONT "$pid_b"
at=
named address_unknown unreachable address "start the node there, or give its \
address with '--node NAME@HOST=HOST:PORT'"

run -d "$work/a" doctor b@localhost --as a@localhost --at 127.0.0.1:1 \
    --cookie-file "$work/cookie"
expect 2 "expected no '--handle' and no '--at'" at_is_for_peers

done_testing

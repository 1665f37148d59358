#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: `peernet doctor` names what is in the way. Each fault is planted alone, between
# hosts that are network namespaces on one bridge, and both forms of the output are
# looked at: the verdict's name in JSON, and sentences for people.
# Usage: netns_doctor.sh PEERNET DAY_OFF
# shellcheck disable=SC2154 # pid_NAME and port_NAME are set by start
peernet=$1
day_off=$(realpath "$2")
suite=netns_doctor
# shellcheck source=tests/e2e/netns_lib.sh
. "$(dirname "$0")/netns_lib.sh"
netns_enter "$0" "$@"
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"
# shellcheck source=tests/e2e/dnssd_lib.sh
. "$(dirname "$0")/dnssd_lib.sh" # its "node" is not that of this script
netns_mount
command -v nft >/dev/null || netns_skip "no nft to drop packets with"
command -v ethtool >/dev/null || netns_skip "no ethtool for the offloads of veth"

setup() {
    netns_setup home "alice bob carol" && link alice eth0 home &&
        link bob eth0 home && link carol eth0 home &&
        in_host alice ethtool -K eth0 tso off gso off &&
        in_host bob ethtool -K eth0 tso off gso off &&
        in_host alice nft add table inet t && in_host alice nft delete table inet t
}
setup >"$work/setup" 2>&1 ||
    netns_skip "no bridges, veth pairs or nftables: $(head -n 1 "$work/setup")"

# ---- hosts, nodes, and how a fault is planted and taken back ------------------------

number() {
    case $1 in
    alice) echo 1 ;;
    bob) echo 2 ;;
    *) echo 3 ;;
    esac
}
addressed() { # addressed HOST: with its usual address
    in_host "$1" ip addr flush dev eth0
    in_host "$1" sysctl -q net.ipv6.conf.eth0.disable_ipv6=1 2>/dev/null
    in_host "$1" ip link set eth0 up
    in_host "$1" ip addr add "10.1.0.$(number "$1")/24" brd + dev eth0
}
# on HOST ARG...: a command of the program on that host, run by $under; sets out, err,
# status.
under=()
on() {
    local host=$1
    shift
    timeout 120 ip netns exec "$host" "${under[@]}" "$peernet" -d "$work/$host" "$@" \
        >"$work/out" 2>"$work/err" </dev/null
    status=$?
    out=$(cat "$work/out")
    err=$(cat "$work/err")
}
# node HOST ARG...: its node in the background, as start_by does it, without DNS-SD,
# which would find it all the same. $data: whose directory, the host's own by default.
node() {
    local host=$1
    shift
    start_by "$host" ip netns exec "$host" "$peernet" \
        -d "$work/${data:-$host}" run --announce-every 300 --no-linger \
        --dnssd none "$@"
}
end() { # end HOST...: their nodes, in whatever state they are
    local host pid
    for host in "$@"; do
        pid=pid_$host
        [ -z "${!pid-}" ] || { kill -9 "${!pid}" && wait "${!pid}"; } 2>/dev/null
        printf -v "pid_$host" %s ""
    done
}
drop() { # drop HOST HOOK RULE...: packets that fit, from now on
    local host=$1 hook=$2
    shift 2
    in_host "$host" nft add table inet t
    in_host "$host" nft add chain inet t "$hook" \
        "{ type filter hook $hook priority 0; }"
    in_host "$host" nft add rule inet t "$hook" "$@" drop
}
key_alice=$(key alice)
key_bob=$(key bob)
key_carol=$(key carol)
# Everything as it should be: paired both ways, no address known, no node running.
heal() {
    local host
    end alice bob carol
    for host in alice bob carol; do
        in_host "$host" nft flush ruleset
        addressed "$host"
        rm -f "$work/$host"/addresses "$work/$host"/addresses.bak
    done
    on alice pair "$key_bob" --label bob
    on bob pair "$key_alice" --label alice
}
at() { # at ADDRESS: alice remembers bob there
    on alice pair "$key_bob" --address "$1"
}
# verdicts: those of the last run, each with its result.
verdicts() {
    printf '%s\n' "$out" |
        sed -n 's/.*"result":"\([a-z]*\)".*"verdict":"\([^"]*\)".*/\1 \2/p'
}
# named FAULT RESULT VERDICT STATUS [ARG...]: doctor names it, as a failure or a
# warning, with nothing else failing; or "ok", with nothing to say.
named() {
    local fault=$1 want="$2 $3" code=$4 failed
    shift 4
    on alice --json doctor "$@" --dnssd none
    failed=$(verdicts | grep -v '^warning ')
    if [ "${want%% *}" = ok ]; then
        [ "$status" -eq 0 ] && [ -z "$(verdicts)" ]
    elif [ "${want%% *}" = failed ]; then
        [ "$status" -eq "$code" ] && [ "$failed" = "$want" ]
    else
        [ "$status" -eq "$code" ] && [ -z "$failed" ] &&
            verdicts | grep -qx "$want"
    fi
    ok $? "$fault"
}
# interrupted FAULT STEP CONDITION [ARG...]: Control-C ends doctor at that step while the
# condition holds, which is long before the step would end.
interrupted() {
    local name=$1 try
    shift
    for try in 1 2 3; do # on a busy machine the end may be late once
        ! interrupted_once "$@" || break
    done
    was_interrupted "$1"
    ok $? "$name"
}
was_interrupted() { # was_interrupted STEP: promptly
    [ "$status" -eq 130 ] && [ "$took" -lt 3000 ] && ! has "$out" failed &&
        [ "$err" = "peernet: interrupted at the step '$1'" ]
}
interrupted_once() {
    local step=$1 condition=$2 since
    shift 2
    ip netns exec alice "$peernet" -d "$work/alice" doctor "$@" --dnssd none \
        >"$work/out" 2>"$work/err" </dev/null &
    pids+=($!)
    until_true 30 eval "$condition"
    since=${EPOCHREALTIME/[.,]/}
    kill -INT $!
    wait $!
    status=$?
    took=$(((${EPOCHREALTIME/[.,]/} - since) / 1000))
    out="$(cat "$work/out") ended after $took ms"
    err=$(cat "$work/err")
    was_interrupted "$step"
}
accepted() { # accepted HOST: connections that its node has taken
    "$peernet" -d "$work/$1" metrics | sed -n 's/^peernet_accepted_total //p'
}

# ---- nothing is wrong -----------------------------------------------------------------

heal
node alice
node bob --echo
until_true 20 heard alice 'peer-up  *bob'
on alice --json doctor bob --handle echo
[ "$status" -eq 0 ] && [ -z "$(verdicts)" ]
ok $? healthy
for step in data clock node paired-here interface sources announces heard \
    resolved tcp protocol key paired-there ping large grant; do
    has "$out" "\"step\":\"$step\",\"result\":\"ok\""
    ok $? "healthy_walks/$step"
done
on alice doctor bob
expect 0 "nothing is in the way" healthy_text
on alice doctor
expect 0 "nothing is wrong on this device" healthy_without_a_peer
end alice
before=$(accepted bob)
named no_node warning no-node 0 bob
# None where bob has dialled in the same moment.
[ "$(accepted bob)" -le $((before + 1)) ]
ok $? healthy_costs_one_connection
now=$(date +%s)
for year in 1970 2000; do
    under=(env "LD_PRELOAD=$day_off"
        "CLOCK_OFF=$(($(date -u -d "$year-01-01 00:01" +%s) - now))")
    named "clock_of_$year" warning clock-wrong 0 bob
    has "$out" "it is $year-01-01 00:0"
    ok $? "clock_of_$year/is_quoted"
done
on alice doctor bob
expect 0 "usually: the clock was never set" clock_in_full
under=()

# ---- this device ------------------------------------------------------------------------

heal
node alice
in_host alice ip addr flush dev eth0
named no_address failed no-address 3 bob
addressed alice
in_host alice ip link set eth0 down
named interface_down failed no-address 3 bob
named interface_down_without_a_peer failed no-address 3
heal
node alice
kill -STOP "$pid_alice"
named node_here_is_stopped failed node-silent 6 bob
heal
node alice --no-control
named node_here_has_no_socket failed node-unreachable 4 bob
heal
chmod g+w "$work/alice/identity.keys"
named file_is_writable_by_others failed data-unusable 4 bob
chmod g-w "$work/alice/identity.keys"
heal
node alice
on alice unpair bob
named not_paired_here failed not-paired-here 5 bob

# ---- finding it --------------------------------------------------------------------------

heal
node alice --discovery none
node bob
named discovery_is_off failed no-source 3 bob
has "$out" "it hears no announce and makes none" &&
    ! has "$out" '"step":"announces"'
ok $? discovery_is_off/says_that_it_is_silent
heal
node alice --quiet-on-new-networks
node bob --echo
until_true 30 heard alice 'peer-up  *bob'
named not_silent_yet ok "" 0 bob
in_host alice ip addr add 10.7.0.1/24 brd + dev eth0
until_true 30 grep -q 'this node is silent now' "$work/alice.err"
named silent_here warning silent 0 bob
has "$out" "does not announce itself since the network changed" &&
    has "$out" '"next":"run '"'peernet announce' if this network"
ok $? silent_here/says_what_to_do
on alice doctor
expect 0 "next:    run 'peernet announce'" silent_here_without_a_peer
on alice announce
named announced_again ok "" 0 bob
heal
ip netns exec alice python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 4040))
print("bound", flush=True)
time.sleep(600)' >"$work/holder" &
holder=$!
pids+=("$holder")
until_true 20 grep -q bound "$work/holder"
node alice
node bob
named udp_port_is_taken failed source-failed 3 bob
kill "$holder"
heal
drop alice input udp dport 4040
node alice
at 10.1.0.2:7100
node bob --echo
until_true 30 heard alice 'peer-up  *bob'
named udp_dropped_here warning udp-dropped-here 0 bob
heal
drop bob output udp dport 4040
drop bob input udp dport 4040
node alice
node bob
named udp_dropped_there failed not-heard 3 bob
heal
node alice
named nobody_runs failed not-heard 3 bob
heal
for host in alice bob; do
    in_host "$host" ip addr flush dev eth0
    in_host "$host" sysctl -q net.ipv6.conf.eth0.disable_ipv6=0
    in_host "$host" ip addr add "fd00:1::$(number "$host")/64" dev eth0 nodad
done
node alice
node bob --echo
named ipv6_only failed ipv6-only 3 bob
on alice doctor bob --at "[fd00:1::2]:7100"
expect 0 "usually: this device has no IPv4 address" ipv6_only_with_an_address
heal
node alice --discovery none
at nobody.invalid:7100
named name_does_not_resolve failed name-unknown 3 bob
if [ -e /etc/resolv.conf ] && [ -e /etc/nsswitch.conf ]; then
    echo "nameserver 10.1.0.3" >"$work/resolv"
    echo "hosts: dns" >"$work/nsswitch"
    mount --bind "$work/resolv" /etc/resolv.conf
    mount --bind "$work/nsswitch" /etc/nsswitch.conf
    drop carol input udp dport 53
    interrupted interrupt_name_server resolved \
        '[ -n "$(in_host alice ss -Hun dst :53)" ]' bob
    umount /etc/resolv.conf /etc/nsswitch.conf
fi

# by_dnssd HOST: its node, with DNS-SD as its only source.
by_dnssd() {
    with_bus "$1"
    start_by "$1" "${on[@]}" "$peernet" -d "$work/$1" run --discovery none \
        --dnssd avahi --no-linger --echo
}
has_dnssd() {
    has "$("$peernet" --version)" dnssd && command -v dbus-daemon >/dev/null &&
        PATH=$PATH:/usr/sbin command -v avahi-daemon >/dev/null
}
if has_dnssd; then
    heal
    drop bob output udp dport 5353
    drop bob input udp dport 5353
    for host in alice bob; do
        bus $host && daemon $host && by_dnssd $host
        ok $? "dnssd_alone/$host"
    done
    named multicast_dropped failed 'multicast-dropped?' 3 bob
    has "$out" "nobody was heard by DNS-SD on eth0 in"
    ok $? multicast_dropped/says_by_what_and_where
    end bob
    in_host bob nft flush ruleset
    by_dnssd bob
    until_true 60 heard alice 'peer-up  *bob'
    named multicast_passes ok "" 0 bob
    has "$out" " by dns-sd"
    ok $? multicast_passes/is_heard
    kill "$daemon_alice" "$daemon_bob" "$bus_alice" "$bus_bob"
fi

# ---- the way there ------------------------------------------------------------------------

heal
in_host bob ip addr flush dev eth0
in_host bob ip addr add 10.9.0.2/24 brd + dev eth0
node bob
at 10.9.0.2:7100
node alice
named other_subnet failed other-network 3 bob
heal
drop bob input tcp dport 7100
node bob # which would dial a node of alice's
named tcp_dropped failed connect-timeout 3 bob
dials='grep -q resolved "$work/out" && [ -n "$(in_host alice ss -Htn state syn-sent)" ]'
interrupted interrupt_dial tcp "$dials" bob
heal
drop carol input tcp dport 7100
node bob --echo
node alice
until_true 20 heard alice 'peer-up  *bob'
interrupted interrupt_probe tcp "$dials" bob --at 10.1.0.3:7100
named at_is_dropped_with_a_link failed connect-timeout 3 bob --at 10.1.0.3:7100
named at_is_open_with_a_link ok "" 0 bob --at 10.1.0.2:7100
heal
at 10.1.0.2:7100
node alice
named tcp_refused failed connection-refused 3 bob
heal
at 10.1.0.2:7100
in_host bob ip link set eth0 down
node alice
named host_is_off failed unreachable 3 bob
heal
at 10.1.0.2:7100
bridge link set dev home-alice isolated on
bridge link set dev home-bob isolated on
node bob
node alice
named client_isolation failed unreachable 3 bob
bridge link set dev home-alice isolated off
bridge link set dev home-bob isolated off
heal # where bob dials alice, the link is up all the same
node bob --listen 127.0.0.1:7100
named peer_on_loopback_only failed 'peer-listens-on-loopback?' 3 bob

# ---- who answers ----------------------------------------------------------------------------

heal
ip netns exec bob python3 -c 'import socket, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("10.1.0.2", 7100))
s.listen()
print("listens", flush=True)
kept = []
while True:
    kept.append(s.accept()[0])
    print("took", time.monotonic(), flush=True)
    kept[-1].sendall(b"SSH-2.0-OpenSSH_9.9\r\n")' >"$work/ssh" &
ssh=$!
pids+=("$ssh")
until_true 20 grep -q listens "$work/ssh"
at 10.1.0.2:7100
node alice
named ssh_at_the_port failed bad-handshake 3 bob
has "$out" "SSH-2.0"
ok $? ssh_is_quoted
# Each ended at once. An Elixir node ends all its links with the fourth in 5 s.
awk '/took/ { at[++n] = $2; bad += n > 3 && $2 - at[n - 3] < 6 }
    END { exit bad > 0 || n < 2 }' "$work/ssh"
ok $? at_most_three_connections_end_in_six_seconds
kill "$ssh"
heal
data=carol node bob
at 10.1.0.2:7100
node alice
named wrong_key failed key-mismatch 3 bob
heal
at 10.1.0.1:7100
node alice
named own_address failed own-key 3 bob
heal
on bob unpair alice
node bob
node alice
named not_paired_there failed 'not-paired-there?' 3 bob
heal
at 10.1.0.2:7100
node bob
kill -STOP "$pid_bob"
node alice
named node_there_is_stopped failed handshake-timeout 3 bob
heal
node bob --echo
node alice
until_true 20 heard alice 'peer-up  *bob'
kill -STOP "$pid_bob"
named node_there_stopped_later failed ping-timeout 3 bob

# ---- messages --------------------------------------------------------------------------------

heal
printf '#!/bin/sh\nexec sleep 60\n' >"$work/slow"
printf '#!/bin/sh\necho 1\n' >"$work/gone"
printf '#!/bin/sh\nexit 3\n' >"$work/picky"
printf '#!/bin/sh\nkill -9 $$\n' >"$work/crash"
chmod +x "$work/slow" "$work/gone" "$work/picky" "$work/crash"
node bob --echo --expose closed=/bin/cat --allow closed="$key_carol" \
    --expose gone="$work/gone" --allow gone=paired \
    --expose picky="$work/picky" --allow picky=paired \
    --expose crash="$work/crash" --allow crash=paired \
    --expose slow="$work/slow" --allow slow=paired
node alice
until_true 20 heard alice 'peer-up  *bob'
named not_granted failed forbidden 1 bob --handle closed
named not_exposed failed no-such-handle 1 bob --handle nothing
named slow_program failed handler-timeout 1 bob --handle slow
rm "$work/gone"
named program_is_missing failed handler-failed 1 bob --handle gone
named program_crashes failed handler-crashed 1 bob --handle crash
has "$out" "crash answers with an error: ** (exit) {:signal, 9}"
ok $? crash_is_quoted
named program_has_an_error_of_its_own warning handler-error 0 bob --handle picky
has "$out" "picky may be used, and answers nil with an error: ** (exit) 3"
ok $? error_is_quoted
on alice doctor bob --handle picky
expect 0 "usually: the way and the grant are good" own_error_is_no_fault
on alice doctor bob --handle closed
[ "$status" -eq 1 ] && has "$out" "usually: the handle is exposed there" &&
    has "$out" "next:    start the other node with '--allow" &&
    ! printf '%s' "$out" | grep -q 'paired-there?\|-mismatch\|forbidden$'
ok $? text_says_what_to_do
ip link set home-bob mtu 900
named mtu_black_hole failed mtu-black-hole 3 bob
ip link set home-bob mtu 1500
# A report counts for 20 s, so this is no fault of what bob announces.
end bob
sleep 21
named ended_a_while_ago failed connection-refused 3 bob

done_testing

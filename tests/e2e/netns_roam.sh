#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: hosts that move are back in time: their addresses change while nodes run, and a
# call is answered within the rung's limit of the moment at which the new address is
# usable. A link that no change touches stays up all the time.
#
# PAIRS pairs of hosts, each a home and a mover on a network of their own, move side by
# side, ROUNDS times in each kind of change. The host "still" is linked to all of them
# over other interfaces, which no change touches. The rungs:
#   remembered: nothing is announced; home stays, and its address is remembered.
#   udp: announces alone. Both hosts of a pair move at once, so nothing remembered helps.
#   dnssd: the same with the Avahi daemons of the hosts and without announces.
#   remembered6, dnssd6: the same with IPv6 alone. Announces are sent by IPv4.
# The kinds:
#   address: another address on the same interface.
#   dhcp: a client gets another: the old one is deleted, and half a second later the new
#     one is there, with a lifetime.
#   wire: as from Wi-Fi to Ethernet: an interface goes down, the other comes up.
#   updown: the interface is down for a second, with the same address again.
#   slept: home is stopped, and goes on when addresses have changed.
#
# No four announces come in six seconds (docs/PROTOCOL.md, section 6), and an address
# that is heard is dialled once in 5 s. So hosts rest between moves, 6 s and the longest
# interval of announces: what is timed is a host that moves once in a while, not one that
# moves again and again.
# Without ROUNDS it only looks whether all of them come back, and nobody rests.
# Usage: netns_roam.sh PEERNET [ROUNDS MS DNSSD_MS PAIRS [RUNG...]]
# shellcheck disable=SC2154 # pid_NAME and port_NAME are set by start
peernet=$1
rounds=${2:-1}
limit_ms=${3:-120000}
dnssd_ms=${4:-120000}
n_pairs=${5:-1}
is_timed=${2:+yes}
rungs=(remembered udp dnssd remembered6 dnssd6)
[ $# -le 5 ] || rungs=("${@:6}")
suite=netns_roam
here=$(dirname "$(realpath "$0")")
# shellcheck source=tests/e2e/netns_lib.sh
. "$here/netns_lib.sh"
netns_enter "$0" "$@"
# shellcheck source=tests/e2e/cli_lib.sh
. "$here/cli_lib.sh"
# shellcheck source=tests/e2e/dnssd_lib.sh
. "$here/dnssd_lib.sh" # bus, daemon, with_bus and pair
netns_mount

pairs=()
movers=()
hosts=()
for ((i = 1; i <= n_pairs; i++)); do
    pairs+=("$i")
    movers+=("m$i")
    hosts+=("h$i" "m$i")
done

# A host's own two interfaces have no link-local IPv6 address, which would carry a
# link through every change of the others, but where only remembered addresses are
# dialled: there they have one, as everywhere else. Without it the kernel asks for no
# neighbour on behalf of a socket whose address has gone, and takes it for dead.
setup() {
    local i host
    netns_setup "rest ${pairs[*]/#/lan}" "still ${hosts[*]}" &&
        link still eth0 rest &&
        in_host still ip addr add 10.2.0.1/16 brd + dev eth0 || return 1
    for host in "${hosts[@]}"; do
        i=${host:1}
        link_quietly "$host" eth0 "lan$i" && link_quietly "$host" eth1 "lan$i" ||
            return 1
        # No two of them are in one network here but with still.
        ip link add "rest-$host" type veth peer name eth2 netns "$host" &&
            ip link set "rest-$host" master rest up &&
            ip link set "rest-$host" type bridge_slave isolated on &&
            in_host "$host" ip link set eth2 up &&
            in_host "$host" ip addr add "$(rest_of "$host")/16" brd + dev eth2 ||
            return 1
    done
}
link_quietly() { # link_quietly HOST INTERFACE BRIDGE
    ip link add "$1-$2" type veth peer name "$2" netns "$1" &&
        ip -n "$1" link set "$2" addrgenmode none &&
        ip link set "$1-$2" master "$3" up
}
rest_of() { # rest_of HOST: its address in the network of still
    case $1 in
    h*) echo "10.2.1.${1:1}" ;;
    *) echo "10.2.2.${1:1}" ;;
    esac
}
setup 2>"$work/setup" ||
    netns_skip "no bridges or veth pairs: $(head -n 1 "$work/setup")"

now_ms() {
    echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

# ---- changes -----------------------------------------------------------------------

# Where a host is: $work/interface.HOST. An `ip` that waits in each host makes the
# changes, so that hosts that move together do so in the same moment, also where
# starting ten processes takes longer than nodes wait for the end of a change.
for host in "${hosts[@]}"; do
    mkfifo "$work/ip.$host"
    nsenter --net="/run/netns/$host" ip -force -batch - \
        <"$work/ip.$host" >/dev/null 2>&1 &
    pids+=($!)
    exec {to_ip}>"$work/ip.$host"
    declare "ip_$host=$to_ip"
done
batch() { # batch HOST LINE...
    local to_ip=ip_$1
    shift
    printf '%s\n' "$@" >&"${!to_ip}"
}
address() { # address NUMBER: in this rung's network
    case $rung in
    *6) echo "fd00:1::$1/64" ;;
    *) echo "10.1.0.$1/24 brd +" ;;
    esac
}
# place HOST INTERFACE NUMBER: its only address.
place() {
    batch "$1" "link set $2 up" "addr flush dev eth0 scope global" \
        "addr flush dev eth1 scope global" "addr add $(address "$3") dev $2"
}
change_address() { # change_address HOST INTERFACE NUMBER; so the others
    batch "$1" "addr flush dev $2 scope global" "addr add $(address "$3") dev $2"
}
change_dhcp() {
    batch "$1" "addr flush dev $2 scope global"
    sleep 0.5
    batch "$1" "addr add $(address "$3") dev $2 valid_lft 3600 preferred_lft 3600"
}
change_wire() {
    local other=eth0
    [ "$2" = eth1 ] || other=eth1
    batch "$1" "link set $2 down" "addr flush dev $2" "link set $other up" \
        "addr add $(address "$3") dev $other"
    echo $other >"$work/interface.$1"
}
change_updown() {
    batch "$1" "link set $2 down"
    sleep 1
    batch "$1" "link set $2 up"
}
change_slept() {
    change_address "$@"
}
usable() { # usable HOST NUMBER: it has that address, which is not tentative
    local network=10.1.0.
    [ "${rung: -1}" != 6 ] || network=fd00:1::
    has "$(nsenter --net="/run/netns/$1" ip -o addr show -tentative)" \
        " $network$2/"
}

# answered HOST: through its running node, since start_ms, how long until a call is; into $work/took.HOST.
answered() {
    local until=$((start_ms + (dnssd_ms > limit_ms ? dnssd_ms : limit_ms) + 30000))
    while [ "$(now_ms)" -lt $until ]; do
        if [ "$(timeout 20 "$peernet" -d "$work/$1" call "h${1:1}" echo \
            '{:ok, 1}' --wait 5000 2>/dev/null)" = "{:ok, 1}" ]; then
            echo $(($(now_ms) - start_ms)) >"$work/took.$1"
            return
        fi
        sleep 0.02
    done
    echo 999999 >"$work/took.$1"
}
moves() { # moves HOST KIND: whether it does in this rung
    case $1-$2-$rung in
    m*) ;;
    *-updown-* | *-remembered*) return 1 ;;
    esac
}
round=0
# move KIND: one round; took gets a figure of each pair.
move() {
    local host number calls=()
    round=$((round + 1))
    rm -f "$work"/took.*
    [ "$1" != slept ] || for host in "${pairs[@]/#/pid_h}"; do
        kill -STOP "${!host}"
    done
    for host in "${hosts[@]}"; do
        moves "$host" "$1" || continue
        # Never the number of another host, nor one of its own before.
        case $host in
        h*) number=$((2 + round % 97)) ;;
        *) number=$((100 + round % 97)) ;;
        esac
        "change_$1" "$host" "$(<"$work/interface.$host")" $number &
        calls+=($!)
    done
    wait "${calls[@]}"
    # An address of IPv4 is usable at once.
    [ "${rung: -1}" != 6 ] || for host in "${movers[@]}"; do
        until_true 10 usable "$host" $((100 + round % 97))
        ! moves "h${host:1}" "$1" ||
            until_true 10 usable "h${host:1}" $((2 + round % 97))
    done
    [ "$1" != slept ] || for host in "${pairs[@]/#/pid_h}"; do
        kill -CONT "${!host}"
    done
    calls=()
    start_ms=$(now_ms)
    for host in "${movers[@]}"; do
        answered "$host" &
        calls+=($!)
    done
    wait "${calls[@]}"
    for host in "${movers[@]}"; do
        took+=("$(cat "$work/took.$host")")
    done
    sleep $rest_s
}
# figures NAME LIMIT_MS: of what was taken since took was emptied.
figures() {
    local sorted ms count=${#took[@]} good=0
    for ms in "${took[@]}"; do
        [ "$ms" -gt "$2" ] || good=$((good + 1))
    done
    mapfile -t sorted < <(printf '%s\n' "${took[@]}" | sort -n)
    echo "# $1: $count moves, median ${sorted[count / 2]} ms, longest ${sorted[-1]} ms," \
        "$good within $2 ms"
    [ $good -eq $count ]
    ok $? "$1_${count}_of_${count}_in_time"
}

# ---- rungs -------------------------------------------------------------------------

links_are_up() {
    local i
    for i in "${pairs[@]}"; do
        heard "h$i" "peer-up  *m$i" && heard still "peer-up  *h$i" &&
            heard still "peer-up  *m$i" || return 1
    done
}
# roam_node NAME ARG...: a host's node.
roam_node() {
    local host=$1
    shift
    on=(ip netns exec "$host")
    [ ! -d "$work/bus.$host" ] || with_bus "$host"
    start_by "$host" "${on[@]}" "$peernet" -d "$work/$host" run --echo \
        --no-linger --listen 7100 "$@"
}
start_rung() {
    local i host options remembered=$rung
    case $rung in
    dnssd*) options=(--discovery none --dnssd avahi) ;;
    udp) options=(--dnssd none) ;;
    *) options=(--discovery none --dnssd none) ;;
    esac
    for host in "${hosts[@]}"; do
        rm -rf "${work:?}/$host"
    done
    rm -rf "$work/still"
    for host in "${hosts[@]}"; do
        pair "$host" still
        "$peernet" -d "$work/still" pair "$(key "$host")" --label "$host" \
            --address "$(rest_of "$host"):7100" >/dev/null
        echo eth0 >"$work/interface.$host"
    done
    [ "$rung" != remembered6 ] || for host in "${hosts[@]}"; do
        batch "$host" "link set eth0 down" "link set eth0 addrgenmode eui64" \
            "link set eth1 down" "link set eth1 addrgenmode eui64"
    done
    [ "$rung" = remembered6 ] || for host in "${hosts[@]}"; do
        batch "$host" "link set eth0 down" "link set eth0 addrgenmode none" \
            "link set eth1 down" "link set eth1 addrgenmode none"
    done
    for i in "${pairs[@]}"; do
        pair "h$i" "m$i"
        case $remembered in
        remembered) remembered=10.1.0.1:7100 ;;
        remembered6) remembered='[fd00:1::1]:7100' ;;
        esac
        [ "$remembered" = "$rung" ] ||
            "$peernet" -d "$work/m$i" pair "$(key "h$i")" --label "h$i" \
                --address "$remembered" >/dev/null
        place "h$i" eth0 1
        place "m$i" eth0 99
    done
    for i in "${pairs[@]}"; do
        until_true 10 usable "h$i" 1 && until_true 10 usable "m$i" 99
    done
    for host in "${hosts[@]}"; do
        roam_node "$host" "${options[@]}"
    done
    roam_node still --discovery none --dnssd none
    until_true 60 links_are_up
    ok $? "${rung}_all_are_up"
}
untouched() {
    local host
    ! heard still 'peer-down' || return 1
    for host in "${hosts[@]}"; do
        ! heard "$host" 'peer-down  *still' || return 1
    done
}

for rung in "${rungs[@]}"; do
    kinds=(address dhcp wire updown slept)
    within_ms=$limit_ms
    rest_s=6
    case $rung in
    udp) rest_s=12 ;;
    dnssd*)
        if ! PATH=$PATH:/usr/sbin command -v avahi-daemon >/dev/null ||
            ! "$peernet" --version | grep -q '[ (]dnssd'; then
            echo "# $rung: no avahi-daemon, or built without DNS-SD"
            continue
        fi
        within_ms=$dnssd_ms
        for host in "${hosts[@]}"; do
            [ -d "$work/bus.$host" ] || { bus "$host" && daemon "$host"; }
        done
        ;;
    esac
    case $rung in
    *6) kinds=(address wire) ;;
    esac
    [ -n "$is_timed" ] || rest_s=0
    start_rung
    sleep $rest_s # The announces of the start are over.
    all=()
    for kind in "${kinds[@]}"; do
        took=()
        for ((i = 0; i < rounds; i++)); do
            move "$kind"
        done
        figures "${rung}_$kind" "$within_ms"
        all+=("${took[@]}")
    done
    took=("${all[@]}")
    figures "$rung" "$within_ms"
    untouched
    ok $? "${rung}_unharmed_link_is_not_touched"
    for host in still "${hosts[@]}"; do
        stop "$host"
    done
done

done_testing

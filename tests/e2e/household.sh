#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# household.sh PEERNET HELPER [RUNS [ROW...]]: what somebody at home notices, between
# hosts that are network namespaces. Every row has its bar; the status is 1 when one is
# missed. The rows:
#   first: two hosts whose data directories are new, paired by key. From the start of the
#     second to the answer of a call, asked at the first and asked at the second; by
#     announces alone, by the Avahi daemons alone, and by the helper alone. Medians.
#   oneshot: `peernet call` from a fresh process, from exec to exit, when DNS-SD by a
#     daemon is all that shows the peer. Median.
#   power: a host loses its power, so nothing of it says that a link is over. Until the
#     other host says so; and from its start again to the answer of a call, 5 s after
#     the cut, and after the other host has said so. The longest.
#   cpu: of a linked node that does nothing, with announces and with DNS-SD by the
#     daemon, or by the helper, whose own time counts. Over two minutes.
# shellcheck disable=SC2154 # pid_NAME and port_NAME are set by start_by
peernet=$1
PEERNET_MDNS_HELPER=$(realpath "$2")
export PEERNET_MDNS_HELPER
runs=${3:-20}
rows=(first oneshot power cpu)
[ $# -le 3 ] || rows=("${@:4}")
suite=household
here=$(dirname "$(realpath "$0")")
# shellcheck source=tests/e2e/netns_lib.sh
. "$here/netns_lib.sh"
netns_enter "$0" "$@"
# shellcheck source=tests/e2e/cli_lib.sh
. "$here/cli_lib.sh"
# shellcheck source=tests/e2e/dnssd_lib.sh
. "$here/dnssd_lib.sh"
dnssd_tools
netns_mount

ns() { # ns HOST COMMAND...: as `ip netns exec`, which mounts, and so may take long
    local host=$1
    shift
    nsenter --net="/run/netns/$host" "$@"
}
plug() { # plug HOST NUMBER: it has a network, an address there, and its own MAC again
    ip link add "lan-$1" type veth peer name eth0 netns "$1" \
        address "$(printf '02:00:00:00:00:%02x' "$2")" &&
        ip link set "lan-$1" master lan up &&
        ns "$1" ip link set lo up && ns "$1" ip link set eth0 up &&
        ns "$1" ip addr add "10.1.0.$2/24" brd + dev eth0
}
now_ms() {
    echo $((${EPOCHREALTIME/[.,]/} / 1000))
}
# row NAME STATISTIC LIMIT_MS: of what is in took, which it empties.
row() {
    local sorted count=${#took[@]} value verdict=met
    mapfile -t sorted < <(printf '%s\n' "${took[@]}" | sort -n)
    value=${sorted[count / 2]}
    [ "$2" = median ] || value=${sorted[-1]}
    [ "$value" -le "$3" ] || { verdict=MISSED && failed=1; }
    echo "$1: $2 of $count $value ms (longest ${sorted[-1]}), bar $3 ms  $verdict"
    took=()
}
took=()
home_node() { # home_node HOST ARG...
    local host=$1
    shift
    on=(nsenter "--net=/run/netns/$host")
    [ ! -d "$work/bus.$host" ] ||
        on=(env "DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/bus.$host/bus" "${on[@]}")
    start_by "$host" "${on[@]}" "$peernet" -d "$work/$host" run --echo \
        --no-linger --listen 7100 "$@"
}
# asked HOST PEER FILE: since start_ms, how long until a call is answered.
asked() {
    local until=$((start_ms + 30000))
    while [ "$(now_ms)" -lt $until ]; do
        if [ "$("$peernet" -d "$work/$1" call "$2" echo '{:ok, 1}' \
            --wait 5000 2>/dev/null)" = "{:ok, 1}" ]; then
            echo $(($(now_ms) - start_ms)) >"$3"
            return
        fi
        sleep 0.02
    done
    echo 30000 >"$3"
}
linked() {
    heard "$1" "peer-up  *$2"
}
fresh() { # fresh HOST HOST
    rm -rf "${work:?}/$1" "${work:?}/$2"
    pair "$1" "$2"
}

# ---- first contact -----------------------------------------------------------------

first() { # first NAME LIMIT_MS HOST HOST ARG...
    local name=$1 bar=$2 a=$3 b=$4 i at_first=() at_second=() call
    shift 4
    for ((i = 0; i < runs; i++)); do
        fresh "$a" "$b"
        home_node "$a" "$@"
        sleep 3
        start_ms=$(now_ms)
        asked "$a" "$b" "$work/asked.$a" &
        call=$!
        home_node "$b" "$@"
        asked "$b" "$a" "$work/asked.$b"
        wait $call
        at_first+=("$(cat "$work/asked.$a")")
        at_second+=("$(cat "$work/asked.$b")")
        stop "$b"
        stop "$a"
    done
    took=("${at_first[@]}")
    row "first call, $name, asked at the first" median "$bar"
    took=("${at_second[@]}")
    row "first call, $name, asked at the second" median "$bar"
}

# ---- one call ----------------------------------------------------------------------

oneshot() {
    local i begin
    fresh a b
    home_node b --discovery none --dnssd avahi
    cp -r "$work/a" "$work/a.fresh"
    on=(env "DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/bus.a/bus"
        nsenter --net=/run/netns/a)
    for ((i = 0; i <= runs; i++)); do
        rm -rf "$work/a"
        cp -r "$work/a.fresh" "$work/a"
        begin=$(now_ms)
        out=$("${on[@]}" "$peernet" -d "$work/a" call b echo '{:ok, 1}' \
            --discovery none --dnssd avahi --wait 20000 2>&1)
        [ "$out" = "{:ok, 1}" ] || { echo "# $out" && failed=1; }
        # The first may come before the record has been published.
        [ $i -eq 0 ] || took+=($(($(now_ms) - begin)))
        # More than 5 connections of one host a second are too many for a node.
        sleep 0.25
    done
    stop b
    row "one-shot call, DNS-SD by the daemon alone" median 250
}

# ---- power -------------------------------------------------------------------------

cut() { # cut HOST: it is gone, and nothing that it could say is heard
    local pid=pid_$1
    ip link set "lan-$1" nomaster
    kill -9 "${!pid}"
    wait "${!pid}" 2>/dev/null
    ip link del "lan-$1"
    ip netns del "$1"
}
says_down() { # says_down PEER: since start_ms, when the host a has said so
    until_true 120 heard a "peer-down  *$1 " || return 1
    echo $(($(now_ms) - start_ms)) >"$work/down.$1"
}
back() { # back PEER: its start to the answer, into took
    start_ms=$(now_ms)
    home_node "$1" --dnssd none
    asked "$1" a "$work/asked.$1"
    took+=("$(cat "$work/asked.$1")")
}
power() {
    local i waits=() short=(p1 p2 p3 p4) long=(p5 p6 p7 p8)
    rm -rf "${work:?}/a"
    for i in "${short[@]}" "${long[@]}"; do
        rm -rf "${work:?}/$i"
        pair a "$i"
        ip netns add "$i" && plug "$i" "10${i:1}"
    done
    home_node a --dnssd none
    for i in "${short[@]}" "${long[@]}"; do
        home_node "$i" --dnssd none
        until_true 30 linked a "$i"
    done
    sleep 10
    for i in "${short[@]}" "${long[@]}"; do
        cut "$i"
    done
    start_ms=$(now_ms)
    for i in "${long[@]}"; do
        says_down "$i" &
        waits+=($!)
    done
    sleep 5
    for i in "${short[@]}"; do
        ip netns add "$i" && plug "$i" "10${i:1}"
        back "$i"
    done
    row "back after 5 s without power" longest 2000
    wait "${waits[@]}"
    for i in "${long[@]}"; do
        took+=("$(cat "$work/down.$i" || echo 999999)")
    done
    row "power cut is seen" longest 91000
    for i in "${long[@]}"; do
        ip netns add "$i" && plug "$i" "10${i:1}"
        back "$i"
    done
    row "back after the cut was seen" longest 2000
    for i in a "${short[@]}" "${long[@]}"; do
        stop "$i"
    done
}

# ---- CPU ---------------------------------------------------------------------------

# ran_ns PID: the time that its threads and those of its children have run.
ran_ns() {
    local pid
    for pid in "$1" $(pgrep -P "$1"); do
        cat "/proc/$pid"/task/*/schedstat
    done | awk '{ns += $1} END {printf "%.0f", ns}'
}
cpu() {
    local name=$1 a=$2 b=$3 pid=pid_$2 before begin share verdict=met
    shift 3
    fresh "$a" "$b"
    home_node "$a" "$@"
    home_node "$b" "$@"
    until_true 60 linked "$a" "$b" || { echo "# $a and $b: no link" && failed=1; }
    sleep 15
    before=$(ran_ns "${!pid}")
    begin=$(now_ms)
    sleep 120
    share=$((($(ran_ns "${!pid}") - before) / ($(now_ms) - begin))) # millionths
    [ $share -lt 1000 ] || { verdict=MISSED && failed=1; }
    printf 'CPU of an idle node, %s: %d.%04d %%, bar < 0.1 %%  %s\n' "$name" \
        $((share / 10000)) $((share % 10000)) $verdict
    stop "$a"
    stop "$b"
}

# ---- hosts -------------------------------------------------------------------------

# a and b have a daemon, c and d do not.
setup() {
    local host number=0
    netns_setup lan "a b c d" || return 1
    for host in a b c d; do
        plug "$host" $((number += 1)) || return 1
    done
}
setup 2>"$work/setup" ||
    netns_skip "no bridges or veth pairs: $(head -n 1 "$work/setup")"
for host in a b; do
    bus $host && daemon $host || exit 1
done

for name in "${rows[@]}"; do
    case $name in
    first)
        first "announces alone" 1500 c d --dnssd none
        first "DNS-SD by the daemon alone" 1500 a b --discovery none --dnssd avahi
        first "DNS-SD by the helper alone" 3000 c d --discovery none \
            --dnssd embedded
        ;;
    oneshot) oneshot ;;
    power) power ;;
    cpu)
        cpu "announces and DNS-SD by the daemon" a b --dnssd avahi
        cpu "announces and DNS-SD by the helper" c d --dnssd embedded
        ;;
    esac
done
exit "$failed"

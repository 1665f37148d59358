# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # work, pids and the functions of cli_lib.sh
# Shared by the scripts about DNS-SD: an Avahi daemon and a D-Bus of its own on
# a host (a network namespace), without the machine's.

# dnssd_tools NAME...: a visible skip where one of these programs is missing.
dnssd_tools() {
    local name
    for name in dbus-daemon avahi-daemon avahi-browse avahi-publish "$@"; do
        PATH=$PATH:/usr/sbin command -v "$name" >/dev/null ||
            netns_skip "no $name: tools/deps installs it"
    done
}

# bus HOST: a D-Bus in the background.
bus() {
    local dir=$work/bus.$1
    mkdir -p "$dir"
    rm -f "$dir/bus"
    cat >"$dir/bus.conf" <<END
<busconfig><type>custom</type><listen>unix:path=$dir/bus</listen>
<auth>EXTERNAL</auth><policy context="default"><allow user="*"/>
<allow own="*"/><allow send_destination="*" eavesdrop="true"/>
<allow receive_sender="*"/></policy></busconfig>
END
    dbus-daemon --config-file="$dir/bus.conf" --nofork --nopidfile \
        >"$dir/log" 2>&1 &
    printf -v "bus_$1" %s $!
    pids+=($!)
    until_true 10 test -S "$dir/bus"
}

# daemon HOST: its Avahi daemon, ready when this returns. The folder of its pid
# file is compiled in, so it gets one of its own.
daemon() {
    local dir=$work/bus.$1
    cat >"$dir/avahi.conf" <<END
[server]
host-name=host-$1
use-ipv4=yes
use-ipv6=yes
enable-dbus=yes
ratelimit-interval-usec=0
[wide-area]
enable-wide-area=no
[publish]
publish-workstation=no
publish-hinfo=no
END
    DBUS_SYSTEM_BUS_ADDRESS=unix:path=$dir/bus ip netns exec "$1" sh -c "
        mkdir -p /run/avahi-daemon &&
        mount -t tmpfs none /run/avahi-daemon &&
        PATH=\$PATH:/usr/sbin exec avahi-daemon -f $dir/avahi.conf \
            --no-drop-root --no-chroot --no-rlimits --no-proc-title" \
        >"$dir/avahi.log" 2>&1 &
    printf -v "daemon_$1" %s $!
    pids+=($!)
    until_true 20 grep -qs 'Server startup complete' "$dir/avahi.log"
}

# with_bus HOST: sets on to the words in front of a command that runs on that
# host, with its D-Bus. A function would be a process more, which gets signals
# in place of the command.
with_bus() {
    on=(env "DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/bus.$1/bus"
        ip netns exec "$1")
}

# browse HOST: what avahi-browse finds and resolves there.
browse() {
    with_bus "$1"
    "${on[@]}" timeout 30 avahi-browse -rpt _peernet._tcp 2>/dev/null
}

# dnssd_hosts HOST...: network namespaces on one bridge, 10.1.0.N each, when
# their link-local addresses are no longer tentative.
dnssd_hosts() {
    local host i=0
    dnssd_links "$@" 2>"$work/setup" ||
        netns_skip "no bridges or veth pairs: $(head -n 1 "$work/setup")"
    for host in "$@"; do
        i=$((i + 1))
        in_host "$host" ip addr add 10.1.0.$i/24 brd + dev eth0
    done
    for host in "$@"; do
        until_true 20 dnssd_usable "$host"
        ok $? "host_$host"
    done
}
dnssd_links() {
    local host
    netns_setup lan "$*" || return 1
    for host in "$@"; do
        link "$host" eth0 lan || return 1
    done
}
dnssd_usable() {
    in_host "$1" ip -6 -o addr show dev eth0 scope link |
        grep -qv tentative
}

# node HOST NAME MODE ARG...: a node that uses DNS-SD and nothing else.
node() {
    local host=$1 name=$2 mode=$3
    shift 3
    with_bus "$host"
    if [ "$mode" = auto ]; then # beside UDP, on a port that nobody else has
        set -- --discovery-port $((udp += 1)) "$@"
    else
        set -- --discovery none "$@"
    fi
    start_by "$name" "${on[@]}" "$peernet" -d "$work/$name" run \
        --dnssd "$mode" --listen 0 "$@"
}
pair() { # pair NAME NAME: each with the other
    "$peernet" -d "$work/$1" pair "$(key "$2")" --label "$2" >/dev/null &&
        "$peernet" -d "$work/$2" pair "$(key "$1")" --label "$1" >/dev/null
}
calls() { # calls NAME PEER: its running node gets an answer
    out=$("$peernet" -d "$work/$1" call "$2" echo '{:ok, 1}' --wait 20000 2>&1)
    [ "$out" = "{:ok, 1}" ]
}
sees() { # sees HOST NAME: avahi-browse there resolves that node
    out=$(browse "$1")
    grep '^=' <<<"$out" | grep -q "\"pk=$(key "$2")\""
}
# says NAME OTHER LABEL: its running node shows that the other calls itself that
says() {
    out=$("$peernet" -d "$work/$1" discover -s 1 2>&1)
    grep "$(fingerprint "$2")" <<<"$out" | grep -qF "says \"$3\""
}
fingerprint() {
    "$peernet" -d "$work/$1" --json id |
        sed 's/.*"fingerprint":"\([0-9a-f]*\)".*/\1/'
}
sees_not() {
    ! sees "$@"
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Shared by the scripts that build a network: network namespaces as hosts,
# bridges between them, all inside a namespace of the script's own, so that
# nothing touches the machine's interfaces and nothing is left of it.

# netns_enter SCRIPT ARG...: starts the script again inside, with INSIDE=1; a
# visible skip where the kernel does not let us.
netns_enter() {
    [ -n "${INSIDE-}" ] && return
    for how in "unshare -n -m" "unshare -r -n -m"; do
        if $how true 2>/dev/null; then
            INSIDE=1 exec $how "$@"
        fi
    done
    netns_skip "no right to make network namespaces"
}

netns_skip() {
    echo "1..0 # SKIP $1"
    exit 0
}

# Names of namespaces are files in a /run of our own.
netns_mount() {
    mount -t tmpfs none /run || netns_skip "no right to mount"
}

in_host() { # in_host HOST COMMAND...
    ip netns exec "$@"
}
link() { # link HOST INTERFACE BRIDGE
    ip link add "$3-$1" type veth peer name "$2" netns "$1" &&
        ip link set "$3-$1" master "$3" up &&
        in_host "$1" ip link set "$2" up
}
# netns_setup BRIDGES HOSTS: each a list of words; not yet linked.
netns_setup() {
    ip link set lo up || return 1
    for bridge in $1; do
        ip link add "$bridge" type bridge && ip link set "$bridge" up ||
            return 1
    done
    for host in $2; do
        ip netns add "$host" && in_host "$host" ip link set lo up || return 1
    done
}

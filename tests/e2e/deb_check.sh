#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the Debian packages do what their users expect, in a container that was
# just booted (tools/deb-check): the program works right after it was installed,
# an upgrade under a running node keeps its data, and a purge leaves nothing but
# the data of users. The packages are in /packages, and newer ones in /newer.
set -u
suite=deb
# shellcheck source=tests/e2e/tap.sh
. /tap.sh
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
work=/var/tmp/check
mkdir -p "$work"
useradd --create-home ann
useradd --create-home ben

# as USER COMMAND...
as()
{
    local user=$1
    shift
    # shellcheck disable=SC2086 # "exec" in a subshell that is to become it
    ${exec-} setpriv --reuid "$user" --regid "$user" --init-groups \
        env HOME="/home/$user" XDG_STATE_HOME="/home/$user/state" \
        XDG_RUNTIME_DIR="/home/$user" "$@"
}
quiet=(--discovery none --listen 127.0.0.1:0)
program() { printf '%s\n' /"$1"/{libpeernet0,libpeernet-barrel0,libpeernet-dnssd0,libpeernet-pairing0,peernet}_*.deb; }
ready() { for _ in {1..200}; do grep -q '^ready' "$work/node.out" && return; sleep 0.05; done; return 1; }
# start: ann's node, which exposes echo to paired peers.
start()
{
    exec="exec" as ann peernet run --echo "${quiet[@]}" >"$work/node.out" 2>"$work/node.err" &
    node=$!
    ready
}
call() { [ "$(as ben peernet call ann echo '"hi"' --at "127.0.0.1:$port" "${quiet[@]}" 2>&1)" = '"hi"' ]; }
port_of() { sed -n 's/^ready [A-Z2-7]* port //p' "$work/node.out"; }

# Files that were there before.
dpkg-query -W -f '${Package}\n' | sort >"$work/before"
find / -xdev \( -path /var -o -path /proc -o -path /home -o -path /run -o -path /tmp \) -prune \
    -o ! -type d -print | sort >"$work/files_before"

# shellcheck disable=SC2046 # words
apt-get install -y --no-install-recommends $(program packages) >"$work/apt" 2>&1
ok $? install
as ann peernet version | grep -q 'peernet 0\..*barrel' && as ann peernet version | grep -q dnssd
ok $? version
ann=$(as ann peernet id)
ben=$(as ben peernet id)
as ann peernet pair "$ben" --label ben >/dev/null && as ben peernet pair "$ann" --label ann >/dev/null
ok $? pair
start
ok $? node
port=$(port_of)
call
ok $? call
# Nobody gets a node unasked: neither the system nor a user has the unit enabled.
! systemctl is-enabled --quiet peernet && ! systemctl is-active --quiet peernet &&
    ! systemctl --global is-enabled --quiet peernet
ok $? no_node_unasked
# Enabled, the service is ready, with a user of its own, and root may ask it.
systemctl start peernet && [ "$(stat -c %U:%a /var/lib/peernet)" = peernet:700 ]
ok $? service_starts
peernet -d /var/lib/peernet status >"$work/status" 2>&1
ok $? service_answers
systemctl stop peernet && journalctl -u peernet -q -o cat | grep -q 'ready'
ok $? service_stops
man_page=$(dpkg -L peernet | grep man1/peernet.1)
[ -n "$man_page" ]
ok $? manual

# shellcheck disable=SC2046 # words
apt-get install -y --no-install-recommends $(program newer) >"$work/apt" 2>&1
ok $? upgrade
dpkg-query -W -f '${Version}' peernet | grep -q '+1$'
ok $? upgraded
call
ok $? old_node_goes_on
kill -TERM "$node" && wait "$node"
ok $? old_node_ends
start
port=$(port_of)
call
ok $? new_node
[ "$(as ann peernet id)" = "$ann" ]
ok $? same_identity
kill -TERM "$node" && wait "$node"

# The libraries for applications, and the helper, come and go beside it.
apt-get install -y --no-install-recommends /newer/*.deb >"$work/apt" 2>&1
ok $? all_packages
[ -x /usr/libexec/peernet/peernet-mdns ]
ok $? helper

# shellcheck disable=SC2046 # words
apt-get purge -y $(dpkg-query -W -f '${Package}\n' | sort | comm -13 "$work/before" -) \
    >"$work/apt" 2>&1
ok $? purge
dpkg-query -W -f '${Package}\n' | sort | cmp -s - "$work/before"
ok $? no_package_left
find / -xdev \( -path /var -o -path /proc -o -path /home -o -path /run -o -path /tmp \) -prune \
    -o ! -type d -print | sort | comm -13 "$work/files_before" - |
    grep -vE '^/(etc/ld.so.cache|result|etc/(passwd|group|shadow|gshadow)-?$)' >"$work/left"
[ ! -s "$work/left" ]
ok $? no_file_left
# The service's identity is data, too.
[ -s /var/lib/peernet/identity.keys ] && [ -s "/home/ann/state/peernet/identity.keys" ]
ok $? data_of_users_stay
sed 's/^/# left: /' "$work/left"
done_testing

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a node accepts from the sockets that systemd holds for it, each told
# apart by its name, and refuses all others.
# Usage: cli_activation.sh PEERNET
peernet=$1
suite=cli/activation
if ! command -v systemd-socket-activate >/dev/null ||
    ! "$peernet" --version | grep -q systemd; then
    echo "1..0 # SKIP needs libsystemd and systemd-socket-activate"
    exit 0
fi
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"
own=(--discovery none --dnssd none)

free_port() {
    python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}
# activated NAME OPTION... -- ARG...: `run` with sockets, once somebody connects.
activated() {
    local name=$1 options=()
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    : >"$work/$name.out"
    # It starts with an environment of its own.
    systemd-socket-activate --setenv=XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" \
        ${PN_MUTANT:+--setenv=PN_MUTANT="$PN_MUTANT"} "${options[@]}" "$(realpath "$peernet")" -d "$work/$name" run \
        "${own[@]}" "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
    pids+=($!)
    printf -v "pid_$name" %s $!
    until_true 10 grep -qs "^Listening on" "$work/$name.err"
}
# touched PORT: connects to it, and goes.
touched() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
ended() { ! kill -0 "$1" 2>/dev/null; }
# refused NAME PORT SENTENCE: a connection starts the node, which ends.
refused() {
    local pid=pid_$1
    touched "$2"
    until_true 20 ended "${!pid}"
    out=$(cat "$work/$1.err")
    has "$out" "$3"
    ok $? "refused/$1"
}

run -d "$work/alice" pair "$(key bob)" -l bob
run -d "$work/bob" pair "$(key alice)" -l alice
port=$(free_port)
mkdir -m 700 "$work/held"
activated alice -l "127.0.0.1:$port" -l "$work/held/control.sock" \
    --fdname=link:control -- --echo --listen 127.0.0.1:1
ok $? held
# The call that starts the node is answered by it.
run -d "$work/bob" call alice echo '"hi"' --at "127.0.0.1:$port" "${own[@]}"
expect 0 '"hi"' link/first_connection
heard alice "^ready .* port $port\$"
ok $? link/port
has "$(cat "$work/alice.err")" "--listen is not used"
ok $? link/listen_is_not_used
run -d "$work/bob" call alice echo 2 --at "127.0.0.1:$port" "${own[@]}"
expect 0 2 link/next_connection
[ "$(readlink "$work/alice/control.sock")" = "$work/held/control.sock" ]
ok $? control/link
run -d "$work/alice" status
expect 0 "pid $pid_alice" control/asked
[ "$(find "$XDG_RUNTIME_DIR" -name '*.sock' | wc -l)" -eq 0 ]
ok $? control/no_other
stop alice
[ -S "$work/held/control.sock" ] && [ -L "$work/alice/control.sock" ]
ok $? control/stays
run -d "$work/alice" status
expect 3 "no node runs" control/nobody_there

for name in other '' control:control; do
    port=$(free_port)
    activated "a${name%:*}" -l "127.0.0.1:$port" \
        ${name:+--fdname="${name%:*}"} --
    case $name in
    control*) refused acontrol "$port" "expected ListenStream= with a path" ;;
    *) refused "a$name" "$port" "expected sockets with FileDescriptorName=link" ;;
    esac
done
port=$(free_port)
mkdir -m 755 "$work/open"
activated open -l "127.0.0.1:$port" -l "$work/open/control.sock" \
    --fdname=link:control --
refused open "$port" "expected a directory of ours with mode 0700"
port=$(free_port)
activated twice -l "127.0.0.1:$port" -l "$work/held/1" -l "$work/held/2" \
    --fdname=link:control:control --
refused twice "$port" "at most one, found 'control'"
activated packets -l "$work/held/link" --fdname=link --
python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$work/held/link"
until_true 20 ended "$pid_packets"
has "$(cat "$work/packets.err")" "expected a listening TCP socket"
ok $? refused/not_tcp

done_testing

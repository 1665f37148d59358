# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # suite and peernet are the script's
# Shared by the scripts about the program: a folder that goes away, nodes in the
# background, waiting for output.
# The script sets `suite` (a prefix of test names) and sources this with the
# program in $peernet.
set -u
# shellcheck source=tests/e2e/tap.sh
. "$(dirname "$0")/tap.sh"

work=$(mktemp -d)
pids=()

# Short paths: a socket's name has 107 bytes.
export XDG_RUNTIME_DIR=$work/run XDG_STATE_HOME=$work/state
unset CDPATH
mkdir -m 700 "$XDG_RUNTIME_DIR" "$XDG_STATE_HOME"
# The whole script under valgrind, say: tools/valgrind sets this.
if [ -n "${PEERNET_WRAPPER-}" ]; then
    printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$PEERNET_WRAPPER" \
        "$(realpath "$peernet")" >"$work/peernet"
    chmod +x "$work/peernet"
    peernet=$work/peernet
fi

# Announces of other tests on this machine are not heard on this port.
udp=$((20000 + RANDOM % 12000)) # below those the system gives away

cleanup() {
    [ ${#pids[@]} -gt 0 ] && kill -9 "${pids[@]}" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT

# Prints the output of the last run, when a row fails.
explain() {
    [ -n "${out-}${err-}" ] && printf 'status %s\nout: %s\nerr: %s\n' \
        "${status-}" "${out-}" "${err-}" | head -20
}

# run ARG...: the program; sets out, err and status.
run() {
    timeout "${limit:-60}" "$peernet" "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    out=$(cat "$work/out")
    err=$(cat "$work/err")
}

# has TEXT PART: PART is in TEXT.
has() {
    case $1 in
    *"$2"*) return 0 ;;
    esac
    return 1
}

# expect STATUS PART NAME: of the last run; PART is in what it printed.
expect() {
    [ "$status" -eq "$1" ] && has "$out$err" "$2"
    ok $? "$3"
}

# until_true SECONDS COMMAND...: tries again and again.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}

# heard NAME PATTERN: a node has printed it.
heard() {
    grep -q -e "$2" "$work/$1.out" 2>/dev/null
}

# How nodes find each other: 127.255.255.255 reaches every listener on
# loopback.
discovery=(--discovery-address 127.255.255.255 --discovery-port "$udp"
    --announce-every 300)

# start NAME ARG...: `peernet run` in the background with $work/NAME as its
# directory; waits until it is ready; sets pid_NAME and port_NAME.
start() {
    local name=$1
    shift
    start_by "$name" "$peernet" -d "$work/$name" run "${discovery[@]}" "$@"
}

# start_by NAME COMMAND...: the same with a command of another form.
start_by() {
    local name=$1
    shift
    : >"$work/$name.out" # an earlier start's "ready" is not this one's
    "$@" \
        >"$work/$name.out" 2>"$work/$name.err" </dev/null &
    pids+=($!)
    printf -v "pid_$name" %s $!
    until_true 10 heard "$name" '^ready\|"event":"ready"' || return 1
    printf -v "port_$name" %s "$(sed -n \
        's/^ready [A-Z2-7]* port //p; s/.*"ready".*"port":\([0-9]*\).*/\1/p' \
        "$work/$name.out")"
}

# announces NAME: how many announces its node has sent.
announces() {
    "$peernet" -d "$work/$1" metrics |
        sed -n 's/^peernet_announces_total{what="out"} //p'
}
# more NAME N: N more than in before_NAME, which note sets.
note() {
    printf -v "before_$1" %s "$(announces "$1")"
}
more() {
    local before=before_$1
    [ "$(announces "$1")" -ge $((${!before} + $2)) ]
}

# key NAME: the public key of $work/NAME, which is made if there is none.
key() {
    "$peernet" --json -d "$work/$1" id | sed 's/.*"key":"\([A-Z2-7]*\)".*/\1/'
}

# interrupt PID: every 5 s, as it is ignored until the program asks for it; its
# status.
interrupt() {
    local i
    for i in {0..599}; do
        [ $((i % 100)) -ne 0 ] || kill -INT "$1" 2>/dev/null
        kill -0 "$1" 2>/dev/null || break
        sleep 0.05
    done
    kill -9 "$1" 2>/dev/null
    wait "$1"
}

# stop NAME: an orderly end.
stop() {
    local name=pid_$1
    kill -INT "${!name}" 2>/dev/null
    wait "${!name}" 2>/dev/null
}

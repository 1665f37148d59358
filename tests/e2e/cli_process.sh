#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the program in its surroundings: signals that its parent blocked or
# ignored, process 1 of a container, a control socket that somebody removed or
# that is elsewhere, a node that is stopped.
# Usage: cli_process.sh PEERNET
# shellcheck disable=SC2154 # pid_NAME and port_NAME are set by start
peernet=$1
suite=cli/process
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"
own=(--listen 127.0.0.1:0 --discovery none --no-linger)

a() { run -d "$work/alice" "$@"; }

# gone PID: no such process.
gone() { ! kill -0 "$1" 2>/dev/null; }

cat >"$work/greet" <<'P'
#!/bin/sh
cat >/dev/null
echo '"hello"'
P
# Leaves a child behind that ends later, in a session of its own.
cat >"$work/orphan" <<'P'
#!/bin/sh
cat >/dev/null
setsid sh -c 'sleep 0.2' </dev/null >/dev/null 2>&1 &
echo 1
P
chmod +x "$work/greet" "$work/orphan"

# meet NAME: alice and NAME pair each other; NAME runs.
meet() {
    local port=port_$1 key
    key=$("$peernet" -d "$work/$1" id)
    a unpair "$1"
    a pair "$key" -l "$1" -a "127.0.0.1:${!port}"
}

a id
alice=$out

# ---- a command that waits longer than a node may be silent -------------------

# Ends at the end of this file, after more spans of asking than a node has.
run -d "$work/patient" pair "$alice" -l alice -a 127.0.0.1:1
start_by patient "$peernet" -d "$work/patient" run "${own[@]}"
(
    SECONDS=0
    "$peernet" -d "$work/patient" call alice x 1 -w 34000 2>&1 </dev/null
    echo "exit $?, after 30 s: $((SECONDS >= 30))"
) >"$work/patience" &
patience=$!
pids+=("$patience")

# ---- signals that were blocked or ignored ------------------------------------

signals=INT,TERM,HUP,CHLD,PIPE
for how in "block --block-signal=$signals" "ignore --ignore-signal=CHLD,PIPE"; do
    name=${how% *}
    run -d "$work/$name" pair "$alice" -l alice
    start_by "$name" env "${how#* }" "$peernet" -d "$work/$name" run \
        "${own[@]}" --expose greet="$work/greet" --allow greet=alice
    ok $? "$name/runs"
    meet "$name"
    a call "$name" greet 1 "${own[@]}"
    expect 0 '"hello"' "$name/program_answers"
    pid=pid_$name
    kill -TERM "${!pid}"
    until_true 15 gone "${!pid}"
    ok $? "$name/sigterm_ends_the_node"
done

# The commands that wait for something: each is its own node here.
for command in events "chat block" "discover -s 60" "call block x 1 -w 60000" \
    "send block x 1 -w 60000" "rpc block M f [] -w 60000" \
    "cast block M f [] -w 60000"; do
    # shellcheck disable=SC2086 # words
    env --block-signal=$signals "$peernet" -d "$work/alice" $command \
        --listen 127.0.0.1:0 --no-linger </dev/zero >"$work/waits.out" \
        2>"$work/waits.err" &
    pid=$!
    pids+=("$pid")
    # It catches the signal once it has its node, which holds this lock.
    until_true 10 sh -c "! flock -n '$work/alice/node.lock' true"
    until_true 15 sh -c "kill -TERM $pid 2>/dev/null; sleep 0.2; \
        ! kill -0 $pid 2>/dev/null"
    ok $? "block/sigterm_ends/${command%% *}"
done

# ended_by_sigterm NAME COMMAND...: with blocked signals, once it waits; NAME is
# its data directory.
ended_by_sigterm() {
    local name=$1 pid
    shift
    env --block-signal=$signals "$peernet" -d "$work/$name" "$@" \
        </dev/null >"$work/waits.out" 2>&1 8>&- &
    pid=$!
    pids+=("$pid")
    until_true 10 sh -c "grep -qx peernet /proc/$pid/comm &&
        grep -q '^State:.S' /proc/$pid/status" 2>/dev/null
    kill -TERM $pid
    wait $pid
    status=$?
    # By its loop, or before it had one; its own deadline has other numbers.
    [ $status -eq 130 ] || [ $status -eq $((128 + 15)) ]
}
exec 8>"$work/alice/edit.lock"
flock 8
for command in "pair $("$peernet" -d "$work/patient" id)" "unpair block"; do
    # shellcheck disable=SC2086 # words
    ended_by_sigterm alice $command
    ok $? "block/sigterm_ends/${command%% *}_of_a_locked_file"
done
exec 8>&-
a --json peers
[ "$(wc -l <<<"$out")" -eq 2 ] && has "$out" '"label":"block"'
ok $? block/and_nothing_was_edited

# A cookie from a pipe without a writer.
if has "$("$peernet" --version)" barrel; then
    mkfifo -m 600 "$work/mute"
    "$peernet" -d "$work/waits" run "${own[@]}" --barrel n@127.0.0.1:0 \
        --cookie-file /dev/fd/8 8<>"$work/mute" >"$work/waits.out" 2>&1 &
    pid=$!
    pids+=("$pid")
    until_true 10 sh -c "grep -qx peernet /proc/$pid/comm &&
        grep -q '^State:.S' /proc/$pid/status"
    kill -TERM $pid
    until_true 15 gone $pid
    ok $? cookie/sigterm_ends_its_wait
fi

# ---- process 1 -----------------------------------------------------------------

if unshare -p -f --mount-proc true 2>/dev/null; then
    run -d "$work/one" pair "$alice" -l alice
    start_by one unshare -p -f --mount-proc --kill-child "$peernet" \
        -d "$work/one" run "${own[@]}" \
        --expose orphan="$work/orphan" --allow orphan=alice
    ok $? one/runs
    meet one
    for _ in 1 2 3 4 5; do
        a call one orphan 1 "${own[@]}"
    done
    expect 0 1 one/program_answers
    inner=$(pgrep -P "$pid_one")
    # Its one child starts programs: there is neither an orphan that runs nor
    # one that has ended.
    until_true 15 sh -c \
        "[ \"\$(ps -o comm= --ppid $inner)\" = peernet-starter ]"
    ok $? one/orphans_are_reaped
    kill -TERM "$inner"
    until_true 15 gone "$inner"
    ok $? one/sigterm_ends_the_node

    # Its last six seconds, with a peer whose link it has: a second signal.
    run -d "$work/two" pair "$alice" -l alice
    start_by two unshare -p -f --mount-proc --kill-child "$peernet" \
        -d "$work/two" run --listen 127.0.0.1:0 --discovery none --echo
    meet two
    a call two echo 1 "${own[@]}"
    inner=$(pgrep -P "$pid_two")
    kill -TERM "$inner"
    until_true 10 grep -q leaving "$work/two.err"
    until_true 4 sh -c "kill -TERM $inner 2>/dev/null; sleep 0.1; \
        ! kill -0 $inner 2>/dev/null"
    ok $? one/second_signal_ends_it_at_once
else
    for name in runs program_answers orphans_are_reaped sigterm_ends_the_node \
        second_signal_ends_it_at_once; do
        n=$((n + 1))
        echo "ok $n - $suite/one/$name # SKIP no right to make a PID namespace"
    done
fi

# ---- the control socket ----------------------------------------------------------

socket_of() { readlink "$work/$1/control.sock"; }

run -d "$work/bob" pair "$alice" -l alice
start_by bob "$peernet" -d "$work/bob" run "${own[@]}" --echo --chat
ok $? bob_runs
rm "$(socket_of bob)"
run -d "$work/bob" peers
[ "$status" -eq 0 ] && ! has "$out" "no node"
ok $? socket/made_again_when_it_was_removed
has "$(cat "$work/bob.err")" "the control socket was removed, and is now"
ok $? socket/and_the_log_says_so
rm -r "$XDG_RUNTIME_DIR"
mkdir -m 700 "$XDG_RUNTIME_DIR"
run -d "$work/bob" peers
[ "$status" -eq 0 ] && ! has "$out" "no node"
ok $? socket/made_again_with_its_folder
mkdir -m 700 "$work/other"
XDG_RUNTIME_DIR=$work/other run -d "$work/bob" peers
[ "$status" -eq 0 ] && ! has "$out" "no node"
ok $? socket/found_from_another_environment
mkdir -m 755 "$work/service"
RUNTIME_DIRECTORY=$work/service start_by carol "$peernet" -d "$work/carol" run \
    "${own[@]}"
has "$(socket_of carol)" "$work/service/peernet/"
ok $? socket/runtime_directory
run -d "$work/carol" peers
expect 0 "LABEL" socket/runtime_directory_is_found
stop carol
[ ! -e "$work/carol/control.sock" ] && [ ! -L "$work/carol/control.sock" ]
ok $? socket/no_link_is_left

start_by dave "$peernet" -d "$work/dave" run "${own[@]}" --no-control
for command in peers "pair $alice" "unpair x" events metrics "call x y 1"; do
    # shellcheck disable=SC2086 # words
    "$peernet" -d "$work/dave" $command >"$work/${command%% *}.cannot" 2>&1 \
        </dev/null
    echo $? >>"$work/${command%% *}.cannot"
done &
waiter=$!
pids+=("$waiter")
wait $waiter
for command in peers pair unpair events metrics call; do
    out=$(cat "$work/$command.cannot")
    has "$out" "a node runs (pid $pid_dave) but cannot be reached at" &&
        [ "$(tail -1 "$work/$command.cannot")" = 4 ]
    ok $? "socket/cannot_be_reached/$command"
done
# A leaving node is waited for.
kill -TERM "$pid_dave"
run -d "$work/dave" peers
expect 0 LABEL socket/and_then_it_is_gone

# ---- a node that is stopped --------------------------------------------------------

meet bob
port=$port_bob
# Commands that attend already and commands that ask now, all at once.
attend() { # NAME ARG...
    local name=$1
    shift
    timeout 120 "$peernet" -d "$work/bob" "$@" >"$work/$name.stopped" 2>&1 \
        <>"$work/held" # a standard input that has no end
    echo $? >>"$work/$name.stopped"
}
attend_all() { # COMMAND WITH UNDERSCORES...
    local words
    for words; do
        # shellcheck disable=SC2086 # words
        attend "$words" ${words//_/ } &
        pids+=($!)
    done
}
mkfifo "$work/held"
watching="events chat_alice discover_-s_300"
# shellcheck disable=SC2086 # words
attend_all $watching
# Two sockets of its own, three of clients; what they asked first is answered
# before a command that comes later.
until_true 10 sh -c "[ \$(ls -l /proc/$pid_bob/fd | grep -c socket) -ge 5 ]"
run -d "$work/bob" peers
# T38
grep -q '^Max core file size  *0  *0 ' "/proc/$pid_bob/limits"
ok $? no_core_file
kill -STOP "$pid_bob"
commands=("pair $alice" "unpair alice" peers metrics "call alice x 1"
    "send alice x 1" "rpc alice M f []" "cast alice M f []")
if has "$("$peernet" --version)" barrel; then
    commands+=("monitor n@h" "call n@h p 1" "send n@h p 1" "barrel nodes")
fi
for command in "${commands[@]}"; do
    # shellcheck disable=SC2086 # words
    ended_by_sigterm bob $command
    ok $? "stopped/sigterm_ends/${command//$alice/KEY}"
done
SECONDS=0
asking="peers metrics events_--json pair_$alice unpair_alice chat_alice_--json
discover_-s_9 call_alice_x_1_-t_1000_-w_1000 send_alice_x_1_-w_1000
rpc_alice_M_f_[]_-t_1000_-w_1000 cast_alice_M_f_[]_-w_1000"
if has "$("$peernet" --version)" barrel; then
    asking="$asking barrel_nodes monitor_n@h_-w_1000 call_n@h_p_1_-t_1000_-w_1000"
fi
# shellcheck disable=SC2086 # words
attend_all $asking
for words in $watching $asking; do
    until_true 90 grep -qx '[0-9][0-9]*' "$work/$words.stopped"
done
for words in $watching $asking; do
    out=$(cat "$work/$words.stopped")
    has "$out" "the running node (pid $pid_bob) does not answer" &&
        [ "$(tail -1 "$work/$words.stopped")" = 6 ]
    ok $? "stopped/${words//$alice/KEY}"
done
# Nor when so many wait that one more is not even taken.
python3 - "$(socket_of bob)" <<'P' &
import socket, sys, time
held = []
while True:
    s = socket.socket(socket.AF_UNIX)
    s.setblocking(False)
    try:
        s.connect(sys.argv[1])
    except BlockingIOError:
        break
    held.append(s)
time.sleep(120)
P
pids+=($!)
run -d "$work/bob" peers
expect 6 "does not answer" stopped/no_place_in_the_queue
kill "${pids[-1]}"
# None of it takes effect later.
kill -CONT "$pid_bob"
run -d "$work/bob" peers
expect 0 alice stopped/unpair_of_a_dead_client_is_not_done

# A message that waits for a link is not sent once its client has gone.
"$peernet" -d "$work/alice" run "${own[@]}" >"$work/alice.out" 2>&1 &
pids+=($!)
until_true 10 heard alice ^ready
stop bob
"$peernet" -d "$work/alice" send bob chat '"of a dead client"' -w 60000 \
    >/dev/null 2>&1 &
client=$!
pids+=("$client")
until_true 10 sh -c "'$peernet' -d '$work/alice' peers | grep -q dialling"
{ kill -9 $client && wait $client; } 2>/dev/null
start_by bob "$peernet" -d "$work/bob" run --listen "127.0.0.1:$port" \
    --discovery none --no-linger --echo --chat
a send bob chat '"of a living one"' -w 60000
until_true 20 heard bob "of a living one"
! heard bob "of a dead client"
ok $? request_of_a_dead_client_is_dropped

wait "$patience"
has "$(cat "$work/patience")" "exit 3, after 30 s: 1"
ok $? a_long_wait_is_no_silence

done_testing

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: two nodes on one machine find each other, authenticate, call, send,
# refuse a stranger, lose the link and get it back, all by command line.
# Everything stays on loopback: 127.255.255.255 reaches every listener there.
# Usage: cli.sh PEERNET
# shellcheck disable=SC2016 # what is in single quotes is meant as it is
# shellcheck disable=SC2154 # pid_NAME and port_NAME are set by start
peernet=$1
suite=cli/e2e
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"

a() { run -d "$work/alice" "$@"; }
b() { run -d "$work/bob" "$@"; }
# Options of a node that a command opens for itself.
own=(--listen 127.0.0.1:0 --discovery-address 127.255.255.255
    --discovery-port "$udp")

# ---- programs for the handles -------------------------------------------------

program() { # NAME, script on standard input
    {
        echo '#!/bin/sh'
        cat
    } >"$work/$1"
    chmod +x "$work/$1"
}
program greet <<'P'
read -r argument
printf '{"argument": %s, "peer": "%s", "label": "%s", "handle": "%s"}' \
    "$argument" "$PEERNET_PEER" "$PEERNET_LABEL" "$PEERNET_HANDLE"
P
program fails <<'P'
exit 3
P
program killed <<'P'
kill -TERM $$
P
program hangs <<'P'
echo $$ >"${0%/*}/hangs.pid"
sleep 1000
P
program nonsense <<'P'
echo not json
P
program silent <<'P'
cat >/dev/null
P
program flood <<'P'
head -c 20000000 /dev/zero
P
program complains <<'P'
printf 'one\033[2Jtwo\n' >&2
P
program args <<'P'
printf '["%s", "%s", %d]' "$1" "$2" $#
P

# ---- identities and trust, without any node --------------------------------------

a id
alice=$out
expect 0 "" id
[ ${#alice} -eq 52 ]
ok $? id_is_base32
a id
[ "$out" = "$alice" ]
ok $? id_stays
a --json id
expect 0 "\"key\":\"$alice\"" id_json
a id --qr
has "$out" "▄" && has "$out" "$alice"
ok $? id_qr
b id
bob=$out
[ "$(stat -c %a "$work/bob")" = 700 ] &&
    [ "$(stat -c %a "$work/bob/identity.keys")" = 600 ]
ok $? private_modes
a pair "$bob" --label bob
expect 0 "paired " pair
a pair "$bob"
expect 0 "already paired" pair_again
b pair "$alice" -l alice
expect 0 "paired " pair_back
a peers
expect 0 "no node" peers_without_node
a --json peers
expect 0 '"label":"bob","state":"no-node"' peers_without_node_json

# ---- two nodes find each other ----------------------------------------------------

start alice --listen 127.0.0.1:0
ok $? alice_runs
start bob --listen "127.0.0.1:$udp" --echo --chat --program-timeout 3000 \
    --expose greet="$work/greet" --allow greet=alice \
    --expose fails="$work/fails" --allow fails=paired \
    --expose killed="$work/killed" --allow killed=paired \
    --expose hangs="$work/hangs" --allow hangs=paired \
    --expose nonsense="$work/nonsense" --allow nonsense=paired \
    --expose silent="$work/silent" --allow silent=paired \
    --expose flood="$work/flood" --allow flood=paired \
    --expose complains="$work/complains" --allow complains=paired \
    --expose args="$work/args" --arg args=-rf --arg 'args=$(id)' \
    --allow args=paired \
    --expose closed="$work/silent" --allow closed="$bob"
ok $? bob_runs
until_true 15 heard alice 'peer-up  *bob'
ok $? alice_finds_bob
until_true 5 heard bob 'peer-up  *alice'
ok $? bob_finds_alice
a peers
expect 0 " up " peers_up
a --json peers
expect 0 '"state":"up"' peers_up_json
a discover --seconds 1
expect 0 "$bob" discover

# ---- calls --------------------------------------------------------------------------

a call bob echo '%{list: [1, 2.5, :ok, {1, "two"}], text: "hi"}'
expect 0 '%{list: [1, 2.5, :ok, {1, "two"}], text: "hi"}' call
a call "${bob,,}" echo '"by key"'
expect 0 '"by key"' call_by_key
fingerprint=$("$peernet" --json -d "$work/bob" id |
    sed 's/.*"fingerprint":"\([0-9a-f]*\)".*/\1/')
a call "${fingerprint:0:6}" echo '"by fingerprint"'
expect 0 '"by fingerprint"' call_by_fingerprint
a --json call bob echo '{:ok, <<255>>}'
expect 0 '{"ok":true,"value":{"$tuple":[{"$atom":"ok"},{"$binary":"/w=="}]}}' \
    call_json
a call bob echo '{":a": [1, {"$tail": 2}]}' --json-term
expect 0 '%{a: [1 | 2]}' call_json_term
printf '"%0300000d"' 0 >"$work/big"
timeout 20 "$peernet" -d "$work/alice" call bob echo - <"$work/big" \
    >"$work/out"
cmp -s <(cat "$work/big" && echo) "$work/out"
ok $? call_large_from_stdin
a call bob nothing 1
expect 1 ":no_such_handle" call_no_such_handle
a --json call bob nothing 1
expect 1 '"error":"remote"' call_no_such_handle_json
a call bob closed 1
expect 1 ":forbidden" call_not_granted
until_true 5 heard bob 'denied  *alice .* forbidden closed'
ok $? denial_is_printed
b call alice echo 1
expect 1 ":no_such_handle" nothing_is_exposed_by_default

# ---- programs -------------------------------------------------------------------------

a --json call bob greet '"$(touch x); `id` \" \u001B[2J"'
expect 0 '"argument":"$(touch x); `id` \" \u001b[2J"' program_argument
has "$out" "\"peer\":\"$alice\"" && has "$out" '"label":"alice"' &&
    has "$out" '"handle":"greet"'
ok $? program_environment
a call bob args 1
expect 0 '["-rf", "$(id)", 2]' program_fixed_arguments
a call bob silent 1
expect 0 ":ok" program_without_output
a call bob fails 1
expect 1 "{:handler_crash, {:exit, 3}}" program_fails
a call bob killed 1
expect 1 "{:handler_crash, {:exit, {:signal, 15}}}" program_killed
a call bob nonsense 1
expect 1 "{:handler_crash, {:exit, :badarg}}" program_nonsense
a call bob flood 1
expect 1 ":system_limit" program_flood
a call bob complains 1
until_true 5 grep -qF 'complains: one\x1B[2Jtwo' "$work/bob.err"
ok $? program_stderr_is_escaped
a call bob hangs 1 --timeout 8000
expect 1 ":timeout" program_hangs
[ -s "$work/hangs.pid" ] && ! kill -0 "$(cat "$work/hangs.pid")" 2>/dev/null
ok $? program_that_hangs_is_killed

# Five at once: four run, the fifth waits; others are served meanwhile, as fast
# as ever.
milliseconds() {
    local start
    start=$(date +%s%N)
    "$@"
    ms=$((($(date +%s%N) - start) / 1000000))
}
milliseconds a call bob echo '"alone"'
alone=$ms
hang_pids=()
for _ in 1 2 3 4 5; do
    "$peernet" -d "$work/alice" call bob hangs 1 --timeout 20000 \
        >/dev/null 2>&1 </dev/null &
    hang_pids+=($!)
done
sleep 0.3
milliseconds a call bob echo '"meanwhile"'
[ "$status" -eq 0 ] && [ "$ms" -lt $((alone + 2000)) ]
ok $? echo_while_programs_hang
slow=0
for pid in "${hang_pids[@]}"; do
    wait "$pid"
    [ $? -eq 1 ] || slow=1
done
ok $slow all_hanging_programs_end

# ---- send, chat, functions -----------------------------------------------------------

a send bob chat '%{text: "hello"}'
expect 0 "" send
until_true 5 heard bob 'chat  *alice: hello'
ok $? send_arrives
a send bob chat '"escape \e[2J\u202E"'
until_true 5 heard bob 'alice: escape \\x1B\[2J\\xE2\\x80\\xAE'
ok $? chat_is_escaped
a send bob nothing 1
expect 0 "" send_to_nothing
printf 'first\nsecond\n' |
    timeout 20 "$peernet" -d "$work/alice" chat bob >"$work/out" 2>&1
ok $? chat_ends
until_true 5 heard bob 'alice: second'
ok $? chat_sends_lines
# A line over 4096 bytes is sent in pieces, and all of it: no byte is lost and
# no character is cut.
{ printf '%04095d' 0 && printf 'äYZend\n'; } |
    timeout 20 "$peernet" -d "$work/alice" chat bob >"$work/out" 2>&1
until_true 5 heard bob 'alice: 0*0ä$' && until_true 5 heard bob 'alice: YZend$'
ok $? chat_long_line
# The other way: the handle is there for as long as somebody chats.
# shellcheck disable=SC2317 # called by until_true
no_chat() {
    b call alice chat '"anybody there?"'
    [ "$status" -ne 0 ]
}
until_true 5 no_chat
b call alice chat '"too early"'
expect 1 ":no_such_handle" chat_is_closed
mkfifo "$work/keys"
"$peernet" -d "$work/alice" chat bob >"$work/chat.out" <"$work/keys" &
pids+=($!)
exec 3>"$work/keys"
until_true 10 bash -c "'$peernet' -d '$work/bob' call alice chat '\"to you\"' \
    >/dev/null 2>&1"
until_true 5 heard chat 'bob> to you'
ok $? chat_receives
exec 3>&-
until_true 5 no_chat
ok $? chat_closes_again
a rpc bob MyApp.Led on '[1]'
expect 1 ":no_such_handle" rpc_without_beam_dist
a rpc bob MyApp.Led on '{1}'
expect 2 "list of arguments" rpc_needs_a_list
a rpc bob :led on '["x"]' --handle echo
expect 0 '{:rpc, :led, :on, ["x"]}' rpc_as_sent
a rpc bob Led on '[]' --handle echo
expect 0 '{:rpc, Led, :on, []}' rpc_elixir_module
a cast bob Led on '[]'
expect 0 "" cast
a metrics
expect 0 "peernet_links_up 1" metrics
a --json metrics
expect 0 '"peernet_links_up":1' metrics_json

# ---- the control socket -----------------------------------------------------------------

socket=$(find "$XDG_RUNTIME_DIR/peernet" -name '*.sock' | head -1)
[ "$(stat -c %a "$XDG_RUNTIME_DIR/peernet")" = 700 ] &&
    [ "$(stat -c %a "$socket")" = 600 ]
ok $? control_modes
[ "$(find "$XDG_RUNTIME_DIR/peernet" -name '*.sock' | wc -l)" -eq 2 ]
ok $? control_one_per_directory
a run --listen 127.0.0.1:0 --discovery none
expect 4 "identity" second_node_is_refused
"$peernet" -d "$work/alice" --json events >"$work/events.out" &
events=$!
pids+=("$events")
# Until it has subscribed; denials of one kind are told once a second.
# shellcheck disable=SC2317 # called by until_true
denial_is_told() {
    sleep 1.1
    b call alice nothing 1
    heard events '"event":"denied".*"label":"bob".*no-such-handle'
}
until_true 15 denial_is_told
ok $? events
kill -INT "$events"
wait "$events"
ok $? events_ends_with_0
# Nobody reads any more: it ends with the first event that cannot be told.
timeout 20 "$peernet" -d "$work/alice" events > >(read -r _) 2>"$work/reader.err" &
events=$!
pids+=("$events")
for _ in 1 2 3 4; do
    sleep 1.1
    b call alice nothing 1
done
wait "$events"
status=$?
out='' err=$(cat "$work/reader.err")
[ "$status" -eq 4 ] && [ -z "$err" ]
ok $? events_ends_with_its_reader

# ---- a stranger ----------------------------------------------------------------------------

"$peernet" -d "$work/carol" pair "$bob" -l bob >/dev/null
run -d "$work/carol" call bob echo 1 --at "localhost:$port_bob" "${own[@]}" \
    --timeout 9000
expect 3 "probably not paired" stranger_is_refused
until_true 5 heard bob 'denied .* untrusted-peer'
ok $? stranger_is_noticed
a call bob echo '"still here"'
expect 0 "still here" others_do_not_notice
run -d "$work/carol" send bob echo 1 --at "localhost:$port_bob" "${own[@]}"
expect 3 "probably not paired" stranger_send_is_refused
# A host that takes the connection and says nothing.
kill -STOP "$pid_bob"
run -d "$work/carol" call bob echo 1 --at "127.0.0.1:$port_bob" "${own[@]}" \
    --wait 1000
kill -CONT "$pid_bob"
expect 3 "no answer from 127.0.0.1:$port_bob" host_that_says_nothing

# ---- the link is lost and comes back ---------------------------------------------------------

kill -9 "$pid_bob"
wait "$pid_bob" 2>/dev/null
until_true 5 heard alice 'peer-down  *bob'
ok $? kill_9_is_noticed
a call bob echo 1 --wait 500
expect 3 "no link" call_without_link
start bob --listen "127.0.0.1:$port_bob" --echo
ok $? bob_runs_again
a call bob echo '"again"' --wait 20000
expect 0 "again" link_comes_back

# ---- unpair ------------------------------------------------------------------------------------

b unpair alice
expect 0 "unpaired " unpair
until_true 10 heard bob 'peer-down  *alice .* unpaired'
ok $? unpair_ends_the_link
a call bob echo 1 --wait 2000
expect 3 "" unpaired_is_a_stranger
b pair "$alice" -l alice
a call bob echo '"paired again"' --wait 30000
expect 0 "paired again" pair_again_reconnects

# ---- without a running node ------------------------------------------------------------------------

stop alice
[ ! -e "$socket" ] || [ "$(find "$XDG_RUNTIME_DIR/peernet" -name '*.sock' |
    wc -l)" -eq 1 ]
ok $? socket_is_removed
grep -q 'the port stays open for 6 s' "$work/alice.err"
ok $? leaving_is_announced
a call bob echo '"on my own"' "${own[@]}" --no-linger
expect 0 "on my own" call_without_node
a send bob echo '"on my own"' "${own[@]}" --no-linger
expect 0 "" send_without_node
before=$SECONDS
a call bob echo '"and linger"' "${own[@]}"
expect 0 "and linger" call_then_linger
[ $((SECONDS - before)) -ge 5 ] && has "$err" "6 s"
ok $? linger_takes_6_seconds
# Two commands at once share nothing: the second waits for the first.
"$peernet" -d "$work/alice" call bob echo 1 "${own[@]}" --no-linger \
    >/dev/null 2>&1 &
a call bob echo '"both"' "${own[@]}" --no-linger
expect 0 "both" two_commands_at_once
wait $!
ok $? two_commands_at_once_first
"$peernet" -d "$work/alice" call bob echo 1 "${own[@]}" \
    >/dev/null 2>"$work/leaving.err" &
leaving=$!
until_true 20 grep -q 'stays open' "$work/leaving.err"
before=$SECONDS
interrupt $leaving
[ $((SECONDS - before)) -le 4 ]
ok $? interrupt_ends_the_linger

stop bob
a call bob echo 1 --listen 127.0.0.1:0 --discovery none --wait 300 \
    --at 127.0.0.1:1
expect 3 "no link" call_nobody_there
out=$(echo x | timeout 20 "$peernet" -d "$work/alice" --json chat bob \
    --listen 127.0.0.1:0 --discovery none 2>&1)
[ $? -eq 3 ] && [ "${out#\{\"ok\":false,}" != "$out" ]
ok $? chat_json_says_what_failed
a discover -s 1 --listen 127.0.0.1:0 --discovery none
expect 2 "discovery" discover_without_discovery
done_testing

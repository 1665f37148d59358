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
program wide <<'P'
printf '"%0*d"' "$(cat)" 0
P
program complains <<'P'
printf 'one\033[2Jtwo\n' >&2
P
program upper <<'P'
tr a-z A-Z
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

# An empty label is an empty text, as the originals write it; none is nil.
run -d "$work/empty" pair "$bob" --label ""
python3 -c 'import sys
sys.exit(b"label" b"m\0\0\0\0" not in open(sys.argv[1], "rb").read())' \
    "$work/empty/trust.bin"
ok $? pair_empty_label
run -d "$work/none" pair "$bob"
! grep -q 'labelm' "$work/none/trust.bin"
ok $? pair_no_label

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
    --expose wide="$work/wide" --allow wide=paired \
    --expose wide_text="$work/wide" --text wide_text --allow wide_text=paired \
    --expose complains="$work/complains" --allow complains=paired \
    --expose args="$work/args" --arg args=-rf --arg 'args=$(id)' \
    --allow args=paired \
    --expose upper="$work/upper" --text upper --allow upper=paired \
    --export M.upper/2="$work/upper" --text M.upper/2 \
    --allow M.upper/2=paired \
    --export M.stops/1="$work/fails" --allow M.stops/1=paired \
    --allow Logger.info/1=alice --allow Logger.warning/1="$bob" \
    --export Logger.error/1="$work/upper" --text Logger.error/1 \
    --allow Logger.error/1=alice \
    --expose closed="$work/silent" --allow closed="$bob"
ok $? bob_runs
until_true 15 heard alice 'peer-up  *bob'
ok $? alice_finds_bob
until_true 20 heard bob 'peer-up  *alice'
ok $? bob_finds_alice
a peers
expect 0 " up " peers_up
a --json peers
expect 0 '"state":"up"' peers_up_json
[[ $out =~ \"rung\":(\"(udp|remembered)\"|null) ]]
ok $? peers_rung_json
a discover --seconds 1
expect 0 "FINGERPRINT" discover
has "$out" "bob " && has "$out" " paired "
ok $? discover_table
a --json discover --seconds 1
expect 0 "\"key\":\"$bob\"" discover_json

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
expect 0 '"value":{"$tuple":[{"$atom":"ok"},{"$binary":"/w=="}]}}' call_json
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
until_true 20 heard bob 'denied  *alice .* closed: this caller is not allowed; ask'
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
expect 1 "** (exit) 3" program_fails
until_true 20 grep -q 'warning: fails: ended with status 3' "$work/bob.err"
ok $? program_fails_is_logged
a cast bob M stops '[1]'
until_true 20 grep -q 'warning: M.stops/1: ended with status 3' "$work/bob.err"
ok $? function_fails_is_logged
a call bob killed 1
expect 1 "** (exit) {:signal, 15}" program_killed
until_true 20 grep -q 'warning: killed: ended by signal 15' "$work/bob.err"
ok $? program_killed_is_logged
a call bob nonsense 1
expect 1 "** (exit) :badarg" program_nonsense
a call bob flood 1
expect 1 ":system_limit" program_flood
# A reply over what a link carries, 1 MiB, and under what a program may print.
for bytes in 1100000 4000000; do
    a call bob wide $bytes -t 60000
    [ "$status" -eq 1 ] && has "$err" ":system_limit"
    ok $? "reply_over_the_limit/$bytes"
done
a call bob wide_text 2000000 -t 60000
[ "$status" -eq 1 ] && has "$err" ":system_limit"
ok $? reply_over_the_limit/text
a call bob wide 1000000 -t 60000
[ "$status" -eq 0 ] && [ "${#out}" -eq 1000002 ]
ok $? reply_under_the_limit
# text TERM REPLY NAME: of a program that knows no JSON.
text() {
    a call bob upper "$1"
    [ "$status" -eq 0 ] && [ "$out" = "$2" ]
    ok $? "text/$3"
}
text '"hi {}"' '"HI {}"' string
text '"a\n"' '"A"' newline_at_the_end
text '"a\n\n"' '"A\n"' one_newline_at_the_end
text '""' '""' empty
text nil '""' nothing
text ':on' '"ON"' atom
text -12 '"-12"' integer
text '[97, 98]' '"AB"' charlist
text '{:ok, "x"}' '"{:OK, \"X\"}"' tuple
text '<<255>>' '<<255>>' no_text
a cast bob Logger info '["from afar"]'
until_true 20 grep -q 'peernet: info: peer says .*: from afar' "$work/bob.err"
ok $? cast_to_the_logger
a rpc bob Logger warning '["no"]'
expect 1 ":forbidden" logger_not_granted
a rpc bob Logger error '["to a program"]'
expect 0 '"TO A PROGRAM' logger_replaced_by_a_program
! grep -q 'peer says .*to a program' "$work/bob.err"
ok $? logger_replaced_writes_nothing
a rpc bob M upper '["one", 2]'
expect 0 '"ONE\n2"' text/arguments_by_line
a call bob complains 1
until_true 20 grep -qF 'complains: one\x1B[2Jtwo' "$work/bob.err"
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
until_true 20 heard bob 'chat  *alice: hello'
ok $? send_arrives
a send bob chat '"escape \e[2J\u202E"'
until_true 20 heard bob 'alice: escape \\x1B\[2J\\xE2\\x80\\xAE'
ok $? chat_is_escaped
a send bob chat '"nul \x00 inside"'
until_true 20 heard bob 'alice: nul \\x00 inside'
ok $? chat_shows_a_nul
printf 'dos\r\n\r\nunix\nmac\rmac\r\n' |
    timeout 20 "$peernet" -d "$work/alice" chat bob >"$work/out" 2>&1
until_true 20 heard bob 'alice: mac\\x0Dmac$' && heard bob 'alice: dos$' &&
    heard bob 'alice: unix$' && ! heard bob 'alice: *$'
ok $? chat_ends_lines_at_crlf
a send bob nothing 1
expect 0 "" send_to_nothing
printf 'first\nsecond\n' |
    timeout 20 "$peernet" -d "$work/alice" chat bob >"$work/out" 2>&1
ok $? chat_ends
until_true 20 heard bob 'alice: second'
ok $? chat_sends_lines
# A line over 4096 bytes is sent in pieces, and all of it: no byte is lost and
# no character is cut.
{ printf '%04095d' 0 && printf 'äYZend\n'; } |
    timeout 20 "$peernet" -d "$work/alice" chat bob >"$work/out" 2>&1
until_true 20 heard bob 'alice: 0*0ä$' && until_true 20 heard bob 'alice: YZend$'
ok $? chat_long_line
# The other way: the handle exists for as long as a chat runs.
# shellcheck disable=SC2317 # called by until_true
no_chat() {
    b call alice chat '"anybody there?"'
    [ "$status" -ne 0 ]
}
until_true 20 no_chat
b call alice chat '"too early"'
expect 1 ":no_such_handle" chat_is_closed
mkfifo "$work/keys"
"$peernet" -d "$work/alice" chat bob >"$work/chat.out" <"$work/keys" &
pids+=($!)
exec 3>"$work/keys"
until_true 10 bash -c "'$peernet' -d '$work/bob' call alice chat '\"to you\"' \
    >/dev/null 2>&1"
until_true 20 heard chat 'bob> to you'
ok $? chat_receives
exec 3>&-
until_true 20 no_chat
ok $? chat_closes_again
a rpc bob MyApp.Led on '[1]'
expect 1 "MyApp.Led, :on" rpc_not_exported
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
expect 0 '"metric":"peernet_links_up","sample":1}' metrics_json

# ---- the control socket -----------------------------------------------------------------

socket=$(find "$XDG_RUNTIME_DIR/peernet" -name '*.sock' | head -1)
[ "$(stat -c %a "$XDG_RUNTIME_DIR/peernet")" = 700 ] &&
    [ "$(stat -c %a "$socket")" = 600 ]
ok $? control_modes
[ "$(find "$XDG_RUNTIME_DIR/peernet" -name '*.sock' | wc -l)" -eq 2 ]
ok $? control_one_per_directory
a run --listen 127.0.0.1:0 --discovery none
expect 4 "identity" second_node_is_refused
"$peernet" -d "$work/bob" --json events >"$work/events.out" &
events=$!
pids+=("$events")
carol=$("$peernet" -d "$work/carol" id)
# Two events of bob's.
come_and_go() {
    b pair "$carol" -l carol
    b unpair carol
}
# shellcheck disable=SC2317 # called by until_true
is_subscribed() {
    come_and_go
    heard events '"event":"trust-changed".*"label":"carol"'
}
until_true 15 is_subscribed
a call bob closed 1
until_true 15 heard events '"event":"denied".*"label":"alice".*"forbidden".*"closed"'
ok $? events
kill -INT "$events"
wait "$events"
ok $? events_ends_with_0
# With its reader gone it ends at the first event that cannot be written.
timeout 20 "$peernet" -d "$work/bob" events > >(read -r _) 2>"$work/reader.err" &
events=$!
pids+=("$events")
# shellcheck disable=SC2317 # called by until_true
has_ended() {
    come_and_go
    ! kill -0 "$events" 2>/dev/null
}
until_true 20 has_ended
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
until_true 20 heard bob 'denied .*: that key is not paired here; pair it'
ok $? stranger_is_noticed
a call bob echo '"still here"'
expect 0 "still here" others_do_not_notice
run -d "$work/carol" send bob echo 1 --at "localhost:$port_bob" "${own[@]}"
expect 3 "probably not paired" stranger_send_is_refused
run -d "$work/carol" call bob echo 1 --at "127.0.0.1:$port_bob" "${own[@]}" \
    --wait 1500
expect 3 "probably not paired" stranger_is_told_before_the_peer_closes
# A node of carol's: its report on bob is the same for every command.
start carol --listen 127.0.0.1:0 --discovery none
c() { run -d "$work/carol" "$@"; }
c pair "$bob" --address nobody.invalid:7100
expect 0 "paired" name_unknown_at_pairing
c pair "$bob" --address "localhost:$port_bob"
expect 0 "already paired" name_at_pairing
ups=0
for i in {1..12}; do
    c peers
    has "$out" " up " && ups=$((ups + 1))
    # Half of them while bob is silent, half when it has closed.
    [ "$i" -ne 6 ] || until_true 10 heard carol 'dial-failed .*bob'
done
[ "$ups" -eq 0 ] && has "$out" "probably not paired this node"
ok $? stranger_is_never_up
! heard carol peer-up
ok $? stranger_has_no_peer_up
c metrics
expect 0 "peernet_links_up 0" stranger_is_no_link_up
echo hello | timeout 30 "$peernet" -d "$work/carol" chat bob \
    >"$work/out" 2>"$work/err"
status=$? out=$(cat "$work/out") err=$(cat "$work/err")
expect 3 "probably not paired" stranger_chat_is_refused
stop carol
# A host that accepts the connection and sends nothing.
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
run_bob_again() {
    start bob --listen "127.0.0.1:$port_bob" --no-linger --echo \
        --expose silent="$work/silent" --allow silent="$alice" \
        --expose args="$work/args" --allow args=paired \
        --allow Logger.info/1=alice --allow Logger.error/1=paired
}
run_bob_again
ok $? bob_runs_again
a call bob echo '"again"' --wait 20000
expect 0 "again" link_comes_back
a call bob silent 1
expect 0 ":ok" allowed_by_key
a rpc bob Logger info '["by label"]'
expect 0 ":ok" function_allowed_by_label

# ---- unpair ------------------------------------------------------------------------------------

b unpair alice
expect 0 "unpaired " unpair
until_true 10 heard bob 'peer-down  *alice .*: the peer was unpaired; pair it again'
ok $? unpair_ends_the_link
a call bob echo 1 --wait 2000
expect 3 "" unpaired_is_a_stranger
b pair "$alice" -l alice
a call bob echo '"paired again"' --wait 30000
expect 0 "paired again" pair_again_reconnects
# What was allowed to the peer ended with it; what is for every paired peer has
# not.
a call bob silent 1
expect 1 ":forbidden" pair_again_allows_no_handle
until_true 20 heard bob 'denied  *alice .* silent: this caller is not allowed'
ok $? pair_again_denial_is_printed
a rpc bob Logger info '["no"]'
expect 1 ":forbidden" pair_again_allows_no_function
a call bob args 1
expect 0 "[" pair_again_allows_what_is_for_all
a rpc bob Logger error '["for all"]'
expect 0 ":ok" pair_again_allows_a_function_for_all
stop bob
run_bob_again
a call bob silent 1 --wait 20000
expect 0 ":ok" next_start_allows_it_again
a rpc bob Logger info '["yes"]'
expect 0 ":ok" next_start_allows_the_function_again

# ---- without a running node ------------------------------------------------------------------------

stop alice
[ ! -e "$socket" ] || [ "$(find "$XDG_RUNTIME_DIR/peernet" -name '*.sock' |
    wc -l)" -eq 1 ]
ok $? socket_is_removed
a call bob echo '"on my own"' "${own[@]}" --no-linger
expect 0 "on my own" call_without_node
a send bob echo '"on my own"' "${own[@]}" --no-linger
expect 0 "" send_without_node
# tests/beam/cli.exs has a peer that is lingered for.
a call bob echo '"and leave"' "${own[@]}"
expect 0 "and leave" call_and_leave
! has "$err" "stays open"
ok $? call_leaves_at_once
labelled() {
    "$peernet" -d "$work/bob" --json peers | grep -q \
        '"our_kind":true,"proposed_label":"Alice'"'"'s box"'
}
# Two commands at once share nothing: the second waits for the first.
"$peernet" -d "$work/alice" call bob echo 1 "${own[@]}" --no-linger \
    >/dev/null 2>&1 &
a call bob echo '"both"' "${own[@]}" --no-linger
expect 0 "both" two_commands_at_once
wait $!
ok $? two_commands_at_once_first
start alice --listen 127.0.0.1:0 --own-label "Alice's box"
a call bob echo '"linked"'
expect 0 "linked" call_of_a_node_that_leaves
a --json peers
has "$out" '"our_kind":true,"proposed_label":null'
ok $? our_kind_is_known
until_true 20 labelled
ok $? own_label_is_told
a label
expect 0 "Alice's box" label_is_shown
a label "the kitchen"
expect 0 "the kitchen" label_is_changed
renamed() {
    "$peernet" -d "$work/bob" --json peers | grep -q '"proposed_label":"the kitchen"'
}
until_true 20 renamed
ok $? label_change_is_told
b pair "$alice" --label ""
b peers
expect 0 'says "the kitchen"' proposed_label_is_shown
b pair "$alice" --label alice
b peers
! has "$out" says
ok $? own_label_of_the_owner_wins
a status
expect 0 "label        the kitchen, told to linked peers" label_in_status
a --json label --none
expect 0 '"own_label":null' label_is_taken_back
a label --none kitchen
expect 2 "" label_beside_none
a label "$(printf '%055d' 0)"
expect 2 "" label_too_long
stop alice
! grep -q 'stays open' "$work/alice.err"
ok $? our_kind_is_left_at_once
a label
expect 3 "" label_needs_a_node

# Where only another key answers, and nothing else can bring an address, waiting
# is of no use; the time-out of the test is that of a wait to the end.
dave=$("$peernet" -d "$work/dave" id | grep -o '[A-Z2-7]\{52\}')
a pair "$dave" -l dave --address "127.0.0.1:$port_bob"
a call dave echo 1 --listen 127.0.0.1:0 --discovery none --no-linger \
    --wait 3600000
expect 3 "another node answers" wait_ends_where_only_another_key_answers
a call dave echo 1 --listen 127.0.0.1:0 --discovery none --no-linger \
    --wait 3600000 --at "127.0.0.1:$port_bob"
expect 3 "another node answers" wait_ends_at_the_address_given

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

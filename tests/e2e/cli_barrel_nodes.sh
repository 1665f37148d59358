#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: nodes of an Erlang cluster, all of them ours, call and watch one another
# over QUIC by command line, and refuse whom they have not pinned, whose key or
# cookie is another, and whatever was not granted. All on loopback.
# Usage: cli_barrel_nodes.sh PEERNET
# shellcheck disable=SC2016 # what is in single quotes is meant as it is
# shellcheck disable=SC2154 # pid_NAME is set by start
peernet=$1
suite=cli/barrel_nodes
limit=30
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"

a() { run -d "$work/a" "$@"; }
b() { run -d "$work/b" "$@"; }

umask 077
printf 'secret-%s\n' $RANDOM >"$work/cookie"
printf 'secret-other\n' >"$work/wrong"
umask 022
quiet=(--listen 127.0.0.1:0)
cluster=(--cookie-file "$work/cookie" --barrel-listen 127.0.0.1 --dns-port 0)

# node NAME ARG...: `run --barrel NAME@localhost` in the background on any port;
# sets port_NAME to the UDP port.
node() {
    local name=$1
    shift
    start_by "$name" "$peernet" -d "$work/$name" run --discovery none \
        "${quiet[@]}" --barrel "$name@localhost:0" "${cluster[@]}" "$@" ||
        return 1
    printf -v "port_$name" %s "$(sed -n \
        's/^ready .* barrel .* port //p; s/.*"barrel_port":\([0-9]*\).*/\1/p' \
        "$work/$name.out")"
}
# is_json NAME PYTHON: what was printed is one line of JSON, `o`.
is_json() {
    [ -z "$err" ] && printf '%s\n' "$out" | python3 -c "import json, sys
o = json.load(sys.stdin)
assert $2, o"
    ok $? "$1"
}
pin() { # WHERE WHOM: by name
    "$peernet" -d "$work/$1" barrel trust "$2@localhost" "$work/$2.pub" \
        >/dev/null
}

for who in a b c; do
    "$peernet" -d "$work/$who" barrel id --out "$work/$who.pub" >/dev/null
done
pin a b
pin b a
pin c b

# The argument, and who sent it, to a file beside it.
cat >"$work/note" <<'P'
#!/bin/sh
read -r argument
printf '%s %s %s %s\n' "$argument" "$PEERNET_LABEL" "$PEERNET_FAMILY" \
    "$PEERNET_HANDLE" >>"${0%/*}/notes"
echo '{"$tuple": [{"$atom": "noted"}, '"$argument"']}'
P
printf '#!/bin/sh\nprintf '"'"'"%%06000000d"'"'"' 0\n' >"$work/wide"
printf '#!/bin/sh\nprintf '"'"'"%%020000000d"'"'"' 0\n' >"$work/wider"
chmod +x "$work/note" "$work/wide" "$work/wider"
noted() { grep -qxF -e "$1" "$work/notes" 2>/dev/null; }

# ---- two nodes ----------------------------------------------------------------

node b --expose note="$work/note" --allow note=a@localhost --echo \
    --expose wide="$work/wide" --allow wide=a@localhost \
    --expose wider="$work/wider" --allow wider=a@localhost \
    --export M.wider/0="$work/wider" --allow M.wider/0=a@localhost \
    --expose closed="$work/note" --allow closed=paired \
    --export Led.on/1="$work/note" --allow Led.on/1=a@localhost \
    --export :led.off/0="$work/note" --allow :led.off/0=paired
ok $? b_runs
at_b=(--node "b@localhost=127.0.0.1:$port_b")
node a --json "${at_b[@]}" --echo --allow echo=b@localhost
ok $? a_runs
a --json call b@localhost note 1
is_json call "o['value'] == {'\$tuple': [{'\$atom': 'noted'}, 1]}"
noted '1 a@localhost barrel note'
ok $? program_is_told_who
a call b@localhost note '%{text: "hi"}'
expect 0 '{:noted, %{text: "hi"}}' call_text
a call b@localhost note '[1, 2]' --json-term
expect 0 '{:noted, [1, 2]}' call_json_term
printf '"%0300000d"' 0 >"$work/big"
timeout 90 "$peernet" -d "$work/a" call b@localhost note - -t 60000 <"$work/big" \
    >"$work/out" 2>"$work/err"
[ "$(wc -c <"$work/out")" -gt 300000 ]
ok $? call_large_from_stdin
# Over PeerNet a reply is 1 MiB at most; here the link's 16 MiB count.
timeout 90 "$peernet" -d "$work/a" call b@localhost wide -t 60000 >"$work/out"
[ "$(wc -c <"$work/out")" -gt 6000000 ]
ok $? reply_as_large_as_the_link_takes
a call b@localhost wider -t 60000
expect 0 "{:error, :system_limit}" reply_over_the_limit
a rpc b@localhost M wider '[]' -t 60000
expect 1 ":system_limit" reply_over_the_limit_of_a_function
a rpc b@localhost Led on '[7]'
expect 0 '{:noted, [7]}' rpc
noted '[7] a@localhost barrel Led.on/1'
ok $? rpc_program_is_told
a --json rpc b@localhost Led on '["x"]'
is_json rpc_json "o['ok'] and o['value']['\$tuple'][1] == ['x']"
a cast b@localhost Led on '["cast"]'
expect 0 "" cast
until_true 20 noted '["cast"] a@localhost barrel Led.on/1'
ok $? cast_arrives
a send b@localhost note '{:a, "message"}'
expect 0 "" send
until_true 20 grep -q '"message".* a@localhost barrel note' "$work/notes"
ok $? send_arrives
a --json send b@localhost note '"json"'
is_json send_json "o.pop('time') and o == {'ok': True}"
a send b@localhost nobody 1
expect 1 "went nowhere" send_to_nobody
# More than is let out at once: what confirms it waits until there is room.
printf '"%06000000d"' 0 >"$work/large"
timeout 120 "$peernet" -d "$work/a" send b@localhost wide - \
    <"$work/large" >"$work/out" 2>"$work/err"
status=$? out=$(cat "$work/out") err=$(cat "$work/err")
expect 0 "" send_large

# The nearest name for a mistyped node.
a call b@locahost note 1
expect 3 "did you mean 'b@localhost'" typo_of_a_node
a monitor bb@localhost
expect 3 "did you mean 'b@localhost'" typo_of_a_monitored_node
run -d "$work/c" run --echo --allow echo=b@lcalhost --discovery none \
    "${quiet[@]}" --barrel c@localhost:0 "${cluster[@]}"
expect 5 "did you mean 'b@localhost'" typo_of_an_allowed_node

# ---- what is not granted -------------------------------------------------------

# gen_server:call has no error of its own: a refusal is what it answers.
a call b@localhost closed 1
expect 0 "{:error, :forbidden}" call_not_granted
a call b@localhost nothing 1
expect 1 "error: :noproc" call_of_nothing
! grep -q ' closed$' "$work/notes"
ok $? closed_does_not_run
a call b@localhost echo 1
expect 0 "{:error, :forbidden}" echo_is_for_paired_peers
a rpc b@localhost :led off '[]'
expect 1 "" rpc_not_granted
a rpc b@localhost Led on '[1, 2]'
expect 1 "" rpc_another_arity
a --json rpc b@localhost :erlang halt '[]'
is_json rpc_not_exported_json "not o['ok'] and o['error'] == 'remote'"
b call a@localhost echo '"back"'
expect 0 '"back"' call_over_the_same_link
a call b@localhost note 1 --timeout 1
[ "$status" -eq 3 ] || [ "$status" -eq 0 ] # a fast machine
ok $? timeout_status

# ---- pids ------------------------------------------------------------------------

# A pid as --json prints it: of NODE, with a number that nothing there has.
pid_of() {
    python3 - "$1" <<'P'
import base64, json, sys
node = sys.argv[1].encode()
term = b"X" + bytes([119, len(node)]) + node + bytes([0, 0, 9, 9] + [0] * 8)
print(json.dumps({"$opaque": base64.b64encode(term).decode()}))
P
}
a send b@localhost "$(pid_of b@localhost)" '"to a pid"'
expect 1 "went nowhere" send_to_a_pid_of_nobody
a send b@localhost '#PID<"b@localhost".173.0>' 1
expect 1 "went nowhere" send_to_a_printed_pid
a monitor b@localhost '#PID<"b@localhost".173.0>'
expect 0 "down: :noproc" monitor_a_printed_pid
a send b@localhost '#PID<"c@localhost".173.0>' 1
expect 2 "another node" send_to_a_printed_pid_elsewhere
a send b@localhost '#PID<b.173>' 1
expect 2 "registered name, or a pid" send_to_no_printed_pid
a monitor b@localhost "$(pid_of b@localhost)"
expect 0 "down: :noproc" monitor_a_pid
a send b@localhost "$(pid_of c@localhost)" 1
expect 2 "another node" send_to_a_pid_elsewhere
a send b@localhost '{"$opaque": "AAAA"}' 1
expect 2 "registered name, or a pid" send_to_no_pid
a send b@localhost '{"$opaque": 1}' 1
expect 2 "registered name, or a pid" send_to_no_text
a call b@localhost "$(pid_of b@localhost)" 1
expect 2 "call to a pid is not possible" call_to_a_pid

# ---- what can be seen ------------------------------------------------------------

a --json barrel nodes
is_json nodes_json "o['node'] == 'b@localhost' and not o['cookie_only'] \
and o['dialled_by_us'] and o['address'] == '127.0.0.1:$port_b'"
b barrel nodes
expect 0 "a@localhost" nodes
a metrics
expect 0 'peernet_barrel_auth_attempts_total{role="outgoing",outcome="ok"} 1' \
    metrics
a --json metrics
python3 -c 'import json, sys
lines = [json.loads(line) for line in sys.stdin]
def of(metric, **labels):
    return [o["sample"] for o in lines if o["metric"] == metric
            and all(o[k] == v for k, v in labels.items())]
assert of("peernet_barrel_links_up") == [1]
assert of("peernet_barrel_auth_duration_seconds_sum", role="outgoing",
          outcome="ok")[0] > 0' <<<"$out"
ok $? metrics_json
heard a '"event":"peer-up".*"node":"b@localhost"' && heard b 'peer-up  *a@loc'
ok $? events
sed -n 1p "$work/a.out" | grep -q \
    '"node":"a@localhost","barrel_port":[1-9][0-9]*,"control":'
ok $? ready_json
a --json peers
[ "$status" -eq 0 ] && [ -z "$out" ]
ok $? nodes_are_no_peers

# ---- monitors ----------------------------------------------------------------------

a --json monitor b@localhost nobody
is_json monitor_nobody_json "o['ok'] and o['node'] == 'b@localhost' and \
o['process'] == 'nobody' and o['value'] == {'\$atom': 'noproc'}"
# watch NAME ARG...: `monitor` in the background; sets pid_NAME.
watch() {
    local name=$1
    shift
    "$peernet" -d "$work/a" monitor "$@" >"$work/$name.out" \
        2>"$work/$name.err" </dev/null &
    pids+=($!)
    printf -v "pid_$name" %s $!
}
watch interrupted b@localhost
sleep 0.5 # it is the program by then, and no copy of this script
interrupt "$pid_interrupted"
[ $? -eq 130 ]
ok $? monitor_interrupted
# watch_process NAME ARG...: the same, and waits until the other node knows.
watch_process() {
    local before
    before=$(signals)
    watch "$@"
    # shellcheck disable=SC2317 # called by until_true
    grown() { [ "$(signals)" != "$before" ]; }
    until_true 20 grown
}
signals() {
    "$peernet" -d "$work/a" metrics |
        sed -n 's/^peernet_barrel_signals_total{direction="out"} //p'
}
watch of_node b@localhost
sleep 1 # nothing tells when it watches
watch_process of_process b@localhost note
[ ! -s "$work/of_node.out" ] && [ ! -s "$work/of_process.out" ]
ok $? monitors_wait
b barrel unpin a@localhost
expect 0 "unpinned a@localhost" unpin
until_true 10 heard b 'peer-down  *a@localhost .*not pinned'
ok $? unpin_ends_the_link
heard b 'trust-changed  *a@localhost .*unpinned'
ok $? a_pin_is_told_by_its_node
wait "$pid_of_node" && [ "$(cat "$work/of_node.out")" = \
    "b@localhost down: :noconnection" ]
ok $? monitor_of_a_node
wait "$pid_of_process" && [ "$(cat "$work/of_process.out")" = \
    "b@localhost note down: :noconnection" ]
ok $? monitor_of_a_process

# ---- refused nodes -------------------------------------------------------------------

a call b@localhost note '"unpinned"'
expect 3 "our key is not pinned there" strict_refuses_who_is_not_pinned
! grep -q unpinned "$work/notes"
ok $? nothing_ran
[ ! -e "$work/b/barrel/keys/trusted/a@localhost.pub" ]
ok $? strict_pins_nobody
pin b a
a call b@localhost note '"pinned again"'
expect 0 "pinned again" pin_again
a rpc b@localhost Led on '["pinned again"]'
expect 0 "pinned again" pin_again_function
own=("${at_b[@]}" "${cluster[@]}")
run -d "$work/c" call b@localhost note 1 --as c@localhost "${own[@]}"
expect 3 "our key is not pinned there" stranger_is_refused
# Another key under a name that is pinned.
run -d "$work/c" call b@localhost note 1 --as a@localhost "${own[@]}"
expect 3 "another key than ours is pinned there" another_key
run -d "$work/c" --json call b@localhost note 1 --as a@localhost "${own[@]}"
is_json another_key_json "not o['ok'] and o['error'] == 'not-connected' and \
o['reason'] == 'not-paired-there?'"
pin b c
run -d "$work/c" call b@localhost note 1 --as c@localhost "${at_b[@]}" \
    --barrel-listen 127.0.0.1 --cookie-file "$work/wrong"
expect 3 "cookie" wrong_cookie
run -d "$work/c" rpc b@localhost Led on '[1]' --as c@localhost "${own[@]}"
expect 1 "" pinned_is_not_granted
run -d "$work/c" send b@localhost note 1 --as c@localhost "${own[@]}"
expect 0 "" send_on_our_own
run -d "$work/c" monitor b@localhost nobody --as c@localhost "${own[@]}"
expect 0 "b@localhost nobody down: :noproc" monitor_on_our_own
"$peernet" -d "$work/c" monitor b@localhost --as c@localhost "${own[@]}" \
    >/dev/null 2>&1 &
pid=$!
pids+=("$pid")
until_true 20 eval '"$peernet" -d "$work/b" barrel nodes | grep -q c@localhost'
interrupt "$pid"
[ $? -eq 130 ]
ok $? monitor_on_our_own_interrupted
run -d "$work/c" call b@localhost note 1 --as c@localhost "${cluster[@]}"
expect 3 "b@localhost is not known" nowhere
run -d "$work/c" call b@localhost note 1 --as c@localhost "${cluster[@]}" \
    --node b@localhost=127.0.0.1:1 --wait 5000
expect 3 "127.0.0.1:1" nobody_listens

# ---- another key ----------------------------------------------------------------------

b --json barrel rotate identity --yes
is_json rotate "[p['node'] for p in o['refused_by']] == \
['a@localhost', 'c@localhost']"
a call b@localhost note '"over the old link"'
expect 0 "over the old link" links_survive_a_rotation
a barrel unpin b@localhost
until_true 2 heard a '"event":"peer-down".*"node":"b@localhost"'
ok $? unpin_at_the_other_end
pin a b # the key it had
a call b@localhost note 1
expect 3 "key" old_pin_refuses_the_new_key
a barrel unpin b@localhost
rm "$work/b.pub"
b barrel id --out "$work/b.pub"
pin a b
a call b@localhost note '"new key"'
expect 0 "new key" new_key_without_a_restart
b barrel rotate cert
expect 0 "from its next start" rotate_certificate
sleep 1.1 # a copy is named by the second
b --json barrel rotate cert
is_json rotate_certificate_json "o['ok'] and '/quic/backups/' in o['backup']"
watch_process of_ours b@localhost echo
kill -INT "$pid_a"
wait "$pid_a"
ok $? a_stops_while_it_watches
wait "$pid_of_ours"
[ $? -eq 4 ] && grep -q 'the node ended' "$work/of_ours.err"
ok $? monitor_ends_with_our_node
node a --json "${at_b[@]}"
a call b@localhost note 1
expect 0 "{:noted, 1}" a_runs_again
kill -INT "$pid_b"
wait "$pid_b" && until_true 20 heard a '"event":"peer-down".*b@localhost'
ok $? b_stops
! grep -q 'stays open' "$work/b.err"
ok $? only_peers_are_lingered_for

# ---- trust on first use, endpoint files --------------------------------------------------

mkdir "$work/endpoints"
node t --trust-mode tofu --discovery-dir "$work/endpoints" --echo
ok $? tofu_runs
[ "$(cat "$work/endpoints/t@localhost.endpoint")" = \
    "{\"localhost\",$port_t}." ]
ok $? endpoint_file_is_written
run -d "$work/c" call t@localhost echo 1 --as c@localhost "${cluster[@]}" \
    --discovery-dir "$work/endpoints"
expect 3 "t@localhost failed: no key is pinned here" strict_does_not_pin_what_tofu_would
run -d "$work/c" barrel pins
! has "$out" t@localhost
ok $? nothing_was_pinned
run -d "$work/e" call t@localhost echo 1 --as e@localhost "${cluster[@]}" \
    --discovery-dir "$work/endpoints" --trust-mode tofu
expect 0 "{:error, :forbidden}" tofu_link
run -d "$work/e" --json barrel pins
is_json tofu_pins_here "o['node'] == 't@localhost'"
run -d "$work/t" --json barrel pins
is_json tofu_pins_there "o['node'] == 'e@localhost'"
# A second node under that name is refused.
run -d "$work/f" call t@localhost echo 1 --as e@localhost "${cluster[@]}" \
    --discovery-dir "$work/endpoints" --trust-mode tofu
expect 3 "another key than ours is pinned" tofu_refuses_another_key
[ ! -e "$work/endpoints/e@localhost.endpoint" ]
ok $? commands_are_written_nowhere
stop t
[ ! -e "$work/endpoints/t@localhost.endpoint" ]
ok $? endpoint_file_goes
node n --no-publish --discovery-dir "$work/endpoints" --visible
ok $? visible_runs
[ -z "$(ls "$work/endpoints")" ]
ok $? no_publish
stop n

# ---- pinned nodes of known address ---------------------------------------------------------

for who in p q; do
    "$peernet" -d "$work/$who" barrel id --out "$work/$who.pub" >/dev/null
done
pin p q
pin q p
node q --no-dial --echo --allow echo=p@localhost
ok $? dialled_node_runs
at_q=(--node "q@localhost=127.0.0.1:$port_q")
ups_of_q() { grep -c 'peer-up  *q@localhost' "$work/p.out"; }
# lose_link: q ends it and lets p in again.
lose_link() {
    run -d "$work/q" barrel unpin p@localhost
    until_true 10 heard p 'peer-down  *q@localhost'
    pin q p
}
node p "${at_q[@]}"
until_true 10 heard p 'peer-up  *q@localhost'
ok $? dialled_at_the_start
lose_link
until_true 30 eval '[ "$(ups_of_q)" -ge 2 ]'
ok $? dialled_after_a_loss
stop p
node p --no-dial "${at_q[@]}"
sleep 3 # as long as a dial at the start may take
run -d "$work/p" barrel nodes
[ "$status" -eq 0 ] && ! has "$out" q@localhost && [ "$(ups_of_q)" -eq 0 ]
ok $? no_dial_at_the_start
run -d "$work/p" call q@localhost echo '"asked"'
expect 0 '"asked"' no_dial_calls_all_the_same
lose_link
sleep 4 # the first pause is one second
[ "$(ups_of_q)" -eq 1 ]
ok $? no_dial_after_a_loss
stop p
stop q

# With tofu the new pin may be of any key, so the grant does not come back.
"$peernet" -d "$work/u" barrel id --out "$work/u.pub" >/dev/null
pin u p
pin p u
node u --trust-mode tofu --echo --allow echo=p@localhost
p_calls_u() {
    run -d "$work/p" call u@localhost echo 1 --as p@localhost \
        --node "u@localhost=127.0.0.1:$port_u" "${cluster[@]}"
}
p_calls_u
expect 0 1 tofu_allowed
run -d "$work/u" barrel unpin p@localhost
until_true 10 heard u 'trust-changed  *p@localhost .*unpinned'
pin u p
p_calls_u
expect 0 "{:error, :forbidden}" tofu_pin_again_is_not_allowed
stop u

# ---- a node without the link ---------------------------------------------------------------

start_by plain "$peernet" -d "$work/plain" run --discovery none "${quiet[@]}"
run -d "$work/plain" call b@localhost note 1 "${own[@]}"
expect 2 "without '--barrel NAME@HOST'" running_node_without_barrel
run -d "$work/plain" --json barrel nodes
[ "$status" -eq 0 ] && [ -z "$out" ]
ok $? no_nodes
stop plain

! grep -rqF secret- "$work"/*.out "$work"/*.err
ok $? the_cookie_is_in_no_output

done_testing

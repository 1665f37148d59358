#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a command line that is not understood says what was expected and quotes
# what was found, changes nothing, and ends with 2 (5 for a peer nobody knows).
# Usage: cli_usage.sh PEERNET
peernet=$1
suite=cli/usage
limit=15 # seconds of one command: none waits for anything
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"

key=$("$peernet" -d "$work/other" id)
own=$("$peernet" id)
"$peernet" pair "$key" --label bob >/dev/null
before=$(cd "$XDG_STATE_HOME/peernet" && cat identity.keys trust.bin | cksum)

quiet=(--discovery none --listen 127.0.0.1:0)

# row STATUS PART NAME ARG...
# A node that starts all the same, because a check was left out, stays quiet.
row() {
    local want=$1 part=$2 name=$3 command=$4
    shift 3
    case $command in
    run | call | discover)
        shift
        has "$*" "--listen " || set -- --listen 127.0.0.1:0 "$@"
        has "$*" "--discovery " || set -- --discovery none "$@"
        set -- "$command" "$@"
        ;;
    esac
    run "$@"
    expect "$want" "$part" "$name"
}

run
expect 2 "usage: peernet" no_command
row 0 "usage: peernet" help_option --help
row 0 "usage: peernet call" help_of_command call --help
row 0 "usage: peernet call" help_word help call
groups=$(printf '%s\n' "$out" | sed -n 's/^\([OF][fopr][^.]*\):$/\1/p' | paste -sd/)
[ "$groups" = "Options of this command/Of the node that is opened when none \
runs/Options of every command/For nodes of an Erlang cluster" ]
ok $? help_is_in_groups
has "${out##*Erlang cluster:}" "--cookie-file" &&
    ! has "${out%%For nodes of*}" "--cookie-file"
ok $? help_has_cluster_options_last
row 2 "name of a command" help_unknown help nope
row 0 "libpeernet" version --version
row 0 '"version":' version_json --version --json
row 2 "expected a command" unknown_command frobnicate
row 2 "found 'call'" call_without_arguments call
row 2 "found 'call bob'" call_without_handle call bob
row 3 "no link" call_without_term call bob echo "${quiet[@]}"
row 3 "no link" call_without_term_json call bob echo --json-term "${quiet[@]}"
row 3 "no link" send_without_term send bob echo "${quiet[@]}"
row 2 "a text is written '\"hello\"'" term_bare_word call bob echo hello
row 2 "a text is written '\"Hello, world\"'" term_bare_text \
    send bob echo "Hello, world"
row 2 "a text is written '\"été\"'" term_bare_utf8 call bob echo été
row 2 "a space behind" term_name_without_space call bob echo '[a:1]'
row 3 "no link" term_charlist call bob echo '~c"abc"' "${quiet[@]}"
row 0 "peernet 0" version version
row 0 '"library":' version_json version --json
row 2 "did you mean 'call'" typo_of_a_command cll bob echo 1
row 2 "did you mean 'peers'" typo_swapped peesr
row 2 "did you mean '--timeout'" typo_of_an_option call bob echo 1 --tiemout 5
row 2 "did you mean '--data-dir'" typo_of_a_global_option --datadir x peers
row 2 "did you mean '--wait'" typo_with_a_value call bob echo 1 --wiat=5
row 2 "did you mean 'trust'" typo_of_an_action barrel trsut
row 2 "did you mean 'cert'" typo_after_an_action barrel rotate cret
row 2 "found 'cll': did you mean 'call'" typo_after_help help cll
row 2 "did you mean 'udp'" typo_of_a_value call bob echo 1 --discovery upd
row 2 "did you mean 'tofu'" typo_of_a_trust_mode call n@h echo 1 \
    --trust-mode tofo
row 2 "did you mean 'temp'" typo_of_an_exposed_name run \
    --expose temp=/bin/true --allow tepm=paired
row 2 "did you mean 'echo'" typo_of_a_built_in_name run --echo \
    --allow ecko=paired
row 2 "did you mean 'Logger.info/1'" typo_of_a_logger run \
    --allow Loger.info/1=paired
row 2 "did you mean 'temp'" typo_of_a_text run --expose temp=/bin/true \
    --text tmep
row 2 "did you mean 'temp'" typo_of_an_argument run --expose temp=/bin/true \
    --arg tmp=1
row 5 "did you mean \"paired\"" typo_of_paired run --echo --allow echo=pared
row 5 "did you mean \"bob\"" typo_of_an_allowed_label run --echo \
    --allow echo=bbo
row 5 "did you mean \"bob\"" typo_of_a_label call bbo echo 1 "${quiet[@]}"
row 2 "found 'frobnicate'" no_command_is_near frobnicate
run frobnicate
! has "$err" "did you mean"
ok $? nothing_is_near
row 2 "expected PEER with '--handle'" doctor_handle_without_peer doctor \
    --handle echo
row 5 "no paired peer is \"carol\"" doctor_unknown_peer doctor carol \
    --discovery none --listen 127.0.0.1:0
row 2 "found 'x'" call_with_too_much call bob echo 1 x
row 2 "found '--tiemout'" unknown_option call bob echo 1 --tiemout 5
row 2 "found '0'" timeout_zero call bob echo 1 --timeout 0
row 2 "found 'soon'" timeout_word call bob echo 1 --timeout soon
row 2 "1 to 86400000" timeout_large call bob echo 1 --timeout 86400001
row 2 "found '99999'" discovery_port_large discover --discovery-port 99999
row 2 "'udp' or 'none'" discovery_word call bob echo 1 --discovery mdns
row 2 "after '--listen'" listen_word call bob echo 1 --listen here:there
row 2 "after '--listen'" listen_port_large call bob echo 1 --listen 65536
row 2 "expected HOST:PORT" at_port call bob echo 1 --at localhost:0
row 2 "expected HOST:PORT" at_port_large call bob echo 1 --at localhost:65536
row 2 "expected HOST:PORT" at_word call bob echo 1 --at "a b:c"
row 3 "cannot look up nobody.invalid" at_name call bob echo 1 \
    --at nobody.invalid:7100
row 2 "longer than 253 bytes" pair_name_long pair "$key" \
    --address "$(printf '%0246d' 0).invalid:7100"
row 2 "expected HOST:PORT" pair_numbers pair "$key" --address 1.2.3.4.5:7100
row 2 "expected HOST:PORT" pair_zone pair "$key" --address "[nobody%lo]:7100"
row 2 "expected HOST:PORT" at_empty call bob echo 1 --at ""
row 2 "expected HOST:PORT" at_bracket call bob echo 1 --at "[::1"
row 2 "expected" term_empty call bob echo ""
row 2 "expected" term_open call bob echo "{1, "
row 2 "expected" term_trailing call bob echo "1 2"
row 2 "expected a term as JSON" json_term call bob echo "{" --json-term
# shellcheck disable=SC2016 # a key of JSON
row 2 "not sent" json_term_opaque \
    call bob echo '{"$opaque": "AA=="}' --json-term
row 5 "no paired peer is \"carol\"" unknown_peer call carol echo 1
row 5 "no paired peer" unknown_peer_json \
    --json call carol echo 1 --discovery none --listen 127.0.0.1:0
row 5 "no paired peer" unknown_peer_unpair unpair carol
row 5 "at least 4 digits" short_fingerprint unpair abc
row 2 "expected a key" pair_word pair bob
row 2 "expected a key" pair_short pair "${key%?}"
row 2 "expected a key" pair_long pair "${key}A"
row 2 "expected a key" pair_escape pair $'\033[2J'
row 2 "own key" pair_self pair "$own"
row 2 "at most 255 bytes" pair_label_long pair "$key" \
    --label "$(printf '%0256d' 0)"
row 2 "UTF-8" pair_label_binary pair "$key" --label $'\xff'
row 2 "expected HOST:PORT" pair_address pair "$key" --address nowhere:x
row 2 "NAME=PROGRAM" expose_no_name run --expose ./x
row 2 "NAME=PROGRAM" expose_empty_name run --expose =./x
row 2 "NAME=PROGRAM" expose_upper run --expose Temp=/bin/true
row 2 "NAME=PROGRAM" expose_dash run --expose -x=/bin/true
row 2 "NAME=PROGRAM" expose_slash run --expose ../x=/bin/true
row 2 "NAME=PROGRAM" expose_space run --expose "a b=/bin/true"
row 2 "NAME=PROGRAM" expose_quote run --expose "a'=/bin/true"
# shellcheck disable=SC2016 # as it is
row 2 "NAME=PROGRAM" expose_dollar run --expose 'a$(x)=/bin/true'
row 2 "NAME=PROGRAM" expose_utf8 run --expose "é=/bin/true"
row 2 "NAME=PROGRAM" expose_long run \
    --expose "$(printf '%065d' 0)=/bin/true" --allow x=paired
row 2 "can be run" expose_missing run --expose t=./missing --allow t=paired
row 2 "can be run" expose_not_executable run --expose "t=$work/out" \
    --allow t=paired
row 2 "can be run" expose_not_in_path run --expose t=no-such-program-here \
    --allow t=paired
# Scripts that could not be started are refused at start, not at the first call.
script() { # NAME FIRST-LINE
    printf '%s\necho' "$2" >"$work/$1"
    chmod +x "$work/$1"
}
script crlf $'#!/bin/sh\r'
script gone '#!/no/such/interpreter -x'
script env_gone '#!/usr/bin/env no-such-interpreter-here'
script plain 'echo'
script good '#! /usr/bin/env sh'
row 2 "found '/bin/sh\\x0D'" expose_script_crlf \
    run --expose t="$work/crlf" --allow t=paired
row 2 "gone: expected the path of an interpreter behind '#!', found '/no/such/i" \
    expose_no_interpreter run --expose t="$work/gone" --allow t=paired
row 2 "in PATH behind '#!/usr/bin/env', found 'no-such-interpreter-here'" \
    expose_no_interpreter_env run --expose t="$work/env_gone" --allow t=paired
row 2 "first line is such as '#!/bin/sh'" expose_no_first_line \
    run --export M.f/1="$work/plain" --allow M.f/1=paired
row 5 "no paired peer" expose_script run --expose t="$work/good" --allow t=carol
row 2 "expected ':led.on/1' after '--export'" export_erlang_module \
    run --export led.on/1=/bin/true --allow led.on/1=paired
row 5 "no paired peer" allow_logger run --allow Logger.info/1=carol
row 2 "NAME exposed" allow_logger_other run --allow Logger.infos/1=paired
row 2 "NAME exposed" text_unknown run --text t
row 2 "NAME exposed" text_of_another run --expose t=/bin/true --text u
row 2 "each NAME once" expose_twice run --expose t=/bin/true \
    --expose t=/bin/false --allow t=paired
row 2 "nobody" expose_without_allow run --expose t=/bin/true
row 2 "nobody may use 'u'" expose_one_without_allow run --expose t=/bin/true \
    --expose u=/bin/true --allow t=paired
row 2 "NAME exposed" allow_unknown_name run --expose t=/bin/true \
    --allow u=paired
row 2 "NAME exposed" allow_no_peer run --expose t=/bin/true --allow t=
row 2 "NAME exposed" allow_no_equals run --expose t=/bin/true --allow t
row 2 "NAME exposed" allow_echo_not_exposed run --allow echo=paired
row 5 "no paired peer" allow_unknown_peer run --expose t=/bin/true \
    --allow t=carol
row 2 "NAME exposed" arg_unknown run --arg t=1
row 2 "found 'echo'" expose_builtin run --echo --expose echo=/bin/true \
    --allow echo=paired
row 2 "1 to 3600000" program_timeout run --program-timeout 0
row 2 "100 to 3600000" announce_every run --announce-every 99
row 2 "1 to 54 bytes" own_label_of_55 run --own-label "$(printf '%055d' 0)" \
    --listen 127.0.0.1:0 --discovery none
row 2 "1 to 54 bytes" own_label_empty run --own-label "" \
    --listen 127.0.0.1:0 --discovery none
row 2 "control characters" own_label_control run --own-label $'a\nb' \
    --listen 127.0.0.1:0 --discovery none
row 0 "peernet_links_up 0" metrics_without_node metrics \
    --discovery none --listen 127.0.0.1:0
row 0 '"metric":"peernet_links_up","sample":0}' metrics_without_node_json --json metrics \
    --discovery none --listen 127.0.0.1:0
row 2 "numeric address" listen_name run --listen here:7100
row 2 "can be run" expose_directory run --expose t=/tmp --allow t=paired
row 2 "at most 255 characters" handle_of_256 call bob "$(printf '%0256d' 0)" 1
row 3 "no link" handle_of_255 call bob "$(printf 'é%.0s' {1..255})" 1
row 2 "nothing nested deeper" term_too_deep \
    call bob echo "$(printf '[%.0s' {1..513})$(printf ']%.0s' {1..513})"
row 3 "no link" term_just_so_deep \
    call bob echo "$(printf '[%.0s' {1..512})$(printf ']%.0s' {1..512})"
row 2 "same key twice" term_with_a_key_twice call bob echo '%{a: 1, a: 2}'
row 2 "same key twice" term_with_a_key_twice_send send bob echo \
    '[%{1 => 1, 0x1 => 2}]' --discovery none --listen 127.0.0.1:0
row 2 "found nothing after '{:ok'" term_says_where call bob echo '{:ok'
row 2 "one of --qr and --json" qr_json id --qr --json

# ---- waiting ---------------------------------------------------------------------

# No node listens at the given address: that is reported at once (cli/hub), or after the
# time given by --wait.
row 3 "127.0.0.1:1" refused call bob echo 1 --at 127.0.0.1:1
SECONDS=0
row 3 "127.0.0.1:1" refused_is_waited_out call bob echo 1 --at 127.0.0.1:1 \
    --wait 3000
[ $SECONDS -ge 2 ]
ok $? refused_wait_is_kept

# in_terminal ARG...: what is shown when standard error is a terminal.
in_terminal() {
    python3 - "$peernet" "$@" <<'EOF'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
text = b""
try:
    while chunk := os.read(fd, 4096):
        text += chunk
except OSError:
    pass
os.waitpid(pid, 0)
print(text.decode())
EOF
}
slow=(call bob echo 1 --wait 2500 --listen 127.0.0.1:0
    --discovery-address 127.255.255.255 --discovery-port "$udp")
out=$(in_terminal "${slow[@]}")
has "$out" "waiting for a link to bob, 3 s at most"
ok $? waiting_is_said
out=$(in_terminal --json "${slow[@]}")
! has "$out" "waiting for"
ok $? waiting_is_not_json
run "${slow[@]}"
[ "$status" -eq 3 ] && ! has "$err" "waiting for"
ok $? waiting_is_said_on_a_terminal_only

# An escape in what is quoted does not reach the terminal.
run pair $'\033]52;c;eA==\a'
[ "$status" -eq 2 ] && ! has "$err" $'\033' && has "$err" '\x1B]52'
ok $? quoted_escape

# Where nothing says where the data is.
(unset HOME XDG_STATE_HOME && "$peernet" id) >"$work/out" 2>"$work/err"
status=$?
out=$(cat "$work/out") err=$(cat "$work/err")
expect 2 "expected --data-dir" no_home
(unset XDG_STATE_HOME && HOME=$work/home "$peernet" id) >/dev/null
[ -f "$work/home/.local/state/peernet/identity.keys" ]
ok $? home_is_the_default
(XDG_STATE_HOME=relative HOME=$work/home2 "$peernet" id) >/dev/null
[ -f "$work/home2/.local/state/peernet/identity.keys" ] && [ ! -e relative ]
ok $? relative_state_home_is_ignored

# Every limit: 64 characters are a name, 65 are none.
name=$(printf '%064d' 0)
run run --expose "$name=/bin/true" --allow "$name=carol" --discovery none \
    --listen 127.0.0.1:0
expect 5 "no paired peer" expose_name_of_64

# With --json a mistake in what was asked is an object on standard output.
run --json unpair carol
[ "$status" -eq 5 ] && [ -z "$err" ] &&
    printf '%s' "$out" | python3 -c 'import json, sys
o = json.load(sys.stdin)
assert o["ok"] is False and o["error"] == "no-such-peer" and o["message"]'
ok $? json_error

# mistake NAME ARG...: one object on standard output, and nothing else.
mistake() {
    local name=$1
    shift
    run "$@"
    [ "$status" -eq 2 ] && [ -z "$err" ] &&
        printf '%s' "$out" | python3 -c 'import json, sys
o = json.load(sys.stdin)
assert o["ok"] is False and o["error"] == "bad-request" and o["message"]'
    ok $? "json_mistake/$name"
}
mistake no_command --json
mistake unknown_command --json frobnicate
mistake json_after_it frobnicate --json
mistake few_words --json call bob
mistake unknown_option --json call bob echo 1 --tiemout 5
mistake help_of_nothing --json help nope
run unpair -- --json
[ "$status" -eq 5 ] && [ -z "$out" ] && has "$err" "no paired peer"
ok $? json_after_two_dashes_is_a_word

# Help, too, is objects.
for words in --help "call --help" "run -h" "help" "help id"; do
    # shellcheck disable=SC2086 # words
    run --json $words
    [ "$status" -eq 0 ] && [ -z "$err" ] &&
        printf '%s\n' "$out" | python3 -c 'import json, sys
for line in sys.stdin:
    assert json.loads(line)["command"]'
    ok $? "json_help/${words// /_}"
done

# What cannot be printed is no success.
"$peernet" id >/dev/full 2>"$work/err"
status=$?
out='' err=$(cat "$work/err")
expect 4 "standard output" full_standard_output
"$peernet" help >/dev/full 2>"$work/err"
status=$?
err=$(cat "$work/err")
expect 4 "standard output" full_standard_output_of_help
"$peernet" call bob echo - <"$work" 2>"$work/err" --discovery none \
    --listen 127.0.0.1:0
status=$?
err=$(cat "$work/err")
expect 4 "standard input" unreadable_standard_input

# nohup(1) keeps a node when its terminal goes away (cli-config has the hangup
# with and without a terminal).
hang_up() { # COMMAND...
    : >"$work/hup.out"
    "$@" "$peernet" -d "$work/hup" run --discovery none --listen 127.0.0.1:0 \
        >"$work/hup.out" 2>/dev/null </dev/null &
    pid=$!
    pids+=("$pid")
    until_true 10 heard hup '^ready'
    kill -HUP "$pid"
}
hang_up nohup
sleep 0.5
kill -TERM "$pid" 2>/dev/null
ok $? nohup_keeps_it
wait "$pid"
run -d "$work/hup" call bob echo 1 --discovery none --listen 127.0.0.1:0
expect 5 "no paired peer" and_the_lock_is_free

# Of every command: what has one value is given once.
"$peernet" help --json >"$work/table"
while read -r line; do
    command=$(printf '%s\n' "$line" | sed 's/.*"command":"\([^"]*\)".*/\1/')
    for option in $(printf '%s\n' "$line" | grep -o '{[^{}]*}' |
        sed -n 's/.*"name":"\([^"]*\)".*"repeats":false.*/\1/p'); do
        row 2 "expected '--$option' once, found '1' and '2'" \
            "once/$command/$option" "$command" "--$option" 1 "--$option=2"
    done
done <"$work/table"

# The Barrel link may have been left out.
if ! has "$("$peernet" --version)" barrel; then
    row 4 "without the Barrel link" no_barrel barrel id
    row 4 "without the Barrel link" no_barrel_run run --barrel n@h
    row 4 "without the Barrel link" no_barrel_rpc rpc n@h M f '[]'
    row 4 "without the Barrel link" no_barrel_monitor monitor n@h
    row 2 "'--barrel NAME@HOST'" no_barrel_option run --trust-mode tofu
fi

after=$(cd "$XDG_STATE_HOME/peernet" && cat identity.keys trust.bin | cksum)
[ "$before" = "$after" ]
ok $? nothing_was_stored

done_testing

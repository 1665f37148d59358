#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154,SC2317 # assigned by name; run by until_true
# cli_grants.sh PEERNET: grants as data, without a node and with one whose links
# stay up; edited by commands and by hand.
suite=cli/grants
peernet=$1
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"

quiet=(--discovery none --listen 127.0.0.1:0 --no-linger)
bob=$(key bob)
alice=$(key alice)

# row STATUS PART NAME ARG...: of alice's directory.
row() {
    local status=$1 part=$2 name=$3
    shift 3
    run -d "$work/alice" "$@"
    expect "$status" "$part" "$name"
}

# The same rows without a node and with one.
rows() { # WHERE
    local at=$1
    row 5 "no paired peer" "$at/unknown_peer" grant nobody led
    row 2 "is no handle" "$at/bad_name" grant bob role:a/b
    row 2 "a time to come" "$at/past" \
        grant bob led --until 2001-01-01T00:00:00Z
    row 2 "a time to come" "$at/no_time" grant bob led --until soon
    row 0 "granted led to bob until " "$at/until" grant bob led --until 2h
    row 0 "granted led to bob" "$at/for_ever" grant bob led
    row 0 "already granted led to bob" "$at/again" grant bob led
    row 0 "granted role:guests to every paired peer" "$at/role_grant" \
        grant paired role:guests
    row 0 "no-such-role" "$at/no_such_role" grants
    row 0 "role guests has 2 handles and functions" "$at/role" \
        role guests lamp MyApp.Led.set/1
    row 0 "MyApp.Led.set/1" "$at/role_shown" role guests
    row 0 "log-only" "$at/log_only" grant bob slow --log-only
    row 0 "line 2 of the file of grants, led, allows it" "$at/can_led" \
        can bob led
    row 5 "only logs" "$at/can_slow" can bob slow --trace
    row 5 "no:" "$at/can_not" can bob door
    row 5 '"can":false' "$at/can_json" --json can bob door
    row 2 "'--all'" "$at/ungrant_what" ungrant bob
    row 0 "took back led from bob" "$at/ungrant" ungrant bob led
    row 0 "no line of the file grants led to bob" "$at/ungrant_again" \
        ungrant bob led
    row 5 "no:" "$at/can_led_no_more" can bob led
    row 0 "took back everything from bob" "$at/ungrant_all" ungrant bob --all
    row 0 "role guests is gone" "$at/role_none" role guests --none
    row 0 "took back" "$at/ungrant_paired" ungrant paired role:guests
}

"$peernet" -d "$work/alice" pair "$bob" --label bob >/dev/null
rows files
row 5 "no node runs" files/can_says_so can bob led

# By hand: comments stay, a line that cannot be read is named and hides none.
printf '# mine\npaired door # all\nnonsense\npeernet %s led' "$bob" \
    >"$work/alice/grants"
row 0 "expected 'peernet', 'barrel'" files/bad_line grants
row 0 "a newline at its end" files/cut_line grants
row 0 "granted lamp" files/beside_bad grant bob lamp
grep -q '^paired door # all$' "$work/alice/grants" &&
    grep -q '^nonsense$' "$work/alice/grants" &&
    [ "$(tail -c 4 "$work/alice/grants")" = " led" ]
ok $? files/kept
row 5 "no:" files/cut_line_grants_nothing can bob led
rm "$work/alice/grants"

# ---- a node, and a link that stays up --------------------------------------

printf '#!/bin/sh\necho "\\"on\\""\n' >"$work/on"
printf '#!/bin/sh\nsleep 20\n' >"$work/slow"
chmod +x "$work/on" "$work/slow"
start alice "${quiet[@]}" --expose "led=$work/on" --allow led=granted \
    --expose "slow=$work/slow" --allow slow=granted \
    --expose "lamp=$work/on" --allow lamp=granted \
    --export "MyApp.Led.set/1=$work/on" --allow MyApp.Led.set/1=granted
ok $? "run_allow_granted"
"$peernet" -d "$work/bob" pair "$alice" --label alice \
    --address "127.0.0.1:$port_alice" >/dev/null
start bob "${quiet[@]}"
calls() { run -d "$work/bob" call alice "$@"; [ "$status" -eq 0 ]; }
refused() { run -d "$work/bob" call alice "$@"; has "$out$err" forbidden; }

refused led
ok $? live/at_first_refused
row 0 "granted led to bob" live/grant grant bob led
calls led
ok $? live/granted
row 0 "took back led" live/ungrant ungrant bob led
refused led
ok $? live/taken_back
row 0 "has 2" live/role role r led MyApp.Led.set/1
row 0 "granted" live/grant_role grant bob role:r
calls led
ok $? live/by_role
run -d "$work/bob" rpc alice MyApp.Led set '[1]'
expect 0 on live/function_by_role
row 0 "has 1" live/role_changed role r lamp
refused led
ok $? live/not_in_role
calls lamp
ok $? live/in_role
printf 'peernet %s led # by hand\n' "$bob" >"$work/alice/grants"
until_true 10 calls led
ok $? live/by_hand
refused lamp
ok $? live/by_hand_removed
grep -q peer-down "$work/alice.out"
[ $? -eq 1 ]
ok $? live/link_stayed_up

# Ungranted while it waits: the caller is told at once, not after 20 s.
row 0 "granted slow" live/grant_slow grant bob slow
"$peernet" -d "$work/bob" call alice slow --timeout 20000 \
    >"$work/slow.out" 2>&1 &
waiting=$!
runs() { pgrep -f "$work/slow" >/dev/null; }
until_true 10 runs
row 0 "took back" live/ungrant_waiting ungrant bob slow
wait $waiting
grep -q forbidden "$work/slow.out"
ok $? live/waiting_is_refused

row 0 "log-only" live/grant_log_only grant bob lamp --log-only
refused lamp
ok $? live/log_only_refuses
until_true 10 grep -q would-allow "$work/alice.out"
ok $? live/log_only_is_told

# An end, and the peer's: pairing again brings nothing back.
row 0 "until" live/until grant bob lamp --until 2s
calls lamp
ok $? live/before_the_end
until_true 10 refused lamp
ok $? live/after_the_end
row 0 "unpaired" live/unpair unpair bob
! grep -q "$bob" "$work/alice/grants"
ok $? live/unpair_removes_lines
row 0 "paired" live/pair_again pair "$bob" --label bob
until_true 20 refused led
ok $? live/pairing_again_brings_nothing_back

stop bob
rm -f "$work/alice/grants"
rows node
row 5 "the node has no" node/can_unknown_handle can bob door
row 5 "is not open to every paired peer" node/can_trace can bob led --trace
row 2 "means those of the file" label_granted pair "$bob" --label granted
stop alice
done_testing

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # assigned by name
# cli_labels.sh PEERNET STORE-TOOL: which labels a peer may get, and what is
# meant by a word that is a label and something else: lists that the originals
# write hold any label. The store tool writes such a list.
suite=cli/labels
peernet=$1
store_tool=$2
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"

quiet=(--discovery none --listen 127.0.0.1:0)

# row STATUS PART NAME ARG...
row() {
    local status=$1 part=$2 name=$3
    shift 3
    run -d "$data" "$@"
    expect "$status" "$part" "$name"
}

for who in bob carol dave; do
    printf -v "$who" %s "$("$peernet" -d "$work/$who" id)"
    fp=$("$peernet" -d "$work/$who" --json id |
        sed 's/.*"fingerprint":"\([0-9a-f]*\)".*/\1/')
    printf -v "fp_$who" %s "$fp"
done
hex_carol=$("$peernet" -d "$work/carol" --json id |
    sed 's/.*"hex":"\([0-9a-f]*\)".*/\1/')

# The same rows without a node and with one.
labels() { # WHERE
    local at=$1
    row 0 "paired $fp_bob" "$at/pair" pair "$bob" --label bob
    row 2 "is what $fp_bob is called" "$at/of_another" \
        pair "$carol" --label bob
    row 2 "means every paired peer" "$at/paired" pair "$carol" --label paired
    row 2 "means every paired peer" "$at/paired_upper" \
        pair "$carol" --label Paired
    row 2 "is a key" "$at/base32" pair "$carol" --label "$dave"
    row 2 "is a key" "$at/hex" pair "$carol" --label "$hex_carol"
    row 2 "beginning of a fingerprint" "$at/fingerprint" \
        pair "$carol" --label c0ffee
    row 2 "beginning of a fingerprint" "$at/fingerprint_upper" \
        pair "$carol" --label "${fp_bob^^}"
    row 2 "Erlang cluster" "$at/node" pair "$carol" --label carol@home
    row 2 "is what $fp_bob is called" "$at/json" \
        --json pair "$carol" --label bob
    run -d "$data" peers
    ! has "$out" "$fp_carol"
    ok $? "$at/refused_is_not_paired"
    # Three digits and seventeen are no fingerprint; a word is a word.
    row 0 "paired" "$at/short" pair "$carol" --label abc
    row 0 "already paired $fp_carol, now called" "$at/rename" \
        pair "$carol" --label "café 17"
    row 0 "café 17" "$at/renamed" peers
    row 5 "no paired peer" "$at/old_name" unpair abc
    row 2 "is what $fp_bob is called" "$at/rename_to_anothers" \
        pair "$carol" --label bob
    row 0 "already paired $fp_bob" "$at/same_again" pair "$bob" --label bob
    [[ $out != *now* ]]
    ok $? "$at/same_again_changes_nothing"
    row 0 '"renamed":true' "$at/rename_json" \
        --json pair "$carol" --label carola
    row 0 '"label":"carola"' "$at/paired_again_keeps_the_label" \
        --json pair "$carol"
    row 0 "unpaired $fp_carol" "$at/by_its_new_name" unpair carola
    row 5 'did you mean "bob"' "$at/nearest" unpair bbo
    row 0 "unpaired" "$at/key" unpair "$bob"
}

data=$work/store
labels store
start node "${quiet[@]}" --no-linger
data=$work/node
labels running
grep -q 'trust-changed .* renamed' "$work/node.out"
ok $? running/event
stop node

# ---- a list that the originals could write -------------------------------------------------

# It bears what `pair` refuses: twice one name, "paired", a node's name, the key
# and the beginning of the fingerprint of another.
data=$work/elixir
list() { "$store_tool" "$data" pair "$@" >/dev/null; }
extra=()
for i in 1 2 3 4; do
    extra+=("$("$peernet" -d "$work/extra$i" id)")
done
"$store_tool" "$data" init >/dev/null
list "$bob" twin
list "$carol" twin
list "$dave" "${fp_bob:0:6}"
list "${extra[0]}" paired
list "${extra[1]}" led@home
list "${extra[2]}" "$bob"
stranger=$("$peernet" -d "$work/stranger" id)
list "${extra[3]}" "$stranger"

ambiguous() { # WHERE
    local at=$1
    row 5 "more than one paired peer" "$at/twins_unpair" unpair twin
    row 5 "more than one paired peer" "$at/label_and_fingerprint" \
        unpair "${fp_bob:0:6}"
    for command in "call twin echo 1" "send twin echo 1" "rpc twin m f []" \
        "cast twin m f []" "chat twin"; do
        # shellcheck disable=SC2086 # words
        row 5 "more than one paired peer" "$at/twins_${command%% *}" $command \
            "${own[@]}"
    done
    # A key is a key, even one that nobody has who is paired.
    row 5 "no paired peer" "$at/key_of_a_stranger" unpair "$stranger"
    row 3 "no link" "$at/key_first" call "$bob" echo 1 --wait 500 "${own[@]}"
}
own=("${quiet[@]}")
ambiguous store
(umask 077 && echo secret >"$work/cookie")
if "$peernet" --json --version | grep -q barrel; then
    row 5 "bears it as its label" node_and_label_call \
        call led@home echo 1 --as me@127.0.0.1 --cookie-file "$work/cookie"
    row 5 "bears it as its label" allow_node run --echo --allow echo=led@home \
        "${quiet[@]}" --barrel me@127.0.0.1:0 --cookie-file "$work/cookie"
fi
row 5 "bears it as its label" allow_paired \
    run --echo --allow echo=paired "${quiet[@]}"
row 5 "bears it as its label" allow_key \
    run --echo --allow "echo=$bob" "${quiet[@]}"
row 5 "bears it as its label" allow_key_of_a_stranger \
    run --echo --allow "echo=$stranger" "${quiet[@]}"
row 5 "more than one paired peer" allow_twin \
    run --echo --allow echo=twin "${quiet[@]}"
row 5 "more than one paired peer" allow_fingerprint \
    run --echo --allow "echo=${fp_bob:0:6}" "${quiet[@]}"
start elixir "${quiet[@]}" --no-linger
own=()
ambiguous running
# It is the key that goes, not its namesake.
row 0 "unpaired $fp_bob" unpair_by_key unpair "$bob"
stop elixir
"$store_tool" "$data" list | grep -q "^${extra[2]} $bob\$"
ok $? namesake_stays

# ---- what a table shows --------------------------------------------------------------------

# in_terminal COLUMNS: `peers` there; prints its lines, and how wide the widest
# is: a family of emoji is one picture of two columns.
in_terminal() {
    python3 - "$1" "$peernet" -d "$data" peers <<'EOF'
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ,
                struct.pack("HHHH", 24, int(sys.argv[1]), 0, 0))
    os.execv(sys.argv[2], sys.argv[2:])
text = b""
try:
    while chunk := os.read(fd, 4096):
        text += chunk
except OSError:
    pass
os.waitpid(pid, 0)
lines = text.decode().replace("\r", "").splitlines()
print("\n".join(lines))
family = "\U0001F468\u200D\U0001F469\u200D\U0001F467"
print("widest", max(len(line.replace(family, "##")) for line in lines))
EOF
}

data=$work/wide
family=$'\U1F468\u200D\U1F469\u200D\U1F467'
long=$(printf 'living room %.0s' {1..9})
"$peernet" -d "$data" pair "$bob" --label "$long" >/dev/null
"$peernet" -d "$data" pair "$carol" --label "$family" >/dev/null
"$peernet" -d "$data" pair "$dave" --label "$family$family$long" >/dev/null
run -d "$data" peers
has "$out" "$long" && has "$out" "$family  "
ok $? table/whole_without_a_terminal
for columns in 80 100 132; do
    out=$(in_terminal "$columns")
    widest=${out##*widest }
    [ "$widest" -le "$columns" ] && [ "$widest" -gt 60 ] && has "$out" "living" &&
        has "$out" "$fp_bob" && has "$out" "…" && has "$out" "$family"
    ok $? "table/fits_$columns"
done
has "$out" "$family$family"
ok $? table/emoji_is_not_cut

done_testing

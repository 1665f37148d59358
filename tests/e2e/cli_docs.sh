#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The program's table against its manual and its completion: every command and
# option is in both, and completion offers nothing else.
# Usage: cli_docs.sh PEERNET SOURCE-FOLDER
set -u
peernet=$1
top=$2
suite=cli/docs
# shellcheck source=tests/e2e/tap.sh
. "$(dirname "$0")/tap.sh"

# shellcheck source=/dev/null
. "$top/completions/peernet.bash"

COMP_WORDS=("$peernet")

# The completions of these words, the last being completed.
offers() {
    COMP_WORDS=("$peernet" "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _peernet
    printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort -u
}

# The same for fish and zsh, of a whole line; long options or words only.
bin=$(dirname "$peernet")
fish_offers() {
    PATH=$bin:$PATH fish --no-config -c "
        source '$top/completions/peernet.fish'; complete -C '$1'" |
        sed 's/\t.*//' | LC_ALL=C sort -u
}
zsh_offers() {
    PATH=$bin:$PATH timeout 60 zsh -f "$top/tests/e2e/zsh_offers.zsh" \
        "$top/completions" "$1" | tr '\r' '\n' |
        sed 's/^ASK//' | grep -oE '^-{0,2}[a-z][a-z-]* +--' | sed 's/ .*//' | LC_ALL=C sort -u
}

manual=$(mandoc -T ascii "$top/man/peernet.1" | col -b)
table=$("$peernet" help --json)
commands=$(printf '%s\n' "$table" | sed 's/.*"command":"\([^"]*\)".*/\1/')

[ "$(offers "")" = "$(printf '%s\n' "$commands" | LC_ALL=C sort)" ]
ok $? "completion_offers_commands"
[ "$(offers help "")" = "$(printf '%s\n' "$commands" | LC_ALL=C sort)" ]
ok $? "completion_offers_help_of_commands"

[ "$(fish_offers "peernet ")" = "$(printf '%s\n' "$commands" | LC_ALL=C sort)" ]
ok $? "completion_fish_offers_commands"
[ "$(zsh_offers "peernet ")" = "$(printf '%s\n' "$commands" | LC_ALL=C sort)" ]
ok $? "completion_zsh_offers_commands"

for command in $commands; do
    line=$(printf '%s\n' "$table" | grep "\"command\":\"$command\"")
    long=$(printf '%s\n' "$line" | grep -o '"name":"[^"]*"' |
        sed 's/.*:"\(.*\)"/--\1/')
    short=$(printf '%s\n' "$line" | grep -o '"short":"[^"]*"' |
        sed 's/.*:"\(.*\)"/-\1/')
    # shellcheck disable=SC2086 # words
    want=$(printf '%s\n' $long $short | LC_ALL=C sort -u)

    printf '%s\n' "$manual" | grep -q "^ *$command\( \|\$\)"
    ok $? "manual/$command"
    [ "$(offers "$command" -)" = "$want" ]
    ok $? "completion/$command"
    case $command in # all come the same way from the table: a few show it
    run | call | barrel | help)
        want=$(printf '%s\n' "$long" | LC_ALL=C sort -u)
        [ "$(fish_offers "peernet $command --")" = "$want" ]
        ok $? "completion_fish/$command"
        [ "$(zsh_offers "peernet $command --")" = "$want" ]
        ok $? "completion_zsh/$command"
        ;;
    esac
    missing=
    for option in $long; do
        printf '%s\n' "$manual" | grep -q -e "$option" || missing=$option
    done
    [ -z "$missing" ]
    ok $? "manual_has_options/$command"
    help=$("$peernet" "$command" --help)
    missing=
    for option in $long; do
        printf '%s\n' "$help" | grep -q -e "$option" || missing=$option
    done
    [ -z "$missing" ]
    ok $? "help_has_options/$command"
    # An option that takes a value is not taken for a word.
    missing=
    for option in $(printf '%s\n' "$line" |
        grep -o '"name":"[^"]*",[^}]*"value"' |
        sed 's/"name":"\([^"]*\)".*/--\1/'); do
        _peernet_takes_value "$option" || missing=$option
    done
    [ -z "$missing" ]
    ok $? "completion_knows_values/$command"
done

[ "$(offers run --discovery "")" = "$(printf 'none\nudp')" ]
ok $? "completion_offers_discovery"
[ "$(offers run --dnssd "")" = "$(printf 'auto\navahi\nembedded\nnone')" ]
ok $? "completion_offers_dnssd"

[ "$(offers call --trust-mode "")" = "$(printf 'strict\ntofu')" ]
ok $? "completion_offers_trust_modes"
actions=$("$peernet" barrel --help | sed -n 's/^  \([a-z]\{1,\}\)  *.*/\1/p')
[ "$(offers barrel "")" = "$(printf '%s\n' "$actions" | LC_ALL=C sort)" ]
ok $? "completion_offers_actions"
missing=
for action in $actions; do
    printf '%s\n' "$manual" | grep -q "^[[:space:]]*barrel $action\( \|\$\)" ||
        missing=$action
done
[ -n "$actions" ] && [ -z "$missing" ]
ok $? "manual_has_actions"
[ "$(offers barrel rotate "")" = "$(printf 'cert\nidentity')" ]
ok $? "completion_offers_rotations"

[ "$(offers config "")" = "$("$peernet" config --help |
    sed -n 's/^  \([a-z]\{1,\}\) .*/\1/p' | LC_ALL=C sort)" ]
ok $? "completion_offers_config_actions"

# peernet.conf(5) has the keys of the table, each below its section with its
# option, and no others; the example that is installed has all of them.
scratch=$(mktemp)
keys=$("$peernet" help run --json | grep -o '"name":[^}]*"section":"[^"]*"' |
    sed 's/"name":"\([^"]*\)".*"key":"\(.*\)","section":"\(.*\)"/\3 \2 \1/' |
    LC_ALL=C sort)
sed -n 's/^\.Ss \([a-z]\{1,\}\).*/\1/p; s/^\.It Cm \([^ ]*\) .*Fl -\(.*\)/ \1 \2/p' \
    "$top/man/peernet.conf.5" |
    awk '/^ /{print section $0; next} {section = $0}' | LC_ALL=C sort >"$scratch"
# The program of a function is described in words.
[ -n "$keys" ] &&
    [ "$(printf '%s\n' "$keys" | grep -v '^export program')" = "$(cat "$scratch")" ]
ok $? "configuration_manual_has_keys"
sed -n 's/^#\{0,1\}\[\([a-z]*\).*/\1/p; s/^#\([a-z-]*\) = .*/ \1/p' \
    "$top/examples/peernet.conf" |
    awk '/^ /{print section $0; next} {section = $0}' | LC_ALL=C sort -u |
    grep -v '^export ' >"$scratch"
[ "$(printf '%s\n' "$keys" | sed 's/ [^ ]*$//' | grep -v '^export ')" = \
    "$(cat "$scratch")" ]
ok $? "configuration_example_has_keys"
rm -f "$scratch"

dir=$(mktemp -d)
key=$("$peernet" -d "$dir/other" id)
"$peernet" -d "$dir/own" pair "$key" --label kitchen >/dev/null
[ "$(offers -d "$dir/own" call k)" = kitchen ]
ok $? "completion_offers_labels"
[ "$(fish_offers "peernet -d $dir/own call k")" = kitchen ]
ok $? "completion_fish_offers_labels"
[ -z "$(offers -d "$dir/own" call kitchen "")" ]
ok $? "completion_offers_no_handles"
"$peernet" -d "$dir/own" config check "$top/examples/peernet.conf" >/dev/null
ok $? "configuration_example_is_good"
sed 's/^#\([a-z[]\)/\1/' "$top/examples/peernet.conf" >"$dir/all.conf"
[ -z "$(grep '^#[a-z[]' "$dir/all.conf")" ] && grep -q '^\[barrel\]' "$dir/all.conf" &&
    "$peernet" -d "$dir/own" config check "$dir/all.conf" >/dev/null
ok $? "configuration_example_is_good_uncommented"
rm -rf "$dir"

# Each verdict of doctor is in the manual, and with its sentences in the page about it,
# in the part about peers or in that about nodes of a cluster.
missing=$(python3 - "$top" <<'EOF'
import re, sys
top = sys.argv[1]
text = lambda path: open(f"{top}/{path}").read()
string = r'((?:\s*"(?:[^"\\]|\\.)*")+)'
row = r'\{"([^"]+)",\s*"([^"]+)",\s*CLI_\w+,' + string + "," + string
join = lambda parts: "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', parts))
manual = text("man/peernet.1").replace(r"\&", "")
tables = text("cli/commands/doctor_verdicts.c").split("cli_node_verdicts[]")
parts = text("docs/NOT-FOUND.md").split("## Nodes of an Erlang cluster\n")
missing = [len(tables), len(parts)] != [2, 2]
for table, part in zip(tables, parts):
    rows = re.findall(row, table)
    shown = re.findall(r"^\| `.*\n", part, re.M)
    expected = [f"| `{name}` | {step} | {join(usually)} | {join(todo)} |\n"
                for name, step, usually, todo in rows]
    missing = missing or shown != expected or len(rows) < 10
    for name, *rest in rows:
        missing = missing or f".It Li {name} Ta " not in manual
print(missing)
EOF
)
[ "$missing" = False ]
ok $? "verdicts_are_documented"

# A terminal of 80 columns shows each page whole, tables as well.
for page in "$top"/man/*.[1-9]; do
    shown=$(mandoc -T utf8 -O width=78 "$page" | LC_ALL=C.UTF-8 col -b)
    wide=$(printf '%s\n' "$shown" | LC_ALL=C.UTF-8 grep -E '^.{81}')
    [ -n "$shown" ] && [ -z "$wide" ]
    ok $? "manual_fits_80_columns/${page##*/}"
    [ -z "$wide" ] || printf '# %s\n' "$wide"
done

# "$(...)" and "[a | b]" end in a delimiter that belongs to them.
for page in "$top"/man/*.[1-9]; do
    lint=$(mandoc -T lint "$page" |
        grep -v -e 'referenced manual' -e 'no blank before trailing delimiter')
    [ -z "$lint" ]
    ok $? "manual_is_clean/${page##*/}"
    [ -z "$lint" ] || printf '# %s\n' "$lint"
done

done_testing

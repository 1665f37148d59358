#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The program's table against its manual and its completion: every command and
# option is in both, and completion offers nothing else.
# Usage: cli_docs.sh PEERNET SOURCE-FOLDER
set -u
peernet=$1
top=$2
n=0
failed=0

ok() { # status name
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n - cli/docs/$2"
    else
        echo "not ok $n - cli/docs/$2"
        failed=1
    fi
}

# shellcheck source=/dev/null
. "$top/completions/peernet.bash"

# What completion offers for these words, the last being completed.
offers() {
    COMP_WORDS=("$peernet" "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _peernet
    printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort -u
}

manual=$(mandoc -T ascii "$top/man/peernet.1" | col -b)
table=$("$peernet" help --json)
commands=$(printf '%s\n' "$table" | sed 's/.*"command":"\([^"]*\)".*/\1/')

[ "$(offers "")" = "$(printf '%s\n' "$commands" | LC_ALL=C sort)" ]
ok $? "completion_offers_commands"
[ "$(offers help "")" = "$(printf '%s\n' "$commands" | LC_ALL=C sort)" ]
ok $? "completion_offers_help_of_commands"

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

dir=$(mktemp -d)
key=$("$peernet" -d "$dir/other" id)
"$peernet" -d "$dir/own" pair "$key" --label kitchen >/dev/null
[ "$(offers -d "$dir/own" call k)" = kitchen ]
ok $? "completion_offers_labels"
[ -z "$(offers -d "$dir/own" call kitchen "")" ]
ok $? "completion_offers_no_handles"
rm -rf "$dir"

lint=$(mandoc -T lint "$top/man/peernet.1" | grep -v 'referenced manual')
[ -z "$lint" ]
ok $? "manual_is_clean"

echo "1..$n"
exit $failed

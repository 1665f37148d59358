#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The commands in README.md print what it shows. They run as they stand there but
# for ports, and for the hosts kitchen and desk, which are this machine.
# Usage: cli_readme.sh PEERNET README.md barrel|no-barrel
peernet=$1
readme=$(realpath "$2")
barrel=$3
suite=cli/readme
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"
mkdir "$work/bin" && ln -s "$(realpath "$peernet")" "$work/bin/peernet"
export PATH=$work/bin:$PATH
cd "$work" || exit 1
port=$((20000 + RANDOM % 12000))

# Commands and output of the blocks with a prompt like $1, a regular expression:
# "PROMPT$ COMMAND" in one line each.
shown() {
    sed -e ':a' -e '/\\$/N' -e 's/\\\n *//' -e 'ta' "$readme" |
        awk -v prompt="^($1)[$] " '
            /^```/ { on = 0 }
            /^[a-z0-9]*[$] / { on = $0 ~ prompt }
            on'
}

# The parts of output that are the same in each run.
plain() {
    sed -E -e 's/\b[0-9a-f]{16}\b/FINGERPRINT/g' -e 's/:[0-9]{4,5}/:PORT/g' \
        -e 's/@(kitchen|desk|localhost)/@HOST/' \
        -e 's/ (up +[^ ]+) .*/ \1/' -e 's/ +/ /g'
}

# here COMMAND: with ports of this run.
here() {
    printf '%s\n' "$1" | sed -E -e "s/:7101/:$port/" -e "s/:7102/:$((port + 1))/" \
        -e "s/--discovery-address/--discovery-port $udp &/" \
        -e 's/@(kitchen|desk)/@localhost/g' \
        -e "s/--barrel led@localhost/&:$((port + 2)) --barrel-listen 127.0.0.1 \
--listen 127.0.0.1:0 --discovery none/" \
        -e "s/--as /--node led@localhost=127.0.0.1:$((port + 2)) &/"
}

# start PROMPT COMMAND: a node in the background.
start() {
    XDG_STATE_HOME=$work/of_$1 bash -c "exec $(here "$2")" >"$work/$1.out" 2>&1 \
        </dev/null &
    pids+=($!)
    until_true 10 heard "$1" '^ready'
    ok $? "$1_runs"
}

# check PROMPT COMMAND EXPECTED
check() {
    commands=$((commands + 1))
    out=$(XDG_STATE_HOME=$work/of_$1 bash -c "$(here "$2")" 2>&1 </dev/null | plain)
    [ "$out" = "$(printf '%s' "$3" | plain)" ]
    ok $? "$1_command_$commands"
}

# play PROMPTS: runs each command and compares what follows it.
play() {
    local line prompt='' command='' expected=''
    while IFS= read -r line; do
        if [[ $line =~ ^([a-z0-9]+)\$\ +(.*) ]]; then
            [ -z "$command" ] || step
            prompt=${BASH_REMATCH[1]} command=${BASH_REMATCH[2]} expected=
        else
            expected+=${expected:+$'\n'}$line
        fi
    done < <(shown "$1")
    [ -z "$command" ] || step
}

step() {
    case $command in
    *' run '*) start "$prompt" "$command" ;;
    *) check "$prompt" "$command" "$expected" ;;
    esac
}

commands=0
play '[0-9]'
[ $commands -eq 6 ]
ok $? "quick_start_is_found"
if [ "$barrel" = barrel ]; then
    printf 'a-cookie-of-the-test\n' >cookie && chmod 600 cookie
    printf '#!/bin/sh\ncat >/dev/null\n' >led-on && chmod +x led-on
    commands=10
    play 'led|desk'
    [ $commands -eq 15 ]
    ok $? "cluster_is_found"
fi
done_testing

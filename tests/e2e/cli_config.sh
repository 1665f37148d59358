#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # assigned by name
# cli_config.sh PEERNET: a node with a configuration file, read again while
# another node calls it.
suite=cli/config
peernet=$1
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"

conf=$work/a/peernet.conf

say() { # NAME TEXT: a program that prints it as JSON
    printf '#!/bin/sh\ncat >/dev/null\n%s\n' "$2" >"$work/$1"
    chmod 755 "$work/$1"
}
say one 'echo \"one\"'
say two 'echo \"two\"'
say slow "[ -e $work/go ] || touch $work/began
until [ -e $work/go ]; do sleep 0.05; done; echo \"\\\"slow-\$1\\\"\""

# write EXTRA...: the file, whose parts are lines.
write() {
    {
        printf '%s\n' '[node]' 'listen = 127.0.0.1:0' 'discovery = none' \
            'dnssd = none' 'linger = no' 'echo = yes' "label = ${label:-a}"
        printf '%s\n' "[handle same]" "program = $work/one" 'allow = b'
        printf '%s\n' "$@"
    } >"$conf.new"
    mv "$conf.new" "$conf"
}
handle() { # NAME PROGRAM ARG...
    local name=$1 program=$2
    shift 2
    printf '[handle %s]\nprogram = %s\n' "$name" "$work/$program"
    [ $# -eq 0 ] || printf 'arg = %s\n' "$@"
    printf 'allow = b\n'
}
call() { "$peernet" -d "$work/b" call a "$@"; }
reload() { run -d "$work/a" reload; }

key_a=$("$peernet" -d "$work/a" id)
key_b=$("$peernet" -d "$work/b" id)
"$peernet" -d "$work/a" pair "$key_b" --label b >/dev/null
run -d "$work/a" reload
expect 3 "no node runs" "reload_without_node"

write "$(handle lamp one)" "$(handle slow slow first)"

# A node under nohup(1) would not hear of it.
start_by a env --default-signal=HUP setsid "$peernet" -d "$work/a" run
ok $? "run_reads_the_file"
"$peernet" -d "$work/b" pair "$key_a" --label a \
    --address "127.0.0.1:$port_a" >/dev/null
start b --listen 127.0.0.1:0 --discovery none --dnssd none --no-linger
until_true 10 heard b 'peer-up'
ok $? "link"
[ "$(call lamp)" = '"one"' ] && [ "$(call echo 1)" = 1 ]
ok $? "handle_of_the_file"

# Nothing has changed.
reload
expect 0 "0 programs are new or changed, 0 are gone" "reload_of_the_same"

# A program that runs ends as it began; what comes later is the new one.
call slow >"$work/slow.out" 2>&1 &
caller=$!
until_true 10 test -e "$work/began"
write "$(handle lamp two)" "$(handle slow slow second)" "$(handle new one)"
reload
expect 0 "3 programs are new or changed, 0 are gone" "reload_changes"
[ "$(call lamp)" = '"two"' ] && [ "$(call new)" = '"one"' ]
ok $? "changed_and_new_handles"
touch "$work/go"
wait "$caller"
[ "$(cat "$work/slow.out")" = '"slow-first"' ]
ok $? "running_program_ends_as_it_began"
[ "$(call slow)" = '"slow-second"' ]
ok $? "next_run_is_the_new_one"

# What has gone is closed, and a grant taken.
write "$(handle lamp two | sed 's/= b/= '"$key_a/")" "$(handle slow slow 2)"
reload
expect 0 "1 programs are new or changed, 1 are gone" "reload_removes"
run -d "$work/b" call a new
expect 1 "no_such_handle" "removed_handle"
run -d "$work/b" call a lamp
expect 1 "forbidden" "ungranted_handle"
write "$(handle lamp two)"
reload
[ "$(call lamp)" = '"two"' ]
ok $? "granted_again"

# Of a file with faults nothing is taken, and every one is named.
write "$(handle lamp one)" 'colour = red' "$(handle other nothing)"
reload
expect 2 "a/peernet.conf:14: expected a key of [handle], found 'colour'" \
    "bad_file_is_named"
has "$err" "a/peernet.conf:16: expected a program" &&
    has "$err" "the old one stays in force"
ok $? "bad_file_all_faults"
run -d "$work/a" --json reload
expect 2 '"line":14' "bad_file_json"
grep -q "not reloaded: .*:14: " "$work/a.err"
ok $? "bad_file_is_logged"
[ "$(call lamp)" = '"two"' ]
ok $? "bad_file_leaves_the_old"
write "$(handle lamp one | sed 's/= b/= nobody/')"
reload
expect 2 'nobody' "unknown_peer"
[ "$(call lamp)" = '"two"' ]
ok $? "unknown_peer_leaves_the_old"

# What needs a start is named; the label is told.
label=kitchen write "$(handle lamp two)"
sed -i 's/^echo = yes/echo = no\ndiscovery-port = 5000/' "$conf"
reload
expect 0 "--discovery-port changes with the next start" "restart_is_named"
run -d "$work/b" call a echo
expect 1 "no_such_handle" "echo_closed"
says_kitchen() { "$peernet" --json -d "$work/b" peers | grep -q kitchen; }
until_true 10 says_kitchen
ok $? "label_is_told"

# A section without `allow` is for those that the file of grants names.
write "$(handle lamp two)" "$(handle open one | sed '/^allow/d')"
reload
run -d "$work/b" call a open
expect 1 "forbidden" "closed_without_grant"
"$peernet" -d "$work/a" grant b open >/dev/null
[ "$(call open)" = '"one"' ]
ok $? "open_by_grant"

# Reloads beside calls of a handle that all of them have: none is refused, and
# the link stays.
failures=0
: >"$work/stop"
(
    while [ -e "$work/stop" ]; do
        call same >/dev/null 2>&1 || echo failed
    done
) >"$work/calls.out" &
calls=$!
for i in {1..15}; do
    write "$(handle "other$((i % 3))" one "$i")" "$(handle lamp two)"
    "$peernet" -d "$work/a" reload >/dev/null || failures=$((failures + 1))
done
rm "$work/stop"
wait "$calls"
[ $failures -eq 0 ] && [ ! -s "$work/calls.out" ]
ok $? "no_message_is_refused"
! heard b 'peer-down' && ! heard a 'peer-down'
ok $? "no_link_is_lost"

# SIGHUP, without a terminal and with one.
write "$(handle lamp one)"
kill -HUP "$pid_a"
now_one() { [ "$(call lamp)" = '"one"' ]; }
until_true 30 now_one
ok $? "hangup_without_terminal_reloads"
stop a
cat >"$work/terminal.py" <<'END'
import os, pty, signal, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
text = b""
while b"ready" not in text:
    text += os.read(fd, 4096)
os.kill(pid, signal.SIGHUP)
try:
    while os.read(fd, 4096):
        pass
except OSError:
    pass
os.waitpid(pid, 0)
END
timeout 60 env --default-signal=HUP python3 "$work/terminal.py" "$peernet" \
    -d "$work/a" run >/dev/null 2>&1
ok $? "hangup_at_a_terminal_ends"

done_testing

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the journal gets each line once, with its priority and with fields to
# search by, and without a time or name that it has itself.
# Usage: cli_journal.sh PEERNET
peernet=$1
suite=cli/journal
journald=/lib/systemd/systemd-journald
if [ -z "${INSIDE-}" ]; then
    if [ "$(id -u)" -ne 0 ] || ! unshare -m true 2>/dev/null ||
        [ ! -x $journald ] || ! command -v journalctl >/dev/null; then
        echo "1..0 # SKIP needs a mount namespace and systemd-journald"
        exit 0
    fi
    INSIDE=1 exec unshare -m "$0" "$@"
fi
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"
own=(--listen 127.0.0.1:0 --discovery none --dnssd none)

# A journal of our own, which neither reads nor writes this machine's.
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nForwardToSyslog=no\n' \
    >/run/systemd/journald.conf.d/test.conf
[ -s /etc/machine-id ] || {
    echo 0123456789abcdef0123456789abcdef >"$work/machine-id"
    mount --bind "$work/machine-id" /etc/machine-id
}
$journald >"$work/journald" 2>&1 &
pids+=($!)
if ! until_true 10 test -S /run/systemd/journal/stdout; then
    echo "1..0 # SKIP systemd-journald does not run here"
    exit 0
fi
# to_journal COMMAND...: with both outputs to it, as systemd starts a service.
to_journal() {
    systemd-cat -t "$journal_name" sh -c \
        'JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) exec "$@"' sh "$@"
}
# in_journal FIELD=VALUE...: prints what matches, as JSON.
in_journal() {
    journalctl -D /run/log/journal/* --no-pager -o json "$@" 2>/dev/null
}
has_entry() { [ -n "$(in_journal "$@")" ]; }
explain() { journalctl -D /run/log/journal/* --no-pager -o cat 2>&1 | tail -15; }

a=$(key alice)
run -d "$work/bob" pair "$a" -l alice
run -d "$work/alice" pair "$(key bob)" -l bob
journal_name=node to_journal "$peernet" -d "$work/alice" run --echo \
    --no-linger "${own[@]}" &
pids+=($!)
until_true 10 sh -c "'$peernet' -d '$work/alice' status | grep -q listens"
ok $? runs
port=$("$peernet" -d "$work/alice" status | sed -n 's/^listens.*:\([0-9]*\)$/\1/p')
run -d "$work/bob" call alice echo 1 --at "127.0.0.1:$port" "${own[@]}"
until_true 10 has_entry PEERNET_EVENT=peer-up
ok $? event
out=$(in_journal PEERNET_EVENT=peer-up)
print=$("$peernet" --json -d "$work/alice" peers |
    sed -n 's/.*"fingerprint":"\([0-9a-f]*\)".*/\1/p')
native=journal
"$peernet" --version | grep -q systemd || native=stdout
has "$out" "\"PEERNET_PEER\":\"$print\"" && has "$out" '"PEERNET_LABEL":"bob"' &&
    has "$out" '"PRIORITY":"6"' && has "$out" "\"_TRANSPORT\":\"$native\""
ok $? event/fields
! in_journal | grep -E '"MESSAGE":"([0-9]{2}:[0-9]{2}|peernet:)'
ok $? no_time_and_no_name
# A warning of ours.
rm "$(readlink "$work/alice/control.sock")"
until_true 10 has_entry PRIORITY=4
in_journal PRIORITY=4 | grep -q '"MESSAGE":"warning: the control socket was removed'
ok $? warning
[ "$(grep -c 'control socket was removed' <(in_journal))" -eq 1 ]
ok $? once
# Where its socket is hidden the stream has the priority alone.
mv /run/systemd/journal/socket /run/systemd/journal/hidden
rm "$(readlink "$work/alice/control.sock")"
until_true 10 has_entry _TRANSPORT=stdout PRIORITY=4
in_journal _TRANSPORT=stdout PRIORITY=4 |
    grep -q '"MESSAGE":"warning: the control socket was removed'
ok $? without_the_socket
mv /run/systemd/journal/hidden /run/systemd/journal/socket
journal_name=fails to_journal "$peernet" -d "$work/carol" run \
    --listen 192.0.2.77:1 --discovery none
until_true 10 has_entry SYSLOG_IDENTIFIER=fails
out=$(in_journal SYSLOG_IDENTIFIER=fails)
has "$out" '"PRIORITY":"3"' && has "$out" '"MESSAGE":"cannot listen on'
ok $? error
# A variable that is inherited says nothing about another file.
out=$(JOURNAL_STREAM=1:2 "$peernet" -d "$work/carol" run \
    --listen 192.0.2.77:1 --discovery none 2>&1)
has "$out" "peernet: cannot listen on"
ok $? not_for_other_files

done_testing

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a node that systemd runs for a user of its own is asked by root and by
# nobody else, and root is not tricked by what that user's directory holds.
# Usage: cli_service.sh PEERNET
peernet=$1
suite=cli/service
if [ -z "${INSIDE-}" ] && [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
    INSIDE=1 exec unshare -m "$0" "$@"
fi
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"
own=("${discovery[@]}" --listen 127.0.0.1:0 --dnssd none)

# skip NAME...: rows that cannot run here.
skip() { # WHY NAME...
    local why=$1 name
    shift
    for name; do
        n=$((n + 1))
        echo "ok $n - $suite/$name # SKIP $why"
    done
}

# ---- root and the node of a service ------------------------------------------------

# as USER COMMAND...: with the rights of that user only.
as() {
    local user=$1
    shift
    setpriv --reuid "$user" --regid "$user" --clear-groups "$@"
}
# answers SOCKET: asks as a program does; prints the answer.
ask_socket='
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
try:
    s.connect(sys.argv[1])
    s.sendall(b"{\"id\":1,\"cmd\":\"status\"}\n")
    print(s.recv(100).decode())
except OSError as e:
    print(e)
'
root_rows=(runs root_asks root_asks_as_the_owner root_by_the_socket
    others_are_refused/by_the_folder others_are_refused/by_the_credentials
    not_root_s_node not_root_s_node/and_says_so no_file_of_root
    not_a_socket_of_others)
if [ -n "${INSIDE-}" ]; then
    service=4201 other=4202
    chmod 755 "$work"
    bin=$work/bin
    mkdir -p "$bin/cli" "$bin/src"
    cp "$peernet" "$bin/cli/peernet"
    ldd "$peernet" | sed -n 's/.*=> \(.*\/libpeernet[^ ]*\) .*/\1/p' |
        xargs -r -I{} cp {} "$bin/src/"
    install -d -o $service -g $service -m 700 "$work/state"
    install -d -o $service -g $service -m 755 "$work/runtime"
    start_by service setpriv --reuid $service --regid $service --clear-groups \
        env -u XDG_RUNTIME_DIR STATE_DIRECTORY="$work/state" \
        RUNTIME_DIRECTORY="$work/runtime" "$bin/cli/peernet" run "${own[@]}"
    ok $? runs
    run -d "$work/state" status
    expect 0 "pid $pid_service" root_asks
    # Its commands leave nothing that the node cannot read.
    run -d "$work/state" pair "$(key alice)" -l alice
    [ "$status" -eq 0 ] && [ -z "$(find "$work/state" ! -user $service)" ]
    ok $? root_asks_as_the_owner
    socket=$(readlink "$work/state/control.sock")
    out=$(python3 -c "$ask_socket" "$socket")
    has "$out" '"ok":true'
    ok $? root_by_the_socket
    out=$(as $other python3 -c "$ask_socket" "$socket")
    has "$out" "Permission denied"
    ok $? others_are_refused/by_the_folder
    chmod 755 "${socket%/*}"
    chmod 666 "$socket"
    out=$(as $other python3 -c "$ask_socket" "$socket")
    ! has "$out" '"ok"'
    ok $? others_are_refused/by_the_credentials
    chmod 700 "${socket%/*}"
    stop service

    # What root is told to use belongs to a user who has laid it out.
    start root --listen 127.0.0.1:0 --dnssd none
    ln -s "$(readlink "$work/root/control.sock")" "$work/state/control.sock"
    chown -h $service "$work/state/control.sock"
    run -d "$work/state" unpair "$(key root)"
    run -d "$work/state" status
    ! has "$out$err" "pid $pid_root"
    ok $? not_root_s_node
    [ "$status" -eq 3 ]
    ok $? not_root_s_node/and_says_so
    run -d "$work/state" pair "$(key root)" -l root
    [ "$status" -eq 0 ] && [ -z "$(find "$work/state" ! -user $service)" ]
    ok $? no_file_of_root
    # A socket that another user has put where the node's would be.
    mkdir -p "$work/runtime/peernet"
    chown $service "$work/runtime/peernet"
    chmod 700 "$work/runtime/peernet"
    python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
print("bound", flush=True)
c, _ = s.accept()
print("heard", len(c.recv(100)), flush=True)
' "$work/runtime/peernet/x.sock" >"$work/trap.out" &
    pids+=($!)
    until_true 10 grep -qs bound "$work/trap.out"
    chmod 666 "$work/runtime/peernet/x.sock"
    ln -sf "$work/runtime/peernet/x.sock" "$work/state/control.sock"
    timeout 60 setpriv --reuid $service --regid $service --clear-groups \
        "$bin/cli/peernet" -d "$work/state" status >"$work/out" 2>&1
    until_true 10 grep -q heard "$work/trap.out"
    grep -q "heard 0" "$work/trap.out"
    ok $? not_a_socket_of_others
    stop root
else
    skip "only root can become others" "${root_rows[@]}"
fi

# ---- the file of counters ---------------------------------------------------------

mkdir "$work/metrics"
metrics=$work/metrics/peernet.prom
echo kept >"$work/kept"
ln -s "$work/kept" "$metrics.new"
(umask 077 && exec "$peernet" -d "$work/counts" run "${own[@]}" --no-linger     --metrics-file "$metrics" >"$work/counts.out" 2>"$work/counts.err") &
pids+=($!)
until_true 10 heard counts '^ready'
[ "$(stat -c %a "$metrics")" = 644 ] && grep -q '^peernet_links_up' "$metrics"
ok $? metrics_file/written
[ "$(cat "$work/kept")" = kept ] && [ ! -e "$metrics.new" ]
ok $? metrics_file/no_link_is_followed
stop_pid=$!
kill -INT $stop_pid
wait $stop_pid
[ ! -e "$metrics" ]
ok $? metrics_file/removed
start none --listen 127.0.0.1:0 --dnssd none --no-linger --metrics-file "$work/nowhere/x"
grep -q "metrics-file $work/nowhere/x: No such file" "$work/none.err"
ok $? metrics_file/said
stop none

# ---- which directory ---------------------------------------------------------------

run --service -d "$work/x" status
expect 2 "expected one of '--service' and '--data-dir'" one_directory
if [ ! -e /var/lib/peernet ]; then
    run --service status
    expect 4 "expected the directory of peernet.service" no_service_here
else
    skip "there is a service here" no_service_here
fi

done_testing

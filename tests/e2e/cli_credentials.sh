#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a cookie that systemd or an orchestrator hands over is taken by a
# program that is not root's, in each of the layouts they have; a file that a
# group of strangers can read is not.
# Usage: cli_credentials.sh PEERNET
peernet=$1
suite=cli/credentials
limit=60
if [ -z "${INSIDE-}" ]; then
    if [ "$(id -u)" -ne 0 ] || ! unshare -m true 2>/dev/null ||
        ! command -v setpriv >/dev/null; then
        echo "1..0 # SKIP only root can give files away"
        exit 0
    fi
    INSIDE=1 exec unshare -m "$0" "$@"
fi
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"

# As the user nobody, who can reach it there, with these groups besides its own.
chmod 755 "$work"
mkdir -p "$work/bin/cli" "$work/bin/src" "$work/bin/barrel"
cp "$peernet" "$work/bin/cli/peernet"
ldd "$peernet" | sed -n 's/.*=> \(.*\/libpeernet[^ ]*\) .*/\1/p' |
    xargs -r -I{} cp {} "$work/bin/src/"
install -d -o nobody -m 700 "$work/data" "$work/nobody"
nobody=$(id -u nobody)
nogroup=$(id -g nobody)
cookie=secret-$RANDOM
# The whole command: no node is at this address, so it ends with 3 if the cookie was
# accepted, and with 4 if it was refused.
asked=("$work/bin/cli/peernet" -d "$work/data" rpc n@h M f '[]' --as s@h
    --dns-port 0 --barrel-listen 127.0.0.1)
ask() { # GROUPS FILE
    local groups=(--clear-groups)
    [ -z "$1" ] || groups=(--groups "$1")
    timeout "$limit" setpriv --reuid "$nobody" --regid "$nogroup" \
        "${groups[@]}" env XDG_RUNTIME_DIR="$work/nobody" "${asked[@]}" \
        --cookie-file "$2" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    out=$(cat "$work/out") err=$(cat "$work/err")
}
taken() { # NAME
    expect 3 "n@h is not known" "$1"
    ! has "$out$err" "$cookie"
    ok $? "$1/not_said"
}
put() { # OWNER MODE FILE
    echo "$cookie" >"$3"
    chown "$1" "$3"
    chmod "$2" "$3"
}

# ---- groups ------------------------------------------------------------------

mkdir -m 755 "$work/mount"
file=$work/mount/cookie
put "$nobody:$nogroup" 440 "$file"
ask '' "$file"
taken our_own_group
put 0:4321 440 "$file"
ask 1234,4321 "$file"
taken one_of_our_groups
put "$nobody:4321" 440 "$file"
ask 1234 "$file"
expect 4 "a group that is not ours" a_group_of_others
ask '' "$file"
expect 4 "a group that is not ours" no_groups_at_all
put "$nobody:4321" 400 "$file"
ask '' "$file"
taken a_group_that_reads_nothing
put "$nobody:0" 440 "$file"
ask '' "$file"
taken the_group_of_root

# ---- as systemd has it ---------------------------------------------------------

# acl PATH RIGHTS: what setfacl -m u:nobody:RIGHTS does.
acl() {
    python3 - "$1" "$2" "$nobody" <<'P'
import os, struct, sys
path, rights, user = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
owner = os.stat(path).st_mode >> 6 & 7
rows = [(1, owner, 0xffffffff), (2, rights, user), (4, 0, 0xffffffff),
        (16, rights, 0xffffffff), (32, 0, 0xffffffff)]
os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *row) for row in rows))
P
}
# Where access lists work, from release 254 on: all is root's, and the list has
# the user of the unit. What it allows shows as the rights of the group.
rm -f "$file"
mkdir -m 500 "$work/listed"
put 0:0 400 "$work/listed/cookie"
if acl "$work/listed/cookie" 4 2>/dev/null && acl "$work/listed" 5; then
    ask '' "$work/listed/cookie"
    taken access_list
    [ "$(stat -c '%a %U:%G' "$work/listed/cookie")" = "440 root:root" ]
    ok $? access_list_shows_as_group
fi
# It is taken without being named; a file that is named goes before it.
directory=$work/unnamed
install -d -o "$nobody" -m 500 "$directory"
put "$nobody:$nogroup" 400 "$directory/cookie"
ask_unnamed() {
    timeout "$limit" setpriv --reuid "$nobody" --regid "$nogroup" \
        --clear-groups env XDG_RUNTIME_DIR="$work/nobody" \
        CREDENTIALS_DIRECTORY="$directory" "${asked[@]}" "$@" \
        >"$work/out" 2>"$work/err" </dev/null
    status=$?
    out=$(cat "$work/out") err=$(cat "$work/err")
}
ask_unnamed
taken credential
ask_unnamed --cookie-file "$work/nowhere"
expect 4 "nowhere: No such file" credential/named_first
rm "$directory/cookie"
ask_unnamed
expect 2 "cookie-file" credential/none
# Where not: a file system in memory, its files given to the user.
mkdir "$work/given"
if mount -t ramfs -o mode=700 ramfs "$work/given" 2>/dev/null; then
    put "$nobody:0" 400 "$work/given/cookie"
    chown "$nobody:0" "$work/given"
    chmod 500 "$work/given"
    mount -o remount,ro "$work/given"
    ask '' "$work/given/cookie"
    taken given_to_the_user
    umount "$work/given"
fi

# A unit of a systemd that runs here.
cat >"$work/ask" <<P
#!/bin/sh
XDG_RUNTIME_DIR=$work/nobody exec $(printf '%q ' "${asked[@]}") \
    --cookie-file "\$CREDENTIALS_DIRECTORY/cookie"
P
chmod 755 "$work/ask"
unit() { # NAME OPTION...
    local name=$1
    shift
    timeout "$limit" systemd-run --quiet --pipe --wait --collect "$@" \
        -p LoadCredential="cookie:$work/cookie" "$work/ask" \
        >"$work/out" 2>"$work/err" </dev/null
    status=$?
    out=$(cat "$work/out") err=$(cat "$work/err")
    taken "$name"
}
put 0:0 600 "$work/cookie"
if systemd-run --quiet --pipe --wait true >/dev/null 2>&1; then
    unit unit -p User=nobody
    chown -R 0 "$work/data" "$work/nobody"
    unit unit_of_root
else
    n=$((n + 1))
    echo "ok $n - $suite/unit # SKIP no systemd runs here"
fi

done_testing

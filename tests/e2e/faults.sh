# SPDX-License-Identifier: Apache-2.0
# Sourced by faults_*.sh: a data directory in a known state, the system calls of
# a command one by one, and TAP. The caller sets tool.
#
# States of a directory are what `store-tool DIR list` prints, keys only.

n_tests=0
n_failed=0

# In memory where there is such a thing: it is calls that fail here, not disks.
base=${TMPDIR:-/tmp}
[ -n "${TMPDIR-}" ] || [ ! -w /dev/shm ] || base=/dev/shm
work=$(mktemp -d "$base/pn-faults-XXXXXX")
trap 'rm -rf "$work"' EXIT

# Leak checking needs ptrace, which strace has.
export ASAN_OPTIONS=detect_leaks=0

# Made-up keys: Base32 of 32 equal bytes.
ANN=AEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQ
BEN=AIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBA
CAT=AMBQGAYDAMBQGAYDAMBQGAYDAMBQGAYDAMBQGAYDAMBQGAYDAMBQ

skip_all() {
    echo "1..0 # SKIP $1"
    exit 0
}

# result NAME WRONG: one test; WRONG is empty, or says what was wrong.
result() {
    n_tests=$((n_tests + 1))
    if [ -z "$2" ]; then
        echo "ok $n_tests - $1"
    else
        n_failed=$((n_failed + 1))
        echo "not ok $n_tests - $1"
        printf '%s\n' "$2" | sed 's/^/# /'
    fi
}

finish() {
    echo "1..$n_tests"
    [ "$n_tests" -gt 0 ] && [ "$n_failed" -eq 0 ]
}

# state DIR: the keys, ours first; or the error.
state() {
    "$tool" "$1" list 2>"$work/list.err" | cut -d' ' -f1 || true
    [ ! -s "$work/list.err" ] || sed 's/^/! /' "$work/list.err"
}

# A directory with Ann and Ben paired, at $work/base.
make_base() {
    "$tool" "$work/base" init >/dev/null
    "$tool" "$work/base" pair "$ANN" Ann
    "$tool" "$work/base" pair "$BEN"
}

# fresh: $work/d as the base is.
fresh() {
    rm -rf "$work/d"
    [ "${1-}" = empty ] || cp -a "$work/base" "$work/d"
}

# calls FILE: the system calls of a strace log as "NAME K", K-th of its name.
calls() {
    sed -n 's/^\([a-z_0-9]*\)(.*/\1/p' "$1" | awk '{ print $1, ++n[$1] }'
}

# calls_of COMMAND...: into $work/calls, the calls that the tool makes for
# $work/d, "NAME K" a line: from the first that touches the directory on, but not
# those of libcrypto, nor our own output.
calls_of() {
    strace -o "$work/log" "$tool" "$work/d" "$@" >/dev/null 2>&1
    awk -v dir="\"$work/d" '
        { name = $0; sub(/\(.*/, "", name); k = ++n[name] }
        index($0, dir) && name != "execve" { is_on = 1 }
        /openssl/ { is_theirs = 1 }
        # An injected close does not close: that is no fault, but a leak.
        name == "close" && last != "fsync" { is_theirs = 0; last = name; next }
        { last = name }
        is_on && !is_theirs && !/^write\([12],/ && name ~ /^[a-z_0-9]+$/ {
            print name, k
        }' "$work/log" >"$work/calls"
}

can_strace() {
    strace -o /dev/null -e inject=getpid:error=EIO true 2>/dev/null
}

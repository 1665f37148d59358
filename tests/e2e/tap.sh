# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# shellcheck disable=SC2154 # suite is the script's
# TAP for scripts. The script may set suite, the prefix of its rows, and define
# explain, which prints more about a row that has failed.
n=0
failed=0

# ok STATUS NAME...
ok() {
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then
        shift
        echo "ok $n - ${suite:+$suite/}$*"
    else
        shift
        echo "not ok $n - ${suite:+$suite/}$*"
        failed=1
        ! command -v explain >/dev/null || explain | sed 's/^/# /'
    fi
}

done_testing() {
    echo "1..$n"
    exit $failed
}

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: tools/run-tests names every failed row and every program that ended
# badly, with the head of its stderr, and the last line is the totals.
# Usage: run_tests.sh SOURCE_DIR
set -u
top=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
suite=tools/run_tests
# shellcheck source=tests/e2e/tap.sh
. "$(dirname "$0")/tap.sh"
explain() { tail -n 60 "$work/out"; }

# line NAME LINE: that the output has this line.
line() {
    grep -qxF -- "$2" "$work/out"
    ok $? "$1"
}

# A project of programs that end in one way each.
cat >"$work/program" <<'END'
#!/bin/sh
case $1 in
rows)
    echo "1..3"
    echo "ok 1 - rows/good"
    echo "not ok 2 - rows/bad"
    echo "# 1 != 2"
    echo "# rows.c:7: error"
    echo "ok 3 - rows/none # SKIP not here"
    seq 1 40 | sed 's/^/said /' >&2
    exit 1
    ;;
crash) echo "1..2"; echo "ok 1 - crash/first"; kill -SEGV $$ ;;
report) echo "1..1"; echo "ok 1 - report/first"; exit 23 ;;
late) exec sleep 60 ;;
plain) exit 3 ;;
first | twice)
    echo x >>"$0.$1"
    echo "1..1"
    n=$(grep -c . "$0.$1")
    [ "$n" -gt 1 ] && { [ $1 = first ] || [ "$n" -ne 3 ]; } || {
        echo "not ok 1 - $1/row" && exit 1
    }
    echo "ok 1 - $1/row"
    ;;
good) echo "1..1"; echo "ok 1 - good/first" ;;
esac
END
chmod +x "$work/program"
{
    echo "project('p')"
    echo "program = find_program('program')"
    for test in rows crash report late good first twice; do
        echo "test('$test', program, args: '$test', protocol: 'tap'," \
            "timeout: $([ $test = late ] && echo 1 || echo 60), suite: '$test')"
    done
    echo "test('plain', program, args: 'plain')"
} >"$work/meson.build"
meson setup "$work/b" "$work" >"$work/out" 2>&1
ok $? set_up

# What fails is run again where that is asked for.
again() { # again WHETHER SUITE: without a trace of what ran before
    rm -f "$work"/program.*
    TESTS_AGAIN=$1 "$top/tools/run-tests" "$work/b" --suite "$2" >"$work/out" 2>&1
}
again 1 first
ok $? status_of_unsteady
line unsteady 'UNSTEADY: first / first/row'
[ "$(tail -n 1 "$work/out")" = '0 passed, 0 failed, 1 unsteady' ]
ok $? totals_of_unsteady
for suite_of in twice report crash; do
    again 1 $suite_of
    ok $((! $?)) "status_of_$suite_of"
    ! grep -q '^UNSTEADY' "$work/out"
    ok $? "${suite_of}_is_not_unsteady"
done
again '' first
ok $((! $?)) status_when_not_asked

: >"$work/program.first" && echo x >>"$work/program.first"
printf 'x\nx\nx\n' >"$work/program.twice"
unset TESTS_AGAIN
"$top/tools/run-tests" "$work/b" >"$work/out" 2>&1
ok $((! $?)) status_of_failures
line failed_row 'FAILED: rows / rows/bad: 1 != 2; rows.c:7: error'
line crash 'FAILED: crash: killed by SIGSEGV'
line report 'FAILED: report: exit status 23'
line time_out 'FAILED: late: timed out'
line without_rows 'FAILED: plain: exit status 3'
line stderr_begins 'rows: 20 of 40 lines of its stderr'
line stderr_goes_on '    said 20'
! grep -qxF '    said 21' "$work/out"
ok $? stderr_ends
[ "$(tail -n 1 "$work/out")" = '6 passed, 5 failed, 1 skipped' ]
ok $? totals_are_last

"$top/tools/run-tests" "$work/b" --suite good >"$work/out" 2>&1
ok $? status_of_success
! grep -q '^FAILED' "$work/out" &&
    [ "$(tail -n 1 "$work/out")" = '1 passed, 0 failed' ]
ok $? totals_of_success

echo "nonsense" >>"$work/meson.build"
"$top/tools/run-tests" "$work/b" >"$work/out" 2>&1
ok $((! $?)) status_without_a_run
[ "$(tail -n 1 "$work/out")" = '0 passed, 0 failed' ]
ok $? totals_without_a_run

done_testing

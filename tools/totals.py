#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""totals.py JUNIT [UNSTEADY...]: adds up Meson's JUnit log. Every TAP row counts
as one test; a program that ends badly without a failed row (a crash, a time-out, a
report of a sanitizer) counts as one more, of which only testlog.json in the
same folder knows. What failed is listed first: the last line is the totals. What
fails in a test that tools/again has found to be unsteady is counted as that."""
import json
import pathlib
import re
import signal
import sys
import xml.etree.ElementTree as ET

STDERR_LINES = 20
MESSAGE_CHARS = 300
BAD = ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS")
passed = skipped = 0
failed = []  # lines
unsteady = []
excerpts = []


def comments(tap):
    """Number of a failed row -> the comments below it, in one line."""
    found = {}
    row = None
    for line in tap.splitlines():
        start = re.match(r"not ok (\d+)", line)
        if start:
            row = found.setdefault(start.group(1), [])
        elif not line.startswith("# ") or line.startswith("# not ok"):
            row = None
        elif row is not None:
            row.append(line[2:].strip())
    return {n: "; ".join(lines)[:MESSAGE_CHARS] for n, lines in found.items()}


def ending(run):
    """How the program of a test ended."""
    code = run.get("returncode", 0)
    if run["result"] == "TIMEOUT":
        return "timed out"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    if code > 0:
        return f"exit status {code}"
    return "its output is incomplete or no TAP"


def excerpt(test, text):
    lines = [line for line in text.splitlines() if line.strip()
             and not line.startswith("(test program exited")]
    if lines:
        n = min(len(lines), STDERR_LINES)
        excerpts.append(f"{test}: {n} of {len(lines)} lines of its stderr")
        excerpts.extend("    " + line for line in lines[:n])


def tell(test, what):
    name = test.rpartition(" / ")[2]
    if name in sys.argv[2:]:
        unsteady.append(f"UNSTEADY: {name}{what}")
    else:
        failed.append(f"FAILED: {name}{what}")


def add(junit):
    """Counts one log."""
    global passed, skipped
    if not junit.exists():
        print(f"{junit} is not there: no test ran")
        return
    log = junit.with_name("testlog.json")
    runs = {run["name"]: run for run in map(
        json.loads, log.read_text().splitlines())} if log.exists() else {}
    told = set()
    for suite in ET.parse(junit).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            # A suite is one program with TAP rows, or all without.
            number, _, row = case.get("name").partition(" - ")
            test = suite.get("name").partition(".")[2] if row \
                else case.get("name")
            run = runs.get(test, {"result": "OK"})
            if case.find("skipped") is not None:
                skipped += 1
                continue
            if case.find("failure") is None and case.find("error") is None:
                # Without a single row a bad end is no failure of JUnit's.
                passed += bool(row) or run["result"] not in BAD
                continue
            why = comments(run.get("stdout", "")).get(number, "") if row \
                else ending(run)
            tell(test, f"{' / ' + row if row else ''}"
                       f"{': ' + why if why else ''}")
            told.add(test)
    for test, run in runs.items():
        bad = run["result"] in BAD
        if bad and test not in told:
            tell(test, f": {ending(run)}")
        if bad:
            excerpt(test.rpartition(" / ")[2], run.get("stderr", ""))


add(pathlib.Path(sys.argv[1]))
for text in excerpts + unsteady + failed:
    print(text)
line = f"{passed} passed, {len(failed)} failed"
if skipped:
    line += f", {skipped} skipped"
if unsteady:
    line += f", {len(unsteady)} unsteady"
print(line)
sys.exit(1 if failed or not passed + len(unsteady) else 0)

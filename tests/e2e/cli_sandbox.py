#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: what a node that was broken into can reach (T39). The process that
starts programs has none of the node's key, and ends with the node.
Usage: cli_sandbox.py PEERNET"""
import os
import re
import signal
import time

from cli_lib import ALONE, Command, end_with, ok, run, skip, work


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


def memory_has(pid, secret):
    """Whether a process has these bytes in memory that can be read."""
    with open(f"/proc/{pid}/maps") as maps, \
            open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r\S+ .*?(\S*)$", line)
            if not m or m[3] in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            begin, end = int(m[1], 16), int(m[2], 16)
            if end - begin > 1 << 30:
                continue  # a sanitizer's, which holds nothing of ours
            try:
                memory.seek(begin)
                if secret in memory.read(end - begin):
                    return True
            except (OSError, ValueError, OverflowError):
                pass  # a page that cannot be read
    return False


def gone(pid, seconds=20):
    end = time.monotonic() + seconds
    while os.path.exists(f"/proc/{pid}/stat"):
        with open(f"/proc/{pid}/stat") as f:
            if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def starter():
    node = Command("a", "run", *ALONE, "--no-linger", "--expose",
                   "tick=/bin/sleep", "--arg", "tick=60", "--allow",
                   "tick=paired")
    node.says("^ready ")
    pid = node.process.pid
    names = {}
    for child in children_of(pid):
        with open(f"/proc/{child}/comm") as f:
            names[f.read().strip()] = child
    helper = names.get("peernet-starter")
    ok(helper, "starter/is_there", names)
    with open(f"{work}/a/identity.keys", "rb") as f:
        secret = f.read()[-32:]
    try:
        has = memory_has(pid, secret), memory_has(helper, secret)
    except PermissionError:
        skip("starter/has_no_key", "memory of other processes needs root")
    else:
        # That of the node has it: the search finds what is there.
        ok(has == (True, False), "starter/has_no_key", has)
    os.kill(pid, signal.SIGKILL)
    node.process.wait()
    ok(gone(helper), "starter/ends_with_the_node")


def main():
    run("a", "id")
    starter()


end_with(main)

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cli_pair.py PEERNET: pair without a key. Two owners compare digits; what was
typed before the digits is no answer; a call is authorised right after."""
import os
import re
import subprocess
import time

import cli_lib
from cli_lib import end_with, ok, run, status, work

udp = str(20000 + os.getpid() % 12000)
discovery = ["--discovery-address", "127.255.255.255", "--discovery-port", udp]


class Owner(cli_lib.Command):
    def __init__(self, who, *more):
        super().__init__(who, "pair", "--window", "60", *discovery, *more,
                         stdin=subprocess.PIPE)

    def type(self, text):
        self.process.stdin.write(f"{text}\n".encode())
        self.process.stdin.flush()

    def digits(self, seconds=20):
        """What is on the screen; None: nothing came."""
        if not self.says(r"^    \d{3} \d{3}$", seconds):
            return None
        return re.findall(r"^    (\d{3} \d{3})$", self.text(), re.M)[-1]

    def wait(self):
        return status(self.process, 20)


def two(a, b, *more):
    left, right = Owner(a, *more), Owner(b)
    return left, right, left.digits(), right.digits()


def paired():
    node = ["run", "--listen", "127.0.0.1:0", *discovery, "--no-linger"]
    program = os.path.join(work, "read-sensor")
    with open(program, "w") as f:
        f.write("#!/bin/sh\necho 21.5\n")
        os.fchmod(f.fileno(), 0o755)
    run("kitchen", "id")
    somebody = run("somebody", "id").stdout.strip()
    with open(f"{work}/kitchen/grants", "w") as f:
        os.fchmod(f.fileno(), 0o600)
        f.write("role sensors temperature\n")
    kitchen = cli_lib.Command("kitchen", *node, "--own-label", "kitchen",
                              "--expose", f"temperature={program}",
                              "--allow", f"temperature={somebody}")
    phone = cli_lib.Command("phone", *node)
    ok(kitchen.says("ready") and phone.says("ready"), "nodes_run",
       kitchen.text(), phone.text())
    begun = time.monotonic()
    left, right, one, other = two("kitchen", "phone", "--role", "sensors")
    ok(one is not None and one == other, "same_digits", left.text(),
       right.text())
    left.type("y")
    ok(left.says("waiting for the other owner"), "one_yes_is_no_pairing")
    ok("kitchen" not in run("phone", "peers").stdout, "not_stored_yet")
    right.type("y")
    ok(left.wait() == 0 and right.wait() == 0, "both_end_well", left.text(),
       right.text())
    ok("called kitchen" in right.text(), "proposed_label_is_taken",
       right.text())
    p = run("phone", "call", "kitchen", "temperature", "nil")
    took = time.monotonic() - begun
    print(f"# from 'peernet pair' to the first call: {took:.2f} s", flush=True)
    ok(p.returncode == 0 and "21.5" in p.stdout, "first_call", p.stdout,
       p.stderr, kitchen.text(), phone.text())
    for node in (kitchen, phone):
        node.end()


def typed_too_early():
    left = Owner("early")
    left.type("y")
    left.type("y")
    right = Owner("late")
    ok(left.digits() is not None and right.digits() is not None,
       "early/digits", left.text(), right.text())
    right.type("y")
    ok(right.says("waiting") and not left.says("^paired", 1),
       "early/is_no_answer", left.text())
    left.type("what")
    ok(left.says("expected y or n"), "early/other_words")
    left.type("y")
    ok(left.wait() == 0 and right.wait() == 0, "early/later_is")


def said_no():
    left, right, one, _ = two("no", "other")
    ok(one is not None, "no/digits")
    left.type("n")
    ok(left.wait() == 3 and "you said no" in left.text(), "no/here",
       left.text())
    ok(right.says("the other side said no"), "no/there", right.text())
    for who in ("no", "other"):
        ok(len(run(who, "peers").stdout.splitlines()) == 1, f"no/{who}_has_none")
    right.process.kill()
    right.process.wait()


def lost():
    """The other device is gone after our yes: the end that may be left with a
    record says so, and unpair ends the wait."""
    for n in range(12):
        left, right, one, _ = two(f"lost{n}", f"gone{n}")
        if one is None:
            break
        left.type("y")
        left.says("waiting")
        time.sleep(0.2)
        right.process.kill()
        right.process.wait()
        if left.says("not confirmed|tries failed", 10) and \
                "not confirmed" in left.text():
            break
        left.process.kill()
        left.process.wait()
    ok("not confirmed" in left.text() and left.wait() == 3, "lost/told",
       left.text())
    p = run(f"lost{n}", "peers")
    ok("not confirmed" in p.stdout, "lost/peers_shows_it", p.stdout, p.stderr)
    p = run(f"lost{n}", "--json", "peers")
    ok('"state":"not-confirmed"' in p.stdout, "lost/peers_json", p.stdout)
    key = re.search(r'"key":"(\w+)"', p.stdout)
    ok(key and run(f"lost{n}", "unpair", key[1]).returncode == 0,
       "lost/unpair", p.stdout)
    p = run(f"lost{n}", "peers")
    ok("not confirmed" not in p.stdout, "lost/wait_is_over", p.stdout)


def usage():
    for name, args, says in (
            ("window", ["--window", "0"], "--window"),
            ("role", ["--role", "nobody"], "expected a role"),
            ("key", ["A" * 52, "--window", "5"], "expected no KEY"),
            ("address", ["--address", "a:1"], "expected KEY"),
            ("label", ["--label", "paired"], "paired")):
        p = run("usage", "pair", *args)
        ok(p.returncode == 2 and says in p.stderr, f"usage/{name}", p.stderr)
    p = run("usage", "pair", *discovery, input="")
    ok(p.returncode == 2 and "standard input" in p.stderr, "usage/no_owner",
       p.stderr)


def main():
    paired()
    typed_too_early()
    said_no()
    lost()
    usage()


end_with(main)

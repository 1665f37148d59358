#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cli_invite.py PEERNET: invite and join between the data directories of two
devices, with running nodes and without. What is used up, cancelled, expired or
not known is refused alike."""
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time

import cli_lib
from cli_lib import end_with, ok, run, skip, status, work

HERE = ["--listen", "127.0.0.1"]
REFUSED = "refused, or the connection was lost"


class Inviter(cli_lib.Command):
    def __init__(self, who, *more):
        super().__init__(who, "invite", *HERE, *more)
        self.says("^Whoever has this text")
        found = re.findall(r"^(peernet:\S+)$", self.text(), re.M)
        self.uri = found[0] if found else ""
        self.port = (re.findall(r"&at=127\.0\.0\.1:(\d+)&", self.uri)
                     or ["0"])[0]

    def wait(self):
        return status(self.process, 20)


def join(who, uri, *more):
    return run(who, "join", *more, input=uri + "\n")


def at_port(uri, port):
    return re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", uri)


def id_of(who, n=0):
    return [json.loads(line)["id"] for line in run(
        who, "invite", "--list", "--json").stdout.splitlines()][n]


def with_nodes():
    """From an invitation to the first call, and no question at the inviter."""
    program = os.path.join(work, "read-sensor")
    with open(program, "w") as f:
        f.write("#!/bin/sh\necho 21.5\n")
        os.fchmod(f.fileno(), 0o755)
    kitchen = cli_lib.Command(
        "kitchen", "run", *cli_lib.ALONE, "--own-label", "kitchen", "--expose",
        f"temperature={program}", "--allow", "temperature=paired")
    phone = cli_lib.Command("phone", "run", *cli_lib.ALONE)
    ok(kitchen.says("ready") and phone.says("ready"), "nodes_run",
       kitchen.text(), phone.text())
    begun = time.monotonic()
    inviter = Inviter("kitchen", "--label", "phone")
    ok("&name=kitchen&" in inviter.uri, "has_the_name", inviter.text())
    p = join("phone", inviter.uri, "--label", "kitchen")
    ok(p.returncode == 0 and "called kitchen" in p.stdout, "stdin/joins",
       p.stdout, p.stderr, inviter.text())
    ok(inviter.wait() == 0 and "called phone" in inviter.text(),
       "stdin/inviter_ends_well", inviter.text())
    p = run("phone", "call", "kitchen", "temperature", "nil")
    print(f"# to the first call: {time.monotonic() - begun:.2f} s", flush=True)
    ok(p.returncode == 0 and "21.5" in p.stdout, "first_call", p.stdout,
       p.stderr, kitchen.text(), phone.text())
    for node in (kitchen, phone):
        node.end()


def by_file_and_terminal():
    run("files", "role", "guest", "temperature")
    inviter = Inviter("files", "--uses", "3", "--role", "guest")
    path = os.path.join(work, "invitation")
    with open(path, "w") as f:
        f.write(inviter.uri + "\r\n")
    p = run("by-file", "join", "--file", path)
    ok(p.returncode == 0, "file/joins", p.stdout, p.stderr)
    # The terminal shows the prompt and nothing of what is typed.
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(cli_lib.peernet,
                  cli_lib.words("by-terminal", "join"), cli_lib.env)
    shown = b""
    while b"Invitation" not in shown:
        shown += os.read(fd, 1024)
    os.write(fd, inviter.uri.encode() + b"\n")
    try:
        while chunk := os.read(fd, 1024):
            shown += chunk
    except OSError:
        pass
    _, how = os.waitpid(pid, 0)
    secret = inviter.uri.rpartition("=")[2]
    ok(os.waitstatus_to_exitcode(how) == 0 and b"paired" in shown,
       "terminal/joins", shown)
    ok(secret.encode() not in shown, "terminal/is_not_shown", shown)
    if shutil.which("zbarimg") and shutil.which("qrencode"):
        picture = os.path.join(work, "code.png")
        subprocess.run(["qrencode", "-o", picture, inviter.uri], check=True)
        p = run("by-picture", "join", "--picture", picture)
        ok(p.returncode == 0, "picture/joins", p.stdout, p.stderr)
    else:
        skip("picture/joins", "no zbarimg or qrencode")
        join("by-picture", inviter.uri)
    ok(inviter.wait() == 0, "three_uses_end_it", inviter.text())
    with open(f"{work}/files/grants") as f:
        grants = f.read()
    ok(len(re.findall(r"^[^#\n]*role:guest", grants, re.M)) == 3,
       "role/is_granted", grants)
    p = run("by-picture", "join", "--picture", path)
    ok(p.returncode == 4 and "zbarimg" in p.stderr, "picture/none", p.stderr)
    p = run("by-file", "join", "--picture", path + ".no")
    ok(p.returncode == 4 and "No such file" in p.stderr, "picture/missing",
       p.stderr)


def never_an_argument():
    p = run("argument", "join", "peernet:join/1?key=X&secret=5ec2e7")
    ok(p.returncode == 2 and "password" in p.stderr, "argument/is_refused",
       p.stderr)
    ok("5ec2e7" not in p.stderr + p.stdout, "argument/is_not_repeated",
       p.stderr)
    p = join("argument", "peernet:join/1?key=X&secret=5ec2e7")
    ok(p.returncode == 2 and "no invitation" in p.stderr
       and "5ec2e7" not in p.stderr, "text/bad_is_not_repeated", p.stderr)


def refused_alike():
    """One live invitation keeps the listener; others come to it."""
    used = Inviter("owner")
    ok(join("first", used.uri).returncode == 0 and used.wait() == 0,
       "used/first_joins", used.text())
    live = Inviter("owner", "--uses", "16")
    ok(live.port == used.port, "the_port_is_kept", live.uri, used.uri)
    cancelled = Inviter("owner")
    p = run("owner", "invite", "--cancel", id_of("owner", 2))
    ok(p.returncode == 0, "cancel/says_so", p.stdout, p.stderr)
    ok(cancelled.wait() == 3, "cancel/ends_the_other_command",
       cancelled.text())
    unknown = live.uri[:-8] + "00000000"
    says = {}
    for name, uri in {"used_up": used.uri,
                      "cancelled": at_port(cancelled.uri, live.port),
                      "unknown": unknown}.items():
        p = join(f"late-{name}", uri)
        says[name] = (p.returncode, p.stdout, p.stderr)
        ok(p.returncode == 3 and REFUSED in p.stderr, f"refused/{name}",
           p.stderr, live.text())
        ok(len(run(f"late-{name}", "peers").stdout.splitlines()) == 1,
           f"refused/{name}_stores_nobody")
        time.sleep(1.1)  # one refusal a second is told
    ok(len(set(says.values())) == 1, "refused/alike", says)
    for why in ("is used up", "was cancelled", "is not known"):
        ok(why in live.text(), f"log/{why.replace(' ', '_')}", live.text())
    secrets = [uri.rpartition("=")[2] for uri in (used.uri, cancelled.uri)]
    ok(not any(s in live.text() for s in secrets), "log/has_no_secret")
    # The key at the address is another one.
    other = Inviter("impostor")
    p = join("cautious", at_port(live.uri, other.port))
    ok(p.returncode == 3 and "somebody else" in p.stderr, "other_key",
       p.stderr)
    ok(join("second", live.uri).returncode == 0, "live/joins", live.text())
    ok(join("second", live.uri).returncode == 0, "live/same_joins_again",
       live.text())
    rows = [json.loads(line) for line in run(
        "owner", "invite", "--list", "--json").stdout.splitlines()]
    ok([r["state"] for r in rows] == ["used-up", "open", "cancelled"]
       and rows[1]["uses"] == 15, "list", rows)
    for name, inviter in (("live", live), ("other", other)):
        inviter.process.send_signal(signal.SIGINT)
        ok(inviter.wait() == 130, "interrupted/" + name, inviter.text())
    rows = run("owner", "invite", "--list").stdout
    ok("open" not in rows, "interrupted/is_cancelled", rows)


def expired(short):
    keeper = Inviter("short")
    ok(short.wait() == 3 and "nobody has joined" in short.text(),
       "expired/ends", short.text())
    # A joiner whose clock is slow says it all the same.
    until = re.search(r"&until=(\d+)", short.uri)[1]
    uri = at_port(short.uri, keeper.port)
    p = join("slow", uri)
    ok(p.returncode == 3 and "expired" in p.stderr, "expired/seen_here",
       p.stderr)
    p = join("slow", uri.replace(until, str(int(until) + 3600)))
    ok(p.returncode == 3 and REFUSED in p.stderr
       and "has expired" in keeper.text(), "expired/refused", p.stderr,
       keeper.text())
    keeper.process.terminate()
    keeper.wait()


def bad_words():
    for words, says in ((["invite", "--ttl", "5"], "10 seconds to 7 days"),
                        (["invite", "--ttl", "8d"], "10 seconds to 7 days"),
                        (["invite", "--ttl", "10x"], "10 seconds to 7 days"),
                        (["invite", "--uses", "17"], "1 to 16"),
                        (["invite", "--role", "a b"], "expected a role of"),
                        (["invite", "--uses", "2", "--label", "x"], "one of"),
                        (["invite", "--cancel", "xyz"], "16 hexadecimal"),
                        (["join", "--file", "a", "--picture", "b"], "one of")):
        p = run("words", *words)
        ok(p.returncode == 2 and says in p.stderr, "words/" + "_".join(words),
           p.returncode, p.stderr)
    p = run("words", "invite", "--cancel", "0123456789abcdef")
    ok(p.returncode == 5, "words/cancel_unknown", p.stderr)
    inviter = Inviter("loose")
    os.chmod(f"{work}/loose/invitations", 0o644)
    p = run("loose", "invite", "--list")
    ok(p.returncode == 4 and "expected 0600" in p.stderr, "mode/is_refused",
       p.stderr)
    inviter.process.kill()
    inviter.process.wait()


def main():
    short = Inviter("short", "--ttl", "10")
    with_nodes()
    by_file_and_terminal()
    never_an_argument()
    refused_alike()
    expired(short)
    bad_words()


end_with(main)

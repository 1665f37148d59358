#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cli_json.py PEERNET MANUAL: every line that a command prints with --json is
made of the names in the manual's table, each with a value of its type; every
line bears the time; what is not known is null. Each command there is runs here,
well and badly, and each name of the table is seen."""
import datetime
import json
import os
import re
import signal
import subprocess
import sys

import cli_lib
from cli_lib import end_with, ok, work

manual = sys.argv[2]
udp = str(20000 + os.getpid() % 12000)
discovery = ["--discovery-address", "127.255.255.255", "--discovery-port", udp]
done = []  # (command, line, object)


def table():
    """name -> type, from the manual."""
    text = open(manual).read()
    part = text.split(".Sh JSON OUTPUT")[1].split(".Sh ")[0]
    rows = {}
    for names, kind in re.findall(r"^\.It Li (.+?) Ta (\w+) Ta", part, re.M):
        for name in names.split(" , "):
            rows[name] = kind
    return rows


def files_not_told():
    """Files of the data directories that FILES of the manual does not name."""
    part = open(manual).read().split(".Sh FILES")[1].split(".Sh ")[0]
    named = [name for line in re.findall(r"^\.It Pa (.+)$", part, re.M)
             for name in line.split(" , ")]
    found = set()
    for data in ("a", "b"):
        for folder, _, names in os.walk(f"{work}/{data}"):
            found |= {os.path.relpath(f"{folder}/{name}", f"{work}/{data}")
                      for name in names}
    return sorted(path for path in found if not any(
        path == name or path.startswith(name + "/")
        or name.startswith("NAME.") and path.endswith(name[len("NAME"):])
        for name in named))


def is_time(value):
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value):
        return False
    datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ")
    return True


def is_count(value):
    return type(value) is int and value >= 0


TYPES = {
    "time": lambda v: type(v) is str and is_time(v),
    "bool": lambda v: type(v) is bool,
    "word": lambda v: type(v) is str
    and re.fullmatch(r"[a-z][a-z0-9_?-]*", v) is not None,
    "text": lambda v: type(v) is str and v != "",
    "any": lambda v: type(v) is str,
    "key": lambda v: type(v) is str
    and re.fullmatch("[A-Z2-7]{52}", v) is not None,
    "hex": lambda v: type(v) is str
    and re.fullmatch("[0-9a-f]{64}", v) is not None,
    "digits": lambda v: type(v) is str
    and re.fullmatch("[0-9a-f]{16}", v) is not None,
    "int": is_count,
    "number": lambda v: type(v) in (int, float) and v >= 0,
    "list": lambda v: type(v) is list,
    "term": lambda v: True,
}
# These names may be null; the others are there or are left out.
NULLABLE = {"label", "address", "dialled_by_us", "rung", "up_ms", "rtt_us",
            "reason", "our_kind", "proposed_label", "own_label", "published_label",
            "last_seen", "added_at", "key", "fingerprint", "hex", "unit"}


def faults(rows, o):
    if type(o) is not dict:
        return ["not an object"]
    found = [] if "time" in o else ["no time"]
    for name, value in o.items():
        kind = rows.get(name)
        if kind is None:
            found.append(f"{name} is not in the table")
        elif value is None:
            if name not in NULLABLE and kind != "term":
                found.append(f"{name} is null")
        elif not TYPES[kind](value):
            found.append(f"{name} is no {kind}: {value!r}")
    return found


def keep(command, text):
    lines = text.splitlines()
    for line in lines:
        try:
            done.append((command, line, json.loads(line)))
        except ValueError:
            done.append((command, line, None))
    return lines


def run(who, *words, status=None, **more):
    p = cli_lib.run(who, "--json", *words, **more)
    keep(words[0], p.stdout)
    label = " ".join(w if len(w) < 30 else w[:8] for w in words)
    if status is not None:
        ok(p.returncode == status and p.stdout != "", f"runs/{label}",
           f"status {p.returncode}", p.stdout[:300], p.stderr[:300])
    return p.stdout


class Command(cli_lib.Command):
    """One that runs until stop, which keeps its lines."""

    def __init__(self, who, *words):
        super().__init__(who, "--json", *words, stderr=subprocess.DEVNULL,
                         stdin=subprocess.PIPE)
        self.name = words[0]

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        cli_lib.status(self.process, 20)
        keep(self.name, self.text())


def key_of(data):
    return json.loads(run(data, "id"))["key"]


def node_words(port_barrel=None):
    words = ["run", "--listen", "127.0.0.1:0", *discovery, "--announce-every",
             "300", "--echo", "--chat", "--no-linger",
             "--export", "Led.off/0=/bin/true", "--allow", "Led.off/0=paired"]
    if port_barrel is not None:
        words += ["--barrel", port_barrel, "--barrel-listen", "127.0.0.1",
                  "--dns-port", "0", "--cookie-file",
                  os.path.join(work, "cookie"), "--trust-mode", "tofu"]
    return words


def without_a_node():
    run("a", "id", status=0)
    run("a", "status", status=3)
    run("a", "announce", status=3)
    bob = key_of("b")
    run("a", "pair", bob, "--label", "bob", status=0)
    run("a", "pair", bob, "--label", "bobby", status=0)
    run("a", "pair", bob, "--label", "bob")
    run("a", "pair", bob, "--label", "paired", status=2)
    run("a", "peers", status=0)
    run("a", "grant", "--until", "2h", "bob", "echo", "role:r", status=0)
    run("a", "grant", "paired", "led", "--log-only", status=0)
    run("a", "role", "r", "lamp", "Led.on/0", status=0)
    run("a", "can", "bob", "echo", status=0)
    run("a", "can", "bob", "led", "--trace", status=5)
    with open(os.path.join(work, "a", "grants"), "a") as f:
        f.write("nonsense\n")
    run("a", "grants", status=0)
    run("a", "role", "r", "--none", status=0)
    run("a", "ungrant", "bob", "echo", "role:r", status=0)
    run("a", "metrics", "--discovery", "none", "--listen", "127.0.0.1:0",
        status=0)
    run("a", "call", "carol", "echo", "1", status=5)
    run("a", "call", "bob", "echo", "1", "--discovery", "none", "--listen",
        "127.0.0.1:0", status=3)
    for word in ("grant", "ungrant", "can", "send", "rpc", "cast", "chat", "unpair", "monitor", "serve",
                 "config"):
        run("a", word, status=2)
    phrase = {"input": "correct horse\n"}
    saved = os.path.join(work, "saved")
    run("a", "backup", "--passphrase-fd", "0", saved, status=0, **phrase)
    for _ in range(2):
        run("restored", "restore", "--passphrase-fd", "0", "-f", saved, status=0,
            **phrase)
    run("a", "restore", "--passphrase-fd", "0", saved, status=2, **phrase)
    run("a", "help", status=0)
    run("a", "help", "call", status=0)
    run("a", "--version", status=0)
    run("a", "version", status=0)
    run("a", "--nonsense", status=2)


def compare_digits():
    """Two new devices; their owners say yes, and no."""
    for answer in ("n", "y"):
        both = [Command(who, "pair", "--window", "30", *discovery)
                for who in ("left", "right")]
        ok(all(c.says('"digits"', 20) for c in both), f"pair_digits_{answer}",
           *[c.text() for c in both])
        for c in both:
            c.process.stdin.write(f"{answer}\n".encode())
            c.process.stdin.flush()
            if answer == "n":
                break
        if answer == "n":
            ok(both[1].says('"pairing-failed"', 10), "pair_failed",
               both[1].text())
        else:
            ok(all(c.says('"confirmed":true', 10) for c in both), "pair_paired",
               *[c.text() for c in both])
        for c in both:
            c.stop()


def invitations():
    """One that joins, one that has another secret, and the end of it."""
    host = Command("host", "invite", "--listen", "127.0.0.1", "--uses", "2")
    ok(host.says('"event":"invitation"', 20), "invite", host.text())
    made = json.loads(host.text().splitlines()[0])
    text = made["invitation"]
    run("guest", "join", status=0, input=text + "\n")
    run("stranger", "join", status=3, input=text[:-8] + "00000000\n")
    ok(host.says('"event":"invitation-refused"', 20), "invite_refused",
       host.text())
    run("host", "invite", "--list", status=0)
    run("host", "invite", "--cancel", made["id"], status=0)
    host.stop()


def barrel_files():
    with open(os.path.join(work, "cookie"), "w") as f:
        os.fchmod(f.fileno(), 0o600)
        f.write("secret\n")
    pub = os.path.join(work, "b.pub")
    run("b", "barrel", "id", "--out", pub, status=0)
    run("a", "barrel", "trust", "b@localhost", pub, status=0)
    run("a", "barrel", "trust", "c@localhost", pub)
    run("a", "barrel", "pins", status=0)
    run("a", "barrel", "unpin", "c@localhost", status=0)
    run("a", "barrel", "rotate", "identity", status=2)
    run("a", "barrel", "rotate", "identity", "--yes", status=0)


def with_nodes(has_barrel):
    run("b", "pair", key_of("a"), "--label", "alice")
    b = Command("b", *node_words("b@localhost:0" if has_barrel else None))
    ok(b.says('"ready"'), "b_is_ready")
    words = node_words("a@localhost:0" if has_barrel else None)
    if has_barrel:
        port = re.search(r'"barrel_port":(\d+)', b.text()).group(1)
        words += ["--node", f"b@localhost=127.0.0.1:{port}"]
    a = Command("a", *words)
    ok(a.says('"peer-up"'), "a_is_up", a.text())
    e = Command("a", "events")
    ok(e.says("") and run("a", "peers", status=0) != "", "events")
    run("a", "status", status=0)
    run("a", "announce", status=0)
    run("a", "label", status=0)
    conf = os.path.join(work, "a", "peernet.conf")
    open(conf, "w").write("[node]\nannounce-every = 400\n")
    run("a", "reload", status=0)
    open(conf, "w").write("[nod]\n")
    run("a", "reload", status=2)
    os.remove(conf)
    stranger = key_of("c")
    run("a", "pair", stranger, "--label", "carol", status=0)
    run("a", "pair", stranger, "--label", "cara", status=0)
    run("a", "peers", status=0)
    run("a", "unpair", "cara", status=0)
    run("a", "discover", "--seconds", "1", status=0)
    run("a", "doctor", "bob", status=0)
    run("a", "doctor", "bob", "--handle", "nothing", status=1)
    run("a", "call", "bob", "echo", '{:ok, "x"}', status=0)
    run("a", "call", "bob", "nothing", "1", status=1)
    run("a", "call", "bobb", "echo", "1", status=5)
    run("a", "send", "bob", "echo", "1", status=0)
    run("a", "rpc", "bob", "Led", "on", "[]", status=1)
    run("a", "cast", "bob", "Led", "on", "[]", status=0)
    run("a", "metrics", status=0)
    heard = Command("b", "listen", "heard", "--allow", "alice")
    for _ in range(200):
        if '"handle":"heard"' in run("b", "status"):
            break
    run("a", "call", "bob", "heard", "%{unit: 1}", status=0)
    ok(heard.says('"request"'), "listen", heard.text())
    heard.stop()
    c = Command("b", "chat", "alice")
    for _ in range(20):  # until the other end attends
        run("a", "chat", "bob", input="hello\n")
        if c.says('"hello"', 1):
            break
    ok(c.says('"hello"', 1), "chat")
    c.process.stdin.close()
    c.stop()
    if has_barrel:
        run("a", "call", "b@localhost", "echo", "1", status=0)
        run("a", "barrel", "nodes", status=0)
        run("a", "monitor", "b@localhost", "nobody", status=0)
    b.stop()
    ok(e.says('"peer-down"'), "peer_down_is_told")
    run("a", "call", "bob", "echo", "1", "--wait", "500", status=3)
    run("a", "peers", status=0)
    e.stop()
    a.stop()
    if has_barrel:
        run("a", "barrel", "rotate", "cert", status=0)


def main():
    rows = table()
    parts = json.loads(run("a", "--version"))["parts"].split()
    without_a_node()
    compare_digits()
    invitations()
    if "barrel" in parts:
        barrel_files()
    with_nodes("barrel" in parts)
    bad = []
    seen = set()
    for command, line, o in done:
        wrong = ["no JSON"] if o is None else faults(rows, o)
        bad += [f"{command}: {'; '.join(wrong)}: {line[:200]}"] if wrong else []
        seen |= set(o or ())
        for inner in (o or {}).get("refused_by", []):
            seen |= set(inner)
    ok(not bad, "every_line_is_of_the_table", *bad[:20])
    # Of a program without the Barrel link some names are never seen, and the
    # output of this test is read.
    unseen = set(rows) - seen - {"lines", "addresses", "of", "count"}
    if "barrel" in parts:
        ok(not unseen, "every_name_is_seen", f"never seen: {sorted(unseen)}")
    untold = files_not_told()
    ok(not untold, "every_file_is_of_the_manual", untold)
    commands = {o["command"] for _, _, o in done if o and "command" in o}
    printed = {command for command, _, o in done if o}
    ok(commands <= printed | {"barrel"} and commands, "every_command_ran",
       f"not run: {sorted(commands - printed)}")


end_with(main)

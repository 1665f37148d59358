#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: every command prints the reason of a failure as a sentence with what to do,
and as a word with --json; a failure that will not pass is reported at once; on a
terminal a line names what the command waits for.
Usage: cli_why.py PEERNET"""
import json
import os
import re
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

from cli_lib import (ALONE, Command, Terminal, end_with, ok, run, skip,
                     work)

# Every word that pn_reason_text has with a dash or a question mark in it, and
# those of the Barrel link: none of them is for people.
CODES = re.compile(
    r"no-such-handle|queue-full|handler-|no-reply|reply-too|bad-(argument|"
    r"handshake|frame|tag|term|envelope)|function-(not|for)|unknown-operation|"
    r"rate-limited|local-close|peer-closed|untrusted-peer|not-paired-there|"
    r"key-mismatch|own-key|handshake-timeout|frame-too|nonces-used|"
    r"ping-timeout|address-gone|network-changed|connection-re|loopback\?|"
    r"connect-timeout|atom-unknown|too-many-|out-of-memory|system-error|"
    r"[a-z]_(mismatch|key|rejected|invalid|message|ok|bytes|skew|name|nonce|"
    r"failed|finished|reset|timeout|stored|error|handshake|missing|allowed|"
    r"race|connected|cookie|frame|term|stream|memory)\b")


def is_told(name, text, sentence):
    """The sentence, and what to do behind a semicolon; no word for programs."""
    ok(sentence in text and ";" in text and not CODES.search(text), name, text)


def is_coded(name, text, code):
    try:
        o = json.loads(text.splitlines()[-1])
    except (ValueError, IndexError):
        o = {}
    ok(o.get("ok") is False and o.get("reason") == code, name, text)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Rude:
    """A listener that sends something, or nothing, to each connection."""

    def __init__(self, says):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(64)
        self.port = self.socket.getsockname()[1]
        self.says = says
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.socket.accept()
            try:
                client.recv(4096)
                client.sendall(self.says)
            except OSError:
                pass
            client.close()


def node(who, *args):
    """A node that is ready; its command, TCP and UDP port."""
    command = Command(who, "run", *ALONE, "--no-linger", *args)
    if not command.says(r"^ready"):
        raise SystemExit(f"{who} does not run: {command.text()}")
    line = re.search(r"^ready .*$", command.text(), re.M).group(0)
    return command, [int(p) for p in re.findall(r"port (\d+)", line)]


# ---- reasons for a missing link ---------------------------------------------

# Each with a peer of its own directory: they run side by side.
COMMANDS = {
    "call": (["echo", "1"], {}),
    "send": (["echo", "1"], {}),
    "rpc": (["M", "f", "[]"], {}),
    "cast": (["M", "f", "[]"], {}),
    "chat": ([], {"input": "hello\n"}),
}


def try_link(scenario, command, is_json):
    name, key, address, sentence, code, more = scenario
    who = f"{name}-{command}-{is_json}"
    words, options = COMMANDS[command]
    run(who, "pair", key, "--label", "bob", "--address", address)
    options = dict(options, timeout=120)
    p = run(who, *(["--json"] if is_json else []), command, "bob", *words,
            *(more or ALONE), "--no-linger", **options)
    return who, p, sentence, code, is_json


def no_link():
    bob = run("bob", "id").stdout.strip()
    carol = run("carol", "id").stdout.strip()
    _, (at_bob,) = node("bob")
    own = free_port()
    scenarios = [
        ("refused", bob, f"127.0.0.1:{free_port()}",
         "the host refuses the connection; start the node there",
         "connection-refused", None),
        ("stranger", bob, f"127.0.0.1:{at_bob}",
         "has probably not paired this node; run 'peernet pair' there",
         "not-paired-there?", None),
        ("another", carol, f"127.0.0.1:{at_bob}",
         "another node answers at that address; check the address",
         "key-mismatch", None),
        ("own", bob, f"127.0.0.1:{own}",
         "this node itself answers at that address; check the address",
         "own-key", ["--listen", f"127.0.0.1:{own}", "--discovery", "none"]),
        ("rude", bob, f"127.0.0.1:{Rude(b'HTTP/1.1 400 Bad').port}",
         "does not speak PeerNet as expected; check the port",
         "bad-handshake", None),
        ("nowhere", bob, "nobody.invalid:7100",
         "no address is known and discovery is off; say where it is", None,
         None),
    ]
    # What listens on one port cannot do so five times.
    tasks = [(s, c, j) for s in scenarios for c in COMMANDS
             for j in (False, True) if s[0] != "own" or c == "call"]
    alone = [t for t in tasks if t[0][0] == "own"]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda t: try_link(*t),
                             [t for t in tasks if t not in alone]))
    done += [try_link(*t) for t in alone]
    for who, p, sentence, code, is_json in done:
        name = "no_link/" + who.rsplit("-", 1)[0].replace("-", "/")
        if is_json:
            is_coded(name + "/json", p.stdout, code)
        else:
            is_told(name, p.stdout + p.stderr, sentence)
            ok(p.returncode == 3, name + "/status", p.returncode)


# ---- a node's events --------------------------------------------------------

def what_is_told():
    bob = run("bob", "id").stdout.strip()
    sentence = "the host refuses the connection; start the node there"
    run("teller", "pair", bob, "--label", "bob", "--address",
        f"127.0.0.1:{free_port()}")
    teller = Command("teller", "run", *ALONE, "--no-linger", "--verbose")
    told = teller.says("dial-failed.*" + sentence)
    is_told("told/run", teller.text() if told else "", sentence)
    is_told("told/peers", run("teller", "peers").stdout, sentence)
    o = json.loads(run("teller", "--json", "peers").stdout)
    ok(o["reason"] == "connection-refused", "told/peers/json", o)
    teller.end()


# ---- a peer's errors --------------------------------------------------------

def remote():
    alice = run("asker", "id").stdout.strip()
    bob = run("host", "id").stdout.strip()
    run("host", "pair", alice, "--label", "alice")
    script = f"{work}/words"
    with open(script, "w") as f:
        f.write("#!/bin/sh\nhead -c 20000000 /dev/zero\n")
    os.chmod(script, 0o755)
    _, (port,) = node(
        "host", "--expose", f"large={script}", "--allow", "large=paired",
        "--expose", f"shut={script}", "--allow", f"shut={bob[:-1]}A",
        "--export", f":led.on/1={script}", "--allow", ":led.on/1=paired",
        "--export", f":led.off/0={script}",
        "--allow", f":led.off/0={bob[:-1]}A")
    run("asker", "pair", bob, "--label", "bob", "--address",
        f"127.0.0.1:{port}")
    node("asker")
    for name, words, term, sentence in (
            ("no_such_handle", ["call", "bob", "nothing", "1"],
             ":no_such_handle", "the handle is not exposed there; check"),
            ("forbidden", ["call", "bob", "shut", "1"], ":forbidden",
             "this caller is not allowed; ask the owner"),
            ("too_large", ["call", "bob", "large", "1"], ":system_limit",
             "the reply, or what it was asked, is larger than it may be; ask"),
            ("undef", ["rpc", "bob", ":led", "blink", "[]"],
             "{:undef, [{:led, :blink, [], []}]}",
             "the function is not exported there; check"),
            ("function_forbidden", ["rpc", "bob", ":led", "off", "[]"],
             "{:forbidden, {:led, :off, 0}}",
             "this caller may not use the function; ask the owner")):
        p = run("asker", *words)
        ok(p.returncode == 1 and f"{term}: {sentence}" in p.stderr,
           f"remote/{name}", p.stderr)
        o = json.loads(run("asker", "--json", *words).stdout)
        ok(o["error"] == "remote" and "value" in o, f"remote/{name}/json", o)


# ---- notices of a wait ------------------------------------------------------

def waiting():
    alice = run("waiter", "id").stdout.strip()
    bob = run("slow", "id").stdout.strip()
    run("slow", "pair", alice, "--label", "alice")
    fifo = f"{work}/gate"
    os.mkfifo(fifo)
    with open(f"{work}/gated", "w") as f:
        f.write(f"#!/bin/sh\ncat {fifo}\n")
    os.chmod(f"{work}/gated", 0o755)
    _, (port,) = node("slow", "--expose", f"gated={work}/gated",
                      "--allow", "gated=paired")
    run("waiter", "pair", bob, "--label", "bob", "--address",
        f"127.0.0.1:{port}")
    for words, name in ((["call", "bob", "gated", "1"], "reply"),
                        (["--json", "call", "bob", "gated", "1"], "json")):
        t = Terminal("waiter", *words, *ALONE, "--no-linger", "--timeout",
                     "60000")
        if name == "reply":
            ok(t.wait("bob has the call: waiting for its reply, 60 s at most"),
               "waiting/reply", t.seen)
        with open(fifo, "w") as gate:  # once the program has opened it, too
            gate.write("7")
        ok(t.wait("7"), f"waiting/{name}_comes", t.seen)
        ok(t.status() == 0 and b"waiting" not in t.last,
           f"waiting/{name}_status", t.last)


# ---- nodes of a cluster -----------------------------------------------------

def cookie(name, text):
    path = f"{work}/{name}"
    with open(path, "w", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write(text + "\n")
    return path


BARREL = ["--barrel-listen", "127.0.0.1", "--dns-port", "0"]


def barrel_key(who):
    run(who, "barrel", "id", "--out", f"{work}/{who}.pub")
    return f"{work}/{who}.pub"


def trust(who, whom, key):
    run(who, "barrel", "trust", whom, key)


def cluster_node(who, name, good):
    return node(who, "--barrel", f"{name}:0", "--cookie-file", good, *BARREL,
                "--echo", "--expose", f"gated={work}/gated", "--allow",
                "gated=asking@localhost")


def no_link_to_a_node():
    good = cookie("good", "secret-one")
    bad = cookie("bad", "secret-two")
    keys = {who: barrel_key(who) for who in ("there", "asking", "other")}
    trust("there", "asking@localhost", keys["asking"])
    trust("there", "other@localhost", keys["asking"])
    there, ports = cluster_node("there", "there@localhost", good)
    at = f"127.0.0.1:{ports[-1]}"
    # who asks, as whom, where, with which cookie, what it has pinned
    scenarios = [
        ("nowhere", "asking", None, good, "there",
         "is not known: no static address", "unreachable"),
        ("refused", "asking", f"127.0.0.1:{free_port()}", good, "there",
         "nothing listens there; start the node", "connection-refused"),
        ("not_pinned", "asking", at, good, None,
         "no key is pinned here for that name; pin its key first",
         "untrusted-peer"),
        ("another_key", "asking", at, good, "other",
         "another key is pinned here for that name", "key-mismatch"),
        ("not_pinned_there", "stranger", at, good, "there",
         "our key is not pinned there; let its owner pin it",
         "not-paired-there?"),
        ("another_key_there", "other", at, good, "there",
         "another key than ours is pinned there", "not-paired-there?"),
        ("cookie", "asking", at, bad, "there",
         "the cookie differs, most likely; give both nodes the same",
         "cookie-differs?"),
    ]
    commands = {
        "call": ["call", "there@localhost", "echo", "1"],
        "send": ["send", "there@localhost", "echo", "1"],
        "rpc": ["rpc", "there@localhost", ":led", "on", "[]"],
        "cast": ["cast", "there@localhost", ":led", "on", "[]"],
        "monitor": ["monitor", "there@localhost"],
    }

    def attempt(task):
        scenario, command, is_json = task
        name, who, where, with_cookie, pinned, sentence, code = scenario
        mine = f"n-{name}-{command}-{is_json}"
        os.makedirs(f"{work}/{mine}/barrel", mode=0o700)
        source = f"{work}/{who}/barrel/keys" if who != "stranger" else None
        if source is not None:
            os.makedirs(f"{work}/{mine}/barrel/keys", mode=0o700)
            for f in ("node.key", "node.pub"):
                with open(f"{source}/{f}", "rb") as a:
                    data = a.read()
                with open(f"{work}/{mine}/barrel/keys/{f}", "wb",
                          opener=lambda p, fl: os.open(p, fl, 0o600)) as b:
                    b.write(data)
        if pinned is not None:
            trust(mine, "there@localhost", keys[pinned])
        # The wait is long: what cannot change is told before it is over.
        words = [*commands[command], "--as", f"{who}@localhost",
                 "--cookie-file", with_cookie, *BARREL, "--wait", "600000"]
        if where is not None:
            words += ["--node", f"there@localhost={where}"]
        # Strangers of one address are let in at a rate.
        for _ in range(100):
            p = run(mine, *(["--json"] if is_json else []), *words,
                    timeout=60)
            if "it lets no more in now" not in p.stdout + p.stderr:
                break
        return f"node/{name}/{command}", p, sentence, code, is_json

    tasks = [(s, c, j) for s in scenarios for c in commands
             for j in (False, True)]
    for name, p, sentence, code, is_json in map(attempt, tasks):
        if is_json:
            is_coded(name + "/json", p.stdout, code)
        else:
            is_told(name, p.stdout + p.stderr, sentence)
            ok(p.returncode == 3, name + "/status", p.returncode)
    waiting_for_a_node(there, at, good, keys)


def waiting_for_a_node(there, at, good, keys):
    trust("asking", "there@localhost", keys["there"])
    asking, _ = node("asking", "--barrel", "asking@localhost:0",
                     "--cookie-file", good, *BARREL, "--node",
                     f"there@localhost={at}")
    ok(asking.says("peer-up .*there@localhost"), "waiting/node/up",
       asking.text())
    t = Terminal("asking", "call", "there@localhost", "gated", "1", "-t",
                 "60000")
    ok(t.wait("there@localhost has the call: waiting for its reply, 60 s at"),
       "waiting/node/reply", t.seen)
    with open(f"{work}/gate", "w") as gate:
        gate.write("7")
    ok(t.wait("7"), "waiting/node/reply_comes", t.seen)
    t.status()
    there.process.send_signal(signal.SIGSTOP)
    t = Terminal("asking", "send", "there@localhost", "echo", "1")
    ok(t.wait("has the message: waiting for its confirmation"),
       "waiting/node/message", t.seen)
    there.process.send_signal(signal.SIGCONT)
    t.status()


def main():
    no_link()
    what_is_told()
    remote()
    waiting()
    if "barrel" in run("any", "--version").stdout:
        no_link_to_a_node()
    else:
        skip("node", "built without the Barrel link")


end_with(main)

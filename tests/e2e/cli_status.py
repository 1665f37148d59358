#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: `peernet status` says whether a node runs and what it does, and its
exit status tells the three cases apart.
Usage: cli_status.py PEERNET"""
import json
import os
import signal
import socket
import time

from cli_lib import Command, Terminal, end_with, ok, run, skip, work

udp = str(20000 + os.getpid() % 12000)
NODE = ["run", "--listen", "127.0.0.1:0", "--no-linger"]
DISCOVERY = ["--discovery-address", "127.255.255.255", "--discovery-port", udp]


def status(who, want):
    """The object of --json, {} when there is none; both forms end alike."""
    p = run(who, "--json", "status")
    text = run(who, "status")
    ok(p.returncode == want and text.returncode == want,
       f"exit/{who}_{want}", p, text)
    lines = p.stdout.splitlines()
    return json.loads(lines[0]) if len(lines) == 1 else {}, text


def wait_for(what, seconds=60):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def key_of(who):
    return json.loads(run(who, "--json", "id").stdout)["key"]


def of_name(rows, name):
    return next((r for r in rows if name in (r.get("handle"),
                                             r.get("function"))), {})


def no_node():
    o, text = status("none", 3)
    ok(o.get("state") == "no-node" and o.get("ok") is True, "none_json", o)
    ok("no node runs on" in text.stdout and text.stderr == "", "none_text",
       text)
    for words in (["announce"], ["label"], ["label", "x"], ["peers", "-w"]):
        p = run("none", *words)
        ok(p.returncode == 3 and "no node runs on this data directory"
           in p.stderr and p.stdout == "", f"none/{'_'.join(words)}", p)
        p = run("none", "--json", *words)
        ok(p.returncode == 3 and json.loads(p.stdout)["error"]
           == "not-connected", f"none_json/{'_'.join(words)}", p)


def running():
    before = time.time()
    bob = key_of("b")
    run("a", "pair", bob, "--label", "bob")
    a = Command("a", *NODE, *DISCOVERY, "--echo", "--expose", "temp=/bin/cat",
                "--allow", "temp=bob", "--export", "Led.on/1=/bin/true",
                "--allow", "Led.on/1=paired")
    ok(a.says("^ready"), "starts", a.text())
    o, text = status("a", 0)
    since = time.mktime(time.strptime(o["since"][:19], "%Y-%m-%dT%H:%M:%S")
                        ) - time.timezone
    ok(o["pid"] == a.process.pid and o["state"] == "running"
       and before - 2 <= since <= time.time() + 1, "process", o)
    ok(o["version"] in run("a", "version").stdout and o["unit"] is None,
       "version", o)
    ok(o["key"] == key_of("a") and len(o["fingerprint"]) == 16, "key", o)
    ok(o["listens"] == [f"127.0.0.1:{o['port']}"], "listens", o)
    source = o["sources"][0]
    lo = [i for i in source["interfaces"] if i["interface"] == "lo"][0]
    ok(len(o["sources"]) == 1 and source["source"] == "udp"
       and source["running"] and source["announces"]
       and source["port"] == int(udp) and source["last_error"] is None
       and lo["used"] and lo["address"] == "127.0.0.1"
       and all(i["used"] or i["reason"] for i in source["interfaces"]),
       "source", source)
    ok(o["peers_known"] == 1 and o["peers_up"] == 0, "peers", o)
    ok(o["refused"] == [], "refused_nothing", o)
    ok(of_name(o["exposes"], "echo")["paired"]
       and not of_name(o["exposes"], "temp")["paired"]
       and [p["label"] for p in of_name(o["exposes"], "temp")["peers"]]
       == ["bob"]
       and of_name(o["exposes"], "Led.on/1")["paired"], "exposes", o)
    for part in (f"pid {a.process.pid}", "key          " + o["key"],
                 "listens      127.0.0.1:", "on lo (127.0.0.1)",
                 "0 up of 1 paired", "refused      nothing",
                 "echo to every paired peer", "temp to bob"):
        ok(part in text.stdout, f"text/{part[:20]}", text.stdout)
    refusals(a, o)
    a.end()
    status("a", 3)


def refusals(a, o):
    """Of a stranger, a peer without the grant, and a peer that is up."""
    at = ["--at", o["listens"][0], "--discovery", "none", "--listen",
          "127.0.0.1:0", "--no-linger"]
    run("c", "pair", o["key"], "--label", "alice")
    run("c", "call", "alice", "echo", "1", *at)
    run("b", "pair", o["key"], "--label", "alice")
    b = Command("b", *NODE, "--discovery", "none")
    ok(b.says("^ready"), "peer_starts", b.text())
    run("b", "call", "alice", "nothing", "1", "--at", o["listens"][0])
    o, text = status("a", 0)
    counts = {r["reason"]: r["count"] for r in o["refused"]}
    ok(counts.get("untrusted-peer", 0) >= 1
       and counts.get("no-such-handle") == 1, "refused", counts)
    ok("1 in the last hour: the handle is not exposed" in text.stdout,
       "refused_text", text.stdout)
    ok(o["peers_up"] == 1 and "1 up of 1 paired" in text.stdout, "peer_up", o)
    b.end()


def watched():
    """peers --watch: what is there, what changes, and no more."""
    p = run("w", "--json", "peers", "--watch")
    ok(p.returncode == 3 and "no node runs" in json.loads(p.stdout)["message"],
       "watch_needs_a_node", p)
    carol = key_of("c")
    w = Command("w", *NODE, "--discovery", "none")
    ok(w.says("^ready"), "watch_starts", w.text())
    text = Command("w", "peers", "--watch")
    coded = Command("w", "--json", "peers", "-w")
    ok(text.says("^LABEL"), "watch_header", text.text())
    run("w", "pair", carol, "--label", "carol")
    ok(text.says("^carol .* idle "), "watch_paired", text.text())
    ok(coded.says(f'"key":"{carol}".*"state":"idle"'), "watch_json",
       coded.text())
    run("w", "pair", carol, "--label", "cara")
    ok(coded.says('"label":"cara"'), "watch_renamed", coded.text())
    run("w", "unpair", "cara")
    ok(coded.says('"label":"cara","state":"unpaired"'), "watch_unpaired",
       coded.text())
    ok(len(coded.text().splitlines()) == 3, "watch_only_changes", coded.text())
    for command in (text, coded):
        ok(command.end() == 0, "watch_ends")
    ok("\033" not in text.text(), "watch_draws_on_terminals_only")
    screen = Terminal("w", "peers", "--watch")
    ok(screen.wait(r"\x1b\[H\x1b\[2J.*LABEL")
       and screen.wait(r"\x1b\[H\x1b\[2J.*LABEL"), "watch_draws_again")
    w.end()
    ok(screen.status() == 4, "watch_ends_with_the_node")


def busy_port():
    """The UDP port of announces is another program's, and is free later."""
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind(("0.0.0.0", 0))
    port = str(taken.getsockname()[1])
    d = Command("d", *NODE, "--discovery-port", port, "--discovery-address",
                "127.255.255.255")
    ok(d.says("^ready"), "busy_starts", d.text())
    o, text = status("d", 0)
    source = o["sources"][0]
    ok(not source["running"] and not source["announces"]
       and "in use" in source["last_error"] and source["failed_at"],
       "busy_source", source)
    ok(f"udp port {port}: does not run; last error at " in text.stdout,
       "busy_text", text.stdout)
    taken.close()

    def runs():
        return json.loads(run("d", "--json", "status").stdout
                          )["sources"][0]["running"]
    ok(wait_for(runs), "busy_source_runs_later")
    source = status("d", 0)[0]["sources"][0]
    ok("in use" in source["last_error"], "busy_error_is_kept", source)
    d.end()


def missing_interface():
    """One that --interface names and no interface is: it may come later."""
    h = Command("h", *NODE, *DISCOVERY, "--interface", "none0,lo",
                "--interface", "none1")
    ok(h.says("^ready"), "missing_starts", h.text())
    o, text = status("h", 0)
    for where, rows in (("node", o["interfaces"]),
                        ("source", o["sources"][0]["interfaces"])):
        names = [i["interface"] for i in rows]
        missing = [i for i in rows if i.get("reason") == "not-there"]
        ok(names.count("lo") == 1 and missing ==
           [{"interface": name, "address": None, "used": False,
             "reason": "not-there"} for name in ("none0", "none1")],
           f"missing_json/{where}", rows)
    ok("none0 (no interface has that name), none1 (no interface" in
       text.stdout, "missing_text", text.stdout)
    h.end()


def dnssd():
    """Without a bus the source waits, and is not said to announce."""
    if "dnssd" not in json.loads(
            run("g", "--json", "version").stdout)["parts"].split():
        skip("dnssd", "built without DNS-SD")
        return
    g = Command("g", *NODE, "--discovery", "none", "--dnssd", "avahi",
                before=("env", "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere"))
    ok(g.says("^ready"), "dnssd_starts", g.text())

    def source():
        return json.loads(run("g", "--json", "status").stdout)["sources"][0]
    ok(wait_for(lambda: source()["last_error"] == "D-Bus cannot be reached"),
       "dnssd_says_why", source())
    ok(source()["source"] == "dns-sd" and not source()["running"]
       and not source()["announces"], "dnssd_does_not_run", source())
    text = run("g", "status").stdout
    ok("dns-sd: does not run: D-Bus cannot be reached" in text, "dnssd_text",
       text)
    g.end()


def unreachable():
    e = Command("e", *NODE, "--discovery", "none", "--no-control")
    ok(e.says("^ready"), "unreachable_starts", e.text())
    o, text = status("e", 4)
    ok(o.get("ok") is False and "cannot be reached" in text.stderr,
       "unreachable", o, text)
    e.end()
    f = Command("f", *NODE, "--discovery", "none")
    ok(f.says("^ready"), "stopped_starts", f.text())
    o, text = status("f", 0)
    ok(o["sources"] == [] and "source       none" in text.stdout,
       "no_source", o, text)
    f.process.send_signal(signal.SIGSTOP)
    o, text = status("f", 4)
    ok("does not answer: it is stopped" in text.stderr, "stopped", o, text)
    f.process.send_signal(signal.SIGCONT)
    status("f", 0)
    f.end()


def older_node():
    """One that ignores "full": what it says is shown, and what is missing."""
    folder = f"{work}/run/peernet"
    os.makedirs(folder, 0o700, exist_ok=True)
    os.makedirs(f"{work}/old", 0o700)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{folder}/old")
    listener.listen(8)
    os.symlink(f"{folder}/old", f"{work}/old/control.sock")
    pid = os.fork()
    if pid == 0:
        while True:
            client = listener.accept()[0]
            asked = json.loads(client.makefile().readline())
            client.sendall((json.dumps(
                {"id": asked["id"], "ok": True,
                 "time": "2026-01-01T00:00:00.000Z", "version": "0.0.9",
                 "pid": 7, "key": "A" * 52, "fingerprint": "0" * 16,
                 "port": 7100}, separators=(",", ":")) + "\n").encode())
    try:
        o, text = status("old", 0)
        ok(o["version"] == "0.0.9" and "since" not in o, "older_json", o)
        ok("pid 7, version 0.0.9" in text.stdout and
           "version 0.0.9, older than this program" in text.stderr,
           "older_text", text)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def main():
    no_node()
    running()
    watched()
    busy_port()
    missing_interface()
    dnssd()
    unreachable()
    older_node()


end_with(main)

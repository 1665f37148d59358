#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: `peernet discover` shows who announces itself, paired or not, stores
nothing, goes on with --follow, and says so when nobody was heard.
Usage: cli_discover.py PEERNET"""
import fcntl
import json
import os
import re
import socket
import struct
import termios
import threading
import time

from cli_lib import Command, Terminal, end_with, ok, run, skip

udp = str(20000 + os.getpid() % 12000)
OWN = ["--listen", "127.0.0.1:0", "--no-linger"]


def on(port):
    return [*OWN, "--discovery-address", "127.255.255.255", "--discovery-port",
            str(port)]


def objects(p):
    return [json.loads(line) for line in p.stdout.splitlines()]


def nobody():
    p = run("a", "discover", "-s", "1", *on(int(udp) + 1))
    ok(p.returncode == 0 and "nobody was heard by udp port "
       f"{int(udp) + 1} on lo (127.0.0.1); is the other" in p.stderr
       and p.stdout.startswith("LABEL"), "nobody", p)
    p = run("a", "--json", "discover", "-s", "1", *on(int(udp) + 1))
    ok(p.returncode == 0 and p.stdout == "" and p.stderr == "", "nobody_json",
       p)


def table(bob, port):
    ids = objects(run("b", "--json", "id"))[0]
    rows = []
    for _ in range(20):  # a slow machine may need more than three seconds
        rows = objects(run("a", "--json", "discover", "-s", "3", *on(udp)))
        if rows:
            break
    ok(len(rows) == 1 and rows[0]["key"] == bob
       and rows[0]["fingerprint"] == ids["fingerprint"]
       and rows[0]["address"] == f"127.0.0.1:{port}"
       and rows[0]["source"] == "udp" and rows[0]["paired"] is False
       and rows[0]["label"] is None and rows[0]["state"] == "heard"
       and rows[0]["reports"] >= 1 and rows[0]["first_heard"]
       <= rows[0]["last_heard"], "json", rows)
    ok(run("a", "peers").stdout.count("\n") == 1, "stores_nothing")
    run("a", "pair", bob, "--label", "bob")
    p = run("a", "discover", "-s", "6", *on(udp))
    found = re.search(rf"^bob  +{ids['fingerprint']}  +paired +127.0.0.1:{port}"
                      r" +udp +\d\d:\d\d:\d\d +\d\d:\d\d:\d\d +(\d+)$",
                      p.stdout, re.M)
    ok(found and int(found[1]) > 1, "table", p)
    return ids["fingerprint"]


def lost(b, fingerprint):
    """Both through the node that runs, while the other one ends."""
    a = Command("a", "run", *on(udp), "--announce-every", "300")
    ok(a.says("^ready"), "a_runs", a.text())
    text = Command("a", "discover", "--follow")
    coded = Command("a", "--json", "discover", "--follow")
    screen = Terminal("a", "discover", "--follow")
    ok(screen.wait(r"listening: udp port " + udp + r" on lo \(127.0.0.1\)"),
       "terminal_names_sources", screen.seen)
    ok(screen.wait(r"\x1b\[\d+A\x1b\[J.*\nbob .*paired"), "terminal_fills",
       screen.seen)
    ok(text.says(f"^heard  {fingerprint} paired 127.0.0.1:"), "follow_heard",
       text.text())
    b.end()
    ok(text.says(f"^lost   {fingerprint} paired 127.0.0.1:", 90),
       "follow_lost", text.text())
    ok(coded.says('"state":"lost"', 30), "follow_lost_json", coded.text())
    ok(len(coded.text().splitlines()) == 2, "follow_once_each", coded.text())
    ok(screen.wait(r"\x1b\[9mbob .*lost .*\x1b\[0m", 30), "terminal_strikes",
       screen.seen)
    for command in (text, coded):
        ok(command.end() == 0, "follow_ends")
    a.end()
    ok(screen.status() == 4, "follow_ends_with_the_node")


def announces(n):
    """Forged ones, each of another key; slower than what a node looks at."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for i in range(n):
            key = bytes([i & 255, i >> 8]) + os.urandom(29) + b"\x01"
            s.sendto(b"PNET\x01" + struct.pack(">H", 7100) + key,
                     ("127.255.255.255", int(udp)))
            time.sleep(0.01)


def flooded(bob):
    """More keys than rows are kept do not hide the one that is there, and no
    more rows are drawn than the screen has."""
    d = Command("d", "run", *on(udp))
    ok(d.says("^ready"), "flood_runs", d.text())
    text = Command("d", "discover", "--follow")
    coded = Command("d", "--json", "discover", "--follow")
    screen = Terminal("d", "discover", "--follow")
    fcntl.ioctl(screen.fd, termios.TIOCSWINSZ,
                struct.pack("HHHH", 12, 100, 0, 0))
    ok(screen.wait("LABEL"), "flood_terminal", screen.seen)
    sender = threading.Thread(target=announces, args=(700,))
    sender.start()
    ok(screen.wait(r"LABEL[^\x1b]*\n\.\.\. \d+ more"), "flood_terminal_is_cut",
       screen.seen)
    longest = max(part.count(b"\n") for part in screen.last.split(b"\x1b[J"))
    ok(longest < 12, "flood_terminal_fits", longest)
    while sender.is_alive():  # an unread terminal would stop its command
        screen.read(0.1)
    b = Command("b", "run", *on(udp), "--announce-every", "300")
    ok(b.says("^ready"), "flood_b_runs", b.text())
    ok(coded.says(f'"key":"{bob}"', 60), "flood_hides_nobody")
    ok(len(set(re.findall(r'"key":"(\w+)"', coded.text()))) > 512,
       "flood_was_one")
    ok(text.end() == 0 and "were left out: more than 512" in text.text(),
       "flood_is_said", text.text()[-300:])
    ok(coded.end() == 0, "flood_json_ends")
    b.end()
    d.end()
    screen.status()


def other_source():
    """The port of announces is taken, and DNS-SD is there."""
    if "dnssd" not in json.loads(
            run("a", "--json", "version").stdout)["parts"].split():
        skip("other_source", "built without DNS-SD")
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        p = run("e", "discover", "-s", "1", *on(taken.getsockname()[1]),
                "--dnssd", "avahi")
    ok(p.returncode == 0 and "announces over UDP cannot be heard" in p.stderr
       and p.stdout.startswith("LABEL"), "other_source", p)


def main():
    bob = objects(run("b", "--json", "id"))[0]["key"]
    nobody()
    b = Command("b", "run", *on(udp), "--announce-every", "300")
    ok(b.says("^ready"), "b_runs", b.text())
    port = re.search(r"^ready .* port (\d+)", b.text(), re.M)[1]
    lost(b, table(bob, port))
    other_source()
    flooded(bob)


end_with(main)

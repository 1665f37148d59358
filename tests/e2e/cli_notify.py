#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: systemd is told when the node is ready, what it does, that its loop
turns, and that it leaves; programs are not told of systemd.
Usage: cli_notify.py PEERNET"""
import os
import re
import signal
import socket
import subprocess
import time

from cli_lib import (ALONE, Command, end_with, ok, peernet, run, skip, work)

ROWS = ("nothing_without_a_manager", "ready", "ready_means_listening", "status",
        "status_follows", "watchdog", "watchdog_needs_the_loop",
        "watchdog_again", "not_for_programs", "reloading", "stopping",
        "stopping_once")


class Manager:
    """What systemd has heard."""

    def __init__(self):
        self.path = work + "/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.heard = []

    def hear(self, seconds):
        """False: nothing more came in that time."""
        self.socket.settimeout(seconds)
        try:
            self.heard += self.socket.recv(4096).decode().splitlines()
        except (socket.timeout, BlockingIOError):
            return False
        return True

    def wait(self, pattern, seconds=30):
        """The first line that matches, once it has come."""
        end = time.monotonic() + seconds
        while True:
            for line in self.heard:
                if re.fullmatch(pattern, line):
                    return line
            if time.monotonic() > end:
                return None
            self.hear(0.2)

    def forget(self):
        while self.hear(0.001):
            pass
        self.heard = []


def key_of(who):
    return re.search(r"[A-Z2-7]{52}", run(who, "id").stdout)[0]


def main():
    parts = subprocess.run([peernet, "--version"], capture_output=True,
                           text=True, check=True).stdout
    if "systemd" not in parts:
        for name in ROWS:
            skip(name, "libsystemd is not built in")
        return
    manager = Manager()
    a, b = key_of("a"), key_of("b")
    run("a", "pair", b, "-l", "b")
    run("b", "pair", a, "-l", "a")
    alone = Command("b", "run", *ALONE)
    ok(alone.says("^ready ") and not manager.hear(0.001),
       "nothing_without_a_manager", manager.heard)
    node = Command("a", "run", *ALONE, "--expose", "env=/usr/bin/env",
                   "--text", "env", "--allow", "env=paired",
                   before=("env", f"NOTIFY_SOCKET={manager.path}",
                           "WATCHDOG_USEC=200000", "LISTEN_FDNAMES=x"))
    ok(manager.wait("READY=1"), "ready", manager.heard, node.text())
    port = manager.wait(r"STATUS=port (\d+), peers: 0 up of 1 paired")
    ok(port, "status", manager.heard)
    port = port.split(",")[0].split()[-1]
    with socket.create_connection(("127.0.0.1", int(port)), 20):
        ok(run("a", "status").returncode == 0, "ready_means_listening")
    ok(manager.wait("WATCHDOG=1"), "watchdog", manager.heard)

    os.kill(node.process.pid, signal.SIGSTOP)
    while not re.search(r"\) T ", open(f"/proc/{node.process.pid}/stat",
                                       encoding="ascii").read()):
        time.sleep(0.01)
    manager.forget()
    ok(not manager.hear(1), "watchdog_needs_the_loop", manager.heard)
    os.kill(node.process.pid, signal.SIGCONT)
    ok(manager.wait("WATCHDOG=1"), "watchdog_again", manager.heard)

    r = run("b", "call", "a", "env", "--at", f"127.0.0.1:{port}")
    ok(r.returncode == 0 and "PEERNET_HANDLE" in r.stdout
       and not re.search("NOTIFY|WATCHDOG|LISTEN_|CREDENTIALS|JOURNAL",
                         r.stdout),
       "not_for_programs", r.stdout, r.stderr)
    ok(manager.wait(r"STATUS=port \d+, peers: 1 up of 1 paired"),
       "status_follows", manager.heard)

    manager.forget()
    run("a", "reload")
    ok(manager.wait("RELOADING=1") and manager.wait(r"MONOTONIC_USEC=\d+")
       and manager.wait("READY=1")
       and manager.heard.index("READY=1")
       > manager.heard.index("RELOADING=1"), "reloading", manager.heard)

    manager.forget()
    node.process.terminate()
    ok(manager.wait("STOPPING=1")
       and manager.wait(r"EXTEND_TIMEOUT_USEC=\d{7,}")
       and manager.wait("STATUS=leaving"), "stopping", manager.heard)
    node.process.wait(30)
    manager.hear(0.001)
    ok(manager.heard.count("STOPPING=1") == 1
       and "READY=1" not in manager.heard, "stopping_once", manager.heard)


end_with(main)

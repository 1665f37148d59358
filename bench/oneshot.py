#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""oneshot.py PEERNET: `peernet call` from a fresh process to a running node, from
exec to exit, medians of 21: with an address remembered, and with one that is
only heard in announces, which come every 100 ms here. The leave is part of it:
between two nodes of ours nobody lingers."""
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

RUNS = 21
GOAL_MS = 250
peernet = sys.argv[1]
work = pathlib.Path(tempfile.mkdtemp(prefix="pn-oneshot-"))
os.environ["XDG_RUNTIME_DIR"] = str(work)


def run(who, *words):
    return subprocess.run([peernet, "-d", work / who, *words], check=True,
                          capture_output=True, text=True).stdout


def key(who):
    return re.search("[A-Z2-7]{52}", run(who, "id"))[0]


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


def row(name, options, forget):
    took = []
    for _ in range(RUNS):
        if forget:  # the address that the call before has remembered
            shutil.rmtree(work / "client")
            shutil.copytree(work / "fresh", work / "client")
        start = time.monotonic()
        run("client", "call", "server", "echo", "1", "--listen", "127.0.0.1:0",
            *options)
        took.append((time.monotonic() - start) * 1000)
    ms = statistics.median(took)
    verdict = "met" if ms < GOAL_MS else "MISSED"
    print(f"{name}: {ms:.0f} ms (worst {max(took):.0f}), goal < {GOAL_MS} ms"
          f"  {verdict}")


def main():
    udp = free_port(socket.SOCK_DGRAM)
    heard = ["--discovery-address", "127.255.255.255", "--discovery-port", udp]
    run("server", "pair", key("client"), "-l", "client")
    run("client", "pair", key("server"), "-l", "server")
    shutil.copytree(work / "client", work / "fresh")
    node = subprocess.Popen(
        [peernet, "-d", work / "server", "run", "--listen", "127.0.0.1:0",
         "--echo", "--announce-every", "100", *heard],
        stdout=subprocess.PIPE, text=True)
    try:
        port = re.search(r"port (\d+)", node.stdout.readline())[1]
        row("peernet call, only heard", heard, True)
        run("client", "pair", key("server"), "--address", f"127.0.0.1:{port}")
        row("peernet call, address remembered", ["--discovery", "none"], False)
    finally:
        node.send_signal(signal.SIGINT)
        node.wait()
        shutil.rmtree(work)


main()

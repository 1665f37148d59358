#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: unread output blocks nothing (docs/THREATS.md, T27).
Standard output and error are pipes that are full, or a terminal that was stopped:
the node answers, commands answer, SIGTERM ends both, and once somebody reads
again the output says how many lines are missing.
Usage: cli_output.py PEERNET"""
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios
import threading
import time

from cli_lib import (ALONE, Terminal, end_with, ok, run, skip, start, status,
                     work)

LINE = "x" * 4000


class Pipe:
    """A pipe that is nearly full before the first write."""

    def __init__(self):
        self.read_fd, self.write_fd = os.pipe()
        fcntl.fcntl(self.write_fd, fcntl.F_SETPIPE_SZ, 4096)
        self.text = b""

    def fill(self):
        """Nothing can be written any more."""
        os.write(self.write_fd, b"." * 4096)

    def read_until(self, pattern, seconds=20):
        """Reads until the pattern comes."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.read_fd], [], [], left)[0]:
                return False
            data = os.read(self.read_fd, 65536)
            if not data:
                return False
            self.text += data
        return True

    def read_all(self):
        while True:
            data = os.read(self.read_fd, 65536)
            if not data:
                return self.text
            self.text += data

    def close(self):
        os.close(self.read_fd)


def started(who, args, out, err, stdin=subprocess.DEVNULL):
    """A command with these descriptors, which only it keeps."""
    return start(who, *args, stdin=stdin, stdout=out, stderr=err,
                 start_new_session=True)


def ends(p, seconds=15):
    """Its status after SIGTERM; None when it stays."""
    p.terminate()
    return status(p, seconds)


def noisy(who, n_lines):
    """Messages to `chat`, each a line that is printed there. True: all went."""
    good = True
    with socket.socket(socket.AF_UNIX) as s, s.makefile("rw") as control:
        s.connect(alice_control)
        for i in range(n_lines):
            control.write(json.dumps({
                "id": i, "cmd": "send", "peer": who, "handle": "chat",
                "args": f"{i} {LINE}"}) + "\n")
            control.flush()
            good = good and json.loads(control.readline())["ok"]
    return good


def knows_alice(who):
    """The running node lists its peer."""
    peers = run(who, "peers")
    return (peers.returncode == 0 and "alice" in peers.stdout
            and "no node" not in peers.stdout)


RUN = ["run", "--no-linger", *ALONE]


def pair(who, port):
    run("alice", "unpair", who)
    key = run(who, "id").stdout.strip()
    run("alice", "pair", key, "-l", who, "-a", f"127.0.0.1:{port}")


def node_with_full_pipes(alice):
    """`run` behind two full pipes, as text, then as JSON."""
    program = f"{work}/complains"
    with open(program, "w") as f:
        f.write("#!/bin/sh\nyes \"$(printf %0400d 7)\" | head -c 16000 >&2\n")
    os.chmod(program, 0o700)
    for form in ("text", "json"):
        who = "bob" + form
        run(who, "pair", alice, "-l", "alice")
        out, err = Pipe(), Pipe()
        node = started(who, [*(["--json"] if form == "json" else []), *RUN,
                             "--echo", "--chat", "--expose",
                             f"complains={program}", "--allow",
                             "complains=paired"], out.write_fd, err.write_fd)
        os.close(out.write_fd)
        os.close(err.write_fd)
        out.read_until(rb"ready.*\n")
        port = re.search(rb'port"?:? ?(\d+)', out.text).group(1).decode()
        pair(who, port)
        ok(noisy(who, 100), f"{form}/chat_to_a_full_pipe")
        good = True
        for _ in range(20):
            good = good and run("alice", "call", who, "complains", "1"
                                ).returncode == 0
        ok(good, f"{form}/program_that_complains")
        reply = run("alice", "call", who, "echo", "1")
        ok(reply.stdout == "1\n", f"{form}/node_answers", reply)
        ok(knows_alice(who), f"{form}/command_is_answered")
        dropped = (rb'"output-dropped","time":"[^"]*","lines":[1-9]'
                   if form == "json" else rb"output-dropped  [1-9]\d* lines")
        # The mark is in its place; what comes once the pipe flows follows it.
        ok(out.read_until(dropped), f"{form}/drops_are_said", out.text[-300:])
        ok(err.read_until(rb"warning: [1-9]\d* lines were dropped"),
           f"{form}/drops_of_the_log_are_said", err.text[-300:])
        run("alice", "send", who, "chat", '"flows again"')
        ok(out.read_until(b"flows again"), f"{form}/flows_again",
           out.text[-300:])
        if form == "json":
            ok(all(json.loads(line) for line in out.text.splitlines()[:-1]),
               "json/every_line_is_whole")
        noisy(who, 100)
        ok(ends(node) == 0, f"{form}/sigterm_ends_it")
        out.close()
        err.close()


def node_on_a_stopped_terminal(alice):
    master, slave = pty.openpty()
    run("carol", "pair", alice, "-l", "alice")
    node = started("carol", RUN + ["--echo", "--chat"], slave, slave, slave)
    os.close(slave)
    seen = b""
    while b"ready" not in seen or not seen.endswith(b"\n"):
        seen += os.read(master, 4096)
    pair("carol", re.search(rb"port (\d+)", seen).group(1).decode())
    os.write(master, b"\x13")
    noisy("carol", 100)
    reply = run("alice", "call", "carol", "echo", "1")
    ok(reply.stdout == "1\n", "terminal/node_answers", reply)
    ok(knows_alice("carol"), "terminal/command_is_answered")
    os.write(master, b"\x11")
    seen = b""
    while b"output-dropped" not in seen:
        if not select.select([master], [], [], 20)[0]:
            break
        seen += os.read(master, 65536)
    ok(b"output-dropped" in seen, "terminal/drops_are_said", seen[-300:])
    os.write(master, b"\x13")
    noisy("carol", 100)
    ok(ends(node) == 0, "terminal/sigterm_ends_it")
    os.close(master)


def watchers(alice):
    """Commands whose standard output is not read, beside a node that runs."""
    run("dave", "pair", alice, "-l", "alice")
    out = Pipe()
    node = started("dave", RUN + ["--echo", "--chat"], out.write_fd,
                   subprocess.DEVNULL)
    os.close(out.write_fd)
    out.read_until(rb"ready.*\n")
    port = re.search(rb"port (\d+)", out.text).group(1).decode()
    pair("dave", port)
    drain = threading.Thread(target=out.read_all, daemon=True)
    drain.start()
    for name, args in (("events", ["events"]), ("events_json", ["--json", "events"]),
                       ("chat", ["chat", "alice"])):
        pipe, held = Pipe(), os.pipe()
        p = started("dave", args, pipe.write_fd, subprocess.DEVNULL, held[0])
        os.close(pipe.write_fd)
        # It attends once its first line is there.
        while not select.select([pipe.read_fd], [], [], 0)[0]:
            run("alice", "send", "dave", "chat", '"are you there?"')
            if p.poll() is not None:
                break
        noisy("dave", 100)
        reply = run("alice", "call", "dave", "echo", "1")
        ok(reply.stdout == "1\n", f"{name}/node_answers", reply)
        ok(pipe.read_until(rb"output-dropped.*\n"), f"{name}/drops_are_said",
           pipe.text[-300:])
        noisy("dave", 100)
        ok(ends(p) == 0, f"{name}/sigterm_ends_it")
        pipe.close()
        os.close(held[0])
        os.close(held[1])
    return node


def cluster_node(who, *args):
    """`run --barrel`, and the port of its link; both None when it does not
    run."""
    out = Pipe()
    p = started(who, RUN + ["--barrel", f"{who}@localhost:0", "--cookie-file",
                            f"{work}/cookie", "--barrel-listen", "127.0.0.1",
                            "--dns-port", "0", *args], out.write_fd,
                subprocess.DEVNULL)
    os.close(out.write_fd)
    is_ready = out.read_until(rb"ready .* barrel .*\n")
    port = re.search(rb"barrel .* port (\d+)", out.text) if is_ready else None
    threading.Thread(target=out.read_all, daemon=True).start()
    return (p, port.group(1).decode()) if port else (None, None)


def monitor(pipe, process):
    """A monitor that its node has asked for."""
    def signals():
        return re.findall(r"signals_total.*", run("watcher", "metrics").stdout)

    before = signals()
    p = started("watcher", ["monitor", "watched@localhost", process],
                pipe.write_fd, pipe.write_fd)
    end = time.monotonic() + 20
    while signals() == before and time.monotonic() < end:
        time.sleep(0.05)
    return p


def monitors():
    """`monitor` has one line to say; it waits for its reader."""
    if "barrel" not in run("watcher", "version").stdout:
        skip("monitor", "built without the Barrel link")
        return
    with open(f"{work}/cookie", "w") as f:
        os.chmod(f"{work}/cookie", 0o600)
        f.write("secret-of-this-test\n")
    for who, whom in (("watcher", "watched"), ("watched", "watcher")):
        run(whom, "barrel", "id", "--out", f"{work}/{whom}.pub")
        run(who, "barrel", "trust", f"{whom}@localhost", f"{work}/{whom}.pub")
    watched, port = cluster_node("watched", "--echo")
    watcher, _ = cluster_node("watcher", "--node",
                              f"watched@localhost=127.0.0.1:{port}")
    ok(watched and watcher, "monitor/nodes_run")
    pipe = Pipe()
    pipe.fill()
    waits, ended, nobody = (monitor(pipe, process) for process in
                            ("echo", "echo", "nobody"))
    ok("watched@localhost" in run("watcher", "barrel", "nodes").stdout,
       "monitor/node_answers")
    ok(nobody.poll() is None, "monitor/line_waits_for_its_reader")
    # 130 would mean that it had no line yet.
    ok(ends(nobody) not in (None, 130), "monitor/sigterm_ends_a_full_pipe")
    ok(ends(waits) == 130, "monitor/sigterm_ends_it")
    watched.kill()
    time.sleep(1)
    ok(ended.poll() is None, "monitor/end_of_a_node_waits_for_its_reader")
    os.close(pipe.write_fd)
    ok(pipe.read_all().endswith(
        b".watched@localhost echo down: :noconnection\n")
       and status(ended) == 0, "monitor/line_is_whole", pipe.text[-200:])
    pipe.close()
    ok(ends(watcher) == 0, "monitor/node_ends")


def results():
    """The result of a command waits for its reader, and is whole."""
    pipe = Pipe()
    text = '"' + "y" * 1000000 + '"'
    p = start("alice", "call", "dave", "echo", "-", stdin=subprocess.PIPE,
              stdout=pipe.write_fd)
    os.close(pipe.write_fd)
    p.stdin.write(text.encode())
    p.stdin.close()
    pipe.read_until(b"y{1000}")
    ok(p.poll() is None, "result/waits_for_its_reader")
    ok(pipe.read_all().decode() == text + "\n" and status(p) == 0,
       "result/is_whole", pipe.text[:100])
    pipe.close()

    pipe = Pipe()
    p = started("alice", ["call", "dave", "echo", text[:100000] + '"'],
                pipe.write_fd, subprocess.DEVNULL)
    os.close(pipe.write_fd)
    pipe.read_until(b"y{1000}")
    ok(ends(p) is not None, "result/sigterm_ends_its_wait")
    pipe.close()

    pipe = Pipe()
    p = started("alice", ["help", "--json"], pipe.write_fd, subprocess.DEVNULL)
    os.close(pipe.write_fd)
    pipe.close()
    ok(status(p) == 4, "result/reader_that_has_gone")

    pipe = Pipe()
    p = started("dave", ["events"], pipe.write_fd, subprocess.DEVNULL)
    os.close(pipe.write_fd)
    while not select.select([pipe.read_fd], [], [], 0)[0]:
        run("alice", "send", "dave", "chat", '"are you there?"')
    pipe.close()
    run("alice", "send", "dave", "chat", '"one more"')
    ok(status(p) == 4, "events/end_with_their_reader")


def chat_on_a_stopped_terminal():
    """The line editor draws to a terminal that is stopped."""
    t = Terminal("dave", "chat", "alice")
    t.wait("you> ")
    attributes = termios.tcgetattr(t.fd)
    t.type("\x13")
    noisy("dave", 100)
    t.type("typed while it is stopped")
    reply = run("alice", "call", "dave", "echo", "1")
    ok(reply.stdout == "1\n", "chat_terminal/node_answers",
       reply, attributes[0] & termios.IXON)
    os.kill(t.pid, signal.SIGTERM)
    code = t.status(15, is_read=False)
    ok(code == 0, "chat_terminal/sigterm_ends_it", code)
    if code is None:
        os.kill(t.pid, signal.SIGKILL)
        os.waitpid(t.pid, 0)
    os.close(t.fd)


def main():
    global alice_control
    alice = run("alice", "id").stdout.strip()
    out = Pipe()
    started("alice", ["--json"] + RUN, out.write_fd, subprocess.DEVNULL)
    os.close(out.write_fd)
    ok(out.read_until(rb"ready.*\n"), "alice_runs", out.text)
    alice_control = re.search(rb'"control":"([^"]*)"', out.text).group(1).decode()
    node_with_full_pipes(alice)
    node_on_a_stopped_terminal(alice)
    node = watchers(alice)
    monitors()
    results()
    chat_on_a_stopped_terminal()
    ok(ends(node) == 0, "node_ends")


end_with(main)

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: chat on a terminal. Lines are edited, what the peer says appears above
the prompt and harmless, history is kept and private, the QR code is drawn.
Usage: cli_chat.py PEERNET"""
import os
import pty
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

peernet = os.path.realpath(sys.argv[1])
work = tempfile.mkdtemp()
env = dict(os.environ, XDG_RUNTIME_DIR=work + "/run", TERM="xterm",
           LC_ALL="C.UTF-8")
os.mkdir(env["XDG_RUNTIME_DIR"], 0o700)
n = 0
failed = 0
children = []


def ok(good, name, what=""):
    global n, failed
    n += 1
    print(f"{'ok' if good else 'not ok'} {n} - cli/chat/{name}", flush=True)
    if not good:
        failed = 1
        print("# " + repr(what))


def run(who, *args):
    return subprocess.run([peernet, "-d", f"{work}/{who}", *args], env=env,
                          capture_output=True, text=True, timeout=60)


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, who, *args):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(env)
            os.execv(peernet, ["peernet", "-d", f"{work}/{who}", *args])

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self, pattern, seconds=15):
        """True when the pattern comes; forgets what came up to it."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern.encode(), self.seen)
            if found:
                self.last = self.seen[:found.end()]
                self.seen = self.seen[found.end():]
                return True
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                return False
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                return False
            if not data:
                return False
            self.seen += data

    def status(self, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.fd, 4096)
                except OSError:
                    time.sleep(0.05)
        return None


def node(who, *args):
    out = open(f"{work}/{who}.out", "wb")
    p = subprocess.Popen([peernet, "-d", f"{work}/{who}", "run", "--discovery",
                          "none", "--no-linger", *args], env=env, stdout=out,
                         stderr=subprocess.STDOUT)
    children.append(p)
    for _ in range(100):
        text = open(f"{work}/{who}.out").read()
        found = re.search(r"^ready .* port (\d+)", text, re.M)
        if found:
            return found.group(1)
        time.sleep(0.1)
    raise SystemExit(f"{who} does not run: {text}")


def printed(who, pattern):
    for _ in range(100):
        if re.search(pattern, open(f"{work}/{who}.out").read()):
            return True
        time.sleep(0.1)
    return False


def main():
    alice = run("alice", "id").stdout.strip()
    bob = run("bob", "id").stdout.strip()
    run("bob", "pair", alice, "-l", "alice")
    port = node("bob", "--listen", "127.0.0.1:0", "--chat")
    run("alice", "pair", bob, "-l", "bob", "--address", f"127.0.0.1:{port}")
    node("alice", "--listen", "127.0.0.1:0")

    t = Terminal("alice", "chat", "bob")
    ok(t.wait("you> "), "prompt", t.seen)
    t.type("hello bob\r")
    ok(printed("bob", "alice: hello bob"), "line_is_sent")
    ok(t.wait("you> "), "prompt_again", t.seen)
    t.type("helo\x1b[D\x1b[D\x7fel\r")  # left, left, backspace: "h" "el" "lo"
    ok(printed("bob", "alice: hello\n|alice: hello$|alice: hello"),
       "line_is_edited")
    t.wait("you> ")
    t.type("na\u00efve \u4f60\r")
    ok(printed("bob", "alice: na\u00efve \u4f60"), "characters_of_many_bytes")
    t.wait("you> ")
    os.write(t.fd, b"caf\xe9 ol\xc3\xe9\r")  # Latin-1: what is no UTF-8 goes
    ok(printed("bob", "alice: caf ol\\n"), "bytes_that_are_no_text")
    t.wait("you> ")
    t.type("half a li")
    t.wait("half a li")
    t.seen = b""
    r = run("bob", "send", "alice", "chat", '%{text: "are you there?"}')
    ok(r.returncode == 0, "peer_sends", r.stderr)
    ok(t.wait("bob> are you there\\?"), "peer_is_shown", t.seen)
    ok(t.wait("you> .*half a li"), "what_was_typed_stays", t.seen)
    t.type("ne\r")
    ok(printed("bob", "alice: half a line"), "half_line_goes_on")
    t.wait("you> ")
    run("bob", "send", "alice", "chat",
        r'"x\e]52;c;eA==\a\e[2J\u202Ey\nbob> forged"')
    ok(t.wait(r"y\r?\nbob> bob> forged"), "forged_line_bears_its_name",
       t.seen)
    ok(rb"\x1B]52;c;eA==\x07\x1B[2J\xE2\x80\xAEy" in t.last
       and b"\x1b]52" not in t.last and b"\x1b[2J" not in t.last
       and b"\xe2\x80\xae" not in t.last, "hostile_line_is_escaped", t.last)
    t.type("\x1b[A\r")  # up: the last line again
    ok(t.wait("half a line"), "history", t.seen)
    t.wait("you> ")
    # Between a line and the next prompt the terminal keeps it for itself: again,
    # as a person would.
    status = None
    for _ in range(10):
        t.type("\x04")
        status = t.status(2)
        if status is not None:
            break
    ok(status == 0, "end_of_file_leaves", t.seen)
    path = f"{work}/alice/chat.history"
    ok(stat.S_IMODE(os.stat(path).st_mode) == 0o600, "history_is_private")

    t = Terminal("alice", "chat", "bob")
    t.wait("you> ")
    t.type("\x1b[A")
    ok(t.wait("half a line"), "history_stays", t.seen)
    os.kill(t.pid, signal.SIGINT)
    ok(t.status() == 0, "interrupt_leaves", t.seen)

    os.remove(path)
    os.symlink(f"{work}/elsewhere", path)
    t = Terminal("alice", "chat", "bob")
    t.wait("you> ")
    t.type("secret\r")
    t.wait("you> ")
    t.type("\r")
    ok(t.status() == 0, "empty_line_leaves", t.seen)
    ok(not os.path.exists(f"{work}/elsewhere"), "history_follows_no_link")

    t = Terminal("alice", "chat", "bob")
    t.wait("you> ")
    children[0].send_signal(signal.SIGKILL)
    children[0].wait()
    t.type("anybody?\r")
    ok(t.wait("peernet: "), "lost_peer_is_told", t.seen)
    t.type("\x04")
    ok(t.status() == 3, "lost_peer_in_status", t.seen)

    t = Terminal("alice", "id", "--qr")
    ok(t.wait("\x1b\\[40;97m") and t.wait(alice), "qr_code_has_colours", t.seen)
    t.status()


try:
    main()
finally:
    for child in children:
        child.kill()
        child.wait()
    shutil.rmtree(work)
print(f"1..{n}")
sys.exit(failed)

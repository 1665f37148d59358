#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: chat on a terminal. Lines are edited, the peer's lines appear above
the prompt and harmless, history is kept and private, the QR code is drawn.
Usage: cli_chat.py PEERNET"""
import os
import re
import signal
import stat

from cli_lib import ALONE, Command, Terminal, end_with, ok, run, work


def node(who, *args):
    """A node that is ready."""
    command = Command(who, "run", "--no-linger", *ALONE, *args)
    if not command.says(r"^ready .* port \d+"):
        raise SystemExit(f"{who} does not run: {command.text()}")
    return command


def main():
    alice = run("alice", "id").stdout.strip()
    bob = run("bob", "id").stdout.strip()
    run("bob", "pair", alice, "-l", "alice")
    bobs = node("bob", "--chat")
    port = re.search(r"^ready .* port (\d+)", bobs.text(), re.M).group(1)
    run("alice", "pair", bob, "-l", "bob", "--address", f"127.0.0.1:{port}")
    node("alice")

    t = Terminal("alice", "chat", "bob")
    ok(t.wait("you> "), "prompt", t.seen)
    t.type("hello bob\r")
    ok(bobs.says("alice: hello bob"), "line_is_sent")
    ok(t.wait("you> "), "prompt_again", t.seen)
    t.type("helo\x1b[D\x1b[D\x7fel\r")  # left, left, backspace: "h" "el" "lo"
    ok(bobs.says("alice: hello$"), "line_is_edited", bobs.text())
    t.wait("you> ")
    t.type("na\u00efve \u4f60\r")
    ok(bobs.says("alice: na\u00efve \u4f60"), "characters_of_many_bytes")
    t.wait("you> ")
    os.write(t.fd, b"caf\xe9 ol\xc3\xe9\r")  # Latin-1: what is no UTF-8 goes
    ok(bobs.says("alice: caf ol\\n"), "bytes_that_are_no_text")
    t.wait("you> ")
    t.type("half a li")
    t.wait("half a li")
    t.seen = b""
    r = run("bob", "send", "alice", "chat", '%{text: "are you there?"}')
    ok(r.returncode == 0, "peer_sends", r.stderr)
    ok(t.wait("bob> are you there\\?"), "peer_is_shown", t.seen)
    ok(t.wait("you> .*half a li"), "what_was_typed_stays", t.seen)
    t.type("ne\r")
    ok(bobs.says("alice: half a line"), "half_line_goes_on")
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
    bobs.process.kill()
    bobs.process.wait()
    t.type("anybody?\r")
    ok(t.wait("peernet: "), "lost_peer_is_told", t.seen)
    t.type("\x04")
    ok(t.status() == 3, "lost_peer_in_status", t.seen)

    t = Terminal("alice", "id", "--qr")
    ok(t.wait("\x1b\\[40;97m") and t.wait(alice), "qr_code_has_colours", t.seen)
    t.status()


end_with(main)

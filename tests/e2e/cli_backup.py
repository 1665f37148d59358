#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: a data directory goes into an encrypted file and comes back, by a
passphrase that is typed twice without being shown, or read from a descriptor.
Usage: cli_backup.py PEERNET"""
import glob
import json
import os
import re
import signal
import stat
import termios

from cli_lib import ALONE, Command, Terminal, end_with, ok, run, work

PHRASE = "correct horse\n"
FILE = work + "/backup"


def by_fd(who, command, *args, phrase=PHRASE):
    return run(who, command, "--passphrase-fd", "0", *args, input=phrase)


def echoes(t):
    return bool(termios.tcgetattr(t.fd)[3] & termios.ECHO)


def typed(*args, answers, says, name):
    """The status of a command on a terminal that asks len(answers) times."""
    t = Terminal(*args)
    shown = b""
    for answer in answers:
        ok(t.wait(r"(Passphrase|again).*: "), name + "_asks", t.seen)
        shown += t.last
        ok(not echoes(t), name + "_is_not_shown")
        t.type(answer)
    ok(t.wait(says), name + "_says", t.seen)
    ok(b"horse" not in shown + t.last, name + "_was_not_shown", shown, t.last)
    return t.status()


def descriptor():
    alice = run("alice", "id").stdout.strip()
    run("alice", "pair", run("bob", "id").stdout.strip(), "--label", "bob")
    r = by_fd("alice", "backup", FILE)
    ok(r.returncode == 0 and "2 files, to " + FILE in r.stdout, "backup", r)
    ok("one machine only" in r.stderr, "backup_warns", r.stderr)
    ok(stat.S_IMODE(os.stat(FILE).st_mode) == 0o600, "is_private")
    with open(FILE, "rb") as f:
        first = f.read()
    r = by_fd("alice", "backup", FILE)
    ok(r.returncode == 2 and "--force" in r.stderr, "not_overwritten", r)
    r = by_fd("alice", "backup", "--force", FILE)
    ok(r.returncode == 0 and open(FILE + ".bak", "rb").read() == first,
       "force_keeps", r)
    r = by_fd("new", "restore", FILE)
    ok(r.returncode == 0 and "restored" in r.stdout, "restore", r)
    ok("do not run" in r.stderr, "restore_warns", r.stderr)
    ok(run("new", "id").stdout.strip() == alice, "is_the_same_node")
    ok("bob" in run("new", "peers").stdout, "has_the_same_peers")
    for phrase, status, part, name in [
            ("wrong horse\n", 4, "passphrase is wrong, or the file is damaged",
             "wrong"),
            ("short\n", 2, "has 5 bytes, expected at least 8", "short"),
            ("", 4, "nothing to read", "none"),
            ("x" * 1025, 4, "more than 1024 bytes", "long")]:
        r = by_fd("other", "restore", FILE, phrase=phrase)
        ok(r.returncode == status and part in r.stderr, "phrase_" + name, r)
        ok(not os.path.exists(work + "/other"), "phrase_" + name + "_nothing")
    r = run("other", "restore", "--passphrase-fd", "77", FILE)
    ok(r.returncode == 4 and "Bad file descriptor" in r.stderr, "bad_fd", r)


def json_and_force():
    r = by_fd("new", "restore", FILE)
    ok(r.returncode == 2 and "not empty" in r.stderr, "not_into_full", r)
    r = by_fd("new", "restore", "--json", "--force", FILE)
    answer = json.loads(r.stdout)
    ok(answer["ok"] and answer["files"] == 2
       and answer["backup"].startswith(work + "/new.old-"), "force", r)
    ok(os.path.exists(answer["backup"] + "/identity.keys"), "force_keeps_old")
    r = by_fd("new", "restore", "--json", FILE, phrase="wrong horse\n")
    ok(r.returncode != 0 and not json.loads(r.stdout)["ok"], "json_fails", r)


def running():
    node = Command("alice", "run", "--no-linger", *ALONE)
    ok(node.says(r"^ready "), "node_runs", node.text())
    r = by_fd("alice", "backup", work + "/running")
    ok(r.returncode == 0, "backup_beside_a_node", r)
    r = by_fd("alice", "restore", "--force", FILE)
    ok(r.returncode == 4 and "another node" in r.stderr, "not_under_a_node", r)
    node.process.send_signal(signal.SIGINT)
    ok(node.process.wait(20) == 0, "node_goes_on", node.text())


def terminal():
    file = work + "/typed"
    phrase = "correct horse\r"
    ok(typed("alice", "backup", file, answers=[phrase, phrase],
             says="backed up", name="typed") == 0, "typed")
    ok(typed("carol", "restore", file, answers=[phrase],
             says="restored", name="typed_restore") == 0, "typed_restore")
    ok(typed("alice", "backup", work + "/differ",
             answers=[phrase, "correct house\r"], says="differ",
             name="differ") == 2, "differ")
    # Control-C ends it at once, and the terminal shows what is typed again.
    t = Terminal("alice", "backup", work + "/differ")
    t.wait("Passphrase.*: ")
    t.type("half\x03")
    ok(t.status() == 130, "interrupt", t.seen)
    ok(not os.path.exists(work + "/differ"), "interrupt_writes_nothing")
    r = run("alice", "backup", work + "/differ", start_new_session=True)
    ok(r.returncode == 4 and "--passphrase-fd" in r.stderr, "no_terminal", r)


def lost():
    """docs/LOST.md: who has the files is the device, until it is unpaired."""
    bob = run("bob", "id").stdout.strip()
    run("bob", "pair", run("alice", "id").stdout.strip(), "--label", "alice")
    node = Command("bob", "run", "--no-linger", "--echo", *ALONE)
    ok(node.says(r"^ready "), "lost_peer_runs", node.text())
    at = "127.0.0.1:" + re.search(r"port (\d+)", node.text()).group(1)
    call = ["call", bob, "echo", "1", "--at", at, "--wait", "2000", *ALONE]
    by_fd("thief", "restore", FILE)
    ok(run("thief", *call).stdout == "1\n", "lost_thief_is_the_device")
    r = run("bob", "unpair", "alice")
    ok(r.returncode == 0, "lost_unpaired", r)
    r = run("thief", *call)
    ok(r.returncode == 3, "lost_thief_is_refused", r)
    ok("untrusted-peer" in run("bob", "--json", "status").stdout,
       "lost_is_counted", run("bob", "--json", "status").stdout)
    node.process.send_signal(signal.SIGINT)
    node.process.wait(20)


def main():
    descriptor()
    json_and_force()
    running()
    terminal()
    lost()
    ok(not glob.glob(work + "/*.restore-*"), "nothing_is_left")


end_with(main)

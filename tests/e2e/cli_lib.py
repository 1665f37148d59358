# SPDX-License-Identifier: Apache-2.0
"""Shared by the Python tests of the program: rows of TAP, a directory of the
test's own, and commands that do not outlive the test. The first argument is
the program; a script cli_NAME.py prints the rows cli/NAME/*."""
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

peernet = os.path.realpath(sys.argv[1])
group = os.path.basename(sys.argv[0])[:-len(".py")].replace("_", "/")
work = tempfile.mkdtemp()
env = dict(os.environ, XDG_RUNTIME_DIR=work + "/run",
           XDG_STATE_HOME=work + "/state", TERM="xterm", LC_ALL="C.UTF-8")
os.mkdir(env["XDG_RUNTIME_DIR"], 0o700)
os.mkdir(env["XDG_STATE_HOME"], 0o700)
# Addresses to listen on and no discovery: a node that others pair by address.
ALONE = ["--listen", "127.0.0.1:0", "--discovery", "none"]
results = []
children = []


def ok(good, name, *notes):
    """One row; the notes are printed when it is not ok."""
    results.append(bool(good))
    print(f"{'ok' if good else 'not ok'} {len(results)} - {group}/{name}",
          flush=True)
    for note in notes if not good else ():
        print("# " + repr(note)[:2000], flush=True)


def skip(name, why):
    results.append(True)
    print(f"ok {len(results)} - {group}/{name} # SKIP {why}", flush=True)


def words(who, *args):
    """The command line of a command with the data directory of who."""
    return [peernet, "-d", f"{work}/{who}", *args]


def run(who, *args, timeout=60, **more):
    """A command that ends by itself; its status is -1 when it does not."""
    if "input" not in more:
        more["stdin"] = subprocess.DEVNULL
    try:
        return subprocess.run(words(who, *args), env=env, capture_output=True,
                              text=True, timeout=timeout, **more)
    except subprocess.TimeoutExpired as e:
        return subprocess.CompletedProcess(e.cmd, -1, "", "hangs")


def start(who, *args, before=(), **more):
    """A command that runs beside the test, which ends it."""
    p = subprocess.Popen([*before, *words(who, *args)], env=env, **more)
    children.append(p)
    return p


def status(p, seconds=15):
    """The status of a process; None: it had to be killed."""
    try:
        return p.wait(seconds)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()
        return None


class Command:
    """A command that runs beside the test; its output, and its errors unless
    they go elsewhere, are in one file."""

    def __init__(self, who, *args, stderr=subprocess.STDOUT, **more):
        self.path = f"{work}/{len(children)}.out"
        with open(self.path, "wb") as out:
            self.process = start(who, *args, stdout=out, stderr=stderr, **more)

    def text(self):
        with open(self.path, encoding="utf-8", errors="replace") as out:
            return out.read()

    def says(self, pattern, seconds=30):
        """True when the pattern is there."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text(), re.M):
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def end(self):
        self.process.terminate()
        return status(self.process, 30)


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, who, *args):
        self.seen = b""
        self.last = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(peernet, ["peernet", *words(who, *args)[1:]], env)

    def type(self, text):
        os.write(self.fd, text.encode())

    def read(self, seconds):
        """False when nothing came."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            return False
        self.seen += data
        return data != b""

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
            if left <= 0 or not self.read(left):
                return False

    def status(self, seconds=20, is_read=True):
        """The command's status; None: it goes on."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, code = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(code)
            if not is_read or not self.read(0.05):
                time.sleep(0.05)
        return None


def end_with(main):
    """Runs the test, ends what it started and leaves with its status."""
    try:
        main()
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
                child.wait()
        shutil.rmtree(work, ignore_errors=True)
    print(f"1..{len(results)}")
    sys.exit(0 if results and all(results) else 1)

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: a program exposes a handle over the control socket of a running node,
gets requests as lines of JSON and answers when it likes. The handle is closed
to everybody who is not allowed, takes the place of none, and ends with its
program; requests in flight then fail with a reason of their own. A program that
does not answer, or does not read, stops nobody else.
Usage: cli_serve.py PEERNET peernet-control.7"""
import errno
import json
import os
import re
import shlex
import socket
import sys
import threading
import time

from cli_lib import ALONE, Command, end_with, ok, run, skip, status, work

at = None


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    return s


def connect_as(path, uid, gid, groups):
    """A connection that a process of another user has made, and gives us."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(groups)
            os.setgid(gid)
            os.setuid(uid)
            made = connect(path)
            socket.send_fds(theirs, [b"+"], [made.fileno()])
        except OSError as e:
            theirs.sendall(str(e.errno).encode())
        os._exit(0)
    theirs.close()
    os.waitpid(pid, 0)
    said, fds, _, _ = socket.recv_fds(ours, 16, 1)
    ours.close()
    if not fds:
        raise OSError(int(said), os.strerror(int(said)))
    return socket.socket(fileno=fds[0])


class Program:
    """A connection to the control socket of a node."""

    def __init__(self, who="node", path=None, user=None):
        path = path or os.readlink(f"{work}/{who}/control.sock")
        self.socket = connect(path) if user is None else connect_as(path, *user)
        self.socket.settimeout(30)
        self.left = b""
        self.events = []
        self.called = []

    def send(self, **message):
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def line(self):
        """The next line as an object; None: the connection has ended."""
        while b"\n" not in self.left:
            try:
                data = self.socket.recv(1 << 20)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self.left += data
        line, self.left = self.left.split(b"\n", 1)
        return json.loads(line)

    def ask(self, **request):
        """The answer; events that come before it are kept."""
        self.send(id=7, **request)
        while True:
            line = self.line()
            if line is None or "event" not in line:
                return line
            self.events.append(line)

    def event(self, name=None):
        while True:
            line = self.events.pop(0) if self.events else self.line()
            if line is None or name in (None, line.get("event")):
                return line

    def calls(self, *calls):
        """Sends calls to (handle, argument) of the node, in this order."""
        for handle, args in calls:
            self.called.append(handle)
            self.send(id=1000 + len(self.called), cmd="call", peer="node",
                      handle=handle, args=args, timeout=60000)

    def answers(self):
        """(handle, answer) of all calls, in their order."""
        found = {}
        while len(found) < len(self.called):
            line = self.line()
            if line["id"] > 1000:
                found[line["id"]] = line
        return list(zip(self.called, [found[i] for i in sorted(found)]))

    def close(self):
        self.socket.close()


class Call(threading.Thread):
    """A call that waits beside the test."""

    def __init__(self, *args, who="peer", cmd="call", is_json=True, **more):
        super().__init__(daemon=True)
        form = ("--json",) if is_json else ()
        self.args = (who, *form, cmd, "node", *args, "--at", at)
        if cmd == "call":
            self.args += ("--timeout", "60000")
        self.more = more
        self.start()

    def run(self):
        self.result = run(*self.args, timeout=90, **self.more)

    def answer(self):
        self.join(100)
        return json.loads(self.result.stdout)


def call(*args, **more):
    return Call(*args, **more).answer()


def set_up():
    """The node `node`, and those of `peer` and `other`, which are paired with
    it."""
    global at
    key = json.loads(run("node", "--json", "id").stdout)["key"]
    for who in ("peer", "other"):
        theirs = json.loads(run(who, "--json", "id").stdout)["key"]
        run("node", "pair", theirs, "--label", who)
        run(who, "pair", key, "--label", "node")
        Command(who, "run", "--no-linger", *ALONE)
    node = Command("node", "run", "--no-linger", *ALONE, "--echo",
                   "--expose", "a_program=cat", "--allow", "a_program=paired")
    ok(node.says("^ready "), "node/runs", node.text())
    at = "127.0.0.1:" + re.search(r" port (\d+)", node.text()).group(1)
    return node


def hello():
    p = Program()
    answer = p.ask(cmd="hello", protocol=1)
    ok(answer["ok"] and answer["protocol"] == 1 and answer["version"],
       "hello/says_the_version", answer)
    answer = p.ask(cmd="hello")
    ok(answer["ok"] and answer["protocol"] == 1, "hello/without_one", answer)
    answer = p.ask(cmd="hello", protocol=2)
    ok(answer["error"] == "bad-request" and "protocol 1" in answer["message"],
       "hello/of_another_protocol_is_refused", answer)
    p.close()


def requests():
    p = Program()
    answer = p.ask(cmd="expose", handle="reading", allow=["peer"])
    ok(answer["ok"], "expose/is_answered", answer)
    first = Call("reading", '%{unit: "C"}')
    event = p.event()
    ok(event["event"] == "request" and event["handle"] == "reading"
       and event["args"] == {":unit": "C"} and event["label"] == "peer"
       and event["family"] == "peernet" and len(event["key"]) == 52,
       "request/has_handle_caller_and_argument", event)
    second = Call("reading", '2')
    later = p.event()
    ok(later["args"] == 2 and later["request"] != event["request"],
       "request/the_next_does_not_wait", later)
    p.send(cmd="reply", request=later["request"], value=[2, "two"])
    ok(second.answer()["value"] == [2, "two"], "reply/in_any_order",
       second.result)
    answer = p.ask(cmd="reply", request=event["request"],
                   value={"$tuple": [{"$atom": "ok"}, 21.5]})
    ok(answer["ok"] and first.answer()["value"]
       == {"$tuple": [{"$atom": "ok"}, 21.5]}, "reply/is_confirmed",
       answer, first.result)
    answer = p.ask(cmd="reply", request=event["request"], value=1)
    ok(answer["error"] == "closed", "reply/once_only", answer)
    third = Call("reading", '3')
    event = p.event()
    answer = p.ask(cmd="reply", request=event["request"])
    ok(answer["error"] == "bad-request" and '"value"' in answer["message"],
       "reply/without_a_value_is_refused", answer)
    answer = p.ask(cmd="reply", request=event["request"], term="{:ok, 'x'}")
    ok(answer["ok"] and third.answer()["ok"], "reply/as_text", third.result)
    for reason, seen in (("too hot", "too hot"), (None, None)):
        failing = Call("reading", '4')
        event = p.event()
        more = {} if reason is None else {"reason": reason}
        p.send(cmd="fail", request=event["request"], **more)
        answer = failing.answer()
        ok(answer["error"] == "remote" and (seen is None or answer["value"]
           == seen), f"fail/with_reason_{reason}", answer)
    call("reading", '"a line"', cmd="send")
    event = p.event()
    ok(event["event"] == "message" and event["args"] == "a line"
       and "request" not in event, "message/comes_without_a_number", event)
    other = Program()
    waiting = Call("reading", '5')
    event = p.event()
    answer = other.ask(cmd="reply", request=event["request"], value=0)
    ok(answer["error"] == "closed", "reply/of_another_program_is_refused",
       answer)
    p.send(cmd="reply", request=event["request"], value=5)
    ok(waiting.answer()["value"] == 5, "reply/of_its_own_program",
       waiting.result)
    other.close()
    ok(call("reading", "1", who="other")["value"] == {"$atom": "forbidden"},
       "allow/others_are_refused")
    p.close()


def granted():
    p = Program()
    ok(p.ask(cmd="expose", handle="by_file", allow=["granted"])["ok"],
       "granted/is_exposed")
    ok(call("by_file", "1")["value"] == {"$atom": "forbidden"},
       "granted/nobody_yet")
    r = run("node", "grant", "peer", "by_file")
    waiting = Call("by_file", "2")
    event = p.event("request") if r.returncode == 0 else {}
    ok(event.get("args") == 2, "granted/by_the_file", r)
    run("node", "ungrant", "peer", "by_file")
    ok(waiting.answer()["value"] == {"$atom": "forbidden"}
       and p.event()["reason"] == "forbidden", "granted/taken_back",
       waiting.result)
    p.close()


def refusals():
    p = Program()
    for name, what in (("a_program", "a program's"), ("echo", "the echo's"),
                       ("chat", "the chat's"), ("beam_admin", "rpc's")):
        answer = p.ask(cmd="expose", handle=name, allow=["paired"])
        ok(answer["error"] == "taken", f"taken/{name}", answer)
    p.ask(cmd="expose", handle="mine", allow=["paired"])
    q = Program()
    answer = q.ask(cmd="expose", handle="mine", allow=["paired"])
    ok(answer["error"] == "taken", "taken/another_programs", answer)
    answer = q.ask(cmd="unexpose", handle="mine")
    ok(answer["error"] == "bad-request", "taken/cannot_be_ended_by_another",
       answer)
    answer = q.ask(cmd="unexpose", handle="a_program")
    ok(answer["error"] == "bad-request", "taken/nor_a_programs", answer)
    ok(call("a_program", '"x"')["value"] == "x", "taken/the_program_goes_on")
    for more, name in (({}, "nobody"), ({"allow": []}, "an_empty_list"),
                       ({"allow": "paired"}, "no_list"),
                       ({"allow": [1]}, "a_number")):
        answer = q.ask(cmd="expose", handle="open", **more)
        ok(answer["error"] == "bad-request", f"allow/{name}_is_refused", answer)
    answer = q.ask(cmd="expose", handle="open", allow=["paired", "noone"])
    ok(answer["error"] == "no-such-peer", "allow/an_unknown_peer", answer)
    ok(call("open", "1")["value"] == {"$atom": "no_such_handle"},
       "allow/nothing_is_open_then")
    for name in ("", "A", "a b", "a" * 65, "a/b"):
        answer = q.ask(cmd="expose", handle=name, allow=["paired"])
        ok(answer["error"] == "bad-request", f"name/{name[:8]!r}_is_refused",
           answer)
    for key, value in (("timeout", 0), ("timeout", 3600001), ("timeout", "1"),
                       ("concurrency", 0), ("concurrency", 1025)):
        answer = q.ask(cmd="expose", handle="open", allow=["paired"],
                       **{key: value})
        ok(answer["error"] == "bad-request", f"{key}/{value}_is_refused", answer)
    for request in (None, "1", 99):
        answer = q.ask(cmd="reply", request=request, value=1)
        ok(not answer["ok"], f"reply/to_{request}_is_refused", answer)
    ok(p.ask(cmd="unexpose", handle="mine")["ok"], "unexpose/its_own")
    ok(call("mine", "1")["value"] == {"$atom": "no_such_handle"},
       "unexpose/nothing_is_left")
    ok(q.ask(cmd="expose", handle="mine", allow=["paired"])["ok"],
       "unexpose/the_name_is_free")
    q.close()
    p.close()


def limits():
    p = Program()
    for i in range(64):
        answer = p.ask(cmd="expose", handle=f"h{i}", allow=["peer"])
    ok(answer["ok"], "handles/64", answer)
    answer = p.ask(cmd="expose", handle="h64", allow=["peer"])
    ok(answer["error"] == "busy" and "64" in answer["message"],
       "handles/65_are_refused", answer)
    p.close()
    p = Program()
    p.ask(cmd="expose", handle="two", allow=["peer"], concurrency=2)
    calls = [Call("two", str(i)) for i in range(2)]
    events = [p.event() for i in range(2)]
    answer = call("two", "2")
    ok(answer["value"] == {"$atom": "busy"}, "concurrency/the_third_is_busy",
       answer)
    for e in events:
        p.send(cmd="reply", request=e["request"], value=1)
    ok(all(c.answer()["ok"] for c in calls), "concurrency/two_are_answered")
    again = Call("two", "3")
    p.send(cmd="reply", request=p.event("request")["request"], value=1)
    ok(again.answer()["ok"], "concurrency/then_there_is_room")
    p.ask(cmd="expose", handle="slow", allow=["peer"], timeout=300)
    late = Call("slow", "1")
    event = p.event("request")
    cancelled = p.event()
    answer = late.answer()
    ok(answer["value"] == {"$atom": "timeout"}
       and cancelled["event"] == "cancelled"
       and cancelled["request"] == event["request"]
       and cancelled["handle"] == "slow", "timeout/both_are_told",
       answer, cancelled)
    answer = p.ask(cmd="reply", request=event["request"], value=1)
    ok(answer["error"] == "closed", "timeout/a_late_reply_is_refused", answer)
    p.close()


def gone():
    p = Program()
    p.ask(cmd="expose", handle="leaves", allow=["peer"])
    calls = [Call("leaves", str(i)) for i in range(3)]
    for c in calls:
        p.event("request")
    p.close()
    answers = [c.answer() for c in calls]
    reason = {"$tuple": [{"$atom": "handler_crash"}, {"$tuple": [
        {"$atom": "exit"}, {"$atom": "noproc"}]}]}
    ok(all(a["value"] == reason for a in answers),
       "gone/requests_in_flight_fail_so", answers)
    p = Program()
    p.ask(cmd="expose", handle="leaves", allow=["peer"])
    waits = Call("leaves", "1", is_json=False)
    p.event("request")
    p.close()
    waits.join()
    ok("went away before it answered" in waits.result.stderr,
       "gone/a_sentence_says_so", waits.result)
    ok(call("leaves", "1")["value"] == {"$atom": "no_such_handle"},
       "gone/and_the_handle_with_it")
    r = run("node", "status")
    ok("leaves" not in r.stdout and "a_program" in r.stdout,
       "gone/status_has_it_no_more", r.stdout)


def large():
    """An argument of nearly a frame comes in one line; a large reply is sent in
    one, or in parts."""
    p = Program()
    p.ask(cmd="expose", handle="large", allow=["peer"])
    text = '"' + "\\x01" * 10 + "é" * 400000 + '"'
    caller = Call("large", "-", input=text)
    event = p.event("request")
    ok(event["args"].endswith("é" * 400000), "large/argument",
       str(event)[:300])
    for i in range(0, 100):
        p.ask(cmd="part", text='"' + "z" * 8000 if i == 0 else "z" * 8000)
    p.ask(cmd="part", text='"')
    answer = p.ask(cmd="reply", request=event["request"], parts=True)
    ok(answer["ok"] and caller.answer()["value"] == "z" * 800000,
       "large/reply_in_parts", answer, caller.result.stdout[:300])
    caller = Call("large", "-", input=text)
    event = p.event("request")
    p.send(cmd="reply", request=event["request"], value=[1, event["args"]])
    p.send(id=9, cmd="hello")
    ok(caller.answer()["value"] == [1, event["args"]], "large/reply_in_a_line",
       caller.result.stdout[:300])
    ok(p.event(None)["id"] == 9, "large/the_next_line_is_read_too")
    caller = Call("large", "1")
    event = p.event("request")
    answer = p.ask(cmd="reply", request=event["request"], value="x" * 1100000)
    ok(answer["error"] == "bad-request" and caller.answer()["value"]
       == {"$atom": "system_limit"}, "large/too_large_a_reply", answer,
       caller.result.stdout[:300])
    caller = Call("large", "1")
    event = p.event("request")
    answer = p.ask(cmd="reply", request=event["request"],
                   value={"$nothing": "x" * 100000})
    ok(answer["error"] == "bad-request", "large/no_term", answer)
    p.send(cmd="reply", request=event["request"], value=2)
    ok(caller.answer()["value"] == 2, "large/and_the_call_still_waits")
    p.socket.sendall(b'{"cmd": "reply", "value": [' + b"1," * 100000 + b'\n')
    line = p.line()
    ok(line["error"] == "bad-request" and "JSON" in line["message"],
       "large/no_json", line)
    p.socket.sendall(b"[" * 2000000 + b"\n")
    line = p.line()
    ok(line["error"] == "bad-request" and "fewer values" in line["message"],
       "large/too_many_values", line)
    p.socket.sendall(b" " * ((8 << 20) + 1))
    line = p.line()
    ok(line["error"] == "bad-request" and str(8 << 20) in line["message"]
       and p.line() is None, "large/a_longer_line_ends_the_connection", line)
    p.close()


def deaf():
    """A program that does not read."""
    p = Program()
    p.ask(cmd="expose", handle="deaf", allow=["peer"])
    for i in range(6):
        call("deaf", "-", cmd="send", input='"' + "x" * 900000 + '"')
    answer = call("deaf", "1")
    ok(answer["value"] == {"$atom": "busy"}, "deaf/a_call_is_busy", answer)
    ok(call("echo", "1")["value"] == 1, "deaf/others_are_served")
    n = 0
    while (event := p.event())["event"] == "message":
        n += 1
        if n == 2:  # there is room again
            Call("deaf", '"last"', cmd="send").join()
    ok(2 < n < 6 and event["event"] == "dropped"
       and event["handle"] == "deaf" and event["count"] == 6 - n,
       "deaf/is_told_what_was_dropped", n, event)
    ok(p.event()["args"] == "last", "deaf/and_gets_the_next")
    p.close()


def manual_rows():
    """The lines of the manual's session: (sign, text), continued lines
    joined."""
    with open(sys.argv[2], encoding="utf-8") as page:
        part = page.read().split(".Ss A session")[1].split(".Ss ")[0]
    rows = []
    for block in re.findall(r"^\.Bd -literal\n(.*?)^\.Ed", part, re.M | re.S):
        for line in block.splitlines():
            sign, text = re.match(r"(phone[$>]|[<>]) (.*)", line).groups()
            if text.startswith(" "):
                rows[-1][1] += text
            else:
                rows.append([sign, text])
    return rows


def is_shown(shown, seen):
    """What the manual shows, where \"...\" is any string."""
    return shown == seen or (shown == "..." and isinstance(seen, str)) or (
        isinstance(shown, dict) and isinstance(seen, dict)
        and shown.keys() == seen.keys()
        and all(is_shown(shown[k], seen[k]) for k in shown))


def manual():
    """Every line of peernet-control(7) is what a node says."""
    run("node", "unpair", "other")
    key = json.loads(run("other", "--json", "id").stdout)["key"]
    run("node", "pair", key, "--label", "phone")
    p = Program()
    command = None
    rows = manual_rows()
    for i, (sign, text) in enumerate(rows):
        if sign == ">":
            p.socket.sendall(text.encode() + b"\n")
            good = True
        elif sign == "<":
            line = p.line()
            good = is_shown(json.loads(text), line)
        elif sign == "phone$":
            words = shlex.split(text)[3:]
            command = Call(*words, who="other",
                           cmd=shlex.split(text)[1], is_json=False)
            good = True
        else:
            command.join(60)
            good = (command.result.stdout + command.result.stderr).strip() == text
        if not good or sign == "<":
            ok(good, f"manual/line_{i}", text, line, command and vars(command))
    ok(len(rows) > 15, "manual/has_a_session")
    p.close()


def script(name, text):
    path = f"{work}/{name}"
    with open(path, "w", encoding="utf-8") as out:
        out.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o700)
    return path


def is_open(handle):
    """Waits until the handle is there."""
    end = time.monotonic() + 30
    while f'"handle":"{handle}"' not in run("node", "--json", "status").stdout:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def serve():
    path = script("lines", """
echo begins >&2
while read -r line; do
    case $line in
    '"wait"') while [ ! -e "$1" ]; do sleep 0.05; done ;;
    '"bad"') echo 'no json'; continue ;;
    esac
    printf '[%s]\\n' "$line"
done
""")
    go = f"{work}/go"
    served = Command("node", "serve", "lines", "--allow", "peer",
                     "--", path, go)
    ok(is_open("lines"), "serve/the_handle_is_open", served.text())
    feeder = Program("peer")
    feeder.calls(("lines", "wait"), *[("lines", i) for i in range(20)])
    feeder.send(id=99, cmd="send", peer="node", handle="lines", args="unheard")
    feeder.calls(("lines", "last"))
    open(go, "w").close()
    values = [a["value"] for _, a in feeder.answers()]
    ok(values == [["wait"], *[[i] for i in range(20)], ["last"]],
       "serve/a_line_for_a_line", values)
    feeder.close()
    ok(call("lines", '%{a: {1, "\\n"}}')["value"]
       == [{":a": {"$tuple": [1, "\n"]}}], "serve/terms")
    ok(call("lines", "-", input='"' + "x" * 900000 + '"')["value"]
       == ["x" * 900000], "serve/long_lines")
    ok(call("lines", '"bad"')["value"] == {"$tuple": [
        {"$atom": "handler_crash"}, {"$tuple": [{"$atom": "exit"},
                                                {"$atom": "badarg"}]}]}
       and served.says("expected a line of JSON"), "serve/no_json_is_an_error")
    ok(len(re.findall("^begins", served.text(), re.M)) == 1,
       "serve/one_program", served.text())
    ok(served.end() == 0, "serve/ends")
    ok(call("lines", "1")["value"] == {"$atom": "no_such_handle"},
       "serve/and_the_handle_with_it")


def serve_again():
    """Programs that end, each in a way of its own."""
    path = script("ends", """
echo begins >&2
while read -r line; do
    case $line in
    '"exit"') exit 3 ;;
    '"hang"') exec sleep 600 ;;
    '"kill"') kill -9 $$ ;;
    '"long"') head -c 9000000 /dev/zero | tr '\\0' x ;;
    esac
    printf '[%s]\\n' "$line"
done
""")
    killed = {"$tuple": [{"$atom": "signal"}, 9]}
    ways = {"exit": (3, "ended with status 3"),
            "kill": (killed, "ended by signal 9"),
            "hang": (None, "killed: no line in time"),
            "long": (killed, "too long")}
    served = {way: Command("node", "serve", way, "--allow", "peer",
                           "--timeout", "2000" if way == "hang" else "30000",
                           "--", path) for way in ways}
    ok(all(is_open(way) for way in ways), "again/the_handles_are_open")
    feeder = Program("peer")
    feeder.calls(*[(way, word) for way in ways for word in
                   (way, "behind") if way != "hang"], ("hang", "hang"))
    answers = feeder.answers()
    for way, (reason, said) in ways.items():
        failed = {"$tuple": [{"$atom": "handler_crash"},
                             {"$tuple": [{"$atom": "exit"}, reason]}]}
        if reason is None:
            failed = {"$atom": "timeout"}
        gone = {"$tuple": [{"$atom": "handler_crash"}, {"$tuple": [
            {"$atom": "exit"}, {"$atom": "noproc"}]}]}
        first, *behind = [a["value"] for h, a in answers if h == way]
        ok(first == failed and all(b in (failed, gone) for b in behind),
           f"again/{way}/calls_in_flight_fail", answers)
    feeder.close()
    for way, (_, said) in ways.items():
        ok(served[way].says("(?s)^begins.*^begins")
           and said in served[way].text(), f"again/{way}/it_is_started_again",
           served[way].text())
        end = time.monotonic() + 60
        while ((answer := call(way, '"here"')).get("value") != ["here"]
               and time.monotonic() < end):
            pass
        ok(answer.get("value") == ["here"], f"again/{way}/and_answers", answer)
        ok(served[way].end() == 0, f"again/{way}/ends")


def serve_text():
    path = script("text", 'while read -r line; do echo "<$line>"; done\n')
    served = Command("node", "serve", "text", "--text", "--allow", "paired",
                     path)
    ok(is_open("text"), "text/the_handle_is_open", served.text())
    for term, seen in (('"hi"', "<hi>"), ("21", "<21>"), (":on", "<on>"),
                       ("nil", "<>"), ("{1, 2}", "<{1, 2}>")):
        answer = call("text", term)
        ok(answer["value"] == seen, f"text/{term}", answer)
    answer = call("text", '"two\\nlines"')
    ok(answer["value"] == {"$atom": "badarg"}, "text/a_newline_is_refused",
       answer)
    served.process.kill()
    served.process.wait()
    ok(call("text", "1")["value"] == {"$atom": "no_such_handle"},
       "text/a_killed_serve_is_gone")


def serve_slow():
    """A program that does not read, or does not answer, is not fed for ever."""
    path = script("slow", "exec sleep 600\n")
    served = Command("node", "serve", "slow", "--allow", "peer", path)
    ok(is_open("slow"), "slow/the_handle_is_open", served.text())
    for i in range(4):
        call("slow", "-", cmd="send", input='"' + "x" * 900000 + '"')
    answer = call("slow", "1")
    ok(answer["value"] == {"$atom": "busy"} and served.says("are dropped"),
       "slow/what_it_does_not_read_is_dropped", answer, served.text())
    ok(served.end() == 0, "slow/ends")
    path = script("mute", "while read -r line; do :; done\n")
    served = Command("node", "serve", "mute", "--allow", "peer", path)
    ok(is_open("mute"), "mute/the_handle_is_open", served.text())
    feeder = Program("peer")
    for i in range(1100):
        feeder.send(id=i, cmd="send", peer="node", handle="mute", args=i)
        feeder.line()
    answer = call("mute", "1")
    ok(answer["value"] == {"$atom": "busy"},
       "mute/what_it_does_not_answer_is_dropped", answer)
    feeder.close()
    ok(served.end() == 0, "mute/ends")


def serve_mistakes():
    for args, status, said in (
            (("x", "--", "/no/such/program"), 2, "no/such/program"),
            (("x", "--", "cat"), 2, "nobody may use 'x'"),
            (("x",), 2, "PROGRAM"),
            (("X", "--allow", "peer", "cat"), 2, "a-z"),
            (("echo", "--allow", "peer", "cat"), 4, "another's handle"),
            (("x", "--allow", "nobody", "cat"), 5, "nobody")):
        r = run("node", "serve", *args)
        ok(r.returncode == status and said in r.stderr,
           f"mistakes/serve_{'_'.join(args)[:30]}", r)
    r = run("alone", "serve", "x", "--allow", "peer", "cat")
    ok(r.returncode == 3 and "peernet run" in r.stderr, "mistakes/no_node", r)
    r = run("node", "listen", "x")
    ok(r.returncode == 2 and "nobody may use 'x'" in r.stderr,
       "mistakes/listen_to_nobody", r)
    r = run("node", "listen", "x", "--allow", "peer", "--reply", "{")
    ok(r.returncode == 2, "mistakes/a_reply_that_is_no_term", r)


def listen():
    heard = Command("node", "listen", "heard", "--allow", "peer", "--reply",
                    "{:ok, 1}", "--count", "3")
    ok(is_open("heard"), "listen/the_handle_is_open", heard.text())
    call("heard", '"hi"', cmd="send")
    ok(call("heard", '%{a: 1}')["value"] == {"$tuple": [{"$atom": "ok"}, 1]},
       "listen/replies")
    ok(heard.process.poll() is None, "listen/goes_on")
    ok(call("heard", '"\\e[31m"')["ok"], "listen/replies_to_the_last")
    ok(status(heard.process) == 0 and heard.text()
       == '"hi"\n%{a: 1}\n"\\e[31m"\n', "listen/a_line_each", heard.text())
    heard = Command("node", "--json", "listen", "heard", "--allow", "peer")
    ok(is_open("heard"), "listen/again", heard.text())
    ok(call("heard", "1")["value"] == {"$atom": "ok"}, "listen/replies_ok")
    call("heard", "2", cmd="send")
    ok(heard.says('"message"'), "listen/json", heard.text())
    lines = [json.loads(line) for line in heard.text().splitlines()]
    ok([(e["event"], e["args"], e["label"]) for e in lines]
       == [("request", 1, "peer"), ("message", 2, "peer")],
       "listen/json_has_who", lines)
    ok(heard.end() == 0, "listen/ends")


def reload():
    """A reload takes no handle from a program."""
    conf = f"{work}/reload.conf"
    with open(conf, "w", encoding="utf-8") as out:
        out.write("[node]\nlisten = 127.0.0.1:0\ndiscovery = none\n")
    node = Command("again", "run", "--no-linger", "--config", conf)
    ok(node.says("^ready "), "reload/node_runs", node.text())
    p = Program("again")
    p.ask(cmd="expose", handle="mine", allow=["paired"])
    p.ask(cmd="expose", handle="echo", allow=["paired"])
    with open(conf, "a", encoding="utf-8") as out:
        out.write("echo = yes\n[handle mine]\nprogram = cat\nallow = paired\n")
    r = run("again", "reload")
    ok(r.returncode != 0 and "'mine'" in r.stdout + r.stderr + node.text()
       and "'echo'" in r.stdout + r.stderr + node.text(),
       "reload/a_name_that_is_served_is_refused", r, node.text())
    p.close()
    ok(run("again", "reload").returncode == 0, "reload/and_free_afterwards")
    ok(node.end() == 0, "reload/node_ends", node.text())


NOBODY = 65534
GROUP = 61234  # of nobody here


def guests():
    """The second socket, for programs of other users. A node that is not alone
    on this directory: others enter it."""
    node = Command("open", "run", "--no-linger", *ALONE, "--handles-socket",
                   "relative", "--handles-group", str(GROUP),
                   "--handles-allow", "a=paired")
    ok(node.says("absolute path") and status(node.process) == 2,
       "guests/a_relative_path_is_refused", node.text())
    path = f"{work}/guests/s"
    os.mkdir(f"{work}/guests", 0o755)
    os.chmod(work, 0o711)
    three = ("--handles-socket", path, "--handles-group", str(GROUP),
             "--handles-allow", "guest=peer")
    for i in range(0, 6, 2):
        r = run("open", "run", *ALONE, *three[:i], *three[i + 2:])
        ok(r.returncode == 2 and "together" in r.stderr,
           f"guests/without{three[i]}", r)
    for allow in ("guest", "guest=", "Guest=peer"):
        r = run("open", "run", *ALONE, *three[:4], "--handles-allow", allow)
        ok(r.returncode == 2, f"guests/allow_{allow}_is_refused", r)
    r = run("open", "run", *ALONE, *three[:2], "--handles-group", "nogroups",
            *three[4:])
    ok(r.returncode == 2 and "nogroups" in r.stderr, "guests/no_such_group", r)
    if os.geteuid() != 0:
        skip("guests", "only root gives a file to a group and becomes another")
        return
    open(path, "w").close()
    r = run("open", "run", *ALONE, *three)
    ok(r.returncode == 4 and os.path.isfile(path),
       "guests/what_is_no_socket_is_not_replaced", r)
    os.remove(path)
    # The same node as before, with the second socket.
    key = json.loads(run("peer", "--json", "id").stdout)["key"]
    run("open", "pair", key, "--label", "peer")
    node = Command("open", "run", "--no-linger", *ALONE, "--echo", *three)
    ok(node.says("^ready "), "guests/node_runs", node.text())
    is_at = os.stat(path)
    ok(is_at.st_gid == GROUP and is_at.st_mode & 0o777 == 0o660,
       "guests/mode_and_group", oct(is_at.st_mode))
    for user, name in (((NOBODY, NOBODY, []), "a_stranger"),
                       ((NOBODY, NOBODY, [GROUP + 1]), "another_group")):
        try:
            Program(path=path, user=user)
            ok(False, f"guests/{name}_cannot_connect")
        except OSError as e:
            ok(e.errno == errno.EACCES, f"guests/{name}_cannot_connect", e)
    os.chmod(path, 0o666)  # as if the file did not decide
    p = Program(path=path, user=(NOBODY, NOBODY, [GROUP + 1]))
    ok(p.line() is None, "guests/nor_with_a_mode_that_lets_it")
    p.close()
    os.chmod(path, 0o660)
    try:
        Program("open", user=(NOBODY, NOBODY, [GROUP])).ask(cmd="status")
        ok(False, "guests/the_first_socket_is_not_theirs")
    except OSError as e:
        ok(e.errno == errno.EACCES, "guests/the_first_socket_is_not_theirs", e)
    first_group = Program(path=path, user=(NOBODY, GROUP, []))
    ok(first_group.ask(cmd="hello")["ok"], "guests/by_its_first_group")
    first_group.close()
    p = Program(path=path, user=(NOBODY, NOBODY, [GROUP + 1, GROUP]))
    ok(p.ask(cmd="hello")["ok"], "guests/by_another_group")
    for cmd in ("status", "peers", "pair", "unpair", "label", "discovered",
                "announce", "call", "send", "rpc", "cast", "monitor", "nodes",
                "chat", "metrics", "events", "part", "pairing", "grant",
                "ungrant", "grants", "can", "reload", "rotate", "invite"):
        answer = p.ask(cmd=cmd, peer="peer", handle="guest", args=1, key=key,
                       text="x", module="M", function="f")
        ok(not answer["ok"] and answer["error"] in ("forbidden", "bad-request")
           and (answer["error"] == "forbidden"
                or "expected a command" in answer["message"]),
           f"guests/{cmd}_is_refused", answer)
    answer = p.ask(cmd="expose", handle="guest", allow=["paired"])
    ok(answer["error"] == "forbidden", "guests/they_do_not_say_who", answer)
    for name in ("other", "gues", "guestt"):
        answer = p.ask(cmd="expose", handle=name)
        ok(answer["error"] == "forbidden", f"guests/{name}_is_not_theirs",
           answer)
    answer = p.ask(cmd="expose", handle="echo")
    ok(answer["error"] == "taken", "guests/echo_is_taken", answer)
    answer = p.ask(cmd="expose", handle="guest")
    ok(answer["ok"], "guests/guest_is_theirs", answer)
    q = Program(path=path, user=(NOBODY, NOBODY, [GROUP]))
    answer = q.ask(cmd="expose", handle="guest")
    ok(answer["error"] == "taken", "guests/once", answer)
    own = Program("open")
    answer = own.ask(cmd="expose", handle="guest", allow=["paired"])
    ok(answer["error"] == "taken", "guests/not_replaced_by_the_owner", answer)
    own.close()
    key = json.loads(run("open", "--json", "id").stdout)["key"]
    run("peer", "pair", key, "--label", "open")
    port = re.search(r" port (\d+)", node.text()).group(1)
    there = ("--at", f"127.0.0.1:{port}")
    feeder = Program("peer")
    feeder.send(id=1, cmd="call", peer="open", handle="guest", args=[1],
                at=there[1])
    event = p.event()
    ok(event["event"] == "request" and event["args"] == [1],
       "guests/requests_come", event)
    answer = q.ask(cmd="reply", request=event["request"], value=0)
    ok(answer["error"] == "closed", "guests/another_cannot_answer", answer)
    p.send(cmd="reply", request=event["request"], value="here")
    ok(feeder.line()["value"] == "here", "guests/and_are_answered")
    # As many as there is room for, and lines without end.
    flood = [Program(path=path, user=(NOBODY, NOBODY, [GROUP]))
             for _ in range(40)]
    ok(run("open", "status").returncode == 0,
       "guests/a_flood_leaves_the_owner_room")
    answers = [f.line() for f in flood[-5:]]
    ok(all(a and "32" in a["message"] for a in answers),
       "guests/a_flood_is_refused", answers)
    for f in flood:
        f.close()
    try:
        while True:
            q.socket.sendall(b"x" * 65536)
    except OSError:
        ok(True, "guests/a_line_without_end_ends_the_connection")
    feeder.send(id=2, cmd="call", peer="open", handle="guest", args=2,
                at=there[1])
    p.event("request")
    p.close()
    answer = feeder.line()
    ok(answer["value"] == {"$tuple": [{"$atom": "handler_crash"}, {"$tuple": [
        {"$atom": "exit"}, {"$atom": "noproc"}]}]},
       "guests/in_flight_fails_when_it_goes", answer)
    feeder.close()
    ok(node.end() == 0 and not os.path.exists(path), "guests/node_ends",
       node.text())


def main():
    node = set_up()
    hello()
    requests()
    granted()
    refusals()
    limits()
    gone()
    large()
    deaf()
    manual()
    serve()
    serve_again()
    serve_text()
    serve_slow()
    serve_mistakes()
    listen()
    ok(node.end() == 0, "node/ends", node.text())
    guests()
    reload()


end_with(main)

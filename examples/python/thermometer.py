#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Serves the handle `temperature` through the running node.

    thermometer.py DATA-DIR PEER...

DATA-DIR is the one of `peernet run`, PEER who may call: a label, a key, or
`paired` for every paired peer. peernet-control(7) has the protocol. A call with
%{unit: "F"} gets {:ok, 70.7}, any other {:ok, 21.5}."""
import json
import os
import socket
import sys


def connect(data_dir):
    """The control socket of the node. The link in the data directory may be too
    long for the name of a socket, what it leads to is not."""
    node = socket.socket(socket.AF_UNIX)
    node.connect(os.readlink(os.path.join(data_dir, "control.sock")))
    return node.makefile("rw", encoding="utf-8")


def send(node, **message):
    node.write(json.dumps(message) + "\n")
    node.flush()


def ask(node, **request):
    """For before the first handle is open: only the answer comes then."""
    send(node, id=1, **request)
    answer = json.loads(node.readline())
    if not answer["ok"]:
        sys.exit(answer["message"])
    return answer


def main(data_dir, *peers):
    node = connect(data_dir)
    ask(node, cmd="hello", protocol=1)
    ask(node, cmd="expose", handle="temperature", allow=peers)
    print("serving", flush=True)
    for line in node:
        event = json.loads(line)
        if event.get("event") != "request":
            continue
        # An atom is written with a colon as a key, with $atom as a value.
        args = event["args"]
        unit = args.get(":unit", "C") if isinstance(args, dict) else "C"
        value = 70.7 if unit == "F" else 21.5
        send(node, cmd="reply", request=event["request"],
             value={"$tuple": [{"$atom": "ok"}, value]})


main(*sys.argv[1:])

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: what a node cannot open is named with its reason and tried again, and
addresses to listen on and to announce to are lists. A taken UDP port: discover
ends with 4, run goes on and has the port once it is free. Without inotify the
trust list is read from time to time.
Usage: cli_sockets.py PEERNET"""
import json
import os
import re
import shutil
import socket
import subprocess

from cli_lib import ALONE, Command, end_with, ok, run, skip, work


def node_of(who, *args, before=()):
    return Command(who, "run", "--no-linger", *args, before=before)


def udp(host, port=0, is_shared=False):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if is_shared:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((host, port))
    s.settimeout(20)
    return s


def taken_port():
    holder = udp("0.0.0.0")
    port = holder.getsockname()[1]
    own = ("--listen", "127.0.0.1:0", "--discovery-address", "127.255.255.255",
           "--discovery-port", str(port))
    named = rf"UDP port {port}: Address already in use"
    r = run("a", "discover", "-s", "1", *own)
    ok(r.returncode == 4 and re.search(named, r.stderr)
       and "--discovery-port" in r.stderr, "taken/discover_says_4",
       (r.returncode, r.stderr))
    node = node_of("b", *own)
    ok(node.says("ready ") and node.says(named), "taken/run_names_the_port",
       node.text())
    r = run("b", "discover", "-s", "1")
    ok(r.returncode == 4 and re.search(named, r.stderr),
       "taken/discover_of_a_running_node", (r.returncode, r.stderr))
    holder.close()
    ok(node.says(rf"announces are heard and made now: UDP port {port}"),
       "taken/run_has_it_later", node.text())
    ok(len(re.findall(named, node.text())) == 1, "taken/said_once",
       node.text())
    r = run("b", "discover", "-s", "1")
    ok(r.returncode == 0, "taken/discover_then", (r.returncode, r.stderr))
    node.end()


def lists(form):
    """form: "repeated", or "commas" between the addresses of one option."""
    def listed(option, *addresses):
        if form == "commas":
            return option, ",".join(addresses)
        return [word for a in addresses for word in (option, a)]

    targets = [udp(host, is_shared=True) for host in ("127.0.0.1",)]
    port = targets[0].getsockname()[1]
    targets.append(udp("127.0.0.2", port, is_shared=True))
    node = node_of("c", *listed("--listen", "127.0.0.1:0", "127.0.0.2:0"),
                   *listed("--discovery-address", "127.0.0.1", "127.0.0.2"),
                   "--discovery-port", str(port), "--announce-every", "100")
    ok(node.says("ready "), f"lists/{form}/run", node.text())
    tcp = int(re.search(r"ready \S+ port (\d+)", node.text()).group(1))
    for host in ("127.0.0.1", "127.0.0.2"):
        try:
            socket.create_connection((host, tcp), 10).close()
            ok(True, f"lists/{form}/listens_on_{host}")
        except OSError as e:
            ok(False, f"lists/{form}/listens_on_{host}", e)
    try:
        socket.create_connection(("127.0.0.3", tcp), 10).close()
        ok(False, f"lists/{form}/listens_nowhere_else")
    except OSError:
        ok(True, f"lists/{form}/listens_nowhere_else")
    # The last socket bound gets what comes to a shared address; 127.0.0.2 is
    # bound by us alone.
    try:
        ok(len(targets[1].recv(100)) == 39, f"lists/{form}/announces_to_the_second")
    except OSError as e:
        ok(False, f"lists/{form}/announces_to_the_second", e)
    try:
        ok(len(targets[0].recv(100)) == 39, f"lists/{form}/announces_to_the_first")
    except OSError as e:
        ok(False, f"lists/{form}/announces_to_the_first", e)
    node.end()
    for option, good in (("--discovery-address", "127.0.0.1"),
                         ("--listen", "127.0.0.1:0")):
        r = run("c", "call", "x", "echo", "1", *listed(option, good, "nowhere"))
        ok(r.returncode == 2 and "nowhere" in r.stderr,
           f"lists/{form}/bad_{option[2:]}_is_named", (r.returncode, r.stderr))
    r = run("c", "run", *listed(
        "--listen", *[f"127.0.0.{i}:0" for i in range(1, 10)]))
    ok(r.returncode == 2 and "8" in r.stderr, f"lists/{form}/nine_are_refused",
       (r.returncode, r.stderr))


def both_families():
    """127.0.0.1 and [::1] of one port, and nothing of the network."""
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError as e:
        skip("families", f"no ::1 here: {e}")
        return
    key = run("f", "id").stdout.strip()
    caller = run("g", "id").stdout.strip()
    run("f", "pair", caller, "-l", "g")
    run("g", "pair", key, "-l", "f")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    node = node_of("f", "--listen", f"127.0.0.1:{port},[::1]:{port}",
                   "--discovery", "none", "--echo")
    ok(node.says(rf"ready \S+ port {port}\n"), "families/run", node.text())
    for host, code in (("127.0.0.1", 0), ("[::1]", 0), ("127.0.0.2", 3),
                       ("[::ffff:127.0.0.2]", 3)):
        r = run("g", "call", "f", "echo", "1", "--at", f"{host}:{port}",
                "--no-linger", *ALONE)
        ok(r.returncode == code, f"families/{host}_ends_with_{code}", r)
        # Where the peer was reached would be tried as well.
        if os.path.exists(f"{work}/g/addresses"):
            os.remove(f"{work}/g/addresses")
    node.end()


def watch():
    before = ["unshare", "-U", "-r", "sh", "-c",
              "echo 0 >/proc/sys/user/max_inotify_instances && exec \"$@\"",
              "sh"]
    if subprocess.run([*before, "true"], capture_output=True).returncode != 0:
        skip("watch", "no right to make a user namespace")
        return
    key = json.loads(run("e", "--json", "id").stdout)["key"]
    run("d", "id")
    shutil.copytree(f"{work}/d", f"{work}/copy")
    node = node_of("d", *ALONE, "--no-control", before=before)
    ok(node.says("ready ") and node.says("edits by others cannot be watched"),
       "watch/is_said", node.text())
    r = run("copy", "pair", key, "--label", "eve")
    os.rename(f"{work}/copy/trust.bin", f"{work}/d/trust.bin")
    ok(r.returncode == 0 and node.says("trust-changed +eve.*paired"),
       "watch/edits_are_seen", (r.stderr, node.text()))
    node.end()


def main():
    taken_port()
    lists("repeated")
    lists("commas")
    both_families()
    watch()


end_with(main)

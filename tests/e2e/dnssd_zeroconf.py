# SPDX-License-Identifier: Apache-2.0
"""python3-zeroconf, a responder that nobody here wrote.

    dnssd_zeroconf.py browse        prints "found KEY ADDRESS:PORT NAME" and
                                    "lost NAME" until its input ends
    dnssd_zeroconf.py publish ADDRESS PORT KEY
                                    publishes until its input ends"""
import socket
import sys

from zeroconf import ServiceBrowser, ServiceInfo, Zeroconf

TYPE = "_peernet._tcp.local."


def on_change(zeroconf, service_type, name, state_change):
    if state_change.name == "Removed":
        print("lost", name, flush=True)
        return
    info = zeroconf.get_service_info(service_type, name, timeout=5000)
    if info is None or info.properties.get(b"v") != b"1":
        print("bad", name, info, flush=True)
        return
    for address in info.parsed_addresses():
        print("found", info.properties[b"pk"].decode(),
              f"{address}:{info.port}", name, flush=True)


def publish(zeroconf, address, port, key):
    zeroconf.register_service(ServiceInfo(
        TYPE, f"zeroconf-{key}.{TYPE}", port=int(port),
        addresses=[socket.inet_aton(address)], server="zeroconf.local.",
        properties={"v": "1", "pk": key}))


zeroconf = Zeroconf()
if sys.argv[1] == "browse":
    ServiceBrowser(zeroconf, TYPE, handlers=[on_change])
else:
    publish(zeroconf, *sys.argv[2:])
print("ready", flush=True)
sys.stdin.read()
zeroconf.close()

/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verdicts; see doctor_verdicts.h. */
#include "doctor_verdicts.h"

#include <string.h>

const cli_verdict cli_verdicts[] = {
    {"data-unusable", "data", CLI_LOCAL,
        "a file of the data directory is damaged, or others may change it",
        "look at the file that is named; see FILES in peernet(1)"},
    {"clock-wrong", "clock", CLI_LOCAL,
        "the clock was never set: the battery is empty or there is no NTP",
        "set the clock, for example with NTP; certificates and logs depend on "
        "it"},
    {"node-silent", "node", CLI_NO_ANSWER,
        "the node's process is stopped (Control-Z, SIGSTOP) or very busy",
        "continue it with 'kill -CONT', or end it and start it again"},
    {"node-unreachable", "node", CLI_LOCAL,
        "the node was started with --no-control or with another "
        "XDG_RUNTIME_DIR",
        "start it again without --no-control, as the same user"},
    {"no-node", "node", CLI_NO_LINK,
        "'peernet run' was not started here, so peers cannot reach this "
        "device",
        "start it with 'peernet run' or as a service"},
    {"not-paired-here", "paired-here", CLI_NO_PEER,
        "the peer was never paired on this device, or its label is another",
        "compare with 'peernet peers'; pair it with 'peernet pair KEY'"},
    {"no-address", "interface", CLI_NO_LINK,
        "the cable is out, Wi-Fi is not connected, or DHCP gave no address",
        "connect this device to the network of the other one"},
    {"no-source", "sources", CLI_NO_LINK,
        "the node was started with --discovery none",
        "start it without, or give the address with 'peernet pair KEY "
        "--address HOST:PORT'"},
    {"source-failed", "sources", CLI_NO_LINK,
        "another program has the UDP port of announces",
        "end that program ('ss -ulpn' shows it), or use --discovery-port on "
        "both ends"},
    {"silent", "announces", CLI_NO_LINK,
        "the network has changed, and the node runs with "
        "--quiet-on-new-networks",
        "run 'peernet announce' if this network may see the node's public key; "
        "peers hear nothing of it until then"},
    {"ipv6-only", "heard", CLI_NO_LINK,
        "this device has no IPv4 address, and announces over UDP need one",
        "give the peer's IPv6 address with 'peernet pair KEY --address "
        "[ADDRESS]:PORT'"},
    {"udp-dropped-here", "heard", CLI_NO_LINK,
        "a firewall on this device drops announces",
        "allow incoming UDP on the port of announces, 4040"},
    {"not-heard", "heard", CLI_NO_LINK,
        "the other node does not run or is in another network, a firewall "
        "drops UDP port 4040, or the network keeps its devices apart (client "
        "isolation)",
        "run 'peernet status' on the other device; give its address with "
        "'peernet pair KEY --address HOST:PORT' if the network drops "
        "announces"},
    {"multicast-dropped?", "heard", CLI_NO_LINK,
        "a firewall or an access point drops multicast DNS, or the other node "
        "does not run",
        "allow UDP port 5353 (224.0.0.251 and ff02::fb) on both devices, or "
        "give the peer's address with 'peernet pair KEY --address HOST:PORT'"},
    {"name-unknown", "resolved", CLI_NO_LINK,
        "the name given at pairing is misspelt, or no name server here knows "
        "it",
        "give another name or an address with 'peernet pair KEY --address "
        "HOST:PORT'"},
    {"other-network", "tcp", CLI_NO_LINK,
        "the peer is in another network, or the address is an older one",
        "connect both devices to one network, or set a route between them"},
    {"unreachable", "tcp", CLI_NO_LINK,
        "the device is off or has another address now, or the network keeps "
        "its devices apart (client isolation)",
        "look whether it is on, and at its address with 'peernet status' "
        "there"},
    {"connect-timeout", "tcp", CLI_NO_LINK,
        "a firewall drops the connection, on the other device or on the way",
        "allow incoming TCP on the node's port, 7100 unless it was changed"},
    {"connection-refused", "tcp", CLI_NO_LINK,
        "the other node does not run, or listens on another port",
        "run 'peernet status' there and compare the port"},
    {"peer-listens-on-loopback?", "tcp", CLI_NO_LINK,
        "the other node announces itself and listens on its loopback address "
        "only",
        "start it there without --listen, or with the address of its network"},
    {"bad-handshake", "protocol", CLI_NO_LINK,
        "another program listens at that port",
        "compare the port with 'peernet status' on the other device"},
    {"handshake-timeout", "protocol", CLI_NO_LINK,
        "the other node's process is stopped or hangs, or another program "
        "listens there",
        "look at the node on the other device with 'peernet status'"},
    {"connection-reset", "protocol", CLI_NO_LINK,
        "a firewall or another program on the way cut the connection",
        "look at the other node's log with 'peernet run --verbose'"},
    {"key-mismatch", "key", CLI_NO_LINK,
        "another device has that address now, or the peer has a new key",
        "compare 'peernet id' there with 'peernet peers' here"},
    {"own-key", "key", CLI_NO_LINK, "the address is one of this device",
        "give the other device's address with 'peernet pair KEY --address "
        "HOST:PORT'"},
    {"not-paired-there?", "paired-there", CLI_NO_LINK,
        "the other device has not paired this device's key",
        "run 'peernet pair' there with the key that 'peernet id' prints here"},
    {"too-many-connections", "protocol", CLI_NO_LINK,
        "the other node refuses further connections for a while",
        "try again in a minute"},
    {"no-such-handle", "grant", CLI_REMOTE,
        "the handle is not exposed there, or its name is misspelt",
        "compare with 'exposes' of 'peernet status' there"},
    {"forbidden", "grant", CLI_REMOTE,
        "the handle is exposed there, and this device was not allowed",
        "start the other node with '--allow NAME=PEER' for this device"},
    {"handler-failed", "grant", CLI_REMOTE,
        "the handle's program is missing or cannot be started",
        "look at the other node's log, and start the program there by hand"},
    {"handler-crashed", "grant", CLI_REMOTE,
        "the handle's program crashed or printed no JSON",
        "look at the other node's log, and run the program there by hand"},
    {"handler-error", "grant", CLI_REMOTE,
        "the way and the grant are good, and the handle wants another argument "
        "than nil",
        "call it with its own argument: 'peernet call PEER NAME TERM'"},
    {"handler-timeout", "grant", CLI_REMOTE,
        "the handle's program took too long", "run the program there by hand"},
    {"ping-timeout", "ping", CLI_NO_LINK,
        "the other node is stopped or hangs, or the network has changed",
        "look at the other node with 'peernet status' there"},
    {"mtu-black-hole", "large", CLI_NO_LINK,
        "something on the way drops large packets and does not say so: a "
        "VPN, a tunnel or PPPoE with a smaller MTU",
        "lower the MTU of this device's interface, for example to 1280"},
    {.name = NULL},
};

const cli_verdict cli_node_verdicts[] = {
    {"no-barrel", "node", CLI_USAGE,
        "the node was started without --barrel, and has no part in a cluster",
        "start it with '--barrel NAME@HOST', or end it and ask again"},
    {"unreachable", "address", CLI_NO_LINK,
        "no source knows the node's address, or no way leads there",
        "start the node there, or give its address with '--node "
        "NAME@HOST=HOST:PORT'"},
    {"connection-refused", "udp", CLI_NO_LINK,
        "the other node does not run, or listens on another UDP port",
        "start it there, or give its port with '--node NAME@HOST=HOST:PORT'"},
    {"connect-timeout", "udp", CLI_NO_LINK,
        "the other node is off or stopped, or a firewall drops UDP, on the "
        "other device or on the way",
        "start it there, and allow incoming UDP on its port, 9100 unless it "
        "was changed"},
    {"bad-handshake", "protocol", CLI_NO_LINK,
        "another program listens at that UDP port, or the versions of the two "
        "nodes do not fit",
        "compare the port and the version on the other device"},
    {"connection-reset", "protocol", CLI_NO_LINK,
        "the other node was started again meanwhile, or something on the way "
        "cut the connection",
        "try again, and look at the other node's log"},
    {"untrusted-peer", "pin", CLI_NO_LINK,
        "no key is pinned here for that node",
        "pin it with 'peernet barrel trust NAME@HOST KEYFILE'"},
    {"key-mismatch", "pin", CLI_NO_LINK,
        "the node has a new key, or another node is at that address",
        "compare 'peernet barrel id' there with 'peernet barrel pins' here; "
        "replace the pin with 'peernet barrel unpin' and 'peernet barrel "
        "trust'"},
    {"own-key", "pin", CLI_NO_LINK,
        "the address is one of this device, or the other node has our name",
        "give the other node's address with '--node NAME@HOST=HOST:PORT'"},
    {"clock-differs", "clock", CLI_NO_LINK,
        "the clock of one of the two devices was never set",
        "set both clocks, for example with NTP"},
    {"not-paired-there?", "pin-there", CLI_NO_LINK,
        "the other node has pinned no key for our name, or another one",
        "run 'peernet barrel trust' there with our name and the file that "
        "'peernet barrel id --out FILE' writes here"},
    {"peer-closed", "pin-there", CLI_NO_LINK,
        "the other node does not trust our key, its clock differs, or it lets "
        "no more in",
        "look at the other node's log"},
    {"cookie-differs?", "cookie", CLI_NO_LINK,
        "the two nodes have different cookies",
        "give both nodes the same cookie"},
    {"handshake-timeout", "distribution", CLI_NO_LINK,
        "the other node hangs or is very busy", "look at the other node's log"},
    {"ping-timeout", "ping", CLI_NO_LINK,
        "the other node is stopped or hangs, or the network has changed",
        "look at the other node's log"},
    {.name = NULL},
};

static const cli_verdict *find(const cli_verdict *table, const char *name)
{
    for (const cli_verdict *v = table; v->name != NULL; v++) {
        if (strcmp(v->name, name) == 0) {
            return v;
        }
    }
    return NULL;
}

const cli_verdict *cli_verdict_find(const char *name, bool is_node)
{
    const cli_verdict *v = is_node ? find(cli_node_verdicts, name) : NULL;

    return v == NULL ? find(cli_verdicts, name) : v;
}

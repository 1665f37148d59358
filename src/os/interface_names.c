/* SPDX-License-Identifier: Apache-2.0 */
/* Which interfaces discovery is for; see interface_names.h. */
#include <string.h>

#include "os/interface_names.h"

/* How names begin that Docker, Podman, LXC, libvirt, Kubernetes, VirtualBox and
 * VMware, and tunnels of the kernel, OpenVPN, WireGuard, Tailscale and ZeroTier
 * give by default. */
static const char *const left_out[] = {"cali", "cni", "docker", "flannel",
    "ifb", "kube", "lxc", "lxd", "podman", "ppp", "tailscale", "tap", "tun",
    "utun", "vboxnet", "veth", "virbr", "vmnet", "vnet", "wg", "zt"};

/* A bridge of Docker, "br-" and twelve hexadecimal digits; br-lan is a LAN. */
static bool is_bridge_of_docker(const char *name)
{
    return strncmp(name, "br-", 3) == 0 && strlen(name) == 15
           && strspn(name + 3, "0123456789abcdef") == 12;
}

bool pn_interface_names_check(const char *list)
{
    if (list == NULL) {
        return true;
    }
    if (strlen(list) >= PN_INTERFACE_NAMES_CAP) {
        return false;
    }
    for (;;) {
        size_t len = strcspn(list, ",");

        if (len == 0 || len > sizeof(((pn_interface *)NULL)->name) - 1) {
            return false;
        }
        if (list[len] == '\0') {
            return true;
        }
        list += len + 1;
    }
}

/* The system lists an address that has a label by that, "eth0:1", in place of
 * its interface's name, which has no colon. */
static size_t bare_len(const char *name)
{
    return strcspn(name, ":");
}

/* By its label, too. */
static bool is_named(const char *list, const char *name)
{
    while (*list != '\0') {
        size_t len = strcspn(list, ",");

        if ((len == bare_len(name) || len == strlen(name))
            && memcmp(list, name, len) == 0) {
            return true;
        }
        list += len + (list[len] == ',' ? 1 : 0);
    }
    return false;
}

bool pn_interface_is_used(const char *list, const char *name)
{
    if (list != NULL) {
        return is_named(list, name);
    }
    for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++) {
        if (strncmp(name, left_out[i], strlen(left_out[i])) == 0) {
            return false;
        }
    }
    return !(bare_len(name) == 2 && memcmp(name, "lo", 2) == 0)
           && !is_bridge_of_docker(name);
}

const char *pn_interface_unused(const char *list, const pn_interface *entry)
{
    if (entry->is_loopback) {
        return "loopback";
    }
    if (!entry->is_up) {
        return "down";
    }
    if (entry->address.any.sa_family == AF_UNSPEC) {
        return "no-address";
    }
    if (!pn_interface_is_used(list, entry->name)) {
        return list == NULL ? "left-out" : "not-named";
    }
    return NULL;
}

size_t pn_interfaces_keep_used(
    const char *list, pn_interface *interfaces, size_t n)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (interfaces[i].is_loopback
            || pn_interface_is_used(list, interfaces[i].name)) {
            interfaces[n_kept++] = interfaces[i];
        }
    }
    return n_kept;
}

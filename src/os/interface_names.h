/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which interfaces of this host discovery is for, by their names. Bridges and
 * ends of containers and virtual machines, and tunnels, are left out unless the
 * owner names them: over them an announce reaches those it is not meant for,
 * and an address of them reaches nobody.
 */
#ifndef PN_OS_INTERFACE_NAMES_H
#define PN_OS_INTERFACE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "os/interfaces.h"

/* Of a list of names, with its NUL. */
#define PN_INTERFACE_NAMES_CAP 256

/* False: list (may be NULL) is no list "NAME,NAME,..." of names of 1 to 15
 * bytes, or does not fit. */
bool pn_interface_names_check(const char *list);
/* list NULL: every interface but loopback, those of containers and tunnels.
 * name may be the label of an address, "eth0:1": it is used with "eth0". */
bool pn_interface_is_used(const char *list, const char *name);
/* Why an entry of os/interfaces.h is of no use to discovery: "loopback",
 * "down", "no-address", "left-out" by the rule for names, "not-named" in the
 * list. NULL: it is of use. Static storage. */
const char *pn_interface_unused(const char *list, const pn_interface *entry);
/* Takes those that are not used out of the array, and leaves loopback there.
 * How many are left. */
size_t pn_interfaces_keep_used(
    const char *list, pn_interface *interfaces, size_t n);

#endif

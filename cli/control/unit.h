/* SPDX-License-Identifier: Apache-2.0 */
/* The systemd unit that a process runs in. */
#ifndef PN_CLI_UNIT_H
#define PN_CLI_UNIT_H

#include <stddef.h>

/* The service that a line of /proc/PID/cgroup names, such as
 * "0::/system.slice/peernet.service"; "" when it names none that fits. */
void cli_unit_of_cgroup(const char *text, char *ret_unit, size_t room);
/* The same of this process; "" unless systemd started it. */
void cli_unit_own(char *ret_unit, size_t room);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a service tells systemd (sd_notify(3)). Without libsystemd, or started
 * by anything else, it tells nobody. */
#ifndef PN_CLI_NOTIFY_H
#define PN_CLI_NOTIFY_H

#include <peernet/common.h>

/* True when systemd wants to be told. */
bool cli_notify_wanted(void);
/* Sends lines such as "READY=1\nSTATUS=...", 1023 bytes at most. A text in
 * them has no newline. */
void cli_notify(const char *format, ...) PN_PRINTF(1, 2);
/* How long this process may be silent before systemd restarts it, in
 * microseconds; 0: it does not look. */
uint64_t cli_notify_watchdog_us(void);

#endif

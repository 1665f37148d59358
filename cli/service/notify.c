/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#ifdef PN_CLI_SYSTEMD

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

bool cli_notify_wanted(void)
{
    return getenv("NOTIFY_SOCKET") != NULL;
}

/* The environment is kept, because a later call needs it; programs are given
 * one of their own. */
void cli_notify(const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)sd_notify(0, text);
}

uint64_t cli_notify_watchdog_us(void)
{
    uint64_t us = 0;

    return sd_watchdog_enabled(0, &us) > 0 ? us : 0;
}

#else

bool cli_notify_wanted(void)
{
    return false;
}

void cli_notify(const char *format, ...)
{
    (void)format;
}

uint64_t cli_notify_watchdog_us(void)
{
    return 0;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The systemd unit; see unit.h. systemd sets INVOCATION_ID for what it starts;
 * programs below inherit it, but those of a login session are in a scope and
 * not in a service. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE ".service"

void cli_unit_of_cgroup(const char *text, char *ret_unit, size_t room)
{
    size_t len = strcspn(text, "\n");
    const char *name = text + len;
    size_t n;

    while (name > text && name[-1] != '/') {
        name--;
    }
    n = (size_t)(text + len - name);
    ret_unit[0] = '\0';
    if (name > text && n < room && n > strlen(SERVICE)
        && strncmp(name + n - strlen(SERVICE), SERVICE, strlen(SERVICE)) == 0) {
        memcpy(ret_unit, name, n);
        ret_unit[n] = '\0';
    }
}

void cli_unit_own(char *ret_unit, size_t room)
{
    char text[1024] = "";
    FILE *file;

    ret_unit[0] = '\0';
    if (getenv("INVOCATION_ID") == NULL) {
        return;
    }
    file = fopen("/proc/self/cgroup", "re");
    if (file != NULL) {
        if (fgets(text, sizeof(text), file) != NULL) {
            cli_unit_of_cgroup(text, ret_unit, room);
        }
        (void)fclose(file);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoint files, for barrel_endpoint.exs:
 *
 *   publish DIR NAME HOST PORT   prints "ok"
 *   read DIR NAME...             prints "ok HOST PORT" for each
 *
 * or "error WHY".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lookup/endpoint_file.h"

static char why[1024];

static void do_read(const char *dir, const char *name)
{
    pn_barrel_endpoint endpoint;

    if (pn_barrel_endpoint_read(dir, name, &endpoint, why, sizeof(why))
        == PN_OK) {
        printf("ok %s %u\n", endpoint.host, (unsigned)endpoint.port);
    } else {
        printf("error %s\n", why);
    }
}

static void do_publish(
    const char *dir, const char *name, const char *host, const char *port)
{
    pn_barrel_endpoint endpoint = {.port = (uint16_t)strtoul(port, NULL, 10)};

    (void)snprintf(endpoint.host, sizeof(endpoint.host), "%s", host);
    if (pn_barrel_endpoint_publish(dir, name, &endpoint, why, sizeof(why))
        == PN_OK) {
        printf("ok\n");
    } else {
        printf("error %s\n", why);
    }
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "publish") == 0) {
        do_publish(argv[2], argv[3], argv[4], argv[5]);
        return 0;
    }
    if (argc >= 4 && strcmp(argv[1], "read") == 0) {
        for (int i = 3; i < argc; i++) {
            do_read(argv[2], argv[i]);
        }
        return 0;
    }
    return 2;
}

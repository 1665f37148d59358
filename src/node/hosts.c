/* SPDX-License-Identifier: Apache-2.0 */
/* See hosts.h. An address fits into the key of the map for public keys. */
#include "node/hosts.h"

#include <stdlib.h>
#include <string.h>

/* As pn_address_same_host compares. */
static pn_public_key key_of(const pn_address *address)
{
    pn_public_key key = {{0}};
    pn_address a = *address;

    pn_address_unmap(&a);
    if (a.any.sa_family == AF_INET6) {
        uint32_t scope = a.in6.sin6_scope_id;

        key.bytes[0] = 6;
        memcpy(key.bytes + 8, &a.in6.sin6_addr, 16);
        memcpy(key.bytes + 24, &scope, sizeof(scope));
    } else {
        key.bytes[0] = 4;
        memcpy(key.bytes + 8, &a.in.sin_addr, 4);
    }
    return key;
}

void pn_hosts_fini(pn_hosts *hosts)
{
    size_t cursor = 0;
    pn_host *host;

    while ((host = pn_map_next(&hosts->map, &cursor)) != NULL) {
        free(host);
    }
    pn_map_fini(&hosts->map);
}

pn_err pn_hosts_add(pn_hosts *hosts, const pn_address *address)
{
    pn_public_key key = key_of(address);
    pn_host *host = pn_map_get(&hosts->map, &key);
    pn_err err;

    if (host == NULL) {
        host = calloc(1, sizeof(*host));
        if (host == NULL) {
            return PN_NOMEM;
        }
        hosts->map.max = hosts->map.n + 1;
        err = pn_map_put(&hosts->map, &key, host);
        if (err != PN_OK) {
            free(host);
            return PN_NOMEM;
        }
    }
    host->n++;
    return PN_OK;
}

void pn_hosts_remove(pn_hosts *hosts, const pn_address *address)
{
    pn_public_key key = key_of(address);
    pn_host *host = pn_map_get(&hosts->map, &key);

    if (host != NULL && --host->n == 0) {
        (void)pn_map_remove(&hosts->map, &key);
        free(host);
    }
}

pn_host *pn_hosts_find(const pn_hosts *hosts, const pn_address *address)
{
    pn_public_key key = key_of(address);

    return pn_map_get(&hosts->map, &key);
}

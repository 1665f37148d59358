/* SPDX-License-Identifier: Apache-2.0 */
/* The interfaces of this host, and what discovery makes of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"
#include "os/interfaces.h"

static pn_interface_info *row_of(
    pn_interface_info *rows, size_t *n, const pn_interface *entry)
{
    for (size_t i = 0; i < *n; i++) {
        if (strcmp(rows[i].name, entry->name) == 0) {
            return &rows[i];
        }
    }
    rows[*n] = (pn_interface_info){.unused = "no-address"};
    memcpy(rows[*n].name, entry->name, sizeof(rows[*n].name));
    return &rows[(*n)++];
}

/* An interface has an entry for each of its addresses: it is used if one is,
 * and an address of IPv4 says more than others why not. */
static void row_add(
    pn_interface_info *row, const pn_interface *entry, const char *unused)
{
    bool is_ipv4 = entry->address.any.sa_family == AF_INET;
    bool is_first = row->address[0] == '\0';

    if (row->unused != NULL
        && (unused == NULL || is_first
            || strcmp(row->unused, "ipv6-only") == 0)) {
        row->unused = unused;
    }
    if (entry->address.any.sa_family != AF_UNSPEC
        && (is_first || (is_ipv4 && strchr(row->address, ':') != NULL))) {
        char text[PN_ADDRESS_TEXT_LEN];

        pn_address_host_text(&entry->address, text);
        (void)snprintf(row->address, sizeof(row->address), "%s", text);
    }
}

pn_err pn_list_interfaces(pn_node *node, const char *source,
    pn_interface_info **ret_interfaces, size_t *ret_n)
{
    pn_interface_info *rows;
    pn_interface *entries;
    size_t n_entries;
    size_t n = 0;
    pn_err err = pn_interfaces_list_all(&entries, &n_entries);

    if (err != PN_OK) {
        return err;
    }
    rows = calloc(n_entries + 1, sizeof(*rows));
    if (rows == NULL) {
        free(entries);
        return PN_NOMEM;
    }
    for (size_t i = 0; i < n_entries; i++) {
        row_add(row_of(rows, &n, &entries[i]), &entries[i],
            pn_node_net_unused(node, source, &entries[i]));
    }
    free(entries);
    *ret_interfaces = rows;
    *ret_n = n;
    return PN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which peer a person means. */
#include "peername.h"

#include <stdlib.h>
#include <string.h>

#include "escape.h"

pn_err cli_peer_of_list(const pn_store_peer *peers, size_t n, const char *name,
    pn_public_key *ret_key, cli_text *why)
{
    pn_err err = pn_store_find(peers, n, name, ret_key);

    if (err == PN_NOT_FOUND) {
        cli_text_puts(why, "no paired peer is \"");
        cli_escape(why, name, strlen(name), 80);
        cli_text_puts(why,
            "\": expected a label, a key, or at least 4 digits of a "
            "fingerprint");
    } else if (err == PN_INVALID) {
        cli_text_puts(why, "more than one paired peer is \"");
        cli_escape(why, name, strlen(name), 80);
        cli_text_puts(why, "\": use the key or more of the fingerprint");
    } else if (err != PN_OK) {
        cli_text_puts(why, pn_strerror(err));
    }
    return err;
}

pn_err cli_peer_of_node(
    pn_node *node, const char *name, pn_public_key *ret_key, cli_text *why)
{
    pn_peer_info *infos = NULL;
    pn_store_peer *peers;
    size_t n = 0;
    pn_err err = pn_list_peers(node, &infos, &n);

    if (err != PN_OK) {
        cli_text_puts(why, pn_strerror(err));
        return err;
    }
    peers = calloc(n + 1, sizeof(*peers));
    if (peers == NULL) {
        free(infos);
        cli_text_puts(why, pn_strerror(PN_NOMEM));
        return PN_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        peers[i].key = infos[i].key;
        memcpy(peers[i].label, infos[i].label, sizeof(peers[i].label));
    }
    err = cli_peer_of_list(peers, n, name, ret_key, why);
    free(peers);
    free(infos);
    return err;
}

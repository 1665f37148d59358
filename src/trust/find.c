/* SPDX-License-Identifier: Apache-2.0 */
/* Finds a peer by its name; see pn_store_find in peernet/store.h. */
#include <string.h>
#include <strings.h>

#include <peernet/store.h>

#include "base/mutant.h"

enum { PREFIX_MIN = 4 };

typedef bool fits_fn(const pn_store_peer *peer, const void *what);

static bool has_label(const pn_store_peer *peer, const void *what)
{
    return peer->label[0] != '\0' && strcmp(peer->label, what) == 0;
}

static bool has_key(const pn_store_peer *peer, const void *what)
{
    return pn_key_equal(&peer->key, what);
}

static bool has_prefix(const pn_store_peer *peer, const char *what)
{
    const size_t len = strlen(what);
    char fingerprint[PN_FINGERPRINT_LEN + 1];

    pn_key_fingerprint(&peer->key, fingerprint);
    return len >= PREFIX_MIN && len <= PN_FINGERPRINT_LEN
           && strncasecmp(fingerprint, what, len) == 0;
}

/* One peer's label may be the beginning of another's fingerprint: lists that
 * the originals write hold any label. */
static bool has_name(const pn_store_peer *peer, const void *what)
{
    return has_label(peer, what)
           || PN_REFUSE_IF(find_fingerprint, has_prefix(peer, what));
}

/* Finds the only peer that fits. Taking the first of several could send a
 * secret to the wrong peer. */
static pn_err find_one(const pn_store_peer *peers, size_t n, fits_fn *fits,
    const void *what, pn_public_key *ret_key)
{
    const pn_store_peer *found = NULL;

    for (size_t i = 0; i < n; i++) {
        if (!fits(&peers[i], what)) {
            continue;
        }
        if (PN_REFUSE_IF(find_ambiguous, found != NULL)) {
            return PN_INVALID;
        }
        found = &peers[i];
    }
    if (found == NULL) {
        return PN_NOT_FOUND;
    }
    *ret_key = found->key;
    return PN_OK;
}

pn_err pn_store_find(const pn_store_peer *peers, size_t n, const char *text,
    pn_public_key *ret_key)
{
    pn_public_key key;

    /* A label may look like a key, even like another peer's. */
    if (PN_REFUSE_IF(find_key_first, pn_key_parse(text, &key) == PN_OK)) {
        return find_one(peers, n, has_key, &key, ret_key);
    }
    return find_one(peers, n, has_name, text, ret_key);
}

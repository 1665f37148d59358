/* SPDX-License-Identifier: Apache-2.0 */
/* Finds a peer by name, and refuses labels that would be ambiguous. */
#include "peername.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mutant.h"
#include "nearest.h"
#include "peer_text.h"

/* As pn_store_find takes them for the beginning of a fingerprint. */
#define FINGERPRINT_MIN 4

static void add_quoted(cli_text *t, const char *word)
{
    cli_text_putc(t, '"');
    cli_escape(t, word, strlen(word), 80);
    cli_text_putc(t, '"');
}

/* ---- finding a peer ----------------------------------------------------- */

static void say_unknown(const pn_store_peer *peers, size_t n, const char *name,
    const char *also, cli_text *why)
{
    cli_nearest nearest;

    cli_text_puts(why, "no paired peer is ");
    add_quoted(why, name);
    cli_nearest_init(&nearest, name, strlen(name));
    for (size_t i = 0; i < n; i++) {
        cli_nearest_offer(&nearest, peers[i].label);
    }
    if (also != NULL) {
        cli_nearest_offer(&nearest, also);
    }
    cli_nearest_say(&nearest, "\"", "\"", why);
    if (nearest.best == NULL) {
        cli_text_puts(why, ": expected a label, a key, or at least 4 digits of "
                           "a fingerprint");
    }
}

pn_err cli_peer_of_list(const pn_store_peer *peers, size_t n, const char *name,
    const char *also, pn_public_key *ret_key, cli_text *why)
{
    pn_err err = pn_store_find(peers, n, name, ret_key);

    if (err == PN_NOT_FOUND) {
        say_unknown(peers, n, name, also, why);
    } else if (err == PN_INVALID) {
        cli_text_puts(why, "more than one paired peer is ");
        add_quoted(why, name);
        cli_text_puts(why, ": use the key or more of the fingerprint");
    } else if (err != PN_OK) {
        cli_text_puts(why, pn_strerror(err));
    }
    return err;
}

pn_err cli_peers_of_node(
    pn_node *node, pn_store_peer **ret_peers, size_t *ret_n)
{
    pn_peer_info *infos = NULL;
    pn_store_peer *peers;
    size_t n = 0;
    pn_err err = pn_list_peers(node, &infos, &n);

    if (err != PN_OK) {
        return err;
    }
    peers = calloc(n + 1, sizeof(*peers));
    if (peers == NULL) {
        free(infos);
        return PN_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        peers[i].key = infos[i].key;
        memcpy(peers[i].label, infos[i].label, sizeof(peers[i].label));
    }
    free(infos);
    *ret_peers = peers;
    *ret_n = n;
    return PN_OK;
}

pn_err cli_peer_of_node(pn_node *node, const char *name, const char *also,
    pn_public_key *ret_key, cli_text *why)
{
    pn_store_peer *peers = NULL;
    size_t n = 0;
    pn_err err = cli_peers_of_node(node, &peers, &n);

    if (err != PN_OK) {
        cli_text_puts(why, pn_strerror(err));
        return err;
    }
    err = cli_peer_of_list(peers, n, name, also, ret_key, why);
    free(peers);
    return err;
}

/* ---- labels ------------------------------------------------------------- */

static bool is_fingerprint(const char *label)
{
    size_t len = strlen(label);

    return len >= FINGERPRINT_MIN && len <= PN_FINGERPRINT_LEN
           && strspn(label, "0123456789abcdefABCDEF") == len;
}

/* The other meaning that a label would have; NULL: none. */
static const char *other_meaning(const char *label)
{
    pn_public_key key;

    if (strcasecmp(label, "paired") == 0) {
        return "means every paired peer after '--allow'";
    }
    if (strcasecmp(label, "granted") == 0) {
        return "means those of the file of grants after '--allow'";
    }
    if (pn_key_parse(label, &key) == PN_OK) {
        return "is a key";
    }
    if (is_fingerprint(label)) {
        return "looks like the beginning of a fingerprint";
    }
    if (strchr(label, '@') != NULL) {
        return "is written like a node of an Erlang cluster";
    }
    return NULL;
}

static const pn_store_peer *bearer(const pn_store_peer *peers, size_t n,
    const char *label, const pn_public_key *but)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(peers[i].label, label) == 0
            && (but == NULL || !pn_key_equal(&peers[i].key, but))) {
            return &peers[i];
        }
    }
    return NULL;
}

static bool label_is_clear(const pn_store_peer *peers, size_t n,
    const pn_public_key *key, const char *label, cli_text *why)
{
    const char *meaning = other_meaning(label);
    const pn_store_peer *other = bearer(peers, n, label, key);

    if (label[0] == '\0'
        || !PN_REFUSE_IF(cli_label_clear, meaning != NULL || other != NULL)) {
        return true;
    }
    cli_text_puts(
        why, "expected a label that cannot be taken for something else: ");
    add_quoted(why, label);
    if (meaning != NULL) {
        cli_text_printf(why, " %s", meaning);
    } else {
        char fingerprint[PN_FINGERPRINT_LEN + 1];

        pn_key_fingerprint(&other->key, fingerprint);
        cli_text_printf(why, " is what %s is called", fingerprint);
    }
    return false;
}

bool cli_label_check(const pn_store_peer *peers, size_t n,
    const pn_public_key *key, const char *label, char ret_old[static 256],
    cli_text *why)
{
    ret_old[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (pn_key_equal(&peers[i].key, key)) {
            memcpy(ret_old, peers[i].label, sizeof(peers[i].label));
        }
    }
    return label == NULL || label_is_clear(peers, n, key, label, why);
}

pn_err cli_name_check(pn_node *node, const char *name, cli_text *why)
{
    const char *meaning = other_meaning(name);
    pn_store_peer *peers = NULL;
    pn_public_key key;
    bool is_key = pn_key_parse(name, &key) == PN_OK;
    size_t n = 0;
    pn_err err = cli_peers_of_node(node, &peers, &n);

    if (err != PN_OK) {
        cli_text_puts(why, pn_strerror(err));
        return err;
    }
    /* cli_peer_of_list compares fingerprints too. */
    if (PN_REFUSE_IF(cli_name_ambiguous,
            meaning != NULL && !is_fingerprint(name)
                && bearer(peers, n, name, is_key ? &key : NULL) != NULL)) {
        add_quoted(why, name);
        cli_text_printf(why,
            " %s, and a paired peer bears it as its label: use the key of the "
            "peer, or call it something else with 'peernet pair KEY --label "
            "NEW'",
            meaning);
        err = PN_INVALID;
    }
    free(peers);
    return err;
}

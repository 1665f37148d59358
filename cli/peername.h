/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of peers: a key, a label or the beginning of a fingerprint, for
 * commands that read the trust list and for those that ask a node. Labels that
 * could be taken for another peer's name are refused.
 */
#ifndef PN_CLI_PEERNAME_H
#define PN_CLI_PEERNAME_H

#include <peernet/peernet.h>

#include "text.h"

/* The one of n peers that is called name. PN_OK; else a sentence in why and
 * PN_NOT_FOUND, PN_INVALID (more than one) or another error. also (may be
 * NULL): a word that may have been meant instead of a peer. */
PN_MUST_USE pn_err cli_peer_of_list(const pn_store_peer *peers, size_t n,
    const char *name, const char *also, pn_public_key *ret_key, cli_text *why);
/* The same among the paired peers of a node. */
PN_MUST_USE pn_err cli_peer_of_node(pn_node *node, const char *name,
    const char *also, pn_public_key *ret_key, cli_text *why);

/* The paired peers of a node as a list; only key and label are filled in.
 * Ownership: free() of *ret_peers. */
PN_MUST_USE pn_err cli_peers_of_node(
    pn_node *node, pn_store_peer **ret_peers, size_t *ret_n);

/*
 * True if key may get this label, which is one that cannot be taken for a key,
 * for a fingerprint, for a node of an Erlang cluster, for "paired" after
 * --allow, or for another of the n peers. "" is no label; NULL keeps the one
 * that is there. ret_old: the label that key has now. False with a sentence in
 * why.
 */
bool cli_label_check(const pn_store_peer *peers, size_t n,
    const pn_public_key *key, const char *label, char ret_old[static 256],
    cli_text *why);

/*
 * PN_INVALID, with a sentence in why, when name is the label of a paired peer
 * and means something else as well: every paired peer, a node of an Erlang
 * cluster, another key. Lists that the originals write may hold such labels.
 */
PN_MUST_USE pn_err cli_name_check(
    pn_node *node, const char *name, cli_text *why);

#endif

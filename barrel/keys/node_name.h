/* SPDX-License-Identifier: Apache-2.0 */
/* Node names of an Erlang cluster, as Barrel takes them;
 * docs/BARREL-PROTOCOL.md, sections 12 and 9.2. */
#ifndef PN_KEYS_NODE_NAME_H
#define PN_KEYS_NODE_NAME_H

#include <peernet/common.h>

#define PN_NODE_NAME_MAX 255

/* NAME@HOST: 1 to 255 bytes, one '@', neither part empty or beginning with '.'
 * or '-', every byte a letter, a digit or one of "_.-". */
bool pn_node_name_is_valid(const void *name, size_t len);

/*
 * True when one of the n patterns admits name without an identity: both are
 * split at the first '@', and each part of the pattern is "*" or the same
 * bytes. A pattern without '@' admits no name.
 */
bool pn_cookie_only_matches(
    const char *const *patterns, size_t n, const void *name, size_t len);

#endif

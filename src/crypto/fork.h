/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process is this? A number that is another one in a forked child, for
 * one load from memory: the kernel wipes the page that it is kept in. A child
 * must not seal with a key of its parent: both would use the same nonces (T32).
 */
#ifndef PN_CRYPTO_FORK_H
#define PN_CRYPTO_FORK_H

#include <stdint.h>

/* Never 0. Thread: any. */
uint64_t pn_fork_epoch(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A number that changes in a forked child and costs one load from memory: the
 * kernel wipes the page that holds it. A child must not seal with a key of its
 * parent, because both would use the same nonces (T32).
 */
#ifndef PN_CRYPTO_FORK_H
#define PN_CRYPTO_FORK_H

#include <stdint.h>

/* Never 0. Thread: any. */
uint64_t pn_fork_epoch(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for secrets: locked, left out of core dumps, zero in a forked child.
 * Each of the three is best effort; the wipe at the end is not.
 */
#include <sys/mman.h>

#include "crypto/crypto.h"

void *pn_secure_alloc(size_t n)
{
    void *p = mmap(
        NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        return NULL;
    }
    (void)mlock(p, n);
    (void)madvise(p, n, MADV_DONTDUMP);
    (void)madvise(p, n, MADV_WIPEONFORK);
    return p;
}

void pn_secure_free(void *p, size_t n)
{
    if (p == NULL) {
        return;
    }
    pn_wipe(p, n);
    (void)munmap(p, n);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See fork.h. Where the kernel cannot wipe pages the number stays the same. */
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#include "crypto/fork.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t fallback;
static _Atomic uint64_t *current = &fallback; /* 0 just after a fork */
static _Atomic uint64_t last;

static void epoch_init(void)
{
    void *p = mmap(NULL, sizeof(*current), PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        return;
    }
    if (madvise(p, sizeof(*current), MADV_WIPEONFORK) != 0) {
        (void)munmap(p, sizeof(*current));
        return;
    }
    current = p;
}

uint64_t pn_fork_epoch(void)
{
    uint64_t epoch;

    (void)pthread_once(&once, epoch_init);
    epoch = atomic_load_explicit(current, memory_order_relaxed);
    if (epoch == 0) {
        uint64_t next = atomic_fetch_add(&last, 1) + 1;

        /* The first thread's number is the one for all threads. */
        if (atomic_compare_exchange_strong(current, &epoch, next)) {
            epoch = next;
        }
    }
    return epoch;
}

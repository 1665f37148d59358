/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for secrets: locked, left out of core dumps, zero in a forked child.
 * Each of the three is done where the system can; the wipe at the end is always
 * done.
 *
 * Small pieces share pages: a handshake is 300 bytes, and mapping, locking and
 * unmapping a page for each would cost more than its hashing.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "crypto/crypto.h"

#define SLOT_LEN 512
#define N_SLOTS 32
#define REGION_LEN (SLOT_LEN * N_SLOTS)

/* A block of slots. The bits that say which are taken are not in it, so that
 * they survive the wipe after a fork. */
typedef struct region {
    struct region *next;
    uint8_t *base;
    uint32_t used; /* one bit a slot */
} region;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static region *regions;

static void *map_secret(size_t n)
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

static region *region_new(void)
{
    region *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return NULL;
    }
    r->base = map_secret(REGION_LEN);
    if (r->base == NULL) {
        free(r);
        return NULL;
    }
    r->next = regions;
    regions = r;
    return r;
}

static void *take_slot(region *r)
{
    unsigned i = (unsigned)__builtin_ctz(~r->used);

    r->used |= UINT32_C(1) << i;
    return r->base + (size_t)i * SLOT_LEN;
}

static void *slot_alloc(void)
{
    region *r;
    void *p = NULL;

    (void)pthread_mutex_lock(&lock);
    for (r = regions; r != NULL && r->used == UINT32_MAX; r = r->next) {}
    if (r == NULL) {
        r = region_new();
    }
    if (r != NULL) {
        p = take_slot(r);
    }
    (void)pthread_mutex_unlock(&lock);
    return p;
}

/* Gives an empty region back, unless it is the only one. */
static void release_if_empty(region **link)
{
    region *r = *link;

    if (r->used == 0 && (link != &regions || r->next != NULL)) {
        *link = r->next;
        (void)munmap(r->base, REGION_LEN);
        free(r);
    }
}

static void slot_free(uint8_t *p)
{
    region **link = &regions;

    pn_wipe(p, SLOT_LEN);
    (void)pthread_mutex_lock(&lock);
    while (*link != NULL && (size_t)(p - (*link)->base) >= REGION_LEN) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        (*link)->used &= ~(
            UINT32_C(1) << ((size_t)(p - (*link)->base) / SLOT_LEN));
        release_if_empty(link);
    }
    (void)pthread_mutex_unlock(&lock);
}

void *pn_secure_alloc(size_t n)
{
    return n <= SLOT_LEN ? slot_alloc() : map_secret(n);
}

void pn_secure_free(void *p, size_t n)
{
    if (p == NULL) {
        return;
    }
    if (n <= SLOT_LEN) {
        slot_free(p);
        return;
    }
    pn_wipe(p, n);
    (void)munmap(p, n);
}

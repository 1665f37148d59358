/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mutex that knows its holder, so that a function can assert that its caller
 * holds it. The holder is kept in builds with assertions only.
 */
#ifndef PN_OS_LOCK_H
#define PN_OS_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct pn_lock {
    pthread_mutex_t mutex;
    _Atomic(pthread_t) holder; /* 0: nobody; other threads read it as well */
} pn_lock;

void pn_lock_init(pn_lock *lock);
void pn_lock_fini(pn_lock *lock);
void pn_lock_take(pn_lock *lock);
void pn_lock_release(pn_lock *lock);

/* For assertions: this thread holds it. */
static inline bool pn_lock_is_mine(const pn_lock *lock)
{
    return pthread_equal(
               atomic_load_explicit(&lock->holder, memory_order_relaxed),
               pthread_self())
           != 0;
}

/* Waits for cond, with the lock released meanwhile. until: of the clock that
 * cond was made for; NULL: no limit. False: that time has come. */
bool pn_lock_wait(
    pn_lock *lock, pthread_cond_t *cond, const struct timespec *until);

#endif

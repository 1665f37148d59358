/* SPDX-License-Identifier: Apache-2.0 */
/* A mutex that knows its holder; see lock.h. */
#include "os/lock.h"

static void set_holder(pn_lock *lock, pthread_t holder)
{
#ifndef NDEBUG
    atomic_store_explicit(&lock->holder, holder, memory_order_relaxed);
#else
    (void)lock;
    (void)holder;
#endif
}

void pn_lock_init(pn_lock *lock)
{
    (void)pthread_mutex_init(&lock->mutex, NULL);
    set_holder(lock, (pthread_t){0});
}

void pn_lock_fini(pn_lock *lock)
{
    (void)pthread_mutex_destroy(&lock->mutex);
}

void pn_lock_take(pn_lock *lock)
{
    (void)pthread_mutex_lock(&lock->mutex);
    set_holder(lock, pthread_self());
}

void pn_lock_release(pn_lock *lock)
{
    set_holder(lock, (pthread_t){0});
    (void)pthread_mutex_unlock(&lock->mutex);
}

bool pn_lock_wait(
    pn_lock *lock, pthread_cond_t *cond, const struct timespec *until)
{
    int err;

    set_holder(lock, (pthread_t){0});
    err = until != NULL ? pthread_cond_timedwait(cond, &lock->mutex, until)
                        : pthread_cond_wait(cond, &lock->mutex);
    set_holder(lock, pthread_self());
    return err == 0;
}

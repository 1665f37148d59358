/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations shared by the files that use libuv. */
#ifndef PN_OS_LOOP_INTERNAL_H
#define PN_OS_LOOP_INTERNAL_H

#include <uv.h>

#include "base/heap.h"
#include "loop.h"

/* A heap of timers over one timerfd. It has room for every timer there is, so
 * that setting one cannot fail. */
typedef struct pn_timers {
    pn_heap heap;
    size_t n_timers;
    uint64_t armed_us; /* when the timerfd fires; PN_TIME_NEVER: it does not */
    int fd;
    uv_poll_t poll;
} pn_timers;

struct pn_loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; /* active while tasks wait: the loop does not */
    pn_timer *soon; /* armed while there may be soon_tasks */
    bool is_soon;
    pn_timers timers;
    uint64_t now_us;
    bool is_running;
    bool in_turn;
    void (*turn_end)(void *user);
    void *turn_end_user;
    pn_list tasks; /* of the next turn */
    pn_list turn_tasks;
    pn_list soon_tasks;
    uint8_t *read_buffer;
};

/* Closes a handle whose data is the allocation that it is embedded in. The
 * allocation is freed in libuv's close callback. */
void pn_handle_close(uv_handle_t *handle);

PN_MUST_USE pn_err pn_timers_init(pn_loop *loop);
void pn_timers_close(pn_loop *loop);
/* Makes the timerfd fire in time for the earliest timer. */
void pn_timers_arm(pn_loop *loop);

#endif

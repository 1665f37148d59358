/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop over libuv; see loop.h. libuv waits in the middle of its
 * iteration. The prepare handle ends the turn of callbacks before the wait, the
 * check handle that of callbacks after it. So a turn ends before every wait,
 * also when a program with a loop of its own runs ours once.
 */
#include <errno.h>
#include <stdlib.h>

#include <sys/mman.h>

#include "base/assert.h"
#include "loop_internal.h"
#include "os/clock.h"

/* Fits in the second-level cache of one core. */
enum { READ_BUFFER_LEN = 256 * 1024 };

struct pn_waker {
    uv_async_t async;
    pn_loop *loop;
    void (*callback)(void *user);
    void *user;
};

struct pn_watch {
    uv_poll_t poll;
    pn_loop *loop;
    void (*callback)(void *user);
    void *user;
};

/* ---- tasks ------------------------------------------------------------ */

static void task_append(pn_list *tasks, pn_task *task)
{
    if (task->item.list == NULL) {
        pn_list_append(tasks, &task->item);
    }
}

/* A task that is posted by another is not run in the same pass. */
static void tasks_run(pn_list *tasks)
{
    pn_task *task;

    for (uint32_t n = tasks->n;
         n > 0 && (task = PN_LIST_TAKE(tasks, pn_task, item)) != NULL; n--) {
        task->run(task->user);
    }
}

/* ---- turns ------------------------------------------------------------ */

uint64_t pn_loop_update_now(pn_loop *loop)
{
    loop->now_us = pn_monotonic_now_us();
    return loop->now_us;
}

uint64_t pn_loop_now_us(const pn_loop *loop)
{
    return loop->now_us;
}

void pn_loop_turn(pn_loop *loop)
{
    if (!loop->in_turn) {
        loop->in_turn = true;
        (void)pn_loop_update_now(loop);
    }
}

static void turn_end(pn_loop *loop)
{
    if (loop->in_turn) {
        if (loop->turn_end != NULL) {
            loop->turn_end(loop->turn_end_user);
        }
        tasks_run(&loop->turn_tasks);
        loop->in_turn = false;
    }
    pn_timers_arm(loop);
}

static void on_idle(uv_idle_t *idle)
{
    pn_loop *loop = idle->data;

    pn_loop_turn(loop);
    (void)uv_idle_stop(idle);
    tasks_run(&loop->tasks);
}

static void on_soon(void *user)
{
    pn_loop *loop = user;

    loop->is_soon = false;
    tasks_run(&loop->soon_tasks);
}

static void on_prepare(uv_prepare_t *prepare)
{
    turn_end(prepare->data);
}

static void on_check(uv_check_t *check)
{
    turn_end(check->data);
}

void pn_loop_post(pn_loop *loop, pn_task *task)
{
    task_append(&loop->tasks, task);
    (void)uv_idle_start(&loop->idle, on_idle);
}

void pn_loop_after_turn(pn_loop *loop, pn_task *task)
{
    task_append(&loop->turn_tasks, task);
}

/* A timer rather than a time-out of the wait, because the kernel would program
 * a hardware timer for each wait. */
void pn_loop_soon(pn_loop *loop, pn_task *task)
{
    task_append(&loop->soon_tasks, task);
    if (!loop->is_soon) {
        loop->is_soon = true;
        pn_timer_set(loop->soon, loop->now_us + PN_US_PER_MS);
    }
}

void pn_loop_on_turn_end(
    pn_loop *loop, void (*callback)(void *user), void *user)
{
    loop->turn_end = callback;
    loop->turn_end_user = user;
}

/* ---- life ------------------------------------------------------------- */

static void loop_start_handles(pn_loop *loop)
{
    (void)uv_prepare_init(&loop->uv, &loop->prepare);
    (void)uv_check_init(&loop->uv, &loop->check);
    (void)uv_idle_init(&loop->uv, &loop->idle);
    loop->prepare.data = loop;
    loop->check.data = loop;
    loop->idle.data = loop;
    (void)uv_prepare_start(&loop->prepare, on_prepare);
    (void)uv_check_start(&loop->check, on_check);
}

pn_err pn_loop_new(pn_loop **ret_loop)
{
    pn_loop *loop = calloc(1, sizeof(*loop));
    pn_err err;
    int r;

    if (loop == NULL) {
        return PN_NOMEM;
    }
    r = uv_loop_init(&loop->uv);
    if (r != 0) {
        free(loop);
        errno = -r;
        return PN_SYS;
    }
    loop_start_handles(loop);
    (void)pn_loop_update_now(loop);
    err = pn_timers_init(loop);
    if (err == PN_OK) {
        err = pn_timer_new(loop, on_soon, loop, &loop->soon);
    }
    if (err != PN_OK) {
        int saved = errno;

        pn_loop_free(loop);
        errno = saved;
        return err;
    }
    *ret_loop = loop;
    return PN_OK;
}

void pn_loop_free(pn_loop *loop)
{
    int r;

    if (loop == NULL) {
        return;
    }
    assert(!loop->is_running);
    while (loop->tasks.n > 0) {
        tasks_run(&loop->tasks); /* what is left of closing */
    }
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    pn_timer_free(loop->soon);
    pn_timers_close(loop);
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    r = uv_loop_close(&loop->uv);
    assert(r == 0); /* something on the loop was not closed */
    (void)r;
    if (loop->read_buffer != NULL) {
        (void)munmap(loop->read_buffer, READ_BUFFER_LEN);
    }
    free(loop);
}

void pn_loop_run(pn_loop *loop)
{
    loop->is_running = true;
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop->is_running = false;
}

void pn_loop_run_once(pn_loop *loop)
{
    loop->is_running = true;
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    loop->is_running = false;
}

void pn_loop_stop(pn_loop *loop)
{
    uv_stop(&loop->uv);
}

int pn_loop_fd(const pn_loop *loop)
{
    return uv_backend_fd(&loop->uv);
}

int pn_loop_timeout_ms(const pn_loop *loop)
{
    return uv_backend_timeout(&loop->uv);
}

static void on_handle_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void pn_handle_close(uv_handle_t *handle)
{
    uv_close(handle, on_handle_closed);
}

struct uv_loop_s *pn_loop_uv(pn_loop *loop)
{
    return &loop->uv;
}

/* Mapped rather than allocated: a page that no read has reached is not memory.
 */
uint8_t *pn_loop_read_buffer(pn_loop *loop, size_t *ret_cap)
{
    if (loop->read_buffer == NULL) {
        void *p = mmap(NULL, READ_BUFFER_LEN, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED) {
            return NULL;
        }
        loop->read_buffer = p;
    }
    *ret_cap = READ_BUFFER_LEN;
    return loop->read_buffer;
}

/* ---- wakers ----------------------------------------------------------- */

static void on_async(uv_async_t *async)
{
    pn_waker *waker = async->data;

    pn_loop_turn(waker->loop);
    waker->callback(waker->user);
}

pn_err pn_waker_new(pn_loop *loop, void (*callback)(void *user), void *user,
    pn_waker **ret_waker)
{
    pn_waker *waker = calloc(1, sizeof(*waker));

    if (waker == NULL) {
        return PN_NOMEM;
    }
    waker->loop = loop;
    waker->callback = callback;
    waker->user = user;
    waker->async.data = waker;
    if (uv_async_init(&loop->uv, &waker->async, on_async) != 0) {
        free(waker);
        return PN_SYS;
    }
    *ret_waker = waker;
    return PN_OK;
}

void pn_waker_wake(pn_waker *waker)
{
    (void)uv_async_send(&waker->async);
}

void pn_waker_free(pn_waker *waker)
{
    if (waker != NULL) {
        pn_handle_close((uv_handle_t *)&waker->async);
    }
}

/* ---- watches ---------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    pn_watch *watch = poll->data;

    (void)events;
    pn_loop_turn(watch->loop);
    /* libuv stops a handle whose descriptor has an error to report. The owner
     * fetches the error by reading, and data may follow it. */
    if (status < 0) {
        (void)uv_poll_start(poll, UV_READABLE, on_poll);
    }
    watch->callback(watch->user);
}

pn_err pn_watch_new(pn_loop *loop, int fd, void (*callback)(void *user),
    void *user, pn_watch **ret_watch)
{
    pn_watch *watch = calloc(1, sizeof(*watch));
    int r;

    if (watch == NULL) {
        return PN_NOMEM;
    }
    watch->loop = loop;
    watch->callback = callback;
    watch->user = user;
    r = uv_poll_init(&loop->uv, &watch->poll, fd);
    if (r != 0) {
        free(watch);
        errno = -r;
        return PN_SYS;
    }
    watch->poll.data = watch;
    (void)uv_poll_start(&watch->poll, UV_READABLE, on_poll);
    *ret_watch = watch;
    return PN_OK;
}

void pn_watch_free(pn_watch *watch)
{
    if (watch != NULL) {
        pn_handle_close((uv_handle_t *)&watch->poll);
    }
}

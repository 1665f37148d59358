/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop over libuv; see loop.h. libuv waits in the middle of its
 * iteration: what runs before that is ended in the prepare handle, what runs
 * after it in the check handle. So a turn has its end before every wait, also
 * when a program with a loop of its own lets us run once.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <sys/mman.h>

#include "os/loop_impl.h"

/* As much as one core's second-level cache holds comfortably. */
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

static void list_init(pn_task *head)
{
    head->next = head;
    head->prev = head;
}

static bool list_is_empty(const pn_task *head)
{
    return head->next == head;
}

static void list_append(pn_task *head, pn_task *task)
{
    task->prev = head->prev;
    task->next = head;
    head->prev->next = task;
    head->prev = task;
}

/* Moves all of from to the empty list to, so that what a task posts is not
 * run in the same pass. */
static void list_take(pn_task *from, pn_task *to)
{
    list_init(to);
    if (list_is_empty(from)) {
        return;
    }
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    list_init(from);
}

static void list_run(pn_task *from)
{
    pn_task batch;

    list_take(from, &batch);
    while (!list_is_empty(&batch)) {
        pn_task *task = batch.next;

        pn_task_cancel(task);
        task->run(task->user);
    }
}

void pn_task_cancel(pn_task *task)
{
    if (task->next == NULL) {
        return;
    }
    task->prev->next = task->next;
    task->next->prev = task->prev;
    task->next = NULL;
    task->prev = NULL;
}

/* ---- turns ------------------------------------------------------------ */

uint64_t pn_loop_update_now(pn_loop *loop)
{
    struct timespec ts;
    int r = clock_gettime(CLOCK_BOOTTIME, &ts);

    assert(r == 0);
    (void)r;
    loop->now_us = (uint64_t)ts.tv_sec * PN_US_PER_S
                   + (uint64_t)ts.tv_nsec / UINT64_C(1000);
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
        list_run(&loop->turn_tasks);
        loop->in_turn = false;
    }
    pn_timers_arm(loop);
}

static void on_idle(uv_idle_t *idle)
{
    pn_loop *loop = idle->data;

    pn_loop_turn(loop);
    (void)uv_idle_stop(idle);
    list_run(&loop->tasks);
}

static void on_soon(void *user)
{
    pn_loop *loop = user;

    loop->is_soon = false;
    list_run(&loop->soon_tasks);
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
    if (task->next == NULL) {
        list_append(&loop->tasks, task);
        (void)uv_idle_start(&loop->idle, on_idle);
    }
}

void pn_loop_after_turn(pn_loop *loop, pn_task *task)
{
    if (task->next == NULL) {
        list_append(&loop->turn_tasks, task);
    }
}

/* A timer of ours, not a time-out of the wait: the kernel would set a hardware
 * timer anew for each wait. */
void pn_loop_soon(pn_loop *loop, pn_task *task)
{
    if (task->next != NULL) {
        return;
    }
    list_append(&loop->soon_tasks, task);
    if (!loop->is_soon) {
        loop->is_soon = true;
        pn_timer_set(loop->soon, loop->now_us + PN_US_PER_MS);
    }
}

void pn_loop_at_free(pn_loop *loop, pn_task *task)
{
    if (task->next == NULL) {
        list_append(&loop->free_tasks, task);
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
    list_init(&loop->tasks);
    list_init(&loop->turn_tasks);
    list_init(&loop->soon_tasks);
    list_init(&loop->free_tasks);
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

static void run_last_tasks(pn_loop *loop)
{
    while (!list_is_empty(&loop->tasks)) {
        list_run(&loop->tasks);
    }
}

void pn_loop_free(pn_loop *loop)
{
    int r;

    if (loop == NULL) {
        return;
    }
    assert(!loop->is_running);
    run_last_tasks(loop); /* nobody is left but those who free */
    list_run(&loop->free_tasks);
    run_last_tasks(loop);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    pn_timer_free(loop->soon);
    pn_timers_close(loop);
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    r = uv_loop_close(&loop->uv);
    assert(r == 0); /* something on the loop was not closed */
    (void)r;
    free(loop->memory);
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

struct uv_loop_s *pn_loop_uv(pn_loop *loop)
{
    return &loop->uv;
}

/* Mapped rather than allocated: fresh pages, returned as a whole. */
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

static void on_waker_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void pn_waker_free(pn_waker *waker)
{
    if (waker != NULL) {
        uv_close((uv_handle_t *)&waker->async, on_waker_closed);
    }
}

/* ---- watches ---------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    pn_watch *watch = poll->data;

    (void)events;
    pn_loop_turn(watch->loop);
    /* libuv stops a handle whose descriptor has an error to report; the owner
     * fetches that by reading, and more may come behind it. */
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

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void pn_watch_free(pn_watch *watch)
{
    if (watch != NULL) {
        uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
    }
}

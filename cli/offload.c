/* SPDX-License-Identifier: Apache-2.0 */
/* A queue in front of one piece of work in libuv's thread pool. */
#include "offload.h"

#include <stdatomic.h>
#include <stdlib.h>

struct cli_offload {
    uv_loop_t *loop;
    uv_work_t request;
    cli_work *running; /* NULL: none */
    /* The same for the other thread. The atomic orders the memory of the two
     * threads; libuv does that as well, but thread checkers do not see it. */
    _Atomic(cli_work *) handed;
    cli_work *waiting;
    bool closing;
};

static void run(uv_work_t *request)
{
    cli_offload *offload = request->data;
    cli_work *work = atomic_load(&offload->handed);

    work->run(work);
    atomic_store(&offload->handed, NULL);
}

static void start_next(cli_offload *offload);

static void on_done(uv_work_t *request, int status)
{
    cli_offload *offload = request->data;
    cli_work *work = offload->running;

    (void)atomic_load(&offload->handed);
    offload->running = NULL;
    if (!offload->closing) {
        start_next(offload);
    }
    work->done(work, status == 0);
}

static void start_next(cli_offload *offload)
{
    cli_work *work = offload->waiting;

    if (work == NULL || offload->running != NULL) {
        return;
    }
    offload->waiting = work->next;
    work->next = NULL;
    offload->running = work;
    atomic_store(&offload->handed, work);
    /* Fails only for want of a function. */
    (void)uv_queue_work(offload->loop, &offload->request, run, on_done);
}

cli_offload *cli_offload_new(uv_loop_t *loop)
{
    cli_offload *offload = calloc(1, sizeof(*offload));

    if (offload != NULL) {
        offload->loop = loop;
        offload->request.data = offload;
    }
    return offload;
}

void cli_offload_start(cli_offload *offload, cli_work *work)
{
    cli_work **end = &offload->waiting;

    while (*end != NULL) {
        end = &(*end)->next;
    }
    work->next = NULL;
    *end = work;
    start_next(offload);
}

void cli_offload_close(cli_offload *offload)
{
    if (offload == NULL) {
        return;
    }
    offload->closing = true;
    while (offload->waiting != NULL) {
        cli_work *work = offload->waiting;

        offload->waiting = work->next;
        work->done(work, false);
    }
    while (offload->running != NULL) {
        (void)uv_run(offload->loop, UV_RUN_ONCE);
    }
    free(offload);
}

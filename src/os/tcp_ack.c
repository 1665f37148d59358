/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acknowledging at once. A peer that leaves Nagle's algorithm on, as every
 * Elixir node does, holds its second small message back until the first is
 * acknowledged. The kernel waits 40 ms for output of ours to carry that;
 * TCP_QUICKACK does it now, but costs a system call and a segment, a tenth of a
 * round trip on loopback.
 *
 * Output of the same turn carries the acknowledgement. In a turn without output
 * the first few reads are acknowledged at once, and later ones after a
 * millisecond, because by then the answer of a handler on another thread has
 * usually been written. If the peer's next bytes come right after such a late
 * acknowledgement, the peer was waiting for it, and the next reads are
 * acknowledged at once again.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "tcp_internal.h"

enum {
    EAGER_FIRST = 8,
    EAGER_AGAIN = 64,
    /* A read as large as this has been acknowledged by the kernel. */
    RECEIVED_LARGE = 64 * 1024
};

/* Bytes that come this soon after an acknowledgement were held back for it. */
#define FOLLOWS_US (2 * PN_US_PER_MS)

static void ack_now(const pn_tcp_ack *ack)
{
    int on = 1;

    (void)setsockopt(ack->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

/* Runs after the turn's output, if this connection wrote none; or late. */
static void on_task(void *user)
{
    pn_tcp_ack *ack = user;

    if (ack->is_late) {
        ack->is_late = false;
        ack->late_us = pn_loop_now_us(ack->loop);
        ack_now(ack);
    } else if (ack->eager > 0) {
        ack->eager--;
        ack_now(ack);
    } else {
        ack->is_late = true;
        pn_loop_soon(ack->loop, &ack->task);
    }
}

void pn_tcp_ack_init(pn_tcp_ack *ack, pn_loop *loop, int fd)
{
    *ack = (pn_tcp_ack){.loop = loop, .fd = fd, .eager = EAGER_FIRST};
    ack->task = (pn_task){.run = on_task, .user = ack};
}

void pn_tcp_ack_received(pn_tcp_ack *ack, size_t n)
{
    if (ack->late_us != 0
        && pn_loop_now_us(ack->loop) - ack->late_us < FOLLOWS_US) {
        ack->eager = EAGER_AGAIN;
    }
    ack->late_us = 0;
    /* A task that already waits for the late turn stays there. */
    if (n < RECEIVED_LARGE) {
        pn_loop_after_turn(ack->loop, &ack->task);
    }
}

void pn_tcp_ack_sent(pn_tcp_ack *ack)
{
    pn_tcp_ack_stop(ack);
    ack->late_us = 0;
}

void pn_tcp_ack_stop(pn_tcp_ack *ack)
{
    pn_task_cancel(&ack->task);
    ack->is_late = false;
}

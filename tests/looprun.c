/* SPDX-License-Identifier: Apache-2.0 */
#include "looprun.h"

#include <poll.h>

void pn_test_loop_step(pn_loop *loop, uint64_t until_us)
{
    int timeout = pn_loop_timeout_ms(loop);
    uint64_t now_us = pn_loop_update_now(loop);
    int left = until_us > now_us ? (int)((until_us - now_us) / 1000) + 1 : 0;
    struct pollfd p = {.fd = pn_loop_fd(loop), .events = POLLIN};

    if (timeout < 0 || timeout > left) {
        timeout = left;
    }
    (void)poll(&p, 1, timeout);
    pn_loop_run_once(loop);
}

void pn_test_loop_settle(pn_loop *loop, unsigned ms)
{
    uint64_t until_us = pn_loop_update_now(loop) + ms * PN_US_PER_MS;

    do {
        pn_test_loop_step(loop, until_us);
    } while (pn_loop_update_now(loop) < until_us);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a loop as a program with a loop of its own does. */
#ifndef PN_TESTS_LOOPRUN_H
#define PN_TESTS_LOOPRUN_H

#include "os/loop.h"

/* One turn, which waits for what comes, until then at most. */
void pn_test_loop_step(pn_loop *loop, uint64_t until_us);
/* Turns for so long, and at least one. */
void pn_test_loop_settle(pn_loop *loop, unsigned ms);

#endif

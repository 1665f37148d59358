/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A resolver in place of the system's for a whole test program. "slow.test" is
 * 10.0.0.1, once the gate is open; "N.many.test" has N addresses from 10.0.0.1
 * on, "N.same.test" that one N times, "any.test" is 0.0.0.0, "none.test" of no
 * family of ours. Names without ".test" are for the system.
 */
#ifndef PN_TESTS_OWN_RESOLVER_H
#define PN_TESTS_OWN_RESOLVER_H

#include <stdbool.h>

/* Opens or closes the gate, which is open. */
void own_resolver_open(bool is_open);
/* Waits until n questions wait at the gate. */
void own_resolver_wait(unsigned n);
/* How many questions there were. */
unsigned own_resolver_asked(void);

#endif

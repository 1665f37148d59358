/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A resolver in place of the system's for a whole test program. "slow.test" is
 * 10.0.0.1, once the gate is open; "N.many.test" has N addresses from 10.0.0.1
 * on, "N.same.test" that one N times, "N.loop.test" has N addresses from
 * 127.0.0.N down to 127.0.0.1, "any.test" is 0.0.0.0, "none.test" has a family
 * that we do not use, "here.test" has the address that the test sets. Names
 * without ".test" are for the system.
 */
#ifndef PN_TESTS_OWN_RESOLVER_H
#define PN_TESTS_OWN_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

/* Opens or closes the gate, which is open. */
void own_resolver_open(bool is_open);
/* Waits until n questions wait at the gate. */
void own_resolver_wait(unsigned n);
/* "here.test" is this IPv4 address from now on; 0, as in the beginning: there
 * is no such name. */
void own_resolver_place(uint32_t host);
/* How many questions there were. */
unsigned own_resolver_asked(void);

#endif

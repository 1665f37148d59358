/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs out on demand, for the thread that asks (FI-8). Linked with
 * --wrap (nomem_dep), so that only allocations of our own objects count.
 */
#ifndef PN_TESTS_NOMEM_H
#define PN_TESTS_NOMEM_H

#include <stdbool.h>

/* This thread's nth allocation from now on fails. */
void pn_nomem_begin(unsigned nth);
/* The same, and each that follows. */
void pn_nomem_begin_all(unsigned nth);
/* None fails from now on. True: one has failed since it began. */
bool pn_nomem_end(void);

#endif

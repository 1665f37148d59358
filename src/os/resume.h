/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this host has woken from suspend. */
#ifndef PN_OS_RESUME_H
#define PN_OS_RESUME_H

#include "os/loop.h"

typedef struct pn_resume pn_resume;

/* A sleep shorter than this is none. */
#define PN_RESUME_MIN_US PN_US_PER_S

/* The loop has a turn when the host wakes: at once where the kernel tells of it
 * (Linux 5.13 and newer), elsewhere when the first of its timers is due.
 * Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_resume_new(pn_loop *loop, pn_resume **ret_resume);
/* True when the host has slept since the last call. Cheap; for the end of each
 * turn. */
bool pn_resume_take(pn_resume *r);
void pn_resume_free(pn_resume *r); /* NULL is fine */

#endif

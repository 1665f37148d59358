/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The assert of <assert.h>, but it reports only the place: the text of each
 * condition and the name of its function would take 4 KB in libpeernet.
 */
#ifndef PN_BASE_ASSERT_H
#define PN_BASE_ASSERT_H

#include <assert.h> /* static_assert */

/* Prints the place and aborts. */
_Noreturn void pn_assert_failed(const char *file, int line);

#undef assert
#ifdef NDEBUG
#define assert(condition) ((void)0)
#else
#define assert(condition)                                                      \
    ((condition) ? (void)0 : pn_assert_failed(__FILE__, __LINE__))
#endif

#endif

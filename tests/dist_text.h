/* SPDX-License-Identifier: Apache-2.0 */
/* Reasons of the distribution engine as text, for output of tests. */
#ifndef PN_TESTS_DIST_TEXT_H
#define PN_TESTS_DIST_TEXT_H

#include "dist/dist_internal.h"

static inline const char *dist_reason_text(pn_dist_reason reason)
{
#define TEXT(name, text) [PN_DIST_REASON_##name] = (text),
    static const char *const texts[] = {PN_DIST_REASONS(TEXT)};
#undef TEXT

    return texts[reason];
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a failed assertion; see assert.h. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void pn_assert_failed(const char *file, int line)
{
    (void)fprintf(
        stderr, "%s:%d: an assertion of peernet failed\n", file, line);
    abort();
}

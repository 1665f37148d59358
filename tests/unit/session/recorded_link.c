/* SPDX-License-Identifier: Apache-2.0 */
/* See recorded_link.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorded_link.h"

json_t *recorded;

void fresh_ends(end *a, end *b)
{
    end_init(a, true, 21);
    end_init(b, false, 22);
    end_start(a, 0);
    end_start(b, 0);
}

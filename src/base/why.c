/* SPDX-License-Identifier: Apache-2.0 */
#include "base/why.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static pn_reason reason_of(pn_err err)
{
    switch (err) {
    case PN_NOMEM:
        return PN_REASON_OUT_OF_MEMORY;
    case PN_SYS:
        return PN_REASON_SYSTEM;
    default:
        return PN_REASON_NONE;
    }
}

PN_PRINTF(3, 0)
static void set(
    pn_why *ret_why, pn_reason reason, const char *format, va_list args)
{
    if (ret_why != NULL) {
        ret_why->reason = reason;
        (void)vsnprintf(ret_why->text, sizeof(ret_why->text), format, args);
    }
}

void pn_why_set(pn_why *ret_why, pn_reason reason, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set(ret_why, reason, format, args);
    va_end(args);
}

pn_err pn_why_fail(pn_why *ret_why, pn_err err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set(ret_why, reason_of(err), format, args);
    va_end(args);
    return err;
}

pn_err pn_why_complete(pn_why *ret_why, pn_err err)
{
    return err == PN_OK || ret_why == NULL || ret_why->text[0] != '\0'
               ? err
               : pn_why_fail(ret_why, err, "%s", pn_strerror(err));
}

void pn_why_add(pn_why *to, const char *sentence)
{
    size_t used;

    if (to == NULL) {
        return;
    }
    used = strlen(to->text);
    (void)snprintf(to->text + used, sizeof(to->text) - used, "%s%s",
        used > 0 ? "; " : "", sentence);
}

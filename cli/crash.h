/* SPDX-License-Identifier: Apache-2.0 */
/* A handler's crash in the form that Elixir prints. */
#ifndef PN_CLI_CRASH_H
#define PN_CLI_CRASH_H

#include <peernet/term.h>

#include "text.h"

/*
 * Appends the lines of {handler_crash, {error, Exception, Stacktrace}} or
 * {handler_crash, {throw | exit, Term}}: the exception with its message, then a
 * line for each call of the stack. False, and nothing appended, for any other
 * term. Long parts are cut. The result is the peer's text and has to be
 * escaped.
 */
bool cli_crash_to_text(pn_term reason, cli_text *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one function that peer text passes before it reaches a log, an event or
 * a terminal (RELIABILITY T27, T28).
 */
#ifndef PN_BASE_ESCAPE_H
#define PN_BASE_ESCAPE_H

#include <peernet/common.h>

#include "base/core.h"

/*
 * Copies text to out as printable UTF-8: control characters (C0, DEL, C1),
 * bidirectional and zero-width controls, line and paragraph separators,
 * non-characters and invalid UTF-8 become \xNN for each of their bytes, and a
 * backslash becomes \\. Stops after max_chars characters of input, or when out
 * (cap > 0 bytes, NUL-terminated always) is full, and ends with "..." when
 * something was left out and it fits. Returns the length written.
 */
PN_CORE size_t pn_escape(
    const char *text, size_t len, size_t max_chars, char *out, size_t cap);

/* True for a character that a terminal only draws. */
bool pn_is_plain(uint32_t code);

#endif

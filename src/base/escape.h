/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Escaping. All text of a peer passes pn_escape before it reaches a log, an
 * event or a terminal (docs/THREATS.md, T27 and T28).
 */
#ifndef PN_BASE_ESCAPE_H
#define PN_BASE_ESCAPE_H

#include <peernet/common.h>

#include "base/core.h"

/*
 * Copies text to out as printable UTF-8: control characters (C0, DEL, C1),
 * bidirectional and zero-width controls (but joiners of emoji), line and
 * paragraph separators, non-characters and invalid UTF-8 become \xNN for each
 * of their bytes, and a backslash becomes \\. Stops after max_chars characters
 * of input, or when out (cap > 0 bytes, NUL-terminated always) is full, and
 * ends with "..." when something was left out and it fits. Returns the length
 * written.
 */
PN_CORE size_t pn_escape(
    const char *text, size_t len, size_t max_chars, char *out, size_t cap);

/* True for a character that a terminal draws and takes no command from. */
bool pn_is_plain(uint32_t code);
/* True when p, within [start, end), is a zero-width joiner between two emoji,
 * which a terminal draws as one. Anywhere else a joiner is invisible and not
 * plain. */
bool pn_is_emoji_joiner(
    const uint8_t *start, const uint8_t *p, const uint8_t *end);

#endif

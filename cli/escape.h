/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that somebody else wrote, on its way to a terminal or into JSON. One
 * rule says which characters may pass as they are: printable UTF-8 without
 * control, format, bidirectional and invisible characters. RELIABILITY T27,
 * T28.
 */
#ifndef PN_CLI_ESCAPE_H
#define PN_CLI_ESCAPE_H

#include "text.h"

/* No limit of characters. */
#define CLI_ESCAPE_ALL SIZE_MAX
/* What a line of a log or table shows of one piece of peer text. */
#define CLI_ESCAPE_FIELD 128

/*
 * Reads one character of UTF-8 at data (len > 0 bytes). Returns its bytes and
 * the code point, or 0 when there is none: overlong, a surrogate, above
 * U+10FFFF, cut off.
 */
size_t cli_utf8_next(const void *data, size_t len, uint32_t *ret_code_point);
bool cli_utf8_is_valid(const void *data, size_t len);

/* True for a character that a terminal only draws. */
bool cli_is_plain(uint32_t code_point);

/*
 * Appends data with every byte that is not part of a plain character written
 * as \xNN; newline and tab too. What is over max_chars characters is left out
 * and "..." added. A backslash passes as it is: the result is for people.
 */
void cli_escape(cli_text *out, const void *data, size_t len, size_t max_chars);
/* The same for text of several lines: newlines and tabs pass. */
void cli_escape_lines(cli_text *out, const void *data, size_t len);

/*
 * Appends data as the inside of a JSON string. What is not plain becomes
 * \uXXXX, which loses nothing; bytes that are not UTF-8 become U+FFFD, so
 * whoever must not lose them checks first.
 */
void cli_escape_json(cli_text *out, const void *data, size_t len);

#endif

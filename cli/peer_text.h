/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreign text on its way to a terminal or into JSON. One
 * rule says which characters may pass as they are: printable UTF-8 without
 * control, format, bidirectional and invisible characters: the library's
 * pn_is_plain. docs/THREATS.md, T27 and T28.
 */
#ifndef PN_CLI_PEER_TEXT_H
#define PN_CLI_PEER_TEXT_H

#include "text.h"

/* No limit of characters. */
#define CLI_ESCAPE_ALL SIZE_MAX
/* The most characters of one piece of peer text in a line of a log or table. */
#define CLI_ESCAPE_FIELD 128

/*
 * Appends data with every byte that is not part of a plain character written as
 * \xNN; newline and tab too. Text over max_chars characters is left out and
 * "..." added. A backslash passes as it is, because the result is for display.
 */
void cli_escape(cli_text *out, const void *data, size_t len, size_t max_chars);
/* The same between single quotes. */
void cli_quote(cli_text *out, const void *data, size_t len, size_t max_chars);
/* The same for text of several lines: newlines and tabs pass. */
void cli_escape_lines(cli_text *out, const void *data, size_t len);

/*
 * Appends data as the inside of a JSON string. A character that is not plain
 * becomes \uXXXX, which loses nothing; bytes that are not UTF-8 become U+FFFD,
 * so a caller that must not lose them checks first.
 */
void cli_escape_json(cli_text *out, const void *data, size_t len);

#endif

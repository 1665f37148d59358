/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON objects straight into a text, one line each, so that nothing a
 * peer sends grows into a tree of ours. Commas look after themselves. A key of
 * NULL writes an element of an array.
 */
#ifndef PN_CLI_JSONOUT_H
#define PN_CLI_JSONOUT_H

#include "text.h"

void cli_json_open(cli_text *t, const char *key, char bracket); /* '{' '[' */
void cli_json_close(cli_text *t, char bracket);                 /* '}' ']' */
void cli_json_string(cli_text *t, const char *key, const char *value);
void cli_json_bytes(cli_text *t, const char *key, const void *data, size_t len);
void cli_json_int(cli_text *t, const char *key, int64_t value);
void cli_json_bool(cli_text *t, const char *key, bool value);
void cli_json_null(cli_text *t, const char *key);
/* value is JSON already. */
void cli_json_raw(cli_text *t, const char *key, const char *value, size_t len);

#endif

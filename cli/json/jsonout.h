/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON objects into a text, one line each, without a tree, so that a
 * peer's message costs no tree's memory. Commas are added as needed. A key of
 * NULL writes an element of an array.
 */
#ifndef PN_CLI_JSONOUT_H
#define PN_CLI_JSONOUT_H

#include <peernet/key.h>

#include "text.h"

void cli_json_open(cli_text *t, const char *key, char bracket); /* '{' '[' */
void cli_json_close(cli_text *t, char bracket);                 /* '}' ']' */
void cli_json_string(cli_text *t, const char *key, const char *value);
void cli_json_bytes(cli_text *t, const char *key, const void *data, size_t len);
void cli_json_int(cli_text *t, const char *key, int64_t value);
void cli_json_bool(cli_text *t, const char *key, bool value);
void cli_json_null(cli_text *t, const char *key);
/* A key as text: Base32, hexadecimal digits, or its fingerprint. */
void cli_json_base32(cli_text *t, const char *key, const pn_principal *who);
void cli_json_hex(
    cli_text *t, const char *key, const uint8_t value[PN_PUBLIC_KEY_LEN]);
void cli_json_fingerprint(
    cli_text *t, const char *key, const pn_principal *who);
/* "key" in Base32 and "fingerprint". */
void cli_json_who(cli_text *t, const pn_principal *who);
void cli_json_peer(cli_text *t, const pn_public_key *key);
/* Now, in ISO 8601 to the millisecond, UTC. */
void cli_json_time(cli_text *t, const char *key);
/* One line of output: '{' and the time it was made. Closed as any other. */
void cli_json_begin(cli_text *t);
/* An unknown value is null: an empty text, a number that is 0. */
void cli_json_known(cli_text *t, const char *key, const char *value);
void cli_json_known_int(cli_text *t, const char *key, int64_t value);
/* A time in microseconds since 1970 as ISO 8601 text; 0: null. */
void cli_json_at(cli_text *t, const char *key, int64_t us);
/* value is JSON already. */
void cli_json_raw(cli_text *t, const char *key, const char *value, size_t len);

#endif

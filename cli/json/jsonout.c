/* SPDX-License-Identifier: Apache-2.0 */
/* Writes JSON into a text. */
#include "jsonout.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "peer_text.h"

/* A comma stands between two members: that is, unless the text is at the
 * start of a line or of a container. */
static void json_name(cli_text *t, const char *key)
{
    char last = t->len == 0 ? '\n' : t->data[t->len - 1];

    if (last != '{' && last != '[' && last != '\n') {
        cli_text_putc(t, ',');
    }
    if (key != NULL) {
        cli_text_printf(t, "\"%s\":", key);
    }
}

void cli_json_open(cli_text *t, const char *key, char bracket)
{
    json_name(t, key);
    cli_text_putc(t, bracket);
}

void cli_json_close(cli_text *t, char bracket)
{
    cli_text_putc(t, bracket);
}

void cli_json_bytes(cli_text *t, const char *key, const void *data, size_t len)
{
    json_name(t, key);
    cli_text_putc(t, '"');
    cli_escape_json(t, data, len);
    cli_text_putc(t, '"');
}

void cli_json_string(cli_text *t, const char *key, const char *value)
{
    cli_json_bytes(t, key, value, strlen(value));
}

void cli_json_base32(cli_text *t, const char *key, const pn_principal *who)
{
    char base32[PN_BASE32_LEN + 1];

    pn_principal_to_base32(who, base32);
    cli_json_string(t, key, base32);
}

void cli_json_hex(
    cli_text *t, const char *key, const uint8_t value[PN_PUBLIC_KEY_LEN])
{
    json_name(t, key);
    cli_text_putc(t, '"');
    cli_text_hex(t, value, PN_PUBLIC_KEY_LEN);
    cli_text_putc(t, '"');
}

void cli_json_fingerprint(cli_text *t, const char *key, const pn_principal *who)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];

    pn_principal_fingerprint(who, fingerprint);
    cli_json_string(t, key, fingerprint);
}

void cli_json_who(cli_text *t, const pn_principal *who)
{
    cli_json_base32(t, "key", who);
    cli_json_fingerprint(t, "fingerprint", who);
}

void cli_json_peer(cli_text *t, const pn_public_key *key)
{
    pn_principal who = pn_peernet_principal(key);

    cli_json_who(t, &who);
}

void cli_json_int(cli_text *t, const char *key, int64_t value)
{
    json_name(t, key);
    cli_text_printf(t, "%" PRId64, value);
}

void cli_json_bool(cli_text *t, const char *key, bool value)
{
    json_name(t, key);
    cli_text_puts(t, value ? "true" : "false");
}

void cli_json_null(cli_text *t, const char *key)
{
    json_name(t, key);
    cli_text_puts(t, "null");
}

void cli_json_at(cli_text *t, const char *key, int64_t us)
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm utc;
    char text[40];
    size_t n;

    if (us <= 0 || gmtime_r(&seconds, &utc) == NULL) {
        cli_json_null(t, key);
        return;
    }
    n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(
        text + n, sizeof(text) - n, ".%03dZ", (int)(us / 1000 % 1000));
    cli_json_string(t, key, text);
}

void cli_json_time(cli_text *t, const char *key)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    cli_json_at(
        t, key, (int64_t)now.tv_sec * 1000000 + (int64_t)now.tv_nsec / 1000);
}

void cli_json_begin(cli_text *t)
{
    cli_json_open(t, NULL, '{');
    cli_json_time(t, "time");
}

void cli_json_known(cli_text *t, const char *key, const char *value)
{
    if (value == NULL || value[0] == '\0') {
        cli_json_null(t, key);
    } else {
        cli_json_string(t, key, value);
    }
}

void cli_json_known_int(cli_text *t, const char *key, int64_t value)
{
    if (value == 0) {
        cli_json_null(t, key);
    } else {
        cli_json_int(t, key, value);
    }
}

void cli_json_raw(cli_text *t, const char *key, const char *value, size_t len)
{
    json_name(t, key);
    cli_text_add(t, value, len);
}

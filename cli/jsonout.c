/* SPDX-License-Identifier: Apache-2.0 */
/* JSON straight into a text. */
#include "jsonout.h"

#include <inttypes.h>
#include <string.h>

#include "escape.h"

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

void cli_json_raw(cli_text *t, const char *key, const char *value, size_t len)
{
    json_name(t, key);
    cli_text_add(t, value, len);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A growing text with a sticky out-of-memory mark, and Base64 on it. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"

void cli_text_fini(cli_text *t)
{
    free(t->data);
    *t = (cli_text){0};
}

void cli_text_clear(cli_text *t)
{
    t->len = 0;
    if (t->data != NULL) {
        t->data[0] = '\0';
    }
}

/* Room for len bytes and the NUL; is_exact: and for no more. */
static bool text_room(cli_text *t, size_t len, bool is_exact)
{
    size_t cap = t->cap == 0 ? 64 : t->cap;
    char *data;

    t->failed = t->failed || len > SIZE_MAX / 4 || t->len > SIZE_MAX / 4;
    if (t->failed || t->cap - t->len > len) {
        return !t->failed;
    }
    while (cap - t->len <= len) {
        cap *= 2;
    }
    cap = is_exact ? t->len + len + 1 : cap;
    data = realloc(t->data, cap);
    t->failed = data == NULL;
    if (!t->failed) {
        t->data = data;
        t->cap = cap;
    }
    return !t->failed;
}

static void text_count(cli_text *t, size_t len)
{
    if (t->failed
        || PN_REFUSE_IF(cli_text_counted, len > t->max_counted - t->len)) {
        t->failed = true;
        return;
    }
    t->len += len;
}

void cli_text_reserve(cli_text *t, size_t len)
{
    if (text_room(t, len, true)) {
        t->data[t->len] = '\0';
    }
}

void cli_text_add(cli_text *t, const void *data, size_t len)
{
    if (t->counts) {
        text_count(t, len);
        return;
    }
    if (!text_room(t, len, false)) {
        return;
    }
    if (len > 0) {
        memcpy(t->data + t->len, data, len);
    }
    t->len += len;
    t->data[t->len] = '\0';
}

void cli_text_puts(cli_text *t, const char *string)
{
    cli_text_add(t, string, strlen(string));
}

void cli_text_putc(cli_text *t, char c)
{
    cli_text_add(t, &c, 1);
}

void cli_text_printf(cli_text *t, const char *format, ...)
{
    va_list args;
    va_list again;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    if (len < 0) {
        t->failed = true;
    } else if (t->counts) {
        text_count(t, (size_t)len);
    } else if (text_room(t, (size_t)len, false)) {
        (void)vsnprintf(t->data + t->len, (size_t)len + 1, format, again);
        t->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
}

void cli_text_hex(cli_text *t, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        cli_text_printf(t, "%02x", bytes[i]);
    }
}

void cli_text_drop(cli_text *t, size_t len)
{
    if (len >= t->len) {
        cli_text_clear(t);
        return;
    }
    memmove(t->data, t->data + len, t->len - len + 1);
    t->len -= len;
}

const char *cli_text_string(const cli_text *t)
{
    return t->data == NULL ? "" : t->data;
}

static bool is_listed(const cli_text *t, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = cli_text_string(t); *at != '\0';) {
        size_t n = strcspn(at, ",");

        if (n == len && memcmp(at, word, n) == 0) {
            return true;
        }
        at += n + (at[n] == ',');
    }
    return false;
}

void cli_text_list(cli_text *t, const char *word)
{
    if (!is_listed(t, word)) {
        if (t->len > 0) {
            cli_text_putc(t, ',');
        }
        cli_text_puts(t, word);
    }
}

/* ---- Base64 ------------------------------------------------------------- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void cli_base64_add(cli_text *t, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t)p[i] << 16
                         | (i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0)
                         | (i + 2 < len ? p[i + 2] : 0);
        const char quad[4] = {base64_digits[group >> 18 & 63],
            base64_digits[group >> 12 & 63],
            i + 1 < len ? base64_digits[group >> 6 & 63] : '=',
            i + 2 < len ? base64_digits[group & 63] : '='};

        cli_text_add(t, quad, sizeof(quad));
    }
}

/* Bits that the last digit does not use must be zero, or two texts would mean
 * the same bytes. */
bool cli_base64_decode(cli_text *t, const char *text, size_t len)
{
    size_t before = t->len;
    size_t end = len;
    uint32_t bits = 0;
    unsigned n_bits = 0;
    bool good = len % 4 == 0;

    while (end > 0 && len - end < 2 && text[end - 1] == '=') {
        end--;
    }
    for (size_t i = 0; good && i < end; i++) {
        const char *at = memchr(
            base64_digits, text[i], sizeof(base64_digits) - 1);

        good = at != NULL;
        bits = bits << 6 | (good ? (uint32_t)(at - base64_digits) : 0);
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            cli_text_putc(t, (char)(bits >> n_bits));
            bits &= (UINT32_C(1) << n_bits) - 1;
        }
    }
    good = good && bits == 0;
    t->len = good ? t->len : before;
    return good;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A growing text with a sticky out-of-memory mark, and Base64 on it. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Room for len bytes and the NUL. */
static bool text_reserve(cli_text *t, size_t len)
{
    size_t cap = t->cap == 0 ? 64 : t->cap;
    char *data = NULL;

    if (t->failed) {
        return false;
    }
    if (t->cap - t->len > len && t->data != NULL) {
        return true;
    }
    if (len > SIZE_MAX / 4 || t->len > SIZE_MAX / 4) {
        t->failed = true;
        return false;
    }
    while (cap - t->len <= len) {
        cap *= 2;
    }
    data = realloc(t->data, cap);
    if (data == NULL) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->cap = cap;
    return true;
}

void cli_text_add(cli_text *t, const void *data, size_t len)
{
    if (!text_reserve(t, len)) {
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
    } else if (text_reserve(t, (size_t)len)) {
        (void)vsnprintf(t->data + t->len, (size_t)len + 1, format, again);
        t->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
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

/* ---- Base64 ------------------------------------------------------------- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void cli_base64_add(cli_text *t, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t)p[i] << 16;
        char quad[4];

        if (i + 1 < len) {
            group |= (uint32_t)p[i + 1] << 8;
        }
        if (i + 2 < len) {
            group |= p[i + 2];
        }
        quad[0] = base64_digits[group >> 18 & 63];
        quad[1] = base64_digits[group >> 12 & 63];
        quad[2] = i + 1 < len ? base64_digits[group >> 6 & 63] : '=';
        quad[3] = i + 2 < len ? base64_digits[group & 63] : '=';
        cli_text_add(t, quad, sizeof(quad));
    }
}

static int base64_value(char c)
{
    const char *at = c == '\0' ? NULL : strchr(base64_digits, c);

    return at == NULL ? -1 : (int)(at - base64_digits);
}

/* One group of four digits; pad is how many of them are '='. Bits that a
 * shorter group does not use must be zero, or two texts would mean the same
 * bytes. */
static bool base64_group(const char *text, unsigned pad, uint8_t ret_bytes[3])
{
    uint32_t group = 0;

    for (unsigned i = 0; i < 4 - pad; i++) {
        int value = base64_value(text[i]);

        if (value < 0) {
            return false;
        }
        group |= (uint32_t)value << (18 - 6 * i);
    }
    if ((group & ((UINT32_C(1) << (8 * pad)) - 1)) != 0) {
        return false;
    }
    ret_bytes[0] = (uint8_t)(group >> 16);
    ret_bytes[1] = (uint8_t)(group >> 8);
    ret_bytes[2] = (uint8_t)group;
    return true;
}

bool cli_base64_decode(cli_text *t, const char *text, size_t len)
{
    size_t before = t->len;

    if (len % 4 != 0) {
        return false;
    }
    for (size_t i = 0; i < len; i += 4) {
        uint8_t bytes[3];
        unsigned pad = 0;

        if (i + 4 == len && text[i + 3] == '=') {
            pad = text[i + 2] == '=' ? 2 : 1;
        }
        if (!base64_group(text + i, pad, bytes)) {
            t->len = before;
            return false;
        }
        cli_text_add(t, bytes, 3 - pad);
    }
    return true;
}

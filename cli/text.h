/* SPDX-License-Identifier: Apache-2.0 */
/* A growing text, for output, a program's input or a socket. */
#ifndef PN_CLI_TEXT_H
#define PN_CLI_TEXT_H

#include <peernet/common.h>

/*
 * len bytes at data, always followed by a NUL once something was added.
 * Zero-filled is a valid empty text. When memory runs out `failed` is set and
 * stays set; later additions do nothing, and the caller asks once at the end.
 */
typedef struct cli_text {
    char *data;
    size_t len;
    size_t cap;
    bool failed;
    /* Keeps no bytes and counts them only; fails beyond max_counted. */
    bool counts;
    size_t max_counted;
} cli_text;

/* Frees the memory; the text is empty and usable afterwards. */
void cli_text_fini(cli_text *t);
/* Empties it and keeps the memory. */
void cli_text_clear(cli_text *t);
/* Takes memory for len more bytes at once, and for no more. */
void cli_text_reserve(cli_text *t, size_t len);
void cli_text_add(cli_text *t, const void *data, size_t len);
void cli_text_puts(cli_text *t, const char *string);
void cli_text_putc(cli_text *t, char c);
void cli_text_printf(cli_text *t, const char *format, ...) PN_PRINTF(2, 3);
/* Two hexadecimal digits a byte. */
void cli_text_hex(cli_text *t, const uint8_t *bytes, size_t len);
/* Drops len bytes (at most all) from the front. */
void cli_text_drop(cli_text *t, size_t len);
/* The text as a C string; "" when it is empty. Valid until the next change. */
const char *cli_text_string(const cli_text *t);
/* Adds a word to a list "A,B,..." that does not have it yet. */
void cli_text_list(cli_text *t, const char *word);

/* Standard Base64 (RFC 4648 section 4, with padding). */
void cli_base64_add(cli_text *t, const void *data, size_t len);
/* Appends what text decodes to; false, and nothing appended, when it is not
 * canonical Base64. */
bool cli_base64_decode(cli_text *t, const char *text, size_t len);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our codec as a port program: packets of 4 bytes length and a body, one
 * answer for each. codec.exs holds it against the BEAM's own.
 *
 *     g SEED   a random term        -> k BYTES-LEN BYTES TEXT
 *     d BYTES  decode               -> k BYTES-LEN BYTES TEXT | e REASON
 *              (BYTES written again in canonical form)
 *     t TEXT   read Elixir text     -> k BYTES | e EXPECTED
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "canonical.h"
#include "term/writer_internal.h"
#include "term_random.h"

static void put(pn_buf *out, const void *p, size_t n)
{
    if (pn_buf_append(out, p, n) != PN_OK) {
        abort();
    }
}

static void answer_error(pn_buf *out, const char *text)
{
    put(out, "e", 1);
    put(out, text, strlen(text));
}

/* Written again in canonical form, and printed. */
static void answer_term(pn_buf *out, pn_term term)
{
    pn_term_writer w;
    pn_slice bytes;
    uint8_t len[4];
    char *text;
    size_t text_len;

    pn_term_writer_init(&w, UINT32_MAX);
    write_canonical(&w, term);
    if (pn_term_writer_finish(&w, &bytes, NULL) != PN_OK) {
        answer_error(out, "cannot be written again");
    } else if (pn_term_to_text(term, &text, &text_len) != PN_OK) {
        answer_error(out, "cannot be printed");
    } else {
        pn_store_be32(len, (uint32_t)bytes.len);
        put(out, "k", 1);
        put(out, len, 4);
        put(out, bytes.data, bytes.len);
        put(out, text, text_len);
        free(text);
    }
    pn_term_writer_free(&w);
}

static void answer_decode(pn_buf *out, const uint8_t *body, size_t len)
{
    pn_term_error error;
    pn_term term;

    if (pn_term_parse(body, len, NULL, &term, &error) != PN_OK) {
        answer_error(out, error.text);
        return;
    }
    answer_term(out, term);
}

static void answer_random(pn_buf *out, const uint8_t *body, size_t len)
{
    uint64_t seed = len == 8 ? pn_load_be64(body) : 0;
    pn_term_writer w;
    pn_slice bytes;

    pn_term_writer_init(&w, 0);
    term_random_write(&w, &seed);
    if (pn_term_writer_finish(&w, &bytes, NULL) != PN_OK) {
        answer_error(out, "too large");
    } else {
        answer_decode(out, bytes.data, bytes.len);
    }
    pn_term_writer_free(&w);
}

static void answer_text(pn_buf *out, const uint8_t *body, size_t len)
{
    pn_term_writer w;
    pn_slice bytes;
    pn_text_error error = {0};

    pn_term_writer_init(&w, 0);
    if (pn_term_from_text(&w, (const char *)body, len, NULL, &error) != PN_OK) {
        char text[160];

        (void)snprintf(
            text, sizeof(text), "%s at %zu", error.expected, error.offset);
        answer_error(out, text);
    } else if (pn_term_writer_finish(&w, &bytes, NULL) != PN_OK) {
        answer_error(out, "cannot be written");
    } else {
        put(out, "k", 1);
        put(out, bytes.data, bytes.len);
    }
    pn_term_writer_free(&w);
}

static bool read_packet(pn_buf *in)
{
    uint8_t head[4];
    size_t len;

    if (fread(head, 1, 4, stdin) != 4) {
        return false;
    }
    len = pn_load_be32(head);
    pn_buf_consume(in, pn_buf_used(in));
    if (pn_buf_reserve(in, len) != PN_OK) {
        abort();
    }
    if (fread(in->data, 1, len, stdin) != len) {
        return false;
    }
    in->len = len;
    return len > 0;
}

static void write_packet(const pn_buf *out)
{
    uint8_t head[4];

    pn_store_be32(head, (uint32_t)pn_buf_used(out));
    if (fwrite(head, 1, 4, stdout) != 4
        || fwrite(out->data, 1, out->len, stdout) != out->len
        || fflush(stdout) != 0) {
        exit(1);
    }
}

int main(void)
{
    pn_buf in = {0};
    pn_buf out = {0};

    while (read_packet(&in)) {
        /* Exactly as large as it is, so a sanitizer sees a read past it. */
        size_t len = pn_buf_used(&in) - 1;
        uint8_t *body = malloc(len == 0 ? 1 : len);

        if (body == NULL) {
            abort();
        }
        memcpy(body, in.data + 1, len);
        pn_buf_consume(&out, pn_buf_used(&out));
        switch (in.data[0]) {
        case 'g':
            answer_random(&out, body, len);
            break;
        case 'd':
            answer_decode(&out, body, len);
            break;
        case 't':
            answer_text(&out, body, len);
            break;
        default:
            answer_error(&out, "unknown request");
            break;
        }
        free(body);
        write_packet(&out);
    }
    pn_buf_fini(&in);
    pn_buf_fini(&out);
    return 0;
}

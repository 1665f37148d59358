/* SPDX-License-Identifier: Apache-2.0 */
/* Bitstrings in Elixir text: <<1, 2::size(3), "text", 300::16>>. */
#include "term/text_internal.h"

enum { BITS_SIZE_DEFAULT = 8, BITS_SIZE_MAX = 64 };

/* Bits as they come, highest first. */
typedef struct bits {
    pn_buf out;
    unsigned used; /* of the last byte, 0 when it is full */
} bits;

static bool put_bits(pn_text *t, bits *b, uint64_t value, unsigned n)
{
    while (n > 0) {
        unsigned room = b->used == 0 ? 8 : 8 - b->used;
        unsigned take = n < room ? n : room;
        uint8_t part = (uint8_t)((value >> (n - take) & ((1U << take) - 1))
                                 << (room - take));
        static const uint8_t zero = 0;

        if (b->used == 0 && pn_buf_append(&b->out, &zero, 1) != PN_OK) {
            return pn_text_fail_as(t, PN_NOMEM, "more memory");
        }
        b->out.data[b->out.len - 1] |= part;
        b->used = (b->used + take) % 8;
        n -= take;
    }
    return true;
}

/* ::3 or ::size(3), if it is there. */
static bool read_size(pn_text *t, unsigned *ret_size)
{
    bool is_named;
    uint64_t size;

    *ret_size = BITS_SIZE_DEFAULT;
    if (!pn_text_accept(t, "::")) {
        return true;
    }
    is_named = pn_text_accept(t, "size(");
    if (!pn_text_take_uint(t, BITS_SIZE_MAX, &size)) {
        return pn_text_fail(t, "a size of 0 to 64 bits");
    }
    *ret_size = (unsigned)size;
    return !is_named || pn_text_accept(t, ")") || pn_text_fail(t, "')'");
}

/* Bits over the size are cut off at the top, as in Elixir. */
static bool read_number(pn_text *t, bits *b)
{
    bool is_negative = pn_text_accept(t, "-");
    uint64_t value;
    unsigned size;

    if (!pn_text_take_uint(t, UINT64_MAX, &value)) {
        return pn_text_fail(t, "a whole number of 64 bits, or a text");
    }
    return read_size(t, &size)
           && put_bits(t, b, is_negative ? 0 - value : value, size);
}

static bool read_part(pn_text *t, bits *b)
{
    const uint8_t *p;
    size_t len;

    if (t->at == t->end || *t->at != '"') {
        return read_number(t, b);
    }
    if (!pn_text_read_quoted(t, true)) {
        return false;
    }
    p = pn_buf_head(&t->scratch);
    len = pn_buf_used(&t->scratch);
    for (size_t i = 0; i < len; i++) {
        if (!put_bits(t, b, p[i], 8)) {
            return false;
        }
    }
    return true;
}

static bool read_parts(pn_text *t, bits *b)
{
    pn_text_skip_space(t);
    if (pn_text_accept(t, ">>")) {
        return true;
    }
    for (;;) {
        pn_text_skip_space(t);
        if (!read_part(t, b)) {
            return false;
        }
        pn_text_skip_space(t);
        if (pn_text_accept(t, ">>")) {
            return true;
        }
        if (!pn_text_accept(t, ",")) {
            return pn_text_fail(t, "',' or '>>'");
        }
    }
}

bool pn_text_read_bits(pn_text *t)
{
    bits b = {.used = 0};
    bool is_fine;

    if (!pn_text_accept(t, "<<")) {
        return pn_text_fail(t, "a value");
    }
    is_fine = read_parts(t, &b);
    if (is_fine) {
        pn_term_write_bitstring(t->w, pn_buf_head(&b.out), pn_buf_used(&b.out),
            b.used == 0 ? 8 : b.used);
    }
    pn_buf_fini(&b.out);
    return is_fine;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See term_input.h. */
#include <peernet/term.h>
#include <stdlib.h>
#include <string.h>

#include "term_input.h"

void put(input *in, uint8_t byte, size_t n)
{
    in->bytes = realloc(in->bytes, in->len + n + 1);
    if (in->bytes == NULL) {
        abort();
    }
    memset(in->bytes + in->len, byte, n);
    in->len += n;
}

input build(const char *recipe)
{
    static const uint8_t node[] = {119, 3, 'a', '@', 'b'};
    input in = {0};

    put(&in, 131, 1);
    while (*recipe != '\0') {
        char hex[3] = {recipe[0], recipe[1], '\0'};
        unsigned long n = 1;
        char *next;

        if (*recipe == ' ') {
            recipe++;
            continue;
        }
        if (*recipe == '@') {
            for (size_t i = 0; i < sizeof(node); i++) {
                put(&in, node[i], 1);
            }
            recipe++;
            continue;
        }
        recipe += 2;
        if (*recipe == '*') {
            n = strtoul(recipe + 1, &next, 10);
            recipe = next;
        }
        put(&in, (uint8_t)strtoul(hex, NULL, 16), n);
    }
    /* Exactly as large as it is. */
    in.bytes = realloc(in.bytes, in.len);
    return in;
}

void expect(
    input in, const pn_term_limits *limits, pn_err want, const char *text)
{
    pn_term_error error = {SIZE_MAX, ""};
    pn_term term = {0};
    pn_err err = pn_term_parse(in.bytes, in.len, limits, &term, &error);

    if (err != want) {
        fail_msg("%s (%s at %zu), expected %s", pn_err_name(err), error.text,
            error.offset, pn_err_name(want));
    }
    if (err == PN_OK) {
        assert_ptr_equal(term.data, in.bytes + 1);
        assert_int_equal(term.len, in.len - 1);
    } else {
        assert_null(term.data);
        assert_true(error.offset <= in.len);
        if (text != NULL) {
            assert_string_equal(error.text, text);
        }
    }
    free(in.bytes);
}

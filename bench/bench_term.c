/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding: 1 MiB of the worst case of every tag, and that the time is linear
 * (four times the bytes, four times the time).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peernet/term.h>

#include "base/bytes.h"
#include "bench.h"

enum { SIZE = 1 << 20 };

/* One worst case: fills at most len bytes of out, returns how many. */
typedef struct worst_case {
    const char *name;
    size_t (*fill)(uint8_t *out, size_t len);
} worst_case;

/* A list of as many copies of one element as fit. */
static size_t fill_list(uint8_t *out, size_t len, const void *element, size_t n)
{
    uint32_t count = (uint32_t)((len - 7) / n);

    out[0] = 131;
    out[1] = 108;
    pn_store_be32(out + 2, count);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(out + 6 + (size_t)i * n, element, n);
    }
    out[6 + (size_t)count * n] = 106;
    return 7 + (size_t)count * n;
}

#define LIST_OF(name, ...)                                                     \
    static size_t fill_##name(uint8_t *out, size_t len)                        \
    {                                                                          \
        static const uint8_t element[] = {__VA_ARGS__};                        \
                                                                               \
        return fill_list(out, len, element, sizeof(element));                  \
    }

LIST_OF(small_integers, 97, 200)
LIST_OF(integers, 98, 0x7f, 1, 2, 3)
LIST_OF(bignums, 110, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8)
LIST_OF(floats, 70, 0x40, 9, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18)
LIST_OF(small_atoms, 119, 2, 'o', 'k')
LIST_OF(latin1_atoms, 115, 2, 'o', 'k')
LIST_OF(empty_tuples, 104, 0)
LIST_OF(one_tuples, 104, 1, 97, 1)
LIST_OF(nils, 106)
LIST_OF(one_lists, 108, 0, 0, 0, 1, 97, 1, 106)
LIST_OF(strings, 107, 0, 1, 'x')
LIST_OF(empty_binaries, 109, 0, 0, 0, 0)
LIST_OF(bitstrings, 77, 0, 0, 0, 1, 3, 0xa0)
LIST_OF(empty_maps, 116, 0, 0, 0, 0)
LIST_OF(one_maps, 116, 0, 0, 0, 1, 97, 1, 97, 2)

/* One map of as many distinct integer keys as fit. */
static size_t fill_big_map(uint8_t *out, size_t len)
{
    uint32_t pairs = (uint32_t)((len - 6) / 7);

    out[0] = 131;
    out[1] = 116;
    pn_store_be32(out + 2, pairs);
    for (uint32_t i = 0; i < pairs; i++) {
        uint8_t *p = out + 6 + (size_t)i * 7;

        p[0] = 98;
        pn_store_be32(p + 1, i * 2654435761u);
        p[5] = 97;
        p[6] = 1;
    }
    return 6 + (size_t)pairs * 7;
}

/* 512 deep, as often as it fits. */
static size_t fill_deep(uint8_t *out, size_t len)
{
    enum { DEPTH = 510 };
    uint8_t element[2 * DEPTH + 2];

    for (size_t i = 0; i < DEPTH; i++) {
        element[2 * i] = 104;
        element[2 * i + 1] = 1;
    }
    element[sizeof(element) - 2] = 97;
    element[sizeof(element) - 1] = 1;
    return fill_list(out, len, element, sizeof(element));
}

static const worst_case cases[] = {
    {"small integers (97)", fill_small_integers},
    {"integers (98)", fill_integers},
    {"bignums (110)", fill_bignums},
    {"floats (70)", fill_floats},
    {"UTF-8 atoms (119)", fill_small_atoms},
    {"Latin-1 atoms (115)", fill_latin1_atoms},
    {"empty tuples (104)", fill_empty_tuples},
    {"tuples (104)", fill_one_tuples},
    {"empty lists (106)", fill_nils},
    {"lists (108)", fill_one_lists},
    {"strings (107)", fill_strings},
    {"empty binaries (109)", fill_empty_binaries},
    {"bitstrings (77)", fill_bitstrings},
    {"empty maps (116)", fill_empty_maps},
    {"maps (116)", fill_one_maps},
    {"one map of distinct keys", fill_big_map},
    {"tuples 511 deep", fill_deep},
};

static double decode_ms(const uint8_t *data, size_t len)
{
    double runs[9];

    for (int r = 0; r < 9; r++) {
        uint64_t start = bench_now_ns();
        pn_term_error why;
        pn_term term;

        if (pn_term_parse(data, len, NULL, &term, &why) != PN_OK) {
            fprintf(stderr, "refused: %s\n", why.text);
            exit(1);
        }
        runs[r] = (double)(bench_now_ns() - start) / 1e6;
    }
    return bench_median(runs, 9);
}

int main(void)
{
    uint8_t *data = malloc(SIZE);
    double slowest = 0;
    double least_linear = 0;
    const char *name = "";

    if (data == NULL) {
        return 1;
    }
    bench_pin(0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double quarter = decode_ms(data, cases[i].fill(data, SIZE / 4));
        double whole = decode_ms(data, cases[i].fill(data, SIZE));

        printf("    %-32s %7.2f ms, a quarter of it %6.2f ms\n", cases[i].name,
            whole, quarter);
        if (whole > slowest) {
            slowest = whole;
            name = cases[i].name;
        }
        if (whole / quarter > least_linear) {
            least_linear = whole / quarter;
        }
    }
    printf("    slowest: %s; four times the bytes at most %.1f times as long\n",
        name, least_linear);
    bench_result("decode 1 MiB, worst case of every tag", slowest, "ms", 15,
        slowest / 15, 1, 1);
    free(data);
    return 0;
}

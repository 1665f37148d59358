/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pn_term_parse against tables: every tag, every count at its edges, every
 * limit. BAD-2; T5 (lengths), T6 (compressed), T7 (counts and depth), T9
 * (numbers, names), T10 (funs, pids, cache).
 */
#include <peernet/term.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "term/term_hash.h"
#include "term_input.h"

/* ---- tags ---- */

/* One sample for each tag that is taken; all others are refused. */
static const struct {
    unsigned tag;
    const char *body;
} samples[] = {
    {70, "3ff8 00*6"},
    {77, "00000001 03 a0"},
    {88, "@ 00000001 00000000 00000001"},
    {89, "@ 00000001 00000001"},
    {90, "0001 @ 00000001 00000007"},
    {97, "07"},
    {98, "00000100"},
    {100, "0002 6f6b"},
    {101, "@ 00000007 01"},
    {102, "@ 00000001 01"},
    {103, "@ 00000001 00000000 01"},
    {104, "01 6101"},
    {105, "00000001 6101"},
    {106, ""},
    {107, "0001 61"},
    {108, "00000001 6101 6a"},
    {109, "00000001 61"},
    {110, "08 00 ff*8"},
    {111, "00000100 00 01*256"},
    {112, "00000037 01 00*16 00*4 00*4 77026f6b 6100 6100"
          "58 @ 00000001 00000000 00000001"},
    {113, "77026f6b 77026f6b 6101"},
    {114, "0001 @ 01 00000007"},
    {115, "02 6f6b"},
    {116, "00000001 6101 6102"},
    {118, "0002 6f6b"},
    {119, "02 6f6b"},
    {120, "@ 0000000000000001 00000001"},
};

/* Terms that are refused by name. */
static const struct {
    unsigned tag;
    const char *text;
} named[] = {
    {67, "atom cache references are refused"},
    {68, "distribution headers are refused"},
    {69, "distribution headers are refused"},
    {73, "references into a VM's memory are refused"},
    {74, "references into a VM's memory are refused"},
    {75, "references into a VM's memory are refused"},
    {78, "atom cache references are refused"},
    {80, "compressed terms are refused"},
    {82, "atom cache references are refused"},
    {99, "floats as text (FLOAT_EXT) are refused"},
    {117, "funs in the form of before OTP 23 are refused"},
    {121, "local terms (LOCAL_EXT) are refused"},
    {131, "a version byte inside a term"},
};

static const char *sample_of(unsigned tag)
{
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        if (samples[i].tag == tag) {
            return samples[i].body;
        }
    }
    return NULL;
}

static const char *name_of(unsigned tag)
{
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (named[i].tag == tag) {
            return named[i].text;
        }
    }
    return "a tag that is not known";
}

static void check_tag(unsigned tag, const char *before, const char *after)
{
    const char *body = sample_of(tag);
    char recipe[512];

    (void)snprintf(recipe, sizeof(recipe), "%s %02x %s %s", before, tag,
        body == NULL ? "00*64" : body, after);
    expect(
        build(recipe), NULL, body == NULL ? PN_MALFORMED : PN_OK, name_of(tag));
}

static void test_tag_top(void **state)
{
    check_tag((unsigned)(uintptr_t)*state, "", "");
}

static void test_tag_in_tuple(void **state)
{
    check_tag((unsigned)(uintptr_t)*state, "6803 6100", "6a");
}

static void test_tag_in_list(void **state)
{
    check_tag((unsigned)(uintptr_t)*state, "6c 00000002 6100", "6a");
}

static void test_tag_as_value(void **state)
{
    check_tag((unsigned)(uintptr_t)*state, "74 00000002 6100", "6101 6a");
}

/* As one key of two: every kind of term goes through the hash. */
static void test_tag_as_key(void **state)
{
    unsigned tag = (unsigned)(uintptr_t)*state;
    char recipe[512];

    if (tag != 112) {
        check_tag(tag, "74 00000002", "6100 770173 6a");
        return;
    }
    (void)snprintf(recipe, sizeof(recipe), "74 00000002 70 %s 6100 770173 6a",
        sample_of(tag));
    expect(build(recipe), NULL, PN_MALFORMED, "a fun inside a map key");
}

/* The same as both keys of a map: one key twice. */
static void test_tag_key_twice(void **state)
{
    unsigned tag = (unsigned)(uintptr_t)*state;
    const char *body = sample_of(tag);
    char recipe[1024];

    (void)snprintf(recipe, sizeof(recipe),
        "74 00000002 %02x %s 6100 %02x %s 6a", tag, body, tag, body);
    expect(build(recipe), NULL, PN_MALFORMED,
        tag == 112 ? "a fun inside a map key" : "a map with a key twice");
}

static void test_tag_prefixes(void **state)
{
    unsigned tag = (unsigned)(uintptr_t)*state;
    char recipe[512];
    input whole;

    (void)snprintf(
        recipe, sizeof(recipe), "6802 %02x %s 6a", tag, sample_of(tag));
    whole = build(recipe);
    for (size_t n = 0; n < whole.len; n++) {
        input part = {malloc(n == 0 ? 1 : n), n};

        assert_non_null(part.bytes);
        memcpy(part.bytes, whole.bytes, n);
        expect(part, NULL, PN_MALFORMED, NULL);
    }
    free(whole.bytes);
}

/* ---- counts and contents ---- */

typedef struct row {
    const char *name;
    const char *recipe;
    pn_err err;
    const char *text; /* NULL: whatever */
} row;

#define SHORT "the input ends inside a term"

#define OWED "more elements than there are bytes left"

static const row rows[] = {
    {"small_big/0", "6e 00 00", PN_OK, NULL},
    {"small_big/0_negative", "6e 00 01", PN_OK, NULL},
    {"small_big/1", "6e 01 00 05", PN_OK, NULL},
    {"small_big/max", "6e ff 00 01*255", PN_OK, NULL},
    {"small_big/left_plus_1", "6e 03 00 0101", PN_MALFORMED, SHORT},
    {"small_big/leading_zeros", "6e 04 00 01 000000", PN_OK, NULL},
    {"small_big/sign_7", "6e 01 07 05", PN_OK, NULL},
    {"large_big/0", "6f 00000000 00", PN_OK, NULL},
    {"large_big/1", "6f 00000001 00 05", PN_OK, NULL},
    {"large_big/511", "6f 000001ff 00 01*511", PN_OK, NULL},
    {"large_big/limit", "6f 00000200 00 01*512", PN_OK, NULL},
    {"large_big/limit_plus_1", "6f 00000201 00 01*513", PN_LIMIT,
        "an integer over the size limit"},
    {"large_big/limit_plus_1_zero_on_top", "6f 00000201 00 01*512 00", PN_LIMIT,
        "an integer over the size limit"},
    {"large_big/left_plus_1", "6f 00000003 00 0101", PN_MALFORMED, SHORT},
    {"large_big/2^32-1", "6f ffffffff 00 01*8", PN_MALFORMED, SHORT},
    {"float/largest", "46 7fef ff*6", PN_OK, NULL},
    {"float/infinity", "46 7ff0 00*6", PN_MALFORMED,
        "a float that is infinite or not a number"},
    {"float/minus_infinity", "46 fff0 00*6", PN_MALFORMED, NULL},
    {"float/signalling_nan", "46 7ff0 00*5 01", PN_MALFORMED, NULL},
    {"float/quiet_nan", "46 7ff8 00*6", PN_MALFORMED, NULL},
    {"float/negative_nan", "46 ffff ff*6", PN_MALFORMED, NULL},
    {"float/subnormal", "46 00*7 01", PN_OK, NULL},
    {"float/minus_zero", "46 80 00*7", PN_OK, NULL},
    {"atom/0", "64 0000", PN_OK, NULL},
    {"atom/1", "64 0001 61", PN_OK, NULL},
    {"atom/254", "64 00fe 61*254", PN_OK, NULL},
    {"atom/max", "64 00ff e9*255", PN_OK, NULL},
    {"atom/max_plus_1", "64 0100 61*256", PN_MALFORMED,
        "an atom of more than 255 characters"},
    {"atom/left_plus_1", "64 0003 6161", PN_MALFORMED, SHORT},
    {"atom/65535", "64 ffff 61*4", PN_MALFORMED, SHORT},
    {"small_atom/0", "73 00", PN_OK, NULL},
    {"small_atom/1", "73 01 e9", PN_OK, NULL},
    {"small_atom/max", "73 ff 61*255", PN_OK, NULL},
    {"small_atom/left_plus_1", "73 03 6161", PN_MALFORMED, SHORT},
    {"atom_utf8/0", "76 0000", PN_OK, NULL},
    {"atom_utf8/1", "76 0001 61", PN_OK, NULL},
    {"atom_utf8/254", "76 00fe 61*254", PN_OK, NULL},
    {"atom_utf8/max", "76 00ff 61*255", PN_OK, NULL},
    {"atom_utf8/max_plus_1", "76 0100 61*256", PN_MALFORMED,
        "an atom of more than 255 characters"},
    {"atom_utf8/left_plus_1", "76 0003 6161", PN_MALFORMED, SHORT},
    {"small_atom_utf8/0", "77 00", PN_OK, NULL},
    {"small_atom_utf8/1", "77 01 61", PN_OK, NULL},
    {"small_atom_utf8/max", "77 ff 61*255", PN_OK, NULL},
    {"small_atom_utf8/left_plus_1", "77 03 6161", PN_MALFORMED, SHORT},
    {"utf8/two_bytes", "77 02 c3a9", PN_OK, NULL},
    {"utf8/three_bytes", "77 03 e2988e", PN_OK, NULL},
    {"utf8/four_bytes", "77 04 f09f9880", PN_OK, NULL},
    {"utf8/last", "77 04 f48fbfbf", PN_OK, NULL},
    {"utf8/noncharacter", "77 03 efbfbf", PN_OK, NULL},
    {"utf8/nul", "77 01 00", PN_OK, NULL},
    {"utf8/lone_continuation", "77 01 80", PN_MALFORMED,
        "an atom that is not UTF-8"},
    {"utf8/latin1", "77 01 e9", PN_MALFORMED, NULL},
    {"utf8/cut_two", "77 01 c3", PN_MALFORMED, NULL},
    {"utf8/cut_three", "77 02 e298", PN_MALFORMED, NULL},
    {"utf8/cut_four", "77 03 f09f98", PN_MALFORMED, NULL},
    {"utf8/cut_by_ascii", "77 03 e29841", PN_MALFORMED, NULL},
    {"utf8/overlong_two", "77 02 c181", PN_MALFORMED, NULL},
    {"utf8/overlong_nul", "77 02 c080", PN_MALFORMED, NULL},
    {"utf8/overlong_three", "77 03 e08080", PN_MALFORMED, NULL},
    {"utf8/overlong_four", "77 04 f0808080", PN_MALFORMED, NULL},
    {"utf8/surrogate_low", "77 03 eda080", PN_MALFORMED, NULL},
    {"utf8/surrogate_high", "77 03 edbfbf", PN_MALFORMED, NULL},
    {"utf8/before_surrogates", "77 03 ed9fbf", PN_OK, NULL},
    {"utf8/after_surrogates", "77 03 ee8080", PN_OK, NULL},
    {"utf8/above_last", "77 04 f4908080", PN_MALFORMED, NULL},
    {"utf8/f5", "77 04 f5808080", PN_MALFORMED, NULL},
    {"utf8/ff", "77 01 ff", PN_MALFORMED, NULL},
    {"utf8/bad_in_ninth_byte", "77 09 61*8 80", PN_MALFORMED, NULL},
    {"utf8/bad_across_eighth_byte", "77 0a 61*7 c3 41 6161", PN_MALFORMED,
        NULL},
    {"small_tuple/0", "68 00", PN_OK, NULL},
    {"small_tuple/1", "68 01 6a", PN_OK, NULL},
    {"small_tuple/max", "68 ff 6a*255", PN_OK, NULL},
    {"small_tuple/left_plus_1", "68 03 6a6a", PN_MALFORMED, OWED},
    {"small_tuple/one_missing", "68 02 6101", PN_MALFORMED, SHORT},
    {"large_tuple/0", "69 00000000", PN_OK, NULL},
    {"large_tuple/1", "69 00000001 6a", PN_OK, NULL},
    {"large_tuple/256", "69 00000100 6a*256", PN_OK, NULL},
    {"large_tuple/left_plus_1", "69 00000003 6a6a", PN_MALFORMED, OWED},
    {"large_tuple/2^24", "69 01000000 6a*9", PN_MALFORMED, OWED},
    {"large_tuple/2^31", "69 80000000 6a*9", PN_MALFORMED, OWED},
    {"large_tuple/2^32-1", "69 ffffffff 6a*9", PN_MALFORMED, OWED},
    {"list/0", "6c 00000000 6a", PN_MALFORMED,
        "an empty list in the long form"},
    {"list/1", "6c 00000001 6a 6a", PN_OK, NULL},
    {"list/left", "6c 00000002 6a 6a", PN_MALFORMED, OWED},
    {"list/left_plus_1", "6c 00000003 6a 6a", PN_MALFORMED, OWED},
    {"list/2^31-1", "6c 7fffffff 6101 6a", PN_MALFORMED, OWED},
    {"list/2^32-1", "6c ffffffff 6a*9", PN_MALFORMED, OWED},
    {"list/improper", "6c 00000001 6101 6102", PN_OK, NULL},
    {"list/tail_binary", "6c 00000001 6101 6d 00000000", PN_OK, NULL},
    {"list/tail_tuple", "6c 00000001 6101 68 01 6a", PN_OK, NULL},
    {"list/tail_map", "6c 00000001 6101 74 00000000", PN_OK, NULL},
    {"list/tail_list", "6c 00000001 6101 6c 00000001 6101 6a", PN_MALFORMED,
        "a list as the tail of a list"},
    {"list/tail_string", "6c 00000001 6101 6b 0001 61", PN_MALFORMED,
        "a list as the tail of a list"},
    {"list/tail_empty_string", "6c 00000001 6101 6b 0000", PN_MALFORMED,
        "a list as the tail of a list"},
    {"list/tail_missing", "6c 00000001 6101", PN_MALFORMED, SHORT},
    {"list/element_list", "6c 00000002 6c 00000001 6101 6a 6b 0001 61 6a",
        PN_OK, NULL},
    {"string/0", "6b 0000", PN_OK, NULL},
    {"string/1", "6b 0001 61", PN_OK, NULL},
    {"string/max", "6b ffff 61*65535", PN_OK, NULL},
    {"string/left_plus_1", "6b 0003 6161", PN_MALFORMED, SHORT},
    {"binary/0", "6d 00000000", PN_OK, NULL},
    {"binary/1", "6d 00000001 ff", PN_OK, NULL},
    {"binary/left_plus_1", "6d 00000003 6161", PN_MALFORMED, SHORT},
    {"binary/2^31", "6d 80000000 6161", PN_MALFORMED, SHORT},
    {"binary/2^32-1", "6d ffffffff 6161", PN_MALFORMED, SHORT},
    {"bits/0_empty", "4d 00000000 00", PN_MALFORMED,
        "a bitstring of whole bytes"},
    {"bits/1_empty", "4d 00000000 01", PN_MALFORMED, NULL},
    {"bits/8_empty", "4d 00000000 08", PN_MALFORMED, NULL},
    {"bits/0", "4d 00000001 00 80", PN_MALFORMED, NULL},
    {"bits/1", "4d 00000001 01 80", PN_OK, NULL},
    {"bits/7", "4d 00000001 07 fe", PN_OK, NULL},
    {"bits/8", "4d 00000001 08 ff", PN_MALFORMED, "a bitstring of whole bytes"},
    {"bits/9", "4d 00000001 09 ff", PN_MALFORMED, NULL},
    {"bits/255", "4d 00000001 ff ff", PN_MALFORMED, NULL},
    {"bits/1_behind_the_end", "4d 00000001 01 c0", PN_MALFORMED,
        "a bitstring with bits after its end"},
    {"bits/7_behind_the_end", "4d 00000001 07 ff", PN_MALFORMED, NULL},
    {"bits/left_plus_1", "4d 00000003 01 8080", PN_MALFORMED, SHORT},
    {"bits/2^32-1", "4d ffffffff 01 8080", PN_MALFORMED, SHORT},
    {"map/0", "74 00000000", PN_OK, NULL},
    {"map/1", "74 00000001 6a 6a", PN_OK, NULL},
    {"map/2", "74 00000002 6a 6a 6101 6a", PN_OK, NULL},
    {"map/left_plus_1", "74 00000002 6a 6a 6a", PN_MALFORMED, OWED},
    {"map/value_missing", "74 00000001 6101", PN_MALFORMED, SHORT},
    {"map/2^24", "74 01000000 6a*9", PN_MALFORMED, OWED},
    {"map/2^31", "74 80000000 6a*9", PN_MALFORMED, OWED},
    {"map/2^32-1", "74 ffffffff 6a*9", PN_MALFORMED, OWED},
    {"owed/each_promises_what_is_left", "68 08 68 08 68 08 6a*6", PN_MALFORMED,
        OWED},
    {"newer_reference/0", "5a 0000 @ 00000001", PN_OK, NULL},
    {"newer_reference/1", "5a 0001 @ 00000001 ffffffff", PN_OK, NULL},
    {"newer_reference/5", "5a 0005 @ 00000001 01*20", PN_OK, NULL},
    {"newer_reference/6", "5a 0006 @ 00000001 01*24", PN_MALFORMED,
        "a reference of more than five words"},
    {"newer_reference/left_plus_1", "5a 0002 @ 00000001 01*7", PN_MALFORMED,
        SHORT},
    {"newer_reference/65535", "5a ffff @ 00000001 01*7", PN_MALFORMED, NULL},
    {"new_reference/0", "72 0000 @ 01", PN_OK, NULL},
    {"new_reference/1", "72 0001 @ 01 0003ffff", PN_OK, NULL},
    {"new_reference/19_bits", "72 0001 @ 01 00040000", PN_MALFORMED,
        "a reference that an old tag cannot have"},
    {"new_reference/5", "72 0005 @ 01 00000001 ff*16", PN_OK, NULL},
    {"new_reference/6", "72 0006 @ 01 00000001 ff*20", PN_MALFORMED, NULL},
    {"new_reference/creation_3", "72 0000 @ 03", PN_OK, NULL},
    {"new_reference/creation_4", "72 0000 @ 04", PN_MALFORMED,
        "a creation that an old tag cannot have"},
    {"reference/18_bits", "65 @ 0003ffff 00", PN_OK, NULL},
    {"reference/19_bits", "65 @ 00040000 00", PN_MALFORMED, NULL},
    {"reference/creation_3", "65 @ 00000001 03", PN_OK, NULL},
    {"reference/creation_4", "65 @ 00000001 04", PN_MALFORMED, NULL},
    {"pid/creation_3", "67 @ 00000001 00000000 03", PN_OK, NULL},
    {"pid/creation_4", "67 @ 00000001 00000000 04", PN_MALFORMED, NULL},
    {"port/creation_3", "66 @ 00000001 03", PN_OK, NULL},
    {"port/creation_4", "66 @ 00000001 04", PN_MALFORMED, NULL},
    {"new_pid/creation_max", "58 @ ff*8 ffffffff", PN_OK, NULL},
    {"new_port/creation_max", "59 @ ffffffff ffffffff", PN_OK, NULL},
    {"v4_port/max", "78 @ ff*8 ffffffff", PN_OK, NULL},
    {"pid/node_is_integer", "58 6101 00*12", PN_MALFORMED,
        "an opaque term without its atom"},
    {"pid/node_is_binary", "58 6d 00000001 61 00*12", PN_MALFORMED, NULL},
    {"pid/node_empty", "58 7700 00*12", PN_OK, NULL},
    {"pid/node_tag_100", "58 64 0003 614062 00*12", PN_OK, NULL},
    {"pid/node_tag_115", "58 73 03 614062 00*12", PN_OK, NULL},
    {"pid/node_tag_118", "58 76 0003 614062 00*12", PN_OK, NULL},
    {"pid/node_bad_utf8", "58 77 01 80 00*12", PN_MALFORMED,
        "an atom that is not UTF-8"},
    {"reference/node_is_integer", "5a 0001 6101 00000001 00000001",
        PN_MALFORMED, NULL},
    {"export/arity_0", "71 77026f6b 77026f6b 6100", PN_OK, NULL},
    {"export/arity_255", "71 77026f6b 77026f6b 61ff", PN_OK, NULL},
    {"export/arity_integer", "71 77026f6b 77026f6b 62 00000003", PN_MALFORMED,
        "an external fun without its arity"},
    {"export/arity_256", "71 77026f6b 77026f6b 62 00000100", PN_MALFORMED,
        NULL},
    {"export/arity_negative", "71 77026f6b 77026f6b 62 ffffffff", PN_MALFORMED,
        NULL},
    {"export/arity_big", "71 77026f6b 77026f6b 6e 01 00 00", PN_MALFORMED,
        NULL},
    {"export/module_integer", "71 6101 77026f6b 6101", PN_MALFORMED, NULL},
    {"export/function_integer", "71 77026f6b 6101 6101", PN_MALFORMED, NULL},
    {"fun/1_free",
        "70 00000039 01 00*20 00000001 77026f6b 6100 6100"
        "58 @ 00*12 6105",
        PN_OK, NULL},
    {"fun/255_free",
        "70 00000136 01 00*20 000000ff 77026f6b 6100 6100"
        "58 @ 00*12 6a*255",
        PN_OK, NULL},
    {"fun/256_free",
        "70 00000137 01 00*20 00000100 77026f6b 6100 6100"
        "58 @ 00*12 6a*256",
        PN_MALFORMED, "a fun of more than 255 free variables"},
    {"fun/2^32-1_free",
        "70 00000037 01 00*20 ffffffff 77026f6b 6100 6100 58 @ 00*12",
        PN_MALFORMED, NULL},
    {"fun/free_missing",
        "70 00000037 01 00*20 00000001 77026f6b 6100 6100 58 @ 00*12",
        PN_MALFORMED, OWED},
    {"fun/size_0",
        "70 00000000 01 00*20 00000000 77026f6b 6100 6100 58 @ 00*12",
        PN_MALFORMED, "a fun that is not as long as it says"},
    {"fun/size_minus_1",
        "70 00000036 01 00*20 00000000 77026f6b 6100 6100 58 @ 00*12",
        PN_MALFORMED, "a fun that is not as long as it says"},
    {"fun/size_plus_1",
        "6802 70 00000038 01 00*20 00000000 77026f6b 6100 6100 58 @ 00*12 6a",
        PN_MALFORMED, "a fun that is not as long as it says"},
    {"fun/size_left_plus_1",
        "70 00000038 01 00*20 00000000 77026f6b 6100 6100 58 @ 00*12",
        PN_MALFORMED, "a fun that is not as long as it says"},
    {"fun/size_2^32-1",
        "70 ffffffff 01 00*20 00000000 77026f6b 6100 6100 58 @ 00*12",
        PN_MALFORMED, "a fun that is not as long as it says"},
    {"fun/size_minus_1_with_free",
        "70 00000038 01 00*20 00000001 77026f6b 6100 6100 58 @ 00*12 6105",
        PN_MALFORMED, "a fun that is not as long as it says"},
    {"fun/size_plus_1_with_free",
        "6802 70 0000003a 01 00*20 00000001 77026f6b 6100 6100 58 @ 00*12"
        " 6105 6a",
        PN_MALFORMED, "a fun that is not as long as it says"},
    {"fun/module_integer",
        "70 00000035 01 00*20 00000000 6101 6100 6100 58 @ 00*12", PN_MALFORMED,
        "an opaque term without its atom"},
    {"fun/index_atom",
        "70 00000039 01 00*20 00000000 77026f6b 77026f6b 6100 58 @ 00*12",
        PN_MALFORMED, "a fun without its index or uniq"},
    {"fun/uniq_atom",
        "70 00000039 01 00*20 00000000 77026f6b 6100 77026f6b 58 @ 00*12",
        PN_MALFORMED, "a fun without its index or uniq"},
    {"fun/uniq_integer",
        "70 0000003a 01 00*20 00000000 77026f6b 6100 62 07ffffff 58 @ 00*12",
        PN_OK, NULL},
    {"fun/creator_integer",
        "70 00000027 01 00*20 00000000 77026f6b 6100 6100 6100", PN_MALFORMED,
        "a fun whose creator is no pid"},
    {"fun/creator_old_pid",
        "70 00000034 01 00*20 00000000 77026f6b 6100 6100 67 @ 00*9", PN_OK,
        NULL},
    {"fun/in_value_of_map",
        "74 00000002 6100 70 00000037 01 00*20 00000000 77026f6b 6100 6100"
        "58 @ 00*12 6101 6a",
        PN_OK, NULL},
    {"fun/in_tuple_in_key",
        "74 00000002 6801 70 00000037 01 00*20 00000000 77026f6b 6100 6100"
        "58 @ 00*12 6a 6101 6a",
        PN_MALFORMED, "a fun inside a map key"},
    {"trailing/one_byte", "6101 00", PN_MALFORMED, "bytes after the term"},
    {"trailing/one_term", "6101 6101", PN_MALFORMED, "bytes after the term"},
    {"trailing/after_tuple", "68 01 6a 6a", PN_MALFORMED, NULL},
    {"trailing/after_map", "74 00000001 6a 6a 6a", PN_MALFORMED, NULL},
    {"version/nested", "68 01 83 6101", PN_MALFORMED, NULL},
    {"compressed/top", "50 00000002 789c4b64040000c50063", PN_MALFORMED,
        "compressed terms are refused"},
    {"compressed/nested", "68 01 50 00000002 789c4b64040000c50063",
        PN_MALFORMED, "compressed terms are refused"},
};

static void test_row(void **state)
{
    const row *r = *state;

    expect(build(r->recipe), NULL, r->err, r->text);
}

/* Every row once more as the value of a key: the same answer. */
static void test_row_nested(void **state)
{
    const row *r = *state;
    char recipe[1024];

    (void)snprintf(recipe, sizeof(recipe),
        "74 00000002 6100 68 01 %s 6101 6a*40", r->recipe);
    if (r->err == PN_OK) {
        (void)snprintf(recipe, sizeof(recipe),
            "74 00000002 6100 68 01 %s 6101 6a", r->recipe);
    }
    expect(build(recipe), NULL, r->err == PN_OK ? PN_OK : r->err, NULL);
}

/* ---- limits ---- */

static input nested(size_t depth, const char *unit, size_t unit_len)
{
    input in = {0};

    put(&in, 131, 1);
    for (size_t i = 0; i < depth; i++) {
        for (size_t k = 0; k < unit_len; k++) {
            put(&in, (uint8_t)unit[k], 1);
        }
    }
    put(&in, 106, 1);
    return in;
}

static const struct {
    const char *name;
    const char *unit;
    size_t len;
    bool has_tail;
} nestings[] = {
    {"tuple", "h\1", 2, false},
    {"large_tuple", "i\0\0\0\1", 5, false},
    {"list", "l\0\0\0\1", 5, true},
    {"list_tail_tuple", "l\0\0\0\1jh\1", 8, false},
    {"map_value", "t\0\0\0\1j", 6, false},
};

static void check_depth(size_t which, uint32_t max, size_t depth, pn_err want)
{
    pn_term_limits limits;
    input in = nested(depth, nestings[which].unit, nestings[which].len);

    if (nestings[which].has_tail) {
        put(&in, 106, depth);
    }
    pn_term_limits_init(&limits);
    limits.max_depth = max;
    expect(in, &limits, want, "nested over the depth limit");
}

static void test_depth(void **state)
{
    size_t which = (size_t)(uintptr_t)*state;
    /* The unit of one of them nests twice. */
    size_t per = which == 3 ? 2 : 1;

    check_depth(which, 0, 510 / per, PN_OK);
    check_depth(which, 0, 512 / per, PN_OK);
    check_depth(which, 0, 512 / per + 1, PN_LIMIT);
    check_depth(which, 2, 2 / per, PN_OK);
    check_depth(which, 2, 2 / per + 1, PN_LIMIT);
    check_depth(which, 1000, 1000 / per, PN_OK);
    check_depth(which, 1000, 1000 / per + 1, PN_LIMIT);
}

static void test_depth_one(void **state)
{
    (void)state;
    check_depth(0, 1, 0, PN_OK);
    check_depth(0, 1, 1, PN_OK);
    check_depth(0, 1, 2, PN_LIMIT);
}

static void test_depth_largest(void **state)
{
    (void)state;
    check_depth(0, 65535, 65534, PN_OK);
    check_depth(0, 65535, 65535, PN_OK);
    check_depth(0, 65535, 65536, PN_LIMIT);
    check_depth(0, UINT32_MAX, 65536, PN_LIMIT);
}

/* An empty container and a string are not levels. */
static void test_depth_of_empty(void **state)
{
    static const char *const recipes[] = {"68 01 68 00", "68 01 74 00000000",
        "68 01 6a", "68 01 6b 0001 61", "68 01 69 00000000"};
    pn_term_limits limits;

    (void)state;
    pn_term_limits_init(&limits);
    limits.max_depth = 1;
    for (size_t i = 0; i < sizeof(recipes) / sizeof(recipes[0]); i++) {
        expect(build(recipes[i]), &limits, PN_OK, NULL);
    }
}

/* In keys, where hashes nest too. */
static void test_depth_in_keys(void **state)
{
    pn_term_limits limits;

    (void)state;
    for (uint32_t depth = 599; depth <= 601; depth++) {
        input in = {0};

        put(&in, 131, 1);
        for (uint32_t i = 0; i < depth; i++) {
            put(&in, 116, 1);
            put(&in, 0, 3);
            put(&in, 2, 1);
        }
        put(&in, 106, 1);
        for (uint32_t i = 0; i < depth; i++) {
            static const uint8_t rest[] = {97, 1, 97, 2, 97, 3};

            for (size_t k = 0; k < sizeof(rest); k++) {
                put(&in, rest[k], 1);
            }
        }
        pn_term_limits_init(&limits);
        limits.max_depth = 600;
        expect(in, &limits, depth <= 600 ? PN_OK : PN_LIMIT, NULL);
    }
}

static input binary_of(size_t total)
{
    input in = build("6d");
    size_t n = total - 6;

    put(&in, (uint8_t)(n >> 24), 1);
    put(&in, (uint8_t)(n >> 16), 1);
    put(&in, (uint8_t)(n >> 8), 1);
    put(&in, (uint8_t)n, 1);
    put(&in, 'x', n);
    return in;
}

static void test_bytes(void **state)
{
    pn_term_limits limits;

    (void)state;
    expect(binary_of(1048575), NULL, PN_OK, NULL);
    expect(binary_of(1048576), NULL, PN_OK, NULL);
    expect(binary_of(1048577), NULL, PN_LIMIT, "larger than the size limit");
    pn_term_limits_init(&limits);
    limits.max_bytes = 100;
    expect(binary_of(99), &limits, PN_OK, NULL);
    expect(binary_of(100), &limits, PN_OK, NULL);
    expect(binary_of(101), &limits, PN_LIMIT, "larger than the size limit");
    limits.max_bytes = 4194304;
    expect(binary_of(1048577), &limits, PN_OK, NULL);
}

static void test_bignum(void **state)
{
    pn_term_limits limits;

    (void)state;
    pn_term_limits_init(&limits);
    limits.max_bignum = 8;
    expect(build("6e 07 00 01*7"), &limits, PN_OK, NULL);
    expect(build("6e 08 00 01*8"), &limits, PN_OK, NULL);
    expect(build("6e 09 00 01*9"), &limits, PN_LIMIT, NULL);
    limits.max_bignum = 1;
    expect(build("6e 08 00 01*8"), &limits, PN_OK, NULL);
    limits.max_bignum = 65535;
    expect(build("6f 0000fffe 00 01*65534"), &limits, PN_OK, NULL);
    expect(build("6f 0000ffff 00 01*65535"), &limits, PN_OK, NULL);
    expect(build("6f 00010000 00 01*65536"), &limits, PN_LIMIT, NULL);
}

static void test_no_input(void **state)
{
    pn_term_error error;
    pn_term term = {0};

    (void)state;
    assert_int_equal(pn_term_parse(NULL, 0, NULL, &term, &error), PN_MALFORMED);
    assert_string_equal(error.text, "no bytes at all");
    assert_int_equal(error.offset, 0);
    assert_null(term.data);
}

static void test_version(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 256; v++) {
        uint8_t bytes[] = {(uint8_t)v, 106};
        pn_term term = {0};
        pn_err err = pn_term_parse(bytes, 2, NULL, &term, NULL);

        assert_int_equal(err, v == 131 ? PN_OK : PN_MALFORMED);
    }
}

static void test_error_offset(void **state)
{
    uint8_t bytes[] = {131, 104, 3, 97, 1, 99, 106};
    pn_term_error error;
    pn_term term = {0};

    (void)state;
    assert_int_equal(
        pn_term_parse(bytes, sizeof(bytes), NULL, &term, &error), PN_MALFORMED);
    assert_int_equal(error.offset, 5);
}

/* ---- large maps ---- */

static void add_tags(void)
{
    for (unsigned tag = 0; tag < 256; tag++) {
        void *row_of = (void *)(uintptr_t)tag;

        pn_test_addf(test_tag_top, row_of, "term/check/tag_%u/top", tag);
        pn_test_addf(
            test_tag_in_tuple, row_of, "term/check/tag_%u/in_tuple", tag);
        pn_test_addf(
            test_tag_in_list, row_of, "term/check/tag_%u/in_list", tag);
        pn_test_addf(
            test_tag_as_value, row_of, "term/check/tag_%u/as_value", tag);
        pn_test_addf(test_tag_as_key, row_of, "term/check/tag_%u/as_key", tag);
        if (sample_of(tag) != NULL) {
            pn_test_addf(
                test_tag_key_twice, row_of, "term/check/tag_%u/key_twice", tag);
            pn_test_addf(
                test_tag_prefixes, row_of, "term/check/tag_%u/prefixes", tag);
        }
    }
}

/* ---- the seed of the hashes ---------------------------------------------- */

int main(void)
{
    add_tags();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        void *r = (void *)(uintptr_t)&rows[i];

        pn_test_addf(test_row, r, "term/check/%s", rows[i].name);
        pn_test_addf(test_row_nested, r, "term/check/nested/%s", rows[i].name);
    }
    for (size_t i = 0; i < 5; i++) {
        pn_test_addf(
            test_depth, (void *)i, "term/check/depth/%s", nestings[i].name);
    }
    pn_test_add("term/check/depth/one", test_depth_one, NULL);
    pn_test_add("term/check/depth/largest", test_depth_largest, NULL);
    pn_test_add("term/check/depth/of_empty", test_depth_of_empty, NULL);
    pn_test_add("term/check/depth/in_keys", test_depth_in_keys, NULL);
    pn_test_add("term/check/bytes", test_bytes, NULL);
    pn_test_add("term/check/bignum", test_bignum, NULL);
    pn_test_add("term/check/no_input", test_no_input, NULL);
    pn_test_add("term/check/version", test_version, NULL);
    pn_test_add("term/check/error_offset", test_error_offset, NULL);
    return pn_test_run("term-check");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control messages: everything that a BEAM writes is read, every prefix and
 * every small change of it is refused, and our messages are those that a BEAM
 * would write (docs/BARREL-PROTOCOL.md, sections 15.3 and 16).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "dist/signal.h"
#include "harness.h"
#include "term/writer_internal.h"
#include "wire_text.h"

/* ---- recorded ------------------------------------------------------------ */

/* The fields of pn_dist_signal that are terms. */
static const char *const field_names[] = {
    "from", "to", "ref", "reason", "mfa", "options", "leader", "message"};
enum { N_FIELDS = sizeof(field_names) / sizeof(field_names[0]) };

static pn_term *field(pn_dist_signal *s, size_t i)
{
    pn_term *const fields[N_FIELDS] = {&s->from, &s->to, &s->ref, &s->reason,
        &s->mfa, &s->options, &s->leader, &s->message};

    return fields[i];
}

/* The term of the row; the bytes are the caller's to free with drop. */
static void expected(const json_t *row, pn_dist_signal *ret)
{
    const json_t *id = json_object_get(row, "id");

    *ret = (pn_dist_signal){
        .op = (pn_dist_op)json_integer_value(json_object_get(row, "op"))};
    if (id != NULL) {
        ret->id = strtoull(json_string_value(id), NULL, 10);
    }
    for (size_t i = 0; i < N_FIELDS; i++) {
        pn_term *at = field(ret, i);

        if (json_object_get(row, field_names[i]) != NULL) {
            at->data = pn_json_hex(row, field_names[i], &at->len);
        }
    }
}

static void drop(pn_dist_signal *s)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        free((void *)(uintptr_t)field(s, i)->data);
    }
}

static void assert_same(pn_dist_signal *got, pn_dist_signal *want)
{
    assert_int_equal(got->op, want->op);
    assert_true(got->id == want->id);
    for (size_t i = 0; i < N_FIELDS; i++) {
        pn_assert_bytes(field(got, i)->data, field(got, i)->len,
            field(want, i)->data, field(want, i)->len);
    }
}

static void test_read(void **state)
{
    const json_t *row = *state;
    pn_dist_signal got;
    pn_dist_signal want;
    size_t len;
    uint8_t *data = pn_json_hex(row, "data", &len);

    expected(row, &want);
    assert_int_equal(pn_dist_signal_read(data, len, NULL, &got), PN_OK);
    assert_same(&got, &want);
    for (size_t i = 0; i < N_FIELDS; i++) {
        const pn_term *at = field(&got, i);

        assert_true(at->len == 0
                    || (at->data > data && at->data + at->len <= data + len));
    }
    drop(&want);
    free(data);
}

/* Nothing is taken then. */
static void assert_refused(const uint8_t *data, size_t len)
{
    pn_dist_signal got;
    pn_dist_signal before;
    uint8_t *copy = malloc(len == 0 ? 1 : len);

    assert_non_null(copy);
    memcpy(copy, data, len);
    memset(&got, 0x5a, sizeof(got));
    memcpy(&before, &got, sizeof(got));
    assert_int_equal(pn_dist_signal_read(copy, len, NULL, &got), PN_CORRUPT);
    assert_memory_equal(&got, &before, sizeof(got));
    free(copy);
}

static void test_prefixes(void **state)
{
    const json_t *row = *state;
    size_t len;
    uint8_t *data = pn_json_hex(row, "data", &len);
    uint8_t *more = malloc(len + 2);

    for (size_t n = 0; n < len; n++) {
        assert_refused(data, n);
    }
    assert_non_null(more);
    memcpy(more, data, len);
    more[len] = 106;
    more[len + 1] = 131;
    assert_refused(more, len + 1);
    assert_refused(more, len + 2);
    free(more);
    free(data);
}

static void test_write(void **state)
{
    const json_t *row = *state;
    pn_dist_signal s;
    pn_buf out = {0};
    size_t len;
    uint8_t *data = pn_json_hex(row, "data", &len);

    expected(row, &s);
    assert_int_equal(pn_buf_append(&out, "before", 6), PN_OK);
    assert_int_equal(pn_dist_signal_write(&out, &s, 0), PN_OK);
    assert_non_null(out.data);
    assert_int_equal(pn_load_be32(out.data + 6), len);
    pn_assert_bytes(pn_buf_head(&out) + 10, pn_buf_used(&out) - 10, data, len);
    pn_buf_fini(&out);
    drop(&s);
    free(data);
}

/* The limit at n - 1, n and n + 1, and what is before stays. */
static void test_write_limit(void **state)
{
    const json_t *row = *state;
    pn_dist_signal s;
    pn_buf out = {0};
    size_t len;

    free(pn_json_hex(row, "data", &len));
    expected(row, &s);
    assert_int_equal(pn_buf_append(&out, "before", 6), PN_OK);
    pn_buf_consume(&out, 2);
    assert_int_equal(pn_dist_signal_write(&out, &s, len - 1), PN_TOO_LARGE);
    pn_assert_bytes(
        pn_buf_head(&out), pn_buf_used(&out), (const uint8_t *)"fore", 4);
    assert_int_equal(pn_dist_signal_write(&out, &s, len), PN_OK);
    assert_int_equal(pn_dist_signal_write(&out, &s, len + 1), PN_OK);
    assert_int_equal(pn_buf_used(&out), 4 + 2 * (4 + len));
    pn_buf_fini(&out);
    drop(&s);
}

/* Each field that the operation has, missing and of another kind. */
static void test_write_fields(void **state)
{
    static const uint8_t part[] = {97};
    static const uint8_t strange[] = {97, 1};
    const json_t *row = *state;
    pn_dist_signal s;
    pn_buf out = {0};

    expected(row, &s);
    for (size_t i = 0; i < N_FIELDS; i++) {
        pn_term was = *field(&s, i);
        bool is_any = field(&s, i) == &s.message
                      || (field(&s, i) == &s.reason
                          && s.op != PN_DIST_SPAWN_REPLY);

        if (was.len == 0) {
            continue;
        }
        *field(&s, i) = (pn_term){NULL, 0};
        assert_int_equal(pn_dist_signal_write(&out, &s, 0), PN_INVALID);
        *field(&s, i) = (pn_term){part, sizeof(part)};
        assert_int_equal(pn_dist_signal_write(&out, &s, 0), PN_INVALID);
        *field(&s, i) = (pn_term){was.data, was.len - 1};
        assert_int_equal(pn_dist_signal_write(&out, &s, 0), PN_INVALID);
        *field(&s, i) = (pn_term){strange, sizeof(strange)};
        assert_int_equal(
            pn_dist_signal_write(&out, &s, 0), is_any ? PN_OK : PN_INVALID);
        pn_buf_consume(&out, pn_buf_used(&out));
        *field(&s, i) = was;
    }
    if (s.op == PN_DIST_UNLINK_ID || s.op == PN_DIST_UNLINK_ID_ACK) {
        s.id = 0;
        assert_int_equal(pn_dist_signal_write(&out, &s, 0), PN_INVALID);
    }
    assert_int_equal(pn_buf_used(&out), 0);
    pn_buf_fini(&out);
    drop(&s);
}

static void test_unknown(void **state)
{
    const json_t *row = *state;
    pn_dist_signal got;
    size_t len;
    uint8_t *data = pn_json_hex(row, "data", &len);

    assert_int_equal(pn_dist_signal_read(data, len, NULL, &got), PN_NOT_FOUND);
    for (size_t n = 0; n < len; n++) {
        pn_err err = pn_dist_signal_read(data, n, NULL, &got);

        /* A prefix that ends before the message has no message. */
        assert_true(err == PN_CORRUPT || err == PN_NOT_FOUND);
    }
    free(data);
}

/* ---- messages that no BEAM writes ---------------------------------------- */

#define A                                                                      \
    "\x77\x01"                                                                 \
    "a"
#define PID                                                                    \
    "\x58" A "\0\0\0\1"                                                        \
    "\0\0\0\2"                                                                 \
    "\0\0\0\3"
#define REF                                                                    \
    "\x5a\0\1" A "\0\0\0\3"                                                    \
    "\0\0\0\1"
#define MFA "\x68\x03" A A "\x61\x02"
#define PASS "\x70\x83"
#define HEAD(n) PASS "\x68" n "\x61"

typedef struct bad_row {
    const char *name;
    const char *data;
    size_t len;
} bad_row;

#define BAD(name, data)                                                        \
    {                                                                          \
        name, data, sizeof(data) - 1                                           \
    }

static bad_row bad[] = {
    BAD("no bytes", ""),
    BAD("112 alone", "\x70"),
    BAD("no term", PASS),
    BAD("another first byte", "\x71\x83\x68\x03\x61\x01" PID PID),
    BAD("no version byte", "\x70\x68\x03\x61\x01" PID PID),
    BAD("atoms in the header", "\x83\x44\x01\x68\x03\x61\x01" PID PID),
    BAD("a fragment", "\x83\x45\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0"
                      "\x68\x03\x61\x01" PID PID),
    BAD("the rest of a fragment", "\x83\x46\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1"),
    BAD("a version byte behind the header",
        "\x83\x44\0\x83\x68\x03\x61\x01" PID PID),
    BAD("no tuple", PASS "\x61\x01"),
    BAD("a list", PASS "\x6b\0\1\1"),
    BAD("an empty tuple", PASS "\x68\0"),
    BAD("an atom for the operation", PASS "\x68\x03" A PID PID),
    BAD("a negative operation", PASS "\x68\x03\x62\xff\xff\xff\xff" PID PID),
    BAD("one element too few", HEAD("\2") "\1" PID),
    BAD("one element too many", HEAD("\4") "\1" PID PID PID),
    BAD("a tuple that promises more", HEAD("\x09") "\1" PID PID),
    BAD("a message with LINK", HEAD("\3") "\1" PID PID "\x83" A),
    BAD("no message with SEND", HEAD("\3") "\2" A PID),
    BAD("a message without its version byte", HEAD("\3") "\2" A PID A),
    BAD("a version byte and no message", HEAD("\3") "\2" A PID "\x83"),
    BAD("two messages", HEAD("\3") "\2" A PID "\x83" A "\x83" A),
    BAD("a compressed message",
        HEAD("\3") "\2" A PID "\x83\x50\0\0\0\2\x78\x9c"),
    BAD("an atom cache reference", HEAD("\3") "\2" A PID "\x83\x52\0"),
    BAD("a message that ends too early", HEAD("\3") "\2" A PID "\x83\x68\2" A),
    BAD("a key twice", HEAD("\3") "\2" A PID "\x83\x74\0\0\0\2" A A A A),
    BAD("a key twice, behind a header",
        "\x83\x44\0\x68\3\x61\2" A PID "\x74\0\0\0\2" A A A A),
    BAD("LINK from a name", HEAD("\3") "\1" A PID),
    BAD("LINK to a name", HEAD("\3") "\1" PID A),
    BAD("LINK to a reference", HEAD("\3") "\1" PID REF),
    BAD("SEND to a name", HEAD("\3") "\2" A A "\x83" A),
    BAD("SEND to a reference", HEAD("\3") "\2" A REF "\x83" A),
    BAD("REG_SEND to a pid", HEAD("\4") "\6" PID A PID "\x83" A),
    BAD("REG_SEND from a name", HEAD("\4") "\6" A A A "\x83" A),
    BAD("EXIT from an integer", HEAD("\4") "\3\x61\1" PID A),
    BAD("MONITOR_P of an integer", HEAD("\4") "\x13" PID "\x61\1" REF),
    BAD("MONITOR_P from a name", HEAD("\4") "\x13" A PID REF),
    BAD("MONITOR_P without a reference", HEAD("\4") "\x13" PID PID PID),
    BAD("DEMONITOR_P without a reference", HEAD("\4") "\x14" PID PID A),
    BAD("MONITOR_P_EXIT to a name", HEAD("\5") "\x15" PID A REF A),
    BAD("SPAWN_REQUEST without a reference",
        HEAD("\6") "\x1d" PID PID PID MFA "\x6a\x83\x6a"),
    BAD("SPAWN_REQUEST with a leader that is a name",
        HEAD("\6") "\x1d" REF PID A MFA "\x6a\x83\x6a"),
    BAD("SPAWN_REQUEST of an atom",
        HEAD("\6") "\x1d" REF PID PID A "\x6a\x83\x6a"),
    BAD("SPAWN_REQUEST of two",
        HEAD("\6") "\x1d" REF PID PID "\x68\2" A A "\x6a\x83\x6a"),
    BAD("SPAWN_REQUEST of four",
        HEAD("\6") "\x1d" REF PID PID "\x68\4" A A "\x61\1\x61\1\x6a\x83\x6a"),
    BAD("SPAWN_REQUEST with an arity of 256",
        HEAD("\6") "\x1d" REF PID PID "\x68\3" A A "\x62\0\0\1\0\x6a\x83\x6a"),
    BAD("SPAWN_REQUEST with a module that is a pid",
        HEAD("\6") "\x1d" REF PID PID "\x68\3" PID A "\x61\1\x6a\x83\x6a"),
    BAD("SPAWN_REQUEST with a function that is a pid",
        HEAD("\6") "\x1d" REF PID PID "\x68\3" A PID "\x61\1\x6a\x83\x6a"),
    BAD("SPAWN_REQUEST with options that are none",
        HEAD("\6") "\x1d" REF PID PID MFA A "\x83\x6a"),
    BAD("SPAWN_REPLY with flags that are none",
        HEAD("\5") "\x1f" REF PID A PID),
    BAD("SPAWN_REPLY with negative flags",
        HEAD("\5") "\x1f" REF PID "\x62\xff\xff\xff\xff" PID),
    BAD("SPAWN_REPLY of an integer", HEAD("\5") "\x1f" REF PID "\x61\2\x61\1"),
    BAD("ALIAS_SEND to a pid", HEAD("\3") "\x21" PID PID "\x83" A),
    BAD("UNLINK_ID 0", HEAD("\4") "\x23\x61\0" PID PID),
    BAD("UNLINK_ID -1", HEAD("\4") "\x23\x62\xff\xff\xff\xff" PID PID),
    BAD("UNLINK_ID 2^64",
        HEAD("\4") "\x23\x6e\x09\0\0\0\0\0\0\0\0\0\1" PID PID),
    BAD("UNLINK_ID_ACK 0", HEAD("\4") "\x24\x61\0" PID PID),
};

static void test_bad(void **state)
{
    const bad_row *row = *state;

    assert_refused((const uint8_t *)row->data, row->len);
}

/* The signals of which the rows above are variants. */
static void test_good(void **state)
{
    static const bad_row good[] = {
        BAD("", HEAD("\3") "\1" PID PID),
        BAD("", HEAD("\3") "\2" A PID "\x83" A),
        BAD("", "\x83\x44\0\x68\3\x61\1" PID PID),
        BAD("", HEAD("\4") "\x13" PID A REF),
        BAD("", HEAD("\6") "\x1d" REF PID PID MFA "\x6a\x83\x6a"),
        BAD("",
            HEAD("\6") "\x1d" REF PID PID "\x68\3" A A "\x61\xff\x6a\x83\x6a"),
        BAD("", HEAD("\5") "\x1f" REF PID "\x61\2" A),
        BAD("", HEAD("\4") "\x23\x61\1" PID PID),
    };
    pn_dist_signal got;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(pn_dist_signal_read((const uint8_t *)good[i].data,
                             good[i].len, NULL, &got),
            PN_OK);
    }
}

/* Depth and size of a message are the caller's limits. */
static void test_limits(void **state)
{
    uint8_t data[64];
    pn_dist_signal got;
    pn_term_limits limits;
    size_t n = sizeof(HEAD("\3") "\2" A PID "\x83") - 1;

    (void)state;
    memcpy(data, HEAD("\3") "\2" A PID "\x83", n);
    for (int depth = 0; depth < 5; depth++) {
        data[n++] = 104;
        data[n++] = 1;
    }
    data[n++] = 106;
    pn_term_limits_init(&limits);
    limits.max_depth = 4;
    assert_int_equal(pn_dist_signal_read(data, n, &limits, &got), PN_CORRUPT);
    limits.max_depth = 5;
    assert_int_equal(pn_dist_signal_read(data, n, &limits, &got), PN_OK);
    limits.max_bytes = (uint32_t)got.to.len + 6; /* the control tuple */
    assert_int_equal(pn_dist_signal_read(data, n, &limits, &got), PN_CORRUPT);
    limits.max_bytes = (uint32_t)(n - 2);
    assert_int_equal(pn_dist_signal_read(data, n, &limits, &got), PN_OK);
}

/* A variant cannot be written, and neither can an unknown operation. */
static void test_write_variants(void **state)
{
    static const unsigned ops[] = {0, 4, 7, 12, 13, 16, 18, 22, 23, 24, 25, 26,
        27, 28, 30, 32, 34, 37, 1000};
    pn_buf out = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        pn_dist_signal s = {.op = (pn_dist_op)ops[i]};

        assert_int_equal(pn_dist_signal_write(&out, &s, 0), PN_INVALID);
    }
    assert_int_equal(pn_buf_used(&out), 0);
    pn_buf_fini(&out);
}

/* ---- pids and references ------------------------------------------------- */

static uint32_t number(const json_t *row, const char *key)
{
    return (uint32_t)json_integer_value(json_object_get(row, key));
}

static bool is_what(const json_t *row, const char *what)
{
    return strcmp(pn_json_string(row, "what"), what) == 0;
}

static void check_pid(const json_t *row, pn_term term)
{
    const char *node = pn_json_string(row, "node");
    uint32_t creation = number(row, "creation");
    pn_dist_pid pid;
    pn_slice of;

    assert_true(pn_dist_pid_read(term, node, creation, &pid));
    assert_int_equal(pid.id, number(row, "id"));
    assert_int_equal(pid.serial, number(row, "serial"));
    assert_int_equal(pid.creation, creation);
    assert_false(pn_dist_pid_read(term, node, creation - 1, &pid));
    assert_false(pn_dist_pid_read(term, "beta@127.0.0.", creation, &pid));
    assert_false(pn_dist_pid_read(term, "beta@127.0.0.10", creation, &pid));
    assert_false(pn_dist_pid_read(term, "gamma@127.0.0.1", creation, &pid));
    assert_true(pn_dist_pid_node(term, &of));
    pn_assert_bytes(of.data, of.len, (const uint8_t *)node, strlen(node));
    for (size_t n = 0; n < term.len; n++) {
        assert_false(
            pn_dist_pid_read((pn_term){term.data, n}, node, creation, &pid));
        assert_false(pn_dist_pid_node((pn_term){term.data, n}, &of));
    }
}

static void check_pid_written(const json_t *row, pn_term term)
{
    pn_dist_pid pid = {
        number(row, "id"), number(row, "serial"), number(row, "creation")};
    pn_dist_room room;
    pn_term got = pn_dist_pid_term(&room, pn_json_string(row, "node"), &pid);

    pn_assert_bytes(got.data, got.len, term.data, term.len);
}

static void check_ref(const json_t *row, pn_term term)
{
    const char *node = pn_json_string(row, "node");
    uint32_t creation = number(row, "creation");
    pn_dist_ref ref;
    pn_dist_room room;
    pn_term got;

    assert_true(pn_dist_ref_read(term, node, creation, &ref));
    assert_int_equal(ref.creation, creation);
    for (size_t i = 0; i < PN_DIST_REF_WORDS; i++) {
        assert_int_equal(ref.words[i], i + 1);
    }
    assert_false(pn_dist_ref_read(term, node, creation + 1, &ref));
    assert_false(pn_dist_ref_read(term, "alpha@127.0.0.1", creation, &ref));
    for (size_t n = 0; n < term.len; n++) {
        assert_false(
            pn_dist_ref_read((pn_term){term.data, n}, node, creation, &ref));
    }
    got = pn_dist_ref_term(&room, node, &ref);
    pn_assert_bytes(got.data, got.len, term.data, term.len);
}

static void test_identifier(void **state)
{
    const json_t *row = *state;
    const char *node = pn_json_string(row, "node");
    uint32_t creation = number(row, "creation");
    size_t len;
    uint8_t *data = pn_json_hex(row, "term", &len);
    pn_term term = {data, len};
    pn_dist_pid pid;
    pn_dist_ref ref;
    pn_slice of;

    if (is_what(row, "pid") || is_what(row, "pid of them")) {
        check_pid(row, term);
        check_pid_written(row, term);
        assert_false(pn_dist_ref_read(term, node, creation, &ref));
    } else if (is_what(row, "reference")) {
        check_ref(row, term);
        assert_false(pn_dist_pid_read(term, node, creation, &pid));
        assert_false(pn_dist_pid_node(term, &of));
    } else {
        assert_false(pn_dist_ref_read(term, node, creation, &ref));
        assert_false(pn_dist_pid_read(term, node, creation, &pid));
        assert_false(pn_dist_pid_node(term, &of));
    }
    free(data);
}

/* A pid with the tag of before OTP 23 is another node's, never ours; its name
 * may be in Latin-1, as long as it is ASCII. */
static void test_old_pid(void **state)
{
    static const uint8_t old[] = "\x67\x64\0\3"
                                 "a@b"
                                 "\0\0\0\1"
                                 "\0\0\0\2"
                                 "\3";
    static const uint8_t odd[] = "\x67\x64\0\3"
                                 "\xe4@b"
                                 "\0\0\0\1\0\0\0\2\3";
    static const uint8_t utf8[] = "\x58\x77\4"
                                  "\xc3\xa4@b"
                                  "\0\0\0\1\0\0\0\2\0\0\0\3";
    pn_slice of;
    pn_dist_pid pid;

    (void)state;
    assert_true(pn_dist_pid_node((pn_term){old, sizeof(old) - 1}, &of));
    pn_assert_bytes(of.data, of.len, (const uint8_t *)"a@b", 3);
    assert_false(
        pn_dist_pid_read((pn_term){old, sizeof(old) - 1}, "a@b", 3, &pid));
    assert_false(pn_dist_pid_node((pn_term){odd, sizeof(odd) - 1}, &of));
    assert_true(pn_dist_pid_node((pn_term){utf8, sizeof(utf8) - 1}, &of));
    assert_int_equal(of.len, 4);
}

static void test_long_node(void **state)
{
    char name[257];
    pn_dist_pid pid = {1, 2, 3};
    pn_dist_ref ref = {{1, 2, 3}, 4};
    pn_dist_room room;

    (void)state;
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    for (int i = 0; i < 2; i++) {
        size_t head = i == 0 ? 0 : 2 + 255;

        assert_int_equal(pn_dist_atom_term(&room, name).len, head);
        assert_int_equal(pn_dist_pid_term(&room, name, &pid).len,
            i == 0 ? 0 : 1 + head + 12);
        assert_int_equal(pn_dist_ref_term(&room, name, &ref).len,
            i == 0 ? 0 : 3 + head + 16);
        name[255] = '\0';
    }
}

/* ---- tables -------------------------------------------------------------- */

static void add_recorded(const json_t *vectors)
{
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(vectors, "signals"), i, row)
    {
        const char *what = pn_json_string(row, "what");

        pn_test_addf(test_read, row, "barrel/dist_signal/read/%s", what);
        pn_test_addf(
            test_prefixes, row, "barrel/dist_signal/prefixes/%s", what);
        if (json_is_true(json_object_get(row, "written"))) {
            pn_test_addf(test_write, row, "barrel/dist_signal/write/%s", what);
            pn_test_addf(test_write_limit, row,
                "barrel/dist_signal/write_limit/%s", what);
            pn_test_addf(test_write_fields, row,
                "barrel/dist_signal/write_fields/%s", what);
        }
    }
    json_array_foreach(json_object_get(vectors, "unknown"), i, row)
    {
        pn_test_addf(test_unknown, row, "barrel/dist_signal/unknown/%s",
            pn_json_string(row, "what"));
    }
    json_array_foreach(json_object_get(vectors, "identifiers"), i, row)
    {
        pn_test_addf(test_identifier, row, "barrel/dist_signal/identifier/%s",
            pn_json_string(row, "what"));
    }
}

/* ---- the head of a message that was not kept ----------------------------- */

/* The beginning of a call's message; the request goes on. */
static void write_call(pn_buf *out, const pn_dist_pid *pid)
{
    pn_term_writer message;
    pn_dist_room from;
    pn_dist_room to;
    pn_dist_signal signal = {.op = PN_DIST_REG_SEND,
        .from = pn_dist_pid_term(&from, "a@h", pid),
        .to = pn_dist_atom_term(&to, "echo")};

    pn_term_writer_init(&message, 0);
    pn_term_write_opaque_format(&message,
        "{'$gen_call', {~t, tag}, \"and much more of it\"}", signal.from);
    assert_int_equal(
        pn_term_writer_finish(&message, NULL, &signal.message), PN_OK);
    assert_int_equal(pn_dist_signal_write(out, &signal, 0), PN_OK);
    pn_term_writer_free(&message);
}

/* Every prefix: nothing, then the addressee, then also the caller. */
static void test_head(void **state)
{
    const pn_dist_pid pid = {.id = 7, .creation = 5};
    pn_buf out = {0};
    size_t len;
    unsigned stage = 0;

    (void)state;
    write_call(&out, &pid);
    len = pn_buf_used(&out) - 4;
    for (size_t n = 0; n <= len; n++) {
        uint8_t *copy = malloc(n == 0 ? 1 : n);
        pn_dist_head head;
        unsigned now = 0;
        pn_slice name;

        assert_non_null(copy);
        memcpy(copy, pn_buf_head(&out) + 4, n);
        if (pn_dist_head_read(copy, n, &head) == PN_OK) {
            assert_int_equal(head.signal.op, PN_DIST_REG_SEND);
            assert_int_equal(head.signal.message.len, 0);
            assert_true(pn_term_match(head.signal.to, "~a", &name));
            assert_memory_equal(name.data, "echo", 4);
            now = head.caller.len > 0 ? 2 : 1;
        }
        if (now == 2) {
            assert_true(pn_term_is_atom(head.tag, "tag"));
            assert_true(pn_dist_pid_node(head.caller, &name));
        }
        assert_true(now >= stage);
        stage = now;
        free(copy);
    }
    assert_int_equal(stage, 2);
    pn_buf_fini(&out);
}

/* The request of an rpc or erpc, up to the argument list. */
typedef struct apply_row {
    const char *name;
    const char *text;
    const char *function; /* "": not told */
    unsigned arity;
} apply_row;

static const apply_row apply_rows[] = {
    {"rpc", "{6,A,'',rex} {'$gen_call',{A,R},{call,calc,add,[x,y],user}}",
        "calc add", 2},
    {"block_call",
        "{6,A,'',rex} {'$gen_call',{A,R},{block_call,calc,add,[x,y],user}}",
        "calc add", 2},
    {"erpc",
        "{29,R,A,A,{erpc,execute_call,4},[monitor]} [R,'Elixir.Led',on,[x]]",
        "Elixir.Led on", 1},
    {"cast", "{6,A,'',rex} {'$gen_cast',{cast,calc,add,[x],user}}", "calc add",
        1},
    {"call", "{6,A,'',echo} {'$gen_call',{A,R},{set,calc,add,[x],user}}", "",
        0},
    {"message", "{6,A,'',echo} {call,calc,add,[x],user}", "", 0},
};

/* Cut anywhere: nothing, then the function. */
static void test_head_apply(void **state)
{
    const apply_row *row = *state;
    uint8_t frame[WIRE_MAX];
    static wire_vars vars;
    bool is_told = false;
    size_t len;

    wire_set_pid(&vars, 'A', "a@h", 7, 5);
    wire_set_ref(&vars, 'R', "a@h", 7, 5);
    len = wire_frame(frame, row->text, &vars, NULL, 0) - 4;
    for (size_t n = 0; n <= len; n++) {
        uint8_t *copy = malloc(n == 0 ? 1 : n);
        pn_dist_head head = {0};
        char text[64];
        pn_slice module;
        pn_slice function;

        assert_non_null(copy);
        memcpy(copy, frame + 4, n);
        if (pn_dist_head_read(copy, n, &head) == PN_OK && head.module.len > 0) {
            assert_true(pn_term_match(head.module, "~a", &module));
            assert_true(pn_term_match(head.function, "~a", &function));
            (void)snprintf(text, sizeof(text), "%.*s %.*s", (int)module.len,
                (const char *)module.data, (int)function.len,
                (const char *)function.data);
            assert_string_equal(text, row->function);
            assert_int_equal(head.arity, row->arity);
        }
        assert_true(head.module.len > 0 || !is_told);
        is_told = head.module.len > 0;
        free(copy);
    }
    assert_int_equal(is_told, row->function[0] != '\0');
}

int main(void)
{
    json_t *vectors = pn_vectors("dist.json");
    int status;

    add_recorded(vectors);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        pn_test_addf(
            test_bad, &bad[i], "barrel/dist_signal/bad/%s", bad[i].name);
    }
    pn_test_add("barrel/dist_signal/good", test_good, NULL);
    pn_test_add("barrel/dist_signal/limits", test_limits, NULL);
    pn_test_add("barrel/dist_signal/head", test_head, NULL);
    for (size_t i = 0; i < sizeof(apply_rows) / sizeof(apply_rows[0]); i++) {
        pn_test_addf(test_head_apply, (void *)(uintptr_t)&apply_rows[i],
            "barrel/dist_signal/head/%s", apply_rows[i].name);
    }
    pn_test_add("barrel/dist_signal/write_variants", test_write_variants, NULL);
    pn_test_add("barrel/dist_signal/old_pid", test_old_pid, NULL);
    pn_test_add("barrel/dist_signal/long_node", test_long_node, NULL);
    status = pn_test_run("barrel/dist_signal");
    json_decref(vectors);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control messages; barrel-wire sections 15.3 and 16, and Erlang's document
 * "Distribution Protocol" for the variants. One table says what the elements of
 * each tuple are; reading, checking and writing go by it.
 */
#include "dist/signal.h"

#include <string.h>

#include "base/bytes.h"
#include "base/mutant.h"
#include "term/check.h"
#include "term/scan.h"
#include "term/tags.h"
#include "term/writer_internal.h"

enum {
    PASS_THROUGH = 112,
    LENGTH_LEN = 4,
    HEAD_LEN = LENGTH_LEN + 1,
    ARITY_MAX = 255
};

/*
 * The elements behind the operation, one letter each:
 *   f F  from: a pid; a pid or a name       t T  to: the same
 *   N    to: a name                         A    to: an alias, a reference
 *   r    reference                          x    reason
 *   l    group leader                       m    {M,F,A}
 *   o    options                            s    what was spawned, or why not
 *   i g  id of an unlinking, not 0; flags   u y  unused; a trace token
 * and at the end the term behind the tuple: M the message, X the reason.
 */
typedef struct op_row {
    uint8_t on_wire;
    pn_dist_op op;
    const char *shape;
} op_row;

/* A variant stands for its operation; we write those of the same number. A
 * trace token is not shown: what is traced is a signal like any other. */
static const op_row rows[] = {
    {1, PN_DIST_LINK, "ft"},
    {2, PN_DIST_SEND, "utM"},
    {3, PN_DIST_EXIT, "ftx"},
    {6, PN_DIST_REG_SEND, "fuNM"},
    {8, PN_DIST_EXIT2, "ftx"},
    {12, PN_DIST_SEND, "utyM"},
    {13, PN_DIST_EXIT, "ftyx"},
    {16, PN_DIST_REG_SEND, "fuNyM"},
    {18, PN_DIST_EXIT2, "ftyx"},
    {19, PN_DIST_MONITOR_P, "fTr"},
    {20, PN_DIST_DEMONITOR_P, "fTr"},
    {21, PN_DIST_MONITOR_P_EXIT, "Ftrx"},
    {22, PN_DIST_SEND, "ftM"},
    {23, PN_DIST_SEND, "ftyM"},
    {24, PN_DIST_EXIT, "ftX"},
    {25, PN_DIST_EXIT, "ftyX"},
    {26, PN_DIST_EXIT2, "ftX"},
    {27, PN_DIST_EXIT2, "ftyX"},
    {28, PN_DIST_MONITOR_P_EXIT, "FtrX"},
    {29, PN_DIST_SPAWN_REQUEST, "rflmoM"},
    {30, PN_DIST_SPAWN_REQUEST, "rflmoyM"},
    {31, PN_DIST_SPAWN_REPLY, "rtgs"},
    {32, PN_DIST_SPAWN_REPLY, "rtgsy"},
    {33, PN_DIST_ALIAS_SEND, "fAM"},
    {34, PN_DIST_ALIAS_SEND, "fAyM"},
    {35, PN_DIST_UNLINK_ID, "ift"},
    {36, PN_DIST_UNLINK_ID_ACK, "ift"},
};

static const op_row *find_row(uint64_t on_wire)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].on_wire == on_wire) {
            return &rows[i];
        }
    }
    return NULL;
}

/* 'M', 'X' or, for a tuple that has nothing behind it, 0. */
static char behind(const op_row *row)
{
    char last = row->shape[strlen(row->shape) - 1];

    return last == 'M' || last == 'X' ? last : '\0';
}

/* Where the element is kept; NULL: nowhere, or it is a number. */
static pn_term *place(pn_dist_signal *s, char letter)
{
    switch (letter) {
    case 'f':
    case 'F':
        return &s->from;
    case 't':
    case 'T':
    case 'N':
    case 'A':
        return &s->to;
    case 'r':
        return &s->ref;
    case 'x':
    case 's':
    case 'X':
        return &s->reason;
    case 'l':
        return &s->leader;
    case 'm':
        return &s->mfa;
    case 'o':
        return &s->options;
    case 'M':
        return &s->message;
    default:
        return NULL;
    }
}

/* ---- what an element may be --------------------------------------------- */

static bool is_pid(pn_term term)
{
    return term.data[0] == TAG_NEW_PID || term.data[0] == TAG_PID;
}

static bool is_reference(pn_term term)
{
    return term.data[0] == TAG_NEWER_REFERENCE
           || term.data[0] == TAG_NEW_REFERENCE
           || term.data[0] == TAG_REFERENCE;
}

static bool is_mfa(pn_term term)
{
    pn_term_reader r;
    pn_term module;
    pn_term function;

    pn_term_reader_init(&r, term);
    if (pn_term_read_tuple(&r) != 3) {
        return false;
    }
    module = pn_term_read_any(&r);
    function = pn_term_read_any(&r);
    return pn_term_read_uint64(&r) <= ARITY_MAX
           && pn_term_reader_finish(&r) == PN_OK
           && pn_term_type_of(module) == PN_TERM_ATOM
           && pn_term_type_of(function) == PN_TERM_ATOM;
}

/* term is one whole term. */
static bool fits(char letter, pn_term term)
{
    pn_term_type type = pn_term_type_of(term);

    switch (letter) {
    case 'f':
    case 't':
    case 'l':
        return is_pid(term);
    case 'F':
    case 'T':
    case 's':
        return is_pid(term) || type == PN_TERM_ATOM;
    case 'N':
        return type == PN_TERM_ATOM;
    case 'A':
    case 'r':
        return is_reference(term);
    case 'm':
        return is_mfa(term);
    case 'o':
        return type == PN_TERM_LIST;
    default:
        return true;
    }
}

/* ---- reading ------------------------------------------------------------ */

/* The tuple and what is behind it, both without their version bytes; nothing
 * behind it is the empty term. */
typedef struct signal_parts {
    pn_term control;
    pn_term payload;
} signal_parts;

/* Splits by where the first term ends; the terms are checked after that. */
static bool split(const uint8_t *data, size_t len, signal_parts *ret_parts)
{
    const uint8_t *end = data + len;
    bool has_versions = len >= 2 && data[0] == PASS_THROUGH
                        && data[1] == TAG_VERSION;
    size_t head = has_versions ? 2 : 3;
    const uint8_t *p;

    /* A distribution header of no atoms: 131, 68, 0. */
    if (!has_versions
        && (len < 3 || data[0] != TAG_VERSION || data[1] != TAG_DIST_HEADER
            || data[2] != 0)) {
        return false;
    }
    p = pn_term_scan(data + head, end, NULL);
    if (p == NULL) {
        return false;
    }
    ret_parts->control = (pn_term){data + head, (size_t)(p - data) - head};
    if (has_versions && p < end) {
        if (*p != TAG_VERSION || p + 1 == end) {
            return false;
        }
        p++;
    }
    ret_parts->payload = (pn_term){p, (size_t)(end - p)};
    return true;
}

static pn_err check_parts(
    const signal_parts *parts, const pn_term_limits *limits)
{
    pn_err err = pn_check_bare(parts->control, limits);

    if (err == PN_OK && parts->payload.len > 0) {
        err = pn_check_bare(parts->payload, limits);
    }
    if (err == PN_NOMEM) {
        return err;
    }
    return PN_CHECK(dist_signal_term, err != PN_OK) ? PN_CORRUPT : PN_OK;
}

static bool read_element(pn_term_reader *r, char letter, pn_dist_signal *s)
{
    pn_term *at = place(s, letter);
    pn_term term;

    if (letter == 'i' || letter == 'g') {
        s->id = pn_term_read_uint64(r);
        return r->err == PN_OK && (letter == 'g' || s->id != 0);
    }
    term = pn_term_read_any(r);
    if (r->err != PN_OK || PN_CHECK(dist_signal_element, !fits(letter, term))) {
        return false;
    }
    if (at != NULL) {
        *at = term;
    }
    return true;
}

static bool read_elements(pn_term_reader *r, const op_row *row, uint32_t n,
    const signal_parts *parts, pn_dist_signal *s)
{
    bool has_payload = behind(row) != '\0';
    size_t n_shape = strlen(row->shape) - (has_payload ? 1 : 0);

    if (PN_CHECK(dist_signal_arity, n != 1 + n_shape)
        || PN_CHECK(
            dist_signal_payload, has_payload != (parts->payload.len > 0))) {
        return false;
    }
    s->op = row->op;
    for (size_t i = 0; i < n_shape; i++) {
        if (!read_element(r, row->shape[i], s)) {
            return false;
        }
    }
    if (has_payload) {
        *place(s, behind(row)) = parts->payload;
    }
    return true;
}

pn_err pn_dist_signal_read(const uint8_t *data, size_t len,
    const pn_term_limits *limits, pn_dist_signal *ret_signal)
{
    signal_parts parts;
    pn_dist_signal s = {0};
    pn_term_reader r;
    const op_row *row;
    uint64_t op;
    uint32_t n;
    pn_err err;

    if (!split(data, len, &parts)) {
        return PN_CORRUPT;
    }
    err = check_parts(&parts, limits);
    if (err != PN_OK) {
        return err;
    }
    pn_term_reader_init(&r, parts.control);
    n = pn_term_read_tuple(&r);
    op = pn_term_read_uint64(&r);
    if (r.err != PN_OK) {
        return PN_CORRUPT;
    }
    row = find_row(op);
    if (row == NULL) {
        return PN_NOT_FOUND;
    }
    if (!read_elements(&r, row, n, &parts, &s)) {
        return PN_CORRUPT;
    }
    *ret_signal = s;
    return PN_OK;
}

/* ---- writing ------------------------------------------------------------ */

static bool is_whole(pn_term term)
{
    return term.len > 0
           && pn_term_scan(term.data, term.data + term.len, NULL)
                  == term.data + term.len;
}

static void write_element(pn_term_writer *w, char letter, pn_dist_signal *s)
{
    const pn_term *term = place(s, letter);

    if (letter == 'u') {
        pn_term_write_atom(w, "");
    } else if (letter == 'i' || letter == 'g') {
        if (letter == 'i' && s->id == 0) {
            pn_term_writer_fail(w, PN_INVALID);
        }
        pn_term_write_uint64(w, s->id);
    } else if (!is_whole(*term) || !fits(letter, *term)) {
        pn_term_writer_fail(w, PN_INVALID);
    } else {
        pn_term_write_opaque(w, *term);
    }
}

/* Version byte and control tuple. */
static pn_err write_control(
    pn_buf *out, const op_row *row, const pn_dist_signal *signal, size_t max)
{
    pn_dist_signal s = *signal;
    pn_term_writer w;
    pn_err err;

    pn_term_writer_init_buf(&w, out, max);
    pn_term_write_tuple_begin(&w);
    pn_term_write_uint64(&w, row->op);
    for (const char *p = row->shape; *p != '\0' && *p != 'M'; p++) {
        write_element(&w, *p, &s);
    }
    pn_term_write_tuple_end(&w);
    err = pn_term_writer_finish(&w, NULL, NULL);
    pn_term_writer_free(&w);
    return err;
}

static pn_err write_message(pn_buf *out, pn_term message)
{
    const uint8_t version = TAG_VERSION;
    pn_err err;

    if (!is_whole(message)) {
        return PN_INVALID;
    }
    err = pn_buf_append(out, &version, 1);
    return err == PN_OK ? pn_buf_append(out, message.data, message.len) : err;
}

static pn_err write_frame(
    pn_buf *out, const op_row *row, const pn_dist_signal *signal, size_t max)
{
    static const uint8_t head[HEAD_LEN] = {0, 0, 0, 0, PASS_THROUGH};
    size_t start = pn_buf_used(out);
    pn_err err = pn_buf_append(out, head, sizeof(head));
    size_t len;

    if (err == PN_OK) {
        err = write_control(out, row, signal, max);
    }
    if (err == PN_OK && behind(row) == 'M') {
        err = write_message(out, signal->message);
    }
    if (err != PN_OK) {
        return err;
    }
    len = pn_buf_used(out) - start - LENGTH_LEN;
    if (PN_CHECK(dist_write_size, len > max)) {
        return PN_TOO_LARGE;
    }
    pn_store_be32(out->data + out->off + start, (uint32_t)len);
    return PN_OK;
}

pn_err pn_dist_signal_write(
    pn_buf *out, const pn_dist_signal *signal, size_t max)
{
    const op_row *row = find_row((uint64_t)signal->op);
    size_t used = pn_buf_used(out);
    pn_err err;

    /* A variant is not an operation. */
    if (row == NULL || (unsigned)row->op != row->on_wire) {
        return PN_INVALID;
    }
    if (max == 0 || max > INT32_MAX) {
        max = INT32_MAX;
    }
    err = write_frame(out, row, signal, max);
    if (err != PN_OK) {
        out->len = out->off + used;
    }
    return err;
}

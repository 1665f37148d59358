/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control messages; docs/BARREL-PROTOCOL.md, sections 15.3 and 16, and Erlang's
 * document "Distribution Protocol" for the variants. One table says what the
 * elements of each tuple are; reading, checking and writing go by it.
 */
#include "dist/signal.h"

#include <string.h>

#include "base/bytes.h"
#include "base/mutant.h"
#include "term/check.h"
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

/* The kinds of an element; several may be allowed, and 0 allows any. */
enum { PID = 1, NAME = 2, REFERENCE = 4, MFA = 8, LIST = 16 };

typedef struct element {
    unsigned kinds;
    size_t at; /* where in a pn_dist_signal it is kept; 0: nowhere */
} element;

#define AT(member) offsetof(pn_dist_signal, member)
static const element elements[] = {
    ['f'] = {PID, AT(from)},
    ['F'] = {PID | NAME, AT(from)},
    ['t'] = {PID, AT(to)},
    ['T'] = {PID | NAME, AT(to)},
    ['N'] = {NAME, AT(to)},
    ['A'] = {REFERENCE, AT(to)},
    ['r'] = {REFERENCE, AT(ref)},
    ['x'] = {0, AT(reason)},
    ['X'] = {0, AT(reason)},
    ['s'] = {PID | NAME, AT(reason)},
    ['l'] = {PID, AT(leader)},
    ['m'] = {MFA, AT(mfa)},
    ['o'] = {LIST, AT(options)},
    ['M'] = {0, AT(message)},
    ['y'] = {0, 0},
};
#undef AT

/* NULL: the element is kept nowhere, or is a number. */
static pn_term *place(pn_dist_signal *s, char letter)
{
    size_t at = elements[(uint8_t)letter].at;

    return at == 0 ? NULL : (pn_term *)(void *)((uint8_t *)s + at);
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
static unsigned kind_of(pn_term term)
{
    switch (term.data[0]) {
    case TAG_NEW_PID:
    case TAG_PID:
        return PID;
    case TAG_NEWER_REFERENCE:
    case TAG_NEW_REFERENCE:
    case TAG_REFERENCE:
        return REFERENCE;
    default:
        return pn_term_type_of(term) == PN_TERM_ATOM   ? NAME
               : pn_term_type_of(term) == PN_TERM_LIST ? LIST
               : is_mfa(term)                          ? MFA
                                                       : 0;
    }
}

static bool fits(char letter, pn_term term)
{
    unsigned kinds = elements[(uint8_t)letter].kinds;

    return kinds == 0 || (kinds & kind_of(term)) != 0;
}

/* ---- reading ------------------------------------------------------------ */

/* The tuple and what is behind it, both without their version bytes; nothing
 * behind it is the empty term. */
typedef struct signal_parts {
    pn_term control;
    pn_term payload;
} signal_parts;

/* The end of the term at p; NULL: it is not whole. */
static const uint8_t *end_of_term(const uint8_t *p, const uint8_t *end)
{
    pn_term_reader r;

    pn_term_reader_init(&r, (pn_term){p, (size_t)(end - p)});
    pn_term_read_skip(&r);
    return r.err == PN_OK ? r.at : NULL;
}

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
    p = end_of_term(data + head, end);
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
    return PN_REFUSE_IF(dist_signal_term, err != PN_OK) ? PN_CORRUPT : PN_OK;
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
    if (r->err != PN_OK
        || PN_REFUSE_IF(dist_signal_element, !fits(letter, term))) {
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
    pn_term *last = place(s, behind(row));
    size_t n_shape = strlen(row->shape) - (has_payload ? 1 : 0);

    if (PN_REFUSE_IF(dist_signal_arity, n != 1 + n_shape)
        || PN_REFUSE_IF(
            dist_signal_payload, has_payload != (parts->payload.len > 0))) {
        return false;
    }
    s->op = row->op;
    for (size_t i = 0; i < n_shape; i++) {
        if (!read_element(r, row->shape[i], s)) {
            return false;
        }
    }
    if (last != NULL) {
        *last = parts->payload;
    }
    return true;
}

/* Both parts are checked. */
static pn_err read_parts(const signal_parts *parts, pn_dist_signal *ret_signal)
{
    pn_dist_signal s = {0};
    pn_term_reader r;
    const op_row *row;
    uint64_t op;
    uint32_t n;

    pn_term_reader_init(&r, parts->control);
    n = pn_term_read_tuple(&r);
    op = pn_term_read_uint64(&r);
    if (r.err != PN_OK) {
        return PN_CORRUPT;
    }
    row = find_row(op);
    if (row == NULL) {
        return PN_NOT_FOUND;
    }
    if (!read_elements(&r, row, n, parts, &s)) {
        return PN_CORRUPT;
    }
    *ret_signal = s;
    return PN_OK;
}

pn_err pn_dist_signal_read(const uint8_t *data, size_t len,
    const pn_term_limits *limits, pn_dist_signal *ret_signal)
{
    signal_parts parts;
    pn_err err;

    if (!split(data, len, &parts)) {
        return PN_CORRUPT;
    }
    err = check_parts(&parts, limits);
    return err == PN_OK ? read_parts(&parts, ret_signal) : err;
}

/* ---- the head of a message that was not kept ----------------------------- */

/* The term at *at, which is moved behind it; false: it is not whole, or none
 * that may come from there. */
static bool head_term(const uint8_t **at, const uint8_t *end, pn_term *ret_term)
{
    const uint8_t *p = end_of_term(*at, end);

    if (p == NULL) {
        return false;
    }
    *ret_term = (pn_term){*at, (size_t)(p - *at)};
    *at = p;
    return pn_check_bare(*ret_term, NULL) == PN_OK;
}

static bool head_tuple(const uint8_t **at, const uint8_t *end, uint8_t arity)
{
    if (end - *at < 2 || (*at)[0] != TAG_SMALL_TUPLE || (*at)[1] != arity) {
        return false;
    }
    *at += 2;
    return true;
}

static bool head_list(const uint8_t **at, const uint8_t *end, uint32_t *ret_n)
{
    if (end - *at < 5 || (*at)[0] != TAG_LIST) {
        return false;
    }
    *ret_n = pn_load_be32(*at + 1);
    *at += 5;
    return true;
}

/* Module, Function, [a list of arguments. */
static void head_apply(
    const uint8_t *at, const uint8_t *end, pn_dist_head *head)
{
    pn_term module;
    pn_term function;
    uint32_t arity = 0;

    if (head_term(&at, end, &module) && head_term(&at, end, &function)
        && head_list(&at, end, &arity)) {
        head->module = module;
        head->function = function;
        head->arity = arity;
    }
}

/* [Res, Module, Function, Args]: what erpc spawns. */
static void head_spawn(pn_term payload, pn_dist_head *head)
{
    const uint8_t *at = payload.data;
    const uint8_t *end = payload.data + payload.len;
    pn_term res;
    uint32_t n;

    if (head_list(&at, end, &n) && n == 4 && head_term(&at, end, &res)) {
        head_apply(at, end, head);
    }
}

/* {call, Module, Function, Args, _} and its kin, as rex takes them. */
static void head_request(
    const uint8_t *at, const uint8_t *end, pn_dist_head *head)
{
    pn_term word;

    if (head_tuple(&at, end, 5) && head_term(&at, end, &word)
        && (pn_term_is_atom(word, "call") || pn_term_is_atom(word, "block_call")
            || pn_term_is_atom(word, "cast"))) {
        head_apply(at, end, head);
    }
}

/* {'$gen_call', {Pid, Tag}, Request}, {'$gen_cast', Request}: a message that
 * goes on beyond end. */
static void head_message(pn_term payload, pn_dist_head *head)
{
    const uint8_t *at = payload.data;
    const uint8_t *end = payload.data + payload.len;
    pn_term word;
    pn_term caller;
    pn_term tag;

    if (head_tuple(&at, end, 2)) {
        if (head_term(&at, end, &word) && pn_term_is_atom(word, "$gen_cast")) {
            head_request(at, end, head);
        }
        return;
    }
    if (head_tuple(&at, end, 3) && head_term(&at, end, &word)
        && pn_term_is_atom(word, "$gen_call") && head_tuple(&at, end, 2)
        && head_term(&at, end, &caller) && head_term(&at, end, &tag)
        && kind_of(caller) == PID) {
        head->caller = caller;
        head->tag = tag;
        head_request(at, end, head);
    }
}

pn_err pn_dist_head_read(
    const uint8_t *data, size_t len, pn_dist_head *ret_head)
{
    signal_parts parts;
    pn_dist_head head = {.caller = {0}};
    pn_term payload;
    pn_err err;

    if (!split(data, len, &parts) || parts.payload.len == 0) {
        return PN_NOT_FOUND;
    }
    payload = parts.payload;
    parts.payload = parts.control; /* whatever is whole: it is not shown */
    err = check_parts(&parts, NULL);
    if (err == PN_OK) {
        err = read_parts(&parts, &head.signal);
    }
    if (err != PN_OK) {
        return err;
    }
    head.signal.message = (pn_term){0};
    if (head.signal.op == PN_DIST_SPAWN_REQUEST) {
        head_spawn(payload, &head);
    } else {
        head_message(payload, &head);
    }
    *ret_head = head;
    return PN_OK;
}

/* ---- writing ------------------------------------------------------------ */

static bool is_whole(pn_term term)
{
    return term.len > 0
           && end_of_term(term.data, term.data + term.len)
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
    if (PN_REFUSE_IF(dist_write_size, len > max)) {
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

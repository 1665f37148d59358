/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a term in Elixir syntax. One loop with a stack of the open containers
 * reads the structure; text_value.c reads the values. Source: docs/TERM.md,
 * "Elixir text".
 */
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/assert.h"
#include "term/check.h"
#include "term/text_internal.h"

/* The tokens that may come next. */
typedef enum text_state {
    TEXT_VALUE,          /* a value, or in a list or map a key */
    TEXT_VALUE_OR_CLOSE, /* just after an opening bracket */
    TEXT_KEY_VALUE,      /* the value that belongs to a name: or an => */
    TEXT_AFTER           /* a comma, a bar, an arrow, a closing bracket */
} text_state;

/* The flags of a frame. */
enum {
    HAS_NAME = 1, /* there was a name: so only names may follow */
    IN_PAIR = 2,  /* list: the tuple of a name and its value is open */
    HAS_TAIL = 4, /* list: there was a bar */
    HAS_KEY = 8   /* map: there was a key */
};

bool pn_text_fail(pn_text *t, const char *expected)
{
    return pn_text_fail_as(t, PN_INVALID, expected);
}

bool pn_text_fail_as(pn_text *t, pn_err err, const char *expected)
{
    if (t->err == PN_OK) {
        t->err = err;
        (void)snprintf(t->expected, sizeof(t->expected), "%s", expected);
    }
    return false;
}

void pn_text_skip_space(pn_text *t)
{
    while (t->at < t->end && pn_is_space(*t->at)) {
        t->at++;
    }
}

bool pn_text_accept(pn_text *t, const char *sign)
{
    size_t len = strlen(sign);

    if ((size_t)(t->end - t->at) < len || memcmp(t->at, sign, len) != 0) {
        return false;
    }
    t->at += len;
    return true;
}

/* ---- containers ---- */

static bool is_open(pn_text *t, pn_term_type type)
{
    pn_stack_item *top = pn_stack_top(&t->open);

    return top != NULL && top->kind == (uint8_t)type;
}

/* Compares the levels that this text has opened in the writer with the limit.
 * */
static bool has_depth_left(pn_text *t)
{
    if (PN_REFUSE_IF(text_depth, t->w->n_frames - t->base >= t->max_depth)) {
        return pn_text_fail_as(
            t, PN_LIMIT, "nothing nested deeper than the limit");
    }
    return true;
}

static bool open_container(pn_text *t, pn_term_type type)
{
    pn_stack_item item = {.kind = (uint8_t)type};

    if (!has_depth_left(t)) {
        return false;
    }
    if (type == PN_TERM_TUPLE) {
        pn_term_write_tuple_begin(t->w);
    } else if (type == PN_TERM_LIST) {
        pn_term_write_list_begin(t->w);
    } else {
        pn_term_write_map_begin(t->w);
    }
    if (pn_stack_push(&t->open, item) != PN_OK) {
        return pn_text_fail_as(t, PN_NOMEM, "more memory");
    }
    t->state = TEXT_VALUE_OR_CLOSE;
    return true;
}

/* A value is complete. It may end a pair. */
static bool value_done(pn_text *t)
{
    pn_stack_item *top = pn_stack_top(&t->open);

    t->state = TEXT_AFTER;
    if (top != NULL && (top->flag & IN_PAIR) != 0) {
        pn_term_write_tuple_end(t->w);
        top->flag &= (uint8_t)~IN_PAIR;
    }
    if (top != NULL && top->kind == PN_TERM_MAP) {
        top->flag ^= HAS_KEY;
    }
    return true;
}

static bool close_container(pn_text *t)
{
    pn_stack_item top = *pn_stack_top(&t->open);

    assert(t->w->n_frames > t->base || t->w->err != PN_OK);
    pn_stack_pop(&t->open);
    if (top.kind == PN_TERM_TUPLE) {
        pn_term_write_tuple_end(t->w);
    } else if (top.kind == PN_TERM_MAP) {
        pn_term_write_map_end(t->w);
    } else if ((top.flag & HAS_TAIL) != 0) {
        pn_term_write_list_end_improper(t->w);
    } else {
        pn_term_write_list_end(t->w);
    }
    return value_done(t);
}

/* ---- keys ---- */

/* A name and its colon have been read: in a list it begins a pair. */
static bool write_name(pn_text *t, pn_slice name)
{
    pn_stack_item *top = pn_stack_top(&t->open);

    assert(top != NULL && (top->flag & IN_PAIR) == 0);
    top->flag |= HAS_NAME;
    if (top->kind == PN_TERM_LIST) {
        if (!has_depth_left(t)) {
            return false;
        }
        pn_term_write_tuple_begin(t->w);
        top->flag |= IN_PAIR;
    } else {
        top->flag |= HAS_KEY;
    }
    pn_text_write_atom(t, name);
    t->state = TEXT_KEY_VALUE;
    return t->err == PN_OK;
}

/* `name: ` where a list or a map may have one. False when there is none, or
 * after failing. */
static bool try_name(pn_text *t)
{
    pn_stack_item *top = pn_stack_top(&t->open);
    pn_slice name;

    if (top == NULL || top->kind == PN_TERM_TUPLE
        || (top->flag & (HAS_TAIL | HAS_KEY)) != 0
        || !pn_text_take_name(t, &name)) {
        return false;
    }
    return write_name(t, name);
}

/* ---- the loop ---- */

static bool read_after(pn_text *t)
{
    pn_stack_item *top = pn_stack_top(&t->open);
    bool is_list = is_open(t, PN_TERM_LIST);

    if (is_open(t, PN_TERM_MAP) && (top->flag & HAS_KEY) != 0) {
        t->state = TEXT_KEY_VALUE;
        return pn_text_accept(t, "=>") || pn_text_fail(t, "'=>'");
    }
    if (pn_text_accept(t, is_list ? "]" : "}")) {
        return close_container(t);
    }
    if (is_list && (top->flag & HAS_TAIL) != 0) {
        return pn_text_fail(t, "']'");
    }
    if (is_list && (top->flag & HAS_NAME) == 0 && pn_text_accept(t, "|")) {
        top->flag |= HAS_TAIL;
        t->state = TEXT_VALUE;
        return true;
    }
    t->state = TEXT_VALUE;
    return pn_text_accept(t, ",")
           || pn_text_fail(t, is_list ? "',', '|' or ']'" : "',' or '}'");
}

static bool read_close(pn_text *t)
{
    if (t->state == TEXT_VALUE_OR_CLOSE
        && pn_text_accept(t, is_open(t, PN_TERM_LIST) ? "]" : "}")) {
        return close_container(t);
    }
    return false;
}

static bool read_value(pn_text *t)
{
    pn_stack_item *top = pn_stack_top(&t->open);

    if (read_close(t)) {
        return true;
    }
    if (t->state != TEXT_KEY_VALUE) {
        if (try_name(t) || t->err != PN_OK) {
            return t->err == PN_OK;
        }
        if (top != NULL && (top->flag & HAS_NAME) != 0
            && (top->flag & HAS_TAIL) == 0) {
            return pn_text_fail(t, "a name and ':'");
        }
    }
    if (pn_text_accept(t, "%{")) {
        return open_container(t, PN_TERM_MAP);
    }
    if (pn_text_accept(t, "{")) {
        return open_container(t, PN_TERM_TUPLE);
    }
    if (pn_text_accept(t, "[")) {
        return open_container(t, PN_TERM_LIST);
    }
    return pn_text_read_scalar(t) && value_done(t);
}

static bool read_all(pn_text *t)
{
    t->state = TEXT_VALUE;
    for (;;) {
        pn_text_skip_space(t);
        if (t->w->err != PN_OK) {
            return pn_text_fail_as(t, t->w->err, "a term that can be written");
        }
        if (t->state != TEXT_AFTER) {
            if (!read_value(t)) {
                return false;
            }
        } else if (t->open.n > 0) {
            if (!read_after(t)) {
                return false;
            }
        } else {
            return t->at == t->end || pn_text_fail(t, "the end of the term");
        }
    }
}

pn_err pn_term_from_text(pn_term_writer *w, const char *text, size_t len,
    const pn_term_limits *limits, pn_text_error *ret_error)
{
    pn_text t = {.w = w,
        .start = text,
        .at = text,
        .end = len == 0 ? text : text + len,
        .base = w->n_frames,
        .max_depth = pn_check_clamp(limits == NULL ? 0 : limits->max_depth,
            TERM_DEPTH_DEFAULT, 1, TERM_DEPTH_MAX),
        .max_bignum = pn_check_clamp(limits == NULL ? 0 : limits->max_bignum,
            TERM_BIGNUM_DEFAULT, TERM_BIGNUM_MIN, TEXT_BIGNUM_MAX)};

    (void)read_all(&t);
    if (t.err != PN_OK) {
        pn_term_writer_fail(w, t.err);
        if (ret_error != NULL) {
            ret_error->offset = (size_t)(t.at - t.start);
            memcpy(ret_error->expected, t.expected, sizeof(t.expected));
        }
    }
    pn_stack_fini(&t.open);
    pn_buf_fini(&t.scratch);
    return t.err;
}

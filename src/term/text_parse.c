/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a term in Elixir syntax. One loop and a stack of what is open; the
 * values themselves are read by text_value.c. Source: docs/TERM.md, "Elixir
 * text".
 */
#include <stdio.h>
#include <string.h>

#include "term/text_internal.h"

enum { TEXT_DEPTH_DEFAULT = 512, TEXT_DEPTH_MAX = 65535 };

/* What may come next. */
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

static void skip_space(pn_text *t)
{
    while (t->at < t->end
           && (*t->at == ' ' || *t->at == '\t' || *t->at == '\n'
               || *t->at == '\r')) {
        t->at++;
    }
}

static bool looking_at(const pn_text *t, const char *sign)
{
    size_t len = strlen(sign);

    return (size_t)(t->end - t->at) >= len && memcmp(t->at, sign, len) == 0;
}

static bool accept_sign(pn_text *t, const char *sign)
{
    if (!looking_at(t, sign)) {
        return false;
    }
    t->at += strlen(sign);
    return true;
}

/* ---- containers ---- */

static bool is_open(pn_text *t, pn_term_type type)
{
    pn_stack_item *top = pn_stack_top(&t->open);

    return top != NULL && top->kind == (uint8_t)type;
}

/* Levels of the writer that are ours. */
static bool has_depth_left(pn_text *t)
{
    if (PN_CHECK(text_depth, t->w->n_frames - t->base >= t->max_depth)) {
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

static bool close_container(pn_text *t)
{
    pn_stack_item top = *pn_stack_top(&t->open);

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
    return pn_text_value_done(t);
}

/* A value is complete, and with it the pair it may be the end of. */
bool pn_text_value_done(pn_text *t)
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

/* ---- keys ---- */

/* A name and its colon have been read: in a list it begins a pair. */
static bool write_name(pn_text *t, pn_slice name)
{
    pn_stack_item *top = pn_stack_top(&t->open);

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
        return accept_sign(t, "=>") || pn_text_fail(t, "'=>'");
    }
    if (accept_sign(t, is_list ? "]" : "}")) {
        return close_container(t);
    }
    if (is_list && (top->flag & HAS_TAIL) != 0) {
        return pn_text_fail(t, "']'");
    }
    if (is_list && (top->flag & HAS_NAME) == 0 && accept_sign(t, "|")) {
        top->flag |= HAS_TAIL;
        t->state = TEXT_VALUE;
        return true;
    }
    t->state = TEXT_VALUE;
    return accept_sign(t, ",")
           || pn_text_fail(t, is_list ? "',', '|' or ']'" : "',' or '}'");
}

static bool read_close(pn_text *t)
{
    if (t->state == TEXT_VALUE_OR_CLOSE
        && accept_sign(t, is_open(t, PN_TERM_LIST) ? "]" : "}")) {
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
    if (accept_sign(t, "%{")) {
        return open_container(t, PN_TERM_MAP);
    }
    if (accept_sign(t, "{")) {
        return open_container(t, PN_TERM_TUPLE);
    }
    if (accept_sign(t, "[")) {
        return open_container(t, PN_TERM_LIST);
    }
    return pn_text_read_scalar(t) && pn_text_value_done(t);
}

static bool read_all(pn_text *t)
{
    t->state = TEXT_VALUE;
    for (;;) {
        skip_space(t);
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
        .max_depth = TEXT_DEPTH_DEFAULT,
        .max_bignum = TEXT_BIGNUM_MAX};

    if (limits != NULL && limits->max_depth != 0) {
        t.max_depth = limits->max_depth < TEXT_DEPTH_MAX ? limits->max_depth
                                                         : TEXT_DEPTH_MAX;
    }
    if (limits != NULL && limits->max_bignum != 0
        && limits->max_bignum < TEXT_BIGNUM_MAX) {
        t.max_bignum = limits->max_bignum < 8 ? 8 : limits->max_bignum;
    }
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

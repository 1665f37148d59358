/* SPDX-License-Identifier: Apache-2.0 */
/* erpc:execute_call/4 of OTP 27 has these classes, and rpc:call its own words
 * for them. */
#include "raise.h"

#include <stdlib.h>

#include "term/tags.h"
#include "term/writer_internal.h"

enum { FRAME_ARGS_MAX = 1024 };

pn_err pn_barrel_stack(
    pn_term module, pn_term function, pn_term args, pn_term *ret_stack)
{
    pn_term_writer w;
    pn_term_reader r;
    pn_term stack;
    pn_err err;

    pn_term_writer_init(&w, 0);
    pn_term_write_list_begin(&w);
    pn_term_write_tuple_begin(&w);
    pn_term_write_opaque(&w, module);
    pn_term_write_opaque(&w, function);
    if (args.len <= FRAME_ARGS_MAX) {
        pn_term_write_opaque(&w, args);
    } else {
        pn_term_reader_init(&r, args);
        pn_term_write_uint64(&w, pn_term_read_list(&r));
    }
    pn_term_write_list_begin(&w);
    pn_term_write_list_end(&w);
    pn_term_write_tuple_end(&w);
    pn_term_write_list_end(&w);
    err = pn_term_writer_finish(&w, NULL, &stack);
    if (err == PN_OK) {
        err = pn_term_copy(stack, ret_stack);
    }
    pn_term_writer_free(&w);
    return err;
}

typedef enum raise_class { RAISE_ERROR, RAISE_EXIT, RAISE_THROW } raise_class;

/* A reason of the library or of a handler, as Erlang has it. */
typedef struct raised {
    raise_class class;
    pn_term term;
    pn_term stack; /* empty: what was called is all of it */
} raised;

/* {undef | forbidden, what}: the stack trace says what, too. */
static bool is_refusal(pn_term reason, pn_term *ret_term)
{
    pn_term what;

    return pn_term_match(reason, "{~t, ~t}", ret_term, &what)
           && (pn_term_is_atom(*ret_term, "undef")
               || pn_term_is_atom(*ret_term, "forbidden"));
}

static raised classify(pn_term reason)
{
    raised r = {.class = RAISE_ERROR};

    if (pn_term_match(reason, "{handler_crash, {exit, ~t}}", &r.term)) {
        r.class = RAISE_EXIT;
    } else if (pn_term_match(reason, "{handler_crash, {throw, ~t}}", &r.term)) {
        r.class = RAISE_THROW;
    } else if (!pn_term_match(reason, "{handler_crash, {error, ~t, ~t}}",
                   &r.term, &r.stack)
               && !is_refusal(reason, &r.term)) {
        r.term = reason;
    }
    return r;
}

/* The answers of rpc and of erpc. rpc:call gives what was thrown as if it were
 * the result. Only an error has a stack trace. */
static const char *const answers[][2] = {
    [RAISE_ERROR] = {"{~t, {badrpc, {'EXIT', {~t, ~t}}}}",
        "{~t, error, ~t, ~t}"},
    [RAISE_EXIT] = {"{~t, {badrpc, {'EXIT', ~t}}}", "{~t, exit, ~t}"},
    [RAISE_THROW] = {"{~t, ~t}", "{~t, throw, ~t}"},
};

void pn_barrel_write_failure(
    pn_term_writer *w, bool is_erpc, pn_term tag, pn_term reason, pn_term stack)
{
    static const uint8_t nil = TAG_NIL;
    raised r = classify(reason);

    if (r.stack.len == 0) {
        r.stack = stack.len > 0 ? stack : (pn_term){&nil, sizeof(nil)};
    }
    pn_term_write_opaque_format(
        w, answers[r.class][is_erpc], tag, r.term, r.stack);
}

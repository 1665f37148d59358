/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function of ours that fails, as rpc and erpc of OTP say it: callers match
 * on {undef, [{M, F, Args, []}]} and its kind.
 */
#ifndef PN_BARREL_RAISE_H
#define PN_BARREL_RAISE_H

#include <peernet/term.h>

/* A stack trace of what was called: [{M, F, Args, []}], with the arity in place
 * of arguments that are larger than 1 KiB. ret_stack is free()d by its owner.
 * Errors: PN_NOMEM; PN_INVALID one is no term for it. */
PN_MUST_USE pn_err pn_barrel_stack(
    pn_term module, pn_term function, pn_term args, pn_term *ret_stack);

/*
 * Writes the answer to a call that failed for reason. is_erpc:
 * {Tag, throw | exit, Term} or {Tag, error, Term, Stack}; else {Tag, Term}
 * of a throw, {Tag, {badrpc, {'EXIT', Term}}} or
 * {Tag, {badrpc, {'EXIT', {Term, Stack}}}}. A {handler_crash, _} is what its
 * class says, everything else is an error. An empty stack is an empty list.
 */
void pn_barrel_write_failure(pn_term_writer *w, bool is_erpc, pn_term tag,
    pn_term reason, pn_term stack);

#endif

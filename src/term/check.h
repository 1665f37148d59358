/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over bytes that claim to be a term: what the files that do it
 * share. check.c walks, opaque.c knows pids, ports, references and funs,
 * keys.c finds duplicate keys.
 */
#ifndef PN_TERM_CHECK_H
#define PN_TERM_CHECK_H

#include <peernet/term.h>

#include "base/core.h"
#include "base/mutant.h"
#include "term/hash.h"

enum { TERM_DEPTH_DEFAULT = 512, TERM_KEYS_INLINE = 64 };

/* Hashes of the keys of all maps that are open, innermost last. */
typedef struct pn_key_stack {
    pn_hash *items;
    size_t n;
    size_t cap;
    pn_hash first[TERM_KEYS_INLINE];
} pn_key_stack;

void pn_key_stack_init(pn_key_stack *keys);
void pn_key_stack_fini(pn_key_stack *keys);
/* Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_key_stack_push(pn_key_stack *keys, pn_hash key);
/* Whether two of the keys from base up are the same; takes linear time.
 * Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_key_stack_has_duplicate(
    const pn_key_stack *keys, size_t base, bool *ret_has);

typedef enum pn_frame_kind {
    FRAME_TOP,
    FRAME_TUPLE,
    FRAME_LIST,
    FRAME_MAP,
    FRAME_FUN
} pn_frame_kind;

/* A container that is open. */
typedef struct pn_check_frame {
    uint32_t left; /* terms it still owes */
    uint32_t base; /* map: its first key on the stack; fun: where it ends */
    pn_frame_kind kind;
    bool is_hashing; /* it is a key, or inside of one */
    pn_hash hash;    /* so far; of a map the sum over its pairs */
} pn_check_frame;

typedef struct pn_check {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
    uint64_t owed; /* terms still owed by all frames together */
    uint32_t depth;
    uint32_t max_depth;
    uint32_t max_bignum;
    uint32_t frames_cap;
    pn_check_frame *frames; /* the caller's, or grown from those */
    const pn_check_frame *given;
    pn_key_stack keys;
    const uint8_t *tag; /* of the term being looked at */
    pn_err err;
    const char *text;
} pn_check;

/* Always false, so a caller can return it. */
bool pn_check_fail(pn_check *c, pn_err err, const char *text);

static inline size_t pn_check_left(const pn_check *c)
{
    return (size_t)(c->end - c->at);
}

/* The next n bytes, or NULL after failing. */
static inline const uint8_t *pn_check_take(pn_check *c, size_t n)
{
    const uint8_t *p = c->at;

    if (PN_CHECK(term_truncated, pn_check_left(c) < n)) {
        (void)pn_check_fail(c, PN_MALFORMED, "the input ends inside a term");
        return NULL;
    }
    c->at += n;
    return p;
}

/* Looks at an atom whose tag has been taken; ret_hash NULL: not wanted. */
bool pn_check_atom(pn_check *c, uint8_t tag, pn_hash *ret_hash);

/* Looks at a pid, port, reference or export whose tag has been taken. */
bool pn_check_opaque(pn_check *c, uint8_t tag, pn_hash *ret_hash);
/* Looks at the head of a fun: how many free variables follow it and the
 * offset where it must end. */
bool pn_check_fun(pn_check *c, uint32_t *ret_free, uint32_t *ret_end);

/* The hash of a whole term that has been checked before; false when it cannot
 * have one (it holds a fun, or there is no memory). */
bool pn_check_hash(pn_term term, pn_hash *ret_hash);
/* As pn_term_parse for one term without its version byte. */
PN_CORE PN_MUST_USE pn_err pn_check_bare(
    pn_term term, const pn_term_limits *limits);
/* As pn_term_parse for one term without its version byte that we wrote
 * ourselves: any depth, any size. */
PN_MUST_USE pn_err pn_check_own(pn_term term);

#endif

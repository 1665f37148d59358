/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations of the files that check bytes as a term in one pass: check.c
 * walks, opaque.c checks pids, ports, references and funs, keys.c finds
 * duplicate keys.
 */
#ifndef PN_TERM_CHECK_H
#define PN_TERM_CHECK_H

#include <peernet/term.h>

#include "base/core.h"
#include "base/mutant.h"
#include "term_hash.h"

enum {
    TERM_DEPTH_DEFAULT = 512,
    TERM_DEPTH_MAX = 65535,
    TERM_BIGNUM_DEFAULT = 512,
    TERM_BIGNUM_MIN = 8,
    TERM_KEYS_INLINE = 64
};

/* The limit that a field stands for: unset for 0, and the nearest bound for a
 * value out of range. */
static inline uint32_t pn_check_clamp(
    uint32_t value, uint32_t unset, uint32_t lo, uint32_t hi)
{
    if (value == 0) {
        return unset;
    }
    return value < lo ? lo : value > hi ? hi : value;
}

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
/* Finds out whether two of the keys from base up are the same, in linear time.
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
    bool is_hashing; /* it is a key, or inside one */
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

/* Keeps the first error. Returns false, for the caller to return. */
bool pn_check_fail(pn_check *c, pn_err err, const char *text);

static inline size_t pn_check_left(const pn_check *c)
{
    return (size_t)(c->end - c->at);
}

/* The next n bytes, or NULL after failing. */
static inline const uint8_t *pn_check_take(pn_check *c, size_t n)
{
    const uint8_t *p = c->at;

    if (PN_REFUSE_IF(term_truncated, pn_check_left(c) < n)) {
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
/* Looks at the head of a fun. *ret_free is how many free variables follow it,
 * *ret_end the offset where it must end. */
bool pn_check_fun(pn_check *c, uint32_t *ret_free, uint32_t *ret_end);

/* The hash of a whole term that has been checked before; false when it cannot
 * have one (it holds a fun, or there is no memory). */
bool pn_check_hash(pn_term term, pn_hash *ret_hash);
/* As pn_term_parse for one term without its version byte. */
PN_CORE PN_MUST_USE pn_err pn_check_bare(
    pn_term term, const pn_term_limits *limits);
/* As pn_check_bare for a term that our writer wrote: any depth, any size. */
PN_MUST_USE pn_err pn_check_own(pn_term term);

#endif

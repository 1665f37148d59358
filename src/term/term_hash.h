/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes of values, 128 bits. Equal values hash alike in every spelling, so two
 * keys of one map that hash alike are one key written twice. Bytes cannot be
 * compared instead: the integer 1 has three encodings, an atom has four. The
 * hashes are keyed by random bytes, so a peer cannot prepare two values that
 * collide, and none is stored or sent. A collision refuses a map; it never lets
 * one pass.
 */
#ifndef PN_TERM_TERM_HASH_H
#define PN_TERM_TERM_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"

typedef struct pn_hash {
    uint64_t a;
    uint64_t b;
} pn_hash;

/* The kind of a value, which keeps 1 and 1.0, {} and [], :a and "a" apart. */
typedef enum pn_hash_kind {
    HASH_INTEGER = 1,
    HASH_FLOAT,
    HASH_ATOM,
    HASH_BITS,
    HASH_TUPLE,
    HASH_NIL,
    HASH_LIST,
    HASH_MAP,
    HASH_PAIR,
    HASH_PID,
    HASH_PORT,
    HASH_REFERENCE,
    HASH_EXPORT
} pn_hash_kind;

static inline bool pn_hash_equal(pn_hash x, pn_hash y)
{
    return x.a == y.a && x.b == y.b;
}

/* Takes the seed of this process from env, unless hashes were made before. A
 * node does so when it opens. Errors: those of env->random. */
PN_MUST_USE pn_err pn_hash_seed(const pn_env *env);
/* Starts the hash of a value from its kind and a number, which is a count or
 * the length of the bytes that follow. */
pn_hash pn_hash_begin(pn_hash_kind kind, uint64_t number);
/* Goes on with len bytes, or with a part that has a hash of its own. */
pn_hash pn_hash_bytes(pn_hash h, const uint8_t *p, size_t len);
pn_hash pn_hash_part(pn_hash h, pn_hash part);
/* A slot for h in a table, which a peer cannot choose. */
size_t pn_hash_slot(pn_hash h);

/* An integer: n bytes of magnitude, little-endian, zeros on top allowed. */
pn_hash pn_hash_integer(bool is_negative, const uint8_t *magnitude, size_t n);
pn_hash pn_hash_int64(int64_t value);
/* A float: 8 bytes big-endian; 0.0 and -0.0 are alike (OTP 25). */
pn_hash pn_hash_float(const uint8_t bytes[static 8]);
pn_hash pn_hash_nil(void);
/* A binary or bitstring: the bits used of its last byte, 1..8. */
pn_hash pn_hash_bits(const uint8_t *p, size_t len, unsigned bits);
/* An atom's name, in UTF-8 or in Latin-1. */
pn_hash pn_hash_atom(const uint8_t *name, size_t len, bool is_latin1);

#endif

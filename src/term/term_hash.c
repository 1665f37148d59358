/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes of values; see term_hash.h. Two lanes of multiply and fold.
 *
 * SipHash-128 of libcrypto was measured in its place: 337 ns for one key of a
 * map, against 5 to 7 ns here, so maps would be decoded far more than a tenth
 * slower. A collision only refuses a valid map, and cannot be prepared without
 * the seed.
 */
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#ifdef __linux__
#include <sys/auxv.h>
#endif

#include "base/assert.h"
#include "base/bytes.h"
#include "base/utf8.h"
#include "tags.h"
#include "term_hash.h"

/* Odd constants without pattern: the first digits of e and of pi. */
#define HASH_K0 UINT64_C(0xb7e151628aed2a6b)
#define HASH_K1 UINT64_C(0xbf7158809cf4f3c7)
#define HASH_K2 UINT64_C(0x243f6a8885a308d3)
#define HASH_K3 UINT64_C(0x13198a2e03707345)

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 hash_u128;

static inline uint64_t fold(uint64_t x, uint64_t y)
{
    hash_u128 product = (hash_u128)x * y;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}
#else
static inline uint64_t fold(uint64_t x, uint64_t y)
{
    uint64_t low = (x & UINT32_MAX) * (y & UINT32_MAX);
    uint64_t mid1 = (x >> 32) * (y & UINT32_MAX);
    uint64_t mid2 = (x & UINT32_MAX) * (y >> 32);
    uint64_t high = (x >> 32) * (y >> 32);
    uint64_t mid = (low >> 32) + (mid1 & UINT32_MAX) + (mid2 & UINT32_MAX);

    high += (mid1 >> 32) + (mid2 >> 32) + (mid >> 32);
    return (low & UINT32_MAX) ^ (mid << 32) ^ high;
}
#endif

static inline uint64_t turn(uint64_t x)
{
    return x << 32 | x >> 32;
}

/* For a process that reads terms and opens no node: the kernel puts 16 random
 * bytes into every new process. */
static pn_hash seed_of_process(void)
{
    pn_hash seed = {HASH_K0, HASH_K1};

#ifdef __linux__
    const void *random = (const void *)(uintptr_t)getauxval(AT_RANDOM);

    if (random != NULL) {
        memcpy(&seed, random, sizeof(seed));
    }
#endif
    /* The stack protector's canary is made of the same bytes. */
    seed.a = fold(seed.a ^ HASH_K2, seed.b ^ HASH_K3);
    seed.b = fold(seed.b ^ HASH_K0, seed.a ^ HASH_K1);
    return seed;
}

/* Two hashes are compared only if both were made with one seed, so the first
 * one stays for the life of the process. */
enum { SEED_NONE, SEED_TAKEN, SEED_READY };
static _Atomic int seed_state;
static pn_hash process_seed;

static void __attribute__((noinline, cold)) seed_set(pn_hash s)
{
    int none = SEED_NONE;

    if (atomic_compare_exchange_strong(&seed_state, &none, SEED_TAKEN)) {
        process_seed = s;
        atomic_store(&seed_state, SEED_READY);
    }
    while (atomic_load(&seed_state) != SEED_READY) {
        (void)sched_yield(); /* to the thread that is taking the seed */
    }
}

static void __attribute__((noinline, cold)) seed_set_own(void)
{
    seed_set(seed_of_process());
}

static inline pn_hash seed(void)
{
    if (atomic_load_explicit(&seed_state, memory_order_acquire) != SEED_READY) {
        seed_set_own();
    }
    return process_seed;
}

pn_err pn_hash_seed(const pn_env *env)
{
    pn_hash s;
    pn_err err = env->random(env->user, (uint8_t *)&s, sizeof(s));

    if (err == PN_OK) {
        seed_set(s);
    }
    return err;
}

static inline pn_hash mix(pn_hash h, uint64_t x, uint64_t y)
{
    uint64_t p = h.a ^ x;
    uint64_t q = h.b ^ y;

    return (pn_hash){fold(p ^ HASH_K0, turn(q) ^ HASH_K1) + q,
        fold(q ^ HASH_K2, turn(p) ^ HASH_K3) + p};
}

pn_hash pn_hash_begin(pn_hash_kind kind, uint64_t number)
{
    return mix(seed(), (uint64_t)kind, number);
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t x;

    memcpy(&x, p, 8);
    return x; /* the byte order does not matter within one process */
}

static inline uint64_t load32(const uint8_t *p)
{
    uint32_t x;

    memcpy(&x, p, 4);
    return x;
}

/* Loads may overlap, because pn_hash_begin took the length. */
pn_hash pn_hash_bytes(pn_hash h, const uint8_t *p, size_t len)
{
    size_t i = 0;

    if (len >= 16) {
        for (; i + 16 <= len; i += 16) {
            h = mix(h, load64(p + i), load64(p + i + 8));
        }
        return i == len ? h : mix(h, load64(p + len - 16), load64(p + len - 8));
    }
    if (len >= 8) {
        return mix(h, load64(p), load64(p + len - 8));
    }
    if (len >= 4) {
        return mix(h, load32(p), load32(p + len - 4));
    }
    if (len > 0) {
        return mix(h, (uint64_t)p[0] << 8 | p[len / 2], (uint64_t)p[len - 1]);
    }
    return h;
}

pn_hash pn_hash_part(pn_hash h, pn_hash part)
{
    return mix(h, part.a, part.b);
}

size_t pn_hash_slot(pn_hash h)
{
    pn_hash s = seed();

    return (size_t)fold(h.a ^ turn(s.b), h.b ^ s.a);
}

/* The hash of a value of 64 bits: the value masked with the seed. */
static inline pn_hash small(pn_hash_kind kind, uint64_t value, uint64_t more)
{
    pn_hash s = seed();

    return (pn_hash){s.a ^ value, s.b ^ (more << 8 | (uint64_t)kind)};
}

pn_hash pn_hash_integer(bool is_negative, const uint8_t *magnitude, size_t n)
{
    n = pn_trim_le(magnitude, n);
    if (n > 8) {
        return pn_hash_bytes(
            pn_hash_begin(HASH_INTEGER, 2 * n + (is_negative ? 1 : 0)),
            magnitude, n);
    }
    return small(
        HASH_INTEGER, pn_load_le(magnitude, n), n > 0 && is_negative ? 1 : 0);
}

pn_hash pn_hash_int64(int64_t value)
{
    return value < 0 ? small(HASH_INTEGER, 0 - (uint64_t)value, 1)
                     : small(HASH_INTEGER, (uint64_t)value, 0);
}

pn_hash pn_hash_float(const uint8_t bytes[static 8])
{
    uint64_t bits = pn_load_be64(bytes);

    return small(HASH_FLOAT, bits << 1 == 0 ? 0 : bits, 0);
}

pn_hash pn_hash_nil(void)
{
    return small(HASH_NIL, 0, 0);
}

pn_hash pn_hash_bits(const uint8_t *p, size_t len, unsigned bits)
{
    return pn_hash_bytes(
        pn_hash_begin(HASH_BITS, (uint64_t)len << 4 | bits), p, len);
}

pn_hash pn_hash_atom(const uint8_t *name, size_t len, bool is_latin1)
{
    uint8_t utf8[2 * TERM_ATOM_MAX_CHARS];
    size_t n;

    if (!is_latin1 || pn_ascii_check(name, len)) {
        return pn_hash_bytes(pn_hash_begin(HASH_ATOM, len), name, len);
    }
    assert(len <= TERM_ATOM_MAX_CHARS);
    n = pn_utf8_from_latin1(name, len, utf8);
    return pn_hash_bytes(pn_hash_begin(HASH_ATOM, n), utf8, n);
}

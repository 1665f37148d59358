/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pids, ports, references and funs. Their contents mean nothing here, but their
 * shape must be one that every BEAM takes: a fun whose creator is not a pid
 * crashes OTP 25. Source: External Term Format; docs/TERM.md, "Opaque terms".
 */
#include "base/bytes.h"
#include "term/check.h"
#include "term/tags.h"

/* The parts of a pid, port or reference, whatever tag it came with. */
typedef struct opaque_parts {
    pn_hash node;
    uint32_t creation;
    const uint8_t *number; /* big-endian */
    size_t number_len;
} opaque_parts;

/* A node's or a module's name, tag included. */
static bool take_atom(pn_check *c, pn_hash *ret_hash)
{
    const uint8_t *tag = pn_check_take(c, 1);

    if (tag == NULL) {
        return false;
    }
    if (pn_term_type_of((pn_term){tag, 1}) != PN_TERM_ATOM) {
        return pn_check_fail(
            c, PN_MALFORMED, "an opaque term without its atom");
    }
    return pn_check_atom(c, *tag, ret_hash);
}

/* A creation, of 1 byte in the old tags and of 4 in the new ones. */
static bool take_creation(pn_check *c, size_t n, uint32_t *ret_creation)
{
    const uint8_t *p = pn_check_take(c, n);

    if (p == NULL) {
        return false;
    }
    *ret_creation = n == 4 ? pn_load_be32(p) : *p;
    if (PN_REFUSE_IF(term_old_creation,
            n == 1 && *ret_creation > TERM_OLD_CREATION_MAX)) {
        return pn_check_fail(
            c, PN_MALFORMED, "a creation that an old tag cannot have");
    }
    return true;
}

static bool take_number(pn_check *c, size_t n, opaque_parts *parts)
{
    parts->number = pn_check_take(c, n);
    parts->number_len = n;
    return parts->number != NULL;
}

/* node, number, creation: pids, ports, the oldest references. */
static bool take_parts(
    pn_check *c, size_t n_number, size_t n_creation, opaque_parts *parts)
{
    return take_atom(c, &parts->node) && take_number(c, n_number, parts)
           && take_creation(c, n_creation, &parts->creation);
}

/* The newer references put their length first and their number last. */
static bool take_long_reference(
    pn_check *c, size_t n_creation, opaque_parts *parts)
{
    const uint8_t *p = pn_check_take(c, 2);

    if (p == NULL) {
        return false;
    }
    if (PN_REFUSE_IF(
            term_reference_words, pn_load_be16(p) > TERM_REFERENCE_MAX_WORDS)) {
        return pn_check_fail(
            c, PN_MALFORMED, "a reference of more than five words");
    }
    return take_atom(c, &parts->node)
           && take_creation(c, n_creation, &parts->creation)
           && take_number(c, 4 * (size_t)pn_load_be16(p), parts);
}

/* The first word of a reference with an old tag has 18 bits. */
static bool check_old_reference(pn_check *c, const opaque_parts *parts)
{
    if (PN_REFUSE_IF(term_old_reference,
            parts->number_len > 0
                && pn_load_be32(parts->number) >> TERM_OLD_REFERENCE_BITS
                       != 0)) {
        return pn_check_fail(
            c, PN_MALFORMED, "a reference that an old tag cannot have");
    }
    return true;
}

/* Module, function, arity. */
static bool check_export(pn_check *c, pn_hash *ret_hash)
{
    pn_hash module;
    pn_hash function;
    const uint8_t *arity;

    if (!take_atom(c, &module) || !take_atom(c, &function)) {
        return false;
    }
    arity = pn_check_take(c, 2);
    if (arity == NULL) {
        return false;
    }
    if (PN_REFUSE_IF(term_export_arity, arity[0] != TAG_SMALL_INTEGER)) {
        return pn_check_fail(
            c, PN_MALFORMED, "an external fun without its arity");
    }
    if (ret_hash != NULL) {
        *ret_hash = pn_hash_part(
            pn_hash_part(pn_hash_begin(HASH_EXPORT, arity[1]), module),
            function);
    }
    return true;
}

/* A port's number is the same in 4 bytes and in 8; zero words at the end of a
 * reference do not count. */
static pn_hash hash_parts(pn_hash_kind kind, const opaque_parts *parts)
{
    pn_hash h = pn_hash_begin(kind, parts->creation);
    const uint8_t *p = parts->number;
    size_t n = parts->number_len;

    while (kind == HASH_PORT && n > 4 && *p == 0) {
        p++;
        n--;
    }
    while (kind == HASH_REFERENCE && n > 0 && pn_load_be32(p + n - 4) == 0) {
        n -= 4;
    }
    h = pn_hash_part(pn_hash_part(h, parts->node), (pn_hash){n, 0});
    return pn_hash_bytes(h, p, n);
}

bool pn_check_opaque(pn_check *c, uint8_t tag, pn_hash *ret_hash)
{
    opaque_parts parts = {0};
    pn_hash_kind kind = HASH_PID;
    bool is_fine = false;

    switch (tag) {
    case TAG_NEW_PID:
    case TAG_PID:
        is_fine = take_parts(c, 8, tag == TAG_PID ? 1 : 4, &parts);
        break;
    case TAG_NEW_PORT:
    case TAG_PORT:
        kind = HASH_PORT;
        is_fine = take_parts(c, 4, tag == TAG_PORT ? 1 : 4, &parts);
        break;
    case TAG_V4_PORT:
        kind = HASH_PORT;
        is_fine = take_parts(c, 8, 4, &parts);
        break;
    case TAG_REFERENCE:
        kind = HASH_REFERENCE;
        is_fine = take_parts(c, 4, 1, &parts) && check_old_reference(c, &parts);
        break;
    case TAG_NEW_REFERENCE:
        kind = HASH_REFERENCE;
        is_fine = take_long_reference(c, 1, &parts)
                  && check_old_reference(c, &parts);
        break;
    case TAG_NEWER_REFERENCE:
        kind = HASH_REFERENCE;
        is_fine = take_long_reference(c, 4, &parts);
        break;
    default:
        return check_export(c, ret_hash);
    }
    if (is_fine && ret_hash != NULL) {
        *ret_hash = hash_parts(kind, &parts);
    }
    return is_fine;
}

/* The old index and old uniq of a fun: whole numbers of 1 or 4 bytes. */
static bool take_small(pn_check *c)
{
    const uint8_t *tag = pn_check_take(c, 1);

    if (tag == NULL) {
        return false;
    }
    if (PN_REFUSE_IF(term_fun_numbers,
            *tag != TAG_SMALL_INTEGER && *tag != TAG_INTEGER)) {
        return pn_check_fail(
            c, PN_MALFORMED, "a fun without its index or uniq");
    }
    return pn_check_take(c, *tag == TAG_INTEGER ? 4 : 1) != NULL;
}

static bool take_creator(pn_check *c)
{
    const uint8_t *tag = pn_check_take(c, 1);

    if (tag == NULL) {
        return false;
    }
    if (PN_REFUSE_IF(
            term_fun_creator, *tag != TAG_NEW_PID && *tag != TAG_PID)) {
        return pn_check_fail(c, PN_MALFORMED, "a fun whose creator is no pid");
    }
    return pn_check_opaque(c, *tag, NULL);
}

bool pn_check_fun(pn_check *c, uint32_t *ret_free, uint32_t *ret_end)
{
    size_t offset = (size_t)(c->at - c->start);
    /* size 4, arity 1, uniq 16, index 4, number of free variables 4 */
    const uint8_t *head = pn_check_take(c, 29);

    if (head == NULL) {
        return false;
    }
    *ret_free = pn_load_be32(head + 25);
    if (PN_REFUSE_IF(term_fun_free, *ret_free > TERM_FUN_MAX_FREE)) {
        return pn_check_fail(
            c, PN_MALFORMED, "a fun of more than 255 free variables");
    }
    /* Modulo 2^32, which a wrong size cannot turn into the right end. */
    *ret_end = (uint32_t)(offset + pn_load_be32(head));
    return take_atom(c, NULL) && take_small(c) && take_small(c)
           && take_creator(c);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Pids and references as bytes: NEW_PID_EXT and NEWER_REFERENCE_EXT; a pid of
 * another node may still come with the old tag. */
#include "base/bytes.h"
#include "base/mutant.h"
#include "base/slice.h"
#include "dist/signal.h"
#include "term/tags.h"

#include <string.h>

enum {
    PID_LEN = 12,    /* id, serial, creation */
    OLD_PID_LEN = 9, /* the same with a creation of one byte */
    REF_LEN = 4 + 4 * PN_DIST_REF_WORDS
};

/* The name of a node at at, and all that follows it. False: no atom, or one
 * that cannot be a name. */
static bool take_node(pn_term at, pn_slice *ret_node, pn_slice *ret_rest)
{
    pn_term_reader r;

    pn_term_reader_init(&r, at);
    *ret_node = pn_term_read_atom(&r);
    *ret_rest = (pn_slice){r.at, (size_t)(r.end - r.at)};
    return r.err == PN_OK;
}

/* The part behind a tag and head bytes more. */
static pn_term after(pn_term term, size_t head)
{
    return (pn_term){term.data + head, term.len - head};
}

bool pn_dist_pid_node(pn_term term, pn_slice *ret_node)
{
    pn_slice node;
    pn_slice rest;
    size_t len;

    if (term.len == 0
        || (term.data[0] != TAG_NEW_PID && term.data[0] != TAG_PID)) {
        return false;
    }
    len = term.data[0] == TAG_NEW_PID ? PID_LEN : OLD_PID_LEN;
    if (!take_node(after(term, 1), &node, &rest) || rest.len != len) {
        return false;
    }
    *ret_node = node;
    return true;
}

bool pn_dist_pid_read(
    pn_term term, const char *name, uint32_t creation, pn_dist_pid *ret_pid)
{
    pn_slice node;
    pn_slice rest;

    if (term.len == 0 || term.data[0] != TAG_NEW_PID
        || !take_node(after(term, 1), &node, &rest) || rest.len != PID_LEN
        || !pn_slice_is(node, name)
        || PN_REFUSE_IF(
            dist_pid_creation, pn_load_be32(rest.data + 8) != creation)) {
        return false;
    }
    *ret_pid = (pn_dist_pid){pn_load_be32(rest.data),
        pn_load_be32(rest.data + 4), pn_load_be32(rest.data + 8)};
    return true;
}

bool pn_dist_ref_read(
    pn_term term, const char *name, uint32_t creation, pn_dist_ref *ret_ref)
{
    pn_slice node;
    pn_slice rest;

    if (term.len < 3 || term.data[0] != TAG_NEWER_REFERENCE
        || pn_load_be16(term.data + 1) != PN_DIST_REF_WORDS
        || !take_node(after(term, 3), &node, &rest) || rest.len != REF_LEN
        || !pn_slice_is(node, name)
        || PN_REFUSE_IF(
            dist_ref_creation, pn_load_be32(rest.data) != creation)) {
        return false;
    }
    ret_ref->creation = creation;
    for (size_t i = 0; i < PN_DIST_REF_WORDS; i++) {
        ret_ref->words[i] = pn_load_be32(rest.data + 4 + 4 * i);
    }
    return true;
}

/* Puts name as an atom behind at bytes; how many bytes there are then, or 0 for
 * a name that is too long. */
static size_t put_atom(pn_dist_room *room, size_t at, const char *name)
{
    size_t len = strlen(name);

    if (len > PN_DIST_ATOM_MAX) {
        return 0;
    }
    room->bytes[at] = TAG_SMALL_ATOM_UTF8;
    room->bytes[at + 1] = (uint8_t)len;
    memcpy(room->bytes + at + 2, name, len);
    return at + 2 + len;
}

pn_term pn_dist_atom_term(pn_dist_room *room, const char *name)
{
    return (pn_term){room->bytes, put_atom(room, 0, name)};
}

pn_term pn_dist_pid_term(
    pn_dist_room *room, const char *name, const pn_dist_pid *pid)
{
    size_t n = put_atom(room, 1, name);
    uint8_t *p = room->bytes + n;

    if (n == 0) {
        return (pn_term){0};
    }
    room->bytes[0] = TAG_NEW_PID;
    pn_store_be32(p, pid->id);
    pn_store_be32(p + 4, pid->serial);
    pn_store_be32(p + 8, pid->creation);
    return (pn_term){room->bytes, n + PID_LEN};
}

pn_term pn_dist_ref_term(
    pn_dist_room *room, const char *name, const pn_dist_ref *ref)
{
    size_t n = put_atom(room, 3, name);
    uint8_t *p = room->bytes + n;

    if (n == 0) {
        return (pn_term){0};
    }
    room->bytes[0] = TAG_NEWER_REFERENCE;
    pn_store_be16(room->bytes + 1, PN_DIST_REF_WORDS);
    pn_store_be32(p, ref->creation);
    for (size_t i = 0; i < PN_DIST_REF_WORDS; i++) {
        pn_store_be32(p + 4 + 4 * i, ref->words[i]);
    }
    return (pn_term){room->bytes, n + REF_LEN};
}

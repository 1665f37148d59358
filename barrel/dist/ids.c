/* SPDX-License-Identifier: Apache-2.0 */
/* Pids and references as bytes: NEW_PID_EXT and NEWER_REFERENCE_EXT; a pid of
 * another node may still come with the old tag. */
#include "base/bytes.h"
#include "base/mutant.h"
#include "dist/signal.h"
#include "term/tags.h"
#include "term/writer_internal.h"

#include <string.h>

enum {
    PID_LEN = 12,    /* id, serial, creation */
    OLD_PID_LEN = 9, /* the same with a creation of one byte */
    NODE_MAX = 255,
    REF_LEN = 4 + 4 * PN_DIST_REF_WORDS,
    ID_MAX = 1 + 2 + 2 + NODE_MAX + REF_LEN
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

static bool is_name(pn_slice node, const char *name)
{
    return node.len == strlen(name) && memcmp(node.data, name, node.len) == 0;
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
        || !is_name(node, name)
        || PN_CHECK(
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
        || !is_name(node, name)
        || PN_CHECK(dist_ref_creation, pn_load_be32(rest.data) != creation)) {
        return false;
    }
    ret_ref->creation = creation;
    for (size_t i = 0; i < PN_DIST_REF_WORDS; i++) {
        ret_ref->words[i] = pn_load_be32(rest.data + 4 + 4 * i);
    }
    return true;
}

/* Appends name as an atom; the bytes there are then, 0: it cannot be one. */
static size_t put_node(uint8_t *out, size_t at, const char *name)
{
    pn_slice node = {(const uint8_t *)name, strlen(name)};

    if (node.len > NODE_MAX) {
        return 0;
    }
    out[at] = TAG_SMALL_ATOM_UTF8;
    out[at + 1] = (uint8_t)node.len;
    memcpy(out + at + 2, node.data, node.len);
    return at + 2 + node.len;
}

void pn_dist_write_pid(
    pn_term_writer *w, const char *name, const pn_dist_pid *pid)
{
    uint8_t bytes[ID_MAX] = {TAG_NEW_PID};
    size_t n = put_node(bytes, 1, name);

    if (n == 0) {
        pn_term_writer_fail(w, PN_INVALID);
        return;
    }
    pn_store_be32(bytes + n, pid->id);
    pn_store_be32(bytes + n + 4, pid->serial);
    pn_store_be32(bytes + n + 8, pid->creation);
    pn_term_write_opaque(w, (pn_term){bytes, n + PID_LEN});
}

void pn_dist_write_ref(
    pn_term_writer *w, const char *name, const pn_dist_ref *ref)
{
    uint8_t bytes[ID_MAX] = {TAG_NEWER_REFERENCE, 0, PN_DIST_REF_WORDS};
    size_t n = put_node(bytes, 3, name);

    if (n == 0) {
        pn_term_writer_fail(w, PN_INVALID);
        return;
    }
    pn_store_be32(bytes + n, ref->creation);
    for (size_t i = 0; i < PN_DIST_REF_WORDS; i++) {
        pn_store_be32(bytes + n + 4 + 4 * i, ref->words[i]);
    }
    pn_term_write_opaque(w, (pn_term){bytes, n + REF_LEN});
}

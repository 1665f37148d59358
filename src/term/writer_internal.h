/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a term straight into somebody's output buffer. */
#ifndef PN_TERM_WRITER_INTERNAL_H
#define PN_TERM_WRITER_INTERNAL_H

#include <peernet/term.h>

#include "base/buf.h"
#include "base/core.h"

/*
 * Starts a term at the end of buf, version byte 131 first; max_bytes as in
 * pn_term_writer_init. w is not read: a writer that was used before needs
 * pn_term_writer_free first, or rather pn_term_writer_restart_buf.
 *
 * Until pn_term_writer_finish nothing else may touch buf. When finish fails,
 * buf is as long as it was before. pn_term_writer_free leaves buf alone; it
 * is only needed after terms nested deeper than 8.
 */
PN_CORE void pn_term_writer_init_buf(
    pn_term_writer *w, pn_buf *buf, size_t max_bytes);

/* The same for a writer in use (or zero-filled), which keeps its frames: the
 * hot path calls this once per message and allocates nothing. */
void pn_term_writer_restart_buf(
    pn_term_writer *w, pn_buf *buf, size_t max_bytes);

/*
 * As pn_term_writer_init_buf for a term that continues what is in buf, which
 * is not empty: no version byte is written. pn_term_writer_finish takes no
 * ret_bytes then; ret_term is the new term.
 */
void pn_term_writer_init_tail(pn_term_writer *w, pn_buf *buf, size_t max_bytes);

/* Bytes of the term so far, version byte included. */
size_t pn_term_writer_used(const pn_term_writer *w);

/* What is open innermost. */
typedef enum pn_writer_kind {
    WRITER_TOP,
    WRITER_TUPLE,
    WRITER_LIST,
    WRITER_MAP
} pn_writer_kind;

pn_writer_kind pn_term_writer_open(const pn_term_writer *w);
/* How many elements the innermost open container has so far. */
uint32_t pn_term_writer_count(const pn_term_writer *w);
/* Sets a sticky error from outside: a pattern or a text that is wrong. */
PN_CORE void pn_term_writer_fail(pn_term_writer *w, pn_err err);

/* A term as it is, opaque ones too; it must be one complete term. */
PN_CORE void pn_term_write_opaque(pn_term_writer *w, pn_term term);

#endif

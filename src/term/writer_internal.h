/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a term into the end of a buffer of the caller. */
#ifndef PN_TERM_WRITER_INTERNAL_H
#define PN_TERM_WRITER_INTERNAL_H

#include <peernet/term.h>

#include "base/buf.h"
#include "base/core.h"

/*
 * Starts a term at the end of buf, version byte 131 first; max_bytes as in
 * pn_term_writer_init. w is not read: a writer that was used before needs
 * pn_term_writer_free first.
 *
 * Until pn_term_writer_finish nothing else may touch buf. When finish fails,
 * buf is as long as it was before. pn_term_writer_free leaves buf alone; it
 * is only needed after terms nested deeper than 8.
 */
PN_CORE void pn_term_writer_init_buf(
    pn_term_writer *w, pn_buf *buf, size_t max_bytes);

/*
 * As pn_term_writer_init_buf for a term that continues what is in buf, which
 * is not empty: no version byte is written. pn_term_writer_finish takes no
 * ret_bytes then; ret_term is the new term. w->new_atoms counts what it has.
 */
void pn_term_writer_init_tail(pn_term_writer *w, pn_buf *buf, size_t max_bytes);

/* The kinds of containers that may be open. */
typedef enum pn_writer_kind {
    WRITER_TUPLE,
    WRITER_LIST,
    WRITER_MAP
} pn_writer_kind;

/* Sets a sticky error from outside: a pattern or a text that is wrong. */
static inline void pn_term_writer_fail(pn_term_writer *w, pn_err err)
{
    if (w->err == PN_OK) {
        w->err = err;
    }
}

/* A term as it is, opaque ones too; it must be one complete term. */
PN_CORE void pn_term_write_opaque(pn_term_writer *w, pn_term term);

/* As pn_term_write_format, but ~t takes opaque terms too. */
PN_CORE void pn_term_write_opaque_format(
    pn_term_writer *w, const char *format, ...);

#endif

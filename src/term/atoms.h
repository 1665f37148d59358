/* SPDX-License-Identifier: Apache-2.0 */
/* The atoms that every VM with PeerNet has; docs/TERM.md, "Atoms". */
#ifndef PN_TERM_ATOMS_H
#define PN_TERM_ATOMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core.h"

/* 0 when every BEAM peer knows the atom. Any other atom may make a peer close
 * the link; for it a number that depends on the name alone. Equal sums of these
 * numbers mean that two messages have the same unknown atoms. */
uint32_t pn_atom_is_new(const uint8_t *name, size_t len);

#endif

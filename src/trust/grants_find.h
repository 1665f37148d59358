/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a file of grants; see grants_file.h. */
#ifndef PN_TRUST_GRANTS_FIND_H
#define PN_TRUST_GRANTS_FIND_H

#include "trust/grants_file.h"

/* Sorts members and makes the index. Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_grants_file_index(pn_grants_file *file);

#endif

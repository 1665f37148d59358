/* SPDX-License-Identifier: Apache-2.0 */
/* Ends with the keys of a recorded handshake, and its frames. */
#ifndef PN_TESTS_RECORDED_LINK_H
#define PN_TESTS_RECORDED_LINK_H

#include "link.h"
#include "wire/frame.h"

extern json_t *recorded;

void fresh_ends(end *a, end *b);

#endif

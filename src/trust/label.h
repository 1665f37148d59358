/* SPDX-License-Identifier: Apache-2.0 */
/* Labels: names that the owner gives to peers. */
#ifndef PN_TRUST_LABEL_H
#define PN_TRUST_LABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PN_LABEL_MAX 255 /* bytes of UTF-8 */

/* True for a label we write: UTF-8 without control characters, at most
 * PN_LABEL_MAX bytes. */
bool pn_label_is_valid(const char *label);

/*
 * Writes any bytes as a label that can be shown, NUL-terminated and valid: each
 * byte that is not UTF-8 and each control character becomes '?', and the end is
 * cut between two characters. The originals check nothing.
 */
void pn_label_clean(
    const uint8_t *data, size_t len, char ret_label[static PN_LABEL_MAX + 1]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nonce of a ping by which nodes of our kind recognise each other
 * (docs/PROTOCOL.md, section 5.1). A node that does not know it echoes it as it
 * echoes any other. It recognises and proves nothing, and grants nothing.
 */
#ifndef PN_SESSION_KIND_H
#define PN_SESSION_KIND_H

#include "base/slice.h"
#include "noise/noise.h"

enum {
    PN_KIND_MAC_LEN = 8,
    PN_KIND_NONCE_MIN = 2 + PN_KIND_MAC_LEN,
    PN_KIND_NONCE_MAX = 64,
    PN_KIND_LABEL_MAX = PN_KIND_NONCE_MAX - PN_KIND_NONCE_MIN
};

#define PN_KIND_VERSION 1
/* Its connections may end in any number: it does not count them. */
#define PN_KIND_NO_ETIQUETTE 0x01
/* A later nonce of this form replaces the label. */
#define PN_KIND_LABEL_UPDATES 0x02

/* A link carries at most one update in this time, so the last one is within the
 * rate of pings that a receiver answers and heeds. */
#define PN_KIND_UPDATE_US PN_US_PER_S

/* What a node says of itself. */
typedef struct pn_kind {
    uint8_t version; /* 0: it is not of our kind */
    uint8_t flags;   /* those that we do not know are ignored */
    char label[PN_KIND_LABEL_MAX + 1]; /* UTF-8, or empty */
} pn_kind;

/* True for a label that fits and can be shown: UTF-8 without control
 * characters. An empty one is none. */
bool pn_kind_label_is_valid(const char *label, size_t len);

/* Writes the nonce of the initiator or the responder of the link whose
 * handshake has this hash. kind->label is valid. Errors: PN_SYS. */
PN_MUST_USE pn_err pn_kind_write(const uint8_t hash[static PN_HASH_LEN],
    bool by_initiator, const pn_kind *kind,
    uint8_t ret_nonce[static PN_KIND_NONCE_MAX], size_t *ret_len);

/* False for any other nonce, and *ret_kind is left as it was. */
bool pn_kind_read(const uint8_t hash[static PN_HASH_LEN], bool by_initiator,
    pn_slice nonce, pn_kind *ret_kind);

#endif

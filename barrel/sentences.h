/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why there is no link to a node, for people: what happened, then what to do. A
 * clause that goes on a sentence about the node ("it").
 */
#ifndef PN_BARREL_SENTENCES_H
#define PN_BARREL_SENTENCES_H

#include "auth/auth.h"
#include "dist/dist.h"

/* Static storage, never NULL. */
const char *pn_barrel_auth_sentence(pn_auth_reason why);
const char *pn_barrel_dist_sentence(pn_dist_reason why);
/* Of a link that ended for a reason that all families share. */
const char *pn_barrel_end_sentence(pn_reason why);

/* Writes the sentence of a message that was wrong, with its defect. */
void pn_barrel_bad_message(pn_auth_decoded why, char *ret_text, size_t cap);
/* Writes the sentence of a responder's refusal. The responder's own word is
 * shown when it is none of the three that upstream has. */
void pn_barrel_refusal(pn_slice said, char *ret_text, size_t cap);

#endif

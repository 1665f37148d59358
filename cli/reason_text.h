/* SPDX-License-Identifier: Apache-2.0 */
/* The meaning of a reason and what to do about it, as a sentence; JSON has its
 * name. */
#ifndef PN_CLI_REASON_TEXT_H
#define PN_CLI_REASON_TEXT_H

#include <peernet/reason.h>

/* A clause without a full stop: what happened, then what to do. Static storage,
 * never NULL. */
const char *cli_reason_sentence(pn_reason reason);
/* The same for the name that pn_reason_text gives; one that is not known here
 * stays as it is. */
const char *cli_reason_sentence_of(const char *name);
/* The same for the error that a peer or node answered, in its printed form;
 * NULL: there is no sentence for it. */
const char *cli_remote_sentence(const char *term);

#endif

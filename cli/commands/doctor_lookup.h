/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of a name, without being deaf to signals meanwhile. */
#ifndef PN_CLI_DOCTOR_LOOKUP_H
#define PN_CLI_DOCTOR_LOOKUP_H

#include "app.h"

/* Silent name servers are given up after this. */
#define CLI_LOOKUP_MS 10000

/*
 * As cli_resolve, which a thread of its own runs, because a resolver cannot be
 * interrupted; nobody waits for that thread. CLI_NO_LINK after CLI_LOOKUP_MS,
 * too; CLI_INTERRUPTED, with no sentence, when the session has to end.
 */
cli_exit cli_lookup(cli_session *session, const char *text,
    cli_text *ret_addresses, cli_text *error);

#endif

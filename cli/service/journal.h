/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of systemd: a line with fields beside it. */
#ifndef PN_CLI_JOURNAL_H
#define PN_CLI_JOURNAL_H

#include "text.h"

/* True when what is written to fd goes to the journal (JOURNAL_STREAM names
 * it). */
bool cli_journal_has(int fd);

/* Adds a field, NAME=VALUE and a NUL; nothing for a value that is NULL or
 * empty. */
void cli_journal_field(cli_text *record, const char *name, const char *value);

/* Hands over a record of such fields, MESSAGE and PRIORITY first; waits for the
 * journal. Without libsystemd, or without its socket, the message is written to
 * fd behind its priority. Returns 0 or an errno. */
int cli_journal_send(int fd, const char *record, size_t len);

#endif

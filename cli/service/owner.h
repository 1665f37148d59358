/* SPDX-License-Identifier: Apache-2.0 */
/* Root's commands on the data directory of another user (docs/THREATS.md,
 * T26). */
#ifndef PN_CLI_OWNER_H
#define PN_CLI_OWNER_H

#include "text.h"

/*
 * If this process is root's and path is a directory of another user, gives up
 * all rights but that user's, for good. What is in the directory is that
 * user's: root must not follow a link there to a socket or a file of a third,
 * nor leave files that the user's node cannot read. Before there are threads.
 * False with a sentence in error.
 */
bool cli_become_owner(const char *path, cli_text *error);

#endif

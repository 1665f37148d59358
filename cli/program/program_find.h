/* SPDX-License-Identifier: Apache-2.0 */
/* Finds a program and checks that it could be started. This is done once, when
 * the node starts, so that the owner sees a mistake before a caller does. */
#ifndef PN_CLI_PROGRAM_FIND_H
#define PN_CLI_PROGRAM_FIND_H

#include <limits.h>

#include "text.h"

/*
 * Finds a program as a shell would: a name without '/' in PATH. Its path is
 * absolute and follows links. False: there is none, or it cannot be run;
 * *ret_why is then the sentence, safe to print.
 */
bool cli_find_program(
    const char *text, char ret_path[PATH_MAX], cli_text *ret_why);

#endif

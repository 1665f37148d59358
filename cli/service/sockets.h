/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that systemd holds for a service (sd_listen_fds(3)). */
#ifndef PN_CLI_SOCKETS_H
#define PN_CLI_SOCKETS_H

#include "text.h"

#define CLI_MAX_LINK_SOCKETS 8

typedef struct cli_sockets {
    int link[CLI_MAX_LINK_SOCKETS]; /* where peers connect */
    size_t n_link;
    int control; /* where commands connect; -1: none */
} cli_sockets;

/* Takes them, by their names "link" and "control"; none without libsystemd.
 * False with a sentence in error: there is another one, or one too many. */
bool cli_sockets_take(cli_sockets *ret_sockets, cli_text *error);

#endif

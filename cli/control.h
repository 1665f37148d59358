/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket's server side (RELIABILITY T26): lines in, lines out, and
 * every limit; what the lines say is the hub's business. A client must be of
 * our own user, begin within five seconds and keep to lines of 64 KiB.
 */
#ifndef PN_CLI_CONTROL_H
#define PN_CLI_CONTROL_H

#include <uv.h>

#include "runtime.h"
#include "text.h"

#define CLI_CONTROL_MAX_CLIENTS 32
#define CLI_CONTROL_MAX_LINE 65536 /* bytes without the newline */
#define CLI_CONTROL_FIRST_LINE_MS 5000
/* A client that reads more slowly than this is told nothing more. */
#define CLI_CONTROL_MAX_OUTPUT ((size_t)4 << 20)

typedef struct cli_control cli_control;
typedef struct cli_control_client cli_control_client;

/* All on the loop. */
typedef struct cli_control_callbacks {
    /* What the owner keeps about a client; NULL refuses it. */
    void *(*on_client)(void *user, cli_control_client *client);
    /* One line without its newline, NUL-terminated. */
    void (*on_line)(void *user, void *client_data, char *line, size_t len);
    /* The client is gone; nothing may be sent to it any more. */
    void (*on_gone)(void *user, void *client_data);
    void *user;
} cli_control_callbacks;

/*
 * Listens at the first usable place. The caller holds the data directory, so
 * a socket that is there already belongs to nobody and is replaced.
 * Errors: PN_SYS, PN_PERMISSION no folder is private to us, PN_NOMEM;
 * *ret_error says so in a sentence.
 */
PN_MUST_USE pn_err cli_control_open(uv_loop_t *loop, const cli_runtime *runtime,
    const cli_control_callbacks *callbacks, cli_control **ret_control,
    cli_text *ret_error);
/* Ends all clients, removes the socket; frees itself on the loop. */
void cli_control_close(cli_control *control);
/* Where it listens. */
const char *cli_control_path(const cli_control *control);

/* Sends one line; a newline is added. A client whose output is over the limit
 * is closed, and on_gone fires before this returns. */
void cli_control_send(cli_control_client *client, const char *line, size_t len);

/* True when the process at the other end of a Unix socket is ours. */
bool cli_control_peer_is_us(int fd);

#endif

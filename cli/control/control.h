/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket's server side (docs/THREATS.md, T26): it reads and writes
 * lines and keeps every limit; the hub reads their content. A client must be of
 * our own user or root, begin within five seconds and keep to lines of 64 KiB.
 * Requests of a client that has gone are not carried out.
 */
#ifndef PN_CLI_CONTROL_H
#define PN_CLI_CONTROL_H

#include <uv.h>

#include "runtime.h"
#include "text.h"

#define CLI_CONTROL_MAX_CLIENTS 32
#define CLI_CONTROL_MAX_LINE 65536 /* bytes without the newline */
#define CLI_CONTROL_FIRST_LINE_MS 5000
/* The interval of checks whether the socket exists: a cleaner of /tmp may have
 * removed it, or the end of a login session its whole folder. */
#define CLI_CONTROL_LOOK_MS 2000
/* A client with more unread output than this is closed. */
#define CLI_CONTROL_MAX_OUTPUT ((size_t)4 << 20)

typedef struct cli_control cli_control;
typedef struct cli_control_client cli_control_client;

/* All on the loop. */
typedef struct cli_control_callbacks {
    /* Returns the owner's data of a client; NULL refuses the client. */
    void *(*on_client)(void *user, cli_control_client *client);
    /* One line without its newline, NUL-terminated. */
    void (*on_line)(void *user, void *client_data, char *line, size_t len);
    /* The client is gone; nothing may be sent to it any more. */
    void (*on_gone)(void *user, void *client_data);
    void *user;
    /* The socket had been removed and was made again, maybe elsewhere. */
    void (*on_made_again)(void *user, const char *path);
} cli_control_callbacks;

/*
 * Listens at the socket of runtime, or at the first usable place. The caller
 * holds the data directory, so an existing socket is a stale one and is
 * replaced. Errors: PN_SYS, PN_PERMISSION no folder is private to us, PN_NOMEM;
 * *ret_error says so in a sentence.
 */
PN_MUST_USE pn_err cli_control_open(uv_loop_t *loop, const cli_runtime *runtime,
    const cli_control_callbacks *callbacks, cli_control **ret_control,
    cli_text *ret_error);
/*
 * The second socket, for programs of other users: at path, mode 0660, of that
 * group. Root, our own user and members of the group are served. A socket at
 * path is replaced, anything else there is not. Errors: PN_SYS with a sentence
 * in *ret_error; PN_NOMEM.
 */
PN_MUST_USE pn_err cli_control_open_to_group(uv_loop_t *loop, const char *path,
    gid_t group, const cli_control_callbacks *callbacks,
    cli_control **ret_control, cli_text *ret_error);
/* Ends all clients, removes the socket; frees itself on the loop. */
void cli_control_close(cli_control *control);
/* True when it listens at a socket that it was given, which stays. */
bool cli_control_is_lent(const cli_control *control);
/* Where it listens. */
const char *cli_control_path(const cli_control *control);

/* Sends one line; a newline is added. A client whose output is over the limit
 * is closed, and on_gone fires before this returns. */
void cli_control_send(cli_control_client *client, const char *line, size_t len);

/* Sends a text and a newline, and frees it. False: it is not sent. on_failed
 * (may be NULL) is called when that shows later. */
bool cli_stream_send(
    uv_stream_t *stream, cli_text *line, void (*on_failed)(uv_stream_t *));

/* Bytes that the client has not read. */
size_t cli_control_unread(const cli_control_client *client);
/* Other limits than CLI_CONTROL_MAX_LINE and CLI_CONTROL_MAX_OUTPUT for this
 * client. */
void cli_control_set_limits(
    cli_control_client *client, size_t max_line, size_t max_output);

/* Hands out no line of this client until it is released. */
void cli_control_hold(cli_control_client *client, bool is_held);

/* True when the process at the other end of a Unix socket is ours. */
bool cli_control_peer_is_us(int fd);

#endif

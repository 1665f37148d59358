/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path of the control socket of a data directory (docs/THREATS.md, T26).
 * Its folder is private to us, its name a hash of the directory's canonical
 * path, because a socket's path has room for 107 bytes only.
 */
#ifndef PN_CLI_RUNTIME_H
#define PN_CLI_RUNTIME_H

#include <limits.h>
#include <peernet/error.h>

#define CLI_RUNTIME_MAX_PLACES 5
#define CLI_SOCKET_PATH_MAX 107 /* sun_path without its NUL */

/* Places where the socket may be, best first. A node takes the first that it
 * can use, a command tries all: the two may not share an environment. */
typedef struct cli_runtime {
    size_t n_places;
    struct {
        char folder[CLI_SOCKET_PATH_MAX + 1];
        char socket[CLI_SOCKET_PATH_MAX + 1];
    } places[CLI_RUNTIME_MAX_PLACES];
    /* A node is given this socket, which listens already, instead of them. */
    bool has_socket;
    int socket_fd;
} cli_runtime;

/*
 * Lists $RUNTIME_DIRECTORY/peernet (the first directory of it, as systemd gives
 * a service), $XDG_RUNTIME_DIR/peernet, /run/user/UID/peernet and
 * /tmp/peernet-UID, all but the last only if their parent is a directory of
 * ours, each only if the path is short enough. canonical_dir: as realpath gives
 * it.
 */
void cli_runtime_places(const char *canonical_dir, cli_runtime *ret_runtime);

/* Writes a link in the data directory that names the socket, because a command
 * may have another environment than the node. socket NULL: removes it. */
void cli_runtime_write_link(const char *canonical_dir, const char *socket);
/* Adds the target of that link as the last place, if there is one. */
void cli_runtime_read_link(const char *canonical_dir, cli_runtime *runtime);

/*
 * True when folder is a directory (no link) that belongs to us and is closed to
 * others; makes it (0700) when create is set and it is not there.
 */
bool cli_runtime_folder_is_safe(const char *folder, bool create);

#endif

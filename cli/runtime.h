/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the control socket of a data directory is (RELIABILITY T26). Its
 * folder is private to us, its name a hash of the directory's canonical path,
 * because a socket's path has room for 107 bytes only.
 */
#ifndef PN_CLI_RUNTIME_H
#define PN_CLI_RUNTIME_H

#include <limits.h>
#include <peernet/error.h>

#define CLI_RUNTIME_MAX_PLACES 3
#define CLI_SOCKET_PATH_MAX 107 /* sun_path without its NUL */

/* Places where the socket may be, best first. A node takes the first that it
 * can use, a command tries all: the two may not share an environment. */
typedef struct cli_runtime {
    size_t n_places;
    struct {
        char folder[CLI_SOCKET_PATH_MAX + 1];
        char socket[CLI_SOCKET_PATH_MAX + 1];
    } places[CLI_RUNTIME_MAX_PLACES];
} cli_runtime;

/*
 * Lists $XDG_RUNTIME_DIR/peernet, /run/user/UID/peernet and /tmp/peernet-UID,
 * the first two only if their parent is a directory of ours, each only if the
 * path is short enough. canonical_dir: as realpath gives it.
 */
void cli_runtime_places(const char *canonical_dir, cli_runtime *ret_runtime);

/*
 * True when folder is a directory (no link) that belongs to us and is open to
 * nobody else; makes it (0700) when create is set and it is not there.
 */
bool cli_runtime_folder_is_safe(const char *folder, bool create);

#endif

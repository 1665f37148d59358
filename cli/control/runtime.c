/* SPDX-License-Identifier: Apache-2.0 */
/* The private folder of the control socket, and the socket's name. */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mutant.h"

/* FNV-1a, 64 bits. It needs no protection from collisions: only the owner of
 * both directories could cause one. */
static uint64_t path_hash(const char *path)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *path != '\0'; path++) {
        hash = (hash ^ (unsigned char)*path) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static bool is_own_folder(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode)
           && info.st_uid == geteuid();
}

static void add_socket(cli_runtime *r, const char *folder, const char *name)
{
    size_t room = sizeof(r->places[0].folder);
    int n = snprintf(r->places[r->n_places].folder, room, "%s", folder);
    int m = snprintf(
        r->places[r->n_places].socket, room, "%s/%s", folder, name);

    if (n > 0 && (size_t)n < room && m > 0 && (size_t)m < room) {
        r->n_places++;
    }
}

/* parent/peernet, if parent is ours. len: of parent. */
static void add_below(
    cli_runtime *r, const char *parent, size_t len, const char *name)
{
    char path[PATH_MAX];
    char folder[PATH_MAX + 16];
    int n = snprintf(path, sizeof(path), "%.*s", (int)len, parent);

    if (n > 0 && n < (int)sizeof(path) && path[0] == '/'
        && is_own_folder(path)) {
        (void)snprintf(folder, sizeof(folder), "%s/peernet", path);
        add_socket(r, folder, name);
    }
}

void cli_runtime_places(const char *canonical_dir, cli_runtime *ret_runtime)
{
    const char *given = getenv("RUNTIME_DIRECTORY");
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    char name[32];
    char path[64];

    ret_runtime->n_places = 0;
    ret_runtime->has_socket = false;
    (void)snprintf(
        name, sizeof(name), "%016" PRIx64 ".sock", path_hash(canonical_dir));
    if (given != NULL) {
        add_below(ret_runtime, given, strcspn(given, ":"), name);
    }
    if (xdg != NULL) {
        add_below(ret_runtime, xdg, strlen(xdg), name);
    }
    (void)snprintf(path, sizeof(path), "/run/user/%u", geteuid());
    if (xdg == NULL || strcmp(xdg, path) != 0) {
        add_below(ret_runtime, path, strlen(path), name);
    }
    (void)snprintf(path, sizeof(path), "/tmp/peernet-%u", geteuid());
    add_socket(ret_runtime, path, name);
}

/* ---- the link ------------------------------------------------------------ */

#define LINK "control.sock"

static bool link_path(const char *canonical_dir, char ret_path[PATH_MAX])
{
    return snprintf(ret_path, PATH_MAX, "%s/" LINK, canonical_dir) < PATH_MAX;
}

/* Errors are ignored, because the link only helps to find the socket. */
void cli_runtime_write_link(const char *canonical_dir, const char *socket)
{
    char path[PATH_MAX];

    if (link_path(canonical_dir, path)) {
        (void)unlink(path);
        if (socket != NULL) {
            (void)!symlink(socket, path);
        }
    }
}

void cli_runtime_read_link(const char *canonical_dir, cli_runtime *runtime)
{
    char path[PATH_MAX];
    char target[CLI_SOCKET_PATH_MAX + 1];
    ssize_t n = link_path(canonical_dir, path)
                    ? readlink(path, target, sizeof(target))
                    : -1;
    char *slash;

    if (n < 1 || n >= (ssize_t)sizeof(target) || target[0] != '/') {
        return;
    }
    target[n] = '\0';
    slash = strrchr(target, '/');
    *slash = '\0';
    add_socket(runtime, target, slash + 1);
}

bool cli_runtime_folder_is_safe(const char *folder, bool create)
{
    struct stat info;
    bool safe = false;
    int fd;

    if (create && mkdir(folder, 0700) != 0 && errno != EEXIST) {
        return false;
    }
    fd = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    safe = fstat(fd, &info) == 0
           && !PN_REFUSE_IF(cli_runtime_owner, info.st_uid != geteuid())
           && !PN_REFUSE_IF(cli_runtime_mode, (info.st_mode & 077) != 0);
    (void)close(fd);
    return safe;
}

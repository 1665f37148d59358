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

/* FNV-1a, 64 bits. Not a secret and not a defence: whoever could choose a
 * colliding path owns both directories already. */
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

static void add_place(cli_runtime *r, const char *folder, uint64_t hash)
{
    size_t room = sizeof(r->places[0].folder);
    int n = snprintf(r->places[r->n_places].folder, room, "%s", folder);
    int m = snprintf(r->places[r->n_places].socket, room,
        "%s/%016" PRIx64 ".sock", folder, hash);

    if (n > 0 && (size_t)n < room && m > 0 && (size_t)m < room) {
        r->n_places++;
    }
}

void cli_runtime_places(const char *canonical_dir, cli_runtime *ret_runtime)
{
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    uint64_t hash = path_hash(canonical_dir);
    char folder[PATH_MAX];
    char parent[64];

    ret_runtime->n_places = 0;
    if (xdg != NULL && xdg[0] == '/' && is_own_folder(xdg)) {
        (void)snprintf(folder, sizeof(folder), "%s/peernet", xdg);
        add_place(ret_runtime, folder, hash);
    }
    (void)snprintf(parent, sizeof(parent), "/run/user/%u", geteuid());
    if (is_own_folder(parent) && (xdg == NULL || strcmp(xdg, parent) != 0)) {
        (void)snprintf(folder, sizeof(folder), "%s/peernet", parent);
        add_place(ret_runtime, folder, hash);
    }
    (void)snprintf(folder, sizeof(folder), "/tmp/peernet-%u", geteuid());
    add_place(ret_runtime, folder, hash);
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
           && !PN_CHECK(cli_runtime_owner, info.st_uid != geteuid())
           && !PN_CHECK(cli_runtime_mode, (info.st_mode & 077) != 0);
    (void)close(fd);
    return safe;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a file that holds a secret. The path is walked one name at a time, so
 * that the owner and mode of each directory on it are checked. */
#include "os/secret.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mutant.h"

enum { MAX_LINKS = 40 };

/* The state of a walk: the directory reached, and the rest of the path. */
typedef struct walk {
    bool is_secret; /* nobody else may read the file */
    int dir;
    char rest[PATH_MAX];
    unsigned n_links;
    const char *why; /* a sentence */
    int sys_errno;   /* why there is none */
} walk;

static bool walk_fail(walk *w, int sys_errno)
{
    w->sys_errno = sys_errno;
    return false;
}

static bool is_of_us_or_root(const struct stat *info)
{
    return info->st_uid == geteuid() || info->st_uid == 0;
}

/* True for a group of this process and for root's. systemd grants a unit's user
 * access by an access control list, whose rights stat shows as those of root's
 * group. */
static bool is_group_of_us_or_root(gid_t group)
{
    int n = getgroups(0, NULL);
    gid_t *groups = n <= 0 ? NULL : calloc((size_t)n, sizeof(*groups));
    bool is_ours = group == getegid() || group == 0;

    n = groups == NULL ? 0 : getgroups(n, groups);
    for (int i = 0; i < n && !is_ours; i++) {
        is_ours = groups[i] == group;
    }
    free(groups);
    return is_ours;
}

/* NULL: good. */
static const char *wrong_file(
    const walk *w, const struct stat *info, bool may_be_pipe)
{
    if (PN_REFUSE_IF(
            secret_type, !S_ISREG(info->st_mode)
                             && !(may_be_pipe && S_ISFIFO(info->st_mode)))) {
        return "expected a regular file";
    }
    if (PN_REFUSE_IF(secret_owner, !is_of_us_or_root(info))) {
        return "expected a file of ours or root's, it is another user's";
    }
    if (!w->is_secret) {
        return PN_REFUSE_IF(owned_mode, (info->st_mode & 022) != 0)
                   ? "expected a file that only its owner can write"
                   : NULL;
    }
    if (PN_REFUSE_IF(secret_mode, (info->st_mode & 027) != 0)) {
        return "expected a file that no other user can read, and that only its "
               "owner can write (mode 0600, 0400 or 0440)";
    }
    if (PN_REFUSE_IF(
            secret_group, (info->st_mode & S_IRGRP) != 0
                              && !is_group_of_us_or_root(info->st_gid))) {
        return "a group that is not ours can read it, expected one of ours or "
               "root's, or mode 0400";
    }
    return NULL;
}

static const char *wrong_directory(const struct stat *info)
{
    if (PN_REFUSE_IF(secret_dir_owner, !is_of_us_or_root(info))) {
        return "a directory on the way belongs to another user, expected ours "
               "or "
               "root's";
    }
    if (PN_REFUSE_IF(secret_dir_mode,
            (info->st_mode & 022) != 0 && (info->st_mode & S_ISVTX) == 0)) {
        return "a directory on the way can be written by other users, expected "
               "only by its owner";
    }
    return NULL;
}

/* ---- the walk ----------------------------------------------------------- */

/* Continues the walk in the directory fd, and takes ownership of it. */
static bool enter(walk *w, int fd)
{
    struct stat info;

    if (w->dir >= 0) {
        (void)close(w->dir);
    }
    w->dir = fd;
    if (fd < 0 || fstat(fd, &info) != 0) {
        return walk_fail(w, errno);
    }
    w->why = wrong_directory(&info);
    return w->why == NULL;
}

static int open_directory(int dir, const char *name)
{
    return openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool enter_start(walk *w, int dir_fd, const char *path)
{
    return enter(w, open_directory(dir_fd, path[0] == '/' ? "/" : "."));
}

/* Takes the next name off; "" at the end. */
static bool next_name(walk *w, char name[NAME_MAX + 1])
{
    size_t skip = strspn(w->rest, "/");
    size_t len = strcspn(w->rest + skip, "/");

    if (len > NAME_MAX) {
        return walk_fail(w, ENAMETOOLONG);
    }
    memcpy(name, w->rest + skip, len);
    name[len] = '\0';
    memmove(w->rest, w->rest + skip + len, strlen(w->rest + skip + len) + 1);
    return true;
}

/* Puts the target of a symbolic link in front of the rest of the path. */
static bool follow(walk *w, const char *name)
{
    char target[PATH_MAX];
    char rest[PATH_MAX];
    ssize_t n = readlinkat(w->dir, name, target, sizeof(target) - 1);

    if (n < 1 || ++w->n_links > MAX_LINKS) {
        return walk_fail(w, n < 0 ? errno : ELOOP);
    }
    target[n] = '\0';
    /* w->rest begins with '/' or is empty. */
    if (snprintf(rest, sizeof(rest), "%s%s", target, w->rest)
        >= (int)sizeof(rest)) {
        return walk_fail(w, ENAMETOOLONG);
    }
    memcpy(w->rest, rest, strlen(rest) + 1);
    return target[0] != '/' || enter_start(w, AT_FDCWD, "/");
}

/* Opens the last name, which is not a symbolic link. */
static int open_last(walk *w, const char *name)
{
    struct stat info;
    int fd = openat(w->dir, name,
        O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &info) != 0) {
        (void)walk_fail(w, errno);
    } else {
        w->why = wrong_file(w, &info, false);
    }
    if ((w->why != NULL || w->sys_errno != 0) && fd >= 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* Walks one name. Returns true while more of the path is left; sets *ret_fd
 * once the file is open. */
static bool step(walk *w, int *ret_fd)
{
    char name[NAME_MAX + 1];
    struct stat info;

    if (!next_name(w, name)) {
        return false;
    }
    if (name[0] == '\0') {
        w->why = "expected a regular file";
        return false;
    }
    if (fstatat(w->dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return walk_fail(w, errno);
    }
    if (S_ISLNK(info.st_mode)) {
        if (PN_REFUSE_IF(secret_link_owner, !is_of_us_or_root(&info))) {
            w->why = "a symbolic link on the way belongs to another user, "
                     "expected ours or root's";
            return false;
        }
        return follow(w, name);
    }
    if (w->rest[0] == '\0') {
        *ret_fd = open_last(w, name);
        return false;
    }
    return enter(w, open_directory(w->dir, name));
}

/* ---- a descriptor ------------------------------------------------------- */

/* Duplicates a descriptor that was inherited. /proc/self/fd cannot be opened,
 * because this process is not dumpable. */
static int open_inherited(walk *w, const char *number)
{
    struct stat info;
    char *end = NULL;
    long n = strtol(number, &end, 10);
    int fd = n >= 0 && n <= INT_MAX && *end == '\0'
                 ? fcntl((int)n, F_DUPFD_CLOEXEC, 3)
                 : -1;

    if (fd < 0 || fstat(fd, &info) != 0) {
        w->why = "expected the number of a descriptor that we inherited";
    } else {
        w->why = wrong_file(w, &info, true);
    }
    if (w->why != NULL && fd >= 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static int open_path(walk *w, int dir_fd, const char *path)
{
    int fd = -1;

    if (strlen(path) >= sizeof(w->rest)) {
        (void)walk_fail(w, ENAMETOOLONG);
        return -1;
    }
    memcpy(w->rest, path, strlen(path) + 1);
    if (enter_start(w, dir_fd, path)) {
        while (step(w, &fd)) {}
    }
    if (w->dir >= 0) {
        (void)close(w->dir);
    }
    return fd;
}

static pn_err open_checked(int dir_fd, const char *path, bool is_secret,
    int *ret_fd, int *ret_errno, const char **ret_why)
{
    static const char inherited[] = "/dev/fd/";
    const size_t n = sizeof(inherited) - 1;
    bool is_inherited = strncmp(path, inherited, n) == 0 && path[n] >= '0'
                        && path[n] <= '9';
    walk w = {.is_secret = is_secret, .dir = -1};
    int fd = is_inherited ? open_inherited(&w, path + n)
                          : open_path(&w, dir_fd, path);

    *ret_why = w.why;
    *ret_errno = w.sys_errno;
    if (fd >= 0) {
        *ret_fd = fd;
        return PN_OK;
    }
    /* A dangling link means that the secret was removed. It is not
     * PN_NOT_FOUND, for which the caller would create a new secret. */
    return w.why != NULL                             ? PN_PERMISSION
           : w.sys_errno == ENOENT && w.n_links == 0 ? PN_NOT_FOUND
                                                     : PN_SYS;
}

pn_err pn_secret_open(int dir_fd, const char *path, int *ret_fd, int *ret_errno,
    const char **ret_why)
{
    return open_checked(dir_fd, path, true, ret_fd, ret_errno, ret_why);
}

pn_err pn_owned_open(
    const char *path, int *ret_fd, int *ret_errno, const char **ret_why)
{
    return open_checked(AT_FDCWD, path, false, ret_fd, ret_errno, ret_why);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a mounted secret below an open directory. Opening it is in secret.c,
 * which the program uses too. */
#include "os/secret.h"

#include <sys/stat.h>

#include <fcntl.h>
#include <unistd.h>

#include "os/file.h"

pn_err pn_secret_read(int dir_fd, const char *name, size_t max, pn_buf *out,
    int *ret_errno, const char **ret_why)
{
    int fd;
    pn_err err = pn_secret_open(dir_fd, name, &fd, ret_errno, ret_why);

    if (err == PN_OK) {
        err = pn_file_read_fd(fd, max, out, ret_errno);
        (void)close(fd);
    }
    return err;
}

bool pn_secret_is_link(int dir_fd, const char *name)
{
    struct stat info;

    return fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0
           && S_ISLNK(info.st_mode);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching a directory with inotify; see file.h. The originals write in place
 * (IN_CLOSE_WRITE), ours renames (IN_MOVED_TO).
 */
#include <sys/inotify.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"

#define WATCH_FILES (IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_DELETE)
#define WATCH_SELF (IN_DELETE_SELF | IN_MOVE_SELF)

pn_err pn_dir_watch(int dir_fd, int *ret_fd, int *ret_errno)
{
    char path[64];
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd < 0) {
        *ret_errno = errno;
        return PN_SYS;
    }
    /* The directory is named by descriptor, because its path may mean another
     * directory by now. */
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
    if (inotify_add_watch(fd, path, WATCH_FILES | WATCH_SELF) < 0) {
        *ret_errno = errno;
        (void)close(fd);
        return PN_SYS;
    }
    *ret_fd = fd;
    return PN_OK;
}

static bool event_counts(
    const struct inotify_event *event, bool (*is_wanted)(const char *name))
{
    if ((event->mask & (IN_Q_OVERFLOW | IN_IGNORED | WATCH_SELF)) != 0) {
        return true;
    }
    return event->len > 0 && is_wanted(event->name);
}

bool pn_dir_watch_read(int fd, bool (*is_wanted)(const char *name))
{
    _Alignas(struct inotify_event) char buf[4096];
    bool is_touched = false;

    for (;;) {
        ssize_t n = read(fd, buf, sizeof(buf));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return is_touched;
        }
        for (char *at = buf; at < buf + n;) {
            const struct inotify_event *event = (void *)at;

            is_touched = event_counts(event, is_wanted) || is_touched;
            at += sizeof(*event) + event->len;
        }
    }
}

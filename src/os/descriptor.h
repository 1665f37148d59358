/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers for file descriptors. */
#ifndef PN_OS_DESCRIPTOR_H
#define PN_OS_DESCRIPTOR_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

/* Closes fd and keeps errno, which says what failed; returns -1. */
static inline int pn_close_failed(int fd)
{
    int kept = errno;

    (void)close(fd);
    errno = kept;
    return -1;
}

/* Writes all len bytes; -1 with errno when it cannot. */
static inline int pn_write_all(int fd, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return -1;
        }
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

#endif

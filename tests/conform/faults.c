/* SPDX-License-Identifier: Apache-2.0 */
/* See faults.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>

#include "faults.h"

/* The names that ld --wrap gives. */
ssize_t __real_recv(int fd, void *data, size_t len, int flags);
ssize_t __real_send(int fd, const void *data, size_t len, int flags);
int __real_accept4(
    int fd, struct sockaddr *from, socklen_t *from_len, int flags);
int __real_connect(int fd, const struct sockaddr *to, socklen_t len);
int __real_socket(int family, int type, int protocol);
ssize_t __wrap_recv(int fd, void *data, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags);
int __wrap_accept4(
    int fd, struct sockaddr *from, socklen_t *from_len, int flags);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len);
int __wrap_socket(int family, int type, int protocol);

static faults_mode mode;
static unsigned long n_calls;
static unsigned long n_faults;

void faults_set(faults_mode new_mode)
{
    mode = new_mode;
}

bool faults_from_environment(void)
{
    static const char *const names[] = {"", "eintr", "eagain", "short", "all"};
    const char *name = getenv("PN_FAULTS");

    for (unsigned i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
        if (name != NULL && strcmp(name, names[i]) == 0) {
            mode = (faults_mode)i;
            return true;
        }
    }
    return false;
}

unsigned long faults_count(void)
{
    return n_faults;
}

/* True when this call is to fail; errno says with what. */
static bool fails(void)
{
    n_calls++;
    if ((mode == FAULTS_EINTR && n_calls % 3 == 0)
        || (mode == FAULTS_ALL && n_calls % 5 == 0)) {
        errno = EINTR;
    } else if ((mode == FAULTS_EAGAIN && n_calls % 3 == 0)
               || (mode == FAULTS_ALL && n_calls % 7 == 0)) {
        errno = EAGAIN;
    } else {
        return false;
    }
    n_faults++;
    return true;
}

/* At least 16 bytes, so that the suite's small messages stay whole. */
static size_t shortened(size_t len)
{
    static const size_t lengths[] = {16, 4096, 100, 20000};

    if ((mode != FAULTS_SHORT && mode != FAULTS_ALL) || n_calls % 2 == 0) {
        return len;
    }
    n_faults++;
    return len < lengths[n_calls / 2 % 4] ? len : lengths[n_calls / 2 % 4];
}

ssize_t __wrap_recv(int fd, void *data, size_t len, int flags)
{
    return fails() ? -1 : __real_recv(fd, data, shortened(len), flags);
}

ssize_t __wrap_send(int fd, const void *data, size_t len, int flags)
{
    return fails() ? -1 : __real_send(fd, data, shortened(len), flags);
}

int __wrap_accept4(
    int fd, struct sockaddr *from, socklen_t *from_len, int flags)
{
    return fails() ? -1 : __real_accept4(fd, from, from_len, flags);
}

/* Interrupted, connecting goes on by itself. */
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len)
{
    int r = __real_connect(fd, to, len);

    if (r == 0 || errno == EINPROGRESS) {
        bool failed = fails();

        if (failed && errno == EAGAIN) { /* not one of connect's */
            errno = EINTR;
        } else if (!failed && r != 0) {
            errno = EINPROGRESS;
        }
        r = failed ? -1 : r;
    }
    return r;
}

int __wrap_socket(int family, int type, int protocol)
{
    if (mode == FAULTS_NO_IPV6 && family == AF_INET6) {
        n_faults++;
        errno = EAFNOSUPPORT;
        return -1;
    }
    return __real_socket(family, type, protocol);
}

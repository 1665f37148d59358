/* SPDX-License-Identifier: Apache-2.0 */
/* See faults_udp.h. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <poll.h>
#include <sys/socket.h>

#include "faults_udp.h"

/* Nothing is later than this, or round trip times would double without end. */
enum { LATE_MS = 2 };

/* The names that ld --wrap gives. */
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *msg, int flags);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);

static faults_udp_mode mode;
static unsigned long n_calls;
static unsigned long n_faults;
static unsigned lose_one_in = 10;
static uint64_t lose_seed = 1;

/* Datagrams that come after the next one, or when there is no next. */
static struct {
    int fd;
    int flags;
    size_t len;
    socklen_t name_len;
    size_t control_len;
    uint8_t data[65536];
    uint8_t name[128];
    _Alignas(struct cmsghdr) uint8_t control[256];
} held = {.fd = -1};

void faults_udp_set(faults_udp_mode new_mode)
{
    mode = new_mode;
    held.fd = -1;
}

void faults_udp_lose(unsigned one_in, unsigned long long seed)
{
    mode = FAULTS_UDP_LOSE;
    lose_one_in = one_in;
    lose_seed = seed;
}

bool faults_udp_from_environment(void)
{
    static const char *const names[] = {"", "eintr", "eagain", "late"};
    const char *name = getenv("PN_FAULTS");

    for (unsigned i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
        if (name != NULL && strcmp(name, names[i]) == 0) {
            mode = (faults_udp_mode)i;
            return true;
        }
    }
    return false;
}

unsigned long faults_udp_count(void)
{
    return n_faults;
}

/* True when this call is to fail; errno says with what. */
static bool fails(void)
{
    n_calls++;
    if ((mode != FAULTS_UDP_EINTR && mode != FAULTS_UDP_EAGAIN)
        || n_calls % 3 != 0) {
        return false;
    }
    n_faults++;
    errno = mode == FAULTS_UDP_EINTR ? EINTR : EAGAIN;
    return true;
}

static size_t length(const struct msghdr *msg)
{
    size_t n = 0;

    for (size_t i = 0; i < msg->msg_iovlen; i++) {
        n += msg->msg_iov[i].iov_len;
    }
    return n;
}

static bool is_lost(void)
{
    lose_seed = lose_seed * UINT64_C(6364136223846793005)
                + UINT64_C(1442695040888963407);
    return (lose_seed >> 33) % lose_one_in == 0;
}

static ssize_t hold(int fd, const struct msghdr *msg, int flags)
{
    held.fd = fd;
    held.flags = flags;
    held.len = 0;
    for (size_t i = 0; i < msg->msg_iovlen; i++) {
        memcpy(held.data + held.len, msg->msg_iov[i].iov_base,
            msg->msg_iov[i].iov_len);
        held.len += msg->msg_iov[i].iov_len;
    }
    held.name_len = msg->msg_namelen;
    memcpy(held.name, msg->msg_name, msg->msg_namelen);
    held.control_len = msg->msg_controllen;
    if (held.control_len > 0) {
        memcpy(held.control, msg->msg_control, msg->msg_controllen);
    }
    return (ssize_t)held.len;
}

/* To nowhere when its socket is closed by now, as datagrams may go. */
static void release(void)
{
    struct iovec iov = {held.data, held.len};
    struct msghdr msg = {.msg_name = held.name,
        .msg_namelen = held.name_len,
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = held.control_len > 0 ? held.control : NULL,
        .msg_controllen = held.control_len};
    int saved = errno;

    (void)__real_sendmsg(held.fd, &msg, held.flags);
    held.fd = -1;
    errno = saved;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    ssize_t n;

    if (fails()) {
        return -1;
    }
    if (mode == FAULTS_UDP_FULL) {
        n_faults++;
        errno = EAGAIN;
        return -1;
    }
    if (mode == FAULTS_UDP_LOSE && is_lost()) {
        n_faults++;
        return (ssize_t)length(msg);
    }
    if (mode == FAULTS_UDP_LATE && held.fd < 0 && n_calls % 4 == 0) {
        n_faults++;
        return hold(fd, msg, flags);
    }
    n = __real_sendmsg(fd, msg, flags);
    if (held.fd >= 0) {
        release();
    }
    if (mode == FAULTS_UDP_TWICE && n_calls % 3 == 0) {
        n_faults++;
        (void)__real_sendmsg(fd, msg, flags);
    }
    return n;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
    return fails() ? -1 : __real_recvmsg(fd, msg, flags);
}

/* poll does not wait for a late datagram longer than LATE_MS. */
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
    int ready;

    if (held.fd >= 0 && (timeout < 0 || timeout > LATE_MS)) {
        timeout = LATE_MS;
    }
    ready = __real_poll(fds, n, timeout);
    if (ready == 0 && held.fd >= 0) {
        release();
    }
    return ready;
}

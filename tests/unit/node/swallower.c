/* SPDX-License-Identifier: Apache-2.0 */
/* See swallower.h. The queue of its listener is full, so its system answers no
 * further SYN. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "harness.h"
#include "swallower.h"

bool fd_is_ready(int fd, short events, int ms)
{
    struct pollfd p = {.fd = fd, .events = events};

    return poll(&p, 1, ms) == 1;
}

void swallower_open(swallower *s, unsigned host, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof(at);
    bool is_full = false;

    memset(s, 0, sizeof(*s));
    at.sin_addr.s_addr = htonl(0x7f000000 + host);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(s->fd, 0), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(s->text, sizeof(s->text), "127.0.0.%u:%u", host,
        (unsigned)ntohs(at.sin_port));
    while (!is_full) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        assert_true(s->n_fillers < SWALLOWER_MAX_FILLERS);
        (void)connect(fd, (struct sockaddr *)&at, sizeof(at));
        is_full = !fd_is_ready(fd, POLLOUT, 200);
        if (is_full) {
            (void)close(fd);
        } else {
            s->fillers[s->n_fillers++] = fd;
        }
    }
}

int swallower_accept(swallower *s, int ms)
{
    for (unsigned i = 0; i < s->n_fillers; i++) {
        (void)close(accept4(s->fd, NULL, NULL, SOCK_CLOEXEC));
    }
    return fd_is_ready(s->fd, POLLIN, ms)
               ? accept4(s->fd, NULL, NULL, SOCK_CLOEXEC)
               : -1;
}

void swallower_close(swallower *s)
{
    for (unsigned i = 0; i < s->n_fillers; i++) {
        (void)close(s->fillers[i]);
    }
    (void)close(s->fd);
}

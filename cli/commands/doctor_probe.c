/* SPDX-License-Identifier: Apache-2.0 */
/* One TCP connection; see doctor_probe.h. */
#include "doctor_probe.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* "10.0.0.1:7100" or "[fe80::1%eth0]:7100". NULL: it is no numeric address. */
static struct addrinfo *parse(const char *address)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    const char *colon = strrchr(address, ':');
    char host[80];
    size_t len;

    if (colon == NULL) {
        return NULL;
    }
    len = (size_t)(colon - address);
    if (address[0] == '[') {
        if (len < 2 || address[len - 1] != ']') {
            return NULL;
        }
        address++;
        len -= 2;
    }
    if (len >= sizeof(host)) {
        return NULL;
    }
    memcpy(host, address, len);
    host[len] = '\0';
    return getaddrinfo(host, colon + 1, &hints, &found) == 0 ? found : NULL;
}

static int wait_connected(cli_session *session, int fd, uint64_t max_ms)
{
    socklen_t len = sizeof(int);
    int error = ETIMEDOUT;

    if (!cli_session_poll(session, fd, UV_WRITABLE, max_ms)) {
        return session->signal != 0 || session->is_closed ? EINTR : ETIMEDOUT;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        error = errno;
    }
    return error;
}

static size_t read_greeting(
    cli_session *session, int fd, uint64_t max_ms, char *greeting, size_t room)
{
    ssize_t n = 0;

    if (cli_session_poll(session, fd, UV_READABLE, max_ms)) {
        n = recv(fd, greeting, room - 1, MSG_DONTWAIT);
    }
    return n > 0 ? (size_t)n : 0;
}

int cli_probe_tcp(cli_session *session, const char *address, uint64_t max_ms,
    uint64_t greeting_ms, char *greeting, size_t room, size_t *ret_len)
{
    struct addrinfo *to = parse(address);
    int error = EINVAL;
    int fd = -1;

    greeting[0] = '\0';
    *ret_len = 0;
    if (to != NULL) {
        fd = socket(
            to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        error = fd < 0 ? errno : 0;
    }
    if (fd >= 0 && connect(fd, to->ai_addr, to->ai_addrlen) != 0) {
        error = errno == EINPROGRESS ? wait_connected(session, fd, max_ms)
                                     : errno;
    }
    if (fd >= 0 && error == 0) {
        *ret_len = read_greeting(session, fd, greeting_ms, greeting, room);
        greeting[*ret_len] = '\0';
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (to != NULL) {
        freeaddrinfo(to);
    }
    return error;
}

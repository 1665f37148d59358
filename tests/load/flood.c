/* SPDX-License-Identifier: Apache-2.0 */
/* See flood.h. 127.0.0.0/8 is this machine's as a whole, so that packets come
 * from any of its addresses without a privilege (IP_PKTINFO). */
#include "flood.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "../unit/barrel/quic_initial.h"
#include "load.h"

enum { POOL = 5000, MANY = 65536 };

#define ONE_SOURCE 0x7f070001U  /* 127.7.0.1 */
#define MANY_SOURCE 0x7f100000U /* 127.16.0.0 and so on */

static uint8_t pool[POOL][QUIC_INITIAL_LEN];

static const quic_initial_options closing = {
    .alpn = "erlang-dist", .has_close = true};
static const quic_initial_options half = {
    .alpn = "erlang-dist", .is_half = true};

typedef union control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
} control;

static atomic_uint *n_sent_shared;

static void send_from(
    int fd, uint16_t to_port, uint32_t from, const uint8_t *packet)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
        .sin_port = htons(to_port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(from)};
    struct iovec iov = {(void *)(uintptr_t)packet, QUIC_INITIAL_LEN};
    control c = {.bytes = {0}};
    struct msghdr msg = {.msg_name = &to,
        .msg_namelen = sizeof(to),
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &c,
        .msg_controllen = sizeof(c.bytes)};
    struct cmsghdr *h = CMSG_FIRSTHDR(&msg);

    h->cmsg_level = IPPROTO_IP;
    h->cmsg_type = IP_PKTINFO;
    h->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(h), &info, sizeof(info));
    if (sendmsg(fd, &msg, MSG_DONTWAIT) > 0) {
        (void)atomic_fetch_add(n_sent_shared, 1);
    }
}

/* The forger of an address does not hear the answers. */
static void send_forged(int fd, const flood_command *c, uint64_t n)
{
    uint32_t from = ONE_SOURCE;

    if (c->kind == FLOOD_MANY) {
        from = MANY_SOURCE + (uint32_t)(n * 40503 % MANY);
    } else if (c->kind == FLOOD_AS_PEER) {
        from = c->from;
    }
    send_from(fd, c->to_port, from, pool[n % POOL]);
}

static void answer_retries(int fd, const flood_command *c)
{
    uint8_t packet[QUIC_INITIAL_LEN];
    uint8_t data[2048];
    ssize_t n;

    while ((n = recv(fd, data, sizeof(data), MSG_DONTWAIT)) >= 0) {
        if (quic_initial_after_retry(&half, data, (size_t)n, packet)) {
            send_from(fd, c->to_port, ONE_SOURCE, packet);
        }
    }
}

static void send_half(int fd, const flood_command *c)
{
    uint8_t packet[QUIC_INITIAL_LEN];

    quic_initial_make(&half, packet);
    send_from(fd, c->to_port, ONE_SOURCE, packet);
}

static bool has_command(int commands, int ms)
{
    struct pollfd p = {.fd = commands, .events = POLLIN};

    return poll(&p, 1, ms) == 1;
}

static void flood(int fd, const flood_command *c, int commands)
{
    uint64_t start_us = load_now_us();
    uint64_t n = 0;

    while (!has_command(commands, 1)) {
        uint64_t due = (load_now_us() - start_us) * c->per_second / 1000000;

        for (; n < due; n++) {
            if (c->kind == FLOOD_HALF) {
                send_half(fd, c);
            } else {
                send_forged(fd, c, n);
            }
        }
        if (c->kind == FLOOD_HALF) {
            answer_retries(fd, c);
        }
    }
}

_Noreturn void flood_main(int commands, atomic_uint *n_sent)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    flood_command c;

    n_sent_shared = n_sent;
    load_must(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0,
        "a socket for the flood");
    for (int i = 0; i < POOL; i++) {
        quic_initial_make(&closing, pool[i]);
    }
    while (read(commands, &c, sizeof(c)) == sizeof(c)) {
        if (c.kind != FLOOD_NONE) {
            flood(fd, &c, commands);
        }
    }
    exit(0);
}

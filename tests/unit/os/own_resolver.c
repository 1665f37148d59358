/* SPDX-License-Identifier: Apache-2.0 */
/* A resolver in place of the system's; see own_resolver.h. */
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include "own_resolver.h"

#define FIRST_HOST UINT32_C(0x0a000001)
#define LOOP_HOST UINT32_C(0x7f000001)

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool is_open = true;
static unsigned n_waiting;
static unsigned n_asked;
static uint32_t here; /* 0: no such name */

static struct addrinfo *make_one(
    const struct addrinfo *hints, uint32_t host, int family)
{
    struct addrinfo *ai = calloc(1, sizeof(*ai) + sizeof(struct sockaddr_in));
    struct sockaddr_in *in = (void *)(ai + 1);

    ai->ai_family = family;
    ai->ai_socktype = hints->ai_socktype;
    ai->ai_addrlen = sizeof(*in);
    ai->ai_addr = (void *)in;
    in->sin_family = (sa_family_t)family;
    in->sin_addr.s_addr = htonl(host);
    return ai;
}

static void wait_at_gate(void)
{
    (void)pthread_mutex_lock(&gate_lock);
    n_waiting++;
    (void)pthread_cond_broadcast(&gate_moved);
    while (!is_open) {
        (void)pthread_cond_wait(&gate_moved, &gate_lock);
    }
    n_waiting--;
    (void)pthread_cond_broadcast(&gate_moved);
    (void)pthread_mutex_unlock(&gate_lock);
}

void own_resolver_open(bool open)
{
    (void)pthread_mutex_lock(&gate_lock);
    is_open = open;
    (void)pthread_cond_broadcast(&gate_moved);
    (void)pthread_mutex_unlock(&gate_lock);
}

void own_resolver_wait(unsigned n)
{
    (void)pthread_mutex_lock(&gate_lock);
    while (n_waiting != n) {
        (void)pthread_cond_wait(&gate_moved, &gate_lock);
    }
    (void)pthread_mutex_unlock(&gate_lock);
}

typedef int getaddrinfo_fn(
    const char *, const char *, const struct addrinfo *, struct addrinfo **);

unsigned own_resolver_asked(void)
{
    unsigned n;

    (void)pthread_mutex_lock(&gate_lock);
    n = n_asked;
    (void)pthread_mutex_unlock(&gate_lock);
    return n;
}

void own_resolver_place(uint32_t host)
{
    (void)pthread_mutex_lock(&gate_lock);
    here = host;
    (void)pthread_mutex_unlock(&gate_lock);
}

static int resolve_here(
    const struct addrinfo *hints, struct addrinfo **ret_list)
{
    uint32_t host;

    (void)pthread_mutex_lock(&gate_lock);
    host = here;
    (void)pthread_mutex_unlock(&gate_lock);
    if (host == 0) {
        return EAI_NONAME;
    }
    *ret_list = make_one(hints, host, AF_INET);
    return 0;
}

/* The i-th of n. */
static uint32_t host_of(const char *name, uint32_t n, uint32_t i)
{
    if (strcmp(name, "any.test") == 0) {
        return 0;
    }
    if (strstr(name, ".loop.") != NULL) {
        return LOOP_HOST + n - i;
    }
    return FIRST_HOST + (strstr(name, ".many.") != NULL ? i - 1 : 0);
}

/* In place of the system's, for the whole program. */
int getaddrinfo(const char *restrict host, const char *restrict service,
    const struct addrinfo *restrict hints, struct addrinfo **restrict ret_list)
{
    getaddrinfo_fn *next;
    unsigned n = 1;

    *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
    (void)pthread_mutex_lock(&gate_lock);
    n_asked++;
    (void)pthread_mutex_unlock(&gate_lock);
    if (strstr(host, ".test") == NULL) {
        return next(host, service, hints, ret_list);
    }
    if (strcmp(host, "here.test") == 0) {
        return resolve_here(hints, ret_list);
    }
    if (strcmp(host, "slow.test") == 0) {
        wait_at_gate();
    } else if (strchr(host, '.') != strrchr(host, '.')) {
        n = (unsigned)strtoul(host, NULL, 10);
    }
    *ret_list = NULL;
    for (uint32_t i = n; i > 0; i--) {
        struct addrinfo *one = make_one(hints, host_of(host, n, i),
            strcmp(host, "none.test") == 0 ? AF_UNIX : AF_INET);

        one->ai_next = *ret_list;
        *ret_list = one;
    }
    return 0;
}

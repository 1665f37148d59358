/* SPDX-License-Identifier: Apache-2.0 */
/* Names of hosts to addresses; see resolve.h. A job belongs to its thread and
 * to the pn_resolve that started it; the last of the two frees it. */
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mutant.h"
#include "os/resolve.h"

/* For the resolver and the modules of NSS; our part of the stack is small. */
enum { STACK_BYTES = 512 * 1024 };

typedef struct answer {
    pn_err err;
    const char *why;
    pn_address addresses[PN_RESOLVE_MAX];
    size_t n;
} answer;

typedef struct job {
    char host[PN_RESOLVE_HOST_MAX + 1];
    uint16_t port;
    answer answer; /* the thread's until is_done */
    bool is_done;
    pn_waker *waker; /* NULL: the question was cancelled */
} job;

struct pn_resolve {
    pn_resolve_callback *callback;
    void *user;
    job *job; /* a thread asks; or NULL */
    pn_waker *waker;
    pn_task task; /* the answer was known */
    answer answer;
};

/* Guards is_done and waker of every job, and n_running. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned n_running;

/* ---- answers without the resolver --------------------------------------- */

static void answer_add(answer *a, const pn_address *address)
{
    for (size_t i = 0; i < a->n; i++) {
        if (pn_address_equal(&a->addresses[i], address)) {
            return;
        }
    }
    if (a->n < PN_RESOLVE_MAX) {
        a->addresses[a->n++] = *address;
    }
}

static bool parse_literal(const char *host, uint16_t port, answer *ret_answer)
{
    const char *colon = strchr(host, ':');
    pn_address address;

    /* A text with one colon or with brackets has a port, which is not accepted
     * here. */
    if ((colon != NULL && strchr(colon + 1, ':') == NULL)
        || strchr(host, '[') != NULL
        || pn_address_parse(host, port, &address) != PN_OK) {
        return false;
    }
    pn_address_unmap(&address);
    answer_add(ret_answer, &address);
    return true;
}

/* RFC 6761, section 6.3: no name server is asked for it. */
static bool is_localhost(const char *host, uint16_t port, answer *ret_answer)
{
    return strcasecmp(host, "localhost") == 0
           && parse_literal("127.0.0.1", port, ret_answer)
           && parse_literal("::1", port, ret_answer);
}

static bool is_name(const char *host)
{
    size_t len = strlen(host);
    size_t good = strspn(host, "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

    return len > 0 && len <= PN_RESOLVE_HOST_MAX && good == len
           && host[0] != '-' && host[0] != '.';
}

/* ---- the thread -------------------------------------------------------- */

static void take_results(job *j, const struct addrinfo *list)
{
    for (const struct addrinfo *i = list; i != NULL; i = i->ai_next) {
        pn_address address = {.in6 = {0}};

        if (i->ai_addr == NULL || i->ai_addrlen > sizeof(address)
            || (i->ai_family != AF_INET && i->ai_family != AF_INET6)) {
            continue;
        }
        memcpy(&address, i->ai_addr, i->ai_addrlen);
        pn_address_unmap(&address);
        pn_address_set_port(&address, j->port);
        answer_add(&j->answer, &address);
    }
}

static void ask(job *j)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *list = NULL;
    int r = getaddrinfo(j->host, NULL, &hints, &list);

    j->answer.err = PN_OK;
    j->answer.why = "";
    if (r != 0) {
        j->answer.err = r == EAI_NONAME || r == EAI_NODATA ? PN_NOT_FOUND
                        : r == EAI_MEMORY                  ? PN_NOMEM
                                                           : PN_SYS;
        j->answer.why = gai_strerror(r);
        return;
    }
    take_results(j, list);
    freeaddrinfo(list);
    if (j->answer.n == 0) {
        j->answer.err = PN_NOT_FOUND;
        j->answer.why = gai_strerror(EAI_NODATA);
    }
}

static void *thread_main(void *arg)
{
    job *j = arg;
    bool is_alone;

    ask(j);
    (void)pthread_mutex_lock(&lock);
    n_running--;
    j->is_done = true;
    is_alone = j->waker == NULL;
    if (!is_alone) {
        pn_waker_wake(j->waker);
    }
    (void)pthread_mutex_unlock(&lock);
    if (is_alone) {
        free(j);
    }
    return NULL;
}

/* The thread is detached and blocks all signals, which are for the program's
 * threads. */
static int thread_start(job *j)
{
    pthread_attr_t attr;
    sigset_t all;
    sigset_t old;
    pthread_t thread;
    int r = pthread_attr_init(&attr);

    if (r != 0) {
        return r;
    }
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&thread, &attr, thread_main, j);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    return r;
}

static bool running_enter(void)
{
    bool is_full;

    (void)pthread_mutex_lock(&lock);
    is_full = PN_REFUSE_IF(
        resolve_running, n_running >= PN_RESOLVE_RUNNING_MAX);
    if (!is_full) {
        n_running++;
    }
    (void)pthread_mutex_unlock(&lock);
    return !is_full;
}

static void running_leave(void)
{
    (void)pthread_mutex_lock(&lock);
    n_running--;
    (void)pthread_mutex_unlock(&lock);
}

/* ---- asking ------------------------------------------------------------ */

static void answer_and_free(pn_resolve *r)
{
    pn_resolve_callback *callback = r->callback;
    void *user = r->user;
    answer a = r->answer;

    free(r);
    callback(user, a.err, a.addresses, a.n, a.why);
}

static void on_task(void *user)
{
    answer_and_free(user);
}

static void on_woken(void *user)
{
    pn_resolve *r = user;
    bool is_done;

    (void)pthread_mutex_lock(&lock);
    is_done = r->job->is_done;
    (void)pthread_mutex_unlock(&lock);
    if (is_done) {
        r->answer = r->job->answer;
        free(r->job);
        pn_waker_free(r->waker);
        answer_and_free(r);
    }
}

static pn_err start_job(pn_resolve *r, const char *host, uint16_t port)
{
    job *j = calloc(1, sizeof(*j));

    if (j == NULL) {
        return PN_NOMEM;
    }
    (void)snprintf(j->host, sizeof(j->host), "%s", host);
    j->port = port;
    j->waker = r->waker;
    r->job = j;
    if (!running_enter()) {
        free(j);
        return PN_BUSY;
    }
    if (thread_start(j) != 0) {
        running_leave();
        free(j);
        return PN_SYS;
    }
    return PN_OK;
}

static pn_err start_thread(
    pn_loop *loop, pn_resolve *r, const char *host, uint16_t port)
{
    pn_err err = pn_waker_new(loop, on_woken, r, &r->waker);

    if (err != PN_OK) {
        return err;
    }
    err = start_job(r, host, port);
    if (err != PN_OK) {
        pn_waker_free(r->waker);
    }
    return err;
}

pn_err pn_resolve_start(pn_loop *loop, const char *host, uint16_t port,
    pn_resolve_callback *callback, void *user, pn_resolve **ret_resolve)
{
    pn_resolve *r = calloc(1, sizeof(*r));
    pn_err err = PN_OK;

    if (r == NULL) {
        return PN_NOMEM;
    }
    r->callback = callback;
    r->user = user;
    r->answer.why = "";
    r->task = (pn_task){.run = on_task, .user = r};
    if (parse_literal(host, port, &r->answer)
        || is_localhost(host, port, &r->answer)) {
        pn_loop_post(loop, &r->task);
    } else if (PN_REFUSE_IF(resolve_host, !is_name(host))) {
        err = PN_INVALID;
    } else {
        err = start_thread(loop, r, host, port);
    }
    if (err != PN_OK) {
        free(r);
        return err;
    }
    *ret_resolve = r;
    return PN_OK;
}

void pn_resolve_cancel(pn_resolve *r)
{
    bool is_done;

    if (r == NULL) {
        return;
    }
    pn_task_cancel(&r->task);
    if (r->job != NULL) {
        (void)pthread_mutex_lock(&lock);
        is_done = r->job->is_done;
        r->job->waker = NULL;
        (void)pthread_mutex_unlock(&lock);
        if (is_done) {
            free(r->job);
        }
        pn_waker_free(r->waker);
    }
    free(r);
}

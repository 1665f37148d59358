/* SPDX-License-Identifier: Apache-2.0 */
/* The tool's services, and its waits. */
#include "ctool.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* ---- handles ----------------------------------------------------------- */

static unsigned n_sunk;
static pn_term last_sunk;
static pn_beam_dist *table;

static void on_echo(pn_request *req, pn_term args, void *user)
{
    (void)user;
    (void)pn_request_reply_term(req, args);
}

static void on_slow(pn_request *req, pn_term args, void *user)
{
    int64_t ms = 0;
    struct timespec t;

    (void)user;
    if (pn_term_match(args, "~l", &ms)) {
        t = (struct timespec){ms / 1000, (ms % 1000) * 1000000};
        (void)nanosleep(&t, NULL);
    }
    (void)pn_request_reply(req, "awake");
}

static void on_fail(pn_request *req, pn_term args, void *user)
{
    (void)args;
    (void)user;
    (void)pn_request_fail(req, "refused");
}

static void on_sink(pn_request *req, pn_term args, void *user)
{
    pn_term copy = {0};

    (void)user;
    (void)pthread_mutex_lock(&lock);
    n_sunk++;
    free((void *)(uintptr_t)last_sunk.data);
    last_sunk = copy;
    if (pn_term_copy(args, &copy) == PN_OK) {
        last_sunk = copy;
    }
    (void)pthread_mutex_unlock(&lock);
    (void)pn_request_reply(req, "ok");
}

static void on_call_echo(pn_request *req, pn_term args, void *user)
{
    pn_term value;

    (void)user;
    if (pn_term_match(args, "[~t]", &value)) {
        (void)pn_request_reply_term(req, value);
    }
}

static void on_call_size(pn_request *req, pn_term args, void *user)
{
    pn_slice bytes;

    (void)user;
    if (pn_term_match(args, "[~b]", &bytes)) {
        (void)pn_request_reply(req, "~l", (int64_t)bytes.len);
    } else {
        (void)pn_request_fail(req, "badarg");
    }
}

static const struct {
    const char *name;
    pn_handler *handler;
} handles[] = {
    {"echo", on_echo},
    {"slow", on_slow},
    {"fail", on_fail},
    {"sink", on_sink},
    {"closed", on_echo},
};

static const struct {
    const char *name;
    unsigned arity;
    pn_handler *handler;
} functions[] = {
    {"echo", 1, on_call_echo},
    {"size", 1, on_call_size},
    {"secret", 0, on_echo},
};

enum {
    N_HANDLES = sizeof(handles) / sizeof(handles[0]),
    N_FUNCTIONS = sizeof(functions) / sizeof(functions[0])
};

bool ctool_serve(pn_node *node)
{
    pn_expose_options o;
    pn_err err = pn_beam_dist_serve(node, NULL, NULL, &table);

    pn_expose_options_init(&o);
    o.flags = PN_EXPOSE_CLOSED;
    for (size_t i = 0; err == PN_OK && i < N_HANDLES; i++) {
        err = pn_expose(node, handles[i].name, handles[i].handler, NULL, &o);
    }
    for (size_t i = 0; err == PN_OK && i < N_FUNCTIONS; i++) {
        err = pn_beam_dist_export(table, ":capp", functions[i].name,
            functions[i].arity, functions[i].handler, NULL);
    }
    if (err != PN_OK) {
        fprintf(stderr, "ctool: cannot serve: %s\n", pn_strerror(err));
    }
    return err == PN_OK;
}

pn_err ctool_grant(pn_node *node, const pn_ed25519_key *key)
{
    pn_principal who = pn_barrel_principal(key);
    pn_err err = pn_grant(node, PN_BEAM_DIST_HANDLE, &who);

    for (size_t i = 0; err == PN_OK && i + 1 < N_HANDLES; i++) {
        err = pn_grant(node, handles[i].name, &who);
    }
    for (size_t i = 0; err == PN_OK && i + 1 < N_FUNCTIONS; i++) {
        err = pn_beam_dist_grant(
            table, ":capp", functions[i].name, functions[i].arity, &who);
    }
    return err;
}

unsigned ctool_sunk(pn_term *ret_last)
{
    unsigned n;

    (void)pthread_mutex_lock(&lock);
    n = n_sunk;
    *ret_last = last_sunk;
    n_sunk = 0;
    last_sunk = (pn_term){0};
    (void)pthread_mutex_unlock(&lock);
    return n;
}

/* ---- waiting ----------------------------------------------------------- */

enum { MAX_DOWNS = 64 };
static struct {
    uint64_t monitor;
    pn_term reason;
} downs[MAX_DOWNS];
static unsigned n_downs;

static struct timespec in_ms(uint32_t ms)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

void ctool_on_down(void *user, uint64_t monitor, pn_term reason)
{
    pn_term copy = {0};

    (void)user;
    (void)!pn_term_copy(reason, &copy);
    (void)pthread_mutex_lock(&lock);
    if (n_downs < MAX_DOWNS) {
        downs[n_downs].monitor = monitor;
        downs[n_downs++].reason = copy;
    }
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
}

static bool find_down(uint64_t monitor, pn_term *ret_reason)
{
    for (unsigned i = 0; i < n_downs; i++) {
        if (downs[i].monitor == monitor) {
            *ret_reason = downs[i].reason;
            downs[i] = downs[--n_downs];
            return true;
        }
    }
    return false;
}

bool ctool_wait_down(uint64_t monitor, uint32_t ms, pn_term *ret_reason)
{
    struct timespec until = in_ms(ms);
    bool is_found = false;
    int r = 0;

    (void)pthread_mutex_lock(&lock);
    while (r != ETIMEDOUT && !is_found) {
        is_found = find_down(monitor, ret_reason);
        if (!is_found) {
            r = pthread_cond_timedwait(&changed, &lock, &until);
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return is_found;
}

/* ---- load -------------------------------------------------------------- */

typedef struct crowd {
    const ctool_load *load;
    unsigned n_good;
    unsigned n_left;
} crowd;

static void on_answer(void *user, pn_err outcome, pn_term value)
{
    crowd *c = user;

    (void)pthread_mutex_lock(&lock);
    c->n_good += outcome == PN_OK && pn_term_equal(value, c->load->want);
    c->n_left--;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
}

unsigned ctool_in_turn(const ctool_load *load, unsigned n)
{
    unsigned n_good = 0;

    for (unsigned i = 0; i < n; i++) {
        pn_reply *reply = NULL;

        if (pn_rpc(load->barrel, load->name, load->module, load->function,
                load->args, load->ms, &reply)
            == PN_OK) {
            n_good += pn_term_equal(pn_reply_term(reply), load->want);
        }
        pn_reply_free(reply);
    }
    return n_good;
}

unsigned ctool_at_once(const ctool_load *load, unsigned n)
{
    crowd c = {load, 0, n};

    for (unsigned i = 0; i < n; i++) {
        if (pn_rpc_async(load->barrel, load->name, load->module, load->function,
                load->args, load->ms, on_answer, &c)
            != PN_OK) {
            (void)pthread_mutex_lock(&lock);
            c.n_left--;
            (void)pthread_mutex_unlock(&lock);
        }
    }
    (void)pthread_mutex_lock(&lock);
    while (c.n_left > 0) { /* each call ends, by its timeout at the latest */
        (void)pthread_cond_wait(&changed, &lock);
    }
    (void)pthread_mutex_unlock(&lock);
    return c.n_good;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source: a pn_discovery_source whose work is done on a thread of its own,
 * since calls to the daemon block for up to 25 s when the daemon hangs. The
 * node's loop leaves its wishes in a pn_dnssd_run and wakes the thread; it
 * never waits for it. The run is counted: the thread may outlive the source.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/eventfd.h>

#include <avahi-common/simple-watch.h>
#include <peernet/dnssd.h>

#include "avahi.h"
#include "base/env.h"
#include "base/mutant.h"
#include "base/range.h"
#include "base/why.h"
#include "embed.h"
#include "interfaces.h"
#include "os/clock.h"
#include "os/interface_names.h"

/* How long pn_dnssd_free waits for the thread. */
enum { FREE_WAIT_MS = 300 };
/* How long a daemon must be missing before the helper is started. */
enum { NO_DAEMON_MS = 5000 };
enum { HELPER_CAP = 512, LIBRARY_PATH_CAP = 4096 };
/* From a failure of the thread to its next attempt: doubled after each that
 * came soon. */
enum { AGAIN_MIN_MS = 500, AGAIN_MAX_MS = 60000 };
enum { MAX_SLEEP_MS = 60000 };

/* Set by a build that has the helper. */
#ifndef PN_DNSSD_HELPER
#define PN_DNSSD_HELPER NULL
#endif

/* Options with the texts that they point to. */
typedef struct settings {
    pn_dnssd_options options;
    char label[PN_DNSSD_LABEL_MAX + 1];
    char helper[HELPER_CAP];
    char interfaces[PN_INTERFACE_NAMES_CAP];
    char library_path[LIBRARY_PATH_CAP]; /* as in pn_dnssd_embed_config */
} settings;

/* Shared by the source and its thread. The lock is held for a moment only, and
 * while the node is told what was found; never during a call to the daemon. */
typedef struct run {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned n_users; /* the source and the thread, until each has left */
    settings settings;
    int wake;                      /* an eventfd */
    const pn_discovery_sink *sink; /* NULL: the node has stopped us */
    pn_public_key key;
    uint16_t port;
    bool is_told;   /* key and port are new to the thread */
    bool is_nudged; /* the addresses of this host may be others */
    bool has_ended;
    pn_dnssd_status status;
} run;

struct pn_dnssd {
    settings settings;
    pthread_mutex_t lock; /* guards run */
    run *run;             /* the last one; NULL: never started */
};

/* The thread's state. */
typedef struct worker {
    run *run;
    AvahiSimplePoll *poll;
    AvahiWatch *wake;
    pn_dnssd_services *services;
    pn_dnssd_avahi *avahi; /* NULL: the daemon is not used */
    pn_dnssd_embed *embed; /* NULL: the helper is not used */
    uint64_t daemon_ms;    /* when a daemon was there last, or since when none
                              has been */
    uint64_t repeat_ms;    /* when it is due */
} worker;

/* ---- options ----------------------------------------------------------- */

#define RANGE(field, preset, min, max, why)                                    \
    PN_RANGE(pn_dnssd_options, field, preset, min, max, why)

static const pn_range ranges[] = {
    RANGE(max_services, 256, 1, 300,
        ": a daemon keeps 1024 objects of one client, and a service takes 3"),
    RANGE(max_addresses, 8, 1, PN_DNSSD_ADDRESSES_CAP, ""),
    RANGE(min_port, 1024, 1, 65535, ""),
    RANGE(repeat_ms, 5000, 100, 3600000, ""),
};
enum { N_RANGES = sizeof(ranges) / sizeof(ranges[0]) };

void pn_dnssd_options_init_sized(pn_dnssd_options *options, size_t size)
{
    pn_dnssd_options defaults = {.size = size, .helper = PN_DNSSD_HELPER};

    pn_range_presets(&defaults, ranges, N_RANGES);
    /* An older caller's struct is a prefix of ours. */
    memcpy(
        options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

static bool can_run(const char *helper)
{
    return helper != NULL && access(helper, X_OK) == 0;
}

static pn_err helper_check(const pn_dnssd_options *o, pn_why *ret_why)
{
    if (o->use > PN_DNSSD_USE_HELPER) {
        return pn_why_fail(ret_why, PN_INVALID, "use is %d, expected 0 to %d",
            (int)o->use, PN_DNSSD_USE_HELPER);
    }
    if (o->helper != NULL && strlen(o->helper) >= HELPER_CAP) {
        return pn_why_fail(ret_why, PN_INVALID,
            "helper has %zu bytes, expected at most %d", strlen(o->helper),
            HELPER_CAP - 1);
    }
    if (o->use == PN_DNSSD_USE_HELPER && !can_run(o->helper)) {
        return pn_why_fail(ret_why, PN_NOT_FOUND,
            "the helper %s cannot be run: expected an installed peernet-mdns",
            o->helper == NULL ? "of this build" : o->helper);
    }
    return PN_OK;
}

static pn_err options_check(const pn_dnssd_options *o, pn_why *ret_why)
{
    uint32_t value;
    const pn_range *broken = pn_range_broken(o, ranges, N_RANGES, &value);

    if (broken != NULL) {
        return pn_why_fail(ret_why, PN_INVALID, "%s is %u, expected %u to %u%s",
            broken->name, value, broken->min, broken->max, broken->why);
    }
    if (o->label != NULL && !pn_dnssd_label_is_valid(o->label)) {
        return pn_why_fail(ret_why, PN_INVALID,
            "label has %zu bytes, expected UTF-8 of 1 to %d without control "
            "characters",
            strlen(o->label), PN_DNSSD_LABEL_MAX);
    }
    if (!pn_interface_names_check(o->interfaces)) {
        return pn_why_fail(ret_why, PN_INVALID,
            "interfaces is no list of names of 1 to 15 bytes with commas "
            "between them, or has more than %d bytes",
            PN_INTERFACE_NAMES_CAP - 1);
    }
    return helper_check(o, ret_why);
}

/* A copy of text in room, which is large enough; NULL for NULL. */
static const char *keep(char *room, const char *text)
{
    return text == NULL ? NULL : memcpy(room, text, strlen(text) + 1);
}

/* The options were checked. */
static void settings_fill(settings *s, const pn_dnssd_options *options)
{
    s->options = *options;
    s->options.label = keep(s->label, options->label);
    s->options.helper = keep(s->helper, options->helper);
    s->options.interfaces = keep(s->interfaces, options->interfaces);
}

/* The environment is the application's, which may change it while other threads
 * run, so it is read where the application calls. A path that is too long is
 * left out. */
static void settings_read_environment(settings *s)
{
    const char *path = getenv("LD_LIBRARY_PATH");
    int n = path == NULL ? 0
                         : snprintf(s->library_path, sizeof(s->library_path),
                             "LD_LIBRARY_PATH=%s", path);

    if (n < 0 || (size_t)n >= sizeof(s->library_path)) {
        s->library_path[0] = '\0';
    }
}

/* ---- what both sides share --------------------------------------------- */

static void run_leave(run *r)
{
    bool is_last;

    (void)pthread_mutex_lock(&r->lock);
    is_last = --r->n_users == 0;
    (void)pthread_mutex_unlock(&r->lock);
    if (is_last) {
        (void)close(r->wake);
        (void)pthread_cond_destroy(&r->ended);
        (void)pthread_mutex_destroy(&r->lock);
        free(r);
    }
}

/* A full eventfd is readable already. */
static void run_wake(run *r)
{
    uint64_t one = 1;

    (void)!write(r->wake, &one, sizeof(one));
}

/* The lock is held during the node's function, so that nothing is reported
 * after stop. */
static void on_found(void *user, const pn_public_key *key, const char *address)
{
    run *r = user;

    (void)pthread_mutex_lock(&r->lock);
    if (r->sink != NULL) {
        r->sink->found(r->sink->node, key, address);
    }
    (void)pthread_mutex_unlock(&r->lock);
}

static void on_lost(void *user, const pn_public_key *key, const char *address)
{
    run *r = user;

    (void)pthread_mutex_lock(&r->lock);
    if (r->sink != NULL) {
        r->sink->lost(r->sink->node, key, address);
    }
    (void)pthread_mutex_unlock(&r->lock);
}

/* A node of an earlier libpeernet has a smaller sink. */
static bool takes_labels(const pn_discovery_sink *sink)
{
    return !PN_REFUSE_IF(dnssd_small_sink,
               sink->size < offsetof(pn_discovery_sink, labelled)
                                + sizeof(sink->labelled))
           && sink->labelled != NULL;
}

static void on_labelled(void *user, const pn_public_key *key,
    const char *address, const char *label)
{
    run *r = user;

    (void)pthread_mutex_lock(&r->lock);
    if (r->sink != NULL && takes_labels(r->sink)) {
        r->sink->labelled(r->sink->node, key, address, label);
    }
    (void)pthread_mutex_unlock(&r->lock);
}

static const pn_dnssd_reports reports = {
    .found = on_found, .lost = on_lost, .labelled = on_labelled};

/* ---- the thread -------------------------------------------------------- */

static uint64_t now_ms(void)
{
    return pn_monotonic_now_us() / 1000;
}

static void on_wake(
    AvahiWatch *watch, int fd, AvahiWatchEvent event, void *user)
{
    uint64_t n;

    (void)watch;
    (void)event;
    (void)user;
    (void)!read(fd, &n, sizeof(n));
}

static bool worker_open_daemon(worker *w, const AvahiPoll *poll)
{
    const pn_dnssd_options *o = &w->run->settings.options;
    pn_dnssd_services_config config = {
        .max_services = o->max_services,
        .max_addresses = o->max_addresses,
        .min_port = (uint16_t)o->min_port,
        .interfaces = o->interfaces,
        .seed = pn_dnssd_services_seed(),
        .reports = &reports,
        .reports_user = w->run,
    };

    return o->use == PN_DNSSD_USE_HELPER
           || (pn_dnssd_services_new(&config, &w->services) == PN_OK
               && pn_dnssd_avahi_new(poll, w->services, &w->avahi) == PN_OK);
}

static bool worker_open_helper(worker *w, const AvahiPoll *poll)
{
    const pn_dnssd_options *o = &w->run->settings.options;
    pn_dnssd_embed_config config = {
        .poll = poll,
        .options = o,
        .reports = &reports,
        .reports_user = w->run,
        .library_path = w->run->settings.library_path,
    };

    return o->use == PN_DNSSD_USE_DAEMON || !can_run(o->helper)
           || pn_dnssd_embed_new(&config, &w->embed) == PN_OK;
}

static bool worker_open(worker *w)
{
    const AvahiPoll *poll;

    w->poll = avahi_simple_poll_new();
    if (w->poll == NULL) {
        return false;
    }
    poll = avahi_simple_poll_get(w->poll);
    /* avahi_simple_poll_wakeup has a race: a wake-up that comes while the last
     * one is being cleared makes the poll spin. */
    w->wake = poll->watch_new(poll, w->run->wake, AVAHI_WATCH_IN, on_wake, w);
    w->daemon_ms = now_ms();
    return w->wake != NULL && worker_open_daemon(w, poll)
           && worker_open_helper(w, poll);
}

static void worker_close(worker *w)
{
    pn_dnssd_embed_free(w->embed);
    pn_dnssd_avahi_free(w->avahi);
    pn_dnssd_services_free(w->services);
    if (w->wake != NULL) {
        avahi_simple_poll_get(w->poll)->watch_free(w->wake);
    }
    if (w->poll != NULL) {
        avahi_simple_poll_free(w->poll);
    }
}

/* Takes what the node wants. False: it wants us to end. */
static bool worker_take(worker *w)
{
    run *r = w->run;
    pn_dnssd_record record;
    bool is_told;
    bool goes_on;

    (void)pthread_mutex_lock(&r->lock);
    record = (pn_dnssd_record){.key = r->key, .port = r->port};
    if (r->settings.options.label != NULL) {
        (void)keep(record.label, r->settings.options.label);
    }
    is_told = r->is_told;
    w->repeat_ms = r->is_nudged ? 0 : w->repeat_ms; /* is due */
    r->is_told = false;
    r->is_nudged = false;
    goes_on = r->sink != NULL;
    (void)pthread_mutex_unlock(&r->lock);
    if (goes_on && is_told && w->avahi != NULL) {
        pn_dnssd_services_set_own(w->services, &record.key);
        pn_dnssd_avahi_publish(w->avahi, &record);
    }
    if (goes_on && is_told && w->embed != NULL) {
        pn_dnssd_embed_publish(w->embed, &record);
    }
    return goes_on;
}

static void daemon_status(const worker *w, pn_dnssd_status *status)
{
    pn_dnssd_services_counters c;

    pn_dnssd_services_counters_get(w->services, &c);
    *status = (pn_dnssd_status){
        .state = pn_dnssd_avahi_state(w->avahi),
        .is_published = pn_dnssd_avahi_is_published(w->avahi),
        .services = (uint32_t)pn_dnssd_services_count(w->services),
        .services_seen = c.seen,
        .services_evicted = c.evicted,
        .addresses_dropped = c.addresses_dropped,
        .refused = c.refused,
    };
}

static void worker_tell_status(worker *w)
{
    pn_dnssd_status status = {.state = PN_DNSSD_STOPPED};

    if (w->embed != NULL && pn_dnssd_embed_is_running(w->embed)) {
        pn_dnssd_embed_status(w->embed, &status);
    } else if (w->avahi != NULL) {
        daemon_status(w, &status);
    }
    (void)pthread_mutex_lock(&w->run->lock);
    w->run->status = status;
    (void)pthread_mutex_unlock(&w->run->lock);
}

static void interfaces_refresh(worker *w)
{
    int indexes[PN_DNSSD_INDEXES_MAX];
    pn_interface *list;
    size_t n;

    if (pn_interfaces_list(&list, &n) == PN_OK) {
        pn_dnssd_services_set_interfaces(w->services, list, n);
        pn_dnssd_avahi_set_interfaces(w->avahi, indexes,
            pn_dnssd_interfaces_used(
                w->run->settings.options.interfaces, list, n, indexes));
        free(list);
    }
}

/* A daemon that is there is used; the helper withdraws first. */
static uint64_t daemon_step(worker *w, uint64_t now)
{
    uint64_t next;

    pn_dnssd_avahi_hold(
        w->avahi, w->embed != NULL && !pn_dnssd_embed_is_clear(w->embed, now));
    if (now >= w->repeat_ms) {
        interfaces_refresh(w);
        pn_dnssd_services_repeat(w->services);
        w->repeat_ms = now + w->run->settings.options.repeat_ms;
    }
    next = pn_dnssd_avahi_step(w->avahi, now);
    if (pn_dnssd_avahi_state(w->avahi) == PN_DNSSD_RUNNING) {
        w->daemon_ms = now_ms(); /* the daemon may have taken its time */
    }
    return pn_sooner(next, w->repeat_ms);
}

static uint64_t helper_step(worker *w)
{
    uint64_t now = now_ms();
    bool is_due = w->avahi == NULL || now >= w->daemon_ms + NO_DAEMON_MS;
    uint64_t next;

    pn_dnssd_embed_want(w->embed, is_due);
    next = pn_dnssd_embed_step(w->embed, now);
    return is_due ? next : pn_sooner(next, w->daemon_ms + NO_DAEMON_MS);
}

/* Does what is due. Returns how long the poll may sleep, in milliseconds. */
static int worker_step(worker *w)
{
    uint64_t next = UINT64_MAX;
    uint64_t now;

    if (w->avahi != NULL) {
        next = daemon_step(w, now_ms());
    }
    if (w->embed != NULL) {
        next = pn_sooner(next, helper_step(w));
    }
    now = now_ms();
    next = pn_sooner(next, now + MAX_SLEEP_MS);
    return next <= now ? 0 : (int)(next - now);
}

/* True: it could not go on. False: the node wants us to end. */
static bool worker_serve(worker *w)
{
    while (worker_take(w)) {
        int sleep_ms = worker_step(w);

        worker_tell_status(w);
        if (avahi_simple_poll_iterate(w->poll, sleep_ms) != 0) {
            return true;
        }
    }
    return false;
}

/* After a failure, of which the next worker knows nothing. False: the node
 * wants us to end. */
static bool run_goes_on(run *r)
{
    bool goes_on;

    (void)pthread_mutex_lock(&r->lock);
    r->status = (pn_dnssd_status){.state = PN_DNSSD_STOPPED};
    r->is_told = r->port != 0;
    goes_on = r->sink != NULL;
    (void)pthread_mutex_unlock(&r->lock);
    return goes_on;
}

/* Lets ms pass, which the node may cut short by its end. */
static void run_pause(run *r, uint64_t ms)
{
    uint64_t until_ms = now_ms() + ms;
    uint64_t now;
    uint64_t n;

    while (run_goes_on(r) && (now = now_ms()) < until_ms) {
        struct pollfd wake = {.fd = r->wake, .events = POLLIN};

        if (poll(&wake, 1, (int)(until_ms - now)) > 0) {
            (void)!read(r->wake, &n, sizeof(n));
        }
    }
}

/* A process may be out of descriptors or memory for a while. */
static void run_serve(run *r)
{
    uint64_t pause_ms = AGAIN_MIN_MS;

    while (run_goes_on(r)) {
        worker w = {.run = r};
        uint64_t begin_ms = now_ms();
        bool has_failed = !worker_open(&w) || worker_serve(&w);

        worker_close(&w);
        if (!has_failed) {
            return;
        }
        pause_ms = now_ms() - begin_ms > AGAIN_MAX_MS ? AGAIN_MIN_MS : pause_ms;
        run_pause(r, pause_ms);
        pause_ms = pn_sooner(2 * pause_ms, AGAIN_MAX_MS);
    }
}

static void *thread_main(void *user)
{
    run *r = user;

    run_serve(r);
    (void)pthread_mutex_lock(&r->lock);
    r->status = (pn_dnssd_status){.state = PN_DNSSD_STOPPED};
    r->has_ended = true;
    (void)pthread_cond_broadcast(&r->ended);
    (void)pthread_mutex_unlock(&r->lock);
    run_leave(r);
    return NULL;
}

/* Signals are the application's and do not interrupt this thread. */
static int thread_start(run *r)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    int err = pthread_attr_init(&attr);

    if (err != 0) {
        return err;
    }
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    err = pthread_create(&thread, &attr, thread_main, r);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return err;
}

/* ---- the source -------------------------------------------------------- */

/* NULL: no memory, or no descriptor, which errno says. */
static run *run_new(const pn_dnssd *d, const pn_discovery_sink *sink)
{
    pthread_condattr_t attr;
    run *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return NULL;
    }
    r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->wake < 0) {
        free(r);
        return NULL;
    }
    settings_fill(&r->settings, &d->settings.options);
    memcpy(r->settings.library_path, d->settings.library_path,
        sizeof(r->settings.library_path));
    r->sink = sink;
    r->n_users = 2;
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&r->ended, &attr);
    (void)pthread_condattr_destroy(&attr);
    return r;
}

static bool run_has_ended(run *r)
{
    bool has_ended;

    (void)pthread_mutex_lock(&r->lock);
    has_ended = r->has_ended;
    (void)pthread_mutex_unlock(&r->lock);
    return has_ended;
}

/* The run of before has to end first, so that there is one thread at most. */
static pn_err start_locked(pn_dnssd *d, const pn_discovery_sink *sink)
{
    run *r;
    int err;

    if (d->run != NULL && !run_has_ended(d->run)) {
        errno = EBUSY;
        return PN_SYS;
    }
    r = run_new(d, sink);
    if (r == NULL) {
        return PN_SYS;
    }
    err = thread_start(r);
    if (err != 0) {
        r->n_users = 1;
        run_leave(r);
        errno = err;
        return PN_SYS;
    }
    if (d->run != NULL) {
        run_leave(d->run);
    }
    d->run = r;
    return PN_OK;
}

static pn_err dnssd_start(void *user, const pn_discovery_sink *sink)
{
    pn_dnssd *d = user;
    pn_err err;

    (void)pthread_mutex_lock(&d->lock);
    err = start_locked(d, sink);
    (void)pthread_mutex_unlock(&d->lock);
    return err;
}

static void dnssd_stop(void *user)
{
    pn_dnssd *d = user;
    run *r = d->run;

    if (r == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&r->lock);
    r->sink = NULL;
    (void)pthread_mutex_unlock(&r->lock);
    run_wake(r);
}

static pn_err dnssd_announce(
    void *user, const pn_public_key *key, uint16_t port)
{
    pn_dnssd *d = user;
    run *r = d->run;
    bool is_stopped;

    if (r == NULL) {
        return PN_STATE;
    }
    (void)pthread_mutex_lock(&r->lock);
    is_stopped = r->sink == NULL;
    /* A record that is published twice is withdrawn in between. */
    r->is_told = r->is_told || r->port != port || !pn_key_equal(&r->key, key);
    r->is_nudged = true;
    r->key = *key;
    r->port = port;
    (void)pthread_mutex_unlock(&r->lock);
    run_wake(r);
    return is_stopped ? PN_STATE : PN_OK;
}

static const pn_discovery_source source = {
    .size = sizeof(pn_discovery_source),
    .name = "dns-sd",
    .start = dnssd_start,
    .stop = dnssd_stop,
    .announce = dnssd_announce,
};

const pn_discovery_source *pn_dnssd_source(void)
{
    return &source;
}

/* ---- life -------------------------------------------------------------- */

pn_err pn_dnssd_new(
    const pn_dnssd_options *options, pn_dnssd **ret_dnssd, pn_why *ret_why)
{
    pn_dnssd_options o;
    pn_dnssd *d;
    pn_err err;

    pn_why_clear(ret_why);
    pn_dnssd_options_init(&o);
    if (options == NULL || ret_dnssd == NULL || options->size > sizeof(o)) {
        return pn_why_fail(ret_why, PN_INVALID,
            "options are NULL, or were made by a newer header");
    }
    memcpy(&o, options, options->size);
    o.size = sizeof(o);
    err = options_check(&o, ret_why);
    if (err != PN_OK) {
        return err;
    }
    d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return pn_why_fail(ret_why, PN_NOMEM, "%s", pn_strerror(PN_NOMEM));
    }
    settings_fill(&d->settings, &o);
    settings_read_environment(&d->settings);
    (void)pthread_mutex_init(&d->lock, NULL);
    *ret_dnssd = d;
    return PN_OK;
}

static void run_wait(run *r)
{
    struct timespec until;
    long nsec;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    nsec = until.tv_nsec + FREE_WAIT_MS * 1000000L;
    until.tv_sec += nsec / 1000000000L;
    until.tv_nsec = nsec % 1000000000L;
    (void)pthread_mutex_lock(&r->lock);
    while (!r->has_ended
           && pthread_cond_timedwait(&r->ended, &r->lock, &until) == 0) {}
    (void)pthread_mutex_unlock(&r->lock);
}

void pn_dnssd_free(pn_dnssd *d)
{
    if (d == NULL) {
        return;
    }
    if (d->run != NULL) {
        dnssd_stop(d);
        run_wait(d->run);
        run_leave(d->run);
    }
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
}

static void run_set_label(run *r, const char *label)
{
    (void)pthread_mutex_lock(&r->lock);
    r->settings.options.label = keep(r->settings.label, label);
    r->is_told = r->is_told || r->port != 0;
    (void)pthread_mutex_unlock(&r->lock);
    run_wake(r);
}

pn_err pn_dnssd_set_label(pn_dnssd *d, const char *label)
{
    if (label != NULL && !pn_dnssd_label_is_valid(label)) {
        return PN_INVALID;
    }
    (void)pthread_mutex_lock(&d->lock);
    d->settings.options.label = keep(d->settings.label, label);
    if (d->run != NULL) {
        run_set_label(d->run, label);
    }
    (void)pthread_mutex_unlock(&d->lock);
    return PN_OK;
}

pn_err pn_dnssd_get_status(pn_dnssd *d, pn_dnssd_status *ret_status)
{
    if (ret_status->size != sizeof(*ret_status)) {
        return PN_INVALID;
    }
    *ret_status = (pn_dnssd_status){.state = PN_DNSSD_STOPPED};
    (void)pthread_mutex_lock(&d->lock);
    if (d->run != NULL) {
        (void)pthread_mutex_lock(&d->run->lock);
        *ret_status = d->run->status;
        (void)pthread_mutex_unlock(&d->run->lock);
    }
    (void)pthread_mutex_unlock(&d->lock);
    ret_status->size = sizeof(*ret_status);
    return PN_OK;
}

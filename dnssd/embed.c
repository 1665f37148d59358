/* SPDX-License-Identifier: Apache-2.0 */
/* The helper process, from the side of the source; see embed.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <net/if.h>
#include <sys/wait.h>

#include "base/bucket.h"
#include "base/grow.h"
#include "base/mutant.h"
#include "embed.h"
#include "os/clock.h"
#include "os/interface_names.h"

/* Between two starts of the helper: doubled after each that ended soon. */
enum { RESTART_MIN_MS = 500, RESTART_MAX_MS = 60000 };
/* A helper that has run this long starts at once again. */
enum { LONG_RUN_MS = 60000 };
/* From the end of its input until a helper is killed, and what free waits. */
enum { LEAVE_MS = 1000, FREE_MS = 250 };
/* Until its record has left the caches of others. */
enum { CLEAR_MS = 1000 };
/* The longest line of the helper: "labelled ", a key, an address and a label.
 */
enum { LINE_CAP = 256 };
/* Lines in a second, and at once. A full table is some 10,000, each 5 s. */
enum { LINES_PER_S = 5000, LINES_BURST = 40000 };

/* Where the helper has found a key. */
typedef struct place {
    pn_public_key key;
    pn_address at;
} place;

struct pn_dnssd_embed {
    pn_dnssd_embed_config config;
    pid_t pid; /* 0: no helper */
    int to;    /* its input; -1: closed */
    int from;  /* its output */
    AvahiWatch *watch;
    char line[LINE_CAP];
    size_t len;
    pn_bucket lines; /* what the helper may say */
    bool is_wanted;
    bool is_broken;    /* it ended, or said what it must not */
    uint64_t begin_ms; /* when it was started */
    uint64_t leave_ms; /* when it is killed; 0: it is not leaving */
    uint64_t ended_ms; /* 0: none has run */
    uint64_t restart_ms;
    uint64_t pause_ms;
    pn_dnssd_record record;
    bool has_record;
    pn_dnssd_status status;
    place *places; /* found and not lost, oldest first */
    size_t n_places;
    size_t places_cap;
};

/* ---- what it says ------------------------------------------------------ */

/* "KEY ADDRESS". False: something else. The address is AF_UNSPEC when it has an
 * interface, which may be gone by now. */
static bool read_place(char *text, place *ret_place)
{
    char *space = strchr(text, ' ');

    if (space == NULL) {
        return false;
    }
    *space = '\0';
    if (pn_key_parse(text, &ret_place->key) != PN_OK) {
        return false;
    }
    if (pn_address_parse(space + 1, -1, &ret_place->at) == PN_OK) {
        return true;
    }
    ret_place->at.any.sa_family = AF_UNSPEC;
    return strchr(space + 1, '%') != NULL;
}

static void report_found(const pn_dnssd_embed *e, const place *p)
{
    char text[PN_ADDRESS_TEXT_LEN];

    pn_address_text(&p->at, text);
    e->config.reports->found(e->config.reports_user, &p->key, text);
}

static void report_lost(const pn_dnssd_embed *e, const place *p)
{
    char text[PN_ADDRESS_TEXT_LEN];

    pn_address_text(&p->at, text);
    e->config.reports->lost(e->config.reports_user, &p->key, text);
}

/* The index of a place; n_places: it is not there. */
static size_t place_find(const pn_dnssd_embed *e, const place *p)
{
    size_t i = 0;

    while (i < e->n_places
           && !(pn_address_equal(&e->places[i].at, &p->at)
                && pn_key_equal(&e->places[i].key, &p->key))) {
        i++;
    }
    return i;
}

static void place_take_out(pn_dnssd_embed *e, size_t i)
{
    e->n_places--;
    memmove(&e->places[i], &e->places[i + 1],
        (e->n_places - i) * sizeof(e->places[0]));
}

/* The helper keeps no more than this, but forgets without a word. */
static size_t max_places(const pn_dnssd_embed *e)
{
    return (size_t)e->config.options->max_services
           * e->config.options->max_addresses;
}

/* As services.c judges an address, which a helper that works has done. */
static bool is_possible(const pn_dnssd_embed *e, const pn_address *at)
{
    return !PN_REFUSE_IF(dnssd_helper_port,
               pn_address_port(at) < e->config.options->min_port)
           && !PN_REFUSE_IF(dnssd_helper_address,
               !pn_address_is_host(at) || pn_address_is_loopback(at));
}

/* By the name of the device; an address may have another (eth0:1). */
static bool is_used(const pn_dnssd_embed *e, const pn_interface *entry)
{
    char name[IF_NAMESIZE];

    return if_indextoname(entry->index, name) != NULL
           && pn_interface_is_used(e->config.options->interfaces, name);
}

/* Of a network that this host is on. */
static bool is_near(const pn_dnssd_embed *e, const pn_address *at)
{
    unsigned index = at->any.sa_family == AF_INET6 ? at->in6.sin6_scope_id : 0;
    pn_interface *list;
    size_t n_used = 0;
    size_t n;
    bool is_there;

    if (pn_interfaces_list(&list, &n) != PN_OK) {
        return false;
    }
    is_there = pn_interfaces_is_own(list, n, at);
    for (size_t i = 0; i < n; i++) {
        if (is_used(e, &list[i])) {
            list[n_used++] = list[i];
        }
    }
    is_there = is_there || pn_interfaces_is_on_link(list, n_used, index, at);
    free(list);
    return is_there;
}

static void place_found(pn_dnssd_embed *e, const place *p)
{
    if (place_find(e, p) == e->n_places) {
        /* This host may have left that network since. */
        if (PN_REFUSE_IF(dnssd_helper_off_link, !is_near(e, &p->at))) {
            return;
        }
        if (e->n_places == max_places(e)) {
            place_take_out(e, 0);
        }
        if (!pn_grow(&e->places, &e->places_cap, e->n_places, sizeof(*p))) {
            return;
        }
        e->places[e->n_places++] = *p;
    }
    report_found(e, p);
}

static void place_lost(pn_dnssd_embed *e, const place *p)
{
    size_t i = place_find(e, p);

    if (i < e->n_places) {
        place_take_out(e, i);
        report_lost(e, p);
    }
}

/* False: the helper is broken. */
static bool on_place(pn_dnssd_embed *e, char *text,
    void (*act)(pn_dnssd_embed *e, const place *p))
{
    place p;

    if (!read_place(text, &p)) {
        return false;
    }
    if (p.at.any.sa_family == AF_UNSPEC) {
        return true;
    }
    if (!is_possible(e, &p.at)) {
        return false;
    }
    act(e, &p);
    return true;
}

/* "KEY ADDRESS LABEL", of a place that was found. False: the helper is broken.
 */
static bool on_label(pn_dnssd_embed *e, char *text)
{
    char *address = strchr(text, ' ');
    char *label = address == NULL ? NULL : strchr(address + 1, ' ');
    char at[PN_ADDRESS_TEXT_LEN];
    place p;

    if (label == NULL) {
        return false;
    }
    *label++ = '\0';
    if (!read_place(text, &p)
        || PN_REFUSE_IF(dnssd_helper_label,
            label[0] != '\0' && !pn_dnssd_label_is_valid(label))) {
        return false;
    }
    if (!PN_REFUSE_IF(
            dnssd_helper_label_place, place_find(e, &p) == e->n_places)) {
        pn_address_text(&p.at, at);
        e->config.reports->labelled(e->config.reports_user, &p.key, at, label);
    }
    return true;
}

/* A helper that was told to leave makes way for the daemon, which reports by
 * itself what it sees, so nothing is lost then. */
static void places_withdraw(pn_dnssd_embed *e)
{
    for (size_t i = 0; i < e->n_places && e->leave_ms == 0
                       && PN_SAFEGUARD(dnssd_helper_death);
         i++) {
        report_lost(e, &e->places[i]);
    }
    e->n_places = 0;
}

/* Five numbers with a space between them. False: something else. */
static bool read_counters(pn_dnssd_embed *e, const char *text)
{
    unsigned long long n[5];

    for (size_t i = 0; i < 5; i++) {
        size_t len = strspn(text, "0123456789");

        if (len == 0 || len > 19 || text[len] != (i < 4 ? ' ' : '\0')) {
            return false;
        }
        n[i] = strtoull(text, NULL, 10);
        text += len + 1;
    }
    e->status.services = (uint32_t)n[0];
    e->status.services_seen = n[1];
    e->status.services_evicted = n[2];
    e->status.addresses_dropped = n[3];
    e->status.refused = n[4];
    return true;
}

static bool starts_with(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

/* False: the helper is broken. */
static bool on_line(pn_dnssd_embed *e, char *line)
{
    if (starts_with(line, "found ")) {
        return on_place(e, line + 6, place_found);
    }
    if (starts_with(line, "lost ")) {
        return on_place(e, line + 5, place_lost);
    }
    if (starts_with(line, "labelled ")) {
        return on_label(e, line + 9);
    }
    if (starts_with(line, "published ")) {
        e->status.is_published = line[10] == '1';
        return (line[10] == '0' || line[10] == '1') && line[11] == '\0';
    }
    return starts_with(line, "counters ") && read_counters(e, line + 9);
}

/* False: a line is too long, has a NUL, is not one of the helper's, or one too
 * many. */
static bool take_bytes(pn_dnssd_embed *e, const char *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (data[i] == '\n') {
            e->line[e->len] = '\0';
            e->len = 0;
            if (PN_REFUSE_IF(dnssd_helper_lines,
                    !pn_bucket_take(&e->lines, pn_monotonic_now_us(),
                        LINES_PER_S, LINES_BURST))
                || !on_line(e, e->line)) {
                return false;
            }
        } else if (data[i] != '\0' && e->len + 1 < sizeof(e->line)) {
            e->line[e->len++] = data[i];
        } else {
            return false;
        }
    }
    return true;
}

static void on_output(
    AvahiWatch *watch, int fd, AvahiWatchEvent event, void *user)
{
    pn_dnssd_embed *e = user;
    char data[2048];
    ssize_t n = read(fd, data, sizeof(data));

    (void)watch;
    (void)event;
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (n <= 0 || !take_bytes(e, data, (size_t)n)) {
        e->is_broken = true;
    }
}

/* ---- telling it -------------------------------------------------------- */

static void tell(pn_dnssd_embed *e)
{
    char key[PN_BASE32_LEN + 1];
    char line[LINE_CAP];
    int n;

    if (e->to < 0 || !e->has_record) {
        return;
    }
    pn_key_to_base32(&e->record.key, key);
    n = snprintf(line, sizeof(line), "publish %u %s%s%s\n",
        (unsigned)e->record.port, key, e->record.label[0] != '\0' ? " " : "",
        e->record.label);
    /* Signals are blocked on this thread, SIGPIPE too. */
    if (write(e->to, line, (size_t)n) != n) {
        e->is_broken = true;
    }
}

void pn_dnssd_embed_publish(pn_dnssd_embed *e, const pn_dnssd_record *record)
{
    e->record = *record;
    e->has_record = true;
    tell(e);
}

/* ---- starting it ------------------------------------------------------- */

/* A helper gets one variable of the environment, since others may hold secrets.
 */
static int spawn(pn_dnssd_embed *e, posix_spawn_file_actions_t *actions,
    const posix_spawnattr_t *attr)
{
    const pn_dnssd_options *o = e->config.options;
    char numbers[4][12];
    const char *path = e->config.library_path;
    /* posix_spawn writes to none of these. */
    char *environment[] = {
        path[0] == '\0' ? NULL : (char *)(uintptr_t)path, NULL};
    char name[] = "peernet-mdns";
    char interfaces[PN_INTERFACE_NAMES_CAP] = "";
    char *argv[] = {name, numbers[0], numbers[1], numbers[2], numbers[3],
        o->interfaces == NULL ? NULL : interfaces, NULL};

    (void)snprintf(numbers[0], sizeof(numbers[0]), "%u", o->max_services);
    (void)snprintf(numbers[1], sizeof(numbers[1]), "%u", o->max_addresses);
    (void)snprintf(numbers[2], sizeof(numbers[2]), "%u", o->min_port);
    (void)snprintf(numbers[3], sizeof(numbers[3]), "%u", o->repeat_ms);
    if (o->interfaces != NULL) {
        (void)snprintf(interfaces, sizeof(interfaces), "%s", o->interfaces);
    }
    return posix_spawn(&e->pid, o->helper, actions, attr, argv, environment);
}

/* A process group of its own: an interrupt from the terminal is the node's, and
 * the helper withdraws its record when the node leaves. */
static int spawn_with(pn_dnssd_embed *e, int input, int output)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    sigset_t all;
    int err;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, input, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, output, 1);
    (void)posix_spawn_file_actions_addopen(
        &actions, 2, "/dev/null", O_WRONLY, 0);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawnattr_setflags(&attr,
        POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setsigdefault(&attr, &all);
    (void)posix_spawnattr_setpgroup(&attr, 0);
    err = spawn(e, &actions, &attr);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attr);
    return err;
}

static void close_pair(int fds[2])
{
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* False: it could not be started. */
static bool helper_start(pn_dnssd_embed *e, uint64_t now_ms)
{
    const AvahiPoll *poll = e->config.poll;
    int input[2];
    int output[2];

    if (pipe2(input, O_CLOEXEC) != 0) {
        return false;
    }
    if (pipe2(output, O_CLOEXEC) != 0) {
        close_pair(input);
        return false;
    }
    (void)fcntl(input[1], F_SETFL, O_NONBLOCK);
    (void)fcntl(output[0], F_SETFL, O_NONBLOCK);
    e->watch = poll->watch_new(poll, output[0], AVAHI_WATCH_IN, on_output, e);
    if (e->watch == NULL || spawn_with(e, input[0], output[1]) != 0) {
        if (e->watch != NULL) {
            poll->watch_free(e->watch);
            e->watch = NULL;
        }
        e->pid = 0;
        close_pair(input);
        close_pair(output);
        return false;
    }
    (void)close(input[0]);
    (void)close(output[1]);
    e->to = input[1];
    e->from = output[0];
    e->len = 0;
    e->is_broken = false;
    e->begin_ms = now_ms;
    e->leave_ms = 0;
    e->status = (pn_dnssd_status){.state = PN_DNSSD_EMBEDDED};
    tell(e);
    return true;
}

/* ---- ending it --------------------------------------------------------- */

static void close_input(pn_dnssd_embed *e)
{
    if (e->to >= 0) {
        (void)close(e->to);
        e->to = -1;
    }
}

/* An application may have reaped the child with a wait for any; the number can
 * belong to another process then. */
static void kill_child(pid_t pid)
{
    siginfo_t info;

    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
        return;
    }
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
}

/* It has ended, or ends now. */
static void helper_reap(pn_dnssd_embed *e, uint64_t now_ms)
{
    bool is_long = now_ms - e->begin_ms >= LONG_RUN_MS;

    close_input(e);
    kill_child(e->pid);
    e->config.poll->watch_free(e->watch);
    e->watch = NULL;
    (void)close(e->from);
    e->pid = 0;
    places_withdraw(e);
    e->ended_ms = now_ms;
    e->pause_ms = is_long ? RESTART_MIN_MS : e->pause_ms;
    e->restart_ms = now_ms + e->pause_ms;
    e->pause_ms = e->pause_ms * 2 < RESTART_MAX_MS ? e->pause_ms * 2
                                                   : RESTART_MAX_MS;
    e->status = (pn_dnssd_status){.state = PN_DNSSD_STOPPED};
}

void pn_dnssd_embed_want(pn_dnssd_embed *e, bool is_wanted)
{
    e->is_wanted = is_wanted;
}

static uint64_t step_helper(pn_dnssd_embed *e, uint64_t now_ms)
{
    if (!e->is_wanted && e->leave_ms == 0) {
        close_input(e);
        e->leave_ms = now_ms + LEAVE_MS;
    }
    if (e->is_broken || (e->leave_ms != 0 && now_ms >= e->leave_ms)) {
        helper_reap(e, now_ms);
        return now_ms;
    }
    return e->leave_ms != 0 ? e->leave_ms : UINT64_MAX;
}

uint64_t pn_dnssd_embed_step(pn_dnssd_embed *e, uint64_t now_ms)
{
    if (e->pid != 0) {
        return step_helper(e, now_ms);
    }
    if (!e->is_wanted) {
        return pn_dnssd_embed_is_clear(e, now_ms) ? UINT64_MAX
                                                  : e->ended_ms + CLEAR_MS;
    }
    if (now_ms >= e->restart_ms && !helper_start(e, now_ms)) {
        e->restart_ms = now_ms + RESTART_MAX_MS;
    }
    return e->pid != 0 ? UINT64_MAX : e->restart_ms;
}

bool pn_dnssd_embed_is_running(const pn_dnssd_embed *e)
{
    return e->pid != 0;
}

bool pn_dnssd_embed_is_clear(const pn_dnssd_embed *e, uint64_t now_ms)
{
    return e->pid == 0
           && (e->ended_ms == 0 || now_ms >= e->ended_ms + CLEAR_MS);
}

void pn_dnssd_embed_status(const pn_dnssd_embed *e, pn_dnssd_status *status)
{
    *status = e->status;
}

/* ---- life -------------------------------------------------------------- */

pn_err pn_dnssd_embed_new(
    const pn_dnssd_embed_config *config, pn_dnssd_embed **ret_embed)
{
    pn_dnssd_embed *e = calloc(1, sizeof(*e));

    if (e == NULL) {
        return PN_NOMEM;
    }
    e->config = *config;
    e->to = -1;
    e->pause_ms = RESTART_MIN_MS;
    *ret_embed = e;
    return PN_OK;
}

/* The end of its output is the end of the helper. */
static void wait_for_end(pn_dnssd_embed *e)
{
    struct pollfd fd = {.fd = e->from, .events = POLLIN};
    uint64_t end = pn_monotonic_now_us() / 1000 + FREE_MS;
    char data[2048];

    for (;;) {
        uint64_t now = pn_monotonic_now_us() / 1000;
        ssize_t n;

        if (now >= end || poll(&fd, 1, (int)(end - now)) <= 0) {
            return;
        }
        n = read(e->from, data, sizeof(data));
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            return;
        }
    }
}

void pn_dnssd_embed_free(pn_dnssd_embed *e)
{
    if (e == NULL) {
        return;
    }
    if (e->pid != 0) {
        close_input(e);
        wait_for_end(e);
        helper_reap(e, e->begin_ms);
    }
    free(e->places);
    free(e);
}

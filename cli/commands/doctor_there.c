/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of doctor towards a peer: heard, resolved, a link, a message there
 * and back, a large one, the grant.
 *
 * An Elixir node ends all its links when four of its connections end in five
 * seconds (docs/PROTOCOL.md, section 7). The registry makes two end in six at
 * the most. So the link itself is the probe of TCP and of the program behind
 * it. A connection of doctor's own, of which the registry knows nothing, is
 * made where its dials leave a question, and then to one open port.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "doctor_lookup.h"
#include "doctor_probe.h"
#include "peer_text.h"
#include "reason_text.h"
#include "json/jsonout.h"

/* A node announces itself every 5 s, give or take a fifth. */
#define HEAR_MS 6500
#define HEAR_LOOK_MS 250
#define SLOW_MS 1000
#define CALL_MS 5000
#define LINK_MS 7000
/* Over the MTU of any link, and far below the limit of a message. */
#define LARGE_BYTES 4000
#define ECHO_HANDLE "echo"
/* Of all probes together. */
#define PROBES_MS 10000

static const char *key_of(const doctor *d)
{
    return cli_field(d->peer, "key");
}

static bool is_up(const doctor *d)
{
    return strcmp(cli_field(d->peer, "state"), "up") == 0;
}

/* ---- heard -------------------------------------------------------------- */

static doctor_candidate *candidate_at(doctor *d, const char *address)
{
    for (size_t i = 0; i < d->n_candidates; i++) {
        if (strcmp(d->candidates[i].address, address) == 0) {
            return &d->candidates[i];
        }
    }
    return NULL;
}

/* NULL: there is no room for it. */
static doctor_candidate *add_candidate(doctor *d, const char *address)
{
    doctor_candidate *c = candidate_at(d, address);

    if (c == NULL && d->n_candidates < DOCTOR_MAX_CANDIDATES
        && strlen(address) < sizeof(c->address)) {
        c = &d->candidates[d->n_candidates++];
        (void)snprintf(c->address, sizeof(c->address), "%s", address);
    }
    return c;
}

/* Adds the addresses where the peer is heard. *ret_n: how many keys are heard
 * at all. */
static bool look(doctor *d, size_t *ret_n, cli_text *where)
{
    cli_answer answer = {0};
    cli_text t = {0};
    const json_t *list;
    const json_t *heard;
    size_t i;

    cli_request_begin(d->session, &t, "discovered");
    if (cli_request_end(d->session, &t, &answer)) {
        list = json_object_get(answer.json, "discovered");
        *ret_n = json_array_size(list);
        json_array_foreach(list, i, heard)
        {
            if (strcmp(cli_field(heard, "key"), key_of(d)) == 0
                && !cli_is_silent(heard)) {
                doctor_candidate *c = add_candidate(
                    d, cli_field(heard, "address"));

                if (c != NULL) {
                    c->is_heard = true;
                }
                cli_text_printf(where, "%s%s by %s", where->len > 0 ? ", " : "",
                    cli_field(heard, "address"), cli_field(heard, "source"));
            }
        }
    }
    cli_answer_fini(&answer);
    return where->len > 0;
}

/* A counter of the node; 0 when it is not there. */
static json_int_t announces(const json_t *metrics, const char *what)
{
    const json_t *m;
    size_t i;

    json_array_foreach(metrics, i, m)
    {
        if (strcmp(cli_field(m, "metric"), "peernet_announces_total") == 0
            && strcmp(cli_field(m, "what"), what) == 0) {
            return json_integer_value(json_object_get(m, "sample"));
        }
    }
    return 0;
}

/* The system gives a broadcast back to the host that sends it, through the
 * host's own firewall. */
static bool hears_itself(doctor *d)
{
    cli_answer answer = {0};
    cli_text t = {0};
    bool hears = true;

    cli_request_begin(d->session, &t, "metrics");
    cli_json_string(&t, "as", "json");
    if (d->session->is_remote && cli_request_end(d->session, &t, &answer)) {
        const json_t *metrics = json_object_get(answer.json, "metrics");

        hears = announces(metrics, "out") == 0 || announces(metrics, "in") > 0;
    }
    cli_text_fini(&t);
    cli_answer_fini(&answer);
    return hears;
}

/* The address that was given at pairing, which may be a name. */
static void read_given(doctor *d)
{
    pn_store *store = NULL;
    pn_store_peer *peers = NULL;
    size_t n = 0;
    pn_public_key key;

    if (pn_key_parse(key_of(d), &key) != PN_OK
        || pn_store_open(d->app->data_dir, &store, NULL, NULL) != PN_OK) {
        return;
    }
    if (pn_store_peers(store, &peers, &n, NULL) == PN_OK) {
        for (size_t i = 0; i < n; i++) {
            if (pn_key_equal(&peers[i].key, &key)) {
                (void)snprintf(
                    d->given, sizeof(d->given), "%s", peers[i].address);
            }
        }
        free(peers);
    }
    pn_store_close(store);
}

static bool has_other_address(const doctor *d)
{
    return d->at != NULL || is_up(d) || d->given[0] != '\0'
           || cli_field(d->peer, "address")[0] != '\0';
}

static bool runs(const doctor *d, const char *source)
{
    return json_is_true(json_object_get(doctor_source(d, source), "running"));
}

/* Where nobody at all is heard by multicast alone, multicast may be what does
 * not come through. */
static const char *verdict_of_unheard(doctor *d, size_t n_heard)
{
    if (d->deaf != NULL) {
        return d->deaf;
    }
    if (n_heard == 0 && runs(d, "dns-sd") && !runs(d, "udp")) {
        return "multicast-dropped?";
    }
    return hears_itself(d) ? "not-heard" : "udp-dropped-here";
}

static void judge_unheard(doctor *d, size_t n_heard)
{
    const char *verdict = verdict_of_unheard(d, n_heard);
    cli_text t = {0};

    if (strcmp(verdict, "udp-dropped-here") == 0) {
        cli_text_puts(&t, "not even this node's own announces are heard here");
    } else if (d->deaf != NULL) {
        cli_text_puts(&t, "announces cannot be heard here");
    } else if (n_heard > 0) {
        cli_text_printf(
            &t, "others are heard (%zu), and this peer is not", n_heard);
    } else {
        cli_text_printf(&t, "nobody was heard by %s%s%s on %s in %d s",
            runs(d, "udp") ? "UDP" : "",
            runs(d, "udp") && runs(d, "dns-sd") ? " and " : "",
            runs(d, "dns-sd") ? "DNS-SD" : "",
            d->interfaces.len > 0 ? cli_text_string(&d->interfaces)
                                  : "loopback",
            HEAR_MS / 1000);
    }
    if (has_other_address(d)) {
        doctor_warn(d, verdict, "%s", cli_text_string(&t));
    } else {
        doctor_fail(d, verdict, "%s, and no address of the peer is known",
            cli_text_string(&t));
    }
    cli_text_fini(&t);
}

static void check_heard(doctor *d)
{
    cli_text where = {0};
    size_t n_heard = 0;
    int waited_ms = 0;
    bool found = look(d, &n_heard, &where);

    read_given(d);
    while (!found && d->deaf == NULL && waited_ms < HEAR_MS
           && !doctor_is_cut_off(d)) {
        if (waited_ms == SLOW_MS && d->session->on_slow != NULL) {
            d->waits = "for an announce, 6 s at most";
            d->session->on_slow(d);
        }
        cli_session_wait(d->session, HEAR_LOOK_MS);
        waited_ms += HEAR_LOOK_MS;
        found = look(d, &n_heard, &where);
    }
    if (found) {
        doctor_pass(d, "%s", cli_text_string(&where));
    } else {
        judge_unheard(d, n_heard);
    }
    cli_text_fini(&where);
}

/* ---- resolved ----------------------------------------------------------- */

/* False: it cannot be looked up, and error says why. */
static bool resolve(doctor *d, const char *address, cli_text *error)
{
    cli_text list = {0};

    if (address[0] == '\0') {
        return true;
    }
    d->waits = "for a name server, 10 s at most";
    if (cli_lookup(d->session, address, &list, error) != CLI_OK) {
        cli_text_fini(&list);
        return false;
    }
    for (char *at = list.data; at != NULL && *at != '\0';) {
        size_t len = strcspn(at, ",");
        char *next = at + len + (at[len] == ',');
        doctor_candidate *c;

        at[len] = '\0';
        c = add_candidate(d, at);
        if (c != NULL) {
            c->is_given = address == d->at;
        }
        at = next;
    }
    cli_text_fini(&list);
    return true;
}

/* An address given at pairing may be a name; others are numeric. */
static void check_resolved(doctor *d)
{
    const char *known = cli_field(d->peer, "address");
    cli_text error = {0};
    cli_text list = {0};
    bool is_good = d->at != NULL ? resolve(d, d->at, &error)
                                 : resolve(d, is_up(d) ? "" : known, &error)
                                       && resolve(d, d->given, &error);

    for (size_t i = 0; i < d->n_candidates; i++) {
        cli_text_printf(
            &list, "%s%s", i > 0 ? ", " : "", d->candidates[i].address);
    }
    if (is_good) {
        doctor_pass(d, "%s", list.len > 0 ? cli_text_string(&list) : "nowhere");
    } else if (d->n_candidates > 0 || is_up(d)) {
        doctor_warn(d, "name-unknown", "%s", cli_text_string(&error));
    } else {
        doctor_fail(d, "name-unknown", "%s", cli_text_string(&error));
    }
    cli_text_fini(&error);
    cli_text_fini(&list);
}

/* ---- TCP ---------------------------------------------------------------- */

/* Where no connection comes about, this is seen. */
static const struct {
    const char *verdict;
    const char *seen;
} closed[] = {
    {"connection-refused", "the host is there and refuses the connection"},
    {"peer-listens-on-loopback?",
        "the host is there and refuses the connection"},
    {"other-network", "no interface of this device leads to that address"},
    {"unreachable", "no device answers at that address"},
    {"connect-timeout", "no answer to the connection in 5 s"},
};

static const char *verdict_of_errno(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return "connection-refused";
    case ENETUNREACH:
    case EADDRNOTAVAIL:
        return "other-network";
    case ETIMEDOUT:
        return "connect-timeout";
    default:
        return "unreachable";
    }
}

/* NULL: of no step before a connection is open. */
static const char *seen_of_closed(const char *verdict)
{
    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
        if (strcmp(closed[i].verdict, verdict) == 0) {
            return closed[i].seen;
        }
    }
    return NULL;
}

static void fail_closed(
    doctor *d, const doctor_candidate *c, const char *verdict)
{
    if (strcmp(verdict, "connection-refused") == 0 && c->is_heard) {
        verdict = "peer-listens-on-loopback?";
    }
    doctor_fail(d, verdict, "%s: %s", c->address, seen_of_closed(verdict));
}

/* True: the program at the open port speaks first, so it is no node; the walk
 * is over. */
static bool fail_greeting(
    doctor *d, const char *address, const char *greeting, size_t len)
{
    cli_text t = {0};

    if (len == 0) {
        return false;
    }
    d->step = "protocol";
    cli_quote(&t, greeting, len, 40);
    doctor_fail(d, "bad-handshake",
        "the program at %s speaks first, and says %s", address,
        cli_text_string(&t));
    cli_text_fini(&t);
    return true;
}

/* --at names an address while a link is up, over which every message goes: says
 * whether it is open. */
static void probe_given(doctor *d)
{
    uint64_t end_ms = uv_hrtime() / 1000000 + PROBES_MS;
    char greeting[64];
    size_t len = 0;
    const doctor_candidate *first = NULL;
    int first_error = 0;

    for (size_t i = 0; i < d->n_candidates && !doctor_is_cut_off(d); i++) {
        const char *address = d->candidates[i].address;
        uint64_t now_ms = uv_hrtime() / 1000000;
        uint64_t left_ms = now_ms < end_ms ? end_ms - now_ms : 1;
        int error;

        if (!d->candidates[i].is_given) {
            continue;
        }
        error = cli_probe_tcp(d->session, address,
            left_ms < CLI_PROBE_CONNECT_MS ? left_ms : CLI_PROBE_CONNECT_MS,
            CLI_PROBE_GREETING_MS, greeting, sizeof(greeting), &len);

        if (error == 0) {
            doctor_pass(d, "%s is open", address);
            (void)fail_greeting(d, address, greeting, len);
            return;
        }
        if (first == NULL) {
            first = &d->candidates[i];
            first_error = error;
        }
    }
    if (first != NULL) {
        fail_closed(d, first, verdict_of_errno(first_error));
    }
}

/* ---- the link ----------------------------------------------------------- */

static bool have_all_failed(const doctor *d)
{
    for (size_t i = 0; i < d->n_candidates; i++) {
        if (d->candidates[i].reason[0] == '\0') {
            return false;
        }
    }
    return true;
}

/* Keeps how the dial to each candidate ends. A reason without a verdict is that
 * of a link beside another one. */
static void on_event(
    void *user, const json_t *event, const char *line, size_t len)
{
    doctor *d = user;
    const char *reason = cli_field(event, "reason");
    doctor_candidate *c = candidate_at(d, cli_field(event, "address"));

    (void)line;
    (void)len;
    if (c == NULL || strcmp(cli_field(event, "event"), "dial-failed") != 0
        || strcmp(cli_field(event, "key"), key_of(d)) != 0
        || cli_verdict_find(reason, false) == NULL) {
        return;
    }
    (void)snprintf(c->reason, sizeof(c->reason), "%s", reason);
    if (have_all_failed(d)) {
        cli_request_give_up(d->session);
    }
}

static void ask_for_events(doctor *d)
{
    cli_answer answer = {0};
    cli_text t = {0};

    d->session->on_event = on_event;
    d->session->user = d;
    cli_request_begin(d->session, &t, "events");
    (void)cli_request_end(d->session, &t, &answer);
    cli_answer_fini(&answer);
}

/* Calls a handle; text: the term. *ret_ms: how long the answer took. */
static void call(doctor *d, const char *handle, const char *text,
    cli_answer *ret_answer, uint64_t *ret_ms)
{
    uint64_t start = uv_hrtime();
    cli_text at = {0};
    cli_text t = {0};

    d->session->allowed_ms = CALL_MS + LINK_MS;
    cli_request_begin(d->session, &t, "call");
    cli_json_string(&t, "peer", key_of(d));
    cli_json_string(&t, "handle", handle);
    cli_json_string(&t, "term", text);
    cli_json_int(&t, "timeout", CALL_MS);
    cli_json_int(&t, "wait", LINK_MS);
    cli_json_string(&t, "as", "text");
    for (size_t i = 0; i < d->n_candidates; i++) {
        cli_text_list(&at, d->candidates[i].address);
    }
    if (at.len > 0) {
        cli_json_string(&t, "at", cli_text_string(&at));
    }
    cli_text_fini(&at);
    (void)cli_request_end(d->session, &t, ret_answer);
    *ret_ms = (uv_hrtime() - start) / 1000000;
}

/* The candidate whose dial came farthest; of several, the first, and one that
 * is heard. NULL: none has ended. */
static doctor_candidate *farthest(doctor *d)
{
    doctor_candidate *best = NULL;
    int best_rank = 0;

    for (size_t i = 0; i < d->n_candidates; i++) {
        doctor_candidate *c = &d->candidates[i];
        int rank = c->reason[0] == '\0'                          ? 0
                   : strcmp(c->reason, "not-paired-there?") == 0 ? 4
                   : seen_of_closed(c->reason) == NULL           ? 3
                   : c->is_heard                                 ? 2
                                                                 : 1;

        if (rank > best_rank) {
            best = c;
            best_rank = rank;
        }
    }
    return best;
}

/* The reason is the node's: no way there. Which of two it is, the system says
 * when it is asked, and no connection comes of it. */
static const char *verdict_of_unreachable(doctor *d, const char *address)
{
    char greeting[8];
    size_t len = 0;
    int error = cli_probe_tcp(d->session, address, CLI_PROBE_CONNECT_MS,
        CLI_PROBE_GREETING_MS, greeting, sizeof(greeting), &len);

    return error == ENETUNREACH || error == EADDRNOTAVAIL ? "other-network"
                                                          : "unreachable";
}

/* The handshake did not come to its end, so the port is asked once more, by a
 * connection that waits to be spoken to. */
static bool fail_by_greeting(doctor *d, const char *address)
{
    char greeting[64];
    size_t len = 0;
    const char *step = d->step;

    d->step = "protocol";
    if (cli_probe_tcp(d->session, address, CLI_PROBE_CONNECT_MS,
            CLI_PROBE_LATE_GREETING_MS, greeting, sizeof(greeting), &len)
            == 0
        && fail_greeting(d, address, greeting, len)) {
        return true;
    }
    d->step = step;
    return false;
}

static void pass_as(doctor *d, const char *step, const char *seen)
{
    d->step = step;
    doctor_pass(d, "%s", seen);
}

/* The connection was open: the steps behind it, up to the one that failed. */
static void fail_open(doctor *d, const char *address, const cli_verdict *v)
{
    doctor_pass(d, "%s is open", address);
    if (strcmp(v->step, "protocol") == 0 && fail_by_greeting(d, address)) {
        return;
    }
    if (strcmp(v->step, "protocol") != 0) {
        pass_as(d, "protocol", "a handshake of PeerNet");
    }
    if (strcmp(v->step, "paired-there") == 0) {
        pass_as(d, "key", cli_field(d->peer, "fingerprint"));
    }
    d->step = v->step;
    doctor_fail(d, v->name, "%s: %s", address, cli_reason_sentence_of(v->name));
}

static void fail_link(doctor *d, const cli_answer *answer)
{
    doctor_candidate *c = farthest(d);
    const char *reason = c != NULL ? c->reason
                                   : cli_field(answer->json, "reason");
    const cli_verdict *v = cli_verdict_find(reason, false);
    doctor_candidate known = {.is_heard = false};

    if (c == NULL) { /* no dial to a candidate has ended in time */
        (void)snprintf(known.address, sizeof(known.address), "%s",
            d->n_candidates > 0 ? d->candidates[0].address
                                : cli_field(d->peer, "address"));
        c = &known;
    }
    if (v == NULL) {
        d->step = "protocol";
        doctor_fail(d, "handshake-timeout", "%s: no link in time", c->address);
    } else if (strcmp(v->name, "unreachable") == 0) {
        fail_closed(d, c, verdict_of_unreachable(d, c->address));
    } else if (seen_of_closed(v->name) != NULL) {
        fail_closed(d, c, v->name);
    } else {
        fail_open(d, c->address, v);
    }
}

/* True if the peer answered something, which goes through the whole link. */
static bool has_answered(const cli_answer *answer)
{
    return json_is_true(json_object_get(answer->json, "ok"))
           || strcmp(cli_field(answer->json, "error"), "remote") == 0;
}

/* The verdict on a handle's own error. A handler of an application may give any
 * error for an argument that is not one of its own, and so may a program by its
 * exit status; but one that could not be started, or ended out of turn, is not
 * well. */
static const char *verdict_of_remote(const char *error)
{
    static const struct {
        const char *error; /* as it is printed; of a tuple the beginning */
        const char *verdict;
    } rows[] = {
        {":no_such_handle", "no-such-handle"},
        {":forbidden", "forbidden"},
        {":timeout", "handler-timeout"},
        {"** (exit) :error", "handler-failed"},
        {"** (exit) :badarg", "handler-crashed"},
        {"** (exit) normal", "handler-crashed"},
        {"** (exit) {:signal, ", "handler-crashed"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i].error);

        if (strncmp(error, rows[i].error, len) == 0
            && (rows[i].error[len - 1] == ' ' || error[len] == '\0'
                || error[len] == '\n')) {
            return rows[i].verdict;
        }
    }
    return "handler-error";
}

/* The link is up: where it leads to, and who is there. */
static void pass_link(doctor *d)
{
    cli_answer answer = {0};
    cli_text t = {0};
    const json_t *peer;
    size_t i;

    cli_request_begin(d->session, &t, "peers");
    if (cli_request_end(d->session, &t, &answer)) {
        json_array_foreach(json_object_get(answer.json, "peers"), i, peer)
        {
            if (strcmp(cli_field(peer, "key"), key_of(d)) == 0) {
                doctor_pass(
                    d, "a link is up, at %s", cli_field(peer, "address"));
            }
        }
    }
    cli_answer_fini(&answer);
    pass_as(d, "protocol", "a handshake of PeerNet");
    pass_as(d, "key", cli_field(d->peer, "fingerprint"));
    pass_as(d, "paired-there", "the peer has paired this device");
}

static void fail_ping(doctor *d, const cli_answer *answer)
{
    d->step = "ping";
    doctor_fail(d, "ping-timeout", "the link is up, and no answer came: %s",
        cli_field(answer->json, "message"));
}

/* The first message may have waited for the link, so a second one is timed. */
static void check_ping(doctor *d)
{
    cli_answer answer = {0};
    uint64_t ms;

    d->step = "ping";
    call(d, ECHO_HANDLE, "nil", &answer, &ms);
    if (has_answered(&answer)) {
        doctor_pass(
            d, "a message there and back took %llu ms", (unsigned long long)ms);
    } else {
        fail_ping(d, &answer);
    }
    cli_answer_fini(&answer);
}

static void check_link(doctor *d)
{
    cli_answer answer = {0};
    uint64_t ms;

    if (is_up(d) && d->at != NULL) {
        probe_given(d);
    } else if (!is_up(d) && d->n_candidates == 0) {
        doctor_fail(d, "not-heard", "no address of the peer is known");
    }
    if (d->is_over) {
        return;
    }
    d->waits = "for a link, 7 s at most";
    ask_for_events(d);
    call(d, ECHO_HANDLE, "nil", &answer, &ms);
    d->session->on_event = NULL;
    if (doctor_is_cut_off(d)) {
        cli_answer_fini(&answer);
        return;
    }
    if (has_answered(&answer)) {
        pass_link(d);
        check_ping(d);
    } else if (answer.json == NULL
               || strcmp(cli_field(answer.json, "error"), "not-connected")
                      == 0) {
        fail_link(d, &answer);
    } else {
        fail_ping(d, &answer);
    }
    cli_answer_fini(&answer);
}

static void check_large(doctor *d)
{
    cli_answer answer = {0};
    cli_text t = {0};
    uint64_t ms;

    cli_text_putc(&t, '"');
    for (int i = 0; i < LARGE_BYTES; i++) {
        cli_text_putc(&t, 'x');
    }
    cli_text_putc(&t, '"');
    call(d, ECHO_HANDLE, cli_text_string(&t), &answer, &ms);
    if (has_answered(&answer)) {
        doctor_pass(
            d, "%d bytes took %llu ms", LARGE_BYTES, (unsigned long long)ms);
    } else if (strcmp(cli_field(answer.json, "error"), "not-connected") == 0) {
        fail_link(d, &answer);
    } else {
        doctor_fail(d, "mtu-black-hole",
            "a small message came back, and one of %d bytes did not",
            LARGE_BYTES);
    }
    cli_text_fini(&t);
    cli_answer_fini(&answer);
}

/* The handle answered with an error, ":forbidden", or has crashed: the first
 * line of what Elixir prints of it. */
static void judge_error(doctor *d, const char *name, const cli_answer *answer)
{
    const char *crash = cli_field(answer->json, "crash");
    const char *error = crash[0] != '\0' ? crash
                                         : cli_field(answer->json, "text");
    const char *verdict = verdict_of_remote(error);
    const char *meaning = cli_remote_sentence(error);
    cli_text t = {0};

    cli_escape(&t, error, strcspn(error, "\n"), 200);
    if (meaning != NULL) {
        cli_text_printf(&t, ": %s", meaning);
    }
    if (strcmp(verdict, "handler-error") == 0) {
        doctor_warn(d, verdict,
            "%s may be used, and answers nil with an error: %s", name,
            cli_text_string(&t));
    } else {
        doctor_fail(d, verdict, "%s answers with an error: %s", name,
            cli_text_string(&t));
    }
    cli_text_fini(&t);
}

/* No answer came. An Elixir node closes the link on a name that it has never
 * seen. */
static const char *verdict_of_unanswered(const cli_answer *answer)
{
    const char *reason = cli_field(answer->json, "reason");

    if (strcmp(cli_field(answer->json, "error"), "timeout") == 0) {
        return "handler-timeout";
    }
    if (strcmp(reason, "atom-unknown-to-peer?") == 0) {
        return "no-such-handle";
    }
    return cli_verdict_find(reason, false) == NULL ? "ping-timeout" : reason;
}

static void check_grant(doctor *d)
{
    cli_answer answer = {0};
    uint64_t ms;
    cli_text t = {0};

    if (d->handle == NULL) {
        return;
    }
    d->waits = "for the handle's answer, 5 s at most";
    cli_escape(&t, d->handle, strlen(d->handle), CLI_ESCAPE_FIELD);
    call(d, d->handle, "nil", &answer, &ms);
    if (json_is_true(json_object_get(answer.json, "ok"))) {
        doctor_pass(d, "%s answers", cli_text_string(&t));
    } else if (has_answered(&answer)) {
        judge_error(d, cli_text_string(&t), &answer);
    } else {
        doctor_fail(d, verdict_of_unanswered(&answer), "%s: %s",
            cli_text_string(&t), cli_field(answer.json, "message"));
    }
    cli_text_fini(&t);
    cli_answer_fini(&answer);
}

const doctor_step doctor_there[] = {
    {"heard", check_heard, true},
    {"resolved", check_resolved, true},
    {"tcp", check_link, true},
    {"large", check_large, true},
    {"grant", check_grant, true},
    {.name = NULL},
};

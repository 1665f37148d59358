/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of doctor on this device: data, clock, node, interfaces, sources,
 * whether the node announces itself, and whether the peer is paired. */
#include <string.h>
#include <time.h>

#include "commands.h"
#include "doctor.h"
#include "peer_text.h"
#include "json/jsonout.h"

/* 2026-01-01: this program is younger. */
#define EARLIEST ((time_t)1767225600)

static void check_data(doctor *d)
{
    pn_store *store = NULL;
    pn_why why = {0};
    pn_err err = pn_store_open(d->app->data_dir, &store, &why, NULL);

    if (err != PN_OK) {
        doctor_fail(d, "data-unusable", "%s", why.text);
        return;
    }
    pn_store_close(store);
    doctor_pass(d, "%s", d->app->data_dir);
}

static void check_clock(doctor *d)
{
    time_t now = time(NULL);
    struct tm utc;
    char text[32];

    (void)gmtime_r(&now, &utc);
    (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &utc);
    if (now < EARLIEST) {
        doctor_warn(d, "clock-wrong", "it is %s here", text);
    } else {
        doctor_pass(d, "%s", text);
    }
}

/* ---- the node ----------------------------------------------------------- */

static void ask_status(doctor *d)
{
    cli_answer answer = {0};
    cli_text t = {0};

    cli_request_begin(d->session, &t, "status");
    cli_json_bool(&t, "full", true);
    if (cli_request_end(d->session, &t, &answer)) {
        d->status = json_incref(answer.json);
    }
    cli_answer_fini(&answer);
}

static void check_node(doctor *d)
{
    cli_session_options options = {
        .data_dir = d->app->data_dir, .may_open = true};
    cli_text error = {0};
    cli_exit status = cli_node_options(d->app, &options.hub);

    if (status == CLI_OK) {
        options.hub.node.discovery_listen_only = true;
        options.hub.node.auto_connect = false;
        status = cli_session_open(&options, &d->session, &error);
    }
    if (status == CLI_OK) {
        doctor_tell_slow(d);
        ask_status(d);
    }
    if (status == CLI_INTERRUPTED) {
        d->is_over = true;
        d->status_told = cli_fail(
            d->app, status, "interrupted at the step '%s'", d->step);
    } else if (status != CLI_OK || d->status == NULL) {
        if (error.len == 0) {
            cli_silent_node(d->app->data_dir, &error);
        }
        doctor_fail(d,
            status == CLI_OK || status == CLI_NO_ANSWER ? "node-silent"
                                                        : "node-unreachable",
            "%s", cli_text_string(&error));
    } else if (d->session->is_remote) {
        doctor_pass(d, "it runs (pid %lld, version %s)",
            (long long)json_integer_value(json_object_get(d->status, "pid")),
            cli_field(d->status, "version"));
    } else {
        doctor_warn(d, "no-node",
            "no node runs on this data directory; one was opened to look");
    }
    cli_text_fini(&error);
}

/* ---- the peer's name ---------------------------------------------------- */

/* In any case of letters, as Base32 and hexadecimal digits may be typed. */
static bool is_named(const json_t *peer, const char *name)
{
    pn_public_key given;
    pn_public_key key;

    if (pn_key_parse(cli_field(peer, "key"), &key) != PN_OK) {
        return false;
    }
    if (pn_key_parse(name, &given) == PN_OK) {
        return pn_key_equal(&given, &key);
    }
    return strcmp(cli_field(peer, "label"), name) == 0
           || (strlen(name) >= 4
               && strncasecmp(
                      cli_field(peer, "fingerprint"), name, strlen(name))
                      == 0);
}

static void check_paired_here(doctor *d)
{
    cli_answer answer = {0};
    cli_text t = {0};
    const json_t *list;
    json_t *peer;
    size_t n = 0;
    size_t i;

    cli_request_begin(d->session, &t, "peers");
    if (cli_request_end(d->session, &t, &answer)) {
        list = json_object_get(answer.json, "peers");
        json_array_foreach(list, i, peer)
        {
            if (is_named(peer, d->name)) {
                n++;
                json_decref(d->peer);
                d->peer = json_incref(peer);
            }
        }
    }
    cli_escape(&t, d->name, strlen(d->name), CLI_ESCAPE_FIELD);
    if (n == 1) {
        doctor_pass(d, "%s is paired: %s", cli_text_string(&t),
            cli_field(d->peer, "fingerprint"));
    } else if (n == 0) {
        doctor_fail(d, "not-paired-here", "no paired peer is \"%s\"",
            cli_text_string(&t));
    } else {
        doctor_fail(d, "not-paired-here",
            "%zu paired peers fit \"%s\"; expected one", n,
            cli_text_string(&t));
    }
    cli_text_fini(&t);
    cli_answer_fini(&answer);
}

/* ---- interfaces and sources --------------------------------------------- */

const json_t *doctor_source(const doctor *d, const char *name)
{
    const json_t *source;
    size_t i;

    json_array_foreach(json_object_get(d->status, "sources"), i, source)
    {
        if (strcmp(cli_field(source, "source"), name) == 0) {
            return source;
        }
    }
    return NULL;
}

static bool uses(const json_t *source, const char *name)
{
    const json_t *interface;
    size_t i;

    json_array_foreach(json_object_get(source, "interfaces"), i, interface)
    {
        if (strcmp(cli_field(interface, "interface"), name) == 0
            && json_is_true(json_object_get(interface, "used"))) {
            return true;
        }
    }
    return false;
}

/* Adds the interface to those that sources use, if one does. */
static void note_used(doctor *d, const char *name)
{
    const json_t *source;
    size_t i;

    json_array_foreach(json_object_get(d->status, "sources"), i, source)
    {
        if (uses(source, name)) {
            cli_text_printf(&d->interfaces, "%s%s",
                d->interfaces.len > 0 ? ", " : "", name);
            return;
        }
    }
}

static void check_interface(doctor *d)
{
    const json_t *interface;
    bool has_ipv4 = false;
    cli_text good = {0};
    cli_text bad = {0};
    size_t i;

    json_array_foreach(json_object_get(d->status, "interfaces"), i, interface)
    {
        const char *name = cli_field(interface, "interface");
        const char *address = cli_field(interface, "address");
        const char *reason = cli_field(interface, "reason");
        bool is_bad = reason[0] != '\0';
        cli_text *t = is_bad ? &bad : &good;

        if (strcmp(reason, "loopback") == 0) {
            continue;
        }
        cli_text_printf(t, "%s%s: %s", t->len > 0 ? ", " : "", name,
            is_bad ? cli_interface_sentence(reason) : address);
        if (!is_bad) {
            note_used(d, name);
            has_ipv4 = has_ipv4 || strchr(address, ':') == NULL;
        }
    }
    if (good.len > 0) {
        d->deaf = has_ipv4 ? NULL : "ipv6-only";
        doctor_pass(d, "%s", cli_text_string(&good));
    } else if (uses(doctor_source(d, "udp"), "lo")) { /* peers on this host */
        doctor_pass(d, "only loopback, which this node uses");
    } else {
        doctor_fail(d, "no-address", "no interface has an address (%s)",
            bad.len > 0 ? cli_text_string(&bad) : "only loopback is there");
    }
    cli_text_fini(&good);
    cli_text_fini(&bad);
}

/* "udp", "udp port 4040: Address already in use". */
static void add_source(cli_text *t, const json_t *source)
{
    const json_t *port = json_object_get(source, "port");
    bool is_running = json_is_true(json_object_get(source, "running"));

    cli_text_printf(
        t, "%s%s", t->len > 0 ? ", " : "", cli_field(source, "source"));
    if (port != NULL) {
        cli_text_printf(t, " port %lld", (long long)json_integer_value(port));
    }
    if (!is_running) {
        cli_text_printf(t, ": %s", cli_field(source, "last_error"));
    }
}

/* DNS-SD waits for a daemon that many hosts do not have, which is no fault
 * while another source runs. */
static void check_sources(doctor *d)
{
    const json_t *sources = json_object_get(d->status, "sources");
    const json_t *udp = doctor_source(d, "udp");
    const json_t *source;
    cli_text all = {0};
    size_t n_running = 0;
    size_t i;

    json_array_foreach(sources, i, source)
    {
        add_source(&all, source);
        n_running += json_is_true(json_object_get(source, "running")) ? 1 : 0;
    }
    if (json_is_true(json_object_get(doctor_source(d, "dns-sd"), "running"))) {
        d->deaf = NULL; /* it needs no IPv4 */
    }
    if (json_array_size(sources) == 0) {
        d->deaf = "no-source";
        doctor_warn(d, "no-source",
            "the node uses no discovery source: it hears no announce and makes "
            "none");
    } else if (n_running == 0
               || (udp != NULL
                   && !json_is_true(json_object_get(udp, "running")))) {
        d->deaf = n_running == 0 ? "source-failed" : d->deaf;
        doctor_warn(d, "source-failed", "%s", cli_text_string(&all));
    } else {
        doctor_pass(d, "%s", cli_text_string(&all));
    }
    cli_text_fini(&all);
}

/* Whether peers can hear this node. One that was opened to look never
 * announces; of one without a source that runs the step before has said so. */
static void check_announces(doctor *d)
{
    const json_t *source;
    const char *silent = "";
    bool runs = false;
    cli_text by = {0};
    size_t i;

    if (!d->session->is_remote) {
        return;
    }
    json_array_foreach(json_object_get(d->status, "sources"), i, source)
    {
        if (json_is_true(json_object_get(source, "announces"))) {
            cli_text_printf(&by, "%s%s", by.len > 0 ? ", " : "",
                cli_field(source, "source"));
        } else if (json_is_true(json_object_get(source, "running"))) {
            runs = true;
            silent = cli_field(source, "silent");
        }
    }
    if (by.len > 0) {
        doctor_pass(d, "by %s", cli_text_string(&by));
    } else if (runs) {
        doctor_warn(d, "silent", "this node does not announce itself%s",
            strcmp(silent, "new-network") == 0
                ? " since the network changed: 'peernet announce' ends that"
                : "");
    }
    cli_text_fini(&by);
}

const doctor_step doctor_files[] = {
    {"data", check_data, false},
    {"clock", check_clock, false},
    {.name = NULL},
};

const doctor_step doctor_here[] = {
    {"node", check_node, false},
    {"paired-here", check_paired_here, true},
    {"interface", check_interface, false},
    {"sources", check_sources, false},
    {"announces", check_announces, false},
    {.name = NULL},
};

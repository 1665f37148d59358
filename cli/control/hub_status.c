/* SPDX-License-Identifier: Apache-2.0 */
/* The request "status": which node this is and, if "full" is true, what it
 * does. The short form is what every command asks while it waits. The request
 * "announce" ends a silence that "status" shows. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub_internal.h"
#include "peername.h"
#include "unit.h"
#include "json/jsonout.h"

/* ---- what the hub remembers --------------------------------------------- */

void hub_status_event(cli_hub *hub, const pn_event *event)
{
    if (event->type == PN_EVENT_LISTENING && hub->n_listens < HUB_MAX_LISTENS) {
        (void)snprintf(hub->listens[hub->n_listens++], sizeof(hub->listens[0]),
            "%s", event->address);
    }
    if (event->type == PN_EVENT_NETWORK_CHANGED && hub->quiet_on_new_networks
        && !hub->is_silenced) {
        hub->is_silenced = true;
        if (hub->discovers) {
            cli_log("peernet: warning: the network has changed, and this node "
                    "is silent now (--quiet-on-new-networks): 'peernet "
                    "announce' announces it again");
        }
    }
}

void hub_status_tick(uv_timer_t *timer)
{
    cli_hub *hub = timer->data;
    uint64_t counts[PN_N_REASONS];
    pn_metrics metrics;

    if (pn_node_metrics(hub->node, &metrics) == PN_OK) {
        cli_refusals_read(&metrics, counts);
        cli_refusals_tick(&hub->refusals, counts);
    }
}

/* ---- what we call ourselves --------------------------------------------- */

static void add_labels(cli_text *t, const cli_hub *hub)
{
    cli_json_known(t, "own_label", hub->own_label);
    cli_json_known(t, "published_label", hub->published_label);
}

/* Without "label" it only asks; null is none. */
pn_err cli_hub_set_label(cli_hub *hub, const char *label)
{
    pn_err err = pn_set_label(hub->node, label);

    if (err == PN_OK) {
        (void)snprintf(hub->own_label, sizeof(hub->own_label), "%s",
            label == NULL ? "" : label);
        hub_dnssd_label(hub, label);
    }
    return err;
}

void hub_label(const hub_request *request)
{
    const json_t *value = json_object_get(request->json, "label");
    cli_hub *hub = request->hub;
    const char *label = NULL;
    pn_err err = PN_OK;
    cli_text t = {0};

    if (value != NULL && !json_is_null(value)
        && !hub_string(request, "label", false, &label)) {
        return;
    }
    if (value != NULL) {
        err = cli_hub_set_label(hub, label);
    }
    if (err != PN_OK) {
        hub_answer_error(request,
            err == PN_INVALID ? "bad-request" : hub_error_name(err), "%s",
            err == PN_INVALID ? "expected a label of 1 to 54 bytes of UTF-8 "
                                "without control characters"
                              : pn_strerror(err));
        return;
    }
    hub_answer_begin(&t, request->has_id, request->id, true);
    add_labels(&t, hub);
    hub_answer_end(request->caller, &t);
}

/* ---- parts of the answer ------------------------------------------------ */

static void add_listens(cli_text *t, const cli_hub *hub)
{
    cli_json_open(t, "listens", '[');
    for (size_t i = 0; i < hub->n_listens; i++) {
        cli_json_string(t, NULL, hub->listens[i]);
    }
    cli_json_close(t, ']');
}

/* reason: why it is not used; NULL: it is. */
static void add_interface(
    cli_text *t, const char *name, const char *address, const char *reason)
{
    cli_json_open(t, NULL, '{');
    cli_json_string(t, "interface", name);
    cli_json_known(t, "address", address);
    cli_json_bool(t, "used", reason == NULL);
    if (reason != NULL) {
        cli_json_string(t, "reason", reason);
    }
    cli_json_close(t, '}');
}

/* Adds the names of --interface that no interface has: one may come later, so
 * they are no error, and a misspelt one is seen. */
static void add_missing(cli_text *t, const cli_hub *hub,
    const pn_interface_info *interfaces, size_t n)
{
    for (const char *at = hub->interfaces; *at != '\0';) {
        size_t len = strcspn(at, ",");
        char name[sizeof(interfaces->name)];
        size_t i = 0;

        (void)snprintf(name, sizeof(name), "%.*s", (int)len, at);
        while (i < n && strcmp(interfaces[i].name, name) != 0) {
            i++;
        }
        if (i == n) {
            add_interface(t, name, NULL, "not-there");
        }
        at += len + (at[len] == ',');
    }
}

/* This host's interfaces, and whether a source uses them; NULL: as one that has
 * no rules but for names. */
static void add_interfaces(cli_text *t, const cli_hub *hub, const char *source)
{
    pn_interface_info *interfaces = NULL;
    size_t n = 0;

    cli_json_open(t, "interfaces", '[');
    if (pn_list_interfaces(hub->node, source, &interfaces, &n) == PN_OK) {
        for (size_t i = 0; i < n; i++) {
            add_interface(t, interfaces[i].name, interfaces[i].address,
                interfaces[i].unused);
        }
        add_missing(t, hub, interfaces, n);
    }
    cli_json_close(t, ']');
    free(interfaces);
}

static bool can_announce(const cli_hub *hub, const pn_source_info *s)
{
    return hub->source == NULL || hub->source->announce != NULL
           || strcmp(hub->source->name, s->name) != 0;
}

/* Why a source that could announce does not; NULL: it does, or that is not
 * known. The option --quiet-on-new-networks is no reason before the node has
 * reported that the network changed. */
static const char *silent_why(const cli_hub *hub, const pn_source_info *s)
{
    if (!s->is_running || s->is_announcing || !can_announce(hub, s)) {
        return NULL;
    }
    if (hub->hears_only) {
        return "listen-only";
    }
    return hub->is_silenced ? "new-network" : NULL;
}

/* DNS-SD is started and may wait for its daemon; then it does not run. */
static void add_source(cli_text *t, const cli_hub *hub, const pn_source_info *s)
{
    const char *trouble = strcmp(s->name, "dns-sd") == 0
                              ? hub_dnssd_trouble(hub)
                              : NULL;
    const char *error = trouble;

    if (error == NULL && s->failed_at_ms > 0) {
        error = s->sys_errno == 0 ? "it could not be started"
                                  : strerror(s->sys_errno);
    }
    cli_json_open(t, NULL, '{');
    cli_json_string(t, "source", s->name);
    cli_json_bool(t, "running", s->is_running && trouble == NULL);
    cli_json_bool(t, "announces", s->is_announcing && trouble == NULL);
    cli_json_known(t, "silent", silent_why(hub, s));
    if (strcmp(s->name, "udp") == 0) {
        cli_json_int(t, "port", hub->discovery_port);
    }
    add_interfaces(t, hub, s->name);
    cli_json_known(t, "last_error", error);
    cli_json_at(t, "failed_at", s->failed_at_ms * 1000);
    cli_json_close(t, '}');
}

static void add_sources(cli_text *t, const cli_hub *hub)
{
    pn_source_info *sources = NULL;
    size_t n = 0;

    cli_json_open(t, "sources", '[');
    if (pn_list_sources(hub->node, &sources, &n) == PN_OK) {
        for (size_t i = 0; i < n; i++) {
            add_source(t, hub, &sources[i]);
        }
    }
    free(sources);
    cli_json_close(t, ']');
}

static void add_refused(cli_text *t, const cli_hub *hub)
{
    uint64_t counts[PN_N_REASONS];
    pn_metrics metrics;

    cli_json_open(t, "refused", '[');
    if (pn_node_metrics(hub->node, &metrics) == PN_OK) {
        cli_refusals_read(&metrics, counts);
        for (unsigned i = 0; i < PN_N_REASONS; i++) {
            uint64_t n = cli_refusals_lately(
                &hub->refusals, counts, (pn_reason)i);

            if (n > 0) {
                cli_json_open(t, NULL, '{');
                cli_json_string(t, "reason", pn_reason_text((pn_reason)i));
                cli_json_int(t, "count", (int64_t)n);
                cli_json_close(t, '}');
            }
        }
    }
    cli_json_close(t, ']');
}

static void add_grantee(
    cli_text *t, const cli_hub *hub, const pn_principal *who)
{
    pn_peer_info peer;

    cli_json_open(t, NULL, '{');
    cli_json_who(t, who);
    if (who->family == PN_FAMILY_PEERNET
        && pn_get_peer(hub->node, &who->key.x25519, &peer) == PN_OK) {
        cli_json_known(t, "label", peer.label);
    }
    cli_json_close(t, '}');
}

static bool is_same_subject(const pn_grant_info *a, const pn_grant_info *b)
{
    return a->is_function == b->is_function && strcmp(a->name, b->name) == 0;
}

/* The grants of one subject are neighbours; returns how many they are. */
static size_t add_subject(
    cli_text *t, const cli_hub *hub, const pn_grant_info *grants, size_t n)
{
    bool is_paired = false;
    size_t i;

    cli_json_open(t, NULL, '{');
    cli_json_string(
        t, grants->is_function ? "function" : "handle", grants->name);
    cli_json_open(t, "peers", '[');
    for (i = 0; i < n && is_same_subject(&grants[i], grants); i++) {
        is_paired = is_paired || grants[i].is_paired;
        if (pn_principal_has_key(&grants[i].who)) {
            add_grantee(t, hub, &grants[i].who);
        }
    }
    cli_json_close(t, ']');
    cli_json_bool(t, "paired", is_paired);
    cli_json_close(t, '}');
    return i;
}

static void add_exposes(cli_text *t, const cli_hub *hub)
{
    pn_grant_info *grants = NULL;
    size_t n = 0;

    cli_json_open(t, "exposes", '[');
    if (pn_list_grants(hub->node, &grants, &n) == PN_OK) {
        for (size_t i = 0; i < n;) {
            i += add_subject(t, hub, &grants[i], n - i);
        }
    }
    free(grants);
    cli_json_close(t, ']');
}

static void add_peers(cli_text *t, const cli_hub *hub)
{
    pn_peer_info *peers = NULL;
    size_t n = 0;
    size_t n_up = 0;

    if (pn_list_peers(hub->node, &peers, &n) == PN_OK) {
        for (size_t i = 0; i < n; i++) {
            n_up += peers[i].state == PN_PEER_UP ? 1 : 0;
        }
    }
    free(peers);
    cli_json_int(t, "peers_up", (int64_t)n_up);
    cli_json_int(t, "peers_known", (int64_t)n);
}

/* ---- the request -------------------------------------------------------- */

static void add_full(cli_text *t, const cli_hub *hub)
{
    char unit[256];

    cli_unit_own(unit, sizeof(unit));
    cli_json_string(t, "state", "running");
    cli_json_at(t, "since", hub->opened_at_us);
    cli_json_known(t, "unit", unit);
    add_labels(t, hub);
    add_listens(t, hub);
    add_interfaces(t, hub, NULL);
    add_sources(t, hub);
    add_peers(t, hub);
    add_refused(t, hub);
    add_exposes(t, hub);
}

void hub_status(const hub_request *request)
{
    const cli_hub *hub = request->hub;
    cli_text t = {0};

    hub_answer_begin(&t, request->has_id, request->id, true);
    cli_json_string(&t, "version", PN_VERSION);
    cli_json_int(&t, "pid", getpid());
    cli_json_peer(&t, pn_node_key(hub->node));
    cli_json_int(&t, "port", pn_node_port(hub->node));
    hub_barrel_status(hub, &t);
    if (json_is_true(json_object_get(request->json, "full"))) {
        add_full(&t, hub);
    }
    hub_answer_end(request->caller, &t);
}

/* ---- the request "announce" --------------------------------------------- */

/* The sources are asked in the node's next turn, which comes before its next
 * request. */
void hub_announce(const hub_request *request)
{
    pn_source_info *sources = NULL;
    size_t n = 0;
    cli_text t = {0};
    pn_err err = pn_list_sources(request->hub->node, &sources, &n);

    if (err == PN_OK && n > 0) {
        err = pn_discovery_resume(request->hub->node);
    }
    if (err != PN_OK) {
        hub_answer_error(request, hub_error_name(err), "%s", pn_strerror(err));
    } else if (n == 0) {
        hub_answer_error(request, "bad-request",
            "this node uses no discovery source: expected one that runs "
            "without '--discovery none'");
    } else {
        request->hub->is_silenced = false;
        hub_answer_begin(&t, request->has_id, request->id, true);
        cli_json_open(&t, "sources", '[');
        for (size_t i = 0; i < n; i++) {
            cli_json_open(&t, NULL, '{');
            cli_json_string(&t, "source", sources[i].name);
            cli_json_close(&t, '}');
        }
        cli_json_close(&t, ']');
        hub_answer_end(request->caller, &t);
    }
    free(sources);
}

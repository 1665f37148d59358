/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the answer to "status": refusals of the last hour, the unit, why a
 * source is silent. */
#include <string.h>
#include <unistd.h>

#include "control/hub.h"
#include "control/refusals.h"
#include "control/unit.h"
#include "harness.h"
#include "tempdir.h"
#include "json/json.h"

/* Ten refusals in each of 100 minutes: the last hour has 600 of them, and a
 * node of half an hour what it has had. */
static void test_cli_status_hour(void **state)
{
    static cli_refusals r;
    uint64_t counts[PN_N_REASONS] = {0};
    const pn_reason reason = PN_REASON_FORBIDDEN;

    (void)state;
    for (unsigned minute = 0; minute < 100; minute++) {
        cli_refusals_tick(&r, counts);
        counts[reason] += 10;
        if (minute == 29) {
            assert_int_equal(cli_refusals_lately(&r, counts, reason), 300);
        }
    }
    assert_int_equal(cli_refusals_lately(&r, counts, reason), 600);
    assert_int_equal(cli_refusals_lately(&r, counts, PN_REASON_TOO_MANY), 0);
    for (unsigned minute = 0; minute < CLI_REFUSAL_MINUTES; minute++) {
        assert_true(cli_refusals_lately(&r, counts, reason) > 0);
        cli_refusals_tick(&r, counts);
    }
    assert_int_equal(cli_refusals_lately(&r, counts, reason), 0);
}

static void test_cli_status_counters(void **state)
{
    uint64_t counts[PN_N_REASONS];
    pn_metrics m = {.size = sizeof(m), .refused = 3};

    (void)state;
    m.denials[PN_REASON_UNTRUSTED_PEER] = 2;
    m.denials[PN_REASON_TOO_MANY] = 1;
    cli_refusals_read(&m, counts);
    assert_int_equal(counts[PN_REASON_UNTRUSTED_PEER], 2);
    assert_int_equal(counts[PN_REASON_TOO_MANY], 4);
}

static const struct {
    const char *cgroup;
    const char *unit;
} units[] = {
    {"0::/system.slice/peernet.service\n", "peernet.service"},
    {"0::/system.slice/system-p.slice/p@kitchen.service", "p@kitchen.service"},
    {"0::/user.slice/user-0.slice/session-1.scope\n", ""},
    {"0::/user.slice/user@0.service/app.slice/term.scope\n", ""},
    {"0::/\n", ""},
    {"peernet.service", ""},
    {"0::/.service", ""},
    {"", ""},
};

static void test_cli_status_unit(void **state)
{
    char unit[20];

    (void)state;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        cli_unit_of_cgroup(units[i].cgroup, unit, sizeof(unit));
        assert_string_equal(unit, units[i].unit);
    }
    /* A name that fills the room, and one that is a byte longer. */
    cli_unit_of_cgroup("/12345678901.service", unit, sizeof(unit));
    assert_string_equal(unit, "12345678901.service");
    cli_unit_of_cgroup("/123456789012.service", unit, sizeof(unit));
    assert_string_equal(unit, "");
}

/* ---- why a source is silent ---------------------------------------------- */

/* A source that could announce, and a network that changes when the test says
 * so, both brought by an application. */
static pn_network_sink network;

static pn_err teller_start(void *user, const pn_discovery_sink *sink)
{
    (void)user;
    (void)sink;
    return PN_OK;
}

static void nothing_stop(void *user)
{
    (void)user;
}

static pn_err teller_announce(
    void *user, const pn_public_key *key, uint16_t port)
{
    (void)user;
    (void)key;
    (void)port;
    return PN_OK;
}

static const pn_discovery_source teller = {.size = sizeof(teller),
    .name = "teller",
    .start = teller_start,
    .stop = nothing_stop,
    .announce = teller_announce};
static const pn_discovery_source hearer = {.size = sizeof(hearer),
    .name = "hearer",
    .start = teller_start,
    .stop = nothing_stop};

static pn_err network_start(void *user, const pn_network_sink *sink)
{
    (void)user;
    network = *sink;
    return PN_OK;
}

static pn_err network_current(
    void *user, pn_local_address *addresses, size_t cap, size_t *ret_n)
{
    (void)user;
    (void)addresses;
    (void)cap;
    *ret_n = 0;
    return PN_OK;
}

static const pn_network_monitor monitor = {.size = sizeof(monitor),
    .name = "test",
    .start = network_start,
    .stop = nothing_stop,
    .current = network_current};

typedef struct silent_row {
    const char *name;
    const pn_discovery_source *source;
    bool is_quiet_on_new;
    bool hears_only;
    const char *before; /* why it is silent; "": that is not said */
    const char *after;  /* ... when the network has changed */
} silent_row;

static const silent_row silent_rows[] = {
    {"announces", &teller, false, false, "", ""},
    {"new_network", &teller, true, false, "", "new-network"},
    {"cannot_announce", &hearer, false, false, "", ""},
    {"cannot_announce_with_option", &hearer, true, false, "", ""},
    {"listen_only", &teller, false, true, "listen-only", "listen-only"},
    {"listen_only_with_option", &teller, true, true, "listen-only",
        "listen-only"},
};

typedef struct asked {
    uv_loop_t loop;
    cli_hub *hub;
    cli_caller *caller;
    json_t *answer;
    bool has_changed; /* an event said so */
} asked;

static void on_line(void *user, const char *line, size_t len)
{
    asked *a = user;
    json_t *json = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
    const char *event = json_string_value(json_object_get(json, "event"));

    if (event == NULL) {
        json_decref(a->answer);
        a->answer = json;
        return;
    }
    a->has_changed = a->has_changed || strcmp(event, "network-changed") == 0;
    json_decref(json);
}

static void ask(asked *a, const char *request)
{
    json_decref(a->answer);
    a->answer = NULL;
    cli_hub_request(a->caller, request, strlen(request));
    while (a->answer == NULL) {
        (void)uv_run(&a->loop, UV_RUN_ONCE);
    }
    assert_true(json_is_true(json_object_get(a->answer, "ok")));
}

static void check_source(asked *a, bool announces, const char *silent)
{
    const json_t *source;
    const char *why;

    ask(a, "{\"cmd\":\"status\",\"full\":true}");
    source = json_array_get(json_object_get(a->answer, "sources"), 0);
    why = json_string_value(json_object_get(source, "silent"));
    assert_true(json_is_true(json_object_get(source, "running")));
    assert_int_equal(
        json_is_true(json_object_get(source, "announces")), announces);
    assert_string_equal(why == NULL ? "" : why, silent);
}

static void silent_open(asked *a, const silent_row *row, const char *dir)
{
    cli_hub_options options;
    cli_text error = {0};

    memset(&options, 0, sizeof(options));
    pn_node_options_init(&options.node);
    options.node.data_dir = dir;
    options.node.listen_address = "127.0.0.1";
    options.node.listen_port = 0;
    options.node.linger_ms = 0;
    options.node.discovery_source = row->source;
    options.node.discovery_listen_only = row->hears_only;
    options.node.announce_on_new_networks = !row->is_quiet_on_new;
    options.node.network_monitor = &monitor;
    assert_int_equal(uv_loop_init(&a->loop), 0);
    assert_int_equal(cli_hub_open(&a->loop, &options, &a->hub, &error), PN_OK);
    a->caller = cli_hub_join(a->hub, on_line, a);
    assert_non_null(a->caller);
}

/* That a node has --quiet-on-new-networks is no reason by itself, and one that
 * only listens is silent for another. */
static void test_cli_status_silent(void **state)
{
    const silent_row *row = *state;
    bool announces = row->source->announce != NULL && !row->hears_only;
    pn_tempdir dir;
    asked a = {.hub = NULL};

    pn_tempdir_init(&dir);
    silent_open(&a, row, dir.path);
    ask(&a, "{\"cmd\":\"events\"}");
    check_source(&a, announces, row->before);
    network.changed(network.node);
    while (!a.has_changed) {
        (void)uv_run(&a.loop, UV_RUN_ONCE);
    }
    check_source(&a, announces && row->after[0] == '\0', row->after);
    ask(&a, "{\"cmd\":\"announce\"}");
    (void)uv_run(&a.loop, UV_RUN_ONCE); /* the node's turn */
    check_source(&a, announces, row->before);
    json_decref(a.answer);
    cli_hub_leave(a.caller);
    cli_hub_close(a.hub);
    (void)uv_run(&a.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&a.loop), 0);
    cli_hub_free(a.hub);
    pn_tempdir_fini(&dir);
}

int main(void)
{
    pn_test_add("cli/status/hour", test_cli_status_hour, NULL);
    pn_test_add("cli/status/counters", test_cli_status_counters, NULL);
    pn_test_add("cli/status/unit", test_cli_status_unit, NULL);
    for (size_t i = 0; i < sizeof(silent_rows) / sizeof(silent_rows[0]); i++) {
        pn_test_addf(test_cli_status_silent, (void *)(uintptr_t)&silent_rows[i],
            "cli/status/silent/%s", silent_rows[i].name);
    }
    return pn_test_run("cli/status");
}

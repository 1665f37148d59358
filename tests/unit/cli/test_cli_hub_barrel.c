/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests about nodes of an Erlang cluster, row by row: a bad request is
 * answered with a sentence and reaches no node; a caller that waits for a
 * silent node gets a time-out, and may leave before.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/hub.h"
#include "harness.h"
#include "tempdir.h"
#include "json/json.h"

static pn_tempdir dir;
static uv_loop_t loop;
static cli_hub *hub;
static cli_caller *caller;
static json_t *answer;
static unsigned n_answers;
static int deaf; /* a UDP port that gives no answer */
static char deaf_address[32];

static void on_line(void *user, const char *line, size_t len)
{
    json_t *json = json_loadb(line, len, JSON_ALLOW_NUL, NULL);

    (void)user;
    assert_non_null(json);
    if (json_object_get(json, "event") != NULL) {
        json_decref(json);
        return;
    }
    json_decref(answer);
    answer = json;
    n_answers++;
}

static void open_deaf(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    deaf = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(deaf >= 0);
    assert_int_equal(bind(deaf, (struct sockaddr *)&at, len), 0);
    assert_int_equal(getsockname(deaf, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(
        deaf_address, sizeof(deaf_address), "127.0.0.1:%u", ntohs(at.sin_port));
}

static void hub_up(bool with_barrel)
{
    const pn_barrel_address deaf_node = {"deaf@h", deaf_address};
    char node_dir[600];
    char key_dir[600];
    char cert_dir[600];
    cli_hub_options options;
    pn_barrel_options barrel;
    cli_text error = {0};

    (void)snprintf(node_dir, sizeof(node_dir), "%s/node", dir.path);
    (void)snprintf(key_dir, sizeof(key_dir), "%s/keys", dir.path);
    (void)snprintf(cert_dir, sizeof(cert_dir), "%s/quic", dir.path);
    memset(&options, 0, sizeof(options));
    pn_node_options_init(&options.node);
    options.node.data_dir = node_dir;
    options.node.listen_port = PN_PORT_NONE;
    options.node.linger_ms = 0;
    options.node.watch_network = false;
    pn_barrel_options_init(&barrel);
    barrel.name = "us@h";
    barrel.cookie = "secret";
    barrel.key_dir = key_dir;
    barrel.cert_dir = cert_dir;
    barrel.listen_address = "127.0.0.1";
    barrel.listen_port = 0;
    barrel.dns_port = 0;
    barrel.addresses = &deaf_node;
    barrel.n_addresses = 1;
    options.barrel = with_barrel ? &barrel : NULL;
    assert_int_equal(uv_loop_init(&loop), 0);
    if (cli_hub_open(&loop, &options, &hub, &error) != PN_OK) {
        fail_msg("%s", cli_text_string(&error));
    }
    caller = cli_hub_join(hub, on_line, NULL);
    assert_non_null(caller);
    cli_text_fini(&error);
}

static void hub_down(void)
{
    cli_hub_leave(caller);
    cli_hub_close(hub);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    cli_hub_free(hub);
    json_decref(answer);
    answer = NULL;
}

static void wait_for(unsigned n)
{
    uint64_t end = uv_hrtime() + UINT64_C(10000000000);

    while (n_answers < n && uv_hrtime() < end) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        (void)usleep(500);
    }
    assert_int_equal(n_answers, n);
}

static void ask(const char *line)
{
    unsigned before = n_answers;

    cli_hub_request(caller, line, strlen(line));
    wait_for(before + 1);
}

static const char *field(const char *key)
{
    const char *value = json_string_value(json_object_get(answer, key));

    return value == NULL ? "" : value;
}

static void expect_error(const char *error, const char *says)
{
    assert_true(json_is_false(json_object_get(answer, "ok")));
    assert_string_equal(field("error"), error);
    if (strstr(field("message"), says) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", field("message"), says);
    }
}

/* ---- refused requests --------------------------------------------------- */

typedef struct bad_row {
    const char *line;
    const char *error;
    const char *says;
} bad_row;

#define TO "\"node\":\"x@h\",\"process\":\"p\""

static const bad_row bad_rows[] = {
    {"{\"cmd\":\"call\",\"node\":1}", "bad-request", "\"node\""},
    {"{\"cmd\":\"call\",\"node\":null}", "bad-request", "\"node\""},
    {"{\"cmd\":\"call\",\"node\":\"x@h\\u0000\"}", "bad-request", "\"node\""},
    {"{\"cmd\":\"call\",\"node\":\"x@h\"}", "bad-request", "\"process\""},
    {"{\"cmd\":\"call\",\"node\":\"x@h\",\"process\":7}", "bad-request",
        "\"process\""},
    {"{\"cmd\":\"call\"," TO "}", "bad-request", "\"args\" (JSON), \"term\""},
    {"{\"cmd\":\"call\"," TO ",\"term\":\"{1\"}", "bad-request", "at byte 2"},
    {"{\"cmd\":\"call\"," TO ",\"term\":\"1\",\"timeout\":0}", "bad-request",
        "1 to 86400000 milliseconds as \"timeout\""},
    {"{\"cmd\":\"call\"," TO ",\"term\":\"1\",\"wait\":86400001}",
        "bad-request", "1 to 86400000 milliseconds as \"wait\""},
    {"{\"cmd\":\"call\"," TO ",\"term\":\"1\",\"as\":7}", "bad-request",
        "\"as\""},
    {"{\"cmd\":\"call\"," TO ",\"term\":\"1\"}", "not-connected",
        "x@h is not known"},
    {"{\"cmd\":\"call\",\"node\":\"x\",\"process\":\"p\",\"term\":\"1\"}",
        "bad-request", "name of another node"},
    {"{\"cmd\":\"call\",\"node\":\"us@h\",\"process\":\"p\",\"term\":\"1\"}",
        "bad-request", "name of another node"},
    {"{\"cmd\":\"call\",\"node\":\"../x@h\",\"process\":\"p\",\"term\":\"1\"}",
        "bad-request", "name of another node"},
    {"{\"cmd\":\"call\",\"node\":\"x@h\",\"process\":\"{}\",\"term\":\"1\"}",
        "bad-request", "registered name, or a pid"},
    {"{\"cmd\":\"send\",\"node\":\"x@h\",\"process\":\"{\",\"term\":\"1\"}",
        "bad-request", "registered name, or a pid"},
    /* An integer. */
    {"{\"cmd\":\"send\",\"node\":\"x@h\",\"process\":"
     "\"{\\\"$opaque\\\":\\\"YQE=\\\"}\",\"term\":\"1\"}",
        "bad-request", "registered name, or a pid"},
    /* Half a pid. */
    {"{\"cmd\":\"send\",\"node\":\"x@h\",\"process\":"
     "\"{\\\"$opaque\\\":\\\"WHcBeA==\\\"}\",\"term\":\"1\"}",
        "bad-request", "registered name, or a pid"},
    {"{\"cmd\":\"send\"," TO "}", "bad-request", "\"args\" (JSON), \"term\""},
    {"{\"cmd\":\"send\"," TO ",\"args\":1}", "not-connected", "not known"},
    {"{\"cmd\":\"rpc\",\"node\":\"x@h\"}", "bad-request", "\"module\""},
    {"{\"cmd\":\"rpc\",\"node\":\"x@h\",\"module\":\"M\"}", "bad-request",
        "\"function\""},
    {"{\"cmd\":\"rpc\",\"node\":\"x@h\",\"module\":\"M\",\"function\":\"f\","
     "\"args\":1}",
        "bad-request", "a list of arguments"},
    {"{\"cmd\":\"rpc\",\"node\":\"x@h\",\"module\":\"M\",\"function\":\"f\","
     "\"args\":[]}",
        "not-connected", "not known"},
    {"{\"cmd\":\"cast\",\"node\":\"x@h\",\"module\":\"M\",\"function\":\"f\","
     "\"term\":\"{}\"}",
        "bad-request", "a list of arguments"},
    {"{\"cmd\":\"cast\",\"node\":\"x@h\",\"module\":\"M\",\"function\":\"f\","
     "\"term\":\"[]\"}",
        "not-connected", "not known"},
    {"{\"cmd\":\"monitor\"}", "bad-request", "\"node\""},
    {"{\"cmd\":\"monitor\",\"node\":\"x@h\",\"process\":1}", "bad-request",
        "\"process\""},
    {"{\"cmd\":\"monitor\",\"node\":\"x@h\"}", "not-connected", "not known"},
    {"{\"cmd\":\"call\",\"node\":\"deaf@h\",\"process\":\"p\",\"term\":\"1\","
     "\"wait\":200}",
        "timeout", "has not answered yet"},
};

static void test_cli_hub_barrel_bad(void **state)
{
    const bad_row *row = *state;

    ask(row->line);
    expect_error(row->error, row->says);
}

/* ---- accepted requests -------------------------------------------------- */

static void test_cli_hub_barrel_status(void **state)
{
    (void)state;
    ask("{\"cmd\":\"status\"}");
    assert_string_equal(field("node"), "us@h");
    assert_int_equal(strlen(field("barrel_key")), PN_BASE32_LEN);
    assert_int_equal(json_integer_value(json_object_get(answer, "barrel_port")),
        cli_hub_barrel_port(hub));
    assert_string_not_equal(field("barrel_key"), field("key"));
    ask("{\"cmd\":\"nodes\"}");
    assert_int_equal(json_array_size(json_object_get(answer, "nodes")), 0);
}

/* NULL: there is none with these labels. */
static const json_t *sample_of(
    const char *metric, const char *role, const char *outcome)
{
    const json_t *sample;
    size_t i;

    json_array_foreach(json_object_get(answer, "metrics"), i, sample)
    {
        const char *name = json_string_value(json_object_get(sample, "metric"));
        const char *a = json_string_value(json_object_get(sample, "role"));
        const char *b = json_string_value(json_object_get(sample, "outcome"));

        if (strcmp(name, metric) == 0
            && (role == NULL
                || (a != NULL && b != NULL && strcmp(a, role) == 0
                    && strcmp(b, outcome) == 0))) {
            return json_object_get(sample, "sample");
        }
    }
    return NULL;
}

static void test_cli_hub_barrel_metrics(void **state)
{
    (void)state;
    ask("{\"cmd\":\"metrics\"}");
    assert_non_null(sample_of("peernet_links_up", NULL, NULL));
    assert_non_null(sample_of("peernet_barrel_links_up", NULL, NULL));
    assert_true(json_is_real(sample_of(
        "peernet_barrel_auth_duration_seconds_sum", "incoming", "failed")));
    ask("{\"cmd\":\"metrics\",\"as\":\"text\"}");
    assert_non_null(
        strstr(field("text"), "# TYPE peernet_barrel_auth_duration_seconds "
                              "summary\n"));
}

/* ---- waiting callers ---------------------------------------------------- */

static const char to_deaf[] = "{\"cmd\":\"monitor\",\"node\":\"deaf@h\","
                              "\"wait\":60000}";

static void test_cli_hub_barrel_pending(void **state)
{
    cli_caller *second = cli_hub_join(hub, on_line, NULL);
    unsigned before = n_answers;

    (void)state;
    assert_non_null(second);
    for (int i = 0; i < CLI_HUB_MAX_PENDING; i++) {
        cli_hub_request(second, to_deaf, sizeof(to_deaf) - 1);
    }
    assert_int_equal(n_answers, before);
    cli_hub_request(second, to_deaf, sizeof(to_deaf) - 1);
    assert_int_equal(n_answers, before + 1);
    expect_error("busy", "64 requests");
    /* It leaves; others are served on. */
    cli_hub_leave(second);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    ask("{\"cmd\":\"status\"}");
    assert_true(json_is_true(json_object_get(answer, "ok")));
    assert_int_equal(n_answers, before + 2);
}

/* The hub closes while a caller waits: it gets an answer at once, and nothing
 * leaks. */
static void test_cli_hub_barrel_close(void **state)
{
    unsigned before = n_answers;

    (void)state;
    cli_hub_request(caller, to_deaf, sizeof(to_deaf) - 1);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    cli_hub_close(hub);
    assert_int_equal(n_answers, before + 1);
    expect_error("closed", "the node is closing");
    cli_hub_leave(caller);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    cli_hub_free(hub);
    hub_up(true);
}

static void test_cli_hub_barrel_none(void **state)
{
    (void)state;
    hub_down();
    hub_up(false);
    ask("{\"cmd\":\"monitor\",\"node\":\"x@h\"}");
    expect_error("bad-request", "started without '--barrel");
    ask("{\"cmd\":\"nodes\"}");
    assert_int_equal(json_array_size(json_object_get(answer, "nodes")), 0);
    ask("{\"cmd\":\"status\"}");
    assert_null(json_object_get(answer, "barrel"));
    ask("{\"cmd\":\"metrics\",\"as\":\"text\"}");
    assert_null(strstr(field("text"), "barrel"));
}

int main(void)
{
    int status;

    (void)signal(SIGPIPE, SIG_IGN);
    pn_tempdir_init(&dir);
    open_deaf();
    hub_up(true);
    for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++) {
        pn_test_addf(test_cli_hub_barrel_bad, (void *)(uintptr_t)&bad_rows[i],
            "cli/hub_barrel/bad/%zu_%s", i, bad_rows[i].says);
    }
    pn_test_add("cli/hub_barrel/status", test_cli_hub_barrel_status, NULL);
    pn_test_add("cli/hub_barrel/metrics", test_cli_hub_barrel_metrics, NULL);
    pn_test_add("cli/hub_barrel/pending", test_cli_hub_barrel_pending, NULL);
    pn_test_add("cli/hub_barrel/close", test_cli_hub_barrel_close, NULL);
    pn_test_add("cli/hub_barrel/none", test_cli_hub_barrel_none, NULL);
    status = pn_test_run("cli/hub_barrel");
    hub_down();
    (void)close(deaf);
    pn_tempdir_fini(&dir);
    return status;
}

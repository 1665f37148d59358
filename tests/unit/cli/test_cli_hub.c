/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of the control socket, row by row (BAD-6): a bad request is answered
 * with a sentence, changes nothing, and the next request is served.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/commands.h"
#include "control/client.h"
#include "control/hub.h"
#include "harness.h"
#include "reason_text.h"
#include "json/json.h"

#define BOB "AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPQ"

static char dir[] = "/tmp/peernet-hub-XXXXXX";
static uv_loop_t loop;
static cli_hub *hub;
static cli_caller *caller;
static json_t *answer;
static cli_text answer_line;
static unsigned n_answers;
static unsigned n_events;
static bool heard_mismatch;

static bool is_mismatch(const json_t *event)
{
    const char *reason = json_string_value(json_object_get(event, "reason"));

    return reason != NULL && strcmp(reason, "key-mismatch") == 0;
}

static void on_line(void *user, const char *line, size_t len)
{
    json_t *json = json_loadb(line, len, JSON_ALLOW_NUL, NULL);

    (void)user;
    assert_non_null(json);
    assert_null(memchr(line, '\n', len));
    if (json_object_get(json, "event") != NULL) {
        n_events++;
        heard_mismatch = heard_mismatch || is_mismatch(json);
        json_decref(json);
        return;
    }
    json_decref(answer);
    answer = json;
    cli_text_clear(&answer_line);
    cli_text_add(&answer_line, line, len);
    n_answers++;
}

/* A discovery source whose reports the test makes. */
static pn_discovery_sink forger;

static pn_err forger_start(void *user, const pn_discovery_sink *sink)
{
    (void)user;
    forger = *sink;
    return PN_OK;
}

static void forger_stop(void *user)
{
    (void)user;
}

static const pn_discovery_source forger_source = {
    .size = sizeof(forger_source),
    .name = "forger",
    .start = forger_start,
    .stop = forger_stop,
};

static void hub_up(void)
{
    cli_hub_options options;
    cli_text error = {0};

    memset(&options, 0, sizeof(options));
    pn_node_options_init(&options.node);
    options.node.data_dir = dir;
    options.node.listen_address = "127.0.0.1";
    options.node.listen_port = 0;
    options.node.linger_ms = 0;
    options.node.watch_network = false;
    options.node.discovery_source = &forger_source;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(cli_hub_open(&loop, &options, &hub, &error), PN_OK);
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
    cli_text_fini(&answer_line);
}

/* One request; waits for its answer. */
static void ask_n(const char *line, size_t len)
{
    unsigned before = n_answers;
    uint64_t end = uv_hrtime() + UINT64_C(10000000000);

    cli_hub_request(caller, line, len);
    while (n_answers == before && uv_hrtime() < end) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        (void)usleep(500);
    }
    assert_int_equal(n_answers, before + 1);
}

static void ask(const char *line)
{
    ask_n(line, strlen(line));
}

static const char *field(const char *key)
{
    const char *value = json_string_value(json_object_get(answer, key));

    return value == NULL ? "" : value;
}

static bool is_ok(void)
{
    return json_is_true(json_object_get(answer, "ok"));
}

static void pair_bob(void)
{
    ask("{\"id\":1,\"cmd\":\"pair\",\"key\":\"" BOB "\",\"label\":\"bob\"}");
    assert_true(is_ok());
}

static void unpair_bob(void)
{
    ask("{\"cmd\":\"unpair\",\"peer\":\"bob\"}");
}

/* ---- refused requests --------------------------------------------------- */

typedef struct bad_row {
    const char *line;
    const char *error;
    const char *says;
} bad_row;

static const bad_row bad_rows[] = {
    {"", "bad-request", "expected a line of JSON"},
    {" ", "bad-request", "expected a line of JSON"},
    {"hello", "bad-request", "expected a line of JSON"},
    {"{", "bad-request", "expected a line of JSON"},
    {"{}}", "bad-request", "end of file expected"},
    {"{\"cmd\":\"status\"}{}", "bad-request", "end of file expected"},
    {"\xff\xfe", "bad-request", "expected a line of JSON"},
    {"{\"cmd\":\"\xff\"}", "bad-request", "expected a line of JSON"},
    {"{\"cmd\":\"\x01\"}", "bad-request", "expected a line of JSON"},
    {"{\"cmd\":\"status\",\"cmd\":\"peers\"}", "bad-request", "duplicate"},
    {"1", "bad-request", "expected an object"},
    {"null", "bad-request", "expected an object"},
    {"[]", "bad-request", "expected an object"},
    {"\"status\"", "bad-request", "expected an object"},
    {"{\"id\":\"1\",\"cmd\":\"status\"}", "bad-request", "integer as \"id\""},
    {"{\"id\":1.5,\"cmd\":\"status\"}", "bad-request", "integer as \"id\""},
    {"{\"id\":null,\"cmd\":\"status\"}", "bad-request", "integer as \"id\""},
    {"{\"id\":99999999999999999999,\"cmd\":\"status\"}", "bad-request", "$int"},
    {"{}", "bad-request", "\"cmd\""},
    {"{\"cmd\":1}", "bad-request", "\"cmd\""},
    {"{\"cmd\":null}", "bad-request", "\"cmd\""},
    {"{\"cmd\":\"\"}", "bad-request", "found \"\""},
    {"{\"cmd\":\"stat\"}", "bad-request", "found \"stat\""},
    {"{\"cmd\":\"STATUS\"}", "bad-request", "found \"STATUS\""},
    {"{\"cmd\":\"status\\u0000\"}", "bad-request", "\"cmd\""},
    {"{\"cmd\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
        "bad-request", "a long string"},
    {"{\"cmd\":\"pair\"}", "bad-request", "\"key\""},
    {"{\"cmd\":\"pair\",\"key\":1}", "bad-request", "\"key\""},
    {"{\"cmd\":\"pair\",\"key\":\"bob\"}", "bad-request", "Base32"},
    {"{\"cmd\":\"pair\",\"key\":\"" BOB "\",\"label\":1}", "bad-request",
        "\"label\""},
    {"{\"cmd\":\"pair\",\"key\":\"" BOB "\",\"label\":\"a\\u0000b\"}",
        "bad-request", "\"label\""},
    {"{\"cmd\":\"pair\",\"key\":\"" BOB "\",\"address\":7}", "bad-request",
        "\"address\""},
    {"{\"cmd\":\"unpair\"}", "bad-request", "\"peer\""},
    {"{\"cmd\":\"unpair\",\"peer\":7}", "bad-request", "\"peer\""},
    {"{\"cmd\":\"unpair\",\"peer\":\"\"}", "no-such-peer", "no paired peer"},
    {"{\"cmd\":\"unpair\",\"peer\":\"carol\"}", "no-such-peer",
        "no paired peer is \"carol\""},
    {"{\"cmd\":\"unpair\",\"peer\":\"\\u001b[2J\"}", "no-such-peer",
        "\"\\x1B[2J\""},
    {"{\"cmd\":\"unpair\",\"peer\":\"bo\"}", "no-such-peer", "no paired"},
    {"{\"cmd\":\"call\"}", "bad-request", "\"handle\""},
    {"{\"cmd\":\"call\",\"handle\":1}", "bad-request", "\"handle\""},
    {"{\"cmd\":\"call\",\"handle\":\"echo\"}", "bad-request", "\"peer\""},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"carol\"}",
        "no-such-peer", "carol"},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\"}", "bad-request",
        "\"args\" (JSON), \"term\""},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\",\"term\":1}",
        "bad-request", "\"args\" (JSON), \"term\""},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\",\"term\":\"\"}",
        "bad-request", "at byte 0"},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\",\"term\":\"{1\"}",
        "bad-request", "at byte 2"},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\","
     "\"args\":{\"$x\":1}}",
        "bad-request", "$x"},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\","
     "\"args\":{\"$opaque\":\"AA==\"}}",
        "bad-request", "not sent"},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\",\"parts\":true}",
        "bad-request", "in parts before"},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\",\"term\":\"1\","
     "\"timeout\":0}",
        "bad-request", "1 to 86400000 milliseconds as \"timeout\""},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\",\"term\":\"1\","
     "\"timeout\":86400001}",
        "bad-request", "1 to 86400000 milliseconds as \"timeout\""},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\",\"term\":\"1\","
     "\"timeout\":\"5\"}",
        "bad-request", "1 to 86400000 milliseconds as \"timeout\""},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\",\"term\":\"1\","
     "\"wait\":-1}",
        "bad-request", "1 to 86400000 milliseconds as \"wait\""},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\",\"term\":\"1\","
     "\"at\":1}",
        "bad-request", "\"at\""},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\",\"term\":\"1\","
     "\"at\":\"somewhere\"}",
        "bad-request", "numeric ADDRESS:PORT"},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\",\"term\":\"1\","
     "\"as\":1}",
        "bad-request", "\"as\""},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\",\"term\":\"1\"}",
        "not-connected", "no address is known"},
    {"{\"cmd\":\"send\",\"handle\":\"echo\",\"peer\":\"bob\",\"term\":\"1\"}",
        "not-connected", "no address is known"},
    {"{\"cmd\":\"send\",\"handle\":\"echo\",\"peer\":\"bob\"}", "bad-request",
        "\"args\" (JSON), \"term\""},
    {"{\"cmd\":\"send\",\"peer\":\"bob\",\"term\":\"1\"}", "bad-request",
        "\"handle\""},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\","
     "\"term\":\"%{a: 1, a: 2}\"}",
        "bad-request", "same key twice"},
    {"{\"cmd\":\"send\",\"handle\":\"echo\",\"peer\":\"bob\","
     "\"term\":\"[%{1 => 1, 1 => 2}]\"}",
        "bad-request", "same key twice"},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\","
     "\"args\":{\"$map\":[[1,1],[1,2]]}}",
        "bad-request", "same key twice"},
    {"{\"cmd\":\"rpc\",\"peer\":\"bob\",\"module\":\"M\",\"function\":\"f\","
     "\"term\":\"[%{a: 1, a: 2}]\"}",
        "bad-request", "same key twice"},
    {"{\"cmd\":\"rpc\"}", "bad-request", "\"peer\""},
    {"{\"cmd\":\"rpc\",\"peer\":\"bob\"}", "bad-request", "\"module\""},
    {"{\"cmd\":\"rpc\",\"peer\":\"bob\",\"module\":\"M\"}", "bad-request",
        "\"function\""},
    {"{\"cmd\":\"rpc\",\"peer\":\"bob\",\"module\":\"M\",\"function\":\"f\"}",
        "bad-request", "\"args\" (JSON), \"term\""},
    {"{\"cmd\":\"rpc\",\"peer\":\"bob\",\"module\":\"M\",\"function\":\"f\","
     "\"args\":{}}",
        "bad-request", "a list of arguments"},
    {"{\"cmd\":\"rpc\",\"peer\":\"bob\",\"module\":\"M\",\"function\":\"f\","
     "\"args\":[1,{\"$tail\":2}]}",
        "bad-request", "a list of arguments"},
    {"{\"cmd\":\"rpc\",\"peer\":\"bob\",\"module\":\"M\",\"function\":\"f\","
     "\"args\":[]}",
        "not-connected", "no address is known"},
    {"{\"cmd\":\"cast\",\"peer\":\"bob\",\"module\":\"M\",\"function\":\"f\","
     "\"term\":\"[1]\"}",
        "not-connected", "no address is known"},
    {"{\"cmd\":\"chat\"}", "bad-request", "\"peer\""},
    {"{\"cmd\":\"chat\",\"peer\":\"carol\"}", "no-such-peer", "carol"},
    {"{\"cmd\":\"metrics\",\"as\":1}", "bad-request", "\"as\""},
    {"{\"cmd\":\"part\"}", "bad-request", "\"text\""},
    {"{\"cmd\":\"part\",\"text\":1}", "bad-request", "\"text\""},
};

static void test_cli_hub_bad(void **state)
{
    const bad_row *row = *state;

    pair_bob();
    ask(row->line);
    assert_false(is_ok());
    assert_string_equal(field("error"), row->error);
    if (strstr(field("message"), row->says) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", field("message"), row->says);
    }
    /* Everything is as before. */
    ask("{\"id\":7,\"cmd\":\"peers\"}");
    assert_true(is_ok());
    assert_int_equal(json_array_size(json_object_get(answer, "peers")), 1);
    unpair_bob();
    assert_true(is_ok());
}

/* A NUL in the line is not the line's end. */
static void test_cli_hub_nul(void **state)
{
    (void)state;
    ask_n("{\"cmd\":\"status\"}\0x", 18);
    assert_false(is_ok());
    ask_n("{\"cmd\":\"sta\0tus\"}", 17);
    assert_false(is_ok());
}

/* ---- accepted requests -------------------------------------------------- */

static void test_cli_hub_status(void **state)
{
    char base32[PN_BASE32_LEN + 1];

    (void)state;
    pn_key_to_base32(pn_node_key(cli_hub_node(hub)), base32);
    ask("{\"id\":-3,\"cmd\":\"status\"}");
    assert_true(is_ok());
    assert_int_equal(
        strncmp(answer_line.data, "{\"id\":-3,\"ok\":true,", 19), 0);
    assert_string_equal(field("key"), base32);
    assert_int_equal(json_integer_value(json_object_get(answer, "port")),
        pn_node_port(cli_hub_node(hub)));
    ask("{\"cmd\":\"status\"}");
    assert_null(json_object_get(answer, "id"));
}

static void test_cli_hub_pair(void **state)
{
    (void)state;
    pair_bob();
    assert_false(json_is_true(json_object_get(answer, "was_paired")));
    pair_bob();
    assert_true(json_is_true(json_object_get(answer, "was_paired")));
    unpair_bob();
    assert_true(is_ok());
    assert_string_equal(field("key"), BOB);
    unpair_bob();
    assert_string_equal(field("error"), "no-such-peer");
}

static void test_cli_hub_pair_self(void **state)
{
    char base32[PN_BASE32_LEN + 1];
    char line[200];

    (void)state;
    pn_key_to_base32(pn_node_key(cli_hub_node(hub)), base32);
    (void)snprintf(
        line, sizeof(line), "{\"cmd\":\"pair\",\"key\":\"%s\"}", base32);
    ask(line);
    assert_string_equal(field("error"), "bad-request");
}

static void test_cli_hub_metrics(void **state)
{
    const json_t *sample;
    unsigned n_forbidden = 0;
    unsigned n_links = 0;
    size_t i;

    (void)state;
    ask("{\"cmd\":\"metrics\"}");
    json_array_foreach(json_object_get(answer, "metrics"), i, sample)
    {
        const char *metric = json_string_value(
            json_object_get(sample, "metric"));

        n_links += strcmp(metric, "peernet_links_up") == 0
                   && json_is_integer(json_object_get(sample, "sample"));
        /* A label of the sample is a field of its own. */
        n_forbidden +=
            strcmp(metric, "peernet_denials_total") == 0
            && strcmp(json_string_value(json_object_get(sample, "reason")),
                   "forbidden")
                   == 0;
    }
    assert_int_equal(n_links, 1);
    assert_int_equal(n_forbidden, 1);
    ask("{\"cmd\":\"metrics\",\"as\":\"text\"}");
    assert_non_null(strstr(field("text"), "\npeernet_links_up 0\n"));
}

static void test_cli_hub_events(void **state)
{
    uint64_t end = uv_hrtime() + UINT64_C(10000000000);

    (void)state;
    /* Events from before a subscription are not reported. */
    ask("{\"cmd\":\"peers\"}");
    n_events = 0;
    pair_bob();
    unpair_bob();
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(n_events, 0);
    ask("{\"cmd\":\"events\"}");
    assert_true(is_ok());
    n_events = 0;
    pair_bob();
    while (n_events == 0 && uv_hrtime() < end) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
    assert_true(n_events >= 1);
    unpair_bob();
}

/* A call without an answer: pending, with one notice, cancelled with its
 * caller. */
static void test_cli_hub_pending_limit(void **state)
{
    cli_caller *second = cli_hub_join(hub, on_line, NULL);
    static const char call[] =
        "{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\","
        "\"term\":\"1\",\"at\":\"127.0.0.1:1\",\"wait\":60000}";
    unsigned before;

    (void)state;
    assert_non_null(second);
    pair_bob();
    before = n_answers;
    for (int i = 0; i < CLI_HUB_MAX_PENDING - 1; i++) {
        cli_hub_request(second, call, sizeof(call) - 1);
    }
    cli_hub_request(second, call, sizeof(call) - 1);
    assert_int_equal(n_answers, before);
    cli_hub_request(second, call, sizeof(call) - 1);
    assert_int_equal(n_answers, before + 1);
    assert_string_equal(field("error"), "busy");
    /* Another caller is served on. */
    ask("{\"cmd\":\"status\"}");
    assert_true(is_ok());
    cli_hub_leave(second);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    unpair_bob();
    assert_true(is_ok());
}

/* Each reason has a clause of its own, and says what to do. */
static void test_cli_reasons_have_sentences(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PN_N_REASONS; i++) {
        const char *sentence = cli_reason_sentence(i);

        assert_string_not_equal(sentence, pn_reason_text(i));
        assert_true(strpbrk(sentence, ";,") != NULL);
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(sentence, cli_reason_sentence(k));
        }
    }
}

static uint64_t dials(void)
{
    pn_metrics m = {0};

    assert_int_equal(pn_node_metrics(cli_hub_node(hub), &m), PN_OK);
    return m.dials;
}

/* No node listens at the given address: the first dial shows it, and a caller
 * without a time to wait waits for no second dial. */
static void test_cli_hub_refused_at_once(void **state)
{
    uint64_t before = dials();

    (void)state;
    pair_bob();
    ask("{\"id\":5,\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\","
        "\"term\":\"1\",\"at\":\"127.0.0.1:1\"}");
    assert_string_equal(field("error"), "not-connected");
    assert_non_null(strstr(field("message"), "127.0.0.1:1"));
    assert_int_equal(dials(), before + 1);
    unpair_bob();
}

static void test_cli_hub_wait_ends(void **state)
{
    (void)state;
    pair_bob();
    ask("{\"id\":5,\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\","
        "\"term\":\"1\",\"at\":\"127.0.0.1:1\",\"wait\":200}");
    assert_string_equal(field("error"), "not-connected");
    assert_non_null(strstr(field("message"), "start the node there"));
    assert_int_equal(json_integer_value(json_object_get(answer, "id")), 5);
    unpair_bob();
}

static pn_node *mallory_open(char *ret_dir, char ret_address[static 32])
{
    pn_node_options options;
    pn_node *node = NULL;

    assert_non_null(mkdtemp(ret_dir));
    pn_node_options_init(&options);
    options.data_dir = ret_dir;
    options.listen_address = "127.0.0.1";
    options.listen_port = 0;
    options.linger_ms = 0;
    options.watch_network = false;
    assert_int_equal(pn_node_open(&options, &node, NULL), PN_OK);
    (void)snprintf(ret_address, 32, "127.0.0.1:%u", pn_node_port(node));
    return node;
}

static void mallory_close(pn_node *node, const char *mallory_dir)
{
    char command[64];

    pn_node_close(node);
    (void)snprintf(command, sizeof(command), "rm -rf %s", mallory_dir);
    assert_int_equal(system(command), 0);
}

/* Another node at bob's supposed address: it ends a call that names the
 * address, and means nothing to one that waits for bob's announce. */
static void test_cli_hub_another_node(void **state)
{
    char mallory_dir[] = "/tmp/peernet-mallory-XXXXXX";
    char address[32];
    char line[256];
    pn_public_key bob;
    pn_node *mallory = mallory_open(mallory_dir, address);
    uint64_t end = uv_hrtime() + UINT64_C(10000000000);
    cli_caller *second = cli_hub_join(hub, on_line, NULL);
    unsigned before;

    (void)state;
    assert_non_null(second);
    pair_bob();
    (void)snprintf(line, sizeof(line),
        "{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\","
        "\"term\":\"1\",\"at\":\"%s\",\"wait\":60000}",
        address);
    ask(line);
    assert_string_equal(field("reason"), "key-mismatch");
    unpair_bob();

    pair_bob();
    ask("{\"cmd\":\"events\"}");
    assert_int_equal(pn_key_parse(BOB, &bob), PN_OK);
    before = n_answers;
    heard_mismatch = false;
    (void)snprintf(line, sizeof(line),
        "{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\","
        "\"term\":\"1\",\"wait\":60000}");
    forger.found(forger.node, &bob, address);
    cli_hub_request(second, line, strlen(line));
    while (!heard_mismatch && uv_hrtime() < end) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        (void)usleep(500);
    }
    assert_true(heard_mismatch);
    for (int i = 0; i < 10; i++) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(n_answers, before);
    cli_hub_leave(second);
    unpair_bob();
    mallory_close(mallory, mallory_dir);
}

static void part_of(size_t n)
{
    char *line = malloc(n + 64);
    int len;

    assert_non_null(line);
    len = snprintf(line, 64, "{\"cmd\":\"part\",\"text\":\"");
    memset(line + len, ' ', n);
    memcpy(line + len + n, "\"}", 3);
    ask_n(line, (size_t)len + n + 2);
    free(line);
}

/* Parts are limited in all, and a refusal forgets them. */
static void test_cli_hub_parts(void **state)
{
    (void)state;
    pair_bob();
    part_of(CLI_HUB_MAX_PARTS - 1);
    assert_true(is_ok());
    part_of(1);
    assert_true(is_ok());
    part_of(1);
    assert_string_equal(field("error"), "bad-request");
    ask("{\"cmd\":\"part\",\"text\":\"[1, \"}");
    ask("{\"cmd\":\"part\",\"text\":\"2]\"}");
    ask("{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\","
        "\"parts\":true}");
    assert_string_equal(field("error"), "not-connected");
    /* Used once. */
    ask("{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\","
        "\"parts\":true}");
    assert_string_equal(field("error"), "bad-request");
    unpair_bob();
}

static void test_cli_hub_exit_status(void **state)
{
    (void)state;
    assert_int_equal(cli_exit_of("remote"), 1);
    assert_int_equal(cli_exit_of("bad-request"), 2);
    assert_int_equal(cli_exit_of("not-connected"), 3);
    assert_int_equal(cli_exit_of("timeout"), 3);
    assert_int_equal(cli_exit_of("closed"), 3);
    assert_int_equal(cli_exit_of("busy"), 3);
    assert_int_equal(cli_exit_of("local"), 4);
    assert_int_equal(cli_exit_of("no-such-peer"), 5);
    assert_int_equal(cli_exit_of("something new"), 4);
    assert_int_equal(cli_exit_of(NULL), 4);
}

/* In text a reason is its sentence, and in JSON its name; a change of trust has
 * no reason. */
static void test_cli_reasons_in_events(void **state)
{
    (void)state;
    for (unsigned i = PN_REASON_NONE + 1; i < PN_N_REASONS; i++) {
        json_t *event = json_pack(
            "{s:s, s:s}", "event", "peer-down", "reason", pn_reason_text(i));
        cli_text t = {0};

        cli_event_to_text(&t, event);
        assert_string_equal(
            strstr(cli_text_string(&t), ": ") + 2, cli_reason_sentence(i));
        cli_text_fini(&t);
        assert_int_equal(
            json_object_set_new(event, "change", json_string("unpaired")), 0);
        cli_event_to_text(&t, event);
        assert_string_equal(cli_text_string(&t), "peer-down       unpaired");
        cli_text_fini(&t);
        json_decref(event);
    }
}

/* The summary has the number of further events, their kind and the reason of
 * the refusals. */
static void test_cli_suppressed(void **state)
{
    json_t *event = json_pack("{s:s, s:s, s:i, s:s}", "event", "suppressed",
        "of", "denied", "count", 640, "reason",
        pn_reason_text(PN_REASON_FORBIDDEN));
    cli_text want = {0};
    cli_text t = {0};

    (void)state;
    cli_event_to_text(&t, event);
    cli_text_printf(&want,
        "suppressed      640 more in the last minute: denied: %s",
        cli_reason_sentence(PN_REASON_FORBIDDEN));
    assert_string_equal(cli_text_string(&t), cli_text_string(&want));
    cli_text_fini(&want);
    cli_text_fini(&t);
    json_decref(event);
}

int main(void)
{
    char command[64];
    int status;

    (void)signal(SIGPIPE, SIG_IGN);
    if (mkdtemp(dir) == NULL) {
        return 99;
    }
    hub_up();
    for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++) {
        pn_test_addf(test_cli_hub_bad, (void *)(uintptr_t)&bad_rows[i],
            "cli/hub/bad/%zu_%s", i, bad_rows[i].says);
    }
    pn_test_add("cli/hub/nul", test_cli_hub_nul, NULL);
    pn_test_add("cli/hub/status", test_cli_hub_status, NULL);
    pn_test_add("cli/hub/pair", test_cli_hub_pair, NULL);
    pn_test_add("cli/hub/pair_self", test_cli_hub_pair_self, NULL);
    pn_test_add("cli/hub/metrics", test_cli_hub_metrics, NULL);
    pn_test_add("cli/hub/events", test_cli_hub_events, NULL);
    pn_test_add("cli/hub/pending_limit", test_cli_hub_pending_limit, NULL);
    pn_test_add("cli/hub/refused_at_once", test_cli_hub_refused_at_once, NULL);
    pn_test_add("cli/hub/wait_ends", test_cli_hub_wait_ends, NULL);
    pn_test_add("cli/hub/another_node", test_cli_hub_another_node, NULL);
    pn_test_add(
        "cli/reasons/have_sentences", test_cli_reasons_have_sentences, NULL);
    pn_test_add("cli/reasons/in_events", test_cli_reasons_in_events, NULL);
    pn_test_add("cli/suppressed/as_text", test_cli_suppressed, NULL);
    pn_test_add("cli/hub/parts", test_cli_hub_parts, NULL);
    pn_test_add("cli/hub/exit_status", test_cli_hub_exit_status, NULL);
    status = pn_test_run("cli/hub");
    hub_down();
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command) == 0 ? status : 1;
}

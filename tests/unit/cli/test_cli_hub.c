/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of the control socket, row by row (BAD-6): what is not understood
 * is answered with a sentence, changes nothing, and the next request is served.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "hub.h"
#include "json.h"
#include "session.h"

#define BOB "AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPQ"

static char dir[] = "/tmp/peernet-hub-XXXXXX";
static uv_loop_t loop;
static cli_hub *hub;
static cli_caller *caller;
static json_t *answer;
static cli_text answer_line;
static unsigned n_answers;
static unsigned n_events;

static void on_line(void *user, const char *line, size_t len)
{
    json_t *json = json_loadb(line, len, JSON_ALLOW_NUL, NULL);

    (void)user;
    assert_non_null(json);
    assert_null(memchr(line, '\n', len));
    if (json_object_get(json, "event") != NULL) {
        n_events++;
        json_decref(json);
        return;
    }
    json_decref(answer);
    answer = json;
    cli_text_clear(&answer_line);
    cli_text_add(&answer_line, line, len);
    n_answers++;
}

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

/* ---- what is refused ---------------------------------------------------- */

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
        "\"args\" (JSON) or \"term\""},
    {"{\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\",\"term\":1}",
        "bad-request", "\"args\" (JSON) or \"term\""},
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
        "bad-request", "at byte 0"},
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
        "\"args\" (JSON) or \"term\""},
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
        "bad-request", "\"args\" (JSON) or \"term\""},
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

/* ---- what is taken ------------------------------------------------------ */

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
    (void)state;
    ask("{\"cmd\":\"metrics\"}");
    assert_true(json_is_integer(json_object_get(
        json_object_get(answer, "metrics"), "peernet_links_up")));
    ask("{\"cmd\":\"metrics\",\"as\":\"text\"}");
    assert_non_null(strstr(field("text"), "\npeernet_links_up 0\n"));
}

static void test_cli_hub_events(void **state)
{
    uint64_t end = uv_hrtime() + UINT64_C(5000000000);

    (void)state;
    /* What happened before is told to nobody later. */
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

/* A call that nobody answers: pending, told once, cancelled with its caller. */
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

static void test_cli_hub_wait_ends(void **state)
{
    (void)state;
    pair_bob();
    ask("{\"id\":5,\"cmd\":\"call\",\"handle\":\"echo\",\"peer\":\"bob\","
        "\"term\":\"1\",\"at\":\"127.0.0.1:1\",\"wait\":200}");
    assert_string_equal(field("error"), "not-connected");
    assert_non_null(strstr(field("message"), "connection-refused"));
    assert_int_equal(json_integer_value(json_object_get(answer, "id")), 5);
    unpair_bob();
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
    pn_test_add("cli/hub/wait_ends", test_cli_hub_wait_ends, NULL);
    pn_test_add("cli/hub/parts", test_cli_hub_parts, NULL);
    pn_test_add("cli/hub/exit_status", test_cli_hub_exit_status, NULL);
    status = pn_test_run("cli/hub");
    hub_down();
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command) == 0 ? status : 1;
}

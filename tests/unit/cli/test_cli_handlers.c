/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs as handlers, between a hub and a node in one process: the memory of
 * a program's input, and the thread that makes it. The program is the probe of
 * test_cli_program.
 */
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "hub_rig.h"
#include "program/handlers.h"
#include "tempdir.h"

static void assert_answer(outcome *o, pn_err err, const char *text)
{
    wait_done(o);
    assert_string_equal(pn_err_name(o->err), pn_err_name(err));
    assert_string_equal(o->text, text);
    free(o->text);
}

/* len bytes of text, six of JSON each. */
static void controls(pn_term_writer *w, size_t len, pn_term *ret_term)
{
    char *bytes = malloc(len);

    assert_non_null(bytes);
    memset(bytes, 1, len);
    pn_term_writer_init(w, 0);
    pn_term_write_binary(w, bytes, len);
    assert_int_equal(pn_term_writer_finish(w, NULL, ret_term), PN_OK);
    free(bytes);
}

/* Of one call: 1,000 control characters and two quotes are 6,002 bytes. */
static void test_cli_handlers_max_input(void **state)
{
    char *argv[] = {(char *)(uintptr_t) "probe", (char *)(uintptr_t) "print",
        (char *)(uintptr_t) "0", NULL};
    cli_exposed exposed = {.max_input = 6002};
    pn_term_writer w;
    pn_term term;
    outcome o;

    (void)state;
    describe(&exposed, argv);
    set_up(0);
    expose(&exposed);
    controls(&w, 1000, &term);
    call(term, &o);
    assert_answer(&o, PN_OK, ":ok");
    pn_term_writer_free(&w);
    controls(&w, 1001, &term);
    call(term, &o);
    assert_answer(&o, PN_REMOTE, ":system_limit");
    pn_term_writer_free(&w);
    tear_down();
}

/* The account of one peer over all running and waiting programs, whether they
 * have read their input or not. */
static void test_cli_handlers_held(void **state)
{
    char *argv[] = {
        (char *)(uintptr_t) "probe", (char *)(uintptr_t) "hang", NULL};
    cli_exposed exposed = {0};
    pn_term_writer w;
    pn_term term;
    outcome first;
    outcome second;
    outcome third;

    (void)state;
    describe(&exposed, argv);
    set_up(10000);
    expose(&exposed);
    controls(&w, 1000, &term);
    call(term, &first);
    call(term, &second);
    assert_answer(&second, PN_REMOTE, ":busy");
    pn_term_writer_free(&w);
    controls(&w, 600, &term);
    call(term, &second);
    call(term, &third);
    assert_answer(&third, PN_REMOTE, ":busy");
    pn_term_writer_free(&w);
    assert_false(atomic_load(&first.is_done));
    assert_false(atomic_load(&second.is_done));
    tear_down();
    free(first.text);
    free(second.text);
}

static size_t allocated(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

/* Four large binaries that are six times as long in JSON: two are within the
 * account, and no more than the account is taken. */
static void test_cli_handlers_held_memory(void **state)
{
    enum { N = 4, LEN = 900000, HELD = 12 << 20, BESIDE = 2 << 20 };
    char *argv[] = {
        (char *)(uintptr_t) "probe", (char *)(uintptr_t) "hang", NULL};
    cli_exposed exposed = {0};
    static outcome outcomes[N];
    pn_term_writer w;
    pn_term term;
    uint64_t end = patience_ends();
    size_t before;
    size_t more;

    (void)state;
    describe(&exposed, argv);
    set_up(HELD);
    expose(&exposed);
    controls(&w, LEN, &term);
    before = allocated();
    for (size_t i = 0; i < N; i++) {
        call(term, &outcomes[i]);
    }
    assert_answer(&outcomes[2], PN_REMOTE, ":busy");
    assert_answer(&outcomes[3], PN_REMOTE, ":busy");
    /* The caller's output is freed some turns after it was sent. */
    do {
        turn();
        more = allocated() - before;
    } while (more >= HELD + BESIDE && uv_hrtime() < end);
    assert_false(atomic_load(&outcomes[0].is_done));
    assert_false(atomic_load(&outcomes[1].is_done));
    print_message("# %zu bytes for %d binaries of %d\n", more, N, LEN);
    assert_true(more < HELD + BESIDE);
    pn_term_writer_free(&w);
    tear_down();
    free(outcomes[0].text);
    free(outcomes[1].text);
}

/* ---- requests that are not wanted any more ------------------------------- */

#define N_CALLS 8

#define N_AT_A_TIME 4 /* programs of one peer */

static char notes[600];

/* How many programs have started, and which. */
static size_t read_notes(pid_t *ret_pids, size_t room)
{
    FILE *file = fopen(notes, "r");
    size_t n = 0;
    int pid = 0;

    while (file != NULL && n < room && fscanf(file, "%d", &pid) == 1) {
        ret_pids[n++] = pid;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return n;
}

static void wait_started(size_t n, pid_t *pids)
{
    uint64_t end = patience_ends();

    while (read_notes(pids, n) < n && uv_hrtime() < end) {
        turn();
    }
    assert_int_equal(read_notes(pids, n), n);
}

static void wait_ended(size_t n, const pid_t *pids)
{
    uint64_t end = patience_ends();

    for (size_t i = 0; i < n; i++) {
        while (kill(pids[i], 0) == 0 && uv_hrtime() < end) {
            turn();
        }
        assert_int_not_equal(kill(pids[i], 0), 0);
    }
}

static void unpair(void)
{
    assert_int_equal(pn_unpair(cli_hub_node(hub), pn_node_key(caller)), PN_OK);
}

static void ungrant(void)
{
    assert_int_equal(pn_ungrant(cli_hub_node(hub), "probe", NULL), PN_OK);
}

static void revoke_handle(void)
{
    assert_int_equal(pn_revoke(cli_hub_node(hub), "probe"), PN_OK);
}

/* Four programs run and four wait when the caller or the handle is removed:
 * running ones are ended, and waiting ones never start. */
static void test_cli_handlers_unwanted(void **state)
{
    void (*take_away)(void) = *(void (**)(void)) * state;
    char *argv[] = {
        (char *)(uintptr_t) "probe", (char *)(uintptr_t) "note", notes, NULL};
    cli_exposed exposed = {0};
    static const uint8_t one[] = {97, 1};
    outcome outcomes[N_CALLS];
    pid_t pids[N_CALLS];

    make_dirs();
    (void)snprintf(notes, sizeof(notes), "%s/notes", hub_dir.path);
    describe(&exposed, argv);
    set_up(0);
    expose(&exposed);
    for (size_t i = 0; i < N_CALLS; i++) {
        call((pn_term){one, sizeof(one)}, &outcomes[i]);
    }
    wait_started(N_AT_A_TIME, pids);
    take_away();
    wait_ended(N_AT_A_TIME, pids);
    for (size_t i = 0; i < N_CALLS; i++) {
        wait_done(&outcomes[i]);
        assert_int_not_equal(outcomes[i].err, PN_OK);
        free(outcomes[i].text);
    }
    assert_int_equal(read_notes(pids, N_CALLS), N_AT_A_TIME);
    tear_down();
}

/* Callers that got `timeout` while their program waited: the program does not
 * start. */
static void test_cli_handlers_timeout(void **state)
{
    enum { N = 44 };
    char *argv[] = {
        (char *)(uintptr_t) "probe", (char *)(uintptr_t) "note", notes, NULL};
    cli_exposed exposed = {.program.timeout_ms = 300};
    static const uint8_t one[] = {97, 1};
    static outcome outcomes[N];
    pid_t pids[N];
    size_t n;

    (void)state;
    make_dirs();
    (void)snprintf(notes, sizeof(notes), "%s/notes", hub_dir.path);
    describe(&exposed, argv);
    set_up(0);
    expose(&exposed);
    for (size_t i = 0; i < N; i++) {
        call((pn_term){one, sizeof(one)}, &outcomes[i]);
    }
    for (size_t i = 0; i < N; i++) {
        wait_done(&outcomes[i]);
        assert_string_equal(outcomes[i].text, ":timeout");
        free(outcomes[i].text);
    }
    n = read_notes(pids, N);
    wait_ended(n, pids);
    assert_true(n >= N_AT_A_TIME && n < N);
    assert_int_equal(read_notes(pids, N), n);
    tear_down();
}

/* ---- a program called chat ------------------------------------------------
 */

/* A chat is refused, and the program goes on answering. */
static void test_cli_handlers_chat_is_a_program(void **state)
{
    static const char request[] = "{\"cmd\":\"chat\",\"peer\":\"caller\"}";
    char *argv[] = {(char *)(uintptr_t) "probe", (char *)(uintptr_t) "print",
        (char *)(uintptr_t) "0", NULL};
    cli_exposed exposed = {.program.name = "chat"};
    static const uint8_t one[] = {97, 1};
    cli_text last = {0};
    cli_caller *asks;
    outcome o;

    (void)state;
    describe(&exposed, argv);
    set_up(0);
    expose(&exposed);
    asks = cli_hub_join(hub, on_chat_line, &last);
    cli_hub_request(asks, request, sizeof(request) - 1);
    assert_non_null(strstr(cli_text_string(&last), "\"ok\":false"));
    assert_non_null(strstr(cli_text_string(&last), "--expose chat=PROGRAM"));
    cli_hub_leave(asks);
    turn();
    call_handle("chat", (pn_term){one, sizeof(one)}, &o);
    assert_answer(&o, PN_OK, ":ok");
    tear_down();
    cli_text_fini(&last);
}

/* A message that the loop would take long to print is refused, with a notice to
 * both sides; the longest permitted one is printed. */
static void test_cli_handlers_long_chat(void **state)
{
    static const char request[] = "{\"cmd\":\"events\"}";
    cli_text last = {0};
    pn_term_writer w;
    cli_caller *asks;
    pn_term term;
    outcome o;

    (void)state;
    has_chat = true;
    set_up(0);
    has_chat = false;
    asks = cli_hub_join(hub, on_chat_line, &last);
    cli_hub_request(asks, request, sizeof(request) - 1);
    controls(&w, CLI_HUB_MAX_CHAT - 5, &term);
    assert_int_equal(term.len, CLI_HUB_MAX_CHAT);
    call_handle("chat", term, &o);
    assert_answer(&o, PN_OK, ":ok");
    assert_non_null(strstr(cli_text_string(&last), "\"text\":\"\\u0001"));
    pn_term_writer_free(&w);
    controls(&w, CLI_HUB_MAX_CHAT - 4, &term);
    call_handle("chat", term, &o);
    assert_answer(&o, PN_REMOTE, ":system_limit");
    assert_non_null(strstr(cli_text_string(&last),
        "\"detail\":\"65537 bytes are too long to show\""));
    assert_null(strstr(cli_text_string(&last), "\"text\""));
    pn_term_writer_free(&w);
    tear_down();
    cli_text_fini(&last);
}

/* ---- long arguments of the hub's own callers ------------------------------
 */

int main(void)
{
    static void (*const by_unpair)(void) = unpair;
    static void (*const by_ungrant)(void) = ungrant;
    static void (*const by_revoke)(void) = revoke_handle;

    (void)signal(SIGPIPE, SIG_IGN);
    pn_test_add("cli/handlers/unwanted/unpair", test_cli_handlers_unwanted,
        (void *)(uintptr_t)&by_unpair);
    pn_test_add("cli/handlers/unwanted/ungrant", test_cli_handlers_unwanted,
        (void *)(uintptr_t)&by_ungrant);
    pn_test_add("cli/handlers/unwanted/revoke", test_cli_handlers_unwanted,
        (void *)(uintptr_t)&by_revoke);
    pn_test_add(
        "cli/handlers/unwanted/timeout", test_cli_handlers_timeout, NULL);
    pn_test_add("cli/handlers/chat_is_a_program",
        test_cli_handlers_chat_is_a_program, NULL);
    pn_test_add("cli/handlers/long_chat", test_cli_handlers_long_chat, NULL);
    pn_test_add("cli/handlers/max_input", test_cli_handlers_max_input, NULL);
    pn_test_add("cli/handlers/held", test_cli_handlers_held, NULL);
    pn_test_add(
        "cli/handlers/held_memory", test_cli_handlers_held_memory, NULL);
    return pn_test_run("cli/handlers");
}

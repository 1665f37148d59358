/* SPDX-License-Identifier: Apache-2.0 */
/* Long arguments of the hub's calls and long answers to its clients: made on
 * another thread, limited, and dropped at the end. */
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

/* ---- answers to clients of the control socket --------------------------- */

#define N_ELEMENTS 400000

static atomic_uint n_many;

/* Hundreds of thousands of empty lists and one number. */
static void on_many(pn_request *req, pn_term args, void *user)
{
    pn_term_writer w;
    pn_term term;

    (void)args;
    (void)user;
    pn_term_writer_init(&w, 0);
    pn_term_write_list_begin(&w);
    for (int i = 0; i < N_ELEMENTS; i++) {
        pn_term_write_list_begin(&w);
        pn_term_write_list_end(&w);
    }
    pn_term_write_int64(&w, 7);
    pn_term_write_list_end(&w);
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    (void)!pn_request_reply_term(req, term);
    pn_term_writer_free(&w);
    atomic_fetch_add(&n_many, 1);
}

static void expose_many(void)
{
    atomic_store(&n_many, 0);
    assert_int_equal(pn_expose(caller, "many", on_many, NULL, NULL), PN_OK);
    assert_int_equal(pn_grant_paired(caller, "many"), PN_OK);
}

/* The lines to one client of the control socket. */
typedef struct asker {
    cli_caller *caller;
    unsigned n_lines;
    cli_text last;
} asker;

static void on_asker_line(void *user, const char *line, size_t len)
{
    asker *a = user;

    a->n_lines++;
    on_chat_line(&a->last, line, len);
}

static void ask(asker *a, const char *request)
{
    cli_hub_request(a->caller, request, strlen(request));
}

static void wait_lines(const asker *a, unsigned n)
{
    uint64_t end = patience_ends();

    while (a->n_lines < n && uv_hrtime() < end) {
        turn();
    }
    assert_int_equal(a->n_lines, n);
}

/* All threads of the pool wait while this is closed. */
static uv_sem_t gate;

static uv_work_t held_threads[64];

static void hold(uv_work_t *work)
{
    (void)work;
    uv_sem_wait(&gate);
}

static void on_held(uv_work_t *work, int status)
{
    (void)work;
    (void)status;
}

static void hold_threads(size_t n)
{
    assert_int_equal(uv_sem_init(&gate, 0), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(
            uv_queue_work(&loop, &held_threads[i], hold, on_held), 0);
    }
}

static void open_gate(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uv_sem_post(&gate);
    }
}

/* The reply has come, whole, and the loop has had time for it. */
static void wait_reply_came(void)
{
    pn_metrics m = {0};
    uint64_t end = patience_ends();

    while (m.bytes_in < N_ELEMENTS && uv_hrtime() < end) {
        turn();
        (void)!pn_node_metrics(cli_hub_node(hub), &m);
    }
    assert_true(m.bytes_in >= N_ELEMENTS);
    for (int i = 0; i < 200; i++) {
        turn();
    }
}

static const char ask_text[] =
    "{\"id\":1,\"cmd\":\"call\",\"peer\":\"caller\",\"handle\":\"many\","
    "\"term\":\"nil\",\"as\":\"text\"}";

static const char ask_json[] =
    "{\"id\":1,\"cmd\":\"call\",\"peer\":\"caller\",\"handle\":\"many\","
    "\"term\":\"nil\",\"as\":\"json\"}";

static const char status[] = "{\"id\":2,\"cmd\":\"status\"}";

enum { N_THREADS = 4 }; /* libuv's own number */

/* A reply of a million elements waits for a thread; other clients are answered,
 * and a client that has left gets nothing. */
static void test_cli_handlers_reply_beside_the_loop(void **state)
{
    const char *request = (const char *)*state;
    asker a = {0};
    asker leaver = {0};

    set_up(0);
    expose_many();
    a.caller = cli_hub_join(hub, on_asker_line, &a);
    leaver.caller = cli_hub_join(hub, on_asker_line, &leaver);
    hold_threads(N_THREADS);
    ask(&a, request);
    wait_reply_came();
    assert_int_equal(a.n_lines, 0);
    ask(&leaver, request);
    ask(&a, status);
    wait_lines(&a, 1);
    assert_non_null(strstr(cli_text_string(&a.last), "\"id\":2"));
    cli_hub_leave(leaver.caller);
    open_gate(N_THREADS);
    wait_lines(&a, 2);
    assert_non_null(strstr(cli_text_string(&a.last), "\"ok\":true"));
    assert_true(a.last.len > (size_t)3 * N_ELEMENTS);
    assert_int_equal(leaver.n_lines, 0);
    tear_down();
    uv_sem_destroy(&gate);
    cli_text_fini(&a.last);
}

/* ---- long arguments of the hub's own callers ------------------------------
 */

static const char call_parts[] =
    "{\"id\":1,\"cmd\":\"call\",\"peer\":\"caller\",\"handle\":\"note\","
    "\"parts\":true}";

static const char call_short[] =
    "{\"id\":2,\"cmd\":\"call\",\"peer\":\"caller\",\"handle\":\"note\","
    "\"term\":\"[1]\"}";

static const char rpc_parts[] =
    "{\"id\":1,\"cmd\":\"rpc\",\"peer\":\"caller\",\"module\":\"X\","
    "\"function\":\"y\",\"parts\":true}";

/* The sizes of the received terms, in order. */
static size_t noted[4];

static atomic_uint n_noted;

static void on_note(pn_request *req, pn_term args, void *user)
{
    unsigned n = atomic_load(&n_noted);

    (void)user;
    if (n < sizeof(noted) / sizeof(noted[0])) {
        noted[n] = args.len;
    }
    atomic_store(&n_noted, n + 1);
    (void)pn_request_reply(req, "ok");
}

static void expose_note(void)
{
    atomic_store(&n_noted, 0);
    assert_int_equal(pn_expose(caller, "note", on_note, NULL, NULL), PN_OK);
    assert_int_equal(pn_grant_paired(caller, "note"), PN_OK);
}

/* A list of N_ELEMENTS small integers as text, in parts of many kilobytes each;
 * end: what follows them. */
static void say_parts(asker *a, const char *end)
{
    enum { IN_PART = 20000 };
    cli_text t = {0};
    unsigned n = a->n_lines;

    for (int i = 0; i < N_ELEMENTS; i++) {
        if (i % IN_PART == 0) {
            cli_text_clear(&t);
            cli_text_puts(&t, "{\"cmd\":\"part\",\"text\":\"");
        }
        cli_text_puts(&t, i == 0 ? "[1" : ",1");
        if (i % IN_PART == IN_PART - 1) {
            cli_text_puts(&t, i == N_ELEMENTS - 1 ? end : "");
            cli_text_puts(&t, "\"}");
            ask(a, cli_text_string(&t));
        }
    }
    cli_text_fini(&t);
    assert_int_equal(a->n_lines, n + N_ELEMENTS / IN_PART);
    a->n_lines = n;
}

/* Text of hundreds of thousands of elements waits for a thread; other clients
 * are answered, the same caller's next requests keep their order, and those of
 * a caller that has left are dropped. */
static void test_cli_handlers_term_beside_the_loop(void **state)
{
    asker a = {0};
    asker leaver = {0};

    (void)state;
    set_up(0);
    expose_note();
    a.caller = cli_hub_join(hub, on_asker_line, &a);
    leaver.caller = cli_hub_join(hub, on_asker_line, &leaver);
    hold_threads(N_THREADS);
    say_parts(&a, "]");
    say_parts(&leaver, "]");
    ask(&a, call_parts);
    ask(&leaver, call_parts);
    ask(&a, call_short);
    ask(&a, "{\"id\":3,\"cmd\":\"status\"}");
    wait_lines(&a, 1);
    assert_non_null(strstr(cli_text_string(&a.last), "\"id\":3"));
    cli_hub_leave(leaver.caller);
    for (int i = 0; i < 100; i++) {
        turn();
    }
    assert_int_equal(a.n_lines, 1);
    open_gate(N_THREADS);
    wait_lines(&a, 3);
    assert_non_null(strstr(cli_text_string(&a.last), "\"ok\":true"));
    assert_int_equal(atomic_load(&n_noted), 2);
    assert_true(noted[0] > N_ELEMENTS);
    assert_true(noted[1] < 100);
    assert_int_equal(leaver.n_lines, 0);
    tear_down();
    uv_sem_destroy(&gate);
    cli_text_fini(&leaver.last);
    cli_text_fini(&a.last);
}

typedef struct bad_parts {
    const char *request;
    const char *end;
    const char *says;
} bad_parts;

static const bad_parts bad_parts_rows[] = {
    {call_parts, ",}", "at byte 800001 of the term"},
    {call_parts, ",%{1=>2,1=>3}]", "a map has the same key twice"},
    {rpc_parts, "|2]", "a list of arguments"},
};

static void test_cli_handlers_bad_parts(void **state)
{
    const bad_parts *row = *state;
    asker a = {0};

    set_up(0);
    expose_note();
    a.caller = cli_hub_join(hub, on_asker_line, &a);
    say_parts(&a, row->end);
    ask(&a, row->request);
    wait_lines(&a, 1);
    assert_non_null(strstr(cli_text_string(&a.last), "bad-request"));
    assert_non_null(strstr(cli_text_string(&a.last), row->says));
    assert_int_equal(atomic_load(&n_noted), 0);
    tear_down();
    cli_text_fini(&a.last);
}

/* The node ends while an argument is read, and while one waits for that. */
static void test_cli_handlers_term_at_the_end(void **state)
{
    asker a = {0};

    (void)state;
    set_up(0);
    expose_note();
    a.caller = cli_hub_join(hub, on_asker_line, &a);
    hold_threads(N_THREADS);
    say_parts(&a, "]");
    ask(&a, call_parts);
    ask(&a, call_short);
    open_gate(N_THREADS);
    tear_down();
    uv_sem_destroy(&gate);
    assert_int_equal(a.n_lines, 2);
    assert_non_null(strstr(cli_text_string(&a.last), "\"closed\""));
    assert_int_equal(atomic_load(&n_noted), 0);
    cli_text_fini(&a.last);
}

/* The node ends while a reply is written, and while one waits for that. */
static void test_cli_handlers_reply_at_the_end(void **state)
{
    asker a = {0};

    (void)state;
    set_up(0);
    expose_many();
    a.caller = cli_hub_join(hub, on_asker_line, &a);
    hold_threads(N_THREADS);
    ask(&a, ask_text);
    ask(&a, ask_json);
    wait_reply_came();
    open_gate(N_THREADS);
    tear_down();
    uv_sem_destroy(&gate);
    assert_int_equal(a.n_lines, 2);
    cli_text_fini(&a.last);
}

/* The memory for writing a reply has a limit. */
static void test_cli_handlers_max_reply(void **state)
{
    const char *request = (const char *)*state;
    asker a = {0};

    max_reply = 100000;
    set_up(0);
    max_reply = 0;
    expose_many();
    a.caller = cli_hub_join(hub, on_asker_line, &a);
    ask(&a, request);
    wait_lines(&a, 1);
    assert_non_null(strstr(cli_text_string(&a.last), "\"ok\":false"));
    assert_non_null(strstr(cli_text_string(&a.last), "too long in writing"));
    tear_down();
    cli_text_fini(&a.last);
}

static uint64_t cpu_us(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* A megabyte of atoms in, and one of integers out: the loop does less than half
 * of the work. */
static void test_cli_handlers_beside_the_loop(void **state)
{
    char *argv[] = {
        (char *)(uintptr_t) "probe", (char *)(uintptr_t) "ones", NULL};
    cli_exposed exposed = {0};
    uint64_t of_loop;
    uint64_t of_all;
    pn_term_writer w;
    pn_term term;
    outcome o;

    (void)state;
    describe(&exposed, argv);
    set_up(0);
    expose(&exposed);
    pn_term_writer_init(&w, 0);
    pn_term_write_list_begin(&w);
    for (int i = 0; i < 300000; i++) {
        pn_term_write_atom(&w, "a");
    }
    pn_term_write_list_end(&w);
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    of_loop = cpu_us(CLOCK_THREAD_CPUTIME_ID);
    of_all = cpu_us(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < 3; i++) {
        call(term, &o);
        wait_done(&o);
        assert_int_equal(o.err, PN_OK);
        free(o.text);
    }
    of_loop = cpu_us(CLOCK_THREAD_CPUTIME_ID) - of_loop;
    of_all = cpu_us(CLOCK_PROCESS_CPUTIME_ID) - of_all;
    printf("# loop %llu us of %llu us\n", (unsigned long long)of_loop,
        (unsigned long long)of_all);
    assert_true(of_loop < of_all / 2);
    pn_term_writer_free(&w);
    tear_down();
}

int main(void)
{

    (void)signal(SIGPIPE, SIG_IGN);
    pn_test_add("cli/handlers/reply_beside_the_loop/text",
        test_cli_handlers_reply_beside_the_loop, (void *)(uintptr_t)ask_text);
    pn_test_add("cli/handlers/reply_beside_the_loop/json",
        test_cli_handlers_reply_beside_the_loop, (void *)(uintptr_t)ask_json);
    pn_test_add("cli/handlers/term_beside_the_loop",
        test_cli_handlers_term_beside_the_loop, NULL);
    for (size_t i = 0; i < sizeof(bad_parts_rows) / sizeof(bad_parts_rows[0]);
         i++) {
        pn_test_addf(test_cli_handlers_bad_parts,
            (void *)(uintptr_t)&bad_parts_rows[i], "cli/handlers/bad_parts/%zu",
            i);
    }
    pn_test_add("cli/handlers/term_at_the_end",
        test_cli_handlers_term_at_the_end, NULL);
    pn_test_add("cli/handlers/reply_at_the_end",
        test_cli_handlers_reply_at_the_end, NULL);
    pn_test_add("cli/handlers/max_reply/text", test_cli_handlers_max_reply,
        (void *)(uintptr_t)ask_text);
    pn_test_add("cli/handlers/max_reply/json", test_cli_handlers_max_reply,
        (void *)(uintptr_t)ask_json);
    pn_test_add("cli/handlers/beside_the_loop",
        test_cli_handlers_beside_the_loop, NULL);
    return pn_test_run("cli/answers");
}

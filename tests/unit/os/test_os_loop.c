/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "os/loop.h"

#define MS PN_US_PER_MS

/* The events so far, as letters. */
typedef struct journal {
    pn_loop *loop;
    char text[256];
    size_t len;
    bool is_off;
} journal;

static void note(journal *j, char c)
{
    if (j->is_off) {
        return;
    }
    assert_true(j->len + 1 < sizeof(j->text));
    j->text[j->len++] = c;
    j->text[j->len] = '\0';
}

static void on_turn_end(void *user)
{
    journal *j = user;

    note(j, '|');
}

static void begin(journal *j)
{
    memset(j, 0, sizeof(*j));
    assert_int_equal(pn_loop_new(&j->loop), PN_OK);
    pn_loop_on_turn_end(j->loop, on_turn_end, j);
}

/* Runs as a program with its own loop does, for ms. */
static void run_for(journal *j, unsigned ms)
{
    uint64_t until_us = pn_loop_update_now(j->loop) + ms * MS;
    struct pollfd p = {.fd = pn_loop_fd(j->loop), .events = POLLIN};

    do {
        int timeout = pn_loop_timeout_ms(j->loop);

        (void)poll(&p, 1, timeout >= 0 && timeout < 5 ? timeout : 5);
        pn_loop_run_once(j->loop);
    } while (pn_loop_update_now(j->loop) < until_us);
}

/* Until so much has been noted, at most two seconds, and a little on. */
static void run_until(journal *j, size_t len)
{
    for (int i = 0; i < 400 && j->len < len; i++) {
        run_for(j, 5);
    }
    run_for(j, 5);
}

/* ---- timers ----------------------------------------------------------- */

typedef struct timed {
    journal *j;
    pn_timer *timer;
    char name;
    uint64_t fired_us;
    unsigned n;
    bool frees_itself;
    struct timed *disarms;
    uint64_t rearm_us; /* relative; 0: no */
    bool rearms_to_past;
} timed;

static void on_timer(void *user)
{
    timed *t = user;

    note(t->j, t->name);
    t->n++;
    t->fired_us = pn_loop_now_us(t->j->loop);
    if (t->disarms != NULL) {
        pn_timer_set(t->disarms->timer, PN_TIME_NEVER);
    }
    if (t->rearm_us != 0) {
        pn_timer_set(t->timer, t->fired_us + t->rearm_us);
    }
    if (t->rearms_to_past && t->n < 10) {
        pn_timer_set(t->timer, 1);
    }
    if (t->frees_itself) {
        pn_timer_free(t->timer);
        t->timer = NULL;
    }
}

static void timed_new(timed *t, journal *j, char name)
{
    *t = (timed){.j = j, .name = name};
    assert_int_equal(pn_timer_new(j->loop, on_timer, t, &t->timer), PN_OK);
}

static void test_timers_fire_in_order(void **state)
{
    journal j;
    timed t[5];
    uint64_t now_us;

    (void)state;
    begin(&j);
    now_us = pn_loop_update_now(j.loop);
    for (unsigned i = 0; i < 5; i++) {
        timed_new(&t[i], &j, (char)('a' + i));
        pn_timer_set(t[i].timer, now_us + (5 - i) * 4 * MS);
    }
    run_for(&j, 40);
    for (size_t i = 0, n = 0; i <= j.len; i++) {
        if (j.text[i] != '|') { /* how many turns it took is not ours */
            j.text[n++] = j.text[i];
        }
    }
    assert_string_equal(j.text, "edcba");
    for (unsigned i = 0; i < 5; i++) {
        assert_true(t[i].fired_us >= now_us + (5 - i) * 4 * MS);
        pn_timer_free(t[i].timer);
    }
    pn_loop_free(j.loop);
}

static void test_timer_set_replaces(void **state)
{
    journal j;
    timed a;
    timed b;
    uint64_t now_us;

    (void)state;
    begin(&j);
    timed_new(&a, &j, 'a');
    timed_new(&b, &j, 'b');
    now_us = pn_loop_update_now(j.loop);
    pn_timer_set(a.timer, now_us + 2 * MS);
    pn_timer_set(b.timer, now_us + 8 * MS);
    pn_timer_set(a.timer, now_us + 20 * MS);
    pn_timer_set(b.timer, now_us + 4 * MS);
    run_for(&j, 35);
    assert_int_equal(a.n, 1);
    assert_int_equal(b.n, 1);
    assert_true(b.fired_us >= now_us + 4 * MS);
    assert_true(a.fired_us >= now_us + 20 * MS);
    pn_timer_free(a.timer);
    pn_timer_free(b.timer);
    pn_loop_free(j.loop);
}

static void test_timer_disarmed(void **state)
{
    journal j;
    timed a;
    timed b;
    uint64_t now_us;

    (void)state;
    begin(&j);
    timed_new(&a, &j, 'a');
    timed_new(&b, &j, 'b');
    a.disarms = &b;
    now_us = pn_loop_update_now(j.loop);
    pn_timer_set(a.timer, now_us + 2 * MS);
    pn_timer_set(b.timer, now_us + 2 * MS + 1);
    run_for(&j, 15);
    assert_int_equal(a.n, 1);
    assert_int_equal(b.n, 0);
    pn_timer_set(a.timer, pn_loop_update_now(j.loop) + MS);
    pn_timer_free(a.timer);
    run_for(&j, 10);
    assert_int_equal(a.n, 1);
    pn_timer_free(b.timer);
    pn_loop_free(j.loop);
}

static void test_timer_freed_in_callback(void **state)
{
    journal j;
    timed a;

    (void)state;
    begin(&j);
    timed_new(&a, &j, 'a');
    a.frees_itself = true;
    pn_timer_set(a.timer, 1);
    run_until(&j, 2);
    assert_string_equal(j.text, "a|");
    pn_timer_free(NULL);
    pn_loop_free(j.loop);
}

/* A deadline of long ago fires in a turn, never inside set, and one that sets
 * itself to the past again and again lets each turn end. */
static void test_timer_in_the_past(void **state)
{
    journal j;
    timed a;

    (void)state;
    begin(&j);
    timed_new(&a, &j, 'a');
    a.rearms_to_past = true;
    pn_timer_set(a.timer, 0);
    assert_int_equal(a.n, 0);
    run_until(&j, 20);
    assert_string_equal(j.text, "a|a|a|a|a|a|a|a|a|a|");
    pn_timer_free(a.timer);
    pn_loop_free(j.loop);
}

static void test_timer_periodic(void **state)
{
    journal j;
    timed a;
    uint64_t start_us;

    (void)state;
    begin(&j);
    timed_new(&a, &j, 'a');
    a.rearm_us = 5 * MS;
    start_us = pn_loop_update_now(j.loop);
    pn_timer_set(a.timer, start_us + 5 * MS);
    for (int i = 0; i < 100 && a.n < 4; i++) {
        run_for(&j, 5);
    }
    assert_true(a.n >= 4);
    assert_true(pn_loop_update_now(j.loop) - start_us >= a.n * 5 * MS);
    pn_timer_free(a.timer);
    pn_loop_free(j.loop);
}

/* As in pn_loop_run, where the loop itself waits. */
static void on_stop(void *user)
{
    journal *j = user;

    note(j, 's');
    pn_loop_stop(j->loop);
}

static void test_run_until_stop(void **state)
{
    journal j;
    timed a;
    pn_timer *stop;
    uint64_t now_us;

    (void)state;
    begin(&j);
    timed_new(&a, &j, 'a');
    assert_int_equal(pn_timer_new(j.loop, on_stop, &j, &stop), PN_OK);
    now_us = pn_loop_update_now(j.loop);
    pn_timer_set(a.timer, now_us + 3 * MS);
    pn_timer_set(stop, now_us + 9 * MS);
    pn_loop_run(j.loop);
    assert_int_equal(a.n, 1);
    assert_non_null(strchr(j.text, 's'));
    assert_int_equal(j.text[j.len - 1], '|'); /* also the last turn ends */
    assert_true(pn_loop_update_now(j.loop) >= now_us + 9 * MS);
    pn_timer_free(a.timer);
    pn_timer_free(stop);
    pn_loop_free(j.loop);
}

/* Ten thousand timers, drawn, moved and disarmed: all that are left fire, in
 * order. */
static void test_many_timers(void **state)
{
    enum { N = 10000 };
    static timed t[N];
    journal j;
    uint64_t seed = 3;
    uint64_t start_us;
    uint64_t last = 0;

    (void)state;
    begin(&j);
    j.is_off = true;
    start_us = pn_loop_update_now(j.loop);
    for (size_t i = 0; i < N; i++) {
        timed_new(&t[i], &j, 'x');
        pn_timer_set(t[i].timer, start_us + pn_test_random(&seed) % 20000);
    }
    for (size_t i = 0; i < N; i += 3) {
        pn_timer_set(t[i].timer,
            i % 2 == 0 ? PN_TIME_NEVER
                       : start_us + 100 + pn_test_random(&seed) % 20000);
    }
    for (uint64_t until = start_us + 60000;
         pn_loop_update_now(j.loop) < until;) {
        pn_loop_run_once(j.loop);
    }
    pn_loop_run_once(j.loop);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(t[i].n, i % 6 == 0 ? 0 : 1);
        last = t[i].fired_us > last ? t[i].fired_us : last;
        pn_timer_free(t[i].timer);
    }
    assert_true(last >= start_us);
    pn_loop_free(j.loop);
}

/* ---- turns ------------------------------------------------------------ */

typedef struct work {
    journal *j;
    pn_task task;
    char name;
    struct work *posts;
    struct work *posts_after;
    struct work *cancels;
} work;

static void on_work(void *user)
{
    work *w = user;

    note(w->j, w->name);
    if (w->posts != NULL) {
        pn_loop_post(w->j->loop, &w->posts->task);
    }
    if (w->posts_after != NULL) {
        pn_loop_after_turn(w->j->loop, &w->posts_after->task);
    }
    if (w->cancels != NULL) {
        pn_task_cancel(&w->cancels->task);
    }
}

static work work_of(journal *j, char name)
{
    return (work){.j = j, .name = name};
}

static void arm(work *w)
{
    w->task = (pn_task){.run = on_work, .user = w};
}

static void test_idle_turn_has_no_end(void **state)
{
    journal j;

    (void)state;
    begin(&j);
    pn_loop_run_once(j.loop);
    pn_loop_run_once(j.loop);
    assert_string_equal(j.text, "");
    assert_int_equal(pn_loop_timeout_ms(j.loop), -1);
    pn_loop_free(j.loop);
}

/* A task that a task posts runs in the next turn, after the turn's end. */
static void test_tasks(void **state)
{
    journal j;
    work a;
    work b;
    work c;

    (void)state;
    begin(&j);
    a = work_of(&j, 'a');
    b = work_of(&j, 'b');
    c = work_of(&j, 'c');
    arm(&a);
    arm(&b);
    arm(&c);
    a.posts = &a;
    b.posts_after = &c;
    pn_loop_post(j.loop, &a.task);
    pn_loop_post(j.loop, &b.task);
    pn_loop_post(j.loop, &a.task); /* it is posted already */
    assert_string_equal(j.text, "");
    assert_int_equal(pn_loop_timeout_ms(j.loop), 0);
    pn_loop_run_once(j.loop);
    assert_string_equal(j.text, "ab|c");
    a.posts = NULL;
    assert_int_equal(pn_loop_timeout_ms(j.loop), 0);
    pn_loop_run_once(j.loop);
    assert_string_equal(j.text, "ab|ca|");
    pn_loop_run_once(j.loop);
    assert_string_equal(j.text, "ab|ca|");
    pn_loop_free(j.loop);
}

static void test_task_cancelled(void **state)
{
    journal j;
    work a;
    work b;
    work c;

    (void)state;
    begin(&j);
    a = work_of(&j, 'a');
    b = work_of(&j, 'b');
    c = work_of(&j, 'c');
    arm(&a);
    arm(&b);
    arm(&c);
    a.cancels = &b; /* in the same batch */
    pn_task_cancel(&c.task);
    pn_loop_post(j.loop, &a.task);
    pn_loop_post(j.loop, &b.task);
    pn_loop_post(j.loop, &c.task);
    pn_loop_run_once(j.loop);
    assert_string_equal(j.text, "ac|");
    pn_loop_post(j.loop, &b.task);
    pn_task_cancel(&b.task);
    pn_loop_after_turn(j.loop, &c.task);
    pn_task_cancel(&c.task);
    pn_loop_soon(j.loop, &a.task);
    pn_task_cancel(&a.task);
    run_for(&j, 5);
    assert_null(strchr(j.text + 3, 'a'));
    assert_null(strchr(j.text + 3, 'b'));
    assert_null(strchr(j.text + 3, 'c'));
    pn_loop_free(j.loop);
}

static void test_soon(void **state)
{
    journal j;
    work a;
    work b;
    uint64_t start_us;

    (void)state;
    begin(&j);
    a = work_of(&j, 'a');
    b = work_of(&j, 'b');
    arm(&a);
    arm(&b);
    start_us = pn_loop_update_now(j.loop);
    pn_loop_soon(j.loop, &a.task);
    pn_loop_soon(j.loop, &b.task);
    while (j.len == 0 && pn_loop_update_now(j.loop) < start_us + 1000 * MS) {
        pn_loop_run_once(j.loop);
    }
    assert_string_equal(j.text, "ab|");
    assert_in_range(pn_loop_now_us(j.loop) - start_us, 500, 500 * MS);
    pn_loop_soon(j.loop, &a.task);
    run_until(&j, 5);
    assert_string_equal(j.text, "ab|a|");
    pn_loop_free(j.loop);
}

/* Nothing that happens is left without a turn's end before the loop waits. */
static void test_end_precedes_wait(void **state)
{
    journal j;
    timed t;
    work a;

    (void)state;
    begin(&j);
    timed_new(&t, &j, 't');
    a = work_of(&j, 'a');
    arm(&a);
    pn_timer_set(t.timer, 1);
    pn_loop_post(j.loop, &a.task);
    pn_loop_run_once(j.loop);
    /* The task ran before the poll, the timer in it: an end after each. */
    assert_string_equal(j.text, "a|t|");
    pn_timer_free(t.timer);
    pn_loop_free(j.loop);
}

/* ---- wakers and watches ----------------------------------------------- */

typedef struct woken {
    journal *j;
    pn_waker *waker;
    pthread_t thread;
    unsigned n;
} woken;

static void on_wake(void *user)
{
    woken *w = user;

    w->n++;
    note(w->j, 'w');
}

static void test_waker_coalesces(void **state)
{
    journal j;
    woken w = {.j = &j};

    (void)state;
    begin(&j);
    assert_int_equal(pn_waker_new(j.loop, on_wake, &w, &w.waker), PN_OK);
    pn_loop_run_once(j.loop); /* a program asks the fd only after a run */
    for (int i = 0; i < 100; i++) {
        pn_waker_wake(w.waker);
    }
    run_until(&j, 2);
    assert_string_equal(j.text, "w|");
    pn_waker_wake(w.waker);
    run_until(&j, 4);
    assert_string_equal(j.text, "w|w|");
    pn_waker_free(w.waker);
    pn_waker_free(NULL);
    pn_loop_free(j.loop);
}

static void on_wake_stop(void *user)
{
    woken *w = user;

    w->n++;
    pn_loop_stop(w->j->loop);
}

static void *wake_later(void *user)
{
    woken *w = user;

    (void)usleep(5000);
    pn_waker_wake(w->waker);
    return NULL;
}

static void test_waker_from_a_thread(void **state)
{
    journal j;
    woken w = {.j = &j};

    (void)state;
    begin(&j);
    assert_int_equal(pn_waker_new(j.loop, on_wake_stop, &w, &w.waker), PN_OK);
    assert_int_equal(pthread_create(&w.thread, NULL, wake_later, &w), 0);
    pn_loop_run(j.loop);
    assert_int_equal(w.n, 1);
    (void)pthread_join(w.thread, NULL);
    pn_waker_free(w.waker);
    pn_loop_free(j.loop);
}

typedef struct watched {
    journal *j;
    pn_watch *watch;
    int fds[2];
    bool reads;
} watched;

static void on_watched(void *user)
{
    watched *w = user;
    char c;

    note(w->j, 'p');
    if (w->reads) {
        (void)!read(w->fds[0], &c, 1);
    }
}

static void test_watch(void **state)
{
    journal j;
    watched w = {.j = &j, .reads = true};

    (void)state;
    begin(&j);
    assert_int_equal(pipe2(w.fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(
        pn_watch_new(j.loop, w.fds[0], on_watched, &w, &w.watch), PN_OK);
    pn_loop_run_once(j.loop);
    assert_string_equal(j.text, "");
    assert_int_equal(write(w.fds[1], "x", 1), 1);
    run_until(&j, 2);
    assert_string_equal(j.text, "p|");
    w.reads = false; /* level-triggered: it comes again */
    assert_int_equal(write(w.fds[1], "x", 1), 1);
    pn_loop_run_once(j.loop);
    pn_loop_run_once(j.loop);
    assert_string_equal(j.text, "p|p|p|");
    pn_watch_free(w.watch);
    pn_watch_free(NULL);
    pn_loop_run_once(j.loop);
    assert_string_equal(j.text, "p|p|p|");
    pn_loop_free(j.loop);
    (void)close(w.fds[0]);
    (void)close(w.fds[1]);
}

/* ---- the rest --------------------------------------------------------- */

static void test_now_stands_in_a_turn(void **state)
{
    journal j;
    uint64_t a;

    (void)state;
    begin(&j);
    a = pn_loop_now_us(j.loop);
    (void)usleep(2000);
    assert_int_equal(pn_loop_now_us(j.loop), a);
    assert_true(pn_loop_update_now(j.loop) >= a + 2000);
    pn_loop_free(j.loop);
}

static size_t resident_kib(void)
{
    char line[256];
    size_t kib = 0;
    FILE *f = fopen("/proc/self/status", "re");

    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "RssAnon: %zu", &kib) == 1) {
            break;
        }
    }
    (void)fclose(f);
    return kib;
}

/* The shared buffer costs what is used of it. */
static void test_read_buffer_is_lazy(void **state)
{
    journal j;
    size_t before;
    size_t cap = 0;
    uint8_t *p;

    (void)state;
    begin(&j);
    before = resident_kib();
    p = pn_loop_read_buffer(j.loop, &cap);
    assert_non_null(p);
    assert_true(cap >= 256 * 1024);
    p[0] = 1;
    assert_ptr_equal(pn_loop_read_buffer(j.loop, &cap), p);
    assert_true(resident_kib() < before + 128);
    pn_loop_free(j.loop);
    pn_loop_free(NULL);
}

int main(void)
{
    pn_test_add(
        "os/loop/timers_fire_in_order", test_timers_fire_in_order, NULL);
    pn_test_add("os/loop/timer_set_replaces", test_timer_set_replaces, NULL);
    pn_test_add("os/loop/timer_disarmed", test_timer_disarmed, NULL);
    pn_test_add(
        "os/loop/timer_freed_in_callback", test_timer_freed_in_callback, NULL);
    pn_test_add("os/loop/timer_in_the_past", test_timer_in_the_past, NULL);
    pn_test_add("os/loop/timer_periodic", test_timer_periodic, NULL);
    pn_test_add("os/loop/run_until_stop", test_run_until_stop, NULL);
    pn_test_add("os/loop/many_timers", test_many_timers, NULL);
    pn_test_add(
        "os/loop/idle_turn_has_no_end", test_idle_turn_has_no_end, NULL);
    pn_test_add("os/loop/tasks", test_tasks, NULL);
    pn_test_add("os/loop/task_cancelled", test_task_cancelled, NULL);
    pn_test_add("os/loop/soon", test_soon, NULL);
    pn_test_add("os/loop/end_precedes_wait", test_end_precedes_wait, NULL);
    pn_test_add("os/loop/waker_coalesces", test_waker_coalesces, NULL);
    pn_test_add("os/loop/waker_from_a_thread", test_waker_from_a_thread, NULL);
    pn_test_add("os/loop/watch", test_watch, NULL);
    pn_test_add(
        "os/loop/now_stands_in_a_turn", test_now_stands_in_a_turn, NULL);
    pn_test_add("os/loop/read_buffer_is_lazy", test_read_buffer_is_lazy, NULL);
    return pn_test_run("os/loop");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The file of grants of a running node: live on a link that is up. */
#include <sys/stat.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/node_internal.h"
#include "os/clock.h"
#include "slow_calls.h"
#include "two_nodes.h"

static atomic_int n_would_logged;
static atomic_int n_bad_logged;
static char would_text[256];
static char bad_text[256];

static pthread_mutex_t text_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_log(void *user, const pn_log_event *event)
{
    (void)user;
    (void)pthread_mutex_lock(&text_lock);
    if (event->what == PN_LOG_WOULD_ALLOW) {
        (void)snprintf(would_text, sizeof(would_text), "%s", event->text);
        atomic_fetch_add(&n_would_logged, 1);
    } else if (event->what == PN_LOG_GRANTS
               || event->what == PN_LOG_GRANTS_NOT_READ) {
        (void)snprintf(bad_text, sizeof(bad_text), "%s", event->text);
        atomic_fetch_add(&n_bad_logged, 1);
    }
    (void)pthread_mutex_unlock(&text_lock);
}

static bool says(const char *logged, const char *words)
{
    bool found;

    (void)pthread_mutex_lock(&text_lock);
    found = strstr(logged, words) != NULL;
    (void)pthread_mutex_unlock(&text_lock);
    return found;
}

static void with_log(pn_node_options *opt, bool is_alice)
{
    if (!is_alice) {
        opt->on_log = on_log;
    }
}

/* Linked; bob has "led", which nobody may use. */
static void open_closed(two_nodes *t)
{
    pn_expose_options closed;

    atomic_store(&n_would_logged, 0);
    atomic_store(&n_bad_logged, 0);
    two_nodes_open(t, with_log);
    pn_expose_options_init(&closed);
    closed.flags = PN_EXPOSE_CLOSED;
    assert_int_equal(
        pn_expose(t->bob, "led", two_nodes_on_echo, NULL, &closed), PN_OK);
}

static void path_of(const two_nodes *t, char ret_path[static 80])
{
    (void)snprintf(ret_path, 80, "%s/grants", t->bob_dir);
}

/* As an editor writes: another file in its place. %K: alice's key. */
static void write_file(const two_nodes *t, const char *text)
{
    char path[80];
    char other[90];
    char key[PN_BASE32_LEN + 1];
    FILE *f;

    path_of(t, path);
    (void)snprintf(other, sizeof(other), "%s.new", path);
    pn_key_to_base32(&t->alice_key, key);
    f = fopen(other, "w");
    assert_non_null(f);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '%') {
            (void)fputs(key, f);
        } else {
            (void)fputc(*at, f);
        }
    }
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(other, path), 0);
}

static char *read_file(const two_nodes *t)
{
    char path[80];
    char *text = calloc(1, 4096);
    FILE *f;

    path_of(t, path);
    f = fopen(path, "r");
    if (f != NULL) {
        (void)!fread(text, 1, 4095, f);
        (void)fclose(f);
    }
    return text;
}

static pn_err call_led(two_nodes *t)
{
    return pn_call(t->alice, &t->bob_key, "led", 10000, NULL, "~i", 1);
}

static bool is_allowed(void *user)
{
    return call_led(user) == PN_OK;
}

static bool is_denied(void *user)
{
    return call_led(user) == PN_REMOTE;
}

static pn_stored_grant led_grant(const two_nodes *t)
{
    return (pn_stored_grant){.who = pn_peernet_principal(&t->alice_key),
        .name = "led",
        .until_us = PN_GRANT_FOR_EVER};
}

/* ---- by hand ------------------------------------------------------------- */

static void test_node_grants_by_hand(void **state)
{
    unsigned n_down;
    two_nodes t;

    (void)state;
    open_closed(&t);
    n_down = t.n_events[PN_EVENT_PEER_DOWN];
    assert_int_equal(call_led(&t), PN_REMOTE);
    write_file(&t, "peernet % led\n");
    two_nodes_wait(is_allowed, &t);
    write_file(&t, "# nobody\n");
    two_nodes_wait(is_denied, &t);
    write_file(&t, "paired role:r\nrole r x led\n");
    two_nodes_wait(is_allowed, &t);
    write_file(&t, "paired role:r\nrole r x\n");
    two_nodes_wait(is_denied, &t);
    write_file(&t, "bad\nperhaps % led\npeernet % led\npeernet % x");
    two_nodes_wait(is_allowed, &t);
    assert_int_equal(atomic_load(&n_bad_logged), 3);
    assert_true(says(bad_text, "line 4"));
    assert_true(says(bad_text, "newline"));
    assert_int_equal(t.n_events[PN_EVENT_PEER_DOWN], n_down);
    two_nodes_close(&t);
}

/* A file that others may have written grants nothing, not even what it said
 * before. */
static void test_node_grants_unreadable(void **state)
{
    char path[80];
    two_nodes t;

    (void)state;
    open_closed(&t);
    write_file(&t, "peernet % led\n");
    two_nodes_wait(is_allowed, &t);
    path_of(&t, path);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(pn_set_label(t.bob, "x"), PN_OK);
    /* The watch does not see a mode; the next edit of anything has it read. */
    assert_int_equal(pn_pair(t.bob, &t.alice_key, "al"), PN_EXISTS);
    assert_int_equal(call_led(&t), PN_REMOTE);
    assert_true(says(bad_text, "other users"));
    write_file(&t, "peernet % led\n");
    two_nodes_wait(is_allowed, &t);
    two_nodes_close(&t);
}

/* ---- by the functions ---------------------------------------------------- */

static void test_node_grants_edits(void **state)
{
    pn_stored_grant grant;
    pn_stored_line *lines = NULL;
    pn_principal alice;
    pn_why why = {0};
    size_t n = 0;
    two_nodes t;

    (void)state;
    open_closed(&t);
    grant = led_grant(&t);
    alice = grant.who;
    assert_int_equal(pn_grant_stored(t.bob, &grant, &why), PN_OK);
    assert_int_equal(call_led(&t), PN_OK);
    assert_int_equal(pn_grant_stored(t.bob, &grant, &why), PN_EXISTS);
    assert_int_equal(pn_list_stored_grants(t.bob, &lines, &n, &why), PN_OK);
    assert_int_equal(n, 1);
    assert_int_equal(lines[0].kind, PN_STORED_GRANT);
    assert_string_equal(lines[0].grant.name, "led");
    free(lines);
    assert_int_equal(pn_ungrant_stored(t.bob, &alice, "led", &why), PN_OK);
    assert_int_equal(call_led(&t), PN_REMOTE);
    assert_int_equal(
        pn_ungrant_stored(t.bob, &alice, "led", &why), PN_NOT_FOUND);
    (void)snprintf(grant.name, sizeof(grant.name), "role:r");
    assert_int_equal(pn_grant_stored(t.bob, &grant, &why), PN_OK);
    assert_int_equal(call_led(&t), PN_REMOTE);
    assert_int_equal(
        pn_set_role(t.bob, "r", (const char *[]){"led"}, 1, &why), PN_OK);
    assert_int_equal(call_led(&t), PN_OK);
    assert_int_equal(pn_set_role(t.bob, "r", NULL, 0, &why), PN_OK);
    assert_int_equal(call_led(&t), PN_REMOTE);
    memset(&grant.who.key, 9, sizeof(grant.who.key));
    assert_int_equal(pn_grant_stored(t.bob, &grant, &why), PN_NOT_FOUND);
    two_nodes_close(&t);
}

/* What waits is decided again: a deferred call of a grant that is taken away,
 * or that ends by the clock, is refused at once. */
typedef struct keeper {
    atomic_int n;
    pn_request *kept;
} keeper;

static void on_keep(pn_request *req, pn_term args, void *user)
{
    keeper *k = user;

    (void)args;
    if (pn_request_defer(req, &k->kept) == PN_OK) {
        atomic_fetch_add(&k->n, 1);
    }
}

static bool has_kept(void *user)
{
    return atomic_load(&((keeper *)user)->n) > 0;
}

static void begin_waiting(two_nodes *t, keeper *k, result *r)
{
    static const uint8_t one[] = {97, 1};
    pn_expose_options closed;

    pn_expose_options_init(&closed);
    closed.flags = PN_EXPOSE_CLOSED;
    assert_int_equal(pn_expose(t->bob, "led", on_keep, k, &closed), PN_OK);
    assert_int_equal(pn_call_async(t->alice, &t->bob_key, "led", 30000,
                         (pn_term){one, sizeof(one)}, on_done, r),
        PN_OK);
    two_nodes_wait(has_kept, k);
    assert_int_equal(atomic_load(&r->n), 0);
}

static void test_node_grants_waiting(void **state)
{
    keeper k = {0};
    result r = {0};
    two_nodes t;

    (void)state;
    open_closed(&t);
    write_file(&t, "peernet % led\n");
    two_nodes_wait(is_allowed, &t);
    begin_waiting(&t, &k, &r);
    write_file(&t, "peernet % other\n");
    two_nodes_wait(is_done, &r);
    assert_int_equal(r.outcome, PN_REMOTE);
    pn_request_drop(k.kept);
    two_nodes_close(&t);
}

static void test_node_grants_until(void **state)
{
    pn_stored_grant grant;
    pn_why why = {0};
    keeper k = {0};
    result r = {0};
    two_nodes t;

    (void)state;
    open_closed(&t);
    grant = led_grant(&t);
    grant.until_us = (pn_wall_now_us() / 1000000 + 3) * 1000000;
    assert_int_equal(pn_grant_stored(t.bob, &grant, &why), PN_OK);
    begin_waiting(&t, &k, &r);
    two_nodes_wait(is_done, &r);
    assert_int_equal(r.outcome, PN_REMOTE);
    assert_true(pn_wall_now_us() >= grant.until_us);
    assert_int_equal(call_led(&t), PN_REMOTE);
    pn_request_drop(k.kept);
    two_nodes_close(&t);
}

/* ---- ends with the peer -------------------------------------------------- */

static void test_node_grants_unpaired(void **state)
{
    pn_stored_grant grant;
    pn_why why = {0};
    char address[32];
    char *text;
    two_nodes t;

    (void)state;
    open_closed(&t);
    write_file(&t, "# kept\npaired other\n");
    grant = led_grant(&t);
    assert_int_equal(pn_grant_stored(t.bob, &grant, &why), PN_OK);
    assert_int_equal(call_led(&t), PN_OK);
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    text = read_file(&t);
    assert_string_equal(text, "# kept\npaired other\n");
    free(text);
    assert_int_equal(pn_pair(t.bob, &t.alice_key, "alice"), PN_OK);
    node_address(t.bob, address);
    assert_int_equal(pn_connect(t.alice, &t.bob_key, address), PN_OK);
    assert_int_equal(
        pn_wait_connected(t.alice, &t.bob_key, 10000, &why), PN_OK);
    assert_int_equal(call_led(&t), PN_REMOTE);
    two_nodes_close(&t);
}

static bool is_forgotten(void *user)
{
    char *text = read_file(user);
    const bool is_empty = strstr(text, "barrel") == NULL;

    free(text);
    return is_empty;
}

/* What another family's pins do: the lines are dead at once, and then gone. */
static void test_node_grants_forgotten(void **state)
{
    pn_principal who = {.family = PN_FAMILY_BARREL};
    pn_can_step *steps = NULL;
    pn_reason reason = PN_REASON_NONE;
    size_t n = 0;
    two_nodes t;
    pn_stored_grant grant;
    pn_why why = {0};

    (void)state;
    open_closed(&t);
    grant = led_grant(&t);
    memset(&who.key, 7, sizeof(who.key));
    grant.who = who;
    assert_int_equal(pn_grant_stored(t.bob, &grant, &why), PN_OK);
    assert_int_equal(pn_can(t.bob, &who, "led", &reason, &steps, &n), PN_OK);
    assert_int_equal(reason, PN_REASON_NONE);
    free(steps);
    pn_node_lock(t.bob);
    pn_node_forget_grants(t.bob, &who);
    pn_node_unlock(t.bob);
    assert_int_equal(pn_can(t.bob, &who, "led", &reason, &steps, &n), PN_OK);
    assert_int_equal(reason, PN_REASON_FORBIDDEN);
    free(steps);
    two_nodes_wait(is_forgotten, &t);
    /* A new one holds. */
    assert_int_equal(pn_grant_stored(t.bob, &grant, &why), PN_OK);
    assert_int_equal(pn_can(t.bob, &who, "led", &reason, &steps, &n), PN_OK);
    assert_int_equal(reason, PN_REASON_NONE);
    free(steps);
    two_nodes_close(&t);
}

/* ---- log-only ------------------------------------------------------------ */

static bool has_would(void *user)
{
    return atomic_load(&n_would_logged) >= *(int *)user;
}

static void test_node_grants_log_only(void **state)
{
    int one = 1;
    two_nodes t;

    (void)state;
    open_closed(&t);
    write_file(&t, "# x\npeernet % led log-only\n");
    for (int i = 0; i < 5000 && atomic_load(&n_would_logged) == 0; i++) {
        assert_int_equal(call_led(&t), PN_REMOTE);
    }
    two_nodes_wait(has_would, &one);
    assert_true(says(would_text, "line 2"));
    assert_true(says(would_text, "led"));
    for (int i = 0; i < 50; i++) {
        assert_int_equal(call_led(&t), PN_REMOTE);
    }
    assert_in_range(atomic_load(&n_would_logged), 1, 4);
    two_nodes_close(&t);
}

/* ---- functions ----------------------------------------------------------- */

static void test_node_grants_function(void **state)
{
    static const uint8_t list[] = {106}; /* [] */
    const pn_term none = {list, sizeof(list)};
    pn_beam_dist *table = NULL;
    pn_stored_grant grant;
    pn_expose_options closed;
    pn_why why = {0};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, with_log);
    pn_expose_options_init(&closed);
    closed.flags = PN_EXPOSE_CLOSED;
    assert_int_equal(pn_beam_dist_serve(t.bob, NULL, &closed, &table), PN_OK);
    assert_int_equal(pn_beam_dist_export(
                         table, "MyApp.Led", "on", 0, two_nodes_on_echo, NULL),
        PN_OK);
    assert_int_equal(pn_beam_dist_export(
                         table, "MyApp.Led", "off", 0, two_nodes_on_echo, NULL),
        PN_OK);
    grant = led_grant(&t);
    (void)snprintf(grant.name, sizeof(grant.name), "MyApp.Led.on/0");
    assert_int_equal(pn_beam_dist_call(t.alice, &t.bob_key, NULL, "MyApp.Led",
                         "on", none, 10000, NULL),
        PN_REMOTE);
    assert_int_equal(pn_grant_stored(t.bob, &grant, &why), PN_OK);
    assert_int_equal(pn_beam_dist_call(t.alice, &t.bob_key, NULL, "MyApp.Led",
                         "on", none, 10000, NULL),
        PN_OK);
    assert_int_equal(pn_beam_dist_call(t.alice, &t.bob_key, NULL, "MyApp.Led",
                         "off", none, 10000, NULL),
        PN_REMOTE);
    assert_int_equal(pn_ungrant_stored(t.bob, &grant.who, NULL, &why), PN_OK);
    assert_int_equal(pn_beam_dist_call(t.alice, &t.bob_key, NULL, "MyApp.Led",
                         "on", none, 10000, NULL),
        PN_REMOTE);
    two_nodes_close(&t);
}

/* ---- the program's own grants in one step -------------------------------- */

static void test_node_grants_set(void **state)
{
    pn_principal who[2];
    two_nodes t;

    (void)state;
    open_closed(&t);
    who[0] = pn_peernet_principal(&t.alice_key);
    who[1] = pn_peernet_principal(&t.bob_key);
    assert_int_equal(pn_set_grants(t.bob, "led", false, who, 2), PN_OK);
    assert_int_equal(call_led(&t), PN_OK);
    assert_int_equal(pn_set_grants(t.bob, "led", false, &who[1], 1), PN_OK);
    assert_int_equal(call_led(&t), PN_REMOTE);
    assert_int_equal(pn_set_grants(t.bob, "led", true, NULL, 0), PN_OK);
    assert_int_equal(call_led(&t), PN_OK);
    memset(&who[1].key, 0, sizeof(who[1].key));
    assert_int_equal(pn_set_grants(t.bob, "led", false, who, 2), PN_INVALID);
    assert_int_equal(call_led(&t), PN_OK);
    assert_int_equal(pn_set_grants(t.bob, "led", false, NULL, 0), PN_OK);
    assert_int_equal(call_led(&t), PN_REMOTE);
    assert_int_equal(pn_set_grants(t.bob, "no", false, NULL, 0), PN_NOT_FOUND);
    two_nodes_close(&t);
}

static void test_node_grants_can(void **state)
{
    pn_principal alice;
    pn_can_step *steps = NULL;
    pn_reason reason = PN_REASON_NONE;
    size_t n = 0;
    two_nodes t;

    (void)state;
    open_closed(&t);
    alice = pn_peernet_principal(&t.alice_key);
    assert_int_equal(pn_can(t.bob, &alice, "no", &reason, &steps, &n), PN_OK);
    assert_int_equal(reason, PN_REASON_NO_SUCH_HANDLE);
    assert_int_equal(n, 1);
    free(steps);
    write_file(&t, "peernet % led until 2001-01-01T00:00:00Z\n"
                   "paired led log-only\npaired role:r\nrole r led\n");
    two_nodes_wait(is_allowed, &t);
    assert_int_equal(pn_can(t.bob, &alice, "led", &reason, &steps, &n), PN_OK);
    assert_int_equal(reason, PN_REASON_NONE);
    assert_int_equal(n, 8);
    assert_int_equal(steps[2].what, PN_CAN_PAIRED);
    assert_true(steps[2].is_passed);
    assert_int_equal(steps[5].what, PN_CAN_LINE_ENDED);
    assert_int_equal(steps[5].line, 1);
    assert_int_equal(steps[6].what, PN_CAN_LINE_LOG_ONLY);
    assert_int_equal(steps[7].what, PN_CAN_LINE);
    assert_int_equal(steps[7].line, 3);
    assert_string_equal(steps[7].grant.name, "role:r");
    free(steps);
    memset(&alice.key, 5, sizeof(alice.key));
    assert_int_equal(pn_can(t.bob, &alice, "led", &reason, &steps, &n), PN_OK);
    assert_int_equal(reason, PN_REASON_FORBIDDEN);
    assert_int_equal(steps[n - 1].what, PN_CAN_PAIRED);
    assert_false(steps[n - 1].is_passed);
    free(steps);
    two_nodes_close(&t);
}

#define TEST(name)                                                             \
    pn_test_add("node/grants/" #name, test_node_grants_##name, NULL)

int main(void)
{
    TEST(by_hand);
    TEST(unreadable);
    TEST(edits);
    TEST(waiting);
    TEST(until);
    TEST(unpaired);
    TEST(forgotten);
    TEST(log_only);
    TEST(function);
    TEST(set);
    TEST(can);
    return pn_test_run("node/grants");
}

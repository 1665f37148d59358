/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole windows on loopback, in one thread: two devices find each other by
 * their announces, their owners compare, and both have stored; strangers use up
 * the tries and make no pairing (PAIR-1, PAIR-2).
 */
#include <peernet/grants.h>
#include <peernet/pairing.h>
#include <peernet/store.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "pairing_rig.h"
#include "tempdir.h"

/* Hears announces of 127/8 beside every other socket of the port. */
#define EVERYBODY "127.255.255.255"

typedef struct device {
    char dir[600];
    pn_pairing *pairing;
    pn_public_key key;
    bool picks; /* the first candidate */
    int answer; /* 1 yes, 0 no, -1 none */
    unsigned n_found;
    unsigned n_digits;
    unsigned n_failed;
    char digits[7];
    bool is_over;
    pn_pairing_result result;
    char why[256];
} device;

typedef struct devices {
    pn_tempdir t;
    device a;
    device b;
    uint16_t port; /* of the announces */
} devices;

static void on_candidate(void *user, const pn_pairing_candidate *candidate)
{
    device *d = user;

    d->n_found++;
    if (d->picks) {
        assert_int_equal(pn_pairing_choose(d->pairing, &candidate->key), PN_OK);
    }
}

static void on_digits(void *user, const pn_public_key *key, const char *digits)
{
    device *d = user;

    assert_non_null(key);
    d->n_digits++;
    (void)strcpy(d->digits, digits);
}

static void on_failed(void *user, unsigned n_failed, const char *why)
{
    device *d = user;

    assert_int_equal(n_failed, d->n_failed + 1);
    assert_true(strlen(why) > 0);
    d->n_failed = n_failed;
    d->digits[0] = '\0';
}

static void on_end(void *user, const pn_pairing_result *result)
{
    device *d = user;

    assert_false(d->is_over);
    d->is_over = true;
    d->result = *result;
    (void)strncpy(d->why, result->why, sizeof(d->why) - 1);
}

/* One of the two takes the other's word for it. */
static bool may_label(
    void *user, const pn_public_key *key, const char *proposed)
{
    assert_non_null(user);
    assert_non_null(key);
    return strcmp(proposed, "door") == 0;
}

static const pn_pairing_callbacks callbacks = {
    .may_label = may_label,
    .on_candidate = on_candidate,
    .on_digits = on_digits,
    .on_failed = on_failed,
    .on_end = on_end,
};

/* A port that nobody uses now; announces of other tests do not reach it. */
static uint16_t free_port(void)
{
    char address[32];
    int fd = pn_test_socket(SOCK_DGRAM, address);
    uint16_t port = (uint16_t)atoi(strrchr(address, ':') + 1);

    (void)close(fd);
    return port;
}

static void device_open(devices *ds, device *d, const char *name,
    void (*change)(pn_pairing_options *options))
{
    pn_pairing_options options;
    pn_store *store;
    pn_why why = {0};

    (void)snprintf(d->dir, sizeof(d->dir), "%s", pn_tempdir_path(&ds->t, name));
    assert_int_equal(pn_store_open(d->dir, &store, &why, NULL), PN_OK);
    d->key = *pn_store_key(store);
    pn_store_close(store);
    pn_pairing_options_init(&options);
    options.own_label = name;
    options.node_port = 4242;
    options.discovery_port = ds->port;
    options.discovery_address = EVERYBODY;
    options.listen_address = "127.0.0.1";
    if (change != NULL) {
        change(&options);
    }
    d->answer = -1;
    assert_int_equal(
        pn_pairing_open(d->dir, &options, &callbacks, d, &d->pairing, &why),
        PN_OK);
}

static void devices_open(
    devices *ds, void (*change)(pn_pairing_options *options))
{
    *ds = (devices){.port = free_port()};
    pn_tempdir_init(&ds->t);
    device_open(ds, &ds->a, "lamp", change);
    device_open(ds, &ds->b, "door", change);
}

static void devices_close(devices *ds)
{
    pn_pairing_close(ds->a.pairing);
    pn_pairing_close(ds->b.pairing);
    pn_tempdir_fini(&ds->t);
}

/* One turn of both; an owner answers once there are digits. */
static void turn(devices *ds)
{
    device *both[] = {&ds->a, &ds->b};
    struct pollfd fds[2];
    int wait_ms = 100;

    for (size_t i = 0; i < 2; i++) {
        int ms = pn_pairing_timeout_ms(both[i]->pairing);

        fds[i] = (struct pollfd){
            .fd = pn_pairing_fd(both[i]->pairing), .events = POLLIN};
        wait_ms = ms >= 0 && ms < wait_ms ? ms : wait_ms;
    }
    (void)poll(fds, 2, wait_ms);
    for (size_t i = 0; i < 2; i++) {
        device *d = both[i];

        pn_pairing_run(d->pairing);
        if (d->digits[0] != '\0' && d->answer >= 0 && ds->a.digits[0] != '\0'
            && ds->b.digits[0] != '\0') {
            (void)!pn_pairing_answer(d->pairing, d->answer == 1);
        }
    }
}

/* Turns until a condition holds, at most 20 s. */
#define TURN_UNTIL(ds, condition)                                              \
    do {                                                                       \
        unsigned n_turns = 0;                                                  \
        while (!(condition) && n_turns++ < 20000) {                            \
            turn(ds);                                                          \
        }                                                                      \
        assert_true(condition);                                                \
    } while (0)

/* 1: stored, 2: pending, 0: neither. */
static int state_of(const device *d, const pn_public_key *key)
{
    pn_store_peer *peers;
    pn_store *store;
    pn_public_key found;
    char text[PN_BASE32_LEN + 1];
    int state = 0;
    size_t n;

    pn_key_to_base32(key, text);
    assert_int_equal(pn_store_open(d->dir, &store, NULL, NULL), PN_OK);
    assert_int_equal(pn_store_peers(store, &peers, &n, NULL), PN_OK);
    state = pn_store_find(peers, n, text, &found) == PN_OK ? 1 : 0;
    free(peers);
    assert_int_equal(pn_store_list_pending(store, &peers, &n, NULL), PN_OK);
    if (pn_store_find(peers, n, text, &found) == PN_OK) {
        assert_int_equal(state, 0);
        state = 2;
    }
    free(peers);
    pn_store_close(store);
    return state;
}

/* ---- two devices
 * -------------------------------------------------------------- */

/* Both dial at once, or one of them does. */
static void test_paired(void **state)
{
    const unsigned who = (unsigned)(uintptr_t)*state;
    devices ds;

    devices_open(&ds, NULL);
    ds.a.picks = (who & 1) != 0;
    ds.b.picks = (who & 2) != 0;
    ds.a.answer = 1;
    ds.b.answer = 1;
    TURN_UNTIL(&ds, ds.a.is_over && ds.b.is_over);
    assert_int_equal(ds.a.result.outcome, PN_PAIRING_PAIRED);
    assert_int_equal(ds.b.result.outcome, PN_PAIRING_PAIRED);
    assert_string_equal(ds.a.digits, ds.b.digits);
    assert_int_equal(ds.a.n_digits, 1);
    assert_int_equal(ds.b.n_digits, 1);
    assert_int_equal(ds.a.n_failed + ds.b.n_failed, 0);
    assert_true(pn_key_equal(&ds.a.result.key, &ds.b.key));
    assert_true(pn_key_equal(&ds.b.result.key, &ds.a.key));
    assert_string_equal(ds.a.result.label, "door");
    assert_string_equal(ds.b.result.label, "");
    assert_string_equal(ds.b.result.proposed_label, "lamp");
    assert_string_equal(ds.a.result.address, "127.0.0.1:4242");
    assert_true(ds.a.result.is_confirmed && ds.b.result.is_confirmed);
    assert_int_equal(state_of(&ds.a, &ds.b.key), 1);
    assert_int_equal(state_of(&ds.b, &ds.a.key), 1);
    /* Nothing of a window is left. */
    assert_int_equal(pn_pairing_port(ds.a.pairing), 0);
    assert_int_equal(pn_pairing_left_ms(ds.a.pairing), 0);
    devices_close(&ds);
}

static void with_role(pn_pairing_options *options)
{
    options->label = strcmp(options->own_label, "door") == 0 ? "x" : NULL;
    options->role = "sensors";
}

/* The role comes with the pairing, and only with it. */
static void test_role(void **state)
{
    pn_stored_line *lines;
    pn_store *store;
    devices ds;
    size_t n;

    (void)state;
    devices_open(&ds, with_role);
    ds.a.picks = true;
    ds.a.answer = 1;
    ds.b.answer = 1;
    TURN_UNTIL(&ds, ds.a.is_over && ds.b.is_over);
    assert_int_equal(ds.a.result.outcome, PN_PAIRING_PAIRED);
    assert_string_equal(ds.b.result.label, "x");
    assert_string_equal(ds.a.why, "");
    assert_int_equal(pn_store_open(ds.a.dir, &store, NULL, NULL), PN_OK);
    assert_int_equal(pn_store_list_grants(store, &lines, &n, NULL), PN_OK);
    assert_int_equal(n, 1);
    assert_string_equal(lines[0].grant.name, "role:sensors");
    assert_true(pn_key_equal(&lines[0].grant.who.key.x25519, &ds.b.key));
    free(lines);
    pn_store_close(store);
    devices_close(&ds);
}

/* The owner who says no ends a window; to the other it is a failed try. */
static void test_no(void **state)
{
    devices ds;

    (void)state;
    devices_open(&ds, NULL);
    ds.a.picks = true;
    ds.a.answer = 1;
    ds.b.answer = 0;
    TURN_UNTIL(&ds, ds.b.is_over && ds.a.n_failed == 1);
    assert_int_equal(ds.b.result.outcome, PN_PAIRING_REFUSED);
    assert_false(ds.a.is_over);
    assert_true(pn_pairing_left_ms(ds.a.pairing) > 0);
    assert_int_equal(state_of(&ds.a, &ds.b.key), 0);
    assert_int_equal(state_of(&ds.b, &ds.a.key), 0);
    devices_close(&ds);
}

static void short_window(pn_pairing_options *options)
{
    options->window_ms = 1000;
}

/* Owners who do not answer: nothing is stored, and the windows close. */
static void test_time(void **state)
{
    devices ds;

    (void)state;
    devices_open(&ds, short_window);
    TURN_UNTIL(&ds, ds.a.is_over && ds.b.is_over);
    assert_int_equal(ds.a.result.outcome, PN_PAIRING_TIME);
    assert_int_equal(state_of(&ds.a, &ds.b.key), 0);
    assert_int_equal(pn_pairing_choose(ds.a.pairing, &ds.b.key), PN_STATE);
    assert_int_equal(pn_pairing_answer(ds.a.pairing, true), PN_STATE);
    devices_close(&ds);
}

static void test_options(void **state)
{
    pn_pairing_options options;
    pn_pairing *pairing;
    pn_why why = {0};
    pn_tempdir t;

    (void)state;
    pn_tempdir_init(&t);
    pn_pairing_options_init(&options);
    options.window_ms = 999;
    assert_int_equal(pn_pairing_open(pn_tempdir_path(&t, "x"), &options,
                         &callbacks, NULL, &pairing, &why),
        PN_INVALID);
    pn_pairing_options_init(&options);
    options.own_label = "a\x1b";
    assert_int_equal(pn_pairing_open(pn_tempdir_path(&t, "x"), &options,
                         &callbacks, NULL, &pairing, &why),
        PN_INVALID);
    pn_pairing_options_init(&options);
    options.listen_address = "name";
    assert_int_equal(pn_pairing_open(pn_tempdir_path(&t, "x"), &options,
                         &callbacks, NULL, &pairing, &why),
        PN_INVALID);
    assert_true(strlen(why.text) > 0);
    pn_pairing_close(NULL);
    pn_tempdir_fini(&t);
}

/* ---- strangers
 * ------------------------------------------------------------------ */

/* A stranger's connection to a window, with an end of an exchange. */
typedef struct stranger {
    int fd;
    pairing_rig rig; /* rig.a is the initiator */
} stranger;

static void stranger_dial(stranger *s, const device *d, uint64_t seed)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
        .sin_port = htons(pn_pairing_port(d->pairing)),
        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};

    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(s->fd, (struct sockaddr *)&to, sizeof(to)), 0);
    pairing_rig_init(&s->rig, seed);
    pairing_rig_open(&s->rig, &s->rig.a, true, &d->key, PN_COMPARE_DIGITS);
}

static void stranger_close(stranger *s)
{
    (void)close(s->fd);
    pairing_rig_fini(&s->rig);
}

/* Moves what there is in both directions. False: the window has closed it. */
static bool stranger_turn(stranger *s)
{
    pn_slice out = pn_digits_output(s->rig.a.digits);
    uint8_t data[512];
    ssize_t n;

    if (out.len > 0) {
        n = send(s->fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        pn_digits_sent(s->rig.a.digits, n > 0 ? (size_t)n : 0);
    }
    n = recv(s->fd, data, sizeof(data), MSG_DONTWAIT);
    if (n > 0) {
        pairing_rig_give(&s->rig, &s->rig.a, data, (size_t)n);
    }
    return n != 0;
}

/* Three strangers who come as far as the digits close the window; its owner was
 * told of each, and nothing is stored. */
static void test_three_tries(void **state)
{
    devices ds;

    (void)state;
    devices_open(&ds, NULL);
    for (unsigned i = 1; i <= 3; i++) {
        stranger s;

        assert_false(ds.a.is_over);
        stranger_dial(&s, &ds.a, 100 * i);
        TURN_UNTIL(&ds, (stranger_turn(&s), ds.a.n_digits == i));
        stranger_close(&s);
        TURN_UNTIL(&ds, ds.a.n_failed == i);
    }
    assert_true(ds.a.is_over);
    assert_int_equal(ds.a.result.outcome, PN_PAIRING_TRIES);
    assert_false(ds.b.is_over);
    devices_close(&ds);
}

/* One exchange at a time gets as far as a commitment. */
static void test_one_at_a_time(void **state)
{
    stranger first;
    stranger second;
    devices ds;

    (void)state;
    devices_open(&ds, NULL);
    stranger_dial(&first, &ds.a, 1000);
    TURN_UNTIL(&ds, (stranger_turn(&first), ds.a.n_digits == 1));
    stranger_dial(&second, &ds.a, 2000);
    TURN_UNTIL(&ds, !stranger_turn(&second));
    assert_false(pn_digits_is_try(second.rig.a.digits));
    assert_int_equal(ds.a.n_digits, 1);
    assert_int_equal(ds.a.n_failed, 0);
    stranger_close(&first);
    stranger_close(&second);
    devices_close(&ds);
}

/* A stranger who stalls does not keep the owners from pairing. */
static void test_stalled_stranger(void **state)
{
    stranger s;
    devices ds;

    (void)state;
    devices_open(&ds, NULL);
    stranger_dial(&s, &ds.a, 3000);
    turn(&ds);
    ds.a.picks = true;
    ds.b.picks = true;
    ds.a.answer = 1;
    ds.b.answer = 1;
    TURN_UNTIL(&ds, ds.a.is_over && ds.b.is_over);
    assert_int_equal(ds.a.result.outcome, PN_PAIRING_PAIRED);
    stranger_close(&s);
    devices_close(&ds);
}

/* A byte that tells nothing we know, and bytes that are no key. */
static void test_first_bytes(void **state)
{
    static const uint8_t firsts[] = {0, 3, 'G', 255};
    devices ds;

    (void)state;
    devices_open(&ds, NULL);
    for (size_t i = 0; i < sizeof(firsts); i++) {
        uint8_t junk[64];
        stranger s;

        stranger_dial(&s, &ds.a, 4000);
        memset(junk, firsts[i], sizeof(junk));
        assert_int_equal(send(s.fd, junk, sizeof(junk), MSG_NOSIGNAL), 64);
        pn_digits_sent(s.rig.a.digits, PN_DIGITS_M1_LEN);
        TURN_UNTIL(&ds, !stranger_turn(&s));
        stranger_close(&s);
    }
    assert_int_equal(ds.a.n_failed, 0);
    assert_false(ds.a.is_over);
    devices_close(&ds);
}

/* The initiator has stored and its yes is lost: the responder keeps a record.
 */
static void test_not_confirmed(void **state)
{
    const pn_digits_offer offer = {.port = 1};
    stranger s;
    devices ds;

    (void)state;
    devices_open(&ds, NULL);
    stranger_dial(&s, &ds.a, 5000);
    TURN_UNTIL(&ds, (stranger_turn(&s), ds.a.n_digits == 1));
    assert_int_equal(pn_pairing_answer(ds.a.pairing, true), PN_OK);
    assert_int_equal(pn_pairing_answer(ds.a.pairing, true), PN_STATE);
    s.rig.a.owner_yes = true;
    pn_digits_answer(s.rig.a.digits, s.rig.now_us, true, &offer);
    /* Its yes stays here. */
    for (unsigned i = 0; i < 1000 && !s.rig.a.is_stored; i++) {
        turn(&ds);
        uint8_t data[512];
        ssize_t n = recv(s.fd, data, sizeof(data), MSG_DONTWAIT);

        if (n > 0) {
            pairing_rig_give(&s.rig, &s.rig.a, data, (size_t)n);
        }
    }
    assert_true(s.rig.a.is_stored);
    assert_int_equal(state_of(&ds.a, &s.rig.a.identity.public_key), 2);
    stranger_close(&s);
    TURN_UNTIL(&ds, ds.a.is_over);
    assert_int_equal(ds.a.result.outcome, PN_PAIRING_NOT_CONFIRMED);
    assert_int_equal(state_of(&ds.a, &s.rig.a.identity.public_key), 2);
    devices_close(&ds);
}

int main(void)
{
    static const char *const who[] = {"", "one", "other", "both"};

    for (unsigned i = 1; i <= 3; i++) {
        pn_test_addf(test_paired, (void *)(uintptr_t)i,
            "pairing/window/paired/%s", who[i]);
    }
    pn_test_add("pairing/window/role", test_role, NULL);
    pn_test_add("pairing/window/no", test_no, NULL);
    pn_test_add("pairing/window/time", test_time, NULL);
    pn_test_add("pairing/window/options", test_options, NULL);
    pn_test_add("pairing/window/three_tries", test_three_tries, NULL);
    pn_test_add("pairing/window/one_at_a_time", test_one_at_a_time, NULL);
    pn_test_add("pairing/window/stalled_stranger", test_stalled_stranger, NULL);
    pn_test_add("pairing/window/first_bytes", test_first_bytes, NULL);
    pn_test_add("pairing/window/not_confirmed", test_not_confirmed, NULL);
    return pn_test_run("pairing/window");
}

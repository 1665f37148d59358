/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory: the memory that a stranger can cause (T1), the memory of a link, none
 * for a message, and an error when memory runs out at any point (FI-8). Linked
 * with --wrap, which sees allocations of our own code and not those inside
 * libcrypto.
 */
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "wire/frame.h"

static size_t held;      /* bytes, as asked for */
static size_t secure;    /* bytes of secure memory */
static unsigned asked;   /* allocations so far */
static unsigned fail_at; /* this one fails; 0: none */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__real_pn_secure_alloc(size_t n);
void __real_pn_secure_free(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
void *__wrap_pn_secure_alloc(size_t n);
void __wrap_pn_secure_free(void *p, size_t n);

static bool must_fail(void)
{
    asked++;
    return asked == fail_at;
}

/* The allocations at this moment. Memory that libc allocates (strdup) is freed
 * by us without having been seen, and is not found here. */
static struct {
    void *p;
    size_t n;
} live[1024];

static void *count(void *p, size_t n)
{
    for (size_t i = 0; p != NULL && i < sizeof(live) / sizeof(live[0]); i++) {
        if (live[i].p == NULL) {
            live[i].p = p;
            live[i].n = n;
            held += n;
            return p;
        }
    }
    return p;
}

static void uncount(const void *p)
{
    for (size_t i = 0; p != NULL && i < sizeof(live) / sizeof(live[0]); i++) {
        if (live[i].p == p) {
            live[i].p = NULL;
            held -= live[i].n;
            return;
        }
    }
}

void *__wrap_malloc(size_t n)
{
    return must_fail() ? NULL : count(__real_malloc(n), n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : count(__real_calloc(n, size), n * size);
}

void *__wrap_realloc(void *p, size_t n)
{
    void *q;

    if (must_fail()) {
        return NULL;
    }
    q = __real_realloc(p, n);
    if (q != NULL) {
        uncount(p);
        (void)count(q, n);
    }
    return q;
}

void __wrap_free(void *p)
{
    uncount(p);
    __real_free(p);
}

/* Secure memory is given in pieces of this size. */
static size_t slot(size_t n)
{
    return (n + 511) / 512 * 512;
}

void *__wrap_pn_secure_alloc(size_t n)
{
    if (must_fail()) {
        return NULL;
    }
    secure += slot(n);
    return __real_pn_secure_alloc(n);
}

void __wrap_pn_secure_free(void *p, size_t n)
{
    if (p != NULL) {
        secure -= slot(n);
    }
    __real_pn_secure_free(p, n);
}

/* Memory of one end, without the test's own buffers. */
static size_t end_holds(end *e)
{
    size_t before = held + secure;
    size_t after;

    pn_session_free(e->s);
    e->s = NULL;
    after = held + secure;
    return before - after;
}

static void test_t01_stranger_holds_little(void **state)
{
    end a;
    end b;

    (void)state;
    for (unsigned step = 0; step < 3; step++) {
        end_init(&a, true, 1);
        end_init(&b, false, 2);
        end_start(&a, 0);
        end_start(&b, 0);
        if (step > 0) {
            (void)end_feed(
                &b, 0, pn_session_output(a.s).data, step == 1 ? 41 : 42);
        }
        assert_true(end_holds(&a) <= 1024);
        assert_true(end_holds(&b) <= 1024);
        link_fini(&a, &b);
    }
    assert_int_equal(secure, 0);
}

static const pn_kind kind = {PN_KIND_VERSION, PN_KIND_NO_ETIQUETTE, "a node"};

static void test_idle_link(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    end_init(&a, true, 1);
    end_init(&b, false, 2);
    a.config.kind = &kind;
    b.config.kind = &kind;
    end_start(&a, now);
    end_start(&b, now);
    link_open(&a, &b, &now);
    assert_non_null(pn_session_kind(a.s));
    assert_non_null(pn_session_kind(b.s));
    assert_true(end_holds(&a) <= 1536);
    assert_true(end_holds(&b) <= 1536);
    link_fini(&a, &b);
}

static void reply_at_once(end *e, uint64_t id, pn_slice handle, pn_term args)
{
    pn_term_writer w;

    (void)handle;
    assert_int_equal(pn_session_begin_reply(e->s, id, true, &w), PN_OK);
    pn_term_write_term(&w, args);
    assert_int_equal(pn_session_commit(e->s, e->now, &w), PN_OK);
}

/* Takes output and gives input without the copies of the other tests. */
static void pass_in_place(end *from, end *to, uint64_t now)
{
    static uint8_t wire[1 << 16];
    pn_slice out = pn_session_output(from->s);
    size_t consumed;

    assert_true(out.len <= sizeof(wire));
    if (out.len == 0) {
        return;
    }
    memcpy(wire, out.data, out.len);
    pn_session_written(from->s, now, out.len);
    assert_int_equal(
        pn_session_input(to->s, now, wire, out.len, &consumed), PN_OK);
    assert_int_equal(consumed, out.len);
}

/* {reading, 7, ["deg", %{k => 1}]} */
static void write_reading(pn_term_writer *w)
{
    pn_term_write_tuple_begin(w);
    pn_term_write_atom(w, "reading");
    pn_term_write_int64(w, 7);
    pn_term_write_list_begin(w);
    pn_term_write_string(w, "deg");
    pn_term_write_map_begin(w);
    pn_term_write_atom(w, "k");
    pn_term_write_int64(w, 1);
    pn_term_write_map_end(w);
    pn_term_write_list_end(w);
    pn_term_write_tuple_end(w);
}

/* Once buffers have their size, messages ask for no memory. */
static void test_no_memory_per_message(void **state)
{
    uint64_t now = 0;
    unsigned before = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    b.hooks.on_call = reply_at_once;
    for (unsigned round = 0; round < 20; round++) {
        if (round == 1) {
            before = asked;
        }
        for (unsigned i = 0; i < 64; i++) {
            pn_term_writer w;

            assert_int_equal(
                pn_session_begin_send(a.s, text_slice("x"), &w), PN_OK);
            write_reading(&w);
            assert_int_equal(pn_session_commit(a.s, now, &w), PN_OK);
            assert_int_equal(
                end_call(&a, now, "y", PN_TIME_NEVER, NULL), PN_OK);
        }
        now += PN_US_PER_S / 10;
        pass_in_place(&a, &b, now);
        assert_int_equal(pn_session_ping(a.s, now), PN_OK);
        pass_in_place(&a, &b, now);
        pass_in_place(&b, &a, now);
    }
    assert_int_equal(asked, before);
    assert_int_equal(a.n_replies, 20 * 64);
    assert_int_equal(b.n_sends, 20 * 64);
    link_fini(&a, &b);
}

/* After a flood of calls and a large message, memory is back where it was. */
static void test_memory_comes_back(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    b.hooks.on_call = reply_at_once;
    for (unsigned i = 0; i < 1024; i++) {
        assert_int_equal(end_call(&a, now, "y", now + 1000, NULL), PN_OK);
    }
    assert_int_equal(end_send(&a, now, "x", 1000000), PN_OK);
    link_settle(&a, &b, now);
    now += 31 * PN_US_PER_S;
    assert_int_equal(end_tick(&a, now), PN_OK);
    assert_int_equal(end_tick(&b, now), PN_OK);
    link_settle(&a, &b, now);
    assert_true(end_holds(&a) <= 1536);
    assert_true(end_holds(&b) <= 1536);
    link_fini(&a, &b);
}

/* Unknown handles, ids and nonces of a peer leave nothing in memory (T8). */
static void test_t08_nothing_stays(void **state)
{
    uint64_t now = 0;
    size_t before;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    pn_buf_fini(&b.in);
    assert_int_equal(pn_buf_reserve(&b.args, 100), PN_OK);
    before = held + secure;
    for (unsigned i = 0; i < 3000; i++) {
        uint8_t plain[] = "\x83\x68\x03\x77\x04send\x77\x08 12345678\x6a";
        pn_buf frame = {0};
        size_t consumed;

        memcpy(plain + 11, &i, 4);
        for (unsigned k = 11; k < 19; k++) {
            plain[k] &= 0x7f;
        }
        memmove(plain + 19, "\x6a", 1);
        end_seal(&a, plain, 20, &frame);
        assert_int_equal(pn_session_input(b.s, now, pn_buf_head(&frame),
                             pn_buf_used(&frame), &consumed),
            PN_OK);
        pn_buf_fini(&frame);
    }
    assert_int_equal(b.n_sends, 3000);
    assert_int_equal(held + secure, before);
    link_fini(&a, &b);
}

/* The same where input may fail for lack of memory. */
static void pass_if_possible(end *from, end *to, uint64_t now)
{
    static uint8_t wire[1 << 16];
    pn_slice out = pn_session_output(from->s);
    size_t consumed;

    if (out.len > 0) {
        memcpy(wire, out.data, out.len);
        pn_session_written(from->s, now, out.len);
        to->err = pn_session_input(to->s, now, wire, out.len, &consumed);
    }
}

/* ---- every allocation fails once --------------------------------------- */

/* A whole life: handshake, call, reply, send, ping, close. False when it
 * stopped for lack of memory. */
static bool whole_life(end *a, end *b, unsigned n)
{
    uint64_t now = 0;
    pn_err err;

    fail_at = 0;
    end_init(a, true, 1);
    end_init(b, false, 2);
    a->config.kind = &kind;
    b->config.kind = &kind;
    assert_int_equal(pn_buf_reserve(&a->value, 64), PN_OK);
    assert_int_equal(pn_buf_reserve(&b->args, 64), PN_OK);
    asked = 0;
    fail_at = n;
    if (pn_session_new(&a->config, 0, &a->s) != PN_OK
        || pn_session_new(&b->config, 0, &b->s) != PN_OK) {
        return false;
    }
    for (unsigned i = 0; i < 2; i++) {
        pass_if_possible(a, b, now);
        if (end_is_closed(b)) {
            return false;
        }
        pass_if_possible(b, a, now);
        if (end_is_closed(a)) {
            return false;
        }
    }
    now += 1000;
    if (pn_session_tick(a->s, now) != PN_OK) {
        return false;
    }
    err = end_call(a, now, "x", now + 1000, NULL);
    if (err == PN_OK) {
        err = pn_session_ping(a->s, now);
    }
    if (err != PN_OK) {
        assert_int_equal(err, PN_NOMEM);
        assert_open(a);
        return false;
    }
    pass_if_possible(a, b, now);
    if (end_is_closed(b)) {
        return false;
    }
    err = end_reply(b, now, b->call_id, true);
    if (err != PN_OK) {
        assert_int_equal(err, PN_NOMEM);
        return false;
    }
    pass_if_possible(b, a, now);
    return true;
}

static void test_every_allocation_fails(void **state)
{
    bool is_whole = false;
    unsigned n = 0;

    (void)state;
    while (!is_whole) {
        size_t before = held + secure;
        end a;
        end b;

        assert_true(n < 200);
        is_whole = whole_life(&a, &b, ++n);
        /* The last round is the one in which none was there to fail. */
        if (asked >= n) {
            is_whole = false;
        }
        fail_at = 0;
        if (a.s != NULL && end_is_closed(&a)) {
            assert_closed(&a, PN_REASON_OUT_OF_MEMORY);
        }
        if (b.s != NULL && end_is_closed(&b)) {
            assert_closed(&b, PN_REASON_OUT_OF_MEMORY);
        }
        link_fini(&a, &b);
        assert_int_equal(held + secure, before);
    }
    assert_true(n > 8);
}

/* A begin that finds no memory leaves neither half a frame nor a call. */
static bool begin_fails(const char *name, unsigned n)
{
    uint64_t now = 0;
    pn_err err;
    end a;
    end b;

    link_init(&a, &b, &now);
    asked = 0;
    fail_at = n;
    err = end_call(&a, now, name, now + 1000, NULL);
    fail_at = 0;
    if (err != PN_OK) {
        assert_int_equal(err, PN_NOMEM);
        assert_int_equal(end_calls_in_flight(&a), 0);
        assert_int_equal(pn_session_queued_bytes(a.s), 0);
        assert_int_equal(end_send(&a, now, "x", 1), PN_OK);
    }
    link_settle(&a, &b, now);
    assert_open(&a);
    assert_open(&b);
    assert_int_equal(b.n_sends, err == PN_OK ? 0 : 1);
    link_fini(&a, &b);
    return err != PN_OK;
}

/* Wherever the head of the message ends in the buffer. */
static void test_begin_takes_back(void **state)
{
    char name[256] = "";

    (void)state;
    for (size_t len = 1; len < sizeof(name); len++) {
        unsigned n = 1;

        memset(name, 'h', len);
        while (begin_fails(name, n)) {
            n++;
        }
        assert_true(n > 1);
    }
}

static const struct {
    const char *name;
    CMUnitTestFunction run;
} tests[] = {
    {"session/t01/stranger_holds_little", test_t01_stranger_holds_little},
    {"session/memory/idle_link", test_idle_link},
    {"session/memory/none_per_message", test_no_memory_per_message},
    {"session/memory/comes_back", test_memory_comes_back},
    {"session/t08/nothing_stays", test_t08_nothing_stays},
    {"session/memory/every_allocation_fails", test_every_allocation_fails},
    {"session/memory/begin_takes_back", test_begin_takes_back},
};

int main(void)
{
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        pn_test_add(tests[i].name, tests[i].run, NULL);
    }
    return pn_test_run("session/memory");
}

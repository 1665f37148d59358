/* SPDX-License-Identifier: Apache-2.0 */
/* See slow_calls.h. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "slow_calls.h"

void sleep_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&t, NULL);
}

void on_echo(pn_request *req, pn_term args, void *user)
{
    (void)user;
    (void)pn_request_reply_term(req, args);
}

void assert_call(two_nodes *t, const char *handle, const char *args,
    pn_err want, const char *want_text)
{
    pn_term_writer w;
    pn_term term;
    pn_reply *reply = NULL;
    char *text = NULL;
    size_t len = 0;
    pn_err err;

    pn_term_writer_init(&w, 0);
    assert_int_equal(
        pn_term_from_text(&w, args, strlen(args), NULL, NULL), PN_OK);
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    err = pn_call_term(t->alice, &t->bob_key, handle, 5000, term, &reply);
    pn_term_writer_free(&w);
    assert_string_equal(pn_err_name(err), pn_err_name(want));
    if (want_text != NULL) {
        assert_int_equal(
            pn_term_to_text(pn_reply_term(reply), &text, &len), PN_OK);
        assert_string_equal(text, want_text);
        free(text);
    }
    pn_reply_free(reply);
}

void on_done(void *user, pn_err outcome, pn_term value)
{
    result *r = user;

    r->outcome = outcome;
    if (value.len > 0) {
        (void)!pn_term_match(value, "~i", &r->value);
    }
    atomic_fetch_add(&r->n, 1);
}

bool is_done(void *user)
{
    result *r = user;

    return atomic_load(&r->n) > 0;
}

void on_slow(pn_request *req, pn_term args, void *user)
{
    int ms = 0;

    (void)user;
    if (pn_term_match(args, "~i", &ms)) {
        sleep_ms(ms);
    }
    (void)pn_request_reply(req, "done");
}

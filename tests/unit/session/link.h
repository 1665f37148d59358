/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a link for tests: a session, the reports of its callbacks, and the
 * bytes that wait for it. Time is an argument; nothing happens by itself.
 */
#ifndef PN_TESTS_SESSION_LINK_H
#define PN_TESTS_SESSION_LINK_H

#include "harness.h"
#include "session/session_internal.h"

typedef struct end end;

/* The test's part of each callback; any may be NULL. */
typedef struct end_hooks {
    void (*on_open)(end *e);
    void (*on_call)(end *e, uint64_t id, pn_slice handle, pn_term args);
    void (*on_send)(end *e, pn_slice handle, pn_term args);
    void (*on_reply)(end *e, void *call, pn_err outcome, pn_term value);
    void (*on_output)(end *e);
    void (*on_writable)(end *e);
    void (*on_trust)(end *e);
} end_hooks;

/* Calls of one end that have a deadline. */
enum { END_CALLS = 1100 };

/* A call that end_call made. The owner of a session keeps the time. */
typedef struct end_timed {
    void *call; /* as the test gave it */
    uint64_t deadline;
    bool is_used;
    uint64_t id;
} end_timed;

struct end {
    pn_session *s;
    pn_key_pair identity;
    pn_secret_key ephemeral;
    pn_session_limits limits;
    pn_env env;
    pn_session_config config;
    end_hooks hooks;
    uint64_t seed;
    uint64_t now; /* as of the last call into the session */
    pn_buf in;    /* arrived, not taken yet */
    void *context;

    bool trusts;
    bool no_random;
    bool is_fresh; /* the ephemeral is drawn, not the fixed one */
    unsigned n_trust;
    unsigned n_open;
    unsigned n_output;
    unsigned n_writable;
    unsigned n_calls;
    unsigned n_sends;
    unsigned n_replies;
    uint64_t call_id; /* of the last call */
    char handle[512]; /* of the last call or send */
    pn_buf args;      /* of the last call or send, without version byte */
    pn_err outcome;   /* of the last reply */
    void *call;
    pn_buf value;
    pn_err err; /* of the last input or tick */
    end_timed timed[END_CALLS];
    size_t n_timed; /* the first n may be used */
};

/* Keys from a seed, every key trusted, fixed ephemerals. Nothing starts yet:
 * e->config and e->limits may still be changed. */
void end_init(end *e, bool initiator, uint64_t seed);
void end_start(end *e, uint64_t now);
void end_fini(end *e);

/* Gives bytes as one read would, from memory of exactly their size. */
pn_err end_feed(end *e, uint64_t now, const void *data, size_t len);
/* The same a few bytes at a time. */
pn_err end_feed_by(
    end *e, uint64_t now, const void *data, size_t len, size_t step);
/* Ends the calls whose time is up, then ticks. */
pn_err end_tick(end *e, uint64_t now);
/* When it is due: for the session, or for a call. */
uint64_t end_deadline(const end *e);

/* Takes everything that may be written (and says it was). */
void end_take(end *e, uint64_t now, pn_buf *out);
/* Moves it to the other end; true when there was something. */
bool end_pass(end *from, end *to, uint64_t now);
/* Moves bytes both ways, ticking what is due, until nothing happens at now. */
void link_settle(end *a, end *b, uint64_t now);
/* As settle, then lets the hold behind M3 pass. */
void link_open(end *a, end *b, uint64_t *now);
/* Two fresh ends, authenticated: a is the initiator. */
void link_init(end *a, end *b, uint64_t *now);
void link_fini(end *a, end *b);

/* A frame as this end would send it, with any plaintext. */
void end_seal(end *e, const void *plain, size_t len, pn_buf *frame);
/* Seals at one end, feeds the other. */
pn_err link_inject(
    end *from, end *to, uint64_t now, const void *plain, size_t len);
/* Opens the frames in bytes that this end has received: the plaintext of the
 * next one; false when there is none. *data advances. */
bool end_open_frame(end *e, uint8_t **data, size_t *len, pn_slice *ret_plain);

/* Queries of a session that only tests make. */
static inline bool end_is_open(const end *e)
{
    return e->s->state == PN_SESSION_OPEN;
}

static inline bool end_is_closed(const end *e)
{
    return e->s->state == PN_SESSION_CLOSED;
}

static inline uint32_t end_calls_in_flight(const end *e)
{
    return e->s->calls.n_used;
}

pn_slice text_slice(const char *text);
/* One call, send or reply with a small term; the error of begin or commit. */
pn_err end_call(
    end *e, uint64_t now, const char *handle, uint64_t deadline, void *call);
pn_err end_send(end *e, uint64_t now, const char *handle, size_t payload);
pn_err end_reply(end *e, uint64_t now, uint64_t id, bool is_ok);

/* The session is closed for this reason. */
void assert_closed(end *e, pn_reason reason);
void assert_open(end *e);

#endif

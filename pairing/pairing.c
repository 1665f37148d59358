/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An owner's open window: the listener and the announce that exist only while
 * it is open, and the exchanges in it (docs/PROTOCOL.md, section 10.6). One
 * exchange at a time gets as far as a commitment.
 */
#include <peernet/grants.h>
#include <peernet/pairing.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "base/range.h"
#include "common.h"
#include "discovery/udp_discovery.h"
#include "exchange/digits.h"
#include "os/transport.h"

enum {
    TRIES = 3,
    MAX_CANDIDATES = 32,
    /* The last slot is that of our dial. */
    OUTGOING = PN_PAIRING_INCOMING,
    N_SLOTS
};

#define REDIAL_US PN_US_PER_S
#define ANNOUNCE_MS 5000

/* One connection. */
typedef struct slot {
    pn_pairing *pairing;
    pn_conn *conn;     /* NULL: free */
    pn_digits *digits; /* incoming: NULL before the first byte */
    pn_address remote;
    uint64_t deadline_us; /* of the first byte */
    bool is_open;
    bool is_over; /* to be swept */
} slot;

typedef struct candidate {
    pn_public_key key;
    pn_address address;
} candidate;

struct pn_pairing {
    pn_pairing_callbacks callbacks;
    void *user;
    pn_store *store;
    pn_loop *loop;
    pn_listener *listener;
    uint16_t port;
    pn_udp_discovery *udp;
    pn_discovery_sink sink;
    bool is_announcing;
    pn_timer *timer;
    pn_task sweep;
    pn_gate gate;
    slot slots[N_SLOTS];
    slot *active; /* past may_pair; NULL: none */
    slot *asked;  /* its digits are on the screen */
    candidate candidates[MAX_CANDIDATES];
    size_t n_candidates;
    bool has_chosen;
    pn_public_key chosen;
    uint64_t redial_us;
    uint64_t until_us;
    unsigned n_failed;
    bool is_closed;
    pn_pairing_result result;
    pn_why why;
    char *label;          /* NULL: theirs */
    pn_stored_grant role; /* name "": none */
    pn_digits_offer offer;
};

static const pn_transport_ops *const transport = &pn_transport_tcp;

static uint64_t now_us(const pn_pairing *p)
{
    return pn_loop_now_us(p->loop);
}

static bool is_incoming(const slot *s)
{
    return s != &s->pairing->slots[OUTGOING];
}

static void reset_timer(pn_pairing *p);

/* ---- the end ------------------------------------------------------------- */

static void slot_close(slot *s)
{
    pn_pairing *p = s->pairing;

    if (s->conn == NULL) {
        return;
    }
    transport->close(s->conn);
    if (is_incoming(s)) {
        pn_gate_leave(&p->gate, pn_address_source(&s->remote));
    }
    pn_digits_free(s->digits);
    p->active = p->active == s ? NULL : p->active;
    p->asked = p->asked == s ? NULL : p->asked;
    *s = (slot){.pairing = p};
}

/* Nobody can reach us any more. */
static void stop_listening(pn_pairing *p)
{
    if (p->listener != NULL) {
        transport->listener_close(p->listener);
        p->listener = NULL;
    }
    p->port = 0;
    if (p->is_announcing) {
        pn_udp_discovery_source.stop(p->udp);
        p->is_announcing = false;
    }
    for (size_t i = 0; i < N_SLOTS; i++) {
        slot_close(&p->slots[i]);
    }
    pn_task_cancel(&p->sweep);
    pn_timer_set(p->timer, PN_TIME_NEVER);
}

static void end_window(pn_pairing *p, pn_pairing_outcome outcome)
{
    if (p->is_closed) {
        return;
    }
    p->is_closed = true;
    stop_listening(p);
    p->result.size = sizeof(p->result);
    p->result.outcome = outcome;
    p->result.why = p->why.text;
    p->callbacks.on_end(p->user, &p->result);
}

/* ---- storing ---------------------------------------------------------------
 */

/* The peer stays paired when this fails: the result says so. */
static void grant_role(pn_pairing *p, const pn_public_key *peer)
{
    pn_err err;

    if (p->role.name[0] == '\0') {
        return;
    }
    p->role.who = pn_peernet_principal(peer);
    err = pn_store_grant(p->store, &p->role, &p->why);
    if (err == PN_OK || err == PN_EXISTS) {
        pn_why_clear(&p->why);
    } else if (p->why.text[0] == '\0') {
        (void)snprintf(
            p->why.text, sizeof(p->why.text), "%s", pn_strerror(err));
    }
}

static pn_err on_store(
    void *user, const pn_public_key *peer, const pn_digits_offer *offer)
{
    slot *s = user;
    pn_pairing *p = s->pairing;
    const char *label = p->label;
    pn_err err;

    if (label == NULL && offer->label[0] != '\0'
        && p->callbacks.may_label != NULL
        && p->callbacks.may_label(p->user, peer, offer->label)) {
        label = offer->label;
    }
    err = pn_store_pair(p->store, peer, label, NULL, &p->why);
    if (err != PN_OK && err != PN_EXISTS) {
        return err;
    }
    pn_why_clear(&p->why);
    (void)!pn_store_unpend(p->store, peer, NULL);
    grant_role(p, peer);
    p->result.key = *peer;
    (void)snprintf(p->result.label, sizeof(p->result.label), "%s",
        label == NULL ? "" : label);
    (void)snprintf(p->result.proposed_label, sizeof(p->result.proposed_label),
        "%s", offer->label);
    pn_pairing_note_address(
        p->store, peer, &s->remote, offer->port, p->result.address);
    return PN_OK;
}

static pn_err on_pend(void *user, const pn_public_key *peer)
{
    const slot *s = user;
    pn_pairing *p = s->pairing;

    return pn_store_pend(p->store, peer, p->label, &p->why);
}

static void on_unpend(void *user, const pn_public_key *peer)
{
    const slot *s = user;

    (void)!pn_store_unpend(s->pairing->store, peer, NULL);
}

/* ---- which exchange goes on
 * --------------------------------------------------- */

static int compare_keys(const pn_public_key *a, const pn_public_key *b)
{
    return memcmp(a->bytes, b->bytes, PN_PUBLIC_KEY_LEN);
}

/*
 * The key at the other end is proven, and nobody has committed yet. While the
 * owner's choice is dialled, others wait; if the choice dials us as well, the
 * end with the smaller key is the initiator, and the other's dial gives way.
 */
static bool on_may_pair(void *user, const pn_public_key *peer)
{
    slot *s = user;
    pn_pairing *p = s->pairing;
    slot *dial = &p->slots[OUTGOING];

    if (PN_REFUSE_IF(pairing_one_at_a_time, p->active != NULL)) {
        return false;
    }
    if (is_incoming(s) && p->has_chosen) {
        if (!pn_key_equal(peer, &p->chosen)) {
            return false;
        }
        if (dial->conn != NULL && !dial->is_over) {
            if (compare_keys(pn_store_key(p->store), peer) < 0) {
                return false;
            }
            dial->is_over = true;
            pn_loop_post(p->loop, &p->sweep);
        }
    }
    p->active = s;
    return true;
}

static const pn_digits_callbacks digits_callbacks = {
    .may_pair = on_may_pair,
    .pend = on_pend,
    .unpend = on_unpend,
    .store = on_store,
};

static bool slot_begin(slot *s, const pn_public_key *expected)
{
    pn_pairing *p = s->pairing;
    const pn_digits_config config = {
        .is_initiator = !is_incoming(s),
        .identity = pn_store_identity(p->store),
        .expected = expected,
        .env = &pn_pairing_env,
        .callbacks = &digits_callbacks,
        .user = s,
        .answer_until_us = p->until_us,
        .n_digits = PN_COMPARE_DIGITS,
    };

    return pn_digits_new(&config, now_us(p), &s->digits) == PN_OK;
}

/* ---- outcomes
 * ---------------------------------------------------------------- */

static const char *why_of(pn_digits_outcome outcome)
{
    switch (outcome) {
    case PN_DIGITS_LOST:
        return "the connection ended";
    case PN_DIGITS_LATE:
        return "there was no answer in time";
    case PN_DIGITS_CHEATED:
        return "the other end changed its number after it had given its word";
    case PN_DIGITS_BROKEN:
        return "a message of the other end did not verify";
    case PN_DIGITS_NO_THERE:
        return "the other side said no";
    case PN_DIGITS_OPEN:
    case PN_DIGITS_PAIRED:
    case PN_DIGITS_STORED:
    case PN_DIGITS_PENDING:
    case PN_DIGITS_NO_HERE:
    case PN_DIGITS_OTHER_KEY:
    case PN_DIGITS_OWN_KEY:
    case PN_DIGITS_DECLINED:
    case PN_DIGITS_FAILED:
        break;
    }
    return "it did not get to the end";
}

/* An exchange that used up a try without two yeses. The owner chooses again,
 * because it may have been somebody else. */
static void failed_try(pn_pairing *p, pn_digits_outcome outcome)
{
    p->n_failed++;
    p->has_chosen = false;
    if (p->callbacks.on_failed != NULL) {
        p->callbacks.on_failed(p->user, p->n_failed, why_of(outcome));
    }
    if (PN_REFUSE_IF(pairing_three_tries, p->n_failed >= TRIES)) {
        end_window(p, PN_PAIRING_TRIES);
    }
}

/* What the end of an exchange means for the window. */
static void judge(
    pn_pairing *p, pn_digits_outcome outcome, bool is_try, bool was_active)
{
    switch (outcome) {
    case PN_DIGITS_PAIRED:
    case PN_DIGITS_STORED:
        p->result.is_confirmed = outcome == PN_DIGITS_PAIRED;
        end_window(p, PN_PAIRING_PAIRED);
        break;
    case PN_DIGITS_PENDING:
        end_window(p, PN_PAIRING_NOT_CONFIRMED);
        break;
    case PN_DIGITS_NO_HERE:
        end_window(p, PN_PAIRING_REFUSED);
        break;
    case PN_DIGITS_NO_THERE: /* maybe a stranger's */
    case PN_DIGITS_OPEN:
    case PN_DIGITS_LATE:
    case PN_DIGITS_LOST:
    case PN_DIGITS_BROKEN:
    case PN_DIGITS_CHEATED:
    case PN_DIGITS_OTHER_KEY:
    case PN_DIGITS_OWN_KEY:
    case PN_DIGITS_DECLINED:
    case PN_DIGITS_FAILED:
        if (outcome == PN_DIGITS_FAILED && was_active) {
            if (p->why.text[0] == '\0') {
                (void)snprintf(p->why.text, sizeof(p->why.text),
                    "the exchange failed for want of memory");
            }
            end_window(p, PN_PAIRING_FAILED);
        } else if (is_try) {
            failed_try(p, outcome);
        }
        break;
    }
}

static void slot_finish(slot *s)
{
    pn_pairing *p = s->pairing;
    const bool was_active = p->active == s;
    pn_digits_outcome outcome = PN_DIGITS_LOST;
    bool is_try = false;

    if (s->digits != NULL) {
        pn_digits_closed(s->digits); /* if it has not ended */
        outcome = pn_digits_get_outcome(s->digits);
        is_try = pn_digits_is_try(s->digits);
        if (pn_digits_peer(s->digits) != NULL && was_active) {
            p->result.key = *pn_digits_peer(s->digits);
        }
    }
    if (!is_incoming(s)) {
        p->redial_us = now_us(p) + REDIAL_US;
    }
    slot_close(s);
    judge(p, outcome, is_try, was_active);
}

static void on_sweep(void *user)
{
    pn_pairing *p = user;

    for (size_t i = 0; i < N_SLOTS && !p->is_closed; i++) {
        if (p->slots[i].is_over) {
            slot_finish(&p->slots[i]);
        }
    }
    reset_timer(p);
}

/* ---- connections
 * ------------------------------------------------------------- */

static void flush(slot *s)
{
    pn_slice out = pn_digits_output(s->digits);
    size_t n = 0;

    while (s->is_open && out.len > 0
           && transport->write(s->conn, out.data, out.len, &n) == PN_OK
           && n > 0) {
        pn_digits_sent(s->digits, n);
        out = pn_digits_output(s->digits);
    }
}

/* After anything that an exchange was told. */
static void slot_look(slot *s)
{
    pn_pairing *p = s->pairing;

    flush(s);
    if (pn_digits_get_outcome(s->digits) != PN_DIGITS_OPEN) {
        s->is_over = true;
        pn_loop_post(p->loop, &p->sweep);
    } else if (pn_digits_is_asking(s->digits) && p->asked != s) {
        p->asked = s;
        p->callbacks.on_digits(
            p->user, pn_digits_peer(s->digits), pn_digits_shown(s->digits));
    }
    reset_timer(p);
}

static void on_conn_open(void *user)
{
    slot *s = user;

    s->is_open = true;
    slot_look(s);
}

/* The first byte tells what the connection is for. */
static bool slot_dispatch(slot *s, uint8_t first)
{
    return first == PN_PAIRING_DIGITS && slot_begin(s, NULL);
}

static size_t on_conn_data(void *user, uint8_t *data, size_t len, size_t *want)
{
    slot *s = user;
    pn_pairing *p = s->pairing;
    size_t used = len;

    if (!s->is_over && s->digits == NULL && !slot_dispatch(s, data[0])) {
        s->is_over = true;
        pn_loop_post(p->loop, &p->sweep);
    }
    if (!s->is_over) {
        used = pn_digits_input(s->digits, now_us(p), data, len, want);
        slot_look(s);
    }
    return used;
}

static void on_conn_writable(void *user)
{
    slot *s = user;

    if (s->digits != NULL) {
        flush(s);
    }
}

static void on_conn_end(void *user, pn_err why, int sys_errno)
{
    slot *s = user;

    (void)why;
    (void)sys_errno;
    s->is_open = false;
    s->is_over = true;
    pn_loop_post(s->pairing->loop, &s->pairing->sweep);
}

static const pn_conn_callbacks conn_callbacks = {
    .on_open = on_conn_open,
    .on_data = on_conn_data,
    .on_writable = on_conn_writable,
    .on_end = on_conn_end,
};

static bool on_incoming(void *user, const pn_address *from)
{
    pn_pairing *p = user;

    return pn_gate_enter(&p->gate, pn_address_source(from), false, now_us(p));
}

static void on_lost(void *user, const pn_address *from)
{
    pn_pairing *p = user;

    pn_gate_leave(&p->gate, pn_address_source(from));
}

static void on_accept(void *user, pn_conn *conn, const pn_address *from)
{
    pn_pairing *p = user;

    for (size_t i = 0; i < PN_PAIRING_INCOMING; i++) {
        slot *s = &p->slots[i];

        if (s->conn == NULL) {
            s->conn = conn;
            s->remote = *from;
            s->is_open = true;
            s->deadline_us = now_us(p) + PN_DIGITS_EXCHANGE_US;
            transport->set_callbacks(conn, &conn_callbacks, s);
            reset_timer(p);
            return;
        }
    }
    transport->close(conn);
    pn_gate_leave(&p->gate, pn_address_source(from));
}

static const pn_listener_callbacks listener_callbacks = {
    .on_incoming = on_incoming,
    .on_lost = on_lost,
    .on_accept = on_accept,
};

/* ---- candidates and dialling
 * ---------------------------------------------------- */

static candidate *candidate_find(pn_pairing *p, const pn_public_key *key)
{
    for (size_t i = 0; i < p->n_candidates; i++) {
        if (pn_key_equal(&p->candidates[i].key, key)) {
            return &p->candidates[i];
        }
    }
    return NULL;
}

static void dial(pn_pairing *p)
{
    const candidate *c = candidate_find(p, &p->chosen);
    slot *s = &p->slots[OUTGOING];
    int sys_errno;

    if (c == NULL || s->conn != NULL || p->active != NULL || p->is_closed) {
        return;
    }
    p->redial_us = now_us(p) + REDIAL_US;
    if (!slot_begin(s, &p->chosen)) {
        return;
    }
    s->remote = c->address;
    if (transport->dial(
            p->loop, &c->address, &conn_callbacks, s, &s->conn, &sys_errno)
        != PN_OK) {
        pn_digits_free(s->digits);
        *s = (slot){.pairing = p};
    }
}

static void on_found(void *user, const pn_public_key *key, const char *text)
{
    pn_pairing *p = user;
    candidate *c = candidate_find(p, key);
    pn_pairing_candidate told = {.key = *key};
    pn_address address;

    if (pn_address_parse(text, -1, &address) != PN_OK) {
        return;
    }
    if (c == NULL) {
        if (p->n_candidates == MAX_CANDIDATES) {
            return;
        }
        c = &p->candidates[p->n_candidates++];
    } else if (pn_address_equal(&c->address, &address)) {
        return;
    }
    *c = (candidate){.key = *key, .address = address};
    told.is_paired = pn_trust_list_find(pn_store_trust(p->store), key) != NULL;
    (void)snprintf(told.address, sizeof(told.address), "%s", text);
    if (p->callbacks.on_candidate != NULL) {
        p->callbacks.on_candidate(p->user, &told);
    }
    reset_timer(p);
}

/* ---- time
 * -------------------------------------------------------------------- */

static void reset_timer(pn_pairing *p)
{
    uint64_t next_us = p->until_us;

    if (p->is_closed) {
        return;
    }
    for (size_t i = 0; i < N_SLOTS; i++) {
        const slot *s = &p->slots[i];

        if (s->conn != NULL && !s->is_over) {
            next_us = pn_sooner(next_us, s->digits == NULL
                                             ? s->deadline_us
                                             : pn_digits_deadline(s->digits));
        }
    }
    if (p->has_chosen && p->slots[OUTGOING].conn == NULL && p->active == NULL) {
        next_us = pn_sooner(next_us, p->redial_us);
    }
    pn_timer_set(p->timer, next_us);
}

static void slot_tick(slot *s, uint64_t now)
{
    if (s->conn == NULL || s->is_over) {
        return;
    }
    if (s->digits != NULL) {
        pn_digits_tick(s->digits, now);
        slot_look(s);
    } else if (now >= s->deadline_us) {
        s->is_over = true;
        pn_loop_post(s->pairing->loop, &s->pairing->sweep);
    }
}

static void on_timer(void *user)
{
    pn_pairing *p = user;
    const uint64_t now = now_us(p);

    for (size_t i = 0; i < N_SLOTS; i++) {
        slot_tick(&p->slots[i], now);
    }
    if (now >= p->until_us) {
        /* It may have stored already, and wait for the other end's word. */
        if (p->active != NULL) {
            p->active->is_over = true;
        }
        on_sweep(p);
        end_window(p, PN_PAIRING_TIME);
        return;
    }
    if (p->has_chosen && now >= p->redial_us) {
        dial(p);
    }
    reset_timer(p);
}

/* ---- opening
 * ------------------------------------------------------------------- */

#define RANGE(field, preset, min, max, why)                                    \
    PN_RANGE(pn_pairing_options, field, preset, min, max, why)

static const pn_range ranges[] = {
    RANGE(window_ms, 120000, 1000, 600000, ""),
};
enum { N_RANGES = sizeof(ranges) / sizeof(ranges[0]) };

void pn_pairing_options_init_sized(pn_pairing_options *options, size_t size)
{
    pn_pairing_options defaults = {.size = size, .discovery_port = 4040};

    pn_range_presets(&defaults, ranges, N_RANGES);
    memset(options, 0, size);
    memcpy(
        options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

static pn_err check_options(const pn_pairing_options *o, pn_why *ret_why)
{
    const pn_range *broken;
    uint32_t value;

    if (o->size != sizeof(*o)) {
        return pn_why_fail(ret_why, PN_INVALID,
            "the options have a size that this version does not know");
    }
    broken = pn_range_broken(o, ranges, N_RANGES, &value);
    if (broken != NULL) {
        return pn_why_fail(ret_why, PN_INVALID, "%s is %u, expected %u to %u%s",
            broken->name, (unsigned)value, (unsigned)broken->min,
            (unsigned)broken->max, broken->why);
    }
    return pn_pairing_check(o->own_label, o->label, o->role, ret_why);
}

static pn_err begin_listening(
    pn_pairing *p, const pn_pairing_options *o, pn_why *ret_why)
{
    const char *text = o->listen_address == NULL ? "::" : o->listen_address;
    pn_address at;
    int sys_errno = 0;
    pn_err err = pn_address_parse(text, 0, &at);

    if (err != PN_OK) {
        return pn_why_fail(
            ret_why, err, "listen_address \"%s\" is no numeric address", text);
    }
    err = transport->listen(
        p->loop, &at, &listener_callbacks, p, &p->listener, &sys_errno);
    if (err != PN_OK) {
        return pn_why_fail(ret_why, err, "cannot listen on %s: %s", text,
            sys_errno == 0 ? pn_strerror(err) : strerror(sys_errno));
    }
    transport->listener_address(p->listener, &at);
    p->port = pn_address_port(&at);
    return PN_OK;
}

static pn_err begin_announcing(
    pn_pairing *p, const pn_pairing_options *o, pn_why *ret_why)
{
    pn_address to;
    pn_udp_discovery_config config = {
        .loop = p->loop,
        .env = &pn_pairing_env,
        .own_key = *pn_store_key(p->store),
        .kind = PN_ANNOUNCE_PAIRING,
        .port = o->discovery_port,
        .min_port = 1024,
        .interval_ms = ANNOUNCE_MS,
        .is_everywhere = o->discovery_address == NULL,
        .addresses = &to,
        .n_addresses = o->discovery_address == NULL ? 0 : 1,
        .interfaces = o->interfaces,
    };
    pn_err err = PN_OK;

    if (o->discovery_port == 0) {
        return PN_OK;
    }
    if (o->discovery_address != NULL) {
        err = pn_address_parse(o->discovery_address, 0, &to);
    }
    if (err == PN_OK) {
        err = pn_udp_discovery_new(&config, &p->udp);
    }
    if (err != PN_OK) {
        return pn_why_fail(ret_why, err,
            "discovery_address or interfaces: expected an IPv4 address, and "
            "names of interfaces");
    }
    p->sink = (pn_discovery_sink){
        .size = sizeof(p->sink), .node = p, .found = on_found};
    err = pn_udp_discovery_source.start(p->udp, &p->sink);
    if (err != PN_OK) {
        return pn_why_fail(ret_why, err,
            "UDP port %u, where others are heard, cannot be used",
            (unsigned)o->discovery_port);
    }
    p->is_announcing = true;
    return pn_udp_discovery_source.announce(
        p->udp, pn_store_key(p->store), p->port);
}

static pn_err copy_options(pn_pairing *p, const pn_pairing_options *o)
{
    p->offer.port = o->node_port;
    if (o->role != NULL) {
        p->role.until_us = PN_GRANT_FOR_EVER;
        (void)snprintf(p->role.name, sizeof(p->role.name), "role:%s", o->role);
    }
    if (o->own_label != NULL) {
        memcpy(p->offer.label, o->own_label, strlen(o->own_label));
    }
    if (o->label != NULL) {
        p->label = strdup(o->label);
        return p->label == NULL ? PN_NOMEM : PN_OK;
    }
    return PN_OK;
}

static pn_err begin(pn_pairing *p, const char *data_dir,
    const pn_pairing_options *o, pn_why *ret_why)
{
    pn_err err = check_options(o, ret_why);

    if (err == PN_OK) {
        err = pn_store_open(data_dir, &p->store, ret_why, NULL);
    }
    if (err == PN_OK) {
        err = copy_options(p, o);
    }
    if (err == PN_OK) {
        err = pn_loop_new(&p->loop);
    }
    if (err == PN_OK) {
        err = pn_timer_new(p->loop, on_timer, p, &p->timer);
    }
    if (err == PN_OK) {
        p->until_us = pn_loop_update_now(p->loop) + o->window_ms * PN_US_PER_MS;
        err = begin_listening(p, o, ret_why);
    }
    if (err == PN_OK) {
        err = begin_announcing(p, o, ret_why);
    }
    if (err == PN_OK) {
        reset_timer(p);
    }
    return err;
}

pn_err pn_pairing_open(const char *data_dir, const pn_pairing_options *options,
    const pn_pairing_callbacks *callbacks, void *user, pn_pairing **ret_pairing,
    pn_why *ret_why)
{
    pn_pairing *p = calloc(1, sizeof(*p));
    pn_err err;

    pn_why_clear(ret_why);
    if (p == NULL) {
        return PN_NOMEM;
    }
    p->callbacks = *callbacks;
    p->user = user;
    p->sweep = (pn_task){.run = on_sweep, .user = p};
    pn_gate_init(&p->gate, &pn_pairing_gate_limits, &pn_pairing_env);
    for (size_t i = 0; i < N_SLOTS; i++) {
        p->slots[i].pairing = p;
    }
    err = begin(p, data_dir, options, ret_why);
    if (err != PN_OK) {
        pn_pairing_close(p);
        return err;
    }
    *ret_pairing = p;
    return PN_OK;
}

void pn_pairing_close(pn_pairing *p)
{
    if (p == NULL) {
        return;
    }
    if (p->loop != NULL && p->timer != NULL) {
        p->is_closed = true;
        stop_listening(p);
    }
    pn_udp_discovery_free(p->udp);
    pn_timer_free(p->timer);
    if (p->loop != NULL) {
        pn_loop_free(p->loop);
    }
    pn_store_close(p->store);
    free(p->label);
    free(p);
}

/* ---- the caller's loop
 * ---------------------------------------------------------- */

int pn_pairing_fd(const pn_pairing *p)
{
    return pn_loop_fd(p->loop);
}

int pn_pairing_timeout_ms(const pn_pairing *p)
{
    return pn_loop_timeout_ms(p->loop);
}

void pn_pairing_run(pn_pairing *p)
{
    pn_loop_run_once(p->loop);
}

uint32_t pn_pairing_left_ms(const pn_pairing *p)
{
    const uint64_t now = pn_loop_update_now(p->loop);

    return p->is_closed || now >= p->until_us
               ? 0
               : (uint32_t)((p->until_us - now) / PN_US_PER_MS);
}

uint16_t pn_pairing_port(const pn_pairing *p)
{
    return p->port;
}

pn_err pn_pairing_choose(pn_pairing *p, const pn_public_key *key)
{
    if (p->is_closed || p->active != NULL) {
        return PN_STATE;
    }
    if (candidate_find(p, key) == NULL) {
        return PN_NOT_FOUND;
    }
    if (p->slots[OUTGOING].conn != NULL && !pn_key_equal(key, &p->chosen)) {
        slot_close(&p->slots[OUTGOING]);
    }
    p->chosen = *key;
    p->has_chosen = true;
    (void)pn_loop_update_now(p->loop);
    dial(p);
    reset_timer(p);
    return PN_OK;
}

pn_err pn_pairing_answer(pn_pairing *p, bool yes)
{
    slot *s = p->asked;

    if (p->is_closed || s == NULL || s->is_over
        || !pn_digits_is_asking(s->digits)) {
        return PN_STATE;
    }
    pn_digits_answer(s->digits, pn_loop_update_now(p->loop), yes, &p->offer);
    slot_look(s);
    return PN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The joining side of docs/PROTOCOL.md, section 11: one call, which waits. */
#include <peernet/pairing.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "exchange/invite.h"
#include "os/clock.h"
#include "os/resolve.h"
#include "os/transport.h"

typedef struct joining {
    const pn_join_options *options;
    pn_join_result *result;
    pn_why *why;
    pn_store *store;
    pn_invitation *invitation; /* secure memory */
    pn_offer offer;
    pn_loop *loop;
    pn_timer *timer;
    pn_resolve *resolve;
    pn_conn *conn;
    pn_invite *invite;
    pn_address remote;
    pn_err store_err;
    bool is_open;
    bool is_over; /* of this address */
} joining;

static const pn_transport_ops *const transport = &pn_transport_tcp;

/* ---- storing ---------------------------------------------------------------
 */

static pn_err on_store(
    void *user, const pn_public_key *inviter, const pn_offer *theirs)
{
    joining *j = user;
    pn_join_result *result = j->result;
    pn_err err = pn_store_pair(
        j->store, inviter, j->options->label, NULL, j->why);

    j->store_err = err;
    if (err != PN_OK && err != PN_EXISTS) {
        return err;
    }
    pn_why_clear(j->why);
    result->was_paired = err == PN_EXISTS;
    result->key = *inviter;
    (void)snprintf(result->proposed_label, sizeof(result->proposed_label), "%s",
        theirs->label);
    pn_pairing_note_address(
        j->store, inviter, &j->remote, theirs->port, result->address);
    return PN_OK;
}

static const pn_invite_callbacks invite_callbacks = {.store = on_store};

/* ---- the connection --------------------------------------------------------
 */

static void over(joining *j)
{
    j->is_over = true;
    pn_loop_stop(j->loop);
}

static void look(joining *j)
{
    pn_slice out = pn_invite_output(j->invite);
    size_t n = 0;

    while (j->is_open && out.len > 0
           && transport->write(j->conn, out.data, out.len, &n) == PN_OK
           && n > 0) {
        pn_invite_sent(j->invite, n);
        out = pn_invite_output(j->invite);
    }
    if (pn_invite_get_outcome(j->invite) != PN_INVITE_OPEN && out.len == 0) {
        over(j);
    }
}

static void on_open(void *user)
{
    joining *j = user;

    j->is_open = true;
    look(j);
}

static size_t on_data(void *user, uint8_t *data, size_t len, size_t *want)
{
    joining *j = user;
    size_t used = pn_invite_input(j->invite, data, len, want);

    look(j);
    return used;
}

static void on_writable(void *user)
{
    look(user);
}

static void on_end(void *user, pn_err why, int sys_errno)
{
    joining *j = user;

    (void)why;
    (void)sys_errno;
    j->is_open = false;
    pn_invite_closed(j->invite);
    over(j);
}

static const pn_conn_callbacks conn_callbacks = {
    .on_open = on_open,
    .on_data = on_data,
    .on_writable = on_writable,
    .on_end = on_end,
};

static void on_timer(void *user)
{
    joining *j = user;

    pn_invite_tick(j->invite, pn_loop_now_us(j->loop));
    pn_invite_closed(j->invite);
    over(j);
}

static void dial(joining *j, const pn_address *to)
{
    int sys_errno;

    j->remote = *to;
    if (transport->dial(j->loop, to, &conn_callbacks, j, &j->conn, &sys_errno)
        != PN_OK) {
        pn_invite_closed(j->invite);
        over(j);
    }
}

static void on_resolved(void *user, pn_err err, const pn_address *addresses,
    size_t n, const char *why)
{
    joining *j = user;

    (void)why;
    j->resolve = NULL;
    if (err == PN_OK && n > 0) {
        dial(j, &addresses[0]);
    } else {
        pn_invite_closed(j->invite);
        over(j);
    }
}

/* The host of "HOST:PORT", without brackets, and the port. */
static void start(joining *j, const char *text)
{
    const char *colon = strrchr(text, ':');
    char host[PN_ADDRESS_CAP];
    pn_address to;
    uint16_t port = 0;

    if (pn_address_parse(text, -1, &to) == PN_OK) {
        dial(j, &to);
        return;
    }
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    if (!pn_port_parse(colon + 1, &port)
        || pn_resolve_start(j->loop, host, port, on_resolved, j, &j->resolve)
               != PN_OK) {
        pn_invite_closed(j->invite);
        over(j);
    }
}

/* ---- one address after the other -------------------------------------------
 */

static void clean(joining *j)
{
    if (j->conn != NULL) {
        transport->close(j->conn);
        j->conn = NULL;
    }
    pn_resolve_cancel(j->resolve);
    j->resolve = NULL;
    pn_invite_free(j->invite);
    j->invite = NULL;
    pn_timer_set(j->timer, PN_TIME_NEVER);
    j->is_open = false;
    j->is_over = false;
}

/* How an exchange at one address ended. Errors: PN_NOMEM, PN_SYS. */
static pn_err try_address(
    joining *j, const char *text, pn_invite_outcome *ret_outcome)
{
    const pn_invite_config config = {
        .identity = pn_store_identity(j->store),
        .env = &pn_pairing_env,
        .callbacks = &invite_callbacks,
        .user = j,
        .invitation = j->invitation,
        .offer = &j->offer,
    };
    pn_err err = pn_invite_new(
        &config, pn_loop_update_now(j->loop), &j->invite);

    if (err != PN_OK) {
        return err;
    }
    pn_timer_set(j->timer, pn_invite_deadline(j->invite));
    start(j, text);
    while (!j->is_over) {
        pn_loop_run(j->loop);
    }
    *ret_outcome = pn_invite_get_outcome(j->invite);
    clean(j);
    return PN_OK;
}

/* What an outcome means for the caller. PN_AGAIN: for the next address. */
static pn_err judge(const joining *j, pn_invite_outcome outcome)
{
    switch (outcome) {
    case PN_INVITE_JOINED:
        return PN_OK;
    case PN_INVITE_REFUSED:
        return pn_why_fail(j->why, PN_DENIED,
            "refused, or the connection was lost: the invitation may be used "
            "up, expired or cancelled; try again, or ask for a new one");
    case PN_INVITE_LATER:
        return pn_why_fail(j->why, PN_DENIED,
            "the other device could not store us now; its owner sees why; try "
            "again with the same invitation");
    case PN_INVITE_OWN_KEY:
        return pn_why_fail(j->why, PN_INVALID,
            "this is our own invitation; expected that of another device");
    case PN_INVITE_FAILED:
        return j->store_err == PN_OK ? PN_NOMEM
                                     : j->store_err; /* with a sentence */
    case PN_INVITE_OTHER_KEY:
    case PN_INVITE_BROKEN:
        return pn_why_fail(j->why, PN_AUTH,
            "somebody else answered at the address of the invitation; expected "
            "the device that made it");
    case PN_INVITE_OPEN:
    case PN_INVITE_UNCONFIRMED:
    case PN_INVITE_LATE:
    case PN_INVITE_LOST:
        break;
    }
    return PN_AGAIN;
}

static pn_err join(joining *j)
{
    pn_err at_last = PN_AGAIN;

    for (size_t i = 0; i < j->invitation->n_addresses; i++) {
        pn_invite_outcome outcome = PN_INVITE_LOST;
        pn_err err = try_address(j, j->invitation->addresses[i], &outcome);

        if (err == PN_OK) {
            err = judge(j, outcome);
        }
        /* Somebody else at one address says nothing of the others. */
        if (err != PN_AGAIN && err != PN_AUTH) {
            return err;
        }
        at_last = err == PN_AUTH ? err : at_last;
    }
    return at_last == PN_AUTH
               ? at_last
               : pn_why_fail(j->why, PN_TIMEOUT,
                   "nobody answered at the addresses of the invitation; "
                   "expected 'peernet invite' to run there, on a network "
                   "that this device reaches");
}

/* ---- the call --------------------------------------------------------------
 */

void pn_join_options_init_sized(pn_join_options *options, size_t size)
{
    const pn_join_options defaults = {.size = size};

    memset(options, 0, size);
    memcpy(
        options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

static pn_err check_options(joining *j)
{
    const pn_join_options *o = j->options;
    pn_err err;

    if (o->size != sizeof(*o)) {
        return pn_why_fail(j->why, PN_INVALID,
            "the options have a size that this version does not know");
    }
    err = pn_pairing_check(o->own_label, NULL, NULL, j->why);
    if (err == PN_OK && o->own_label != NULL) {
        memcpy(j->offer.label, o->own_label, strlen(o->own_label));
    }
    j->offer.port = o->node_port;
    return err;
}

static pn_err read_text(joining *j, const char *text, size_t len)
{
    const char *why = "";
    pn_err err = pn_invitation_read(text, len, j->invitation, &why);

    if (err != PN_OK) {
        return pn_why_fail(j->why, err, "this is no invitation: %s", why);
    }
    if (pn_wall_now_us() / 1000000 >= j->invitation->until_s) {
        return pn_why_fail(j->why, PN_DENIED,
            "the invitation has expired, or the clock of this device is wrong; "
            "ask for a new one");
    }
    return PN_OK;
}

static pn_err prepare(
    joining *j, const char *data_dir, const char *text, size_t len)
{
    pn_err err = check_options(j);

    if (err == PN_OK) {
        err = read_text(j, text, len);
    }
    if (err == PN_OK) {
        err = pn_store_open(data_dir, &j->store, j->why, NULL);
    }
    if (err == PN_OK) {
        err = pn_loop_new(&j->loop);
    }
    return err == PN_OK ? pn_timer_new(j->loop, on_timer, j, &j->timer) : err;
}

pn_err pn_join(const char *data_dir, const char *text, size_t len,
    const pn_join_options *options, pn_join_result *ret_result, pn_why *ret_why)
{
    pn_join_result result = {.was_paired = false};
    joining j = {
        .options = options,
        .result = &result,
        .why = ret_why,
        .invitation = pn_secure_alloc(sizeof(*j.invitation)),
    };
    pn_err err = PN_NOMEM;

    pn_why_clear(ret_why);
    if (j.invitation != NULL) {
        err = prepare(&j, data_dir, text, len);
    }
    if (err == PN_OK) {
        err = join(&j);
    }
    pn_timer_free(j.timer);
    pn_loop_free(j.loop);
    pn_store_close(j.store);
    pn_secure_free(j.invitation, sizeof(*j.invitation));
    if (err == PN_OK) {
        *ret_result = result;
    }
    return pn_why_complete(ret_why, err);
}

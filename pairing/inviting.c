/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inviting side of docs/PROTOCOL.md, section 11: makes an invitation, and
 * listens for joiners while it is open. What may be used is in the file of
 * stored/invitations.h alone, which another process may edit.
 */
#include <peernet/grants.h>
#include <peernet/pairing.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "base/range.h"
#include "common.h"
#include "exchange/invite.h"
#include "os/clock.h"
#include "os/interfaces.h"
#include "os/transport.h"
#include "stored/invitations.h"

#define ROLE "role:"
#define REFUSED_EVERY_US PN_US_PER_S
#define SWEEP_EVERY_US (10 * PN_US_PER_S)

_Static_assert(PN_INVITATION_CAP == PN_INVITATION_URI_CAP
                   && PN_INVITATION_ID_CAP == 2 * PN_INVITATION_ID_LEN + 1,
    "the public header repeats these");

/* One connection. */
typedef struct slot {
    pn_inviting *inviting;
    pn_conn *conn; /* NULL: free */
    pn_invite *invite;
    pn_address remote;
    bool is_over; /* to be swept */
} slot;

struct pn_inviting {
    pn_inviting_callbacks callbacks;
    void *user;
    pn_store *store;
    pn_invitation_list *list; /* room to look at the file */
    pn_loop *loop;
    pn_listener *listener;
    pn_timer *timer;
    pn_task sweep;
    pn_gate gate;
    slot slots[PN_PAIRING_INCOMING];
    uint64_t sweep_us;
    uint64_t refused_us; /* no other refusal is told before */
    pn_offer offer;
    uint8_t id[PN_INVITATION_ID_LEN];
};

static const pn_transport_ops *const transport = &pn_transport_tcp;

static int64_t now_s(void)
{
    return pn_wall_now_us() / 1000000;
}

static uint64_t now_us(const pn_inviting *v)
{
    return pn_loop_now_us(v->loop);
}

/* ---- what the owner is told ------------------------------------------------
 */

static void tell_refused(const slot *s, const char *why)
{
    pn_inviting *v = s->inviting;
    char from[PN_ADDRESS_TEXT_LEN];

    if (v->callbacks.on_refused != NULL && now_us(v) >= v->refused_us) {
        v->refused_us = now_us(v) + REFUSED_EVERY_US;
        pn_address_host_text(&s->remote, from);
        v->callbacks.on_refused(v->user, from, why);
    }
}

static const char *why_of(pn_invitation_state state)
{
    switch (state) {
    case PN_INVITATION_UNKNOWN:
        return "the invitation is not known";
    case PN_INVITATION_USED:
        return "the invitation is used up";
    case PN_INVITATION_EXPIRED:
        return "the invitation has expired";
    case PN_INVITATION_CANCELLED:
        return "the invitation was cancelled";
    case PN_INVITATION_OPEN:
        break;
    }
    return "the secret is another one";
}

/* ---- the exchange's callbacks ----------------------------------------------
 */

static pn_err on_find(void *user, const uint8_t id[static PN_INVITATION_ID_LEN],
    pn_secret_key *ret_key)
{
    slot *s = user;

    return pn_invitations_find(
        pn_store_dir(s->inviting->store), id, now_s(), ret_key, NULL);
}

static void on_refused(
    void *user, const uint8_t id[static PN_INVITATION_ID_LEN])
{
    const slot *s = user;
    pn_inviting *v = s->inviting;
    pn_invitation_state state = PN_INVITATION_UNKNOWN;

    if (pn_invitations_load(pn_store_dir(v->store), v->list, NULL) == PN_OK) {
        state = pn_invitation_state_of(v->list, id, now_s());
    }
    tell_refused(s, why_of(state));
}

/* A use that could not be granted is kept for its joiner, who comes again. */
static pn_err grant(pn_inviting *v, const pn_public_key *joiner,
    const char *role, pn_why *ret_why)
{
    pn_stored_grant granted = {
        .who = pn_peernet_principal(joiner), .until_us = PN_GRANT_FOR_EVER};

    (void)snprintf(granted.name, sizeof(granted.name), ROLE "%s", role);
    return pn_store_grant(v->store, &granted, ret_why);
}

static pn_err on_take(void *user, const uint8_t id[static PN_INVITATION_ID_LEN],
    const pn_public_key *joiner, const pn_offer *theirs, pn_offer *ret_ours)
{
    const slot *s = user;
    pn_inviting *v = s->inviting;
    pn_stored_invitation taken;
    char address[PN_ADDRESS_TEXT_LEN];
    pn_invitation_state state = PN_INVITATION_UNKNOWN;
    pn_why why = {0};
    const char *label;
    pn_err err = pn_invitations_take(
        pn_store_dir(v->store), id, joiner, now_s(), &taken, &state, &why);

    if (err == PN_DENIED) {
        tell_refused(s, why_of(state));
        return err;
    }
    if (err == PN_OK) {
        label = taken.label[0] == '\0' ? NULL : taken.label;
        err = pn_store_pair(v->store, joiner, label, NULL, &why);
    }
    if ((err == PN_OK || err == PN_EXISTS) && taken.role[0] != '\0') {
        err = grant(v, joiner, taken.role, &why);
    }
    if (err != PN_OK && err != PN_EXISTS) {
        tell_refused(s, why.text);
        /* Only PN_DENIED says that there is no use. */
        return err == PN_DENIED ? PN_SYS : err;
    }
    pn_pairing_note_address(
        v->store, joiner, &s->remote, theirs->port, address);
    *ret_ours = v->offer;
    if (v->callbacks.on_joined != NULL) {
        v->callbacks.on_joined(v->user, joiner, taken.label, theirs->label);
    }
    return PN_OK;
}

static void on_confirmed(void *user,
    const uint8_t id[static PN_INVITATION_ID_LEN], const pn_public_key *joiner)
{
    const slot *s = user;

    (void)!pn_invitations_confirm(
        pn_store_dir(s->inviting->store), id, joiner, now_s(), NULL);
}

static const pn_invite_callbacks invite_callbacks = {
    .find = on_find,
    .take = on_take,
    .refused = on_refused,
    .confirmed = on_confirmed,
};

/* ---- connections -----------------------------------------------------------
 */

static void reset_timer(pn_inviting *v)
{
    uint64_t next_us = v->sweep_us;

    for (size_t i = 0; i < PN_PAIRING_INCOMING; i++) {
        const slot *s = &v->slots[i];

        if (s->conn != NULL && !s->is_over) {
            next_us = pn_sooner(next_us, pn_invite_deadline(s->invite));
        }
    }
    pn_timer_set(v->timer, next_us);
}

static void slot_close(slot *s)
{
    pn_inviting *v = s->inviting;

    if (s->conn != NULL) {
        transport->close(s->conn);
        pn_gate_leave(&v->gate, pn_address_source(&s->remote));
        pn_invite_free(s->invite);
        *s = (slot){.inviting = v};
    }
}

static void on_sweep(void *user)
{
    pn_inviting *v = user;

    for (size_t i = 0; i < PN_PAIRING_INCOMING; i++) {
        if (v->slots[i].is_over) {
            slot_close(&v->slots[i]);
        }
    }
    reset_timer(v);
}

static void slot_end(slot *s)
{
    s->is_over = true;
    pn_loop_post(s->inviting->loop, &s->inviting->sweep);
}

static void slot_flush(slot *s)
{
    pn_slice out = pn_invite_output(s->invite);
    size_t n = 0;

    while (out.len > 0
           && transport->write(s->conn, out.data, out.len, &n) == PN_OK
           && n > 0) {
        pn_invite_sent(s->invite, n);
        out = pn_invite_output(s->invite);
    }
}

static size_t on_conn_data(void *user, uint8_t *data, size_t len, size_t *want)
{
    slot *s = user;
    size_t used = len;

    if (!s->is_over) {
        used = pn_invite_input(s->invite, data, len, want);
        slot_flush(s);
        if (pn_invite_get_outcome(s->invite) != PN_INVITE_OPEN) {
            slot_end(s);
        }
        reset_timer(s->inviting);
    }
    return used;
}

static void on_conn_writable(void *user)
{
    slot_flush(user);
}

static void on_conn_end(void *user, pn_err why, int sys_errno)
{
    (void)why;
    (void)sys_errno;
    slot_end(user);
}

static void on_conn_open(void *user)
{
    (void)user;
}

static const pn_conn_callbacks conn_callbacks = {
    .on_open = on_conn_open,
    .on_data = on_conn_data,
    .on_writable = on_conn_writable,
    .on_end = on_conn_end,
};

static bool on_incoming(void *user, const pn_address *from)
{
    pn_inviting *v = user;

    return pn_gate_enter(&v->gate, pn_address_source(from), false, now_us(v));
}

static void on_lost(void *user, const pn_address *from)
{
    pn_inviting *v = user;

    pn_gate_leave(&v->gate, pn_address_source(from));
}

static bool slot_begin(slot *s, pn_conn *conn, const pn_address *from)
{
    pn_inviting *v = s->inviting;
    const pn_invite_config config = {
        .identity = pn_store_identity(v->store),
        .env = &pn_pairing_env,
        .callbacks = &invite_callbacks,
        .user = s,
    };

    if (s->conn != NULL
        || pn_invite_new(&config, now_us(v), &s->invite) != PN_OK) {
        return false;
    }
    s->conn = conn;
    s->remote = *from;
    transport->set_callbacks(conn, &conn_callbacks, s);
    reset_timer(v);
    return true;
}

static void on_accept(void *user, pn_conn *conn, const pn_address *from)
{
    pn_inviting *v = user;

    for (size_t i = 0; i < PN_PAIRING_INCOMING; i++) {
        if (slot_begin(&v->slots[i], conn, from)) {
            return;
        }
    }
    transport->close(conn);
    pn_gate_leave(&v->gate, pn_address_source(from));
}

static const pn_listener_callbacks listener_callbacks = {
    .on_incoming = on_incoming,
    .on_lost = on_lost,
    .on_accept = on_accept,
};

static void on_timer(void *user)
{
    pn_inviting *v = user;
    const uint64_t now = now_us(v);

    for (size_t i = 0; i < PN_PAIRING_INCOMING; i++) {
        slot *s = &v->slots[i];

        if (s->conn != NULL && !s->is_over) {
            pn_invite_tick(s->invite, now);
            if (pn_invite_get_outcome(s->invite) != PN_INVITE_OPEN) {
                slot_end(s);
            }
        }
    }
    if (now >= v->sweep_us) {
        v->sweep_us = now + SWEEP_EVERY_US;
        (void)!pn_invitations_sweep(pn_store_dir(v->store), now_s(), NULL);
    }
    reset_timer(v);
}

/* ---- opening ---------------------------------------------------------------
 */

#define RANGE(field, preset, min, max, why)                                    \
    PN_RANGE(pn_inviting_options, field, preset, min, max, why)

static const pn_range ranges[] = {
    RANGE(ttl_s, 600, 10, 604800, ", a week"),
    RANGE(uses, 1, 1, 16, ""),
};
enum { N_RANGES = sizeof(ranges) / sizeof(ranges[0]) };

void pn_inviting_options_init_sized(pn_inviting_options *options, size_t size)
{
    pn_inviting_options defaults = {.size = size};

    pn_range_presets(&defaults, ranges, N_RANGES);
    memset(options, 0, size);
    memcpy(
        options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

static pn_err check_options(const pn_inviting_options *o, pn_why *ret_why)
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

static pn_err listen_at(pn_inviting *v, const pn_address *at, int *ret_errno)
{
    return transport->listen(
        v->loop, at, &listener_callbacks, v, &v->listener, ret_errno);
}

/* The port of the last time holds older invitations; any other does for a new
 * one. */
static pn_err begin_listening(pn_inviting *v, const pn_inviting_options *o,
    pn_address *ret_at, pn_why *ret_why)
{
    const char *text = o->listen_address == NULL ? "::" : o->listen_address;
    int sys_errno = 0;
    pn_err err = pn_address_parse(text, 0, ret_at);

    if (err != PN_OK) {
        return pn_why_fail(
            ret_why, err, "listen_address \"%s\" is no numeric address", text);
    }
    err = pn_invitations_load(pn_store_dir(v->store), v->list, ret_why);
    if (err != PN_OK) {
        return err;
    }
    if (v->list->port != 0 && pn_address_port(ret_at) == 0) {
        pn_address_set_port(ret_at, v->list->port);
        err = listen_at(v, ret_at, &sys_errno);
        pn_address_set_port(ret_at, 0);
    }
    if (v->listener == NULL) {
        err = listen_at(v, ret_at, &sys_errno);
    }
    if (err != PN_OK) {
        return pn_why_fail(ret_why, err, "cannot listen on %s: %s", text,
            sys_errno == 0 ? pn_strerror(err) : strerror(sys_errno));
    }
    transport->listener_address(v->listener, ret_at);
    return PN_OK;
}

static void add_address(
    pn_invitation *invitation, const pn_address *host, uint16_t port)
{
    pn_address at = *host;

    if (invitation->n_addresses < PN_INVITATION_ADDRESSES) {
        pn_address_set_port(&at, port);
        pn_address_text(&at, invitation->addresses[invitation->n_addresses++]);
    }
}

/* One that others can dial: an address of IPv6 that means something on one link
 * only is none. */
static bool is_of_use(const pn_interface *i)
{
    return i->is_up && !i->is_loopback && pn_address_is_host(&i->address)
           && (i->address.any.sa_family != AF_INET6
               || !IN6_IS_ADDR_LINKLOCAL(&i->address.in6.sin6_addr));
}

/* Names the addresses of IPv4 first, which are shorter. */
static pn_err name_addresses(
    pn_invitation *invitation, const pn_address *at, pn_why *ret_why)
{
    static const int families[] = {AF_INET, AF_INET6};
    const uint16_t port = pn_address_port(at);
    pn_interface *interfaces = NULL;
    size_t n = 0;
    pn_err err = PN_OK;

    if (!pn_address_is_any(at)) {
        add_address(invitation, at, port);
        return PN_OK;
    }
    err = pn_interfaces_list(&interfaces, &n);
    for (size_t f = 0; err == PN_OK && f < 2; f++) {
        for (size_t i = 0; i < n; i++) {
            if (interfaces[i].address.any.sa_family == families[f]
                && is_of_use(&interfaces[i])) {
                add_address(invitation, &interfaces[i].address, port);
            }
        }
    }
    free(interfaces);
    if (err == PN_OK && invitation->n_addresses == 0) {
        err = PN_SYS;
    }
    return err == PN_OK ? err
                        : pn_why_fail(ret_why, err,
                            "this device has no address that others could "
                            "dial, expected an interface that is up");
}

/* Makes the text and what is stored of it. */
static pn_err make(pn_inviting *v, const pn_inviting_options *o,
    const pn_address *at, pn_invitation *invitation,
    pn_stored_invitation *stored, char *ret_text, pn_why *ret_why)
{
    pn_err err = pn_random(invitation->secret, sizeof(invitation->secret));

    invitation->key = *pn_store_key(v->store);
    invitation->until_s = now_s() + o->ttl_s;
    (void)snprintf(
        invitation->name, sizeof(invitation->name), "%s", v->offer.label);
    stored->has_key = true;
    stored->until_s = invitation->until_s;
    stored->uses = (uint8_t)o->uses;
    if (o->label != NULL) {
        (void)snprintf(stored->label, sizeof(stored->label), "%s", o->label);
    }
    if (o->role != NULL) {
        (void)snprintf(stored->role, sizeof(stored->role), "%s", o->role);
    }
    if (err == PN_OK) {
        err = pn_invitation_derive(
            invitation->secret, stored->id, &stored->key);
    }
    if (err == PN_OK) {
        err = name_addresses(invitation, at, ret_why);
    }
    return err == PN_OK ? pn_invitation_write(invitation, ret_text) : err;
}

static pn_err invite(pn_inviting *v, const pn_inviting_options *o,
    const pn_address *at, char *ret_text, char *ret_id, pn_why *ret_why)
{
    pn_invitation *invitation = pn_secure_alloc(sizeof(*invitation));
    pn_stored_invitation *stored = pn_secure_alloc(sizeof(*stored));
    pn_err err = PN_NOMEM;

    if (invitation != NULL && stored != NULL) {
        err = make(v, o, at, invitation, stored, ret_text, ret_why);
    }
    if (err == PN_OK) {
        err = pn_invitations_add(pn_store_dir(v->store), stored,
            pn_address_port(at), now_s(), ret_why);
    }
    if (err == PN_OK) {
        memcpy(v->id, stored->id, sizeof(v->id));
        pn_hex_write(stored->id, sizeof(stored->id), ret_id);
    } else {
        pn_wipe(ret_text, PN_INVITATION_CAP);
    }
    pn_secure_free(invitation, sizeof(*invitation));
    pn_secure_free(stored, sizeof(*stored));
    return err;
}

static pn_err begin(pn_inviting *v, const char *data_dir,
    const pn_inviting_options *o, char *ret_text, char *ret_id, pn_why *ret_why)
{
    pn_address at;
    pn_err err = check_options(o, ret_why);

    if (err == PN_OK) {
        err = pn_store_open(data_dir, &v->store, ret_why, NULL);
    }
    if (err == PN_OK) {
        err = pn_loop_new(&v->loop);
    }
    if (err == PN_OK) {
        err = pn_timer_new(v->loop, on_timer, v, &v->timer);
    }
    if (err == PN_OK) {
        err = begin_listening(v, o, &at, ret_why);
    }
    if (err != PN_OK) {
        return err;
    }
    v->offer.port = o->node_port;
    if (o->own_label != NULL) {
        memcpy(v->offer.label, o->own_label, strlen(o->own_label));
    }
    v->sweep_us = pn_loop_update_now(v->loop) + SWEEP_EVERY_US;
    reset_timer(v);
    return invite(v, o, &at, ret_text, ret_id, ret_why);
}

pn_err pn_inviting_open(const char *data_dir,
    const pn_inviting_options *options, const pn_inviting_callbacks *callbacks,
    void *user, char ret_text[PN_INVITATION_CAP],
    char ret_id[PN_INVITATION_ID_CAP], pn_inviting **ret_inviting,
    pn_why *ret_why)
{
    pn_inviting *v = calloc(1, sizeof(*v));
    pn_err err;

    pn_why_clear(ret_why);
    if (v == NULL) {
        return PN_NOMEM;
    }
    v->callbacks = *callbacks;
    v->user = user;
    v->sweep = (pn_task){.run = on_sweep, .user = v};
    v->list = pn_invitation_list_new();
    pn_gate_init(&v->gate, &pn_pairing_gate_limits, &pn_pairing_env);
    for (size_t i = 0; i < PN_PAIRING_INCOMING; i++) {
        v->slots[i].inviting = v;
    }
    err = v->list == NULL
              ? PN_NOMEM
              : begin(v, data_dir, options, ret_text, ret_id, ret_why);
    if (err != PN_OK) {
        pn_inviting_close(v);
        return pn_why_complete(ret_why, err);
    }
    *ret_inviting = v;
    return PN_OK;
}

void pn_inviting_close(pn_inviting *v)
{
    if (v == NULL) {
        return;
    }
    for (size_t i = 0; i < PN_PAIRING_INCOMING; i++) {
        slot_close(&v->slots[i]);
    }
    if (v->listener != NULL) {
        transport->listener_close(v->listener);
    }
    pn_task_cancel(&v->sweep);
    pn_timer_free(v->timer);
    pn_loop_free(v->loop);
    pn_invitation_list_free(v->list);
    pn_store_close(v->store);
    free(v);
}

int pn_inviting_fd(const pn_inviting *v)
{
    return pn_loop_fd(v->loop);
}

int pn_inviting_timeout_ms(const pn_inviting *v)
{
    return pn_loop_timeout_ms(v->loop);
}

void pn_inviting_run(pn_inviting *v)
{
    pn_loop_run_once(v->loop);
}

bool pn_inviting_is_live(pn_inviting *v)
{
    for (size_t i = 0; i < PN_PAIRING_INCOMING; i++) {
        if (v->slots[i].conn != NULL) {
            return true; /* somebody may be about to say that it has stored */
        }
    }
    /* A file that cannot be read lets nobody in. */
    return pn_invitations_load(pn_store_dir(v->store), v->list, NULL) == PN_OK
           && pn_invitation_is_live(v->list, v->id, now_s());
}

/* ---- listing and cancelling ------------------------------------------------
 */

static void fill_row(
    pn_invitation_row *row, const pn_stored_invitation *invitation)
{
    static const char *const states[] = {
        [PN_INVITATION_UNKNOWN] = "unknown",
        [PN_INVITATION_OPEN] = "open",
        [PN_INVITATION_USED] = "used-up",
        [PN_INVITATION_EXPIRED] = "expired",
        [PN_INVITATION_CANCELLED] = "cancelled",
    };

    pn_hex_write(invitation->id, sizeof(invitation->id), row->id);
    row->state = states[pn_invitation_get_state(invitation, now_s())];
    row->until_s = invitation->until_s;
    row->uses = invitation->uses;
    row->n_joined = invitation->n_joiners;
    (void)snprintf(row->label, sizeof(row->label), "%s", invitation->label);
    (void)snprintf(row->role, sizeof(row->role), "%s", invitation->role);
}

pn_err pn_inviting_list(const char *data_dir, pn_invitation_row **ret_rows,
    size_t *ret_n, pn_why *ret_why)
{
    pn_invitation_list *list = pn_invitation_list_new();
    pn_invitation_row *rows = calloc(PN_INVITATIONS_MAX, sizeof(*rows));
    pn_guarded_dir dir = {.path = NULL};
    pn_err err = PN_NOMEM;

    pn_why_clear(ret_why);
    if (list != NULL && rows != NULL) {
        err = pn_guarded_open(data_dir, NULL, &dir, ret_why);
    }
    if (err == PN_OK) {
        err = pn_invitations_load(&dir, list, ret_why);
    }
    if (err == PN_OK) {
        for (size_t i = 0; i < list->n; i++) {
            fill_row(&rows[i], &list->entries[i]);
        }
        *ret_n = list->n;
        *ret_rows = rows;
        rows = NULL;
    }
    pn_guarded_close(&dir);
    pn_invitation_list_free(list);
    free(rows);
    return pn_why_complete(ret_why, err);
}

pn_err pn_inviting_cancel(const char *data_dir, const char *id, pn_why *ret_why)
{
    pn_guarded_dir dir;
    uint8_t bytes[PN_INVITATION_ID_LEN];
    pn_err err;

    pn_why_clear(ret_why);
    if (strlen(id) != 2 * sizeof(bytes)
        || !pn_hex_read(id, sizeof(bytes), bytes)) {
        return pn_why_fail(ret_why, PN_INVALID,
            "expected the 16 hexadecimal digits of an invitation");
    }
    err = pn_guarded_open(data_dir, NULL, &dir, ret_why);
    if (err == PN_OK) {
        err = pn_invitations_cancel(&dir, bytes, now_s(), ret_why);
    }
    pn_guarded_close(&dir);
    if (err == PN_NOT_FOUND) {
        return pn_why_fail(ret_why, err, "no invitation of this id is open");
    }
    return pn_why_complete(ret_why, err);
}

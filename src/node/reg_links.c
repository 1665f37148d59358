/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The links of a peer: which is primary, and which goes when there are two.
 * Follows docs/THREATS.md, T19 and section 3, policy 3; tests/model has the
 * proof.
 */
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "node/reg_peer.h"

#define CLOSE_INTERVAL_US (2 * PN_US_PER_S)
/* A link that was up for this long starts the backoff again. */
#define RESET_UP_US (30 * PN_US_PER_S)

/* True when both ends are known to have both links; then they agree about them.
 * If one end dialled both, the newer one means that the older has ended there
 * or is given up: a node dials only without a link, or beside one that was up
 * at both ends and is silent. One that stays silent beside the newer is of no
 * use, whoever dialled it. */
static bool is_settled(const pn_reg_entry *p)
{
    const pn_reg_link *a = &p->links[0];
    const pn_reg_link *b = &p->links[1];

    if (p->n_links != 2) {
        return false;
    }
    if (a->is_ours == b->is_ours || (a->is_silent && !a->is_received)) {
        return b->is_received;
    }
    return b->is_received
           && !PN_REFUSE_IF(registry_tie_received, !a->is_received);
}

/* Of two links: the index of the one that stays (T19). */
static unsigned keeper(const pn_registry *r, const pn_reg_entry *p)
{
    if (p->links[0].is_ours == p->links[1].is_ours
        || (p->links[0].is_silent && !p->links[0].is_received)) {
        return 1;
    }
    return p->links[0].is_ours == pn_reg_own_is_smaller(r, p) ? 0 : 1;
}

uint64_t pn_reg_close_due_us(const pn_registry *r, const pn_reg_entry *p)
{
    uint64_t due_us;

    if (r->is_stopped || !is_settled(p)) {
        return PN_TIME_NEVER;
    }
    due_us = p->links[1].up_us;
    if (PN_REFUSE_IF(registry_tie_grace, r->config.grace_us > 0)) {
        due_us += r->config.grace_us;
    }
    if (PN_REFUSE_IF(registry_close_interval, p->has_closed)) {
        due_us = pn_later(due_us, p->closed_us + CLOSE_INTERVAL_US);
    }
    if (PN_REFUSE_IF(
            registry_close_etiquette, pn_reg_etiquette_us(p) > due_us)) {
        due_us = pn_reg_etiquette_us(p);
    }
    return due_us;
}

static void take_link(pn_reg_entry *p, unsigned i)
{
    assert(i < p->n_links);
    p->n_links--;
    memmove(
        &p->links[i], &p->links[i + 1], (p->n_links - i) * sizeof(p->links[0]));
}

pn_reg_link *pn_reg_find_link(pn_reg_entry *p, const void *handle)
{
    for (unsigned i = 0; i < p->n_links; i++) {
        if (p->links[i].handle == handle) {
            return &p->links[i];
        }
    }
    return NULL;
}

/* The newest over which the peer has spoken, until both ends can agree on one;
 * then calls move over before the other is closed. A link that we dialled may
 * be of a peer that has not paired us: it is of no use before its first frame.
 */
static void choose_primary(const pn_registry *r, pn_reg_entry *p)
{
    p->pub.is_probing = p->is_asked || (p->n_links == 2 && !is_settled(p));
    p->pub.primary = NULL;
    for (unsigned i = 0; i < p->n_links; i++) {
        if (PN_REFUSE_IF(registry_link_proven, !p->links[i].is_proven)) {
            p->pub.is_probing = true;
        } else {
            p->pub.primary = p->links[i].handle;
        }
    }
    if (is_settled(p)) {
        p->pub.primary = p->links[keeper(r, p)].handle;
    }
}

static void close_link(pn_registry *r, pn_reg_entry *p, unsigned i,
    pn_reason reason, uint64_t now_us)
{
    void *handle = p->links[i].handle;

    take_link(p, i);
    pn_reg_note_ended(p, now_us);
    choose_primary(r, p);
    pn_reg_set_timer(r, p);
    r->callbacks->close_link(r->user, &p->pub, handle, reason);
}

void pn_reg_close_duplicate(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    p->has_closed = true;
    p->closed_us = now_us;
    close_link(r, p, 1 - keeper(r, p), PN_REASON_DUPLICATE, now_us);
}

pn_reg_peer *pn_registry_link_up(pn_registry *r, const pn_public_key *key,
    void *link, bool dialled_by_us, const pn_address *address, uint64_t now_us)
{
    pn_reg_entry *p = pn_reg_find(r, key);
    uint64_t n_changes;

    if (PN_REFUSE_IF(registry_unpaired_link, p == NULL)) {
        return NULL;
    }
    assert(link != NULL && pn_reg_find_link(p, link) == NULL);
    if (dialled_by_us && p->is_dialling) {
        pn_reg_dial_succeeded(p);
    }
    if (p->n_links == 1) {
        p->links[0].is_silent = p->overdue_us > 0;
    }
    pn_reg_heard_from(p);
    for (unsigned i = 0; i < p->n_links; i++) {
        p->links[i].is_received = false;
    }
    p->links[p->n_links++] = (pn_reg_link){.handle = link,
        .address = *address,
        .up_us = now_us,
        .is_ours = dialled_by_us,
        /* Its last handshake message was a frame. */
        .is_received = !dialled_by_us,
        .is_proven = !dialled_by_us};
    pn_reg_known_add(r, p, address);
    p->pub.ends_freely = p->pub.ends_freely && p->n_links > 1;
    p->has_given_way = false;
    p->step_us = PN_TIME_NEVER;
    for (unsigned i = 0; i < p->slots.n; i++) {
        p->slots.at[i].is_target = false;
    }
    if (!dialled_by_us) {
        pn_reg_slots_forget_told(&p->slots, false);
    }
    choose_primary(r, p);
    pn_reg_set_timer(r, p);
    n_changes = r->n_changes;
    if (PN_REFUSE_IF(registry_max_links, p->n_links > PN_REG_MAX_LINKS)) {
        close_link(r, p, 0, PN_REASON_SUPERSEDED, now_us);
    }
    for (unsigned i = 0; r->n_changes == n_changes && p->n_links == 2 && i < 2;
         i++) {
        if (!p->links[i].is_received) {
            r->callbacks->probe(r->user, &p->pub, p->links[i].handle);
        }
    }
    return pn_registry_find(r, key);
}

void pn_registry_link_received(pn_registry *r, pn_reg_peer *peer, void *link)
{
    pn_reg_entry *p = pn_reg_entry_of(peer);
    pn_reg_link *l = pn_reg_find_link(p, link);

    if (l != NULL && (!l->is_received || p->is_asked)) {
        l->is_received = true;
        l->is_proven = true;
        pn_reg_heard_from(p);
        pn_reg_slots_forget_told(&p->slots, false);
        choose_primary(r, p);
        pn_reg_set_timer(r, p);
    }
}

void pn_registry_ends_freely(pn_registry *r, pn_reg_peer *peer)
{
    pn_reg_entry *p = pn_reg_entry_of(peer);

    p->pub.ends_freely = true;
    p->ended.n = 0;
    p->known_ended.n = 0;
    pn_reg_set_timer(r, p);
}

void pn_registry_link_down(pn_registry *r, pn_reg_peer *peer, void *link,
    pn_reason reason, uint64_t now_us)
{
    pn_reg_entry *p = pn_reg_entry_of(peer);
    pn_reg_link *l = pn_reg_find_link(p, link);

    if (l == NULL) {
        return;
    }
    if (now_us - l->up_us >= RESET_UP_US) {
        p->backoff_us = r->config.reconnect_min_us;
    }
    p->last_reason = reason;
    pn_reg_heard_from(p);
    take_link(p, (unsigned)(l - p->links));
    pn_reg_note_ended(p, now_us);
    choose_primary(r, p);
    if (p->n_links == 0) {
        pn_reg_step_after_link(r, p, now_us);
    }
    pn_reg_set_timer(r, p);
}

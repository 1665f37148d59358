/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the discovery sources report (on any thread): who was heard where, told
 * as events and given to the registry as hints.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "node/net_internal.h"
#include "os/clock.h"
#include "trust/label.h"

/* A source that has reported an address within this time still hears it, should
 * another lose it. Some never say that they lost one, so such an address is
 * looked at again when the time is over. */
#define HEARD_US (15 * PN_US_PER_S)

/* Announces of a node that has been up for a while are 4 to 6 s apart; one may
 * be received several times. */
#define TWICE_US (100 * PN_US_PER_MS)
#define EARLY_US (2500 * PN_US_PER_MS)
#define LATE_US (6500 * PN_US_PER_MS)

/* A paired peer may be at several addresses; each announce may be forged. */
enum { PAIRED_LINES = 4 };

static pn_heard_row *heard_find(
    struct pn_net *net, const pn_public_key *key, const pn_address *address)
{
    for (size_t i = 0; i < PN_NET_MAX_HEARD; i++) {
        pn_heard_row *h = &net->heard[i];

        if (h->is_used && pn_key_equal(&h->key, key)
            && pn_address_equal(&h->address, address)) {
            return h;
        }
    }
    return NULL;
}

/* The oldest row gives way, and one of a paired peer only when all are: made-up
 * keys drive out no address that is used. */
static pn_heard_row *heard_add(
    pn_node *node, const pn_public_key *key, const pn_address *address)
{
    struct pn_net *net = pn_full(node)->net;
    pn_heard_row *h;

    for (size_t i = 0; i < PN_NET_MAX_HEARD; i++) {
        h = &net->heard[net->next_heard];
        if (!h->is_used || pn_node_find_peer(node, &h->key) == NULL) {
            break;
        }
        net->next_heard = (net->next_heard + 1) % PN_NET_MAX_HEARD;
    }
    h = &net->heard[net->next_heard];
    *h = (pn_heard_row){.key = *key,
        .address = *address,
        .first_us = pn_wall_now_us(),
        .is_used = true};
    net->next_heard = (net->next_heard + 1) % PN_NET_MAX_HEARD;
    return h;
}

/* Counts a report; *ret_is_new: the first of this key and address. Returns
 * whether it is out of rhythm, as the first of a source is: whoever starts,
 * wakes or moves announces three times in two seconds. */
static bool heard_note(const pn_source_slot *slot, const pn_public_key *key,
    const pn_address *address, bool *ret_is_new)
{
    struct pn_net *net = pn_full(slot->node)->net;
    pn_heard_row *h = heard_find(net, key, address);
    uint64_t now_us = pn_node_now(slot->node);
    uint64_t before_us;

    *ret_is_new = h == NULL;
    if (h == NULL) {
        h = heard_add(slot->node, key, address);
    }
    before_us = h->by_us[slot - net->slots];
    if (before_us == 0) {
        h->is_doubted = false; /* whoever lost it hears it again */
    }
    h->source = slot->source->name;
    h->by_us[slot - net->slots] = now_us;
    h->last_us = pn_wall_now_us();
    h->n_reports++;
    return before_us == 0
           || (now_us > before_us + TWICE_US && now_us < before_us + EARLY_US)
           || now_us > before_us + LATE_US;
}

static void heard_tell(const pn_heard_row *h, pn_heard_info *ret_info)
{
    ret_info->key = h->key;
    pn_address_text(&h->address, ret_info->address);
    (void)snprintf(ret_info->source, sizeof(ret_info->source), "%s", h->source);
    ret_info->first_ms = h->first_us / 1000;
    ret_info->last_ms = h->last_us / 1000;
    ret_info->n_reports = h->n_reports;
    (void)snprintf(ret_info->published_label, sizeof(ret_info->published_label),
        "%s", h->label);
}

pn_err pn_list_heard(pn_node *node, pn_heard_info **ret_heard, size_t *ret_n)
{
    pn_heard_info *infos = NULL;
    const struct pn_net *net;
    pn_err err = PN_CLOSED;
    size_t n = 0;

    pn_node_lock(node);
    net = pn_full(node)->net;
    if (net != NULL) {
        infos = calloc(PN_NET_MAX_HEARD, sizeof(*infos));
        err = infos == NULL ? PN_NOMEM : PN_OK;
    }
    for (size_t i = 0; err == PN_OK && i < PN_NET_MAX_HEARD; i++) {
        if (net->heard[i].is_used) {
            heard_tell(&net->heard[i], &infos[n++]);
        }
    }
    pn_node_unlock(node);
    if (err == PN_OK) {
        *ret_heard = infos;
        *ret_n = n;
    }
    return err;
}

static void source_event(const pn_source_slot *slot, pn_event_type type,
    const pn_public_key *key, const pn_address *address)
{
    const pn_peer *peer = pn_node_find_peer(slot->node, key);
    pn_principal who = pn_peernet_principal(key);

    pn_node_event(slot->node, type, &who, peer == NULL ? NULL : peer->label,
        address, slot->source->name, strlen(slot->source->name),
        PN_REASON_NONE);
}

void pn_heard_found(void *user, const pn_public_key *key, const char *text)
{
    pn_source_slot *slot = user;
    pn_node *node = slot->node;
    pn_address address;
    pn_peer *peer;
    bool is_new;
    bool is_odd;

    assert_unlocked(node);
    if (pn_peer_address_parse(text, &address) != PN_OK) {
        return;
    }
    pn_node_lock(node);
    if (!node->closing.is_asked
        && !pn_key_equal(key, &pn_full(node)->trust.identity->public_key)) {
        peer = pn_node_find_peer(node, key);
        is_odd = heard_note(slot, key, &address, &is_new);
        if (is_new
            && pn_node_tells(node, PN_QUIET_DISCOVERED, key,
                peer == NULL ? 1 : PAIRED_LINES)) {
            source_event(slot, PN_EVENT_DISCOVERED, key, &address);
        }
        if (peer != NULL) {
            (void)pn_registry_heard(pn_full(node)->registry, key, &address,
                slot->source->name, pn_node_now(node));
            if (is_odd) {
                pn_registry_suspect(
                    pn_full(node)->registry, key, pn_node_now(node));
            }
            pn_node_wake(node);
        }
    }
    pn_node_unlock(node);
}

/* A source reports an address once, maybe before the peer was paired. */
void pn_node_net_recall(pn_node *node, pn_peer *peer)
{
    assert_locked(node);
    for (size_t i = 0; pn_full(node)->net != NULL && i < PN_NET_MAX_HEARD;
         i++) {
        const pn_heard_row *h = &pn_full(node)->net->heard[i];

        if (h->is_used && pn_key_equal(&h->key, &peer->key)) {
            (void)pn_registry_heard(pn_full(node)->registry, &h->key,
                &h->address, h->source, pn_node_now(node));
        }
    }
}

/* When the reports of all slots are too old; 0: none hears it. */
static uint64_t heard_until(const struct pn_net *net, const pn_heard_row *h)
{
    uint64_t last_us = 0;

    for (size_t i = 0; i < net->n_slots; i++) {
        last_us = h->by_us[i] > last_us ? h->by_us[i] : last_us;
    }
    return last_us == 0 ? 0 : last_us + HEARD_US;
}

static void forget(const pn_source_slot *slot, pn_heard_row *h)
{
    pn_node *node = slot->node;

    h->is_used = false;
    if (pn_node_tells(node, PN_QUIET_DISCOVERED, &h->key, PAIRED_LINES)) {
        source_event(slot, PN_EVENT_LOST, &h->key, &h->address);
    }
    pn_registry_hint_lost(pn_full(node)->registry, &h->key, &h->address);
    pn_node_wake(node);
}

/* The slot that has reported a doubted row; the other has lost it. */
static const pn_source_slot *heard_slot(
    const struct pn_net *net, const pn_heard_row *h)
{
    size_t i = 0;

    while (i + 1 < net->n_slots && h->by_us[i] == 0) {
        i++;
    }
    return &net->slots[i];
}

void pn_heard_look(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;
    uint64_t now_us = pn_node_now(node);
    uint64_t next_us = PN_TIME_NEVER;

    assert_on_loop(node);
    assert_locked(node);
    for (size_t i = 0; i < PN_NET_MAX_HEARD; i++) {
        pn_heard_row *h = &net->heard[i];
        uint64_t until_us = heard_until(net, h);

        if (!h->is_used || !h->is_doubted) {
            continue;
        }
        if (until_us <= now_us) {
            forget(heard_slot(net, h), h);
        } else if (until_us < next_us) {
            next_us = until_us;
        }
    }
    pn_timer_set(net->doubt, next_us);
}

void pn_heard_on_doubt(void *user)
{
    pn_node *node = user;

    pn_node_lock(node);
    if (!node->closing.is_asked && PN_SAFEGUARD(net_lost_in_silence)) {
        pn_heard_look(node);
    }
    pn_node_unlock(node);
}

/* A source loses only what it has found and not lost yet: the hint may be
 * another's. */
void pn_heard_lost(void *user, const pn_public_key *key, const char *text)
{
    pn_source_slot *slot = user;
    pn_node *node = slot->node;
    pn_address address;
    struct pn_net *net;
    pn_heard_row *h;

    assert_unlocked(node);
    if (pn_peer_address_parse(text, &address) != PN_OK) {
        return;
    }
    pn_node_lock(node);
    net = pn_full(node)->net;
    h = node->closing.is_asked ? NULL : heard_find(net, key, &address);
    if (h != NULL
        && !PN_REFUSE_IF(
            net_lost_not_found, h->by_us[slot - net->slots] == 0)) {
        h->by_us[slot - net->slots] = 0;
        if (h->label_slot == (size_t)(slot - net->slots)) {
            h->label[0] = '\0';
        }
        if (PN_REFUSE_IF(
                net_lost_by_one, heard_until(net, h) > pn_node_now(node))) {
            h->is_doubted = true;
            net->is_doubting = true;
            pn_node_wake(node);
        } else {
            forget(slot, h);
        }
    }
    pn_node_unlock(node);
}

static bool is_label(const char *label)
{
    return !PN_REFUSE_IF(net_label_length, strlen(label) > PN_NET_LABEL_MAX)
           && !PN_REFUSE_IF(net_label_text, !pn_label_is_valid(label));
}

/* A stranger's text, which is shown and never acted upon. */
void pn_heard_labelled(
    void *user, const pn_public_key *key, const char *text, const char *label)
{
    pn_source_slot *slot = user;
    pn_node *node = slot->node;
    pn_address address;
    struct pn_net *net;
    pn_heard_row *h;

    assert_unlocked(node);
    if (pn_peer_address_parse(text, &address) != PN_OK || !is_label(label)) {
        return;
    }
    pn_node_lock(node);
    net = pn_full(node)->net;
    h = node->closing.is_asked ? NULL : heard_find(net, key, &address);
    if (h != NULL
        && !PN_REFUSE_IF(
            net_label_not_found, h->by_us[slot - net->slots] == 0)) {
        (void)snprintf(h->label, sizeof(h->label), "%s", label);
        h->label_slot = (size_t)(slot - net->slots);
    }
    pn_node_unlock(node);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link that the peer may have lost without our knowing: its power was cut, it
 * slept, or moved. An announce is a reason to ask on the link and never a
 * reason to end it: anybody can forge one (T15). An Elixir node whose handler
 * works answers late, and counts the connections that end, so one that is
 * silent is left to its time-out.
 */
#include "base/mutant.h"
#include "node/reg_peer.h"

/* From one question to the next, of one peer. */
#define ASK_INTERVAL_US (2 * PN_US_PER_S)
/* A peer of our own kind answers at once, whatever its handlers do. TCP has
 * sent the question three times by then. */
#define SILENT_US (1400 * PN_US_PER_MS)
/* This host may have been slow itself: what has arrived is read first. */
#define READ_US (100 * PN_US_PER_MS)

void pn_reg_heard_from(pn_reg_entry *p)
{
    p->is_asked = false;
    p->overdue_us = 0;
    p->ask_us = PN_TIME_NEVER;
}

void pn_registry_not_read(pn_reg_peer *peer)
{
    pn_reg_heard_from(pn_reg_entry_of(peer));
}

void pn_registry_suspect(
    pn_registry *r, const pn_public_key *key, uint64_t now_us)
{
    pn_reg_entry *p = pn_reg_find(r, key);

    if (p == NULL || p->n_links != 1 || p->is_asked
        || p->ask_us != PN_TIME_NEVER) {
        return;
    }
    p->ask_us = now_us;
    if (PN_REFUSE_IF(registry_ask_interval, p->asked_us > 0)) {
        p->ask_us = pn_later(now_us, p->asked_us + ASK_INTERVAL_US);
    }
    pn_reg_set_timer(r, p);
}

uint64_t pn_reg_ask_due_us(const pn_registry *r, const pn_reg_entry *p)
{
    return r->is_stopped || p->n_links != 1 ? PN_TIME_NEVER : p->ask_us;
}

void pn_reg_ask(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    p->ask_us = PN_TIME_NEVER;
    p->asked_us = now_us;
    p->is_asked = true;
    p->pub.is_probing = true;
    pn_reg_set_timer(r, p);
    r->callbacks->probe(r->user, &p->pub, p->links[0].handle);
}

uint64_t pn_reg_silent_us(const pn_reg_entry *p)
{
    if (p->n_links != 1 || PN_REFUSE_IF(registry_beside_asked, !p->is_asked)
        || PN_REFUSE_IF(registry_beside_kind, !p->pub.ends_freely)) {
        return PN_TIME_NEVER;
    }
    return p->overdue_us > 0 ? p->overdue_us + READ_US
                             : p->asked_us + SILENT_US;
}

bool pn_reg_is_overdue(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    if (p->overdue_us > 0) {
        return true;
    }
    p->overdue_us = now_us;
    pn_reg_set_timer(r, p);
    return false;
}

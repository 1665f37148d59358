/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From where paired peers are known to come: hosts that the owner gave, that
 * an earlier run remembered, or that a link was authenticated from. Strangers
 * from there have places of their own (T3). A host that was only announced is
 * not one of them, because announces can be forged.
 */
#include <string.h>

#include "base/assert.h"
#include "node/reg_peer.h"

static void forget_last(pn_registry *r, pn_reg_entry *p)
{
    assert(p->n_known > 0);
    pn_hosts_remove(&r->hosts, &p->known[--p->n_known]);
}

/* Newest first; without memory for it the host stays an ordinary one. */
void pn_reg_known_add(
    pn_registry *r, pn_reg_entry *p, const pn_address *address)
{
    unsigned i = 0;

    while (i < p->n_known && !pn_address_same_host(&p->known[i], address)) {
        i++;
    }
    if (i == p->n_known) {
        if (pn_hosts_add(&r->hosts, address) != PN_OK) {
            return;
        }
        if (p->n_known == PN_REG_MAX_KNOWN) {
            forget_last(r, p);
            i--;
        }
        p->n_known++;
    }
    memmove(&p->known[1], &p->known[0], i * sizeof(p->known[0]));
    p->known[0] = *address;
}

void pn_reg_known_forget(pn_registry *r, pn_reg_entry *p)
{
    while (p->n_known > 0) {
        forget_last(r, p);
    }
}

bool pn_registry_knows_host(const pn_registry *r, const pn_address *address)
{
    return pn_hosts_find(&r->hosts, address) != NULL;
}

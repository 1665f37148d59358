/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pin that is taken back, by us or in a file, ends the link of that node
 * and every grant to a key that no pin names any more. Pinning the key
 * again does not bring them back. Each pin that came or went is an event.
 * Nothing of this needs memory: what is not allowed any more ends without, too.
 */
#include <string.h>

#include "barrel_internal.h"
#include "base/mutant.h"
#include "base/slice.h"

static bool is_pinned_key(const pn_barrel *barrel, const pn_ed25519_key *key)
{
    size_t n = 0;
    const pn_pin *pins = pn_pins_all(barrel->pins, &n);

    for (size_t i = 0; i < n; i++) {
        if (pn_ed25519_key_equal(&pins[i].key, key)) {
            return true;
        }
    }
    return false;
}

static void forget_grants(pn_barrel *barrel, const pn_ed25519_key *key)
{
    pn_principal who = pn_barrel_principal(key);

    if (!is_pinned_key(barrel, key)
        && PN_SAFEGUARD(barrel_grants_of_unpinned)) {
        pn_node_forget_grants(barrel->node, &who);
    }
}

/* The links of this key under names that have it no more. */
static void end_links(pn_barrel *barrel, const pn_ed25519_key *key)
{
    assert_locked(barrel->node);
    PN_LIST_EACH(pn_link, l, &barrel->node->links.all, listed) {
        pn_barrel_link *link = (pn_barrel_link *)(void *)l;

        if (!pn_barrel_is_link(l, barrel) || !link->is_authenticated
            || link->is_cookie_only || l->stage == PN_LINK_ENDED
            || !pn_ed25519_key_equal(&l->principal.key.ed25519, key)) {
            continue;
        }
        if (PN_REFUSE_IF(barrel_link_of_unpinned,
                !pn_pins_has(barrel->pins, pn_slice_of(link->name),
                    &l->principal.key.ed25519))) {
            pn_barrel_link_end(link, PN_REASON_UNPAIRED,
                "%s is not pinned any more; pin its key again", link->name);
        }
    }
}

void pn_barrel_pin_changed(void *user, const pn_pin *pin, bool is_pinned)
{
    pn_barrel *barrel = user;
    const char *text = is_pinned ? "pinned" : "unpinned";
    const pn_principal who = pn_barrel_principal(&pin->key);

    assert_unlocked(barrel->node);
    pn_node_lock(barrel->node);
    pn_node_event(barrel->node, PN_EVENT_TRUST_CHANGED, &who, pin->name, NULL,
        text, strlen(text), is_pinned ? PN_REASON_NONE : PN_REASON_UNPAIRED);
    pn_barrel_redial_pin(barrel, pin->name);
    if (!is_pinned) {
        pn_barrel_known_unpin(barrel->known, barrel->pins, pin->name);
        end_links(barrel, &pin->key);
        forget_grants(barrel, &pin->key);
    }
    pn_node_unlock(barrel->node);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a received datagram; see heard.h. */
#include "discovery/heard.h"
#include "base/mutant.h"

static bool is_bad_source(const pn_heard_rules *rules, const pn_address *from)
{
    return PN_REFUSE_IF(discovery_multicast, pn_address_is_multicast(from))
           || PN_REFUSE_IF(discovery_loopback, pn_address_is_loopback(from)
                                                   ? !rules->is_loopback
                                                   : !rules->is_lan);
}

static bool is_listed(const pn_heard_rules *rules, const pn_address *from)
{
    for (size_t i = 0; i < rules->n_listed; i++) {
        if (pn_address_same_host(&rules->listed[i], from)) {
            return true;
        }
    }
    return false;
}

/* This host's own broadcasts come back by any interface. */
static bool is_on_link(const pn_interface *interfaces, size_t n, unsigned index,
    const pn_address *from)
{
    return pn_address_is_loopback(from)
           || pn_interfaces_is_on_link(interfaces, n, index, from)
           || pn_interfaces_is_own(interfaces, n, from);
}

pn_heard pn_heard_judge(const pn_heard_rules *rules,
    const pn_interface *interfaces, size_t n_interfaces, unsigned index,
    const pn_address *from, const uint8_t *data, size_t len,
    pn_announce *ret_announce)
{
    pn_announce a;

    if (pn_announce_read_kind(rules->kind, data, len, &a) != PN_OK) {
        return PN_HEARD_MALFORMED;
    }
    if (PN_REFUSE_IF(
            discovery_own_key, pn_key_equal(&a.key, &rules->own_key))) {
        return PN_HEARD_OWN_KEY;
    }
    if (PN_REFUSE_IF(discovery_low_port, a.port < rules->min_port)) {
        return PN_HEARD_LOW_PORT;
    }
    if (is_bad_source(rules, from)) {
        return PN_HEARD_BAD_SOURCE;
    }
    if (PN_REFUSE_IF(discovery_off_link,
            !is_on_link(interfaces, n_interfaces, index, from)
                && !is_listed(rules, from))) {
        return PN_HEARD_OFF_LINK;
    }
    *ret_announce = a;
    return PN_HEARD_FOUND;
}

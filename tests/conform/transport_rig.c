/* SPDX-License-Identifier: Apache-2.0 */
/* See transport_rig.h. */
#include "transport_rig.h"

bool rig_show(rig_end *end, size_t *ret_n)
{
    size_t len = pn_buf_used(&end->rest);
    size_t want = 0;

    if (len == 0 || len < end->want) {
        return false;
    }
    *ret_n = end->callbacks->on_data(
        end->user, pn_buf_head(&end->rest), len, &want);
    if (end->state != RIG_OPEN) {
        return false;
    }
    pn_buf_consume(&end->rest, *ret_n);
    end->want = want < PN_CONN_REST_MAX ? want : PN_CONN_REST_MAX;
    return true;
}

bool rig_is_over_rest(const rig_end *end)
{
    return pn_buf_used(&end->rest) > PN_CONN_REST_MAX;
}

bool rig_is_refused(
    const pn_listener_callbacks *callbacks, void *user, const pn_address *from)
{
    return callbacks->on_incoming != NULL
           && !callbacks->on_incoming(user, from);
}

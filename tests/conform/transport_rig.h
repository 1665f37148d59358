/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the transports that exist for tests only: in memory, and over
 * QUIC. */
#ifndef PN_TESTS_TRANSPORT_RIG_H
#define PN_TESTS_TRANSPORT_RIG_H

#include "base/buf.h"
#include "os/transport.h"

typedef enum rig_state {
    RIG_CONNECTING,
    RIG_OPEN,
    RIG_ENDED, /* on_end has been called */
    RIG_CLOSED
} rig_state;

/* Embedded in a connection. */
typedef struct rig_end {
    const pn_conn_callbacks *callbacks; /* NULL: not accepted yet */
    void *user;
    rig_state state;
    bool is_reading;
    bool wants_write;
    pn_buf rest; /* arrived, not taken */
    size_t want; /* show it when there is this much */
    pn_address local;
    pn_address remote;
} rig_end;

/* Shows rest to the owner. False: there was too little, or the owner ended the
 * connection. *ret_n: how much was taken. */
bool rig_show(rig_end *end, size_t *ret_n);

/* The owner left more than it may. */
bool rig_is_over_rest(const rig_end *end);

bool rig_is_refused(
    const pn_listener_callbacks *callbacks, void *user, const pn_address *from);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two ends of a connection on one loop, with a record of the events at each:
 * shared by the conformance suite and the tests of single transports.
 */
#ifndef PN_TESTS_CONFORM_H
#define PN_TESTS_CONFORM_H

#include "base/buf.h"
#include "harness.h"
#include "os/transport.h"

typedef struct rig rig;

/* One end: first its settings, then the record. */
typedef struct side {
    rig *rig;
    pn_conn *conn; /* NULL: closed, or not there yet */
    /* on_data takes this much of what it is shown; SIZE_MAX: all. */
    size_t take;
    size_t want;
    bool is_echo;       /* what comes is written back */
    bool close_on_open; /* the callback of that name closes conn */
    bool close_on_data;
    bool close_on_writable;
    bool close_on_end;
    bool pause_on_data; /* turns reading off in on_data */

    pn_buf in;  /* all bytes taken */
    pn_buf out; /* written when it goes */
    unsigned n_open;
    unsigned n_data;
    unsigned n_writable;
    unsigned n_end;
    pn_err why;
    int sys_errno;
    size_t shown; /* length of the last on_data */
    size_t max_shown;
    uint8_t first; /* first byte of the last on_data */
} side;

struct rig {
    const pn_transport_ops *ops;
    void (*end)(pn_loop *loop); /* before the loop is freed; may be NULL */
    pn_loop *loop;
    pn_listener *listener;
    pn_address at; /* where it listens */
    side client;
    side server; /* the latest accepted */
    bool refuse; /* on_incoming says no */
    bool drop;   /* on_accept closes at once */
    bool close_listener_on_accept;
    unsigned n_incoming;
    unsigned n_accepts;
    unsigned n_troubles;
    pn_address incoming_from;
    pn_address accept_from;
    bool in_ops; /* a callback now would come from inside a call */
};

extern const pn_conn_callbacks rig_conn_callbacks;
extern const pn_listener_callbacks rig_listener_callbacks;

/* at is text; the rig listens there. */
void rig_init(rig *r, const pn_transport_ops *ops, const char *at);
void rig_fini(rig *r);
/* Dials where it listens and runs until both ends are there. */
void rig_connect(rig *r);
void rig_dial(rig *r, const pn_address *to);
/* Runs until done returns true; false after 10 s. */
bool rig_run(rig *r, bool (*done)(rig *r));
/* Runs whatever is due within ms. */
void rig_settle(rig *r, unsigned ms);
/* Appends to the side's output and writes what goes. */
pn_err side_write(side *s, const void *data, size_t len);
pn_err side_flush(side *s);
void side_close(side *s);

/* True when this host has ::1. */
bool host_has_ipv6(void);

#endif

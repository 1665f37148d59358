/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two QUIC endpoints on one loop, with a record of the events at each end.
 */
#ifndef PN_TESTS_QUIC_RIG_H
#define PN_TESTS_QUIC_RIG_H

#include "base/buf.h"
#include "harness.h"
#include "quic/quic.h"

enum { QUIC_RIG_STREAMS = 32 };

typedef struct quic_rig quic_rig;

/* The bytes of one stream. */
typedef struct quic_heard {
    int64_t id; /* -1: unused */
    pn_buf in;
    unsigned n_data;
    bool is_finished;
    bool is_reset;
    uint64_t reset_code;
    uint64_t n_acked;
} quic_heard;

/* One end of a connection. */
typedef struct quic_side {
    quic_rig *rig;
    pn_quic_conn *conn; /* NULL: not there yet, or closed */
    bool is_echo;       /* what comes by a bidirectional stream goes back */
    bool is_deaf;       /* gives no credit */
    bool ignores_acks;
    bool is_counting; /* counts ends of streams and keeps no bytes */
    bool close_on_open;
    bool close_on_end;
    bool has_ended;
    unsigned n_open;
    unsigned n_streams;
    unsigned n_writable;
    unsigned n_counted;
    unsigned n_end;
    pn_err why;
    uint64_t code;
    int sys_errno;
    quic_heard heard[QUIC_RIG_STREAMS];
} quic_side;

struct quic_rig {
    pn_loop *loop;
    pn_certificate *certificate;
    pn_quic *server_quic;
    pn_quic *client_quic;
    pn_address at;
    quic_side client;
    quic_side server; /* the latest accepted */
    bool refuse;
    bool refuse_proven;
    unsigned reserve; /* times that on_reserve still returns true */
    bool keep_server; /* accept no more than one: close the others */
    unsigned n_incoming;
    unsigned n_proven;
    unsigned n_left;
    pn_address proven_from;
    unsigned n_accepts;
    bool in_call; /* a callback now would come from inside a call */
};

extern const pn_quic_conn_callbacks quic_rig_callbacks;

/* options may be NULL; the protocol is "test" on both sides unless they say
 * otherwise. at is text. */
void quic_rig_init(quic_rig *r, const char *at,
    const pn_quic_options *server_options,
    const pn_quic_options *client_options);
void quic_rig_fini(quic_rig *r);
void quic_rig_dial(quic_rig *r, quic_side *side);
/* Dials and runs until both ends are open. */
void quic_rig_connect(quic_rig *r);
bool quic_rig_is_connected(quic_rig *r);
/* Runs until done returns true; false after 10 s. */
bool quic_rig_run(quic_rig *r, bool (*done)(quic_rig *r));
void quic_rig_settle(quic_rig *r, unsigned ms);
/* Runs until an expression is true, for at most 5 s or so. */
#define QUIC_RIG_UNTIL(r, condition)                                           \
    do {                                                                       \
        for (int until_ = 0; until_ < 5000 && !(condition); until_++) {        \
            quic_rig_settle(r, 1);                                             \
        }                                                                      \
        assert_true(condition);                                                \
    } while (0)
void quic_side_init(quic_side *side, quic_rig *r);
void quic_side_fini(quic_side *side);
void quic_side_close(quic_side *side);
/* The bytes of a stream; never NULL. */
quic_heard *quic_side_heard(quic_side *side, int64_t id);

/* Strangers are plain sockets of IPv4 on loopback. */
typedef struct quic_datagram {
    uint8_t data[2048];
    size_t len;
} quic_datagram;

/* ret_address may be NULL. */
int quic_plain_socket(pn_address *ret_address);
void quic_plain_send(int fd, const pn_address *to, const void *data, size_t n);
/* Runs the rig until one comes, for at most ms; false: none did. */
bool quic_plain_receive(quic_rig *r, int fd, quic_datagram *d, unsigned ms);

/* Makes room for another. */
void quic_side_forget(quic_side *side, int64_t id);

#endif

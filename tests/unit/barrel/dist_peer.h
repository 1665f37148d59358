/* SPDX-License-Identifier: Apache-2.0 */
/* A distribution peer of the tests: messages of the handshake, made by hand. */
#ifndef PN_TESTS_DIST_PEER_H
#define PN_TESTS_DIST_PEER_H

#include "base/bytes.h"
#include "base/slice.h"
#include "crypto/crypto.h"
#include "dist_end.h"
#include "keys/md5.h"

#define BIT(n) (UINT64_C(1) << (n))

#define ALPHA "alpha@127.0.0.1"

#define BETA "beta@127.0.0.1"

#define CREATION 0x01020304

#define B_CHALLENGE 0xfedcba98 /* what the test draws for a peer */

typedef struct message {
    uint8_t data[600];
    size_t len;
} message;

void put(message *m, const void *data, size_t len);

void put_number(message *m, uint64_t n, size_t width);

message status(const char *word);

message name_of(uint64_t flags, uint32_t creation, const char *name);

message challenge_of(
    uint64_t flags, uint32_t challenge, uint32_t creation, const char *name);

message reply_of(const char *cookie, uint32_t challenge);

message ack_of(const char *cookie, uint32_t challenge);

void hear(dist_end *e, message m);

/* The next message of e is m. */
void expect(dist_end *e, message m);

void expect_silence(dist_end *e);

/* The challenge in e's next message. */
uint32_t take_challenge(dist_end *e);

typedef enum where {
    R_NAME,  /* responder: nothing received */
    R_ALIVE, /* responder: has sent alive */
    R_REPLY, /* responder: has sent its challenge */
    R_UP,
    I_BEGUN,     /* initiator: its name is not written yet */
    I_STATUS,    /* initiator: has sent its name */
    I_CHALLENGE, /* initiator: has received ok */
    I_TRUE,      /* initiator: has sent true */
    I_ACK,       /* initiator: has sent its reply */
    I_UP
} where;

void start_at(dist_end *e, where at);

#define FLAGS_25                                                               \
    (BIT(2) | BIT(4) | BIT(7) | BIT(8) | BIT(9) | BIT(10) | BIT(11) | BIT(16)  \
        | BIT(17) | BIT(18) | BIT(24))

#define FLAGS_LONG (FLAGS_25 | BIT(25) | BIT(34))

#define FLAGS_SHORT (BIT(25) | BIT(26) | BIT(34))

#define N(table) (sizeof(table) / sizeof((table)[0]))

#define PREFIX "barrel/dist_handshake/"

const char *place_name(where at);

#endif

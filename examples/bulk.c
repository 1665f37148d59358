/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves a file to a peer, as fast as the link goes and no faster than the peer
 * writes; docs/BULK.md has the reasons.
 *
 *     bulk DIR KEY FILE              receives FILE from the peer KEY
 *     bulk DIR KEY HOST:PORT FILE    sends FILE to the peer KEY there
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

enum {
    CHUNK = 64 * 1024,
    /* Chunks without an answer: a megabyte, which is a quarter of the default
     * limits of the peer's queue and of our own output. */
    WINDOW = 16,
    TIMEOUT_MS = 30000
};

/* ---- the end that receives --------------------------------------------- */

/* Every chunk has its offset, because handlers of one peer run beside each
 * other, and a chunk may come twice. */
static void on_chunk(pn_request *req, pn_term args, void *user)
{
    int fd = *(const int *)user;
    uint64_t offset;
    pn_slice data;

    if (!pn_term_match(args, "{~u, ~b}", &offset, &data)
        || offset > INT64_MAX - CHUNK || data.len > CHUNK) {
        pn_request_fail(req, "badarg");
        return;
    }
    if (pwrite(fd, data.data, data.len, (off_t)offset) != (ssize_t)data.len) {
        pn_request_fail(req, "eio");
        return;
    }
    pn_request_reply(req, "ok");
}

/* {Length, 0} at the end: all of it was answered before. */
static void on_end(pn_request *req, pn_term args, void *user)
{
    int fd = *(const int *)user;
    uint64_t len;

    if (!pn_term_match(args, "{~u, 0}", &len) || len > INT64_MAX
        || ftruncate(fd, (off_t)len) != 0 || fsync(fd) != 0) {
        pn_request_fail(req, "eio");
        return;
    }
    pn_request_reply(req, "ok");
    stopped = 1;
}

static int receive(pn_node *node, const pn_public_key *peer, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    pn_err err = pn_pair(node, peer, "sender");

    if (fd < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    if (err == PN_OK || err == PN_EXISTS) {
        err = pn_expose(node, "chunk", on_chunk, &fd, NULL);
    }
    if (err == PN_OK) {
        err = pn_expose(node, "end", on_end, &fd, NULL);
    }
    if (err != PN_OK) {
        die("expose", err);
    }
    introduce(node);
    stop_on_signals();
    while (!stopped) {
        (void)usleep(100000);
    }
    pn_node_close(node); /* answers go out first */
    (void)close(fd);
    return 0;
}

/* ---- the end that sends ------------------------------------------------ */

typedef enum slot_state {
    SLOT_FREE,
    SLOT_READY, /* read from the file; to be sent, or sent again */
    SLOT_ON_ITS_WAY
} slot_state;

typedef struct transfer transfer;

typedef struct slot {
    transfer *transfer;
    slot_state state;
    uint64_t offset;
    size_t len;
    uint8_t data[CHUNK];
} slot;

struct transfer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pn_node *node;
    const pn_public_key *peer;
    int fd;
    uint64_t offset; /* of the next to be read */
    bool is_at_end;
    unsigned n_again;
    pn_err err; /* the first that ends it */
    slot slots[WINDOW];
};

/* On the node's loop, once for each call that was accepted. Busy is no
 * failure: the peer's queue was full, and the chunk is sent again. */
static void on_answer(void *user, pn_err outcome, pn_term value)
{
    slot *s = user;
    transfer *t = s->transfer;

    (void)pthread_mutex_lock(&t->lock);
    s->state = SLOT_FREE;
    if (outcome == PN_REMOTE && pn_term_match(value, "busy")) {
        s->state = SLOT_READY;
        t->n_again++;
    } else if (outcome != PN_OK && t->err == PN_OK) {
        t->err = outcome;
    }
    (void)pthread_cond_signal(&t->changed);
    (void)pthread_mutex_unlock(&t->lock);
}

static pn_err send_chunk(transfer *t, slot *s)
{
    pn_term_writer w;
    pn_term args;
    pn_err err;

    pn_term_writer_init(&w, 0);
    pn_term_write_format(
        &w, "{~u, ~b}", s->offset, (pn_slice){s->data, s->len});
    err = pn_term_writer_finish(&w, NULL, &args);
    if (err == PN_OK) {
        err = pn_call_async(
            t->node, t->peer, "chunk", TIMEOUT_MS, args, on_answer, s);
    }
    pn_term_writer_free(&w);
    return err;
}

/* True with one more chunk in s; false at the end of the file. */
static bool read_chunk(transfer *t, slot *s)
{
    ssize_t n = pread(t->fd, s->data, CHUNK, (off_t)t->offset);

    if (n < 0) {
        t->err = PN_SYS;
    }
    if (n <= 0) {
        t->is_at_end = true;
        return false;
    }
    s->offset = t->offset;
    s->len = (size_t)n;
    s->state = SLOT_READY;
    t->offset += (uint64_t)n;
    return true;
}

/* One that can be sent now, filled if need be; NULL: wait for an answer. */
static slot *next_slot(transfer *t)
{
    slot *unused = NULL;

    for (size_t i = 0; i < WINDOW; i++) {
        if (t->slots[i].state == SLOT_READY) {
            return &t->slots[i];
        }
        if (t->slots[i].state == SLOT_FREE) {
            unused = &t->slots[i];
        }
    }
    return unused != NULL && !t->is_at_end && read_chunk(t, unused) ? unused
                                                                    : NULL;
}

static bool is_under_way(const transfer *t)
{
    for (size_t i = 0; i < WINDOW; i++) {
        if (t->slots[i].state == SLOT_ON_ITS_WAY) {
            return true;
        }
    }
    return false;
}

/* The lock is given back around the call: on_answer takes it. PN_BUSY says
 * that our own output is full; the next answer makes room. */
static void send_all(transfer *t)
{
    (void)pthread_mutex_lock(&t->lock);
    while (t->err == PN_OK || is_under_way(t)) {
        slot *s = t->err == PN_OK ? next_slot(t) : NULL;
        pn_err err;

        if (s == NULL) {
            if (!is_under_way(t)) {
                break;
            }
            (void)pthread_cond_wait(&t->changed, &t->lock);
            continue;
        }
        s->state = SLOT_ON_ITS_WAY;
        (void)pthread_mutex_unlock(&t->lock);
        err = send_chunk(t, s);
        if (err == PN_BUSY) {
            (void)usleep(10000);
        }
        (void)pthread_mutex_lock(&t->lock);
        if (err != PN_OK) {
            s->state = SLOT_READY;
            t->err = err == PN_BUSY ? t->err : err;
        }
    }
    (void)pthread_mutex_unlock(&t->lock);
}

static int send_file(
    pn_node *node, const pn_public_key *peer, const char *at, const char *path)
{
    static transfer t = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    pn_err err = pn_pair_at(node, peer, "receiver", at);

    t.node = node;
    t.peer = peer;
    t.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (t.fd < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    for (size_t i = 0; i < WINDOW; i++) {
        t.slots[i].transfer = &t;
    }
    if (err == PN_OK || err == PN_EXISTS) {
        err = pn_wait_connected(node, peer, 10000, NULL);
    }
    if (err == PN_OK) {
        send_all(&t);
        err = t.err;
    }
    if (err == PN_OK) {
        err = pn_call(node, peer, "end", TIMEOUT_MS, NULL, "{~u, 0}", t.offset);
    }
    (void)close(t.fd);
    if (err != PN_OK) {
        fprintf(stderr, "%s: %s\n", path, pn_strerror(err));
        return 1;
    }
    printf("sent %" PRIu64 " bytes\n", t.offset);
    fprintf(stderr, "%u chunks were sent again\n", t.n_again);
    return 0;
}

int main(int argc, char **argv)
{
    pn_why why = {0};
    pn_node_options opt;
    pn_node *node = NULL;
    pn_public_key peer;
    int status;

    if ((argc != 4 && argc != 5) || pn_key_parse(argv[2], &peer) != PN_OK) {
        fprintf(stderr, "usage: bulk DIR KEY [HOST:PORT] FILE\n");
        return 2;
    }
    pn_node_options_init(&opt);
    opt.data_dir = argv[1];
    opt.listen_address = "127.0.0.1"; /* leave out for all interfaces */
    opt.listen_port = argc == 4 ? 0 : PN_PORT_NONE;
    if (pn_node_open(&opt, &node, &why) != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    if (argc == 4) {
        return receive(node, &peer, argv[3]);
    }
    status = send_file(node, &peer, argv[3], argv[4]);
    pn_node_close(node);
    return status;
}

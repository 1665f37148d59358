/* SPDX-License-Identifier: Apache-2.0 */
/* An endpoint: the connection that a datagram is for, turns, life. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>

#include "base/bytes.h"
#include "base/mutant.h"
#include "quic_internal.h"

/* ---- connection ids --------------------------------------------------- */

static size_t cid_bucket(const pn_quic *quic, const uint8_t *id, size_t len)
{
    uint8_t head[8] = {0};
    uint64_t h;

    memcpy(head, id, len < sizeof(head) ? len : sizeof(head));
    h = (pn_load_be64(head) ^ quic->cid_seed) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h >> 32) % QUIC_CID_BUCKETS;
}

static quic_cid *cid_find(pn_quic *quic, const uint8_t *id, size_t len)
{
    PN_LIST_EACH(
        quic_cid, entry, &quic->cids[cid_bucket(quic, id, len)], in_bucket) {
        if (entry->cid.datalen == len
            && memcmp(entry->cid.data, id, len) == 0) {
            return entry;
        }
    }
    return NULL;
}

pn_err pn_quic_cid_add(pn_quic_conn *conn, const ngtcp2_cid *cid)
{
    pn_quic *quic = conn->quic;
    quic_cid *entry;

    if (cid_find(quic, cid->data, cid->datalen) != NULL) {
        return PN_EXISTS;
    }
    entry = calloc(1, sizeof(*entry));
    if (entry == NULL) {
        return PN_NOMEM;
    }
    entry->cid = *cid;
    entry->conn = conn;
    pn_list_append(&conn->cids, &entry->of_conn);
    pn_list_append(&quic->cids[cid_bucket(quic, cid->data, cid->datalen)],
        &entry->in_bucket);
    return PN_OK;
}

void pn_quic_cid_remove(pn_quic *quic, const ngtcp2_cid *cid)
{
    quic_cid *entry = cid_find(quic, cid->data, cid->datalen);

    if (entry != NULL) {
        pn_list_remove(&entry->in_bucket);
        pn_list_remove(&entry->of_conn);
        free(entry);
    }
}

/* Forged datagrams cause look-ups here, so one does not take longer the more
 * connections there are. */
pn_list *pn_quic_remote_bucket(pn_quic *quic, const pn_address *remote)
{
    uint64_t h = quic->cid_seed ^ pn_address_port(remote);
    uint8_t host[16] = {0};

    if (remote->any.sa_family == AF_INET6) {
        memcpy(host, &remote->in6.sin6_addr, sizeof(host));
    } else {
        memcpy(host, &remote->in.sin_addr, sizeof(remote->in.sin_addr));
    }
    h = (h ^ pn_load_be64(host)) * UINT64_C(0x9e3779b97f4a7c15);
    h = ((h ^ h >> 29) ^ pn_load_be64(host + 8)) * UINT64_C(0xbf58476d1ce4e5b9);
    return &quic->remotes[(size_t)(h >> 32) % QUIC_REMOTE_BUCKETS];
}

/* ---- dispatch of datagrams --------------------------------------------- */

/* A stateless reset hides what it is about: the connections with this peer
 * look whether they know the token. True when one did. */
static bool is_reset_of_ours(
    pn_quic *quic, const quic_path *path, const uint8_t *data, size_t len)
{
    PN_LIST_EACH(pn_quic_conn, conn, pn_quic_remote_bucket(quic, &path->remote),
        remote) {
        if (conn->state <= QUIC_LINGER
            && pn_address_equal(&conn->path.remote, &path->remote)) {
            pn_quic_conn_read(conn, path, data, len);
            if (conn->was_reset) {
                return true;
            }
        }
    }
    return false;
}

void pn_quic_datagram(
    pn_quic *quic, const quic_path *path, const uint8_t *data, size_t len)
{
    ngtcp2_version_cid vc;
    int r = ngtcp2_pkt_decode_version_cid(&vc, data, len, QUIC_CID_LEN);
    const quic_cid *entry;

    if (r != 0 && r != NGTCP2_ERR_VERSION_NEGOTIATION) {
        return;
    }
    entry = cid_find(quic, vc.dcid, vc.dcidlen);
    if (entry != NULL) {
        pn_quic_conn_read(entry->conn, path, data, len);
    } else if (r == NGTCP2_ERR_VERSION_NEGOTIATION) {
        if (quic->options.certificate != NULL) {
            pn_quic_send_versions(quic, path, &vc, len);
        }
    } else if ((data[0] & 0x80) != 0) {
        pn_quic_stranger(quic, path, data, len);
    } else if (!is_reset_of_ours(quic, path, data, len)) {
        pn_quic_send_reset(quic, path, vc.dcid, len);
    }
}

/* A dialling connection that has received nothing yet ends at once. An
 * established one ends when no genuine packet follows, because an ICMP error
 * can be forged, but a peer that is up answers. An error for an address that
 * the peer has not proven (RFC 9000, section 9.3.2) is ignored, because the
 * peer need not be there. */
void pn_quic_unreachable(pn_quic *quic, const pn_address *remote, int why)
{
    PN_LIST_EACH(
        pn_quic_conn, conn, pn_quic_remote_bucket(quic, remote), remote) {
        if (conn->state == QUIC_OPEN && why == ECONNREFUSED
            && pn_address_equal(&conn->path.remote, remote)
            && PN_REFUSE_IF(
                quic_refused_proven, pn_address_equal(&conn->proven, remote))) {
            pn_quic_conn_refused(conn);
            continue;
        }
        if (PN_REFUSE_IF(quic_unreachable,
                conn->state != QUIC_HANDSHAKE || conn->is_server
                    || conn->last_received_us != 0)) {
            continue;
        }
        if (pn_address_equal(&conn->path.remote, remote)) {
            pn_quic_conn_end(conn, PN_SYS, 0, why);
        }
    }
}

/* ---- turns ------------------------------------------------------------ */

static void quic_destroy(pn_quic *quic);

/* Two rounds: the second sends what the callbacks of the first wrote.
 * Connections with more to send wait for the next turn, so that datagrams of
 * others are read in between. */
static void work(pn_quic *quic)
{
    for (int round = 0; round < 2; round++) {
        for (size_t n = quic->dirty.n; n > 0 && quic->dirty.n > 0; n--) {
            if (quic->is_freed) {
                return;
            }
            pn_quic_conn_work(PN_LIST_TAKE(&quic->dirty, pn_quic_conn, dirty));
        }
    }
    if (quic->dirty.n > 0) {
        pn_loop_post(quic->loop, &quic->flush);
    }
}

void pn_quic_enter(pn_quic *quic)
{
    quic->n_inside++;
}

void pn_quic_leave(pn_quic *quic)
{
    if (quic->n_inside == 1) {
        work(quic);
    }
    quic->n_inside--;
    if (quic->n_inside == 0 && quic->is_freed) {
        quic_destroy(quic);
    }
}

static void on_flush(void *user)
{
    pn_quic *quic = user;

    pn_quic_enter(quic);
    pn_quic_leave(quic);
}

void pn_quic_conn_touch(pn_quic_conn *conn)
{
    pn_quic *quic = conn->quic;

    if (conn->dirty.list == NULL) {
        pn_list_append(&quic->dirty, &conn->dirty);
    }
    if (quic->n_inside == 0) {
        pn_loop_post(quic->loop, &quic->flush);
    }
}

void pn_quic_unblocked(pn_quic *quic)
{
    /* Close frames first: a connection with much output fills the socket again.
     */
    PN_LIST_EACH(pn_quic_conn, conn, &quic->conns, listed) {
        if (conn->owes_close) {
            pn_quic_conn_touch(conn);
        }
    }
    PN_LIST_EACH(pn_quic_conn, conn, &quic->conns, listed) {
        pn_quic_conn_touch(conn);
    }
}

/* ---- life ------------------------------------------------------------- */

static bool options_are_valid(const pn_quic_options *o)
{
    return o->alpn != NULL && o->alpn[0] != '\0' && strlen(o->alpn) < 256;
}

static pn_err secrets_init(pn_quic *quic)
{
    pn_err err = pn_random(quic->retry_secret, QUIC_SECRET_LEN);

    if (err == PN_OK) {
        err = pn_random((uint8_t *)&quic->cid_seed, sizeof(quic->cid_seed));
    }
    if (err == PN_OK && quic->options.certificate != NULL) {
        memcpy(quic->reset_secret, quic->options.certificate->reset_secret,
            QUIC_SECRET_LEN);
    } else if (err == PN_OK) {
        err = pn_random(quic->reset_secret, QUIC_SECRET_LEN);
    }
    return err;
}

pn_err pn_quic_new(pn_loop *loop, const pn_address *at,
    const pn_quic_options *options, const pn_quic_callbacks *callbacks,
    void *user, pn_quic **ret_quic, int *ret_errno)
{
    pn_quic *quic;
    pn_err err;

    if (!options_are_valid(options)) {
        return PN_INVALID;
    }
    quic = calloc(1, sizeof(*quic));
    if (quic == NULL) {
        return PN_NOMEM;
    }
    quic->loop = loop;
    quic->options = *options;
    quic->callbacks = *callbacks;
    quic->user = user;
    quic->socket.fd = -1;
    quic->flush = (pn_task){.run = on_flush, .user = quic};
    err = pn_quic_tls_init(quic);
    if (err == PN_OK) {
        err = secrets_init(quic);
    }
    if (err == PN_OK) {
        err = pn_quic_socket_open(quic, at, ret_errno);
    }
    if (err != PN_OK) {
        quic_destroy(quic);
        return err;
    }
    *ret_quic = quic;
    return PN_OK;
}

static void quic_destroy(pn_quic *quic)
{
    PN_LIST_EACH(pn_quic_conn, conn, &quic->conns, listed) {
        pn_quic_conn_free(conn);
    }
    pn_task_cancel(&quic->flush);
    (void)pn_quic_socket_flush(quic);
    pn_quic_socket_close(quic);
    pn_quic_tls_fini(quic);
    pn_wipe(quic, sizeof(*quic));
    free(quic);
}

void pn_quic_free(pn_quic *quic)
{
    if (quic == NULL || quic->is_freed) {
        return;
    }
    quic->is_freed = true;
    if (quic->n_inside == 0) {
        quic_destroy(quic);
        return;
    }
    PN_LIST_EACH(pn_quic_conn, conn, &quic->conns, listed) {
        conn->callbacks = NULL;
    }
}

void pn_quic_address(const pn_quic *quic, pn_address *ret_address)
{
    *ret_address = quic->socket.address;
}

void pn_quic_network_changed(pn_quic *quic)
{
    PN_LIST_EACH(pn_quic_conn, conn, &quic->conns, listed) {
        pn_quic_conn_probe(conn);
    }
}

bool pn_quic_is_idle(const pn_quic *quic)
{
    PN_LIST_EACH(pn_quic_conn, c, &quic->conns, listed) {
        if (c->state == QUIC_LINGER
            || (c->state == QUIC_OPEN && (c->n_unsent > 0 || c->ready.n > 0))
            || (c->state == QUIC_CLOSING && c->owes_close)) {
            return false;
        }
    }
    return quic->socket.n_segments == 0;
}

void pn_quic_count(const pn_quic *quic, pn_quic_counters *ret_counters)
{
    *ret_counters = quic->counters;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* QUIC connections: negotiation, time-outs, and ends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gnutls/x509.h>

#include "made_certificate.h"
#include "os/clock.h"
#include "quic/quic_internal.h"
#include "quic_defaults.h"
#include "quic_rig.h"
#include "tempdir.h"

#define LOOPBACK "127.0.0.1:0"
#define MS PN_US_PER_MS

static bool client_ended(quic_rig *r)
{
    return r->client.n_end > 0;
}

static bool server_ended(quic_rig *r)
{
    return r->server.n_end > 0;
}

static bool client_heard_something(quic_rig *r)
{
    return quic_side_heard(&r->client, 1)->n_data > 0;
}

static bool server_heard_something(quic_rig *r)
{
    return quic_side_heard(&r->server, 0)->n_data > 0;
}

/* A byte each way. */
static void assert_talks(quic_rig *r)
{
    int64_t id;

    quic_side_heard(&r->server, 0)->n_data = 0;
    quic_side_heard(&r->client, 1)->n_data = 0;
    if (pn_quic_write(r->client.conn, 0, (const uint8_t *)"x", 1, false)
        == PN_NOT_FOUND) {
        assert_int_equal(pn_quic_open_bidi(r->client.conn, &id), PN_OK);
        assert_int_equal(pn_quic_open_bidi(r->server.conn, &id), PN_OK);
        assert_int_equal(
            pn_quic_write(r->client.conn, 0, (const uint8_t *)"x", 1, false),
            PN_OK);
    }
    assert_int_equal(
        pn_quic_write(r->server.conn, 1, (const uint8_t *)"y", 1, false),
        PN_OK);
    assert_true(quic_rig_run(r, server_heard_something));
    assert_true(quic_rig_run(r, client_heard_something));
}

/* The end stops answering without a close, as a killed process does. */
static void strike_dead(pn_quic *quic)
{
    pn_watch_free(quic->socket.watch);
    quic->socket.watch = NULL;
    (void)close(quic->socket.fd);
    quic->socket.fd = -1;
}

/* ---- negotiation ------------------------------------------------------ */

static void test_connect(void **state)
{
    const char *const at = *state;
    quic_rig r;
    pn_address local;
    pn_address remote;
    pn_address local2;
    pn_address remote2;

    quic_rig_init(&r, at, NULL, NULL);
    quic_rig_connect(&r);
    assert_talks(&r);
    pn_quic_addresses(r.client.conn, &local, &remote);
    pn_quic_addresses(r.server.conn, &local2, &remote2);
    assert_true(pn_address_equal(&local, &remote2));
    assert_true(pn_address_equal(&remote, &local2));
    assert_int_equal(r.n_incoming, 1);
    assert_int_equal(r.n_accepts, 1);
    quic_rig_fini(&r);
}

/* The wildcard of IPv6 is every address, and an answer comes from the one that
 * was dialled. */
static void test_wildcard(void **state)
{
    const char *const host = *state;
    quic_rig r;
    pn_address to;
    pn_address local;
    pn_address remote;

    quic_rig_init(&r, "[::]:0", NULL, NULL);
    assert_int_equal(
        pn_address_parse(host, pn_address_port(&r.at), &to), PN_OK);
    r.at = to;
    quic_rig_connect(&r);
    assert_talks(&r);
    pn_quic_addresses(r.client.conn, &local, &remote);
    assert_true(pn_address_equal(&remote, &to));
    pn_quic_addresses(r.server.conn, &local, &remote);
    assert_true(pn_address_equal(&local, &to));
    quic_rig_fini(&r);
}

static void test_address_not_shared(void **state)
{
    pn_quic_options options = {.alpn = "test"};
    const pn_quic_callbacks callbacks = {0};
    pn_quic *other = NULL;
    int sys_errno = 0;
    quic_rig r;

    (void)state;
    quic_defaults(&options);
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    assert_int_equal(pn_quic_new(r.loop, &r.at, &options, &callbacks, NULL,
                         &other, &sys_errno),
        PN_SYS);
    assert_int_equal(sys_errno, EADDRINUSE);
    assert_null(other);
    quic_rig_fini(&r);
}

static void test_options_invalid(void **state)
{
    static char long_name[257];
    static const char *const names[] = {NULL, "", long_name};
    const pn_quic_callbacks callbacks = {0};
    pn_loop *loop;
    pn_address at;
    pn_quic *quic = NULL;
    int sys_errno = 0;

    (void)state;
    memset(long_name, 'a', 256);
    assert_int_equal(pn_loop_new(&loop), PN_OK);
    assert_int_equal(pn_address_parse(LOOPBACK, -1, &at), PN_OK);
    for (size_t i = 0; i < 3; i++) {
        const pn_quic_options options = {.alpn = names[i]};

        assert_int_equal(pn_quic_new(loop, &at, &options, &callbacks, NULL,
                             &quic, &sys_errno),
            PN_INVALID);
    }
    pn_quic_free(NULL);
    pn_loop_free(loop);
}

static void test_binding(void **state)
{
    uint8_t client[PN_QUIC_BINDING_LEN] = {0};
    uint8_t server[PN_QUIC_BINDING_LEN] = {1};
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    quic_rig_dial(&r, &r.client);
    assert_int_equal(pn_quic_binding(r.client.conn, client), PN_NOT_FOUND);
    quic_side_close(&r.client);
    quic_rig_connect(&r);
    assert_int_equal(pn_quic_binding(r.client.conn, client), PN_OK);
    assert_int_equal(pn_quic_binding(r.server.conn, server), PN_OK);
    assert_memory_equal(client, server, sizeof(client));
    assert_memory_equal(client, r.certificate->hash, sizeof(client));
    quic_rig_fini(&r);
}

/* ---- refusing --------------------------------------------------------- */

enum { NO_APPLICATION_PROTOCOL = 0x100 + 120, DECRYPT_ERROR = 0x100 + 51 };

typedef struct alpn_row {
    const char *name;
    const char *server; /* NULL: names none and accepts any */
    const char *client;
} alpn_row;

static alpn_row alpn_rows[] = {
    {"others", "erlang-dist", "h3"},
    {"longer", "test2", "test"},
    {"shorter", "tes", "test"},
    {"case", "TEST", "test"},
    {"server_without", NULL, "test"},
    {"client_without", "test", NULL},
};

/* A rogue offers no protocol and accepts any; NULL: both ends are honest. */
static const pn_quic *rogue;

int __wrap_gnutls_alpn_set_protocols(gnutls_session_t session,
    const gnutls_datum_t *protocols, unsigned n, unsigned flags);
int __real_gnutls_alpn_set_protocols(gnutls_session_t session,
    const gnutls_datum_t *protocols, unsigned n, unsigned flags);
int __wrap_gnutls_alpn_set_protocols(gnutls_session_t session,
    const gnutls_datum_t *protocols, unsigned n, unsigned flags)
{
    const ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(session);
    const pn_quic_conn *conn = ref->user_data;

    return conn->quic == rogue
               ? 0
               : __real_gnutls_alpn_set_protocols(session, protocols, n, flags);
}

bool __wrap_pn_quic_tls_alpn_agrees(const pn_quic_conn *conn);
bool __real_pn_quic_tls_alpn_agrees(const pn_quic_conn *conn);
bool __wrap_pn_quic_tls_alpn_agrees(const pn_quic_conn *conn)
{
    return conn->quic == rogue || __real_pn_quic_tls_alpn_agrees(conn);
}

/* The end that checks must refuse, whether or not the other does. */
static void test_alpn(void **state)
{
    const alpn_row *row = *state;
    const pn_quic_options server = {.alpn = row->server};
    const pn_quic_options client = {.alpn = row->client};
    quic_rig r;

    quic_rig_init(&r, LOOPBACK, &server, &client);
    rogue = row->server == NULL   ? r.server_quic
            : row->client == NULL ? r.client_quic
                                  : NULL;
    quic_rig_dial(&r, &r.client);
    assert_true(quic_rig_run(&r, client_ended));
    assert_int_equal(r.client.why, PN_AUTH);
    assert_int_equal(r.client.code, NO_APPLICATION_PROTOCOL);
    if (row->client != NULL) { /* else its TLS has nothing against it */
        assert_int_equal(r.client.n_open, 0);
    }
    quic_rig_settle(&r, 50);
    if (row->server != NULL) {
        assert_int_equal(r.n_accepts, 0);
    }
    quic_rig_fini(&r);
    rogue = NULL;
}

/* Pairs the certificate with another key, as a relay would. */
static void steal_certificate(pn_certificate *certificate)
{
    gnutls_certificate_credentials_t with = NULL;
    gnutls_datum_t der;
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key;

    assert_int_equal(
        gnutls_certificate_get_crt_raw(certificate->credentials, 0, 0, &der),
        0);
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    assert_int_equal(gnutls_x509_crt_import(crt, &der, GNUTLS_X509_FMT_DER), 0);
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                         GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
        0);
    assert_int_equal(gnutls_certificate_allocate_credentials(&with), 0);
    gnutls_certificate_set_flags(with, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
    assert_true(gnutls_certificate_set_x509_key(with, &crt, 1, key) >= 0);
    gnutls_certificate_free_credentials(certificate->credentials);
    certificate->credentials = with;
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

/* docs/BARREL-PROTOCOL.md, D3: an end that shows a certificate must hold its
 * key. */
static void test_certificate_without_its_key(void **state)
{
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    steal_certificate(r.certificate);
    quic_rig_dial(&r, &r.client);
    assert_true(quic_rig_run(&r, client_ended));
    assert_int_equal(r.client.why, PN_AUTH);
    assert_int_equal(r.client.code, DECRYPT_ERROR);
    assert_int_equal(r.client.n_open, 0);
    quic_rig_settle(&r, 50);
    assert_int_equal(r.n_accepts, 0);
    quic_rig_fini(&r);
}

/* ---- time ------------------------------------------------------------- */

static void test_keep_alive(void **state)
{
    const pn_quic_options client = {
        .keep_alive_us = 50 * MS, .dead_after_us = 1500 * MS};
    const pn_quic_options server = {.dead_after_us = 1500 * MS};
    uint64_t heard_us;
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, &server, &client);
    quic_rig_connect(&r);
    heard_us = r.client.conn->last_received_us;
    quic_rig_settle(&r, 3000);
    assert_int_equal(r.client.n_end, 0);
    assert_int_equal(r.server.n_end, 0);
    assert_true(r.client.conn->last_received_us > heard_us + 500 * MS);
    assert_talks(&r);
    quic_rig_fini(&r);
}

static void test_dead_after(void **state)
{
    const pn_quic_options client = {
        .keep_alive_us = 50 * MS, .dead_after_us = 400 * MS};
    uint64_t since_us;
    uint64_t took_us;
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, &client);
    quic_rig_connect(&r);
    quic_rig_settle(&r, 50);
    strike_dead(r.server_quic);
    since_us = r.client.conn->last_received_us;
    assert_true(quic_rig_run(&r, client_ended));
    took_us = pn_loop_update_now(r.loop) - since_us;
    assert_int_equal(r.client.why, PN_TIMEOUT);
    assert_true(took_us > 200 * MS);
    assert_true(took_us < 6000 * MS);
    quic_rig_fini(&r);
}

static void test_idle_timeout(void **state)
{
    const pn_quic_options options = {.idle_timeout_us = 200 * MS};
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, &options, NULL);
    quic_rig_connect(&r);
    assert_true(quic_rig_run(&r, client_ended));
    assert_true(quic_rig_run(&r, server_ended));
    assert_int_equal(r.client.why, PN_TIMEOUT);
    assert_int_equal(r.server.why, PN_TIMEOUT);
    quic_rig_fini(&r);
}

/* No answer comes. */
static void test_handshake_timeout(void **state)
{
    const pn_quic_options client = {.handshake_us = 300 * MS};
    uint64_t since_us;
    uint64_t took_us;
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, &client);
    pn_watch_free(r.server_quic->socket.watch);
    r.server_quic->socket.watch = NULL;
    since_us = pn_loop_update_now(r.loop);
    quic_rig_dial(&r, &r.client);
    assert_true(quic_rig_run(&r, client_ended));
    took_us = pn_loop_update_now(r.loop) - since_us;
    assert_int_equal(r.client.why, PN_TIMEOUT);
    assert_int_equal(r.client.n_open, 0);
    assert_true(took_us > 250 * MS);
    assert_true(took_us < 6000 * MS);
    quic_rig_fini(&r);
}

/* ---- ends ------------------------------------------------------------- */

static void test_dial_refused(void **state)
{
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    pn_quic_free(r.server_quic);
    r.server_quic = NULL;
    quic_rig_dial(&r, &r.client);
    assert_true(quic_rig_run(&r, client_ended));
    assert_int_equal(r.client.why, PN_SYS);
    assert_int_equal(r.client.sys_errno, ECONNREFUSED);
    quic_rig_fini(&r);
}

/* Once the peer was heard, an ICMP error counts when the peer does not answer,
 * and not at once. */
static void test_refused_later(void **state)
{
    const pn_quic_options client = {.keep_alive_us = 20 * MS};
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, &client);
    quic_rig_connect(&r);
    quic_rig_settle(&r, 50);
    strike_dead(r.server_quic); /* its port is closed: ICMP from now on */
    quic_rig_settle(&r, 200);
    assert_int_equal(r.client.n_end, 0);
    assert_true(quic_rig_run(&r, client_ended));
    assert_int_equal(r.client.why, PN_SYS);
    assert_int_equal(r.client.sys_errno, ECONNREFUSED);
    quic_rig_fini(&r);
}

/* ICMP errors can be forged; a peer that answers is up. */
static void test_refused_by_a_liar(void **state)
{
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    quic_rig_connect(&r);
    for (int i = 0; i < 30; i++) {
        pn_quic_unreachable(r.client_quic, &r.at, ECONNREFUSED);
        pn_quic_unreachable(r.client_quic, &r.at, EHOSTUNREACH);
        quic_rig_settle(&r, 100);
        assert_int_equal(r.client.n_end, 0);
    }
    quic_rig_fini(&r);
}

/* A PING is sent sooner while a caller waits for an answer. */
static void test_keep_alive_changed(void **state)
{
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    quic_rig_connect(&r);
    quic_rig_settle(&r, 50);
    pn_quic_set_keep_alive(r.client.conn, 50 * MS);
    strike_dead(r.server_quic);
    assert_true(quic_rig_run(&r, client_ended));
    assert_int_equal(r.client.sys_errno, ECONNREFUSED);
    quic_rig_fini(&r);
}

/* A node that was killed and is back with the same certificate sends its old
 * peers stateless resets. */
static void test_restarted_peer(void **state)
{
    const pn_quic_options client = {.keep_alive_us = 100 * MS};
    pn_quic_options server = {.alpn = "test"};
    const pn_quic_callbacks callbacks = {0};
    int sys_errno = 0;
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, &client);
    quic_rig_connect(&r);
    quic_rig_settle(&r, 50);
    strike_dead(r.server_quic);
    server.certificate = r.certificate;
    quic_defaults(&server);
    quic_side_close(&r.server);
    pn_quic_free(r.server_quic);
    assert_int_equal(pn_quic_new(r.loop, &r.at, &server, &callbacks, &r,
                         &r.server_quic, &sys_errno),
        PN_OK);
    assert_true(quic_rig_run(&r, client_ended));
    assert_int_equal(r.client.why, PN_CLOSED);
    assert_int_equal(r.client.sys_errno, ECONNRESET);
    quic_rig_fini(&r);
}

/* Closing an endpoint tells all its peers at once. */
static void test_endpoint_freed(void **state)
{
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    quic_rig_connect(&r);
    r.in_call = true;
    pn_quic_free(r.server_quic);
    r.in_call = false;
    r.server_quic = NULL;
    r.server.conn = NULL;
    assert_true(quic_rig_run(&r, client_ended));
    assert_int_equal(r.client.why, PN_CLOSED);
    assert_int_equal(r.client.sys_errno, 0);
    assert_int_equal(r.server.n_end, 0);
    quic_rig_fini(&r);
}

static void test_dial_then_close(void **state)
{
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    quic_rig_dial(&r, &r.client);
    quic_side_close(&r.client);
    quic_rig_settle(&r, 50);
    assert_int_equal(r.client.n_open, 0);
    assert_int_equal(r.client.n_end, 0);
    assert_int_equal(r.n_accepts, 0);
    QUIC_RIG_UNTIL(&r, r.client_quic->n_conns == 0);
    QUIC_RIG_UNTIL(&r, r.server_quic->n_conns == 0);
    quic_rig_fini(&r);
}

/* In the middle of the handshake: the server has answered already. */
static void test_close_in_handshake(void **state)
{
    quic_rig r;

    (void)state;
    for (unsigned turns = 1; turns < 8; turns++) {
        quic_rig_init(&r, LOOPBACK, NULL, NULL);
        quic_rig_dial(&r, &r.client);
        for (unsigned i = 0; i < turns; i++) {
            pn_loop_run_once(r.loop);
        }
        quic_side_close(&r.client);
        QUIC_RIG_UNTIL(&r, r.client_quic->n_conns == 0);
        quic_rig_settle(&r, 5);
        QUIC_RIG_UNTIL(&r, r.server_quic->n_conns == 0);
        assert_int_equal(r.server_quic->n_handshakes, 0);
        assert_int_equal(r.client.n_end, 0);
        quic_rig_fini(&r);
    }
}

/* ---- freeing in callbacks --------------------------------------------- */

typedef enum free_when {
    IN_OPEN,
    IN_STREAM,
    IN_DATA,
    IN_END,
    IN_ACCEPT
} free_when;

typedef struct freeing {
    pn_loop *loop;
    pn_certificate *certificate;
    free_when when;
    pn_quic *server;
    pn_quic *client;
    pn_quic_conn *dialled;
    unsigned n_freed;
    unsigned n_after;
} freeing;

static void free_endpoint(freeing *f, pn_quic **quic)
{
    if (*quic != NULL) {
        pn_quic_free(*quic);
        *quic = NULL;
        f->n_freed++;
    }
}

static void f_on_open(void *user)
{
    freeing *f = user;
    int64_t id;

    f->n_after += f->client == NULL;
    if (f->when == IN_OPEN) {
        free_endpoint(f, &f->client);
        return;
    }
    assert_int_equal(pn_quic_open_uni(f->dialled, &id), PN_OK);
    assert_int_equal(
        pn_quic_write(f->dialled, id, (const uint8_t *)"x", 1, false), PN_OK);
}

static void f_on_end(void *user, pn_err why, uint64_t code, int sys_errno)
{
    freeing *f = user;

    (void)why;
    (void)code;
    (void)sys_errno;
    f->n_after += f->client == NULL;
    free_endpoint(f, &f->client);
}

static void f_on_stream(void *user, int64_t stream)
{
    freeing *f = user;

    (void)stream;
    f->n_after += f->server == NULL;
    if (f->when == IN_STREAM) {
        free_endpoint(f, &f->server);
    }
}

static void f_on_data(
    void *user, int64_t stream, const uint8_t *data, size_t len, bool is_last)
{
    freeing *f = user;

    (void)stream;
    (void)data;
    (void)len;
    (void)is_last;
    f->n_after += f->server == NULL;
    free_endpoint(f, &f->server);
}

static void f_on_reset(void *user, int64_t stream, uint64_t code)
{
    (void)user;
    (void)stream;
    (void)code;
}

static void f_on_server_end(
    void *user, pn_err why, uint64_t code, int sys_errno)
{
    freeing *f = user;

    (void)why;
    (void)code;
    (void)sys_errno;
    free_endpoint(f, &f->server);
}

static const pn_quic_conn_callbacks f_client = {
    .on_open = f_on_open,
    .on_data = f_on_data,
    .on_reset = f_on_reset,
    .on_end = f_on_end,
};
static const pn_quic_conn_callbacks f_server = {
    .on_stream = f_on_stream,
    .on_data = f_on_data,
    .on_reset = f_on_reset,
    .on_end = f_on_server_end,
};

static void f_on_accept(void *user, pn_quic_conn *conn, const pn_address *from)
{
    freeing *f = user;

    (void)from;
    pn_quic_set_callbacks(conn, &f_server, f);
    if (f->when == IN_ACCEPT) {
        free_endpoint(f, &f->server);
    }
}

static void test_freed_in_a_callback(void **state)
{
    const pn_quic_callbacks callbacks = {.on_accept = f_on_accept};
    freeing f = {.when = *(const free_when *)*state};
    pn_quic_options options = {.alpn = "test"};
    pn_address at;
    int sys_errno = 0;

    quic_defaults(&options);
    assert_int_equal(pn_loop_new(&f.loop), PN_OK);
    assert_int_equal(
        pn_test_certificate(pn_wall_now_us() / 1000000, &f.certificate), PN_OK);
    assert_int_equal(pn_address_parse(LOOPBACK, -1, &at), PN_OK);
    assert_int_equal(pn_quic_new(f.loop, &at, &options, &callbacks, &f,
                         &f.client, &sys_errno),
        PN_OK);
    options.certificate = f.certificate;
    assert_int_equal(pn_quic_new(f.loop, &at, &options, &callbacks, &f,
                         &f.server, &sys_errno),
        PN_OK);
    pn_quic_address(f.server, &at);
    assert_int_equal(
        pn_quic_dial(f.client, &at, &f_client, &f, &f.dialled), PN_OK);
    for (int i = 0; i < 300 && f.n_freed < 2; i++) {
        pn_loop_run_once(f.loop);
        (void)usleep(1000);
    }
    /* The other end receives the close if the connection had got that far. */
    assert_int_equal(f.n_freed, f.when == IN_OPEN ? 1 : 2);
    assert_int_equal(f.n_after, 0);
    pn_quic_free(f.server);
    pn_quic_free(f.client);
    pn_certificate_free(f.certificate);
    pn_loop_free(f.loop);
}

/* ---- the network ------------------------------------------------------ */

static void test_network_changed_nothing(void **state)
{
    uint64_t heard_us;
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    quic_rig_connect(&r);
    quic_rig_settle(&r, 100);
    heard_us = r.client.conn->last_received_us;
    r.in_call = true;
    pn_quic_network_changed(r.client_quic);
    r.in_call = false;
    QUIC_RIG_UNTIL(&r, r.client.conn->last_received_us > heard_us);
    heard_us = r.server.conn->last_received_us;
    pn_quic_network_changed(r.server_quic);
    QUIC_RIG_UNTIL(&r, r.server.conn->last_received_us > heard_us);
    assert_talks(&r);
    quic_rig_fini(&r);
}

/* Dialled from 127.0.0.2, which is then no longer the address of the route to
 * the peer: the connection moves to 127.0.0.1. */
/* SSLKEYLOGFILE names a file for GnuTLS; it is set before GnuTLS starts. */
static pn_tempdir dir;

static void test_secrets_stay(void **state)
{
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    quic_rig_connect(&r);
    assert_talks(&r);
    quic_rig_fini(&r);
    assert_int_equal(pn_tempdir_count(&dir), 0);
}

static void test_migration(void **state)
{
    pn_address bound;
    pn_address old;
    pn_address local;
    pn_address remote;
    quic_rig r;

    (void)state;
    quic_rig_init(&r, "0.0.0.0:0", NULL, NULL);
    assert_int_equal(
        pn_address_parse("127.0.0.1", pn_address_port(&r.at), &r.at), PN_OK);
    bound = r.client_quic->socket.address;
    assert_int_equal(
        pn_address_parse("127.0.0.2", pn_address_port(&bound), &old), PN_OK);
    r.client_quic->socket.address = old;
    quic_rig_connect(&r);
    assert_talks(&r);
    pn_quic_addresses(r.server.conn, &local, &remote);
    assert_true(pn_address_equal(&remote, &old));
    r.client_quic->socket.address = bound;
    pn_quic_network_changed(r.client_quic);
    assert_talks(&r);
    pn_quic_addresses(r.client.conn, &local, &remote);
    QUIC_RIG_UNTIL(
        &r, pn_address_same_host(&r.server.conn->path.remote, &local));
    assert_true(pn_address_is_loopback(&local));
    assert_false(pn_address_same_host(&local, &old));
    pn_quic_addresses(r.server.conn, &old, &remote);
    assert_true(pn_address_equal(&remote, &local));
    for (int i = 0; i < 20; i++) {
        assert_talks(&r);
    }
    assert_int_equal(r.client.n_end + r.server.n_end, 0);
    quic_rig_fini(&r);
}

int main(void)
{
    static char v4[] = LOOPBACK;
    static char v6[] = "[::1]:0";
    static char host4[] = "127.0.0.1";
    static char host4b[] = "127.0.0.2";
    static char host6[] = "::1";
    static free_when whens[] = {IN_OPEN, IN_STREAM, IN_DATA, IN_END, IN_ACCEPT};
    static const char *const when_names[] = {
        "open", "stream", "data", "end", "accept"};
    int r;

    pn_tempdir_init(&dir);
    (void)setenv("SSLKEYLOGFILE", pn_tempdir_path(&dir, "keys"), 1);
    pn_test_add("barrel/quic/connect/4", test_connect, v4);
    pn_test_add("barrel/quic/connect/6", test_connect, v6);
    pn_test_add("barrel/quic/wildcard/4", test_wildcard, host4);
    pn_test_add("barrel/quic/wildcard/4_other", test_wildcard, host4b);
    pn_test_add("barrel/quic/wildcard/6", test_wildcard, host6);
    for (size_t i = 0; i < sizeof(alpn_rows) / sizeof(alpn_rows[0]); i++) {
        pn_test_addf(
            test_alpn, &alpn_rows[i], "barrel/quic/alpn/%s", alpn_rows[i].name);
    }
    for (size_t i = 0; i < 5; i++) {
        pn_test_addf(test_freed_in_a_callback, &whens[i],
            "barrel/quic/freed_in/%s", when_names[i]);
    }
#define ADD(name) pn_test_add("barrel/quic/" #name, test_##name, NULL)
    ADD(address_not_shared);
    ADD(options_invalid);
    ADD(binding);
    ADD(certificate_without_its_key);
    ADD(keep_alive);
    ADD(dead_after);
    ADD(idle_timeout);
    ADD(handshake_timeout);
    ADD(dial_refused);
    ADD(refused_later);
    ADD(refused_by_a_liar);
    ADD(keep_alive_changed);
    ADD(restarted_peer);
    ADD(endpoint_freed);
    ADD(dial_then_close);
    ADD(close_in_handshake);
    ADD(network_changed_nothing);
    ADD(migration);
    ADD(secrets_stay);
    r = pn_test_run("barrel/quic");
    pn_tempdir_fini(&dir);
    return r;
}

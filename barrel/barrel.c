/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Barrel part of a node: opening, its place in the node's loop, the end.
 * Files are read before the loop is asked for anything.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "barrel_internal.h"
#include "os/clock.h"

/* What the discovery chain does at once, at most. */
enum { LOOKUPS_MAX = 1024 };
/* How long an unpin waits for another process's edit: 10 s. */
enum { UNPIN_TRIES = 500, UNPIN_PAUSE_NS = 20000000 };

/* ---- the files --------------------------------------------------------- */

static pn_err fail_with(pn_err err, const char *why)
{
    pn_node_set_open_error("%s", why[0] != '\0' ? why : pn_strerror(err));
    return err;
}

static void warn(pn_barrel *barrel, const pn_store_error *warning)
{
    if (warning->text[0] != '\0') {
        pn_node_lock(barrel->node);
        pn_node_log(barrel->node, PN_LOG_WARNING, "Barrel", warning->text,
            PN_REASON_NONE, 0);
        pn_node_unlock(barrel->node);
    }
}

static pn_err open_keys(pn_barrel *barrel, const pn_barrel_options *o)
{
    pn_store_error why = {{0}};
    pn_store_error warning = {{0}};
    pn_pins_options pins = {
        .own_name = barrel->name,
        .max_pins = o->max_pins,
        .max_new = o->max_new_pins,
        .new_interval_us = (uint64_t)o->new_pin_ms * PN_US_PER_MS,
        .never_waits = true,
    };
    pn_err err = pn_barrel_keys_open(o->key_dir, &barrel->keys, &why, &warning);

    if (err != PN_OK) {
        return fail_with(err, why.text);
    }
    warn(barrel, &warning);
    warning.text[0] = '\0';
    barrel->key = pn_barrel_keys_pair(barrel->keys)->public_key;
    pins.own_key = &pn_barrel_keys_pair(barrel->keys)->public_key;
    err = pn_pins_open(o->key_dir, &pins, &barrel->pins, &why, &warning);
    if (err != PN_OK) {
        return fail_with(err, why.text);
    }
    warn(barrel, &warning);
    if (strcmp(o->cookie, "barrel_p2p") == 0) {
        (void)snprintf(warning.text, sizeof(warning.text),
            "the cookie is the one that everybody knows");
        warn(barrel, &warning);
    }
    return PN_OK;
}

static pn_err open_certificate(pn_barrel *barrel, const pn_barrel_options *o)
{
    char why[PN_CERTIFICATE_WHY_MAX] = "";
    pn_err err = pn_certificate_open(o->cert_dir,
        (int64_t)(pn_wall_now_us() / (int64_t)PN_US_PER_S),
        &barrel->certificate, why);

    return err == PN_OK ? PN_OK : fail_with(err, why);
}

static pn_err copy_texts(pn_barrel *barrel, const pn_barrel_options *o)
{
    barrel->name = strdup(o->name);
    barrel->cookie_len = strlen(o->cookie);
    barrel->cookie = pn_secure_alloc(barrel->cookie_len);
    barrel->cookie_only = calloc(o->n_cookie_only + 1, sizeof(char *));
    if (barrel->name == NULL || barrel->cookie == NULL
        || barrel->cookie_only == NULL) {
        return PN_NOMEM;
    }
    memcpy(barrel->cookie, o->cookie, barrel->cookie_len);
    for (size_t i = 0; i < o->n_cookie_only; i++) {
        barrel->cookie_only[i] = strdup(o->cookie_only[i]);
        if (barrel->cookie_only[i] == NULL) {
            return PN_NOMEM;
        }
    }
    return PN_OK;
}

/* A creation tells one run of a node from the next (section 13). */
static pn_err make_creation(pn_barrel *barrel)
{
    uint8_t bytes[4];
    pn_err err = pn_random(bytes, sizeof(bytes));

    barrel->creation = pn_load_be32(bytes);
    if (barrel->creation < 4) {
        barrel->creation += 4;
    }
    return err;
}

/* Strangers have the limits of the node's own door. */
static void open_gate(pn_barrel *barrel)
{
    pn_gate_limits limits = pn_node_gate_limits(barrel->node);

    pn_gate_init(&barrel->gate, &limits, &barrel->node->env);
}

/* ---- the loop ---------------------------------------------------------- */

static void end_unpinned(pn_barrel *barrel)
{
    pn_link *next;

    for (pn_link *l = barrel->node->links; l != NULL; l = next) {
        pn_barrel_link *link = (pn_barrel_link *)(void *)l;
        pn_slice name;
        pn_auth_pin pin;

        next = l->next;
        if (!pn_barrel_is_link(l, barrel) || !link->is_authenticated
            || link->is_cookie_only || l->stage == PN_LINK_ENDED) {
            continue;
        }
        name = (pn_slice){(const uint8_t *)link->name, strlen(link->name)};
        pin = pn_pins_look_up(barrel->pins, name, &l->key);
        if (pin != PN_AUTH_PIN_EQUAL) {
            pn_barrel_link_end(link, PN_REASON_UNPAIRED,
                "%s is not pinned any more", link->name);
        }
    }
}

/* Somebody edited the pins: whoever is not pinned any more goes. */
static void on_pins_changed(void *user)
{
    pn_barrel *barrel = user;
    pn_store_error why = {{0}};
    bool is_changed = false;
    pn_err err = PN_OK;

    (void)pthread_mutex_lock(&barrel->pins_lock);
    if (pn_pins_watch_read(barrel->pins)) {
        err = pn_pins_reload(barrel->pins, &is_changed, &why);
    }
    pn_node_lock(barrel->node);
    if (err != PN_OK) {
        barrel->are_pins_damaged = true;
        pn_node_log(barrel->node, PN_LOG_ERROR,
            "pins cannot be read: nobody new is let in", why.text,
            PN_REASON_NONE, 0);
    } else if (is_changed || barrel->are_pins_damaged) {
        barrel->are_pins_damaged = false;
        pn_node_event(barrel->node, PN_EVENT_TRUST_CHANGED, NULL, NULL, NULL,
            NULL, 0, PN_REASON_NONE);
        end_unpinned(barrel);
    }
    pn_node_unlock(barrel->node);
    (void)pthread_mutex_unlock(&barrel->pins_lock);
}

static void count_datagrams(pn_barrel *barrel)
{
    pn_quic_counters c;

    pn_quic_count(barrel->quic, &c);
    barrel->metrics.datagrams_in = c.datagrams_in;
    barrel->metrics.datagrams_out = c.datagrams_out;
    barrel->metrics.bytes_in = c.bytes_in;
    barrel->metrics.bytes_out = c.bytes_out;
    barrel->metrics.retries_sent = c.retries_sent;
}

static void on_turn(void *user)
{
    pn_barrel *barrel = user;

    pn_barrel_tell(barrel);
    if (barrel->quic != NULL) {
        count_datagrams(barrel);
    }
}

static void on_network_changed(void *user)
{
    pn_barrel *barrel = user;

    if (barrel->quic != NULL) {
        pn_quic_network_changed(barrel->quic);
    }
}

static void leave_loop(pn_barrel *barrel)
{
    char why[PN_BARREL_WHY_MAX];

    if (barrel->discovery != NULL) {
        (void)!pn_barrel_discovery_unpublish(
            barrel->discovery, why, sizeof(why));
    }
    pn_barrel_discovery_free(barrel->discovery);
    barrel->discovery = NULL;
    pn_watch_free(barrel->pins_watch);
    barrel->pins_watch = NULL;
    pn_quic_free(barrel->quic);
    barrel->quic = NULL;
}

static bool on_leave(void *user)
{
    pn_barrel *barrel = user;

    if (barrel->quic != NULL && !pn_quic_is_idle(barrel->quic)) {
        return false;
    }
    leave_loop(barrel);
    return true;
}

static void barrel_free(void *user)
{
    pn_barrel *barrel = user;

    leave_loop(barrel);
    pn_pins_close(barrel->pins);
    pn_barrel_keys_close(barrel->keys);
    pn_certificate_free(barrel->certificate);
    for (size_t i = 0;
         barrel->cookie_only != NULL && i < barrel->opt.n_cookie_only; i++) {
        free(barrel->cookie_only[i]);
    }
    free(barrel->cookie_only);
    pn_secure_free(barrel->cookie, barrel->cookie_len);
    free(barrel->name);
    (void)pthread_mutex_destroy(&barrel->pins_lock);
    free(barrel);
}

static pn_err open_discovery(pn_barrel *barrel, const pn_barrel_options *o)
{
    pn_barrel_discovery_options d;
    pn_err err;

    pn_barrel_discovery_options_init(&d);
    d.node_name = barrel->name;
    d.dir = o->discovery_dir;
    d.dns_port = o->dns_port;
    d.max_lookups = o->max_links < LOOKUPS_MAX ? o->max_links : LOOKUPS_MAX;
    err = pn_barrel_discovery_new(barrel->node->loop, &d, &barrel->discovery);
    for (size_t i = 0; err == PN_OK && i < o->n_addresses; i++) {
        err = pn_barrel_discovery_add_static(
            barrel->discovery, o->addresses[i].name, o->addresses[i].address);
        if (err != PN_OK) {
            pn_node_set_open_error("\"%s\" at \"%s\": expected NAME@HOST at "
                                   "HOST:PORT",
                o->addresses[i].name, o->addresses[i].address);
        }
    }
    return err;
}

static pn_err publish(pn_barrel *barrel, const pn_barrel_options *o)
{
    char why[PN_BARREL_WHY_MAX] = "";
    pn_err err;

    if (o->discovery_dir == NULL || !o->publish) {
        return PN_OK;
    }
    err = pn_barrel_discovery_publish(
        barrel->discovery, o->publish_host, why, sizeof(why));
    return err == PN_OK ? PN_OK : fail_with(err, why);
}

static pn_err open_quic(pn_barrel *barrel, const pn_barrel_options *o)
{
    pn_quic_options q = {
        .alpn = "erlang-dist",
        .certificate = barrel->certificate,
        /* A link's limit is checked when it is one. */
        .max_conns = o->max_links + barrel->node->opt.max_strangers,
        .max_data = PN_BARREL_CREDIT_EARLY,
        /* More comes when half is consumed. */
        .max_stream_data = 2 * pn_barrel_credit(o),
        .retry_above = o->retry_above,
        .keep_alive_us = (uint64_t)o->keep_alive_ms * PN_US_PER_MS,
        .dead_after_us = (uint64_t)o->dead_after_ms * PN_US_PER_MS,
    };
    const char *host = o->listen_address == NULL ? "::" : o->listen_address;
    pn_address at;
    int sys_errno = 0;
    pn_err err = pn_address_parse(host, o->listen_port, &at);

    if (err != PN_OK) {
        pn_node_set_open_error("listen_address \"%s\" is not a numeric "
                               "address",
            host);
        return PN_INVALID;
    }
    err = pn_quic_new(barrel->node->loop, &at, &q, &pn_barrel_quic_callbacks,
        barrel, &barrel->quic, &sys_errno);
    if (err != PN_OK) {
        pn_node_set_open_error("cannot listen on UDP port %d: %s",
            o->listen_port,
            sys_errno != 0 ? strerror(sys_errno) : pn_strerror(err));
        return err;
    }
    pn_quic_address(barrel->quic, &at);
    barrel->port = pn_address_port(&at);
    pn_barrel_discovery_set_bound(barrel->discovery, &at);
    return PN_OK;
}

/* The sentence is of the thread that made it. */
typedef struct opening {
    pn_barrel *barrel;
    const pn_barrel_options *options;
    char why[PN_BARREL_SENTENCE_MAX];
} opening;

/* On the loop. */
static pn_err open_on_loop(void *arg)
{
    opening *o = arg;
    pn_barrel *barrel = o->barrel;
    int fd = pn_pins_watch_fd(barrel->pins);
    pn_err err = PN_OK;

    pn_node_set_open_error("%s", "");
    if (barrel->node->guest.user != NULL) {
        pn_node_set_open_error("the node has a Barrel part already");
        err = PN_EXISTS;
    }
    if (err == PN_OK) {
        err = open_discovery(barrel, o->options);
    }
    if (err == PN_OK) {
        err = open_quic(barrel, o->options);
    }
    if (err == PN_OK && fd >= 0) {
        err = pn_watch_new(barrel->node->loop, fd, on_pins_changed, barrel,
            &barrel->pins_watch);
    }
    if (err == PN_OK) {
        err = publish(barrel, o->options);
    }
    pn_node_lock(barrel->node);
    if (err == PN_OK && fd < 0) {
        pn_node_log(barrel->node, PN_LOG_WARNING, "pins",
            "edits by others are not seen here before a restart",
            PN_REASON_NONE, 0);
    }
    if (err == PN_OK) {
        barrel->node->guest = (pn_guest){.turn = on_turn,
            .network_changed = on_network_changed,
            .leave = on_leave,
            .free = barrel_free,
            .user = barrel};
    }
    pn_node_unlock(barrel->node);
    if (err != PN_OK) {
        leave_loop(barrel);
        (void)snprintf(o->why, sizeof(o->why), "%s", pn_node_open_error());
    }
    return err;
}

pn_err pn_barrel_open(
    pn_node *node, const pn_barrel_options *options, pn_barrel **ret_barrel)
{
    pn_barrel_options o;
    opening work = {.options = &o};
    pn_barrel *barrel;
    pn_err err;

    pn_node_set_open_error("%s", "");
    err = pn_barrel_options_check(options, &o);
    if (err != PN_OK) {
        return err;
    }
    barrel = calloc(1, sizeof(*barrel));
    if (barrel == NULL) {
        return fail_with(PN_NOMEM, "");
    }
    work.barrel = barrel;
    barrel->node = node;
    barrel->opt = o;
    barrel->metrics.size = sizeof(barrel->metrics);
    barrel->auth_env = node->env;
    barrel->auth_env.log = NULL;
    open_gate(barrel);
    (void)pthread_mutex_init(&barrel->pins_lock, NULL);
    err = copy_texts(barrel, &o);
    if (err == PN_OK) {
        err = make_creation(barrel);
    }
    if (err == PN_OK) {
        err = open_keys(barrel, &o);
    }
    if (err == PN_OK) {
        err = open_certificate(barrel, &o);
    }
    if (err == PN_OK) {
        err = pn_node_on_loop(node, open_on_loop, &work);
        pn_node_set_open_error("%s", work.why);
    }
    if (err != PN_OK) {
        if (pn_node_open_error()[0] == '\0') {
            (void)fail_with(err, "");
        }
        barrel_free(barrel);
        return err;
    }
    *ret_barrel = barrel;
    return PN_OK;
}

void pn_barrel_reload_keys(pn_barrel *barrel)
{
    pn_store_error why = {{0}};
    bool is_changed = false;
    pn_err err = pn_barrel_keys_reload(barrel->keys, &is_changed, &why);
    const pn_public_key *key = &pn_barrel_keys_pair(barrel->keys)->public_key;

    if ((err == PN_OK && !is_changed && !barrel->are_keys_damaged)
        || (err != PN_OK && barrel->are_keys_damaged)) {
        return; /* said once */
    }
    barrel->are_keys_damaged = err != PN_OK;
    if (err == PN_OK) {
        (void)pthread_mutex_lock(&barrel->pins_lock);
        (void)!pn_pins_set_own(barrel->pins, barrel->name, key);
        (void)pthread_mutex_unlock(&barrel->pins_lock);
    }
    pn_node_lock(barrel->node);
    barrel->key = *key;
    pn_node_log(barrel->node, err == PN_OK ? PN_LOG_WARNING : PN_LOG_ERROR,
        err != PN_OK ? "identity"
        : is_changed ? "the identity was rotated"
                     : "the identity can be read again",
        why.text, PN_REASON_NONE, 0);
    pn_node_unlock(barrel->node);
}

/* ---- asking ------------------------------------------------------------ */

void pn_barrel_key(pn_barrel *barrel, pn_public_key *ret_key)
{
    pn_node_lock(barrel->node);
    *ret_key = barrel->key;
    pn_node_unlock(barrel->node);
}

const char *pn_barrel_name(const pn_barrel *barrel)
{
    return barrel->name;
}

uint16_t pn_barrel_port(const pn_barrel *barrel)
{
    return barrel->port;
}

pn_err pn_barrel_pinned(
    pn_barrel *barrel, const char *name, pn_public_key *ret_key)
{
    pn_slice n = {(const uint8_t *)name, strlen(name)};
    const pn_pin *pin;

    if (!pn_node_name_is_valid(name, n.len)) {
        return PN_INVALID;
    }
    (void)pthread_mutex_lock(&barrel->pins_lock);
    pin = pn_pins_find(barrel->pins, n);
    if (pin != NULL) {
        *ret_key = pin->key;
    }
    (void)pthread_mutex_unlock(&barrel->pins_lock);
    return pin == NULL ? PN_NOT_FOUND : PN_OK;
}

pn_err pn_barrel_unpin(pn_barrel *barrel, const char *name)
{
    struct timespec pause = {.tv_nsec = UNPIN_PAUSE_NS};
    pn_err err = PN_LOCKED;

    /* It counts no more from the first try on. Somebody else's edit holds up
     * the file only, and not the loop. */
    for (int i = 0; i < UNPIN_TRIES && err == PN_LOCKED; i++) {
        if (i > 0) {
            (void)nanosleep(&pause, NULL);
        }
        (void)pthread_mutex_lock(&barrel->pins_lock);
        err = pn_pins_unpin(barrel->pins, name, NULL);
        pn_node_lock(barrel->node);
        end_unpinned(barrel);
        pn_node_unlock(barrel->node);
        (void)pthread_mutex_unlock(&barrel->pins_lock);
    }
    return err;
}

static void info_fill(pn_barrel_node_info *info, const pn_barrel_link *link)
{
    uint64_t up_us = pn_node_now(link->base.node) - link->base.up_us;

    *info = (pn_barrel_node_info){.key = link->base.key,
        .dialled_by_us = link->base.is_dialled,
        .up_ms = up_us / PN_US_PER_MS};
    memcpy(info->name, link->name, strlen(link->name) + 1);
    _Static_assert(
        sizeof(info->address) >= PN_ADDRESS_TEXT_LEN, "room for any address");
    pn_address_text(&link->base.remote, info->address);
}

pn_err pn_barrel_nodes(
    pn_barrel *barrel, pn_barrel_node_info **ret_nodes, size_t *ret_n)
{
    pn_node *node = barrel->node;
    pn_barrel_node_info *nodes;
    size_t n = 0;

    pn_node_lock(node);
    nodes = calloc((size_t)node->n_links + 1, sizeof(*nodes));
    for (pn_link *l = node->links; nodes != NULL && l != NULL; l = l->next) {
        if (pn_barrel_is_link(l, barrel) && l->stage == PN_LINK_UP) {
            info_fill(&nodes[n++], (pn_barrel_link *)(void *)l);
        }
    }
    pn_node_unlock(node);
    *ret_nodes = nodes;
    *ret_n = n;
    return nodes == NULL ? PN_NOMEM : PN_OK;
}

void pn_barrel_get_metrics_sized(
    pn_barrel *barrel, pn_barrel_metrics *ret_metrics, size_t size)
{
    memset(ret_metrics, 0, size);
    pn_node_lock(barrel->node);
    memcpy(ret_metrics, &barrel->metrics,
        size < sizeof(barrel->metrics) ? size : sizeof(barrel->metrics));
    pn_node_unlock(barrel->node);
    ret_metrics->size = size;
}

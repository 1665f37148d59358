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
#include "base/slice.h"
#include "os/clock.h"

/* The most look-ups that the discovery chain runs at once. */
enum { LOOKUPS_MAX = 1024 };
/* How long an unpin waits for another process's edit: 10 s. */
enum { UNPIN_TRIES = 500, UNPIN_PAUSE_NS = 20000000 };

/* ---- the files --------------------------------------------------------- */

static void warn(pn_barrel *barrel, const pn_why *warning)
{
    if (warning->text[0] != '\0') {
        pn_node_lock(barrel->node);
        pn_node_log(barrel->node, &(pn_log_line){.level = PN_LOG_WARNING,
                                      .what = PN_LOG_BARREL_FILE,
                                      .text = pn_slice_of(warning->text)});
        pn_node_unlock(barrel->node);
    }
}

static pn_err open_keys(
    pn_barrel *barrel, const pn_barrel_options *o, pn_why *ret_why)
{
    pn_why warning = {0};
    pn_pins_options pins = {
        .own_name = barrel->name,
        .max_pins = o->max_pins,
        .max_new = o->max_new_pins,
        .new_interval_us = (uint64_t)o->new_pin_ms * PN_US_PER_MS,
        .never_waits = true,
        .on_change = pn_barrel_pin_changed,
        .user = barrel,
    };
    pn_err err = pn_barrel_keys_open(
        o->key_dir, &barrel->keys, ret_why, &warning);

    if (err != PN_OK) {
        return err;
    }
    warn(barrel, &warning);
    warning.text[0] = '\0';
    barrel->key = pn_barrel_keys_pair(barrel->keys)->public_key;
    pins.own_key = &pn_barrel_keys_pair(barrel->keys)->public_key;
    err = pn_pins_open(o->key_dir, &pins, &barrel->pins, ret_why, &warning);
    if (err != PN_OK) {
        return err;
    }
    warn(barrel, &warning);
    if (strcmp(o->cookie, "barrel_p2p") == 0) {
        (void)snprintf(warning.text, sizeof(warning.text),
            "the cookie is upstream's default, which everybody knows; choose "
            "another");
        warn(barrel, &warning);
    }
    return PN_OK;
}

static pn_err open_certificate(
    pn_barrel *barrel, const pn_barrel_options *o, pn_why *ret_why)
{
    return pn_certificate_open(o->cert_dir,
        (int64_t)(pn_wall_now_us() / (int64_t)PN_US_PER_S),
        &barrel->certificate, ret_why);
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

/* A creation tells one run of a node from the next (docs/BARREL-PROTOCOL.md,
 * section 12). */
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

/* ---- the loop ---------------------------------------------------------- */

/* Called after an edit of the pins by another process, or when they could not
 * be read the last time. A link whose own pin has gone ends whatever else is
 * wrong there. */
static bool reload_pins(void *user, bool is_edit)
{
    static const pn_principal nobody = {.family = PN_FAMILY_BARREL};
    pn_barrel *barrel = user;
    pn_why why = {0};
    pn_err before;
    pn_err err;

    (void)pthread_mutex_lock(&barrel->pins_lock);
    before = pn_pins_damage(barrel->pins);
    err = pn_pins_reload(barrel->pins, NULL, &why);
    pn_node_lock(barrel->node);
    if (err != PN_OK && (is_edit || err != before)) {
        pn_node_log(barrel->node,
            &(pn_log_line){.level = PN_LOG_ERROR,
                .what = PN_LOG_PINS_NOT_READ,
                .text = pn_slice_of(
                    why.text[0] != '\0' ? why.text : pn_strerror(err))});
    } else if (err == PN_OK && before != PN_OK) {
        pn_node_log(
            barrel->node, &(pn_log_line){.level = PN_LOG_WARNING,
                              .what = PN_LOG_PINS,
                              .text = pn_slice_of("can be read again")});
    }
    if (err != before) {
        pn_node_event(barrel->node, PN_EVENT_TRUST_CHANGED, &nobody, NULL, NULL,
            NULL, 0, PN_REASON_NONE);
    }
    pn_node_unlock(barrel->node);
    (void)pthread_mutex_unlock(&barrel->pins_lock);
    return err == PN_OK;
}

static void on_pins_watched(void *user, const char *text, int sys_errno)
{
    pn_barrel *barrel = user;

    pn_node_lock(barrel->node);
    pn_node_log(barrel->node, &(pn_log_line){.level = PN_LOG_WARNING,
                                  .what = PN_LOG_PINS,
                                  .text = pn_slice_of(text),
                                  .sys_errno = sys_errno});
    pn_node_unlock(barrel->node);
}

static const pn_guarded_watch_ops pins_watch_ops = {
    .is_wanted = pn_pins_is_pin,
    .reload = reload_pins,
    .tell = on_pins_watched,
};

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

    assert_on_loop(barrel->node);
    assert_locked(barrel->node);
    pn_barrel_redial_arm(barrel);
    if (barrel->quic != NULL) {
        count_datagrams(barrel);
    }
}

static void on_network_changed(void *user)
{
    pn_barrel *barrel = user;

    assert_on_loop(barrel->node);
    assert_unlocked(barrel->node);
    if (barrel->quic != NULL) {
        pn_quic_network_changed(barrel->quic);
    }
    pn_node_lock(barrel->node);
    pn_barrel_redial_hurry(barrel);
    pn_node_unlock(barrel->node);
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
    pn_guarded_watch_stop(&barrel->pins_watch);
    pn_timer_free(barrel->redial_timer);
    barrel->redial_timer = NULL;
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

/* Files and secrets are released now, though callers still hold references. */
static void barrel_close(void *user)
{
    pn_barrel *barrel = user;

    leave_loop(barrel);
    (void)pthread_mutex_lock(&barrel->unpin_lock);
    (void)pthread_mutex_lock(&barrel->pins_lock);
    pn_pins_close(barrel->pins);
    barrel->pins = NULL; /* what follows them goes, too */
    pn_barrel_known_free(barrel->known);
    barrel->known = NULL;
    pn_barrel_redial_fini(barrel);
    (void)pthread_mutex_unlock(&barrel->pins_lock);
    (void)pthread_mutex_unlock(&barrel->unpin_lock);
    pn_barrel_keys_close(barrel->keys);
    barrel->keys = NULL;
    pn_certificate_free(barrel->certificate);
    barrel->certificate = NULL;
    pn_secure_free(barrel->cookie, barrel->cookie_len);
    barrel->cookie = NULL;
}

static void barrel_free(void *user)
{
    pn_barrel *barrel = user;

    for (size_t i = 0;
         barrel->cookie_only != NULL && i < barrel->opt.n_cookie_only; i++) {
        free(barrel->cookie_only[i]);
    }
    free(barrel->cookie_only);
    free(barrel->name);
    (void)pthread_mutex_destroy(&barrel->pins_lock);
    (void)pthread_mutex_destroy(&barrel->unpin_lock);
    free(barrel);
}

/* Adds the address that the owner gave for a node; a name counts once it is
 * resolved. */
static void know_static(pn_barrel *barrel, const pn_barrel_address *where)
{
    pn_slice name = pn_slice_of(where->name);
    pn_address at;

    if (pn_address_parse(where->address, -1, &at) == PN_OK
        && pn_pins_find(barrel->pins, name) != NULL) {
        pn_barrel_known_add(
            barrel->known, where->name, &at, pn_node_now(barrel->node));
    }
}

static pn_err open_discovery(
    pn_barrel *barrel, const pn_barrel_options *o, pn_why *ret_why)
{
    pn_barrel_discovery_options d;
    pn_err err;

    pn_barrel_discovery_options_init(&d);
    d.node_name = barrel->name;
    d.dir = o->discovery_dir;
    d.dns_port = o->dns_port;
    d.max_lookups = o->max_links < LOOKUPS_MAX ? o->max_links : LOOKUPS_MAX;
    err = pn_barrel_discovery_new(
        barrel->node->turn.loop, &d, &barrel->discovery);
    for (size_t i = 0; err == PN_OK && i < o->n_addresses; i++) {
        err = pn_barrel_discovery_add_static(
            barrel->discovery, o->addresses[i].name, o->addresses[i].address);
        if (err != PN_OK) {
            return pn_why_fail(ret_why, err,
                "\"%s\" at \"%s\": expected NAME@HOST at HOST:PORT",
                o->addresses[i].name, o->addresses[i].address);
        }
        know_static(barrel, &o->addresses[i]);
    }
    return err;
}

static pn_err publish(
    pn_barrel *barrel, const pn_barrel_options *o, pn_why *ret_why)
{
    char why[PN_BARREL_WHY_MAX] = "";
    pn_err err;

    if (o->discovery_dir == NULL || !o->publish) {
        return PN_OK;
    }
    err = pn_barrel_discovery_publish(
        barrel->discovery, o->publish_host, why, sizeof(why));
    return err == PN_OK ? PN_OK : pn_why_fail(ret_why, err, "%s", why);
}

static pn_err open_quic(
    pn_barrel *barrel, const pn_barrel_options *o, pn_why *ret_why)
{
    pn_quic_options q = {
        .alpn = "erlang-dist",
        .certificate = barrel->certificate,
        /* A link's limit is checked when it is one; the gate counts those
         * whose address is proven. */
        .max_conns = o->max_links + barrel->node->opt.max_strangers
                     + o->retry_above,
        .max_handshakes = barrel->node->opt.max_strangers + o->retry_above,
        .max_data = PN_BARREL_CREDIT_EARLY,
        /* More comes when half is consumed. */
        .max_stream_data = 2 * pn_barrel_credit(o),
        .retry_above = o->retry_above,
        .unproven_per_second = o->unproven_per_second,
        .retries_per_second = o->retries_per_second,
        .answers_per_second = o->answers_per_second,
        .handshake_us = 10 * PN_US_PER_S,
        .accept_us = (uint64_t)o->handshake_timeout_ms * PN_US_PER_MS,
        .keep_alive_us = (uint64_t)o->keep_alive_ms * PN_US_PER_MS,
        .idle_timeout_us = 300 * PN_US_PER_S,
        .dead_after_us = (uint64_t)o->dead_after_ms * PN_US_PER_MS,
        .max_streams = 100,
        .max_unsent = (size_t)16 * 1024 * 1024,
    };
    const char *host = o->listen_address == NULL ? "::" : o->listen_address;
    pn_address at;
    int sys_errno = 0;
    pn_err err = pn_address_parse(host, o->listen_port, &at);

    if (err != PN_OK) {
        return pn_why_fail(ret_why, PN_INVALID,
            "listen_address \"%s\" is not a numeric "
            "address",
            host);
    }
    err = pn_quic_new(barrel->node->turn.loop, &at, &q,
        &pn_barrel_quic_callbacks, barrel, &barrel->quic, &sys_errno);
    if (err != PN_OK) {
        return pn_why_fail(ret_why, err, "cannot listen on UDP port %d: %s",
            o->listen_port,
            sys_errno != 0 ? strerror(sys_errno) : pn_strerror(err));
    }
    pn_quic_address(barrel->quic, &at);
    barrel->port = pn_address_port(&at);
    pn_barrel_discovery_set_bound(barrel->discovery, &at);
    return PN_OK;
}

typedef struct opening {
    pn_barrel *barrel;
    const pn_barrel_options *options;
    pn_why *ret_why;
} opening;

static void redial_all(pn_barrel *barrel)
{
    size_t n = 0;
    const pn_pin *pins = pn_pins_all(barrel->pins, &n);

    for (size_t i = 0; i < n; i++) {
        pn_barrel_redial_pin(barrel, pins[i].name);
    }
}

static pn_err open_on_loop(void *arg)
{
    opening *o = arg;
    pn_barrel *barrel = o->barrel;
    pn_err err = PN_OK;

    assert_on_loop(barrel->node);
    assert_unlocked(barrel->node);
    if (barrel->node->extension.user != NULL) {
        err = pn_why_fail(
            o->ret_why, PN_EXISTS, "the node has a Barrel part already");
    }
    if (err == PN_OK) {
        err = pn_guarded_watch_start(&barrel->pins_watch,
            barrel->node->turn.loop, pn_pins_dir(barrel->pins), &pins_watch_ops,
            barrel);
    }
    if (err == PN_OK) {
        err = open_discovery(barrel, o->options, o->ret_why);
    }
    if (err == PN_OK) {
        err = open_quic(barrel, o->options, o->ret_why);
    }
    if (err == PN_OK) {
        err = pn_timer_new(barrel->node->turn.loop, pn_barrel_redial_on_timer,
            barrel, &barrel->redial_timer);
    }
    if (err == PN_OK) {
        err = publish(barrel, o->options, o->ret_why);
    }
    (void)pthread_mutex_lock(&barrel->pins_lock);
    pn_node_lock(barrel->node);
    if (err == PN_OK) {
        barrel->node->extension = (pn_extension){.turn = on_turn,
            .network_changed = on_network_changed,
            .leave = on_leave,
            .close = barrel_close,
            .free = barrel_free,
            .user = barrel};
        redial_all(barrel);
    }
    pn_node_unlock(barrel->node);
    (void)pthread_mutex_unlock(&barrel->pins_lock);
    if (err != PN_OK) {
        leave_loop(barrel);
    }
    return err;
}

static pn_err barrel_open(pn_node *node, const pn_barrel_options *options,
    pn_barrel **ret_barrel, pn_why *ret_why)
{
    pn_barrel_options o;
    opening work = {.options = &o, .ret_why = ret_why};
    pn_barrel *barrel;
    pn_err err;

    err = pn_barrel_options_check(options, &o, ret_why);
    if (err != PN_OK) {
        return err;
    }
    barrel = calloc(1, sizeof(*barrel));
    if (barrel == NULL) {
        return PN_NOMEM;
    }
    work.barrel = barrel;
    barrel->node = node;
    barrel->opt = o;
    barrel->metrics.size = sizeof(barrel->metrics);
    pn_gate_init(&barrel->gate, &node->links.strangers, &node->env);
    (void)pthread_mutex_init(&barrel->pins_lock, NULL);
    (void)pthread_mutex_init(&barrel->unpin_lock, NULL);
    barrel->known = pn_barrel_known_new();
    err = barrel->known == NULL ? PN_NOMEM : copy_texts(barrel, &o);
    if (err == PN_OK) {
        err = make_creation(barrel);
    }
    if (err == PN_OK) {
        err = open_keys(barrel, &o, ret_why);
    }
    if (err == PN_OK) {
        err = open_certificate(barrel, &o, ret_why);
    }
    if (err == PN_OK) {
        err = pn_node_on_loop(node, open_on_loop, &work);
    }
    if (err != PN_OK) {
        barrel_close(barrel);
        barrel_free(barrel);
        return err;
    }
    *ret_barrel = barrel;
    return PN_OK;
}

pn_err pn_barrel_open(pn_node *node, const pn_barrel_options *options,
    pn_barrel **ret_barrel, pn_why *ret_why)
{
    pn_err err = pn_node_enter(node);

    pn_why_clear(ret_why);
    if (err != PN_OK) {
        return pn_why_fail(ret_why, err, "the node closes");
    }
    err = barrel_open(node, options, ret_barrel, ret_why);
    pn_node_leave(node);
    return pn_why_complete(ret_why, err);
}

void pn_barrel_reload_keys(pn_barrel *barrel)
{
    pn_why why = {0};
    bool is_changed = false;
    pn_err err = pn_barrel_keys_reload(barrel->keys, &is_changed, &why);
    const pn_ed25519_key *key = &pn_barrel_keys_pair(barrel->keys)->public_key;

    assert_on_loop(barrel->node);
    assert_unlocked(barrel->node);
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
    pn_node_log(barrel->node,
        &(pn_log_line){.level = err == PN_OK ? PN_LOG_WARNING : PN_LOG_ERROR,
            .what = err != PN_OK ? PN_LOG_IDENTITY_NOT_READ
                    : is_changed ? PN_LOG_IDENTITY_ROTATED
                                 : PN_LOG_IDENTITY_READ,
            .text = pn_slice_of(why.text)});
    pn_node_unlock(barrel->node);
}

/* ---- queries ----------------------------------------------------------- */

void pn_barrel_key(pn_barrel *barrel, pn_ed25519_key *ret_key)
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

pn_reason pn_barrel_reason(const pn_barrel *barrel)
{
    return barrel->node->calls.told_reason;
}

pn_err pn_barrel_pinned(
    pn_barrel *barrel, const char *name, pn_ed25519_key *ret_key)
{
    pn_slice n = pn_slice_of(name);
    const pn_pin *pin;

    if (!pn_node_name_is_valid(name, n.len)) {
        return PN_INVALID;
    }
    (void)pthread_mutex_lock(&barrel->pins_lock);
    pin = barrel->pins == NULL ? NULL : pn_pins_find(barrel->pins, n);
    if (pin != NULL) {
        *ret_key = pin->key;
    }
    (void)pthread_mutex_unlock(&barrel->pins_lock);
    return pin == NULL ? PN_NOT_FOUND : PN_OK;
}

pn_err pn_barrel_pins(
    pn_barrel *barrel, pn_barrel_pin **ret_pins, size_t *ret_n)
{
    pn_err err = PN_CLOSED;

    (void)pthread_mutex_lock(&barrel->pins_lock);
    if (barrel->pins != NULL) {
        err = pn_barrel_pins_copy(barrel->pins, ret_pins, ret_n);
    }
    (void)pthread_mutex_unlock(&barrel->pins_lock);
    return err;
}

/* The pin counts no more from the first try on. Authentications meanwhile do
 * not wait for the disk. PN_CLOSED: the node is closed. */
static pn_err unpin(pn_barrel *barrel, const char *name)
{
    bool was_known = false;
    pn_err err = PN_CLOSED;

    (void)pthread_mutex_lock(&barrel->unpin_lock);
    (void)pthread_mutex_lock(&barrel->pins_lock);
    if (barrel->pins != NULL) {
        err = pn_pins_cut(barrel->pins, name, &was_known, NULL);
    }
    (void)pthread_mutex_unlock(&barrel->pins_lock);
    if (err == PN_OK) {
        err = pn_pins_remove_file(barrel->pins, name, NULL);
        (void)pthread_mutex_lock(&barrel->pins_lock);
        err = pn_pins_cut_done(barrel->pins, name, was_known, err);
        (void)pthread_mutex_unlock(&barrel->pins_lock);
    }
    (void)pthread_mutex_unlock(&barrel->unpin_lock);
    return err;
}

static bool is_closing(pn_node *node)
{
    bool yes;

    pn_node_lock(node);
    yes = node->closing.is_asked;
    pn_node_unlock(node);
    return yes;
}

pn_err pn_barrel_unpin(pn_barrel *barrel, const char *name)
{
    struct timespec pause = {.tv_nsec = UNPIN_PAUSE_NS};
    pn_node *node = barrel->node;
    pn_err err = pn_node_enter(node);

    if (err != PN_OK) {
        return err;
    }
    err = unpin(barrel, name);
    /* An edit by another process holds up the file only, neither the loop nor
     * pn_node_close. */
    for (int i = 1; i < UNPIN_TRIES && err == PN_LOCKED; i++) {
        (void)nanosleep(&pause, NULL);
        err = is_closing(node) ? PN_CLOSED : unpin(barrel, name);
    }
    pn_node_leave(node);
    return err;
}

static void info_fill(pn_barrel_node_info *info, const pn_barrel_link *link)
{
    uint64_t up_us = pn_node_now(link->base.node) - link->base.up_us;

    assert_locked(link->base.node);
    *info = (pn_barrel_node_info){.key = link->base.principal.key.ed25519,
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
    nodes = calloc((size_t)node->links.all.n + 1, sizeof(*nodes));
    PN_LIST_EACH(pn_link, l, &node->links.all, listed) {
        if (nodes != NULL && pn_barrel_is_link(l, barrel)
            && l->stage == PN_LINK_UP) {
            info_fill(&nodes[n++], (pn_barrel_link *)(void *)l);
        }
    }
    pn_node_unlock(node);
    *ret_nodes = nodes;
    *ret_n = n;
    return nodes == NULL ? PN_NOMEM : PN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery sources and the network monitor, joined to the registry. Sources
 * give hints: an address is dialled only if its key is paired.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "discovery/netmon.h"
#include "discovery/udp_discovery.h"
#include "node/node_internal.h"
#include "os/clock.h"
#include "os/interface_names.h"
#include "os/resume.h"

/* The keys heard recently, so that an announce every five seconds is one
 * event. */
enum { MAX_HEARD = 128, MAX_LOCAL = 256 };

/* Between two attempts to open what could not be opened at start. */
#define RETRY_US (5 * PN_US_PER_S)

/* Addresses of each option of UDP discovery. */
enum { UDP_ADDRESSES = PN_UDP_DISCOVERY_MAX / 2 };

/* Our own, and one of the application's. */
enum { MAX_SLOTS = 2 };

/* A source that has reported an address within this time still hears it, should
 * another lose it. Some never say that they lost one, so such an address is
 * looked at again when the time is over. */
#define HEARD_US (15 * PN_US_PER_S)

/* Announces of a node that has been up for a while are 4 to 6 s apart; one may
 * be received several times. */
#define TWICE_US (100 * PN_US_PER_MS)
#define EARLY_US (2500 * PN_US_PER_MS)
#define LATE_US (6500 * PN_US_PER_MS)

/* A paired peer may be at several addresses; each announce may be forged. */
enum { PAIRED_LINES = 4 };

typedef struct heard {
    pn_public_key key;
    pn_address address;
    const char *source; /* its name; the source's */
    int64_t first_us;   /* wall clock */
    int64_t last_us;
    uint64_t n_reports;
    uint64_t by_us[MAX_SLOTS]; /* last report of each slot; 0: none, or lost */
    bool is_doubted;           /* lost by one slot, still heard by another */
    bool is_used;
} heard;

/* One source. The sink's `node` is the slot, so events can name the source. */
typedef struct pn_source_slot {
    pn_node *node;
    const pn_discovery_source *source;
    void *user;
    pn_discovery_sink sink;
    bool is_started;
    bool is_failing;      /* it could not be started, as was said */
    int sys_errno;        /* why */
    int64_t failed_at_us; /* wall clock; 0: never */
} pn_source_slot;

/* Slots and monitor are set up before the node's thread starts and taken down
 * on the loop; the node's lock guards the rest. */
struct pn_net {
    pn_source_slot slots[MAX_SLOTS];
    size_t n_slots;
    pn_udp_discovery *udp;
    const pn_network_monitor *monitor;
    void *monitor_user;
    pn_network_sink monitor_sink;
    pn_netmon *netmon;
    pn_timer *retry;
    pn_timer *doubt; /* the first doubted row is due */
    pn_resume *resume;
    pn_local_address *locals; /* of this host, as of the last look */
    size_t n_locals;          /* may be more than MAX_LOCAL */
    bool is_monitoring;
    bool is_monitor_failing;
    bool is_changed;  /* since the last turn end */
    bool is_doubting; /* a row is doubted since the last turn end */
    bool is_quiet;    /* not announcing since the network changed */
    bool wants_announce;
    heard heard[MAX_HEARD];
    size_t next_heard;
    const char *interfaces; /* the option's, in names; NULL: none */
    char names[PN_INTERFACE_NAMES_CAP];
};

/* ---- reports of sources (any thread) ----------------------------------- */

static heard *heard_find(
    struct pn_net *net, const pn_public_key *key, const pn_address *address)
{
    for (size_t i = 0; i < MAX_HEARD; i++) {
        heard *h = &net->heard[i];

        if (h->is_used && pn_key_equal(&h->key, key)
            && pn_address_equal(&h->address, address)) {
            return h;
        }
    }
    return NULL;
}

/* The oldest row gives way, and one of a paired peer only when all are: made-up
 * keys drive out no address that is used. */
static heard *heard_add(
    pn_node *node, const pn_public_key *key, const pn_address *address)
{
    struct pn_net *net = pn_full(node)->net;
    heard *h;

    for (size_t i = 0; i < MAX_HEARD; i++) {
        h = &net->heard[net->next_heard];
        if (!h->is_used || pn_node_find_peer(node, &h->key) == NULL) {
            break;
        }
        net->next_heard = (net->next_heard + 1) % MAX_HEARD;
    }
    h = &net->heard[net->next_heard];
    *h = (heard){.key = *key,
        .address = *address,
        .first_us = pn_wall_now_us(),
        .is_used = true};
    net->next_heard = (net->next_heard + 1) % MAX_HEARD;
    return h;
}

/* Counts a report; *ret_is_new: the first of this key and address. Returns
 * whether it is out of rhythm: whoever starts, wakes or moves announces three
 * times in two seconds. */
static bool heard_note(const pn_source_slot *slot, const pn_public_key *key,
    const pn_address *address, bool *ret_is_new)
{
    struct pn_net *net = pn_full(slot->node)->net;
    heard *h = heard_find(net, key, address);
    uint64_t now_us = pn_node_now(slot->node);
    uint64_t since_us;

    *ret_is_new = h == NULL;
    if (h == NULL) {
        h = heard_add(slot->node, key, address);
    }
    if (h->by_us[slot - net->slots] == 0) {
        h->is_doubted = false; /* whoever lost it hears it again */
    }
    since_us = now_us - h->by_us[slot - net->slots];
    h->source = slot->source->name;
    h->by_us[slot - net->slots] = now_us;
    h->last_us = pn_wall_now_us();
    h->n_reports++;
    return since_us > TWICE_US && (since_us < EARLY_US || since_us > LATE_US);
}

static void heard_tell(const heard *h, pn_heard_info *ret_info)
{
    ret_info->key = h->key;
    pn_address_text(&h->address, ret_info->address);
    (void)snprintf(ret_info->source, sizeof(ret_info->source), "%s", h->source);
    ret_info->first_ms = h->first_us / 1000;
    ret_info->last_ms = h->last_us / 1000;
    ret_info->n_reports = h->n_reports;
}

pn_err pn_list_heard(pn_node *node, pn_heard_info **ret_heard, size_t *ret_n)
{
    pn_heard_info *infos = NULL;
    const struct pn_net *net;
    pn_err err = PN_CLOSED;
    size_t n = 0;

    pn_node_lock(node);
    net = pn_full(node)->net;
    if (net != NULL) {
        infos = calloc(MAX_HEARD, sizeof(*infos));
        err = infos == NULL ? PN_NOMEM : PN_OK;
    }
    for (size_t i = 0; err == PN_OK && i < MAX_HEARD; i++) {
        if (net->heard[i].is_used) {
            heard_tell(&net->heard[i], &infos[n++]);
        }
    }
    pn_node_unlock(node);
    if (err == PN_OK) {
        *ret_heard = infos;
        *ret_n = n;
    }
    return err;
}

static void source_event(const pn_source_slot *slot, pn_event_type type,
    const pn_public_key *key, const pn_address *address)
{
    const pn_peer *peer = pn_node_find_peer(slot->node, key);
    pn_principal who = pn_peernet_principal(key);

    pn_node_event(slot->node, type, &who, peer == NULL ? NULL : peer->label,
        address, slot->source->name, strlen(slot->source->name),
        PN_REASON_NONE);
}

static void on_found(void *user, const pn_public_key *key, const char *text)
{
    pn_source_slot *slot = user;
    pn_node *node = slot->node;
    pn_address address;
    pn_peer *peer;
    bool is_new;
    bool is_odd;

    assert_unlocked(node);
    if (pn_peer_address_parse(text, &address) != PN_OK) {
        return;
    }
    pn_node_lock(node);
    if (!node->closing.is_asked
        && !pn_key_equal(key, &pn_full(node)->trust.identity->public_key)) {
        peer = pn_node_find_peer(node, key);
        is_odd = heard_note(slot, key, &address, &is_new);
        if (is_new
            && pn_node_tells(node, PN_QUIET_DISCOVERED, key,
                peer == NULL ? 1 : PAIRED_LINES)) {
            source_event(slot, PN_EVENT_DISCOVERED, key, &address);
        }
        if (peer != NULL) {
            (void)pn_registry_heard(pn_full(node)->registry, key, &address,
                slot->source->name, pn_node_now(node));
            if (is_odd) {
                pn_registry_suspect(
                    pn_full(node)->registry, key, pn_node_now(node));
            }
            pn_node_wake(node);
        }
    }
    pn_node_unlock(node);
}

/* A source reports an address once, maybe before the peer was paired. */
void pn_node_net_recall(pn_node *node, pn_peer *peer)
{
    assert_locked(node);
    for (size_t i = 0; pn_full(node)->net != NULL && i < MAX_HEARD; i++) {
        const heard *h = &pn_full(node)->net->heard[i];

        if (h->is_used && pn_key_equal(&h->key, &peer->key)) {
            (void)pn_registry_heard(pn_full(node)->registry, &h->key,
                &h->address, h->source, pn_node_now(node));
        }
    }
}

/* When the reports of all slots are too old; 0: none hears it. */
static uint64_t heard_until(const struct pn_net *net, const heard *h)
{
    uint64_t last_us = 0;

    for (size_t i = 0; i < net->n_slots; i++) {
        last_us = h->by_us[i] > last_us ? h->by_us[i] : last_us;
    }
    return last_us == 0 ? 0 : last_us + HEARD_US;
}

static void forget(const pn_source_slot *slot, heard *h)
{
    pn_node *node = slot->node;

    h->is_used = false;
    if (pn_node_tells(node, PN_QUIET_DISCOVERED, &h->key, PAIRED_LINES)) {
        source_event(slot, PN_EVENT_LOST, &h->key, &h->address);
    }
    pn_registry_hint_lost(pn_full(node)->registry, &h->key, &h->address);
    pn_node_wake(node);
}

/* The slot that has reported a doubted row; the other has lost it. */
static const pn_source_slot *heard_slot(
    const struct pn_net *net, const heard *h)
{
    size_t i = 0;

    while (i + 1 < net->n_slots && h->by_us[i] == 0) {
        i++;
    }
    return &net->slots[i];
}

/* Forgets the doubted rows that are due and sets the timer for the next. */
static void doubts_look(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;
    uint64_t now_us = pn_node_now(node);
    uint64_t next_us = PN_TIME_NEVER;

    assert_on_loop(node);
    assert_locked(node);
    for (size_t i = 0; i < MAX_HEARD; i++) {
        heard *h = &net->heard[i];
        uint64_t until_us = heard_until(net, h);

        if (!h->is_used || !h->is_doubted) {
            continue;
        }
        if (until_us <= now_us) {
            forget(heard_slot(net, h), h);
        } else if (until_us < next_us) {
            next_us = until_us;
        }
    }
    pn_timer_set(net->doubt, next_us);
}

static void on_doubt(void *user)
{
    pn_node *node = user;

    pn_node_lock(node);
    if (!node->closing.is_asked && PN_SAFEGUARD(net_lost_in_silence)) {
        doubts_look(node);
    }
    pn_node_unlock(node);
}

/* A source loses only what it has found and not lost yet: the hint may be
 * another's. */
static void on_lost(void *user, const pn_public_key *key, const char *text)
{
    pn_source_slot *slot = user;
    pn_node *node = slot->node;
    pn_address address;
    struct pn_net *net;
    heard *h;

    assert_unlocked(node);
    if (pn_peer_address_parse(text, &address) != PN_OK) {
        return;
    }
    pn_node_lock(node);
    net = pn_full(node)->net;
    h = node->closing.is_asked ? NULL : heard_find(net, key, &address);
    if (h != NULL
        && !PN_REFUSE_IF(
            net_lost_not_found, h->by_us[slot - net->slots] == 0)) {
        h->by_us[slot - net->slots] = 0;
        if (PN_REFUSE_IF(
                net_lost_by_one, heard_until(net, h) > pn_node_now(node))) {
            h->is_doubted = true;
            net->is_doubting = true;
            pn_node_wake(node);
        } else {
            forget(slot, h);
        }
    }
    pn_node_unlock(node);
}

static void on_network_changed(void *user)
{
    pn_node *node = user;

    pn_node_lock(node);
    pn_full(node)->net->is_changed = true;
    pn_node_wake(node);
    pn_node_unlock(node);
}

/* ---- network changes --------------------------------------------------- */

static bool is_local(const struct pn_net *net, const pn_address *address)
{
    for (size_t i = 0; i < net->n_locals && i < MAX_LOCAL; i++) {
        pn_address local;

        if (pn_address_parse(net->locals[i].address, 0, &local) == PN_OK
            && pn_address_same_host(&local, address)) {
            return true;
        }
    }
    return false;
}

/* Ends the links whose own address went away, and no others (unlike the
 * originals, which close all). With more addresses than fit, an address may be
 * local without being in the list, so no link is ended. */
static void links_check(pn_node *node)
{
    const struct pn_net *net = pn_full(node)->net;

    assert_on_loop(node);
    assert_locked(node);
    if (net->n_locals > MAX_LOCAL) {
        return;
    }
    PN_LIST_EACH(pn_link, link, &node->links.all, listed) {
        if ((link->stage == PN_LINK_HANDSHAKE || link->stage == PN_LINK_UP)
            && !link->ops->moves && !is_local(net, &link->local)) {
            pn_link_end(link, PN_REASON_ADDRESS_GONE);
        }
    }
}

/* Told without the lock. */
static void extension_network_changed(pn_node *node)
{
    if (node->extension.network_changed != NULL) {
        pn_node_unlock(node);
        node->extension.network_changed(node->extension.user);
        pn_node_lock(node);
    }
}

static void counters_copy(pn_node *node)
{
    pn_udp_discovery_counters c;

    if (pn_full(node)->net->udp == NULL) {
        return;
    }
    pn_udp_discovery_counters_get(pn_full(node)->net->udp, &c);
    node->metrics.announces_in = c.in;
    node->metrics.announces_out = c.out;
    node->metrics.announces_dropped = c.in - c.heard[PN_HEARD_FOUND] + c.unread;
}

/* The owner may not want this key to be announced on an unknown network
 * (T17). */
static void announce_all(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;

    assert_on_loop(node);
    assert_locked(node);
    if (node->opt.discovery_listen_only || pn_full(node)->listen.port == 0) {
        return;
    }
    for (size_t i = 0; i < net->n_slots; i++) {
        const pn_source_slot *slot = &net->slots[i];
        uint16_t port = net->is_quiet ? 0 : pn_full(node)->listen.port;

        if (slot->is_started && slot->source->announce != NULL) {
            pn_node_unlock(node);
            (void)slot->source->announce(
                slot->user, &pn_full(node)->trust.identity->public_key, port);
            pn_node_lock(node);
        }
    }
}

pn_err pn_discovery_resume(pn_node *node)
{
    pn_node_lock(node);
    if (!node->closing.is_asked) { /* what announces may be gone already */
        pn_full(node)->net->wants_announce = true;
        pn_node_wake(node);
    }
    pn_node_unlock(node);
    return PN_OK;
}

/* Reads the addresses of this host; false: they cannot be read. *ret_has_come:
 * one is new, so peers may be where nothing of ours has been announced. */
static bool locals_look(pn_node *node, bool *ret_has_come)
{
    struct pn_net *net = pn_full(node)->net;
    pn_local_address *locals;
    size_t n = 0;
    pn_err err = PN_NOMEM;

    assert_on_loop(node);
    assert_unlocked(node);
    *ret_has_come = false;
    locals = calloc(MAX_LOCAL, sizeof(*locals));
    if (locals != NULL) {
        err = net->monitor->current(net->monitor_user, locals, MAX_LOCAL, &n);
    }
    if (err != PN_OK) {
        free(locals);
        return false;
    }
    for (size_t i = 0; i < n && i < MAX_LOCAL; i++) {
        pn_address local;

        if (pn_address_parse(locals[i].address, 0, &local) == PN_OK
            && !is_local(net, &local)) {
            *ret_has_come = true;
        }
    }
    free(net->locals);
    net->locals = locals;
    net->n_locals = n;
    return true;
}

static void tell_change(pn_node *node)
{
    char text[32];

    assert_locked(node);
    node->metrics.network_changes++;
    (void)snprintf(text, sizeof(text), "%zu", pn_full(node)->net->n_locals);
    pn_node_event(node, PN_EVENT_NETWORK_CHANGED, NULL, NULL, NULL, text,
        strlen(text), PN_REASON_NONE);
}

/* The other end may have given a link up while this host slept. It says so when
 * it is asked, so that a dead link ends at once and a live one stays. */
static void links_woke(pn_node *node)
{
    assert_on_loop(node);
    assert_locked(node);
    PN_LIST_EACH(pn_link, link, &node->links.all, listed) {
        if (link->ops == &pn_peer_link_ops && link->stage == PN_LINK_UP) {
            pn_session_woke(pn_peer_link_of(link)->session, pn_node_now(node));
            pn_registry_suspect(pn_full(node)->registry,
                &pn_link_peer(pn_peer_link_of(link))->key, pn_node_now(node));
        }
    }
}

/* Addresses came or went, or the host woke, which may be in another network. */
static void network_look(pn_node *node, bool is_change, bool is_awake)
{
    struct pn_net *net = pn_full(node)->net;
    bool has_come = false;
    bool is_known = false;

    assert_on_loop(node);
    assert_locked(node);
    if (net->is_monitoring) {
        pn_node_unlock(node);
        is_known = locals_look(node, &has_come);
        pn_node_lock(node);
    }
    if (node->closing.is_asked) {
        return;
    }
    if (is_change && !is_known) {
        /* The network may be a new one. */
        if (!node->opt.announce_on_new_networks) {
            net->is_quiet = true;
            announce_all(node);
        }
        return;
    }
    if (is_change) {
        tell_change(node);
    }
    if (is_known) {
        links_check(node);
    }
    if (is_awake) {
        links_woke(node);
    }
    pn_registry_network_changed(pn_full(node)->registry, pn_node_now(node));
    extension_network_changed(node);
    if (!node->opt.announce_on_new_networks) {
        net->is_quiet = net->is_quiet || is_change || has_come;
        announce_all(node);
    } else if (is_awake || has_come) {
        announce_all(node);
    }
}

void pn_node_net_turn(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;
    bool is_awake;

    assert_on_loop(node);
    assert_locked(node);
    counters_copy(node);
    if (node->closing.is_asked) {
        return;
    }
    is_awake = pn_resume_take(net->resume);
    if (net->is_changed || is_awake) {
        bool is_change = net->is_changed;

        net->is_changed = false;
        network_look(node, is_change, is_awake);
    }
    if (net->is_doubting) {
        net->is_doubting = false;
        doubts_look(node);
    }
    if (net->wants_announce) {
        net->wants_announce = false;
        net->is_quiet = false;
        announce_all(node);
    }
}

/* ---- starting and stopping --------------------------------------------- */

static void slot_add(
    pn_node *node, const pn_discovery_source *source, void *user)
{
    pn_source_slot *slot =
        &pn_full(node)->net->slots[pn_full(node)->net->n_slots++];

    *slot = (pn_source_slot){
        .node = node,
        .source = source,
        .user = user,
        .sink = {.size = sizeof(slot->sink),
            .node = slot,
            .found = on_found,
            .lost = on_lost},
    };
}

/* Appends the addresses of an option; list: its value, or NULL. */
static pn_err udp_addresses(const pn_node *node, const char *name,
    const char *list, pn_address *to, size_t *ret_n, pn_why *ret_why)
{
    size_t end = *ret_n + UDP_ADDRESSES;
    char text[PN_ADDRESS_TEXT_LEN];
    pn_err err = PN_OK;
    pn_address next;

    while (list != NULL
           && pn_address_list_next(
               &list, node->opt.discovery_port, &next, text, &err)) {
        if (err != PN_OK) {
            return pn_why_fail(
                ret_why, err, "%s \"%s\" is not a numeric address", name, text);
        }
        if (next.any.sa_family != AF_INET) {
            return pn_why_fail(ret_why, PN_INVALID,
                "%s \"%s\": expected an IPv4 address", name, text);
        }
        if (*ret_n == end) {
            return pn_why_fail(ret_why, PN_INVALID,
                "%s has more addresses than %d, expected at most that", name,
                UDP_ADDRESSES);
        }
        to[(*ret_n)++] = next;
    }
    return PN_OK;
}

static pn_err interfaces_check(pn_node *node, pn_why *ret_why)
{
    struct pn_net *net = pn_full(node)->net;

    if (!pn_interface_names_check(node->opt.interfaces)) {
        return pn_why_fail(ret_why, PN_INVALID,
            "interfaces \"%s\": expected names of 1 to 15 bytes with commas "
            "between them, at most %d bytes in all",
            node->opt.interfaces, PN_INTERFACE_NAMES_CAP - 1);
    }
    if (node->opt.interfaces != NULL) {
        (void)snprintf(
            net->names, sizeof(net->names), "%s", node->opt.interfaces);
        net->interfaces = net->names;
    }
    return PN_OK;
}

static pn_err udp_add(pn_node *node, pn_why *ret_why)
{
    struct pn_net *net = pn_full(node)->net;
    pn_address to[PN_UDP_DISCOVERY_MAX];
    pn_udp_discovery_config config = {
        .loop = node->turn.loop,
        .env = &node->env,
        .own_key = pn_full(node)->trust.identity->public_key,
        .port = node->opt.discovery_port,
        .min_port = node->opt.discovery_min_port,
        .interval_ms = node->opt.announce_interval_ms,
        .is_everywhere = node->opt.discovery_address == NULL,
        .addresses = to,
        .interfaces = net->interfaces,
    };
    pn_err err = udp_addresses(node, "discovery_address",
        node->opt.discovery_address, to, &config.n_addresses, ret_why);

    if (err == PN_OK) {
        err = udp_addresses(node, "announce_to", node->opt.announce_to, to,
            &config.n_addresses, ret_why);
    }
    if (err != PN_OK) {
        return err;
    }
    err = pn_udp_discovery_new(&config, &net->udp);
    if (err != PN_OK) {
        return pn_why_fail(ret_why, err, "UDP discovery: %s", pn_strerror(err));
    }
    slot_add(node, &pn_udp_discovery_source, net->udp);
    return PN_OK;
}

/* "udp", and for our own the port, which another program may hold. */
static void slot_text(const pn_source_slot *slot, char ret_text[static 64])
{
    (void)snprintf(ret_text, 64, "%s", slot->source->name);
    if (slot->source == &pn_udp_discovery_source) {
        (void)snprintf(
            ret_text, 64, "UDP port %u", slot->node->opt.discovery_port);
    }
}

static void log_unlocked(
    pn_node *node, pn_log_what what, const char *text, int sys_errno)
{
    pn_node_lock(node);
    pn_node_log(node, &(pn_log_line){.level = PN_LOG_WARNING,
                          .what = what,
                          .text = pn_slice_of(text),
                          .sys_errno = sys_errno});
    pn_node_unlock(node);
}

/* Starts a source, and reports the outcome if it differs from the last one. */
static void slot_start(pn_source_slot *slot)
{
    pn_node *node = slot->node;
    char text[64];
    int sys_errno;
    pn_err err;

    assert_on_loop(node);
    assert_unlocked(node);
    errno = 0;
    err = slot->source->start(slot->user, &slot->sink);
    sys_errno = err == PN_SYS ? errno : 0;
    slot_text(slot, text);
    if (err == PN_OK) {
        pn_node_lock(node);
        slot->is_started = true;
        pn_node_unlock(node);
        if (!node->opt.discovery_listen_only && slot->source->announce != NULL
            && pn_full(node)->listen.port != 0) {
            (void)slot->source->announce(slot->user,
                &pn_full(node)->trust.identity->public_key,
                pn_full(node)->net->is_quiet ? 0 : pn_full(node)->listen.port);
        }
        if (slot->is_failing) {
            log_unlocked(node, PN_LOG_DISCOVERY_AGAIN, text, 0);
        }
    } else if (!slot->is_failing || slot->sys_errno != sys_errno) {
        log_unlocked(node, PN_LOG_DISCOVERY_FAILS, text, sys_errno);
    }
    pn_node_lock(node);
    slot->is_failing = err != PN_OK;
    if (err != PN_OK) {
        slot->sys_errno = sys_errno;
        slot->failed_at_us = pn_wall_now_us();
    }
    pn_node_unlock(node);
}

static void source_tell(const pn_source_slot *slot, pn_source_info *ret_info)
{
    const pn_node *node = slot->node;

    (void)snprintf(
        ret_info->name, sizeof(ret_info->name), "%s", slot->source->name);
    ret_info->is_running = slot->is_started;
    ret_info->is_announcing = slot->is_started && slot->source->announce != NULL
                              && !node->opt.discovery_listen_only
                              && !pn_full(node)->net->is_quiet
                              && pn_full(node)->listen.port != 0;
    ret_info->sys_errno = slot->sys_errno;
    ret_info->failed_at_ms = slot->failed_at_us / 1000;
}

pn_err pn_list_sources(
    pn_node *node, pn_source_info **ret_sources, size_t *ret_n)
{
    pn_source_info *infos = NULL;
    const struct pn_net *net;
    pn_err err = PN_CLOSED;

    pn_node_lock(node);
    net = pn_full(node)->net;
    if (net != NULL) {
        infos = calloc(net->n_slots + 1, sizeof(*infos));
        err = infos == NULL ? PN_NOMEM : PN_OK;
    }
    if (err == PN_OK) {
        for (size_t i = 0; i < net->n_slots; i++) {
            source_tell(&net->slots[i], &infos[i]);
        }
        *ret_sources = infos;
        *ret_n = net->n_slots;
    }
    pn_node_unlock(node);
    return err;
}

const char *pn_node_net_unused(
    pn_node *node, const char *source, const pn_interface *entry)
{
    const struct pn_net *net;
    const char *unused;

    pn_node_lock(node);
    net = pn_full(node)->net;
    if (net != NULL && net->udp != NULL && source != NULL
        && strcmp(source, "udp") == 0) {
        unused = pn_udp_discovery_unused(net->udp, entry);
    } else {
        unused = pn_interface_unused(
            net == NULL ? NULL : net->interfaces, entry);
    }
    pn_node_unlock(node);
    return unused;
}

static void monitor_try(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;
    bool has_come;
    int sys_errno;

    assert_on_loop(node);
    assert_unlocked(node);
    errno = 0;
    if (net->monitor->start(net->monitor_user, &net->monitor_sink) == PN_OK) {
        net->is_monitoring = true;
        (void)locals_look(node, &has_come);
        if (net->is_monitor_failing) {
            log_unlocked(node, PN_LOG_NETWORK_WATCHED, net->monitor->name, 0);
        }
        net->is_monitor_failing = false;
        return;
    }
    sys_errno = errno;
    if (!net->is_monitor_failing) {
        net->is_monitor_failing = true;
        log_unlocked(
            node, PN_LOG_NETWORK_NOT_WATCHED, net->monitor->name, sys_errno);
    }
}

static pn_err monitor_start(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;
    pn_err err;

    if (!node->opt.watch_network) {
        return PN_OK;
    }
    net->monitor = node->opt.network_monitor;
    net->monitor_user = node->opt.network_monitor_user;
    if (net->monitor == NULL) {
        pn_netmon_config config = {.loop = node->turn.loop};

        err = pn_netmon_new(&config, &net->netmon);
        if (err != PN_OK) {
            return err;
        }
        net->monitor = &pn_netmon_monitor;
        net->monitor_user = net->netmon;
    }
    net->monitor_sink = (pn_network_sink){.size = sizeof(net->monitor_sink),
        .node = node,
        .changed = on_network_changed};
    monitor_try(node);
    return PN_OK;
}

/* A source or socket that could not be opened is tried again until it can. */
static void retry_arm(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;
    bool is_due = net->monitor != NULL && !net->is_monitoring;

    for (size_t i = 0; i < net->n_slots; i++) {
        is_due = is_due || !net->slots[i].is_started;
    }
    pn_timer_set(
        net->retry, is_due ? pn_loop_update_now(node->turn.loop) + RETRY_US
                           : PN_TIME_NEVER);
}

static void on_retry(void *user)
{
    pn_node *node = user;
    struct pn_net *net = pn_full(node)->net;

    for (size_t i = 0; i < net->n_slots; i++) {
        if (!net->slots[i].is_started) {
            slot_start(&net->slots[i]);
        }
    }
    if (net->monitor != NULL && !net->is_monitoring) {
        monitor_try(node);
    }
    retry_arm(node);
}

pn_err pn_node_net_start(pn_node *node, pn_why *ret_why)
{
    pn_err err = PN_OK;

    pn_full(node)->net = calloc(1, sizeof(*pn_full(node)->net));
    if (pn_full(node)->net == NULL) {
        return PN_NOMEM;
    }
    err = pn_timer_new(
        node->turn.loop, on_retry, node, &pn_full(node)->net->retry);
    if (err == PN_OK) {
        err = pn_timer_new(
            node->turn.loop, on_doubt, node, &pn_full(node)->net->doubt);
    }
    if (err == PN_OK) {
        err = pn_resume_new(node->turn.loop, &pn_full(node)->net->resume);
    }
    if (err == PN_OK) {
        err = interfaces_check(node, ret_why);
    }
    if (err == PN_OK && node->opt.discovery == PN_DISCOVERY_UDP) {
        err = udp_add(node, ret_why);
    }
    if (err == PN_OK && node->opt.discovery_source != NULL) {
        slot_add(
            node, node->opt.discovery_source, node->opt.discovery_source_user);
    }
    if (err == PN_OK) {
        err = monitor_start(node);
    }
    for (size_t i = 0; err == PN_OK && i < pn_full(node)->net->n_slots; i++) {
        slot_start(&pn_full(node)->net->slots[i]);
    }
    if (err == PN_OK) {
        retry_arm(node);
    }
    return err;
}

void pn_node_net_stop(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;

    if (net == NULL) {
        return;
    }
    pn_timer_free(net->retry);
    net->retry = NULL;
    pn_timer_free(net->doubt);
    net->doubt = NULL;
    pn_resume_free(net->resume);
    net->resume = NULL;
    for (size_t i = 0; i < net->n_slots; i++) {
        if (net->slots[i].is_started) {
            pn_node_lock(node);
            net->slots[i].is_started = false;
            pn_node_unlock(node);
            net->slots[i].source->stop(net->slots[i].user);
        }
    }
    if (net->is_monitoring) {
        net->is_monitoring = false;
        net->monitor->stop(net->monitor_user);
    }
}

void pn_node_net_free(pn_node *node)
{
    struct pn_net *net;

    pn_node_net_stop(node);
    /* A pairing under way on another thread reads it. */
    pn_node_lock(node);
    net = pn_full(node)->net;
    pn_full(node)->net = NULL;
    pn_node_unlock(node);
    if (net != NULL) {
        pn_udp_discovery_free(net->udp);
        pn_netmon_free(net->netmon);
        free(net->locals);
        free(net);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pinned nodes are dialled by ourselves: when the node starts, and again after
 * their link was lost. An Erlang node whose runtime connects once only never
 * comes back by itself after our restart.
 *
 * There is one entry for each pin. It is due at some time, or never: while a
 * link to the node is up or on its way, and after pn_barrel_disconnect until
 * there is a link again.
 */
#include <stdlib.h>
#include <string.h>

#include "barrel_internal.h"
#include "base/mutant.h"
#include "base/slice.h"

enum {
    DIALS_AT_ONCE = 16, /* looked up in one go; the others a moment later */
    LATER_MS = 100
};

struct pn_barrel_redial {
    char *name;
    uint64_t due_us; /* PN_TIME_NEVER: not now */
    uint32_t pause_ms;
    bool is_dialled;  /* it was up once by a dial of ours: DNS knows it */
    pn_reason failed; /* of the last dial; PN_REASON_NONE: it was up since */
};

/* The index of name, or the one where it would be inserted. */
static size_t place_of(const pn_barrel *barrel, const char *name)
{
    size_t from = 0;
    size_t to = barrel->n_redials;

    while (from < to) {
        const size_t middle = from + (to - from) / 2;

        if (strcmp(barrel->redials[middle].name, name) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

static pn_barrel_redial *find(const pn_barrel *barrel, const char *name)
{
    const size_t at = name == NULL ? barrel->n_redials : place_of(barrel, name);

    return at < barrel->n_redials && strcmp(barrel->redials[at].name, name) == 0
               ? &barrel->redials[at]
               : NULL;
}

static bool has_link(const pn_barrel *barrel, const char *name)
{
    return pn_barrel_find(barrel, name, NULL,
               PN_BARREL_STAGES_UP | PN_BARREL_STAGES_COMING)
           != NULL;
}

/* A random half to whole pause from now: two nodes that lost each other do not
 * dial at the same time again and again. */
static void put_off(pn_barrel *barrel, pn_barrel_redial *e, uint32_t pause_ms)
{
    const pn_env *env = &barrel->node->env;
    uint64_t half_us = (uint64_t)pause_ms * PN_US_PER_MS / 2;
    uint8_t bytes[4] = {0};

    assert_locked(barrel->node);
    (void)!env->random(env->user, bytes, sizeof(bytes));
    e->due_us = pn_node_now(barrel->node) + half_us
                + (half_us == 0 ? 0 : pn_load_be32(bytes) % half_us);
    barrel->is_redial_new = true;
}

/* ---- the entries -------------------------------------------------------- */

static void entry_add(pn_barrel *barrel, const char *name)
{
    const size_t at = place_of(barrel, name);
    pn_barrel_redial e = {.due_us = PN_TIME_NEVER,
        .pause_ms = barrel->opt.redial_ms,
        .name = strdup(name)};
    pn_barrel_redial *grown = reallocarray(
        barrel->redials, barrel->n_redials + 1, sizeof(*grown));

    if (grown != NULL) {
        barrel->redials = grown;
    }
    if (grown == NULL || e.name == NULL) {
        free(e.name);
        return; /* without memory only a call dials it */
    }
    memmove(
        &grown[at + 1], &grown[at], (barrel->n_redials - at) * sizeof(*grown));
    grown[at] = e;
    barrel->n_redials++;
    if (!has_link(barrel, name)) {
        put_off(barrel, &grown[at], LATER_MS);
    }
}

static void entry_remove(pn_barrel *barrel, pn_barrel_redial *e)
{
    pn_barrel_redial *end = barrel->redials + barrel->n_redials;

    free(e->name);
    memmove(e, e + 1, (size_t)(end - e - 1) * sizeof(*e));
    barrel->n_redials--;
}

void pn_barrel_redial_pin(pn_barrel *barrel, const char *name)
{
    pn_slice n = pn_slice_of(name);
    pn_barrel_redial *e = find(barrel, name);
    bool is_pinned = pn_pins_find(barrel->pins, n) != NULL;

    assert_locked(barrel->node);
    if (e != NULL && !is_pinned) {
        entry_remove(barrel, e);
    } else if (e == NULL && is_pinned && barrel->opt.dial_pinned
               && strcmp(name, barrel->name) != 0) {
        entry_add(barrel, name);
    }
}

void pn_barrel_redial_fini(pn_barrel *barrel)
{
    for (size_t i = 0; i < barrel->n_redials; i++) {
        free(barrel->redials[i].name);
    }
    free(barrel->redials);
    barrel->redials = NULL;
    barrel->n_redials = 0;
}

/* ---- what becomes of links ---------------------------------------------- */

void pn_barrel_redial_up(const pn_barrel_link *link)
{
    pn_barrel_redial *e = find(link->barrel, link->name);

    assert_locked(link->barrel->node);
    if (e != NULL && !link->is_cookie_only) {
        e->due_us = PN_TIME_NEVER;
        e->failed = PN_REASON_NONE;
        e->is_dialled = e->is_dialled || link->base.is_dialled;
    }
}

/* A link that lasted as long as the longest pause was a good one. */
static bool was_good(const pn_barrel_link *link)
{
    const pn_barrel *barrel = link->barrel;

    return link->has_been_up
           && pn_node_now(barrel->node) - link->base.up_us
                  >= (uint64_t)barrel->opt.redial_max_ms * PN_US_PER_MS;
}

void pn_barrel_redial_ended(const pn_barrel_link *link, pn_reason reason)
{
    pn_barrel *barrel = link->barrel;
    pn_barrel_redial *e = find(barrel, link->name);

    assert_locked(barrel->node);
    /* A link whose name is only claimed tells nothing of the node. */
    if (e == NULL || barrel->node->closing.is_asked
        || !(link->base.is_dialled || link->is_authenticated)) {
        return;
    }
    if (link->is_cookie_only) {
        /* It was there when the node was pinned, and put off its dial. */
        if (e->due_us == PN_TIME_NEVER && reason != PN_REASON_LOCAL_CLOSE) {
            put_off(barrel, e, e->pause_ms);
        }
        return;
    }
    if (reason == PN_REASON_LOCAL_CLOSE) {
        e->due_us = PN_TIME_NEVER; /* the application ended it */
        return;
    }
    if (reason == PN_REASON_DUPLICATE) {
        put_off(barrel, e, e->pause_ms); /* the other link may not last */
        return;
    }
    if (link->has_been_up) {
        e->failed = PN_REASON_NONE;
    } else if (link->base.is_dialled) {
        e->failed = reason;
    }
    if (was_good(link)) {
        e->pause_ms = barrel->opt.redial_ms;
    }
    put_off(barrel, e, e->pause_ms);
    e->pause_ms = e->pause_ms > barrel->opt.redial_max_ms / 2
                      ? barrel->opt.redial_max_ms
                      : 2 * e->pause_ms;
}

bool pn_barrel_redial_is_news(const pn_barrel_link *link, pn_reason reason)
{
    const pn_barrel_redial *e = find(link->barrel, link->name);

    return !link->is_redial || e == NULL || e->failed != reason;
}

void pn_barrel_redial_hurry(pn_barrel *barrel)
{
    assert_locked(barrel->node);
    for (size_t i = 0; i < barrel->n_redials; i++) {
        pn_barrel_redial *e = &barrel->redials[i];

        e->pause_ms = barrel->opt.redial_ms;
        if (e->due_us != PN_TIME_NEVER) {
            put_off(barrel, e, LATER_MS);
        }
    }
}

/* ---- dialling (loop) ---------------------------------------------------- */

/* Dials that no call waits for take half of the links at most, so nodes that
 * are gone leave room for incoming links and for calls. */
static bool has_room(const pn_barrel *barrel, size_t n_more)
{
    size_t n = n_more;

    PN_LIST_EACH(pn_link, l, &barrel->node->links.all, listed) {
        n += pn_barrel_is_link(l, barrel)
             && (PN_BARREL_STAGES_COMING & 1u << l->stage) != 0
             && ((const pn_barrel_link *)(const void *)l)->is_redial;
    }
    return !PN_REFUSE_IF(
        barrel_redial_links, n > 0 && n >= barrel->opt.max_links / 2);
}

/* That which is due for longest; NULL: none is. */
static pn_barrel_redial *first_due(const pn_barrel *barrel, uint64_t now)
{
    pn_barrel_redial *first = NULL;

    for (size_t i = 0; i < barrel->n_redials; i++) {
        pn_barrel_redial *e = &barrel->redials[i];

        if (e->due_us <= now && (first == NULL || e->due_us < first->due_us)) {
            first = e;
        }
    }
    return first;
}

/* Names that are due, as copies: whether their address is known is asked of
 * files, without the lock. */
static size_t take_due(pn_barrel *barrel, char *names[static DIALS_AT_ONCE])
{
    const uint64_t now = pn_node_now(barrel->node);
    pn_barrel_redial *e;
    size_t n = 0;

    while (n < DIALS_AT_ONCE && has_room(barrel, n)
           && (e = first_due(barrel, now)) != NULL) {
        e->due_us = PN_TIME_NEVER;
        if (!has_link(barrel, e->name)) {
            names[n] = strdup(e->name);
            n += names[n] != NULL ? 1 : 0;
        }
    }
    return n;
}

static void dial(pn_barrel *barrel, const char *name, bool is_known)
{
    pn_barrel_redial *e = find(barrel, name);
    pn_barrel_link *link = NULL;
    const char *why = NULL;

    assert_on_loop(barrel->node);
    assert_locked(barrel->node);
    if (e == NULL || has_link(barrel, name)) {
        return;
    }
    if ((is_known || e->is_dialled)
        && pn_barrel_find_or_dial(barrel, name, &link, &why) == PN_OK) {
        link->is_redial = true;
    } else {
        /* While no source knows the address, an endpoint file may come. */
        put_off(barrel, e, barrel->opt.redial_max_ms);
    }
}

void pn_barrel_redial_on_timer(void *user)
{
    pn_barrel *barrel = user;
    char *names[DIALS_AT_ONCE];
    size_t n = 0;

    assert_on_loop(barrel->node);
    assert_unlocked(barrel->node);
    pn_node_lock(barrel->node);
    barrel->is_redial_new = true; /* the timer has gone off */
    if (!barrel->node->closing.is_asked) {
        n = take_due(barrel, names);
    }
    pn_node_unlock(barrel->node);
    for (size_t i = 0; i < n; i++) {
        const bool is_known = pn_barrel_discovery_knows(
            barrel->discovery, names[i]);

        pn_node_lock(barrel->node);
        dial(barrel, names[i], is_known);
        pn_node_unlock(barrel->node);
        free(names[i]);
    }
}

void pn_barrel_redial_arm(pn_barrel *barrel)
{
    const uint64_t later = pn_node_now(barrel->node) + LATER_MS * PN_US_PER_MS;
    uint64_t due = PN_TIME_NEVER;

    assert_on_loop(barrel->node);
    assert_locked(barrel->node);
    if (!barrel->is_redial_new || barrel->redial_timer == NULL) {
        return;
    }
    barrel->is_redial_new = false;
    for (size_t i = 0; i < barrel->n_redials; i++) {
        due = pn_sooner(due, barrel->redials[i].due_us);
    }
    if (due < later && !has_room(barrel, 0)) {
        due = later;
    }
    pn_timer_set(barrel->redial_timer, due);
}

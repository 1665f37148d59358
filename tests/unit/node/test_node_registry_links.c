/* SPDX-License-Identifier: Apache-2.0 */
/* The link of a peer that is used, and the closing of the other. */
#include "registry_fixture.h"

static char links[8];
#define A (&links[0])
#define B (&links[1])
#define C (&links[2])

static void test_links_one_is_primary(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    assert_null(p->primary);
    link_up(f, p, A, false);
    assert_ptr_equal(p->primary, A);
    assert_int_equal(info(f, p).state, PN_PEER_UP);
    link_down(f, p, A, PN_REASON_PEER_CLOSED);
    assert_null(p->primary);
    assert_int_equal(info(f, p).last_reason, PN_REASON_PEER_CLOSED);
    assert_int_equal(count(f, EVENT_CLOSE), 0);
    fixture_free(f);
}

/* Ends of connections count again once a new link is the only one. */
static void test_links_ends_freely(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    for (unsigned i = 0; i < 6; i++) {
        link_up(f, p, A, true);
        assert_false(p->ends_freely);
        pn_registry_ends_freely(f->r, p);
        link_up(f, p, B, false);
        assert_true(p->ends_freely);
        link_down(f, p, A, PN_REASON_PEER_CLOSED);
        link_down(f, p, B, PN_REASON_PEER_CLOSED);
        assert_true(p->ends_freely);
    }
    assert_int_equal(pn_registry_may_end_us(p), 0);
    link_up(f, p, A, true);
    link_down(f, p, A, PN_REASON_PEER_CLOSED);
    assert_int_equal(pn_registry_may_end_us(p), 0);
    link_up(f, p, A, true);
    link_down(f, p, A, PN_REASON_PEER_CLOSED);
    assert_true(pn_registry_may_end_us(p) > f->now_us);
    /* What was counted of it does not hold any more once it has said so. */
    link_up(f, p, A, true);
    pn_registry_ends_freely(f->r, p);
    assert_int_equal(pn_registry_may_end_us(p), 0);
    fixture_free(f);
}

static void test_links_unpaired_gets_none(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address a = host(1);

    (void)state;
    assert_null(pn_registry_link_up(f->r, &f->small, A, false, &a, f->now_us));
    assert_int_equal(
        pn_registry_peer_remove(f->r, &f->large, f->now_us), PN_OK);
    assert_null(pn_registry_link_up(f->r, &f->large, A, true, &a, f->now_us));
    fixture_free(f);
}

static void test_links_newest_is_primary(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    link_up(f, p, A, true);
    link_up(f, p, B, false);
    assert_ptr_equal(p->primary, B);
    assert_int_equal(info(f, p).n_links, 2);
    fixture_free(f);
}

static void test_links_falls_back_to_the_other(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_REMEMBERED);
    link_up(f, p, A, false);
    link_up(f, p, B, true);
    link_down(f, p, B, PN_REASON_CONNECTION_RESET);
    assert_ptr_equal(p->primary, A);
    run_for(f, 3600 * S);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    assert_int_equal(count(f, EVENT_CLOSE), 0);
    fixture_free(f);
}

typedef struct tie_row {
    const char *name;
    bool own_is_smaller;
    bool ours_first;
    bool keeps_ours;
} tie_row;

static tie_row tie_rows[] = {
    {"smaller_ours_first", true, true, true},
    {"smaller_theirs_first", true, false, true},
    {"larger_ours_first", false, true, false},
    {"larger_theirs_first", false, false, false},
};

/* Both ends hold both links; the one dialled by the larger key goes, in every
 * order, and calls have moved to the other by then. */
static void test_links_tie(void **state)
{
    const tie_row *row = *state;
    fixture *f = fixture_new();
    pn_reg_peer *p;
    void *ours = A;
    void *theirs = B;
    void *kept = row->keeps_ours ? ours : theirs;
    void *closed = row->keeps_ours ? theirs : ours;

    fixture_start(f);
    assert_int_equal(pn_registry_peer_add(f->r,
                         row->own_is_smaller ? &f->large : &f->small, NULL, &p),
        PN_OK);
    link_up(f, p, row->ours_first ? ours : theirs, row->ours_first);
    link_up(f, p, row->ours_first ? theirs : ours, !row->ours_first);
    run_for(f, 10 * MS);
    received(f, p, ours);
    received(f, p, theirs);
    assert_ptr_equal(p->primary, kept);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_CLOSE), 1);
    assert_ptr_equal(last(f, EVENT_CLOSE)->link, closed);
    assert_int_equal(last(f, EVENT_CLOSE)->reason, PN_REASON_DUPLICATE);
    assert_ptr_equal(p->primary, kept);
    assert_int_equal(info(f, p).n_links, 1);
    fixture_free(f);
}

/* Two links, both known to both: nothing before the grace time is over. */
static void test_links_grace(void **state)
{
    uint64_t after_us = 2 * S + (uint64_t)(intptr_t)*state;
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    link_up(f, p, A, true);
    run_for(f, 1 * S);
    link_up(f, p, B, false);
    received(f, p, A);
    run_for(f, after_us);
    assert_int_equal(count(f, EVENT_CLOSE), after_us >= 2 * S ? 1 : 0);
    fixture_free(f);
}

static void test_links_probes_both_unproven(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    link_up(f, p, A, false);
    assert_false(p->is_probing);
    link_up(f, p, B, true);
    assert_true(p->is_probing);
    assert_int_equal(count(f, EVENT_PROBE), 2);
    assert_ptr_equal(nth(f, EVENT_PROBE, 0)->link, A);
    assert_ptr_equal(nth(f, EVENT_PROBE, 1)->link, B);
    received(f, p, A);
    assert_true(p->is_probing);
    received(f, p, B);
    assert_false(p->is_probing);
    fixture_free(f);
}

static void test_links_third_message_proves(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    link_up(f, p, A, true);
    link_up(f, p, B, false);
    assert_int_equal(count(f, EVENT_PROBE), 1);
    assert_ptr_equal(last(f, EVENT_PROBE)->link, A);
    received(f, p, A);
    assert_false(p->is_probing);
    fixture_free(f);
}

/* docs/THREATS.md, section 3: closing a link that the other end may not have
 * yet makes the plain tie-break livelock. */
static void test_links_unproven_closes_nothing(void **state)
{
    unsigned proven = (unsigned)(uintptr_t)*state;
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    link_up(f, p, A, false);
    link_up(f, p, B, true);
    if (proven == 1) {
        received(f, p, A);
    } else if (proven == 2) {
        received(f, p, B);
    }
    run_for(f, 3600 * S);
    assert_int_equal(count(f, EVENT_CLOSE), 0);
    assert_ptr_equal(p->primary, proven == 2 ? B : A);
    fixture_free(f);
}

/* A link that we dialled is not used before the peer has spoken, because it may
 * not have paired us. A link that the peer dialled is. */
static void test_links_ours_is_used_when_heard(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    (void)next_dial(f, 1 * S);
    link_up(f, p, A, true);
    assert_null(p->primary);
    assert_true(p->is_probing);
    assert_int_equal(info(f, p).state, PN_PEER_DIALLING);
    assert_true(info(f, p).has_address);
    assert_true(info(f, p).dialled_by_us);
    run_for(f, 3600 * S);
    assert_int_equal(count(f, EVENT_DIAL), 1);
    received(f, p, A);
    assert_ptr_equal(p->primary, A);
    assert_false(p->is_probing);
    assert_int_equal(info(f, p).state, PN_PEER_UP);
    assert_true(info(f, p).dialled_by_us);
    fixture_free(f);
}

/* A peer loses its power and comes back: we still hold its old link, which
 * the tie-break would prefer, and frames came on it, long ago. */
static void test_links_dead_older_does_not_win(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    link_up(f, p, A, true); /* ours, and our key is the smaller */
    received(f, p, A);
    run_for(f, 3600 * S);
    link_up(f, p, B, false);
    assert_ptr_equal(p->primary, B);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_CLOSE), 0);
    assert_ptr_equal(p->primary, B);
    link_down(f, p, A, PN_REASON_PING_TIMEOUT);
    assert_ptr_equal(p->primary, B);
    fixture_free(f);
}

/* An end dials only when it has no link, so its newer says the older is over.
 */
static void test_links_same_dialler_keeps_newer(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    link_up(f, p, A, false);
    run_for(f, 60 * S);
    link_up(f, p, B, false);
    assert_ptr_equal(p->primary, B);
    run_for(f, 2 * S);
    assert_int_equal(count(f, EVENT_CLOSE), 1);
    assert_ptr_equal(last(f, EVENT_CLOSE)->link, A);
    assert_ptr_equal(p->primary, B);
    fixture_free(f);
}

static void test_links_third_closes_the_oldest(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    link_up(f, p, A, false);
    link_up(f, p, B, true);
    link_up(f, p, C, false);
    assert_int_equal(info(f, p).n_links, 2);
    assert_int_equal(count(f, EVENT_CLOSE), 1);
    assert_ptr_equal(last(f, EVENT_CLOSE)->link, A);
    assert_int_equal(last(f, EVENT_CLOSE)->reason, PN_REASON_SUPERSEDED);
    assert_ptr_equal(p->primary, C);
    fixture_free(f);
}

/* A hostile peer holds two links at most. */
static void test_links_never_more_than_two(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    char many[500];

    (void)state;
    for (unsigned i = 0; i < sizeof(many); i++) {
        link_up(f, p, &many[i], i % 3 == 0);
        received(f, p, &many[i]);
        assert_int_equal(info(f, p).state, PN_PEER_UP);
        assert_true(info(f, p).n_links <= 2);
        run_for(f, 1 * MS);
    }
    fixture_free(f);
}

/* Our closes of duplicates are at least 2 s apart. */
static void test_links_close_interval(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_new();

    (void)state;
    f->config.grace_us = 500 * MS;
    fixture_start(f);
    assert_int_equal(pn_registry_peer_add(f->r, &f->large, NULL, &p), PN_OK);
    link_up(f, p, A, false);
    link_up(f, p, B, false);
    run_for(f, 500 * MS);
    assert_int_equal(count(f, EVENT_CLOSE), 1);
    link_up(f, p, C, false);
    run_for(f, 2 * S - 1);
    assert_int_equal(count(f, EVENT_CLOSE), 1);
    run_for(f, 1);
    assert_int_equal(count(f, EVENT_CLOSE), 2);
    fixture_free(f);
}

/* docs/PROTOCOL.md, section 7: two of its connections ended; the third waits
 * until the first is out of the window, and one stays in reserve. */
static void test_links_close_etiquette(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    uint64_t first_us;

    (void)state;
    first_us = f->now_us;
    for (unsigned i = 0; i < 2; i++) {
        link_up(f, p, A, false);
        link_down(f, p, A, PN_REASON_PEER_CLOSED);
    }
    link_up(f, p, A, false);
    link_up(f, p, B, false);
    run_until(f, first_us + 6 * S - 1);
    assert_int_equal(count(f, EVENT_CLOSE), 0);
    run_for(f, 1);
    assert_int_equal(count(f, EVENT_CLOSE), 1);
    fixture_free(f);
}

static void test_links_unpair_closes_in_the_same_turn(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    link_up(f, p, A, false);
    link_up(f, p, B, true);
    assert_int_equal(
        pn_registry_peer_remove(f->r, &f->large, f->now_us), PN_OK);
    assert_int_equal(count(f, EVENT_CLOSE), 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(nth(f, EVENT_CLOSE, i)->reason, PN_REASON_UNPAIRED);
    }
    assert_ptr_not_equal(
        nth(f, EVENT_CLOSE, 0)->link, nth(f, EVENT_CLOSE, 1)->link);
    assert_null(pn_registry_find(f->r, &f->large));
    assert_true(pn_registry_deadline(f->r) == PN_TIME_NEVER);
    assert_int_equal(
        pn_registry_peer_remove(f->r, &f->large, f->now_us), PN_NOT_FOUND);
    fixture_free(f);
}

static void test_links_late_news_of_a_closed_one(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    link_up(f, p, A, false);
    link_up(f, p, B, false);
    run_for(f, 2 * S);
    assert_ptr_equal(last(f, EVENT_CLOSE)->link, A);
    received(f, p, A);
    link_down(f, p, A, PN_REASON_PEER_CLOSED);
    assert_ptr_equal(p->primary, B);
    assert_int_equal(info(f, p).n_links, 1);
    assert_int_equal(info(f, p).last_reason, PN_REASON_NONE);
    fixture_free(f);
}

static void test_links_stopped_closes_nothing(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    link_up(f, p, A, false);
    link_up(f, p, B, false);
    pn_registry_stop(f->r);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_CLOSE), 0);
    link_down(f, p, A, PN_REASON_LOCAL_CLOSE);
    link_down(f, p, B, PN_REASON_LOCAL_CLOSE);
    assert_null(p->primary);
    fixture_free(f);
}

/* ---- callbacks that come back in ---- */

static void unpair_again(fixture *f, const event *e)
{
    if (e->kind != EVENT_DIAL) {
        pn_reg_peer *p = pn_registry_find(f->r, &e->key);

        assert_null(p);
        assert_int_equal(
            pn_registry_peer_remove(f->r, &e->key, f->now_us), PN_NOT_FOUND);
    }
}

static void test_links_reentrant_unpair_in_unpair(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    f->on_event = unpair_again;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    (void)next_dial(f, 1 * S);
    link_up(f, p, A, false);
    (void)pn_registry_peer_remove(f->r, &f->large, f->now_us);
    assert_int_equal(count(f, EVENT_CLOSE), 1);
    assert_int_equal(count(f, EVENT_CANCEL), 1);
    fixture_free(f);
}

static void unpair_now(fixture *f, const event *e)
{
    f->on_event = NULL;
    assert_int_equal(pn_registry_peer_remove(f->r, &e->key, f->now_us), PN_OK);
}

/* The peer is unpaired from inside each callback there is. */
static void test_links_reentrant_unpair(void **state)
{
    unsigned which = (unsigned)(uintptr_t)*state;
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address a = host(1);

    f->on_event = unpair_now;
    switch (which) {
    case 0: /* dial */
        hint(f, &f->large, 1, PN_REG_MANUAL);
        run_for(f, 60 * S);
        break;
    case 1: /* dial that fails at once */
        f->dial_answer = PN_REASON_SYSTEM;
        hint(f, &f->large, 1, PN_REG_MANUAL);
        run_for(f, 60 * S);
        break;
    case 2: /* probe */
        link_up(f, p, A, false);
        assert_null(
            pn_registry_link_up(f->r, &f->large, B, true, &a, f->now_us));
        break;
    case 3: /* close of a third */
        f->on_event = NULL;
        link_up(f, p, A, false);
        link_up(f, p, B, false);
        f->on_event = unpair_now;
        assert_null(
            pn_registry_link_up(f->r, &f->large, C, false, &a, f->now_us));
        break;
    case 4: /* close of a duplicate */
        link_up(f, p, A, false);
        f->on_event = NULL;
        link_up(f, p, B, false);
        f->on_event = unpair_now;
        run_for(f, 60 * S);
        break;
    case 5: /* cancel, after a network change */
        f->on_event = NULL;
        f->was_connected = true;
        hint(f, &f->large, 1, PN_REG_MANUAL);
        (void)next_dial(f, 1 * S);
        run_for(f, 1 * S);
        f->on_event = unpair_now;
        pn_registry_network_changed(f->r, f->now_us);
        run_for(f, 60 * S);
        break;
    default: /* cancel, at stop */
        f->on_event = NULL;
        hint(f, &f->large, 1, PN_REG_MANUAL);
        (void)next_dial(f, 1 * S);
        f->on_event = unpair_now;
        pn_registry_stop(f->r);
        break;
    }
    assert_int_equal(f->r->peers.n, 0);
    assert_true(pn_registry_deadline(f->r) == PN_TIME_NEVER);
    fixture_free(f);
}

static void test_links_info(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    uint64_t up_us;
    pn_reg_info i;

    (void)state;
    assert_int_equal(info(f, p).state, PN_PEER_IDLE);
    assert_false(info(f, p).has_address);
    hint(f, &f->large, 7, PN_REG_DISCOVERED);
    assert_int_equal(info(f, p).state, PN_PEER_WAITING);
    assert_true(info(f, p).next_dial_us <= f->now_us + 300 * MS);
    (void)next_dial(f, 1 * S);
    i = info(f, p);
    assert_int_equal(i.state, PN_PEER_DIALLING);
    assert_int_equal(host_number(&i.address), 7);
    run_for(f, 5 * MS);
    up_us = f->now_us;
    link_up(f, p, A, true);
    run_for(f, 5 * MS);
    received(f, p, A);
    assert_int_equal(info(f, p).state, PN_PEER_UP);
    assert_true(info(f, p).dialled_by_us);
    assert_true(pn_reg_find_link(pn_reg_entry_of(p), A)->up_us == up_us);
    assert_true(info(f, p).next_dial_us == PN_TIME_NEVER);
    run_for(f, 40 * S);
    link_down(f, p, A, PN_REASON_PING_TIMEOUT);
    assert_int_equal(info(f, p).state, PN_PEER_WAITING);
    assert_int_equal(info(f, p).last_reason, PN_REASON_PING_TIMEOUT);
    assert_null(pn_reg_find_link(pn_reg_entry_of(p), A));
    fixture_free(f);
}

int main(void)
{
#define ADD(name)                                                              \
    pn_test_add("node/registry/links/" #name, test_links_##name, NULL)
    ADD(one_is_primary);
    ADD(unpaired_gets_none);
    ADD(newest_is_primary);
    ADD(ours_is_used_when_heard);
    ADD(falls_back_to_the_other);
    for (size_t i = 0; i < sizeof(tie_rows) / sizeof(tie_rows[0]); i++) {
        pn_test_addf(test_links_tie, &tie_rows[i], "node/registry/links/tie_%s",
            tie_rows[i].name);
    }
    for (intptr_t d = -1; d <= 1; d++) {
        pn_test_addf(test_links_grace, (void *)d,
            "node/registry/links/grace_%+d_us", (int)d);
    }
    ADD(probes_both_unproven);
    ADD(ends_freely);
    ADD(third_message_proves);
    for (uintptr_t i = 0; i < 3; i++) {
        pn_test_addf(test_links_unproven_closes_nothing, (void *)i,
            "node/registry/links/unproven_closes_nothing_%u", (unsigned)i);
    }
    ADD(dead_older_does_not_win);
    ADD(same_dialler_keeps_newer);
    ADD(third_closes_the_oldest);
    ADD(never_more_than_two);
    ADD(close_interval);
    ADD(close_etiquette);
    ADD(unpair_closes_in_the_same_turn);
    ADD(late_news_of_a_closed_one);
    ADD(stopped_closes_nothing);
    ADD(reentrant_unpair_in_unpair);
    for (uintptr_t i = 0; i < 7; i++) {
        pn_test_addf(test_links_reentrant_unpair, (void *)i,
            "node/registry/links/reentrant_unpair_%u", (unsigned)i);
    }
    ADD(info);
    return pn_test_run("node/registry/links");
}

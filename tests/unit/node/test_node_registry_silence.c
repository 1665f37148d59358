/* SPDX-License-Identifier: Apache-2.0 */
/* A link that the peer may have lost: it is asked on it, and may be dialled
 * beside it when no answer comes. */
#include "registry_fixture.h"

#define ADD(name)                                                              \
    pn_test_add("node/registry/silence/" #name, test_silence_##name, NULL)

static char link_a;
static char link_b;

static fixture *linked(pn_reg_peer **ret_peer, bool is_our_kind)
{
    fixture *f = fixture_with_peer(ret_peer);

    link_up(f, *ret_peer, &link_a, false);
    if (is_our_kind) {
        pn_registry_ends_freely(f->r, *ret_peer);
    }
    return f;
}

static void suspect(fixture *f)
{
    pn_registry_suspect(f->r, &f->large, f->now_us);
}

/* The attack: announces in the peer's name, from a new host each (T15). Its
 * link answers, so nothing is dialled, and it is asked now and then. */
static void test_silence_forged_announces(void **state)
{
    pn_reg_peer *p;
    fixture *f = linked(&p, true);
    size_t asked = 0;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        hint(f, &f->large, 2 + i % 100, PN_REG_DISCOVERED);
        suspect(f);
        run_for(f, 20 * MS);
        if (count(f, EVENT_PROBE) > asked) {
            asked = count(f, EVENT_PROBE);
            assert_ptr_equal(last(f, EVENT_PROBE)->link, &link_a);
            received(f, p, &link_a);
        }
    }
    assert_int_equal(count(f, EVENT_DIAL), 0);
    assert_int_equal(count(f, EVENT_CLOSE), 0);
    assert_true(asked > 1);
    assert_true(asked <= 11); /* of 20 s, one in two */
    fixture_free(f);
}

/* It moved or started again, and no answer can come: its new address is
 * dialled, and the old link stays until the new one decides. */
static void test_silence_dialled_beside(void **state)
{
    pn_reg_peer *p;
    fixture *f = linked(&p, true);
    uint64_t since_us = f->now_us;
    const event *dialled;

    (void)state;
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    suspect(f);
    run_for(f, 0);
    assert_int_equal(count(f, EVENT_PROBE), 1);
    dialled = next_dial(f, 2 * S);
    assert_int_equal(host_number(&dialled->address), 2);
    assert_true(f->now_us - since_us >= 1500 * MS);
    assert_ptr_equal(p->primary, &link_a);
    link_up(f, p, &link_b, true);
    received(f, p, &link_b);
    assert_ptr_equal(p->primary, &link_b);
    assert_int_equal(count(f, EVENT_CLOSE), 0);
    fixture_free(f);
}

/* With the old link silent and the new one up. */
static fixture *dialled_beside(pn_reg_peer **ret_peer)
{
    fixture *f = linked(ret_peer, true);

    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    suspect(f);
    (void)next_dial(f, 2 * S);
    link_up(f, *ret_peer, &link_b, true);
    received(f, *ret_peer, &link_b);
    return f;
}

/* The old link goes when the new one has shown itself for the grace time, so
 * the peer can be asked on that again. */
static void test_silence_old_link_goes(void **state)
{
    pn_reg_peer *p;
    fixture *f = dialled_beside(&p);
    size_t n;

    (void)state;
    run_for(f, 10 * S);
    assert_int_equal(count(f, EVENT_CLOSE), 1);
    assert_ptr_equal(last(f, EVENT_CLOSE)->link, &link_a);
    assert_ptr_equal(p->primary, &link_b);
    n = count(f, EVENT_PROBE);
    suspect(f);
    run_for(f, 0);
    assert_int_equal(count(f, EVENT_PROBE), n + 1);
    assert_ptr_equal(last(f, EVENT_PROBE)->link, &link_b);
    fixture_free(f);
}

/* It was slow and no more: the two ends choose by their keys, as of any two.
 * The peer has the smaller key and dialled the older. */
static void test_silence_old_link_speaks(void **state)
{
    fixture *f = fixture_new();
    pn_reg_peer *p;

    (void)state;
    fixture_start(f);
    assert_int_equal(pn_registry_peer_add(f->r, &f->small, NULL, &p), PN_OK);
    link_up(f, p, &link_a, false);
    pn_registry_ends_freely(f->r, p);
    hint(f, &f->small, 2, PN_REG_DISCOVERED);
    pn_registry_suspect(f->r, &f->small, f->now_us);
    (void)next_dial(f, 2 * S);
    link_up(f, p, &link_b, true);
    received(f, p, &link_b);
    received(f, p, &link_a);
    run_for(f, 10 * S);
    assert_int_equal(count(f, EVENT_CLOSE), 1);
    assert_ptr_equal(last(f, EVENT_CLOSE)->link, &link_b);
    fixture_free(f);
}

/* What has arrived while this host was slow is read before anything is dialled.
 */
static void test_silence_we_were_slow(void **state)
{
    pn_reg_peer *p;
    fixture *f = linked(&p, true);

    (void)state;
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    suspect(f);
    run_for(f, 0);
    f->now_us += 30 * S;
    pn_registry_tick(f->r, f->now_us);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    received(f, p, &link_a);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    fixture_free(f);
}

/* While its link is not read, its silence says nothing. */
static void test_silence_not_read(void **state)
{
    pn_reg_peer *p;
    fixture *f = linked(&p, true);

    (void)state;
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    suspect(f);
    run_for(f, 1 * S);
    pn_registry_not_read(p);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    fixture_free(f);
}

/* An address of a minute ago, which may be forged, waits for those of now. */
static void test_silence_stale_candidate_last(void **state)
{
    pn_reg_peer *p;
    fixture *f = linked(&p, true);

    (void)state;
    hint(f, &f->large, 3, PN_REG_DISCOVERED);
    run_for(f, 60 * S);
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    suspect(f);
    assert_int_equal(host_number(&next_dial(f, 2 * S)->address), 2);
    fixture_free(f);
}

/* A dial beside gives way to the next candidate as any dial to what was heard.
 */
static void test_silence_gives_way(void **state)
{
    pn_reg_peer *p;
    fixture *f = linked(&p, true);

    (void)state;
    hint(f, &f->large, 3, PN_REG_DISCOVERED);
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    suspect(f);
    assert_int_equal(host_number(&next_dial(f, 2 * S)->address), 3);
    assert_int_equal(host_number(&next_dial(f, 6 * S)->address), 2);
    assert_int_equal(count(f, EVENT_CANCEL), 1);
    fixture_free(f);
}

/* The owner gave it an address while it was linked: that is no reason to leave
 * out what was heard. */
static void test_silence_no_step(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_DISCOVERED, &p);

    (void)state;
    link_up(f, p, &link_a, true);
    received(f, p, &link_a);
    pn_registry_ends_freely(f->r, p);
    run_for(f, 60 * S);
    hint(f, &f->large, 5, PN_REG_MANUAL);
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    suspect(f);
    assert_int_equal(host_number(&next_dial(f, 2 * S)->address), 2);
    fixture_free(f);
}

/* What it said a moment ago from where the link goes is not where to look. */
static void test_silence_other_host_first(void **state)
{
    pn_reg_peer *p;
    fixture *f = linked(&p, true);

    (void)state;
    hint(f, &f->large, 99, PN_REG_DISCOVERED); /* the host of the link */
    run_for(f, 10 * S);
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    suspect(f);
    assert_int_equal(host_number(&next_dial(f, 2 * S)->address), 2);
    fixture_free(f);
}

/* Its host has the address that it had before, another time. */
static void test_silence_back_at_a_known_address(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_DISCOVERED, &p);

    (void)state;
    link_up(f, p, &link_a, true);
    received(f, p, &link_a);
    pn_registry_ends_freely(f->r, p);
    run_for(f, 60 * S);
    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    suspect(f);
    assert_int_equal(host_number(&next_dial(f, 2 * S)->address), 1);
    fixture_free(f);
}

static void test_silence_answered(void **state)
{
    pn_reg_peer *p;
    fixture *f = linked(&p, true);

    (void)state;
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    suspect(f);
    run_for(f, 1 * S);
    assert_true(p->is_probing);
    received(f, p, &link_a);
    assert_false(p->is_probing);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    fixture_free(f);
}

/* A handler of an Elixir node may keep it from answering for long, and each of
 * its connections that ends counts. */
static void test_silence_elixir_is_not_dialled(void **state)
{
    pn_reg_peer *p;
    fixture *f = linked(&p, false);

    (void)state;
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    suspect(f);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_PROBE), 1);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    fixture_free(f);
}

static void test_silence_without_a_link(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    suspect(f);
    pn_registry_suspect(f->r, &f->small, f->now_us); /* not paired */
    link_up(f, p, &link_a, false);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_PROBE), 0);
    fixture_free(f);
}

/* A suspicion is of one link: the next begins without it. */
static void test_silence_is_of_one_link(void **state)
{
    pn_reg_peer *p;
    fixture *f = linked(&p, true);

    (void)state;
    suspect(f);
    run_for(f, 0);
    link_down(f, p, &link_a, PN_REASON_PEER_CLOSED);
    link_up(f, p, &link_b, false);
    pn_registry_ends_freely(f->r, p);
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    assert_false(p->is_probing);
    fixture_free(f);
}

/* Two links are asked anyway (T19). */
static void test_silence_of_two_links(void **state)
{
    pn_reg_peer *p;
    fixture *f = linked(&p, true);
    size_t n;

    (void)state;
    link_up(f, p, &link_b, true);
    n = count(f, EVENT_PROBE);
    suspect(f);
    run_for(f, 10 * S);
    assert_int_equal(count(f, EVENT_PROBE), n);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    fixture_free(f);
}

static void test_silence_stopped(void **state)
{
    pn_reg_peer *p;
    fixture *f = linked(&p, true);

    (void)state;
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    suspect(f);
    pn_registry_stop(f->r);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_PROBE), 0);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    fixture_free(f);
}

int main(void)
{
    ADD(forged_announces);
    ADD(dialled_beside);
    ADD(old_link_goes);
    ADD(old_link_speaks);
    ADD(we_were_slow);
    ADD(not_read);
    ADD(stale_candidate_last);
    ADD(gives_way);
    ADD(no_step);
    ADD(other_host_first);
    ADD(back_at_a_known_address);
    ADD(answered);
    ADD(elixir_is_not_dialled);
    ADD(without_a_link);
    ADD(is_of_one_link);
    ADD(of_two_links);
    ADD(stopped);
    return pn_test_run("node/registry/silence");
}

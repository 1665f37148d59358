/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes of the interfaces that DNS-SD is for. */
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "interfaces.h"

static pn_interface named(const char *name, unsigned index)
{
    pn_interface i = {.index = index, .is_up = true};

    i.address.in.sin_family = AF_INET;
    (void)snprintf(i.name, sizeof(i.name), "%s", name);
    return i;
}

/* An interface has an entry for each of its addresses. */
static void test_used(void **state)
{
    pn_interface all[] = {named("eth0", 2), named("docker0", 3),
        named("eth0", 2), named("wlan0", 4), named("eth1", 5)};
    int indexes[PN_DNSSD_INDEXES_MAX];

    (void)state;
    all[4].is_up = false;
    assert_int_equal(pn_dnssd_interfaces_used(NULL, all, 5, indexes), 2);
    assert_int_equal(indexes[0], 2);
    assert_int_equal(indexes[1], 4);
    assert_int_equal(pn_dnssd_interfaces_used("docker0", all, 5, indexes), 1);
    assert_int_equal(indexes[0], 3);
    assert_int_equal(pn_dnssd_interfaces_used("eth9", all, 5, indexes), 0);
}

static void test_at_most(void **state)
{
    pn_interface all[PN_DNSSD_INDEXES_MAX + 1];
    int indexes[PN_DNSSD_INDEXES_MAX];

    (void)state;
    for (unsigned i = 0; i <= PN_DNSSD_INDEXES_MAX; i++) {
        all[i] = named("eth", i + 2);
    }
    assert_int_equal(
        pn_dnssd_interfaces_used(NULL, all, PN_DNSSD_INDEXES_MAX + 1, indexes),
        PN_DNSSD_INDEXES_MAX);
    assert_int_equal(
        pn_dnssd_interfaces_used(NULL, all, PN_DNSSD_INDEXES_MAX - 1, indexes),
        PN_DNSSD_INDEXES_MAX - 1);
}

int main(void)
{
    pn_test_add("dnssd/interfaces/used", test_used, NULL);
    pn_test_add("dnssd/interfaces/at_most", test_at_most, NULL);
    return pn_test_run("dnssd/interfaces");
}

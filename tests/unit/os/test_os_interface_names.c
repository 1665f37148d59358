/* SPDX-License-Identifier: Apache-2.0 */
/* Which interfaces discovery is for. */
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "os/interface_names.h"

typedef struct name_row {
    const char *list;
    const char *name;
    bool is_used;
} name_row;

static const name_row rows[] = {
    {NULL, "eth0", true},
    {NULL, "enp3s0", true},
    {NULL, "wlan0", true},
    {NULL, "br0", true},
    {NULL, "usb0", true},
    {NULL, "lo", false},
    {NULL, "docker0", false},
    {NULL, "br-0123456789ab", false},
    {NULL, "br-lan", true},
    {NULL, "br-guest", true},
    {NULL, "veth12ab", false},
    {NULL, "virbr0", false},
    {NULL, "wg0", false},
    {NULL, "tun0", false},
    {NULL, "tap0", false},
    {NULL, "tailscale0", false},
    {"docker0", "docker0", true},
    {"docker0", "eth0", false},
    {"eth0,wg0", "wg0", true},
    {"eth0,wg0", "eth0", true},
    {"eth0,wg0", "eth", false},
    {"eth0,wg0", "eth01", false},
    {"eth0,wg0", "wlan0", false},
    {"wg0,eth0", "eth0:1", true},
    {"eth0", "eth0:home", true},
    {"eth0", "eth0:", true},
    {"eth0", "eth01:1", false},
    {"eth0", "eth:0", false},
    {"eth0:1", "eth0:1", true},
    {"eth0:1", "eth0", false},
    {"eth0:1", "eth0:2", false},
    {"eth0:1", "eth0:11", false},
    {NULL, "eth0:1", true},
    {NULL, "docker0:1", false},
    {NULL, "lo:1", false},
};

static void test_name(void **state)
{
    const name_row *row = *state;

    assert_int_equal(pn_interface_is_used(row->list, row->name), row->is_used);
}

static void test_check(void **state)
{
    char list[PN_INTERFACE_NAMES_CAP + 1];

    (void)state;
    assert_true(pn_interface_names_check(NULL));
    assert_true(pn_interface_names_check("eth0"));
    assert_true(pn_interface_names_check("eth0,a23456789012345"));
    assert_false(pn_interface_names_check(""));
    assert_false(pn_interface_names_check("eth0,"));
    assert_false(pn_interface_names_check(",eth0"));
    assert_false(pn_interface_names_check("a234567890123456"));
    for (size_t i = 0; i < PN_INTERFACE_NAMES_CAP; i++) {
        list[i] = i % 10 == 9 ? ',' : 'a';
    }
    list[PN_INTERFACE_NAMES_CAP - 1] = '\0';
    assert_true(pn_interface_names_check(list));
    list[PN_INTERFACE_NAMES_CAP - 1] = 'a';
    list[PN_INTERFACE_NAMES_CAP] = '\0';
    assert_false(pn_interface_names_check(list));
}

/* Loopback stays: what this host sends comes back by it. */
static void test_keep(void **state)
{
    pn_interface all[] = {{.name = "lo", .index = 1, .is_loopback = true},
        {.name = "docker0", .index = 2}, {.name = "eth0", .index = 3},
        {.name = "wg0", .index = 4}, {.name = "eth0", .index = 3}};
    pn_interface copy[5];

    (void)state;
    memcpy(copy, all, sizeof(all));
    assert_int_equal(pn_interfaces_keep_used(NULL, copy, 5), 3);
    assert_int_equal(copy[0].index, 1);
    assert_int_equal(copy[1].index, 3);
    assert_int_equal(copy[2].index, 3);
    memcpy(copy, all, sizeof(all));
    assert_int_equal(pn_interfaces_keep_used("wg0,eth9", copy, 5), 2);
    assert_int_equal(copy[1].index, 4);
    assert_int_equal(pn_interfaces_keep_used("wg0", NULL, 0), 0);
}

static void test_unused(void **state)
{
    pn_interface entry = {.name = "eth0", .is_up = true};

    (void)state;
    assert_string_equal(pn_interface_unused(NULL, &entry), "no-address");
    entry.address.in6.sin6_family = AF_INET6;
    assert_null(pn_interface_unused(NULL, &entry));
    assert_null(pn_interface_unused("wg0,eth0", &entry));
    assert_string_equal(pn_interface_unused("wg0", &entry), "not-named");
    entry.is_up = false;
    assert_string_equal(pn_interface_unused(NULL, &entry), "down");
    entry.is_loopback = true;
    assert_string_equal(pn_interface_unused(NULL, &entry), "loopback");
    entry = (pn_interface){.name = "wg0", .is_up = true};
    entry.address.in.sin_family = AF_INET;
    assert_string_equal(pn_interface_unused(NULL, &entry), "left-out");
    assert_null(pn_interface_unused("wg0", &entry));
}

int main(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_test_addf(test_name, (void *)(uintptr_t)&rows[i],
            "os/interface_names/%s_of_%s", rows[i].name,
            rows[i].list == NULL ? "all" : rows[i].list);
    }
    pn_test_add("os/interface_names/check", test_check, NULL);
    pn_test_add("os/interface_names/keep", test_keep, NULL);
    pn_test_add("os/interface_names/unused", test_unused, NULL);
    return pn_test_run("os/interface_names");
}

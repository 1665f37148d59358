/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <net/if.h>

#include "harness.h"
#include "os/interfaces.h"

static pn_address host(const char *text)
{
    pn_address address;

    assert_int_equal(pn_address_parse(text, 0, &address), PN_OK);
    return address;
}

/* Every host has lo with 127.0.0.1/8. */
static void test_list(void **state)
{
    pn_interface *list = NULL;
    size_t n = 0;
    pn_interface lo = {.name = ""};
    pn_address one = host("127.0.0.1");
    pn_address far = host("127.200.1.1");
    pn_address other = host("128.0.0.1");

    (void)state;
    assert_int_equal(pn_interfaces_list(&list, &n), PN_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(list[i].index, if_nametoindex(list[i].name));
        assert_int_equal(pn_address_port(&list[i].address), 0);
        if (pn_address_same_host(&list[i].address, &one)) {
            lo = list[i];
        }
    }
    assert_string_equal(lo.name, "lo");
    assert_true(lo.is_up);
    assert_true(lo.is_loopback);
    assert_false(lo.has_broadcast);
    assert_true(pn_interfaces_is_on_link(list, n, lo.index, &far));
    assert_false(pn_interfaces_is_on_link(list, n, lo.index, &other));
    assert_true(pn_interfaces_is_own(list, n, &one));
    assert_false(pn_interfaces_is_own(list, n, &far));
    free(list);
}

typedef struct mask_row {
    const char *address;
    const char *netmask;
    const char *asked;
    bool is_on_link;
} mask_row;

static mask_row masks[] = {
    {"10.1.2.3", "255.255.255.255", "10.1.2.3", true},
    {"10.1.2.3", "255.255.255.255", "10.1.2.2", false},
    {"10.1.2.3", "255.255.255.254", "10.1.2.2", true},
    {"10.1.2.3", "255.255.255.254", "10.1.2.4", false},
    {"10.1.2.3", "255.240.0.0", "10.15.255.255", true},
    {"10.1.2.3", "255.240.0.0", "10.16.0.0", false},
    {"10.1.2.3", "128.0.0.0", "127.255.255.255", true},
    {"10.1.2.3", "128.0.0.0", "128.0.0.0", false},
    {"10.1.2.3", "0.0.0.0", "10.1.2.3", false},
    {"fd00::1", "ffff::", "fd00:ffff::", true},
    {"fd00::1", "ffff::", "fd01::", false},
    {"fd00::1", "::", "fd00::1", false},
    {"fd00::1", "ffff::", "253.0.0.1", false},
    {"253.0.0.1", "255.0.0.0", "fd00::1", false},
};

static void test_mask(void **state)
{
    const mask_row *row = *state;
    pn_interface i = {.index = 7,
        .is_up = true,
        .address = host(row->address),
        .netmask = host(row->netmask)};
    pn_address asked = host(row->asked);

    assert_int_equal(
        pn_interfaces_is_on_link(&i, 1, 7, &asked), row->is_on_link);
    assert_int_equal(
        pn_interfaces_is_on_link(&i, 1, 0, &asked), row->is_on_link);
    assert_false(pn_interfaces_is_on_link(&i, 1, 8, &asked));
    i.is_up = false;
    assert_false(pn_interfaces_is_on_link(&i, 1, 7, &asked));
    assert_false(pn_interfaces_is_on_link(NULL, 0, 7, &asked));
}

int main(void)
{
    pn_test_add("os/interfaces/list", test_list, NULL);
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        pn_test_addf(test_mask, &masks[i], "os/interfaces/%s/%s asked %s",
            masks[i].address, masks[i].netmask, masks[i].asked);
    }
    return pn_test_run("os/interfaces");
}

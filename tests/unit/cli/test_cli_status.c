/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the answer to "status": refusals of the last hour, the unit. */
#include <string.h>

#include "control/refusals.h"
#include "control/unit.h"
#include "harness.h"

/* Ten refusals in each of 100 minutes: the last hour has 600 of them, and a
 * node of half an hour what it has had. */
static void test_cli_status_hour(void **state)
{
    static cli_refusals r;
    uint64_t counts[PN_N_REASONS] = {0};
    const pn_reason reason = PN_REASON_FORBIDDEN;

    (void)state;
    for (unsigned minute = 0; minute < 100; minute++) {
        cli_refusals_tick(&r, counts);
        counts[reason] += 10;
        if (minute == 29) {
            assert_int_equal(cli_refusals_lately(&r, counts, reason), 300);
        }
    }
    assert_int_equal(cli_refusals_lately(&r, counts, reason), 600);
    assert_int_equal(cli_refusals_lately(&r, counts, PN_REASON_TOO_MANY), 0);
    for (unsigned minute = 0; minute < CLI_REFUSAL_MINUTES; minute++) {
        assert_true(cli_refusals_lately(&r, counts, reason) > 0);
        cli_refusals_tick(&r, counts);
    }
    assert_int_equal(cli_refusals_lately(&r, counts, reason), 0);
}

static void test_cli_status_counters(void **state)
{
    uint64_t counts[PN_N_REASONS];
    pn_metrics m = {.size = sizeof(m), .refused = 3};

    (void)state;
    m.denials[PN_REASON_UNTRUSTED_PEER] = 2;
    m.denials[PN_REASON_TOO_MANY] = 1;
    cli_refusals_read(&m, counts);
    assert_int_equal(counts[PN_REASON_UNTRUSTED_PEER], 2);
    assert_int_equal(counts[PN_REASON_TOO_MANY], 4);
}

static const struct {
    const char *cgroup;
    const char *unit;
} units[] = {
    {"0::/system.slice/peernet.service\n", "peernet.service"},
    {"0::/system.slice/system-p.slice/p@kitchen.service", "p@kitchen.service"},
    {"0::/user.slice/user-0.slice/session-1.scope\n", ""},
    {"0::/user.slice/user@0.service/app.slice/term.scope\n", ""},
    {"0::/\n", ""},
    {"peernet.service", ""},
    {"0::/.service", ""},
    {"", ""},
};

static void test_cli_status_unit(void **state)
{
    char unit[20];

    (void)state;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        cli_unit_of_cgroup(units[i].cgroup, unit, sizeof(unit));
        assert_string_equal(unit, units[i].unit);
    }
    /* A name that fills the room, and one that is a byte longer. */
    cli_unit_of_cgroup("/12345678901.service", unit, sizeof(unit));
    assert_string_equal(unit, "12345678901.service");
    cli_unit_of_cgroup("/123456789012.service", unit, sizeof(unit));
    assert_string_equal(unit, "");
}

int main(void)
{
    pn_test_add("cli/status/hour", test_cli_status_hour, NULL);
    pn_test_add("cli/status/counters", test_cli_status_counters, NULL);
    pn_test_add("cli/status/unit", test_cli_status_unit, NULL);
    return pn_test_run("cli/status");
}

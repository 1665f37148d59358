/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of refusing a stranger at accept (T2): the look-up of its
 * address among those of the paired peers, and the gate. With 1,024 peers it
 * may not cost more than with one, but for the caches.
 */
#include <stdio.h>

#include "link/gate.h"
#include "load.h"
#include "node/registry.h"
#include "registry_config.h"

enum { PEERS = 1024, ROUNDS = 200000 };

static pn_err draw(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)(i * 37 + len);
    }
    return PN_OK;
}

static const pn_env env = {.random = draw};

static pn_address host(const char *text)
{
    pn_address at;

    load_must(pn_address_parse(text, 7100, &at) == PN_OK, text);
    return at;
}

static pn_registry *registry_with(unsigned n)
{
    static const pn_reg_callbacks nobody = {0};
    pn_reg_config config;
    pn_registry *r = NULL;

    registry_config_default(&config);
    config.env = &env;
    load_must(pn_registry_new(&config, &nobody, NULL, &r) == PN_OK, "memory");
    for (unsigned i = 0; i < n; i++) {
        pn_public_key key = {{1, (uint8_t)i, (uint8_t)(i >> 8)}};

        load_must(pn_registry_peer_add(r, &key, NULL, NULL) == PN_OK, "peer");
        for (unsigned k = 1; k <= PN_REG_MAX_ADDRESSES; k++) {
            char text[40];
            pn_address at;

            (void)snprintf(
                text, sizeof(text), "10.%u.%u.%u", i >> 8, i & 255, k);
            at = host(text);
            load_must(
                pn_registry_hint(r, &key, &at, PN_REG_REMEMBERED, 1) == PN_OK,
                "hint");
        }
    }
    return r;
}

/* Microseconds for each refusal of one source beyond its rate. */
static double refuse(unsigned n_peers)
{
    static pn_gate gate;
    const pn_gate_limits limits = {.max_strangers = 128,
        .max_strangers_per_source = 8,
        .strangers_per_second = 500,
        .source_per_second = 5,
        .source_burst = 10,
        .trusted_reserve = 16};
    pn_registry *r = registry_with(n_peers);
    pn_address from = host("192.0.2.1");
    uint64_t start_us;
    unsigned n_in = 0;
    double us;

    pn_gate_init(&gate, &limits, &env);
    start_us = load_now_us();
    for (unsigned i = 0; i < ROUNDS; i++) {
        n_in += pn_gate_enter(&gate, pn_address_source(&from),
            pn_registry_knows_host(r, &from), 1 + i / 1000);
    }
    us = (double)(load_now_us() - start_us) / ROUNDS;
    load_must(n_in <= 8, "the gate let in too many");
    pn_registry_free(r);
    return us;
}

int main(void)
{
    double one = refuse(1);
    double all = refuse(PEERS);

    load_result("refusal, 1,024 paired peers", all, "us", 5, true);
    load_result("... in those of 1 paired peer", all / one, "", 2, true);
    return load_exit_code();
}

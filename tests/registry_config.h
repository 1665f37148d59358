/* SPDX-License-Identifier: Apache-2.0 */
/* A registry's configuration as a node's default options make it. */
#ifndef PN_TESTS_REGISTRY_CONFIG_H
#define PN_TESTS_REGISTRY_CONFIG_H

#include "node/registry.h"

/* Everything but own_key and env. */
static inline void registry_config_default(pn_reg_config *config)
{
    *config = (pn_reg_config){
        .max_peers = 1024,
        .reconnect_min_us = PN_US_PER_S / 2,
        .reconnect_max_us = 30 * PN_US_PER_S,
        .grace_us = 2 * PN_US_PER_S,
        .max_candidates = 256,
        .auto_connect = true,
    };
}

#endif

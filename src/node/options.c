/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a node: defaults, ranges, one sentence per mistake. */
#include <stdio.h>
#include <string.h>

#include "node/node_internal.h"

void pn_node_options_init_sized(pn_node_options *options, size_t size)
{
    pn_node_options defaults = {
        .size = size,
        .listen_port = PN_PORT_DEFAULT,
        .discovery = PN_DISCOVERY_NONE,
        .discovery_port = PN_DISCOVERY_PORT_DEFAULT,
        .discovery_min_port = 1024,
        .announce_interval_ms = 5000,
        .watch_network = true,
        .auto_connect = true,
        .announce_on_new_networks = true,
        .max_peers = 1024,
        .max_strangers = 128,
        .max_strangers_per_source = 8,
        .strangers_per_second = 500,
        .source_per_second = 5,
        .source_burst = 10,
        .trusted_reserve = 16,
        .handshake_timeout_ms = 5000,
        .connect_timeout_ms = 5000,
        .ping_interval_ms = 30000,
        .pong_timeout_ms = 60000,
        .stall_timeout_ms = 120000,
        .call_timeout_ms = 5000,
        .handler_timeout_ms = 30000,
        .max_calls_per_peer = 1024,
        .max_queue_per_link = 1024,
        .max_queue_bytes_per_link = 4u << 20,
        .max_output_bytes = 4u << 20,
        .max_output_messages = 16384,
        .max_memory_bytes = UINT64_C(256) << 20,
        .max_workers = 16,
        .max_running_per_peer = 4,
        .max_deferred = 1024,
        .max_depth = 512,
        .reconnect_min_ms = 500,
        .reconnect_max_ms = 30000,
        .duplicate_grace_ms = 2000,
        .linger_ms = 6000,
    };

    /* An older caller's struct is a prefix of ours. */
    memcpy(
        options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

void pn_expose_options_init_sized(pn_expose_options *options, size_t size)
{
    memset(options, 0, size);
    options->size = size;
}

typedef struct range {
    const char *name;
    size_t offset;
    uint32_t min;
    uint32_t max;
} range;

#define RANGE(field, min, max)                                                 \
    {                                                                          \
#field, offsetof(pn_node_options, field), (min), (max)                 \
    }

static const range ranges[] = {
    RANGE(announce_interval_ms, 100, 3600000),
    RANGE(max_peers, 1, 65536),
    RANGE(max_strangers, 1, 65536),
    RANGE(max_strangers_per_source, 1, 65536),
    RANGE(strangers_per_second, 1, 1000000),
    RANGE(source_per_second, 1, 1000000),
    RANGE(source_burst, 1, 1000000),
    RANGE(trusted_reserve, 0, 65535),
    RANGE(handshake_timeout_ms, 10, 600000),
    RANGE(connect_timeout_ms, 10, 600000),
    RANGE(ping_interval_ms, 10, 86400000),
    RANGE(pong_timeout_ms, 10, 86400000),
    RANGE(stall_timeout_ms, 10, 86400000),
    RANGE(call_timeout_ms, 1, 86400000),
    RANGE(handler_timeout_ms, 1, 86400000),
    RANGE(max_calls_per_peer, 1, 65536),
    RANGE(max_queue_per_link, 1, 1000000),
    RANGE(max_queue_bytes_per_link, 1, 1u << 30),
    RANGE(max_output_bytes, 1024, 1u << 30),
    RANGE(max_output_messages, 1, 1000000),
    RANGE(max_workers, 1, 256),
    RANGE(max_running_per_peer, 1, 256),
    RANGE(max_deferred, 1, 1000000),
    RANGE(max_depth, 1, 65535),
    RANGE(reconnect_min_ms, 10, 3600000),
    RANGE(reconnect_max_ms, 10, 86400000),
    RANGE(duplicate_grace_ms, 10, 60000),
    RANGE(linger_ms, 0, 600000),
};

static pn_err ranges_check(const pn_node_options *o)
{
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        uint32_t value;

        memcpy(&value, (const char *)o + ranges[i].offset, sizeof(value));
        if (value < ranges[i].min || value > ranges[i].max) {
            pn_node_set_open_error("%s is %u, expected %u to %u",
                ranges[i].name, value, ranges[i].min, ranges[i].max);
            return PN_INVALID;
        }
    }
    return PN_OK;
}

pn_err pn_node_options_check(
    const pn_node_options *options, pn_node_options *ret_options)
{
    pn_node_options o;

    if (options->size < sizeof(size_t) || options->size > sizeof(o)) {
        pn_node_set_open_error("options of %zu bytes: made by a newer header, "
                               "or not by pn_node_options_init",
            options->size);
        return PN_INVALID;
    }
    pn_node_options_init(&o);
    memcpy(&o, options, options->size);
    o.size = sizeof(o);
    if (o.data_dir == NULL || o.data_dir[0] == '\0') {
        pn_node_set_open_error("data_dir is not set");
        return PN_INVALID;
    }
    if (o.listen_port < PN_PORT_NONE || o.listen_port > 65535) {
        pn_node_set_open_error(
            "listen_port is %d, expected 0 to 65535 or PN_PORT_NONE",
            o.listen_port);
        return PN_INVALID;
    }
    if (o.max_memory_bytes < 1u << 20) {
        pn_node_set_open_error("max_memory_bytes is less than 1 MiB");
        return PN_INVALID;
    }
    if (o.reconnect_max_ms < o.reconnect_min_ms) {
        pn_node_set_open_error("reconnect_max_ms is less than "
                               "reconnect_min_ms");
        return PN_INVALID;
    }
    *ret_options = o;
    return ranges_check(&o);
}

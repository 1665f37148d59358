/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a node: defaults, ranges, one sentence per mistake. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/range.h"
#include "node/node_internal.h"

#define RANGE(field, preset, min, max)                                         \
    PN_RANGE(pn_node_options, field, preset, min, max, "")

static const pn_range ranges[] = {
    RANGE(announce_interval_ms, 5000, 100, 3600000),
    RANGE(max_peers, 1024, 1, 65536),
    RANGE(max_strangers, 128, 1, 65536),
    RANGE(max_strangers_per_source, 8, 1, 65536),
    RANGE(strangers_per_second, 500, 1, 1000000),
    RANGE(source_per_second, 5, 1, 1000000),
    RANGE(source_burst, 10, 1, 1000000),
    RANGE(trusted_reserve, 16, 0, 65535),
    RANGE(handshake_timeout_ms, 5000, 10, 600000),
    RANGE(connect_timeout_ms, 5000, 10, 600000),
    RANGE(ping_interval_ms, 30000, 10, 86400000),
    RANGE(pong_timeout_ms, 60000, 10, 86400000),
    RANGE(stall_timeout_ms, 120000, 10, 86400000),
    RANGE(call_timeout_ms, 5000, 1, 86400000),
    RANGE(handler_timeout_ms, 30000, 1, 86400000),
    RANGE(max_calls_per_peer, 1024, 1, 65536),
    RANGE(max_queue_per_link, 1024, 1, 1000000),
    RANGE(max_queue_bytes_per_link, 4u << 20, 1, 1u << 30),
    RANGE(max_output_bytes, 4u << 20, 1024, 1u << 30),
    RANGE(max_output_messages, 16384, 1, 1000000),
    RANGE(max_workers, 16, 1, 256),
    RANGE(max_running_per_peer, 4, 1, 256),
    RANGE(max_deferred, 1024, 1, 1000000),
    RANGE(max_depth, 512, 1, 65535),
    RANGE(reconnect_min_ms, 500, 10, 3600000),
    RANGE(reconnect_max_ms, 30000, 10, 86400000),
    RANGE(duplicate_grace_ms, 2000, 10, 60000),
    RANGE(linger_ms, 6000, 0, 600000),
    RANGE(flush_timeout_ms, 6000, 0, 600000),
    RANGE(max_deferred_per_link, 64, 1, 1000000),
    RANGE(max_candidates, 256, 1, 65536),
    RANGE(max_held_bytes_per_link, 64u << 20, 1024, 1u << 30),
    RANGE(max_stranger_events, 256, 1, 65536),
    RANGE(stranger_events_per_minute, 6, 1, 1000000),
    RANGE(label_events_per_minute, 4, 1, 255),
    RANGE(max_grants, 4096, 1, 65536),
};
enum { N_RANGES = sizeof(ranges) / sizeof(ranges[0]) };

void pn_node_options_init_sized(pn_node_options *options, size_t size)
{
    pn_node_options defaults = {
        .size = size,
        .listen_port = PN_PORT_DEFAULT,
        .discovery = PN_DISCOVERY_NONE,
        .discovery_port = PN_DISCOVERY_PORT_DEFAULT,
        .discovery_min_port = 1024,
        .watch_network = true,
        .auto_connect = true,
        .announce_on_new_networks = true,
        .max_memory_bytes = UINT64_C(256) << 20,
    };

    pn_range_presets(&defaults, ranges, N_RANGES);
    /* An older caller's struct is a prefix of ours. */
    memcpy(
        options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

void pn_expose_options_init_sized(pn_expose_options *options, size_t size)
{
    memset(options, 0, size);
    options->size = size;
}

static pn_err ranges_check(const pn_node_options *o, pn_why *ret_why)
{
    uint32_t value;
    const pn_range *broken = pn_range_broken(o, ranges, N_RANGES, &value);

    if (broken != NULL) {
        return pn_why_fail(ret_why, PN_INVALID, "%s is %u, expected %u to %u",
            broken->name, value, broken->min, broken->max);
    }
    return PN_OK;
}

pn_err pn_node_options_check(const pn_node_options *options,
    pn_node_options *ret_options, pn_why *ret_why)
{
    pn_node_options o;
    pn_err err;

    if (options->size < sizeof(size_t) || options->size > sizeof(o)) {
        return pn_why_fail(ret_why, PN_INVALID,
            "options of %zu bytes were made by a newer header, "
            "or not by pn_node_options_init",
            options->size);
    }
    pn_node_options_init(&o);
    memcpy(&o, options, options->size);
    o.size = sizeof(o);
    if (o.data_dir == NULL || o.data_dir[0] == '\0') {
        return pn_why_fail(ret_why, PN_INVALID,
            "data_dir is not set, expected the directory of the "
            "node's key");
    }
    if (o.listen_port < PN_PORT_NONE || o.listen_port > 65535) {
        return pn_why_fail(ret_why, PN_INVALID,
            "listen_port is %d, expected 0 to 65535 or PN_PORT_NONE",
            o.listen_port);
    }
    if (o.max_memory_bytes < 1u << 20) {
        return pn_why_fail(ret_why, PN_INVALID,
            "max_memory_bytes is %" PRIu64 ", expected at least 1048576",
            o.max_memory_bytes);
    }
    if (o.reconnect_max_ms < o.reconnect_min_ms) {
        return pn_why_fail(ret_why, PN_INVALID,
            "reconnect_max_ms is %u, expected at least reconnect_min_ms, %u",
            o.reconnect_max_ms, o.reconnect_min_ms);
    }
    if (o.own_label != NULL
        && (o.own_label[0] == '\0'
            || !pn_kind_label_is_valid(o.own_label, strlen(o.own_label)))) {
        return pn_why_fail(ret_why, PN_INVALID,
            "own_label is %zu bytes long, expected 1 to %d bytes of UTF-8 "
            "without control characters",
            strlen(o.own_label), PN_KIND_LABEL_MAX);
    }
    err = ranges_check(&o, ret_why);
    if (err == PN_OK) {
        *ret_options = o;
    }
    return err;
}

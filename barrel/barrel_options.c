/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the Barrel part: defaults, ranges, one sentence per mistake. */
#include <stddef.h>
#include <string.h>

#include "barrel_internal.h"
#include "base/mutant.h"
#include "base/range.h"

#define RANGE(field, preset, min, max, why)                                    \
    PN_RANGE(pn_barrel_options, field, preset, min, max, why)

static const pn_range ranges[] = {
    RANGE(auth_timeout_ms, 10000, 1, 120000,
        ": authentication always has an end"),
    RANGE(auth_window_ms, 30000, 1, 600000, ""),
    RANGE(max_links, 256, 1, 65536, ""),
    RANGE(max_pins, 4096, 1, 65536, ""),
    RANGE(max_new_pins, 64, 1, 65536, ""),
    RANGE(new_pin_ms, 10000, 1, 86400000, ""),
    RANGE(max_message_bytes, 16u << 20, 1024, 1u << 30, ""),
    RANGE(max_calls, 1024, 1, 65536, ""),
    RANGE(connect_timeout_ms, 20000, 10, 600000, ""),
    RANGE(keep_alive_ms, 15000, 10, 86400000, ""),
    RANGE(dead_after_ms, 60000, 10, 86400000, ""),
    RANGE(retry_above, 16, 1, 65536, ""),
    RANGE(handshake_timeout_ms, 5000, 10, 120000,
        ": a handshake always has an end"),
    RANGE(unproven_per_second, 20, 1, 1000000, ""),
    RANGE(retries_per_second, 10000, 1, 1000000, ""),
    RANGE(answers_per_second, 200, 1, 1000000, ""),
    RANGE(known_answers_per_second, 10, 1, 1000000, ""),
    RANGE(max_drained_bytes, 256u << 20, 1024, 1u << 30, ""),
    RANGE(drain_timeout_ms, 10000, 10, 600000, ""),
    RANGE(redial_ms, 1000, 10, 86400000, ""),
    RANGE(redial_max_ms, 60000, 10, 86400000, ""),
};
enum { N_RANGES = sizeof(ranges) / sizeof(ranges[0]) };

void pn_barrel_options_init_sized(pn_barrel_options *options, size_t size)
{
    pn_barrel_options defaults = {
        .size = size,
        .listen_port = PN_BARREL_PORT_DEFAULT,
        .trust = PN_BARREL_STRICT,
        .dns_port = PN_BARREL_PORT_DEFAULT,
        .publish = true,
    };

    pn_range_presets(&defaults, ranges, N_RANGES);
    /* An older caller's struct is a prefix of ours. */
    memcpy(
        options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

static pn_err ranges_check(const pn_barrel_options *o, pn_why *ret_why)
{
    uint32_t value;
    const pn_range *broken = pn_range_broken(o, ranges, N_RANGES, &value);

    if (PN_REFUSE_IF(barrel_option_range, broken != NULL)) {
        return pn_why_fail(ret_why, PN_INVALID, "%s is %u, expected %u to %u%s",
            broken->name, value, broken->min, broken->max, broken->why);
    }
    if (o->keep_alive_ms >= o->dead_after_ms) {
        return pn_why_fail(ret_why, PN_INVALID,
            "keep_alive_ms is not less than dead_after_ms: "
            "a silent link would end before it is asked");
    }
    if (o->redial_ms > o->redial_max_ms) {
        return pn_why_fail(ret_why, PN_INVALID,
            "redial_ms is more than redial_max_ms, expected "
            "at most that");
    }
    return PN_OK;
}

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* NULL: fine. */
static const char *wrong_text(const pn_barrel_options *o)
{
    if (o->name == NULL || !pn_node_name_is_valid(o->name, strlen(o->name))) {
        return "name is not NAME@HOST (letters, digits and \"_.-\", at most "
               "255 bytes)";
    }
    if (!is_set(o->cookie) || strlen(o->cookie) > PN_DIST_COOKIE_MAX) {
        return "cookie is not set, or longer than 255 bytes";
    }
    if (!is_set(o->key_dir) || !is_set(o->cert_dir)) {
        return "key_dir and cert_dir have to be set";
    }
    if (strcmp(o->key_dir, o->cert_dir) == 0) {
        return "key_dir and cert_dir are the same, and both hold a node.key";
    }
    if (o->listen_port < 0 || o->listen_port > 65535) {
        return "listen_port is not 0 to 65535";
    }
    if (PN_REFUSE_IF(barrel_auth_off,
            o->trust != PN_BARREL_STRICT && o->trust != PN_BARREL_TOFU)) {
        return "trust is neither strict nor tofu: authentication cannot be "
               "switched off";
    }
    if (PN_REFUSE_IF(barrel_open_door,
            o->n_cookie_only > 0 && strcmp(o->cookie, "barrel_p2p") == 0)) {
        return "cookie_only with the cookie that everybody knows: whoever "
               "reaches the port would be let in";
    }
    if ((o->n_cookie_only > 0 && o->cookie_only == NULL)
        || (o->n_addresses > 0 && o->addresses == NULL)) {
        return "a list is NULL and its length is not 0";
    }
    return NULL;
}

/* A pattern that admits no node is a mistake that its author would not notice.
 */
static pn_err patterns_check(const pn_barrel_options *o, pn_why *ret_why)
{
    for (size_t i = 0; i < o->n_cookie_only; i++) {
        if (o->cookie_only[i] == NULL
            || strchr(o->cookie_only[i], '@') == NULL) {
            return pn_why_fail(ret_why, PN_INVALID,
                "cookie_only \"%s\" has no '@' and admits "
                "nobody, expected NAME@HOST, NAME@*, *@HOST",
                o->cookie_only[i] == NULL ? "" : o->cookie_only[i]);
        }
    }
    return PN_OK;
}

pn_err pn_barrel_options_check(const pn_barrel_options *options,
    pn_barrel_options *ret_options, pn_why *ret_why)
{
    pn_barrel_options o;
    const char *wrong;
    pn_err err;

    if (options->size < sizeof(size_t) || options->size > sizeof(o)) {
        return pn_why_fail(ret_why, PN_INVALID,
            "options of %zu bytes: made by a newer header, "
            "or not by pn_barrel_options_init",
            options->size);
    }
    pn_barrel_options_init(&o);
    memcpy(&o, options, options->size);
    o.size = sizeof(o);
    wrong = wrong_text(&o);
    if (wrong != NULL) {
        return pn_why_fail(ret_why, PN_INVALID, "%s", wrong);
    }
    err = patterns_check(&o, ret_why);
    if (err == PN_OK) {
        err = ranges_check(&o, ret_why);
    }
    if (err == PN_OK) {
        *ret_options = o;
    }
    return err;
}

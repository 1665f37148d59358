/* SPDX-License-Identifier: Apache-2.0 */
/* The Barrel node of a hub: opening it, its counters, and the nodes it is
 * connected to. */
#include <stdlib.h>
#include <string.h>

#include "hub_internal.h"
#include "nearest.h"
#include "json/jsonout.h"

/* ---- the node ----------------------------------------------------------- */

pn_err hub_barrel_open(
    cli_hub *hub, const pn_barrel_options *options, pn_why *ret_why)
{
    return pn_barrel_open(hub->node, options, &hub->barrel, ret_why);
}

uint16_t cli_hub_barrel_port(const cli_hub *hub)
{
    return pn_barrel_port(hub->barrel);
}

pn_err cli_hub_pinned(cli_hub *hub, const char *node, pn_principal *ret_who)
{
    pn_ed25519_key key;
    pn_err err = hub->barrel == NULL
                     ? PN_STATE
                     : pn_barrel_pinned(hub->barrel, node, &key);

    if (err == PN_OK) {
        *ret_who = pn_barrel_principal(&key);
    }
    return err;
}

void cli_hub_suggest_node(cli_hub *hub, const char *node, cli_text *t)
{
    pn_barrel_pin *pins = NULL;
    size_t n = 0;

    if (hub->barrel != NULL
        && pn_barrel_pins(hub->barrel, &pins, &n) == PN_OK) {
        cli_suggest_pin(pins, n, node, t);
        free(pins);
    }
}

void cli_suggest_pin(
    const pn_barrel_pin *pins, size_t n, const char *node, cli_text *t)
{
    cli_nearest nearest;

    cli_nearest_init(&nearest, node, strlen(node));
    for (size_t i = 0; i < n; i++) {
        cli_nearest_offer(&nearest, pins[i].name);
    }
    cli_nearest_say(&nearest, "'", "'", t);
}

void hub_barrel_status(const cli_hub *hub, cli_text *t)
{
    pn_principal who = {.family = PN_FAMILY_BARREL};

    if (hub->barrel == NULL) {
        return;
    }
    pn_barrel_key(hub->barrel, &who.key.ed25519);
    cli_json_string(t, "node", pn_barrel_name(hub->barrel));
    cli_json_int(t, "barrel_port", pn_barrel_port(hub->barrel));
    cli_json_base32(t, "barrel_key", &who);
}

pn_err hub_barrel_metrics(const cli_hub *hub, cli_text *t)
{
    char *text = NULL;
    size_t len = 0;
    pn_err err = hub->barrel == NULL
                     ? PN_OK
                     : pn_barrel_metrics_text(hub->barrel, &text, &len);

    if (err == PN_OK) {
        cli_text_add(t, text, len);
    }
    free(text);
    return err;
}

/* ---- nodes of the cluster ----------------------------------------------- */

static void json_node(cli_text *t, const pn_barrel_node_info *n)
{
    pn_principal who = pn_barrel_principal(&n->key);
    bool has_key = pn_principal_has_key(&who);

    cli_json_open(t, NULL, '{');
    cli_json_string(t, "node", n->name);
    if (has_key) {
        cli_json_who(t, &who);
        cli_json_hex(t, "hex", n->key.bytes);
    } else {
        cli_json_null(t, "key");
        cli_json_null(t, "fingerprint");
        cli_json_null(t, "hex");
    }
    cli_json_bool(t, "cookie_only", !has_key);
    cli_json_known(t, "address", n->address);
    cli_json_bool(t, "dialled_by_us", n->dialled_by_us);
    cli_json_known_int(t, "up_ms", (int64_t)n->up_ms);
    cli_json_close(t, '}');
}

void hub_nodes(const hub_request *request)
{
    pn_barrel_node_info *nodes = NULL;
    size_t n = 0;
    cli_text t = {0};

    if (request->hub->barrel != NULL
        && pn_barrel_nodes(request->hub->barrel, &nodes, &n) != PN_OK) {
        hub_answer_error(request, "local", "out of memory");
        return;
    }
    hub_answer_begin(&t, request->has_id, request->id, true);
    cli_json_open(&t, "nodes", '[');
    for (size_t i = 0; i < n; i++) {
        json_node(&t, &nodes[i]);
    }
    cli_json_close(&t, ']');
    free(nodes);
    hub_answer_end(request->caller, &t);
}

void hub_pins(const cli_hub *hub, pn_barrel_pin **ret_pins, size_t *ret_n)
{
    if (hub->barrel == NULL
        || pn_barrel_pins(hub->barrel, ret_pins, ret_n) != PN_OK) {
        *ret_pins = NULL;
        *ret_n = 0;
    }
}

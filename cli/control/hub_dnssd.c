/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery by DNS-SD (libpeernet-dnssd) for the hub's node. */
#include <stdio.h>
#include <stdlib.h>

#include "hub_internal.h"

#ifdef PN_CLI_DNSSD
#include <peernet/dnssd.h>

/* Without a wish of the owner's, DNS-SD is used where announces go everywhere:
 * an owner who has named addresses, or has switched announces off, did not mean
 * every network of this host. */
static bool is_wanted(const cli_hub_options *options)
{
    if (options->dnssd == CLI_DNSSD_AUTO) {
        return options->node.discovery == PN_DISCOVERY_UDP
               && options->node.discovery_address == NULL;
    }
    return options->dnssd != CLI_DNSSD_NONE;
}

pn_err hub_dnssd_open(cli_hub *hub, const cli_hub_options *options,
    pn_node_options *node, pn_why *ret_why)
{
    pn_dnssd_options dnssd;
    pn_err err;

    if (!is_wanted(options)) {
        return PN_OK;
    }
    pn_dnssd_options_init(&dnssd);
    dnssd.use = options->dnssd == CLI_DNSSD_AVAHI      ? PN_DNSSD_USE_DAEMON
                : options->dnssd == CLI_DNSSD_EMBEDDED ? PN_DNSSD_USE_HELPER
                                                       : PN_DNSSD_USE_ANY;
    if (getenv("PEERNET_MDNS_HELPER") != NULL) {
        dnssd.helper = getenv("PEERNET_MDNS_HELPER");
    }
    dnssd.label = options->publish_label ? node->own_label : NULL;
    dnssd.min_port = node->discovery_min_port;
    dnssd.interfaces = node->interfaces;
    err = pn_dnssd_new(&dnssd, &hub->dnssd, ret_why);
    if (err == PN_OK) {
        node->discovery_source = pn_dnssd_source();
        node->discovery_source_user = hub->dnssd;
        hub->publishes_label = options->publish_label;
        hub_dnssd_label(hub, dnssd.label);
    }
    return err;
}

void hub_dnssd_label(cli_hub *hub, const char *label)
{
    if (hub->publishes_label
        && pn_dnssd_set_label(hub->dnssd, label) == PN_OK) {
        (void)snprintf(hub->published_label, sizeof(hub->published_label), "%s",
            label == NULL ? "" : label);
    }
}

void hub_dnssd_close(cli_hub *hub)
{
    pn_dnssd_free(hub->dnssd);
    hub->dnssd = NULL;
}

const char *hub_dnssd_trouble(const cli_hub *hub)
{
    pn_dnssd_status status = {.size = sizeof(status)};

    if (hub->dnssd == NULL
        || pn_dnssd_get_status(hub->dnssd, &status) != PN_OK) {
        return NULL;
    }
    switch (status.state) {
    case PN_DNSSD_STOPPED:
        return "it is not started";
    case PN_DNSSD_NO_BUS:
        return "D-Bus cannot be reached";
    case PN_DNSSD_NO_DAEMON:
        return "no Avahi daemon runs";
    case PN_DNSSD_RUNNING:
    case PN_DNSSD_EMBEDDED:
        return NULL;
    }
    return NULL;
}

#else

pn_err hub_dnssd_open(cli_hub *hub, const cli_hub_options *options,
    pn_node_options *node, pn_why *ret_why)
{
    (void)hub;
    (void)node;
    if (options->dnssd == CLI_DNSSD_AUTO || options->dnssd == CLI_DNSSD_NONE) {
        return PN_OK;
    }
    (void)snprintf(ret_why->text, sizeof(ret_why->text),
        "expected '--dnssd none': this peernet was built without DNS-SD");
    return PN_INVALID;
}

void hub_dnssd_label(cli_hub *hub, const char *label)
{
    (void)hub;
    (void)label;
}

void hub_dnssd_close(cli_hub *hub)
{
    (void)hub;
}

const char *hub_dnssd_trouble(const cli_hub *hub)
{
    (void)hub;
    return NULL;
}
#endif

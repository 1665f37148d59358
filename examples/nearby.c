/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows the nodes nearby: listens for DNS-SD records and prints what it hears.
 *
 *     nearby DIR SECONDS [LABEL]
 *
 * prints the source's state, then a line for each node. Everybody can read
 * LABEL in the record of this one.
 */
#include <unistd.h>

#include <peernet/dnssd.h>

#include "common.h"

static const char *const states[] = {
    [PN_DNSSD_STOPPED] = "stopped",
    [PN_DNSSD_NO_BUS] = "D-Bus cannot be reached",
    [PN_DNSSD_NO_DAEMON] = "no Avahi daemon runs",
    [PN_DNSSD_RUNNING] = "the daemon browses",
    [PN_DNSSD_EMBEDDED] = "the helper browses",
};

/* A record proves nothing, because anybody can publish any key. */
static pn_err print_heard(pn_node *node)
{
    pn_heard_info *heard = NULL;
    size_t n = 0;
    pn_err err = pn_list_heard(node, &heard, &n);

    for (size_t i = 0; i < n; i++) {
        char key[PN_BASE32_LEN + 1];

        pn_key_to_base32(&heard[i].key, key);
        printf("%s %s\n", key, heard[i].address);
    }
    free(heard);
    return err;
}

int main(int argc, char **argv)
{
    pn_dnssd_status status = {.size = sizeof(status)};
    pn_dnssd_options options;
    pn_node_options opt;
    pn_dnssd *dnssd = NULL;
    pn_node *node = NULL;
    pn_why why = {0};
    pn_err err;

    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: nearby DIR SECONDS [LABEL]\n");
        return 2;
    }
    pn_dnssd_options_init(&options);
    options.use = PN_DNSSD_USE_DAEMON;
    pn_node_options_init(&opt);
    opt.data_dir = argv[1];
    opt.listen_port = 0;
    opt.discovery_source = pn_dnssd_source();
    if (pn_dnssd_new(&options, &dnssd, &why) != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    opt.discovery_source_user = dnssd;
    if (pn_node_open(&opt, &node, &why) != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        pn_dnssd_free(dnssd);
        return 1;
    }
    /* At any time: the record follows. */
    if (argc == 4 && pn_dnssd_set_label(dnssd, argv[3]) != PN_OK) {
        fprintf(stderr, "no label: \"%s\"\n", argv[3]);
    }
    (void)sleep((unsigned)strtoul(argv[2], NULL, 10));
    err = pn_dnssd_get_status(dnssd, &status);
    if (err == PN_OK) {
        printf("%s\n", states[status.state]);
        err = print_heard(node);
    }
    pn_node_close(node);
    pn_dnssd_free(dnssd);
    return err == PN_OK ? 0 : 1;
}

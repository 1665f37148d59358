/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the Barrel link, in every program, and the test for a node's
 * name. */
#include <stddef.h>
#include <string.h>

#include "barrel.h"
#include "keys/node_name.h"
#include "peer_text.h"

static const char *const trust_modes[] = {
    [PN_BARREL_STRICT] = "strict",
    [PN_BARREL_TOFU] = "tofu",
    NULL,
};

/* Fills a pn_barrel_options. */
const cli_option cli_barrel_option_table[] = {
    {"cookie-file", 0, "FILE",
        .help = "the cluster's cookie: one line, readable by us only",
        .key = "cookie-file", .sections = CLI_IN_BARREL},
    {"trust-mode", 0, "strict|tofu",
        .help = "a node that is not pinned: refuse it, or pin it; default "
                "strict",
        .kind = CLI_CHOICE, .offset = offsetof(pn_barrel_options, trust),
        .choices = trust_modes, .note = "authentication cannot be switched off",
        .key = "trust-mode", .sections = CLI_IN_BARREL},
    {"auth-timeout", 0, "MS",
        .help = "for a whole authentication; default 10000, at most 120000",
        .kind = CLI_U32, .offset = offsetof(pn_barrel_options, auth_timeout_ms),
        .min = 1, .max = 120000, .note = "authentication always has a deadline",
        .key = "auth-timeout", .sections = CLI_IN_BARREL},
    {"auth-window", 0, "MS",
        .help = "half of what clocks may differ; default 30000, at most 600000",
        .kind = CLI_U32, .offset = offsetof(pn_barrel_options, auth_window_ms),
        .min = 1, .max = 600000, .key = "auth-window",
        .sections = CLI_IN_BARREL},
    {"cookie-only", 0, "PATTERN...",
        .help = "let NAME@HOST, NAME@* or *@HOST in without a key",
        .key = "cookie-only", .sections = CLI_IN_BARREL},
    {"node", 0, "NAME@HOST=HOST:PORT...", .help = "where a node is",
        .key = "node", .sections = CLI_IN_BARREL},
    {"discovery-dir", 0, "DIR", .help = "endpoint files of nodes; default none",
        .kind = CLI_STRING,
        .offset = offsetof(pn_barrel_options, discovery_dir),
        .key = "discovery-dir", .sections = CLI_IN_BARREL},
    {"dns-port", 0, "PORT",
        .help = "of nodes found by DNS; default 9100; 0: DNS is not asked",
        .kind = CLI_U16, .offset = offsetof(pn_barrel_options, dns_port),
        .max = 65535, .key = "dns-port", .sections = CLI_IN_BARREL},
    {"barrel-listen", 0, "ADDRESS", .help = "numeric, for UDP; default all",
        .kind = CLI_STRING,
        .offset = offsetof(pn_barrel_options, listen_address), .key = "listen",
        .sections = CLI_IN_BARREL},
    {"key-dir", 0, "DIR",
        .help = "node.key and trusted/; default DATA-DIR/barrel/keys",
        .key = "key-dir", .sections = CLI_IN_BARREL},
    {"cert-dir", 0, "DIR",
        .help = "the certificate; default DATA-DIR/barrel/quic",
        .key = "cert-dir", .sections = CLI_IN_BARREL},
    {.name = NULL},
};

/* Fills a pn_barrel_options. */
const cli_option cli_barrel_run_option_table[] = {
    {"barrel", 0, "NAME@HOST[:PORT]",
        .help =
            "be a node of an Erlang cluster; UDP port, default 9100; 0: any",
        .key = "name", .sections = CLI_IN_BARREL},
    {"no-dial", 0, NULL,
        .help = "let pinned nodes dial us; default: dial those whose address "
                "is known",
        .kind = CLI_FALSE, .offset = offsetof(pn_barrel_options, dial_pinned),
        .key = "dial", .sections = CLI_IN_BARREL},
    {"no-publish", 0, NULL, .help = "write no endpoint file of our own",
        .kind = CLI_FALSE, .offset = offsetof(pn_barrel_options, publish),
        .key = "publish", .sections = CLI_IN_BARREL},
    {"visible", 0, NULL, .help = "appear in nodes() of the others",
        .kind = CLI_TRUE, .offset = offsetof(pn_barrel_options, visible),
        .key = "visible", .sections = CLI_IN_BARREL},
    {.name = NULL},
};

const cli_option cli_barrel_own_option_table[] = {
    {"as", 0, "NAME@HOST",
        .help = "our name without a running node; default "
                "peernet@HOSTNAME"},
    {.name = NULL},
};

bool cli_is_node(const char *peer)
{
    return strchr(peer, '@') != NULL;
}

cli_exit cli_check_node(const cli_app *app, const char *name)
{
    cli_text t = {0};

    if (pn_node_name_is_valid(name, strlen(name))) {
        return CLI_OK;
    }
    cli_text_puts(
        &t, "expected NAME@HOST of letters, digits and \"_.-\", found ");
    cli_quote(&t, name, strlen(name), CLI_ESCAPE_FIELD);
    return cli_fail_text(app, CLI_USAGE, &t);
}

static bool is_in(const cli_option *table, const cli_option *option)
{
    for (; table->name != NULL; table++) {
        if (table == option) {
            return true;
        }
    }
    return false;
}

cli_exit cli_barrel_check_unused(const cli_app *app, const char *where)
{
    for (unsigned i = 0; i < app->args->n_given; i++) {
        const cli_option *option = app->args->given[i].option;

        if (is_in(cli_barrel_option_table, option)
            || is_in(cli_barrel_run_option_table, option)
            || is_in(cli_barrel_own_option_table, option)) {
            if (app->faults != NULL) {
                app->faults->at = &app->args->given[i];
            }
            return app->args->given[i].file != NULL
                       ? cli_fail(app, CLI_USAGE,
                           "expected 'name = NAME@HOST' in [barrel], found "
                           "none")
                       : cli_fail(app, CLI_USAGE, "expected %s with '--%s'",
                           where, option->name);
        }
    }
    return CLI_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the Barrel link, in every program, and what is a node's name. */
#include <string.h>

#include "barrel.h"
#include "escape.h"
#include "trust/node_name.h"

const cli_option cli_barrel_option_table[] = {
    {"cookie-file", 0, "FILE",
        "the cluster's cookie: one line, readable by us only"},
    {"trust-mode", 0, "strict|tofu",
        "a node that is not pinned: refuse it, or pin it; default strict"},
    {"auth-timeout", 0, "MS",
        "for a whole authentication; default 10000, at most 120000"},
    {"auth-window", 0, "MS",
        "half of what clocks may differ; default 30000, at most 600000"},
    {"cookie-only", 0, "PATTERN",
        "let NAME@HOST, NAME@* or *@HOST in without a key; may repeat"},
    {"node", 0, "NAME@HOST=HOST:PORT", "where a node is; may repeat"},
    {"discovery-dir", 0, "DIR", "endpoint files of nodes; default none"},
    {"dns-port", 0, "PORT",
        "of nodes found by DNS; default 9100; 0: DNS is not asked"},
    {"barrel-listen", 0, "ADDRESS", "numeric, for UDP; default all"},
    {"key-dir", 0, "DIR",
        "node.key and trusted/; default DATA-DIR/barrel/keys"},
    {"cert-dir", 0, "DIR", "the certificate; default DATA-DIR/barrel/quic"},
    {NULL, 0, NULL, NULL},
};

const cli_option cli_barrel_run_option_table[] = {
    {"barrel", 0, "NAME@HOST[:PORT]",
        "be a node of an Erlang cluster; UDP port, default 9100; 0: any"},
    {"no-publish", 0, NULL, "write no endpoint file of our own"},
    {"visible", 0, NULL, "appear in nodes() of the others"},
    {NULL, 0, NULL, NULL},
};

const cli_option cli_barrel_own_option_table[] = {
    {"as", 0, "NAME@HOST",
        "our name without a running node; default "
        "peernet@HOSTNAME"},
    {NULL, 0, NULL, NULL},
};

bool cli_is_node(const char *peer)
{
    return strchr(peer, '@') != NULL;
}

cli_exit cli_check_node(const cli_app *app, const char *name)
{
    cli_text found = {0};
    cli_exit status = CLI_OK;

    if (!pn_node_name_is_valid(name, strlen(name))) {
        cli_escape(&found, name, strlen(name), CLI_ESCAPE_FIELD);
        status = cli_fail(app, CLI_USAGE,
            "expected NAME@HOST of letters, digits and \"_.-\", found '%s'",
            cli_text_string(&found));
    }
    cli_text_fini(&found);
    return status;
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
            return cli_fail(
                app, CLI_USAGE, "expected %s with '--%s'", where, option->name);
        }
    }
    return CLI_OK;
}

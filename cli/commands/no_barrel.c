/* SPDX-License-Identifier: Apache-2.0 */
/* A program without the Barrel link: what needs it is refused and says why. */
#include <stdio.h>

#include "barrel.h"
#include "commands.h"
#include "control/hub_call.h"

/* A function that refuses looks at nothing. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

static const char without[] = "this peernet was built without the Barrel link";

static cli_exit refuse(const cli_app *app)
{
    return cli_fail(app, CLI_LOCAL, "%s", without);
}

cli_exit cli_cmd_barrel(const cli_app *app)
{
    return refuse(app);
}

cli_exit cli_barrel_run_setup(
    const cli_app *app, cli_barrel_setup *setup, bool *ret_wanted)
{
    *ret_wanted = false;
    return cli_args_flag(app->args, "barrel")
               ? refuse(app)
               : cli_barrel_check_unused(app, "'--barrel NAME@HOST'");
}

cli_exit cli_barrel_read_files(const cli_app *app, cli_barrel_setup *setup)
{
    return refuse(app);
}

cli_exit cli_barrel_session(const cli_app *app, cli_session **ret_session)
{
    return refuse(app);
}

bool hub_has_nodes(const hub_request *request)
{
    hub_answer_error(request, "bad-request", "%s", without);
    return false;
}

/* Never used: such requests are refused before. */
const hub_family hub_node_family = {0};

void hub_nodes(const hub_request *request)
{
    (void)hub_has_nodes(request);
}

pn_err hub_barrel_open(
    cli_hub *hub, const pn_barrel_options *options, pn_why *ret_why)
{
    (void)snprintf(ret_why->text, sizeof(ret_why->text), "%s", without);
    return PN_STATE;
}

void hub_barrel_status(const cli_hub *hub, cli_text *t)
{
}

pn_err hub_barrel_metrics(const cli_hub *hub, cli_text *t)
{
    return PN_OK;
}

uint16_t cli_hub_barrel_port(const cli_hub *hub)
{
    return 0;
}

pn_err cli_hub_pinned(cli_hub *hub, const char *node, pn_principal *ret_who)
{
    return PN_STATE;
}

void cli_hub_suggest_node(cli_hub *hub, const char *node, cli_text *t)
{
}

void hub_pins(const cli_hub *hub, pn_barrel_pin **ret_pins, size_t *ret_n)
{
    *ret_pins = NULL;
    *ret_n = 0;
}

cli_exit cli_barrel_find_pin(
    const cli_app *app, const char *node, pn_principal *ret_who)
{
    return refuse(app);
}

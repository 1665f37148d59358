/* SPDX-License-Identifier: Apache-2.0 */
/* A program without the Barrel link: what needs it is refused and says why. */
#include "barrel.h"
#include "commands.h"
#include "hub_internal.h"

static const char without[] = "this peernet was built without the Barrel link";

static cli_exit refuse(const cli_args *args)
{
    const cli_app app = {.args = args, .json = cli_args_flag(args, "json")};

    return cli_fail(&app, CLI_LOCAL, "%s", without);
}

cli_exit cli_cmd_barrel(const cli_args *args)
{
    return refuse(args);
}

cli_exit cli_barrel_run_setup(
    const cli_app *app, cli_barrel_setup *setup, bool *ret_wanted)
{
    (void)setup;
    *ret_wanted = false;
    return cli_args_flag(app->args, "barrel")
               ? refuse(app->args)
               : cli_barrel_check_unused(app, "'--barrel NAME@HOST'");
}

void cli_barrel_wipe(cli_barrel_setup *setup)
{
    (void)setup;
}

cli_exit cli_barrel_session(const cli_app *app, cli_session **ret_session)
{
    (void)ret_session;
    return refuse(app->args);
}

bool hub_is_about_node(const hub_request *request)
{
    return json_object_get(request->json, "node") != NULL;
}

static void answer_without(cli_hub *hub, const hub_request *request)
{
    (void)hub;
    hub_answer_error(request, "bad-request", "%s", without);
}

void hub_node_call(cli_hub *hub, const hub_request *request)
{
    answer_without(hub, request);
}

void hub_node_send(cli_hub *hub, const hub_request *request)
{
    answer_without(hub, request);
}

void hub_node_rpc(cli_hub *hub, const hub_request *request)
{
    answer_without(hub, request);
}

void hub_node_cast(cli_hub *hub, const hub_request *request)
{
    answer_without(hub, request);
}

void hub_monitor(cli_hub *hub, const hub_request *request)
{
    answer_without(hub, request);
}

void hub_nodes(cli_hub *hub, const hub_request *request)
{
    answer_without(hub, request);
}

pn_err hub_barrel_open(
    cli_hub *hub, const pn_barrel_options *options, cli_text *ret_error)
{
    (void)hub;
    (void)options;
    cli_text_puts(ret_error, without);
    return PN_STATE;
}

void hub_barrel_status(const cli_hub *hub, cli_text *t)
{
    (void)hub;
    (void)t;
}

void hub_barrel_metrics(const cli_hub *hub, cli_text *t)
{
    (void)hub;
    (void)t;
}

void hub_barrel_forget(cli_hub *hub, const cli_caller *caller)
{
    (void)hub;
    (void)caller;
}

void hub_barrel_cancel(cli_hub *hub)
{
    (void)hub;
}

const char *cli_hub_barrel_name(const cli_hub *hub)
{
    (void)hub;
    return NULL;
}

uint16_t cli_hub_barrel_port(const cli_hub *hub)
{
    (void)hub;
    return 0;
}

pn_err cli_hub_pinned(cli_hub *hub, const char *node, pn_public_key *ret_key)
{
    (void)hub;
    (void)node;
    (void)ret_key;
    return PN_STATE;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What `peernet run` exposes: programs and the echo. */
#ifndef PN_CLI_HANDLERS_H
#define PN_CLI_HANDLERS_H

#include "hub.h"
#include "program.h"

/* One --expose NAME=PROGRAM, with its --arg and --allow. */
typedef struct cli_exposed {
    const char *name;
    cli_program program;
} cli_exposed;

/* A function of BeamDist. */
typedef struct cli_function {
    const char *module; /* "MyApp.Led", ":led" */
    const char *name;
    unsigned arity;
} cli_function;

typedef struct cli_handlers cli_handlers;

/* `[a-z0-9_]{1,64}`: what a program may be exposed as. */
bool cli_handle_name_is_good(const char *name);

/* Programs run on loop; exposed stays the caller's until close. NULL: no
 * memory. */
cli_handlers *cli_handlers_new(uv_loop_t *loop, cli_hub *hub);
/* Exposes a program, closed: grants follow. Errors: as pn_expose. */
PN_MUST_USE pn_err cli_handlers_expose(
    cli_handlers *handlers, const cli_exposed *exposed);
/* Exports a program as a function under the handle `beam_admin`, closed as
 * well: the argument is the list of arguments. Errors: as pn_beam_dist_serve
 * and pn_beam_dist_export. */
PN_MUST_USE pn_err cli_handlers_export(cli_handlers *handlers,
    const cli_exposed *exposed, const cli_function *function);
/* Lets who (NULL: every paired peer) use an exported function; the handle has
 * grants of its own. Errors: as pn_beam_dist_grant. */
PN_MUST_USE pn_err cli_handlers_allow(cli_handlers *handlers,
    const cli_function *function, const pn_principal *who);
/* Ends what runs, while the loop still turns; later requests are refused. */
void cli_handlers_close(cli_handlers *handlers);
/* After the hub is freed. */
void cli_handlers_free(cli_handlers *handlers);

/* The handle `echo`: answers with its argument. flags: as pn_expose. */
PN_MUST_USE pn_err cli_expose_echo(pn_node *node, unsigned flags);

#endif

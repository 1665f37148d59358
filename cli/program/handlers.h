/* SPDX-License-Identifier: Apache-2.0 */
/* The handles of `peernet run`: programs and the echo. */
#ifndef PN_CLI_HANDLERS_H
#define PN_CLI_HANDLERS_H

#include <stdatomic.h>

#include "control/hub.h"
#include "program.h"

typedef struct cli_handlers cli_handlers;

/* One --expose or --export NAME=PROGRAM, with its --arg and --text. A request
 * keeps the one that it began with. */
typedef struct cli_exposed {
    atomic_uint refs;                          /* 1 of a new one: its maker's */
    void (*free)(struct cli_exposed *exposed); /* NULL: never freed */
    cli_program program;
    size_t max_input; /* bytes that a call may become on standard input */
    bool is_function; /* the argument is a list of arguments */
    bool is_text;     /* text in and out; else JSON */
} cli_exposed;

/* A function of BeamDist. */
typedef struct cli_function {
    const char *module; /* "MyApp.Led", ":led" */
    const char *name;
    unsigned arity;
} cli_function;

/* Any thread. */
void cli_exposed_unref(cli_exposed *exposed);

/* Programs run on loop. starter is the caller's, has the programs that will be
 * exposed, and outlives close. NULL: no memory. */
cli_handlers *cli_handlers_new(
    uv_loop_t *loop, cli_hub *hub, cli_starter *starter);
/* Exposes a program, closed: grants follow. One that is exposed already is
 * replaced, and its grants remain; requests whose program runs, or that have
 * come, end with the old one. Errors: as pn_expose; nothing has changed then.
 */
PN_MUST_USE pn_err cli_handlers_expose(
    cli_handlers *handlers, cli_exposed *exposed);
/* Exports a program as a function under the handle `beam_admin`, closed as
 * well: the argument is the list of arguments. Errors: as pn_beam_dist_serve
 * and pn_beam_dist_export. */
PN_MUST_USE pn_err cli_handlers_export(
    cli_handlers *handlers, cli_exposed *exposed, const cli_function *function);
/* Closes the handle of that name. A function cannot be closed: nobody may use
 * it any more when its grants are taken, and its program is forgotten. */
void cli_handlers_remove(cli_handlers *handlers, const cli_exposed *exposed);
/* Serves the functions that are built in, once; nothing need be exported.
 * timeout_ms: of a call. Errors: as pn_beam_dist_serve. */
PN_MUST_USE pn_err cli_handlers_serve(
    cli_handlers *handlers, uint32_t timeout_ms);
/* Lets who (NULL: every paired peer) use a function that is there; the handle
 * has grants of its own. Errors: as pn_beam_dist_grant. */
PN_MUST_USE pn_err cli_handlers_allow(cli_handlers *handlers,
    const cli_function *function, const pn_principal *who);
/* Takes that back; nothing if it was not so. */
void cli_handlers_disallow(cli_handlers *handlers, const cli_function *function,
    const pn_principal *who);
/* Ends running programs while the loop still runs; later requests are
 * refused. */
void cli_handlers_close(cli_handlers *handlers);
/* After the hub is freed: until then workers may use them. */
void cli_handlers_free(cli_handlers *handlers);

/* The handle `echo`: answers with its argument. flags: as pn_expose. */
PN_MUST_USE pn_err cli_expose_echo(pn_node *node, unsigned flags);

#endif

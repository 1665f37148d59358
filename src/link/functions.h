/* SPDX-License-Identifier: Apache-2.0 */
/* The functions behind a BeamDist handle, each with grants of its own. */
#ifndef PN_LINK_FUNCTIONS_H
#define PN_LINK_FUNCTIONS_H

#include <peernet/node.h>

#include "base/core.h"
#include "link/handles.h"
#include "trust/grants.h"

typedef struct pn_function {
    char *module; /* as an atom: "Elixir.MyApp.Led", "led" */
    char *name;
    char *shown; /* "MyApp.Led.set/1", ":led.on/0" */
    unsigned arity;
    pn_handler *handler;
    void *user;
    bool is_builtin; /* gives way to an export */
    pn_grants grants;
} pn_function;

/* Zero-filled is empty. A function stays where it is: requests point at it. */
typedef struct pn_functions {
    pn_function **items;
    size_t n_items;
    size_t cap;
} pn_functions;

void pn_functions_fini(pn_functions *f);
/* NULL: there is none. */
pn_function *pn_functions_find(
    const pn_functions *f, pn_slice module, pn_slice name, unsigned arity);
/* Replaces a built-in function of that name, and drops its grants.
 * *ret_function stays f's. Errors: PN_EXISTS, PN_NOMEM; PN_INVALID one of them
 * is no atom. */
PN_MUST_USE pn_err pn_functions_add(pn_functions *f, const char *module,
    const char *name, unsigned arity, pn_function **ret_function);
/* Drops every grant of who. */
void pn_functions_forget(pn_functions *f, const pn_principal *who);

/* As grants name it: "MyApp.Led.set/1". False: no memory, or no atoms. */
PN_CORE bool pn_function_name(pn_term module, pn_term name, unsigned arity,
    char ret_name[static PN_FUNCTION_NAME_CAP]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The functions behind a BeamDist handle; see functions.h. */
#include "link/functions.h"
#include "base/grow.h"
#include "base/slice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void function_free(pn_function *function)
{
    if (function != NULL) {
        free(function->module);
        free(function->name);
        free(function->shown);
        pn_grants_fini(&function->grants);
    }
    free(function);
}

void pn_functions_fini(pn_functions *f)
{
    for (size_t i = 0; i < f->n_items; i++) {
        function_free(f->items[i]);
    }
    free(f->items);
    *f = (pn_functions){0};
}

pn_function *pn_functions_find(
    const pn_functions *f, pn_slice module, pn_slice name, unsigned arity)
{
    for (size_t i = 0; i < f->n_items; i++) {
        pn_function *function = f->items[i];

        if (function->arity == arity && pn_slice_is(module, function->module)
            && pn_slice_is(name, function->name)) {
            return function;
        }
    }
    return NULL;
}

/* Errors: PN_NOMEM; PN_INVALID one of them is no atom. */
static pn_err shown_name(
    const char *module, const char *name, unsigned arity, char **ret_shown)
{
    char text[PN_FUNCTION_NAME_CAP];
    pn_term_writer w;
    pn_term pair;
    pn_term first;
    pn_term second;
    pn_err err;

    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, "{~a, ~a}", module, name);
    err = pn_term_writer_finish(&w, NULL, &pair);
    if (err == PN_OK) {
        *ret_shown = pn_term_match(pair, "{~t, ~t}", &first, &second)
                             && pn_function_name(first, second, arity, text)
                         ? strdup(text)
                         : NULL;
        err = *ret_shown == NULL ? PN_NOMEM : PN_OK;
    }
    pn_term_writer_free(&w);
    return err;
}

static pn_err function_new(const char *module, const char *name, unsigned arity,
    pn_function **ret_function)
{
    pn_function *function = calloc(1, sizeof(*function));
    pn_err err;

    if (function == NULL) {
        return PN_NOMEM;
    }
    function->module = strdup(module);
    function->name = strdup(name);
    function->arity = arity;
    err = shown_name(module, name, arity, &function->shown);
    if (err == PN_OK && (function->module == NULL || function->name == NULL)) {
        err = PN_NOMEM;
    }
    if (err != PN_OK) {
        function_free(function);
        return err;
    }
    *ret_function = function;
    return PN_OK;
}

pn_err pn_functions_add(pn_functions *f, const char *module, const char *name,
    unsigned arity, pn_function **ret_function)
{
    pn_function *function = pn_functions_find(
        f, pn_slice_of(module), pn_slice_of(name), arity);
    pn_err err;

    if (function != NULL && !function->is_builtin) {
        return PN_EXISTS;
    }
    if (function != NULL) {
        /* Grants for the built-in function do not carry over to its
         * replacement. */
        pn_grants_fini(&function->grants);
        function->grants = (pn_grants){0};
        function->is_builtin = false;
        *ret_function = function;
        return PN_OK;
    }
    if (!pn_grow(&f->items, &f->cap, f->n_items, sizeof(pn_function *))) {
        return PN_NOMEM;
    }
    err = function_new(module, name, arity, &function);
    if (err == PN_OK) {
        f->items[f->n_items++] = function;
        *ret_function = function;
    }
    return err;
}

void pn_functions_forget(pn_functions *f, const pn_principal *who)
{
    for (size_t i = 0; i < f->n_items; i++) {
        (void)!pn_grants_remove(&f->items[i]->grants, who);
    }
}

bool pn_function_name(pn_term module, pn_term name, unsigned arity,
    char ret_name[static PN_FUNCTION_NAME_CAP])
{
    char *first = NULL;
    char *second = NULL;
    size_t len = 0;
    bool is_named = pn_term_type_of(module) == PN_TERM_ATOM
                    && pn_term_type_of(name) == PN_TERM_ATOM
                    && pn_term_to_text(module, &first, &len) == PN_OK
                    && pn_term_to_text(name, &second, &len) == PN_OK;

    if (is_named) {
        (void)snprintf(ret_name, PN_FUNCTION_NAME_CAP, "%s.%s/%u", first,
            second + (second[0] == ':' ? 1 : 0), arity);
    }
    free(first);
    free(second);
    return is_named;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BeamDist: apply(Mod, Fun, Args) under a handle (docs/PROTOCOL.md, section
 * 4.4). Every function has grants of its own; a grant for the handle is none
 * for a function.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peernet/beam_dist.h>

#include "base/mutant.h"
#include "base/slice.h"
#include "link/decide.h"
#include "link/expose.h"
#include "link/functions.h"
#include "link/node_core.h"
#include "link/reasons.h"
#include "term/check.h"

enum { NAME_MAX_LEN = 255 };

/* Guarded by the node's lock; requests point into functions. */
struct pn_beam_dist {
    pn_node *node;
    pn_functions functions;
};

/* {rpc | cast, Mod, Fun, Args} as it came. */
typedef struct operation {
    bool is_cast;
    pn_term module;
    pn_term name;
    pn_term args;
    unsigned arity;
} operation;

static bool operation_read(pn_term term, operation *op)
{
    pn_slice verb;
    pn_slice ignored;
    pn_term_reader r;

    if (!pn_term_match(
            term, "{~a, ~t, ~t, ~t}", &verb, &op->module, &op->name, &op->args)
        || !pn_term_match(op->module, "~a", &ignored)
        || !pn_term_match(op->name, "~a", &ignored)
        || pn_term_type_of(op->args) != PN_TERM_LIST) {
        return false;
    }
    op->is_cast = pn_slice_is(verb, "cast");
    if (!op->is_cast && !pn_slice_is(verb, "rpc")) {
        return false;
    }
    pn_term_reader_init(&r, op->args);
    op->arity = pn_term_read_list(&r);
    return true;
}

/* ---- the table --------------------------------------------------------- */

static void table_free(void *user)
{
    pn_beam_dist *table = user;

    pn_functions_fini(&table->functions);
    free(table);
}

static void table_forget(void *user, const pn_principal *who)
{
    pn_beam_dist *table = user;

    pn_functions_forget(&table->functions, who);
}

static bool table_name_function(
    void *user, pn_term args, char ret_name[static PN_FUNCTION_NAME_CAP])
{
    operation op;

    (void)user;
    return operation_read(args, &op)
           && pn_function_name(op.module, op.name, op.arity, ret_name);
}

static void table_each(void *user, pn_grants_told *tell, void *to)
{
    const pn_beam_dist *table = user;

    for (size_t i = 0; i < table->functions.n_items; i++) {
        const pn_function *f = table->functions.items[i];

        tell(to, f->shown, true, &f->grants);
    }
}

static const pn_handle_owner table_owner = {
    .free = table_free,
    .forget = table_forget,
    .name_function = table_name_function,
    .each = table_each,
};

/* The atom behind a module's printed name: "MyApp.Led" is 'Elixir.MyApp.Led',
 * ":led" is led. Errors: PN_INVALID, PN_NOMEM. */
static pn_err module_atom(const char *module, char **ret_atom)
{
    size_t len = module == NULL ? 0 : strlen(module);
    bool is_erlang = len > 1 && module[0] == ':';

    if (len == 0 || len > NAME_MAX_LEN - 7
        || (!is_erlang && (module[0] < 'A' || module[0] > 'Z'))) {
        return PN_INVALID;
    }
    if (is_erlang) {
        *ret_atom = strdup(module + 1);
        return *ret_atom == NULL ? PN_NOMEM : PN_OK;
    }
    if (strncmp(module, "Elixir.", 7) == 0) {
        module += 7;
    }
    return asprintf(ret_atom, "Elixir.%s", module) < 0 ? PN_NOMEM : PN_OK;
}

pn_err pn_beam_dist_export(pn_beam_dist *table, const char *module,
    const char *function_name, unsigned arity, pn_handler *handler, void *user)
{
    size_t len = function_name == NULL ? 0 : strlen(function_name);
    pn_function *f = NULL;
    char *atom = NULL;
    pn_err err;

    if (len == 0 || len > NAME_MAX_LEN || handler == NULL || arity > 255) {
        return PN_INVALID;
    }
    err = module_atom(module, &atom);
    if (err != PN_OK) {
        return err;
    }
    pn_node_lock(table->node);
    err = pn_functions_add(&table->functions, atom, function_name, arity, &f);
    if (err == PN_OK) {
        f->handler = handler;
        f->user = user;
    }
    pn_node_unlock(table->node);
    free(atom);
    return err;
}

static pn_err change_grant(pn_beam_dist *table, const char *module,
    const char *name, unsigned arity, const pn_principal *who, bool is_grant)
{
    char *atom = NULL;
    pn_function *f;
    pn_err err;

    if (name == NULL) {
        return PN_INVALID;
    }
    err = module_atom(module, &atom);
    if (err != PN_OK) {
        return err;
    }
    pn_node_lock(table->node);
    f = pn_functions_find(
        &table->functions, pn_slice_of(atom), pn_slice_of(name), arity);
    if (f == NULL) {
        err = PN_NOT_FOUND;
    } else if (who == NULL) {
        f->grants.any_paired_peernet = is_grant;
    } else if (is_grant) {
        err = pn_grants_add(&f->grants, who);
    } else {
        err = pn_grants_remove(&f->grants, who);
    }
    pn_defer_recheck(table->node);
    pn_node_unlock(table->node);
    free(atom);
    return err;
}

pn_err pn_beam_dist_grant(pn_beam_dist *table, const char *module,
    const char *name, unsigned arity, const pn_principal *who)
{
    return change_grant(table, module, name, arity, who, true);
}

pn_err pn_beam_dist_ungrant(pn_beam_dist *table, const char *module,
    const char *name, unsigned arity, const pn_principal *who)
{
    return change_grant(table, module, name, arity, who, false);
}

pn_err pn_beam_dist_set_grants(pn_beam_dist *table, const char *module,
    const char *function_name, unsigned arity, bool is_paired,
    const pn_principal *who, size_t n)
{
    pn_grants grants = {.any_paired_peernet = is_paired};
    char *atom = NULL;
    pn_function *f;
    pn_err err = function_name == NULL ? PN_INVALID
                                       : module_atom(module, &atom);

    for (size_t i = 0; err == PN_OK && i < n; i++) {
        err = pn_grants_add(&grants, &who[i]);
    }
    if (err == PN_OK) {
        pn_node_lock(table->node);
        f = pn_functions_find(&table->functions, pn_slice_of(atom),
            pn_slice_of(function_name), arity);
        if (f == NULL) {
            err = PN_NOT_FOUND;
        } else {
            pn_grants_swap(&f->grants, &grants);
            pn_defer_recheck(table->node);
        }
        pn_node_unlock(table->node);
    }
    pn_grants_fini(&grants);
    free(atom);
    return err;
}

/* ---- serving ----------------------------------------------------------- */

/* Longer arguments are left out of the answer, so that no peer can make it
 * large. */
enum { UNDEF_ARGS_MAX = 1024 };

/* Do the arguments fit into {reply, Id, {error, {undef, [{M, F, Args, []}]}}},
 * five levels around them? */
static bool are_args_shown(const pn_request *req, pn_term args)
{
    pn_term_limits limits = req->node->term_limits;

    limits.max_depth = limits.max_depth > 5 ? limits.max_depth - 5 : 1;
    return args.len <= UNDEF_ARGS_MAX && pn_check_bare(args, &limits) == PN_OK;
}

/* Writes {Mod, Fun, Arity} in the caller's own atoms, which its VM knows; for a
 * function that does not exist the stack trace of OTP, [{Mod, Fun, Args,
 * []}]. */
static void write_mfa(pn_term_writer *w, const pn_request *req,
    const operation *op, pn_reason reason)
{
    if (reason != PN_REASON_FUNCTION_NOT_EXPORTED) {
        pn_term_write_format(
            w, "{~t, ~t, ~u}", op->module, op->name, (uint64_t)op->arity);
    } else if (are_args_shown(req, op->args)) {
        pn_term_write_format(
            w, "[{~t, ~t, ~t, []}]", op->module, op->name, op->args);
    } else {
        pn_term_write_format(
            w, "[{~t, ~t, ~u, []}]", op->module, op->name, (uint64_t)op->arity);
    }
}

static void refuse(pn_request *req, const operation *op, pn_reason reason)
{
    pn_term_writer w;
    pn_term mfa;
    pn_err err;

    pn_term_writer_init(&w, 0);
    write_mfa(&w, req, op, reason);
    err = pn_term_writer_finish(&w, NULL, &mfa);
    pn_node_lock(req->node);
    pn_request_refuse(req, reason, err == PN_OK ? &mfa : NULL);
    pn_node_unlock(req->node);
    pn_term_writer_free(&w);
}

/* May this caller use this function? The same decision as for a handle, over
 * the function's own grants. */
static pn_reason decide(pn_beam_dist *table, pn_request *req,
    const operation *op, pn_function *ret_function)
{
    pn_slice module;
    pn_slice name;
    const pn_function *f;
    pn_reason reason;

    if (!pn_term_match(op->module, "~a", &module)
        || !pn_term_match(op->name, "~a", &name)) {
        return PN_REASON_BAD_ARGUMENT;
    }
    pn_node_lock(table->node);
    f = pn_functions_find(&table->functions, module, name, op->arity);
    reason = pn_link_decide_function(
        req->link, f == NULL ? "" : f->shown, f == NULL ? NULL : &f->grants);
    if (f != NULL) {
        *ret_function = *f;
        req->function_grants = &f->grants;
        req->function_name = f->shown;
    }
    pn_node_unlock(table->node);
    if (f == NULL) {
        return PN_REASON_FUNCTION_NOT_EXPORTED;
    }
    return PN_REFUSE_IF(function_grant, reason != PN_REASON_NONE)
               ? PN_REASON_FUNCTION_FORBIDDEN
               : PN_REASON_NONE;
}

static void on_beam_dist(pn_request *req, pn_term args, void *user)
{
    pn_beam_dist *table = user;
    pn_function f = {0};
    operation op;
    pn_reason reason;

    if (!operation_read(args, &op)) {
        /* A value, not a failure, as the originals answer it. */
        (void)pn_request_reply(req, "{error, unknown_beam_dist_op}");
        return;
    }
    reason = decide(table, req, &op, &f);
    if (reason != PN_REASON_NONE) {
        refuse(req, &op, reason);
        return;
    }
    if (op.is_cast) {
        /* Answered at once; from here on it is a send. */
        (void)pn_request_reply(req, "ok");
        pn_node_lock(table->node);
        req->is_call = false;
        req->is_answered = false;
        pn_node_unlock(table->node);
    }
    f.handler(req, op.args, f.user);
}

/* Logger.debug/info/warning/error: one argument, to the node's log. */
static void on_logger(pn_request *req, pn_term args, void *user)
{
    static const pn_log_what what[] = {PN_LOG_PEER_DEBUGS, PN_LOG_PEER_SAYS,
        PN_LOG_PEER_WARNS, PN_LOG_PEER_REPORTS};
    pn_log_level level = (pn_log_level)(intptr_t)user;
    pn_slice text = {0};
    pn_term any;
    char *printed = NULL;
    size_t len = 0;

    if (!pn_term_match(args, "[~t]", &any)) {
        (void)pn_request_fail(req, "badarg");
        return;
    }
    if (!pn_term_match(any, "~b", &text)
        && pn_term_to_text(any, &printed, &len) == PN_OK) {
        text = (pn_slice){(const uint8_t *)printed, len};
    }
    pn_node_lock(req->node);
    pn_node_log(req->node, &(pn_log_line){.level = level,
                               .what = what[level],
                               .who = pn_request_caller(req),
                               .label = req->link->label,
                               .text = text});
    pn_node_unlock(req->node);
    free(printed);
    (void)pn_request_reply(req, "ok");
}

static pn_err export_logger(pn_beam_dist *table)
{
    static const struct {
        const char *name;
        pn_log_level level;
    } functions[] = {
        {"debug", PN_LOG_DEBUG},
        {"info", PN_LOG_INFO},
        {"warning", PN_LOG_WARNING},
        {"error", PN_LOG_ERROR},
    };

    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        pn_err err = pn_beam_dist_export(table, "Logger", functions[i].name, 1,
            on_logger, (void *)(intptr_t)functions[i].level);

        if (err != PN_OK) {
            return err;
        }
        table->functions.items[i]->is_builtin = true;
    }
    return PN_OK;
}

pn_err pn_beam_dist_serve(pn_node *node, const char *handle,
    const pn_expose_options *options, pn_beam_dist **ret_table)
{
    pn_beam_dist *table = calloc(1, sizeof(*table));
    pn_err err;

    if (table == NULL) {
        return PN_NOMEM;
    }
    table->node = node;
    err = export_logger(table);
    if (err == PN_OK) {
        err = pn_node_expose_owned(node,
            handle == NULL ? PN_BEAM_DIST_HANDLE : handle, on_beam_dist, table,
            &table_owner, options);
    }
    if (err != PN_OK) {
        table_free(table);
        return err;
    }
    *ret_table = table;
    return PN_OK;
}

/* ---- towards peers ----------------------------------------------------- */

static pn_err operation_write(pn_term_writer *w, const char *verb,
    const char *module, const char *name, pn_term args, pn_term *ret_term)
{
    char *atom = NULL;
    pn_err err;

    pn_term_writer_init(w, 0);
    if (name == NULL || pn_term_type_of(args) != PN_TERM_LIST) {
        return PN_INVALID;
    }
    err = module_atom(module, &atom);
    if (err != PN_OK) {
        return err;
    }
    pn_term_write_format(w, "{~a, ~a, ~a, ~t}", verb, atom, name, args);
    free(atom);
    return pn_term_writer_finish(w, NULL, ret_term);
}

pn_err pn_beam_dist_call(pn_node *node, const pn_public_key *peer,
    const char *handle, const char *module, const char *name, pn_term args,
    uint32_t timeout_ms, pn_reply **ret_reply)
{
    pn_term_writer w;
    pn_term term;
    pn_err err = operation_write(&w, "rpc", module, name, args, &term);

    if (err == PN_OK) {
        err = pn_call_term(node, peer,
            handle == NULL ? PN_BEAM_DIST_HANDLE : handle, timeout_ms, term,
            ret_reply);
    }
    pn_term_writer_free(&w);
    return err;
}

pn_err pn_beam_dist_cast(pn_node *node, const pn_public_key *peer,
    const char *handle, const char *module, const char *name, pn_term args)
{
    pn_term_writer w;
    pn_term term;
    pn_err err = operation_write(&w, "cast", module, name, args, &term);

    if (err == PN_OK) {
        err = pn_send_term(
            node, peer, handle == NULL ? PN_BEAM_DIST_HANDLE : handle, term);
    }
    pn_term_writer_free(&w);
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "run_apply.h"

#include <string.h>

#include "base/mutant.h"

/* Both sides of one change. */
typedef struct change {
    const cli_settings *old; /* NULL: the start */
    const cli_settings *s;
    cli_hub *hub;
    cli_handlers *handlers;
    cli_applied applied;
    const char *what;
} change;

/* ---- options ------------------------------------------------------------ */

bool cli_settings_same(
    const cli_settings *a, const cli_settings *b, const char *option)
{
    unsigned i = 0;
    unsigned j = 0;
    const char *left;
    const char *right;

    do {
        left = cli_args_next(&a->args, option, &i);
        right = cli_args_next(&b->args, option, &j);
        if ((left == NULL) != (right == NULL)
            || (left != NULL && strcmp(left, right) != 0)) {
            return false;
        }
    } while (left != NULL);
    return true;
}

/* What a reload changes; all else needs a start. */
static bool is_live(const cli_option *option)
{
    static const char *const live[] = {
        "echo", "own-label", "verbose", "config", NULL};
    size_t i = 0;

    if ((option->sections & CLI_IN_HANDLES) != 0) {
        return true;
    }
    while (live[i] != NULL && strcmp(live[i], option->name) != 0) {
        i++;
    }
    return live[i] != NULL;
}

const cli_option *cli_settings_needs_restart(
    const cli_settings *old, const cli_settings *s, unsigned *i)
{
    unsigned at = 0;

    for (size_t t = 0; cli_run_tables[t] != NULL; t++) {
        for (const cli_option *o = cli_run_tables[t]; o->name != NULL; o++) {
            if (at++ < *i) {
                continue;
            }
            *i = at;
            if (!is_live(o) && !cli_settings_same(old, s, o->name)) {
                return o;
            }
        }
    }
    return NULL;
}

/* ---- programs ----------------------------------------------------------- */

/* The search begins at a place of the same number, where an unchanged list has
 * it. */
static run_program *find_program(
    const cli_settings *s, const char *name, size_t from)
{
    for (size_t i = 0; i < s->n_programs; i++) {
        run_program *p = s->programs[(from + i) % s->n_programs];

        if (strcmp(p->name, name) == 0) {
            return p;
        }
    }
    return NULL;
}

static bool is_same_program(const run_program *a, const run_program *b)
{
    if (a->n_args != b->n_args || strcmp(a->path, b->path) != 0
        || a->exposed.is_text != b->exposed.is_text
        || a->exposed.is_function != b->exposed.is_function
        || a->exposed.program.timeout_ms != b->exposed.program.timeout_ms) {
        return false;
    }
    for (size_t i = 0; i <= a->n_args; i++) {
        if (strcmp(a->argv[i], b->argv[i]) != 0) {
            return false;
        }
    }
    return true;
}

static pn_err expose_programs(change *c)
{
    for (size_t i = 0; i < c->s->n_programs; i++) {
        run_program *p = c->s->programs[i];
        const run_program *was = c->old == NULL
                                     ? NULL
                                     : find_program(c->old, p->name, i);
        pn_err err;

        if (was != NULL && is_same_program(was, p)) {
            continue;
        }
        err = p->exposed.is_function
                  ? cli_handlers_export(c->handlers, &p->exposed, &p->function)
                  : cli_handlers_expose(c->handlers, &p->exposed);
        if (err != PN_OK) {
            c->what = p->name;
            return err;
        }
        c->applied.n_changed++;
    }
    return PN_OK;
}

static void remove_programs(change *c)
{
    for (size_t i = 0; i < c->old->n_programs; i++) {
        run_program *p = c->old->programs[i];

        if (PN_SAFEGUARD(reload_removes)
            && find_program(c->s, p->name, i) == NULL) {
            cli_handlers_remove(c->handlers, &p->exposed);
            c->applied.n_removed++;
        }
    }
}

/* ---- grants ------------------------------------------------------------- */

/* A function needs the grant of its handle, too. */
pn_err cli_settings_grant(cli_hub *hub, cli_handlers *handlers,
    const run_allowance *a, const pn_principal *who)
{
    pn_node *node = cli_hub_node(hub);
    const char *handle = a->function != NULL ? PN_BEAM_DIST_HANDLE : a->name;
    pn_err err = a->function != NULL ? cli_handlers_serve(handlers, 0) : PN_OK;

    if (err != PN_OK || a->is_stored) {
        return err;
    }
    err = who == NULL ? pn_grant_paired(node, handle)
                      : pn_grant(node, handle, who);
    return err == PN_OK && a->function != NULL
               ? cli_handlers_allow(handlers, a->function, who)
               : err;
}

static const pn_principal *who_of(const run_allowance *a)
{
    return a->is_all ? NULL : &a->who;
}

static bool is_same_peer(const run_allowance *a, const run_allowance *b)
{
    return a->is_all == b->is_all && a->is_stored == b->is_stored
           && (a->is_all || memcmp(&a->who, &b->who, sizeof(a->who)) == 0);
}

/* True when s has the grant, or for a function (any) one of its handle. */
static bool has_grant(
    const cli_settings *s, const run_allowance *a, size_t from, bool any)
{
    for (size_t i = 0; i < s->n_allowances; i++) {
        const run_allowance *b = &s->allowances[(from + i) % s->n_allowances];

        if (is_same_peer(a, b)
            && (any ? b->function != NULL : strcmp(a->name, b->name) == 0)) {
            return true;
        }
    }
    return false;
}

/* A built-in handle without --allow is open to every paired peer. */
static bool is_limited(const cli_settings *s, const char *handle)
{
    for (size_t i = 0; i < s->n_allowances; i++) {
        if (strcmp(s->allowances[i].name, handle) == 0) {
            return true;
        }
    }
    return false;
}

static pn_err give_grants(change *c)
{
    for (size_t i = 0; i < c->s->n_allowances; i++) {
        const run_allowance *a = &c->s->allowances[i];
        pn_err err = cli_settings_grant(c->hub, c->handlers, a, who_of(a));

        if (err != PN_OK) {
            c->what = a->name;
            return err;
        }
    }
    return PN_OK;
}

static void take_grants(change *c)
{
    pn_node *node = cli_hub_node(c->hub);

    for (size_t i = 0; i < c->old->n_allowances; i++) {
        const run_allowance *a = &c->old->allowances[i];

        if (a->is_stored) {
            continue; /* the file of grants is another's */
        }
        if (PN_REFUSE_IF(reload_ungrants, !has_grant(c->s, a, i, false))) {
            if (a->function != NULL) {
                cli_handlers_disallow(c->handlers, a->function, who_of(a));
            } else {
                (void)!pn_ungrant(node, a->name, who_of(a));
            }
        }
        if (a->function != NULL && !has_grant(c->s, a, i, true)) {
            (void)!pn_ungrant(node, PN_BEAM_DIST_HANDLE, who_of(a));
        }
    }
}

/* ---- handles that are built in ------------------------------------------ */

static bool has_echo(const cli_settings *s)
{
    return s != NULL && s->options.echo;
}

static pn_err open_echo(change *c)
{
    pn_node *node = cli_hub_node(c->hub);
    bool is_closed = is_limited(c->s, "echo");

    c->what = "echo";
    if (!has_echo(c->s)) {
        return PN_OK;
    }
    if (!has_echo(c->old)) {
        return cli_expose_echo(node, is_closed ? PN_EXPOSE_CLOSED : 0);
    }
    return is_closed ? PN_OK : pn_grant_paired(node, "echo");
}

/* The grants of single peers are there by now. */
static void close_builtins(change *c)
{
    pn_node *node = cli_hub_node(c->hub);

    if (has_echo(c->old) && !has_echo(c->s)
        && find_program(c->s, "echo", 0) == NULL) {
        (void)!pn_revoke(node, "echo");
    }
    if (has_echo(c->old) && has_echo(c->s) && is_limited(c->s, "echo")
        && !is_limited(c->old, "echo")) {
        const run_allowance all = {.name = "echo", .is_all = true};

        if (!has_grant(c->s, &all, 0, false)) {
            (void)!pn_ungrant(node, "echo", NULL);
        }
    }
}

/* The hub has opened it to every paired peer. A reload neither opens nor closes
 * it. */
static void limit_chat(change *c)
{
    const run_allowance all = {.name = "chat", .is_all = true};
    pn_node *node = cli_hub_node(c->hub);

    if (!c->s->options.chat || (c->old != NULL && !c->old->options.chat)) {
        return;
    }
    if (!is_limited(c->s, "chat")) {
        (void)!pn_grant_paired(node, "chat");
    } else if (!has_grant(c->s, &all, 0, false)) {
        (void)!pn_ungrant(node, "chat", NULL);
    }
}

pn_err cli_settings_apply(const cli_settings *old, const cli_settings *s,
    cli_hub *hub, cli_handlers *handlers, cli_applied *ret_applied,
    const char **ret_what)
{
    change c = {.old = old, .s = s, .hub = hub, .handlers = handlers};
    pn_err err = expose_programs(&c);

    if (err == PN_OK) {
        err = open_echo(&c);
    }
    if (err == PN_OK) {
        err = give_grants(&c);
    }
    if (err == PN_OK && old != NULL) {
        take_grants(&c);
        remove_programs(&c);
        close_builtins(&c);
    }
    if (err == PN_OK) {
        limit_chat(&c);
    }
    *ret_applied = c.applied;
    *ret_what = c.what;
    return err;
}

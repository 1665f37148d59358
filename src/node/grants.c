/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of grants of a running node: read when it changes, edited by the
 * application, and asked. An edit holds the store's lock, and is in force when
 * the function returns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "base/slice.h"
#include "node/node_internal.h"
#include "os/clock.h"
#include "trust/inquiry.h"

/* The wall clock may be set, so it is looked at this often while a grant is to
 * end. */
#define LOOK_US (60 * PN_US_PER_S)

enum { BAD_LINES_TOLD = 8 };

static pn_node_grants *grants_of(const pn_node *node)
{
    return &pn_full(node)->trust.grants;
}

/* ---- reading ------------------------------------------------------------- */

/* Both locks held. */
static void tell_read(pn_node *node, pn_err err, const pn_why *why)
{
    if (err == grants_of(node)->read_err) {
        return;
    }
    grants_of(node)->read_err = err;
    pn_node_log(node,
        &(pn_log_line){.level = err == PN_OK ? PN_LOG_WARNING : PN_LOG_ERROR,
            .what = err == PN_OK ? PN_LOG_GRANTS : PN_LOG_GRANTS_NOT_READ,
            .text = pn_slice_of(err == PN_OK        ? "they can be read now"
                                : why->text[0] == 0 ? pn_strerror(err)
                                                    : why->text),
            .reason = err == PN_OK ? PN_REASON_NONE : PN_REASON_SYSTEM});
}

/* Changes when another line is bad, or for another reason. */
static uint64_t sum_of_bad(const pn_grants_file *file, size_t *ret_n)
{
    uint64_t sum = 0;

    *ret_n = 0;
    for (size_t i = 0; i < file->n_lines; i++) {
        if (file->lines[i].why != NULL) {
            sum = (sum ^ file->lines[i].number) * UINT64_C(1099511628211)
                  + (uintptr_t)file->lines[i].why;
            (*ret_n)++;
        }
    }
    return sum;
}

/* Lines that count for nothing, once. Lock held. */
static void tell_bad(pn_node *node)
{
    const pn_grants_file *file = &node->stored_grants;
    size_t n = 0;
    const uint64_t sum = sum_of_bad(file, &n);
    size_t n_told = 0;

    if (sum == grants_of(node)->bad_told) {
        return;
    }
    grants_of(node)->bad_told = sum;
    for (size_t i = 0; i < file->n_lines && n_told < BAD_LINES_TOLD; i++) {
        char text[256];

        if (file->lines[i].why != NULL) {
            (void)snprintf(text, sizeof(text),
                "line %zu counts for nothing: %s", file->lines[i].number,
                file->lines[i].why);
            pn_node_log(node, &(pn_log_line){.level = PN_LOG_WARNING,
                                  .what = PN_LOG_GRANTS,
                                  .text = pn_slice_of(text)});
            n_told++;
        }
    }
    if (n > n_told) {
        char text[64];

        (void)snprintf(
            text, sizeof(text), "and %zu more such lines", n - n_told);
        pn_node_log(node, &(pn_log_line){.level = PN_LOG_WARNING,
                              .what = PN_LOG_GRANTS,
                              .text = pn_slice_of(text)});
    }
}

static void plan_end(pn_node *node)
{
    const int64_t now_us = pn_wall_now_us();
    const int64_t end_us = pn_grants_file_next_end(
        &node->stored_grants, now_us);
    const uint64_t left_us = (uint64_t)(end_us - now_us);

    grants_of(node)->due_us =
        end_us == PN_GRANT_FOR_EVER
            ? PN_TIME_NEVER
            : pn_node_now(node) + (left_us < LOOK_US ? left_us : LOOK_US);
}

/* Lines of principals that lost our trust count for nothing, and are gone from
 * the list of those once the file does not name them. Lock held. */
static void keep_forgotten(pn_node *node)
{
    pn_forgotten *f = &node->forgotten;

    for (size_t i = f->n; i-- > 0;) {
        if (pn_grants_file_names(&node->stored_grants, &f->items[i])) {
            pn_grants_file_kill(&node->stored_grants, &f->items[i]);
        } else {
            f->items[i] = f->items[--f->n];
        }
    }
}

void pn_node_reload_grants(pn_node *node)
{
    pn_grants_file file;
    pn_grants_file old;
    pn_why why = {0};
    const pn_err err = pn_store_read_grants(
        pn_full(node)->trust.store, &file, &why);

    assert_unlocked(node);
    pn_node_lock(node);
    /* What cannot be read grants nothing, and neither does what it said before:
     * a line may have been removed since. */
    old = node->stored_grants;
    if (PN_REFUSE_IF(grants_unreadable, err != PN_OK) || err == PN_OK) {
        node->stored_grants = file;
    } else {
        old = file;
    }
    if (err == PN_OK) {
        keep_forgotten(node);
        tell_bad(node);
    }
    tell_read(node, err, &why);
    plan_end(node);
    pn_defer_recheck(node);
    pn_node_wake(node);
    pn_node_unlock(node);
    pn_grants_file_fini(&old);
}

/* ---- ends ---------------------------------------------------------------- */

void pn_node_grants_tick(pn_node *node, uint64_t now_us)
{
    assert_on_loop(node);
    assert_locked(node);
    if (now_us >= grants_of(node)->due_us) {
        /* In this order: a line that ends between the two is seen by the
         * second. */
        plan_end(node);
        pn_defer_recheck(node);
    }
}

/* ---- trust that was taken back --------------------------------------------
 */

/* Errors: PN_CLOSED; as pn_store_forget_grants, after the log has it. */
static pn_err forget_first(pn_node *node)
{
    pn_store *store = pn_full(node)->trust.store;
    pn_why why = {0};
    pn_err err = PN_NOT_FOUND;
    pn_principal who;

    pn_node_lock(node);
    if (store != NULL && node->forgotten.n > 0) {
        who = node->forgotten.items[0];
        err = PN_OK;
    }
    pn_node_unlock(node);
    if (err == PN_OK) {
        err = pn_store_forget_grants(store, &who, &why);
    }
    pn_node_lock(node);
    if (err == PN_OK && node->forgotten.n > 0
        && pn_principal_equal(&node->forgotten.items[0], &who)) {
        node->forgotten.items[0] = node->forgotten.items[--node->forgotten.n];
    }
    if (why.text[0] != '\0') {
        pn_node_log(node, &(pn_log_line){.level = PN_LOG_WARNING,
                              .what = PN_LOG_GRANTS_NOT_WRITTEN,
                              .text = pn_slice_of(why.text)});
    }
    pn_node_unlock(node);
    return err;
}

/* The store's lock held. */
static pn_err forget_all(pn_node *node)
{
    pn_err err;

    do {
        err = forget_first(node);
    } while (err == PN_OK);
    return err == PN_NOT_FOUND ? PN_OK : err;
}

/* On a worker. A failure leaves the lines dead in memory. */
static void on_forget(pn_node *node, pn_job *job)
{
    pn_node_unlock(node);
    (void)pthread_mutex_lock(&pn_full(node)->trust.lock);
    if (pn_full(node)->trust.store != NULL) {
        (void)!forget_all(node);
        pn_node_reload_grants(node);
    }
    pn_node_store_unlock(node);
    pn_node_lock(node);
    grants_of(node)->is_forgetting = false;
    free(job);
}

void pn_node_grants_turn(pn_node *node)
{
    pn_job *job;

    assert_on_loop(node);
    assert_locked(node);
    if (!node->forgotten.is_news || grants_of(node)->is_forgetting) {
        return;
    }
    job = calloc(1, sizeof(*job));
    if (job == NULL) {
        return;
    }
    job->run = on_forget;
    if (pn_dispatch_job(node, job) != PN_OK) {
        free(job);
        return;
    }
    node->forgotten.is_news = false;
    grants_of(node)->is_forgetting = true;
}

/* ---- edits ----------------------------------------------------------------
 */

/* Store entered. What is to be forgotten goes first, so that the edit does not
 * bring it back. */
static pn_err leave(pn_node *node, pn_err err)
{
    pn_node_reload_grants(node);
    pn_node_store_leave(node);
    return err;
}

static pn_err enter(pn_node *node, pn_why *ret_why)
{
    pn_err err = pn_node_store_enter(node);

    pn_why_clear(ret_why);
    if (err == PN_OK) {
        (void)!forget_all(node);
    }
    return err;
}

pn_err pn_grant_stored(
    pn_node *node, const pn_stored_grant *grant, pn_why *ret_why)
{
    pn_err err = enter(node, ret_why);

    return err != PN_OK ? err
                        : leave(node, pn_store_grant(pn_full(node)->trust.store,
                                          grant, ret_why));
}

pn_err pn_ungrant_stored(
    pn_node *node, const pn_principal *who, const char *name, pn_why *ret_why)
{
    pn_err err = enter(node, ret_why);

    return err != PN_OK
               ? err
               : leave(node, pn_store_ungrant(pn_full(node)->trust.store, who,
                                 name, ret_why));
}

pn_err pn_set_role(pn_node *node, const char *role, const char *const *names,
    size_t n, pn_why *ret_why)
{
    pn_err err = enter(node, ret_why);

    return err != PN_OK
               ? err
               : leave(node, pn_store_set_role(pn_full(node)->trust.store, role,
                                 names, n, ret_why));
}

pn_err pn_list_stored_grants(
    pn_node *node, pn_stored_line **ret_lines, size_t *ret_n, pn_why *ret_why)
{
    pn_err err = pn_node_store_enter(node);

    if (err == PN_OK) {
        err = pn_store_list_grants(
            pn_full(node)->trust.store, ret_lines, ret_n, ret_why);
        pn_node_store_leave(node);
    }
    return err;
}

/* ---- asking ---------------------------------------------------------------
 */

/* A function that is looked for. */
typedef struct search {
    const char *name;
    const pn_handle *table;  /* that it is behind */
    const pn_grants *grants; /* NULL: not found */
} search;

static void on_subject(
    void *to, const char *name, bool is_function, const pn_grants *grants)
{
    search *s = to;

    if (is_function && strcmp(name, s->name) == 0) {
        s->grants = grants;
    }
}

static void find_function(const pn_node *node, search *s)
{
    for (size_t i = 0; i < node->handles.n_items && s->grants == NULL; i++) {
        s->table = node->handles.items[i];
        if (s->table->owner != NULL) {
            s->table->owner->each(s->table->user, on_subject, s);
        }
    }
}

static pn_reason ask_handle(
    pn_inquiry *in, const pn_handle *handle, const char *name)
{
    return pn_inquiry_ask(in,
        handle == NULL || handle->owner == NULL ? PN_ASKED_HANDLE
                                                : PN_ASKED_TABLE,
        name, handle == NULL ? NULL : &handle->grants);
}

/* As a request of the function would be decided: its handle first. */
static pn_reason ask_function(
    const pn_node *node, pn_inquiry *in, const char *name)
{
    search s = {.name = name};
    pn_reason reason = PN_REASON_NONE;

    find_function(node, &s);
    if (s.grants != NULL) {
        reason = ask_handle(in, s.table, s.table->name);
    }
    if (reason != PN_REASON_NONE) {
        return reason;
    }
    reason = pn_inquiry_ask(in, PN_ASKED_FUNCTION, name, s.grants);
    return reason == PN_REASON_NO_SUCH_HANDLE ? PN_REASON_FUNCTION_NOT_EXPORTED
           : reason == PN_REASON_FORBIDDEN    ? PN_REASON_FUNCTION_FORBIDDEN
                                              : reason;
}

pn_err pn_can(pn_node *node, const pn_principal *who, const char *name,
    pn_reason *ret_reason, pn_can_step **ret_steps, size_t *ret_n)
{
    pn_inquiry in = {.question.caller = who};
    const char *function = pn_name_function(name);
    pn_reason reason;
    pn_err err = pn_node_enter(node);

    if (err != PN_OK) {
        return err;
    }
    pn_node_lock(node);
    in.question.file = pn_node_stored_grants(node);
    in.question.is_paired = who->family == PN_FAMILY_PEERNET
                            && pn_node_find_peer(node, &who->key.x25519)
                                   != NULL;
    in.question.now_us = pn_wall_now_us();
    reason = function != NULL
                 ? ask_function(node, &in, function)
                 : ask_handle(&in,
                     pn_handles_find(&node->handles, pn_slice_of(name)), name);
    pn_node_unref_unlock(node);
    return pn_inquiry_finish(&in, reason, ret_reason, ret_steps, ret_n);
}

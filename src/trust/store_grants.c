/* SPDX-License-Identifier: Apache-2.0 */
/* The file of grants of a data directory; see store.h and grants_file.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/mutant.h"
#include "base/slice.h"
#include "os/clock.h"
#include "os/file.h"
#include "store_internal.h"
#include "trust/datetime.h"
#include "trust/inquiry.h"

enum { BYTES_MIN = 1024 * 1024, BYTES_PER_LINE = 256 };

/* ---- reading ------------------------------------------------------------- */

static pn_err parse(const void *owner, const uint8_t *data, size_t len,
    void *ret_file, pn_why *ret_why)
{
    const pn_store *store = owner;
    pn_grants_file file;
    pn_err err = pn_grants_file_read(data, len, store->max_grants, &file);

    if (err == PN_LIMIT) {
        return pn_why_fail(ret_why, err,
            "has more than twice the %zu lines that max_grants allows; none of "
            "them counts",
            store->max_grants);
    }
    if (err == PN_OK) {
        memcpy(ret_file, &file, sizeof(file));
    }
    return err;
}

static const pn_guarded_format format = {
    .access = PN_GUARDED_OURS_OR_ROOTS,
    .parse = parse,
};

void pn_store_limit_grants(pn_store *store, size_t max_grants)
{
    store->max_grants = max_grants;
}

pn_err pn_store_read_grants(
    const pn_store *store, pn_grants_file *ret_file, pn_why *ret_why)
{
    const size_t by_lines = store->max_grants * BYTES_PER_LINE;
    pn_err err;

    *ret_file = (pn_grants_file){0};
    err = pn_guarded_load(&store->dir, PN_STORE_GRANTS, &format, store,
        by_lines > BYTES_MIN ? by_lines : BYTES_MIN, ret_file, ret_why, NULL);
    return err == PN_NOT_FOUND ? PN_OK : err;
}

/* ---- listing ------------------------------------------------------------- */

static void fill_line(const pn_grants_line *line, pn_stored_line *ret_line)
{
    *ret_line = (pn_stored_line){.kind = PN_STORED_BAD, .line = line->number};
    if (line->why != NULL) {
        (void)snprintf(ret_line->why, sizeof(ret_line->why), "%s", line->why);
    }
    if (line->is_bad) {
        return;
    }
    ret_line->kind = PN_STORED_GRANT;
    ret_line->grant.is_paired = line->is_paired;
    ret_line->grant.who = line->who;
    ret_line->grant.until_us = line->until_us;
    ret_line->grant.is_log_only = line->is_log_only;
    pn_name_write(line->kind, line->name, ret_line->grant.name,
        sizeof(ret_line->grant.name));
    if (line->is_role) {
        ret_line->kind = PN_STORED_ROLE;
        (void)snprintf(ret_line->role, sizeof(ret_line->role), "%.*s",
            (int)line->role.len, (const char *)line->role.data);
    }
}

/* A role's line becomes one entry for each name. */
static size_t fill_role(const pn_grants_file *file, const pn_grants_line *line,
    pn_stored_line *ret_lines)
{
    size_t n = 0;

    for (size_t i = 0; i < file->n_members; i++) {
        const pn_grants_member *m = &file->members[i];

        if (m->line == line->number) {
            fill_line(line, &ret_lines[n]);
            pn_name_write(m->kind, m->name, ret_lines[n].grant.name,
                sizeof(ret_lines[n].grant.name));
            n++;
        }
    }
    if (n == 0) {
        fill_line(line, &ret_lines[n++]);
    }
    return n;
}

pn_err pn_store_list_grants(
    pn_store *store, pn_stored_line **ret_lines, size_t *ret_n, pn_why *ret_why)
{
    pn_grants_file file;
    pn_stored_line *lines;
    size_t n = 0;
    pn_err err;

    pn_why_clear(ret_why);
    err = pn_store_read_grants(store, &file, ret_why);
    if (err != PN_OK) {
        return err;
    }
    lines = calloc(file.n_lines + file.n_members + 1, sizeof(*lines));
    for (size_t i = 0; lines != NULL && i < file.n_lines; i++) {
        if (!file.lines[i].is_bad && file.lines[i].is_role) {
            n += fill_role(&file, &file.lines[i], &lines[n]);
        } else {
            fill_line(&file.lines[i], &lines[n++]);
        }
    }
    pn_grants_file_fini(&file);
    if (lines == NULL) {
        return PN_NOMEM;
    }
    *ret_lines = lines;
    *ret_n = n;
    return PN_OK;
}

/* ---- editing ------------------------------------------------------------- */

static pn_err refuse_roots(const pn_store *store, pn_why *ret_why)
{
    return pn_guarded_fail(&store->dir, ret_why, PN_PERMISSION, PN_STORE_GRANTS,
        "belongs to root, who alone may change it: edit it as root, or give "
        "it to the node's user");
}

/* Under edit.lock. */
static pn_err apply(
    const pn_store *store, const pn_grants_edit *edit, pn_why *ret_why)
{
    pn_grants_file file;
    pn_buf out = {0};
    bool is_changed = false;
    pn_err err = pn_store_read_grants(store, &file, ret_why);

    if (err != PN_OK) {
        return err;
    }
    err = pn_grants_file_edit(
        &file, edit, store->max_grants, &out, &is_changed);
    if (err == PN_FULL) {
        err = pn_guarded_fail(&store->dir, ret_why, err, PN_STORE_GRANTS,
            "has as many lines as max_grants allows, %zu; remove one, use a "
            "role, or raise max_grants",
            store->max_grants);
    } else if (err == PN_OK && is_changed
               && PN_REFUSE_IF(store_grants_roots,
                   pn_file_is_roots(store->dir.fd, PN_STORE_GRANTS))) {
        err = refuse_roots(store, ret_why);
    } else if (err == PN_OK && is_changed) {
        err = pn_guarded_replace(&store->dir, PN_STORE_GRANTS,
            pn_buf_head(&out), pn_buf_used(&out), ret_why);
    } else if (err == PN_OK) {
        err = PN_EXISTS;
    }
    pn_buf_fini(&out);
    pn_grants_file_fini(&file);
    return err;
}

pn_err pn_store_drop_grants(
    const pn_store *store, const pn_principal *who, pn_why *ret_why)
{
    const pn_stored_grant grant = {.who = *who};
    const pn_grants_edit edit = {.act = PN_GRANTS_REMOVE, .grant = &grant};
    pn_err err = apply(store, &edit, ret_why);

    if (err == PN_PERMISSION
        && pn_file_is_roots(store->dir.fd, PN_STORE_GRANTS)) {
        return pn_guarded_fail(&store->dir, ret_why, PN_OK, PN_STORE_GRANTS,
            "belongs to root: its lines with this key stay, and hold again "
            "when the key is trusted again");
    }
    return err == PN_NOT_FOUND ? PN_OK : err;
}

static pn_err edit_file(
    pn_store *store, const pn_grants_edit *edit, pn_why *ret_why)
{
    int lock_fd;
    pn_err err = pn_guarded_lock(&store->dir, true, &lock_fd, ret_why);

    if (err != PN_OK) {
        return err;
    }
    err = apply(store, edit, ret_why);
    (void)close(lock_fd);
    return err;
}

/* Is the peer paired, on disk? */
static pn_err find_peer(
    pn_store *store, const pn_public_key *key, bool *ret_found, pn_why *ret_why)
{
    pn_trust_list now;
    pn_err err = pn_store_read_trust(store, &now, ret_why, NULL);

    if (err == PN_OK) {
        (void)pn_store_drop_cut(store, &now);
        *ret_found = pn_trust_list_find(&now, key) != NULL;
        pn_trust_list_fini(&now);
    }
    return err;
}

pn_err pn_store_forget_grants(
    pn_store *store, const pn_principal *who, pn_why *ret_why)
{
    bool is_paired = false;
    int lock_fd;
    pn_err err = pn_guarded_lock(&store->dir, true, &lock_fd, ret_why);

    if (err != PN_OK) {
        return err;
    }
    if (who->family == PN_FAMILY_PEERNET) {
        err = find_peer(store, &who->key.x25519, &is_paired, ret_why);
    }
    if (err == PN_OK && !is_paired) {
        err = pn_store_drop_grants(store, who, ret_why);
    }
    (void)close(lock_fd);
    return err;
}

/* ---- asking -------------------------------------------------------------- */

pn_err pn_store_can(pn_store *store, const pn_principal *who, const char *name,
    pn_reason *ret_reason, pn_can_step **ret_steps, size_t *ret_n,
    pn_why *ret_why)
{
    static const pn_grants nobody = {.n_principals = 0};
    pn_inquiry in = {.question = {.caller = who, .now_us = pn_wall_now_us()}};
    pn_grants_file file;
    const char *function = pn_name_function(name);
    pn_reason reason;
    pn_err err = PN_OK;

    pn_why_clear(ret_why);
    if (who->family == PN_FAMILY_PEERNET) {
        err = find_peer(
            store, &who->key.x25519, &in.question.is_paired, ret_why);
    }
    if (err == PN_OK) {
        err = pn_store_read_grants(store, &file, ret_why);
    }
    if (err != PN_OK) {
        return err;
    }
    in.question.file = &file;
    reason = pn_inquiry_ask(&in,
        function != NULL ? PN_ASKED_FUNCTION : PN_ASKED_HANDLE,
        function != NULL ? function : name, &nobody);
    pn_grants_file_fini(&file);
    return pn_inquiry_finish(&in, reason, ret_reason, ret_steps, ret_n);
}

/* ---- arguments ----------------------------------------------------------- */

static pn_err check_name(const char *text, bool may_be_role, pn_why *ret_why)
{
    enum { SHOWN = 64 };
    char shown[4 * SHOWN + 4];
    pn_name_kind kind = PN_NAME_HANDLE;
    pn_slice name;

    if (pn_name_read(text, &kind, &name) == PN_OK
        && (may_be_role || kind != PN_NAME_ROLE)) {
        return PN_OK;
    }
    (void)pn_escape(text, strlen(text), SHOWN, shown, sizeof(shown));
    return pn_why_fail(ret_why, PN_INVALID,
        may_be_role ? "'%s' is no handle, no function such as MyApp.Led.set/1, "
                      "and no role such as role:guests"
                    : "'%s' is no handle, and no function such as "
                      "MyApp.Led.set/1",
        shown);
}

static pn_err check_who(const pn_principal *who, pn_why *ret_why)
{
    const bool is_known = who->family == PN_FAMILY_PEERNET
                          || who->family == PN_FAMILY_BARREL;

    return is_known && pn_principal_has_key(who)
               ? PN_OK
               : pn_why_fail(ret_why, PN_INVALID,
                   "expected a key of a known family that is not all zeros");
}

static pn_err check_grant(const pn_stored_grant *g, pn_why *ret_why)
{
    pn_err err = g->is_paired ? PN_OK : check_who(&g->who, ret_why);

    if (err == PN_OK) {
        err = check_name(g->name, true, ret_why);
    }
    if (err == PN_OK && g->until_us != PN_GRANT_FOR_EVER
        && (g->until_us < 0 || g->until_us > PN_DATETIME_MAX_US
            || g->until_us % 1000000 != 0)) {
        err = pn_why_fail(ret_why, PN_INVALID,
            "expected an end in whole seconds, from 1970 to 9999");
    }
    return err;
}

/* ---- what is called ------------------------------------------------------ */

pn_err pn_store_grant(
    pn_store *store, const pn_stored_grant *grant, pn_why *ret_why)
{
    const pn_grants_edit edit = {.act = PN_GRANTS_ADD, .grant = grant};
    bool is_paired = true;
    int lock_fd;
    pn_err err;

    pn_why_clear(ret_why);
    err = check_grant(grant, ret_why);
    if (err == PN_OK) {
        err = pn_guarded_lock(&store->dir, true, &lock_fd, ret_why);
    }
    if (err != PN_OK) {
        return err;
    }
    if (!grant->is_paired && grant->who.family == PN_FAMILY_PEERNET) {
        err = find_peer(store, &grant->who.key.x25519, &is_paired, ret_why);
    }
    if (err == PN_OK && PN_REFUSE_IF(store_grant_paired, !is_paired)) {
        err = PN_NOT_FOUND;
    }
    if (err == PN_OK) {
        err = apply(store, &edit, ret_why);
    }
    (void)close(lock_fd);
    return err;
}

pn_err pn_store_ungrant(
    pn_store *store, const pn_principal *who, const char *name, pn_why *ret_why)
{
    pn_stored_grant grant = {.is_paired = who == NULL};
    const pn_grants_edit edit = {.act = PN_GRANTS_REMOVE, .grant = &grant};
    pn_err err = PN_OK;

    pn_why_clear(ret_why);
    if (who != NULL) {
        grant.who = *who;
        err = check_who(who, ret_why);
    }
    if (err == PN_OK && name != NULL) {
        err = check_name(name, true, ret_why);
    }
    if (err != PN_OK) {
        return err;
    }
    if (name != NULL) {
        (void)snprintf(grant.name, sizeof(grant.name), "%s", name);
    }
    return edit_file(store, &edit, ret_why);
}

pn_err pn_store_set_role(pn_store *store, const char *role,
    const char *const *names, size_t n, pn_why *ret_why)
{
    const pn_grants_edit edit = {
        .act = PN_GRANTS_SET_ROLE, .role = role, .names = names, .n_names = n};
    pn_err err = PN_OK;

    pn_why_clear(ret_why);
    if (!pn_role_name_is_valid(pn_slice_of(role))) {
        return pn_why_fail(ret_why, PN_INVALID,
            "expected 1 to 64 characters a-z, A-Z, 0-9, '_' and '-' as the "
            "name of a role");
    }
    for (size_t i = 0; err == PN_OK && i < n; i++) {
        err = check_name(names[i], false, ret_why);
    }
    if (err == PN_OK) {
        err = edit_file(store, &edit, ret_why);
    }
    return err == PN_EXISTS ? PN_OK : err;
}

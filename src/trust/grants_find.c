/* SPDX-License-Identifier: Apache-2.0 */
/* Looks grants up in a file of grants; see grants_file.h. */
#include "trust/grants_find.h"

#include <stdlib.h>
#include <string.h>

/* ---- order --------------------------------------------------------------- */

static int compare_slices(pn_slice a, pn_slice b)
{
    const size_t n = a.len < b.len ? a.len : b.len;
    const int order = n == 0 ? 0 : memcmp(a.data, b.data, n);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_names(
    pn_name_kind kind_a, pn_slice a, pn_name_kind kind_b, pn_slice b)
{
    const int order = (kind_a > kind_b) - (kind_a < kind_b);

    return order != 0 ? order : compare_slices(a, b);
}

/* Every paired peer, then by family and key. */
static int compare_who(bool is_paired_a, const pn_principal *a,
    bool is_paired_b, const pn_principal *b)
{
    if (is_paired_a || is_paired_b) {
        return (int)is_paired_b - (int)is_paired_a;
    }
    if (a->family != b->family) {
        return (a->family > b->family) - (a->family < b->family);
    }
    return memcmp(&a->key, &b->key, PN_PUBLIC_KEY_LEN);
}

static int compare_members(const pn_grants_member *a, const pn_grants_member *b)
{
    const int order = compare_slices(a->role, b->role);

    return order != 0 ? order
                      : compare_names(a->kind, a->name, b->kind, b->name);
}

static int compare_lines(const pn_grants_line *a, const pn_grants_line *b)
{
    const int order = compare_who(a->is_paired, &a->who, b->is_paired, &b->who);

    return order != 0 ? order
                      : compare_names(a->kind, a->name, b->kind, b->name);
}

static int by_member(const void *a, const void *b)
{
    return compare_members(a, b);
}

/* Equal ones in the order of the file. */
static int by_line(const void *a, const void *b)
{
    const pn_grants_line *p = *(pn_grants_line *const *)a;
    const pn_grants_line *q = *(pn_grants_line *const *)b;
    const int order = compare_lines(p, q);

    return order != 0 ? order
                      : (p->number > q->number) - (p->number < q->number);
}

pn_err pn_grants_file_index(pn_grants_file *file)
{
    file->index = calloc(file->n_lines + 1, sizeof(pn_grants_line *));
    if (file->index == NULL) {
        return PN_NOMEM;
    }
    for (size_t i = 0; i < file->n_lines; i++) {
        if (file->lines[i].why == NULL && !file->lines[i].is_role) {
            file->index[file->n_index++] = &file->lines[i];
        }
    }
    qsort(file->index, file->n_index, sizeof(pn_grants_line *), by_line);
    if (file->n_members > 1) {
        qsort(
            file->members, file->n_members, sizeof(*file->members), by_member);
    }
    return PN_OK;
}

/* ---- lookup -------------------------------------------------------------- */

/* The first of the index that is not before wanted. */
static size_t first_line(
    const pn_grants_file *file, const pn_grants_line *wanted)
{
    size_t low = 0;
    size_t high = file->n_index;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (compare_lines(file->index[middle], wanted) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_member(
    const pn_grants_file *file, const pn_grants_member *wanted)
{
    size_t low = 0;
    size_t high = file->n_members;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (compare_members(&file->members[middle], wanted) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == file->n_members) {
        return false;
    }
    return wanted->name.len == 0
               ? file->members[low].kind == wanted->kind
                     && compare_slices(file->members[low].role, wanted->role)
                            == 0
               : compare_members(&file->members[low], wanted) == 0;
}

/* A lookup under way. */
typedef struct lookup {
    const pn_grants_file *file;
    pn_name_kind kind;
    pn_slice name; /* empty: any */
    bool (*visit)(void *user, const pn_grants_line *line);
    void *user;
} lookup;

static bool is_found(const lookup *l, const pn_grants_line *line)
{
    if (line->kind == PN_NAME_ROLE) {
        return is_member(
            l->file, &(pn_grants_member){
                         .role = line->name, .kind = l->kind, .name = l->name});
    }
    return l->name.len == 0 || compare_slices(line->name, l->name) == 0;
}

/* The lines of one principal that name a thing of this kind. */
static bool visit_kind(const lookup *l, bool is_paired, const pn_principal *who,
    pn_name_kind kind, pn_slice name)
{
    const pn_grants_line wanted = {
        .is_paired = is_paired, .who = *who, .kind = kind, .name = name};

    for (size_t i = first_line(l->file, &wanted); i < l->file->n_index; i++) {
        const pn_grants_line *line = l->file->index[i];

        if (line->kind != kind
            || compare_who(line->is_paired, &line->who, is_paired, who) != 0
            || (name.len > 0 && compare_slices(line->name, name) != 0)) {
            return false;
        }
        if (is_found(l, line) && l->visit(l->user, line)) {
            return true;
        }
    }
    return false;
}

static bool visit_who(const lookup *l, bool is_paired, const pn_principal *who)
{
    return visit_kind(l, is_paired, who, l->kind, l->name)
           || visit_kind(l, is_paired, who, PN_NAME_ROLE, (pn_slice){0});
}

bool pn_grants_file_each(const pn_grants_file *file, const pn_principal *caller,
    pn_name_kind kind, pn_slice name,
    bool (*visit)(void *user, const pn_grants_line *line), void *user)
{
    const lookup l = {file, kind, name, visit, user};

    return visit_who(&l, false, caller)
           || (caller->family == PN_FAMILY_PEERNET
               && visit_who(&l, true, caller));
}

int64_t pn_grants_file_next_end(const pn_grants_file *file, int64_t now_us)
{
    int64_t next = PN_GRANT_FOR_EVER;

    for (size_t i = 0; i < file->n_index; i++) {
        const int64_t end = file->index[i]->until_us;

        if (end > now_us && end < next) {
            next = end;
        }
    }
    return next;
}

bool pn_grants_file_names(const pn_grants_file *file, const pn_principal *who)
{
    for (size_t i = 0; i < file->n_lines; i++) {
        const pn_grants_line *line = &file->lines[i];

        if (!line->is_bad && !line->is_role && !line->is_paired
            && pn_principal_equal(&line->who, who)) {
            return true;
        }
    }
    return false;
}

void pn_grants_file_kill(pn_grants_file *file, const pn_principal *who)
{
    for (size_t i = 0; i < file->n_index; i++) {
        pn_grants_line *line = file->index[i];

        if (!line->is_paired && pn_principal_equal(&line->who, who)) {
            line->is_dead = true;
        }
    }
}

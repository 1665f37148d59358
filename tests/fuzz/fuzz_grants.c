/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FZ-6: the file of grants. The first byte chooses an edit of what follows. No
 * edit grants more than what it adds, a removal grants nothing that was not
 * granted before, and no line that an edit is not about is changed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "trust/grants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { MAX_LINES = 64, N_NAMES = 4 };

static const char *const names[N_NAMES] = {"led", "a b", "A.b/1", "x"};

static void require(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

static bool may(const pn_grants_file *file, size_t name, pn_family family)
{
    static const pn_grants nobody = {.n_principals = 0};
    pn_principal who = {.family = family};
    const pn_question question = {.asked = strchr(names[name], '/') != NULL
                                               ? PN_ASKED_FUNCTION
                                               : PN_ASKED_HANDLE,
        .name = pn_slice_of(names[name]),
        .fixed = &nobody,
        .file = file,
        .caller = &who,
        .is_paired = true,
        .now_us = INT64_C(1800000000000000)};

    memset(&who.key, 1, sizeof(who.key));
    return pn_decide(&question, NULL) == PN_REASON_NONE;
}

/* added: the name that the edit grants to every paired peer; N_NAMES: none. */
static void compare(
    const pn_grants_file *before, const pn_grants_file *after, size_t added)
{
    for (size_t i = 0; i < N_NAMES; i++) {
        for (int f = 0; f < 2; f++) {
            const pn_family family = f == 0 ? PN_FAMILY_PEERNET
                                            : PN_FAMILY_BARREL;

            if (i == added && f == 0) {
                require(may(after, i, family));
            } else if (may(after, i, family)) {
                require(may(before, i, family));
            }
        }
    }
}

static size_t n_bad(const pn_grants_file *file)
{
    size_t n = 0;

    for (size_t i = 0; i < file->n_lines; i++) {
        n += file->lines[i].is_bad;
    }
    return n;
}

static void edit(
    const pn_grants_file *file, const pn_grants_edit *e, size_t added)
{
    pn_grants_file again;
    pn_buf b = {0};
    bool is_changed = false;
    pn_err err = pn_grants_file_edit(file, e, MAX_LINES, &b, &is_changed);

    if (err != PN_OK) {
        require(err == PN_NOT_FOUND || err == PN_FULL);
        pn_buf_fini(&b);
        return;
    }
    err = pn_grants_file_read(
        pn_buf_head(&b), pn_buf_used(&b), 2 * MAX_LINES, &again);
    require(err == PN_OK);
    require(n_bad(&again) == n_bad(file));
    compare(file, &again, added);
    pn_grants_file_fini(&again);
    pn_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    pn_stored_grant grant = {
        .is_paired = true, .name = "led", .until_us = PN_GRANT_FOR_EVER};
    pn_grants_file file;
    pn_err err;

    if (len == 0) {
        return 0;
    }
    err = pn_grants_file_read(data + 1, len - 1, MAX_LINES, &file);
    if (err != PN_OK) {
        require(err == PN_LIMIT && file.n_lines == 0);
        return 0;
    }
    switch (data[0] % 4) {
    case 0:
        /* One that takes the place of a later line may come to count. */
        if (file.n_lines < MAX_LINES) {
            edit(&file,
                &(pn_grants_edit){.act = PN_GRANTS_ADD, .grant = &grant}, 0);
        }
        break;
    case 1:
        if (file.n_lines <= MAX_LINES) {
            edit(&file,
                &(pn_grants_edit){.act = PN_GRANTS_REMOVE, .grant = &grant},
                N_NAMES);
        }
        break;
    case 2:
        grant.is_paired = false;
        memset(&grant.who.key, 1, sizeof(grant.who.key));
        grant.name[0] = '\0';
        if (file.n_lines <= MAX_LINES) {
            edit(&file,
                &(pn_grants_edit){.act = PN_GRANTS_REMOVE, .grant = &grant},
                N_NAMES);
        }
        break;
    default:
        if (file.n_lines <= MAX_LINES) {
            edit(&file,
                &(pn_grants_edit){.act = PN_GRANTS_SET_ROLE, .role = "r"},
                N_NAMES);
        }
        break;
    }
    pn_grants_file_fini(&file);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of grants: who may use which handle or function, for the owner to
 * edit by hand too. One line is a grant, a role, a comment or blank:
 *
 *     peernet KEY NAME [until 2026-12-31T10:00:00Z] [log-only]
 *     barrel KEY NAME ...
 *     paired NAME ...
 *     role ROLE NAME...
 *
 * KEY is Base32; NAME is a handle, a function such as MyApp.Led.set/1, or
 * role:ROLE. A NAME with a space or one of "#\ in it is quoted ("two words",
 * with \", \\ and \xHH). '#' begins a comment. Several lines of one role add
 * up.
 *
 * It fails closed line by line. A line that cannot be read whole grants nothing
 * and is named; so is a last line without its newline, because it may have been
 * cut. Every other line counts. An edit copies all lines that it is not about
 * byte by byte, also those that cannot be read, and stays in front of a last
 * line without a newline, which it would complete otherwise.
 *
 * Source: docs/PROTOCOL.md, section 8.5.
 */
#ifndef PN_TRUST_GRANTS_FILE_H
#define PN_TRUST_GRANTS_FILE_H

#include <peernet/grants.h>

#include "base/buf.h"

#define PN_GRANTS_LINE_MAX 4096 /* bytes, without the newline */

/* What a NAME is. The order is that of the index. */
typedef enum pn_name_kind {
    PN_NAME_HANDLE,
    PN_NAME_FUNCTION,
    PN_NAME_ROLE
} pn_name_kind;

typedef struct pn_grants_line {
    const char *text; /* as it is in the file, without the newline */
    size_t len;
    size_t number;   /* in the file, from 1 */
    const char *why; /* why it counts for nothing; NULL: it counts */
    bool is_bad;     /* it cannot be read; the following is not set */
    bool is_dead;    /* its principal was forgotten since it was read */
    bool is_role;    /* a role's line; else a grant */
    /* A grant. */
    pn_name_kind kind;
    pn_slice name; /* without "role:" */
    bool is_paired;
    pn_principal who; /* unless is_paired */
    int64_t until_us; /* wall clock; INT64_MAX: for ever */
    bool is_log_only;
    /* A role; its names are members. */
    pn_slice role;
    pn_slice comment; /* "#..." behind it */
} pn_grants_line;

/* A name in a role. */
typedef struct pn_grants_member {
    pn_slice role;
    pn_name_kind kind; /* not that of a role */
    pn_slice name;
    size_t line; /* its line's number */
} pn_grants_member;

/* Zero-filled: no file, which grants nothing. */
typedef struct pn_grants_file {
    char *text; /* owned; what the lines point into */
    size_t len;
    char *words;           /* owned; names that were quoted */
    pn_grants_line *lines; /* in the order of the file; no comments */
    size_t n_lines;
    size_t lines_cap;
    pn_grants_member *members; /* sorted by role, kind and name */
    size_t n_members;
    size_t members_cap;
    pn_grants_line **index; /* grants that count, by principal, kind, name */
    size_t n_index;
} pn_grants_file;

/*
 * Reads a file. Nothing in it is an error but its size: lines beyond max_lines
 * count for nothing, and are named. Ownership: data is copied; *ret_file is for
 * pn_grants_file_fini. Errors: PN_LIMIT more than twice max_lines; PN_NOMEM;
 * *ret_file is zero-filled then.
 */
PN_MUST_USE pn_err pn_grants_file_read(const uint8_t *data, size_t len,
    size_t max_lines, pn_grants_file *ret_file);
void pn_grants_file_fini(pn_grants_file *file);

/* ---- names --------------------------------------------------------------- */

/* What text means as a NAME; *ret_name is part of text. Errors: PN_INVALID it
 * is none: empty, too long, no UTF-8, or "role:" and no role's name. */
PN_MUST_USE pn_err pn_name_read(
    const char *text, pn_name_kind *ret_kind, pn_slice *ret_name);
/* As the file has it, without quotes; cut to cap. */
void pn_name_write(
    pn_name_kind kind, pn_slice name, char *ret_name, size_t cap);
/* 1 to 64 characters a-z, A-Z, 0-9, '_' and '-'. */
bool pn_role_name_is_valid(pn_slice name);
/* "2026-12-31T10:00:00Z". */
PN_MUST_USE pn_err pn_until_read(pn_slice text, int64_t *ret_us);
#define PN_UNTIL_LEN 20
void pn_until_write(int64_t us, char ret_text[static PN_UNTIL_LEN + 1]);

/* ---- lookup -------------------------------------------------------------- */

/* Calls visit for each line that grants the caller the name, or with kind
 * PN_NAME_FUNCTION and an empty name any function: lines of its key, then those
 * of every paired peer. Lines that have run out, that are dead or that only log
 * are visited too. Stops when visit returns true, and returns that. */
bool pn_grants_file_each(const pn_grants_file *file, const pn_principal *caller,
    pn_name_kind kind, pn_slice name,
    bool (*visit)(void *user, const pn_grants_line *line), void *user);
/* The next time after now_us at which a line runs out; INT64_MAX: none. */
int64_t pn_grants_file_next_end(const pn_grants_file *file, int64_t now_us);
bool pn_grants_file_names(const pn_grants_file *file, const pn_principal *who);
/* The lines of a principal count no longer. */
void pn_grants_file_kill(pn_grants_file *file, const pn_principal *who);

/* ---- editing ------------------------------------------------------------- */

typedef enum pn_grants_act {
    PN_GRANTS_ADD,     /* grant */
    PN_GRANTS_REMOVE,  /* those of grant's principal, and its name if it has one
                        */
    PN_GRANTS_SET_ROLE /* to names; none: there is no such role any more */
} pn_grants_act;

typedef struct pn_grants_edit {
    pn_grants_act act;
    const pn_stored_grant *grant;
    const char *role;
    const char *const *names;
    size_t n_names;
} pn_grants_edit;

/*
 * Appends the file as it is after the edit to out; *ret_changed: it differs.
 * The arguments are valid. A grant that is there with another end or mark is
 * replaced in its place, and so is a role.
 * Errors: PN_NOT_FOUND nothing to remove; PN_FULL more than max_lines lines;
 * PN_NOMEM.
 */
PN_MUST_USE pn_err pn_grants_file_edit(const pn_grants_file *file,
    const pn_grants_edit *edit, size_t max_lines, pn_buf *out,
    bool *ret_changed);

#endif

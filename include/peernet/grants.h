/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file `grants` of a data directory: who may use which handle or function
 * of a node, edited by these functions, by peernet(1), or by hand. A node reads
 * it again at once when it changes, and decides by it beside the grants of
 * pn_grant. docs/PROTOCOL.md, section 8.5, has its lines.
 *
 * It fails closed line by line: a line that cannot be read, or a last one
 * without its newline, grants nothing; all others count. It may belong to root
 * and not be writable; then every edit is refused (PN_PERMISSION).
 *
 * *ret_why, which may be NULL, has a sentence for every error but PN_NOT_FOUND
 * and PN_EXISTS. Errors of files are those of peernet/store.h.
 */
#ifndef PEERNET_GRANTS_H
#define PEERNET_GRANTS_H

#include <peernet/key.h>
#include <peernet/store.h>

PN_BEGIN_DECLS

#define PN_GRANT_FOR_EVER INT64_MAX

/** One grant of the file. */
typedef struct pn_stored_grant {
    bool is_paired;   /* to every paired PeerNet peer; who is not used */
    pn_principal who; /* of either family, with a key */
    /* A handle; a function, "MyApp.Led.set/1", which needs no grant of its
     * handle besides; or "role:" and the name of a role. UTF-8, NUL-terminated.
     */
    char name[512];
    /* When it ends by the wall clock, microseconds since 1970 UTC, in whole
     * seconds; PN_GRANT_FOR_EVER. */
    int64_t until_us;
    bool is_log_only; /* grants nothing: what it would allow is logged */
} pn_stored_grant;

/** What a line of the file is. */
typedef enum pn_stored_kind {
    PN_STORED_GRANT, /* grant */
    PN_STORED_ROLE,  /* role has grant.name in it; "": it is empty */
    PN_STORED_BAD    /* it counts for nothing; why */
} pn_stored_kind;

/** One line of the file; a role has one of these for each name in it. */
typedef struct pn_stored_line {
    pn_stored_kind kind;
    size_t line; /* its number, from 1 */
    pn_stored_grant grant;
    char role[65];
    char why[128]; /* what was expected; "": nothing is wrong with it */
} pn_stored_line;

/**
 * Adds a grant, on disk first. One for the same principal and name is replaced.
 * Errors: PN_EXISTS it is there already; PN_NOT_FOUND its peer is not paired
 * (pins of Barrel nodes are not looked at); PN_INVALID its name, its key or its
 * end; PN_FULL the file has as many lines as may be, 4096; PN_PERMISSION it
 * belongs to root; those of files. Nothing has changed then.
 * Thread: the store's; waits up to 10 s for another editor.
 */
PN_API PN_MUST_USE pn_err pn_store_grant(
    pn_store *store, const pn_stored_grant *grant, pn_why *ret_why);

/**
 * Removes grants. who NULL: those of every paired peer; name NULL: all of who.
 * Errors: PN_NOT_FOUND there is none; PN_INVALID the name; PN_PERMISSION, and
 * those of files: they hold still.
 * Thread: the store's; waits up to 10 s for another editor.
 */
PN_API PN_MUST_USE pn_err pn_store_ungrant(pn_store *store,
    const pn_principal *who, const char *name, pn_why *ret_why);

/**
 * Makes a role a set of n handles and functions, in place of what it was. n 0:
 * there is no such role any more, and grants of it grant nothing.
 * Errors: PN_NOT_FOUND n is 0, and there is none; PN_INVALID role is not 1 to
 * 64 characters a-z, A-Z, 0-9, '_' and '-', or one of names is no handle or
 * function; as pn_store_grant.
 * Thread: the store's; waits up to 10 s for another editor.
 */
PN_API PN_MUST_USE pn_err pn_store_set_role(pn_store *store, const char *role,
    const char *const *names, size_t n, pn_why *ret_why);

/**
 * Reads the file as it is on disk now, in its order; a file that is not there
 * is empty. Ownership: *ret_lines is the caller's to free().
 * Errors: PN_LIMIT it is far too large; those of files.
 * Thread: the store's.
 */
PN_API PN_MUST_USE pn_err pn_store_list_grants(pn_store *store,
    pn_stored_line **ret_lines, size_t *ret_n, pn_why *ret_why);

/**
 * Reads "2026-12-31T10:00:00Z". Errors: PN_INVALID it is no such time, or
 * before 1970. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_grant_until_parse(
    const char *text, int64_t *ret_until_us);

/** A step of the decision whether a caller may use a handle or function, in
 * the order in which they are taken. */
typedef enum pn_can_what {
    PN_CAN_EXPOSED, /* the node has such a handle, or exports the function */
    PN_CAN_KEY,     /* the caller has proven a key */
    PN_CAN_PAIRED,  /* the caller is paired now; of PeerNet peers only */
    PN_CAN_OPEN,    /* it is open to every paired PeerNet peer */
    PN_CAN_FIXED,   /* the program grants it to this key (pn_grant) */
    /* ... and of the file of grants: a line that has ended, one that only logs,
     * one that counts; or that there is none that counts. */
    PN_CAN_LINE_ENDED,
    PN_CAN_LINE_LOG_ONLY,
    PN_CAN_LINE,
    PN_CAN_NO_LINE
} pn_can_what;

/** One step. */
typedef struct pn_can_step {
    pn_can_what what;
    bool is_passed;
    bool is_function;  /* of the function; else of the handle in front of it */
    char subject[512]; /* the handle or function that was asked for */
    size_t line;       /* of the file; 0: of none */
    pn_stored_grant grant; /* what that line says; see line */
} pn_can_step;

/**
 * Asks whether a caller may use a handle or function as far as the file of
 * grants and the trust list say, and by which steps: as if a node exposed it
 * and granted it to nobody. pn_can asks a node.
 * *ret_reason: PN_REASON_NONE it may; else why not.
 * Ownership: *ret_steps, in order, is the caller's to free().
 * Errors: PN_LIMIT the file is far too large; those of files.
 * Thread: the store's.
 */
PN_API PN_MUST_USE pn_err pn_store_can(pn_store *store, const pn_principal *who,
    const char *name, pn_reason *ret_reason, pn_can_step **ret_steps,
    size_t *ret_n, pn_why *ret_why);

PN_END_DECLS

#endif

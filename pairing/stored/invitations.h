/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The invitations of a data directory: the file `invitations`.
 *
 * It holds no secret of an invitation but the key derived from it, which is as
 * good. So it is 0600 and refused otherwise, is read into locked memory, and
 * has no backup; a key is wiped when the invitation has expired, was cancelled
 * or has no use left that a joiner may come back for.
 *
 *     peernet invitations 1
 *     port PORT
 *     invitation ID KEY UNTIL USES STATE ROLE LABEL
 *     joiner KEY taken|stored
 *     end
 *
 * ID and the first KEY are hexadecimal, UNTIL is in seconds since 1970 UTC,
 * USES counts those left, STATE is open or cancelled, ROLE and LABEL are
 * percent-encoded; "-" stands for none. A joiner's line follows the invitation
 * that it used. A file with any other byte is damaged, and no invitation holds.
 *
 * Every function that edits takes edit.lock, reads, changes, writes, and wipes
 * what the change made useless. Two that take the last use at once get one.
 */
#ifndef PN_STORED_INVITATIONS_H
#define PN_STORED_INVITATIONS_H

#include "exchange/invitation.h"
#include "trust/guarded_dir.h"
#include "trust/label.h"

#define PN_INVITATIONS_MAX 32
#define PN_INVITATION_USES_MAX 16
#define PN_INVITATION_ROLE_MAX 64
/* How long one that is over is still listed. */
#define PN_INVITATION_KEPT_S (24 * 60 * 60)

typedef struct pn_invitation_joiner {
    pn_public_key key;
    bool is_stored; /* it said that it has stored us: it is not coming back */
} pn_invitation_joiner;

typedef struct pn_stored_invitation {
    uint8_t id[PN_INVITATION_ID_LEN];
    bool has_key; /* false: wiped */
    bool is_cancelled;
    pn_secret_key key;
    int64_t until_s;
    uint8_t uses; /* left */
    uint8_t n_joiners;
    pn_invitation_joiner joiners[PN_INVITATION_USES_MAX];
    char role[PN_INVITATION_ROLE_MAX + 1]; /* empty: none */
    char label[PN_LABEL_MAX + 1];          /* empty: none */
} pn_stored_invitation;

typedef struct pn_invitation_list {
    uint16_t port; /* where we listened for them last; 0: nowhere yet */
    size_t n;
    pn_stored_invitation entries[PN_INVITATIONS_MAX];
} pn_invitation_list;

/* What an invitation amounts to now. */
typedef enum pn_invitation_state {
    PN_INVITATION_UNKNOWN,
    PN_INVITATION_OPEN,
    PN_INVITATION_USED, /* no use is left */
    PN_INVITATION_EXPIRED,
    PN_INVITATION_CANCELLED
} pn_invitation_state;

/* In memory of pn_secure_alloc, empty; NULL when there is none. */
pn_invitation_list *pn_invitation_list_new(void);
void pn_invitation_list_free(pn_invitation_list *list); /* NULL is fine */

/* Reads the file; one that is not there is empty. Errors of files, as
 * peernet/store.h has them, with a sentence; *list is empty then. A mode that
 * lets other users read is PN_PERMISSION. */
PN_MUST_USE pn_err pn_invitations_load(
    const pn_guarded_dir *dir, pn_invitation_list *list, pn_why *ret_why);
/* The format, for tests. Errors: PN_CORRUPT; PN_NOMEM. */
PN_MUST_USE pn_err pn_invitations_parse(const uint8_t *data, size_t len,
    pn_invitation_list *ret_list, const char **ret_why);
PN_MUST_USE pn_err pn_invitations_write(
    const pn_invitation_list *list, pn_buf *out);

pn_invitation_state pn_invitation_get_state(
    const pn_stored_invitation *invitation, int64_t now_s);
/* The same for an id. */
pn_invitation_state pn_invitation_state_of(pn_invitation_list *list,
    const uint8_t id[static PN_INVITATION_ID_LEN], int64_t now_s);
/* True while somebody may come with it: the listener is needed. */
bool pn_invitation_is_live(pn_invitation_list *list,
    const uint8_t id[static PN_INVITATION_ID_LEN], int64_t now_s);

/* ---- editing: errors of files, and PN_LOCKED -------------------------------
 */

/* Adds one. port: where we listen. Errors: PN_FULL 32 are open. */
PN_MUST_USE pn_err pn_invitations_add(const pn_guarded_dir *dir,
    const pn_stored_invitation *invitation, uint16_t port, int64_t now_s,
    pn_why *ret_why);
/* Ends one and wipes its key. Errors: PN_NOT_FOUND, without a sentence, it is
 * not open. */
PN_MUST_USE pn_err pn_invitations_cancel(const pn_guarded_dir *dir,
    const uint8_t id[static PN_INVITATION_ID_LEN], int64_t now_s,
    pn_why *ret_why);
/* Wipes keys of those that are over, and what an interrupted edit left. Writes
 * only if that changes something. */
PN_MUST_USE pn_err pn_invitations_sweep(
    const pn_guarded_dir *dir, int64_t now_s, pn_why *ret_why);

/* The key of an invitation that a joiner may use, or may come back to. Takes no
 * lock. Errors: PN_NOT_FOUND, without a sentence; those of files. */
PN_MUST_USE pn_err pn_invitations_find(const pn_guarded_dir *dir,
    const uint8_t id[static PN_INVITATION_ID_LEN], int64_t now_s,
    pn_secret_key *ret_key, pn_why *ret_why);

/*
 * Takes a use for a joiner that has the key, durably; one that has taken a use
 * before takes the same again. *ret_taken: the invitation, without its key.
 * *ret_state: why not. Errors: PN_DENIED, without a sentence; those of files.
 */
PN_MUST_USE pn_err pn_invitations_take(const pn_guarded_dir *dir,
    const uint8_t id[static PN_INVITATION_ID_LEN], const pn_public_key *joiner,
    int64_t now_s, pn_stored_invitation *ret_taken,
    pn_invitation_state *ret_state, pn_why *ret_why);
/* The joiner has stored us: the key is wiped if that was the last to come
 * back. */
PN_MUST_USE pn_err pn_invitations_confirm(const pn_guarded_dir *dir,
    const uint8_t id[static PN_INVITATION_ID_LEN], const pn_public_key *joiner,
    int64_t now_s, pn_why *ret_why);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pins of a Barrel node: one Ed25519 key for each node name, a file of 32
 * bytes each in KEY_DIR/trusted/NAME@HOST.pub (docs/BARREL-PROTOCOL.md,
 * sections 9.1 and 10). A pin is never replaced: a person unpins the name
 * first.
 *
 * One thread at a time per handle, except where a function says otherwise; any
 * number of handles and processes on one directory. Functions that write may
 * block on a disk; the questions never do.
 */
#ifndef PN_KEYS_PINS_H
#define PN_KEYS_PINS_H

#include <peernet/store.h>

#include "keys/node_name.h"
#include "trust/guarded_watch.h"

#define PN_PINS_MAX_DEFAULT 4096
#define PN_PINS_MAX_LIMIT 65536
#define PN_PINS_NEW_DEFAULT 64
#define PN_PINS_INTERVAL_DEFAULT_US UINT64_C(10000000)
#define PN_PINS_INTERVAL_LIMIT_US UINT64_C(3600000000)

/* How a key stands to the pin of a name. */
typedef enum pn_auth_pin {
    PN_AUTH_PIN_ABSENT,
    PN_AUTH_PIN_EQUAL,
    PN_AUTH_PIN_DIFFERS
} pn_auth_pin;

typedef struct pn_pin {
    char *name; /* NUL-terminated, a valid node name */
    pn_ed25519_key key;
} pn_pin;

/* One pin was added to or removed from memory, before this call. pin is valid
 * for the call. The functions that edit or reload make it, and it must not
 * fail. */
typedef void pn_pins_change(void *user, const pn_pin *pin, bool is_pinned);

/* Zero-filled: the defaults. Borrowed for the call. */
typedef struct pn_pins_options {
    const char *own_name;          /* NULL: not known; never pinned */
    const pn_ed25519_key *own_key; /* NULL: not known; never pinned */
    size_t max_pins; /* 0: PN_PINS_MAX_DEFAULT; at most PN_PINS_MAX_LIMIT */
    /* Limits of pn_pins_add (T37). max_new: new pins while the handle is open,
     * 0: PN_PINS_NEW_DEFAULT, at most PN_PINS_MAX_LIMIT. new_interval_us: from
     * one new pin to the next, 0: PN_PINS_INTERVAL_DEFAULT_US, at most
     * PN_PINS_INTERVAL_LIMIT_US. */
    size_t max_new;
    uint64_t new_interval_us;
    bool never_waits;          /* PN_LOCKED at once while others edit */
    pn_pins_change *on_change; /* or NULL; not called by pn_pins_open */
    void *user;
} pn_pins_options;

typedef struct pn_pins pn_pins;

/*
 * Opens a key directory and reads its pins; both directories are made (0700)
 * when they are not there. options may be NULL. A file that is named
 * NAME@HOST.pub and is no pin is an error. Upstream skips it, and the node of
 * that name counts as unknown. Files of other names are ignored, and
 * *ret_warning (may be NULL) says so.
 * Ownership: pn_pins_close. Errors: PN_CORRUPT a pin has not 32 bytes;
 * PN_PERMISSION it is a symbolic link, not a regular file, not ours or writable
 * by others, or so is a directory; PN_LIMIT more than max_pins; PN_INVALID an
 * option out of range; PN_SYS, PN_NOMEM. *ret_why (may be NULL) names the
 * file; nothing was changed.
 */
PN_MUST_USE pn_err pn_pins_open(const char *key_dir,
    const pn_pins_options *options, pn_pins **ret_pins, pn_why *ret_why,
    pn_why *ret_warning);
void pn_pins_close(pn_pins *pins); /* NULL is fine */

/* Sets the name and key that are never pinned, after a rotation; either may be
 * NULL. Errors: PN_NOMEM, nothing changed. */
PN_MUST_USE pn_err pn_pins_set_own(
    pn_pins *pins, const char *own_name, const pn_ed25519_key *own_key);

/* ---- asking: what is in memory ------------------------------------------ */

/* Compares a key with the pin of a name. While the directory cannot be read
 * whole (pn_pins_damage) every key differs, because the missing file may be the
 * pin of this name. The time does not depend on the key (T18). */
pn_auth_pin pn_pins_look_up(
    const pn_pins *pins, pn_slice name, const pn_ed25519_key *key);
/* True while memory holds this pin, damaged directory or not. For a link that
 * is up: it stays while another file is damaged, and ends when its own pin is
 * removed. */
bool pn_pins_has(const pn_pins *pins, pn_slice name, const pn_ed25519_key *key);
/* PN_OK, or the error of the last reload. */
pn_err pn_pins_damage(const pn_pins *pins);
/* NULL: there is none. Valid until the next call that edits or reloads. */
const pn_pin *pn_pins_find(const pn_pins *pins, pn_slice name);
/* All, sorted by name; valid as above. */
const pn_pin *pn_pins_all(const pn_pins *pins, size_t *ret_n);

/* ---- editing: on disk first --------------------------------------------- */

/*
 * Pins a name to the unknown key that its node has proven, in tofu mode. PN_OK:
 * the pin is durable. A pin that is there already is PN_OK and does not count
 * towards the limits. now_us: monotonic. Never waits for the lock.
 * Errors: PN_EXISTS the name has another key, in memory or on disk, or its pin
 * was taken back and could not be removed; PN_FULL too many pins, too many new
 * ones, or too soon after the last (T37); PN_INVALID our own name or key, or no
 * node name; PN_LOCKED somebody edits; PN_CORRUPT, PN_PERMISSION, PN_SYS,
 * PN_NOMEM, also as the error of the last reload. Nothing is pinned then.
 */
PN_MUST_USE pn_err pn_pins_add(pn_pins *pins, pn_slice name,
    const pn_ed25519_key *key, uint64_t now_us, pn_why *ret_why);

/*
 * Pins a name by hand; PN_OK also when it had this pin already.
 * Errors: PN_EXISTS the name has another key on disk; PN_FULL as many pins as
 * max_pins; PN_INVALID our own name or key, or no node name; PN_LOCKED somebody
 * has been editing for 10 s; PN_CORRUPT, PN_PERMISSION, PN_SYS, PN_NOMEM.
 * Nothing changed then, and *ret_why (may be NULL) says why.
 */
PN_MUST_USE pn_err pn_pins_pin(pn_pins *pins, const char *name,
    const pn_ed25519_key *key, pn_why *ret_why);

/*
 * Removes a pin. It does not count any more until the handle is closed or the
 * name is pinned by hand, also when the disk or memory fails; an error says
 * that the file may still be there (T23). Errors: PN_NOT_FOUND there was
 * none; PN_INVALID no node name; PN_LOCKED, PN_PERMISSION, PN_SYS; PN_NOMEM for
 * one that memory did not have: nothing was done.
 */
PN_MUST_USE pn_err pn_pins_unpin(
    pn_pins *pins, const char *name, pn_why *ret_why);

/* The same in three steps, for callers that hold a lock in memory and must not
 * hold it while the disk works: remove in memory, remove the file, and take the
 * result of the second step into memory, which returns the result of all.
 * Errors: as pn_pins_unpin. */
PN_MUST_USE pn_err pn_pins_cut(
    pn_pins *pins, const char *name, bool *ret_was_known, pn_why *ret_why);
/* Thread: any, beside every function but pn_pins_close. */
PN_MUST_USE pn_err pn_pins_remove_file(
    const pn_pins *pins, const char *name, pn_why *ret_why);
PN_MUST_USE pn_err pn_pins_cut_done(
    pn_pins *pins, const char *name, bool was_known, pn_err removed);

/* ---- edits by others ----------------------------------------------------- */

/* Reads the directory again. *ret_changed (may be NULL), set on errors too: the
 * pins in memory changed. Errors: as pn_pins_open; then no new pin counts,
 * removed and replaced pins do not count any more, and pn_pins_damage is that
 * error until a reload succeeds. */
PN_MUST_USE pn_err pn_pins_reload(
    pn_pins *pins, bool *ret_changed, pn_why *ret_why);

/* For trust/guarded_watch.h: the directory of the pins, owned by the handle,
 * and whether a file of this name is a pin. */
pn_guarded_dir *pn_pins_dir(pn_pins *pins);
bool pn_pins_is_pin(const char *file);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a Barrel node knows: one Ed25519 key for each node name, a file of 32
 * bytes each in KEY_DIR/trusted/NAME@HOST.pub (barrel-wire sections 9.1 and
 * 10). A pin is never replaced: somebody takes it back first.
 *
 * One thread at a time per handle; any number of handles and processes on one
 * directory. Whatever writes may block on a disk; asking never does.
 */
#ifndef PN_TRUST_PINS_H
#define PN_TRUST_PINS_H

#include <peernet/store.h>

#include "trust/node_name.h"

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
    pn_public_key key;
} pn_pin;

/* Zero-filled: the defaults. Borrowed for the call. */
typedef struct pn_pins_options {
    const char *own_name;         /* NULL: not known; never pinned */
    const pn_public_key *own_key; /* NULL: not known; never pinned */
    size_t max_pins; /* 0: PN_PINS_MAX_DEFAULT; at most PN_PINS_MAX_LIMIT */
    /* For pn_pins_add (T37): how many while the handle is open, 0:
     * PN_PINS_NEW_DEFAULT, at most PN_PINS_MAX_LIMIT; and the time from one to
     * the next, 0: PN_PINS_INTERVAL_DEFAULT_US, at most
     * PN_PINS_INTERVAL_LIMIT_US. */
    size_t max_new;
    uint64_t new_interval_us;
    bool never_waits; /* for others' edits: PN_LOCKED at once */
} pn_pins_options;

typedef struct pn_pins pn_pins;

/*
 * Opens a key directory and reads its pins; both directories are made (0700)
 * when they are not there. options may be NULL. A file that is named
 * NAME@HOST.pub and is no pin is refused, unlike upstream, where it is
 * skipped: whoever it was for would count as unknown. Files of other names are
 * left alone, and *ret_warning (may be NULL) says so.
 * Ownership: pn_pins_close. Errors: PN_CORRUPT a pin has not 32 bytes;
 * PN_PERMISSION it is a symbolic link, not a regular file, not ours or writable
 * by others, or so is a directory; PN_LIMIT more than max_pins; PN_INVALID an
 * option out of range; PN_SYS, PN_NOMEM. *ret_error (may be NULL) names the
 * file; nothing was changed.
 */
PN_MUST_USE pn_err pn_pins_open(const char *key_dir,
    const pn_pins_options *options, pn_pins **ret_pins,
    pn_store_error *ret_error, pn_store_error *ret_warning);
void pn_pins_close(pn_pins *pins); /* NULL is fine */

/* Whom never to pin from now on; either may be NULL. For after a rotation.
 * Errors: PN_NOMEM, nothing changed. */
PN_MUST_USE pn_err pn_pins_set_own(
    pn_pins *pins, const char *own_name, const pn_public_key *own_key);

/* ---- asking: what is in memory ------------------------------------------ */

/* How long it takes does not depend on the key (T18). */
pn_auth_pin pn_pins_look_up(
    const pn_pins *pins, pn_slice name, const pn_public_key *key);
/* NULL: there is none. Valid until the next call that edits or reloads. */
const pn_pin *pn_pins_find(const pn_pins *pins, pn_slice name);
/* All, sorted by name; valid as above. */
const pn_pin *pn_pins_all(const pn_pins *pins, size_t *ret_n);

/* ---- editing: on disk first --------------------------------------------- */

/*
 * Pins whoever has proven an unknown key, in tofu mode. PN_OK: it is on disk
 * for good. The same pin once more is PN_OK too and counts for nothing.
 * now_us: monotonic. Waits for nobody.
 * Errors: PN_EXISTS the name has another key, in memory or on disk, or its pin
 * was taken back and could not be removed; PN_LIMIT too many pins, too many new
 * ones, or too soon after the last (T37); PN_INVALID our own name or key, or no
 * node name; PN_LOCKED somebody edits; PN_CORRUPT, PN_PERMISSION, PN_SYS,
 * PN_NOMEM. Nothing is pinned then.
 */
PN_MUST_USE pn_err pn_pins_add(pn_pins *pins, pn_slice name,
    const pn_public_key *key, uint64_t now_us, pn_store_error *ret_error);

/*
 * Pins by hand; PN_OK also when it was pinned so already.
 * Errors: PN_EXISTS the name has another key on disk; PN_LIMIT as many pins as
 * max_pins; PN_INVALID our own name or key, or no node name; PN_LOCKED somebody
 * has been editing for 10 s; PN_CORRUPT, PN_PERMISSION, PN_SYS, PN_NOMEM.
 * Nothing changed then, and *ret_error (may be NULL) says why.
 */
PN_MUST_USE pn_err pn_pins_pin(pn_pins *pins, const char *name,
    const pn_public_key *key, pn_store_error *ret_error);

/*
 * Takes a pin back. Whatever the disk says, it counts no more until the handle
 * is closed or the name is pinned by hand; an error says that the file may
 * still be there (T23).
 * Errors: PN_NOT_FOUND there was none; PN_INVALID no node name; PN_LOCKED,
 * PN_PERMISSION, PN_SYS, PN_NOMEM.
 */
PN_MUST_USE pn_err pn_pins_unpin(
    pn_pins *pins, const char *name, pn_store_error *ret_error);

/* ---- edits by others ----------------------------------------------------- */

/* Reads the directory again. *ret_changed (may be NULL): the pins are not
 * those that were in memory. Errors: as open; the pins in memory stay. */
PN_MUST_USE pn_err pn_pins_reload(
    pn_pins *pins, bool *ret_changed, pn_store_error *ret_error);

/* A descriptor that becomes readable when a pin is written or removed; the
 * handle's, closed with it. -1: not here, reload every second or so instead. */
int pn_pins_watch_fd(pn_pins *pins);
/* Drains it; true when a pin was touched: reload. */
bool pn_pins_watch_read(pn_pins *pins);

#endif

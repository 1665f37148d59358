/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pins in memory and on disk; see pins.h. Every edit takes the key directory's
 * lock, reads the file itself and never replaces one, so it cannot overwrite
 * the edit of another process that memory does not have yet.
 */
#include "keys/pins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/mutant.h"
#include "keys/key_file.h"
#include "keys/pin_table.h"

#define TRUSTED "trusted"
#define SUFFIX ".pub"

enum {
    SUFFIX_LEN = sizeof(SUFFIX) - 1,
    /* A longer name does not fit a directory entry. */
    NAME_LEN_MAX = NAME_MAX - SUFFIX_LEN
};

struct pn_pins {
    pn_guarded_dir dir; /* the key directory; its lock */
    pn_guarded_dir trusted;
    size_t max_pins;
    size_t max_new;
    uint64_t interval_us;
    bool never_waits;
    char *own_name; /* NULL: not known */
    pn_ed25519_key own_key;
    bool has_own_key;
    pn_pins_change *on_change;
    void *user;
    pn_pin_table known;
    pn_pin_table cut; /* taken back, and the file could not be removed; it has
                  room for all that are known, so that this needs no memory */
    size_t n_new;
    uint64_t next_new_us; /* the next pin of tofu mode not before */
    pn_err damage;        /* of the last reload */
};

static pn_slice slice_of(const char *name)
{
    return (pn_slice){(const uint8_t *)name, strlen(name)};
}

/* ---- changes -------------------------------------------------- */

static void tell(const pn_pins *pins, const pn_pin *pin, bool is_pinned)
{
    if (pins->on_change != NULL) {
        pins->on_change(pins->user, pin, is_pinned);
    }
}

/* Reports each pin of one table that the other does not have; true: there was
 * one. */
static bool tell_missing(const pn_pins *pins, const pn_pin_table *from,
    const pn_pin_table *in, bool is_pinned)
{
    bool is_told = false;

    for (size_t i = 0; i < from->n; i++) {
        const pn_pin *pin = &from->pins[i];
        const pn_pin *other = pn_pin_table_find(in, slice_of(pin->name));

        if (other == NULL || !pn_ed25519_key_equal(&other->key, &pin->key)) {
            tell(pins, pin, is_pinned);
            is_told = true;
        }
    }
    return is_told;
}

/* ---- reading the directory ---------------------------------------------- */

/* The node that a file is named after; an empty slice when none. */
static pn_slice node_of(const char *file)
{
    const size_t len = strlen(file);

    if (len <= SUFFIX_LEN || strcmp(file + len - SUFFIX_LEN, SUFFIX) != 0
        || !pn_node_name_is_valid(file, len - SUFFIX_LEN)) {
        return (pn_slice){0};
    }
    return (pn_slice){(const uint8_t *)file, len - SUFFIX_LEN};
}

static pn_err read_pin(const pn_pins *pins, const char *file, pn_slice name,
    pn_pin_table *to, pn_why *ret_why)
{
    pn_pin pin;
    pn_err err = pn_key_file_read(
        &pins->trusted, file, PN_GUARDED_PUBLIC, pin.key.bytes, ret_why);

    if (err != PN_OK) {
        /* Removed since the directory was listed. */
        return err == PN_NOT_FOUND ? PN_OK : err;
    }
    if (PN_REFUSE_IF(pins_max_read, to->n >= pins->max_pins)) {
        return pn_guarded_fail(&pins->trusted, ret_why, PN_LIMIT, "",
            "holds more pins than the %zu that max_pins allows; raise it",
            pins->max_pins);
    }
    pin.name = strndup((const char *)name.data, name.len);
    if (pin.name == NULL || pn_pin_table_reserve(to, to->n + 1) != PN_OK) {
        free(pin.name);
        return PN_NOMEM;
    }
    to->pins[to->n++] = pin;
    return PN_OK;
}

/* One sentence for all files that are no pins, with the name of the first. */
static void warn_ignored(
    const pn_pins *pins, pn_why *warning, const char *file, size_t n)
{
    enum { SHOWN = 60 };
    char name[4 * SHOWN + 4];
    char others[48] = "";

    if (n > 1) {
        (void)snprintf(others, sizeof(others), ", nor do %zu others", n - 1);
    }
    (void)pn_escape(file, strlen(file), SHOWN, name, sizeof(name));
    (void)!pn_guarded_fail(&pins->trusted, warning, PN_OK, name,
        "is not named NODE@HOST" SUFFIX " and does not count%s", others);
}

/* NULL at the end, with errno 0, and on an error. */
static const struct dirent *next_entry(DIR *dir)
{
    errno = 0;
    return readdir(dir);
}

static pn_err read_entries(const pn_pins *pins, DIR *dir, pn_pin_table *to,
    pn_why *ret_why, pn_why *warning)
{
    char first[NAME_MAX + 1] = "";
    size_t n_ignored = 0;
    const struct dirent *entry;
    pn_err err = PN_OK;

    while (err == PN_OK && (entry = next_entry(dir)) != NULL) {
        const char *file = entry->d_name;
        const pn_slice name = node_of(file);

        if (name.len > 0) {
            err = read_pin(pins, file, name, to, ret_why);
        } else if (strcmp(file, ".") != 0 && strcmp(file, "..") != 0) {
            if (n_ignored++ == 0) {
                (void)snprintf(first, sizeof(first), "%s", file);
            }
        }
    }
    if (err == PN_OK && errno != 0) {
        return pn_guarded_fail(
            &pins->trusted, ret_why, PN_SYS, "", "%s", strerror(errno));
    }
    if (err == PN_OK && n_ignored > 0) {
        warn_ignored(pins, warning, first, n_ignored);
    }
    return err;
}

/* Reads all pins, and reserves room to remove each without memory; ret_table is
 * empty on an error. */
static pn_err read_table(
    pn_pins *pins, pn_pin_table *ret_table, pn_why *ret_why, pn_why *warning)
{
    int fd = openat(pins->trusted.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    pn_err err;

    *ret_table = (pn_pin_table){0};
    if (dir == NULL) {
        err = pn_guarded_fail(
            &pins->trusted, ret_why, PN_SYS, "", "%s", strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return err;
    }
    err = read_entries(pins, dir, ret_table, ret_why, warning);
    (void)closedir(dir);
    if (err == PN_OK) {
        err = pn_pin_table_reserve(&pins->cut, pins->cut.n + ret_table->n);
    }
    if (err != PN_OK) {
        pn_pin_table_fini(ret_table);
    } else {
        pn_pin_table_sort(ret_table);
    }
    return err;
}

/* ---- opening ----------------------------------------------------------- */

static pn_err fail_option(
    pn_why *ret_why, const char *option, uint64_t is, uint64_t limit)
{
    return pn_why_fail(ret_why, PN_INVALID,
        "%s is %" PRIu64 ", expected at most %" PRIu64, option, is, limit);
}

static pn_err take_options(
    pn_pins *pins, const pn_pins_options *options, pn_why *ret_why)
{
    pins->max_pins = options->max_pins == 0 ? PN_PINS_MAX_DEFAULT
                                            : options->max_pins;
    pins->max_new = options->max_new == 0 ? PN_PINS_NEW_DEFAULT
                                          : options->max_new;
    pins->never_waits = options->never_waits;
    pins->on_change = options->on_change;
    pins->user = options->user;
    pins->interval_us = options->new_interval_us == 0
                            ? PN_PINS_INTERVAL_DEFAULT_US
                            : options->new_interval_us;
    if (pins->max_pins > PN_PINS_MAX_LIMIT) {
        return fail_option(
            ret_why, "max_pins", pins->max_pins, PN_PINS_MAX_LIMIT);
    }
    if (pins->max_new > PN_PINS_MAX_LIMIT) {
        return fail_option(
            ret_why, "max_new", pins->max_new, PN_PINS_MAX_LIMIT);
    }
    if (pins->interval_us > PN_PINS_INTERVAL_LIMIT_US) {
        return fail_option(ret_why, "new_interval_us", pins->interval_us,
            PN_PINS_INTERVAL_LIMIT_US);
    }
    return pn_pins_set_own(pins, options->own_name, options->own_key);
}

pn_err pn_pins_set_own(
    pn_pins *pins, const char *own_name, const pn_ed25519_key *own_key)
{
    char *name = own_name == NULL ? NULL : strdup(own_name);

    if (own_name != NULL && name == NULL) {
        return PN_NOMEM;
    }
    free(pins->own_name);
    pins->own_name = name;
    pins->has_own_key = own_key != NULL;
    if (own_key != NULL) {
        pins->own_key = *own_key;
    }
    return PN_OK;
}

static pn_err start(pn_pins *pins, const char *key_dir,
    const pn_pins_options *options, pn_why *ret_why, pn_why *warning)
{
    static const pn_pins_options defaults;
    pn_err err = take_options(
        pins, options == NULL ? &defaults : options, ret_why);

    if (err == PN_OK) {
        err = pn_guarded_open(key_dir, NULL, &pins->dir, ret_why);
    }
    if (err == PN_OK) {
        err = pn_guarded_open(key_dir, TRUSTED, &pins->trusted, ret_why);
    }
    return err == PN_OK ? read_table(pins, &pins->known, ret_why, warning)
                        : err;
}

pn_err pn_pins_open(const char *key_dir, const pn_pins_options *options,
    pn_pins **ret_pins, pn_why *ret_why, pn_why *ret_warning)
{
    pn_pins *pins = calloc(1, sizeof(*pins));
    pn_err err;

    pn_why_clear(ret_why);
    pn_why_clear(ret_warning);
    if (pins == NULL) {
        return PN_NOMEM;
    }
    err = start(pins, key_dir, options, ret_why, ret_warning);
    if (err != PN_OK) {
        pn_pins_close(pins);
        return err;
    }
    *ret_pins = pins;
    return PN_OK;
}

void pn_pins_close(pn_pins *pins)
{
    if (pins == NULL) {
        return;
    }
    pn_pin_table_fini(&pins->known);
    pn_pin_table_fini(&pins->cut);
    free(pins->own_name);
    pn_guarded_close(&pins->trusted);
    pn_guarded_close(&pins->dir);
    free(pins);
}

/* ---- asking ------------------------------------------------------------ */

const pn_pin *pn_pins_find(const pn_pins *pins, pn_slice name)
{
    return pn_pin_table_find(&pins->known, name);
}

const pn_pin *pn_pins_all(const pn_pins *pins, size_t *ret_n)
{
    *ret_n = pins->known.n;
    return pins->known.pins;
}

pn_auth_pin pn_pins_look_up(
    const pn_pins *pins, pn_slice name, const pn_ed25519_key *key)
{
    const pn_pin *pin = pn_pins_find(pins, name);

    /* The file that cannot be read may be the pin of this name. */
    if (PN_REFUSE_IF(pins_damaged, pins->damage != PN_OK)) {
        return PN_AUTH_PIN_DIFFERS;
    }
    if (pin == NULL) {
        return PN_AUTH_PIN_ABSENT;
    }
    return PN_REFUSE_IF(pins_differ, !pn_ed25519_key_equal(&pin->key, key))
               ? PN_AUTH_PIN_DIFFERS
               : PN_AUTH_PIN_EQUAL;
}

bool pn_pins_has(const pn_pins *pins, pn_slice name, const pn_ed25519_key *key)
{
    const pn_pin *pin = pn_pins_find(pins, name);

    return pin != NULL && pn_ed25519_key_equal(&pin->key, key);
}

pn_err pn_pins_damage(const pn_pins *pins)
{
    return pins->damage;
}

/* ---- pinning ----------------------------------------------------------- */

static pn_err fail(
    const pn_pins *pins, pn_why *ret_why, pn_err err, const char *why)
{
    return pn_guarded_fail(&pins->trusted, ret_why, err, "", "%s", why);
}

static pn_err check_name(const pn_pins *pins, pn_slice name, pn_why *ret_why)
{
    if (PN_REFUSE_IF(pins_name, !pn_node_name_is_valid(name.data, name.len))) {
        return fail(pins, ret_why, PN_INVALID,
            "a pin needs the name of a node, expected NODE@HOST");
    }
    if (PN_REFUSE_IF(pins_name_length, name.len > NAME_LEN_MAX)) {
        return fail(pins, ret_why, PN_INVALID,
            "a node's name is longer than a file's can be, expected at most "
            "251 bytes");
    }
    return PN_OK;
}

static pn_err check_arguments(const pn_pins *pins, pn_slice name,
    const pn_ed25519_key *key, pn_why *ret_why)
{
    pn_err err = check_name(pins, name, ret_why);

    if (err != PN_OK) {
        return err;
    }
    if (PN_REFUSE_IF(
            pins_own_name, pins->own_name != NULL
                               && pn_pin_compare(pins->own_name, name) == 0)) {
        return fail(pins, ret_why, PN_INVALID,
            "this is our own name, expected another node's");
    }
    if (PN_REFUSE_IF(pins_own_key,
            pins->has_own_key && pn_ed25519_key_equal(&pins->own_key, key))) {
        return fail(pins, ret_why, PN_INVALID,
            "this is our own key, expected another node's");
    }
    return PN_OK;
}

static void file_of(pn_slice name, char ret_file[static NAME_MAX + 1])
{
    (void)snprintf(ret_file, NAME_MAX + 1, "%.*s" SUFFIX, (int)name.len,
        (const char *)name.data);
}

static pn_err fail_differs(
    const pn_pins *pins, pn_why *ret_why, const char *file)
{
    return pn_guarded_fail(&pins->trusted, ret_why, PN_EXISTS, file,
        "holds another key; a pin is never replaced, take it back first");
}

/* Under the lock. *ret_is_new: there was no such file. */
static pn_err write_pin(const pn_pins *pins, const char *file,
    const pn_ed25519_key *key, bool *ret_is_new, pn_why *ret_why)
{
    pn_ed25519_key old;
    pn_err err = pn_key_file_read(
        &pins->trusted, file, PN_GUARDED_PUBLIC, old.bytes, ret_why);

    *ret_is_new = err == PN_NOT_FOUND;
    if (*ret_is_new) {
        err = pn_guarded_create(&pins->trusted,
            &(pn_guarded_file){file, key->bytes, sizeof(key->bytes)}, 1,
            ret_why);
    } else if (err == PN_OK
               && PN_REFUSE_IF(
                   pins_differ_on_disk, !pn_ed25519_key_equal(&old, key))) {
        return fail_differs(pins, ret_why, file);
    }
    return err == PN_EXISTS ? pn_guarded_fail(
               &pins->trusted, ret_why, err, file, "%s", pn_strerror(err))
                            : err;
}

/* Reserves room before anything is written, so that nothing can fail after the
 * write. */
static pn_err make_pin(pn_pins *pins, pn_slice name, const pn_ed25519_key *key,
    pn_pin *ret_pin, pn_why *ret_why)
{
    if (pn_pin_table_find(&pins->known, name) == NULL
        && PN_REFUSE_IF(pins_max, pins->known.n >= pins->max_pins)) {
        return fail(pins, ret_why, PN_FULL,
            "holds as many pins as max_pins allows, expected fewer; take one "
            "back, or raise max_pins");
    }
    if (pn_pin_table_reserve(&pins->known, pins->known.n + 1) != PN_OK
        || pn_pin_table_reserve(&pins->cut, pins->cut.n + pins->known.n + 1)
               != PN_OK) {
        return PN_NOMEM;
    }
    ret_pin->key = *key;
    ret_pin->name = strndup((const char *)name.data, name.len);
    return ret_pin->name == NULL ? PN_NOMEM : PN_OK;
}

static void take_pin(pn_pins *pins, pn_slice name, pn_pin pin)
{
    pn_pin old = pn_pin_table_take(&pins->known, name);

    pn_pin_table_remove(&pins->cut, name);
    pn_pin_table_insert_take(&pins->known, pin);
    if (old.name == NULL) {
        tell(pins, &pin, true);
    }
    free(old.name);
}

/* Writes a pin and takes it over. now_us: of tofu mode, which waits for nobody;
 * NULL: by hand. */
static pn_err store_pin(pn_pins *pins, pn_slice name, const pn_ed25519_key *key,
    const uint64_t *now_us, pn_why *ret_why)
{
    char file[NAME_MAX + 1];
    pn_pin pin = {0};
    bool is_new;
    int lock_fd;
    pn_err err = make_pin(pins, name, key, &pin, ret_why);

    if (err == PN_OK) {
        err = pn_guarded_lock(&pins->dir, now_us == NULL, &lock_fd, ret_why);
    }
    if (err == PN_OK) {
        file_of(name, file);
        err = write_pin(pins, file, key, &is_new, ret_why);
        if (now_us != NULL) {
            /* Also after a failure: a full disk is left in peace. */
            pins->next_new_us = *now_us + pins->interval_us;
            pins->n_new += err == PN_OK && is_new;
        }
        (void)close(lock_fd);
    }
    if (err != PN_OK) {
        free(pin.name);
        return err;
    }
    take_pin(pins, name, pin);
    return PN_OK;
}

/* ---- in tofu mode ------------------------------------------------------- */

/* T37: a stranger that can reach the port can prove any number of keys. */
static pn_err check_rate(const pn_pins *pins, uint64_t now_us, pn_why *ret_why)
{
    if (PN_REFUSE_IF(pins_max_new, pins->n_new >= pins->max_new)) {
        return fail(pins, ret_why, PN_FULL,
            "as many new nodes as one run may pin were pinned already; pin "
            "more by hand");
    }
    if (PN_REFUSE_IF(pins_interval, now_us < pins->next_new_us)) {
        return fail(pins, ret_why, PN_FULL,
            "another new node was pinned a moment ago; try again later");
    }
    return PN_OK;
}

static pn_err check_known(const pn_pins *pins, pn_slice name,
    const pn_ed25519_key *key, pn_why *ret_why)
{
    char file[NAME_MAX + 1];
    const pn_pin *pin = pn_pins_find(pins, name);

    if (PN_REFUSE_IF(pins_add_damaged, pins->damage != PN_OK)) {
        return fail(pins, ret_why, pins->damage,
            "holds a file that cannot be read; mend or remove it first");
    }
    file_of(name, file);
    if (PN_REFUSE_IF(pins_differ_in_memory,
            pin != NULL && !pn_ed25519_key_equal(&pin->key, key))) {
        return fail_differs(pins, ret_why, file);
    }
    if (PN_REFUSE_IF(pins_cut, pn_pin_table_find(&pins->cut, name) != NULL)) {
        return pn_guarded_fail(&pins->trusted, ret_why, PN_EXISTS, file,
            "was taken back but could not be removed; pin it by hand");
    }
    return PN_OK;
}

pn_err pn_pins_add(pn_pins *pins, pn_slice name, const pn_ed25519_key *key,
    uint64_t now_us, pn_why *ret_why)
{
    pn_err err;

    pn_why_clear(ret_why);
    err = check_arguments(pins, name, key, ret_why);
    if (err == PN_OK) {
        err = check_known(pins, name, key, ret_why);
    }
    if (err == PN_OK && pn_pins_find(pins, name) != NULL) {
        return PN_OK;
    }
    if (err == PN_OK) {
        err = check_rate(pins, now_us, ret_why);
    }
    return err == PN_OK ? store_pin(pins, name, key, &now_us, ret_why) : err;
}

/* ---- by hand ------------------------------------------------------------- */

pn_err pn_pins_pin(
    pn_pins *pins, const char *name, const pn_ed25519_key *key, pn_why *ret_why)
{
    const pn_slice node = slice_of(name);
    pn_err err;

    pn_why_clear(ret_why);
    err = check_arguments(pins, node, key, ret_why);
    return err == PN_OK ? store_pin(pins, node, key, NULL, ret_why) : err;
}

/* ---- removing --------------------------------------------------------- */

/* Remembers that a pin does not count although its file is there. copy: of the
 * name, taken over; NULL: the name was not in memory, and a copy is made. */
static pn_err cut_off(pn_pins *pins, const char *name, char *copy)
{
    const size_t room = pins->cut.n + pins->known.n + 1;

    if (copy == NULL && pn_pin_table_reserve(&pins->cut, room) == PN_OK) {
        copy = strdup(name);
    }
    if (copy == NULL) {
        return PN_NOMEM;
    }
    pn_pin_table_insert_take(&pins->cut, (pn_pin){.name = copy});
    return PN_OK;
}

pn_err pn_pins_cut(
    pn_pins *pins, const char *name, bool *ret_was_known, pn_why *ret_why)
{
    const pn_slice node = slice_of(name);
    pn_pin gone;
    pn_err err;

    pn_why_clear(ret_why);
    err = check_name(pins, node, ret_why);
    if (err != PN_OK) {
        return err;
    }
    *ret_was_known = true;
    if (pn_pin_table_find(&pins->cut, node) != NULL) {
        return PN_OK;
    }
    gone = pn_pin_table_take(&pins->known, node);
    *ret_was_known = gone.name != NULL;
    if (gone.name != NULL) {
        tell(pins, &gone, false);
    }
    return cut_off(pins, name, gone.name);
}

pn_err pn_pins_remove_file(
    const pn_pins *pins, const char *name, pn_why *ret_why)
{
    char file[NAME_MAX + 1];
    int lock_fd;
    pn_err err;

    pn_why_clear(ret_why);
    file_of(slice_of(name), file);
    err = pn_guarded_lock(&pins->dir, !pins->never_waits, &lock_fd, ret_why);
    if (err != PN_OK) {
        return err;
    }
    err = pn_guarded_remove(&pins->trusted, file, ret_why);
    (void)close(lock_fd);
    return err == PN_NOT_FOUND ? pn_guarded_fail(&pins->trusted, ret_why, err,
               file, "is not there, expected a pin to take back")
                               : err;
}

pn_err pn_pins_cut_done(
    pn_pins *pins, const char *name, bool was_known, pn_err removed)
{
    if (removed == PN_OK || removed == PN_NOT_FOUND
        || !PN_SAFEGUARD(pins_unpin_memory)) {
        pn_pin_table_remove(&pins->cut, slice_of(name));
    }
    return removed == PN_NOT_FOUND && was_known ? PN_OK : removed;
}

pn_err pn_pins_unpin(pn_pins *pins, const char *name, pn_why *ret_why)
{
    bool was_known;
    pn_err err = pn_pins_cut(pins, name, &was_known, ret_why);

    if (err != PN_OK) {
        return err;
    }
    err = pn_pins_cut_done(
        pins, name, was_known, pn_pins_remove_file(pins, name, ret_why));
    if (err == PN_OK) {
        pn_why_clear(ret_why);
    }
    return err;
}

/* ---- edits by others ----------------------------------------------------- */

/* Drops pins that were removed in memory from the table. A removal whose file
 * has gone meanwhile is complete and forgotten. */
static void drop_cut(pn_pins *pins, pn_pin_table *now)
{
    for (size_t i = pins->cut.n; i > 0; i--) {
        const pn_slice name = slice_of(pins->cut.pins[i - 1].name);

        if (pn_pin_table_find(now, name) == NULL) {
            pn_pin_table_remove(&pins->cut, name);
        } else {
            pn_pin_table_remove(now, name);
        }
    }
}

/* For a directory that could not be read whole. A pin whose own file has gone,
 * or holds another key by now, is removed nevertheless; a pin whose file cannot
 * be read stays for the link that uses it. True: a pin was removed. */
static bool drop_removed(pn_pins *pins)
{
    char file[NAME_MAX + 1];
    bool is_dropped = false;

    for (size_t i = pins->known.n; i > 0; i--) {
        const pn_pin *pin = &pins->known.pins[i - 1];
        const pn_slice name = slice_of(pin->name);
        pn_ed25519_key now;
        pn_err err;

        file_of(name, file);
        err = pn_key_file_read(
            &pins->trusted, file, PN_GUARDED_PUBLIC, now.bytes, NULL);
        if (PN_REFUSE_IF(pins_removed_damaged,
                err == PN_NOT_FOUND
                    || (err == PN_OK
                        && !pn_ed25519_key_equal(&now, &pin->key)))) {
            const pn_pin gone = pn_pin_table_take(&pins->known, name);

            tell(pins, &gone, false);
            free(gone.name);
            is_dropped = true;
        }
    }
    return is_dropped;
}

pn_err pn_pins_reload(pn_pins *pins, bool *ret_changed, pn_why *ret_why)
{
    pn_pin_table before = pins->known;
    pn_pin_table now;
    bool is_changed;

    pn_why_clear(ret_why);
    pins->damage = read_table(pins, &now, ret_why, NULL);
    if (pins->damage != PN_OK) {
        is_changed = drop_removed(pins);
    } else {
        drop_cut(pins, &now);
        pins->known = now;
        is_changed = tell_missing(pins, &before, &now, false);
        is_changed = tell_missing(pins, &now, &before, true) || is_changed;
        pn_pin_table_fini(&before);
    }
    if (ret_changed != NULL) {
        *ret_changed = is_changed;
    }
    return pins->damage;
}

pn_guarded_dir *pn_pins_dir(pn_pins *pins)
{
    return &pins->trusted;
}

bool pn_pins_is_pin(const char *file)
{
    return node_of(file).len > 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pins in memory and on disk; see pins.h. Every edit takes the key directory's
 * lock, looks at the file itself and never replaces one, so neither another
 * process nor what memory does not know yet can be overwritten.
 */
#include "trust/pins.h"

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
#include "os/file.h"
#include "trust/key_file.h"

#define TRUSTED "trusted"
#define SUFFIX ".pub"

enum {
    SUFFIX_LEN = sizeof(SUFFIX) - 1,
    /* What a directory entry has room for: longer names have no file. */
    NAME_LEN_MAX = NAME_MAX - SUFFIX_LEN
};

/* Sorted by name. */
typedef struct table {
    pn_pin *pins;
    size_t n;
    size_t cap;
} table;

struct pn_pins {
    pn_data_dir dir; /* the key directory; its lock */
    pn_data_dir trusted;
    int watch_fd; /* -1: none */
    size_t max_pins;
    size_t max_new;
    uint64_t interval_us;
    bool never_waits;
    char *own_name; /* NULL: not known */
    pn_public_key own_key;
    bool has_own_key;
    table known;
    table cut; /* taken back, and the file could not be removed */
    size_t n_new;
    uint64_t next_new_us; /* the next pin of tofu mode not before */
};

/* ---- the table --------------------------------------------------------- */

static void table_fini(table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->pins[i].name);
    }
    free(t->pins);
    *t = (table){0};
}

static int compare(const char *name, pn_slice with)
{
    const size_t len = strlen(name);
    const size_t n = len < with.len ? len : with.len;
    const int order = n == 0 ? 0 : memcmp(name, with.data, n);

    return order != 0 ? order : (len > with.len) - (len < with.len);
}

/* Where name is, or would be. */
static size_t table_place(const table *t, pn_slice name)
{
    size_t from = 0;
    size_t to = t->n;

    while (from < to) {
        const size_t middle = from + (to - from) / 2;

        if (compare(t->pins[middle].name, name) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

static pn_pin *table_find(const table *t, pn_slice name)
{
    const size_t at = table_place(t, name);

    return at < t->n && compare(t->pins[at].name, name) == 0 ? &t->pins[at]
                                                             : NULL;
}

static pn_err table_reserve(table *t)
{
    const size_t cap = t->cap == 0 ? 16 : t->cap * 2;
    pn_pin *grown;

    if (t->n < t->cap) {
        return PN_OK;
    }
    grown = reallocarray(t->pins, cap, sizeof(*grown));
    if (grown == NULL) {
        return PN_NOMEM;
    }
    t->pins = grown;
    t->cap = cap;
    return PN_OK;
}

/* Takes pin over, in its place; there is room for it. */
static void table_insert_take(table *t, pn_pin pin)
{
    const pn_slice name = {(const uint8_t *)pin.name, strlen(pin.name)};
    const size_t at = table_place(t, name);

    memmove(&t->pins[at + 1], &t->pins[at], (t->n - at) * sizeof(*t->pins));
    t->pins[at] = pin;
    t->n++;
}

static void table_remove(table *t, pn_slice name)
{
    pn_pin *pin = table_find(t, name);
    size_t at;

    if (pin == NULL) {
        return;
    }
    at = (size_t)(pin - t->pins);
    free(pin->name);
    t->n--;
    memmove(pin, pin + 1, (t->n - at) * sizeof(*pin));
}

static bool table_equal(const table *a, const table *b)
{
    bool is_equal = a->n == b->n;

    for (size_t i = 0; is_equal && i < a->n; i++) {
        is_equal = strcmp(a->pins[i].name, b->pins[i].name) == 0
                   && pn_key_equal(&a->pins[i].key, &b->pins[i].key);
    }
    return is_equal;
}

static int by_name(const void *a, const void *b)
{
    const pn_pin *x = a;
    const pn_pin *y = b;

    return strcmp(x->name, y->name);
}

/* ---- reading the directory ---------------------------------------------- */

static pn_slice slice_of(const char *name)
{
    return (pn_slice){(const uint8_t *)name, strlen(name)};
}

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
    table *to, pn_store_error *error)
{
    pn_pin pin;
    pn_err err = pn_key_file_read(
        &pins->trusted, file, PN_FILE_PUBLIC, pin.key.bytes, error);

    if (err != PN_OK) {
        /* Taken back while we looked. */
        return err == PN_NOT_FOUND ? PN_OK : err;
    }
    if (PN_CHECK(pins_max_read, to->n >= pins->max_pins)) {
        char why[80];

        (void)snprintf(why, sizeof(why),
            "holds more pins than the %zu that max_pins allows",
            pins->max_pins);
        return pn_data_dir_fail(&pins->trusted, error, PN_LIMIT, "", why);
    }
    pin.name = strndup((const char *)name.data, name.len);
    if (pin.name == NULL || table_reserve(to) != PN_OK) {
        free(pin.name);
        return PN_NOMEM;
    }
    to->pins[to->n++] = pin;
    return PN_OK;
}

/* One sentence for all that is no pin, with the first of them. */
static void warn_ignored(
    const pn_pins *pins, pn_store_error *warning, const char *file, size_t n)
{
    enum { SHOWN = 60 };
    char name[4 * SHOWN + 4];
    char others[48] = "";
    char why[96];

    if (n > 1) {
        (void)snprintf(others, sizeof(others), ", nor do %zu others", n - 1);
    }
    (void)pn_escape(file, strlen(file), SHOWN, name, sizeof(name));
    (void)snprintf(why, sizeof(why),
        "is not named NODE@HOST" SUFFIX " and does not count%s", others);
    pn_data_dir_warn(&pins->trusted, warning, name, why);
}

/* NULL at the end, and then errno is 0 unless it came too early. */
static const struct dirent *next_entry(DIR *dir)
{
    errno = 0;
    return readdir(dir);
}

static pn_err read_entries(const pn_pins *pins, DIR *dir, table *to,
    pn_store_error *error, pn_store_error *warning)
{
    char first[NAME_MAX + 1] = "";
    size_t n_ignored = 0;
    const struct dirent *entry;
    pn_err err = PN_OK;

    while (err == PN_OK && (entry = next_entry(dir)) != NULL) {
        const char *file = entry->d_name;
        const pn_slice name = node_of(file);

        if (name.len > 0) {
            err = read_pin(pins, file, name, to, error);
        } else if (strcmp(file, ".") != 0 && strcmp(file, "..") != 0) {
            if (n_ignored++ == 0) {
                (void)snprintf(first, sizeof(first), "%s", file);
            }
        }
    }
    if (err == PN_OK && errno != 0) {
        return pn_data_dir_fail_file(&pins->trusted, error, PN_SYS, "", errno);
    }
    if (err == PN_OK && n_ignored > 0) {
        warn_ignored(pins, warning, first, n_ignored);
    }
    return err;
}

/* What is on disk; ret_table is empty on an error. */
static pn_err read_table(const pn_pins *pins, table *ret_table,
    pn_store_error *error, pn_store_error *warning)
{
    int fd = openat(pins->trusted.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    pn_err err;

    *ret_table = (table){0};
    if (dir == NULL) {
        err = pn_data_dir_fail_file(&pins->trusted, error, PN_SYS, "", errno);
        if (fd >= 0) {
            (void)close(fd);
        }
        return err;
    }
    err = read_entries(pins, dir, ret_table, error, warning);
    (void)closedir(dir);
    if (err != PN_OK) {
        table_fini(ret_table);
    } else if (ret_table->n > 1) {
        qsort(ret_table->pins, ret_table->n, sizeof(*ret_table->pins), by_name);
    }
    return err;
}

/* ---- opening ----------------------------------------------------------- */

static pn_err fail_option(
    pn_store_error *error, const char *option, uint64_t is, uint64_t limit)
{
    if (error != NULL) {
        (void)snprintf(error->text, sizeof(error->text),
            "%s is %" PRIu64 ", expected at most %" PRIu64, option, is, limit);
    }
    return PN_INVALID;
}

static pn_err take_options(
    pn_pins *pins, const pn_pins_options *options, pn_store_error *error)
{
    pins->max_pins = options->max_pins == 0 ? PN_PINS_MAX_DEFAULT
                                            : options->max_pins;
    pins->max_new = options->max_new == 0 ? PN_PINS_NEW_DEFAULT
                                          : options->max_new;
    pins->never_waits = options->never_waits;
    pins->interval_us = options->new_interval_us == 0
                            ? PN_PINS_INTERVAL_DEFAULT_US
                            : options->new_interval_us;
    if (pins->max_pins > PN_PINS_MAX_LIMIT) {
        return fail_option(
            error, "max_pins", pins->max_pins, PN_PINS_MAX_LIMIT);
    }
    if (pins->max_new > PN_PINS_MAX_LIMIT) {
        return fail_option(error, "max_new", pins->max_new, PN_PINS_MAX_LIMIT);
    }
    if (pins->interval_us > PN_PINS_INTERVAL_LIMIT_US) {
        return fail_option(error, "new_interval_us", pins->interval_us,
            PN_PINS_INTERVAL_LIMIT_US);
    }
    return pn_pins_set_own(pins, options->own_name, options->own_key);
}

pn_err pn_pins_set_own(
    pn_pins *pins, const char *own_name, const pn_public_key *own_key)
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

static pn_err open_directories(
    pn_pins *pins, const char *key_dir, pn_store_error *error)
{
    char *path = NULL;
    pn_err err = pn_data_dir_open(key_dir, &pins->dir, error);

    if (err != PN_OK) {
        return err;
    }
    if (asprintf(&path, "%s/" TRUSTED, key_dir) < 0) {
        return PN_NOMEM;
    }
    err = pn_data_dir_open(path, &pins->trusted, error);
    free(path);
    return err;
}

static pn_err start(pn_pins *pins, const char *key_dir,
    const pn_pins_options *options, pn_store_error *error,
    pn_store_error *warning)
{
    static const pn_pins_options defaults;
    pn_err err = take_options(
        pins, options == NULL ? &defaults : options, error);

    if (err == PN_OK) {
        err = open_directories(pins, key_dir, error);
    }
    return err == PN_OK ? read_table(pins, &pins->known, error, warning) : err;
}

pn_err pn_pins_open(const char *key_dir, const pn_pins_options *options,
    pn_pins **ret_pins, pn_store_error *ret_error, pn_store_error *ret_warning)
{
    pn_pins *pins = calloc(1, sizeof(*pins));
    pn_err err;

    pn_store_error_clear(ret_error);
    pn_store_error_clear(ret_warning);
    if (pins == NULL) {
        return PN_NOMEM;
    }
    pins->dir.fd = -1;
    pins->trusted.fd = -1;
    pins->watch_fd = -1;
    err = start(pins, key_dir, options, ret_error, ret_warning);
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
    if (pins->watch_fd >= 0) {
        (void)close(pins->watch_fd);
    }
    table_fini(&pins->known);
    table_fini(&pins->cut);
    free(pins->own_name);
    pn_data_dir_close(&pins->trusted);
    pn_data_dir_close(&pins->dir);
    free(pins);
}

/* ---- asking ------------------------------------------------------------ */

const pn_pin *pn_pins_find(const pn_pins *pins, pn_slice name)
{
    return table_find(&pins->known, name);
}

const pn_pin *pn_pins_all(const pn_pins *pins, size_t *ret_n)
{
    *ret_n = pins->known.n;
    return pins->known.pins;
}

pn_auth_pin pn_pins_look_up(
    const pn_pins *pins, pn_slice name, const pn_public_key *key)
{
    const pn_pin *pin = pn_pins_find(pins, name);

    if (pin == NULL) {
        return PN_AUTH_PIN_ABSENT;
    }
    return PN_CHECK(pins_differ, !pn_key_equal(&pin->key, key))
               ? PN_AUTH_PIN_DIFFERS
               : PN_AUTH_PIN_EQUAL;
}

/* ---- pinning ----------------------------------------------------------- */

static pn_err fail(
    const pn_pins *pins, pn_store_error *error, pn_err err, const char *why)
{
    return pn_data_dir_fail(&pins->trusted, error, err, "", why);
}

static pn_err check_name(
    const pn_pins *pins, pn_slice name, pn_store_error *error)
{
    if (PN_CHECK(pins_name, !pn_node_name_is_valid(name.data, name.len))) {
        return fail(pins, error, PN_INVALID,
            "a pin needs the name of a node, expected NODE@HOST");
    }
    if (PN_CHECK(pins_name_length, name.len > NAME_LEN_MAX)) {
        return fail(pins, error, PN_INVALID,
            "a node's name is longer than a file's can be, expected at most "
            "251 bytes");
    }
    return PN_OK;
}

static pn_err check_arguments(const pn_pins *pins, pn_slice name,
    const pn_public_key *key, pn_store_error *error)
{
    pn_err err = check_name(pins, name, error);

    if (err != PN_OK) {
        return err;
    }
    if (PN_CHECK(pins_own_name,
            pins->own_name != NULL && compare(pins->own_name, name) == 0)) {
        return fail(pins, error, PN_INVALID,
            "this is our own name, expected another node's");
    }
    if (PN_CHECK(pins_own_key,
            pins->has_own_key && pn_key_equal(&pins->own_key, key))) {
        return fail(pins, error, PN_INVALID,
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
    const pn_pins *pins, pn_store_error *error, const char *file)
{
    return pn_data_dir_fail(&pins->trusted, error, PN_EXISTS, file,
        "holds another key; a pin is never replaced, take it back first");
}

/* Under the lock. *ret_is_new: there was no such file. */
static pn_err write_pin(const pn_pins *pins, const char *file,
    const pn_public_key *key, bool *ret_is_new, pn_store_error *error)
{
    pn_public_key old;
    int why = 0;
    pn_err err = pn_key_file_read(
        &pins->trusted, file, PN_FILE_PUBLIC, old.bytes, error);

    if (err == PN_OK) {
        if (PN_CHECK(pins_differ_on_disk, !pn_key_equal(&old, key))) {
            return fail_differs(pins, error, file);
        }
        *ret_is_new = false;
        return PN_OK;
    }
    if (err != PN_NOT_FOUND) {
        return err;
    }
    pn_dir_clean(pins->trusted.fd);
    err = pn_file_create(
        pins->trusted.fd, file, key->bytes, sizeof(key->bytes), &why);
    if (err != PN_OK) {
        return pn_data_dir_fail_file(&pins->trusted, error, err, file, why);
    }
    *ret_is_new = true;
    return PN_OK;
}

/* Room for one more before anything is written: then nothing can fail any more
 * once it is. */
static pn_err make_pin(pn_pins *pins, pn_slice name, const pn_public_key *key,
    pn_pin *ret_pin, pn_store_error *error)
{
    if (table_find(&pins->known, name) == NULL
        && PN_CHECK(pins_max, pins->known.n >= pins->max_pins)) {
        return fail(pins, error, PN_LIMIT,
            "holds as many pins as max_pins allows, expected fewer");
    }
    if (table_reserve(&pins->known) != PN_OK) {
        return PN_NOMEM;
    }
    ret_pin->key = *key;
    ret_pin->name = strndup((const char *)name.data, name.len);
    return ret_pin->name == NULL ? PN_NOMEM : PN_OK;
}

static void take_pin(pn_pins *pins, pn_slice name, pn_pin pin)
{
    table_remove(&pins->cut, name);
    table_remove(&pins->known, name);
    table_insert_take(&pins->known, pin);
}

/* ---- in tofu mode ------------------------------------------------------- */

/* T37: who can reach the port can prove any number of keys. */
static pn_err check_rate(
    const pn_pins *pins, uint64_t now_us, pn_store_error *error)
{
    if (PN_CHECK(pins_max_new, pins->n_new >= pins->max_new)) {
        return fail(pins, error, PN_LIMIT,
            "as many new nodes as one run may pin were pinned already; pin "
            "more by hand");
    }
    if (PN_CHECK(pins_interval, now_us < pins->next_new_us)) {
        return fail(pins, error, PN_LIMIT,
            "another new node was pinned a moment ago; try again later");
    }
    return PN_OK;
}

static pn_err check_known(const pn_pins *pins, pn_slice name,
    const pn_public_key *key, pn_store_error *error)
{
    char file[NAME_MAX + 1];
    const pn_pin *pin = pn_pins_find(pins, name);

    file_of(name, file);
    if (PN_CHECK(pins_differ_in_memory,
            pin != NULL && !pn_key_equal(&pin->key, key))) {
        return fail_differs(pins, error, file);
    }
    if (PN_CHECK(pins_cut, table_find(&pins->cut, name) != NULL)) {
        return pn_data_dir_fail(&pins->trusted, error, PN_EXISTS, file,
            "was taken back but could not be removed; pin it by hand");
    }
    return PN_OK;
}

static pn_err add_locked(pn_pins *pins, pn_slice name, const pn_pin *pin,
    uint64_t now_us, pn_store_error *error)
{
    char file[NAME_MAX + 1];
    bool is_new = false;
    int lock_fd;
    pn_err err = pn_data_dir_lock(&pins->dir, false, &lock_fd, error);

    if (err != PN_OK) {
        return err;
    }
    /* Also for one that cannot be written: a full disk is left in peace. */
    pins->next_new_us = now_us + pins->interval_us;
    file_of(name, file);
    err = write_pin(pins, file, &pin->key, &is_new, error);
    pins->n_new += err == PN_OK && is_new;
    (void)close(lock_fd);
    return err;
}

pn_err pn_pins_add(pn_pins *pins, pn_slice name, const pn_public_key *key,
    uint64_t now_us, pn_store_error *ret_error)
{
    pn_pin pin = {0};
    pn_err err;

    pn_store_error_clear(ret_error);
    err = check_arguments(pins, name, key, ret_error);
    if (err == PN_OK) {
        err = check_known(pins, name, key, ret_error);
    }
    if (err == PN_OK && pn_pins_find(pins, name) != NULL) {
        return PN_OK;
    }
    if (err == PN_OK) {
        err = check_rate(pins, now_us, ret_error);
    }
    if (err == PN_OK) {
        err = make_pin(pins, name, key, &pin, ret_error);
    }
    if (err == PN_OK) {
        err = add_locked(pins, name, &pin, now_us, ret_error);
    }
    if (err != PN_OK) {
        free(pin.name);
        return err;
    }
    take_pin(pins, name, pin);
    return PN_OK;
}

/* ---- by hand ------------------------------------------------------------- */

pn_err pn_pins_pin(pn_pins *pins, const char *name, const pn_public_key *key,
    pn_store_error *ret_error)
{
    char file[NAME_MAX + 1];
    const pn_slice node = slice_of(name);
    pn_pin pin = {0};
    bool is_new;
    int lock_fd;
    pn_err err;

    pn_store_error_clear(ret_error);
    err = check_arguments(pins, node, key, ret_error);
    if (err == PN_OK) {
        err = make_pin(pins, node, key, &pin, ret_error);
    }
    if (err == PN_OK) {
        err = pn_data_dir_lock(&pins->dir, true, &lock_fd, ret_error);
    }
    if (err == PN_OK) {
        file_of(node, file);
        err = write_pin(pins, file, key, &is_new, ret_error);
        (void)close(lock_fd);
    }
    if (err != PN_OK) {
        free(pin.name);
        return err;
    }
    take_pin(pins, node, pin);
    return PN_OK;
}

/* ---- taking back --------------------------------------------------------- */

static pn_err remove_on_disk(
    pn_pins *pins, const char *file, pn_store_error *error)
{
    int why = 0;
    int lock_fd;
    pn_err err = pn_data_dir_lock(
        &pins->dir, !pins->never_waits, &lock_fd, error);

    if (err != PN_OK) {
        return err;
    }
    err = pn_file_remove(pins->trusted.fd, file, &why);
    (void)close(lock_fd);
    return err == PN_OK || err == PN_NOT_FOUND
               ? err
               : pn_data_dir_fail_file(&pins->trusted, error, err, file, why);
}

/* Remembers that a pin counts no more although its file is there. */
static pn_err cut_off(pn_pins *pins, const char *name)
{
    pn_pin pin = {.name = NULL};

    if (table_find(&pins->cut, slice_of(name)) != NULL) {
        return PN_OK;
    }
    if (table_reserve(&pins->cut) != PN_OK) {
        return PN_NOMEM;
    }
    pin.name = strdup(name);
    if (pin.name == NULL) {
        return PN_NOMEM;
    }
    table_insert_take(&pins->cut, pin);
    return PN_OK;
}

pn_err pn_pins_unpin(pn_pins *pins, const char *name, pn_store_error *ret_error)
{
    char file[NAME_MAX + 1];
    const pn_slice node = slice_of(name);
    bool was_known;
    pn_err err;

    pn_store_error_clear(ret_error);
    err = check_name(pins, node, ret_error);
    if (err != PN_OK) {
        return err;
    }
    was_known = pn_pins_find(pins, node) != NULL
                || table_find(&pins->cut, node) != NULL;
    file_of(node, file);
    err = remove_on_disk(pins, file, ret_error);
    table_remove(&pins->known, node);
    if (err == PN_OK || err == PN_NOT_FOUND) {
        table_remove(&pins->cut, node);
    } else if (PN_CHECK(pins_unpin_memory, true)
               && cut_off(pins, name) != PN_OK) {
        return PN_NOMEM;
    }
    if (err != PN_NOT_FOUND) {
        return err;
    }
    return was_known ? PN_OK
                     : pn_data_dir_fail(&pins->trusted, ret_error, err, file,
                         "is not there, expected a pin to take back");
}

/* ---- edits by others ----------------------------------------------------- */

/* Those cut off stay so; whose file has gone meanwhile is forgotten. */
static void drop_cut(pn_pins *pins, table *now)
{
    for (size_t i = pins->cut.n; i > 0; i--) {
        const pn_slice name = slice_of(pins->cut.pins[i - 1].name);

        if (table_find(now, name) == NULL) {
            table_remove(&pins->cut, name);
        } else {
            table_remove(now, name);
        }
    }
}

pn_err pn_pins_reload(
    pn_pins *pins, bool *ret_changed, pn_store_error *ret_error)
{
    table now;
    pn_err err;

    pn_store_error_clear(ret_error);
    err = read_table(pins, &now, ret_error, NULL);
    if (err != PN_OK) {
        return err;
    }
    drop_cut(pins, &now);
    if (ret_changed != NULL) {
        *ret_changed = !table_equal(&pins->known, &now);
    }
    table_fini(&pins->known);
    pins->known = now;
    return PN_OK;
}

int pn_pins_watch_fd(pn_pins *pins)
{
    int why;

    if (pins->watch_fd < 0
        && pn_dir_watch(pins->trusted.fd, &pins->watch_fd, &why) != PN_OK) {
        pins->watch_fd = -1;
    }
    return pins->watch_fd;
}

static bool is_pin(const char *file)
{
    return node_of(file).len > 0;
}

bool pn_pins_watch_read(pn_pins *pins)
{
    return pins->watch_fd >= 0 && pn_dir_watch_read(pins->watch_fd, is_pin);
}

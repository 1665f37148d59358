/* SPDX-License-Identifier: Apache-2.0 */
/* Which files a backup holds; see backup_files.h. */
#include "trust/backup_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mutant.h"
#include "os/file.h"
#include "trust/identity.h"
#include "trust/trust_list.h"

#define IDENTITY "identity.keys"
#define TRUST "trust.bin"

enum { MAX_PEERS = 65536, SMALL_MAX = 65536, LIST_MAX = 32 << 20 };

typedef struct row {
    const char *folder; /* below the data directory; "": itself */
    const char *name;
    bool is_suffix; /* every file of the folder whose name ends so */
    pn_guarded_access access;
    uint16_t modes; /* bits that a restored file may have */
    size_t max;     /* bytes */
} row;

/* Rows of one folder stand together. */
static const row rows[] = {
    {"", IDENTITY, false, PN_GUARDED_OURS_OR_MOUNTED, 0600, SMALL_MAX},
    {"", TRUST, false, PN_GUARDED_OURS, 0600, LIST_MAX},
    {"", "addresses", false, PN_GUARDED_OURS, 0600, LIST_MAX},
    {"", "grants", false, PN_GUARDED_OURS_OR_ROOTS, 0644, LIST_MAX},
    {"", "peernet.conf", false, PN_GUARDED_OURS_OR_ROOTS, 0644, SMALL_MAX},
    {"barrel/keys", "node.key", false, PN_GUARDED_OURS_OR_MOUNTED, 0600,
        SMALL_MAX},
    {"barrel/keys", "node.pub", false, PN_GUARDED_PUBLIC, 0644, SMALL_MAX},
    /* A rotation that was cut off needs it: keys/barrel_keys.c. */
    {"barrel/keys", "node.pub.bak", false, PN_GUARDED_PUBLIC, 0644, SMALL_MAX},
    {"barrel/keys/trusted", ".pub", true, PN_GUARDED_PUBLIC, 0644, SMALL_MAX},
    {"barrel/quic", "node.key", false, PN_GUARDED_OURS_OR_MOUNTED, 0600,
        SMALL_MAX},
    {"barrel/quic", "node.crt", false, PN_GUARDED_PUBLIC, 0644, SMALL_MAX},
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

/* ---- names --------------------------------------------------------------- */

/* A name that is no path and hides nothing: the characters of a node's name. */
static bool is_plain(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-@";

    return name[0] != '.' && name[strspn(name, letters)] == '\0';
}

static bool has_suffix(const char *name, const char *suffix)
{
    const size_t n = strlen(name);
    const size_t k = strlen(suffix);

    return n > k && strcmp(name + n - k, suffix) == 0;
}

static bool is_of(const row *r, const char *name)
{
    return r->is_suffix ? has_suffix(name, r->name) && is_plain(name)
                        : strcmp(name, r->name) == 0;
}

/* NULL: no backup holds such a file. *ret_leaf is the end of path. */
static const row *row_of(const char *path, const char **ret_leaf)
{
    const char *slash = strrchr(path, '/');
    const size_t n = slash == NULL ? 0 : (size_t)(slash - path);
    const char *leaf = slash == NULL ? path : slash + 1;

    for (size_t i = 0; i < N_ROWS; i++) {
        if (strlen(rows[i].folder) == n && memcmp(rows[i].folder, path, n) == 0
            && is_of(&rows[i], leaf)) {
            *ret_leaf = leaf;
            return &rows[i];
        }
    }
    return NULL;
}

/* ---- collecting ---------------------------------------------------------- */

static pn_err put(const pn_guarded_dir *dir, const row *r, const char *name,
    const pn_buf *bytes, pn_buf *plain, pn_why *ret_why)
{
    char path[PN_BACKUP_NAME_MAX + 1];
    struct stat info = {.st_mode = 0600};
    const int n = snprintf(path, sizeof(path), "%s%s%s", r->folder,
        r->folder[0] == '\0' ? "" : "/", name);
    pn_err err = PN_LIMIT;

    /* The mode is of the file, not of a link to a mounted secret. */
    (void)fstatat(dir->fd, name, &info, 0);
    if (n > 0 && (size_t)n < sizeof(path)) {
        err = pn_backup_put(plain, path, info.st_mode & 0777U,
            pn_buf_head(bytes), pn_buf_used(bytes));
    }
    return err == PN_OK ? PN_OK
                        : pn_guarded_fail(dir, ret_why, err, name, "%s",
                            err == PN_LIMIT ? "is too large for a backup"
                                            : pn_strerror(err));
}

/* A file that is not there is left out. */
static pn_err collect_file(const pn_guarded_dir *dir, const row *r,
    const char *name, pn_buf *plain, pn_why *ret_why)
{
    pn_buf bytes = {0};
    pn_err err = pn_guarded_read(
        dir, name, r->access, r->max, &bytes, ret_why, NULL);

    if (err == PN_OK) {
        err = put(dir, r, name, &bytes, plain, ret_why);
    } else if (err == PN_NOT_FOUND) {
        err = PN_OK;
    }
    pn_guarded_wipe(&bytes);
    return err;
}

static pn_err collect_each(
    const pn_guarded_dir *dir, const row *r, pn_buf *plain, pn_why *ret_why)
{
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    pn_err err = PN_OK;

    if (list == NULL) {
        err = pn_guarded_fail_sys(dir, ret_why, PN_SYS, "", errno);
        if (fd >= 0) {
            (void)close(fd);
        }
        return err;
    }
    while (err == PN_OK && (entry = readdir(list)) != NULL) {
        if (is_of(r, entry->d_name)) {
            err = collect_file(dir, r, entry->d_name, plain, ret_why);
        }
    }
    (void)closedir(list);
    return err;
}

/* The rows of one folder, which is open and locked. */
static pn_err collect_rows(const pn_guarded_dir *dir, size_t first, size_t end,
    pn_buf *plain, pn_why *ret_why)
{
    pn_err err = PN_OK;

    for (size_t i = first; err == PN_OK && i < end; i++) {
        const row *r = &rows[i];

        err = r->is_suffix ? collect_each(dir, r, plain, ret_why)
                           : collect_file(dir, r, r->name, plain, ret_why);
    }
    return err;
}

/* A folder that is not there is not made. */
static pn_err collect_folder(const pn_guarded_dir *dir, size_t first,
    size_t end, pn_buf *plain, pn_why *ret_why)
{
    const char *folder = rows[first].folder;
    pn_guarded_dir below = {0};
    int lock_fd = -1;
    pn_err err;

    if (faccessat(dir->fd, folder, F_OK, 0) != 0) {
        return PN_OK;
    }
    err = pn_guarded_open(dir->path, folder, &below, ret_why);
    if (err == PN_OK) {
        err = pn_guarded_lock(&below, true, &lock_fd, ret_why);
    }
    if (err == PN_OK) {
        err = collect_rows(&below, first, end, plain, ret_why);
        (void)close(lock_fd);
    }
    pn_guarded_close(&below);
    return err;
}

pn_err pn_backup_collect(
    const pn_guarded_dir *dir, pn_buf *plain, pn_why *ret_why)
{
    pn_err err = PN_OK;
    size_t end;

    for (size_t i = 0; err == PN_OK && i < N_ROWS; i = end) {
        for (end = i + 1;
             end < N_ROWS && strcmp(rows[end].folder, rows[i].folder) == 0;
             end++) {}
        err = rows[i].folder[0] == '\0'
                  ? collect_rows(dir, i, end, plain, ret_why)
                  : collect_folder(dir, i, end, plain, ret_why);
    }
    return err;
}

/* ---- judging ------------------------------------------------------------- */

static pn_err judge_identity(
    pn_slice bytes, pn_public_key *ret_key, pn_why *ret_why)
{
    pn_key_pair *pair = pn_secure_alloc(sizeof(*pair));
    const char *why = "";
    pn_err err = PN_NOMEM;

    if (pair != NULL) {
        err = pn_identity_read(bytes.data, bytes.len, pair, &why);
    }
    if (err == PN_OK) {
        *ret_key = pair->public_key;
    }
    pn_secure_free(pair, sizeof(*pair));
    return err == PN_CORRUPT
               ? pn_why_fail(ret_why, err, IDENTITY " is damaged: %s", why)
               : err;
}

static pn_err judge_trust(pn_slice bytes, pn_why *ret_why)
{
    pn_trust_list list = {0};
    const char *why = "";
    pn_err err = pn_trust_list_read(
        bytes.data, bytes.len, MAX_PEERS, &list, &why);

    pn_trust_list_fini(&list);
    return err == PN_CORRUPT
               ? pn_why_fail(ret_why, err, TRUST " is damaged: %s", why)
               : err;
}

static pn_err judge_file(const pn_backup_entry *e, bool *has_identity,
    pn_public_key *ret_key, pn_why *ret_why)
{
    const char *leaf = NULL;

    if (PN_REFUSE_IF(backup_name, row_of(e->name, &leaf) == NULL)) {
        return pn_why_fail(ret_why, PN_CORRUPT,
            "it holds a file that is none of a data directory");
    }
    if (strcmp(e->name, IDENTITY) == 0) {
        *has_identity = true;
        return judge_identity(e->bytes, ret_key, ret_why);
    }
    return strcmp(e->name, TRUST) == 0 ? judge_trust(e->bytes, ret_why) : PN_OK;
}

pn_err pn_backup_judge(pn_slice plain, pn_public_key *ret_key,
    uint32_t *ret_n_files, pn_why *ret_why)
{
    bool has_identity = false;
    pn_backup_entry entry;
    uint32_t n = 0;
    pn_err err;

    while ((err = pn_backup_next(&plain, &entry)) == PN_OK) {
        err = judge_file(&entry, &has_identity, ret_key, ret_why);
        if (err != PN_OK) {
            return err;
        }
        n++;
    }
    if (err != PN_NOT_FOUND) {
        return pn_why_fail(ret_why, err, "the lengths in it do not fit");
    }
    if (PN_REFUSE_IF(backup_identity, !has_identity)) {
        return pn_why_fail(ret_why, PN_NOT_FOUND, "there is no " IDENTITY);
    }
    *ret_n_files = n;
    return PN_OK;
}

/* ---- extracting ---------------------------------------------------------- */

/* Opens a folder of the table below dir, making what is missing. -1: errno. */
static int open_folder(int dir_fd, const char *folder)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dir_fd, ".", flags);

    while (fd >= 0 && folder[0] != '\0') {
        const size_t n = strcspn(folder, "/");
        char name[NAME_MAX + 1];
        int next = -1;

        (void)snprintf(name, sizeof(name), "%.*s", (int)n, folder);
        if (mkdirat(fd, name, 0700) == 0 || errno == EEXIST) {
            /* The entry of a new folder is to last, too. */
            next = fsync(fd) == 0 || errno == EINVAL ? openat(fd, name, flags)
                                                     : -1;
        }
        (void)close(fd);
        fd = next;
        folder += n + (folder[n] == '/' ? 1 : 0);
    }
    return fd;
}

static pn_err extract_file(
    const pn_guarded_dir *dir, const pn_backup_entry *e, pn_why *ret_why)
{
    const char *leaf = NULL;
    const row *r = row_of(e->name, &leaf);
    /* Its owner reads it whatever the backup says. */
    const mode_t mode = ((mode_t)e->mode & r->modes) | S_IRUSR;
    int why = 0;
    int fd = open_folder(dir->fd, r->folder);
    pn_err err;

    if (fd < 0) {
        return pn_guarded_fail_sys(dir, ret_why, PN_SYS, r->folder, errno);
    }
    err = pn_file_create(fd, leaf, e->bytes.data, e->bytes.len, &why);
    if (err == PN_OK && mode != 0600 && fchmodat(fd, leaf, mode, 0) != 0) {
        why = errno;
        err = PN_SYS;
    }
    (void)close(fd);
    if (err == PN_EXISTS) {
        return pn_guarded_fail(
            dir, ret_why, PN_CORRUPT, e->name, "is twice in the backup");
    }
    return err == PN_OK ? PN_OK
                        : pn_guarded_fail_sys(dir, ret_why, err, e->name, why);
}

pn_err pn_backup_extract(
    const pn_guarded_dir *dir, pn_slice plain, pn_why *ret_why)
{
    pn_backup_entry entry;
    pn_err err = PN_OK;

    while (err == PN_OK && pn_backup_next(&plain, &entry) == PN_OK) {
        err = extract_file(dir, &entry, ret_why);
    }
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of the test's own; see tempdir.h. */
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/capability.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tempdir.h"

static void must(bool is_done, const char *what)
{
    if (!is_done) {
        perror(what);
        exit(99);
    }
}

void pn_tempdir_init(pn_tempdir *t)
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(t->path, sizeof(t->path), "%s/pn-test-XXXXXX",
        base == NULL ? "/tmp" : base);
    must(mkdtemp(t->path) != NULL, "mkdtemp");
    t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(t->fd >= 0, "open");
}

static int remove_entry(
    const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void pn_tempdir_fini(pn_tempdir *t)
{
    (void)close(t->fd);
    (void)chmod(t->path, 0700);
    (void)nftw(t->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *pn_tempdir_path(const pn_tempdir *t, const char *name)
{
    static char paths[4][1024];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", t->path, name);
    return path;
}

void pn_tempdir_put(
    const pn_tempdir *t, const char *name, const void *data, size_t len)
{
    const char *path = pn_tempdir_path(t, name);
    FILE *file;

    (void)unlink(path);
    file = fopen(path, "wb");
    must(file != NULL, path);
    must(len == 0 || fwrite(data, 1, len, file) == len, path);
    must(fclose(file) == 0, path);
    must(chmod(path, 0600) == 0, path);
}

uint8_t *pn_tempdir_get(const pn_tempdir *t, const char *name, size_t *ret_len)
{
    enum { CAP = 4 * 1024 * 1024 };
    FILE *file = fopen(pn_tempdir_path(t, name), "rb");
    uint8_t *data;

    if (file == NULL) {
        return NULL;
    }
    data = malloc(CAP);
    must(data != NULL, "malloc");
    *ret_len = fread(data, 1, CAP, file);
    must(*ret_len < CAP && fclose(file) == 0, name);
    return data;
}

int pn_tempdir_mode(const pn_tempdir *t, const char *name)
{
    struct stat st;

    if (lstat(pn_tempdir_path(t, name), &st) != 0) {
        return -1;
    }
    return (int)(st.st_mode & 07777);
}

unsigned pn_tempdir_count(const pn_tempdir *t)
{
    DIR *dir = opendir(t->path);
    unsigned n = 0;

    must(dir != NULL, t->path);
    while (readdir(dir) != NULL) {
        n++;
    }
    (void)closedir(dir);
    return n - 2;
}

void pn_tempdir_obey_modes(bool is_on)
{
    struct __user_cap_header_struct header = {
        .version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
    const uint32_t overriding = 1u << CAP_DAC_OVERRIDE
                                | 1u << CAP_DAC_READ_SEARCH;

    must(syscall(SYS_capget, &header, caps) == 0, "capget");
    if (is_on) {
        caps[0].effective &= ~overriding;
    } else {
        caps[0].effective |= overriding & caps[0].permitted;
    }
    must(syscall(SYS_capset, &header, caps) == 0, "capset");
}

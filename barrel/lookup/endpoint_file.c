/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoint files; see endpoint_file.h. The directory is held by descriptor
 * while something is done in it.
 */
#include "lookup/endpoint_file.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mutant.h"
#include "crypto/crypto.h"
#include "keys/node_name.h"
#include "os/file.h"

#define SUFFIX ".endpoint"

enum { FILE_NAME_CAP = PN_NODE_NAME_MAX + sizeof(SUFFIX) };

/* The operation's file, and the place for its sentence. */
typedef struct place {
    const char *dir;
    const char *name;
    char file[FILE_NAME_CAP];
    int dir_fd;
    char *why;
    size_t cap;
} place;

static pn_err place_say(const place *p, pn_err err, const char *text)
{
    (void)snprintf(p->why, p->cap, "%s/%s: %s", p->dir, p->file, text);
    return err;
}

static pn_err place_sys(const place *p, int sys_errno)
{
    return place_say(p, PN_SYS, strerror(sys_errno));
}

static pn_err place_missing(const place *p)
{
    return place_say(p, PN_NOT_FOUND, pn_strerror(PN_NOT_FOUND));
}

static pn_err place_not_regular(const place *p)
{
    return place_say(p, PN_PERMISSION, "is not a regular file");
}

/* A name that is none of a node's could lead out of the directory. */
static pn_err place_init(
    place *p, const char *dir, const char *name, char *why, size_t cap)
{
    *p = (place){.dir = dir, .name = name, .why = why, .cap = cap};
    if (PN_REFUSE_IF(
            endpoint_name, !pn_node_name_is_valid(name, strlen(name)))) {
        (void)snprintf(why, cap, "%s: not the name of a node", dir);
        return PN_INVALID;
    }
    (void)snprintf(p->file, sizeof(p->file), "%s" SUFFIX, name);
    return PN_OK;
}

static pn_err place_open(place *p)
{
    p->dir_fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->dir_fd < 0) {
        return errno == ENOENT ? place_missing(p) : place_sys(p, errno);
    }
    return PN_OK;
}

/* ---- reading ------------------------------------------------------------ */

static pn_err open_error(const place *p)
{
    switch (errno) {
    case ENOENT:
        return place_missing(p);
    case ELOOP:
        return place_say(p, PN_PERMISSION, "is a symbolic link");
    case ENXIO: /* a socket */
        return place_not_regular(p);
    default:
        return place_sys(p, errno);
    }
}

static pn_err open_regular(const place *p, int *ret_fd)
{
    const int no_follow = PN_SAFEGUARD(endpoint_nofollow) ? O_NOFOLLOW : 0;
    int fd = openat(p->dir_fd, p->file,
        O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | no_follow);
    struct stat st;

    if (fd < 0) {
        return open_error(p);
    }
    if (fstat(fd, &st) != 0
        || PN_REFUSE_IF(endpoint_regular, !S_ISREG(st.st_mode))) {
        (void)close(fd);
        return place_not_regular(p);
    }
    *ret_fd = fd;
    return PN_OK;
}

/* Reads until the buffer, which has room for one byte too many, is full. */
static pn_err read_text(const place *p, int fd,
    uint8_t text[static PN_BARREL_ENDPOINT_MAX + 1], size_t *ret_len)
{
    size_t len = 0;

    while (len < PN_BARREL_ENDPOINT_MAX + 1) {
        ssize_t n = read(fd, text + len, PN_BARREL_ENDPOINT_MAX + 1 - len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return place_sys(p, errno);
        }
        if (n == 0) {
            break;
        }
        len += (size_t)n;
    }
    *ret_len = len;
    return PN_OK;
}

static pn_err place_read(const place *p,
    uint8_t text[static PN_BARREL_ENDPOINT_MAX + 1], size_t *ret_len)
{
    int fd;
    pn_err err = open_regular(p, &fd);

    if (err == PN_OK) {
        err = read_text(p, fd, text, ret_len);
        (void)close(fd);
    }
    return err;
}

pn_err pn_barrel_endpoint_read(const char *dir, const char *name,
    pn_barrel_endpoint *ret_endpoint, char *ret_why, size_t cap)
{
    uint8_t text[PN_BARREL_ENDPOINT_MAX + 1];
    const char *why = "";
    size_t len = 0;
    place p;
    pn_err err = place_init(&p, dir, name, ret_why, cap);

    if (err == PN_OK) {
        err = place_open(&p);
    }
    if (err != PN_OK) {
        return err;
    }
    err = place_read(&p, text, &len);
    (void)close(p.dir_fd);
    if (err != PN_OK) {
        return err;
    }
    err = pn_barrel_endpoint_parse(text, len, ret_endpoint, &why);
    return err == PN_OK ? PN_OK : place_say(&p, err, why);
}

/* ---- writing ------------------------------------------------------------ */

/* Every missing directory of path, which is cut and mended on the way. */
static int make_directories(char *path)
{
    for (char *c = path + 1; *c != '\0'; c++) {
        if (*c == '/') {
            *c = '\0';
            (void)mkdir(path, 0755);
            *c = '/';
        }
    }
    return mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : -1;
}

static pn_err place_open_or_make(place *p)
{
    pn_err err = place_open(p);
    char *copy;

    if (err != PN_NOT_FOUND || p->dir[0] == '\0') {
        return err == PN_NOT_FOUND ? PN_SYS : err;
    }
    copy = strdup(p->dir);
    if (copy == NULL) {
        return PN_NOMEM;
    }
    err = make_directories(copy) == 0 ? place_open(p) : place_sys(p, errno);
    free(copy);
    return err == PN_NOT_FOUND ? PN_SYS : err;
}

static pn_err place_write(const place *p, const char *text, size_t len)
{
    char temporary[40];
    uint64_t number;
    int sys_errno;

    if (pn_random((uint8_t *)&number, sizeof(number)) != PN_OK) {
        return place_say(p, PN_SYS, "there is no randomness for a name");
    }
    (void)snprintf(
        temporary, sizeof(temporary), ".endpoint-%016" PRIx64 ".tmp", number);
    return pn_file_publish(p->dir_fd, p->file, temporary, (const uint8_t *)text,
               len, &sys_errno)
                   == PN_OK
               ? PN_OK
               : place_sys(p, sys_errno);
}

/* The text of endpoint, and its place, which is opened. */
static pn_err place_begin(place *p, pn_err (*open_place)(place *p),
    const pn_barrel_endpoint *endpoint,
    char text[static PN_BARREL_ENDPOINT_MAX], size_t *ret_len)
{
    pn_err err = pn_barrel_endpoint_write(endpoint, text, ret_len);

    return err == PN_OK ? open_place(p)
                        : place_say(p, err, "the host or the port is not one");
}

pn_err pn_barrel_endpoint_publish(const char *dir, const char *name,
    const pn_barrel_endpoint *endpoint, char *ret_why, size_t cap)
{
    char text[PN_BARREL_ENDPOINT_MAX];
    size_t len = 0;
    place p;
    pn_err err = place_init(&p, dir, name, ret_why, cap);

    if (err == PN_OK) {
        err = place_begin(&p, place_open_or_make, endpoint, text, &len);
    }
    if (err == PN_OK) {
        err = place_write(&p, text, len);
        (void)close(p.dir_fd);
    }
    return err;
}

static pn_err remove_if_ours(const place *p, const char *text, size_t len)
{
    uint8_t there[PN_BARREL_ENDPOINT_MAX + 1];
    size_t there_len = 0;
    pn_err err = place_read(p, there, &there_len);

    if (err != PN_OK) {
        return err;
    }
    if (PN_REFUSE_IF(
            endpoint_ours, there_len != len || memcmp(there, text, len) != 0)) {
        return place_say(p, PN_MISMATCH, "somebody else wrote it meanwhile");
    }
    return unlinkat(p->dir_fd, p->file, 0) == 0 ? PN_OK : place_sys(p, errno);
}

pn_err pn_barrel_endpoint_unpublish(const char *dir, const char *name,
    const pn_barrel_endpoint *endpoint, char *ret_why, size_t cap)
{
    char text[PN_BARREL_ENDPOINT_MAX];
    size_t len = 0;
    place p;
    pn_err err = place_init(&p, dir, name, ret_why, cap);

    if (err == PN_OK) {
        err = place_begin(&p, place_open, endpoint, text, &len);
    }
    if (err == PN_OK) {
        err = remove_if_ours(&p, text, len);
        (void)close(p.dir_fd);
    }
    return err;
}

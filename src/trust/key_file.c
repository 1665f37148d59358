/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mutant.h"

/* What is wrong with a file whose bytes were not looked at. */
static pn_err fail_file(const pn_data_dir *dir, pn_store_error *error,
    pn_err err, const char *name, pn_file_kind kind, int sys_errno)
{
    char why[128];
    char text[256];

    if (err != PN_PERMISSION) {
        return pn_data_dir_fail_file(dir, error, err, name, sys_errno);
    }
    pn_file_why(err, sys_errno, why, sizeof(why));
    (void)snprintf(text, sizeof(text), "%s, expected a file of ours, %s", why,
        kind == PN_FILE_SECRET ? "mode 0600" : "which no other user can write");
    return pn_data_dir_fail(dir, error, err, name, text);
}

static pn_err fail_size(const pn_data_dir *dir, pn_store_error *error,
    const char *name, size_t size)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "holds %s%zu bytes, expected %d",
        size > PN_KEY_LEN ? "more than " : "",
        size > PN_KEY_LEN ? (size_t)PN_KEY_LEN : size, PN_KEY_LEN);
    return pn_data_dir_fail(dir, error, PN_CORRUPT, name, text);
}

pn_err pn_key_file_read(const pn_data_dir *dir, const char *name,
    pn_file_kind kind, uint8_t ret_key[static PN_KEY_LEN],
    pn_store_error *ret_error)
{
    pn_buf b = {0};
    int why = 0;
    /* Reserved first, so that growing leaves no copy behind. */
    pn_err err = pn_buf_reserve(&b, PN_KEY_LEN + 1);

    if (err == PN_OK) {
        err = pn_file_read_as(dir->fd, name, kind, PN_KEY_LEN, &b, &why);
    }
    if (err == PN_LIMIT) {
        err = fail_size(dir, ret_error, name, PN_KEY_LEN + 1);
    } else if (err != PN_OK && err != PN_NOT_FOUND) {
        err = fail_file(dir, ret_error, err, name, kind, why);
    } else if (err == PN_OK
               && PN_CHECK(key_file_size, pn_buf_used(&b) != PN_KEY_LEN)) {
        err = fail_size(dir, ret_error, name, pn_buf_used(&b));
    }
    if (err == PN_OK) {
        memcpy(ret_key, pn_buf_head(&b), PN_KEY_LEN);
    }
    if (b.data != NULL) {
        pn_wipe(b.data, b.cap);
    }
    pn_buf_fini(&b);
    return err;
}

/* ---- a file that somebody names ----------------------------------------- */

enum { GIVEN_MAX = 80 }; /* more than any form of a key and a line's end */

/* At most GIVEN_MAX bytes; negative: errno says why. */
static ssize_t read_given(const char *path, char ret_text[static GIVEN_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t used = 0;
    ssize_t n = -1;
    int kept;

    if (fd < 0) {
        return -1;
    }
    do {
        n = read(fd, ret_text + used, GIVEN_MAX - used);
        used += n > 0 ? (size_t)n : 0;
    } while ((n > 0 && used < GIVEN_MAX) || (n < 0 && errno == EINTR));
    kept = errno;
    (void)close(fd);
    errno = kept;
    return n < 0 ? -1 : (ssize_t)used;
}

static pn_err parse_given(const char *text, size_t len, pn_public_key *ret_key)
{
    char line[GIVEN_MAX + 1];

    if (len == PN_KEY_LEN) {
        memcpy(ret_key->bytes, text, PN_KEY_LEN);
        return PN_OK;
    }
    if (len > 0 && text[len - 1] == '\n') {
        len--;
    }
    if (len > 0 && text[len - 1] == '\r') {
        len--;
    }
    memcpy(line, text, len);
    line[len] = '\0';
    return strlen(line) == len ? pn_key_parse(line, ret_key) : PN_INVALID;
}

pn_err pn_key_file_given(
    const char *path, pn_public_key *ret_key, pn_store_error *ret_error)
{
    const pn_data_dir whole = {.path = (char *)(uintptr_t)path, .fd = -1};
    char text[GIVEN_MAX];
    ssize_t n = read_given(path, text);

    pn_store_error_clear(ret_error);
    if (n < 0) {
        return pn_data_dir_fail_file(&whole, ret_error, PN_SYS, "", errno);
    }
    if (parse_given(text, (size_t)n, ret_key) != PN_OK) {
        return pn_data_dir_fail(&whole, ret_error, PN_INVALID, "",
            "is no public key, expected 32 bytes, or 64 hexadecimal digits");
    }
    return PN_OK;
}

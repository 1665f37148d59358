/* SPDX-License-Identifier: Apache-2.0 */
#include "keys/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mutant.h"

static pn_err parse_key(const void *owner, const uint8_t *data, size_t len,
    void *ret_key, pn_why *ret_why)
{
    (void)owner;
    if (PN_REFUSE_IF(key_file_size, len != PN_KEY_LEN)) {
        return pn_why_fail(ret_why, PN_CORRUPT, "holds %zu bytes, expected %d",
            len, PN_KEY_LEN);
    }
    memcpy(ret_key, data, PN_KEY_LEN);
    return PN_OK;
}

pn_err pn_key_file_read(const pn_guarded_dir *dir, const char *name,
    pn_guarded_access access, uint8_t ret_key[static PN_KEY_LEN],
    pn_why *ret_why)
{
    const pn_guarded_format format = {
        .access = access,
        .parse = parse_key,
        .too_long = "holds more than 32 bytes, expected 32",
    };

    _Static_assert(PN_KEY_LEN == 32, "as too_long says");
    return pn_guarded_load(
        dir, name, &format, NULL, PN_KEY_LEN, ret_key, ret_why, NULL);
}

/* ---- a file that the user names ----------------------------------------- */

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

static pn_err parse_given(const char *text, size_t len, pn_ed25519_key *ret_key)
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
    return strlen(line) == len ? pn_ed25519_key_parse(line, ret_key)
                               : PN_INVALID;
}

pn_err pn_key_file_given(
    const char *path, pn_ed25519_key *ret_key, pn_why *ret_why)
{
    const pn_guarded_dir whole = {.path = (char *)(uintptr_t)path, .fd = -1};
    char text[GIVEN_MAX];
    ssize_t n = read_given(path, text);

    pn_why_clear(ret_why);
    if (n < 0) {
        return pn_guarded_fail(
            &whole, ret_why, PN_SYS, "", "%s", strerror(errno));
    }
    if (parse_given(text, (size_t)n, ret_key) != PN_OK) {
        return pn_guarded_fail(&whole, ret_why, PN_INVALID, "",
            "is no public key, expected 32 bytes, or 64 hexadecimal digits");
    }
    return PN_OK;
}

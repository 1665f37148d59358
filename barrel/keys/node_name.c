/* SPDX-License-Identifier: Apache-2.0 */
#include "keys/node_name.h"

#include <string.h>

#include "base/mutant.h"

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

static bool is_part(const uint8_t *p, size_t len)
{
    if (len == 0 || p[0] == '.' || p[0] == '-') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_name_byte(p[i])) {
            return false;
        }
    }
    return true;
}

bool pn_node_name_is_valid(const void *name, size_t len)
{
    const uint8_t *p = name;
    const uint8_t *at = len == 0 ? NULL : memchr(p, '@', len);
    size_t left;

    if (at == NULL || PN_REFUSE_IF(node_name_length, len > PN_NODE_NAME_MAX)) {
        return false;
    }
    left = (size_t)(at - p);
    return is_part(p, left) && is_part(at + 1, len - left - 1);
}

static bool part_matches(
    const char *pattern, size_t pattern_len, const uint8_t *part, size_t len)
{
    if (pattern_len == 1 && pattern[0] == '*') {
        return true;
    }
    return pattern_len == len && (len == 0 || memcmp(pattern, part, len) == 0);
}

static bool pattern_matches(
    const char *pattern, const uint8_t *name, size_t left, size_t right)
{
    const char *at = strchr(pattern, '@');

    return at != NULL
           && part_matches(pattern, (size_t)(at - pattern), name, left)
           && part_matches(at + 1, strlen(at + 1), name + left + 1, right);
}

bool pn_cookie_only_matches(
    const char *const *patterns, size_t n, const void *name, size_t len)
{
    const uint8_t *p = name;
    const uint8_t *at = len == 0 ? NULL : memchr(p, '@', len);

    for (size_t i = 0; at != NULL && i < n; i++) {
        size_t left = (size_t)(at - p);

        if (pattern_matches(patterns[i], p, left, len - left - 1)) {
            return true;
        }
    }
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "term/atoms.h"

#include <string.h>

#include "base/mutant.h"

/* Names of one length stand side by side. */
static bool is_known(const uint8_t *name, size_t len)
{
    static const char *const known[] = {
        [2] = "ok",
        [3] = "nil",
        [4] = "true"
              "call"
              "send"
              "ping"
              "pong"
              "exit"
              "busy",
        [5] = "false"
              "error"
              "reply"
              "throw"
              "undef",
        [6] = "badarg"
              "normal"
              "noproc",
        [7] = "timeout",
        [9] = "undefined"
              "forbidden",
        [12] = "system_limit",
        [13] = "handler_crash"
               "not_connected",
        [14] = "no_such_handle",
    };

    if (len >= sizeof(known) / sizeof(known[0]) || known[len] == NULL) {
        return false;
    }
    for (const char *at = known[len]; *at != '\0'; at += len) {
        if (at[0] == (char)name[0] && memcmp(at, name, len) == 0) {
            return true;
        }
    }
    return false;
}

uint32_t pn_atom_is_new(const uint8_t *name, size_t len)
{
    uint32_t hash = 2166136261U; /* FNV-1a */

    if (PN_REFUSE_IF(guess_known_atoms, is_known(name, len))) {
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ name[i]) * 16777619U;
    }
    return hash | 1;
}

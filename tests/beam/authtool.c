/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our end of Barrel's authentication on a byte pipe, for barrel_auth.exs. Lines
 * in, a line each out:
 *
 *   new ROLE MODE PIN SEED NAME DIALLED BINDING  ROLE initiator|responder, MODE
 *        strict|tofu, PIN absent|equal|differs, SEED and BINDING hexadecimal
 *   hear HEX   the peer's bytes; last HEX: and no more
 *
 * answered by: OUTCOME REASON ADDED OUTPUT NAME KEY, '-' for what is not there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "os/clock.h"

static pn_auth *auth;
static pn_ed25519_pair identity;
static uint8_t binding[PN_AUTH_BINDING_LEN];
static char name[256];
static char dialled[256];
static pn_auth_pin pin;
static unsigned n_added;

static pn_err draw(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    return pn_random(buf, len);
}

static pn_auth_pin look_up(void *user, pn_slice who, const pn_ed25519_key *key)
{
    (void)user;
    (void)who;
    (void)key;
    return pin;
}

static pn_err add(void *user, pn_slice who, const pn_ed25519_key *key)
{
    (void)user;
    (void)who;
    (void)key;
    n_added++;
    return PN_OK;
}

static const pn_env env = {.random = draw};
static const pn_auth_pins pins = {.look_up = look_up, .add = add};

static size_t unhex(const char *text, uint8_t *out, size_t max)
{
    size_t n = 0;
    unsigned byte;

    while (n < max && sscanf(text + 2 * n, "%2x", &byte) == 1) {
        out[n++] = (uint8_t)byte;
    }
    return n;
}

static void print_hex(const uint8_t *data, size_t len)
{
    printf(" %s", len == 0 ? "-" : "");
    for (size_t i = 0; i < len; i++) {
        printf("%02x", data[i]);
    }
}

static void answer(void)
{
    static const char *const outcomes[] = {
        "running", "done", "cookie-only", "failed"};
    pn_slice said = pn_auth_output(auth);
    pn_slice who = pn_auth_peer_name(auth);
    const pn_ed25519_key *key = pn_auth_peer_key(auth);

    printf("%s %s %u", outcomes[pn_auth_outcome_of(auth)],
        pn_auth_reason_text(pn_auth_reason_of(auth)), n_added);
    print_hex(said.data, said.len);
    pn_auth_written(auth, said.len);
    printf(" %.*s", who.len == 0 ? 1 : (int)who.len,
        who.len == 0 ? "-" : (const char *)who.data);
    print_hex(key == NULL ? NULL : key->bytes, key == NULL ? 0 : PN_KEY_LEN);
    puts("");
}

static void do_new(const char *line)
{
    char role[16];
    char mode[16];
    char pinned[16];
    char seed[65];
    char bound[65];
    pn_auth_config config = {.identity = &identity,
        .name = name,
        .dialled_name = dialled,
        .binding = binding,
        .timeout_us = 10 * PN_US_PER_S,
        .window_ms = 30000,
        .env = &env,
        .pins = &pins};

    if (sscanf(line, "%15s %15s %15s %64s %255s %255s %64s", role, mode, pinned,
            seed, name, dialled, bound)
        != 7) {
        puts("error arguments");
        return;
    }
    config.initiator = strcmp(role, "initiator") == 0;
    config.mode = strcmp(mode, "tofu") == 0 ? PN_AUTH_TOFU : PN_AUTH_STRICT;
    pin = strcmp(pinned, "equal") == 0    ? PN_AUTH_PIN_EQUAL
          : strcmp(pinned, "absent") == 0 ? PN_AUTH_PIN_ABSENT
                                          : PN_AUTH_PIN_DIFFERS;
    n_added = 0;
    (void)unhex(seed, identity.secret.bytes, PN_KEY_LEN);
    (void)unhex(bound, binding, sizeof(binding));
    pn_auth_free(auth);
    auth = NULL;
    if (pn_ed25519_public(&identity.secret, &identity.public_key) != PN_OK
        || pn_auth_new(&config, pn_monotonic_now_us(), &auth) != PN_OK) {
        puts("error configuration");
        return;
    }
    answer();
}

static void do_hear(const char *hex, bool is_last)
{
    static uint8_t data[4096];
    size_t n = unhex(hex, data, sizeof(data));

    if (auth == NULL) {
        puts("error nothing began");
        return;
    }
    pn_auth_input(auth, pn_monotonic_now_us(),
        (uint64_t)pn_wall_now_us() / 1000, data, n, is_last);
    answer();
}

int main(void)
{
    static char line[9000];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (strncmp(line, "new ", 4) == 0) {
            do_new(line + 4);
        } else if (strncmp(line, "hear ", 5) == 0) {
            do_hear(line + 5, false);
        } else if (strncmp(line, "last ", 5) == 0) {
            do_hear(line + 5, true);
        } else {
            puts("error no such command");
        }
        fflush(stdout);
    }
    pn_auth_free(auth);
    return 0;
}

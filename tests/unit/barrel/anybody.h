/* SPDX-License-Identifier: Apache-2.0 */
/* Callbacks for ends of the authentication that trust every key: the system's
 * randomness, and pins that match any key of any node. */
#ifndef PN_TESTS_ANYBODY_H
#define PN_TESTS_ANYBODY_H

#include "auth/auth.h"
#include "os/clock.h"

static inline pn_err anybody_draw(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    return pn_random(buf, len);
}

static inline pn_auth_pin anybody_look_up(
    void *user, pn_slice name, const pn_ed25519_key *key)
{
    (void)user;
    (void)name;
    (void)key;
    return PN_AUTH_PIN_EQUAL;
}

static inline pn_err anybody_add(
    void *user, pn_slice name, const pn_ed25519_key *key)
{
    (void)user;
    (void)name;
    (void)key;
    return PN_OK;
}

static const pn_auth_pins anybody = {
    .look_up = anybody_look_up, .add = anybody_add};

#endif

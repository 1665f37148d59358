/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PAIR-3: invitations. The first byte chooses: a text, a stored file, or the
 * bytes of an end that has not the key, which are given to an inviter or a
 * joiner in pieces of the length in the second byte. Accepted content is
 * written as it was read; nobody is stored.
 */
#include <stdlib.h>
#include <string.h>

#include "exchange/invite.h"
#include "stored/invitations.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void fuzz_text(const uint8_t *data, size_t len)
{
    char again[PN_INVITATION_URI_CAP];
    const char *why = NULL;
    pn_invitation invitation;

    if (pn_invitation_read((const char *)data, len, &invitation, &why)
        != PN_OK) {
        require(why != NULL && invitation.until_s == 0);
        return;
    }
    require(pn_invitation_write(&invitation, again) == PN_OK);
    require(strlen(again) == len && memcmp(again, data, len) == 0);
}

static void fuzz_file(const uint8_t *data, size_t len)
{
    pn_invitation_list *list = pn_invitation_list_new();
    pn_invitation_list *again = pn_invitation_list_new();
    const char *why = NULL;
    pn_buf b = {0};

    require(list != NULL && again != NULL);
    if (pn_invitations_parse(data, len, list, &why) == PN_OK) {
        require(list->n <= PN_INVITATIONS_MAX);
        require(pn_invitations_write(list, &b) == PN_OK);
        require(
            pn_invitations_parse(pn_buf_head(&b), pn_buf_used(&b), again, &why)
            == PN_OK);
        require(memcmp(list, again, sizeof(*list)) == 0);
    } else {
        require(why != NULL && list->n == 0);
    }
    pn_buf_fini(&b);
    pn_invitation_list_free(list);
    pn_invitation_list_free(again);
}

/* ---- an exchange -----------------------------------------------------------
 */

static pn_err counting(void *user, uint8_t *buf, size_t len)
{
    uint8_t *next = user;

    for (size_t i = 0; i < len; i++) {
        buf[i] = (*next)++;
    }
    return PN_OK;
}

static pn_err find(void *user, const uint8_t id[static PN_INVITATION_ID_LEN],
    pn_secret_key *ret_key)
{
    (void)user;
    if (id[0] != 0) {
        return PN_NOT_FOUND;
    }
    memset(ret_key, 0x5a, sizeof(*ret_key));
    return PN_OK;
}

static pn_err take(void *user, const uint8_t id[static PN_INVITATION_ID_LEN],
    const pn_public_key *joiner, const pn_offer *theirs, pn_offer *ret_ours)
{
    (void)user;
    (void)id;
    (void)joiner;
    (void)theirs;
    (void)ret_ours;
    abort();
}

static void refused(void *user, const uint8_t id[static PN_INVITATION_ID_LEN])
{
    (void)user;
    (void)id;
}

static void confirmed(void *user, const uint8_t id[static PN_INVITATION_ID_LEN],
    const pn_public_key *joiner)
{
    (void)user;
    (void)id;
    (void)joiner;
    abort();
}

static pn_err store(
    void *user, const pn_public_key *inviter, const pn_offer *theirs)
{
    (void)user;
    (void)inviter;
    (void)theirs;
    abort();
}

static const pn_invite_callbacks callbacks = {
    .find = find,
    .take = take,
    .refused = refused,
    .confirmed = confirmed,
    .store = store,
};

/* As a transport does: what was not used up comes again with more. */
static void give(pn_invite *invite, const uint8_t *data, size_t len, size_t n)
{
    uint8_t rest[512];
    size_t n_rest = 0;
    size_t want;

    for (size_t at = 0; at < len; at += n) {
        const size_t room = sizeof(rest) - n_rest;
        size_t piece = n < len - at ? n : len - at;
        size_t used;

        piece = piece < room ? piece : room;
        memcpy(rest + n_rest, data + at, piece);
        n_rest += piece;
        used = pn_invite_input(invite, rest, n_rest, &want);
        require(used <= n_rest && want <= PN_INVITE_JOIN_LEN);
        memmove(rest, rest + used, n_rest - used);
        n_rest -= used;
        pn_invite_sent(invite, pn_invite_output(invite).len);
    }
}

static void fuzz_exchange(const uint8_t *data, size_t len, bool is_joiner)
{
    uint8_t next = 1;
    const pn_env env = {.user = &next, .random = counting};
    const pn_offer offer = {.port = 1};
    pn_key_pair identity;
    pn_invitation invitation = {.until_s = 1};
    pn_invite_config config = {
        .identity = &identity, .env = &env, .callbacks = &callbacks};
    pn_invite *invite;
    pn_invite_outcome outcome;

    memset(identity.secret.bytes, 0x11, PN_KEY_LEN);
    require(pn_x25519_public(&identity.secret, &identity.public_key) == PN_OK);
    if (is_joiner) {
        config.invitation = &invitation;
        config.offer = &offer;
    }
    require(pn_invite_new(&config, 0, &invite) == PN_OK);
    if (len > 0) {
        give(invite, data + 1, len - 1, data[0] == 0 ? 1 : data[0]);
    }
    outcome = pn_invite_get_outcome(invite);
    require((outcome == PN_INVITE_OPEN)
            == (pn_invite_deadline(invite) != PN_TIME_NEVER));
    require(outcome != PN_INVITE_JOINED && outcome != PN_INVITE_UNCONFIRMED);
    pn_invite_free(invite);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    switch (data[0]) {
    case 't':
        fuzz_text(data + 1, len - 1);
        break;
    case 'f':
        fuzz_file(data + 1, len - 1);
        break;
    default:
        fuzz_exchange(data + 1, len - 1, data[0] == 'j');
        break;
    }
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The stored invitations: uses, ends of life, what is left on the disk, and
 * what a damaged or open file does (PAIR-3). */
#include "stored/invitations.h"

#include <sys/stat.h>

#include <unistd.h>

#include "harness.h"
#include "tempdir.h"

#define NOW INT64_C(1764600000)
#define UNTIL (NOW + 600)

static const uint8_t id[PN_INVITATION_ID_LEN] = {1, 2, 3, 4, 5, 6, 7, 8};

typedef struct place {
    pn_tempdir temp;
    pn_guarded_dir dir;
    pn_invitation_list *list;
    pn_stored_invitation taken;
    pn_invitation_state state;
} place;

static pn_public_key key_of(uint8_t n)
{
    pn_public_key key;

    memset(key.bytes, n, sizeof(key.bytes));
    return key;
}

static void place_init(place *p)
{
    pn_tempdir_init(&p->temp);
    assert_int_equal(pn_guarded_open(p->temp.path, NULL, &p->dir, NULL), PN_OK);
    p->list = pn_invitation_list_new();
    assert_non_null(p->list);
}

static void place_fini(place *p)
{
    pn_invitation_list_free(p->list);
    pn_guarded_close(&p->dir);
    pn_tempdir_fini(&p->temp);
}

static void add(place *p, uint8_t uses)
{
    pn_stored_invitation invitation = {
        .has_key = true, .until_s = UNTIL, .uses = uses};

    memcpy(invitation.id, id, sizeof(id));
    memset(invitation.key.bytes, 0xab, PN_KEY_LEN);
    (void)strcpy(invitation.label, "K\u00fcche - 2");
    (void)strcpy(invitation.role, "guest");
    assert_int_equal(
        pn_invitations_add(&p->dir, &invitation, 4000, NOW, NULL), PN_OK);
}

static pn_err take(place *p, uint8_t who, int64_t now_s)
{
    const pn_public_key joiner = key_of(who);

    return pn_invitations_take(
        &p->dir, id, &joiner, now_s, &p->taken, &p->state, NULL);
}

static void confirm(place *p, uint8_t who)
{
    const pn_public_key joiner = key_of(who);

    assert_int_equal(
        pn_invitations_confirm(&p->dir, id, &joiner, NOW, NULL), PN_OK);
}

static pn_err find(place *p, int64_t now_s)
{
    pn_secret_key key;

    return pn_invitations_find(&p->dir, id, now_s, &key, NULL);
}

static void load(place *p)
{
    assert_int_equal(pn_invitations_load(&p->dir, p->list, NULL), PN_OK);
}

/* Whether any file of the directory has the key, as it is written. */
static bool key_is_on_disk(place *p)
{
    static const char *const names[] = {
        "invitations", "invitations.bak", "edit.lock"};
    bool is = false;

    for (size_t i = 0; i < 3; i++) {
        size_t len;
        uint8_t *data = pn_tempdir_get(&p->temp, names[i], &len);

        is = is || (data != NULL && memmem(data, len, "abababab", 8) != NULL);
        free(data);
    }
    return is;
}

static void assert_wiped(place *p)
{
    load(p);
    assert_false(key_is_on_disk(p));
    assert_int_equal(find(p, NOW), PN_NOT_FOUND);
    assert_false(pn_invitation_is_live(p->list, id, NOW));
}

/* ---- uses ------------------------------------------------------------------
 */

static void test_one_use(void **state)
{
    place p;

    (void)state;
    place_init(&p);
    add(&p, 1);
    assert_int_equal(pn_tempdir_mode(&p.temp, "invitations"), 0600);
    assert_int_equal(find(&p, NOW), PN_OK);
    assert_int_equal(take(&p, 1, NOW), PN_OK);
    assert_string_equal(p.taken.label, "K\u00fcche - 2");
    assert_string_equal(p.taken.role, "guest");
    assert_false(p.taken.has_key);
    /* Another with the same text comes too late, the same may come again. */
    assert_int_equal(take(&p, 2, NOW), PN_DENIED);
    assert_int_equal(p.state, PN_INVITATION_USED);
    assert_int_equal(find(&p, NOW), PN_OK);
    assert_int_equal(take(&p, 1, NOW), PN_OK);
    load(&p);
    assert_int_equal(p.list->entries[0].n_joiners, 1);
    assert_true(pn_invitation_is_live(p.list, id, NOW));
    confirm(&p, 1);
    assert_wiped(&p);
    assert_int_equal(take(&p, 2, NOW), PN_DENIED);
    assert_int_equal(p.state, PN_INVITATION_USED);
    place_fini(&p);
}

static void test_uses(void **state)
{
    place p;

    (void)state;
    place_init(&p);
    add(&p, 3);
    for (uint8_t i = 1; i <= 3; i++) {
        assert_int_equal(take(&p, i, NOW), PN_OK);
        assert_int_equal(take(&p, i, NOW), PN_OK);
    }
    assert_int_equal(take(&p, 4, NOW), PN_DENIED);
    confirm(&p, 1);
    confirm(&p, 3);
    assert_int_equal(find(&p, NOW), PN_OK);
    assert_true(key_is_on_disk(&p));
    confirm(&p, 4); /* never took one */
    assert_int_equal(find(&p, NOW), PN_OK);
    confirm(&p, 2);
    assert_wiped(&p);
    place_fini(&p);
}

/* More joiners than a file may list: damage cannot make it so. */
static void test_joiners_limit(void **state)
{
    pn_buf b = {0};
    place p;

    (void)state;
    place_init(&p);
    add(&p, PN_INVITATION_USES_MAX);
    for (uint8_t i = 1; i <= PN_INVITATION_USES_MAX; i++) {
        assert_int_equal(take(&p, i, NOW), PN_OK);
    }
    assert_int_equal(take(&p, 99, NOW), PN_DENIED);
    load(&p);
    assert_int_equal(p.list->entries[0].n_joiners, PN_INVITATION_USES_MAX);
    place_fini(&p);

    /* A file that says there is one more use. */
    place_init(&p);
    add(&p, PN_INVITATION_USES_MAX);
    load(&p);
    for (uint8_t i = 0; i < PN_INVITATION_USES_MAX; i++) {
        p.list->entries[0].joiners[i].key = key_of(i);
    }
    p.list->entries[0].n_joiners = PN_INVITATION_USES_MAX;
    p.list->entries[0].uses = 1;
    assert_int_equal(pn_invitations_write(p.list, &b), PN_OK);
    pn_tempdir_put(&p.temp, "invitations", pn_buf_head(&b), pn_buf_used(&b));
    pn_buf_fini(&b);
    assert_int_equal(take(&p, 99, NOW), PN_DENIED);
    assert_int_equal(p.state, PN_INVITATION_USED);
    place_fini(&p);
}

/* ---- the end ---------------------------------------------------------------
 */

static void test_expired(void **state)
{
    place p;

    (void)state;
    place_init(&p);
    add(&p, 2);
    assert_int_equal(take(&p, 1, UNTIL - 1), PN_OK);
    assert_int_equal(find(&p, UNTIL), PN_NOT_FOUND);
    assert_int_equal(take(&p, 1, UNTIL), PN_DENIED);
    assert_int_equal(p.state, PN_INVITATION_EXPIRED);
    assert_int_equal(take(&p, 2, UNTIL), PN_DENIED);
    assert_false(key_is_on_disk(&p));
    load(&p);
    assert_int_equal(p.list->n, 1);
    assert_int_equal(
        pn_invitations_sweep(&p.dir, UNTIL + PN_INVITATION_KEPT_S, NULL),
        PN_OK);
    load(&p);
    assert_int_equal(p.list->n, 0);
    place_fini(&p);
}

static void test_sweep(void **state)
{
    place p;

    (void)state;
    place_init(&p);
    add(&p, 1);
    assert_int_equal(pn_invitations_sweep(&p.dir, UNTIL - 1, NULL), PN_OK);
    assert_true(key_is_on_disk(&p));
    assert_int_equal(pn_invitations_sweep(&p.dir, UNTIL, NULL), PN_OK);
    assert_false(key_is_on_disk(&p));
    place_fini(&p);
}

static void test_cancelled(void **state)
{
    place p;

    (void)state;
    place_init(&p);
    add(&p, 1);
    assert_int_equal(pn_invitations_cancel(&p.dir, id, NOW, NULL), PN_OK);
    assert_wiped(&p);
    assert_int_equal(take(&p, 1, NOW), PN_DENIED);
    assert_int_equal(p.state, PN_INVITATION_CANCELLED);
    assert_int_equal(
        pn_invitations_cancel(&p.dir, id, NOW, NULL), PN_NOT_FOUND);
    place_fini(&p);
}

/* One that was taken, and not confirmed, is ended as well. */
static void test_cancelled_taken(void **state)
{
    place p;

    (void)state;
    place_init(&p);
    add(&p, 1);
    assert_int_equal(take(&p, 1, NOW), PN_OK);
    assert_int_equal(pn_invitations_cancel(&p.dir, id, NOW, NULL), PN_OK);
    assert_int_equal(take(&p, 1, NOW), PN_DENIED);
    assert_wiped(&p);
    place_fini(&p);
}

static void test_unknown(void **state)
{
    place p;

    (void)state;
    place_init(&p);
    assert_int_equal(find(&p, NOW), PN_NOT_FOUND);
    assert_int_equal(take(&p, 1, NOW), PN_DENIED);
    assert_int_equal(p.state, PN_INVITATION_UNKNOWN);
    assert_int_equal(
        pn_invitations_cancel(&p.dir, id, NOW, NULL), PN_NOT_FOUND);
    assert_int_equal(pn_tempdir_mode(&p.temp, "invitations"), -1);
    place_fini(&p);
}

/* At the limit those that are over give way, and only those. */
static void test_full(void **state)
{
    pn_stored_invitation invitation = {
        .has_key = true, .until_s = UNTIL, .uses = 1};
    place p;

    (void)state;
    place_init(&p);
    for (uint8_t i = 0; i < PN_INVITATIONS_MAX; i++) {
        invitation.id[0] = i;
        assert_int_equal(
            pn_invitations_add(&p.dir, &invitation, 4000, NOW, NULL), PN_OK);
    }
    invitation.id[0] = 200;
    assert_int_equal(
        pn_invitations_add(&p.dir, &invitation, 4000, NOW, NULL), PN_FULL);
    invitation.id[0] = 7;
    assert_int_equal(
        pn_invitations_cancel(&p.dir, invitation.id, NOW, NULL), PN_OK);
    invitation.id[0] = 200;
    assert_int_equal(
        pn_invitations_add(&p.dir, &invitation, 4000, NOW, NULL), PN_OK);
    load(&p);
    assert_int_equal(p.list->n, PN_INVITATIONS_MAX);
    place_fini(&p);
}

/* ---- the file --------------------------------------------------------------
 */

static void test_mode(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0660, 0644, 0610};
    place p;
    pn_why why = {0};

    (void)state;
    place_init(&p);
    add(&p, 1);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        const char *path = pn_tempdir_path(&p.temp, "invitations");

        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(
            pn_invitations_load(&p.dir, p.list, &why), PN_PERMISSION);
        assert_non_null(strstr(why.text, "expected 0600"));
        assert_int_equal(take(&p, 1, NOW), PN_PERMISSION);
        assert_int_equal(find(&p, NOW), PN_PERMISSION);
        assert_int_equal(pn_tempdir_mode(&p.temp, "invitations"),
            (int)modes[i]); /* not mended */
    }
    place_fini(&p);
}

static void test_link(void **state)
{
    place p;

    (void)state;
    place_init(&p);
    add(&p, 1);
    assert_int_equal(rename(pn_tempdir_path(&p.temp, "invitations"),
                         pn_tempdir_path(&p.temp, "elsewhere")),
        0);
    assert_int_equal(
        symlink("elsewhere", pn_tempdir_path(&p.temp, "invitations")), 0);
    assert_int_equal(find(&p, NOW), PN_PERMISSION);
    place_fini(&p);
}

/* Every prefix, and every byte changed to some other: either refused, or
 * another list that is written as it was read. */
static void test_damage(void **state)
{
    pn_invitation_list *list = pn_invitation_list_new();
    const char *why;
    uint8_t *data;
    size_t len;
    place p;

    (void)state;
    place_init(&p);
    add(&p, 2);
    assert_int_equal(take(&p, 1, NOW), PN_OK);
    data = pn_tempdir_get(&p.temp, "invitations", &len);
    assert_non_null(data);
    for (size_t n = 0; n < len; n++) {
        assert_int_equal(pn_invitations_parse(data, n, list, &why), PN_CORRUPT);
        assert_int_equal(list->n, 0);
    }
    for (size_t at = 0; at < len; at++) {
        const uint8_t was = data[at];

        data[at] = (uint8_t)(was ^ 0x40);
        if (pn_invitations_parse(data, len, list, &why) == PN_OK) {
            pn_wipe(list, sizeof(*list));
        }
        data[at] = was;
    }
    pn_tempdir_put(&p.temp, "invitations", data, len - 1);
    assert_int_equal(take(&p, 2, NOW), PN_CORRUPT);
    assert_int_equal(find(&p, NOW), PN_CORRUPT);
    free(data);
    pn_invitation_list_free(list);
    place_fini(&p);
}

/* A backup that an interrupted edit left, also when it is the file itself under
 * a second name. */
static void test_backup(void **state)
{
    const bool is_same_file = *state != NULL;
    place p;

    place_init(&p);
    add(&p, 1);
    if (is_same_file) {
        assert_int_equal(link(pn_tempdir_path(&p.temp, "invitations"),
                             pn_tempdir_path(&p.temp, "invitations.bak")),
            0);
    } else {
        pn_tempdir_put(&p.temp, "invitations.bak", "abababab", 8);
    }
    assert_int_equal(pn_invitations_sweep(&p.dir, NOW, NULL), PN_OK);
    assert_int_equal(pn_tempdir_mode(&p.temp, "invitations.bak"), -1);
    assert_int_equal(find(&p, NOW), PN_OK);
    assert_int_equal(take(&p, 1, NOW), PN_OK);
    assert_int_equal(pn_tempdir_mode(&p.temp, "invitations.bak"), -1);
    place_fini(&p);
}

int main(void)
{
    void *const set = (void *)(uintptr_t)1;

    pn_test_add("invite/stored/one_use", test_one_use, NULL);
    pn_test_add("invite/stored/uses", test_uses, NULL);
    pn_test_add("invite/stored/joiners_limit", test_joiners_limit, NULL);
    pn_test_add("invite/stored/expired", test_expired, NULL);
    pn_test_add("invite/stored/sweep", test_sweep, NULL);
    pn_test_add("invite/stored/cancelled", test_cancelled, NULL);
    pn_test_add("invite/stored/cancelled_taken", test_cancelled_taken, NULL);
    pn_test_add("invite/stored/unknown", test_unknown, NULL);
    pn_test_add("invite/stored/full", test_full, NULL);
    pn_test_add("invite/stored/mode", test_mode, NULL);
    pn_test_add("invite/stored/link", test_link, NULL);
    pn_test_add("invite/stored/damage", test_damage, NULL);
    pn_test_add("invite/stored/backup/old", test_backup, NULL);
    pn_test_add("invite/stored/backup/same_file", test_backup, set);
    return pn_test_run("invite/stored");
}

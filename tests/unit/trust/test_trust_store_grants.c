/* SPDX-License-Identifier: Apache-2.0 */
/* The file of grants in a data directory. */
#include <sys/stat.h>
#include <sys/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

static pn_why error;

static void write_grants(const pn_tempdir *t, const char *text)
{
    FILE *f = fopen(fixture_path(t, "grants"), "w");

    assert_non_null(f);
    (void)fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void assert_grants(const pn_tempdir *t, const char *want)
{
    fixture_assert_file(t, "grants", want, strlen(want));
}

/* "peernet KEY led REST" */
static void line_of(const pn_public_key *key, const char *rest, char line[200])
{
    char text[PN_BASE32_LEN + 1];

    pn_key_to_base32(key, text);
    (void)snprintf(line, 200, "peernet %s led%s\n", text, rest);
}

static pn_stored_grant grant_of(const pn_public_key *key)
{
    return (pn_stored_grant){.who = pn_peernet_principal(key),
        .name = "led",
        .until_us = PN_GRANT_FOR_EVER};
}

static bool may(pn_store *store, const pn_public_key *key)
{
    const pn_principal who = pn_peernet_principal(key);
    pn_reason reason = PN_REASON_NONE;
    pn_can_step *steps = NULL;
    size_t n = 0;

    assert_int_equal(
        pn_store_can(store, &who, "led", &reason, &steps, &n, &error), PN_OK);
    free(steps);
    return reason == PN_REASON_NONE;
}

static void test_trust_store_grants_add(void **state)
{
    pn_stored_grant grant = grant_of(&fixture_bob);
    pn_stored_line *lines = NULL;
    size_t n = 0;
    pn_store *store;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    assert_false(may(store, &fixture_bob));
    assert_int_equal(pn_store_grant(store, &grant, &error), PN_OK);
    assert_int_equal(pn_tempdir_mode(&t, "data/grants"), 0600);
    assert_true(may(store, &fixture_bob));
    assert_false(may(store, &fixture_carol));
    assert_int_equal(pn_store_grant(store, &grant, &error), PN_EXISTS);
    grant.is_log_only = true;
    assert_int_equal(pn_store_grant(store, &grant, &error), PN_OK);
    assert_false(may(store, &fixture_bob));
    assert_int_equal(pn_store_list_grants(store, &lines, &n, &error), PN_OK);
    assert_int_equal(n, 1);
    assert_int_equal(lines[0].line, 2);
    assert_true(lines[0].grant.is_log_only);
    assert_true(lines[0].grant.until_us == PN_GRANT_FOR_EVER);
    free(lines);
    assert_int_equal(pn_store_ungrant(store, &grant.who, "led", &error), PN_OK);
    assert_int_equal(
        pn_store_ungrant(store, &grant.who, NULL, &error), PN_NOT_FOUND);
    fixture_assert_untouched(&t);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

static void test_trust_store_grants_refuses(void **state)
{
    pn_stored_grant grant = grant_of(&fixture_bob);
    pn_stored_grant stranger;
    const pn_public_key unknown = fixture_key(77);
    pn_store *store;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    stranger = grant_of(&unknown);
    assert_int_equal(pn_store_grant(store, &stranger, &error), PN_NOT_FOUND);
    (void)snprintf(grant.name, sizeof(grant.name), "role:a/b");
    assert_int_equal(pn_store_grant(store, &grant, &error), PN_INVALID);
    assert_says(error.text, "role:a/b");
    (void)snprintf(grant.name, sizeof(grant.name), "led");
    grant.until_us = 1500000;
    assert_int_equal(pn_store_grant(store, &grant, &error), PN_INVALID);
    assert_says(error.text, "whole seconds");
    grant.until_us = PN_GRANT_FOR_EVER;
    memset(&grant.who.key, 0, sizeof(grant.who.key));
    assert_int_equal(pn_store_grant(store, &grant, &error), PN_INVALID);
    assert_int_equal(
        pn_store_set_role(store, "a b", NULL, 0, &error), PN_INVALID);
    assert_int_equal(
        pn_store_set_role(store, "a", (const char *[]){"role:b"}, 1, &error),
        PN_INVALID);
    assert_int_equal(
        pn_store_set_role(store, "a", NULL, 0, &error), PN_NOT_FOUND);
    assert_int_equal(pn_tempdir_mode(&t, "data/grants"), -1);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* A role that root or a hand wrote: entries for each name, and bad lines. */
static void test_trust_store_grants_list(void **state)
{
    pn_stored_line *lines = NULL;
    size_t n = 0;
    pn_store *store;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    write_grants(&t, "role r b a\nx\nrole e\npaired role:r until "
                     "2027-01-01T00:00:00Z\npaired l");
    assert_int_equal(pn_store_list_grants(store, &lines, &n, &error), PN_OK);
    assert_int_equal(n, 6);
    assert_int_equal(lines[0].kind, PN_STORED_ROLE);
    assert_string_equal(lines[0].role, "r");
    assert_string_equal(lines[0].grant.name, "a");
    assert_string_equal(lines[1].grant.name, "b");
    assert_int_equal(lines[2].kind, PN_STORED_BAD);
    assert_int_equal(lines[2].line, 2);
    assert_says(lines[2].why, "expected 'peernet'");
    assert_int_equal(lines[3].kind, PN_STORED_ROLE);
    assert_string_equal(lines[3].grant.name, "");
    assert_true(lines[4].grant.is_paired);
    assert_string_equal(lines[4].grant.name, "role:r");
    assert_int_equal(lines[5].kind, PN_STORED_BAD);
    assert_says(lines[5].why, "newline");
    free(lines);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* Unpairing removes the peer's lines in the same edit, beside damaged ones. */
static void test_trust_store_grants_unpair(void **state)
{
    char bob[200];
    char carol[200];
    char text[700];
    char want[500];
    pn_store *store;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    line_of(&fixture_bob, "", bob);
    line_of(&fixture_carol, " log-only", carol);
    (void)snprintf(
        text, sizeof(text), "# x\n%sbad\n%s%spaired l", bob, carol, bob);
    (void)snprintf(want, sizeof(want), "# x\nbad\n%spaired l", carol);
    write_grants(&t, text);
    assert_int_equal(pn_store_unpair(store, &fixture_bob, &error), PN_OK);
    assert_string_equal(error.text, "");
    assert_grants(&t, want);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* Lines of a key that another program unpaired do not come back with it. */
static void test_trust_store_grants_pair(void **state)
{
    const pn_public_key other = fixture_key(77);
    char line[200];
    pn_store *store;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    line_of(&other, "", line);
    write_grants(&t, line);
    assert_int_equal(pn_store_pair(store, &other, NULL, NULL, &error), PN_OK);
    assert_grants(&t, "");
    assert_false(may(store, &other));
    /* One that is paired is only renamed, and keeps its lines. */
    line_of(&fixture_bob, "", line);
    write_grants(&t, line);
    assert_int_equal(
        pn_store_pair(store, &fixture_bob, "b", NULL, &error), PN_EXISTS);
    assert_grants(&t, line);
    assert_true(may(store, &fixture_bob));
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* Forgetting leaves the lines of a peer that is paired again by now. */
static void test_trust_store_grants_forget(void **state)
{
    const pn_principal bob = pn_peernet_principal(&fixture_bob);
    const pn_principal barrel = {.family = PN_FAMILY_BARREL, .key = bob.key};
    pn_stored_grant grant = grant_of(&fixture_bob);
    pn_store *store;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    assert_int_equal(pn_store_grant(store, &grant, &error), PN_OK);
    grant.who = barrel;
    assert_int_equal(pn_store_grant(store, &grant, &error), PN_OK);
    assert_int_equal(pn_store_forget_grants(store, &bob, &error), PN_OK);
    assert_int_equal(pn_store_forget_grants(store, &barrel, &error), PN_OK);
    assert_true(may(store, &fixture_bob));
    assert_int_equal(
        pn_store_ungrant(store, &barrel, NULL, &error), PN_NOT_FOUND);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

static void test_trust_store_grants_unsafe(void **state)
{
    pn_stored_grant grant = grant_of(&fixture_bob);
    pn_stored_line *lines = NULL;
    size_t n = 0;
    pn_store *store;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    write_grants(&t, "paired led\n");
    assert_int_equal(chmod(fixture_path(&t, "grants"), 0664), 0);
    assert_int_equal(
        pn_store_list_grants(store, &lines, &n, &error), PN_PERMISSION);
    assert_says(error.text, "grants");
    assert_int_equal(pn_store_grant(store, &grant, &error), PN_PERMISSION);
    assert_grants(&t, "paired led\n");
    /* The peer is unpaired all the same. */
    assert_int_equal(
        pn_store_unpair(store, &fixture_bob, &error), PN_PERMISSION);
    assert_says(error.text, "grants");
    assert_false(fixture_has(store, &fixture_bob));
    /* Others may read it. */
    assert_int_equal(chmod(fixture_path(&t, "grants"), 0644), 0);
    assert_true(may(store, &fixture_carol));
    assert_int_equal(pn_tempdir_mode(&t, "data/grants"), 0644);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* ---- a file of root ------------------------------------------------------ */

/* Any user but root, in a process of its own. */
enum { SOMEBODY = 65534 };

static int as_somebody(const pn_tempdir *t, const char *mode)
{
    pn_stored_grant grant = grant_of(&fixture_bob);
    pn_stored_line *lines = NULL;
    size_t n = 0;
    pn_store *store;

    store = fixture_open(t);
    if (strcmp(mode, "other") == 0) {
        return pn_store_list_grants(store, &lines, &n, &error) == PN_PERMISSION
                   ? 0
                   : 1;
    }
    if (!may(store, &fixture_bob)) {
        return 2;
    }
    if (pn_store_grant(store, &grant, &error) != PN_PERMISSION
        || strstr(error.text, "belongs to root") == NULL) {
        return 3;
    }
    if (pn_store_ungrant(store, NULL, "led", &error) != PN_PERMISSION) {
        return 4;
    }
    /* Its lines stay, and that is said. */
    if (pn_store_unpair(store, &fixture_bob, &error) != PN_OK
        || fixture_has(store, &fixture_bob)) {
        return 5;
    }
    return may(store, &fixture_bob) ? 6 : 0;
}

/* owner: of the file. */
static void check_roots(uid_t owner, mode_t file_mode, const char *mode)
{
    static const char *const names[] = {
        "identity.keys", "trust.bin", "addresses"};
    int status = -1;
    pn_tempdir t;
    pid_t pid;

    if (geteuid() != 0) {
        pn_test_skip("only root can make a file of root's");
    }
    fixture_make(&t);
    write_grants(&t, "paired led\n");
    assert_int_equal(chmod(fixture_path(&t, "grants"), file_mode), 0);
    assert_int_equal(chown(fixture_path(&t, "grants"), owner, 0), 0);
    assert_int_equal(chmod(pn_tempdir_path(&t, ""), 0755), 0);
    assert_int_equal(chown(fixture_data(&t), SOMEBODY, SOMEBODY), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(
            chown(fixture_path(&t, names[i]), SOMEBODY, SOMEBODY), 0);
    }
    pid = fork();
    if (pid == 0) {
        _exit(setgid(SOMEBODY) != 0 || setuid(SOMEBODY) != 0
                  ? 99
                  : as_somebody(&t, mode));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_grants(&t, "paired led\n");
    pn_tempdir_fini(&t);
}

static void test_trust_store_grants_roots(void **state)
{
    (void)state;
    check_roots(0, 0644, "root");
}

static void test_trust_store_grants_roots_writable(void **state)
{
    (void)state;
    check_roots(0, 0664, "other");
}

static void test_trust_store_grants_of_another(void **state)
{
    (void)state;
    check_roots(1, 0644, "other");
}

#define TEST(name)                                                             \
    pn_test_add(                                                               \
        "trust/store_grants/" #name, test_trust_store_grants_##name, NULL)

int main(void)
{
    fixture_init();
    TEST(add);
    TEST(refuses);
    TEST(list);
    TEST(unpair);
    TEST(pair);
    TEST(forget);
    TEST(unsafe);
    TEST(roots);
    TEST(roots_writable);
    TEST(of_another);
    return pn_test_run("trust/store_grants");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals of pn_barrel_open: options out of range, and files of a key
 * directory that are damaged or open to others. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tempdir.h"
#include "two_barrels.h"

/* ---- options ----------------------------------------------------------- */

typedef struct option_row {
    const char *name;
    two_barrels_change *change;
    const char *expected;
} option_row;

#define CHANGE(name, statement)                                                \
    static void name(pn_barrel_options *o, bool is_alice)                      \
    {                                                                          \
        (void)is_alice;                                                        \
        statement;                                                             \
    }
CHANGE(set_no_name, o->name = NULL)
CHANGE(set_bad_name, o->name = "alice")
CHANGE(set_no_cookie, o->cookie = "")
CHANGE(set_same_dirs, o->cert_dir = o->key_dir)
CHANGE(set_no_auth, o->trust = (pn_barrel_trust)2)
CHANGE(set_no_timeout, o->auth_timeout_ms = 0)
CHANGE(set_forever, o->auth_timeout_ms = UINT32_MAX)
CHANGE(set_long, o->auth_timeout_ms = 120001)
CHANGE(set_alive, o->keep_alive_ms = o->dead_after_ms)
CHANGE(set_bad_port, o->listen_port = 65536)
CHANGE(set_bad_address, o->listen_address = "example.org")
CHANGE(set_small_message, o->max_message_bytes = 1023)
CHANGE(set_no_handshake, o->handshake_timeout_ms = 0)
CHANGE(set_no_unproven, o->unproven_per_second = 0)
CHANGE(set_no_retries, o->retries_per_second = 0)
CHANGE(set_no_answers, o->answers_per_second = 0)
CHANGE(set_no_reserve, o->known_answers_per_second = 0)

static void set_any_cookie_only(pn_barrel_options *options, bool is_alice)
{
    static const char *const patterns[] = {"*@127.0.0.1"};

    (void)is_alice;
    options->cookie_only = patterns;
    options->n_cookie_only = 1;
    options->cookie = "barrel_p2p";
}

static void set_pauses(pn_barrel_options *options, bool is_alice)
{
    (void)is_alice;
    options->redial_ms = 2000;
    options->redial_max_ms = 1999;
}

static void set_no_pause(pn_barrel_options *options, bool is_alice)
{
    (void)is_alice;
    options->redial_ms = 9;
}

static const option_row option_rows[] = {
    {"pauses", set_pauses, "redial_max_ms"},
    {"no_pause", set_no_pause, "redial_ms is 9, expected 10 to"},
    {"no_name", set_no_name, "NAME@HOST"},
    {"bad_name", set_bad_name, "NAME@HOST"},
    {"no_cookie", set_no_cookie, "cookie"},
    {"same_dirs", set_same_dirs, "cert_dir"},
    {"no_auth", set_no_auth, "cannot be switched off"},
    {"no_timeout", set_no_timeout, "authentication always has an end"},
    {"forever", set_forever, "authentication always has an end"},
    {"long", set_long, "expected 1 to 120000"},
    {"keep_alive", set_alive, "keep_alive_ms"},
    {"any_cookie_only", set_any_cookie_only, "everybody knows"},
    {"bad_port", set_bad_port, "listen_port"},
    {"bad_address", set_bad_address, "numeric"},
    {"small_message", set_small_message, "max_message_bytes"},
    {"no_handshake", set_no_handshake, "a handshake always has an end"},
    {"no_unproven", set_no_unproven, "unproven_per_second is 0"},
    {"no_retries", set_no_retries, "retries_per_second is 0"},
    {"no_answers", set_no_answers, "answers_per_second is 0"},
    {"no_reserve", set_no_reserve, "known_answers_per_second is 0"},
};

static void test_option(void **state)
{
    const option_row *row = *state;
    two_barrels t;

    two_barrels_init(&t);
    assert_int_equal(two_barrels_open_one(&t, true, row->change), PN_INVALID);
    if (strstr(t.why.text, row->expected) == NULL) {
        fail_msg("expected \"%s\" in \"%s\"", row->expected, t.why.text);
    }
    two_barrels_fini(&t);
}

static void test_open_twice(void **state)
{
    two_barrels t;

    (void)state;
    two_barrels_init(&t);
    assert_int_equal(two_barrels_open_one(&t, true, NULL), PN_OK);
    {
        pn_barrel_options opt;
        pn_barrel *second = NULL;

        pn_barrel_options_init(&opt);
        opt.name = ALICE;
        opt.cookie = "cookie";
        opt.key_dir = two_barrels_path(&t, true, "keys");
        opt.cert_dir = two_barrels_path(&t, true, "quic");
        opt.listen_address = "127.0.0.1";
        opt.listen_port = 0;
        assert_int_equal(
            pn_barrel_open(t.alice_node, &opt, &second, NULL), PN_EXISTS);
    }
    two_barrels_fini(&t);
}

/* ---- files that are not as they should be ------------------------------ */

#define PIN "keys/trusted/" BOB ".pub"

typedef struct file_row {
    const char *name;
    const char *file;
    void (*spoil)(const char *path);
    pn_err expected;
} file_row;

static void without(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static void short_by_one(const char *path)
{
    assert_int_equal(truncate(path, 31), 0);
}

static void long_by_one(const char *path)
{
    assert_int_equal(truncate(path, 33), 0);
}

static void of_another(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_int_equal(write(fd, "another key", 11), 11);
    assert_int_equal(close(fd), 0);
}

static void readable(const char *path)
{
    assert_int_equal(chmod(path, 0644), 0);
}

static void writable(const char *path)
{
    assert_int_equal(chmod(path, 0622), 0);
}

static void unreadable(const char *path)
{
    assert_int_equal(chmod(path, 0), 0);
}

static void directory(const char *path)
{
    without(path);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void link_to_itself(const char *path)
{
    without(path);
    assert_int_equal(symlink(path, path), 0);
}

static const file_row file_rows[] = {
    {"no_node.pub", "keys/node.pub", without, PN_CORRUPT},
    {"no_node.key", "keys/node.key", without, PN_CORRUPT},
    {"short_node.pub", "keys/node.pub", short_by_one, PN_CORRUPT},
    {"long_node.pub", "keys/node.pub", long_by_one, PN_CORRUPT},
    {"short_node.key", "keys/node.key", short_by_one, PN_CORRUPT},
    {"long_node.key", "keys/node.key", long_by_one, PN_CORRUPT},
    {"another_node.pub", "keys/node.pub", of_another, PN_CORRUPT},
    {"readable_node.key", "keys/node.key", readable, PN_PERMISSION},
    {"writable_node.pub", "keys/node.pub", writable, PN_PERMISSION},
    {"unreadable_node.key", "keys/node.key", unreadable, PN_SYS},
    {"unreadable_node.pub", "keys/node.pub", unreadable, PN_SYS},
    {"linked_node.key", "keys/node.key", link_to_itself, PN_SYS},
    {"short_pin", PIN, short_by_one, PN_CORRUPT},
    {"long_pin", PIN, long_by_one, PN_CORRUPT},
    {"writable_pin", PIN, writable, PN_PERMISSION},
    {"unreadable_pin", PIN, unreadable, PN_SYS},
    {"directory_pin", PIN, directory, PN_PERMISSION},
    {"linked_pin", PIN, link_to_itself, PN_PERMISSION},
};

/* The error names the file, and a missing file is not made anew. */
static void test_bad_file(void **state)
{
    const file_row *row = *state;
    two_barrels t;
    char expected[200];
    pn_err err;

    two_barrels_init(&t);
    two_barrels_pin(&t);
    (void)snprintf(expected, sizeof(expected),
        "%s: ", two_barrels_path(&t, true, row->file));
    row->spoil(two_barrels_path(&t, true, row->file));
    pn_tempdir_obey_modes(true);
    err = two_barrels_open_one(&t, true, NULL);
    pn_tempdir_obey_modes(false);
    assert_int_equal(err, row->expected);
    if (strncmp(t.why.text, expected, strlen(expected)) != 0) {
        fail_msg("expected \"%s\", found \"%s\"", expected, t.why.text);
    }
    assert_null(strchr(t.why.text, '\n'));
    if (row->spoil == without) {
        assert_int_equal(
            access(two_barrels_path(&t, true, row->file), F_OK), -1);
    }
    two_barrels_fini(&t);
}

#define T(name) pn_test_add("barrel/link/" #name, test_##name, NULL)

int main(void)
{
    T(open_twice);
    for (size_t i = 0; i < sizeof(file_rows) / sizeof(file_rows[0]); i++) {
        pn_test_addf(test_bad_file, (void *)(uintptr_t)&file_rows[i],
            "barrel/link/bad_file/%s", file_rows[i].name);
    }
    for (size_t i = 0; i < sizeof(option_rows) / sizeof(option_rows[0]); i++) {
        pn_test_addf(test_option, (void *)(uintptr_t)&option_rows[i],
            "barrel/link/option/%s", option_rows[i].name);
    }
    return pn_test_run("barrel/open");
}

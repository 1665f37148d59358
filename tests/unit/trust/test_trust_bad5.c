/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/THREATS.md, BAD-5: every file of a data directory, and the directory
 * itself, with every mode, with another owner, and with another file type. Each
 * row has its outcome, and in none is anything stored lost.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

enum { OTHER_UID = 4242 };

typedef enum object {
    OBJECT_IDENTITY = FIXTURE_IDENTITY,
    OBJECT_TRUST = FIXTURE_TRUST,
    OBJECT_ADDRESSES = FIXTURE_ADDRESSES,
    OBJECT_DIRECTORY,
    OBJECT_EDIT_LOCK,
    OBJECT_NODE_LOCK,
    N_OBJECTS
} object;

static const char *const OBJECT_NAMES[] = {
    "identity.keys", "trust.bin", "addresses", "", "edit.lock", "node.lock"};

typedef enum badness {
    BAD_MODE,
    BAD_OWNER,
    BAD_OWNER_AS_USER, /* root's file in an ordinary user's directory */
    BAD_LINK,          /* to a good one elsewhere */
    BAD_LINK_INSIDE,   /* to another name in the same directory */
    BAD_LINK_DANGLING,
    BAD_LINK_LOOP,
    BAD_FIFO,
    BAD_DIRECTORY, /* for the directory: a regular file */
    BAD_SOCKET,
    BAD_DEVICE,
    N_BADNESSES
} badness;

static const char *const BADNESS_NAMES[] = {"mode", "owner",
    "owner_seen_by_a_user", "link", "link_inside", "link_dangling",
    "link_to_itself", "fifo", "directory", "socket", "device"};

typedef struct row {
    object object;
    badness badness;
    unsigned mode;
} row;

/* ---- making it bad ----------------------------------------------------- */

static void move_away(const char *path, const char *to)
{
    if (rename(path, to) != 0) {
        FILE *file = fopen(to, "w");

        assert_non_null(file);
        assert_int_equal(fclose(file), 0);
    }
}

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(close(fd), 0);
}

static bool is_lock(object o)
{
    return o == OBJECT_EDIT_LOCK || o == OBJECT_NODE_LOCK;
}

static void make_bad(const pn_tempdir *t, const row *r, const char *path)
{
    const char *away = pn_tempdir_path(t, "away");

    if (is_lock(r->object)) {
        pn_tempdir_put(t,
            r->object == OBJECT_EDIT_LOCK ? "data/edit.lock" : "data/node.lock",
            "", 0);
    }
    switch (r->badness) {
    case BAD_MODE:
        assert_int_equal(chmod(path, r->mode), 0);
        return;
    case BAD_OWNER:
        assert_int_equal(chown(path, OTHER_UID, OTHER_UID), 0);
        return;
    case BAD_OWNER_AS_USER:
        assert_int_equal(chmod(path, 0644), 0);
        assert_int_equal(chmod(t->path, 0755), 0);
        assert_int_equal(chown(fixture_data(t), OTHER_UID, OTHER_UID), 0);
        for (object o = OBJECT_IDENTITY; o <= OBJECT_ADDRESSES; o++) {
            if (o != r->object) {
                assert_int_equal(chown(fixture_path(t, OBJECT_NAMES[o]),
                                     OTHER_UID, OTHER_UID),
                    0);
            }
        }
        return;
    default:
        break;
    }
    move_away(
        path, r->badness == BAD_LINK_INSIDE ? fixture_path(t, "inside") : away);
    switch (r->badness) {
    case BAD_LINK:
        assert_int_equal(symlink(away, path), 0);
        break;
    case BAD_LINK_INSIDE:
        assert_int_equal(symlink("inside", path), 0);
        break;
    case BAD_LINK_DANGLING:
        assert_int_equal(symlink("nowhere", path), 0);
        break;
    case BAD_LINK_LOOP:
        assert_int_equal(symlink(strrchr(path, '/') + 1, path), 0);
        break;
    case BAD_FIFO:
        assert_int_equal(mkfifo(path, 0600), 0);
        break;
    case BAD_DIRECTORY:
        if (r->object == OBJECT_DIRECTORY) {
            FILE *file = fopen(path, "w");

            assert_non_null(file);
            assert_int_equal(fclose(file), 0);
        } else {
            assert_int_equal(mkdir(path, 0700), 0);
        }
        break;
    case BAD_SOCKET:
        make_socket(path);
        break;
    default:
        /* 1, 3: /dev/null, which reads as an empty file */
        assert_int_equal(mknod(path, S_IFCHR | 0600, 1 << 8 | 3), 0);
        break;
    }
}

/* ---- outcomes ---------------------------------------------------------- */

static bool needs_root(const row *r)
{
    return r->badness == BAD_OWNER || r->badness == BAD_OWNER_AS_USER
           || r->badness == BAD_DEVICE;
}

/* A mode with which we cannot even read, unless we are root. */
static bool is_shut(const row *r)
{
    return geteuid() != 0 && (r->mode & 0400) == 0;
}

/* Others could have written it: refused as it is, with its mode. */
static bool is_written(const row *r)
{
    return r->badness == BAD_MODE && !is_shut(r) && (r->mode & 022) != 0
           && r->object <= OBJECT_ADDRESSES;
}

/* A key may be mounted: a link to a good one is followed, and one to nothing
 * makes no new key. */
static bool is_identity_link(const row *r)
{
    return r->object == OBJECT_IDENTITY && r->badness >= BAD_LINK
           && r->badness <= BAD_LINK_LOOP;
}

static pn_err expected_open(const row *r)
{
    if (is_identity_link(r)) {
        return r->badness == BAD_LINK || r->badness == BAD_LINK_INSIDE ? PN_OK
                                                                       : PN_SYS;
    }
    switch (r->object) {
    case OBJECT_IDENTITY:
    case OBJECT_TRUST:
        if (r->badness == BAD_MODE) {
            return is_shut(r) ? PN_SYS : is_written(r) ? PN_PERMISSION : PN_OK;
        }
        return PN_PERMISSION;
    case OBJECT_DIRECTORY:
        if (r->badness == BAD_MODE) {
            return (r->mode & 022) != 0 ? PN_PERMISSION : PN_OK;
        }
        return PN_PERMISSION;
    default:
        return PN_OK; /* hints, and locks that are not used yet */
    }
}

/* The mode is mended, or it is what it was. */
static void assert_mode(const pn_tempdir *t, const row *r, bool is_open)
{
    const char *path = r->object == OBJECT_DIRECTORY
                           ? fixture_data(t)
                           : fixture_path(t, OBJECT_NAMES[r->object]);
    const bool is_mended = r->object != OBJECT_DIRECTORY && is_open
                           && !is_shut(r) && !is_written(r)
                           && (r->mode & 0177) != 0;
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, is_mended ? 0600 : r->mode);
    if (is_shut(r)) {
        assert_int_equal(chmod(path, 0600), 0); /* to look inside */
    }
}

/* Nothing stored is lost, and no path outside comes into being. */
static void assert_kept(const pn_tempdir *t, const row *r, bool is_open)
{
    if (r->badness == BAD_MODE) {
        assert_mode(t, r, is_open);
    }
    for (object o = OBJECT_IDENTITY; o <= OBJECT_ADDRESSES; o++) {
        if (r->object != OBJECT_DIRECTORY
            && (o != r->object || r->badness <= BAD_OWNER_AS_USER)) {
            fixture_assert_file(t, fixture_files[o].name, fixture_files[o].data,
                fixture_files[o].len);
        }
    }
    assert_int_equal(pn_tempdir_mode(t, "nowhere"), -1);
    assert_int_equal(pn_tempdir_mode(t, "data/nowhere"), -1);
}

static void assert_warned(const row *r, const pn_why *warning)
{
    const bool is_file = r->object <= OBJECT_ADDRESSES;
    const bool is_mended = is_file && r->badness == BAD_MODE
                           && (r->mode & 0177) != 0 && !is_shut(r)
                           && !is_written(r);
    const bool is_unusable = r->object == OBJECT_ADDRESSES
                             && r->badness != BAD_MODE;

    if (is_mended) {
        assert_says(warning->text, OBJECT_NAMES[r->object]);
        assert_says(warning->text, "0600");
    } else if (is_unusable || (is_file && (is_shut(r) || is_written(r)))) {
        assert_says(warning->text, OBJECT_NAMES[r->object]);
    } else {
        assert_string_equal(warning->text, "");
    }
}

/* The store is open in spite of it: functions that need the bad object are
 * refused, and the rest works. */
static void use(pn_store *store, const row *r)
{
    const pn_public_key key = fixture_key(1);
    pn_peer_address found[PN_ADDRESSES_PER_PEER];
    const bool is_bad = r->badness != BAD_MODE;
    const bool no_hints = r->object == OBJECT_ADDRESSES
                          && (is_bad || is_shut(r) || is_written(r));
    const bool no_edit = r->object == OBJECT_EDIT_LOCK && is_bad;
    const bool no_node = r->object == OBJECT_NODE_LOCK && is_bad;

    assert_int_equal(
        pn_store_addresses(store, &fixture_carol, found), no_hints ? 0 : 2);
    assert_int_equal(
        pn_store_lock_node(store, NULL), no_node ? PN_PERMISSION : PN_OK);
    if (r->badness == BAD_MODE) {
        return;
    }
    assert_int_equal(pn_store_pair(store, &key, NULL, "h:1", NULL),
        no_edit || no_hints ? PN_PERMISSION : PN_OK);
    assert_int_equal(fixture_has(store, &key), !(no_edit || no_hints));
    assert_int_equal(pn_store_unpair(store, &fixture_bob, NULL),
        no_edit ? PN_PERMISSION : PN_OK);
    assert_false(fixture_has(store, &fixture_bob));
}

/* ---- the rows ---------------------------------------------------------- */

static const char *object_path(const pn_tempdir *t, object o)
{
    return o == OBJECT_DIRECTORY ? fixture_data(t)
                                 : fixture_path(t, OBJECT_NAMES[o]);
}

/* Opens as an ordinary user in a child; PN_OK or the error. */
static pn_err open_as_user(const char *path)
{
    pid_t pid = fork();
    int status = 0;

    assert_true(pid >= 0);
    if (pid == 0) {
        pn_store *store = NULL;
        pn_err err;

        if (setresgid(OTHER_UID, OTHER_UID, OTHER_UID) != 0
            || setresuid(OTHER_UID, OTHER_UID, OTHER_UID) != 0) {
            _exit(99);
        }
        err = pn_store_open(path, &store, NULL, NULL);
        pn_store_close(store);
        _exit(err == PN_OK ? 0 : err == PN_PERMISSION ? 1 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 2);
    return WEXITSTATUS(status) == 0   ? PN_OK
           : WEXITSTATUS(status) == 1 ? PN_PERMISSION
                                      : PN_SYS;
}

static void test_trust_bad5(void **state)
{
    const row *r = *state;
    pn_why error = {.text = ""};
    pn_why warning = {.text = ""};
    pn_store *store = NULL;
    pn_tempdir t;
    char path[600];
    pn_err err;

    if (needs_root(r) && geteuid() != 0) {
        pn_test_skip("needs root");
    }
    fixture_make(&t);
    (void)snprintf(path, sizeof(path), "%s", object_path(&t, r->object));
    make_bad(&t, r, path);
    if (r->badness == BAD_OWNER_AS_USER) {
        assert_int_equal(open_as_user(fixture_data(&t)), expected_open(r));
        assert_kept(&t, r, false);
        pn_tempdir_fini(&t);
        return;
    }
    err = pn_store_open(fixture_data(&t), &store, &error, &warning);
    assert_int_equal(err, expected_open(r));
    assert_kept(&t, r, err == PN_OK);
    if (err == PN_OK) {
        assert_warned(r, &warning);
        assert_string_equal(error.text, "");
        use(store, r);
    } else {
        assert_null(store);
        assert_says(error.text, "/data");
        assert_says(error.text, OBJECT_NAMES[r->object]);
        if (is_written(r)) {
            assert_says(error.text, "chmod go-w");
        }
    }
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

static void add_row(object o, badness b, unsigned mode)
{
    static row rows[1024];
    static size_t n;
    row *r = &rows[n++];
    const char *name = o == OBJECT_DIRECTORY ? "directory" : OBJECT_NAMES[o];

    *r = (row){o, b, mode};
    if (b == BAD_MODE) {
        pn_test_addf(test_trust_bad5, r, "trust/bad5/%s/mode/%03o", name, mode);
    } else {
        pn_test_addf(
            test_trust_bad5, r, "trust/bad5/%s/%s", name, BADNESS_NAMES[b]);
    }
}

int main(void)
{
    fixture_init();
    for (object o = OBJECT_IDENTITY; o < N_OBJECTS; o++) {
        const unsigned owner = o == OBJECT_DIRECTORY ? 0700 : 0600;

        /* All that group and others can have; then all the owner can lack. */
        for (unsigned mode = 0; mode < 0100; mode++) {
            if (!is_lock(o)) {
                add_row(o, BAD_MODE, owner | mode);
            }
        }
        for (unsigned mode = 0; mode < 01000 && !is_lock(o); mode += 0100) {
            if (mode != owner && (o != OBJECT_DIRECTORY || geteuid() == 0)) {
                add_row(o, BAD_MODE, mode);
            }
        }
        for (badness b = BAD_OWNER; b < N_BADNESSES; b++) {
            if (b == BAD_OWNER_AS_USER && o > OBJECT_TRUST) {
                continue;
            }
            if (o == OBJECT_DIRECTORY && b == BAD_LINK_INSIDE) {
                continue;
            }
            add_row(o, b, 0);
        }
    }
    return pn_test_run("trust/bad5");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FI-1: a process that is killed at each step of taking the last use. Another
 * joiner and the same one come afterwards: exactly one of the two gets it, and
 * no key that was wiped comes back.
 */
#include "stored/invitations.h"

#include <fcntl.h>
#include <sys/wait.h>

#include <stdio.h>
#include <unistd.h>

#include "harness.h"
#include "tempdir.h"

#define NOW INT64_C(1764600000)

static const uint8_t id[PN_INVITATION_ID_LEN] = {8, 7, 6, 5, 4, 3, 2, 1};
static unsigned steps_left; /* 0: nobody is killed */

static void step(void)
{
    if (steps_left > 0 && --steps_left == 0) {
        _exit(9);
    }
}

ssize_t __real_write(int fd, const void *data, size_t n);
ssize_t __wrap_write(int fd, const void *data, size_t n);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_linkat(
    int from_fd, const char *from, int to_fd, const char *to, int flags);
int __wrap_linkat(
    int from_fd, const char *from, int to_fd, const char *to, int flags);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __real_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags);

ssize_t __wrap_write(int fd, const void *data, size_t n)
{
    step();
    return __real_write(fd, data, n);
}

int __wrap_fsync(int fd)
{
    step();
    return __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
    step();
    return __real_fdatasync(fd);
}

int __wrap_linkat(
    int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    step();
    return __real_linkat(from_fd, from, to_fd, to, flags);
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    step();
    return __real_renameat(from_fd, from, to_fd, to);
}

int __wrap_unlinkat(int fd, const char *name, int flags)
{
    step();
    return __real_unlinkat(fd, name, flags);
}

static pn_err take(const pn_tempdir *t, uint8_t who)
{
    pn_stored_invitation taken;
    pn_invitation_state state;
    pn_guarded_dir dir;
    pn_public_key joiner;
    pn_err err;

    memset(joiner.bytes, who, sizeof(joiner.bytes));
    assert_int_equal(pn_guarded_open(t->path, NULL, &dir, NULL), PN_OK);
    err = pn_invitations_take(&dir, id, &joiner, NOW, &taken, &state, NULL);
    pn_guarded_close(&dir);
    return err;
}

static void add(const pn_tempdir *t)
{
    pn_stored_invitation invitation = {
        .has_key = true, .until_s = NOW + 600, .uses = 1};
    pn_guarded_dir dir;

    memcpy(invitation.id, id, sizeof(id));
    assert_int_equal(pn_guarded_open(t->path, NULL, &dir, NULL), PN_OK);
    assert_int_equal(
        pn_invitations_add(&dir, &invitation, 1, NOW, NULL), PN_OK);
    pn_guarded_close(&dir);
}

/* Takes it in a process that is killed at a step. True: it was. */
static bool take_killed(const pn_tempdir *t, uint8_t who, unsigned at)
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        steps_left = at;
        _exit(take(t, who) == PN_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), 1);
    return WEXITSTATUS(status) == 9;
}

static void test_kill(void **state)
{
    bool was_killed = true;
    unsigned at = 0;
    bool got[2] = {false, false}; /* by the first, by the second */

    (void)state;
    while (was_killed) {
        pn_tempdir t;
        pn_err second;
        pn_err first;

        pn_tempdir_init(&t);
        add(&t);
        at++;
        was_killed = take_killed(&t, 1, at);
        second = take(&t, 2);
        first = take(&t, 1);
        assert_true((first == PN_OK) != (second == PN_OK));
        assert_true(first == PN_DENIED || second == PN_DENIED);
        got[first == PN_OK ? 0 : 1] = true;
        assert_int_equal(pn_tempdir_mode(&t, "invitations.bak"), -1);
        assert_int_equal(pn_tempdir_count(&t), 2); /* it and the lock */
        pn_tempdir_fini(&t);
    }
    assert_true(at > 5);
    assert_true(got[0] && got[1]);
}

/* Two processes at once, many times. */
static void test_race(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        pid_t pids[3];
        unsigned n_got = 0;
        pn_tempdir t;

        pn_tempdir_init(&t);
        add(&t);
        for (uint8_t who = 0; who < 3; who++) {
            pids[who] = fork();
            assert_true(pids[who] >= 0);
            if (pids[who] == 0) {
                _exit(take(&t, who) == PN_OK ? 0 : 1);
            }
        }
        for (unsigned who = 0; who < 3; who++) {
            int status = 0;

            assert_int_equal(waitpid(pids[who], &status, 0), pids[who]);
            assert_true(WIFEXITED(status));
            n_got += WEXITSTATUS(status) == 0;
        }
        assert_int_equal(n_got, 1);
        pn_tempdir_fini(&t);
    }
}

int main(void)
{
    pn_test_add("invite/kill/each_step", test_kill, NULL);
    pn_test_add("invite/kill/race", test_race, NULL);
    return pn_test_run("invite/kill");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "owner.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mutant.h"
#include "peer_text.h"

/* A user without an entry has the group of the directory only. */
static bool set_groups(uid_t uid, gid_t group)
{
    const struct passwd *user = getpwuid(uid);

    if (user == NULL) {
        return setgroups(0, NULL) == 0 && setresgid(group, group, group) == 0;
    }
    return initgroups(user->pw_name, user->pw_gid) == 0
           && setresgid(user->pw_gid, user->pw_gid, user->pw_gid) == 0;
}

bool cli_become_owner(const char *path, cli_text *error)
{
    struct stat info;

    if (geteuid() != 0 || stat(path, &info) != 0 || !S_ISDIR(info.st_mode)
        || info.st_uid == 0 || !PN_SAFEGUARD(cli_become_owner)) {
        return true;
    }
    if (!set_groups(info.st_uid, info.st_gid)
        || setresuid(info.st_uid, info.st_uid, info.st_uid) != 0) {
        cli_escape(error, path, strlen(path), CLI_ESCAPE_FIELD);
        cli_text_printf(error,
            ": cannot become its user %u, as root's commands do: %s",
            (unsigned)info.st_uid, strerror(errno));
        return false;
    }
    /* A change of user sets it as the system's fs.suid_dumpable says. */
    (void)prctl(PR_SET_DUMPABLE, 0);
    return true;
}

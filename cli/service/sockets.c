/* SPDX-License-Identifier: Apache-2.0 */
#include "sockets.h"

#ifdef PN_CLI_SYSTEMD

#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/mutant.h"
#include "peer_text.h"

static bool take(cli_sockets *sockets, int fd, const char *name)
{
    if (strcmp(name, "link") == 0 && sockets->n_link < CLI_MAX_LINK_SOCKETS) {
        sockets->link[sockets->n_link++] = fd;
        return true;
    }
    if (strcmp(name, "control") == 0 && sockets->control < 0) {
        sockets->control = fd;
        return true;
    }
    return false;
}

static void say_name(cli_text *error, const char *name)
{
    cli_text_printf(error,
        "expected sockets with FileDescriptorName=link, at most %d, and "
        "control, at most one, found ",
        CLI_MAX_LINK_SOCKETS);
    cli_quote(error, name, strlen(name), CLI_ESCAPE_FIELD);
}

/* The environment is cleared, so that it means nothing to other code. */
bool cli_sockets_take(cli_sockets *ret_sockets, cli_text *error)
{
    char **names = NULL;
    int n = sd_listen_fds_with_names(1, &names);
    bool good = true;

    *ret_sockets = (cli_sockets){.control = -1};
    for (int i = 0; i < n; i++) {
        if (good
            && PN_REFUSE_IF(cli_sockets_name,
                !take(ret_sockets, SD_LISTEN_FDS_START + i, names[i]))) {
            say_name(error, names[i]);
            good = false;
        }
        free(names[i]);
    }
    free(names);
    return good;
}

#else

bool cli_sockets_take(cli_sockets *ret_sockets, cli_text *error)
{
    (void)error;
    *ret_sockets = (cli_sockets){.control = -1};
    return true;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A name's addresses; see doctor_lookup.h. The job belongs to the thread and to
 * the function that waits for it; the last of the two frees it. */
#include "doctor_lookup.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer_text.h"

typedef struct lookup {
    char text[300];
    cli_text addresses;
    cli_text error;
    cli_exit status;
    int done; /* the write end of a pipe, closed when all this is known */
    atomic_int n_owners;
} lookup;

static void leave(lookup *l)
{
    if (atomic_fetch_sub(&l->n_owners, 1) == 1) {
        cli_text_fini(&l->addresses);
        cli_text_fini(&l->error);
        free(l);
    }
}

static void *run(void *user)
{
    lookup *l = user;

    l->status = cli_resolve(l->text, &l->addresses, &l->error);
    (void)close(l->done);
    leave(l);
    return NULL;
}

/* Returns the read end of the pipe; -1: nothing runs. */
static int start(lookup *l)
{
    pthread_t thread;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    l->done = ends[1];
    atomic_init(&l->n_owners, 2);
    if (pthread_create(&thread, NULL, run, l) != 0) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        atomic_store(&l->n_owners, 1);
        return -1;
    }
    (void)pthread_detach(thread);
    return ends[0];
}

static cli_exit wait_for(cli_session *session, lookup *l, int done,
    cli_text *ret_addresses, cli_text *error)
{
    if (cli_session_poll(session, done, UV_READABLE, CLI_LOOKUP_MS)) {
        cli_text_add(ret_addresses, l->addresses.data, l->addresses.len);
        cli_text_add(error, l->error.data, l->error.len);
        return l->status;
    }
    if (session->signal != 0 || session->is_closed) {
        return CLI_INTERRUPTED;
    }
    cli_text_puts(error, "cannot look up ");
    cli_escape(error, l->text, strlen(l->text), CLI_ESCAPE_FIELD);
    cli_text_printf(
        error, ": no name server answered in %d s", CLI_LOOKUP_MS / 1000);
    return CLI_NO_LINK;
}

cli_exit cli_lookup(cli_session *session, const char *text,
    cli_text *ret_addresses, cli_text *error)
{
    lookup *l = calloc(1, sizeof(*l));
    cli_exit status;
    int done;

    if (l == NULL || strlen(text) >= sizeof(l->text)) {
        free(l);
        return cli_resolve(text, ret_addresses, error);
    }
    memcpy(l->text, text, strlen(text) + 1);
    l->done = -1;
    atomic_init(&l->n_owners, 1);
    done = start(l);
    if (done < 0) {
        leave(l);
        return cli_resolve(text, ret_addresses, error);
    }
    status = wait_for(session, l, done, ret_addresses, error);
    (void)close(done);
    leave(l);
    return status;
}

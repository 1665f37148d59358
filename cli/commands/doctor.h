/* SPDX-License-Identifier: Apache-2.0 */
/* `peernet doctor` while it walks: what it knows, and how a step reports. */
#ifndef PN_CLI_DOCTOR_H
#define PN_CLI_DOCTOR_H

#include "app.h"
#include "doctor_verdicts.h"

#define DOCTOR_MAX_CANDIDATES 16

/* An address at which the peer may be. */
typedef struct doctor_candidate {
    char address[80]; /* numeric "HOST:PORT" */
    bool is_heard;    /* by a source, now */
    bool is_given;    /* with --at */
    char reason[32];  /* why the dial to it failed; "": it has not yet */
} doctor_candidate;

typedef struct doctor {
    const cli_app *app;
    const char *handle; /* of --handle; NULL: none */
    const char *at;     /* of --at; NULL: none */
    const char *name;   /* PEER as it was given; NULL: none */
    cli_session *session;
    json_t *status;  /* the node's answer to "status" */
    json_t *peer;    /* the peer's entry of "peers" */
    char given[260]; /* the address given at pairing; "": none */
    /* Why announces cannot be heard, as far as the sources show it; NULL. */
    const char *deaf;
    cli_text interfaces; /* those that sources use, "eth0, wlan0" */
    doctor_candidate candidates[DOCTOR_MAX_CANDIDATES];
    size_t n_candidates;
    const char *step;  /* the step that runs */
    const char *waits; /* what it waits for, and how long at most */
    /* The verdict that is printed in full: the first failure, else the first
     * warning. */
    const cli_verdict *verdict;
    cli_text seen; /* ... with what was seen */
    bool has_failed;
    bool is_over;         /* no further step can say more */
    cli_exit status_told; /* of an error that was printed; CLI_OK: none */
} doctor;

/* One line each: the step went well; it did not, and the walk goes on; it did
 * not, and the walk ends. verdict: a name of the table. */
void doctor_pass(doctor *d, const char *format, ...) PN_PRINTF(2, 3);
void doctor_warn(doctor *d, const char *verdict, const char *format, ...)
    PN_PRINTF(3, 4);
void doctor_fail(doctor *d, const char *verdict, const char *format, ...)
    PN_PRINTF(3, 4);

/* A discovery source in the node's status; NULL: it has none of that name. */
const json_t *doctor_source(const doctor *d, const char *name);

/* Once there is a session: at a terminal, says what is waited for over a
 * second. The session's user is d. */
void doctor_tell_slow(doctor *d);

/* A signal came, or the node was lost, so what a step sees means nothing. */
static inline bool doctor_is_cut_off(const doctor *d)
{
    return d->session != NULL
           && (d->session->signal != 0
               || (d->session->is_closed && d->status != NULL));
}

typedef struct doctor_step {
    const char *name;
    void (*run)(doctor *d);
    bool needs_peer;
} doctor_step;

/* In their order; the last has no name. */
extern const doctor_step doctor_files[]; /* data and clock: doctor_here.c */
extern const doctor_step doctor_here[];  /* this device: doctor_here.c */
extern const doctor_step doctor_there[]; /* the peer: doctor_there.c */
extern const doctor_step doctor_node[];  /* NODE@HOST: doctor_node.c */

#endif

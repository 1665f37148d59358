/* SPDX-License-Identifier: Apache-2.0 */
/* A node with a hub, and a caller beside it. */
#ifndef PN_TESTS_HUB_RIG_H
#define PN_TESTS_HUB_RIG_H

#include <stdatomic.h>

#include "harness.h"
#include "program/handlers.h"
#include "tempdir.h"

/* A time limit for immediate results: a sanitizer on a busy machine needs a
 * minute to start a few programs. */
enum { PATIENCE_MS = 200000 };

typedef struct outcome {
    atomic_bool is_done;
    pn_err err;
    char *text; /* of the value */
} outcome;

extern pn_tempdir hub_dir;

extern pn_tempdir caller_dir;

extern uv_loop_t loop;

extern cli_hub *hub;

extern cli_handlers *handlers;

extern pn_node *caller;

extern pn_public_key hub_key;

extern size_t max_reply; /* of the hub; 0: its default */

extern bool has_chat; /* ... too */

uint64_t patience_ends(void);

void turn(void);

/* Makes the directories, if there are none. */
void make_dirs(void);

/* Before set_up, which forks the process that starts programs: the program of
 * the probe that will be exposed, "probe" without another name. */
void describe(cli_exposed *exposed, char **argv);

/* Both nodes, paired and linked; held: of the hub's node, or 0. */
void set_up(uint32_t held);

void tear_down(void);

/* What was described, open to every paired peer. */
void expose(cli_exposed *exposed);

void call_handle(const char *handle, pn_term args, outcome *o);

void call(pn_term args, outcome *o);

void wait_done(outcome *o);

void on_chat_line(void *user, const char *line, size_t len);

#endif

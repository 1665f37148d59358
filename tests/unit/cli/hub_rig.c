/* SPDX-License-Identifier: Apache-2.0 */
/* See hub_rig.h. */
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hub_rig.h"

pn_tempdir hub_dir;

pn_tempdir caller_dir;

uv_loop_t loop;

cli_hub *hub;

cli_handlers *handlers;

static cli_starter *starter;

static const cli_program *programs[2]; /* one, or none */

static bool has_dirs;

pn_node *caller;

pn_public_key hub_key;

size_t max_reply; /* of the hub; 0: its default */

bool has_chat; /* ... too */

static void on_line(void *user, const char *line, size_t len)
{
    (void)user;
    (void)line;
    (void)len;
}

static void node_options(pn_node_options *opt, const char *dir)
{
    pn_node_options_init(opt);
    opt->data_dir = dir;
    opt->listen_address = "127.0.0.1";
    opt->listen_port = 0;
    opt->linger_ms = 0;
    opt->watch_network = false;
}

uint64_t patience_ends(void)
{
    return uv_hrtime() + PATIENCE_MS * UINT64_C(1000000);
}

void turn(void)
{
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    (void)usleep(500);
}

void make_dirs(void)
{
    if (!has_dirs) {
        pn_tempdir_init(&hub_dir);
        pn_tempdir_init(&caller_dir);
    }
    has_dirs = true;
}

void describe(cli_exposed *exposed, char **argv)
{
    cli_program *p = &exposed->program;

    p->name = p->name == NULL ? "probe" : p->name;
    p->path = PN_PROGRAM_PROBE;
    p->argv = argv;
    if (p->timeout_ms == 0) {
        p->timeout_ms = PATIENCE_MS;
    }
    p->max_output = (size_t)4 << 20;
    if (exposed->max_input == 0) {
        exposed->max_input = (size_t)32 << 20;
    }
    programs[0] = p;
}

void set_up(uint32_t held)
{
    cli_starter_options starts;
    cli_hub_options options;
    pn_node_options opt;
    cli_text error = {0};
    char address[32];
    uint64_t end = patience_ends();

    make_dirs();
    cli_starter_options_init(&starts);
    starts.programs = programs;
    starter = cli_starter_new(&starts);
    assert_non_null(starter);
    memset(&options, 0, sizeof(options));
    node_options(&options.node, hub_dir.path);
    options.max_reply = max_reply;
    options.chat = has_chat;
    if (held > 0) {
        options.node.max_held_bytes_per_link = held;
    }
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(cli_hub_open(&loop, &options, &hub, &error), PN_OK);
    assert_non_null(cli_hub_join(hub, on_line, NULL));
    handlers = cli_handlers_new(&loop, hub, starter);
    assert_non_null(handlers);
    node_options(&opt, caller_dir.path);
    assert_int_equal(pn_node_open(&opt, &caller, NULL), PN_OK);
    hub_key = *pn_node_key(cli_hub_node(hub));
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u",
        pn_node_port(cli_hub_node(hub)));
    assert_int_equal(
        pn_pair(cli_hub_node(hub), pn_node_key(caller), "caller"), PN_OK);
    assert_int_equal(pn_pair_at(caller, &hub_key, "hub", address), PN_OK);
    (void)!pn_connect(caller, &hub_key, NULL);
    /* Both nodes have heard of each other. */
    while ((!pn_connected(cli_hub_node(hub), pn_node_key(caller))
               || !pn_connected(caller, &hub_key))
           && uv_hrtime() < end) {
        turn();
    }
    assert_true(pn_connected(caller, &hub_key));
}

void tear_down(void)
{
    cli_handlers_close(handlers);
    cli_starter_free(starter);
    programs[0] = NULL;
    cli_hub_close(hub);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    cli_hub_free(hub);
    cli_handlers_free(handlers);
    pn_node_close(caller);
    pn_tempdir_fini(&hub_dir);
    pn_tempdir_fini(&caller_dir);
    has_dirs = false;
}

void expose(cli_exposed *exposed)
{
    const char *name = exposed->program.name;

    assert_int_equal(cli_handlers_expose(handlers, exposed), PN_OK);
    assert_int_equal(pn_grant_paired(cli_hub_node(hub), name), PN_OK);
}

static void on_done(void *user, pn_err err, pn_term value)
{
    outcome *o = user;
    size_t len = 0;

    o->err = err;
    if (value.len > 0) {
        (void)!pn_term_to_text(value, &o->text, &len);
    }
    atomic_store(&o->is_done, true);
}

void call_handle(const char *handle, pn_term args, outcome *o)
{
    *o = (outcome){0};
    assert_int_equal(
        pn_call_async(caller, &hub_key, handle, PATIENCE_MS, args, on_done, o),
        PN_OK);
}

void call(pn_term args, outcome *o)
{
    call_handle("probe", args, o);
}

void wait_done(outcome *o)
{
    uint64_t end = patience_ends();

    while (!atomic_load(&o->is_done) && uv_hrtime() < end) {
        turn();
    }
    assert_true(atomic_load(&o->is_done));
}

void on_chat_line(void *user, const char *line, size_t len)
{
    cli_text *last = user;

    cli_text_clear(last);
    cli_text_add(last, line, len);
}

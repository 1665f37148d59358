/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers of a node to an authenticated peer, frame by frame: bytes and
 * order.
 */
#include <stdlib.h>
#include <string.h>

#include "beam_peer.h"
#include "dist/dist.h"
#include "node/node_internal.h"
#include "os/clock.h"
#include "stranger_rig.h"
#include "wire_text.h"

/* ---- inbox and log ------------------------------------------------------ */

static void expect_inbox(peer *p, const char *text)
{
    two_barrels *t = &p->s.t;

    nothing_else(p); /* so it has arrived */
    two_barrels_wait(t, &t->n_sent, ++p->n_inbox);
    (void)pthread_mutex_lock(&t->lock);
    assert_int_equal(t->n_sent, p->n_inbox);
    assert_string_equal(t->last_sent, text);
    (void)pthread_mutex_unlock(&t->lock);
}

static void expect_end(peer *p)
{
    assert_true(stranger_run(&p->s, NULL));
    stranger_assert_closed(&p->s);
    two_barrels_wait(&p->s.t, &p->s.t.n_down, 1);
}

/* ---- answers ------------------------------------------------------------ */

/* Steps: "> " a frame sent on the first stream, "< " the next frame that comes,
 * "." no other frame, "= " the arguments of bob's handlers, "? " a denial, "r"
 * bob serves no functions any more, "x" the link has ended. */
enum { STEPS_MAX = 12 };

typedef struct serve_row {
    const char *name;
    bool has_no_grant;
    const char *steps[STEPS_MAX];
} serve_row;

#define SPAWN_CALL "> {29,R,A,G,{erpc,execute_call,4},[monitor]} "

#define REX "> {6,A,'',rex} "

static const serve_row serve_rows[] = {
    /* erpc:execute_call, as rpc:call and erpc:call of OTP 27 have it. */
    {"spawn/call", false,
        {SPAWN_CALL "[Q,calc,add,\"\2\3\"]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,return,5}}", "."}},
    {"spawn/fresh_pids", false,
        {SPAWN_CALL "[Q,calc,add,\"\2\3\"]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,return,5}}",
            "> {29,S,A,G,{erpc,execute_call,4},[monitor]} "
            "[Q,calc,add,\"\4\5\"]",
            "< {31,S,A,2,O}", "< {21,O,A,S,{Q,return,9}}", "!", "."}},
    {"spawn/handler_fails", false,
        {SPAWN_CALL "[Q,calc,add,[x,y]]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,error,badarg,[{calc,add,[x,y],[]}]}}", "."}},
    {"spawn/handler_exits", false,
        {SPAWN_CALL "[Q,calc,add,[exit,3]]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,exit,3}}", "."}},
    {"spawn/handler_throws", false,
        {SPAWN_CALL "[Q,calc,add,[throw,3]]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,throw,3}}", "."}},
    {"spawn/handler_raises", false,
        {SPAWN_CALL "[Q,calc,add,[error,3]]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,error,3,[here]}}", "."}},
    {"spawn/unknown_function", false,
        {SPAWN_CALL "[Q,calc,mul,\"\2\3\"]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,error,undef,[{calc,mul,\"\2\3\",[]}]}}", "."}},
    {"spawn/unknown_arity", false,
        {SPAWN_CALL "[Q,calc,add,\"\2\"]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,error,undef,[{calc,add,\"\2\",[]}]}}", "."}},
    {"spawn/unknown_module", false,
        {SPAWN_CALL "[Q,os,cmd,[<id>]]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,error,undef,[{os,cmd,[<id>],[]}]}}", "."}},
    {"spawn/function_not_granted", false,
        {SPAWN_CALL "[Q,calc,sub,\"\2\3\"]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,error,forbidden,[{calc,sub,\"\2\3\",[]}]}}", "."}},
    {"spawn/nothing_granted", true,
        {SPAWN_CALL "[Q,calc,add,\"\2\3\"]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,error,forbidden,[{calc,add,\"\2\3\",[]}]}}", "."}},
    {"spawn/no_function", false,
        {SPAWN_CALL "[Q,7,add,\"\2\3\"]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,return,{error,unknown_beam_dist_op}}}", "."}},
    {"spawn/cast", false,
        {"> {29,R,A,G,{erpc,execute_cast,3},[]} [calc,note,[x]]",
            "< {31,R,A,0,P}", "= [:x]", "."}},
    {"spawn/cast_not_granted", true,
        {"> {29,R,A,G,{erpc,execute_cast,3},[]} [calc,note,[x]]",
            "< {31,R,A,0,P}", "."}},
    /* A spawned process with a monitor reports its end; one without a monitor
     * does not. */
    {"spawn/call_without_monitor", false,
        {"> {29,R,A,G,{erpc,execute_call,4},[]} [Q,calc,note,[x]]",
            "< {31,R,A,0,notsup}", "."}},
    {"spawn/cast_with_monitor", false,
        {"> {29,R,A,G,{erpc,execute_cast,3},[monitor]} [calc,note,[x]]",
            "< {31,R,A,0,notsup}", "."}},
    {"spawn/function_itself", false,
        {"> {29,R,A,G,{calc,note,1},[]} [x]", "< {31,R,A,0,notsup}",
            "> {29,R,A,G,{calc,note,1},[monitor]} [x]", "< {31,R,A,0,notsup}",
            "> {29,R,A,G,{erlang,apply,3},[monitor]} [calc,note,[x]]",
            "< {31,R,A,0,notsup}", "."}},
    {"spawn/other_arity", false,
        {SPAWN_CALL "[calc,note,[x]]", "< {31,R,A,0,notsup}",
            "> {29,R,A,G,{erpc,execute_call,3},[monitor]} [Q,calc,note,[x]]",
            "< {31,R,A,0,notsup}",
            "> {29,R,A,G,{erpc,execute_cast,3},[]} [Q,calc,note,[x]]",
            "< {31,R,A,0,notsup}", SPAWN_CALL "[]", "< {31,R,A,0,notsup}",
            "."}},
    {"spawn/tag", false,
        {SPAWN_CALL "[M,calc,add,\"\2\3\"]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{M,return,5}}", "."}},
    {"spawn/tag_over_limit", false,
        {SPAWN_CALL "[N,calc,note,[x]]", "< {31,R,A,0,notsup}", ".",
            SPAWN_CALL "[Q,calc,note,[y]]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,return,ok}}", "= [:y]"}},
    /* rex: older nodes, and rpc:block_call. */
    {"rex/call", false,
        {REX "{'$gen_call',{A,R},{call,calc,add,\"\2\3\",G}}",
            "< {2,'',A} {R,5}", "."}},
    {"rex/block_call", false,
        {"> {19,A,rex,R}",
            REX "{'$gen_call',{A,[alias|R]},{block_call,calc,add,\"\2\3\",G}}",
            "< {2,'',A} {[alias|R],5}", "> {20,A,rex,R}", "."}},
    {"rex/unknown_function", false,
        {REX "{'$gen_call',{A,R},{call,calc,mul,\"\2\3\",G}}",
            "< {2,'',A} {R,{badrpc,{'EXIT',{undef,[{calc,mul,\"\2\3\",[]}]}}}}",
            "."}},
    {"rex/handler_exits", false,
        {REX "{'$gen_call',{A,R},{call,calc,add,[exit,3],G}}",
            "< {2,'',A} {R,{badrpc,{'EXIT',3}}}", "."}},
    {"rex/handler_throws", false,
        {REX "{'$gen_call',{A,R},{call,calc,add,[throw,3],G}}",
            "< {2,'',A} {R,3}", "."}},
    {"rex/handler_raises", false,
        {REX "{'$gen_call',{A,R},{call,calc,add,[error,3],G}}",
            "< {2,'',A} {R,{badrpc,{'EXIT',{3,[here]}}}}", "."}},
    {"rex/not_granted", false,
        {REX "{'$gen_call',{A,R},{block_call,calc,sub,\"\2\3\",G}}",
            "< {2,'',A} "
            "{R,{badrpc,{'EXIT',{forbidden,[{calc,sub,\"\2\3\",[]}]}}}}",
            "."}},
    {"rex/cast", false,
        {REX "{'$gen_cast',{cast,calc,note,[x],G}}", "= [:x]", "."}},
    {"rex/cast_not_granted", true,
        {REX "{'$gen_cast',{cast,calc,note,[x],G}}", "."}},
    {"rex/no_call", false,
        {REX "{'$gen_call',{A,R},{apply,calc,note,[x],G}}",
            REX "{'$gen_cast',{call,calc,note,[x],G}}",
            REX "{'$gen_call',{B,R}}", REX "{A,features_request}", "."}},
    /* Handles. */
    {"handle/call", false,
        {"> {19,A,echo,R}",
            "> {6,A,'',echo} {'$gen_call',{A,[alias|R]},{say,<hi>}}",
            "< {2,'',A} {[alias|R],{say,<hi>}}", "> {20,A,echo,R}", "."}},
    {"handle/call_not_granted", false,
        {"> {6,A,'',secret} {'$gen_call',{A,R},x}",
            "< {2,'',A} {R,{error,forbidden}}", "."}},
    {"handle/nothing_granted", true,
        {"> {6,A,'',inbox} {'$gen_call',{A,R},x}",
            "< {2,'',A} {R,{error,forbidden}}",
            "> {6,A,'',inbox} {'$gen_cast',x}", "> {6,A,'',inbox} x", "."}},
    {"handle/call_of_nobody", false,
        {"> {6,A,'',nobody} {'$gen_call',{A,R},x}", "."}},
    {"handle/caller_is_no_pid", false,
        {"> {6,A,'',inbox} {'$gen_call',{alice,R},x}", "."}},
    {"handle/cast", false,
        {"> {6,A,'',inbox} {'$gen_cast',{on,7}}", "= {:on, 7}", "."}},
    {"handle/cast_of_nobody", false,
        {"> {6,A,'',nobody} {'$gen_cast',x}", "."}},
    {"handle/message", false,
        {"> {6,A,'',inbox} {on,7}", "= {:on, 7}", "> {6,A,'',nobody} x", "."}},
    {"handle/order", false,
        {"> {6,A,'',inbox} {'$gen_call',{A,Q},1}",
            "> {6,A,'',slow} {'$gen_call',{A,R},2}",
            "> {6,A,'',echo} {'$gen_call',{A,S},3}", "< {2,'',A} {Q,ok}",
            "< {2,'',A} {R,slow}", "< {2,'',A} {S,3}", "= 1", "."}},
    {"handle/tag", false,
        {"> {6,A,'',echo} {'$gen_call',{A,K},x}", "< {2,'',A} {K,x}", "."}},
    {"handle/tag_over_limit", false,
        {"> {6,A,'',inbox} {'$gen_call',{A,L},x}",
            "> {6,A,'',echo} {'$gen_call',{A,R},y}", "< {2,'',A} {R,y}", "."}},
    /* A caller that has taken its monitor back waits for no answer. */
    {"handle/demonitor", false,
        {"> {19,A,slow,R}", "> {6,A,'',slow} {'$gen_call',{A,[alias|R]},x}",
            "> {20,A,slow,R}", "> {6,A,'',echo} {'$gen_call',{A,S},y}",
            "< {2,'',A} {S,y}", "."}},
    /* The runtime system. */
    {"system/ping", false,
        {"> {19,A,net_kernel,R}",
            "> {6,A,'',net_kernel} {'$gen_call',{A,[alias|R]},"
            "{is_auth,'alice@127.0.0.1'}}",
            "< {2,'',A} {[alias|R],yes}", "> {20,A,net_kernel,R}", "."}},
    {"system/others", false,
        {"> {6,A,'',net_kernel} {'$gen_call',{A,R},{spawn,calc,note,[x],A}}",
            "> {6,A,'',net_kernel} {is_auth,'alice@127.0.0.1'}",
            "> {6,A,'',global_name_server} {'$gen_call',{A,R},x}",
            "> {6,A,'',global_name_server} {'$gen_cast',{init_connect,x,y}}",
            "."}},
    /* A denial names the function, and the node. */
    {"denied/rpc", false,
        {REX "{'$gen_call',{A,R},{call,calc,sub,\"\2\3\",user}}",
            "< {2,'',A} {R,{badrpc,{'EXIT',{forbidden,"
            "[{calc,sub,\"\2\3\",[]}]}}}}",
            "? :calc.sub/2()", "."}},
    {"denied/rpc_of_nobody", false,
        {REX "{'$gen_call',{A,R},{call,os,cmd,[<id>],user}}",
            "< {2,'',A} {R,{badrpc,{'EXIT',{undef,[{os,cmd,[<id>],[]}]}}}}",
            "? :os.cmd/1()", "."}},
    {"denied/rpc_of_handle", true,
        {REX "{'$gen_call',{A,R},{call,'Elixir.Led',on,[],user}}",
            "< {2,'',A} {R,{badrpc,{'EXIT',{forbidden,"
            "[{'Elixir.Led',on,[],[]}]}}}}",
            "? Led.on/0()", "."}},
    {"denied/erpc", false,
        {SPAWN_CALL "[Q,calc,sub,\"\2\3\"]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,error,forbidden,[{calc,sub,\"\2\3\",[]}]}}",
            "? :calc.sub/2()", "."}},
    {"denied/cast", false,
        {REX "{'$gen_cast',{cast,calc,sub,\"\2\3\",user}}", ".",
            "? :calc.sub/2()"}},
    {"denied/no_functions_at_all", false,
        {"r", REX "{'$gen_call',{A,R},{call,calc,add,\"\2\3\",user}}",
            "< {2,'',A} {R,{badrpc,{'EXIT',{undef,"
            "[{calc,add,\"\2\3\",[]}]}}}}",
            "? :calc.add/2()", SPAWN_CALL "[Q,calc,add,\"\2\3\"]",
            "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,error,undef,[{calc,add,\"\2\3\",[]}]}}", "."}},
    {"denied/name", false, {"> {6,A,'',nobody} x", ".", "? nobody"}},
    /* Links and monitors. */
    {"link/nobody", false, {"> {1,A,B}", "< {3,B,A,noproc}", "."}},
    {"link/spawned", false,
        {SPAWN_CALL "[Q,calc,add,\"\2\3\"]", "< {31,R,A,2,P}",
            "< {21,P,A,R,{Q,return,5}}", "> {1,A,P}", "< {3,P,A,noproc}", "."}},
    {"link/unlink", false,
        {"> {35,1,A,B}", "< {36,1,B,A}", "> {35,255,A,B}", "< {36,255,B,A}",
            "> {35,256,A,B}", "< {36,256,B,A}",
            "> {35,18446744073709551615,A,B}",
            "< {36,18446744073709551615,B,A}", "."}},
    {"monitor/there", false,
        {"> {19,A,echo,R}", "> {19,A,secret,S}", "> {19,A,rex,T}", "."}},
    {"monitor/nobody", false,
        {"> {19,A,nobody,R}", "< {21,nobody,A,R,noproc}", "> {19,A,B,S}",
            "< {21,B,A,S,noproc}", "> {20,A,nobody,R}", "."}},
    /* Of the runtime system, and not served here. */
    {"monitor/system_name", false,
        {"> {19,A,pg,R}", "< {21,pg,A,R,noproc}",
            "> {19,A,global_name_server,S}",
            "< {21,global_name_server,A,S,noproc}", "."}},
    /* Messages to processes that do not exist. */
    {"ignored/messages", false,
        {"> {2,'',B} {R,x}", "> {22,A,B} {R,x}", "> {33,A,R} {R,x}", "."}},
    {"ignored/ends", false,
        {"> {3,A,B,normal}", "> {8,A,B,kill}", "> {21,nobody,B,R,x}",
            "> {31,R,B,0,noproc}", "> {36,1,A,B}", "."}},
    {"ignored/unknown_operations", false,
        {"> {5}", "> {7,A,B}", "> {0,x}", "> {37,A,B} x", "> {99}",
            "> {18446744073709551615,[x]} {y,z}",
            "> {6,A,'',echo} {'$gen_call',{A,R},x}", "< {2,'',A} {R,x}", "."}},
    /* Signals that end the link. */
    {"malformed/no_tuple", false, {"> [2,'',A] x", "x"}},
    {"malformed/no_operation", false, {"> {}", "x"}},
    {"malformed/operation", false, {"> {send,'',A} x", "x"}},
    {"malformed/few_elements", false, {"> {6,A,''} x", "x"}},
    {"malformed/many_elements", false, {"> {6,A,'',echo,y} x", "x"}},
    {"malformed/no_message", false, {"> {6,A,'',echo}", "x"}},
    {"malformed/two_messages", false, {"> {6,A,'',echo} x y", "x"}},
    {"malformed/message_of_link", false, {"> {1,A,B} x", "x"}},
    {"malformed/to_is_no_pid", false, {"> {2,'',echo} x", "x"}},
    {"malformed/link_to_name", false, {"> {1,A,echo}", "x"}},
    {"malformed/name_is_pid", false, {"> {6,A,'',B} x", "x"}},
    {"malformed/reference", false, {"> {19,A,echo,A}", "x"}},
    {"malformed/unlink_of_0", false, {"> {35,0,A,B}", "x"}},
    {"malformed/mfa", false,
        {"> {29,R,A,G,{erpc,execute_call},[monitor]} []", "x"}},
    {"malformed/options", false,
        {"> {29,R,A,G,{erpc,execute_call,4},monitor} []", "x"}},
    /* Frames behind it are not read. */
    {"malformed/behind", false, {"> {35,0,A,B}", "> {6,A,'',inbox} x", "x"}},
};

static void expect_denied(peer *p, const char *what)
{
    two_barrels *t = &p->s.t;
    char want[512];

    two_barrels_wait(t, &t->n_denied, 1);
    (void)pthread_mutex_lock(&t->lock);
    (void)snprintf(want, sizeof(want), ALICE " %s", what);
    assert_string_equal(t->last_denied, want);
    (void)pthread_mutex_unlock(&t->lock);
}

static void step(peer *p, const char *what)
{
    switch (what[0]) {
    case '>':
        tell(p, 0, what + 2);
        break;
    case '<':
        expect(p, what + 2);
        break;
    case '.':
        nothing_else(p);
        break;
    case '=':
        expect_inbox(p, what + 2);
        break;
    case '?':
        expect_denied(p, what + 2);
        break;
    case 'r':
        assert_int_equal(
            pn_revoke(p->s.t.bob_node, PN_BEAM_DIST_HANDLE), PN_OK);
        break;
    case '!': /* two processes, two pids */
        assert_memory_not_equal(wire_var_of(&p->vars, 'O')->data,
            wire_var_of(&p->vars, 'P')->data, wire_var_of(&p->vars, 'P')->len);
        break;
    case 'x':
        expect_end(p);
        break;
    default:
        fail_msg("no step: %s", what);
    }
}

static void test_serve(void **state)
{
    const serve_row *row = *state;
    peer *p = peer_up(!row->has_no_grant);

    for (size_t i = 0; i < STEPS_MAX && row->steps[i] != NULL; i++) {
        step(p, row->steps[i]);
    }
    peer_down(p);
}

/* The first part of a message counts before the rest is there (T5). */
/* As are those whose arguments are nested too deep; the log names the node. */
static void test_denied_too_deep(void **state)
{
    peer *p = peer_up(true);
    two_barrels *t = &p->s.t;
    char text[1400];
    size_t len;

    (void)state;
    len = (size_t)snprintf(
        text, sizeof(text), "{6,A,'',rex} {'$gen_call',{A,R},{call,calc,add,[");
    memset(text + len, '{', 520);
    memset(text + len + 520, '}', 520);
    (void)strcpy(text + len + 1040, "],user}}");
    tell(p, 0, text);
    assert_true(stranger_run(&p->s, has_frame));
    p->n_taken += frame_len(p);
    nothing_else(p);
    expect_denied(p, ":calc.add/1()");
    (void)pthread_mutex_lock(&t->lock);
    assert_string_equal(t->last_denied_log, ALICE " :calc.add/1");
    (void)pthread_mutex_unlock(&t->lock);
    peer_down(p);
}

static void test_memory(void **state)
{
    static const uint8_t some[2 * 1024 * 1024];
    static const uint8_t head[] = {0, 0x80, 0, 0}; /* of 8 MiB */
    peer *p = peer_up(true);
    pn_node *bob = p->s.t.bob_node;

    (void)state;
    pn_node_lock(bob);
    bob->opt.max_memory_bytes = 1024 * 1024;
    pn_node_unlock(bob);
    nothing_else(p);
    stranger_say(&p->s, p->streams[0], head, sizeof(head), false);
    stranger_say(&p->s, p->streams[0], some, sizeof(some), false);
    expect_end(p);
    peer_down(p);
}

/* ---- calls and their order --------------------------------------------- */

int main(void)
{
    for (size_t i = 0; i < sizeof(serve_rows) / sizeof(serve_rows[0]); i++) {
        pn_test_addf(test_serve, (void *)(uintptr_t)&serve_rows[i],
            "barrel/serve/%s", serve_rows[i].name);
    }
#define T(name) pn_test_add("barrel/serve/" #name, test_##name, NULL)
    T(denied_too_deep);
    T(memory);
    return pn_test_run("barrel-serve");
}

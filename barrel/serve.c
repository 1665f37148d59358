/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of the cluster. Registered names are the handles that are exposed;
 * rpc and erpc are the node's BeamDist table. This file turns signals into
 * messages for link/dispatch.c, which decides as it does for PeerNet's peers,
 * and answers into signals
 * (docs/BARREL-PROTOCOL.md, section 16).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peernet/beam_dist.h>

#include "barrel_internal.h"
#include "base/mutant.h"
#include "link/functions.h"
#include "raise.h"
#include "term/check.h"
#include "term/writer_internal.h"

/* Pids, tags and references of a caller that we keep for the answer; those of
 * OTP have less than 100 bytes. */
enum { KEPT_MAX = 1024 };

/* The form of an answer. */
typedef enum inbound_kind {
    INBOUND_CALL, /* {Tag, Value} to the caller */
    INBOUND_REX,  /* the same; failures are badrpc */
    INBOUND_ERPC  /* the process we spawned ends with {Res, return, Value} */
} inbound_kind;

/* A call that waits for its answer. */
struct pn_barrel_inbound {
    pn_item item;
    uint64_t id;
    inbound_kind kind;
    bool is_ok;      /* of the answer that is being written */
    pn_dist_pid pid; /* ERPC: the process */
    pn_term caller;  /* a pid */
    pn_term tag;     /* CALL, REX: its tag; ERPC: Res */
    pn_term ref;     /* ERPC: the request's */
    pn_term stack;   /* REX, ERPC: what was called; owned, or empty */
    uint8_t kept[];  /* what they point at */
};

/* ---- keeping the caller ------------------------------------------------- */

static pn_term keep(uint8_t **to, pn_term term)
{
    pn_term kept = {*to, term.len};

    if (term.len > 0) {
        memcpy(*to, term.data, term.len);
    }
    *to += term.len;
    return kept;
}

/* NULL: more than we keep, or no memory. */
static pn_barrel_inbound *inbound_new(pn_barrel_link *link, inbound_kind kind,
    pn_term caller, pn_term tag, pn_term ref)
{
    size_t len = caller.len + tag.len + ref.len;
    pn_barrel_inbound *in;
    uint8_t *to;

    if (PN_REFUSE_IF(barrel_kept, len > KEPT_MAX)) {
        return NULL;
    }
    in = calloc(1, sizeof(*in) + len);
    if (in == NULL) {
        return NULL;
    }
    to = in->kept;
    in->kind = kind;
    in->caller = keep(&to, caller);
    in->tag = keep(&to, tag);
    in->ref = keep(&to, ref);
    in->id = ++link->last_inbound;
    pn_list_append(&link->inbound, &in->item);
    return in;
}

static void inbound_remove(pn_barrel_link *link, pn_barrel_inbound *in)
{
    pn_list_remove(&in->item);
    if (link->answering == in) {
        link->answering = NULL;
    }
    free((void *)(uintptr_t)in->stack.data);
    free(in);
}

void pn_barrel_drop_inbound(pn_barrel_link *link)
{
    assert_locked(link->base.node);
    PN_LIST_EACH(pn_barrel_inbound, in, &link->inbound, item) {
        inbound_remove(link, in);
    }
}

static pn_barrel_inbound *inbound_find(pn_barrel_link *link, uint64_t id)
{
    PN_LIST_EACH(pn_barrel_inbound, in, &link->inbound, item) {
        if (in->id == id) {
            return in;
        }
    }
    return NULL;
}

/* Distribution takes terms of any depth, because a term that is refused there
 * ends the link; what handlers are shown has the limits of the node. */
bool pn_barrel_is_within(const pn_barrel_link *link, pn_term term)
{
    pn_term_limits limits = link->base.node->term_limits;

    limits.max_bytes = link->barrel->opt.max_message_bytes;
    return pn_check_bare(term, &limits) == PN_OK;
}

/* ---- sending signals --------------------------------------------------- */

/* No limit is asked. */
static pn_err emit(pn_barrel_link *link, const pn_dist_signal *signal)
{
    pn_err err = pn_dist_signal_write(
        &link->out, signal, link->barrel->opt.max_message_bytes);

    if (err == PN_OK) {
        link->barrel->metrics.signals_out++;
        pn_link_touch(&link->base);
    }
    return err;
}

pn_err pn_barrel_emit(pn_barrel_link *link, const pn_dist_signal *signal)
{
    assert_locked(link->base.node);
    if (PN_REFUSE_IF(barrel_output,
            pn_buf_used(&link->out) >= link->base.node->opt.max_output_bytes)) {
        return PN_BUSY;
    }
    return emit(link, signal);
}

/* Twice what else is let out, and a message that was on top of that. */
void pn_barrel_emit_must(pn_barrel_link *link, const pn_dist_signal *signal)
{
    size_t limit = 2 * (size_t)link->base.node->opt.max_output_bytes
                   + link->barrel->opt.max_message_bytes;

    assert_locked(link->base.node);
    if (pn_buf_used(&link->out) >= limit || emit(link, signal) != PN_OK) {
        pn_barrel_link_end(link, PN_REASON_FLOOD,
            "%s asks and does not take the answers; look whether it hangs",
            pn_barrel_name_to_show(link));
    }
}

static void emit_noproc(pn_barrel_link *link, const pn_dist_signal *asked)
{
    pn_dist_room room;
    pn_dist_signal signal = {.op = PN_DIST_MONITOR_P_EXIT,
        .from = asked->to,
        .to = asked->from,
        .ref = asked->ref,
        .reason = pn_dist_atom_term(&room, "noproc")};

    pn_barrel_emit_must(link, &signal);
}

/* ---- answers ----------------------------------------------------------- */

/*
 * The value comes between begin and commit. CALL, REX: {Tag, V}; ERPC:
 * {Res, return, V}. A failure of CALL is {Tag, {error, R}}; of the others R is
 * written alone first, because raise.c has to see what it is.
 */
pn_err pn_barrel_begin_reply(
    pn_link *base, uint64_t id, bool is_ok, pn_term_writer *w)
{
    pn_barrel_link *link = (pn_barrel_link *)(void *)base;
    pn_barrel_inbound *in = inbound_find(link, id);

    assert_locked(base->node);
    if (in == NULL) {
        return PN_NOT_CONNECTED; /* the caller has given up */
    }
    link->answering = in;
    in->is_ok = is_ok;
    pn_term_writer_init(w, link->barrel->opt.max_message_bytes);
    if (!is_ok && in->kind != INBOUND_CALL) {
        return PN_OK;
    }
    pn_term_write_tuple_begin(w);
    pn_term_write_opaque(w, in->tag);
    if (in->kind == INBOUND_ERPC) {
        pn_term_write_atom(w, "return");
    } else if (!is_ok) {
        pn_term_write_tuple_begin(w);
        pn_term_write_atom(w, "error");
    }
    return PN_OK;
}

/* w: what begin_reply began, or the reason alone; the answer after PN_OK. */
static pn_err answer_end(
    const pn_barrel_inbound *in, pn_term_writer *w, pn_term *ret_answer)
{
    pn_term_writer reason_writer;
    pn_term reason;
    pn_err err;

    if (in->is_ok || in->kind == INBOUND_CALL) {
        if (!in->is_ok) {
            pn_term_write_tuple_end(w);
        }
        pn_term_write_tuple_end(w);
        return pn_term_writer_finish(w, NULL, ret_answer);
    }
    err = pn_term_writer_finish(w, NULL, &reason);
    if (err != PN_OK) {
        return err;
    }
    reason_writer = *w;
    pn_term_writer_init(w, 0);
    pn_barrel_write_failure(
        w, in->kind == INBOUND_ERPC, in->tag, reason, in->stack);
    err = pn_term_writer_finish(w, NULL, ret_answer);
    pn_term_writer_free(&reason_writer);
    return err;
}

static pn_err answer_emit(
    pn_barrel_link *link, const pn_barrel_inbound *in, pn_term value)
{
    pn_dist_signal signal = {
        .op = PN_DIST_SEND, .to = in->caller, .message = value};
    pn_dist_room room;

    if (in->kind == INBOUND_ERPC) {
        signal = (pn_dist_signal){.op = PN_DIST_MONITOR_P_EXIT,
            .from = pn_dist_pid_term(&room, link->barrel->name, &in->pid),
            .to = in->caller,
            .ref = in->ref,
            .reason = value};
    }
    /* An error is the last that can be answered. */
    if (in->is_ok) {
        return pn_barrel_emit(link, &signal);
    }
    pn_barrel_emit_must(link, &signal);
    return PN_OK;
}

pn_err pn_barrel_commit(pn_link *base, uint64_t now_us, pn_term_writer *w)
{
    pn_barrel_link *link = (pn_barrel_link *)(void *)base;
    pn_barrel_inbound *in = link->answering;
    pn_term value;
    pn_err err = PN_NOT_CONNECTED;

    assert_locked(base->node);
    (void)now_us;
    if (in != NULL) {
        err = answer_end(in, w, &value);
    }
    if (err == PN_OK) {
        err = answer_emit(link, in, value);
    }
    if (err == PN_OK || (in != NULL && !in->is_ok)) {
        inbound_remove(link, in);
    }
    link->answering = NULL;
    pn_term_writer_free(w);
    return err;
}

/* ---- calls and sends --------------------------------------------------- */

static pn_slice beam_dist_handle(void)
{
    return (pn_slice){
        (const uint8_t *)PN_BEAM_DIST_HANDLE, sizeof(PN_BEAM_DIST_HANDLE) - 1};
}

static void refuse(pn_barrel_link *link, const pn_barrel_inbound *in,
    pn_subject subject, pn_reason reason)
{
    pn_link_refuse(
        &link->base, in == NULL ? NULL : &in->id, subject, reason, NULL);
}

static void dispatch(pn_barrel_link *link, const pn_barrel_inbound *in,
    pn_slice name, pn_term args)
{
    uint64_t id = in == NULL ? 0 : in->id;
    pn_subject subject = {.name = name};
    char room[PN_FUNCTION_NAME_CAP];
    const pn_handle *handle;

    link->barrel->metrics.calls_in += in == NULL ? 0 : 1;
    if (PN_REFUSE_IF(barrel_depth, !pn_barrel_is_within(link, args))) {
        handle = pn_handles_find(&link->base.node->handles, name);
        if (handle != NULL) {
            subject = pn_handle_subject(handle, args, room);
        }
        refuse(link, in, subject, PN_REASON_BAD_ARGUMENT);
        return;
    }
    pn_dispatch_message(&link->base, in != NULL, id, name, args);
}

/* It is larger than what we can hold. */
static void answer_limit(pn_barrel_link *link, const pn_barrel_inbound *in)
{
    pn_term_writer w;

    if (pn_barrel_begin_reply(&link->base, in->id, false, &w) == PN_OK) {
        pn_term_write_atom(&w, "system_limit");
        (void)!pn_barrel_commit(&link->base, 0, &w);
    }
}

static pn_subject function_subject(pn_term module, pn_term function,
    unsigned arity, char room[static PN_FUNCTION_NAME_CAP])
{
    if (!pn_function_name(module, function, arity, room)) {
        return (pn_subject){.name = beam_dist_handle()};
    }
    return (pn_subject){
        .name = {(const uint8_t *)room, strlen(room)}, .is_function = true};
}

/* There is no table at all: no function is exported. */
static void refuse_apply(pn_barrel_link *link, const pn_barrel_inbound *in,
    pn_term module, pn_term function, pn_term args)
{
    char room[PN_FUNCTION_NAME_CAP];
    pn_term_reader r;

    pn_term_reader_init(&r, args);
    link->barrel->metrics.calls_in += in == NULL ? 0 : 1;
    refuse(link, in,
        function_subject(module, function, pn_term_read_list(&r), room),
        PN_REASON_FUNCTION_NOT_EXPORTED);
}

/* The request to the BeamDist table: {rpc | cast, M, F, Args}. */
static void dispatch_apply(pn_barrel_link *link, pn_barrel_inbound *in,
    pn_term module, pn_term function, pn_term args)
{
    pn_term_writer w;
    pn_term term;

    if (in != NULL) {
        /* Without memory for it the stack trace stays empty. */
        (void)!pn_barrel_stack(module, function, args, &in->stack);
    }
    if (pn_handles_find(&link->base.node->handles, beam_dist_handle())
        == NULL) {
        refuse_apply(link, in, module, function, args);
        return;
    }
    pn_term_writer_init(&w, link->barrel->opt.max_message_bytes);
    pn_term_write_tuple_begin(&w);
    pn_term_write_atom(&w, in == NULL ? "cast" : "rpc");
    pn_term_write_opaque(&w, module);
    pn_term_write_opaque(&w, function);
    pn_term_write_opaque(&w, args);
    pn_term_write_tuple_end(&w);
    if (pn_term_writer_finish(&w, NULL, &term) == PN_OK) {
        dispatch(link, in, beam_dist_handle(), term);
    } else if (in != NULL) {
        answer_limit(link, in);
    }
    pn_term_writer_free(&w);
}

/* {Tag, yes} for net_adm:ping; it says no more than that we are here. */
static void answer_ping(pn_barrel_link *link, pn_term caller, pn_term tag)
{
    pn_dist_signal signal = {.op = PN_DIST_SEND, .to = caller};
    pn_term_writer w;

    pn_term_writer_init(&w, 0);
    pn_term_write_opaque_format(&w, "{~t, yes}", tag);
    if (pn_term_writer_finish(&w, NULL, &signal.message) == PN_OK) {
        pn_barrel_emit_must(link, &signal);
    }
    pn_term_writer_free(&w);
}

static bool is_named(pn_slice name, const char *text)
{
    return name.len == strlen(text) && memcmp(name.data, text, name.len) == 0;
}

/* Names of the runtime system that are answered here. */
static bool is_served_name(pn_slice name)
{
    return is_named(name, "rex") || is_named(name, "net_kernel");
}

/* Those, and the one whose protocol is spoken as far as answer_global goes. No
 * handle has these names. */
static bool is_system_name(pn_slice name)
{
    return is_served_name(name) || is_named(name, "global_name_server");
}

static bool is_handle(const pn_barrel_link *link, pn_slice name)
{
    return !is_system_name(name)
           && pn_handles_find(&link->base.node->handles, name) != NULL;
}

/* Does a process of that name answer? A caller of one that does not waits for
 * its monitor, which is told noproc. */
static bool is_there(const pn_barrel_link *link, pn_slice name)
{
    return is_served_name(name) || is_handle(link, name);
}

/* {'$gen_call', {Pid, Tag}, Request} to a name. */
static void on_gen_call(pn_barrel_link *link, pn_slice name, pn_term caller,
    pn_term tag, pn_term request)
{
    pn_barrel_inbound *in;
    pn_term module;
    pn_term function;
    pn_term args;
    pn_term rest;

    if (is_named(name, "net_kernel")
        && pn_term_match(request, "{is_auth, ~t}", &rest)) {
        answer_ping(link, caller, tag);
        return;
    }
    if (is_system_name(name) && !is_named(name, "rex")) {
        return;
    }
    if (!is_there(link, name)) {
        /* A name that no process has gives no answer; a caller that wants to
         * know has a monitor. */
        dispatch(link, NULL, name, request);
        return;
    }
    in = inbound_new(link, is_named(name, "rex") ? INBOUND_REX : INBOUND_CALL,
        caller, tag, (pn_term){0});
    if (in == NULL) {
        return;
    }
    if (in->kind == INBOUND_CALL) {
        dispatch(link, in, name, request);
    } else if (pn_term_match(request, "{call, ~t, ~t, ~t, ~t}", &module,
                   &function, &args, &rest)
               || pn_term_match(request, "{block_call, ~t, ~t, ~t, ~t}",
                   &module, &function, &args, &rest)) {
        dispatch_apply(link, in, module, function, args);
    } else {
        inbound_remove(link, in);
    }
}

/* global of a node that sees us come up asks to compare names, and until that
 * is over its global:sync waits. There are none here, so there is nothing to
 * compare: {in_sync, Node, true}, as a node says that has it behind it. */
static void answer_global(pn_barrel_link *link)
{
    const char *name = link->barrel->name;
    pn_dist_pid self = pn_barrel_new_pid(link->barrel);
    pn_dist_room from;
    pn_dist_room to;
    pn_dist_signal signal = {.op = PN_DIST_REG_SEND,
        .from = pn_dist_pid_term(&from, name, &self),
        .to = pn_dist_atom_term(&to, "global_name_server")};
    pn_term_writer message;

    pn_term_writer_init(&message, 0);
    pn_term_write_format(&message, "{'$gen_cast', {in_sync, ~a, true}}", name);
    if (pn_term_writer_finish(&message, NULL, &signal.message) == PN_OK) {
        pn_barrel_emit_must(link, &signal);
    }
    pn_term_writer_free(&message);
}

static void on_gen_cast(pn_barrel_link *link, pn_slice name, pn_term request)
{
    pn_term module;
    pn_term function;
    pn_term args;
    pn_term rest;

    if (!is_system_name(name)) {
        dispatch(link, NULL, name, request);
    } else if (is_named(name, "global_name_server")) {
        if (pn_term_match(
                request, "{init_connect, ~t, ~t, ~t}", &module, &args, &rest)) {
            answer_global(link);
        }
    } else if (pn_term_match(request, "{cast, ~t, ~t, ~t, ~t}", &module,
                   &function, &args, &rest)) {
        dispatch_apply(link, NULL, module, function, args);
    }
}

/* pg of a visible node's neighbours says hello to ours: no news to the owner.
 */
static bool is_unasked(pn_slice name)
{
    return is_named(name, "pg");
}

static void on_reg_send(pn_barrel_link *link, const pn_dist_signal *signal)
{
    pn_term message = signal->message;
    pn_term caller;
    pn_term tag;
    pn_term request;
    pn_slice node;
    pn_slice name;

    if (!pn_term_match(signal->to, "~a", &name)) {
        return;
    }
    if (pn_term_match(
            message, "{'$gen_call', {~t, ~t}, ~t}", &caller, &tag, &request)) {
        if (pn_dist_pid_node(caller, &node)) {
            on_gen_call(link, name, caller, tag, request);
        }
    } else if (pn_term_match(message, "{'$gen_cast', ~t}", &request)) {
        on_gen_cast(link, name, request);
    } else if (is_handle(link, name)
               || !(is_system_name(name) || is_unasked(name))) {
        dispatch(link, NULL, name, message);
    }
}

/* ---- spawning: erpc ---------------------------------------------------- */

static void emit_spawn_reply(pn_barrel_link *link, const pn_dist_signal *asked,
    bool has_monitor, pn_term result)
{
    pn_dist_signal signal = {.op = PN_DIST_SPAWN_REPLY,
        .ref = asked->ref,
        .to = asked->from,
        .id = has_monitor ? 2 : 0,
        .reason = result};

    pn_barrel_emit_must(link, &signal);
}

static void refuse_spawn(
    pn_barrel_link *link, const pn_dist_signal *asked, const char *why)
{
    pn_dist_room room;

    emit_spawn_reply(link, asked, false, pn_dist_atom_term(&room, why));
}

static bool wants_monitor(pn_term options)
{
    pn_term_reader r;
    uint32_t n;

    pn_term_reader_init(&r, options);
    n = pn_term_read_list(&r);
    while (n-- > 0) {
        pn_term option = pn_term_read_any(&r);

        if (pn_term_is_atom(option, "monitor")) {
            return true;
        }
    }
    return false;
}

/* {erpc, execute_call, 4} with [Res, M, F, Args]: a process that ends with the
 * answer. execute_cast/3 with [M, F, Args] says nothing. */
static void on_spawn(pn_barrel_link *link, const pn_dist_signal *signal)
{
    bool has_monitor = wants_monitor(signal->options);
    pn_dist_pid pid = pn_barrel_new_pid(link->barrel);
    pn_dist_room room;
    pn_barrel_inbound *in = NULL;
    pn_term res;
    pn_term module;
    pn_term function;
    pn_term args;
    bool is_call;
    bool is_cast;

    is_call = has_monitor
              && pn_term_match(signal->mfa, "{erpc, execute_call, 4}")
              && pn_term_match(signal->message, "[~t, ~t, ~t, ~t]", &res,
                  &module, &function, &args);
    is_cast = !is_call && !has_monitor
              && pn_term_match(signal->mfa, "{erpc, execute_cast, 3}")
              && pn_term_match(
                  signal->message, "[~t, ~t, ~t]", &module, &function, &args);
    if (is_call) {
        in = inbound_new(link, INBOUND_ERPC, signal->from, res, signal->ref);
    }
    if ((!is_call && !is_cast) || (is_call && in == NULL)) {
        refuse_spawn(link, signal, "notsup");
        return;
    }
    emit_spawn_reply(link, signal, has_monitor,
        pn_dist_pid_term(&room, link->barrel->name, &pid));
    if (in != NULL) {
        in->pid = pid;
    }
    dispatch_apply(link, in, module, function, args);
}

/* ---- monitors and links ------------------------------------------------ */

static void on_monitor(pn_barrel_link *link, const pn_dist_signal *signal)
{
    pn_slice name;

    if (pn_term_match(signal->to, "~a", &name)
        && (is_there(link, name)
            || (is_system_name(name) && !PN_SAFEGUARD(barrel_noproc)))) {
        return; /* there for as long as we are */
    }
    emit_noproc(link, signal);
}

/* The reference of an erpc, or of the monitor that goes with a gen_server call:
 * its tag is that reference, or [alias | reference]. */
static bool is_watched_by(const pn_barrel_inbound *in, pn_term ref)
{
    pn_term tag = in->kind == INBOUND_ERPC ? in->ref : in->tag;

    return ref.len > 0 && tag.len >= ref.len
           && memcmp(tag.data + (tag.len - ref.len), ref.data, ref.len) == 0;
}

/* The caller does not wait for the answer any more. */
static void on_demonitor(pn_barrel_link *link, const pn_dist_signal *signal)
{
    PN_LIST_EACH(pn_barrel_inbound, in, &link->inbound, item) {
        if (is_watched_by(in, signal->ref)) {
            inbound_remove(link, in);
            return;
        }
    }
}

/* There is nothing here that could be linked to. */
static void on_link(pn_barrel_link *link, const pn_dist_signal *signal)
{
    pn_dist_room room;
    pn_dist_signal answer = {.op = PN_DIST_EXIT,
        .from = signal->to,
        .to = signal->from,
        .reason = pn_dist_atom_term(&room, "noproc")};

    pn_barrel_emit_must(link, &answer);
}

static void on_unlink(pn_barrel_link *link, const pn_dist_signal *signal)
{
    pn_dist_signal answer = {.op = PN_DIST_UNLINK_ID_ACK,
        .id = signal->id,
        .from = signal->to,
        .to = signal->from};

    pn_barrel_emit_must(link, &answer);
}

/* ---- messages that were too large ---------------------------------------- */

/* A gen_server call of a handle, or an rpc of an older release. */
static void drained_call(
    pn_barrel_link *link, pn_slice name, const pn_dist_head *head)
{
    pn_barrel_inbound *in;

    if (!is_there(link, name)) {
        return; /* its monitor is answered */
    }
    in = inbound_new(link, is_named(name, "rex") ? INBOUND_REX : INBOUND_CALL,
        head->caller, head->tag, (pn_term){0});
    if (in != NULL) {
        answer_limit(link, in);
    }
}

enum { DRAINED_LINES = 2 }; /* a minute, of one source */

static void log_drained(pn_barrel_link *link, size_t len)
{
    const pn_quiet_cause cause = {.kind = PN_QUIET_LOG,
        .id = pn_node_source_id(&link->base.remote),
        .n_lines = DRAINED_LINES};
    char text[64];

    (void)snprintf(text, sizeof(text), "%zu bytes, expected at most %" PRIu32,
        len, link->barrel->opt.max_message_bytes);
    pn_node_log(link->base.node,
        &(pn_log_line){.level = PN_LOG_WARNING,
            .what = PN_LOG_MESSAGE_TOO_LARGE,
            .text = pn_slice_of(text),
            .reason = PN_REASON_FRAME_TOO_LARGE,
            .cause = PN_SAFEGUARD(barrel_drained_rate) ? &cause : NULL});
}

static void tell_drained(
    pn_barrel_link *link, const pn_dist_head *head, pn_slice name, size_t len)
{
    char room[PN_FUNCTION_NAME_CAP];
    pn_subject subject = {.name = name};

    link->barrel->metrics.messages_too_large++;
    log_drained(link, len);
    if (head->module.len > 0) {
        subject = function_subject(
            head->module, head->function, head->arity, room);
    }
    if (subject.name.len > 0) {
        refuse(link, NULL, subject, PN_REASON_FRAME_TOO_LARGE);
    }
}

void pn_barrel_serve_drained(
    pn_barrel_link *link, const uint8_t *head, size_t head_len, size_t len)
{
    pn_dist_head h = {0};
    pn_slice name = {0};
    bool is_known = pn_dist_head_read(head, head_len, &h) == PN_OK;
    bool is_named_one = is_known && h.signal.op == PN_DIST_REG_SEND
                        && pn_term_match(h.signal.to, "~a", &name);

    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    tell_drained(link, &h, name, len);
    if (!is_known) {
        return;
    }
    if (h.signal.op == PN_DIST_SPAWN_REQUEST) {
        refuse_spawn(link, &h.signal, "system_limit");
    } else if (is_named_one && h.caller.len > 0) {
        drained_call(link, name, &h);
    } else if (h.signal.op == PN_DIST_SEND
               || h.signal.op == PN_DIST_ALIAS_SEND) {
        pn_barrel_on_drained(link, h.signal.to);
    }
}

/* NULL: nothing of ours is linked, or spawned. */
static void (*const serve[])(pn_barrel_link *, const pn_dist_signal *) = {
    [PN_DIST_LINK] = on_link,
    [PN_DIST_SEND] = pn_barrel_on_message,
    [PN_DIST_EXIT] = NULL,
    [PN_DIST_REG_SEND] = on_reg_send,
    [PN_DIST_EXIT2] = NULL,
    [PN_DIST_MONITOR_P] = on_monitor,
    [PN_DIST_DEMONITOR_P] = on_demonitor,
    [PN_DIST_MONITOR_P_EXIT] = pn_barrel_on_down,
    [PN_DIST_SPAWN_REQUEST] = on_spawn,
    [PN_DIST_SPAWN_REPLY] = NULL,
    [PN_DIST_ALIAS_SEND] = pn_barrel_on_message,
    [PN_DIST_UNLINK_ID] = on_unlink,
    [PN_DIST_UNLINK_ID_ACK] = NULL,
};

void pn_barrel_serve(pn_barrel_link *link, const pn_dist_signal *signal)
{
    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    if (serve[signal->op] != NULL) {
        serve[signal->op](link, signal);
    }
}

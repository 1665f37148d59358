/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cluster asks of us. Registered names are the handles that are
 * exposed; rpc and erpc are the node's BeamDist table. Everything goes through
 * the dispatching, and the decision, that PeerNet's peers go through; what is
 * here turns signals into messages, and answers into signals (barrel-wire
 * section 16).
 */
#include <stdlib.h>
#include <string.h>

#include <peernet/beam_dist.h>

#include "barrel_internal.h"
#include "base/mutant.h"
#include "term/check.h"
#include "term/writer_internal.h"

/* Pids, tags and references of a caller that we keep for the answer; those of
 * OTP have less than 100 bytes. */
enum { KEPT_MAX = 1024 };

/* What an answer looks like. */
typedef enum inbound_kind {
    INBOUND_CALL, /* {Tag, Value} to the caller */
    INBOUND_REX,  /* the same; failures are badrpc */
    INBOUND_ERPC  /* the process we spawned ends with {Res, return, Value} */
} inbound_kind;

/* A call that waits for its answer. */
struct pn_barrel_inbound {
    pn_barrel_inbound *next;
    uint64_t id;
    inbound_kind kind;
    bool is_ok;      /* of the answer that is being written */
    pn_dist_pid pid; /* ERPC: the process */
    pn_term caller;  /* a pid */
    pn_term tag;     /* CALL, REX: its tag; ERPC: Res */
    pn_term ref;     /* ERPC: the request's */
    uint8_t kept[];  /* what they point at */
};

/* ---- keeping who asked ------------------------------------------------- */

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

    if (PN_CHECK(barrel_kept, len > KEPT_MAX)) {
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
    in->next = link->inbound;
    link->inbound = in;
    return in;
}

static void inbound_remove(pn_barrel_link *link, pn_barrel_inbound *in)
{
    pn_barrel_inbound **at = &link->inbound;

    while (*at != NULL && *at != in) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = in->next;
    }
    if (link->answering == in) {
        link->answering = NULL;
    }
    free(in);
}

void pn_barrel_drop_inbound(pn_barrel_link *link)
{
    while (link->inbound != NULL) {
        inbound_remove(link, link->inbound);
    }
}

static pn_barrel_inbound *inbound_find(pn_barrel_link *link, uint64_t id)
{
    pn_barrel_inbound *in = link->inbound;

    while (in != NULL && in->id != id) {
        in = in->next;
    }
    return in;
}

/* Distribution takes terms of any depth, because a term that is refused there
 * ends the link; what handlers are shown has the limits of the node. */
bool pn_barrel_is_within(const pn_barrel_link *link, pn_term term)
{
    pn_term_limits limits = link->base.node->session_limits.term;

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
    if (PN_CHECK(barrel_output,
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

    if (pn_buf_used(&link->out) >= limit || emit(link, signal) != PN_OK) {
        pn_barrel_link_end(link, PN_REASON_FLOOD,
            "%s asks and does not take the answers",
            pn_barrel_name_to_show(link));
    }
}

/* A term made of our own pid. */
static pn_err pid_term(
    pn_barrel_link *link, pn_term_writer *w, const pn_dist_pid *pid, pn_term *t)
{
    pn_term_writer_init(w, 0);
    pn_dist_write_pid(w, link->barrel->name, pid);
    return pn_term_writer_finish(w, NULL, t);
}

static pn_err small_term(pn_term_writer *w, pn_term *ret, const char *atom)
{
    pn_term_writer_init(w, 0);
    pn_term_write_atom(w, atom);
    return pn_term_writer_finish(w, NULL, ret);
}

/* {21, From, To, Ref, Reason}: what was monitored is not there, or ended. */
static void emit_down(
    pn_barrel_link *link, pn_term from, pn_term to, pn_term ref, pn_term reason)
{
    pn_dist_signal signal = {.op = PN_DIST_MONITOR_P_EXIT,
        .from = from,
        .to = to,
        .ref = ref,
        .reason = reason};

    pn_barrel_emit_must(link, &signal);
}

static void emit_noproc(pn_barrel_link *link, const pn_dist_signal *asked)
{
    pn_term_writer w;
    pn_term noproc;

    if (small_term(&w, &noproc, "noproc") == PN_OK) {
        emit_down(link, asked->to, asked->from, asked->ref, noproc);
    }
    pn_term_writer_free(&w);
}

/* ---- answers ----------------------------------------------------------- */

/*
 * The value comes between begin and commit. CALL: {Tag, V} or
 * {Tag, {error, R}}; REX: {Tag, {badrpc, {'EXIT', R}}}; ERPC: {Res, return, V}
 * or {Res, error, R, []}.
 */
pn_err pn_barrel_begin_reply(
    pn_link *base, uint64_t id, bool is_ok, pn_term_writer *w)
{
    pn_barrel_link *link = (pn_barrel_link *)(void *)base;
    pn_barrel_inbound *in = inbound_find(link, id);

    if (in == NULL) {
        return PN_NOT_CONNECTED; /* nobody waits for it any more */
    }
    link->answering = in;
    in->is_ok = is_ok;
    pn_term_writer_init(w, link->barrel->opt.max_message_bytes);
    pn_term_write_tuple_begin(w);
    pn_term_write_opaque(w, in->tag);
    if (in->kind == INBOUND_ERPC) {
        pn_term_write_atom(w, is_ok ? "return" : "error");
    } else if (!is_ok) {
        pn_term_write_tuple_begin(w);
        pn_term_write_atom(w, in->kind == INBOUND_REX ? "badrpc" : "error");
        if (in->kind == INBOUND_REX) {
            pn_term_write_tuple_begin(w);
            pn_term_write_atom(w, "EXIT");
        }
    }
    return PN_OK;
}

static void answer_end(const pn_barrel_inbound *in, pn_term_writer *w)
{
    if (in->kind == INBOUND_ERPC) {
        if (!in->is_ok) { /* no stack trace */
            pn_term_write_list_begin(w);
            pn_term_write_list_end(w);
        }
    } else if (!in->is_ok) {
        pn_term_write_tuple_end(w);
        if (in->kind == INBOUND_REX) {
            pn_term_write_tuple_end(w);
        }
    }
    pn_term_write_tuple_end(w);
}

/* An error is the last that can be answered. */
static pn_err answer_out(pn_barrel_link *link, const pn_barrel_inbound *in,
    const pn_dist_signal *signal)
{
    if (in->is_ok) {
        return pn_barrel_emit(link, signal);
    }
    pn_barrel_emit_must(link, signal);
    return PN_OK;
}

static pn_err answer_emit(
    pn_barrel_link *link, const pn_barrel_inbound *in, pn_term value)
{
    pn_dist_signal signal = {
        .op = PN_DIST_SEND, .to = in->caller, .message = value};
    pn_term_writer w;
    pn_err err;

    if (in->kind != INBOUND_ERPC) {
        return answer_out(link, in, &signal);
    }
    signal = (pn_dist_signal){.op = PN_DIST_MONITOR_P_EXIT,
        .to = in->caller,
        .ref = in->ref,
        .reason = value};
    err = pid_term(link, &w, &in->pid, &signal.from);
    if (err == PN_OK) {
        err = answer_out(link, in, &signal);
    }
    pn_term_writer_free(&w);
    return err;
}

pn_err pn_barrel_commit(pn_link *base, uint64_t now_us, pn_term_writer *w)
{
    pn_barrel_link *link = (pn_barrel_link *)(void *)base;
    pn_barrel_inbound *in = link->answering;
    pn_term value;
    pn_err err = PN_NOT_CONNECTED;

    (void)now_us;
    if (in != NULL) {
        answer_end(in, w);
        err = pn_term_writer_finish(w, NULL, &value);
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

static void dispatch(pn_barrel_link *link, const pn_barrel_inbound *in,
    pn_slice handle, pn_term args)
{
    uint64_t id = in == NULL ? 0 : in->id;

    link->barrel->metrics.calls_in += in == NULL ? 0 : 1;
    if (PN_CHECK(barrel_depth, !pn_barrel_is_within(link, args))) {
        pn_node_denied(link->base.node, &link->base.key, link->base.label,
            &link->base.remote, handle, PN_REASON_BAD_ARGUMENT);
        if (in != NULL) {
            pn_link_answer_error(&link->base, id, PN_REASON_BAD_ARGUMENT, NULL);
        }
        return;
    }
    pn_dispatch_message(&link->base, in != NULL, id, handle, args);
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

/* What is asked of the BeamDist table: {rpc | cast, M, F, Args}. */
static void dispatch_apply(pn_barrel_link *link, const pn_barrel_inbound *in,
    pn_term module, pn_term function, pn_term args)
{
    pn_term_writer w;
    pn_term term;

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
    pn_term_write_tuple_begin(&w);
    pn_term_write_opaque(&w, tag);
    pn_term_write_atom(&w, "yes");
    pn_term_write_tuple_end(&w);
    if (pn_term_writer_finish(&w, NULL, &signal.message) == PN_OK) {
        pn_barrel_emit_must(link, &signal);
    }
    pn_term_writer_free(&w);
}

static bool is_named(pn_slice name, const char *text)
{
    return name.len == strlen(text) && memcmp(name.data, text, name.len) == 0;
}

/* Names of the runtime system, which every node sends things to. */
static bool is_system_name(pn_slice name)
{
    return is_named(name, "rex") || is_named(name, "net_kernel")
           || is_named(name, "global_name_server");
}

/* Is there a process of that name, as far as they can tell? */
static bool is_there(const pn_barrel_link *link, pn_slice name)
{
    return is_system_name(name)
           || pn_handles_find(&link->base.node->handles, name) != NULL;
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
        /* As to any name that nobody has: no answer; who wants to know has a
         * monitor. */
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

static void on_gen_cast(pn_barrel_link *link, pn_slice name, pn_term request)
{
    pn_term module;
    pn_term function;
    pn_term args;
    pn_term rest;

    if (!is_system_name(name)) {
        dispatch(link, NULL, name, request);
    } else if (pn_term_match(request, "{cast, ~t, ~t, ~t, ~t}", &module,
                   &function, &args, &rest)) {
        dispatch_apply(link, NULL, module, function, args);
    }
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
    } else if (!is_system_name(name)) {
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

static void refuse_spawn(pn_barrel_link *link, const pn_dist_signal *asked)
{
    pn_term_writer w;
    pn_term notsup;

    if (small_term(&w, &notsup, "notsup") == PN_OK) {
        emit_spawn_reply(link, asked, false, notsup);
    }
    pn_term_writer_free(&w);
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

static pn_dist_pid new_pid(pn_barrel *barrel)
{
    return (pn_dist_pid){
        .id = ++barrel->last_pid, .creation = barrel->creation};
}

/* {erpc, execute_call, 4} with [Res, M, F, Args]: a process that ends with the
 * answer. execute_cast/3 with [M, F, Args] says nothing. */
static void on_spawn(pn_barrel_link *link, const pn_dist_signal *signal)
{
    bool has_monitor = wants_monitor(signal->options);
    pn_dist_pid pid = new_pid(link->barrel);
    pn_barrel_inbound *in = NULL;
    pn_term res;
    pn_term module;
    pn_term function;
    pn_term args;
    pn_term_writer w;
    pn_term term;
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
        refuse_spawn(link, signal);
        return;
    }
    if (pid_term(link, &w, &pid, &term) == PN_OK) {
        emit_spawn_reply(link, signal, has_monitor, term);
    }
    pn_term_writer_free(&w);
    if (in != NULL) {
        in->pid = pid;
    }
    dispatch_apply(link, in, module, function, args);
}

/* ---- monitors and links ------------------------------------------------ */

static void on_monitor(pn_barrel_link *link, const pn_dist_signal *signal)
{
    pn_slice name;

    if (pn_term_match(signal->to, "~a", &name) && is_there(link, name)) {
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

/* Nobody waits for the answer any more. */
static void on_demonitor(pn_barrel_link *link, const pn_dist_signal *signal)
{
    for (pn_barrel_inbound *in = link->inbound; in != NULL; in = in->next) {
        if (is_watched_by(in, signal->ref)) {
            inbound_remove(link, in);
            return;
        }
    }
}

/* There is nothing here that could be linked to. */
static void on_link(pn_barrel_link *link, const pn_dist_signal *signal)
{
    pn_dist_signal answer = {
        .op = PN_DIST_EXIT, .from = signal->to, .to = signal->from};
    pn_term_writer w;

    if (small_term(&w, &answer.reason, "noproc") == PN_OK) {
        pn_barrel_emit_must(link, &answer);
    }
    pn_term_writer_free(&w);
}

static void on_unlink(pn_barrel_link *link, const pn_dist_signal *signal)
{
    pn_dist_signal answer = {.op = PN_DIST_UNLINK_ID_ACK,
        .id = signal->id,
        .from = signal->to,
        .to = signal->from};

    pn_barrel_emit_must(link, &answer);
}

void pn_barrel_serve(pn_barrel_link *link, const pn_dist_signal *signal)
{
    switch (signal->op) {
    case PN_DIST_SEND:
    case PN_DIST_ALIAS_SEND:
        pn_barrel_on_message(link, signal);
        return;
    case PN_DIST_REG_SEND:
        on_reg_send(link, signal);
        return;
    case PN_DIST_SPAWN_REQUEST:
        on_spawn(link, signal);
        return;
    case PN_DIST_MONITOR_P:
        on_monitor(link, signal);
        return;
    case PN_DIST_DEMONITOR_P:
        on_demonitor(link, signal);
        return;
    case PN_DIST_MONITOR_P_EXIT:
        pn_barrel_on_down(link, signal);
        return;
    case PN_DIST_LINK:
        on_link(link, signal);
        return;
    case PN_DIST_UNLINK_ID:
        on_unlink(link, signal);
        return;
    case PN_DIST_EXIT: /* nothing of ours is linked, or spawned */
    case PN_DIST_EXIT2:
    case PN_DIST_SPAWN_REPLY:
    case PN_DIST_UNLINK_ID_ACK:
        return;
    }
}

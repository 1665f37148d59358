/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and messages to peers. Each waits until the peer is up. A peer that has
 * not paired us never is, so every message that is sent goes to a peer that
 * trusts us.
 */
#include <string.h>

#include "base/utf8.h"
#include "hub_call.h"
#include "reason_text.h"

#define REASON_MS 100

/* ---- answers ------------------------------------------------------------ */

/* Takes over the reason of attempts before this request. A link over which
 * nothing has come is probably one to a peer that has not paired us, and will
 * soon be closed by it. */
static void recall_reason(hub_op *op)
{
    pn_peer_info info;

    if (op->last_reason == PN_REASON_NONE
        && pn_get_peer(op->hub->node, &op->key, &info) == PN_OK) {
        op->last_reason = info.state == PN_PEER_DIALLING && info.dialled_by_us
                              ? PN_REASON_NOT_PAIRED_THERE
                              : info.last_reason;
        if (info.address[0] != '\0') {
            memcpy(op->last_address, info.address, sizeof(op->last_address));
        }
    }
}

/* " at A, B or C" when all that were given failed; else the last one. */
static void add_where(cli_text *t, const hub_op *op)
{
    const char *at = op->last_address;

    if (op->at != NULL && op->at_left != NULL && op->at_left[0] == '\0') {
        at = op->at;
    }
    for (const char *before = " at "; at[0] != '\0'; before = ", ") {
        int len = (int)strcspn(at, ",");

        if (strchr(at, ',') == NULL && before[0] == ',') {
            before = " or ";
        }
        cli_text_printf(t, "%s%.*s", before, len, at);
        at += len + (at[len] == ',');
    }
}

#define SAY_WHERE "say where it is with 'peernet pair KEY --address HOST:PORT'"

static void op_fail_link(hub_op *op)
{
    cli_text t = {0};

    recall_reason(op);
    cli_text_puts(&t, "no link to the peer");
    if (op->last_reason != PN_REASON_NONE) {
        add_where(&t, op);
        cli_text_printf(&t, ": %s", cli_reason_sentence(op->last_reason));
    } else if (op->last_address[0] != '\0') {
        cli_text_printf(&t,
            ": no answer from %s in time; look whether it runs, and at its "
            "firewall",
            op->last_address);
    } else if (!op->hub->discovers) {
        cli_text_puts(
            &t, ": no address is known and discovery is off; " SAY_WHERE);
    } else if (op->hub->discovery_error[0] != '\0') {
        cli_text_printf(&t,
            ": no address is known and announces cannot be heard: "
            "%s; " SAY_WHERE,
            op->hub->discovery_error);
    } else {
        cli_text_puts(
            &t, ": nobody announced it; look whether it runs, or " SAY_WHERE);
    }
    hub_op_fail(op, "not-connected", cli_text_string(&t));
    cli_text_fini(&t);
}

static void op_fail_closed(hub_op *op)
{
    cli_text t = {0};

    cli_text_puts(&t, "the link ended before the answer");
    if (op->last_reason != PN_REASON_NONE) {
        cli_text_printf(&t, ": %s", cli_reason_sentence(op->last_reason));
    }
    hub_op_fail(op, "closed", cli_text_string(&t));
    cli_text_fini(&t);
}

static const char *sentence(pn_err err)
{
    switch ((int)err) {
    case PN_TIMEOUT:
        return "no reply in time; look what the handler does there, or wait "
               "longer";
    case PN_BUSY:
        return "too much waits for that peer already; try again later";
    case PN_TOO_LARGE:
        return "the term is larger, or nested deeper, than a message may be; "
               "send less at once";
    default:
        return pn_strerror(err);
    }
}

static void op_fail_call(hub_op *op, pn_err err)
{
    hub_op_fail(op, hub_error_name(err), sentence(err));
}

static void on_no_reason(uv_timer_t *timer)
{
    op_fail_closed(timer->data);
}

/* The event that says why follows in the same turn. */
static void op_closed(hub_op *op)
{
    op->stage = HUB_OP_CLOSED;
    op->last_reason = PN_REASON_NONE;
    (void)uv_timer_start(&op->timer, on_no_reason, REASON_MS, 0);
}

static void on_fail(hub_op *op, pn_err err, pn_term value)
{
    (void)value;
    if (err == PN_CLOSED) {
        op_closed(op);
    } else {
        op_fail_call(op, err);
    }
}

/* ---- sending ------------------------------------------------------------ */

static void op_go(hub_op *op)
{
    bool is_message = hub_op_is_message(op);
    pn_err err;

    (void)uv_timer_stop(&op->timer);
    if (is_message) {
        err = pn_send_term(op->hub->node, &op->key, op->to, op->args);
    } else {
        err = pn_call_async(op->hub->node, &op->key, op->to, op->timeout_ms,
            op->args, hub_op_done, op);
        op->stage = HUB_OP_CALLED;
        op->is_owed = err == PN_OK;
    }
    if (err != PN_OK) {
        op_fail_call(op, err);
    } else if (is_message) {
        hub_op_answer_sent(op);
    } else {
        hub_op_notice(op, "reply", op->last_address);
    }
}

static void on_no_link(uv_timer_t *timer)
{
    op_fail_link(timer->data);
}

/* Takes one out of the list "A,B,...", however often it is there; true when it
 * was the last. */
static bool was_last_address(char *list, const char *address)
{
    size_t len = strlen(address);
    bool was_there = false;

    for (char *at = list; at != NULL && *at != '\0';) {
        char *end = at + strcspn(at, ",");
        char *next = end + (*end == ',');

        if ((size_t)(end - at) == len && memcmp(at, address, len) == 0) {
            memmove(at, next, strlen(next) + 1);
            was_there = true;
        } else {
            at = next;
        }
    }
    return was_there && list[0] == '\0';
}

/* True when no source can bring an address and at all that are known another
 * key was found. The peer itself could still dial us, but it has not heard of
 * us, and a command does not wait for that. */
static bool has_nothing_left(const hub_op *op)
{
    pn_peer_info info;

    return !op->hub->discovers && op->hub->source == NULL
           && pn_get_peer(op->hub->node, &op->key, &info) == PN_OK
           && !info.has_address_left;
}

/* True when further attempts cannot succeed: another node, or none, is at the
 * addresses that were given. After a refusal the caller may have asked to wait
 * all the same. A failure at an address that was only announced proves nothing,
 * because announces can be forged. */
static bool is_final(hub_op *op, const pn_event *event)
{
    switch ((int)event->reason) {
    case PN_REASON_UNPAIRED:
    case PN_REASON_NOT_PAIRED_THERE:
        return true;
    case PN_REASON_KEY_MISMATCH:
    case PN_REASON_OWN_KEY:
        return was_last_address(op->at_left, event->address)
               || has_nothing_left(op);
    case PN_REASON_CONNECTION_REFUSED:
    case PN_REASON_PEER_LISTENS_ON_LOOPBACK:
        op->is_refused = true;
        return !op->has_wait && was_last_address(op->at_left, event->address);
    case PN_REASON_UNREACHABLE:
        /* The other addresses of the host are tried too, for example without
         * IPv6. */
        return was_last_address(op->at_left, event->address) && op->is_refused
               && !op->has_wait;
    default:
        return false;
    }
}

static void op_event(hub_op *op, const pn_event *event)
{
    if (event->type == PN_EVENT_PEER_UP) {
        if (op->stage == HUB_OP_WAITS_FOR_LINK) {
            op_go(op);
        }
        return;
    }
    if (event->type != PN_EVENT_DIAL_FAILED
        && event->type != PN_EVENT_PEER_DOWN) {
        return;
    }
    op->last_reason = event->reason;
    (void)strncpy(
        op->last_address, event->address, sizeof(op->last_address) - 1);
    if (op->stage == HUB_OP_WAITS_FOR_LINK && is_final(op, event)) {
        op_fail_link(op);
    } else if (op->stage == HUB_OP_CLOSED) {
        op_fail_closed(op);
    }
}

void hub_ops_event(cli_hub *hub, const pn_event *event)
{
    hub_op *next;

    for (hub_op *op = hub->ops; op != NULL; op = next) {
        pn_principal peer = pn_peernet_principal(&op->key);

        next = op->next;
        /* A caller that gets an answer may leave, which ends its other
         * requests. */
        if (op->hub != NULL && op->node == NULL && event->who != NULL
            && pn_principal_equal(event->who, &peer)) {
            op_event(op, event);
        }
    }
}

/* ---- requests ----------------------------------------------------------- */

/* A handle is an atom on the wire. */
static bool read_handle(hub_op *op, const hub_request *request)
{
    size_t n_chars = 0;

    if (!hub_string(request, "handle", !hub_op_is_apply(op), &op->to)) {
        return false;
    }
    if (op->to != NULL
        && (!pn_utf8_check((const uint8_t *)op->to, strlen(op->to), &n_chars)
            || n_chars > 255)) {
        hub_answer_error(request, "bad-request",
            "expected at most 255 characters as \"handle\"");
        return false;
    }
    op->to = op->to == NULL ? PN_BEAM_DIST_HANDLE : op->to;
    return true;
}

/* BeamDist: {rpc | cast, Mod, Fun, Args}. */
static bool read_apply(hub_op *op, const hub_request *request)
{
    pn_term_writer list;
    pn_term args = {NULL, 0};
    pn_err err;

    pn_term_writer_init(&list, 0);
    if (!hub_list(request, &list, &args)) {
        pn_term_writer_free(&list);
        return false;
    }
    pn_term_write_tuple_begin(&op->writer);
    hub_op_write_apply(
        op, op->kind == HUB_OP_RPC ? "rpc" : "cast", args, &op->writer);
    pn_term_write_tuple_end(&op->writer);
    err = pn_term_writer_finish(&op->writer, NULL, &op->args);
    pn_term_writer_free(&list);
    if (err != PN_OK) {
        hub_answer_no_list(request);
    }
    return err == PN_OK;
}

static bool on_read(hub_op *op, const hub_request *request)
{
    if (!read_handle(op, request) || !hub_peer(request, &op->key)
        || !hub_op_read_function(op, request)
        || !hub_string(request, "at", false, &op->at)) {
        return false;
    }
    if (op->at != NULL) {
        (void)snprintf(op->last_address, sizeof(op->last_address), "%.*s",
            (int)strcspn(op->at, ","), op->at);
        op->at_left = strdup(op->at); /* NULL: waits for its time-out */
    }
    return hub_op_is_apply(op) ? read_apply(op, request)
                               : hub_op_read_term(op, request);
}

static void on_start(hub_op *op)
{
    cli_hub *hub = op->hub;
    pn_err err;

    if (pn_connected(hub->node, &op->key)) {
        op_go(op);
        return;
    }
    err = pn_connect(hub->node, &op->key, op->at);
    if (err == PN_NOT_CONNECTED && hub->discovers) {
        err = PN_OK; /* an announce may come */
    }
    if (err == PN_NOT_CONNECTED) {
        op_fail_link(op);
    } else if (err != PN_OK) {
        hub_op_fail(op, hub_error_name(err),
            err == PN_INVALID ? "expected a numeric ADDRESS:PORT, or a list of "
                                "at most 16"
                              : pn_strerror(err));
    } else {
        (void)uv_timer_start(&op->timer, on_no_link, op->wait_ms, 0);
        hub_op_notice(op, "link", op->last_address);
    }
}

const hub_family hub_peer_family = {
    .read = on_read,
    .start = on_start,
    .fail = on_fail,
    .remote = "the peer answered with an error",
};

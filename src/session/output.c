/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outgoing messages: written straight into the output, sealed in place, held
 * back behind M3 (docs/PROTOCOL.md, section 3.1) and limited (T11).
 */
#include "base/assert.h"
#include "base/bytes.h"
#include "base/mutant.h"
#include "session/session_internal.h"
#include "term/writer_internal.h"
#include "wire/frame.h"

/* An empty buffer of up to this size is kept. A larger one is freed after a
 * second, so that a busy link does not allocate in every turn. */
enum { OUT_KEEP = 512 };

/* ---- frames ------------------------------------------------------------- */

/* Makes room for a frame's header. The plaintext is appended next. */
static pn_err frame_begin(pn_session *s)
{
    pn_err err = pn_buf_reserve(&s->out, PN_FRAME_HEADER_LEN);

    if (err != PN_OK) {
        return err;
    }
    s->begun_at = pn_buf_used(&s->out);
    s->out.len += PN_FRAME_HEADER_LEN;
    return PN_OK;
}

static void frame_abort(pn_session *s)
{
    s->out.len = s->out.off + s->begun_at;
    pn_buf_consume(&s->out, 0); /* an empty one starts at 0 again */
}

static pn_err frame_seal(pn_session *s, size_t max_bytes, size_t max_messages)
{
    size_t used = pn_buf_used(&s->out);
    size_t plain_len = used - s->begun_at - PN_FRAME_HEADER_LEN;
    uint8_t *frame;
    pn_err err;

    assert(used >= s->begun_at + PN_FRAME_HEADER_LEN);
    /* The cipher refuses this too, but after PN_BUSY, which would have the
     * caller try again. */
    if (PN_REFUSE_IF(
            session_send_too_large, plain_len > PN_FRAME_MAX - PN_TAG_LEN)) {
        return PN_TOO_LARGE;
    }
    if (PN_REFUSE_IF(session_output_bytes, used + PN_TAG_LEN > max_bytes)
        || PN_REFUSE_IF(
            session_output_messages, s->out_messages >= max_messages)) {
        return PN_BUSY;
    }
    err = pn_buf_reserve(&s->out, PN_TAG_LEN);
    if (err != PN_OK) {
        return err;
    }
    frame = pn_buf_head(&s->out) + s->begun_at;
    err = pn_cipher_seal(
        &s->send, NULL, 0, frame + PN_FRAME_HEADER_LEN, plain_len);
    if (err != PN_OK) {
        return err;
    }
    pn_store_be32(frame, (uint32_t)(plain_len + PN_TAG_LEN));
    s->out.len += PN_TAG_LEN;
    return PN_OK;
}

/* Seals the bytes appended since frame_begin if at most max_bytes and
 * max_messages are queued then. On an error they are taken back. */
static pn_err frame_end(
    pn_session *s, uint64_t now_us, size_t max_bytes, size_t max_messages)
{
    pn_err err = frame_seal(s, max_bytes, max_messages);

    if (err != PN_OK) {
        frame_abort(s);
        return err;
    }
    s->out_messages++;
    if (s->begun_at == 0) {
        s->stall_at_us = pn_session_after(now_us, s->limits->stall_us);
    }
    return PN_OK;
}

void pn_session_frame_notify(pn_session *s)
{
    if (s->begun_at == 0 && s->hold == PN_HOLD_NONE) {
        s->callbacks->on_output(s->user);
    }
}

pn_err pn_session_put_ping(
    pn_session *s, uint64_t now_us, pn_envelope_type type, pn_slice nonce)
{
    pn_err err = frame_begin(s);

    if (err != PN_OK) {
        return err;
    }
    err = pn_envelope_write_ping(&s->out, type, nonce);
    if (err != PN_OK) {
        frame_abort(s);
        return err;
    }
    return frame_end(
        s, now_us, s->limits->max_output, s->limits->max_output_messages);
}

/* ---- M3 travels alone --------------------------------------------------- */

/* A frame that is sent now may reach the peer in one read with M3, and a peer
 * of PeerNet 0.1.0 leaves it unread until more comes. */
static void nudge_later(pn_session *s, uint64_t now_us)
{
    if (s->wants_nudge) {
        s->wants_nudge = false;
        s->nudge_at_us = pn_session_after(now_us, s->limits->nudge_us);
    }
}

void pn_session_release(pn_session *s, uint64_t now_us)
{
    bool was_quiet = pn_session_output(s).len == 0;

    if (s->hold == PN_HOLD_NONE) {
        return;
    }
    s->hold = PN_HOLD_NONE;
    if (pn_buf_used(&s->out) == 0) {
        return;
    }
    nudge_later(s, now_us);
    if (was_quiet) {
        s->callbacks->on_output(s->user);
    }
}

void pn_session_heard(pn_session *s, uint64_t now_us)
{
    s->has_received = true;
    s->wants_nudge = false;
    s->nudge_at_us = PN_TIME_NEVER;
    pn_session_release(s, now_us);
}

/* ---- output for the owner ----------------------------------------------- */

pn_slice pn_session_output(const pn_session *s)
{
    size_t n = pn_buf_used(&s->out);

    switch (s->hold) {
    case PN_HOLD_NONE:
        break;
    case PN_HOLD_M3:
        if (PN_REFUSE_IF(session_m3_alone, n > s->hold_end - s->out_written)) {
            n = (size_t)(s->hold_end - s->out_written);
        }
        break;
    case PN_HOLD_TURN:
        /* A closed session has no next turn to wait for. */
        if (s->state != PN_SESSION_CLOSED) {
            n = 0;
        }
        break;
    }
    return (pn_slice){n == 0 ? NULL : s->out.data + s->out.off, n};
}

size_t pn_session_queued_bytes(const pn_session *s)
{
    return pn_buf_used(&s->out);
}

uint32_t pn_session_queued_messages(const pn_session *s)
{
    return s->out_messages;
}

/* Counts the frames that leave the buffer, by the lengths in their headers. */
static void count_written(pn_session *s, size_t n)
{
    const uint8_t *at = pn_buf_head(&s->out);

    if (n == pn_buf_used(&s->out)) {
        s->frames_out += s->out_messages;
        s->out_messages = 0;
        s->out_front_left = 0;
        return;
    }
    while (n > 0) {
        size_t step;

        assert(s->out_messages > 0);
        if (s->out_front_left == 0) {
            s->out_front_left = PN_FRAME_HEADER_LEN + pn_load_be32(at);
        }
        step = n < s->out_front_left ? n : s->out_front_left;
        at += step;
        n -= step;
        s->out_front_left -= (uint32_t)step;
        if (s->out_front_left == 0) {
            s->out_messages--;
            s->frames_out++;
        }
    }
}

static void writable_again(pn_session *s)
{
    if (s->wants_writable && s->state == PN_SESSION_OPEN
        && pn_buf_used(&s->out) <= s->limits->max_output / 2
        && s->out_messages <= s->limits->max_output_messages / 2) {
        s->wants_writable = false;
        if (s->callbacks->on_writable != NULL) {
            s->callbacks->on_writable(s->user);
        }
    }
}

void pn_session_written(pn_session *s, uint64_t now_us, size_t n)
{
    size_t can = pn_session_output(s).len;

    n = n < can ? n : can;
    if (n == 0) {
        return;
    }
    count_written(s, n);
    pn_buf_consume(&s->out, n);
    s->out_written += n;
    s->stall_at_us = PN_TIME_NEVER;
    if (pn_buf_used(&s->out) > 0) {
        s->stall_at_us = pn_session_after(now_us, s->limits->stall_us);
    } else if (s->out.cap > OUT_KEEP && s->trim_at_us == PN_TIME_NEVER) {
        s->trim_at_us = pn_session_after(now_us, PN_US_PER_S);
    }
    if (s->hold == PN_HOLD_M3 && s->out_written >= s->hold_end) {
        s->hold = PN_HOLD_TURN;
        s->hold_until_us = pn_session_after(now_us, s->limits->hold_us);
    }
    pn_session_pings_written(s, now_us);
    writable_again(s);
}

void pn_session_trim(pn_session *s)
{
    s->trim_at_us = PN_TIME_NEVER;
    pn_buf_trim(&s->out, OUT_KEEP);
}

/* ---- begin, commit ------------------------------------------------------ */

static bool output_is_full(const pn_session *s, bool is_reply)
{
    size_t bytes = s->limits->max_output;
    size_t messages = s->limits->max_output_messages;

    return pn_buf_used(&s->out) >= bytes + (is_reply ? bytes / 8 : 0)
           || s->out_messages >= messages + (is_reply ? messages / 8 : 0);
}

static pn_err message_begin(pn_session *s, bool is_reply)
{
    if (PN_REFUSE_IF(session_not_open, s->state != PN_SESSION_OPEN)) {
        return PN_NOT_CONNECTED;
    }
    if (output_is_full(s, is_reply)) {
        s->wants_writable = true;
        return PN_BUSY;
    }
    s->is_reply = is_reply;
    s->begun_call = 0;
    return frame_begin(s);
}

/* A call that was not sent is not in flight. */
static void unbegin_call(pn_session *s)
{
    void *call;

    if (s->begun_call != 0) {
        (void)pn_call_ids_take(&s->calls, s->begun_call, &call);
    }
}

/* The head is written, or err says why not. The caller writes the term that
 * follows. */
static pn_err message_body(pn_session *s, pn_err err, pn_term_writer *w)
{
    if (err == PN_OK) {
        pn_term_writer_init_tail(w, &s->out, PN_FRAME_MAX);
        err = w->err;
    }
    if (err != PN_OK) {
        frame_abort(s);
        unbegin_call(s);
        *w = (pn_term_writer){.err = err};
    }
    return err;
}

static pn_err refuse(pn_term_writer *w, pn_err err)
{
    *w = (pn_term_writer){.err = err};
    return err;
}

pn_err pn_session_begin_call(
    pn_session *s, pn_slice handle, void *call, pn_term_writer *w)
{
    pn_err err = message_begin(s, false);

    if (err != PN_OK) {
        return refuse(w, err);
    }
    err = pn_call_ids_add(&s->calls, call, &s->begun_call);
    if (err == PN_OK) {
        err = pn_envelope_head_call(&s->out, s->begun_call, handle);
    }
    return message_body(s, err, w);
}

pn_err pn_session_begin_send(pn_session *s, pn_slice handle, pn_term_writer *w)
{
    pn_err err = message_begin(s, false);

    if (err != PN_OK) {
        return refuse(w, err);
    }
    return message_body(s, pn_envelope_head_send(&s->out, handle), w);
}

pn_err pn_session_begin_reply(
    pn_session *s, uint64_t id, bool is_ok, pn_term_writer *w)
{
    pn_err err = message_begin(s, true);

    if (err != PN_OK) {
        return refuse(w, err);
    }
    return message_body(s, pn_envelope_head_reply(&s->out, id, is_ok), w);
}

/* True when a peer with our limit would end the link for this term. The
 * envelope adds two levels at most, and a term with few containers cannot be
 * too deep, so few terms are looked at. */
static bool is_too_deep(pn_session *s, const pn_term_writer *w)
{
    size_t head = s->begun_at + PN_FRAME_HEADER_LEN;
    pn_term term;

    return w->n_containers + 2 > s->limits->term.max_depth
           && pn_term_parse(pn_buf_head(&s->out) + head,
                  pn_buf_used(&s->out) - head, &s->limits->term, &term, NULL)
                  == PN_LIMIT;
}

static pn_err message_seal(pn_session *s, uint64_t now_us)
{
    size_t bytes = s->limits->max_output;
    size_t messages = s->limits->max_output_messages;
    pn_err err;

    if (s->is_reply) {
        bytes += bytes / 8;
        messages += messages / 8;
    }
    err = frame_end(s, now_us, bytes, messages);
    if (err == PN_BUSY) {
        s->wants_writable = true;
    }
    return err;
}

pn_err pn_session_commit(pn_session *s, uint64_t now_us, pn_term_writer *w)
{
    pn_err err = pn_term_writer_finish(w, NULL, NULL);

    if (err == PN_OK && is_too_deep(s, w)) {
        err = PN_TOO_LARGE;
    }
    pn_term_writer_free(w);
    if (err == PN_OK) {
        err = message_seal(s, now_us);
    } else {
        frame_abort(s);
    }
    if (err != PN_OK) {
        /* Before a close, which must not report a call that was not made. */
        unbegin_call(s);
        if (err == PN_LIMIT || err == PN_SYS) {
            return pn_session_fail(s, err, PN_REASON_NONCES_USED_UP);
        }
        return err;
    }
    if (s->hold == PN_HOLD_NONE) {
        nudge_later(s, now_us);
    }
    pn_session_frame_notify(s);
    return PN_OK;
}

uint64_t pn_session_begun_call(const pn_session *s)
{
    return s->begun_call;
}

void pn_session_forget(pn_session *s, uint64_t id)
{
    void *call;

    (void)pn_call_ids_take(&s->calls, id, &call);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events and log lines. They are noted where they happen, under the lock, and
 * reported at the turn end, without it: an application's callback never runs
 * in the middle of our own work.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "base/mutant.h"
#include "link/node_core.h"

/* More notes than this are counted and not kept. */
enum { MAX_NOTES = 1024, MAX_TEXT = 240 /* a sentence of the Barrel link */ };

struct pn_note {
    pn_item item;
    bool is_log;
    bool has_who;
    bool is_function; /* of DENIED */
    pn_event_type type;
    pn_log_level level;
    pn_log_what what;
    pn_principal who;
    pn_reason reason;
    int sys_errno;
    uint64_t n_suppressed; /* of a log line, or of SUPPRESSED */
    char label[256];
    char address[PN_ADDRESS_TEXT_LEN];
    char text[MAX_TEXT * 4 + 1];
};

const char *pn_event_name(pn_event_type type)
{
    static const char *const names[] = {
        [PN_EVENT_LISTENING] = "listening",
        [PN_EVENT_PEER_UP] = "peer-up",
        [PN_EVENT_PEER_DOWN] = "peer-down",
        [PN_EVENT_DIAL_FAILED] = "dial-failed",
        [PN_EVENT_DISCOVERED] = "discovered",
        [PN_EVENT_LOST] = "lost",
        [PN_EVENT_DENIED] = "denied",
        [PN_EVENT_TRUST_CHANGED] = "trust-changed",
        [PN_EVENT_NETWORK_CHANGED] = "network-changed",
        [PN_EVENT_WRITABLE] = "writable",
        [PN_EVENT_SUPPRESSED] = "suppressed",
        [PN_EVENT_LABEL_PROPOSED] = "label-proposed",
        [PN_EVENT_WOULD_ALLOW] = "would-allow",
    };
    const size_t n = sizeof(names) / sizeof(names[0]);

    return (size_t)type < n && names[type] != NULL ? names[type] : "unknown";
}

static pn_note *note_new(pn_node *node)
{
    pn_note *note = NULL;

    /* A deferred request may be the last to know a node that is closed. */
    if (node->notes.waiting.n < MAX_NOTES && !node->closing.is_done) {
        note = calloc(1, sizeof(*note));
    }
    if (note == NULL) {
        pn_quiet_count(
            &node->quiet, PN_QUIET_LOST, PN_REASON_NONE, pn_node_now(node));
        return NULL;
    }
    pn_list_append(&node->notes.waiting, &note->item);
    pn_node_wake(node);
    return note;
}

static void note_fill(pn_note *note, const pn_principal *who, const char *label,
    const pn_address *address, const char *text, size_t text_len)
{
    if (who != NULL) {
        note->who = *who;
        note->has_who = true;
    }
    if (label != NULL) {
        (void)pn_escape(label, strlen(label), sizeof(note->label) - 1,
            note->label, sizeof(note->label));
    }
    if (address != NULL && address->any.sa_family != AF_UNSPEC) {
        pn_address_text(address, note->address);
    }
    if (text != NULL) {
        (void)pn_escape(
            text, text_len, MAX_TEXT, note->text, sizeof(note->text));
    }
}

static pn_note *event_new(pn_node *node, pn_event_type type)
{
    pn_note *note = node->opt.on_event == NULL ? NULL : note_new(node);

    if (note != NULL) {
        note->type = type;
    }
    return note;
}

void pn_node_event(pn_node *node, pn_event_type type, const pn_principal *who,
    const char *label, const pn_address *address, const char *text,
    size_t text_len, pn_reason reason)
{
    pn_note *note = event_new(node, type);

    if (note != NULL) {
        note->reason = reason;
        note_fill(note, who, label, address, text, text_len);
    }
}

static pn_note *log_new(pn_node *node, pn_log_level level, pn_log_what what)
{
    pn_note *note = node->opt.on_log == NULL ? NULL : note_new(node);

    if (note != NULL) {
        note->is_log = true;
        note->level = level;
        note->what = what;
    }
    return note;
}

/* ---- what is told once, then counted ------------------------------------- */

/* Lines a minute of one peer that is refused for one reason. */
enum { PAIRED_LINES = 4 };

/* The first one that is counted sets the time of the summary, so the loop,
 * which may be waiting, is woken. */
static bool is_told(pn_node *node, const pn_quiet_cause *cause)
{
    uint64_t due_us = node->quiet.due_us;
    bool yes;

    if (node->closing.is_done) {
        return false; /* a request may outlive its node */
    }
    yes = pn_quiet_admits(&node->quiet, cause, pn_node_now(node));
    if (node->quiet.due_us != due_us) {
        pn_node_wake(node);
    }
    return yes;
}

bool pn_node_tells(pn_node *node, pn_quiet_kind kind, const pn_public_key *id,
    unsigned n_lines)
{
    const pn_quiet_cause cause = {kind, *id, PN_REASON_NONE, n_lines};

    return is_told(node, &cause);
}

void pn_node_log(pn_node *node, const pn_log_line *line)
{
    pn_note *note;

    if (line->cause != NULL && !is_told(node, line->cause)) {
        return;
    }
    note = log_new(node, line->level, line->what);
    if (note != NULL) {
        note->reason = line->reason;
        note->sys_errno = line->sys_errno;
        note_fill(note, line->who, line->label, NULL,
            (const char *)line->text.data, line->text.len);
    }
}

static void tell_count(
    pn_node *node, pn_quiet_kind kind, pn_reason reason, uint64_t n)
{
    const char *name = pn_quiet_name(kind);
    pn_note *notes[] = {event_new(node, PN_EVENT_SUPPRESSED),
        log_new(node, PN_LOG_WARNING, PN_LOG_SUPPRESSED)};

    for (size_t i = 0; i < 2; i++) {
        if (notes[i] != NULL) {
            notes[i]->reason = reason;
            notes[i]->n_suppressed = n;
            note_fill(notes[i], NULL, NULL, NULL, name, strlen(name));
        }
    }
}

void pn_node_tell_counts(pn_node *node, uint64_t now_us)
{
    uint64_t n[PN_N_QUIET][PN_N_REASONS];

    assert_on_loop(node);
    assert_locked(node);
    if (now_us < node->quiet.due_us) {
        return;
    }
    /* All counts are taken first, because a note made below may be counted as
     * lost. */
    for (unsigned kind = 0; kind < PN_N_QUIET; kind++) {
        for (unsigned reason = 0; reason < PN_N_REASONS; reason++) {
            n[kind][reason] = pn_quiet_take(&node->quiet, kind, reason);
        }
    }
    for (unsigned kind = 0; kind < PN_N_QUIET; kind++) {
        for (unsigned reason = 0; reason < PN_N_REASONS; reason++) {
            if (n[kind][reason] > 0) {
                tell_count(node, kind, reason, n[kind][reason]);
            }
        }
    }
}

/* True for a refusal before authentication, which a stranger can repeat at
 * will. */
static bool is_of_stranger(pn_reason reason)
{
    return reason == PN_REASON_UNTRUSTED_PEER
           || reason == PN_REASON_KEY_MISMATCH || reason == PN_REASON_OWN_KEY
           || reason == PN_REASON_BAD_HANDSHAKE;
}

static pn_public_key id_of(const pn_principal *who)
{
    pn_public_key id = who->key.x25519;

    if (who->family == PN_FAMILY_BARREL) {
        memcpy(id.bytes, who->key.ed25519.bytes, sizeof(id.bytes));
    }
    return id;
}

static bool is_denial_told(pn_node *node, const pn_principal *who,
    const pn_address *address, pn_reason reason)
{
    bool is_stranger = is_of_stranger(reason);
    const pn_quiet_cause cause = {
        .kind = is_stranger ? PN_QUIET_DENIED : PN_QUIET_DENIED_PEER,
        .id = who != NULL ? id_of(who) : pn_node_source_id(address),
        .reason = reason,
        .n_lines = is_stranger ? 1 : PAIRED_LINES,
    };

    return is_told(node, &cause);
}

void pn_node_denied(pn_node *node, const pn_principal *who, const char *label,
    const pn_address *address, pn_subject subject, pn_reason reason)
{
    pn_note *notes[2];

    assert_locked(node);
    node->metrics.denials[reason]++;
    if (PN_REFUSE_IF(
            denied_rate, !is_denial_told(node, who, address, reason))) {
        return;
    }
    notes[0] = event_new(node, PN_EVENT_DENIED);
    notes[1] = log_new(node, PN_LOG_WARNING, PN_LOG_DENIED);
    for (size_t i = 0; i < 2; i++) {
        if (notes[i] != NULL) {
            notes[i]->reason = reason;
            notes[i]->is_function = subject.is_function;
            note_fill(notes[i], who, label, address,
                (const char *)subject.name.data, subject.name.len);
        }
    }
}

void pn_node_would_allow(
    pn_node *node, const pn_link *link, pn_subject subject, size_t line)
{
    const pn_quiet_cause cause = {.kind = PN_QUIET_WOULD_ALLOW,
        .id = id_of(&link->principal),
        .n_lines = PAIRED_LINES};
    pn_note *event;
    pn_note *log;

    assert_locked(node);
    if (PN_REFUSE_IF(would_allow_rate, !is_told(node, &cause))) {
        return;
    }
    event = event_new(node, PN_EVENT_WOULD_ALLOW);
    log = log_new(node, PN_LOG_WARNING, PN_LOG_WOULD_ALLOW);
    if (event != NULL) {
        event->is_function = subject.is_function;
        note_fill(event, &link->principal, link->label, NULL,
            (const char *)subject.name.data, subject.name.len);
    }
    if (log != NULL) {
        char text[MAX_TEXT];
        const int n = snprintf(text, sizeof(text),
            "line %zu, if it were not log-only: %.*s", line,
            (int)(subject.name.len < MAX_TEXT ? subject.name.len : MAX_TEXT),
            (const char *)subject.name.data);

        note_fill(log, &link->principal, link->label, NULL, text,
            (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
    }
}

static void note_report_log(pn_node *node, const pn_note *note)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1] = "";
    pn_log_event event = {
        .size = sizeof(event),
        .level = note->level,
        .what = note->what,
        .text = note->text[0] == '\0' ? NULL : note->text,
        .reason = note->reason,
        .sys_errno = note->sys_errno,
        .n_suppressed = note->n_suppressed,
        .label = note->label[0] == '\0' ? NULL : note->label,
    };

    if (note->has_who && pn_principal_has_key(&note->who)) {
        pn_principal_fingerprint(&note->who, fingerprint);
        event.peer = fingerprint;
    } else if (note->address[0] != '\0') {
        event.peer = note->address;
    }
    node->opt.on_log(node->opt.user, &event);
}

static void note_report(pn_node *node, const pn_note *note)
{
    pn_event event = {
        .size = sizeof(event),
        .type = note->type,
        .who = note->has_who ? &note->who : NULL,
        .label = note->label,
        .address = note->address,
        .text = note->text,
        .reason = note->reason,
        .n_suppressed = note->n_suppressed,
        .is_function = note->is_function,
    };

    if (note->is_log) {
        note_report_log(node, note);
        return;
    }
    node->opt.on_event(node->opt.user, &event);
}

void pn_node_report_notes(pn_node *node)
{
    pn_list *waiting = &node->notes.waiting;
    pn_note *note;

    assert_on_loop(node);
    assert_locked(node);
    /* Notes that are added meanwhile, by the callbacks too, wait for the next
     * turn. */
    for (uint32_t n = waiting->n;
         n > 0 && (note = PN_LIST_TAKE(waiting, pn_note, item)) != NULL; n--) {
        pn_node_unlock(node);
        note_report(node, note);
        free(note);
        pn_node_lock(node);
    }
}

void pn_node_drop_notes(pn_node *node)
{
    pn_note *note;

    while ((note = PN_LIST_TAKE(&node->notes.waiting, pn_note, item)) != NULL) {
        free(note);
    }
}

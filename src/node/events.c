/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events and log lines. They are noted where they happen, under the lock, and
 * reported at the turn end, without it: an application's callback never runs
 * in the middle of our own work.
 */
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "base/mutant.h"
#include "node/node_internal.h"

/* A burst beyond this is counted, not kept. */
enum { MAX_NOTES = 1024, MAX_TEXT = 128 };

struct pn_note {
    pn_note *next;
    bool is_log;
    bool has_key;
    pn_event_type type;
    pn_log_level level;
    const char *what; /* static */
    pn_public_key key;
    pn_reason reason;
    int sys_errno;
    uint64_t n_suppressed;
    char label[256];
    char address[PN_ADDRESS_TEXT_LEN];
    char text[MAX_TEXT * 4 + 1];
};

const char *pn_event_name(pn_event_type type)
{
    switch (type) {
    case PN_EVENT_LISTENING:
        return "listening";
    case PN_EVENT_PEER_UP:
        return "peer-up";
    case PN_EVENT_PEER_DOWN:
        return "peer-down";
    case PN_EVENT_DIAL_FAILED:
        return "dial-failed";
    case PN_EVENT_DISCOVERED:
        return "discovered";
    case PN_EVENT_LOST:
        return "lost";
    case PN_EVENT_DENIED:
        return "denied";
    case PN_EVENT_TRUST_CHANGED:
        return "trust-changed";
    case PN_EVENT_NETWORK_CHANGED:
        return "network-changed";
    case PN_EVENT_WRITABLE:
        return "writable";
    }
    return "unknown";
}

static pn_note *note_new(pn_node *node)
{
    pn_note *note = NULL;

    /* A deferred request may be the last to know a node that is closed. */
    if (node->n_notes < MAX_NOTES && !node->is_closed) {
        note = calloc(1, sizeof(*note));
    }
    if (note == NULL) {
        node->notes_lost++;
        return NULL;
    }
    if (node->notes_tail == NULL) {
        node->notes_head = note;
    } else {
        node->notes_tail->next = note;
    }
    node->notes_tail = note;
    node->n_notes++;
    pn_node_wake(node);
    return note;
}

static void note_fill(pn_note *note, const pn_public_key *key,
    const char *label, const pn_address *address, const char *text,
    size_t text_len)
{
    if (key != NULL) {
        note->key = *key;
        note->has_key = true;
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

void pn_node_event(pn_node *node, pn_event_type type, const pn_public_key *key,
    const char *label, const pn_address *address, const char *text,
    size_t text_len, pn_reason reason)
{
    pn_note *note;

    if (node->opt.on_event == NULL) {
        return;
    }
    note = note_new(node);
    if (note == NULL) {
        return;
    }
    note->type = type;
    note->reason = reason;
    note_fill(note, key, label, address, text, text_len);
}

static pn_note *log_new(pn_node *node, pn_log_level level, const char *what)
{
    pn_note *note = node->opt.on_log == NULL ? NULL : note_new(node);

    if (note != NULL) {
        note->is_log = true;
        note->level = level;
        note->what = what;
    }
    return note;
}

void pn_node_log(pn_node *node, pn_log_level level, const char *what,
    const char *text, pn_reason reason, int sys_errno)
{
    pn_note *note = log_new(node, level, what);

    if (note != NULL) {
        note->reason = reason;
        note->sys_errno = sys_errno;
        note_fill(
            note, NULL, NULL, NULL, text, text == NULL ? 0 : strlen(text));
    }
}

void pn_node_log_text(pn_node *node, pn_log_level level, const char *what,
    const pn_public_key *key, const char *text, size_t text_len)
{
    pn_note *note = log_new(node, level, what);

    if (note != NULL) {
        note_fill(note, key, NULL, NULL, text, text_len);
    }
}

void pn_node_denied(pn_node *node, const pn_public_key *key, const char *label,
    const pn_address *address, pn_slice handle, pn_reason reason)
{
    uint64_t now = pn_node_now(node);
    const char *text = (const char *)handle.data;
    pn_note *note;

    node->metrics.denials[reason]++;
    if (PN_CHECK(denied_rate,
            node->denied[reason].last_us != 0
                && now - node->denied[reason].last_us < PN_US_PER_S)) {
        node->denied[reason].suppressed++;
        return;
    }
    node->denied[reason].last_us = now;
    pn_node_event(
        node, PN_EVENT_DENIED, key, label, address, text, handle.len, reason);
    note = log_new(node, PN_LOG_WARNING, "denied");
    if (note == NULL) {
        return;
    }
    note->reason = reason;
    note->n_suppressed = node->denied[reason].suppressed;
    node->denied[reason].suppressed = 0;
    note_fill(note, key, NULL, address, text, handle.len);
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
    };

    if (note->has_key) {
        pn_key_fingerprint(&note->key, fingerprint);
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
        .key = note->has_key ? &note->key : NULL,
        .label = note->label,
        .address = note->address,
        .text = note->text,
        .reason = note->reason,
    };

    if (note->is_log) {
        note_report_log(node, note);
        return;
    }
    node->opt.on_event(node->opt.user, &event);
}

void pn_node_report_notes(pn_node *node)
{
    /* What is noted meanwhile, by the callbacks too, is for the next turn. */
    pn_note *note = node->notes_head;

    node->notes_head = NULL;
    node->notes_tail = NULL;
    node->n_notes = 0;
    if (note == NULL) {
        return;
    }
    pn_node_unlock(node);
    while (note != NULL) {
        pn_note *next = note->next;

        note_report(node, note);
        free(note);
        note = next;
    }
    pn_node_lock(node);
}

void pn_node_drop_notes(pn_node *node)
{
    while (node->notes_head != NULL) {
        pn_note *next = node->notes_head->next;

        free(node->notes_head);
        node->notes_head = next;
    }
    node->notes_tail = NULL;
    node->n_notes = 0;
}

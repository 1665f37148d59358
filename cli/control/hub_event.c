/* SPDX-License-Identifier: Apache-2.0 */
/* Events of the node as lines for the callers that asked for them; its log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub_internal.h"
#include "reason_text.h"
#include "std_output.h"
#include "json/jsonout.h"

/* ---- events ------------------------------------------------------------- */

void hub_event_begin(cli_text *t, const char *name)
{
    cli_json_begin(t);
    cli_json_string(t, "event", name);
}

void hub_notice(cli_caller *caller, const char *what, const char *address)
{
    cli_text t = {0};

    hub_event_begin(&t, "waiting");
    cli_json_string(&t, "what", what);
    cli_json_known(&t, "address", address);
    hub_answer_end(caller, &t);
}

static bool wants(const cli_caller *c, const pn_public_key *chat_key)
{
    return c->wants_events
           || (chat_key != NULL && c->wants_chat
               && pn_key_equal(&c->chat_key, chat_key));
}

void hub_broadcast(
    cli_hub *hub, const cli_text *line, const pn_public_key *chat_key)
{
    for (cli_caller *c = hub->callers; c != NULL; c = c->next) {
        if (wants(c, chat_key)) {
            hub_deliver(c, line);
        }
    }
}

/* The subject of an event: a peer, a node of a cluster, or a stranger. */
static void json_who(cli_text *t, const pn_event *event)
{
    if (event->who == NULL) {
        return;
    }
    if (pn_principal_has_key(event->who)) {
        cli_json_who(t, event->who);
    }
    if (event->who->family == PN_FAMILY_PEERNET) {
        cli_json_known(t, "label", event->label);
    } else if (event->label[0] != '\0') {
        cli_json_string(t, "node", event->label);
    }
}

/* The key of an event's text; of the types that are not here, "detail". */
static const char *const text_names[] = {
    [PN_EVENT_DISCOVERED] = "source",
    [PN_EVENT_LOST] = "source",
    [PN_EVENT_DENIED] = "handle",
    [PN_EVENT_TRUST_CHANGED] = "change",
    [PN_EVENT_SUPPRESSED] = "of",
    [PN_EVENT_LABEL_PROPOSED] = "proposed_label",
};

static void json_text(cli_text *t, const pn_event *event)
{
    size_t n = sizeof(text_names) / sizeof(text_names[0]);
    const char *name = (size_t)event->type < n ? text_names[event->type] : NULL;

    if (event->text[0] == '\0') {
        return;
    }
    if (event->type == PN_EVENT_NETWORK_CHANGED) {
        cli_json_int(t, "addresses", strtoll(event->text, NULL, 10));
        return;
    }
    if (event->type == PN_EVENT_DENIED && event->is_function) {
        name = "function";
    }
    cli_json_string(t, name == NULL ? "detail" : name, event->text);
    if (event->type == PN_EVENT_SUPPRESSED) {
        cli_json_int(t, "count", (int64_t)event->n_suppressed);
    }
}

/* True when a pin was added or removed, or the pins' readability changed. */
static bool is_about_pins(const pn_event *event)
{
    return event->type == PN_EVENT_TRUST_CHANGED
           && event->who->family == PN_FAMILY_BARREL;
}

void hub_on_event(void *user, const pn_event *event)
{
    cli_hub *hub = user;
    cli_text t = {0};

    hub_status_event(hub, event);
    if (is_about_pins(event) && hub->on_pins != NULL) {
        hub->on_pins(hub->on_pins_user);
    }
    hub_event_begin(&t, pn_event_name(event->type));
    json_who(&t, event);
    if (event->address[0] != '\0') {
        cli_json_string(&t, "address", event->address);
    }
    if (event->reason != PN_REASON_NONE) {
        cli_json_string(&t, "reason", pn_reason_text(event->reason));
    }
    json_text(&t, event);
    cli_json_close(&t, '}');
    hub_broadcast(hub, &t, NULL);
    cli_text_fini(&t);
    hub_ops_event(hub, event);
}

/* ---- the log ---------------------------------------------------------------
 */

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static const int priorities[] = {7, 6, 4, 3};

/* True when an event, or the answer to the caller, has the same content. */
static bool is_told(pn_log_what what)
{
    return what == PN_LOG_DENIED || what == PN_LOG_SUPPRESSED
           || what == PN_LOG_AUTH_OUT_FAILED;
}

/* Keeps the error of discovery, for "discovered" and failed calls. */
static void note_discovery(cli_hub *hub, const pn_log_event *event)
{
    if (event->what == PN_LOG_DISCOVERY_AGAIN) {
        hub->discovery_error[0] = '\0';
    } else if (event->what == PN_LOG_DISCOVERY_FAILS) {
        (void)snprintf(hub->discovery_error, sizeof(hub->discovery_error),
            "%s: %s", event->text,
            event->sys_errno == 0 ? "cannot be opened"
                                  : strerror(event->sys_errno));
    }
}

/* Writes to standard error, without waiting for its reader. */
void hub_on_log(void *user, const pn_log_event *event)
{
    cli_hub *hub = user;
    cli_log_fields fields;
    cli_text t = {0};

    note_discovery(hub, event);
    /* Log lines of a peer are shown: the owner granted Logger to it. */
    if (!hub->verbose && event->what != PN_LOG_PEER_SAYS
        && (event->level < PN_LOG_WARNING || is_told(event->what))) {
        return;
    }
    cli_text_printf(&t, "peernet: %s: %s", level_names[event->level & 3],
        pn_log_text(event->what));
    if (event->label != NULL) {
        cli_text_printf(&t, " %s", event->label);
    }
    if (event->peer != NULL) {
        cli_text_printf(
            &t, event->label != NULL ? " (%s)" : " %s", event->peer);
    }
    if (event->text != NULL) {
        cli_text_printf(&t, ": %s", event->text);
    }
    if (event->reason != PN_REASON_NONE) {
        cli_text_printf(&t, " (%s)", cli_reason_sentence(event->reason));
    }
    if (event->sys_errno != 0) {
        cli_text_printf(&t, ": %s", strerror(event->sys_errno));
    }
    if (event->n_suppressed > 0) {
        cli_text_printf(
            &t, " and %llu more", (unsigned long long)event->n_suppressed);
    }
    fields = (cli_log_fields){.priority = priorities[event->level & 3],
        .peer = event->peer,
        .label = event->label,
        .reason = event->reason == PN_REASON_NONE
                      ? NULL
                      : pn_reason_text(event->reason)};
    cli_output_log(STDERR_FILENO, &fields, &t);
}

/* "peernet: warning: ..." is one, and so on. */
static int priority_of(const char *line)
{
    static const char name[] = "peernet: ";
    const char *at = strncmp(line, name, sizeof(name) - 1) == 0
                         ? line + sizeof(name) - 1
                         : line;

    return strncmp(at, "error: ", 7) == 0     ? 3
           : strncmp(at, "warning: ", 9) == 0 ? 4
                                              : 6;
}

void cli_log(const char *format, ...)
{
    cli_log_fields fields = {0};
    char line[640];
    cli_text t = {0};
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    fields.priority = priority_of(line);
    cli_text_puts(&t, line);
    cli_output_log(STDERR_FILENO, &fields, &t);
}

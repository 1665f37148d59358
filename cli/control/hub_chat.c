/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handle `chat`: a message to it becomes an event. A node that was not
 * started with it opens it for the peer of a chat, and closes it when the chat
 * ends.
 */
#include <stdlib.h>

#include "base/mutant.h"
#include "hub_internal.h"
#include "json/jsonout.h"

#define CHAT "chat"

/* %{text: "hi"}, as the originals send; the same with a string as key; or the
 * text alone. Anything else is shown as the term it is. */
static void add_text(cli_text *t, pn_term args)
{
    pn_slice text = {NULL, 0};
    char *printed = NULL;
    size_t len = 0;

    if (pn_term_match(args, "%{text: ~b}", &text)
        || pn_term_match(args, "%{\"text\" => ~b}", &text)
        || pn_term_match(args, "~b", &text)) {
        cli_json_bytes(t, "text", text.data, text.len);
        return;
    }
    if (pn_term_to_text(args, &printed, &len) == PN_OK) {
        cli_json_bytes(t, "text", printed, len);
    }
    free(printed);
}

static void add_refusal(cli_text *t, size_t len)
{
    cli_text detail = {0};

    cli_text_printf(&detail, "%zu bytes are too long to show", len);
    cli_json_string(t, "detail", cli_text_string(&detail));
    cli_text_fini(&detail);
}

static void on_chat(pn_request *req, pn_term args, void *user)
{
    cli_hub *hub = user;
    const pn_public_key *key = &pn_request_caller(req)->key.x25519;
    bool is_long = PN_REFUSE_IF(cli_chat_max, args.len > CLI_HUB_MAX_CHAT);
    cli_text t = {0};

    hub_event_begin(&t, "chat");
    cli_json_peer(&t, key);
    cli_json_known(&t, "label", pn_request_label(req));
    if (is_long) {
        add_refusal(&t, args.len);
    } else {
        add_text(&t, args);
    }
    cli_json_close(&t, '}');
    if (!t.failed) {
        hub_broadcast(hub, &t, key);
    }
    cli_text_fini(&t);
    if (is_long) {
        (void)pn_request_fail(req, "system_limit");
    } else {
        (void)pn_request_reply(req, "ok");
    }
}

static pn_err expose(cli_hub *hub, unsigned flags)
{
    pn_expose_options options;

    pn_expose_options_init(&options);
    options.flags = PN_EXPOSE_INLINE | flags;
    return pn_expose(hub->node, CHAT, on_chat, hub, &options);
}

pn_err hub_chat_open(cli_hub *hub)
{
    pn_err err = expose(hub, 0);

    hub->chat = err == PN_OK;
    return err;
}

void cli_hub_take_chat(cli_hub *hub)
{
    hub->chat_is_taken = true;
}

static bool is_attended(const cli_hub *hub, const pn_public_key *key)
{
    for (const cli_caller *c = hub->callers; c != NULL; c = c->next) {
        if (!c->gone && c->wants_chat
            && (key == NULL || pn_key_equal(&c->chat_key, key))) {
            return true;
        }
    }
    return false;
}

void hub_chat(const hub_request *request)
{
    cli_hub *hub = request->hub;
    cli_caller *caller = request->caller;
    pn_principal who = {.family = PN_FAMILY_PEERNET};
    pn_err err = PN_OK;

    if (!hub_peer(request, &who.key.x25519)) {
        return;
    }
    if (PN_REFUSE_IF(cli_chat_taken, hub->chat_is_taken)) {
        hub_answer_error(request, "local",
            "a program answers to 'chat' at this node, so nothing that the "
            "peer says could be shown: expected 'run' without '--expose "
            "chat=PROGRAM', or 'send PEER chat TERM' for a line of yours");
        return;
    }
    hub_chat_leave(caller);
    if (!hub->chat && !hub->chat_attended) {
        err = expose(hub, PN_EXPOSE_CLOSED);
        hub->chat_attended = err == PN_OK;
    }
    if (err == PN_OK && !hub->chat) {
        err = pn_grant(hub->node, CHAT, &who);
    }
    if (err != PN_OK) {
        hub_answer_error(request, hub_error_name(err), "%s", pn_strerror(err));
        return;
    }
    if (!pn_connected(hub->node, &who.key.x25519)) {
        (void)!pn_connect(
            hub->node, &who.key.x25519, NULL); /* or wait for it */
    }
    caller->wants_chat = true;
    caller->chat_key = who.key.x25519;
    hub_answer_ok(request);
}

void hub_chat_leave(cli_caller *caller)
{
    cli_hub *hub = caller->hub;
    pn_principal who = pn_peernet_principal(&caller->chat_key);

    if (!caller->wants_chat) {
        return;
    }
    caller->wants_chat = false;
    if (hub->chat || is_attended(hub, &caller->chat_key)) {
        return;
    }
    (void)!pn_ungrant(hub->node, CHAT, &who);
    if (!is_attended(hub, NULL)) {
        (void)!pn_revoke(hub->node, CHAT);
        hub->chat_attended = false;
    }
}

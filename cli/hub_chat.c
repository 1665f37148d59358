/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handle `chat`: what a peer sends there is an event. A node that was not
 * started with it opens it for the peer somebody chats with, and for as long
 * as that lasts.
 */
#include <stdlib.h>
#include <string.h>

#include "hub_internal.h"
#include "jsonout.h"

#define CHAT "chat"

/* %{text: "hi"}, as the originals send; the same with a string as key; or the
 * text alone. Anything else is shown as the term it is. */
static void add_text(cli_text *t, pn_term args)
{
    pn_term_reader r;
    pn_slice text = {NULL, 0};
    char *printed = NULL;
    size_t len = 0;

    if (pn_term_match(args, "%{text: ~b}", &text)
        || pn_term_match(args, "%{\"text\" => ~b}", &text)) {
        cli_json_bytes(t, "text", text.data, text.len);
        return;
    }
    pn_term_reader_init(&r, args);
    text = pn_term_read_binary(&r);
    if (pn_term_reader_finish(&r) == PN_OK) {
        cli_json_bytes(t, "text", text.data, text.len);
        return;
    }
    if (pn_term_to_text(args, &printed, &len) == PN_OK) {
        cli_json_bytes(t, "text", printed, len);
    }
    free(printed);
}

static void on_chat(pn_request *req, pn_term args, void *user)
{
    cli_hub *hub = user;
    const pn_public_key *key = &pn_request_caller(req)->key;
    cli_text t = {0};

    hub_event_begin(&t, "chat");
    hub_json_peer(&t, key, pn_request_label(req));
    add_text(&t, args);
    cli_json_close(&t, '}');
    if (!t.failed) {
        hub_broadcast(hub, &t, key);
    }
    cli_text_fini(&t);
    (void)pn_request_reply(req, "ok");
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

void hub_chat(cli_hub *hub, const hub_request *request)
{
    cli_caller *caller = request->caller;
    pn_principal who = {.family = PN_FAMILY_PEERNET};
    pn_err err = PN_OK;

    if (!hub_peer(hub, request, &who.key)) {
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
    if (!pn_connected(hub->node, &who.key)) {
        (void)!pn_connect(hub->node, &who.key, NULL); /* or wait for it */
    }
    caller->wants_chat = true;
    caller->chat_key = who.key;
    hub_answer_ok(request);
}

void hub_chat_leave(cli_caller *caller)
{
    cli_hub *hub = caller->hub;
    pn_principal who = {.family = PN_FAMILY_PEERNET, .key = caller->chat_key};

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

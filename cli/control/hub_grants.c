/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about the file of grants, and about what a caller may do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grants_text.h"
#include "hub_internal.h"
#include "peername.h"
#include "json/jsonout.h"

/* ---- whom a request is about --------------------------------------------- */

static bool find_node(
    const hub_request *request, const char *name, cli_grantee *ret_to)
{
    pn_err err;

    if (!hub_has_nodes(request)) {
        return false;
    }
    err = cli_hub_pinned(request->hub, name, &ret_to->who);
    if (err != PN_OK) {
        hub_answer_error(request, "no-such-peer", "%s is not pinned", name);
    }
    return err == PN_OK;
}

/* by_key: a key that is not paired is somebody, too. */
static bool find_grantee(
    const hub_request *request, bool by_key, cli_grantee *ret_to)
{
    const char *name = NULL;
    cli_text why = {0};
    pn_err err;

    *ret_to = (cli_grantee){.is_paired = false};
    if (!hub_string(request, "peer", true, &name)) {
        return false;
    }
    if (strcmp(name, "paired") == 0) {
        ret_to->is_paired = true;
        return true;
    }
    if (strchr(name, '@') != NULL) {
        return find_node(request, name, ret_to);
    }
    ret_to->who.family = PN_FAMILY_PEERNET;
    if (by_key && pn_key_parse(name, &ret_to->who.key.x25519) == PN_OK) {
        return true;
    }
    err = cli_peer_of_node(
        request->hub->node, name, "paired", &ret_to->who.key.x25519, &why);
    if (err != PN_OK) {
        hub_answer_error(request,
            err == PN_INVALID ? "no-such-peer" : hub_error_name(err), "%s",
            cli_text_string(&why));
    }
    cli_text_fini(&why);
    return err == PN_OK;
}

/* What lines are shown with. */
typedef struct known {
    cli_grants_view view;
    pn_stored_line *lines;
    pn_store_peer *peers;
    pn_barrel_pin *pins;
} known;

static void known_load(const hub_request *request, known *k)
{
    *k = (known){.view.now_us = cli_wall_us()};
    if (cli_peers_of_node(request->hub->node, &k->peers, &k->view.n_peers)
        != PN_OK) {
        k->view.n_peers = 0;
    }
    hub_pins(request->hub, &k->pins, &k->view.n_pins);
    k->view.peers = k->peers;
    k->view.pins = k->pins;
}

static void known_fini(known *k)
{
    free(k->lines);
    free(k->peers);
    free(k->pins);
}

static void answer_failed(
    const hub_request *request, pn_err err, const pn_why *why)
{
    hub_answer_error(request, hub_error_name(err), "%s",
        why->text[0] == '\0' ? pn_strerror(err) : why->text);
}

/* ---- edits --------------------------------------------------------------- */

static void answer_edited(const hub_request *request, const cli_grantee *to,
    const char *name, const char *key, bool value)
{
    known k;
    cli_text t = {0};

    known_load(request, &k);
    hub_answer_begin(&t, request->has_id, request->id, true);
    cli_json_grantee(&t, &k.view, to);
    if (name != NULL) {
        cli_json_string(&t, "name", name);
    }
    cli_json_bool(&t, key, value);
    hub_answer_end(request->caller, &t);
    known_fini(&k);
}

static bool read_grant(const hub_request *request, pn_stored_grant *ret_grant)
{
    const char *name = NULL;
    const char *until = NULL;
    cli_grantee to;

    *ret_grant = (pn_stored_grant){.until_us = PN_GRANT_FOR_EVER};
    if (!find_grantee(request, false, &to)
        || !hub_string(request, "name", true, &name)
        || !hub_string(request, "until", false, &until)) {
        return false;
    }
    if (strlen(name) >= sizeof(ret_grant->name)) {
        hub_answer_error(
            request, "bad-request", "expected at most 511 bytes as \"name\"");
        return false;
    }
    if (until != NULL
        && pn_grant_until_parse(until, &ret_grant->until_us) != PN_OK) {
        hub_answer_error(request, "bad-request",
            "expected a time such as 2026-12-31T10:00:00Z as \"until\"");
        return false;
    }
    (void)snprintf(ret_grant->name, sizeof(ret_grant->name), "%s", name);
    ret_grant->is_paired = to.is_paired;
    ret_grant->who = to.who;
    ret_grant->is_log_only = json_is_true(
        json_object_get(request->json, "log_only"));
    return true;
}

void hub_grant(const hub_request *request)
{
    pn_stored_grant grant;
    pn_why why = {0};
    cli_grantee to;
    pn_err err;

    if (!read_grant(request, &grant)) {
        return;
    }
    err = pn_grant_stored(request->hub->node, &grant, &why);
    if (err != PN_OK && err != PN_EXISTS) {
        answer_failed(request, err, &why);
        return;
    }
    to = (cli_grantee){grant.is_paired, grant.who};
    answer_edited(request, &to, grant.name, "was_granted", err == PN_EXISTS);
}

void hub_ungrant(const hub_request *request)
{
    const char *name = NULL;
    pn_why why = {0};
    cli_grantee to;
    pn_err err;

    if (!find_grantee(request, true, &to)
        || !hub_string(request, "name", false, &name)) {
        return;
    }
    if ((name == NULL) != json_is_true(json_object_get(request->json, "all"))) {
        hub_answer_error(request, "bad-request",
            "expected a string as \"name\", or true as \"all\"");
        return;
    }
    err = pn_ungrant_stored(
        request->hub->node, to.is_paired ? NULL : &to.who, name, &why);
    if (err != PN_OK && err != PN_NOT_FOUND) {
        answer_failed(request, err, &why);
        return;
    }
    answer_edited(request, &to, name, "was_granted", err == PN_OK);
}

/* Strings of "names", which are the request's; NULL after an answer. */
static const char **read_names(const hub_request *request, size_t *ret_n)
{
    const json_t *array = json_object_get(request->json, "names");
    const size_t n = json_array_size(array);
    const char **names = json_is_array(array) ? calloc(n + 1, sizeof(*names))
                                              : NULL;
    bool is_good = names != NULL;

    for (size_t i = 0; is_good && i < n; i++) {
        const json_t *name = json_array_get(array, i);

        names[i] = json_string_value(name);
        is_good = names[i] != NULL
                  && strlen(names[i]) == json_string_length(name);
    }
    if (!is_good) {
        hub_answer_error(request, "bad-request",
            "expected an array of strings as \"names\"");
        free((void *)names);
        return NULL;
    }
    *ret_n = n;
    return names;
}

void hub_role(const hub_request *request)
{
    const char *role = NULL;
    const char **names;
    pn_why why = {0};
    size_t n = 0;
    cli_text t = {0};
    pn_err err;

    if (!hub_string(request, "role", true, &role)
        || (names = read_names(request, &n)) == NULL) {
        return;
    }
    err = pn_set_role(request->hub->node, role, names, n, &why);
    free((void *)names);
    if (err != PN_OK && err != PN_NOT_FOUND) {
        answer_failed(request, err, &why);
        return;
    }
    hub_answer_begin(&t, request->has_id, request->id, true);
    cli_json_string(&t, "role", role);
    cli_json_int(&t, "names", (int64_t)n);
    cli_json_bool(&t, "was_there", err == PN_OK);
    hub_answer_end(request->caller, &t);
}

/* ---- questions ----------------------------------------------------------- */

void hub_grants(const hub_request *request)
{
    const bool is_all = json_object_get(request->json, "peer") == NULL;
    pn_why why = {0};
    cli_grantee only;
    cli_text t = {0};
    known k;
    pn_err err;

    if (!is_all && !find_grantee(request, true, &only)) {
        return;
    }
    known_load(request, &k);
    err = pn_list_stored_grants(
        request->hub->node, &k.lines, &k.view.n_lines, &why);
    if (err == PN_OK) {
        k.view.lines = k.lines;
        hub_answer_begin(&t, request->has_id, request->id, true);
        cli_json_grants(&t, &k.view, is_all ? NULL : &only);
        hub_answer_end(request->caller, &t);
    } else {
        answer_failed(request, err, &why);
    }
    known_fini(&k);
}

void hub_can(const hub_request *request)
{
    const char *name = NULL;
    pn_can_step *steps = NULL;
    pn_reason reason = PN_REASON_NONE;
    cli_grantee who;
    cli_text t = {0};
    size_t n = 0;
    pn_err err;

    if (!find_grantee(request, true, &who)
        || !hub_string(request, "name", true, &name)) {
        return;
    }
    if (who.is_paired) {
        hub_answer_error(
            request, "bad-request", "expected one peer as \"peer\"");
        return;
    }
    err = pn_can(request->hub->node, &who.who, name, &reason, &steps, &n);
    if (err != PN_OK) {
        hub_answer_error(request, hub_error_name(err), "%s", pn_strerror(err));
        return;
    }
    hub_answer_begin(&t, request->has_id, request->id, true);
    cli_json_can(&t, reason, steps, n, false);
    hub_answer_end(request->caller, &t);
    free(steps);
}

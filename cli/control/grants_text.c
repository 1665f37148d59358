/* SPDX-License-Identifier: Apache-2.0 */
/* Grants as JSON; see grants_text.h. */
#include "grants_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "peer_text.h"
#include "json/jsonout.h"

#define US_PER_S INT64_C(1000000)

/* ---- times --------------------------------------------------------------- */

int64_t cli_wall_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

/* Seconds of "s", "m", "h" and "d"; 0: it is none of these. */
static int64_t unit_of(const char *text)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(text, units[i].name) == 0) {
            return units[i].seconds;
        }
    }
    return 0;
}

bool cli_until_parse(const char *text, int64_t now_us, int64_t *ret_until_us)
{
    const size_t digits = strspn(text, "0123456789");
    int64_t unit;

    if (pn_grant_until_parse(text, ret_until_us) == PN_OK) {
        return true;
    }
    unit = unit_of(text + digits);
    if (digits < 1 || digits > 6 || unit == 0) {
        return false;
    }
    *ret_until_us = (now_us / US_PER_S + strtol(text, NULL, 10) * unit)
                    * US_PER_S;
    return true;
}

void cli_until_write(int64_t until_us, char ret_text[static 24])
{
    const time_t seconds = (time_t)(until_us / US_PER_S);
    struct tm tm = {0};

    (void)gmtime_r(&seconds, &tm);
    (void)strftime(ret_text, 24, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* ---- a line -------------------------------------------------------------- */

static const pn_store_peer *find_peer(
    const cli_grants_view *view, const pn_principal *who)
{
    for (size_t i = 0; who->family == PN_FAMILY_PEERNET && i < view->n_peers;
         i++) {
        if (pn_key_equal(&view->peers[i].key, &who->key.x25519)) {
            return &view->peers[i];
        }
    }
    return NULL;
}

static const char *find_node(
    const cli_grants_view *view, const pn_principal *who)
{
    for (size_t i = 0; who->family == PN_FAMILY_BARREL && i < view->n_pins;
         i++) {
        if (pn_ed25519_key_equal(&view->pins[i].key, &who->key.ed25519)) {
            return view->pins[i].name;
        }
    }
    return NULL;
}

static void json_if(cli_text *t, const char *key, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        cli_json_string(t, key, value);
    }
}

void cli_json_grantee(
    cli_text *t, const cli_grants_view *view, const cli_grantee *to)
{
    const pn_store_peer *peer;

    if (to->is_paired) {
        cli_json_string(t, "to", "paired");
        return;
    }
    if (to->who.family == PN_FAMILY_BARREL) {
        cli_json_string(t, "to", "barrel");
        cli_json_who(t, &to->who);
        json_if(t, "node", find_node(view, &to->who));
        return;
    }
    peer = find_peer(view, &to->who);
    cli_json_string(t, "to", "peernet");
    cli_json_who(t, &to->who);
    cli_json_known(t, "label", peer == NULL ? NULL : peer->label);
}

static bool has_role(const cli_grants_view *view, const char *role)
{
    for (size_t i = 0; i < view->n_lines; i++) {
        if (view->lines[i].kind == PN_STORED_ROLE
            && view->lines[i].why[0] == '\0'
            && strcmp(view->lines[i].role, role) == 0) {
            return true;
        }
    }
    return false;
}

/* What becomes of a grant, besides what the node exposes. */
static const char *state_of(
    const cli_grants_view *view, const pn_stored_line *line)
{
    const pn_stored_grant *g = &line->grant;

    if (line->why[0] != '\0') {
        return "not-read";
    }
    if (g->until_us <= view->now_us) {
        return "ended";
    }
    if (!g->is_paired && g->who.family == PN_FAMILY_PEERNET
        && find_peer(view, &g->who) == NULL) {
        return "not-paired";
    }
    if (strncmp(g->name, "role:", 5) == 0 && !has_role(view, g->name + 5)) {
        return "no-such-role";
    }
    return g->is_log_only ? "log-only" : "holds";
}

static void json_line(
    cli_text *t, const cli_grants_view *view, const pn_stored_line *line)
{
    static const char *const kinds[] = {
        [PN_STORED_GRANT] = "grant",
        [PN_STORED_ROLE] = "role",
        [PN_STORED_BAD] = "bad",
    };
    const cli_grantee to = {line->grant.is_paired, line->grant.who};

    cli_json_open(t, NULL, '{');
    cli_json_int(t, "line", (int64_t)line->line);
    cli_json_string(t, "kind", kinds[line->kind]);
    if (line->kind == PN_STORED_ROLE) {
        cli_json_string(t, "role", line->role);
        json_if(t, "name", line->grant.name);
    } else if (line->kind == PN_STORED_GRANT) {
        cli_json_grantee(t, view, &to);
        cli_json_string(t, "name", line->grant.name);
        if (line->grant.until_us != PN_GRANT_FOR_EVER) {
            cli_json_at(t, "until", line->grant.until_us);
        }
        cli_json_bool(t, "log_only", line->grant.is_log_only);
        cli_json_string(t, "state", state_of(view, line));
    }
    json_if(t, "why", line->why);
    cli_json_close(t, '}');
}

static bool is_of(const pn_stored_line *line, const cli_grantee *only)
{
    return line->kind == PN_STORED_GRANT
           && (line->grant.is_paired
                   ? only->is_paired || only->who.family == PN_FAMILY_PEERNET
                   : !only->is_paired
                         && pn_principal_equal(&line->grant.who, &only->who));
}

void cli_json_grants(
    cli_text *t, const cli_grants_view *view, const cli_grantee *only)
{
    cli_json_open(t, "grants", '[');
    for (size_t i = 0; i < view->n_lines; i++) {
        if (only == NULL || is_of(&view->lines[i], only)) {
            json_line(t, view, &view->lines[i]);
        }
    }
    cli_json_close(t, ']');
}

/* ---- the decision -------------------------------------------------------- */

static const char *const step_names[] = {
    [PN_CAN_EXPOSED] = "exposed",
    [PN_CAN_KEY] = "key",
    [PN_CAN_PAIRED] = "paired",
    [PN_CAN_OPEN] = "open",
    [PN_CAN_FIXED] = "fixed",
    [PN_CAN_LINE_ENDED] = "line-ended",
    [PN_CAN_LINE_LOG_ONLY] = "line-log-only",
    [PN_CAN_LINE] = "line",
    [PN_CAN_NO_LINE] = "no-line",
};

/* %s is the subject. Two for each step: it is passed, or not. */
static const char *const sentences[][2] = {
    [PN_CAN_EXPOSED] = {"the node has no '%s': expose it, or check the name",
        "the node has '%s'"},
    [PN_CAN_KEY] = {"no key is known of the caller", "the caller has a key"},
    [PN_CAN_PAIRED] = {"the caller is not paired: pair it first",
        "the caller is paired"},
    [PN_CAN_OPEN] = {"'%s' is not open to every paired peer by the program or "
                     "--allow",
        "'%s' is open to every paired peer by the program or --allow"},
    [PN_CAN_FIXED] = {"'%s' is not granted to this key by the program or "
                      "--allow, or that ended with its pairing since the start",
        "'%s' is granted to this key by the program or --allow, as long as it "
        "stays paired"},
    [PN_CAN_NO_LINE] = {"no line of the file of grants gives it '%s'", ""},
};

static void add_quoted_subject(
    cli_text *t, const char *format, const char *subject)
{
    const char *at = strstr(format, "%s");

    if (at == NULL) {
        cli_text_puts(t, format);
        return;
    }
    cli_text_add(t, format, (size_t)(at - format));
    cli_escape(t, subject, strlen(subject), CLI_ESCAPE_FIELD);
    cli_text_puts(t, at + 2);
}

static void add_line_sentence(cli_text *t, const pn_can_step *step)
{
    char until[24];

    cli_text_printf(t, "line %zu of the file of grants, ", step->line);
    cli_escape(t, step->grant.name, strlen(step->grant.name), CLI_ESCAPE_FIELD);
    cli_text_puts(t, step->grant.is_paired ? " to every paired peer" : "");
    if (step->grant.until_us != PN_GRANT_FOR_EVER) {
        cli_until_write(step->grant.until_us, until);
        cli_text_printf(t, " until %s", until);
    }
    cli_text_puts(t, step->what == PN_CAN_LINE         ? ", allows it"
                     : step->what == PN_CAN_LINE_ENDED ? ", has ended"
                                                       : ", only logs");
}

static void json_step(cli_text *t, const pn_can_step *step)
{
    cli_text sentence = {0};

    if (step->line > 0) {
        add_line_sentence(&sentence, step);
    } else {
        add_quoted_subject(
            &sentence, sentences[step->what][step->is_passed], step->subject);
    }
    cli_json_open(t, NULL, '{');
    cli_json_string(t, "step", step_names[step->what]);
    cli_json_bool(t, "passed", step->is_passed);
    cli_json_string(
        t, step->is_function ? "function" : "handle", step->subject);
    if (step->line > 0) {
        cli_json_int(t, "line", (int64_t)step->line);
    }
    cli_json_string(t, "text", cli_text_string(&sentence));
    cli_json_close(t, '}');
    cli_text_fini(&sentence);
}

void cli_json_can(cli_text *t, pn_reason reason, const pn_can_step *steps,
    size_t n, bool by_files)
{
    cli_json_bool(t, "can", reason == PN_REASON_NONE);
    json_if(
        t, "reason", reason == PN_REASON_NONE ? NULL : pn_reason_text(reason));
    cli_json_bool(t, "by_files", by_files);
    cli_json_open(t, "steps", '[');
    for (size_t i = 0; i < n; i++) {
        /* Without a node nothing is known of what it exposes and grants. */
        if (!by_files
            || (steps[i].what != PN_CAN_EXPOSED && steps[i].what != PN_CAN_OPEN
                && steps[i].what != PN_CAN_FIXED)) {
            json_step(t, &steps[i]);
        }
    }
    cli_json_close(t, ']');
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of doctor towards a node of an Erlang cluster. One link is asked
 * for; the reason that it fails with says how far it came. */
#include <string.h>

#include "barrel.h"
#include "doctor.h"
#include "json/jsonout.h"

#define LINK_MS 7000
/* A name that no process has: a monitor of it is answered at once. */
#define NOBODY "noproc"

/* A link passes these, in this order. */
static const struct {
    const char *step;
    const char *seen;
} stages[] = {
    {"address", "its address is known"},
    {"udp", "it answers over UDP"},
    {"protocol", "QUIC and its certificate"},
    {"pin", "the key that is pinned here"},
    {"clock", "both clocks are near each other"},
    {"pin-there", "it has pinned our key"},
    {"cookie", "the same cookie"},
    {"distribution", "the handshake of Erlang distribution"},
};

static void pass_until(doctor *d, const char *step)
{
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        if (step != NULL && strcmp(stages[i].step, step) == 0) {
            return;
        }
        d->step = stages[i].step;
        doctor_pass(d, "%s", stages[i].seen);
    }
}

static void check_session(doctor *d)
{
    cli_exit status = cli_barrel_session(d->app, &d->session);

    if (status != CLI_OK) {
        d->is_over = true; /* as was said */
        d->status_told = status;
        return;
    }
    doctor_tell_slow(d);
    doctor_pass(d, "%s",
        d->session->is_remote ? "it runs"
                              : "none runs here; one was opened to look");
}

static void fail_link(doctor *d, const cli_answer *answer)
{
    const char *reason = cli_field(answer->json, "reason");
    const cli_verdict *v = cli_verdict_find(reason, true);

    if (strcmp(cli_field(answer->json, "error"), "bad-request") == 0) {
        v = cli_verdict_find("no-barrel", true);
    } else if (v == NULL) { /* how far the link came is not known */
        v = cli_verdict_find("handshake-timeout", true);
    } else {
        pass_until(d, v->step);
    }
    d->step = v->step;
    doctor_fail(d, v->name, "%s", cli_field(answer->json, "message"));
}

static void check_link(doctor *d)
{
    cli_answer answer = {0};
    uint64_t start = uv_hrtime();
    cli_text t = {0};

    d->waits = "for a link, 7 s at most";
    d->session->allowed_ms = LINK_MS;
    cli_request_begin(d->session, &t, "monitor");
    cli_json_string(&t, "node", d->name);
    cli_json_string(&t, "process", NOBODY);
    cli_json_int(&t, "wait", LINK_MS);
    cli_json_string(&t, "as", "text");
    (void)cli_request_end(d->session, &t, &answer);
    if (json_is_true(json_object_get(answer.json, "ok"))) {
        pass_until(d, NULL);
        d->step = "ping";
        doctor_pass(d, "a link and a message there and back took %llu ms",
            (unsigned long long)((uv_hrtime() - start) / 1000000));
    } else {
        fail_link(d, &answer);
    }
    cli_answer_fini(&answer);
}

const doctor_step doctor_node[] = {
    {"node", check_session, true},
    {"link", check_link, true},
    {.name = NULL},
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Terms of peers in answers to callers of the control socket. */
#include <stdlib.h>

#include "crash.h"
#include "hub_call.h"
#include "json/json.h"
#include "json/jsonout.h"

static pn_err add_text(hub_op *op)
{
    char *text = NULL;
    size_t len = 0;
    pn_err err = pn_term_to_text(op->value, &text, &len);

    if (err == PN_OK && len > op->max_reply) {
        err = PN_TOO_LARGE;
    }
    if (err == PN_OK) {
        cli_json_bytes(&op->answer, "text", text, len);
    }
    free(text);
    return err;
}

static pn_err add_json(hub_op *op)
{
    cli_text json = {0};
    pn_err err = cli_json_from_term(
        op->value, op->max_reply, NULL, NULL, &json);

    if (err == PN_OK) {
        cli_json_raw(&op->answer, "value", json.data, json.len);
    }
    cli_text_fini(&json);
    return err;
}

void hub_op_write_value(hub_op *op)
{
    cli_text *t = &op->answer;
    cli_text crash = {0};

    /* A program that went away is no crash; cli_remote_sentence has it. */
    if (op->error != NULL && op->as_text
        && !pn_term_match(op->value, "{handler_crash, {exit, noproc}}")
        && cli_crash_to_text(op->value, &crash)) {
        cli_json_string(t, "error", "remote");
        cli_json_string(t, "message", "the peer's handler crashed");
        cli_json_bytes(t, "crash", crash.data, crash.len);
        cli_text_fini(&crash);
        return;
    }
    if (op->error != NULL) {
        cli_json_string(t, "error", "remote");
        cli_json_string(t, "message", op->error);
    }
    op->write_err = op->as_text ? add_text(op) : add_json(op);
}

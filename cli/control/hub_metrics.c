/* SPDX-License-Identifier: Apache-2.0 */
/* The counters of the node, as Prometheus text or as JSON. */
#include <stdlib.h>
#include <string.h>

#include "hub_internal.h"
#include "json/jsonout.h"

/* NAME="VALUE",... up to the closing brace, each a field. None of ours has a
 * quote or a backslash in it. */
static void json_labels(cli_text *t, char *at)
{
    char *equals;

    while ((equals = strstr(at, "=\"")) != NULL) {
        char *value = equals + 2;
        char *end = strchr(value, '"');

        if (end == NULL) {
            return;
        }
        *equals = '\0';
        cli_json_bytes(t, at, value, (size_t)(end - value));
        at = end[1] == ',' ? end + 2 : end + 1;
    }
}

/* Prometheus text as objects, one per sample; comments are left out. */
static void json_metrics(cli_text *t, char *text)
{
    char *save = NULL;

    cli_json_open(t, "metrics", '[');
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char *value = strrchr(line, ' ');
        char *labels;

        if (line[0] == '#' || value == NULL) {
            continue;
        }
        *value++ = '\0';
        labels = strchr(line, '{');
        cli_json_open(t, NULL, '{');
        cli_json_bytes(t, "metric", line, strcspn(line, "{"));
        if (labels != NULL) {
            json_labels(t, labels + 1);
        }
        cli_json_raw(t, "sample", value, strlen(value));
        cli_json_close(t, '}');
    }
    cli_json_close(t, ']');
}

pn_err cli_hub_metrics_text(const cli_hub *hub, cli_text *t)
{
    char *text = NULL;
    size_t len = 0;
    pn_err err = pn_node_metrics_text(hub->node, &text, &len);

    if (err != PN_OK) {
        return err;
    }
    cli_text_add(t, text, len);
    free(text);
    err = hub_barrel_metrics(hub, t);
    return err == PN_OK && t->failed ? PN_NOMEM : err;
}

void hub_metrics(const hub_request *request)
{
    const char *as = NULL;
    pn_err err;
    cli_text all = {0};
    cli_text t = {0};

    if (!hub_string(request, "as", false, &as)) {
        return;
    }
    err = cli_hub_metrics_text(request->hub, &all);
    if (err != PN_OK) {
        cli_text_fini(&all);
        hub_answer_error(request, hub_error_name(err), "%s", pn_strerror(err));
        return;
    }
    hub_answer_begin(&t, request->has_id, request->id, true);
    if (as != NULL && strcmp(as, "text") == 0) {
        cli_json_bytes(&t, "text", all.data, all.len);
    } else {
        json_metrics(&t, all.data);
    }
    cli_text_fini(&all);
    hub_answer_end(request->caller, &t);
}

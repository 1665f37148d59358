/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of the Barrel link, as a struct and as Prometheus text. */
#include <string.h>

#include "barrel_internal.h"
#include "base/figures.h"

void pn_barrel_get_metrics_sized(
    pn_barrel *barrel, pn_barrel_metrics *ret_metrics, size_t size)
{
    memset(ret_metrics, 0, size);
    pn_node_lock(barrel->node);
    memcpy(ret_metrics, &barrel->metrics,
        size < sizeof(barrel->metrics) ? size : sizeof(barrel->metrics));
    pn_node_unlock(barrel->node);
    ret_metrics->size = size;
}

#define FIGURE(name, type, help, labels, field)                                \
    {                                                                          \
        "peernet_barrel_" name, type, help, labels,                            \
            offsetof(pn_barrel_metrics, field), false                          \
    }
#define DURATION(type, help, labels, field, is_us)                             \
    {                                                                          \
        "peernet_barrel_auth_duration_seconds", type, help, labels,            \
            offsetof(pn_barrel_metrics, field), is_us                          \
    }

static const pn_figure figures[] = {
    FIGURE("auth_attempts_total", "counter",
        "Authentications by role and outcome.",
        "{role=\"outgoing\",outcome=\"ok\"}", auth_ok_outgoing),
    FIGURE("auth_attempts_total", NULL, NULL,
        "{role=\"outgoing\",outcome=\"failed\"}", auth_fail_outgoing),
    FIGURE("auth_attempts_total", NULL, NULL,
        "{role=\"incoming\",outcome=\"ok\"}", auth_ok_incoming),
    FIGURE("auth_attempts_total", NULL, NULL,
        "{role=\"incoming\",outcome=\"failed\"}", auth_fail_incoming),
    FIGURE("new_pins_total", "counter", "Nodes pinned on first sight.", "",
        new_pins),
    FIGURE("links_up", "gauge", "Nodes connected now.", "", links_up),
    FIGURE("signals_total", "counter", "Signals of distribution.",
        "{direction=\"in\"}", signals_in),
    FIGURE("signals_total", NULL, NULL, "{direction=\"out\"}", signals_out),
    FIGURE("calls_total", "counter", "Calls of processes and functions.",
        "{direction=\"in\"}", calls_in),
    FIGURE("calls_total", NULL, NULL, "{direction=\"out\"}", calls_out),
    FIGURE("datagrams_total", "counter", "UDP datagrams.", "{direction=\"in\"}",
        datagrams_in),
    FIGURE("datagrams_total", NULL, NULL, "{direction=\"out\"}", datagrams_out),
    FIGURE("bytes_total", "counter", "Bytes of these datagrams.",
        "{direction=\"in\"}", bytes_in),
    FIGURE("bytes_total", NULL, NULL, "{direction=\"out\"}", bytes_out),
    FIGURE("retries_total", "counter", "QUIC Retry packets sent.", "",
        retries_sent),
    FIGURE("messages_too_large_total", "counter",
        "Messages over the limit, not kept.", "", messages_too_large),
    DURATION("summary", "Time spent in authentications.",
        "_sum{role=\"outgoing\",outcome=\"ok\"}", auth_ok_us_outgoing, true),
    DURATION(NULL, NULL, "_count{role=\"outgoing\",outcome=\"ok\"}",
        auth_ok_outgoing, false),
    DURATION(NULL, NULL, "_sum{role=\"outgoing\",outcome=\"failed\"}",
        auth_fail_us_outgoing, true),
    DURATION(NULL, NULL, "_count{role=\"outgoing\",outcome=\"failed\"}",
        auth_fail_outgoing, false),
    DURATION(NULL, NULL, "_sum{role=\"incoming\",outcome=\"ok\"}",
        auth_ok_us_incoming, true),
    DURATION(NULL, NULL, "_count{role=\"incoming\",outcome=\"ok\"}",
        auth_ok_incoming, false),
    DURATION(NULL, NULL, "_sum{role=\"incoming\",outcome=\"failed\"}",
        auth_fail_us_incoming, true),
    DURATION(NULL, NULL, "_count{role=\"incoming\",outcome=\"failed\"}",
        auth_fail_incoming, false),
};

pn_err pn_barrel_metrics_text(
    pn_barrel *barrel, char **ret_text, size_t *ret_len)
{
    FILE *out = open_memstream(ret_text, ret_len);
    pn_barrel_metrics m;

    if (out == NULL) {
        return PN_NOMEM;
    }
    pn_barrel_get_metrics(barrel, &m);
    pn_figures_print(out, figures, sizeof(figures) / sizeof(figures[0]), &m);
    return fclose(out) == 0 ? PN_OK : PN_NOMEM;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Counters, as a struct and as Prometheus text. */
#include <string.h>

#include "base/figures.h"
#include "node/node_internal.h"

_Static_assert(PN_N_REASONS <= 64, "pn_metrics has room for 64 reasons");

pn_err pn_node_metrics_sized(
    pn_node *node, pn_metrics *ret_metrics, size_t size)
{
    pn_metrics now;

    if (size < sizeof(size_t) || size > sizeof(now)) {
        return PN_INVALID;
    }
    pn_node_lock(node);
    now = node->metrics;
    now.strangers = pn_full(node)->gate.strangers;
    pn_node_unlock(node);
    now.size = size;
    memcpy(ret_metrics, &now, size);
    return PN_OK;
}

#define FIGURE(name, type, help, labels, field)                                \
    {                                                                          \
        "peernet_" name, type, help, labels, offsetof(pn_metrics, field),      \
            false                                                              \
    }

static const pn_figure figures[] = {
    FIGURE("links_up", "gauge", "Links that are up now.", "", links_up),
    FIGURE("strangers", "gauge", "Unauthenticated connections now.", "",
        strangers),
    FIGURE("accepted_total", "counter", "Connections accepted.", "", accepted),
    FIGURE("refused_total", "counter", "Connections refused at accept.", "",
        refused),
    FIGURE("dials_total", "counter", "Connections attempted.", "", dials),
    FIGURE("dial_failures_total", "counter", "Attempts that came to nothing.",
        "", dial_failures),
    FIGURE("auth_total", "counter", "Handshakes by role and outcome.",
        "{role=\"initiator\",outcome=\"ok\"}", auth_ok_initiator),
    FIGURE("auth_total", NULL, NULL, "{role=\"responder\",outcome=\"ok\"}",
        auth_ok_responder),
    FIGURE("auth_total", NULL, NULL, "{role=\"initiator\",outcome=\"failed\"}",
        auth_failed_initiator),
    FIGURE("auth_total", NULL, NULL, "{role=\"responder\",outcome=\"failed\"}",
        auth_failed_responder),
    FIGURE("auth_microseconds_total", "counter",
        "Time spent in handshakes that succeeded.", "{role=\"initiator\"}",
        auth_us_initiator),
    FIGURE("auth_microseconds_total", NULL, NULL, "{role=\"responder\"}",
        auth_us_responder),
    FIGURE("messages_total", "counter", "Messages by kind and direction.",
        "{kind=\"call\",direction=\"in\"}", calls_in),
    FIGURE("messages_total", NULL, NULL, "{kind=\"call\",direction=\"out\"}",
        calls_out),
    FIGURE("messages_total", NULL, NULL, "{kind=\"send\",direction=\"in\"}",
        sends_in),
    FIGURE("messages_total", NULL, NULL, "{kind=\"send\",direction=\"out\"}",
        sends_out),
    FIGURE("messages_total", NULL, NULL, "{kind=\"reply\",direction=\"in\"}",
        replies_in),
    FIGURE("call_timeouts_total", "counter", "Our calls without a reply.", "",
        call_timeouts),
    FIGURE("queue_drops_total", "counter",
        "Inbound messages dropped or refused: queue full.", "{kind=\"send\"}",
        queue_drops),
    FIGURE("queue_drops_total", NULL, NULL, "{kind=\"call\"}", queue_refused),
    FIGURE("handler_timeouts_total", "counter", "Handlers that took too long.",
        "", handler_timeouts),
    FIGURE("bytes_total", "counter", "Bytes on the wire.", "{direction=\"in\"}",
        bytes_in),
    FIGURE("bytes_total", NULL, NULL, "{direction=\"out\"}", bytes_out),
    FIGURE("announces_total", "counter", "Discovery datagrams.",
        "{what=\"in\"}", announces_in),
    FIGURE("announces_total", NULL, NULL, "{what=\"out\"}", announces_out),
    FIGURE(
        "announces_total", NULL, NULL, "{what=\"dropped\"}", announces_dropped),
    FIGURE("network_changes_total", "counter", "Changes of local addresses.",
        "", network_changes),
};

static void print_by_reason(FILE *out, const char *name, const char *help,
    const uint64_t counts[static 64])
{
    (void)fprintf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
    for (unsigned i = 1; i < PN_N_REASONS; i++) {
        (void)fprintf(out, "%s{reason=\"%s\"} %" PRIu64 "\n", name,
            pn_reason_text((pn_reason)i), counts[i]);
    }
}

pn_err pn_node_metrics_text(pn_node *node, char **ret_text, size_t *ret_len)
{
    pn_metrics m;
    FILE *out;
    pn_err err = pn_node_metrics(node, &m);

    if (err != PN_OK) {
        return err;
    }
    m.queue_refused -= m.queue_drops; /* the text has calls and sends apart */
    out = open_memstream(ret_text, ret_len);
    if (out == NULL) {
        return PN_NOMEM;
    }
    pn_figures_print(out, figures, sizeof(figures) / sizeof(figures[0]), &m);
    print_by_reason(
        out, "peernet_denials_total", "Refusals by reason.", m.denials);
    print_by_reason(
        out, "peernet_link_ends_total", "Ended links by reason.", m.link_ends);
    return fclose(out) == 0 ? PN_OK : PN_NOMEM;
}

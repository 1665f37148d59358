/* SPDX-License-Identifier: Apache-2.0 */
#include "run_service.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "service/notify.h"

/* Changes of the status within this time are told once. */
#define STATUS_MS 500
/* More than programs, queues and the six seconds of leaving take. */
#define LEAVE_US 20000000

static void on_alive(uv_timer_t *timer)
{
    (void)timer;
    cli_notify("WATCHDOG=1");
}

/* begin: a line in front of it, or "". */
static void tell_status(const cli_run_service *s, const char *begin)
{
    pn_node *node = cli_hub_node(s->hub);
    pn_peer_info *peers = NULL;
    size_t n = 0;
    size_t n_up = 0;

    if (pn_list_peers(node, &peers, &n) != PN_OK) {
        n = 0;
    }
    for (size_t i = 0; i < n; i++) {
        n_up += peers[i].state == PN_PEER_UP;
    }
    free(peers);
    cli_notify("%sSTATUS=port %u, peers: %zu up of %zu paired", begin,
        pn_node_port(node), n_up, n);
}

static void on_soon(uv_timer_t *timer)
{
    tell_status(timer->data, "");
}

/* Any event may change it. */
static void on_event(void *user, const char *line, size_t len)
{
    cli_run_service *s = user;

    (void)line;
    (void)len;
    if (uv_is_active((uv_handle_t *)&s->soon) == 0) {
        (void)uv_timer_start(&s->soon, on_soon, STATUS_MS, 0);
    }
}

/* Twice within the time that systemd allows. */
static void start_watchdog(cli_run_service *s)
{
    uint64_t ms = cli_notify_watchdog_us() / 2000;

    if (ms > 0) {
        (void)uv_timer_start(&s->alive, on_alive, ms, ms);
    }
}

void cli_run_service_ready(
    cli_run_service *service, uv_loop_t *loop, cli_hub *hub)
{
    static const char ask[] = "{\"cmd\":\"events\"}";

    if (!cli_notify_wanted()) {
        return;
    }
    service->hub = hub;
    (void)uv_timer_init(loop, &service->alive);
    (void)uv_timer_init(loop, &service->soon);
    service->soon.data = service;
    service->caller = cli_hub_join(hub, on_event, service);
    if (service->caller != NULL) {
        cli_hub_request(service->caller, ask, sizeof(ask) - 1);
    }
    start_watchdog(service);
    tell_status(service, "READY=1\n");
}

void cli_run_service_reloading(const cli_run_service *service)
{
    struct timespec now;

    if (service->hub != NULL && clock_gettime(CLOCK_MONOTONIC, &now) == 0) {
        cli_notify("RELOADING=1\nMONOTONIC_USEC=%" PRId64,
            (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    }
}

void cli_run_service_reloaded(const cli_run_service *service)
{
    if (service->hub != NULL) {
        tell_status(service, "READY=1\n");
    }
}

void cli_run_service_stopping(cli_run_service *service)
{
    if (service->hub == NULL) {
        return;
    }
    cli_notify("STOPPING=1\nSTATUS=leaving\nEXTEND_TIMEOUT_USEC=%d\n"
               "WATCHDOG=1",
        LEAVE_US);
    (void)uv_timer_stop(&service->soon);
    cli_hub_leave(service->caller);
    service->hub = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A running node as a service of systemd: what it tells its manager. */
#ifndef PN_CLI_RUN_SERVICE_H
#define PN_CLI_RUN_SERVICE_H

#include "control/hub.h"

/* Static: its timers are closed with the loop. */
typedef struct cli_run_service {
    cli_hub *hub; /* NULL: nobody is to be told */
    cli_caller *caller;
    uv_timer_t alive; /* feeds the watchdog */
    uv_timer_t soon;  /* until the status is told again */
} cli_run_service;

/* The node listens and takes commands: tells so, and from now on the status
 * and that the loop turns. */
void cli_run_service_ready(
    cli_run_service *service, uv_loop_t *loop, cli_hub *hub);
/* A reload begins, and has ended well or not. */
void cli_run_service_reloading(const cli_run_service *service);
void cli_run_service_reloaded(const cli_run_service *service);
/* The node leaves, which takes seconds. */
void cli_run_service_stopping(cli_run_service *service);

#endif

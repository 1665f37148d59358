/* SPDX-License-Identifier: Apache-2.0 */
/* A file with the node's counters, for the textfile collector of a node
 * exporter (--metrics-file). */
#ifndef PN_CLI_METRICS_FILE_H
#define PN_CLI_METRICS_FILE_H

#include "control/hub.h"

#define CLI_METRICS_FILE_MS 15000

/* Static: its timer is closed with the loop. */
typedef struct cli_metrics_file {
    cli_hub *hub;
    const char *path;
    uv_timer_t timer;
    int error; /* errno of the last attempt, so that it is said once */
} cli_metrics_file;

/* Writes it now and every 15 seconds: replaced in one step, mode 0644. */
void cli_metrics_file_start(
    cli_metrics_file *file, uv_loop_t *loop, cli_hub *hub, const char *path);
/* Removes it, since what it says is not so any more. */
void cli_metrics_file_end(cli_metrics_file *file);

#endif

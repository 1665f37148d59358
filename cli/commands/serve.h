/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that listen and serve share; peernet-control(7). */
#ifndef PN_CLI_SERVE_H
#define PN_CLI_SERVE_H

#include "app.h"

/* A session with the running node, which there must be. */
cli_exit cli_serve_session(const cli_app *app, cli_session **ret_session);
/* Opens a handle for those that --allow names. timeout_ms 0: the node's
 * default. CLI_OK, or an error that was reported. */
cli_exit cli_expose_handle(const cli_app *app, cli_session *session,
    const char *handle, uint32_t timeout_ms);
/* True for a call or a message to a handle. */
bool cli_is_message(const json_t *event, bool *ret_is_call);
/* Warns when the event says that messages were dropped. */
void cli_warn_dropped(const json_t *event);

#endif

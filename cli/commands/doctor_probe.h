/* SPDX-License-Identifier: Apache-2.0 */
/* One TCP connection of `peernet doctor`, without a handshake. */
#ifndef PN_CLI_DOCTOR_PROBE_H
#define PN_CLI_DOCTOR_PROBE_H

#include <stddef.h>

#include "control/client.h"

#define CLI_PROBE_CONNECT_MS 5000
/* A node says nothing before it is spoken to. Other servers greet, some only
 * when they have looked up who connects. */
#define CLI_PROBE_GREETING_MS 400
#define CLI_PROBE_LATE_GREETING_MS 2000

/*
 * Connects to a numeric "HOST:PORT", and closes again. Returns 0 or an errno;
 * ETIMEDOUT after max_ms, EINTR when the session has to end. greeting: what the
 * other end said first, within greeting_ms (NUL-terminated, at most room - 1
 * bytes); *ret_len: its bytes, 0: nothing.
 */
int cli_probe_tcp(cli_session *session, const char *address, uint64_t max_ms,
    uint64_t greeting_ms, char *greeting, size_t room, size_t *ret_len);

#endif

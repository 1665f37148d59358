/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of hosts to addresses, without waiting: each name that has to be asked
 * for gets a thread of its own, which runs the system's resolver. A resolver
 * cannot be interrupted, and may take half a minute where a name server is
 * silent. libuv would make the loop and the end of the process wait for it;
 * here the thread of a cancelled question ends by itself, and no function waits
 * for it.
 */
#ifndef PN_OS_RESOLVE_H
#define PN_OS_RESOLVE_H

#include "os/address.h"
#include "os/loop.h"

/* Addresses of one host; more are left out. */
#define PN_RESOLVE_MAX 16
/* Questions of the whole process that may be under way, cancelled ones too. */
#define PN_RESOLVE_RUNNING_MAX 16
/* Bytes of a host's name. */
#define PN_RESOLVE_HOST_MAX 255

typedef struct pn_resolve pn_resolve;

/*
 * The answer, once, in a later turn. PN_OK: 1 to PN_RESOLVE_MAX addresses with
 * the port, in the resolver's order, each once; they live during the callback.
 * Otherwise n is 0: PN_NOT_FOUND no such name or no address; PN_NOMEM; PN_SYS
 * the resolver failed. why says so in words (static storage; "" with PN_OK).
 * The pn_resolve is gone.
 */
typedef void pn_resolve_callback(void *user, pn_err err,
    const pn_address *addresses, size_t n, const char *why);

/*
 * Starts resolving host: an IPv4 or IPv6 address (no brackets, no port) and
 * "localhost" are answered without the system's resolver; a name is of letters,
 * digits and "_.-". Errors: PN_INVALID no such host can be; PN_BUSY
 * PN_RESOLVE_RUNNING_MAX are under way; PN_NOMEM; PN_SYS. Nothing follows them.
 * Thread: the loop's.
 */
PN_CORE PN_MUST_USE pn_err pn_resolve_start(pn_loop *loop, const char *host,
    uint16_t port, pn_resolve_callback *callback, void *user,
    pn_resolve **ret_resolve);
/* No answer will come; the loop may be freed at once. NULL is fine. */
PN_CORE void pn_resolve_cancel(pn_resolve *resolve);

#endif

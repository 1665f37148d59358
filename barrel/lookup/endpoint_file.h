/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoint files, DIR/NAME.endpoint, in a directory that the nodes of a host or
 * of a shared file system have in common. The files of others are hints: the
 * node that answers has to prove the name. Synchronous and short; any thread.
 *
 * On an error ret_why (cap bytes) is a sentence that begins with the path.
 */
#ifndef PN_LOOKUP_ENDPOINT_FILE_H
#define PN_LOOKUP_ENDPOINT_FILE_H

#include "endpoint_record.h"

/*
 * Reads the file of a node. It has to be a regular file itself: a link is not
 * followed and a FIFO or device is not waited for. Errors: PN_NOT_FOUND no
 * such file or directory; PN_INVALID no node's name; PN_PERMISSION not a
 * regular file; PN_MALFORMED, PN_LIMIT what is in it; PN_SYS.
 */
PN_MUST_USE pn_err pn_barrel_endpoint_read(const char *dir, const char *name,
    pn_barrel_endpoint *ret_endpoint, char *ret_why, size_t cap);

/*
 * Writes or replaces the file of a node, readable by all (0644): a new file
 * under a random name, fsync, rename. A missing directory is made, 0755. No
 * reader sees half of it, and no link is written through. Errors: PN_INVALID no
 * node's name, no such host, port 0; PN_SYS.
 */
PN_MUST_USE pn_err pn_barrel_endpoint_publish(const char *dir, const char *name,
    const pn_barrel_endpoint *endpoint, char *ret_why, size_t cap);

/*
 * Removes the file if it still says what endpoint says, byte for byte.
 * Errors: PN_NOT_FOUND; PN_MISMATCH another node of this name wrote it
 * meanwhile, and it stays; those of pn_barrel_endpoint_read.
 */
PN_MUST_USE pn_err pn_barrel_endpoint_unpublish(const char *dir,
    const char *name, const pn_barrel_endpoint *endpoint, char *ret_why,
    size_t cap);

#endif

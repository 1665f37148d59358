/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of the test's own, and files in it, made by system calls. */
#ifndef PN_TESTS_TEMPDIR_H
#define PN_TESTS_TEMPDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pn_tempdir {
    char path[512];
    int fd;
} pn_tempdir;

/* Makes and opens one (0700) below $TMPDIR or /tmp; ends the program when it
 * cannot. */
void pn_tempdir_init(pn_tempdir *t);
/* Removes it with everything in it. */
void pn_tempdir_fini(pn_tempdir *t);
/* The path of a name in it; static storage of the last four calls. */
const char *pn_tempdir_path(const pn_tempdir *t, const char *name);
/* Writes a whole file, 0600. */
void pn_tempdir_put(
    const pn_tempdir *t, const char *name, const void *data, size_t len);
/* Reads a whole file into malloc'ed memory; NULL when there is none. */
uint8_t *pn_tempdir_get(const pn_tempdir *t, const char *name, size_t *ret_len);
/* Permission bits of a name, not following a link; -1: not there. */
int pn_tempdir_mode(const pn_tempdir *t, const char *name);
/* How many entries it has besides . and .. */
unsigned pn_tempdir_count(const pn_tempdir *t);
/* Whether the mode of a file counts for this thread, and for those it makes,
 * also when it is root's. */
void pn_tempdir_obey_modes(bool is_on);

#endif

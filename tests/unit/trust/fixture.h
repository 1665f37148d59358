/* SPDX-License-Identifier: Apache-2.0 */
/* A data directory with known content, made without the store. */
#ifndef PN_TESTS_TRUST_FIXTURE_H
#define PN_TESTS_TRUST_FIXTURE_H

#include "harness.h"
#include "tempdir.h"
#include "trust/store.h"

/* Its content: the identity is alice's; bob and carol are paired, carol with
 * an address by hand and a learned one. */
extern pn_public_key fixture_alice;
extern pn_public_key fixture_bob;
extern pn_public_key fixture_carol;
/* Keys that are not in it. */
pn_public_key fixture_key(unsigned n);

#define FIXTURE_BOB_US INT64_C(1700000000123456)
#define FIXTURE_CAROL_US INT64_C(1700000001000000)

/* The files' bytes; made once, never freed. */
typedef struct fixture_file {
    const char *name;
    uint8_t *data;
    size_t len;
} fixture_file;

enum { FIXTURE_IDENTITY, FIXTURE_TRUST, FIXTURE_ADDRESSES, FIXTURE_N_FILES };
extern fixture_file fixture_files[FIXTURE_N_FILES];

/* Makes the bytes; call it first in main. */
void fixture_init(void);
/* A folder, and in it "data" with the three files, 0700 and 0600. */
void fixture_make(pn_tempdir *t);
/* The path of "data". */
const char *fixture_data(const pn_tempdir *t);
/* The path of a file in "data". */
const char *fixture_path(const pn_tempdir *t, const char *name);
/* Fails unless a file in "data" holds exactly this. */
void fixture_assert_file(
    const pn_tempdir *t, const char *name, const void *want, size_t want_len);
/* Fails unless all three files are as they were made. */
void fixture_assert_untouched(const pn_tempdir *t);
/* Opens "data" and fails when that fails. */
pn_store *fixture_open(const pn_tempdir *t);
/* Whether the list of the store on disk has the key. */
bool fixture_has(pn_store *store, const pn_public_key *key);
/* Starts eight processes that each open an identity for the first time, by open
 * with user, and fails unless all succeed and report the same key. */
void fixture_eight_first_starts(
    pn_err (*open)(void *user, pn_principal *ret_who), void *user);
/* Fails unless text has part in it. */
void assert_says(const char *text, const char *part);

#endif

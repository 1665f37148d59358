/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the unit tests: cmocka in the order it wants to be included,
 * hexadecimal, recorded vectors, tables of tests made from rows.
 */
#ifndef PN_TESTS_HARNESS_H
#define PN_TESTS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

/* One test per call: name is copied, row is given as *state. */
void pn_test_add(const char *name, CMUnitTestFunction function, void *row);
void pn_test_addf(CMUnitTestFunction function, void *row, const char *format,
    ...) __attribute__((format(printf, 3, 4)));
/* Ends the running test, which counts as skipped; why is told. Memory it holds
 * is lost. */
_Noreturn void pn_test_skip(const char *why);
/* Runs all that were added as one group; the exit status for main. A table
 * that came out empty fails. */
int pn_test_run(const char *group);

/* Loads tests/vectors/NAME; ends the program when it cannot. */
json_t *pn_vectors(const char *name);
/* The same with jansson's decoding flags. */
json_t *pn_vectors_as(const char *name, size_t flags);
/* The string at key, which must be there. */
const char *pn_json_string(const json_t *object, const char *key);
/* Bytes of a hexadecimal string, which may have spaces between them; malloc'ed,
 * never NULL. */
uint8_t *pn_unhex(const char *hex, size_t *ret_len);
/* Bytes of the hexadecimal string at key. */
uint8_t *pn_json_hex(const json_t *object, const char *key, size_t *ret_len);
/* Exactly n bytes into out. */
void pn_json_hex_n(
    const json_t *object, const char *key, uint8_t *out, size_t n);
/* Fails with both in hexadecimal when they differ. */
void pn_assert_bytes(
    const uint8_t *got, size_t got_len, const uint8_t *want, size_t want_len);

/* A socket of this type, bound to a free port of 127.0.0.1, which is written as
 * "127.0.0.1:PORT". */
int pn_test_socket(int type, char ret_address[static 32]);

/* A seeded generator (splitmix64) for tests that draw. */
uint64_t pn_test_random(uint64_t *state);

#endif

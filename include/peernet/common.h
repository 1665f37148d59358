/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by all public headers: export marks, borrowed bytes, version. */
#ifndef PEERNET_COMMON_H
#define PEERNET_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PN_API __attribute__((visibility("default")))
#define PN_MUST_USE __attribute__((warn_unused_result))
#define PN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define PN_API
#define PN_MUST_USE
#define PN_PRINTF(fmt, args)
#endif

#ifdef __cplusplus
#define PN_BEGIN_DECLS extern "C" {
#define PN_END_DECLS }
#else
#define PN_BEGIN_DECLS
#define PN_END_DECLS
#endif

PN_BEGIN_DECLS

/**
 * Borrowed bytes: len bytes at data, owned by another object. Each function
 * that returns a slice says how long it is valid. data may be NULL when len is
 * 0.
 */
typedef struct pn_slice {
    const uint8_t *data;
    size_t len;
} pn_slice;

/**
 * Returns the library's version, "MAJOR.MINOR.PATCH", and the optional parts
 * that it was built with. Ownership: static storage. Thread: any.
 */
PN_API const char *pn_version(void);

PN_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What every public header shares: export marks, borrowed bytes, version. */
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
 * Borrowed bytes: len bytes at data, owned by somebody else. Whoever hands
 * one out says until when it is valid. data may be NULL when len is 0.
 */
typedef struct pn_slice {
    const uint8_t *data;
    size_t len;
} pn_slice;

/**
 * The library's version, "MAJOR.MINOR.PATCH", and the optional parts it was
 * built with. Static storage. Thread: any.
 */
PN_API const char *pn_version(void);

PN_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The tags of the External Term Format, as its document names them. */
#ifndef PN_TERM_TAGS_H
#define PN_TERM_TAGS_H

enum pn_term_tag {
    TAG_VERSION = 131,

    TAG_NEW_FLOAT = 70,
    TAG_BIT_BINARY = 77,
    TAG_NEW_PID = 88,
    TAG_NEW_PORT = 89,
    TAG_NEWER_REFERENCE = 90,
    TAG_SMALL_INTEGER = 97,
    TAG_INTEGER = 98,
    TAG_ATOM = 100, /* Latin-1, 2-byte length */
    TAG_REFERENCE = 101,
    TAG_PORT = 102,
    TAG_PID = 103,
    TAG_SMALL_TUPLE = 104,
    TAG_LARGE_TUPLE = 105,
    TAG_NIL = 106,
    TAG_STRING = 107,
    TAG_LIST = 108,
    TAG_BINARY = 109,
    TAG_SMALL_BIG = 110,
    TAG_LARGE_BIG = 111,
    TAG_NEW_FUN = 112,
    TAG_EXPORT = 113,
    TAG_NEW_REFERENCE = 114,
    TAG_SMALL_ATOM = 115, /* Latin-1, 1-byte length */
    TAG_MAP = 116,
    TAG_ATOM_UTF8 = 118,
    TAG_SMALL_ATOM_UTF8 = 119,
    TAG_V4_PORT = 120,

    /* Refused by name. */
    TAG_CACHED_ATOM = 67,
    TAG_DIST_HEADER = 68,
    TAG_DIST_FRAGMENT = 69,
    TAG_ATOM_INTERNAL_REF2 = 73,
    TAG_BINARY_INTERNAL_REF = 74,
    TAG_ATOM_INTERNAL_REF3 = 75,
    TAG_NEW_CACHE = 78,
    TAG_COMPRESSED = 80,
    TAG_CACHE_REF = 82,
    TAG_FLOAT = 99,
    TAG_OLD_FUN = 117,
    TAG_LOCAL = 121
};

enum {
    TERM_ATOM_MAX_CHARS = 255,
    TERM_ATOM_MAX_BYTES = 4 * TERM_ATOM_MAX_CHARS,
    TERM_STRING_MAX = 65535,
    TERM_OLD_CREATION_MAX = 3,    /* the 1-byte creations of old tags */
    TERM_OLD_REFERENCE_BITS = 18, /* of a reference's first word, likewise */
    TERM_REFERENCE_MAX_WORDS = 5,
    TERM_FUN_MAX_FREE = 255
};

#endif

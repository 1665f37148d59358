/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terms: validated slices of Erlang's External Term Format.
 *
 * pn_term_parse checks every length, count and depth once and allocates
 * nothing for it; after that a pn_term is a pointer and a length, and reading
 * is a cursor over the bytes. docs/TERM.md states each choice that the format
 * leaves open.
 */
#ifndef PEERNET_TERM_H
#define PEERNET_TERM_H

#include <stdarg.h>

#include <peernet/error.h>

PN_BEGIN_DECLS

/** One validated term without the leading version byte 131. Borrowed. A term
 * of length 0 is "no term". */
typedef struct pn_term {
    const uint8_t *data;
    size_t len;
} pn_term;

typedef enum pn_term_type {
    PN_TERM_NONE, /* no term, or the reader is at the end */
    PN_TERM_INTEGER,
    PN_TERM_FLOAT,
    PN_TERM_ATOM,
    PN_TERM_BINARY,
    PN_TERM_BITSTRING,
    PN_TERM_TUPLE,
    PN_TERM_LIST, /* also the empty list and STRING_EXT */
    PN_TERM_MAP,
    PN_TERM_OPAQUE /* pid, port, reference, fun: carried, never looked into */
} pn_term_type;

/** What pn_term_parse allows. 0 in a field means its default. */
typedef struct pn_term_limits {
    size_t size;         /* sizeof(pn_term_limits); set by the init macro */
    uint32_t max_depth;  /* nesting; default 512, range 1..65535 */
    uint32_t max_bytes;  /* whole input; default 1048576, range 1..2^31 */
    uint32_t max_bignum; /* magnitude bytes; default 512, range 8..65535 */
} pn_term_limits;

#define pn_term_limits_init(limits)                                            \
    pn_term_limits_init_sized((limits), sizeof(pn_term_limits))
PN_API void pn_term_limits_init_sized(pn_term_limits *limits, size_t size);

/** Where and why pn_term_parse refused. */
typedef struct pn_term_error {
    size_t offset;    /* of the offending tag or count, from the start */
    const char *text; /* static: "compressed terms are refused", ... */
} pn_term_error;

/**
 * Checks that data is one complete term in External Term Format, version byte
 * 131 first and nothing after it, and returns it without that byte.
 *
 * limits, ret_error: may be NULL. Allocates nothing unless a map has more than
 * a few pairs (the duplicate-key check then sorts; memory proportional to the
 * pairs present, never to a promised count).
 * Ownership: *ret_term aliases data and lives as long as it.
 * Errors: PN_MALFORMED not a term we take; PN_LIMIT over a limit;
 * PN_NOMEM. *ret_term is untouched then.
 * Thread: any. Source: Erlang External Term Format; docs/TERM.md.
 */
PN_API PN_MUST_USE pn_err pn_term_parse(const void *data, size_t len,
    const pn_term_limits *limits, pn_term *ret_term, pn_term_error *ret_error);

/** The kind of term; PN_TERM_NONE when it is empty. Thread: any. */
PN_API pn_term_type pn_term_type_of(pn_term term);

/** True when both are the same value: the same bytes, or another spelling of
 * it (tags of atoms, lengths of integers, STRING_EXT, order of map pairs). 1
 * and 1.0 differ, 0.0 and -0.0 do not. Thread: any. */
PN_API bool pn_term_equal(pn_term a, pn_term b);

/** True when term is the atom called name (UTF-8). Thread: any. */
PN_API bool pn_term_is_atom(pn_term term, const char *name);

/**
 * Copies a term to the heap. Ownership: the caller frees ret_copy->data with
 * free(). Errors: PN_NOMEM; PN_INVALID for the empty term. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_term_copy(pn_term term, pn_term *ret_copy);

/* ---- reading ---------------------------------------------------------- */

/**
 * A cursor over one term or over the elements of a container.
 *
 * The first error sticks: later reads return zero values and the caller asks
 * once at the end, with pn_term_reader_finish. Fields are private. Reading a
 * container (tuple, list, map) opens it: the elements follow in order, keys
 * and values of a map in turn, and a list is followed by its tail (read it
 * with pn_term_read_nil, or anything else for an improper list). A STRING_EXT
 * reads as a list of small integers.
 * Thread: one at a time.
 */
typedef struct pn_term_reader {
    const uint8_t *at;
    const uint8_t *end;
    pn_err err;
    uint32_t string_left; /* elements of an open STRING_EXT, + 1 for its nil */
} pn_term_reader;

PN_API void pn_term_reader_init(pn_term_reader *r, pn_term term);
/** PN_OK when every read fitted and nothing is left; else the first error, or
 * PN_MISMATCH for left-over elements. */
PN_API PN_MUST_USE pn_err pn_term_reader_finish(pn_term_reader *r);
/** The type of the next element; PN_TERM_NONE at the end or after an error. */
PN_API pn_term_type pn_term_reader_peek(const pn_term_reader *r);
/* Each of these reads the next element, or sets PN_MISMATCH and returns 0. */
PN_API int64_t pn_term_read_int64(pn_term_reader *r);
PN_API uint64_t pn_term_read_uint64(pn_term_reader *r);
/** A float, or an integer of at most 53 bits. */
PN_API double pn_term_read_double(pn_term_reader *r);
/** An atom's name in UTF-8. Latin-1 names (tags 100, 115) with bytes over 127
 * set PN_MISMATCH; use pn_term_atom_name for those. */
PN_API pn_slice pn_term_read_atom(pn_term_reader *r);
PN_API pn_slice pn_term_read_binary(pn_term_reader *r);
/** A bitstring: its bytes and in *ret_bits the bits used of the last, 1..8. */
PN_API pn_slice pn_term_read_bitstring(pn_term_reader *r, unsigned *ret_bits);
/** An integer of any size: magnitude little-endian, trailing zeros removed;
 * buf needs room for cap bytes (512 fits all). Sets PN_LIMIT if too small. */
PN_API size_t pn_term_read_bignum(
    pn_term_reader *r, bool *ret_negative, uint8_t *buf, size_t cap);
PN_API uint32_t pn_term_read_tuple(pn_term_reader *r);
PN_API uint32_t pn_term_read_list(pn_term_reader *r); /* 0: empty, no tail */
PN_API uint32_t pn_term_read_map(pn_term_reader *r);  /* pairs */
PN_API void pn_term_read_nil(pn_term_reader *r);
/** Any one element, whole. A list's tail counts as an element. An element of a
 * STRING_EXT is static storage; all others alias the term. */
PN_API pn_term pn_term_read_any(pn_term_reader *r);
/** Skips one element, whole, also inside STRING_EXT. */
PN_API void pn_term_read_skip(pn_term_reader *r);
/** The name of an atom term in UTF-8 into buf (1021 bytes fit all: 255
 * characters of up to 4, and a NUL is added). Errors: PN_MISMATCH, PN_LIMIT. */
PN_API PN_MUST_USE pn_err pn_term_atom_name(
    pn_term term, char *buf, size_t cap, size_t *ret_len);

/* ---- writing ---------------------------------------------------------- */

/**
 * Writes one term into a growing buffer. The first error sticks and is
 * returned by pn_term_writer_finish. Containers are closed explicitly; counts
 * are patched at the end, and a list of bytes becomes STRING_EXT, exactly as
 * term_to_binary/1 does. Fields are private.
 * Thread: one at a time.
 */
typedef struct pn_term_writer_frame {
    uint32_t at;    /* where the container begins */
    uint32_t last;  /* where its newest element begins */
    uint32_t count; /* elements so far */
    uint32_t kind;
} pn_term_writer_frame;

typedef struct pn_term_writer {
    void *buf; /* pn_buf: own, or borrowed from a link's output */
    size_t start;
    size_t max_bytes;
    pn_term_writer_frame *frames; /* NULL while few is enough */
    uint32_t n_frames;
    uint32_t frames_cap;
    pn_term_writer_frame few[8];
    uint32_t n_top; /* complete terms at top level: must end as 1 */
    pn_err err;
    bool owns_buf;
    bool has_map; /* keys are to be compared at the end */
    bool is_done; /* pn_term_writer_finish has checked everything */
} pn_term_writer;

/** Starts an own buffer; max_bytes 0 means 1048576. Use with
 * pn_term_writer_free. The version byte 131 is written first. */
PN_API void pn_term_writer_init(pn_term_writer *w, size_t max_bytes);
/** Frees everything; harmless after failure, twice, or zero-filled. */
PN_API void pn_term_writer_free(pn_term_writer *w);
/** Forgets what was written, errors too, and begins again; memory is kept, so
 * a writer that is used again and again does not allocate. Harmful after
 * pn_term_writer_free only. */
PN_API void pn_term_writer_reset(pn_term_writer *w);
/**
 * Ends writing: checks that exactly one term is complete.
 * Ownership: *ret_bytes (version byte included) and *ret_term alias the
 * writer and live until it is freed or written again. Either may be NULL.
 * Errors: the first error; PN_INVALID unfinished or more than one term.
 */
PN_API PN_MUST_USE pn_err pn_term_writer_finish(
    pn_term_writer *w, pn_slice *ret_bytes, pn_term *ret_term);
PN_API void pn_term_write_int64(pn_term_writer *w, int64_t value);
PN_API void pn_term_write_uint64(pn_term_writer *w, uint64_t value);
/** magnitude little-endian, len <= 512 */
PN_API void pn_term_write_bignum(
    pn_term_writer *w, bool negative, const uint8_t *magnitude, size_t len);
/** NaN and infinities set PN_INVALID. */
PN_API void pn_term_write_double(pn_term_writer *w, double value);
/** UTF-8, at most 255 characters. Tag 119 or 118. A BEAM peer that has never
 * seen the atom closes the link: docs/TERM.md, "Atoms". */
PN_API void pn_term_write_atom(pn_term_writer *w, const char *name);
PN_API void pn_term_write_atom_n(
    pn_term_writer *w, const char *name, size_t len);
PN_API void pn_term_write_bool(pn_term_writer *w, bool value);
PN_API void pn_term_write_binary(
    pn_term_writer *w, const void *data, size_t len);
/** A C string as a binary, which is what Elixir calls a string. */
PN_API void pn_term_write_string(pn_term_writer *w, const char *text);
/** len bytes of which the last has bits (1..8) used, from the top. */
PN_API void pn_term_write_bitstring(
    pn_term_writer *w, const void *data, size_t len, unsigned bits);
/** A term as it is. Not one complete term, or one that carries a pid, port,
 * reference or fun, sets PN_INVALID: what is opaque to us is never sent on. */
PN_API void pn_term_write_term(pn_term_writer *w, pn_term term);
PN_API void pn_term_write_tuple_begin(pn_term_writer *w);
PN_API void pn_term_write_tuple_end(pn_term_writer *w);
PN_API void pn_term_write_list_begin(pn_term_writer *w);
/** Ends a proper list. An empty one is written as NIL. */
PN_API void pn_term_write_list_end(pn_term_writer *w);
/** Ends a list whose last written element is its tail. */
PN_API void pn_term_write_list_end_improper(pn_term_writer *w);
PN_API void pn_term_write_map_begin(pn_term_writer *w);
/** Ends a map: an even number of elements, key then value. Duplicate keys set
 * PN_INVALID, in pn_term_writer_finish. Pairs keep the order written. */
PN_API void pn_term_write_map_end(pn_term_writer *w);

/* ---- format and match ------------------------------------------------- */

/**
 * Writes a term from a pattern: Erlang-like syntax with directives.
 *
 * `{ }` tuple, `[ ]` list, `[a | b]` improper or cons, `%{k => v, k: v}` map,
 * bare lower-case words and 'quoted' ones atoms, integers, "text" binary, and
 *
 *     ~a  const char *     atom            ~i  int           integer
 *     ~s  const char *     binary          ~l  int64_t       integer
 *     ~b  pn_slice         binary          ~u  uint64_t      integer
 *     ~k  pn_public_key *  binary of 32    ~d  double        float
 *     ~o  int (bool)       true or false   ~t  pn_term       as it is
 *
 * A pattern error sets PN_INVALID (sticky, as in every writer call).
 * Thread: one at a time per writer. Source: docs/TERM.md.
 */
PN_API void pn_term_write_format(pn_term_writer *w, const char *format, ...);
PN_API void pn_term_write_vformat(
    pn_term_writer *w, const char *format, va_list args);

/**
 * Compares term with a pattern of the same syntax and takes values out of it:
 *
 *     ~a  pn_slice *  atom's name (UTF-8)  ~i  int *       in range
 *     ~b  pn_slice *  binary               ~l  int64_t *   in range
 *     ~u  uint64_t *  in range             ~d  double *    float or integer
 *     ~o  bool *      true or false        ~t  pn_term *   anything
 *     ~k  pn_public_key *  binary of 32    _   anything, not taken
 *
 * `[a, b | ~t]` takes what ends a list of two elements, [] of a proper one: the
 * rest of a longer list is no slice of it. `[a, b | _]` takes any list that
 * begins so. A map pattern lists the keys that must be there, as literals;
 * others may be there too.
 * Returns true on a match; otherwise false (also for a pattern that is none, or
 * nests deeper than 32), and the outputs may have been written in part. Slices
 * alias the term. Thread: any.
 */
PN_API PN_MUST_USE bool pn_term_match(pn_term term, const char *pattern, ...);
PN_API PN_MUST_USE bool pn_term_vmatch(
    pn_term term, const char *pattern, va_list args);

/* ---- Elixir syntax ----------------------------------------------------- */

/** Where text stopped being a term. */
typedef struct pn_text_error {
    size_t offset;     /* byte in the text */
    char expected[96]; /* "a value", "'}' or ','", ...; NUL-terminated */
} pn_text_error;

/**
 * Reads one term in Elixir syntax and writes it to w: `%{text: "hi"}`,
 * `{:ok, 1}`, `:atom`, `true`, `nil`, `MyApp.Led`, `[a: 1]`, `'abc'`,
 * `<<1, 2::3>>`, `1_000`, `0xFF`, `-1.5e3`, `"utf8\n"`. No recursion; depth as
 * in limits (NULL: defaults).
 * Errors: PN_INVALID with *ret_error (may be NULL) saying where and what was
 * expected; PN_LIMIT; PN_NOMEM. The writer holds the same error.
 * Thread: one at a time per writer. Source: docs/TERM.md.
 */
PN_API PN_MUST_USE pn_err pn_term_from_text(pn_term_writer *w, const char *text,
    size_t len, const pn_term_limits *limits, pn_text_error *ret_error);

/**
 * Prints a term as `inspect(t, limit: :infinity, printable_limit: :infinity,
 * structs: false, charlists: :as_lists)` does on one line. Opaque terms print
 * as `#PID<...>`-like marks.
 * Ownership: *ret_text is NUL-terminated, *ret_len bytes without the NUL, and
 * the caller's to free(). Errors: PN_NOMEM, PN_INVALID (the empty term).
 * Thread: any. Source: docs/TERM.md.
 */
PN_API PN_MUST_USE pn_err pn_term_to_text(
    pn_term term, char **ret_text, size_t *ret_len);

PN_END_DECLS

#endif

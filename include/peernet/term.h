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
 * of length 0 is the empty term: none. */
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

/** The limits of pn_term_parse. 0 in a field means its default; other values
 * are clamped to the range. */
typedef struct pn_term_limits {
    size_t size;         /* sizeof(pn_term_limits); set by the init macro */
    uint32_t max_depth;  /* nesting; default 512, range 1..65535 */
    uint32_t max_bytes;  /* whole input; default 1048576, range 1..2^31 */
    uint32_t max_bignum; /* magnitude bytes; default 512, range 8..65535 */
} pn_term_limits;

#define pn_term_limits_init(limits)                                            \
    pn_term_limits_init_sized((limits), sizeof(pn_term_limits))
/**
 * Sets all limits to 0; size: sizeof(pn_term_limits) in the caller's header,
 * which the macro passes. Thread: any.
 */
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
 * limits, ret_error: may be NULL. A map with a key twice is refused: keys are
 * compared by hashes of 128 bits, each with each in a small map and through a
 * table in a larger one. Allocates nothing unless the maps that are open hold
 * more than 64 keys (memory is proportional to the pairs present, never to a
 * promised count) or the term nests deeper than 512.
 * Ownership: *ret_term aliases data and lives as long as it.
 * Errors: PN_MALFORMED no term, or one that is refused; PN_LIMIT over a limit;
 * PN_NOMEM. *ret_term is untouched then, and *ret_error says where and why.
 * Thread: any.
 * Source: Erlang External Term Format; docs/TERM.md, "Taking terms".
 */
PN_API PN_MUST_USE pn_err pn_term_parse(const void *data, size_t len,
    const pn_term_limits *limits, pn_term *ret_term, pn_term_error *ret_error);

/** Returns the kind of term; PN_TERM_NONE when it is empty. Thread: any. */
PN_API pn_term_type pn_term_type_of(pn_term term);

/**
 * True when both are the same value: the same bytes, or another spelling of it
 * (tags of atoms, lengths of integers, STRING_EXT, order of map pairs). 1 and
 * 1.0 differ, 0.0 and -0.0 do not. False also when there is no memory to
 * compare other spellings.
 * Thread: any. Source: docs/TERM.md, "Equal values".
 */
PN_API bool pn_term_equal(pn_term a, pn_term b);

/** True when term is the atom called name (UTF-8). Thread: any. */
PN_API bool pn_term_is_atom(pn_term term, const char *name);

/**
 * Copies a term to the heap.
 * Ownership: ret_copy->data is the caller's to free().
 * Errors: PN_NOMEM; PN_INVALID the empty term. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_term_copy(pn_term term, pn_term *ret_copy);

/* ---- reading ---------------------------------------------------------- */

/**
 * A cursor over one term or over the elements of a container.
 *
 * The first error sticks: later reads return zero values, and the caller asks
 * once at the end, with pn_term_reader_finish. Fields are private. Reading a
 * container (tuple, list, map) opens it: the elements follow in order, keys
 * and values of a map in turn, and a list is followed by its tail (read it
 * with pn_term_read_nil, or anything else for an improper list). A STRING_EXT
 * reads as a list of small integers.
 *
 * A reader is used by one thread at a time and allocates nothing. It aliases
 * the term, and so do slices and terms that it returns.
 */
typedef struct pn_term_reader {
    const uint8_t *at;
    const uint8_t *end;
    pn_err err;
    uint32_t string_left; /* elements of an open STRING_EXT, + 1 for its nil */
} pn_term_reader;

/** Starts reading term, which may be empty. Thread: the reader's. */
PN_API void pn_term_reader_init(pn_term_reader *r, pn_term term);

/**
 * Ends reading.
 * Errors: the first that a read has set; PN_MISMATCH elements are left.
 * Thread: the reader's.
 */
PN_API PN_MUST_USE pn_err pn_term_reader_finish(pn_term_reader *r);

/**
 * Returns the type of the next element; PN_TERM_NONE at the end or after an
 * error. Thread: the reader's.
 */
PN_API pn_term_type pn_term_reader_peek(const pn_term_reader *r);

/**
 * Read the next element as a number: an integer that fits, or for a double a
 * float or an integer of at most 53 bits. Any other element, or none, sets
 * PN_MISMATCH and returns 0; this goes for all reads below. Thread: the
 * reader's.
 */
PN_API int64_t pn_term_read_int64(pn_term_reader *r);
PN_API uint64_t pn_term_read_uint64(pn_term_reader *r);
PN_API double pn_term_read_double(pn_term_reader *r);

/**
 * Reads an integer of any size into buf, which has room for cap bytes (512 fit
 * all): its magnitude, little-endian without trailing zeros. Returns the bytes
 * written. Sets PN_LIMIT if cap is too small. Thread: the reader's.
 */
PN_API size_t pn_term_read_bignum(
    pn_term_reader *r, bool *ret_negative, uint8_t *buf, size_t cap);

/**
 * Reads an atom's name in UTF-8. A Latin-1 name (tags 100, 115) with bytes over
 * 127 sets PN_MISMATCH; pn_term_atom_name reads those. Ownership: aliases the
 * term. Thread: the reader's.
 */
PN_API pn_slice pn_term_read_atom(pn_term_reader *r);

/**
 * Read the bytes of a binary; of a bitstring, or a binary, also in *ret_bits
 * how many bits of the last byte count, 1..8. Ownership: aliases the term.
 * Thread: the reader's.
 */
PN_API pn_slice pn_term_read_binary(pn_term_reader *r);
PN_API pn_slice pn_term_read_bitstring(pn_term_reader *r, unsigned *ret_bits);

/**
 * Open a container and return its elements, of a map its pairs. After the
 * elements of a list comes its tail, but the empty list, 0, has none. Thread:
 * the reader's.
 */
PN_API uint32_t pn_term_read_tuple(pn_term_reader *r);
PN_API uint32_t pn_term_read_list(pn_term_reader *r);
PN_API uint32_t pn_term_read_map(pn_term_reader *r);

/** Reads an empty list, which ends a proper list. Thread: the reader's. */
PN_API void pn_term_read_nil(pn_term_reader *r);

/**
 * Reads any one element, whole; a list's tail counts as an element. Ownership:
 * an element of a STRING_EXT is static storage, others alias the term. Thread:
 * the reader's.
 */
PN_API pn_term pn_term_read_any(pn_term_reader *r);

/** Skips any one element, as pn_term_read_any. Thread: the reader's. */
PN_API void pn_term_read_skip(pn_term_reader *r);

/**
 * Copies the name of an atom in UTF-8 to buf, with a NUL behind it; *ret_len is
 * without the NUL. 1021 bytes fit all: 255 characters of up to 4, and the NUL.
 * Errors: PN_MISMATCH term is no atom; PN_LIMIT cap is too small.
 * Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_term_atom_name(
    pn_term term, char *buf, size_t cap, size_t *ret_len);

/* ---- writing ---------------------------------------------------------- */

/*
 * A writer writes one term into a growing buffer. The first error sticks and is
 * returned by pn_term_writer_finish: PN_TOO_LARGE over max_bytes, PN_NOMEM, or
 * PN_INVALID for a value or a sequence of calls that makes no term. Containers
 * are closed explicitly; counts are patched at the end, and a list of bytes
 * becomes STRING_EXT, exactly as term_to_binary/1 does. Values are copied.
 *
 * A writer is used by one thread at a time. Fields are private.
 */
typedef struct pn_term_writer_frame {
    uint32_t at;    /* where the container begins */
    uint32_t last;  /* where its newest element begins */
    uint32_t count; /* elements so far */
    uint32_t kind;
} pn_term_writer_frame;

typedef struct pn_term_writer {
    void *buf; /* its own, or a link's output */
    size_t start;
    size_t max_bytes;
    pn_term_writer_frame *frames; /* NULL while few is enough */
    uint32_t n_frames;
    uint32_t frames_cap;
    pn_term_writer_frame few[8];
    uint32_t n_top; /* complete terms at top level: must end as 1 */
    pn_err err;
    bool owns_buf;
    bool has_map;          /* keys are to be compared at the end */
    bool is_done;          /* pn_term_writer_finish has checked everything */
    bool counts_atoms;     /* whether new_atoms counts */
    uint32_t new_atoms;    /* those that a BEAM peer may not know */
    uint32_t n_containers; /* tuples, lists and maps so far */
} pn_term_writer;

/**
 * Starts a writer with a buffer of its own, which begins with the version byte
 * 131. max_bytes: most of the finished term, version byte included; 0: 1048576.
 * Ownership: the caller's until pn_term_writer_free. Thread: the writer's.
 */
PN_API void pn_term_writer_init(pn_term_writer *w, size_t max_bytes);

/**
 * Frees a writer's memory; also of one that failed, was freed, or is
 * zero-filled. Thread: the writer's.
 */
PN_API void pn_term_writer_free(pn_term_writer *w);

/**
 * Drops the term and the error and begins again; memory is kept, so that a
 * writer that is used repeatedly does not allocate. Not to be called after
 * pn_term_writer_free. Thread: the writer's.
 */
PN_API void pn_term_writer_reset(pn_term_writer *w);

/**
 * Ends writing: checks that exactly one term is complete.
 * Ownership: *ret_bytes (version byte included) and *ret_term, either may be
 * NULL, alias the writer and live until it is freed or reset.
 * Errors: the first of the writer; PN_INVALID no term, an unfinished one, more
 * than one, or a map with a key twice; PN_TOO_LARGE; PN_NOMEM; PN_STATE after
 * pn_term_writer_free.
 * Thread: the writer's. Source: docs/TERM.md, "Writing".
 */
PN_API PN_MUST_USE pn_err pn_term_writer_finish(
    pn_term_writer *w, pn_slice *ret_bytes, pn_term *ret_term);

/** Write an integer in its shortest form. Thread: the writer's. */
PN_API void pn_term_write_int64(pn_term_writer *w, int64_t value);
PN_API void pn_term_write_uint64(pn_term_writer *w, uint64_t value);

/**
 * Writes an integer in its shortest form. magnitude: little-endian, len bytes;
 * more than 512 without trailing zeros set PN_INVALID. Thread: the writer's.
 */
PN_API void pn_term_write_bignum(
    pn_term_writer *w, bool negative, const uint8_t *magnitude, size_t len);

/** Writes a float; NaN and infinities set PN_INVALID. Thread: the writer's. */
PN_API void pn_term_write_double(pn_term_writer *w, double value);

/**
 * Write an atom, NUL-terminated or of len bytes: UTF-8, at most 255 characters,
 * else PN_INVALID; tag 119 or 118. A BEAM peer that does not know the atom
 * closes the link. Thread: the writer's. Source: docs/TERM.md, "Atoms".
 */
PN_API void pn_term_write_atom(pn_term_writer *w, const char *name);
PN_API void pn_term_write_atom_n(
    pn_term_writer *w, const char *name, size_t len);

/** Writes the atom true or false. Thread: the writer's. */
PN_API void pn_term_write_bool(pn_term_writer *w, bool value);

/**
 * Write a binary: len bytes, or a C string without its NUL, which is what
 * Elixir calls a string. Thread: the writer's.
 */
PN_API void pn_term_write_binary(
    pn_term_writer *w, const void *data, size_t len);
PN_API void pn_term_write_string(pn_term_writer *w, const char *text);

/**
 * Writes a bitstring: len bytes, of which the last has its upper bits (1..8)
 * used; 8 is a binary. Another number sets PN_INVALID. Thread: the writer's.
 */
PN_API void pn_term_write_bitstring(
    pn_term_writer *w, const void *data, size_t len, unsigned bits);

/**
 * Writes a term as it is. One that is not complete, or that carries a pid,
 * port, reference or fun, sets PN_INVALID: opaque terms are never sent on.
 * Thread: the writer's. Source: docs/TERM.md, "Opaque terms".
 */
PN_API void pn_term_write_term(pn_term_writer *w, pn_term term);

/**
 * Begin and end a container, with its elements between; of a map key and value
 * in turn, in an order that is kept. An end that does not belong to the last
 * begin, or an odd number of elements in a map, sets PN_INVALID; a key twice
 * does so in pn_term_writer_finish. The last element of an improper list is its
 * tail. Thread: the writer's.
 */
PN_API void pn_term_write_tuple_begin(pn_term_writer *w);
PN_API void pn_term_write_tuple_end(pn_term_writer *w);
PN_API void pn_term_write_list_begin(pn_term_writer *w);
PN_API void pn_term_write_list_end(pn_term_writer *w);
PN_API void pn_term_write_list_end_improper(pn_term_writer *w);
PN_API void pn_term_write_map_begin(pn_term_writer *w);
PN_API void pn_term_write_map_end(pn_term_writer *w);

/* ---- format and match ------------------------------------------------- */

/**
 * Write a term from a pattern: Erlang-like syntax with directives.
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
 * An error in the pattern sets PN_INVALID, and so does a NULL for ~a, ~s or ~k.
 * Thread: the writer's. Source: docs/TERM.md, "Patterns".
 */
PN_API void pn_term_write_format(pn_term_writer *w, const char *format, ...);
PN_API void pn_term_write_vformat(
    pn_term_writer *w, const char *format, va_list args);

/**
 * Compare term with a pattern of the same syntax and take values out of it:
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
 * Return true on a match; otherwise false, also for an error in the pattern and
 * for one nested deeper than 32, and outputs may have been written in part.
 * Ownership: slices alias the term. Thread: any.
 * Source: docs/TERM.md, "Patterns".
 */
PN_API PN_MUST_USE bool pn_term_match(pn_term term, const char *pattern, ...);
PN_API PN_MUST_USE bool pn_term_vmatch(
    pn_term term, const char *pattern, va_list args);

/* ---- Elixir syntax ----------------------------------------------------- */

/** The place where a text stops to be a term. */
typedef struct pn_text_error {
    size_t offset;     /* byte in the text */
    char expected[96]; /* "a value", "'}' or ','", ...; NUL-terminated */
} pn_text_error;

/**
 * Reads one term in Elixir syntax and writes it to w: `%{text: "hi"}`,
 * `{:ok, 1}`, `:atom`, `true`, `nil`, `MyApp.Led`, `[a: 1]`, `'abc'`,
 * `<<1, 2::3>>`, `1_000`, `0xFF`, `-1.5e3`, `"utf8\n"`. No recursion; depth as
 * in limits (NULL: defaults).
 * Errors: PN_INVALID not a term, or not one that can be written; PN_LIMIT
 * nested over max_depth, or an integer over max_bignum; PN_TOO_LARGE over the
 * writer's max_bytes; PN_NOMEM. *ret_error (may be NULL) says where and what
 * was expected. The writer holds the same error. Thread: the writer's. Source:
 * docs/TERM.md, "Elixir text".
 */
PN_API PN_MUST_USE pn_err pn_term_from_text(pn_term_writer *w, const char *text,
    size_t len, const pn_term_limits *limits, pn_text_error *ret_error);

/**
 * Prints a term as `inspect(t, limit: :infinity, printable_limit: :infinity,
 * structs: false, charlists: :as_lists)` does on one line. Opaque terms print
 * as `#PID<...>`-like marks.
 * Ownership: *ret_text is NUL-terminated, *ret_len bytes without the NUL, and
 * the caller's to free().
 * Errors: PN_INVALID the empty term, or bytes that are no term; PN_NOMEM.
 * Thread: any. Source: docs/TERM.md, "Elixir text".
 */
PN_API PN_MUST_USE pn_err pn_term_to_text(
    pn_term term, char **ret_text, size_t *ret_len);

PN_END_DECLS

#endif

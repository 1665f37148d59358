/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON to terms. jansson parses the text: it checks sizes, escapes, UTF-8,
 * numbers and duplicate keys, and its tree is bounded by the size of the text.
 * This walks the tree with a stack of its own and writes the term; integers
 * beyond 64 bits come as "$int".
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mutant.h"
#include "base/utf8.h"
#include "json.h"
#include "peer_text.h"

typedef enum frame_kind {
    FRAME_LIST,
    FRAME_IMPROPER, /* a list whose tail is being read */
    FRAME_TUPLE,
    FRAME_PAIRS,
    FRAME_OBJECT
} frame_kind;

static const struct {
    void (*begin)(pn_term_writer *w);
    void (*end)(pn_term_writer *w);
} containers[] = {
    [FRAME_LIST] = {pn_term_write_list_begin, pn_term_write_list_end},
    [FRAME_IMPROPER] = {NULL, pn_term_write_list_end_improper},
    [FRAME_TUPLE] = {pn_term_write_tuple_begin, pn_term_write_tuple_end},
    [FRAME_PAIRS] = {pn_term_write_map_begin, pn_term_write_map_end},
    [FRAME_OBJECT] = {pn_term_write_map_begin, pn_term_write_map_end},
};

typedef struct frame {
    frame_kind kind;
    size_t next;        /* array: the element to come; pairs: twice */
    const json_t *json; /* the array, or the object */
    void *iter;         /* of an object */
} frame;

typedef struct walk {
    pn_term_writer *writer;
    cli_json_error *error;
    size_t n_frames;
    frame frames[CLI_JSON_MAX_DEPTH];
    cli_text scratch;
} walk;

/* ---- errors ------------------------------------------------------------- */

static pn_err refuse(walk *w, const char *format, ...) PN_PRINTF(2, 3);

static pn_err refuse(walk *w, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(w->error->text, sizeof(w->error->text), format, args);
    va_end(args);
    return PN_INVALID;
}

/* The token that was met, shortened and safe to print. */
static const char *quoted(walk *w, const char *text, size_t len)
{
    cli_text_clear(&w->scratch);
    cli_escape(&w->scratch, text, len, 40);
    return cli_text_string(&w->scratch);
}

static pn_err write_atom(walk *w, const char *name, size_t len)
{
    size_t n_chars = 0;

    for (size_t i = 0; i < len; i++) {
        n_chars += ((unsigned char)name[i] & 0xc0) != 0x80;
    }
    if (n_chars > 255) {
        return refuse(w, "an atom has at most 255 characters, found '%s'",
            quoted(w, name, len));
    }
    pn_term_write_atom_n(w->writer, name, len);
    return PN_OK;
}

/* ---- tagged values ------------------------------------------------------ */

static pn_err read_atom(walk *w, const json_t *value)
{
    if (!json_is_string(value)) {
        return refuse(w, "\"$atom\" takes a string");
    }
    return write_atom(w, json_string_value(value), json_string_length(value));
}

static pn_err read_binary(walk *w, const json_t *value)
{
    if (json_is_string(value)) {
        cli_text_clear(&w->scratch);
        if (cli_base64_decode(&w->scratch, json_string_value(value),
                json_string_length(value))) {
            pn_term_write_binary(w->writer, w->scratch.data, w->scratch.len);
            return PN_OK;
        }
    }
    return refuse(w, "\"$binary\" takes a string of Base64 with padding");
}

static pn_err read_bitstring(walk *w, const json_t *value)
{
    const json_t *bytes = json_array_get(value, 0);
    const json_t *used = json_array_get(value, 1);
    json_int_t bits = json_integer_value(used);

    if (json_array_size(value) == 2 && json_is_string(bytes)
        && json_is_integer(used) && bits >= 1 && bits <= 8) {
        cli_text_clear(&w->scratch);
        if (cli_base64_decode(&w->scratch, json_string_value(bytes),
                json_string_length(bytes))
            && w->scratch.len > 0) {
            pn_term_write_bitstring(
                w->writer, w->scratch.data, w->scratch.len, (unsigned)bits);
            return PN_OK;
        }
    }
    return refuse(w, "\"$bitstring\" takes [BASE64, BITS USED OF THE LAST "
                     "BYTE]");
}

/* One spelling of each integer: no sign but '-', no zeros in front. */
static bool is_decimal(const char *text, size_t len)
{
    size_t sign = text[0] == '-' ? 1 : 0;

    return len > sign && strspn(text + sign, "0123456789") == len - sign
           && (text[sign] != '0' || len == 1);
}

static pn_err read_int(walk *w, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    pn_err err = PN_INVALID;

    if (w->writer->err != PN_OK) {
        return PN_OK; /* said once, for all of it */
    }
    if (text != NULL && is_decimal(text, len)) {
        err = pn_term_from_text(w->writer, text, len, NULL, NULL);
    }
    return err == PN_INVALID || err == PN_LIMIT
               ? refuse(w, "\"$int\" takes a string of decimal digits, at "
                           "most 512 bytes of number")
               : PN_OK;
}

/* "$float" exists because tools between us rewrite 1.0 as 1. */
static pn_err read_float(walk *w, const json_t *value)
{
    cli_json_error ignored;
    json_t *number = NULL;
    pn_err err = PN_INVALID;

    if (json_is_string(value)) {
        number = cli_json_load(
            json_string_value(value), json_string_length(value), &ignored);
    } else if (json_is_number(value)) {
        number = json_copy((json_t *)(uintptr_t)value);
    }
    if (json_is_number(number)) {
        pn_term_write_double(w->writer, json_number_value(number));
        err = PN_OK;
    }
    json_decref(number);
    return err == PN_INVALID ? refuse(w, "\"$float\" takes a number") : err;
}

static pn_err read_charlist(walk *w, const json_t *value)
{
    const uint8_t *at = (const uint8_t *)json_string_value(value);
    size_t left = at == NULL ? 0 : json_string_length(value);

    if (at == NULL) {
        return refuse(w, "\"$charlist\" takes a string");
    }
    pn_term_write_list_begin(w->writer);
    while (left > 0) {
        uint32_t code_point = 0;
        size_t n = pn_utf8_decode(at, at + left, &code_point);

        if (n == 0) {
            return refuse(w, "\"$charlist\" takes a string of UTF-8");
        }
        pn_term_write_int64(w->writer, (int64_t)code_point);
        at += n;
        left -= n;
    }
    pn_term_write_list_end(w->writer);
    return PN_OK;
}

/* ---- containers --------------------------------------------------------- */

static pn_err push(walk *w, frame_kind kind, const json_t *json, void *iter)
{
    if (PN_REFUSE_IF(cli_json_depth, w->n_frames >= CLI_JSON_MAX_DEPTH)) {
        return refuse(w, "nested deeper than %d", CLI_JSON_MAX_DEPTH);
    }
    w->frames[w->n_frames++] = (frame){kind, 0, json, iter};
    containers[kind].begin(w->writer);
    return PN_OK;
}

static pn_err pop(walk *w)
{
    containers[w->frames[--w->n_frames].kind].end(w->writer);
    return PN_OK;
}

static pn_err read_array(
    walk *w, const char *tag, frame_kind kind, const json_t *value)
{
    if (!json_is_array(value)) {
        return refuse(w, "\"%s\" takes an array", tag);
    }
    return push(w, kind, value, NULL);
}

/* An object whose one key begins with '$'. */
static pn_err read_tagged(walk *w, const char *tag, const json_t *value)
{
    static const struct {
        const char *tag;
        pn_err (*read)(walk *w, const json_t *value);
    } leaves[] = {
        {"$atom", read_atom},
        {"$binary", read_binary},
        {"$bitstring", read_bitstring},
        {"$int", read_int},
        {"$float", read_float},
        {"$charlist", read_charlist},
    };

    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        if (strcmp(tag, leaves[i].tag) == 0) {
            return leaves[i].read(w, value);
        }
    }
    if (strcmp(tag, "$tuple") == 0) {
        return read_array(w, tag, FRAME_TUPLE, value);
    }
    if (strcmp(tag, "$map") == 0) {
        return read_array(w, tag, FRAME_PAIRS, value);
    }
    if (PN_REFUSE_IF(cli_json_opaque, strcmp(tag, "$opaque") == 0)) {
        return refuse(w, "an \"$opaque\" term (pid, port, reference, fun) "
                         "can be shown but not sent");
    }
    if (strcmp(tag, "$tail") == 0) {
        return refuse(w, "\"$tail\" may only be the last of two or more "
                         "elements of an array, and no list itself");
    }
    return refuse(w, "expected a tag such as \"$atom\", found '%s'",
        quoted(w, tag, strlen(tag)));
}

static pn_err read_object(walk *w, const json_t *json)
{
    json_t *object = (json_t *)(uintptr_t)json;
    void *iter = json_object_iter(object);
    const char *key = iter == NULL ? "" : json_object_iter_key(iter);

    if (key[0] == '$' && json_object_size(json) == 1) {
        return read_tagged(w, key, json_object_iter_value(iter));
    }
    return push(w, FRAME_OBJECT, json, iter);
}

static pn_err read_value(walk *w, const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return read_object(w, json);
    case JSON_ARRAY:
        return push(w, FRAME_LIST, json, NULL);
    case JSON_STRING:
        pn_term_write_binary(
            w->writer, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER:
        pn_term_write_int64(w->writer, json_integer_value(json));
        break;
    case JSON_REAL:
        pn_term_write_double(w->writer, json_real_value(json));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        pn_term_write_bool(w->writer, json_is_true(json));
        break;
    case JSON_NULL:
        pn_term_write_atom(w->writer, "nil");
        break;
    }
    return PN_OK;
}

/* ---- steps -------------------------------------------------------------- */

/* {"$tail": X} as the last element of an array; else NULL. */
static const json_t *tail_of(const json_t *element)
{
    return json_object_size(element) == 1 ? json_object_get(element, "$tail")
                                          : NULL;
}

/* A list as the tail of a list would be a second spelling of one list. */
static bool is_list(const json_t *json)
{
    return json_is_array(json)
           || (json_object_size(json) == 1
               && json_object_get(json, "$charlist") != NULL);
}

static pn_err step_array(walk *w, frame *f)
{
    size_t size = json_array_size(f->json);
    const json_t *element = json_array_get(f->json, f->next);
    const json_t *tail = NULL;

    if (f->next++ == size) {
        return pop(w);
    }
    if (f->kind == FRAME_LIST) {
        tail = tail_of(element);
    }
    if (tail != NULL && f->next == size && size > 1 && !is_list(tail)) {
        f->kind = FRAME_IMPROPER;
        return read_value(w, tail);
    }
    return read_value(w, element);
}

/* [[k, v], ...]: next counts keys and values. */
static pn_err step_pairs(walk *w, frame *f)
{
    const json_t *pair = json_array_get(f->json, f->next / 2);
    size_t side = f->next % 2;

    if (f->next++ == json_array_size(f->json) * 2) {
        return pop(w);
    }
    if (json_array_size(pair) != 2) {
        return refuse(w, "\"$map\" takes an array of [KEY, VALUE]");
    }
    return read_value(w, json_array_get(pair, side));
}

static pn_err step_object(walk *w, frame *f)
{
    const char *key;
    const json_t *value;

    if (f->iter == NULL) {
        return pop(w);
    }
    key = json_object_iter_key(f->iter);
    value = json_object_iter_value(f->iter);
    f->iter = json_object_iter_next((json_t *)(uintptr_t)f->json, f->iter);
    if (key[0] == '$') {
        return refuse(w,
            "the key '%s' begins with '$': write the map as "
            "{\"$map\": [[KEY, VALUE], ...]}",
            quoted(w, key, strlen(key)));
    }
    if (key[0] != ':') {
        pn_term_write_string(w->writer, key);
    } else if (write_atom(w, key + 1, strlen(key + 1)) != PN_OK) {
        return PN_INVALID;
    }
    return read_value(w, value);
}

static pn_err step(walk *w)
{
    frame *f = &w->frames[w->n_frames - 1];

    return f->kind == FRAME_PAIRS    ? step_pairs(w, f)
           : f->kind == FRAME_OBJECT ? step_object(w, f)
                                     : step_array(w, f);
}

/* Finishes the writer and turns its error into a sentence. Keys are the only
 * thing that it can still refuse as invalid. */
static pn_err finish(walk *w)
{
    pn_err err = pn_term_writer_finish(w->writer, NULL, NULL);

    if (err == PN_INVALID) {
        return refuse(w, "a map has the same key twice");
    }
    if (err != PN_OK) {
        (void)snprintf(w->error->text, sizeof(w->error->text), "%s",
            err == PN_LIMIT ? "the term is too large" : pn_strerror(err));
    }
    return err;
}

pn_err cli_json_to_term(
    const json_t *json, pn_term_writer *writer, cli_json_error *ret_error)
{
    walk w;
    pn_err err;

    w.writer = writer;
    w.error = ret_error;
    w.n_frames = 0;
    w.scratch = (cli_text){0};
    ret_error->text[0] = '\0';
    err = read_value(&w, json);
    while (err == PN_OK && w.n_frames > 0) {
        err = step(&w);
    }
    if (err == PN_OK) {
        err = finish(&w);
    }
    if (w.scratch.failed && err == PN_INVALID) {
        err = PN_NOMEM;
    }
    cli_text_fini(&w.scratch);
    return err;
}

json_t *cli_json_load(const char *text, size_t len, cli_json_error *ret_error)
{
    json_error_t error;
    json_t *json = json_loadb(text, len,
        JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);

    if (json == NULL) {
        cli_text safe = {0};

        cli_escape(&safe, error.text, strlen(error.text), 100);
        (void)snprintf(ret_error->text, sizeof(ret_error->text),
            "%s (line %d, column %d)%s", cli_text_string(&safe), error.line,
            error.column,
            json_error_code(&error) == json_error_numeric_overflow
                ? "; write it as {\"$int\": \"...\"}"
                : "");
        cli_text_fini(&safe);
    }
    return json;
}

pn_err cli_json_text_to_term(
    const char *text, size_t len, pn_term_writer *w, cli_json_error *ret_error)
{
    json_t *json = cli_json_load(text, len, ret_error);
    pn_err err;

    if (json == NULL) {
        return PN_INVALID;
    }
    err = cli_json_to_term(json, w, ret_error);
    json_decref(json);
    return err;
}

/* The bytes that jansson takes for each, rounded up. */
enum { TREE_OBJECT = 320, TREE_ARRAY = 160, TREE_VALUE = 64 };

/* Brackets and commas within strings count as well, so the estimate is an upper
 * bound. */
static size_t tree_bytes(const char *text, size_t len)
{
    size_t bytes = len;

    for (size_t i = 0; i < len; i++) {
        switch (text[i]) {
        case '{':
            bytes += TREE_OBJECT;
            break;
        case '[':
            bytes += TREE_ARRAY;
            break;
        case ',':
        case ':':
            bytes += TREE_VALUE;
            break;
        default:
            break;
        }
    }
    return bytes;
}

static bool is_heavy(const char *text, size_t len, cli_json_error *ret_error)
{
    if (PN_REFUSE_IF(
            cli_json_tree, tree_bytes(text, len) > CLI_JSON_MAX_TREE)) {
        (void)snprintf(ret_error->text, sizeof(ret_error->text),
            "expected fewer values: reading them takes more than %zu MiB",
            CLI_JSON_MAX_TREE >> 20);
        return true;
    }
    return false;
}

json_t *cli_json_load_foreign(
    const char *text, size_t len, cli_json_error *ret_error)
{
    return is_heavy(text, len, ret_error) ? NULL
                                          : cli_json_load(text, len, ret_error);
}

pn_err cli_json_foreign_to_term(
    const char *text, size_t len, pn_term_writer *w, cli_json_error *ret_error)
{
    return is_heavy(text, len, ret_error)
               ? PN_LIMIT
               : cli_json_text_to_term(text, len, w, ret_error);
}

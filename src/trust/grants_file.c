/* SPDX-License-Identifier: Apache-2.0 */
/* The file of grants: reading and editing; see grants_file.h. Lookup, which
 * runs for messages, is in grants_find.c. */
#include "trust/grants_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/mutant.h"
#include "base/slice.h"
#include "base/utf8.h"
#include "trust/datetime.h"
#include "trust/grants_find.h"

#define HEADING "# Who may use what: edited by peernet(1), and by hand.\n"
#define ROLE_PREFIX "role:"
#define ELIXIR_PREFIX "Elixir."

enum {
    HANDLE_MAX = 255, /* bytes, as of pn_expose */
    /* A longer one is cut where it is shown, so two of them could look alike.
     */
    FUNCTION_MAX = 510,
    ROLE_NAME_MAX = 64,
    ROLE_LINE_WIDTH = 76
};

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* ---- names --------------------------------------------------------------- */

static size_t span(pn_slice text, size_t from, const char *set)
{
    size_t n = from;

    while (n < text.len && text.data[n] != '\0'
           && strchr(set, (char)text.data[n]) != NULL) {
        n++;
    }
    return n - from;
}

bool pn_role_name_is_valid(pn_slice name)
{
    return name.len >= 1 && name.len <= ROLE_NAME_MAX
           && span(name, 0, DIGITS LETTERS "_-") == name.len;
}

static bool begins(pn_slice text, const char *with)
{
    const size_t n = strlen(with);

    return text.len >= n && memcmp(text.data, with, n) == 0;
}

static pn_slice after(pn_slice text, size_t n)
{
    return (pn_slice){text.data + n, text.len - n};
}

/* "MyApp.Led.set/1": a dot, and at the end a slash and digits. */
static bool is_function(pn_slice text)
{
    size_t slash = text.len;

    while (slash > 0 && text.data[slash - 1] != '/') {
        slash--;
    }
    return slash > 0 && slash < text.len
           && span(text, slash, DIGITS) == text.len - slash
           && memchr(text.data, '.', slash) != NULL;
}

/* is_quoted: a quoted "role:x" is a handle's name. */
static pn_err name_of(
    pn_slice text, bool is_quoted, pn_name_kind *ret_kind, pn_slice *ret_name)
{
    pn_name_kind kind = PN_NAME_HANDLE;
    size_t max = HANDLE_MAX;

    if (!is_quoted && begins(text, ROLE_PREFIX)) {
        text = after(text, strlen(ROLE_PREFIX));
        if (!pn_role_name_is_valid(text)) {
            return PN_INVALID;
        }
        kind = PN_NAME_ROLE;
    } else if (is_function(text)) {
        kind = PN_NAME_FUNCTION;
        max = FUNCTION_MAX;
        text = begins(text, ELIXIR_PREFIX) ? after(text, strlen(ELIXIR_PREFIX))
                                           : text;
    }
    if (text.len == 0 || PN_REFUSE_IF(grants_name_length, text.len > max)
        || memchr(text.data, '\0', text.len) != NULL
        || !pn_utf8_check(text.data, text.len, NULL)) {
        return PN_INVALID;
    }
    *ret_kind = kind;
    *ret_name = text;
    return PN_OK;
}

pn_err pn_name_read(
    const char *text, pn_name_kind *ret_kind, pn_slice *ret_name)
{
    return name_of(pn_slice_of(text), false, ret_kind, ret_name);
}

void pn_name_write(pn_name_kind kind, pn_slice name, char *ret_name, size_t cap)
{
    (void)snprintf(ret_name, cap, "%s%.*s",
        kind == PN_NAME_ROLE ? ROLE_PREFIX : "", (int)name.len,
        (const char *)name.data);
}

/* ---- times --------------------------------------------------------------- */

static bool take_number(
    pn_slice text, size_t from, size_t n, char behind, int *ret_number)
{
    int number = 0;

    if (span((pn_slice){text.data, from + n}, from, DIGITS) != n
        || text.data[from + n] != (uint8_t)behind) {
        return false;
    }
    for (size_t i = from; i < from + n; i++) {
        number = number * 10 + (text.data[i] - '0');
    }
    *ret_number = number;
    return true;
}

pn_err pn_until_read(pn_slice text, int64_t *ret_us)
{
    pn_datetime d = {0};
    int64_t us;

    if (text.len != PN_UNTIL_LEN || !take_number(text, 0, 4, '-', &d.year)
        || !take_number(text, 5, 2, '-', &d.month)
        || !take_number(text, 8, 2, 'T', &d.day)
        || !take_number(text, 11, 2, ':', &d.hour)
        || !take_number(text, 14, 2, ':', &d.minute)
        || !take_number(text, 17, 2, 'Z', &d.second)
        || !pn_datetime_is_valid(&d)) {
        return PN_INVALID;
    }
    us = pn_datetime_to_us(&d);
    if (us < 0) {
        return PN_INVALID;
    }
    *ret_us = us;
    return PN_OK;
}

pn_err pn_grant_until_parse(const char *text, int64_t *ret_until_us)
{
    return pn_until_read(pn_slice_of(text), ret_until_us);
}

void pn_until_write(int64_t us, char ret_text[static PN_UNTIL_LEN + 1])
{
    char text[80];
    pn_datetime d;

    pn_datetime_from_us(us, &d);
    (void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02dZ", d.year,
        d.month, d.day, d.hour, d.minute, d.second);
    memcpy(ret_text, text, PN_UNTIL_LEN);
    ret_text[PN_UNTIL_LEN] = '\0';
}

/* ---- the words of a line ------------------------------------------------- */

typedef enum word_kind {
    WORD_BARE,
    WORD_QUOTED,
    WORD_NONE,  /* the line ends, or a comment begins */
    WORD_BROKEN /* a quote or a '#' where none can be */
} word_kind;

typedef struct words {
    const char *at;
    const char *end;
    char *room; /* for the next quoted word */
} words;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool ends_word(const words *w)
{
    return w->at == w->end || is_blank(*w->at);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Behind a backslash. */
static bool take_escape(words *w, char *ret_c)
{
    const size_t left = (size_t)(w->end - w->at);

    if (left >= 1 && (*w->at == '"' || *w->at == '\\')) {
        *ret_c = *w->at++;
        return true;
    }
    if (left >= 3 && w->at[0] == 'x' && hex_digit(w->at[1]) >= 0
        && hex_digit(w->at[2]) >= 0) {
        *ret_c = (char)(hex_digit(w->at[1]) * 16 + hex_digit(w->at[2]));
        w->at += 3;
        return true;
    }
    return false;
}

/* Behind the first quote. */
static word_kind take_quoted(words *w, pn_slice *ret_word)
{
    const char *start = w->room;

    while (w->at < w->end && *w->at != '"') {
        char c = *w->at++;

        if (c == '\\' && !take_escape(w, &c)) {
            return WORD_BROKEN;
        }
        *w->room++ = c;
    }
    if (w->at == w->end) {
        return WORD_BROKEN;
    }
    w->at++;
    *ret_word = (pn_slice){(const uint8_t *)start, (size_t)(w->room - start)};
    return ends_word(w) ? WORD_QUOTED : WORD_BROKEN;
}

static word_kind take_word(words *w, pn_slice *ret_word)
{
    const char *start;

    while (w->at < w->end && is_blank(*w->at)) {
        w->at++;
    }
    if (w->at == w->end || *w->at == '#') {
        return WORD_NONE;
    }
    if (*w->at == '"') {
        w->at++;
        return take_quoted(w, ret_word);
    }
    start = w->at;
    while (!ends_word(w)) {
        if (*w->at == '"' || *w->at == '\\' || *w->at == '#') {
            return WORD_BROKEN;
        }
        w->at++;
    }
    *ret_word = (pn_slice){(const uint8_t *)start, (size_t)(w->at - start)};
    return WORD_BARE;
}

static bool take_bare(words *w, pn_slice *ret_word)
{
    return take_word(w, ret_word) == WORD_BARE;
}

/* ---- a line -------------------------------------------------------------- */

/* Each returns why it is not what was expected; NULL: it is. */
static const char *read_key(words *w, pn_family family, pn_principal *ret_who)
{
    char text[2 * PN_PUBLIC_KEY_LEN + 1];
    pn_slice word;
    pn_err err;

    if (!take_bare(w, &word) || word.len >= sizeof(text)) {
        return "expected a key after the first word";
    }
    memcpy(text, word.data, word.len);
    text[word.len] = '\0';
    *ret_who = (pn_principal){.family = family};
    err = family == PN_FAMILY_PEERNET
              ? pn_key_parse(text, &ret_who->key.x25519)
              : pn_ed25519_key_parse(text, &ret_who->key.ed25519);
    return err != PN_OK || !pn_principal_has_key(ret_who)
               ? "expected a key of 52 characters of Base32 after the first "
                 "word"
               : NULL;
}

static const char *read_name(
    words *w, pn_name_kind *ret_kind, pn_slice *ret_name)
{
    pn_slice word;
    const word_kind kind = take_word(w, &word);

    if (kind == WORD_NONE) {
        return "expected a handle, a function or role:NAME after the key";
    }
    if (kind == WORD_BROKEN
        || name_of(word, kind == WORD_QUOTED, ret_kind, ret_name) != PN_OK) {
        return "expected a handle, a function or role:NAME, quoted if it has "
               "a space or one of \"#\\ in it";
    }
    return NULL;
}

static const char *read_conditions(words *w, pn_grants_line *line)
{
    pn_slice word = {0};
    word_kind kind;

    while ((kind = take_word(w, &word)) == WORD_BARE) {
        if (pn_slice_is(word, "until") && line->until_us == PN_GRANT_FOR_EVER) {
            if (!take_bare(w, &word)
                || pn_until_read(word, &line->until_us) != PN_OK) {
                return "expected a time such as 2026-12-31T10:00:00Z after "
                       "'until'";
            }
        } else if (pn_slice_is(word, "log-only") && !line->is_log_only) {
            line->is_log_only = true;
        } else {
            break;
        }
    }
    return kind == WORD_NONE ? NULL
                             : "expected 'until TIME' or 'log-only', or "
                               "nothing, after the name";
}

static const char *read_grant(words *w, pn_slice first, pn_grants_line *line)
{
    const char *why = NULL;

    line->until_us = PN_GRANT_FOR_EVER;
    line->is_paired = pn_slice_is(first, "paired");
    if (!line->is_paired) {
        why = read_key(w,
            pn_slice_is(first, "barrel") ? PN_FAMILY_BARREL : PN_FAMILY_PEERNET,
            &line->who);
    }
    if (why == NULL) {
        why = read_name(w, &line->kind, &line->name);
    }
    return why == NULL ? read_conditions(w, line) : why;
}

static pn_err add_member(pn_grants_file *file, const pn_grants_member *member)
{
    if (!pn_grow(&file->members, &file->members_cap, file->n_members,
            sizeof(*file->members))) {
        return PN_NOMEM;
    }
    file->members[file->n_members++] = *member;
    return PN_OK;
}

/* The names are added at the end, or not at all. */
static pn_err read_role(
    pn_grants_file *file, words *w, pn_grants_line *line, const char **ret_why)
{
    const size_t before = file->n_members;
    pn_grants_member member = {.line = line->number};
    pn_slice word;
    word_kind kind;
    pn_err err = PN_OK;

    line->is_role = true;
    if (!take_bare(w, &line->role) || !pn_role_name_is_valid(line->role)) {
        *ret_why = "expected a name of 1 to 64 characters a-z, A-Z, 0-9, '_' "
                   "and '-' after 'role'";
        return PN_OK;
    }
    member.role = line->role;
    while (
        err == PN_OK
        && ((kind = take_word(w, &word)) == WORD_BARE || kind == WORD_QUOTED)) {
        if (name_of(word, kind == WORD_QUOTED, &member.kind, &member.name)
                != PN_OK
            || PN_REFUSE_IF(grants_role_in_role, member.kind == PN_NAME_ROLE)) {
            kind = WORD_BROKEN;
            break;
        }
        err = add_member(file, &member);
    }
    if (err == PN_OK && kind == WORD_BROKEN) {
        *ret_why = "expected handles and functions after the role's name";
        file->n_members = before;
    }
    return err;
}

static bool has_control(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return true;
        }
    }
    return false;
}

static const char *check_line(const pn_grants_line *line, bool has_newline)
{
    if (PN_REFUSE_IF(grants_cut_line, !has_newline)) {
        return "expected a newline at its end: it may have been cut";
    }
    if (PN_REFUSE_IF(grants_line_length, line->len > PN_GRANTS_LINE_MAX)) {
        return "expected at most 4096 bytes";
    }
    return has_control(line->text, line->len)
                   || !pn_utf8_check(
                       (const uint8_t *)line->text, line->len, NULL)
               ? "expected UTF-8 text without control characters"
               : NULL;
}

/* Reads one that is neither blank nor a comment. Errors: PN_NOMEM. */
static pn_err read_line(
    pn_grants_file *file, words *w, bool has_newline, pn_grants_line *line)
{
    const char *why = check_line(line, has_newline);
    pn_slice first = {0};
    pn_err err = PN_OK;

    if (why == NULL) {
        if (!take_bare(w, &first)) {
            first = (pn_slice){0};
        }
        if (pn_slice_is(first, "role")) {
            err = read_role(file, w, line, &why);
        } else if (pn_slice_is(first, "peernet") || pn_slice_is(first, "barrel")
                   || pn_slice_is(first, "paired")) {
            why = read_grant(w, first, line);
        } else {
            why = "expected 'peernet', 'barrel', 'paired' or 'role' first";
        }
    }
    line->comment = (pn_slice){
        (const uint8_t *)w->at, (size_t)(w->end - w->at)};
    line->why = why;
    line->is_bad = why != NULL;
    return err;
}

static bool is_comment(const char *text, size_t len)
{
    size_t i = 0;

    while (i < len && is_blank(text[i])) {
        i++;
    }
    return i == len || text[i] == '#';
}

static pn_err add_line(pn_grants_file *file, const char *text, size_t len,
    bool has_newline, size_t number, char **room)
{
    words w = {.at = text, .end = text + len, .room = *room};
    pn_grants_line *line;
    pn_err err;

    if (!pn_grow(&file->lines, &file->lines_cap, file->n_lines,
            sizeof(*file->lines))) {
        return PN_NOMEM;
    }
    line = &file->lines[file->n_lines++];
    *line = (pn_grants_line){.text = text, .len = len, .number = number};
    err = read_line(file, &w, has_newline, line);
    *room = w.room;
    return err;
}

/* The lines beyond the limit were read only so that they can be removed. */
static void limit_lines(pn_grants_file *file, size_t max_lines)
{
    size_t n = file->n_members;

    if (!PN_REFUSE_IF(grants_max_lines, file->n_lines > max_lines)) {
        return;
    }
    for (size_t i = max_lines; i < file->n_lines; i++) {
        if (!file->lines[i].is_bad) {
            file->lines[i].why = "expected fewer lines before it: there are "
                                 "more than max_grants allows";
        }
    }
    while (
        n > 0 && file->members[n - 1].line >= file->lines[max_lines].number) {
        n--;
    }
    file->n_members = n;
}

static pn_err read_lines(pn_grants_file *file, size_t max_lines)
{
    const char *at = file->text;
    const char *end = file->text + file->len;
    char *room = file->words;
    pn_err err = PN_OK;

    for (size_t number = 1; err == PN_OK && at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const size_t len = (size_t)((newline == NULL ? end : newline) - at);

        if (!is_comment(at, len)) {
            if (PN_REFUSE_IF(
                    grants_many_lines, file->n_lines >= 2 * max_lines)) {
                return PN_LIMIT;
            }
            err = add_line(file, at, len, newline != NULL, number, &room);
        }
        at = newline == NULL ? end : newline + 1;
    }
    limit_lines(file, max_lines);
    return err;
}

pn_err pn_grants_file_read(
    const uint8_t *data, size_t len, size_t max_lines, pn_grants_file *ret_file)
{
    pn_grants_file file = {.len = len};
    pn_err err = PN_NOMEM;

    *ret_file = (pn_grants_file){0};
    file.text = malloc(len + 1);
    file.words = malloc(len + 1);
    if (file.text != NULL && file.words != NULL) {
        if (len > 0) {
            memcpy(file.text, data, len);
        }
        file.text[len] = '\0';
        err = read_lines(&file, max_lines);
    }
    if (err == PN_OK) {
        err = pn_grants_file_index(&file);
    }
    if (err != PN_OK) {
        pn_grants_file_fini(&file);
        return err;
    }
    *ret_file = file;
    return PN_OK;
}

void pn_grants_file_fini(pn_grants_file *file)
{
    free(file->text);
    free(file->words);
    free(file->lines);
    free(file->members);
    free(file->index);
    *file = (pn_grants_file){0};
}

/* ---- editing ------------------------------------------------------------- */

static pn_err put(pn_buf *out, const char *text)
{
    return pn_buf_append(out, text, strlen(text));
}

static bool is_bare(pn_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        const uint8_t c = name.data[i];

        if (c <= ' ' || c == 0x7f || c == '"' || c == '#' || c == '\\') {
            return false;
        }
    }
    return true;
}

static pn_err put_quoted(pn_buf *out, pn_slice name)
{
    pn_err err = put(out, "\"");

    for (size_t i = 0; err == PN_OK && i < name.len; i++) {
        const uint8_t c = name.data[i];
        char text[8];

        (void)snprintf(text, sizeof(text),
            c == '"' || c == '\\'   ? "\\%c"
            : c < 0x20 || c == 0x7f ? "\\x%02x"
                                    : "%c",
            c);
        err = put(out, text);
    }
    return err == PN_OK ? put(out, "\"") : err;
}

static pn_err put_name(pn_buf *out, pn_name_kind kind, pn_slice name)
{
    pn_err err = put(out, kind == PN_NAME_ROLE ? " " ROLE_PREFIX : " ");

    if (err == PN_OK) {
        err = is_bare(name)
                      && (kind != PN_NAME_HANDLE || !begins(name, ROLE_PREFIX))
                  ? pn_buf_append(out, name.data, name.len)
                  : put_quoted(out, name);
    }
    return err;
}

/* One that is valid; comment: what stands behind it. */
static pn_err put_grant(pn_buf *out, const pn_stored_grant *g, pn_slice comment)
{
    const size_t start = pn_buf_used(out);
    char key[PN_BASE32_LEN + 1];
    char until[PN_UNTIL_LEN + 1];
    pn_name_kind kind = PN_NAME_HANDLE;
    pn_slice name = {0};
    pn_err err = pn_name_read(g->name, &kind, &name);

    pn_principal_to_base32(&g->who, key);
    if (err == PN_OK) {
        err = put(out, g->is_paired                        ? "paired"
                       : g->who.family == PN_FAMILY_BARREL ? "barrel "
                                                           : "peernet ");
    }
    if (err == PN_OK && !g->is_paired) {
        err = put(out, key);
    }
    if (err == PN_OK) {
        err = put_name(out, kind, name);
    }
    if (err == PN_OK && g->until_us != PN_GRANT_FOR_EVER) {
        pn_until_write(g->until_us, until);
        err = put(out, " until ");
        err = err == PN_OK ? put(out, until) : err;
    }
    if (err == PN_OK && g->is_log_only) {
        err = put(out, " log-only");
    }
    if (err == PN_OK && comment.len > 0
        && pn_buf_used(out) - start + 1 + comment.len <= PN_GRANTS_LINE_MAX) {
        err = put(out, " ");
        err = err == PN_OK ? pn_buf_append(out, comment.data, comment.len)
                           : err;
    }
    return err == PN_OK ? put(out, "\n") : err;
}

static pn_err put_role_head(pn_buf *out, const char *role)
{
    pn_err err = put(out, "role ");

    return err == PN_OK ? put(out, role) : err;
}

/* On as many lines as are wanted to be short. */
static pn_err put_role(pn_buf *out, const pn_grants_edit *edit, size_t *n_lines)
{
    size_t start = pn_buf_used(out);
    pn_err err = put_role_head(out, edit->role);

    *n_lines = 1;
    for (size_t i = 0; err == PN_OK && i < edit->n_names; i++) {
        pn_name_kind kind = PN_NAME_HANDLE;
        pn_slice name = {0};

        if (pn_buf_used(out) - start > ROLE_LINE_WIDTH) {
            err = put(out, "\n");
            start = pn_buf_used(out);
            err = err == PN_OK ? put_role_head(out, edit->role) : err;
            (*n_lines)++;
        }
        if (err == PN_OK) {
            err = pn_name_read(edit->names[i], &kind, &name);
        }
        if (err == PN_OK) {
            err = put_name(out, kind, name);
        }
    }
    return err == PN_OK ? put(out, "\n") : err;
}

static bool is_of(const pn_grants_line *line, const pn_stored_grant *g)
{
    return line->is_paired == g->is_paired
           && (g->is_paired || pn_principal_equal(&line->who, &g->who));
}

static bool is_touched(const pn_grants_line *line, const pn_grants_edit *edit)
{
    pn_name_kind kind = PN_NAME_HANDLE;
    pn_slice name = {0};

    if (line->is_bad) {
        return false;
    }
    if (edit->act == PN_GRANTS_SET_ROLE) {
        return line->is_role && pn_slice_is(line->role, edit->role);
    }
    if (line->is_role || !is_of(line, edit->grant)) {
        return false;
    }
    return edit->grant->name[0] == '\0'
           || (pn_name_read(edit->grant->name, &kind, &name) == PN_OK
               && line->kind == kind && pn_slice_equal(line->name, name));
}

static bool is_same(const pn_grants_line *line, const pn_stored_grant *g)
{
    return line->until_us == g->until_us && line->is_log_only == g->is_log_only;
}

static pn_err put_new(
    pn_buf *out, const pn_grants_edit *edit, pn_slice comment, size_t *n_lines)
{
    *n_lines = 1;
    return edit->act == PN_GRANTS_ADD ? put_grant(out, edit->grant, comment)
                                      : put_role(out, edit, n_lines);
}

/* Where new lines go: the end, or before a last line without a newline. */
static size_t end_of_whole(const pn_grants_file *file)
{
    size_t end = file->len;

    while (end > 0 && file->text[end - 1] != '\n') {
        end--;
    }
    return end;
}

/* The lines that the edit is about. */
typedef struct touched {
    size_t n;
    const pn_grants_line *first;
} touched;

static touched find_touched(
    const pn_grants_file *file, const pn_grants_edit *edit)
{
    touched found = {0};

    for (size_t i = 0; i < file->n_lines; i++) {
        if (is_touched(&file->lines[i], edit)) {
            found.first = found.first == NULL ? &file->lines[i] : found.first;
            found.n++;
        }
    }
    return found;
}

/* Copies the file without the lines that the edit is about; the new ones take
 * the place of the first. */
static pn_err put_edited(const pn_grants_file *file, const pn_grants_edit *edit,
    bool puts_new, pn_buf *out, size_t *n_new)
{
    const char *end = file->text + end_of_whole(file);
    const char *at = file->text;
    bool is_put = !puts_new;
    pn_err err = file->len == 0 ? put(out, HEADING) : PN_OK;

    for (size_t i = 0; err == PN_OK && i < file->n_lines; i++) {
        const pn_grants_line *line = &file->lines[i];

        if (!is_touched(line, edit)) {
            continue;
        }
        err = pn_buf_append(out, at, (size_t)(line->text - at));
        at = line->text + line->len + 1;
        if (err == PN_OK && !is_put) {
            err = put_new(out, edit, line->comment, n_new);
            is_put = true;
        }
    }
    if (err == PN_OK) {
        err = pn_buf_append(out, at, (size_t)(end - at));
    }
    if (err == PN_OK && !is_put) {
        err = put_new(out, edit, (pn_slice){0}, n_new);
    }
    return err == PN_OK
               ? pn_buf_append(out, end, (size_t)(file->text + file->len - end))
               : err;
}

pn_err pn_grants_file_edit(const pn_grants_file *file,
    const pn_grants_edit *edit, size_t max_lines, pn_buf *out,
    bool *ret_changed)
{
    static const pn_grants_file none = {.text = (char *)(uintptr_t) ""};
    const pn_grants_file *from = file->text == NULL ? &none : file;
    const touched found = find_touched(from, edit);
    const bool puts_new = edit->act == PN_GRANTS_ADD
                          || (edit->act == PN_GRANTS_SET_ROLE
                              && edit->n_names > 0);
    size_t n_new = 0;
    pn_err err;

    if (!puts_new && found.n == 0) {
        return PN_NOT_FOUND;
    }
    if (edit->act == PN_GRANTS_ADD && found.n == 1
        && is_same(found.first, edit->grant)) {
        *ret_changed = false;
        return pn_buf_append(out, from->text, from->len);
    }
    err = put_edited(from, edit, puts_new, out, &n_new);
    if (err == PN_OK
        && PN_REFUSE_IF(
            grants_full, puts_new && n_new > found.n
                             && from->n_lines - found.n + n_new > max_lines)) {
        return PN_FULL;
    }
    *ret_changed = true;
    return err;
}

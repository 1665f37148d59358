/* SPDX-License-Identifier: Apache-2.0 */
/* The file of addresses; see addresses.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "crypto/crypto.h"
#include "trust/addresses.h"

#define HEADING "peernet addresses 1\n"
#define MANUAL "manual "
#define LEARNED "learned "
#define CHECKSUM "sha256 "

enum { HEX_LEN = 2 * PN_HASH_LEN };

void pn_address_list_fini(pn_address_list *list)
{
    free(list->entries);
    *list = (pn_address_list){0};
}

/* ---- HOST:PORT --------------------------------------------------------- */

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool is_port(const char *text)
{
    const size_t n = strlen(text);

    /* The length is checked first, because strtoul must not read a number that
     * it cannot hold. */
    return n >= 1 && n <= 5 && strspn(text, DIGITS) == n && text[0] != '0'
           && strtoul(text, NULL, 10) <= 65535;
}

/* After "[": an IPv6 address, maybe %interface, and the port. */
static bool is_bracketed(const char *text)
{
    const size_t n = strspn(text, DIGITS "abcdefABCDEF:.");
    const char *end = text + n;

    if (n < 2 || memchr(text, ':', n) == NULL) {
        return false;
    }
    if (*end == '%') {
        const size_t n_zone = strspn(end + 1, DIGITS LETTERS "._-");

        if (n_zone == 0) {
            return false;
        }
        end += 1 + n_zone;
    }
    return end[0] == ']' && end[1] == ':' && is_port(end + 2);
}

bool pn_address_is_plausible(const char *text)
{
    size_t n;

    if (PN_REFUSE_IF(address_length, strlen(text) >= PN_ADDRESS_CAP)) {
        return false;
    }
    if (text[0] == '[') {
        return is_bracketed(text + 1);
    }
    n = strspn(text, DIGITS LETTERS "._-");
    /* A leading '-' could be taken for an option by another program. */
    return n > 0 && !PN_REFUSE_IF(address_host_length, n > PN_HOST_NAME_MAX)
           && text[0] != '-' && text[n] == ':' && is_port(text + n + 1);
}

/* ---- reading ----------------------------------------------------------- */

/* The rest of the file; every line is taken with its end. */
typedef struct lines {
    const char *at;
    const char *end;
} lines;

static bool take(lines *l, const char *text)
{
    const size_t n = strlen(text);

    if ((size_t)(l->end - l->at) < n || memcmp(l->at, text, n) != 0) {
        return false;
    }
    l->at += n;
    return true;
}

/* Takes n characters. */
static bool take_n(lines *l, size_t n, char *ret_text)
{
    if ((size_t)(l->end - l->at) < n) {
        return false;
    }
    memcpy(ret_text, l->at, n);
    ret_text[n] = '\0';
    l->at += n;
    return true;
}

static bool take_key(lines *l, pn_public_key *ret_key)
{
    char text[PN_BASE32_LEN + 1];
    char again[PN_BASE32_LEN + 1];

    if (!take_n(l, PN_BASE32_LEN, text)
        || pn_key_parse(text, ret_key) != PN_OK) {
        return false;
    }
    pn_key_to_base32(ret_key, again);
    return memcmp(text, again, sizeof(text)) == 0;
}

static bool take_address(lines *l, char ret_text[static PN_ADDRESS_CAP])
{
    const char *end = memchr(l->at, '\n', (size_t)(l->end - l->at));
    const size_t n = end == NULL ? PN_ADDRESS_CAP : (size_t)(end - l->at);

    return n < PN_ADDRESS_CAP && take_n(l, n, ret_text) && take(l, "\n")
           && strlen(ret_text) == n && pn_address_is_plausible(ret_text);
}

static bool take_entry(lines *l, pn_peer_address *ret_entry)
{
    ret_entry->is_manual = take(l, MANUAL);
    return (ret_entry->is_manual || take(l, LEARNED))
           && take_key(l, &ret_entry->key) && take(l, " ")
           && take_address(l, ret_entry->text);
}

/* Lines of a peer stand together, the one given by hand first. */
static bool is_in_order(const pn_address_list *list)
{
    const pn_peer_address *entries = list->entries;
    size_t n_same = 0;

    for (size_t i = 0; i < list->n_entries; i++) {
        const bool is_same =
            i > 0 && pn_key_equal(&entries[i - 1].key, &entries[i].key);

        n_same = is_same ? n_same + 1 : 1;
        if (n_same > PN_ADDRESSES_PER_PEER
            || (is_same && entries[i].is_manual)) {
            return false;
        }
    }
    return true;
}

static pn_err sum_text(
    const char *data, size_t len, char ret_hex[static HEX_LEN + 1])
{
    uint8_t hash[PN_HASH_LEN];
    pn_err err = pn_sha256(hash, data, len, NULL, 0);

    for (size_t i = 0; err == PN_OK && i < sizeof(hash); i++) {
        (void)snprintf(ret_hex + 2 * i, 3, "%02x", hash[i]);
    }
    return err;
}

/* The last line, which must fit all before it. */
static pn_err take_sum(lines *l, const char *start)
{
    char want[HEX_LEN + 1];
    char got[HEX_LEN + 1];
    pn_err err = sum_text(start, (size_t)(l->at - start), want);

    if (err != PN_OK) {
        return err;
    }
    if (!take(l, CHECKSUM) || !take_n(l, HEX_LEN, got) || !take(l, "\n")
        || l->at != l->end
        || PN_REFUSE_IF(address_sum, memcmp(want, got, HEX_LEN) != 0)) {
        return PN_CORRUPT;
    }
    return PN_OK;
}

/* Replaces the n entries at first by n_run others. */
static pn_err splice(pn_address_list *list, size_t first, size_t n,
    const pn_peer_address *run, size_t n_run)
{
    const size_t n_all = list->n_entries - n + n_run;
    pn_peer_address *entries = list->entries;
    size_t cap = 1;

    while (cap < n_all) {
        cap *= 2;
    }
    entries = reallocarray(entries, cap, sizeof(*entries));
    if (entries == NULL) {
        return PN_NOMEM;
    }
    list->entries = entries;
    memmove(entries + first + n_run, entries + first + n,
        (list->n_entries - first - n) * sizeof(*entries));
    memcpy(entries + first, run, n_run * sizeof(*entries));
    list->n_entries = n_all;
    return PN_OK;
}

static pn_err read_lines(
    lines *l, size_t max_entries, pn_address_list *list, const char **ret_why)
{
    const char *start = l->at;
    pn_err err;

    if (!take(l, HEADING)) {
        *ret_why = "it does not begin with \"peernet addresses 1\"";
        return PN_CORRUPT;
    }
    while (l->at < l->end && *l->at != CHECKSUM[0]) {
        pn_peer_address entry;

        if (!take_entry(l, &entry)) {
            *ret_why = "a line is not KIND KEY HOST:PORT";
            return PN_CORRUPT;
        }
        if (PN_REFUSE_IF(address_max_entries, list->n_entries == max_entries)) {
            *ret_why = "it has more lines than peers can have";
            return PN_CORRUPT;
        }
        if (splice(list, list->n_entries, 0, &entry, 1) != PN_OK) {
            return PN_NOMEM;
        }
    }
    err = take_sum(l, start);
    if (err != PN_OK) {
        *ret_why = "its checksum does not fit";
        return err;
    }
    if (PN_REFUSE_IF(address_order, !is_in_order(list))) {
        *ret_why = "its lines are out of order";
        return PN_CORRUPT;
    }
    return PN_OK;
}

pn_err pn_address_list_read(const uint8_t *data, size_t len, size_t max_entries,
    pn_address_list *ret_list, const char **ret_why)
{
    pn_address_list list = {0};
    const char *start = len == 0 ? "" : (const char *)data;
    lines l = {.at = start, .end = start + len};
    pn_err err = read_lines(&l, max_entries, &list, ret_why);

    if (err != PN_OK) {
        pn_address_list_fini(&list);
        return err;
    }
    *ret_list = list;
    return PN_OK;
}

/* ---- writing ----------------------------------------------------------- */

static pn_err append_text(pn_buf *out, const char *text)
{
    return pn_buf_append(out, text, strlen(text));
}

static pn_err append_entry(pn_buf *out, const pn_peer_address *entry)
{
    char key[PN_BASE32_LEN + 1];
    char line[sizeof(LEARNED) + sizeof(key) + PN_ADDRESS_CAP + 2];

    pn_key_to_base32(&entry->key, key);
    (void)snprintf(line, sizeof(line), "%s%s %s\n",
        entry->is_manual ? MANUAL : LEARNED, key, entry->text);
    return append_text(out, line);
}

pn_err pn_address_list_write(const pn_address_list *list, pn_buf *out)
{
    const size_t before = pn_buf_used(out);
    char sum[HEX_LEN + 1];
    char line[sizeof(CHECKSUM) + HEX_LEN + 1];
    pn_err err = append_text(out, HEADING);

    for (size_t i = 0; err == PN_OK && i < list->n_entries; i++) {
        err = append_entry(out, &list->entries[i]);
    }
    if (err == PN_OK) {
        err = sum_text((const char *)pn_buf_head(out) + before,
            pn_buf_used(out) - before, sum);
    }
    if (err == PN_OK) {
        (void)snprintf(line, sizeof(line), CHECKSUM "%s\n", sum);
        err = append_text(out, line);
    }
    return err;
}

/* ---- one peer's lines -------------------------------------------------- */

/* Where a peer's lines begin and how many there are; the end and 0 when there
 * are none. */
static size_t find_run(
    const pn_address_list *list, const pn_public_key *key, size_t *ret_n)
{
    size_t first = 0;
    size_t n = 0;

    while (first < list->n_entries
           && !pn_key_equal(&list->entries[first].key, key)) {
        first++;
    }
    while (first + n < list->n_entries
           && pn_key_equal(&list->entries[first + n].key, key)) {
        n++;
    }
    *ret_n = n;
    return first;
}

size_t pn_address_list_of(const pn_address_list *list, const pn_public_key *key,
    pn_peer_address ret_addresses[static PN_ADDRESSES_PER_PEER])
{
    size_t n;
    const size_t first = find_run(list, key, &n);

    n = n < PN_ADDRESSES_PER_PEER ? n : PN_ADDRESSES_PER_PEER;
    if (n > 0) {
        memcpy(
            ret_addresses, &list->entries[first], n * sizeof(*ret_addresses));
    }
    return n;
}

/* Builds the peer's lines with the added one among them. */
static size_t build_run(const pn_peer_address *old, size_t n_old,
    const pn_peer_address *added,
    pn_peer_address ret_run[static PN_ADDRESSES_PER_PEER])
{
    size_t n = 0;

    if (!added->is_manual && n_old > 0 && old[0].is_manual) {
        ret_run[n++] = old[0];
    }
    ret_run[n++] = *added;
    for (size_t i = 0; i < n_old && n < PN_ADDRESSES_PER_PEER; i++) {
        if (!old[i].is_manual && strcmp(old[i].text, added->text) != 0) {
            ret_run[n++] = old[i];
        }
    }
    return n;
}

static bool is_same_run(
    const pn_peer_address *a, size_t n_a, const pn_peer_address *b, size_t n_b)
{
    bool is_same = n_a == n_b;

    for (size_t i = 0; is_same && i < n_a; i++) {
        is_same = a[i].is_manual == b[i].is_manual
                  && strcmp(a[i].text, b[i].text) == 0;
    }
    return is_same;
}

pn_err pn_address_list_add(pn_address_list *list, const pn_public_key *key,
    const char *text, bool is_manual, bool *ret_changed)
{
    pn_peer_address added = {.key = *key, .is_manual = is_manual};
    pn_peer_address run[PN_ADDRESSES_PER_PEER];
    size_t n_old;
    const size_t first = find_run(list, key, &n_old);
    const pn_peer_address *old = list->entries == NULL ? NULL
                                                       : list->entries + first;
    size_t n_run;

    (void)snprintf(added.text, sizeof(added.text), "%s", text);
    *ret_changed = false;
    if (!is_manual && n_old > 0 && old[0].is_manual
        && strcmp(old[0].text, text) == 0) {
        return PN_OK;
    }
    n_run = build_run(old, n_old, &added, run);
    if (is_same_run(old, n_old, run, n_run)) {
        return PN_OK;
    }
    *ret_changed = true;
    return splice(list, first, n_old, run, n_run);
}

bool pn_address_list_remove(pn_address_list *list, const pn_public_key *key)
{
    size_t n;
    const size_t first = find_run(list, key, &n);

    if (n == 0) {
        return false;
    }
    memmove(list->entries + first, list->entries + first + n,
        (list->n_entries - first - n) * sizeof(*list->entries));
    list->n_entries -= n;
    return true;
}

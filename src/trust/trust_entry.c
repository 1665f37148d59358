/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of the trust list; see trust_entry.h and PeerNet wire, section 7.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "trust/datetime.h"
#include "trust/trust_entry.h"

void pn_trust_entry_fini(pn_trust_entry *e)
{
    free(e->label);
    free(e->etf);
    *e = (pn_trust_entry){0};
}

/* ---- reading ----------------------------------------------------------- */

/* The value at an atom key; the empty term when there is none, or no map. */
static pn_term get(pn_term map, const char *key)
{
    pn_term_reader r;
    uint32_t n;

    pn_term_reader_init(&r, map);
    n = pn_term_read_map(&r);
    for (uint32_t i = 0; i < n; i++) {
        const pn_term name = pn_term_read_any(&r);
        const pn_term value = pn_term_read_any(&r);

        if (pn_term_is_atom(name, key)) {
            return value;
        }
    }
    return (pn_term){0};
}

static bool is_integer(pn_term term, int *ret_value)
{
    pn_term_reader r;
    int64_t value;

    pn_term_reader_init(&r, term);
    value = pn_term_read_int64(&r);
    if (pn_term_reader_finish(&r) != PN_OK || value < INT32_MIN
        || value > INT32_MAX) {
        return false;
    }
    *ret_value = (int)value;
    return true;
}

static bool is_binary(pn_term term, pn_slice *ret_bytes)
{
    pn_term_reader r;

    pn_term_reader_init(&r, term);
    *ret_bytes = pn_term_read_binary(&r);
    return pn_term_reader_finish(&r) == PN_OK;
}

static bool is_text(pn_term term, const char *text)
{
    pn_slice bytes;

    return is_binary(term, &bytes) && bytes.len == strlen(text)
           && memcmp(bytes.data, text, bytes.len) == 0;
}

/* {Value, Precision} */
static bool is_fraction(pn_term term, int *ret_value, int *ret_precision)
{
    pn_term_reader r;
    pn_term value;
    pn_term precision;

    pn_term_reader_init(&r, term);
    if (pn_term_read_tuple(&r) != 2) {
        return false;
    }
    value = pn_term_read_any(&r);
    precision = pn_term_read_any(&r);
    return pn_term_reader_finish(&r) == PN_OK && is_integer(value, ret_value)
           && is_integer(precision, ret_precision);
}

static bool is_datetime(pn_term map, pn_datetime *ret_d, int *ret_precision)
{
    int utc_offset;
    int std_offset;

    return pn_term_is_atom(get(map, "__struct__"), "Elixir.DateTime")
           && pn_term_is_atom(get(map, "calendar"), "Elixir.Calendar.ISO")
           && is_text(get(map, "time_zone"), "Etc/UTC")
           && is_text(get(map, "zone_abbr"), "UTC")
           && is_integer(get(map, "utc_offset"), &utc_offset) && utc_offset == 0
           && is_integer(get(map, "std_offset"), &std_offset) && std_offset == 0
           && is_integer(get(map, "year"), &ret_d->year)
           && is_integer(get(map, "month"), &ret_d->month)
           && is_integer(get(map, "day"), &ret_d->day)
           && is_integer(get(map, "hour"), &ret_d->hour)
           && is_integer(get(map, "minute"), &ret_d->minute)
           && is_integer(get(map, "second"), &ret_d->second)
           && is_fraction(
               get(map, "microsecond"), &ret_d->microsecond, ret_precision);
}

static const char *read_added_at(pn_term term, int64_t *ret_us)
{
    pn_datetime d;
    int precision;

    if (!is_datetime(term, &d, &precision)) {
        return "the time of an entry is no DateTime in UTC";
    }
    if (PN_CHECK(trust_datetime,
            !pn_datetime_is_valid(&d) || precision < 0 || precision > 6)) {
        return "the time of an entry does not exist";
    }
    *ret_us = pn_datetime_to_us(&d);
    return NULL;
}

static const char *read_key(pn_term term, pn_public_key *ret_key)
{
    pn_slice bytes;

    if (!is_binary(term, &bytes)) {
        return "an entry has no public key";
    }
    if (PN_CHECK(trust_key_length, bytes.len != PN_PUBLIC_KEY_LEN)) {
        return "a public key is not 32 bytes long";
    }
    memcpy(ret_key->bytes, bytes.data,
        bytes.len < PN_PUBLIC_KEY_LEN ? bytes.len : PN_PUBLIC_KEY_LEN);
    return NULL;
}

static const char *read_label(
    pn_term term, bool *ret_has_label, pn_slice *ret_label)
{
    *ret_label = (pn_slice){0};
    *ret_has_label = !pn_term_is_atom(term, "nil");
    if (*ret_has_label && !is_binary(term, ret_label)) {
        return "the label of an entry is neither text nor nil";
    }
    return NULL;
}

/* Keeps the bytes, and the label as it is shown. */
static pn_err keep(
    pn_trust_entry *e, pn_term term, bool has_label, pn_slice label)
{
    char clean[PN_LABEL_MAX + 1];
    pn_term copy;
    pn_err err = pn_term_copy(term, &copy);

    if (err != PN_OK) {
        return err;
    }
    /* pn_term_copy hands over malloc'ed bytes; only the type says const. */
    e->etf = (uint8_t *)(uintptr_t)copy.data;
    e->etf_len = copy.len;
    if (!has_label) {
        return PN_OK;
    }
    pn_label_clean(label.data, label.len, clean);
    e->label = strdup(clean);
    return e->label == NULL ? PN_NOMEM : PN_OK;
}

pn_err pn_trust_entry_read(
    pn_term term, pn_trust_entry *e, const char **ret_why)
{
    pn_slice label;
    bool has_label;
    const char *why = read_key(get(term, "pubkey"), &e->key);

    if (why == NULL) {
        why = read_label(get(term, "label"), &has_label, &label);
    }
    if (why == NULL) {
        why = read_added_at(get(term, "added_at"), &e->added_at_us);
    }
    if (why != NULL) {
        *ret_why = why;
        return PN_CORRUPT;
    }
    return keep(e, term, has_label, label);
}

/* ---- writing ----------------------------------------------------------- */

static void put_integer(pn_term_writer *w, const char *name, int value)
{
    pn_term_write_atom(w, name);
    pn_term_write_int64(w, value);
}

static void put_atom(pn_term_writer *w, const char *name, const char *value)
{
    pn_term_write_atom(w, name);
    pn_term_write_atom(w, value);
}

static void put_text(pn_term_writer *w, const char *name, const char *value)
{
    pn_term_write_atom(w, name);
    pn_term_write_string(w, value);
}

/* Keys sorted, as term_to_binary/1 of OTP 25 does; that order is as good as
 * any to a reader. */
static void put_datetime(pn_term_writer *w, const pn_datetime *d)
{
    pn_term_write_map_begin(w);
    put_atom(w, "__struct__", "Elixir.DateTime");
    put_atom(w, "calendar", "Elixir.Calendar.ISO");
    put_integer(w, "day", d->day);
    put_integer(w, "hour", d->hour);
    pn_term_write_atom(w, "microsecond");
    pn_term_write_tuple_begin(w);
    pn_term_write_int64(w, d->microsecond);
    pn_term_write_int64(w, 6);
    pn_term_write_tuple_end(w);
    put_integer(w, "minute", d->minute);
    put_integer(w, "month", d->month);
    put_integer(w, "second", d->second);
    put_integer(w, "std_offset", 0);
    put_text(w, "time_zone", "Etc/UTC");
    put_integer(w, "utc_offset", 0);
    put_integer(w, "year", d->year);
    put_text(w, "zone_abbr", "UTC");
    pn_term_write_map_end(w);
}

pn_err pn_trust_entry_make(pn_trust_entry *e, const pn_public_key *key,
    const char *label, int64_t now_us)
{
    const bool has_label = label != NULL && label[0] != '\0';
    const pn_slice bytes = {
        .data = (const uint8_t *)label, .len = has_label ? strlen(label) : 0};
    pn_term_writer w;
    pn_term term;
    pn_datetime d;
    pn_err err;

    pn_datetime_from_us(now_us, &d);
    pn_term_writer_init(&w, 0);
    pn_term_write_map_begin(&w);
    pn_term_write_atom(&w, "added_at");
    put_datetime(&w, &d);
    if (has_label) {
        put_text(&w, "label", label);
    } else {
        put_atom(&w, "label", "nil");
    }
    pn_term_write_atom(&w, "pubkey");
    pn_term_write_binary(&w, key->bytes, sizeof(key->bytes));
    pn_term_write_map_end(&w);
    err = pn_term_writer_finish(&w, NULL, &term);
    if (err == PN_OK) {
        e->key = *key;
        e->added_at_us = now_us;
        err = keep(e, term, has_label, bytes);
    }
    pn_term_writer_free(&w);
    return err;
}

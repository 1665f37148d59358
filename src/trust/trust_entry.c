/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of the trust list; see trust_entry.h and docs/PROTOCOL.md, section
 * 8.3. */
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

static const char *read_added_at(pn_term map, int64_t *ret_us)
{
    pn_datetime d;
    int precision;

    if (!pn_term_match(map,
            "%{added_at: %{'__struct__' => 'Elixir.DateTime',"
            "calendar: 'Elixir.Calendar.ISO', time_zone: \"Etc/UTC\","
            "zone_abbr: \"UTC\", utc_offset: 0, std_offset: 0, year: ~i,"
            "month: ~i, day: ~i, hour: ~i, minute: ~i, second: ~i,"
            "microsecond: {~i, ~i}}}",
            &d.year, &d.month, &d.day, &d.hour, &d.minute, &d.second,
            &d.microsecond, &precision)) {
        return "the time of an entry is no DateTime in UTC";
    }
    if (PN_REFUSE_IF(trust_datetime,
            !pn_datetime_is_valid(&d) || precision < 0 || precision > 6)) {
        return "the time of an entry does not exist";
    }
    *ret_us = pn_datetime_to_us(&d);
    return NULL;
}

static const char *read_key(pn_term map, pn_public_key *ret_key)
{
    pn_slice bytes;

    if (!pn_term_match(map, "%{pubkey: ~b}", &bytes)) {
        return "an entry has no public key";
    }
    if (PN_REFUSE_IF(trust_key_length, bytes.len != PN_PUBLIC_KEY_LEN)) {
        return "a public key is not 32 bytes long";
    }
    memcpy(ret_key->bytes, bytes.data,
        bytes.len < PN_PUBLIC_KEY_LEN ? bytes.len : PN_PUBLIC_KEY_LEN);
    return NULL;
}

static const char *read_label(
    pn_term map, bool *ret_has_label, pn_slice *ret_label)
{
    *ret_label = (pn_slice){0};
    *ret_has_label = !pn_term_match(map, "%{label: nil}");
    if (*ret_has_label && !pn_term_match(map, "%{label: ~b}", ret_label)) {
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
    const char *why = read_key(term, &e->key);

    if (why == NULL) {
        why = read_label(term, &has_label, &label);
    }
    if (why == NULL) {
        why = read_added_at(term, &e->added_at_us);
    }
    if (why != NULL) {
        *ret_why = why;
        return PN_CORRUPT;
    }
    return keep(e, term, has_label, label);
}

/* ---- writing ----------------------------------------------------------- */

static void put_label(pn_term_writer *w, const char *label)
{
    pn_term_write_atom(w, "label");
    if (label != NULL) { /* an empty one is "", as the originals write it */
        pn_term_write_string(w, label);
    } else {
        pn_term_write_atom(w, "nil");
    }
}

/* Keeps what was written, and frees the writer. */
static pn_err keep_written(
    pn_trust_entry *e, pn_term_writer *w, const char *label)
{
    const bool has_label = label != NULL;
    const pn_slice bytes = {
        .data = (const uint8_t *)label, .len = has_label ? strlen(label) : 0};
    pn_term term;
    pn_err err = pn_term_writer_finish(w, NULL, &term);

    if (err == PN_OK) {
        err = keep(e, term, has_label, bytes);
    }
    pn_term_writer_free(w);
    return err;
}

pn_err pn_trust_entry_make(pn_trust_entry *e, const pn_public_key *key,
    const char *label, int64_t now_us)
{
    pn_term_writer w;
    pn_datetime d;

    e->key = *key;
    e->added_at_us = now_us;
    pn_datetime_from_us(now_us, &d);
    pn_term_writer_init(&w, 0);
    pn_term_write_map_begin(&w);
    pn_term_write_atom(&w, "added_at");
    /* Keys sorted, as term_to_binary/1 of OTP 25 does; that order is as good
     * as any to a reader. */
    pn_term_write_format(&w,
        "%{'__struct__' => 'Elixir.DateTime', calendar: 'Elixir.Calendar.ISO',"
        "day: ~i, hour: ~i, microsecond: {~i, 6}, minute: ~i, month: ~i,"
        "second: ~i, std_offset: 0, time_zone: \"Etc/UTC\", utc_offset: 0,"
        "year: ~i, zone_abbr: \"UTC\"}",
        d.day, d.hour, d.microsecond, d.minute, d.month, d.second, d.year);
    put_label(&w, label);
    pn_term_write_atom(&w, "pubkey");
    pn_term_write_binary(&w, key->bytes, sizeof(key->bytes));
    pn_term_write_map_end(&w);
    return keep_written(e, &w, label);
}

/* The map of an entry with its label replaced. */
static void put_relabelled(pn_term_writer *w, pn_term map, const char *label)
{
    pn_term_reader r;
    uint32_t n;

    pn_term_reader_init(&r, map);
    n = pn_term_read_map(&r);
    pn_term_write_map_begin(w);
    for (uint32_t i = 0; i < n; i++) {
        const pn_term name = pn_term_read_any(&r);
        const pn_term value = pn_term_read_any(&r);

        if (pn_term_is_atom(name, "label")) {
            put_label(w, label);
        } else {
            pn_term_write_term(w, name);
            pn_term_write_term(w, value);
        }
    }
    pn_term_write_map_end(w);
}

pn_err pn_trust_entry_relabel(pn_trust_entry *e, const char *label)
{
    const bool has_label = label != NULL && label[0] != '\0';
    pn_trust_entry made = {.key = e->key, .added_at_us = e->added_at_us};
    pn_term_writer w;
    pn_err err;

    pn_term_writer_init(&w, 0);
    put_relabelled(&w, (pn_term){.data = e->etf, .len = e->etf_len}, label);
    err = keep_written(&made, &w, has_label ? label : NULL);
    if (err != PN_OK) {
        pn_trust_entry_fini(&made);
        return err;
    }
    pn_trust_entry_fini(e);
    *e = made;
    return PN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FZ-6: the files of a data directory. The first byte chooses the file;
 * accepted content must be the same when it is written and read again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust/addresses.h"
#include "trust/identity.h"
#include "trust/trust_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

static void fuzz_identity(const uint8_t *data, size_t len)
{
    uint8_t again[PN_IDENTITY_LEN];
    pn_key_pair pair;
    const char *why = NULL;

    if (pn_identity_read(data, len, &pair, &why) != PN_OK) {
        require(why != NULL);
        return;
    }
    pn_identity_write(&pair, again);
    require(len == sizeof(again) && memcmp(data, again, len) == 0);
}

/* The value that was read is written as bytes that read as the same value.
 * Those need not be the input: a term has many spellings. */
static void fuzz_trust(const uint8_t *data, size_t len)
{
    pn_trust_list list = {0};
    pn_trust_list again = {0};
    const char *why = NULL;
    pn_buf b = {0};
    pn_err err = pn_trust_list_read(data, len, 64, &list, &why);

    if (err != PN_OK) {
        require(err != PN_CORRUPT || why != NULL);
        require(list.entries == NULL);
        return;
    }
    require(list.n_entries <= 64);
    for (size_t i = 0; i < list.n_entries; i++) {
        const pn_trust_entry *e = &list.entries[i];

        require(e->label == NULL || pn_label_is_valid(e->label));
        require(pn_trust_list_find(&list, &e->key) == e);
    }
    require(pn_trust_list_write(&list, &b) == PN_OK);
    require(pn_trust_list_read(b.data, b.len, 64, &again, &why) == PN_OK);
    require(pn_trust_list_equal(&list, &again));
    pn_trust_list_fini(&list);
    pn_trust_list_fini(&again);
    pn_buf_fini(&b);
}

/* A text has one spelling only. */
static void fuzz_addresses(const uint8_t *data, size_t len)
{
    pn_address_list list = {0};
    const char *why = NULL;
    pn_buf b = {0};

    if (pn_address_list_read(data, len, 64, &list, &why) != PN_OK) {
        require(why != NULL && list.entries == NULL);
        return;
    }
    require(pn_address_list_write(&list, &b) == PN_OK);
    require(b.len == len && memcmp(b.data, data, len) == 0);
    pn_address_list_fini(&list);
    pn_buf_fini(&b);
}

/* The same behind a checksum that fits, or the fuzzer would never get past it.
 */
static void fuzz_address_lines(const uint8_t *data, size_t len)
{
    uint8_t hash[PN_HASH_LEN];
    char hex[2 * PN_HASH_LEN + 1];
    pn_buf b = {0};

    require(pn_sha256(hash, data, len, NULL, 0) == PN_OK);
    for (size_t i = 0; i < sizeof(hash); i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    }
    require(pn_buf_append(&b, data, len) == PN_OK
            && pn_buf_append(&b, "sha256 ", 7) == PN_OK
            && pn_buf_append(&b, hex, sizeof(hex) - 1) == PN_OK
            && pn_buf_append(&b, "\n", 1) == PN_OK);
    fuzz_addresses(b.data, b.len);
    pn_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    switch (data[0] % 4) {
    case 0:
        fuzz_identity(data + 1, len - 1);
        break;
    case 1:
        fuzz_trust(data + 1, len - 1);
        break;
    case 2:
        fuzz_addresses(data + 1, len - 1);
        break;
    default:
        fuzz_address_lines(data + 1, len - 1);
        break;
    }
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FZ-6: any file as a backup, and what is in one behind a tag that fits. The
 * first byte chooses.
 */
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "trust/backup_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

/* scrypt is run for what is cheap only; its limits are in pn_backup_check. */
static void fuzz_whole(const uint8_t *data, size_t len)
{
    const char *why = NULL;
    uint8_t *plain = NULL;
    size_t n = 0;
    pn_err err = pn_backup_check(data, len, &why);

    if (err != PN_OK) {
        require(why != NULL);
        return;
    }
    require(data[9] <= PN_BACKUP_LOG_N_MAX);
    if (data[9] > PN_BACKUP_LOG_N_MIN) {
        return;
    }
    err = pn_backup_open(data, len, pn_slice_of("correct horse"), &plain, &n);
    require(err == PN_AUTH || err == PN_OK);
    if (err == PN_OK) {
        pn_secure_free(plain, n);
    }
}

/* What is read is written as the same bytes. */
static void fuzz_plain(const uint8_t *data, size_t len)
{
    pn_slice rest = {data, len};
    pn_public_key key;
    pn_backup_entry e;
    uint32_t n_files;
    pn_why why = {0};
    pn_buf again = {0};

    while (pn_backup_next(&rest, &e) == PN_OK) {
        require(pn_backup_put(&again, e.name, e.mode, e.bytes.data, e.bytes.len)
                == PN_OK);
    }
    require(again.len == len - rest.len
            && (again.len == 0 || memcmp(again.data, data, again.len) == 0));
    if (pn_backup_judge((pn_slice){data, len}, &key, &n_files, &why) == PN_OK) {
        require(rest.len == 0 && n_files > 0);
    }
    pn_guarded_wipe(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    if (data[0] % 2 == 0) {
        fuzz_whole(data + 1, len - 1);
    } else {
        fuzz_plain(data + 1, len - 1);
    }
    return 0;
}

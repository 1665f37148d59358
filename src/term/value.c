/* SPDX-License-Identifier: Apache-2.0 */
/* Functions on a whole term, without a reader. */
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "term/check.h"
#include "term/pattern.h"
#include "term/tags.h"

bool pn_term_equal(pn_term a, pn_term b)
{
    pn_hash hash_a;
    pn_hash hash_b;

    if (pn_slice_equal((pn_slice){a.data, a.len}, (pn_slice){b.data, b.len})) {
        return true;
    }
    return pn_check_hash(a, &hash_a) && pn_check_hash(b, &hash_b)
           && pn_hash_equal(hash_a, hash_b);
}

bool pn_term_is_atom_slice(pn_term term, pn_slice name)
{
    char buf[TERM_ATOM_MAX_BYTES + 1];
    size_t n;

    /* The usual form needs no copy. */
    if (term.len >= 2 && term.data[0] == TAG_SMALL_ATOM_UTF8) {
        return term.len == 2 + name.len
               && memcmp(term.data + 2, name.data, name.len) == 0;
    }
    return pn_term_atom_name(term, buf, sizeof(buf), &n) == PN_OK
           && pn_slice_equal(name, (pn_slice){(const uint8_t *)buf, n});
}

bool pn_term_is_atom(pn_term term, const char *name)
{
    return pn_term_is_atom_slice(term, pn_slice_of(name));
}

pn_err pn_term_copy(pn_term term, pn_term *ret_copy)
{
    uint8_t *data;

    if (term.len == 0) {
        return PN_INVALID;
    }
    data = malloc(term.len);
    if (data == NULL) {
        return PN_NOMEM;
    }
    memcpy(data, term.data, term.len);
    *ret_copy = (pn_term){data, term.len};
    return PN_OK;
}

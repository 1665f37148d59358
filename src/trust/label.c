/* SPDX-License-Identifier: Apache-2.0 */
/* Labels; see label.h. */
#include <string.h>

#include "base/mutant.h"
#include "base/utf8.h"
#include "trust/label.h"

bool pn_label_is_valid(const char *label)
{
    const uint8_t *p = (const uint8_t *)label;
    const uint8_t *end = p + strlen(label);

    if (PN_REFUSE_IF(trust_label_length, end - p > PN_LABEL_MAX)) {
        return false;
    }
    while (p < end) {
        uint32_t code = 0;
        size_t n = pn_utf8_decode(p, end, &code);

        if (PN_REFUSE_IF(trust_label_utf8, n == 0)) {
            return false;
        }
        if (PN_REFUSE_IF(trust_label_control, n > 0 && pn_is_control(code))) {
            return false;
        }
        p += n > 0 ? n : 1;
    }
    return true;
}

void pn_label_clean(
    const uint8_t *data, size_t len, char ret_label[static PN_LABEL_MAX + 1])
{
    const uint8_t *p = len == 0 ? (const uint8_t *)"" : data;
    const uint8_t *end = p + len;
    size_t used = 0;

    while (p < end) {
        uint32_t code = 0;
        const size_t n = pn_utf8_decode(p, end, &code);
        const bool is_shown = n > 0 && !pn_is_control(code);
        const size_t n_out = is_shown ? n : 1;

        if (used + n_out > PN_LABEL_MAX) {
            break;
        }
        memcpy(ret_label + used, is_shown ? (const void *)p : "?", n_out);
        used += n_out;
        p += n > 0 ? n : 1;
    }
    ret_label[used] = '\0';
}

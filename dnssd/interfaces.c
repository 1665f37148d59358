/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes of the interfaces that DNS-SD is for; see interfaces.h. */
#include "interfaces.h"
#include "os/interface_names.h"

static bool has_index(const int *indexes, size_t n, int index)
{
    for (size_t i = 0; i < n; i++) {
        if (indexes[i] == index) {
            return true;
        }
    }
    return false;
}

size_t pn_dnssd_interfaces_used(const char *list, const pn_interface *all,
    size_t n, int ret_indexes[static PN_DNSSD_INDEXES_MAX])
{
    size_t n_used = 0;

    for (size_t i = 0; i < n && n_used < PN_DNSSD_INDEXES_MAX; i++) {
        int index = (int)all[i].index;

        if (pn_interface_unused(list, &all[i]) == NULL
            && !has_index(ret_indexes, n_used, index)) {
            ret_indexes[n_used++] = index;
        }
    }
    return n_used;
}

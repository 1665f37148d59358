/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the tests of dialling: node/registry/dial. */
#ifndef PN_TESTS_REGISTRY_DIAL_H
#define PN_TESTS_REGISTRY_DIAL_H

#include "registry_fixture.h"

#define ADD(name)                                                              \
    pn_test_add("node/registry/dial/" #name, test_dial_##name, NULL)
#define ADD_ROWS(which, rows)                                                  \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++) {            \
        pn_test_addf(test_dial_##which, &(rows)[i],                            \
            "node/registry/dial/" #which "_%s", (rows)[i].name);               \
    }
#define ADD_REASON(name, reason)                                               \
    pn_test_addf(test_dial_##name, (void *)(uintptr_t)PN_REASON_##reason,      \
        "node/registry/dial/" #name "_" #reason)

#endif

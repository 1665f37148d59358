/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate whose files are gone. */
#ifndef PN_TESTS_MADE_CERTIFICATE_H
#define PN_TESTS_MADE_CERTIFICATE_H

#include "quic/certificate.h"
#include "tempdir.h"

/* wall_s: the time of day, for its validity. */
static inline pn_err pn_test_certificate(
    int64_t wall_s, pn_certificate **ret_certificate)
{
    pn_tempdir t;
    pn_why why;
    pn_err err;

    pn_tempdir_init(&t);
    err = pn_certificate_open(t.path, wall_s, ret_certificate, &why);
    pn_tempdir_fini(&t);
    return err;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terms of all reasons that are sent to peers, in one table; see reasons.h
 * and docs/PROTOCOL.md. A BEAM peer closes the link on an atom it has never
 * seen, so the table uses atoms of the emulator itself or of PeerNet 0.1.0
 * (docs/TERM.md, "Atoms") only; tests/beam checks that.
 */
#include "link/reasons.h"

static const char *const formats[PN_N_REASONS] = {
    [PN_REASON_NO_SUCH_HANDLE] = "no_such_handle",
    [PN_REASON_FORBIDDEN] = "forbidden",
    [PN_REASON_QUEUE_FULL] = "busy",
    [PN_REASON_RATE_LIMITED] = "busy",
    [PN_REASON_HANDLER_TIMEOUT] = "timeout",
    [PN_REASON_HANDLER_FAILED] = "{handler_crash, {exit, error}}",
    [PN_REASON_NO_REPLY] = "{handler_crash, {exit, normal}}",
    [PN_REASON_REPLY_TOO_LARGE] = "system_limit",
    [PN_REASON_BAD_ARGUMENT] = "badarg",
    [PN_REASON_OUT_OF_MEMORY] = "system_limit",
};

void pn_reason_write(pn_term_writer *w, pn_reason reason, const pn_term *mfa)
{
    const char *format = NULL;

    if (reason == PN_REASON_FUNCTION_NOT_EXPORTED
        || reason == PN_REASON_FUNCTION_FORBIDDEN) {
        bool is_undef = reason == PN_REASON_FUNCTION_NOT_EXPORTED;

        if (mfa != NULL) {
            pn_term_write_format(
                w, is_undef ? "{undef, ~t}" : "{forbidden, ~t}", *mfa);
        } else {
            pn_term_write_atom(w, is_undef ? "undef" : "forbidden");
        }
        return;
    }
    if ((unsigned)reason < PN_N_REASONS) {
        format = formats[reason];
    }
    pn_term_write_format(w, format == NULL ? "error" : format);
}

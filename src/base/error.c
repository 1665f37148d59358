/* SPDX-License-Identifier: Apache-2.0 */
/* Names and texts of errors, reasons and log events, from their lists. */
#include <peernet/error.h>
#include <peernet/log.h>
#include <peernet/reason.h>

const char *pn_strerror(pn_err err)
{
    switch (err) {
#define ERR_TEXT(name, number, text)                                           \
    case PN_##name:                                                            \
        return text;
        PN_ERR_MAP(ERR_TEXT)
#undef ERR_TEXT
    }
    return "unknown error";
}

const char *pn_err_name(pn_err err)
{
    switch (err) {
#define ERR_NAME(name, number, text)                                           \
    case PN_##name:                                                            \
        return #name;
        PN_ERR_MAP(ERR_NAME)
#undef ERR_NAME
    }
    return "UNKNOWN";
}

const char *pn_reason_text(pn_reason reason)
{
    static const char *const texts[PN_N_REASONS] = {
#define REASON_TEXT(name, text) [PN_REASON_##name] = (text),
        PN_REASON_MAP(REASON_TEXT)
#undef REASON_TEXT
    };

    if ((unsigned)reason >= PN_N_REASONS) {
        return "unknown";
    }
    return texts[reason];
}

const char *pn_log_text(pn_log_what what)
{
    static const char *const texts[PN_N_LOG] = {
#define LOG_TEXT(name, text) [PN_LOG_##name] = (text),
        PN_LOG_MAP(LOG_TEXT)
#undef LOG_TEXT
    };

    return (unsigned)what < PN_N_LOG ? texts[what] : "unknown";
}

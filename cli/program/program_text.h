/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for programs without JSON (--text): a term as standard input, and
 * standard output as a term.
 */
#ifndef PN_CLI_PROGRAM_TEXT_H
#define PN_CLI_PROGRAM_TEXT_H

#include <peernet/term.h>

#include "json/json.h"

/* Terms that are no text by themselves are printed, up to this size: printed
 * they may be many times as long. */
#define CLI_PROGRAM_PRINTED_MAX ((size_t)1 << 20)

/*
 * The argument as text: a binary and an atom as they are, nil as nothing, a
 * number in digits, a charlist in UTF-8, everything else as Elixir prints it.
 * Of an exported function (is_list) every argument is a line of its own.
 * Errors: as cli_json_from_term.
 */
PN_MUST_USE pn_err cli_program_input_text(pn_term args, bool is_list,
    size_t max, cli_json_reserve *reserve, void *user, cli_text *ret_text);

/* The output without the newline at its end. Valid as long as output. */
pn_slice cli_program_output_text(const cli_text *output);

#endif

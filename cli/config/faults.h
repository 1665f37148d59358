/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a configuration: all of it, so that its owner need not
 * mend one line to learn of the next. */
#ifndef PN_CLI_FAULTS_H
#define PN_CLI_FAULTS_H

#include "args.h"

typedef struct cli_fault {
    const char *file; /* NULL: the command line, or none in particular */
    unsigned line;    /* 0: the file as a whole */
    cli_exit status;
    char *text; /* what was expected, and what was found */
} cli_fault;

/* Zero-filled is empty. */
typedef struct cli_faults {
    cli_fault *items;
    size_t n;
    size_t cap;
    /* The option that is looked at: a fault is its. NULL: of none. */
    const cli_given *at;
    bool is_lost; /* one could not be kept for want of memory */
} cli_faults;

void cli_faults_fini(cli_faults *faults);
/* file is borrowed; text is copied. */
void cli_faults_add(cli_faults *faults, const char *file, unsigned line,
    cli_exit status, const char *text);
/* The same at a line; text is freed. */
void cli_faults_add_text(cli_faults *faults, const char *file, unsigned line,
    cli_exit status, cli_text *text);
/* In the order of lines; those of the command line first. */
void cli_faults_sort(cli_faults *faults);
/* True when nothing is wrong. */
bool cli_faults_none(const cli_faults *faults);
/* "FILE:LINE: TEXT". */
void cli_fault_to_text(const cli_fault *fault, cli_text *t);
/* {"file": ..., "line": ..., "message": ...}, an element of an array. */
void cli_fault_to_json(const cli_fault *fault, cli_text *t);

#endif

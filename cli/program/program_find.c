/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for programs, and reads the first line of a script as the kernel does:
 * "#!", spaces, the interpreter, at most one argument (execve(2)). */
#include "program_find.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer_text.h"

/* Bytes of a script's first line that the kernel reads. */
#define HEAD_MAX 256

/* A directory may be entered, which is what X_OK means for it. */
static bool is_program(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISREG(info.st_mode)
           && access(path, X_OK) == 0;
}

static bool is_in_path(const char *name, char ret_path[PATH_MAX])
{
    const char *dirs = getenv("PATH");

    while (dirs != NULL && *dirs != '\0' && name[0] != '\0') {
        size_t len = strcspn(dirs, ":");

        if (snprintf(ret_path, PATH_MAX, "%.*s/%s", (int)len, dirs, name)
                < PATH_MAX
            && dirs[0] == '/' && is_program(ret_path)) {
            return true;
        }
        dirs += len + (dirs[len] == ':');
    }
    return false;
}

static void say(cli_text *why, const char *expected, const char *found)
{
    cli_text_printf(why, "expected %s, found ", expected);
    cli_quote(why, found, strlen(found), CLI_ESCAPE_FIELD);
}

/* The next word of the line, as execve and env split it. */
static char *next_word(char **line)
{
    char *word = *line + strspn(*line, " \t");
    char *end = word + strcspn(word, " \t");

    *line = end + (*end != '\0');
    *end = '\0';
    return word;
}

/* line: what stands behind "#!". env looks for its argument in PATH. */
static bool has_interpreter(const char *path, char *line, cli_text *why)
{
    char found[PATH_MAX];
    const char *interpreter = next_word(&line);
    const char *name = strrchr(interpreter, '/');
    const char *argument = next_word(&line);

    if (!is_program(interpreter)) {
        cli_text_printf(why, "%s: ", path);
        say(why, "the path of an interpreter behind '#!'", interpreter);
        return false;
    }
    if (name != NULL && strcmp(name, "/env") == 0 && argument[0] != '\0'
        && argument[0] != '-' && strchr(argument, '=') == NULL
        && strchr(argument, '/') == NULL && !is_in_path(argument, found)) {
        cli_text_printf(why, "%s: ", path);
        say(why, "an interpreter in PATH behind '#!/usr/bin/env'", argument);
        return false;
    }
    return true;
}

/* True for text, which without "#!" only a shell would run. */
static bool is_text(const char *head, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)head[i];

        if (c < ' ' && c != '\n' && c != '\t' && c != '\r') {
            return false;
        }
    }
    return true;
}

/* A file that can be run but not read is not checked. */
static bool can_start(const char *path, cli_text *why)
{
    char head[HEAD_MAX + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, head, HEAD_MAX);

    if (fd >= 0) {
        (void)close(fd);
    }
    if (n < 0) {
        return true;
    }
    head[n] = '\0';
    if (n > 2 && head[0] == '#' && head[1] == '!') {
        head[strcspn(head, "\n")] = '\0';
        return has_interpreter(path, head + 2, why);
    }
    if (is_text(head, (size_t)n)) {
        cli_text_printf(why,
            "%s: expected a program, or a script whose first line is such as "
            "'#!/bin/sh'",
            path);
        return false;
    }
    return true;
}

bool cli_find_program(
    const char *text, char ret_path[PATH_MAX], cli_text *ret_why)
{
    char found[PATH_MAX];
    bool is_path = strchr(text, '/') != NULL;

    if (!(is_path ? is_program(text) : is_in_path(text, found))
        || realpath(is_path ? text : found, ret_path) == NULL) {
        say(ret_why, "a program that can be run", text);
        return false;
    }
    return can_start(ret_path, ret_why);
}

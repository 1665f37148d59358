/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef PN_CLI_SYSTEMD
#include <systemd/sd-journal.h>
#endif

#define MAX_FIELDS 16
/* Where libsystemd sends records; it loses them in silence without it. */
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

bool cli_journal_has(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat info;
    char own[64];

    if (stream == NULL || fstat(fd, &info) != 0) {
        return false;
    }
    (void)snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)info.st_dev,
        (uintmax_t)info.st_ino);
    return strcmp(stream, own) == 0;
}

void cli_journal_field(cli_text *record, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        cli_text_printf(record, "%s=%s", name, value);
        cli_text_putc(record, '\0');
    }
}

/* The value of a field; "" when it is not there. */
static const char *value_of(const char *record, size_t len, const char *name)
{
    size_t n = strlen(name);

    for (const char *at = record; at < record + len; at += strlen(at) + 1) {
        if (strncmp(at, name, n) == 0 && at[n] == '=') {
            return at + n + 1;
        }
    }
    return "";
}

static int write_message(int fd, const char *record, size_t len)
{
    const char *message = value_of(record, len, "MESSAGE");
    cli_text t = {0};
    ssize_t n = 0;
    int error = 0;

    cli_text_printf(&t, "<%s>%s\n", value_of(record, len, "PRIORITY"), message);
    for (size_t at = 0; at < t.len && error == 0; at += (size_t)n) {
        n = write(fd, t.data + at, t.len - at);
        if (n < 0) {
            error = errno == EINTR ? 0 : errno;
            n = 0;
        }
    }
    cli_text_fini(&t);
    return error;
}

#ifdef PN_CLI_SYSTEMD

int cli_journal_send(int fd, const char *record, size_t len)
{
    struct iovec fields[MAX_FIELDS];
    int n = 0;

    for (const char *at = record; at < record + len && n < MAX_FIELDS;
         at += strlen(at) + 1) {
        fields[n++] = (struct iovec){(void *)(uintptr_t)at, strlen(at)};
    }
    return access(JOURNAL_SOCKET, F_OK) == 0 && sd_journal_sendv(fields, n) == 0
               ? 0
               : write_message(fd, record, len);
}

#else

int cli_journal_send(int fd, const char *record, size_t len)
{
    return write_message(fd, record, len);
}

#endif

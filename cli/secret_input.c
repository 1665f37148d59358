/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets typed on the terminal or read from a descriptor; secret_input.h. */
#include "secret_input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* One byte a time: what follows the line is left for others. stops: bytes that
 * end the question instead; NULL: none. */
static cli_secret_result read_line(
    int fd, const char stops[static 3], cli_secret *s)
{
    for (s->len = 0;; s->len++) {
        char *at = s->text + s->len;
        ssize_t n;

        do {
            n = read(fd, at, 1);
        } while (n < 0 && errno == EINTR);
        if (n < 0) {
            return CLI_SECRET_UNREADABLE;
        }
        if (n == 0 && s->len == 0) {
            return CLI_SECRET_NONE;
        }
        if (n == 0 || *at == '\n') {
            *at = '\0';
            return CLI_SECRET_OK;
        }
        if (*at != '\0' && memchr(stops, *at, 3) != NULL) {
            return CLI_SECRET_INTERRUPTED;
        }
        if (s->len == CLI_SECRET_MAX) {
            return CLI_SECRET_TOO_LONG;
        }
    }
}

static cli_secret_result read_or_wipe(
    int fd, const char stops[static 3], cli_secret *ret_secret)
{
    cli_secret_result result = read_line(fd, stops, ret_secret);
    int kept = errno;

    if (result != CLI_SECRET_OK) {
        cli_secret_wipe(ret_secret);
    }
    errno = kept;
    return result;
}

cli_secret_result cli_secret_read(int fd, cli_secret *ret_secret)
{
    static const char none[3];

    return read_or_wipe(fd, none, ret_secret);
}

/* A terminal that shows nothing. Its keys for signals end the line as bytes, so
 * that the echo is always turned on again; ret_stops gets them. */
static struct termios quiet_of(
    const struct termios *now, char ret_stops[static 3])
{
    struct termios t = *now;

    ret_stops[0] = (char)t.c_cc[VINTR];
    ret_stops[1] = (char)t.c_cc[VQUIT];
    ret_stops[2] = (char)t.c_cc[VSUSP];
    t.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL | ISIG);
    t.c_lflag |= ICANON;
    t.c_cc[VEOL] = t.c_cc[VINTR];
    t.c_cc[VEOL2] = t.c_cc[VQUIT];
    return t;
}

cli_secret_result cli_secret_ask(const char *prompt, cli_secret *ret_secret)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    struct termios before;
    struct termios quiet;
    char stops[3];
    cli_secret_result result = CLI_SECRET_NO_TERMINAL;

    ret_secret->len = 0;
    if (fd < 0) {
        return result;
    }
    if (tcgetattr(fd, &before) == 0) {
        quiet = quiet_of(&before, stops);
        (void)tcsetattr(fd, TCSAFLUSH, &quiet);
        (void)!write(fd, prompt, strlen(prompt));
        result = read_or_wipe(fd, stops, ret_secret);
        (void)tcsetattr(fd, TCSAFLUSH, &before);
        (void)!write(fd, "\n", 1);
    }
    (void)close(fd);
    return result;
}

const char *cli_secret_why(cli_secret_result result)
{
    switch (result) {
    case CLI_SECRET_OK:
        return "was read";
    case CLI_SECRET_NO_TERMINAL:
        return "cannot be asked for: this process has no terminal";
    case CLI_SECRET_INTERRUPTED:
        return "was not typed";
    case CLI_SECRET_TOO_LONG:
        return "has more than 1024 bytes";
    case CLI_SECRET_UNREADABLE:
        return strerror(errno);
    case CLI_SECRET_NONE:
        return "is missing: there was nothing to read";
    }
    return "";
}

void cli_secret_wipe(cli_secret *secret)
{
    explicit_bzero(secret, sizeof(*secret));
}

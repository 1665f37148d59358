/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/descriptor.h"

/* A new file each time: a link that lies there is not followed. */
static int open_new(const char *path)
{
    int fd;

    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    /* Whatever the umask, because another user's program reads it. */
    return fd < 0 || fchmod(fd, 0644) == 0 ? fd : pn_close_failed(fd);
}

/* 0 or an errno. */
static int replace(const char *path, const char *text, size_t len)
{
    char temporary[PATH_MAX];
    int fd;
    int error = 0;

    if (snprintf(temporary, sizeof(temporary), "%s.new", path)
        >= (int)sizeof(temporary)) {
        return ENAMETOOLONG;
    }
    fd = open_new(temporary);
    if (fd < 0) {
        return errno;
    }
    if (pn_write_all(fd, text, len) != 0) {
        error = errno;
    }
    if (close(fd) != 0 && error == 0) {
        error = errno;
    }
    if (error == 0 && rename(temporary, path) != 0) {
        error = errno;
    }
    if (error != 0) {
        (void)unlink(temporary);
    }
    return error;
}

static void write_now(cli_metrics_file *file)
{
    cli_text t = {0};
    int error = ENOMEM;

    if (cli_hub_metrics_text(file->hub, &t) == PN_OK) {
        error = replace(file->path, t.data, t.len);
    }
    cli_text_fini(&t);
    if (error != 0 && error != file->error) {
        cli_log("peernet: warning: --metrics-file %s: %s", file->path,
            strerror(error));
    }
    file->error = error;
}

static void on_timer(uv_timer_t *timer)
{
    write_now(timer->data);
}

void cli_metrics_file_start(
    cli_metrics_file *file, uv_loop_t *loop, cli_hub *hub, const char *path)
{
    if (path == NULL) {
        return;
    }
    file->hub = hub;
    file->path = path;
    (void)uv_timer_init(loop, &file->timer);
    file->timer.data = file;
    (void)uv_timer_start(
        &file->timer, on_timer, CLI_METRICS_FILE_MS, CLI_METRICS_FILE_MS);
    write_now(file);
}

void cli_metrics_file_end(cli_metrics_file *file)
{
    if (file->hub != NULL) {
        (void)unlink(file->path);
        (void)uv_timer_stop(&file->timer);
        file->hub = NULL;
    }
}

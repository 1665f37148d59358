/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program for the tests of programs as handlers. Its first argument, fixed by
 * the test, selects what it does: report its surroundings, or misbehave.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void print_hex(const char *name, const char *data, size_t len)
{
    printf("%s ", name);
    for (size_t i = 0; i < len; i++) {
        printf("%02x", (unsigned char)data[i]);
    }
    printf("\n");
}

/* Descriptors other than the listing's own. */
static void report_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(dir)) {
            printf("fd %s\n", entry->d_name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

static void report_limit(const char *name, __rlimit_resource_t resource)
{
    struct rlimit limit;

    if (getrlimit(resource, &limit) == 0) {
        printf("limit %s %llu\n", name, (unsigned long long)limit.rlim_max);
    }
}

/* One fact per line, so that order does not matter. */
static int report(int argc, char **argv, char **env)
{
    static char input[2 << 20];
    size_t len = fread(input, 1, sizeof(input), stdin);
    struct sigaction pipe_action;
    sigset_t blocked;

    for (int i = 0; i < argc; i++) {
        print_hex("arg", argv[i], strlen(argv[i]));
    }
    for (; *env != NULL; env++) {
        print_hex("env", *env, strlen(*env));
    }
    report_fds();
    report_limit("core", RLIMIT_CORE);
    report_limit("files", RLIMIT_NOFILE);
    report_limit("cpu", RLIMIT_CPU);
    (void)sigaction(SIGPIPE, NULL, &pipe_action);
    (void)sigprocmask(SIG_BLOCK, NULL, &blocked);
    printf("leader %d\n", getsid(0) == getpid() && getpgrp() == getpid());
    printf("pipe-default %d\n", pipe_action.sa_handler == SIG_DFL);
    printf("term-blocked %d\n", sigismember(&blocked, SIGTERM));
    print_hex("input", input, len);
    return 0;
}

static int flood(void)
{
    static char block[65536];

    memset(block, 'x', sizeof(block));
    for (;;) {
        if (fwrite(block, 1, sizeof(block), stdout) == 0) {
            return 1;
        }
    }
}

/* Written at once into a pipe that is large enough, so that all of it is there
 * when this process has ended. */
static int fill_pipe(size_t len)
{
    char *block = calloc(1, len);

    if (block == NULL || fcntl(1, F_SETPIPE_SZ, (int)len) < (int)len) {
        return 1;
    }
    return write(1, block, len) == (ssize_t)len ? 0 : 1;
}

/* Writes a line with its process number into a file, and then goes on
 * running. */
static int note_start(const char *path)
{
    FILE *file = fopen(path, "a");

    if (file == NULL || fprintf(file, "%d\n", (int)getpid()) < 0
        || fclose(file) != 0) {
        return 1;
    }
    for (;;) {
        (void)pause();
    }
}

static void bomb(void)
{
    struct rlimit limit;
    time_t until;

    /* Does nothing on a machine without a limit of processes. */
    if (getrlimit(RLIMIT_NPROC, &limit) != 0 || limit.rlim_max > 20000) {
        _exit(98);
    }
    /* The bomb ends in seconds, also when the test fails. */
    until = time(NULL) + 8;
    while (time(NULL) < until) {
        if (fork() < 0) {
            (void)usleep(1000);
        }
    }
    _exit(97);
}

/* Leaves a process behind that holds our output open, and prints its process
 * group, which is ours or its own. */
static int leave_child(int own_session)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (own_session) {
            (void)setsid();
        }
        (void)sleep(600);
        _exit(0);
    }
    printf("%d\n", own_session ? (int)pid : (int)getpgrp());
    return 0;
}

static int number_of_forks(void)
{
    int n = 0;

    while (n < 4096) {
        pid_t pid = fork();

        if (pid == 0) {
            (void)pause();
            _exit(0);
        }
        if (pid < 0) {
            break;
        }
        n++;
    }
    printf("%d\n", n);
    return 0;
}

int main(int argc, char **argv, char **env)
{
    const char *mode = argc > 1 ? argv[1] : "";

    if (strcmp(mode, "report") == 0) {
        return report(argc, argv, env);
    }
    if (strcmp(mode, "flood") == 0) {
        return flood();
    }
    if (strcmp(mode, "bomb") == 0) {
        bomb();
    }
    if (strcmp(mode, "forks") == 0) {
        return number_of_forks();
    }
    if (strcmp(mode, "hang") == 0) {
        (void)signal(SIGTERM, SIG_IGN);
        for (;;) {
            (void)pause();
        }
    }
    if (strcmp(mode, "signal") == 0) {
        (void)raise(SIGTERM);
    }
    if (strcmp(mode, "exit") == 0) {
        printf("partial");
        return atoi(argv[2]);
    }
    if (strcmp(mode, "closed-stdin") == 0) {
        (void)close(0);
        (void)usleep(50000);
        printf("done");
        return 0;
    }
    if (strcmp(mode, "closed-stdout") == 0) {
        (void)close(1);
        (void)usleep(50000);
        return 0;
    }
    if (strcmp(mode, "stderr") == 0) {
        for (int i = 0; i < 100000; i++) {
            fprintf(stderr, "line %d\n", i);
        }
        return 0;
    }
    if (strcmp(mode, "complain") == 0) {
        fputs("no thanks", stderr);
        return 0;
    }
    if (strcmp(mode, "print") == 0) {
        for (int i = atoi(argv[2]); i > 0; i--) {
            putchar('x');
        }
        return 0;
    }
    if (strcmp(mode, "ones") == 0) {
        printf("[1");
        for (int i = 0; i < 300000; i++) {
            printf(",1");
        }
        printf("]");
        return 0;
    }
    if (strcmp(mode, "note") == 0) {
        return note_start(argv[2]);
    }
    if (strcmp(mode, "wide") == 0) {
        return fill_pipe((size_t)atoi(argv[2]));
    }
    if (strcmp(mode, "child") == 0) {
        return leave_child(0);
    }
    if (strcmp(mode, "daemon") == 0) {
        return leave_child(1);
    }
    return 99;
}

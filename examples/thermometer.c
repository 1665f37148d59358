/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serves the handle `temperature` through the running node, without
 * libpeernet: a Unix socket and lines of JSON (jansson). peernet-control(7) has
 * the protocol.
 *
 *     thermometer DATA-DIR PEER
 *
 * DATA-DIR is the one of `peernet run`, PEER who may call. A call with
 * %{unit: "F"} gets {:ok, 70.7}, any other {:ok, 21.5}.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A stream for each way: one for both would lose what it has read ahead. */
typedef struct connection {
    FILE *in;
    FILE *out;
} connection;

/* The link in the data directory may be too long for the name of a socket, what
 * it leads to is not. */
static connection connect_to_node(const char *data_dir)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char link[4096];
    ssize_t len;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(link, sizeof(link), "%s/control.sock", data_dir);
    len = readlink(link, address.sun_path, sizeof(address.sun_path) - 1);
    if (fd < 0 || len < 0
        || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        perror(link);
        exit(1);
    }
    return (connection){fdopen(fd, "r"), fdopen(dup(fd), "w")};
}

/* Sends a line; takes the object. */
static void send_line(connection node, json_t *object)
{
    if (object == NULL || json_dumpf(object, node.out, JSON_COMPACT) != 0) {
        (void)fputs("out of memory\n", stderr);
        exit(1);
    }
    (void)fputc('\n', node.out);
    (void)fflush(node.out);
    json_decref(object);
}

/* NULL: the node has ended. */
static json_t *read_line(connection node)
{
    static char *line;
    static size_t room;

    return getline(&line, &room, node.in) < 0 ? NULL
                                              : json_loads(line, 0, NULL);
}

/* For before the first handle is open: only the answer comes then. */
static void ask(connection node, json_t *request)
{
    json_t *answer;

    send_line(node, request);
    answer = read_line(node);
    if (!json_is_true(json_object_get(answer, "ok"))) {
        const char *why = json_string_value(json_object_get(answer, "message"));

        (void)fprintf(stderr, "%s\n", why == NULL ? "no answer" : why);
        exit(1);
    }
    json_decref(answer);
}

static void answer_call(connection node, const json_t *event)
{
    const json_t *args = json_object_get(event, "args");
    const char *unit = json_string_value(json_object_get(args, ":unit"));
    double value = unit != NULL && strcmp(unit, "F") == 0 ? 70.7 : 21.5;

    send_line(node, json_pack("{s:s, s:O, s:{s:[{s:s}, f]}}", "cmd", "reply",
                        "request", json_object_get(event, "request"), "value",
                        "$tuple", "$atom", "ok", value));
}

int main(int argc, char **argv)
{
    json_t *event;
    connection node;

    if (argc != 3) {
        (void)fputs("usage: thermometer DATA-DIR PEER\n", stderr);
        return 2;
    }
    node = connect_to_node(argv[1]);
    ask(node,
        json_pack("{s:i, s:s, s:i}", "id", 1, "cmd", "hello", "protocol", 1));
    ask(node, json_pack("{s:i, s:s, s:s, s:[s]}", "id", 2, "cmd", "expose",
                  "handle", "temperature", "allow", argv[2]));
    (void)puts("serving");
    (void)fflush(stdout);
    while ((event = read_line(node)) != NULL) {
        const char *name = json_string_value(json_object_get(event, "event"));

        if (name != NULL && strcmp(name, "request") == 0) {
            answer_call(node, event);
        }
        json_decref(event);
    }
    return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "lookup/endpoint_file.h"
#include "tempdir.h"

#define NAME "beta@h.example"
#define FILE_NAME NAME ".endpoint"

static char why[512];

/* ---- text --------------------------------------------------------------- */

typedef struct good_row {
    const char *name;
    const char *text;
    const char *host;
    uint16_t port;
} good_row;

static const good_row GOOD[] = {
    {"upstream", "{\"127.0.0.1\",4433}.\n", "127.0.0.1", 4433},
    {"name", "{\"h.example\",9100}.\n", "h.example", 9100},
    {"ipv6", "{\"fe80::1%eth0\",9100}.\n", "fe80::1%eth0", 9100},
    {"port_1", "{\"h\",1}.\n", "h", 1},
    {"port_65534", "{\"h\",65534}.\n", "h", 65534},
    {"port_65535", "{\"h\",65535}.\n", "h", 65535},
    {"leading_zeros", "{\"h\",00080}.\n", "h", 80},
    {"white", " \t\r\n\v\f{ \"h\"\n,\t 80\r} . \n\n", "h", 80},
    {"crlf", "{\"h\",80}.\r\n", "h", 80},
    {"broken_line", "{\"h\",\n 80}.\n", "h", 80},
    {"printable", "{\"!#$%&()*+,-./:;<=>?@[]^_`{|}~\",80}.\n",
        "!#$%&()*+,-./:;<=>?@[]^_`{|}~", 80},
};

static void test_barrel_endpoint_good(void **state)
{
    const good_row *row = *state;
    pn_barrel_endpoint endpoint;
    const char *text_why = NULL;

    assert_int_equal(pn_barrel_endpoint_parse((const uint8_t *)row->text,
                         strlen(row->text), &endpoint, &text_why),
        PN_OK);
    assert_null(text_why);
    assert_string_equal(endpoint.host, row->host);
    assert_int_equal(endpoint.port, row->port);
}

/* White space at the end may go but for one: rows end in one newline here. */
static void test_barrel_endpoint_every_prefix(void **state)
{
    const good_row *row = *state;
    size_t len = strlen(row->text);

    while (len > 1 && row->text[len - 2] != '.') {
        len--;
    }
    for (size_t n = 0; n < len; n++) {
        uint8_t *copy = malloc(n == 0 ? 1 : n);
        pn_barrel_endpoint endpoint = {.port = 7};
        const char *text_why = NULL;

        memcpy(copy, row->text, n);
        assert_int_equal(
            pn_barrel_endpoint_parse(copy, n, &endpoint, &text_why),
            PN_MALFORMED);
        assert_non_null(text_why);
        assert_int_equal(endpoint.port, 7);
        free(copy);
    }
}

typedef struct bad_row {
    const char *text;
    const char *why; /* part of it */
} bad_row;

static const bad_row BAD[] = {
    {"", "is empty"},
    {"\n", "does not begin"},
    {"[\"h\",80].\n", "does not begin"},
    {"{\"host\": \"h\", \"port\": 80}\n", "comma"},
    {"\xef\xbb\xbf{\"h\",80}.\n", "does not begin"},
    {"% a comment\n{\"h\",80}.\n", "does not begin"},
    {"{h,80}.\n", "before the host"},
    {"{'h',80}.\n", "before the host"},
    {"{<<\"h\">>,80}.\n", "before the host"},
    {"{{127,0,0,1},80}.\n", "before the host"},
    {"{[104],80}.\n", "before the host"},
    {"{\"\",80}.\n", "1 to 255"},
    {"{\"h,80}.\n", "after the host"},
    {"{\"a b\",80}.\n", "no host has"},
    {"{\"a\nb\",80}.\n", "no host has"},
    {"{\"a\x7f\",80}.\n", "no host has"},
    {"{\"h\xc3\xb6st\",80}.\n", "no host has"},
    {"{\"a\\x41\",80}.\n", "no host has"},
    {"{\"it's\",80}.\n", "no host has"},
    {"{\"a\\\"b\",80}.\n", "no host has"},
    {"{\"a\" \"b\",80}.\n", "comma"},
    {"{\"h\" 80}.\n", "comma"},
    {"{\"h\",}.\n", "the port"},
    {"{\"h\",0}.\n", "the port"},
    {"{\"h\",00000}.\n", "the port"},
    {"{\"h\",65536}.\n", "the port"},
    {"{\"h\",000080}.\n", "the port"},
    {"{\"h\",4294967376}.\n", "the port"},
    {"{\"h\",-80}.\n", "the port"},
    {"{\"h\",+80}.\n", "the port"},
    {"{\"h\",\"80\"}.\n", "the port"},
    {"{\"h\",$P}.\n", "the port"},
    {"{\"h\",80.0}.\n", "}"},
    {"{\"h\",8_0}.\n", "}"},
    {"{\"h\",16#50}.\n", "}"},
    {"{\"h\",80,x}.\n", "}"},
    {"{\"h\",80]}.\n", "}"},
    {"{\"h\",80}\n", "no ."},
    {"{\"h\",80}.", "newline"},
    {"{\"h\",80}.x\n", "newline"},
    {"{\"h\",80}.%\n", "newline"},
    {"{\"h\",80}..\n", "newline"},
    {"{\"h\",80}. {\"g\",81}.\n", "more than one"},
    {"{\"h\",80}.\n.\n", "more than one"},
    {"{\"h\",80}.\n% comment\n", "more than one"},
};

static void test_barrel_endpoint_bad(void **state)
{
    const bad_row *row = *state;
    pn_barrel_endpoint endpoint = {.port = 7};
    const char *text_why = "";

    assert_int_equal(pn_barrel_endpoint_parse((const uint8_t *)row->text,
                         strlen(row->text), &endpoint, &text_why),
        PN_MALFORMED);
    assert_non_null(strstr(text_why, row->why));
    assert_int_equal(endpoint.port, 7);
}

/* Every byte in the place of the last one of the host, NUL too. */
static void test_barrel_endpoint_host_bytes(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        uint8_t text[] = "{\"hX\",80}.\n";
        pn_barrel_endpoint endpoint;
        const char *text_why;
        bool is_good = c > 32 && c < 127 && c != '"' && c != '\'' && c != '\\';

        text[3] = (uint8_t)c;
        assert_int_equal(pn_barrel_endpoint_parse(
                             text, sizeof(text) - 1, &endpoint, &text_why),
            is_good ? PN_OK : PN_MALFORMED);
    }
}

static void test_barrel_endpoint_host_length(void **state)
{
    (void)state;
    for (size_t n = PN_BARREL_HOST_MAX - 1; n <= PN_BARREL_HOST_MAX + 1; n++) {
        char host[PN_BARREL_HOST_MAX + 2] = {0};
        char text[PN_BARREL_ENDPOINT_MAX];
        pn_barrel_endpoint endpoint;
        const char *text_why = "";
        int len;

        memset(host, 'a', n);
        len = snprintf(text, sizeof(text), "{\"%s\",65535}.\n", host);
        assert_int_equal(pn_barrel_endpoint_parse((const uint8_t *)text,
                             (size_t)len, &endpoint, &text_why),
            n <= PN_BARREL_HOST_MAX ? PN_OK : PN_MALFORMED);
        if (n <= PN_BARREL_HOST_MAX) {
            assert_string_equal(endpoint.host, host);
        }
    }
}

static void test_barrel_endpoint_length(void **state)
{
    (void)state;
    for (size_t n = PN_BARREL_ENDPOINT_MAX - 1; n <= PN_BARREL_ENDPOINT_MAX + 1;
         n++) {
        char text[PN_BARREL_ENDPOINT_MAX + 1];
        pn_barrel_endpoint endpoint;
        const char *text_why = "";

        memset(text, '\n', sizeof(text));
        memcpy(text, "{\"h\",80}.", 9);
        assert_int_equal(pn_barrel_endpoint_parse(
                             (const uint8_t *)text, n, &endpoint, &text_why),
            n <= PN_BARREL_ENDPOINT_MAX ? PN_OK : PN_LIMIT);
    }
}

static void test_barrel_endpoint_write(void **state)
{
    static const char *const hosts[] = {
        "", "a\"b", "a\\b", "a b", "a\n", "\x7f"};
    pn_barrel_endpoint endpoint = {.host = "127.0.0.1", .port = 4433};
    char text[PN_BARREL_ENDPOINT_MAX];
    size_t len = 7;

    (void)state;
    assert_int_equal(pn_barrel_endpoint_write(&endpoint, text, &len), PN_OK);
    assert_string_equal(text, "{\"127.0.0.1\",4433}.\n");
    assert_int_equal(len, strlen(text));
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        (void)snprintf(endpoint.host, sizeof(endpoint.host), "%s", hosts[i]);
        assert_int_equal(
            pn_barrel_endpoint_write(&endpoint, text, &len), PN_INVALID);
    }
    endpoint = (pn_barrel_endpoint){.host = "h", .port = 0};
    assert_int_equal(
        pn_barrel_endpoint_write(&endpoint, text, &len), PN_INVALID);
    memset(endpoint.host, 'a', PN_BARREL_HOST_MAX);
    endpoint.port = 65535;
    assert_int_equal(pn_barrel_endpoint_write(&endpoint, text, &len), PN_OK);
    assert_int_equal(len, PN_BARREL_HOST_MAX + 12);
}

/* ---- files -------------------------------------------------------------- */

static void assert_why_names_file(void)
{
    assert_non_null(strstr(why, "/" FILE_NAME ": "));
}

static void assert_unreadable(const pn_tempdir *t, pn_err err, const char *text)
{
    pn_barrel_endpoint endpoint = {.port = 7};

    why[0] = '\0';
    assert_int_equal(
        pn_barrel_endpoint_read(t->path, NAME, &endpoint, why, sizeof(why)),
        err);
    assert_why_names_file();
    assert_non_null(strstr(why, text));
    assert_int_equal(endpoint.port, 7);
}

static void test_barrel_endpoint_file_read(void **state)
{
    pn_barrel_endpoint endpoint;
    pn_tempdir t;

    (void)state;
    pn_tempdir_init(&t);
    assert_unreadable(&t, PN_NOT_FOUND, "no such");
    pn_tempdir_put(&t, FILE_NAME, "{\"h\",80}.\n", 10);
    assert_int_equal(chmod(pn_tempdir_path(&t, FILE_NAME), 0644), 0);
    assert_int_equal(
        pn_barrel_endpoint_read(t.path, NAME, &endpoint, why, sizeof(why)),
        PN_OK);
    assert_string_equal(endpoint.host, "h");
    assert_int_equal(endpoint.port, 80);
    /* The mode of another node's file is left alone. */
    assert_int_equal(pn_tempdir_mode(&t, FILE_NAME), 0644);
    pn_tempdir_put(&t, FILE_NAME, "{\"h\",80}.", 9);
    assert_unreadable(&t, PN_MALFORMED, "newline");
    pn_tempdir_fini(&t);
}

static void test_barrel_endpoint_file_length(void **state)
{
    char text[PN_BARREL_ENDPOINT_MAX + 100];
    pn_barrel_endpoint endpoint;
    pn_tempdir t;

    (void)state;
    memset(text, '\n', sizeof(text));
    memcpy(text, "{\"h\",80}.", 9);
    pn_tempdir_init(&t);
    for (size_t n = PN_BARREL_ENDPOINT_MAX - 1; n <= PN_BARREL_ENDPOINT_MAX;
         n++) {
        pn_tempdir_put(&t, FILE_NAME, text, n);
        assert_int_equal(
            pn_barrel_endpoint_read(t.path, NAME, &endpoint, why, sizeof(why)),
            PN_OK);
    }
    pn_tempdir_put(&t, FILE_NAME, text, PN_BARREL_ENDPOINT_MAX + 1);
    assert_unreadable(&t, PN_LIMIT, "longer than 512");
    pn_tempdir_put(&t, FILE_NAME, text, sizeof(text));
    assert_unreadable(&t, PN_LIMIT, "longer than 512");
    pn_tempdir_fini(&t);
}

static void make_link(const pn_tempdir *t)
{
    pn_tempdir_put(t, "good", "{\"h\",80}.\n", 10);
    assert_int_equal(symlinkat("good", t->fd, FILE_NAME), 0);
}

static void make_dangling(const pn_tempdir *t)
{
    assert_int_equal(symlinkat("nowhere", t->fd, FILE_NAME), 0);
}

static void make_fifo(const pn_tempdir *t)
{
    assert_int_equal(mkfifoat(t->fd, FILE_NAME, 0666), 0);
}

static void make_directory(const pn_tempdir *t)
{
    assert_int_equal(mkdirat(t->fd, FILE_NAME, 0755), 0);
}

static void make_socket(const pn_tempdir *t)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/%s",
        t->fd, FILE_NAME);
    assert_int_equal(
        bind(fd, (const struct sockaddr *)(const void *)&un, sizeof(un)), 0);
    assert_int_equal(close(fd), 0);
}

typedef struct odd_row {
    const char *name;
    void (*make)(const pn_tempdir *t);
    const char *why;
} odd_row;

static const odd_row ODD[] = {
    {"link", make_link, "is a symbolic link"},
    {"dangling_link", make_dangling, "is a symbolic link"},
    {"fifo", make_fifo, "is not a regular file"},
    {"directory", make_directory, "is not a regular file"},
    {"socket", make_socket, "is not a regular file"},
};

/* Such a file is neither read nor removed, and opening it does not block; the
 * target of a link is not written. */
static void test_barrel_endpoint_file_odd(void **state)
{
    const odd_row *row = *state;
    const pn_barrel_endpoint endpoint = {.host = "h", .port = 80};
    const pn_barrel_endpoint other = {.host = "other", .port = 81};
    pn_tempdir t;
    pn_err err;

    pn_tempdir_init(&t);
    row->make(&t);
    (void)alarm(20);
    assert_unreadable(&t, PN_PERMISSION, row->why);
    assert_int_equal(
        pn_barrel_endpoint_unpublish(t.path, NAME, &endpoint, why, sizeof(why)),
        PN_PERMISSION);
    err = pn_barrel_endpoint_publish(t.path, NAME, &other, why, sizeof(why));
    if (row->make == make_directory) {
        assert_int_equal(err, PN_SYS);
        assert_why_names_file();
    } else {
        size_t len;
        uint8_t *data = pn_tempdir_get(&t, FILE_NAME, &len);

        assert_int_equal(err, PN_OK);
        assert_int_equal(pn_tempdir_mode(&t, FILE_NAME), 0644);
        pn_assert_bytes(data, len, (const uint8_t *)"{\"other\",81}.\n", 14);
        free(data);
    }
    if (row->make == make_link) {
        size_t len;
        uint8_t *data = pn_tempdir_get(&t, "good", &len);

        pn_assert_bytes(data, len, (const uint8_t *)"{\"h\",80}.\n", 10);
        free(data);
    }
    assert_int_equal(pn_tempdir_count(&t), row->make == make_link ? 2 : 1);
    (void)alarm(0);
    pn_tempdir_fini(&t);
}

static const char *const NO_NAMES[] = {"", "beta", "@h", "beta@", "../beta@h",
    "a/b@h", "beta@h/../x", ".beta@h", "a@b@c", "be ta@h", "be\nta@h"};

static void test_barrel_endpoint_file_name(void **state)
{
    const char *name = *state;
    pn_barrel_endpoint endpoint = {.host = "h", .port = 80};
    pn_tempdir t;
    char dir[600];

    pn_tempdir_init(&t);
    assert_int_equal(mkdirat(t.fd, "d", 0755), 0);
    pn_tempdir_put(&t, "beta@h.endpoint", "{\"h\",80}.\n", 10);
    (void)snprintf(dir, sizeof(dir), "%s/d", t.path);
    assert_int_equal(
        pn_barrel_endpoint_read(dir, name, &endpoint, why, sizeof(why)),
        PN_INVALID);
    assert_int_equal(
        pn_barrel_endpoint_publish(dir, name, &endpoint, why, sizeof(why)),
        PN_INVALID);
    assert_int_equal(
        pn_barrel_endpoint_unpublish(dir, name, &endpoint, why, sizeof(why)),
        PN_INVALID);
    assert_int_equal(pn_tempdir_count(&t), 2);
    pn_tempdir_fini(&t);
}

/* 246 bytes and the suffix are what a file may be called. */
static void test_barrel_endpoint_file_long_name(void **state)
{
    const pn_barrel_endpoint endpoint = {.host = "h", .port = 80};
    pn_tempdir t;

    (void)state;
    pn_tempdir_init(&t);
    for (size_t n = 245; n <= 247; n++) {
        char name[256] = {0};

        memset(name, 'a', n);
        name[1] = '@';
        assert_int_equal(pn_barrel_endpoint_publish(
                             t.path, name, &endpoint, why, sizeof(why)),
            n <= 246 ? PN_OK : PN_SYS);
    }
    assert_non_null(strstr(why, "too long"));
    assert_int_equal(pn_tempdir_count(&t), 2);
    pn_tempdir_fini(&t);
}

static void test_barrel_endpoint_file_publish(void **state)
{
    pn_barrel_endpoint endpoint = {.host = "127.0.0.1", .port = 4433};
    mode_t mask = umask(022);
    pn_tempdir t;
    char dir[600];
    uint8_t *data;
    size_t len;

    (void)state;
    pn_tempdir_init(&t);
    (void)snprintf(dir, sizeof(dir), "%s/data/discovery", t.path);
    assert_int_equal(
        pn_barrel_endpoint_publish(dir, NAME, &endpoint, why, sizeof(why)),
        PN_OK);
    (void)umask(mask);
    assert_int_equal(pn_tempdir_mode(&t, "data"), 0755);
    assert_int_equal(pn_tempdir_mode(&t, "data/discovery"), 0755);
    assert_int_equal(pn_tempdir_mode(&t, "data/discovery/" FILE_NAME), 0644);
    data = pn_tempdir_get(&t, "data/discovery/" FILE_NAME, &len);
    pn_assert_bytes(data, len, (const uint8_t *)"{\"127.0.0.1\",4433}.\n", 20);
    free(data);
    assert_int_equal(
        pn_barrel_endpoint_unpublish(dir, NAME, &endpoint, why, sizeof(why)),
        PN_OK);
    assert_int_equal(pn_tempdir_mode(&t, "data/discovery/" FILE_NAME), -1);
    assert_int_equal(
        pn_barrel_endpoint_unpublish(dir, NAME, &endpoint, why, sizeof(why)),
        PN_NOT_FOUND);
    pn_tempdir_fini(&t);
}

/* The umask does not hide the file from other users. */
static void test_barrel_endpoint_file_umask(void **state)
{
    const pn_barrel_endpoint endpoint = {.host = "h", .port = 80};
    pn_tempdir t;
    mode_t mask;

    (void)state;
    pn_tempdir_init(&t);
    mask = umask(077);
    assert_int_equal(
        pn_barrel_endpoint_publish(t.path, NAME, &endpoint, why, sizeof(why)),
        PN_OK);
    (void)umask(mask);
    assert_int_equal(pn_tempdir_mode(&t, FILE_NAME), 0644);
    assert_int_equal(pn_tempdir_count(&t), 1);
    pn_tempdir_fini(&t);
}

static void test_barrel_endpoint_file_not_ours(void **state)
{
    const pn_barrel_endpoint ours = {.host = "h", .port = 80};
    static const char *const others[] = {"{\"h\",81}.\n", "{\"h\", 80}.\n",
        "{\"h\",80}.\n\n", "{\"h\",80}.", "", "{\"g\",80}.\n"};
    pn_tempdir t;

    (void)state;
    pn_tempdir_init(&t);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        pn_tempdir_put(&t, FILE_NAME, others[i], strlen(others[i]));
        assert_int_equal(
            pn_barrel_endpoint_unpublish(t.path, NAME, &ours, why, sizeof(why)),
            PN_MISMATCH);
        assert_why_names_file();
        assert_int_equal(pn_tempdir_count(&t), 1);
    }
    pn_tempdir_fini(&t);
}

static void test_barrel_endpoint_file_no_directory(void **state)
{
    const pn_barrel_endpoint endpoint = {.host = "h", .port = 80};
    pn_barrel_endpoint got;
    pn_tempdir t;
    char dir[600];

    (void)state;
    pn_tempdir_init(&t);
    (void)snprintf(dir, sizeof(dir), "%s/none", t.path);
    assert_int_equal(pn_barrel_endpoint_read(dir, NAME, &got, why, sizeof(why)),
        PN_NOT_FOUND);
    assert_why_names_file();
    pn_tempdir_put(&t, "none", "x", 1);
    assert_int_equal(
        pn_barrel_endpoint_read(dir, NAME, &got, why, sizeof(why)), PN_SYS);
    assert_int_equal(
        pn_barrel_endpoint_publish(dir, NAME, &endpoint, why, sizeof(why)),
        PN_SYS);
    assert_why_names_file();
    pn_tempdir_fini(&t);
}

/* A file that upstream wrote: found, read, and written by us byte for byte. */
static void test_barrel_endpoint_recorded(void **state)
{
    const json_t *row = *state;
    const char *file = pn_json_string(row, "file");
    const char *bytes = pn_json_string(row, "bytes");
    size_t name_len = strlen(file) - strlen(".endpoint");
    char name[256];
    char want[300];
    pn_barrel_endpoint got;
    pn_tempdir t;
    uint8_t *ours;
    size_t len;

    assert_string_equal(file + name_len, ".endpoint");
    (void)snprintf(name, sizeof(name), "%.*s", (int)name_len, file);
    pn_tempdir_init(&t);
    pn_tempdir_put(&t, file, bytes, strlen(bytes));
    assert_int_equal(
        pn_barrel_endpoint_read(t.path, name, &got, why, sizeof(why)), PN_OK);
    (void)snprintf(
        want, sizeof(want), "{\"%s\",%u}.\n", got.host, (unsigned)got.port);
    assert_string_equal(want, bytes);
    assert_string_equal(got.host, strchr(name, '@') + 1);
    assert_int_equal(unlink(pn_tempdir_path(&t, file)), 0);
    assert_int_equal(
        pn_barrel_endpoint_publish(t.path, name, &got, why, sizeof(why)),
        PN_OK);
    ours = pn_tempdir_get(&t, file, &len);
    pn_assert_bytes(ours, len, (const uint8_t *)bytes, strlen(bytes));
    free(ours);
    pn_tempdir_fini(&t);
}

#define ROWS(table, function, format)                                          \
    for (size_t i = 0; i < sizeof(table) / sizeof((table)[0]); i++) {          \
        pn_test_addf(function, (void *)(uintptr_t) & (table)[i], format, i);   \
    }

int main(void)
{
    json_t *vectors = pn_vectors_as("barrel.json", JSON_DECODE_INT_AS_REAL);
    const json_t *recorded = json_object_get(vectors, "endpoint_file");
    int result;

    for (size_t i = 0; i < json_array_size(recorded); i++) {
        pn_test_addf(test_barrel_endpoint_recorded, json_array_get(recorded, i),
            "barrel/endpoint/recorded %zu", i);
    }
    for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
        pn_test_addf(test_barrel_endpoint_good, (void *)(uintptr_t)&GOOD[i],
            "barrel/endpoint/good %s", GOOD[i].name);
        pn_test_addf(test_barrel_endpoint_every_prefix,
            (void *)(uintptr_t)&GOOD[i], "barrel/endpoint/every_prefix %s",
            GOOD[i].name);
    }
    ROWS(BAD, test_barrel_endpoint_bad, "barrel/endpoint/bad %zu");
    for (size_t i = 0; i < sizeof(ODD) / sizeof(ODD[0]); i++) {
        pn_test_addf(test_barrel_endpoint_file_odd, (void *)(uintptr_t)&ODD[i],
            "barrel/endpoint/file_odd %s", ODD[i].name);
    }
    for (size_t i = 0; i < sizeof(NO_NAMES) / sizeof(NO_NAMES[0]); i++) {
        pn_test_addf(test_barrel_endpoint_file_name,
            (void *)(uintptr_t)NO_NAMES[i], "barrel/endpoint/file_name %zu", i);
    }
    pn_test_add(
        "barrel/endpoint/host_bytes", test_barrel_endpoint_host_bytes, NULL);
    pn_test_add(
        "barrel/endpoint/host_length", test_barrel_endpoint_host_length, NULL);
    pn_test_add("barrel/endpoint/length", test_barrel_endpoint_length, NULL);
    pn_test_add("barrel/endpoint/write", test_barrel_endpoint_write, NULL);
    pn_test_add(
        "barrel/endpoint/file_read", test_barrel_endpoint_file_read, NULL);
    pn_test_add(
        "barrel/endpoint/file_length", test_barrel_endpoint_file_length, NULL);
    pn_test_add("barrel/endpoint/file_long_name",
        test_barrel_endpoint_file_long_name, NULL);
    pn_test_add("barrel/endpoint/file_publish",
        test_barrel_endpoint_file_publish, NULL);
    pn_test_add(
        "barrel/endpoint/file_umask", test_barrel_endpoint_file_umask, NULL);
    pn_test_add("barrel/endpoint/file_not_ours",
        test_barrel_endpoint_file_not_ours, NULL);
    pn_test_add("barrel/endpoint/file_no_directory",
        test_barrel_endpoint_file_no_directory, NULL);
    result = pn_test_run("barrel/endpoint");
    json_decref(vectors);
    return result;
}

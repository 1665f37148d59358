/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the unit tests; see harness.h. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "harness.h"

typedef struct row_test {
    CMUnitTestFunction function;
    void *row;
    char name[256];
} row_test;

static row_test **rows;
static size_t n_tests;
static row_test *running;
static jmp_buf skipped;

/* cmocka calls a skipped test "not ok", which counts as failed. */
static void run_row(void **state)
{
    running = *state;
    if (setjmp(skipped) == 0) {
        void *row = running->row;

        running->function(&row);
    }
}

void pn_test_skip(const char *why)
{
    size_t len = strlen(running->name);

    (void)snprintf(
        running->name + len, sizeof(running->name) - len, " # SKIP %s", why);
    longjmp(skipped, 1);
}

void pn_test_add(const char *name, CMUnitTestFunction function, void *row)
{
    row_test *test = malloc(sizeof(*test));

    rows = realloc(rows, (n_tests + 1) * sizeof(*rows));
    if (test == NULL || rows == NULL) {
        abort();
    }
    test->function = function;
    test->row = row;
    (void)snprintf(test->name, sizeof(test->name), "%s", name);
    rows[n_tests++] = test;
}

void pn_test_addf(
    CMUnitTestFunction function, void *row, const char *format, ...)
{
    char name[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    /* TAP gives these two a meaning of their own. */
    for (char *p = name; *p != '\0'; p++) {
        if (*p == '#' || *p == '\n') {
            *p = '.';
        }
    }
    pn_test_add(name, function, row);
}

int pn_test_run(const char *group)
{
    struct CMUnitTest *tests = calloc(n_tests + 1, sizeof(*tests));
    int failed;

    if (n_tests == 0 || tests == NULL) {
        fprintf(stderr, "%s: no tests\n", group);
        free(tests);
        return 1;
    }
    for (size_t i = 0; i < n_tests; i++) {
        tests[i] = (struct CMUnitTest){.name = rows[i]->name,
            .test_func = run_row,
            .initial_state = rows[i]};
    }
    failed = _cmocka_run_group_tests(group, tests, n_tests, NULL, NULL);
    for (size_t i = 0; i < n_tests; i++) {
        free(rows[i]);
    }
    free(rows);
    free(tests);
    return failed == 0 ? 0 : 1;
}

json_t *pn_vectors_as(const char *name, size_t flags)
{
    char path[4096];
    json_error_t error;
    json_t *root;

    (void)snprintf(path, sizeof(path), "%s/%s", PN_VECTORS, name);
    root = json_load_file(path, JSON_ALLOW_NUL | flags, &error);
    if (root == NULL) {
        fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
        exit(99);
    }
    return root;
}

json_t *pn_vectors(const char *name)
{
    return pn_vectors_as(name, 0);
}

const char *pn_json_string(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (text == NULL) {
        fail_msg("no string at \"%s\"", key);
        abort();
    }
    return text;
}

static unsigned hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return (unsigned)(c - 'a') + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return (unsigned)(c - 'A') + 10;
    }
    fail_msg("not a hexadecimal digit: %c", c);
    return 0;
}

uint8_t *pn_unhex(const char *hex, size_t *ret_len)
{
    size_t n_digits = 0;
    uint8_t *bytes;

    for (const char *p = hex; *p != '\0'; p++) {
        n_digits += *p != ' ';
    }
    /* Exactly as large as it is, so a sanitizer sees a read past the end. */
    bytes = calloc(1, n_digits < 2 ? 1 : n_digits / 2);
    if (bytes == NULL) {
        abort();
    }
    *ret_len = n_digits / 2;
    for (size_t i = 0; i < 2 * *ret_len; hex++) {
        if (*hex != ' ') {
            bytes[i / 2] = (uint8_t)((unsigned)bytes[i / 2] << 4
                                     | hex_digit(*hex));
            i++;
        }
    }
    return bytes;
}

uint8_t *pn_json_hex(const json_t *object, const char *key, size_t *ret_len)
{
    return pn_unhex(pn_json_string(object, key), ret_len);
}

void pn_json_hex_n(
    const json_t *object, const char *key, uint8_t *out, size_t n)
{
    size_t len;
    uint8_t *bytes = pn_json_hex(object, key, &len);

    if (len != n) {
        fail_msg("\"%s\" holds %zu bytes, expected %zu", key, len, n);
    }
    memcpy(out, bytes, n);
    free(bytes);
}

static void print_hex(const char *what, const uint8_t *p, size_t len)
{
    fprintf(stderr, "%s (%zu): ", what, len);
    for (size_t i = 0; i < len && i < 512; i++) {
        fprintf(stderr, "%02x", p[i]);
    }
    fprintf(stderr, "\n");
}

void pn_assert_bytes(
    const uint8_t *got, size_t got_len, const uint8_t *want, size_t want_len)
{
    if (got_len == want_len
        && (got_len == 0 || memcmp(got, want, got_len) == 0)) {
        return;
    }
    print_hex("got", got, got_len);
    print_hex("want", want, want_len);
    fail_msg("bytes differ");
}

int pn_test_socket(int type, char ret_address[static 32])
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(ret_address, 32, "127.0.0.1:%u", ntohs(at.sin_port));
    return fd;
}

uint64_t pn_test_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

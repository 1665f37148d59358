/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "text.h"
#include "json/jsonout.h"

static void test_cli_text_grows(void **state)
{
    cli_text t = {0};

    (void)state;
    assert_string_equal(cli_text_string(&t), "");
    for (int i = 0; i < 1000; i++) {
        cli_text_printf(&t, "%d,", i % 10);
    }
    assert_int_equal(t.len, 2000);
    assert_int_equal(strlen(cli_text_string(&t)), 2000);
    cli_text_drop(&t, 1998);
    assert_string_equal(cli_text_string(&t), "9,");
    cli_text_drop(&t, 99);
    assert_string_equal(cli_text_string(&t), "");
    cli_text_fini(&t);
}

static void test_cli_text_failure_sticks(void **state)
{
    cli_text t = {0};

    (void)state;
    cli_text_add(&t, "x", SIZE_MAX / 2);
    assert_true(t.failed);
    cli_text_puts(&t, "more");
    assert_true(t.failed);
    assert_string_equal(cli_text_string(&t), "");
    cli_text_fini(&t);
}

/* An address may be a part of another. */
static void test_cli_text_list(void **state)
{
    static const char *const words[] = {"110.0.0.1:7100", "10.0.0.1:7100",
        "110.0.0.1:7100", "10.0.0.1:710", "10.0.0.1:7100", "[::1]:7100"};
    cli_text t = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        cli_text_list(&t, words[i]);
    }
    assert_string_equal(cli_text_string(&t),
        "110.0.0.1:7100,10.0.0.1:7100,10.0.0.1:710,[::1]:7100");
    cli_text_fini(&t);
}

typedef struct base64_row {
    const char *bytes;
    const char *text; /* NULL: the text in bytes must be refused */
} base64_row;

/* RFC 4648 section 10, then what a lenient decoder would take. */
static const base64_row base64_rows[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xfb\xff", "+/8="},
    {"Z", NULL},
    {"Zg", NULL},
    {"Zg=", NULL},
    {"Zh==", NULL}, /* bits that are not used are not zero */
    {"Zm9=", NULL},
    {"Zg==Zg==", NULL},
    {"Z===", NULL},
    {"====", NULL},
    {"Zm 9", NULL},
    {"Zm9v\n", NULL},
    {"-_8=", NULL},
};

static void test_cli_text_base64(void **state)
{
    const base64_row *row = *state;
    cli_text t = {0};

    if (row->text == NULL) {
        assert_false(cli_base64_decode(&t, row->bytes, strlen(row->bytes)));
        assert_int_equal(t.len, 0);
    } else {
        cli_base64_add(&t, row->bytes, strlen(row->bytes));
        assert_string_equal(cli_text_string(&t), row->text);
        cli_text_clear(&t);
        assert_true(cli_base64_decode(&t, row->text, strlen(row->text)));
        assert_string_equal(cli_text_string(&t), row->bytes);
    }
    cli_text_fini(&t);
}

static void test_cli_text_json(void **state)
{
    cli_text t = {0};

    (void)state;
    cli_json_open(&t, NULL, '{');
    cli_json_int(&t, "id", -7);
    cli_json_string(&t, "name", "a\"b");
    cli_json_open(&t, "list", '[');
    cli_json_bool(&t, NULL, true);
    cli_json_null(&t, NULL);
    cli_json_open(&t, NULL, '{');
    cli_json_close(&t, '}');
    cli_json_raw(&t, NULL, "1.5", 3);
    cli_json_close(&t, ']');
    cli_json_bytes(&t, "bytes", "\xff", 1);
    cli_json_close(&t, '}');
    assert_string_equal(cli_text_string(&t),
        "{\"id\":-7,\"name\":\"a\\\"b\",\"list\":[true,null,{},1.5],"
        "\"bytes\":\"\xef\xbf\xbd\"}");
    cli_text_fini(&t);
}

int main(void)
{
    pn_test_add("cli/text/grows", test_cli_text_grows, NULL);
    pn_test_add("cli/text/list", test_cli_text_list, NULL);
    pn_test_add("cli/text/failure_sticks", test_cli_text_failure_sticks, NULL);
    for (size_t i = 0; i < sizeof(base64_rows) / sizeof(base64_rows[0]); i++) {
        pn_test_addf(test_cli_text_base64, (void *)(uintptr_t)&base64_rows[i],
            "cli/text/base64/%s_%s",
            base64_rows[i].text == NULL ? "refused" : "takes",
            base64_rows[i].text == NULL ? base64_rows[i].bytes
                                        : base64_rows[i].text);
    }
    pn_test_add("cli/text/json", test_cli_text_json, NULL);
    return pn_test_run("cli/text");
}

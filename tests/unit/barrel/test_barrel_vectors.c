/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing in barrel.json is left unread: every section is in the table, and the
 * test that the table names does name the section. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static const struct {
    const char *section; /* of the file, or a key of one of its sections */
    const char *test;    /* below tests/unit; NULL: nothing to test */
} readers[] = {
    {"cert_binding", "barrel/test_barrel_certificate.c"},
    {"cookie_only", "barrel/test_barrel_message.c"},
    {"decode", "barrel/test_barrel_message.c"},
    {"dist_cookie_digest", "barrel/test_barrel_dist_handshake.c"},
    {"encode", "barrel/test_barrel_message.c"},
    {"endpoint_file", "barrel/test_barrel_endpoint.c"},
    {"identities", "trust/test_trust_barrel_keys.c"},
    {"keypair_load", "trust/test_trust_barrel_keys.c"},
    {"meta", NULL},
    {"node_name", "barrel/test_barrel_message.c"},
    {"peer_ts", NULL},
    {"peer_ts.accepted_abs_skew_ms", "barrel/test_barrel_auth_vectors.c"},
    {"peer_ts.cases", "barrel/test_barrel_auth_vectors.c"},
    {"peer_ts.window_ms", "barrel/test_barrel_auth_vectors.c"},
    {"signature", NULL},
    {"signature.binding", "barrel/test_barrel_message.c"},
    {"signature.cases", "barrel/test_barrel_message.c"},
    {"signature.cert_der", "barrel/test_barrel_certificate.c"},
    {"signature.cert_pem", "barrel/test_barrel_certificate.c"},
    {"signature.negative", "barrel/test_barrel_auth_vectors.c"},
    {"signature.sign_with_bad_binding", "barrel/test_barrel_auth_vectors.c"},
    {"transcript_tofu_ok", NULL},
    {"transcript_tofu_ok.cert_binding", "barrel/test_barrel_auth_vectors.c"},
    {"transcript_tofu_ok.client_stream_2", "barrel/test_barrel_auth_vectors.c"},
    {"transcript_tofu_ok.note", NULL},
    /* An order that is ours only on each stream: a responder signs last. */
    {"transcript_tofu_ok.order", NULL},
    {"transcript_tofu_ok.server_stream_3", "barrel/test_barrel_auth_vectors.c"},
};
#define N_READERS (sizeof(readers) / sizeof(readers[0]))

/* Sections whose keys have readers of their own. */
static bool has_parts(const char *section)
{
    return strcmp(section, "peer_ts") == 0 || strcmp(section, "signature") == 0
           || strcmp(section, "transcript_tofu_ok") == 0;
}

static size_t reader_of(const char *section)
{
    for (size_t i = 0; i < N_READERS; i++) {
        if (strcmp(readers[i].section, section) == 0) {
            return i;
        }
    }
    fail_msg("%s is read by no test", section);
    return N_READERS;
}

static void count(const char *section, bool is_read[static N_READERS])
{
    size_t i = reader_of(section);

    assert_true(i < N_READERS && !is_read[i]);
    is_read[i] = true;
}

static void test_sections(void **state)
{
    json_t *vectors = pn_vectors_as("barrel.json", JSON_DECODE_INT_AS_REAL);
    bool is_there[N_READERS] = {false};
    const char *section;
    json_t *value;

    (void)state;
    json_object_foreach(vectors, section, value)
    {
        const char *key;
        json_t *part;

        count(section, is_there);
        if (!has_parts(section)) {
            continue;
        }
        json_object_foreach(value, key, part)
        {
            char name[128];

            (void)snprintf(name, sizeof(name), "%s.%s", section, key);
            count(name, is_there);
        }
    }
    for (size_t i = 0; i < N_READERS; i++) {
        if (!is_there[i]) {
            fail_msg("%s is not in the file", readers[i].section);
        }
    }
    json_decref(vectors);
}

static bool file_says(const char *file, const char *what)
{
    char path[4096];
    char line[512];
    bool is_found = false;
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/unit/%s", PN_TEST_DATA, file);
    f = fopen(path, "re");
    assert_non_null(f);
    while (!is_found && fgets(line, sizeof(line), f) != NULL) {
        is_found = strstr(line, what) != NULL;
    }
    (void)fclose(f);
    return is_found;
}

/* The reader loads the file and asks it for the section, dots apart. */
static void test_reader(void **state)
{
    size_t i = *(const size_t *)*state;
    char section[128];
    char *part;
    char *rest = NULL;

    assert_true(file_says(readers[i].test, "(\"barrel.json\""));
    (void)snprintf(section, sizeof(section), "%s", readers[i].section);
    for (part = strtok_r(section, ".", &rest); part != NULL;
         part = strtok_r(NULL, ".", &rest)) {
        char quoted[160];

        (void)snprintf(quoted, sizeof(quoted), "\"%s\"", part);
        if (!file_says(readers[i].test, quoted)) {
            fail_msg("%s does not read %s", readers[i].test, quoted);
        }
    }
}

int main(void)
{
    static size_t numbers[N_READERS];

    pn_test_add("barrel/vectors/sections", test_sections, NULL);
    for (size_t i = 0; i < N_READERS; i++) {
        numbers[i] = i;
        if (readers[i].test != NULL) {
            pn_test_addf(test_reader, &numbers[i], "barrel/vectors/read/%s",
                readers[i].section);
        }
    }
    return pn_test_run("barrel/vectors");
}
